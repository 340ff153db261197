"""``caldavd db``, ``reindex`` and ``doctor``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from caldavd.cli.session import Session
from scheduling.mail.posting import MAIL
from storage.rows import NewJob
from storage.store import Transaction
from tests.caldavd.cli.conftest import Cli
from tests.caldavd.cli.test_calendar import event, file_of


@pytest.fixture
def filled(ready: Cli, folder: Path) -> Cli:
    ready("user", "add", "alice", "--no-password")
    (folder / "x.ics").write_bytes(file_of(event("a"), event("b")))
    ready("calendar", "import", "alice/calendar", "x.ics")
    return ready


def changed(statement: str) -> int:
    with sqlite3.connect("caldavd.db") as connection:
        rows = connection.execute(statement).rowcount
    connection.close()
    return rows


def test_without_a_database_commands_say_how_to_make_one(cli: Cli, folder: Path) -> None:
    said = cli("user", "list", status=1).output
    assert f"There is no database at {folder}/caldavd.db. Make it with `caldavd db upgrade`" in said
    assert not (folder / "caldavd.db").exists()


def test_upgrade_can_be_run_again(cli: Cli) -> None:
    assert "is ready for this version" in cli("db", "upgrade").stdout
    cli("user", "add", "alice", "--no-password")
    cli("db", "upgrade")
    assert "alice" in cli("user", "list").stdout


def test_an_empty_database_says_what_to_run(cli: Cli, folder: Path) -> None:
    (folder / "caldavd.db").touch()
    assert "Run: caldavd db upgrade" in cli("user", "list", status=1).output


def test_another_schema_says_what_to_run(filled: Cli) -> None:
    assert changed("UPDATE alembic_version SET version_num = '9999'") == 1
    assert "Run: caldavd db upgrade" in filled("user", "list", status=1).output


def test_a_database_that_cannot_be_reached_is_one_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDAVD_STORAGE__URL", "postgresql+psycopg://nobody:secret@127.0.0.1:1/x")
    for command in (("user", "list"), ("db", "upgrade")):
        output = cli(*command, status=1).output
        assert output.startswith("Error: The database cannot be reached: ")
        assert "secret" not in output


def test_new_epoch_changes_the_epoch(filled: Cli) -> None:
    def epoch() -> str:
        session = Session(None)
        try:
            return session.store.epoch
        finally:
            session.close()

    before = epoch()
    filled("db", "new-epoch")
    assert epoch() != before


def test_clean_keeps_what_is_there(filled: Cli) -> None:
    filled("db", "clean")
    assert filled("calendar", "list", "alice").stdout.splitlines()[1].endswith("2")
    filled("doctor")


def test_doctor_finds_nothing_where_nothing_is(filled: Cli) -> None:
    free_busy, well = filled("doctor").stdout.splitlines()
    assert free_busy.endswith("drift 0.")
    assert well == "All is well."


def test_doctor_says_how_many_mails_wait_or_were_given_up(filled: Cli) -> None:
    session = Session(None)

    def fail(tx: Transaction) -> None:
        tx.queue.add(MAIL, [NewJob("a", b""), NewJob("b", b""), NewJob("c", b"")])
        (job,) = tx.queue.lease(MAIL, limit=1, until=tx.now + 60)
        tx.queue.fail(job, error="550")

    session.write(fail)
    session.close()
    _, waiting, given_up, well = filled("doctor").stdout.splitlines()
    assert waiting.startswith("Mails that wait: 2.")
    assert "given up in the last 30 days: 1." in given_up
    assert well == "All is well."


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("UPDATE objects SET etag = 'x' WHERE name = 'a.ics'", "a.ics"),
        ("UPDATE objects SET size = size + 1 WHERE name = 'a.ics'", "a.ics"),
        ("UPDATE objects SET uid = 'other' WHERE name = 'a.ics'", "a.ics"),
        ("UPDATE objects SET number = 9999 WHERE name = 'a.ics'", "9999"),
        ("UPDATE homes SET used = used + 1", "Home 1 counts"),
        ("UPDATE objects SET body = x'6e6f' WHERE name = 'a.ics'", "alice/calendar/a.ics: it cannot be read as"),
        (
            "UPDATE objects SET component = 'VTODO' WHERE name = 'a.ics'",
            "alice/calendar/a.ics: the index says component",
        ),
    ],
)
def test_doctor_finds_what_is_wrong(filled: Cli, damage: str, finding: str) -> None:
    assert changed(damage) >= 1
    assert finding in filled("doctor", status=1).stdout


def test_reindex_repairs_the_index_and_changes_nothing_that_clients_see(filled: Cli) -> None:
    def seen() -> list[object]:
        session = Session(None)

        def work(tx: object) -> list[object]:
            found = tx.collections.find("alice", ("calendar",)).collection  # type: ignore[attr-defined]
            columns = frozenset({"etag", "number", "body"})
            rows = tx.objects.page(found.id, columns=columns, limit=10)  # type: ignore[attr-defined]
            return [found.revision, *((row.etag, row.number, row.body) for row in rows)]

        try:
            return session.read(work)
        finally:
            session.close()

    before = seen()
    changed("UPDATE objects SET recurs = 1, component = 'VTODO'")
    filled("doctor", status=1)
    assert filled("reindex").stdout == "Rewrote the index of 2 objects.\n"
    filled("doctor")
    assert seen() == before


MEETING = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:m\r\nDTSTAMP:20260101T000000Z\r\n"
    "DTSTART:20270310T120000Z\r\nSUMMARY:Lunch\r\nORGANIZER:mailto:{0}@example.org\r\n"
    "ATTENDEE:mailto:guest@example.com\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def tags() -> dict[str, str]:
    """The Schedule-Tags of alice's objects, by UID."""
    session = Session(None)

    def work(tx: Transaction) -> dict[str, str]:
        found = tx.collections.find("alice", ("calendar",))
        assert found is not None
        rows = tx.objects.page(found.collection.id, columns=frozenset({"uid", "schedule_tag"}), limit=10)
        return {row.uid: row.schedule_tag for row in rows}

    try:
        return session.read(work)
    finally:
        session.close()


