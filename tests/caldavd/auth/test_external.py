"""Radicale's authentication modules: the real ones, against files and small servers."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from passlib.hash import apr_md5_crypt, sha256_crypt, sha512_crypt  # type: ignore[import-untyped]

from caldavd.auth import SetupError, Unavailable, passwords
from caldavd.auth.external import External
from tests.caldavd.auth import servers
from tests.caldavd.auth.fake import CHEAP


def _external(
    kind: str, *, trusted: tuple[str, ...] = (), seconds: float = 20, at_once: int = 8, **options: Any
) -> External:
    return External(
        kind, options, trusted=lambda peer: peer in trusted, seconds=seconds, at_once=at_once, patience=0.05
    )


def _check(external: External, login: str, password: str) -> str | None:
    return external.check(login, password, remote_address="192.0.2.1")


@pytest.fixture
def untidy() -> Iterator[None]:
    """Radicale's modules leave connections to the garbage collector: it runs before the next test."""
    yield
    gc.collect()


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    file = tmp_path / "users"
    lines = {
        "apr": apr_md5_crypt.hash("right:ß"),
        "sha256": sha256_crypt.using(rounds=1000).hash("right:ß"),
        "sha512": sha512_crypt.using(rounds=1000).hash("right:ß"),
        "argon": passwords.hash_password("right:ß", cost=CHEAP),
        "plain": "right:ß",
    }
    file.write_text("".join(f"{name}:{value}\n" for name, value in lines.items()))
    return file


@pytest.mark.parametrize("login", ["apr", "sha256", "sha512", "argon", "plain"])
def test_htpasswd(htpasswd: Path, login: str) -> None:
    external = _external("htpasswd", htpasswd_filename=str(htpasswd))
    assert _check(external, login, "right:ß") == login
    assert _check(external, login, "wrong") is None
    assert _check(external, login.upper(), "right:ß") is None
    assert _check(external, "nobody", "right:ß") is None


def test_the_name_of_nobody_is_not_logged(htpasswd: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    external = _external("htpasswd", htpasswd_filename=str(htpasswd))
    assert "htpasswd" in caplog.text
    assert _check(external, "typed-secret-as-name", "x") is None
    assert "secret" not in caplog.text


def test_htpasswd_notices_a_new_line(htpasswd: Path) -> None:
    external = _external("htpasswd", htpasswd_filename=str(htpasswd), htpasswd_encryption="plain")
    with htpasswd.open("a") as file:
        file.write("late:secret\n")
    assert _check(external, "late", "secret") == "late"


def test_a_name_is_changed_as_radicale_changes_it(htpasswd: Path) -> None:
    external = _external(
        "htpasswd", htpasswd_filename=str(htpasswd), lc_username=True, strip_domain="true", urldecode_username=True
    )
    assert external.name_of("PLAIN%40Example.org") == "plain"
    assert _check(external, "PLAIN%40Example.org", "right:ß") == "plain"
    assert _external("htpasswd", htpasswd_filename=str(htpasswd), uc_username=True).name_of("u1@x") == "U1@X"


@pytest.mark.usefixtures("untidy")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_imap() -> None:
    with servers.serving(servers.Imap) as port:
        external = _external("imap", imap_host=f"127.0.0.1:{port}", imap_security="none")
        assert _check(external, "u1", "right:ß") == "u1"
        assert _check(external, "u1", "wrong") is None
        assert _check(external, "nobody", "x") is None


def test_dovecot() -> None:
    with servers.serving(servers.Dovecot) as port:
        external = _external("dovecot", dovecot_connection_type="AF_INET", dovecot_host="127.0.0.1", dovecot_port=port)
        assert _check(external, "u1", "right:ß") == "u1"
        assert _check(external, "u1", "wrong") is None
    assert "\trip=192.0.2.1\t" in servers.Dovecot.asked[-1]


@pytest.mark.usefixtures("untidy")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_oauth2() -> None:
    with servers.serving(servers.OAuth2) as port:
        external = _external("oauth2", oauth2_token_endpoint=f"http://127.0.0.1:{port}/token")
        assert _check(external, "u1", "right:ß") == "u1"
        assert _check(external, "u1", "wrong") is None


@pytest.mark.usefixtures("untidy")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
# ldap3 2.9.1 uses names that pyasn1 gives up.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ldap() -> None:
    pytest.importorskip("ldap3", reason="LDAP needs the extra ldap: pip install 'caldavd[ldap]'")
    with servers.serving(servers.Ldap) as port:
        options: dict[str, Any] = {
            "ldap_uri": f"ldap://127.0.0.1:{port}",
            "ldap_base": "dc=example,dc=org",
            "ldap_reader_dn": servers.Ldap.READER[0],
            "ldap_filter": "(uid={0})",
        }
        external = _external("ldap", **options, ldap_secret=servers.Ldap.READER[1])
        assert _check(external, "u1", "right:ß") == "u1"
        assert _check(external, "u1", "wrong") is None
        assert _check(external, "nobody", "right:ß") is None
        assert _check(external, "*", "right:ß") is None
        renamed = _external("ldap", **options, ldap_secret=servers.Ldap.READER[1], ldap_user_attribute="calendarName")
        assert _check(renamed, "u2", "right too") == "second"
        with pytest.raises(Unavailable):
            _check(_external("ldap", **options, ldap_secret="not the reader's"), "u1", "right:ß")


def test_pam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Radicale's module on a stand-in for the library, which needs a system with accounts."""
    asked = []

    def authenticate(login: str, password: str, service: str) -> bool:
        asked.append((login, service))
        return password == "right"

    monkeypatch.setitem(sys.modules, "pam", types.SimpleNamespace(authenticate=authenticate))
    external = _external("pam", pam_service="caldavd")
    assert _check(external, "root", "right") == "root"
    assert _check(external, "root", "wrong") is None
    assert _check(external, "no such account here", "right") is None
    assert asked == [("root", "caldavd"), ("root", "caldavd")]


@pytest.mark.usefixtures("untidy")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["imap", "dovecot", "oauth2", "ldap"])
def test_a_server_that_is_away_is_not_a_wrong_password(kind: str) -> None:
    if kind == "ldap":
        pytest.importorskip("ldap3", reason="LDAP needs the extra ldap: pip install 'caldavd[ldap]'")
    with servers.nobody_listens() as port:
        options: dict[str, dict[str, Any]] = {
            "imap": {"imap_host": f"127.0.0.1:{port}", "imap_security": "none"},
            "dovecot": {
                "dovecot_connection_type": "AF_INET",
                "dovecot_host": "127.0.0.1",
                "dovecot_port": port,
            },
            "oauth2": {"oauth2_token_endpoint": f"http://127.0.0.1:{port}/token"},
            "ldap": {"ldap_uri": f"ldap://127.0.0.1:{port}", "ldap_filter": "(uid={0})"},
        }
        with pytest.raises(Unavailable):
            _check(_external(kind, **options[kind]), "u1", "right:ß")


