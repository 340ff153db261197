"""``caldavd user import``: the directory becomes what the file says."""

from __future__ import annotations

import time
from pathlib import Path

from caldavd.cli.session import Session
from storage.rows import Ace
from storage.store import Transaction
from tests.caldavd.cli.conftest import Cli
from tests.caldavd.cli.test_user import credentials, matches, people

FILE = """
[[person]]
name = "alice"
displayname = "Alice"
email = "alice@example.org"
password = "a-password"
[[person]]
name = "bob"
admin = true
[[group]]
name = "team"
members = ["alice", "bob"]
[[room]]
name = "blue"
[[resource]]
name = "beamer"
[[right]]
on = "alice/calendar"
who = "team"
privileges = ["read"]
[[right]]
on = "blue"
who = "@authenticated"
privileges = ["read-free-busy"]
"""


def imported(cli: Cli, folder: Path, text: str, *options: str, status: int = 0) -> str:
    (folder / "accounts.toml").write_text(text, "utf-8")
    return cli("user", "import", "accounts.toml", *options, status=status).output


def aces(owner: str, *names: str) -> list[Ace]:
    session = Session(None)

    def work(tx: object) -> list[Ace]:
        found = tx.collections.find(owner, names)  # type: ignore[attr-defined]
        return list(tx.acls.of([found.collection.id]).get(found.collection.id, ()))  # type: ignore[attr-defined]

    try:
        return session.read(work)
    finally:
        session.close()


def test_everything_in_one_go(ready: Cli, folder: Path) -> None:
    assert imported(ready, folder, FILE).endswith("5 added, 0 changed, 0 unchanged, 2 new rights\n")
    there = people(ready)
    assert {name: one["kind"] for name, one in there.items()} == {
        "alice": "person",
        "beamer": "resource",
        "blue": "room",
        "bob": "person",
        "team": "group",
    }
    assert there["bob"]["admin"] is True
    assert matches("alice", "a-password")
    assert credentials("bob").password_hash is None
    assert ready("user", "members", "team").stdout == "alice\nbob\n"
    (ace,) = aces("alice", "calendar")
    assert (ace.who, ace.grant, ace.privileges) == ("principal", True, ("{DAV:}read",))
    (everybody,) = aces("blue")
    assert (everybody.who, everybody.privileges) == (
        "authenticated",
        ("{urn:ietf:params:xml:ns:caldav}read-free-busy",),
    )


def test_again_changes_nothing(ready: Cli, folder: Path) -> None:
    imported(ready, folder, FILE)
    before, kept = people(ready), credentials("alice")
    assert imported(ready, folder, FILE) == "0 added, 0 changed, 5 unchanged, 0 new rights\n"
    assert people(ready) == before
    assert credentials("alice") == kept
    assert len(aces("alice", "calendar")) == 1


def test_a_dry_run_says_the_same_and_does_nothing(ready: Cli, folder: Path) -> None:
    dry = imported(ready, folder, FILE, "--dry-run")
    assert "nothing was changed" in dry
    assert people(ready) == {}
    assert dry.splitlines()[1:] == imported(ready, folder, FILE).splitlines()


def test_what_differs_is_changed_and_what_is_not_said_stays(ready: Cli, folder: Path) -> None:
    imported(ready, folder, FILE)
    changed = """
[[person]]
name = "alice"
password = "another"
[[person]]
name = "bob"
displayname = "Bob"
admin = false
email = "bob@example.org"
quota = "5M"
[[group]]
name = "team"
members = ["bob"]
"""
    output = imported(ready, folder, changed)
    assert "alice: changed password\n" in output
    assert "bob: changed displayname, admin, addresses, quota\n" in output
    assert "team: changed members\n" in output
    assert people(ready)["alice"]["displayname"] == "Alice"
    assert matches("alice", "another")
    assert imported(ready, folder, changed) == "0 added, 0 changed, 3 unchanged, 0 new rights\n"


def test_hashes_are_taken_as_they_are(ready: Cli, folder: Path) -> None:
    imported(ready, folder, '[[person]]\nname = "alice"\npassword = "a-password"')
    stored = credentials("alice").password_hash
    imported(ready, folder, f"[[person]]\nname = \"bob\"\nhash = '{stored}'")
    assert credentials("bob").password_hash == stored
    assert imported(ready, folder, f"[[person]]\nname = \"bob\"\nhash = '{stored}'").startswith("0 added, 0 changed")