def test_upgrade_gives_inboxes_to_those_who_have_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDAVD_SCHEDULING__ENABLED", "false")
    cli("db", "upgrade")
    for name in ("alice", "bob"):
        cli("user", "add", name, "--no-password")
    assert "got an inbox" not in cli("db", "upgrade").stdout
    monkeypatch.delenv("CALDAVD_SCHEDULING__ENABLED")
    assert "2 people and rooms got an inbox and an outbox" in cli("db", "upgrade").stdout
    assert "got an inbox" not in cli("db", "upgrade").stdout
    cli("doctor")


def test_meetings_of_before_get_their_schedule_tag(filled: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6638 8.2: all scheduling objects have one, also those that came from a file or were there before."""
    filled("user", "set", "alice", "--email", "alice@example.org")
    monkeypatch.setenv("CALDAVD_SCHEDULING__ENABLED", "false")
    filled("calendar", "import", "alice/calendar", "-", stdin=MEETING.format("alice"))
    filled("reindex")
    assert set(tags().values()) == {""}
    monkeypatch.delenv("CALDAVD_SCHEDULING__ENABLED")
    filled("reindex")
    given = tags()
    assert [uid for uid, tag in given.items() if tag] == ["m"]
    filled("reindex")
    assert tags() == given
    # What comes from a file has one at once, another one where it has changed, and none where it is somebody else's.
    filled("calendar", "import", "alice/calendar", "-", stdin=MEETING.format("alice").replace("Lunch", "Dinner"))
    assert tags()["m"] not in ("", given["m"])
    filled("calendar", "import", "alice/calendar", "-", stdin=MEETING.format("stranger").replace("UID:m", "UID:n"))
    assert tags()["n"] == ""


def test_reindex_leaves_and_names_what_it_cannot_read(filled: Cli) -> None:
    changed("UPDATE objects SET body = x'6e6f' WHERE name = 'a.ics'")
    result = filled("reindex")
    assert "alice/calendar/a.ics: left as it is: " in result.stderr
    assert result.stdout == "Rewrote the index of 1 objects.\n"
