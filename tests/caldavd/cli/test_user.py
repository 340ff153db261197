"""``caldavd user``."""

from __future__ import annotations

import json

import pytest

from caldavd.auth.limits import user_key
from caldavd.auth.passwords import verify
from caldavd.cli.session import Session
from storage.rows import Credentials
from tests.caldavd.cli.conftest import Cli


def credentials(name: str) -> Credentials:
    session = Session(None)
    found = session.read(lambda tx: tx.principals.credentials(name))
    session.close()
    assert found is not None
    return found


def matches(name: str, password: str) -> bool:
    stored = credentials(name).password_hash
    return stored is not None and verify(stored, password)


def people(cli: Cli) -> dict[str, dict[str, object]]:
    listed = [json.loads(line) for line in cli("user", "list", "--json").stdout.splitlines()]
    return {one["name"]: one for one in listed}


def test_a_new_person_can_log_in_and_has_a_calendar_and_a_task_list(ready: Cli) -> None:
    added = ready(
        "user", "add", "alice", "--email", "Alice@Example.org", "--timezone", "Europe/Berlin", stdin="secret\n"
    )
    assert "secret" not in added.output
    assert matches("alice", "secret")
    assert people(ready)["alice"] == {
        "name": "alice",
        "kind": "person",
        "admin": False,
        "displayname": "alice",
        "timezone": "Europe/Berlin",
        "language": "",
        "addresses": ["mailto:alice@example.org"],
    }
    assert [line.split() for line in ready("calendar", "list", "alice").stdout.splitlines()[1:]] == [
        ["alice/calendar", "Calendar", "VEVENT", "0"],
        ["alice/tasks", "Tasks", "VTODO", "0"],
    ]


def test_a_generated_password_is_shown_once_and_works(ready: Cli) -> None:
    output = ready("user", "add", "alice", "--generate").stdout
    password = output.rsplit(maxsplit=1)[1]
    assert len(password) >= 20
    assert matches("alice", password)


@pytest.mark.parametrize(
    ("kind", "collections"), [("group", []), ("room", ["x/calendar"]), ("resource", ["x/calendar"])]
)
def test_others_get_no_password_and_are_not_asked_for_one(ready: Cli, kind: str, collections: list[str]) -> None:
    ready("user", "add", "x", "--kind", kind)
    assert credentials("x").password_hash is None
    assert [
        line.split()[0] for line in ready("calendar", "list", "x").stdout.splitlines()[1:] if "/" in line
    ] == collections


def test_an_empty_password_is_none(ready: Cli) -> None:
    assert "An empty password is none" in ready("user", "add", "alice", stdin="\n", status=1).output
    assert people(ready) == {}


def test_a_name_is_taken_once(ready: Cli) -> None:
    ready("user", "add", "alice", "--no-password", "--email", "a@example.org")
    assert "There is a user 'alice' already." in ready("user", "add", "alice", "--no-password", status=1).output
    said = ready("user", "add", "bob", "--no-password", "--email", "A@example.org", status=1).output
    assert "mailto:a@example.org" in said
    assert list(people(ready)) == ["alice"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a:b",), "cannot be a name"),
        (("..",), "cannot be a name"),
        (("a", "--email", "nobody"), "neither a mail address nor a URI"),
        (("a", "--timezone", "Mars/Base"), "is no time zone"),
        (("a", "--quota", "much"), "is no size"),
        (("a", "--password", "x"), "No such option"),
    ],
)
def test_what_cannot_be(ready: Cli, arguments: tuple[str, ...], said: str) -> None:
    assert said in ready("user", "add", *arguments, "--no-password", status=2).output
    assert people(ready) == {}


def test_passwd_replaces_the_password(ready: Cli) -> None:
    ready("user", "add", "alice", stdin="one\n")
    revision = credentials("alice").revision
    ready("user", "passwd", "alice", stdin="two\n")
    assert matches("alice", "two")
    assert not matches("alice", "one")
    assert credentials("alice").revision != revision
    assert "There is no user 'bob'" in ready("user", "passwd", "bob", stdin="x\n", status=1).output


