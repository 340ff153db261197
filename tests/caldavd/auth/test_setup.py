"""From the settings to logins, on a real store: several workers, and the application's answers."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest

from caldavd import auth, provision
from caldavd.app import Application
from caldavd.auth import Authenticated, Challenge, SetupError, TooMany, Unavailable, cost_of, from_settings
from caldavd.auth.passwords import Cost, hash_password, needs_rehash, new_app_password
from caldavd.wsgi import build
from config.settings import Auth, Server, Settings
from storage import open_store
from storage.store import Store, Transaction
from tests.caldavd.auth.fake import CHEAP, header, log_in

CHALLENGE = Challenge("Calendars")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'caldavd.db'}")
    opened.upgrade()

    def accounts(tx: Transaction) -> None:
        made = provision.create(tx, provision.NewPrincipal(name="u1"), Settings().provisioning)
        tx.principals.set_password(made.id, hash_password("right", cost=CHEAP))

    opened.run(accounts, write=True)
    yield opened
    opened.close()


def _settings(**values: object) -> Settings:
    small = {"argon2_memory": 16 * 1024, "argon2_time": 1}
    return Settings(auth=Auth.model_validate({**small, **values}), server=Server(trusted_proxies=("127.0.0.1",)))  # type: ignore[arg-type]


def _set_password(store: Store, name: str, password: str) -> None:
    found = store.run(lambda tx: tx.principals.for_login(name), write=False)
    assert found is not None
    stored = hash_password(password, cost=CHEAP)
    store.run(lambda tx: tx.principals.set_password(found[0].id, stored), write=True)


def test_the_settings_arrive(store: Store) -> None:
    assert cost_of(Settings()) == Cost(memory=19 * 1024, time=2, parallelism=1)
    worker = from_settings(_settings(realm="House", failures_per_user=2, failure_seconds=77), store=store)
    answers = [log_in(worker, "u1", f"guess {n}", f"10.0.0.{n}") for n in range(3)]
    assert answers == [Challenge("House")] * 2 + [TooMany(77)]


def test_two_workers_on_one_database(store: Store) -> None:
    workers = [from_settings(_settings(), store=store) for _ in range(2)]
    assert all(isinstance(log_in(worker, "u1", "right"), Authenticated) for worker in workers)
    assert [log_in(worker, "u1", "wrong") for worker in workers] == [CHALLENGE] * 2
    _set_password(store, "u1", "changed")
    assert [log_in(worker, "u1", "right") for worker in workers] == [CHALLENGE] * 2
    assert all(isinstance(log_in(worker, "u1", "changed"), Authenticated) for worker in workers)


def test_a_login_renews_the_hash_in_the_database(store: Store) -> None:
    assert isinstance(log_in(from_settings(_settings(), store=store), "u1", "right"), Authenticated)
    found = store.run(lambda tx: tx.principals.for_login("u1"), write=False)
    assert found is not None
    assert found[1].password_hash is not None
    assert not needs_rehash(found[1].password_hash, cost=cost_of(_settings()))


def test_an_app_password_in_the_database(store: Store) -> None:
    found = store.run(lambda tx: tx.principals.for_login("u1"), write=False)
    assert found is not None
    password, stored = new_app_password(cost=CHEAP)
    store.run(lambda tx: tx.principals.add_app_password(found[0].id, name="phone", password_hash=stored), write=True)
    workers = [from_settings(_settings(), store=store) for _ in range(2)]
    assert all(isinstance(log_in(worker, "u1", password), Authenticated) for worker in workers)
    store.run(lambda tx: tx.principals.revoke_app_password(found[0].id, "phone"), write=True)
    assert [log_in(worker, "u1", password) for worker in workers] == [CHALLENGE] * 2


def test_limits_and_known_addresses_are_in_the_database(store: Store) -> None:
    settings = _settings(failures_per_user=3, cache_seconds=0)
    assert isinstance(log_in(from_settings(settings, store=store), "u1", "right", "192.0.2.1"), Authenticated)
    for number in range(3):
        log_in(from_settings(settings, store=store), "u1", f"guess {number}", f"10.0.0.{number}")
    last = from_settings(settings, store=store)
    assert isinstance(log_in(last, "u1", "right", "203.0.113.1"), TooMany)
    assert isinstance(log_in(last, "u1", "right", "192.0.2.1"), Authenticated)


def test_htpasswd_by_the_settings_makes_accounts_with_calendars(store: Store, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("u1:outside\nnew@example.org:outside too\nbad%name:outside\n")
    options = {"htpasswd_filename": str(tmp_path / "users"), "htpasswd_encryption": "plain"}
    worker = from_settings(_settings(type="htpasswd", options=options), store=store)
    assert isinstance(log_in(worker, "u1", "outside"), Authenticated)
    assert log_in(worker, "u1", "right") == CHALLENGE
    answer = log_in(worker, "new@example.org", "outside too")
    assert isinstance(answer, Authenticated)
    assert [address.uri for address in answer.principal.addresses] == ["mailto:new@example.org"]
    found = store.run(lambda tx: tx.collections.of_home(answer.principal.home_id), write=False)
    assert [collection.path for collection in found] == [(), ("calendar",), ("inbox",), ("outbox",), ("tasks",)]
    assert log_in(worker, "bad%name", "outside") == CHALLENGE


def test_without_create_nobody_gets_an_account(store: Store, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("u2:outside\n")
    options = {"htpasswd_filename": str(tmp_path / "users"), "htpasswd_encryption": "plain"}
    worker = from_settings(_settings(type="htpasswd", options=options, create=False), store=store)
    assert log_in(worker, "u2", "outside") == CHALLENGE


def test_the_trusted_proxies_are_those_of_the_server(store: Store) -> None:
    worker = from_settings(_settings(type="http_x_remote_user"), store=store)
    answers = [
        worker.authenticate(
            authorization=None,
            remote_address="192.0.2.1",
            environ={"REMOTE_ADDR": peer, "HTTP_X_REMOTE_USER": "u1"},
        )
        for peer in ("127.0.0.1", "127.0.0.2")
    ]
    assert isinstance(answers[0], Authenticated)
    assert answers[1] == CHALLENGE


def test_what_cannot_be_set_up_says_so(store: Store) -> None:
    with pytest.raises(SetupError, match="htpasswd"):
        from_settings(_settings(type="htpasswd", options={"htpasswd_filename": "/does/not/exist"}), store=store)


def _request(application: Application, method: str, path: str, authorization: str | None) -> tuple[str, Message]:
    environ: dict[str, object] = {"REMOTE_ADDR": "192.0.2.1"}
    setup_testing_defaults(environ)
    environ |= {"REQUEST_METHOD": method, "PATH_INFO": path}
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    seen: list[tuple[str, Message]] = []

    def start(status: str, fields: list[tuple[str, str]]) -> None:
        headers = Message()
        for name, value in fields:
            headers[name] = value
        seen.append((status, headers))

    list(application(environ, start))
    return seen[0]


@pytest.mark.parametrize("authorization", [None, "Basic dTE6d3Jvbmc=", "Basic broken", "Digest x"])
def test_every_401_has_the_same_realm(store: Store, authorization: str | None) -> None:
    application = build(_settings(realm="House"), store=store)
    for method in ("OPTIONS", "GET", "HEAD", "PUT", "PROPFIND", "REPORT", "MKCALENDAR", "POST", "BREW"):
        for path in ("/", "/calendars/u1/", "/calendars/nobody/x", "/no/such/place"):
            status, headers = _request(application, method, path, authorization)
            assert status.startswith("401"), (method, path)
            assert headers.get_all("WWW-Authenticate") == ['Basic realm="House", charset="UTF-8"']


def test_too_many_and_busy_over_http(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    application = build(_settings(failures_per_user=1), store=store)
    assert _request(application, "GET", "/", header("u1", "wrong"))[0].startswith("401")
    status, headers = _request(application, "GET", "/", header("u1", "right"))
    assert (status[:3], headers["Retry-After"]) == ("429", "300")

    def unavailable(*_args: object, **_kwargs: object) -> None:
        raise Unavailable("The server's directory of users does not answer: try again later.")

    monkeypatch.setattr("caldavd.auth.Authenticator.authenticate", unavailable)
    status, headers = _request(application, "GET", "/", None)
    assert status.startswith("503")
    assert headers["Retry-After"]
    assert headers["WWW-Authenticate"] is None


def test_the_package_says_what_it_offers() -> None:
    assert all(hasattr(auth, name) for name in auth.__all__)