def test_passwords_can_be_drawn_for_new_people(ready: Cli, folder: Path) -> None:
    text = '[[person]]\nname = "alice"\n[[room]]\nname = "blue"'
    output = imported(ready, folder, text, "--generate-passwords")
    (line,) = [line for line in output.splitlines() if line.startswith("Password")]
    assert line.startswith("Password, shown only now: alice ")
    assert matches("alice", line.split()[-1])
    assert "Password" not in imported(ready, folder, text, "--generate-passwords")


def test_all_of_it_or_nothing(ready: Cli, folder: Path) -> None:
    text = '[[person]]\nname = "alice"\n[[group]]\nname = "team"\nmembers = ["nobody"]'
    assert "there is no 'nobody' to be a member. Nothing was changed." in imported(ready, folder, text, status=1)
    assert people(ready) == {}
    text = '[[person]]\nname = "a"\nemail = "x@example.org"\n[[person]]\nname = "b"\nemail = "x@example.org"'
    assert "[[person]] number 2: " in imported(ready, folder, text, status=1)
    assert people(ready) == {}
    text = '[[person]]\nname = "a"\n[[right]]\non = "a/nowhere"\nwho = "@all"\nprivileges = "read"'
    assert "There is no calendar 'a/nowhere'" in imported(ready, folder, text, status=1)
    assert people(ready) == {}


def test_a_kind_does_not_change(ready: Cli, folder: Path) -> None:
    imported(ready, folder, '[[person]]\nname = "alice"')
    said = imported(ready, folder, '[[room]]\nname = "alice"', status=1)
    assert "is there as another kind (individual)" in said


def test_mistakes_are_told_with_their_places(ready: Cli, folder: Path) -> None:
    (folder / "accounts.csv").write_text("name,quota\n:,1\nb,x\n", "utf-8")
    output = ready("user", "import", "accounts.csv", status=1).output
    assert "accounts.csv cannot be used, and nothing was changed:\nline 2: name = ':'" in output
    assert "\nline 3: quota = 'x'" in output


def test_two_hundred_accounts_with_the_usual_hashes_take_seconds(ready: Cli, folder: Path, monkeypatch: object) -> None:
    """The default cost is about 16 ms a hash on one core; the bound leaves room for a busy machine."""
    monkeypatch.delenv("CALDAVD_AUTH__ARGON2_MEMORY")  # type: ignore[attr-defined]
    monkeypatch.delenv("CALDAVD_AUTH__ARGON2_TIME")  # type: ignore[attr-defined]
    lines = [f"p{number:03},p{number:03}@example.org,password-{number}" for number in range(200)]
    (folder / "accounts.csv").write_text("\n".join(["name,email,password", *lines]), "utf-8")
    started = time.monotonic()
    assert "200 added" in ready("user", "import", "accounts.csv").output
    assert time.monotonic() - started < 30
    assert matches("p199", "password-199")


def test_who_sends_in_somebodys_name(cli: Cli, folder: Path) -> None:
    """Rights on an outbox, by their names in RFC 6638 section 6.2; a right on an inbox is added to the default one."""
    cli("db", "upgrade")
    text = '[[person]]\nname = "boss"\nrights = ["outbox:aide:schedule-send", "inbox:aide:schedule-deliver-reply"]\n'
    imported(cli, folder, text + '[[person]]\nname = "aide"\n')

    def aces(name: str) -> list[tuple[str, tuple[str, ...]]]:
        session = Session(None)

        def work(tx: Transaction) -> list[tuple[str, tuple[str, ...]]]:
            found = tx.collections.find("boss", (name,))
            assert found is not None
            return [(ace.who, ace.privileges) for ace in tx.acls.of([found.collection.id])[found.collection.id]]

        try:
            return session.read(work)
        finally:
            session.close()

    caldav = "{urn:ietf:params:xml:ns:caldav}"
    assert aces("outbox") == [("principal", (caldav + "schedule-send",))]
    assert aces("inbox") == [
        ("authenticated", (caldav + "schedule-deliver",)),
        ("principal", (caldav + "schedule-deliver-reply",)),
    ]