def test_a_unix_socket_that_is_away(tmp_path: Path) -> None:
    external = _external("dovecot", dovecot_socket=str(tmp_path / "auth-client"))
    with pytest.raises(Unavailable):
        _check(external, "u1", "right:ß")


@pytest.mark.parametrize("kind", ["http_x_remote_user", "http_remote_user"])
def test_a_header_counts_from_a_trusted_proxy_only(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    external = _external(kind, trusted=("127.0.0.1",), lc_username=True)
    name = kind.upper()
    trusted = {"REMOTE_ADDR": "127.0.0.1", name: "JÜRGEN".encode().decode("latin-1")}
    assert external.told(trusted, remote_address="192.0.2.1") == "jürgen"
    assert external.told({"REMOTE_ADDR": "127.0.0.1"}, remote_address="192.0.2.1") is None
    assert external.told({"REMOTE_ADDR": "127.0.0.1", name: ""}, remote_address="192.0.2.1") is None
    assert not caplog.records
    assert external.told({"REMOTE_ADDR": "192.0.2.66", name: "u1"}, remote_address="127.0.0.1") is None
    assert external.told({name: "u1"}, remote_address="127.0.0.1") is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_the_name_from_the_wsgi_server_is_no_header() -> None:
    external = _external("remote_user")
    assert external.told({"REMOTE_USER": "u1", "REMOTE_ADDR": "192.0.2.66"}, remote_address="192.0.2.66") == "u1"
    assert external.told({"HTTP_REMOTE_USER": "u1"}, remote_address="192.0.2.66") is None


@pytest.mark.parametrize("kind", ["remote_user", "http_remote_user", "http_x_remote_user"])
def test_modules_that_read_the_environment_take_no_passwords(kind: str) -> None:
    """Their ``login`` accepts everybody: it must never see what a client sent."""
    external = _external(kind, trusted=("127.0.0.1",))
    assert not external.takes_passwords
    assert _check(external, "u1", "anything") is None


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        ("htpasswd", {"htpasswd_filename": "/does/not/exist"}, "/does/not/exist"),
        ("htpasswd", {"no_such_option": "x"}, "no_such_option"),
        ("htpasswd", {"lc_username": "perhaps"}, "lc_username"),
        ("oauth2", {}, "token endpoint"),
        ("no_such.module", {}, "no_such"),
        ("ldap", {"ldap_security": "some"}, "ldap_security"),
    ],
)
def test_what_cannot_be_set_up_is_a_sentence(kind: str, options: dict[str, Any], text: str) -> None:
    if kind == "ldap":
        pytest.importorskip("ldap3", reason="LDAP needs the extra ldap: pip install 'caldavd[ldap]'")
    with pytest.raises(SetupError, match=text):
        _external(kind, **options)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pam", None)
    with pytest.raises(SetupError, match="pam"):
        _external("pam")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    """A module of somebody else's, ``house.login``; what it does is set by the test."""
    import radicale.auth

    control = types.SimpleNamespace(login=lambda _login, _password: "", release=threading.Event())

    class Auth(radicale.auth.BaseAuth):
        def _login(self, login: str, password: str) -> str:
            return str(control.login(login, password))

    module = types.ModuleType("house.login")
    module.Auth = Auth  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "house", types.ModuleType("house"))
    monkeypatch.setitem(sys.modules, "house.login", module)
    yield control
    control.release.set()