def test_passwd_ends_the_refusal_after_failed_logins(ready: Cli) -> None:
    ready("user", "add", "alice", "--no-password")
    key = user_key("alice")
    session = Session(None)
    session.write(lambda tx: tx.logins.fail([key], at=tx.now))
    ready("user", "passwd", "alice", stdin="two\n")
    assert not session.read(lambda tx: tx.logins.failures([key], since=0)).get(key)
    session.close()


def test_set_changes_what_is_named_and_nothing_else(ready: Cli) -> None:
    ready("user", "add", "alice", "--no-password", "--email", "a@example.org", "--displayname", "Alice")
    ready("user", "set", "alice", "--language", "de", "--admin")
    assert people(ready)["alice"]["displayname"] == "Alice"
    assert (people(ready)["alice"]["language"], people(ready)["alice"]["admin"]) == ("de", True)
    ready("user", "set", "alice", "--email", "b@example.org", "--email", "c@example.org", "--no-admin")
    assert people(ready)["alice"]["addresses"] == ["mailto:b@example.org", "mailto:c@example.org"]
    assert people(ready)["alice"]["admin"] is False


def test_set_says_what_an_address_that_is_taken_away_means(ready: Cli) -> None:
    ready("user", "add", "alice", "--no-password", "--email", "a@example.org", "--email", "b@example.org")
    said = ready("user", "set", "alice", "--email", "new@example.org", "--email", "B@example.org").output
    assert "a@example.org: no address of alice any more." in said
    again = said.splitlines()[-1].partition("caldavd ")[2].split()
    assert ready(*again).output == "Changed alice.\n"
    assert people(ready)["alice"]["addresses"] == [f"mailto:{one}@example.org" for one in ("new", "b", "a")]
    assert "Say what is to be set" in ready("user", "set", "alice", status=2).output


def test_quota_is_set_and_unset(ready: Cli) -> None:
    ready("user", "add", "alice", "--no-password", "--quota", "5M")
    session = Session(None)

    def quota() -> int | None:
        home = session.read(lambda tx: tx.homes.of("alice"))
        assert home is not None
        return home.quota

    assert quota() == 5 * 1024**2
    ready("user", "set", "alice", "--quota", "1 GiB")
    assert quota() == 1024**3
    ready("user", "set", "alice", "--default-quota")
    assert quota() is None
    session.close()


def test_remove_asks_and_takes_everything(ready: Cli) -> None:
    ready("user", "add", "alice", "--no-password")
    assert "Say --yes to go on." in ready("user", "remove", "alice", status=1).output
    ready("user", "remove", "alice", "--yes")
    assert "There is nobody yet." in ready("user", "list").output
    assert "There is no user 'alice'" in ready("user", "remove", "alice", "--yes", status=1).output


def test_members(ready: Cli) -> None:
    for name in ("alice", "bob"):
        ready("user", "add", name, "--no-password")
    ready("user", "add", "team", "--kind", "group")
    assert ready("user", "members", "team").stdout == "team has no members.\n"
    assert ready("user", "members", "team", "--add", "bob", "--add", "alice").stdout == "alice\nbob\n"
    assert ready("user", "members", "team", "--remove", "bob").stdout == "alice\n"
    assert "'bob' is no member" in ready("user", "members", "team", "--remove", "bob", status=1).output
    assert "'alice' is no group but a person" in ready("user", "members", "alice", status=1).output
    assert "cannot be a member of itself" in ready("user", "members", "team", "--add", "team", status=1).output


def test_app_passwords_are_shown_once_listed_and_revoked(ready: Cli) -> None:
    ready("user", "add", "alice", "--no-password")
    output = ready("user", "app-password", "add", "alice", "phone").stdout
    password = output.rsplit(maxsplit=1)[1]
    (stored,) = credentials("alice").app_passwords
    assert verify(stored.hash, password)
    assert "phone" in ready("user", "app-password", "list", "alice").stdout
    assert (
        "has an app password 'phone' already" in ready("user", "app-password", "add", "alice", "phone", status=1).output
    )
    ready("user", "app-password", "revoke", "alice", "phone")
    assert credentials("alice").app_passwords == ()
    assert "no app password 'phone'" in ready("user", "app-password", "revoke", "alice", "phone", status=1).output
    assert "alice has no app passwords." in ready("user", "app-password", "list", "alice").stdout