def test_a_module_of_somebody_else(plugin: types.SimpleNamespace) -> None:
    plugin.login = lambda login, password: login if password == "right" else ""
    external = _external("house.login", house_option="x")
    assert _check(external, "u1", "right") == "u1"
    assert _check(external, "u1", "wrong") is None


def test_radicale_s_sleep_does_not_take_a_place(plugin: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure is drawn out in the thread of its own request; meanwhile the only place is free for others."""
    slept: list[float] = []
    after_sleep = []
    external = _external("house.login", at_once=1)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if seconds > 0:
            plugin.login = lambda login, _password: login
            after_sleep.append(_check(external, "u2", "right"))

    monkeypatch.setattr(time, "sleep", sleep)
    plugin.login = lambda _login, _password: str(plugin.release.wait(0.2) or "")
    assert _check(external, "u1", "wrong") is None
    plugin.login = lambda _login, _password: ""
    assert _check(external, "u1", "wrong") is None
    assert slept[0] == 0
    assert 0.1 < slept[1] <= 1.0
    assert after_sleep == ["u2"]


def test_failures_last_equally_long_but_not_for_ever(
    plugin: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Radicale's own delay grows with the slowest failure ever seen."""
    monkeypatch.setattr("caldavd.auth.external._LONGEST_DELAY", 0.05)
    slept: list[float] = []
    external = _external("house.login")
    plugin.login = lambda _login, _password: str(plugin.release.wait(0.2) or "")
    _check(external, "u1", "wrong")
    monkeypatch.setattr(time, "sleep", slept.append)
    plugin.login = lambda _login, _password: ""
    _check(external, "u1", "wrong")
    assert 0 < slept[0] <= 0.05


def test_a_directory_that_hangs_does_not_keep_the_thread(plugin: types.SimpleNamespace) -> None:
    plugin.login = lambda login, _password: login if plugin.release.wait(10) else ""
    external = _external("house.login", seconds=0.1, at_once=2)
    begin = time.monotonic()
    for _ in range(3):  # the third finds both places taken
        with pytest.raises(Unavailable):
            _check(external, "u1", "right")
    assert time.monotonic() - begin < 5
    plugin.release.set()
    plugin.login = lambda login, _password: login
    deadline = time.monotonic() + 5
    while True:
        try:
            assert _check(external, "u1", "right") == "u1"
            break
        except Unavailable:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("error", [RuntimeError("no route to the directory"), OSError("gone"), KeyError("secret")])
def test_an_error_is_no_wrong_password_and_quotes_no_secret(
    plugin: types.SimpleNamespace, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_login: str, _password: str) -> str:
        raise error

    plugin.login = broken
    with pytest.raises(Unavailable):
        _check(_external("house.login"), "u1", "secret")
    assert type(error).__name__ in caplog.text
    assert "secret" not in caplog.text


def test_a_password_that_a_protocol_cannot_carry_is_wrong(
    plugin: types.SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    def ascii_only(login: str, password: str) -> str:
        password.encode("ascii")
        return login

    plugin.login = ascii_only
    assert _check(_external("house.login"), "u1", "ß") is None
    assert "ß" not in caplog.text
