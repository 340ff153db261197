"""``caldavd calendar``: what goes in comes out, and nothing is lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from caldavd.cli.importing import hashed_name, name_of
from tests.caldavd.cli.conftest import Cli

SHARED = Path(__file__).parents[4] / "shared" / "data" / "ics"


def event(uid: str, summary: str = "x", *, kind: str = "VEVENT", more: str = "") -> str:
    return (
        f"BEGIN:{kind}\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260102T100000Z\r\n"
        f"SUMMARY:{summary}\r\n{more}END:{kind}\r\n"
    )


def file_of(*components: str, head: str = "") -> bytes:
    text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n{head}{''.join(components)}END:VCALENDAR\r\n"
    return text.encode()


@pytest.fixture
def alice(ready: Cli) -> Cli:
    ready("user", "add", "alice", "--no-password")
    return ready


def listed(cli: Cli) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in cli("calendar", "list", "alice").stdout.splitlines()[1:]}


def test_a_file_of_many_becomes_an_object_each(alice: Cli, folder: Path) -> None:
    data = file_of(event("a"), event("b"), event("a", "moved", more="RECURRENCE-ID:20260102T100000Z\r\n"), event("c/ü"))
    (folder / "x.ics").write_bytes(data)
    assert (
        alice("calendar", "import", "alice/calendar", "x.ics").stdout == "3 new, 0 changed, 0 unchanged, 0 not taken\n"
    )
    assert listed(alice)["alice/calendar"] == ["Calendar", "VEVENT", "3"]


def test_again_is_unchanged_and_what_changed_is_replaced(alice: Cli, folder: Path) -> None:
    (folder / "x.ics").write_bytes(file_of(event("a"), event("b")))
    alice("calendar", "import", "alice/calendar", "x.ics")
    assert "0 new, 0 changed, 2 unchanged, 0 not taken" in alice("calendar", "import", "alice/calendar", "x.ics").stdout
    (folder / "x.ics").write_bytes(file_of(event("a", "other"), event("c")))
    assert "1 new, 1 changed, 0 unchanged, 0 not taken" in alice("calendar", "import", "alice/calendar", "x.ics").stdout
    exported = alice("calendar", "export", "alice/calendar").stdout_bytes
    assert b"SUMMARY:other" in exported
    assert [b"UID:" + uid in exported for uid in (b"a", b"b", b"c")] == [True, True, True]


def test_what_was_exported_is_what_is_there(alice: Cli, folder: Path) -> None:
    text = file_of(event("a"), event("b")).replace(b"PRODID:", b"CALSCALE:GREGORIAN\r\nPRODID:folded\r\n ")
    assert text.count(b"folded") == 1
    (folder / "x.ics").write_bytes(text.replace(b"\r\n", b"\n"))
    alice("calendar", "import", "alice/calendar", "x.ics")
    alice("calendar", "export", "alice/calendar", "-o", "y.ics")
    assert "0 new, 0 changed, 2 unchanged" in alice("calendar", "import", "alice/calendar", "y.ics").stdout
    (folder / "y.ics").write_bytes((folder / "y.ics").read_bytes().replace(b"UID:b\r\n", b"UID:b\r\nPRIORITY:1\r\n"))
    assert "0 new, 1 changed, 1 unchanged" in alice("calendar", "import", "alice/calendar", "y.ics").stdout


def test_what_a_client_has_named_otherwise_is_found_by_its_uid(alice: Cli, folder: Path) -> None:
    root = folder / "radicale" / "collection-root" / "alice" / "calendar"
    root.mkdir(parents=True)
    (root / ".Radicale.props").write_text('{"tag": "VCALENDAR"}', "utf-8")
    (root / "chosen by a client.ics").write_bytes(file_of(event("a")))
    (root / "b.ics").write_bytes(file_of(event("c")))
    alice("user", "import-radicale", "radicale")
    (folder / "x.ics").write_bytes(file_of(event("a"), event("b"), event("c", "new")))
    assert "1 new, 1 changed, 1 unchanged" in alice("calendar", "import", "alice/calendar", "x.ics").stdout
    assert "0 new, 0 changed, 3 unchanged" in alice("calendar", "import", "alice/calendar", "x.ics").stdout
    alice("doctor")


def test_what_cannot_be_taken_is_told_with_place_and_reason(alice: Cli, folder: Path) -> None:
    (folder / "x.ics").write_bytes(
        file_of(event("a"), event("t", kind="VTODO"), "BEGIN:VEVENT\r\nUID:n\r\nEND:VEVENT\r\n")
    )
    result = alice("calendar", "import", "alice/calendar", "x.ics", status=1)
    assert result.stdout == "1 new, 0 changed, 0 unchanged, 2 not taken\n"
    assert "not taken: x.ics:10: VTODO 't': This calendar takes no VTODO." in result.stderr
    assert "not taken: x.ics:16: VEVENT 'n': " in result.stderr


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff\xfe\x00", b"<html></html>"])
def test_a_file_with_nothing_in_it_is_told(alice: Cli, folder: Path, data: bytes) -> None:
    (folder / "x.ics").write_bytes(data)
    result = alice("calendar", "import", "alice/calendar", "x.ics", status=1)
    assert "not taken: x.ics" in result.stderr
    assert "1 not taken" in result.stdout


def test_one_uid_in_two_files_is_told(alice: Cli, folder: Path) -> None:
    (folder / "x.ics").write_bytes(file_of(event("a", "first")))
    (folder / "y.ics").write_bytes(file_of(event("a", "second")))
    result = alice("calendar", "import", "alice/calendar", "x.ics", "y.ics")
    assert "y.ics:4: 'a' is in x.ics:4 too; this one counts." in result.stderr
    assert b"second" in alice("calendar", "export", "alice/calendar").stdout_bytes


def test_standard_input(alice: Cli) -> None:
    assert "1 new" in alice("calendar", "import", "alice/calendar", "-", stdin=file_of(event("a"))).stdout


def test_create_takes_name_description_and_colour_from_the_file(alice: Cli, folder: Path) -> None:
    head = "X-WR-CALNAME:Holidays\\, all\r\nX-WR-CALDESC:Of 2026\r\nX-APPLE-CALENDAR-COLOR:#123456\r\n"
    (folder / "x.ics").write_bytes(file_of(event("a"), event("t", kind="VTODO"), head=head))
    assert "There is no calendar 'alice/h'" in alice("calendar", "import", "alice/h", "x.ics", status=1).output
    assert "2 new" in alice("calendar", "import", "alice/h", "x.ics", "--create", "--dry-run").stdout
    assert "alice/h" not in listed(alice)
    alice("calendar", "import", "alice/h", "x.ics", "--create")
    assert listed(alice)["alice/h"] == ["Holidays,", "all", "VEVENT", "VTODO", "VJOURNAL", "2"]
    exported = alice("calendar", "export", "alice/h").stdout_bytes
    for line in (rb"X-WR-CALNAME:Holidays\, all", b"#123456", b"Of 2026"):
        assert line in exported


def test_a_dry_run_does_nothing(alice: Cli, folder: Path) -> None:
    (folder / "x.ics").write_bytes(file_of(event("a")))
    assert "1 new" in alice("calendar", "import", "alice/calendar", "x.ics", "--dry-run").stdout
    assert listed(alice)["alice/calendar"][-1] == "0"


def test_what_is_beyond_the_limits_is_told(alice: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "x.ics").write_bytes(file_of(event("small"), event("large", "x" * 2000)))
    monkeypatch.setenv("CALDAVD_LIMITS__MAX_RESOURCE_SIZE", "1000")
    result = alice("calendar", "import", "alice/calendar", "x.ics", status=1)
    assert "'large': It has " in result.stderr
    assert "1 new, 0 changed, 0 unchanged, 1 not taken" in result.stdout
    alice("user", "set", "alice", "--quota", "300")
    (folder / "x.ics").write_bytes(file_of(event("more"), event("evenmore")))
    assert "not taken: x.ics" in alice("calendar", "import", "alice/calendar", "x.ics", status=1).stderr


def test_export_and_import_again_is_a_round_trip(alice: Cli, folder: Path) -> None:
    zone = (
        "BEGIN:VTIMEZONE\r\nTZID:Strange\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0130\r\n"
        "TZOFFSETTO:+0130\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    )
    zoned = event("z").replace("DTSTART:20260102T100000Z", "DTSTART;TZID=Strange:20260102T100000")
    (folder / "x.ics").write_bytes(file_of(zone, zoned, event("a")))
    alice("calendar", "import", "alice/calendar", "x.ics")
    alice("calendar", "export", "alice/calendar", "-o", "out.ics")
    alice("calendar", "import", "alice/copy", "out.ics", "--create")
    assert listed(alice)["alice/copy"][-1] == "2"
    again = alice("calendar", "export", "alice/copy").stdout_bytes
    assert again == (folder / "out.ics").read_bytes()


@pytest.mark.skipif(not SHARED.exists(), reason="the collected calendars of shared/data are not here")
def test_every_collected_calendar_goes_in_or_is_named(alice: Cli) -> None:
    files = [str(file) for file in sorted(SHARED.rglob("*.ics"))]
    first = alice("calendar", "import", "alice/all", "--create", *files, status=1)
    new = int(first.stdout.split()[0])
    refused = first.stderr.count("not taken: ")
    assert new > 5000
    assert first.stdout == f"{new} new, 0 changed, 0 unchanged, {refused} not taken\n"
    again = alice("calendar", "import", "alice/all", *files, status=1)
    assert again.stdout == f"0 new, 0 changed, {new} unchanged, {refused} not taken\n"
    assert int(listed(alice)["alice/all"][-1]) == new


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("alice", "write USER/CALENDAR"),
        ("alice/inbox", "not a reserved name"),
        ("alice/calendar", "There is something named 'alice/calendar' already."),
        ("alice/calendar/x", "alice/calendar is a calendar, and a calendar holds no calendars."),
        ("bob/x", "There is no user 'bob'."),
        ("alice/no/where", "There is no calendar 'alice/no'."),
        ("alice/..", "cannot be the name of a calendar"),
        ("alice/" + "x" * 300, "cannot be the name of a calendar"),
    ],
)
def test_calendars_that_cannot_be_made(alice: Cli, path: str, said: str) -> None:
    assert said in alice("calendar", "create", path, status=1).output


def test_create_and_remove(alice: Cli) -> None:
    alice("calendar", "create", "alice/w", "--displayname", "A & <b>", "--color", "#112233", "--component", "vtodo")
    assert listed(alice)["alice/w"] == ["A", "&", "<b>", "VTODO", "0"]
    assert "is no colour" in alice("calendar", "create", "alice/v", "--color", "red", status=2).output
    assert "Say --yes to go on." in alice("calendar", "remove", "alice/w", status=1).output
    alice("calendar", "remove", "alice/w", "--yes")
    assert "alice/w" not in listed(alice)
    assert "is a home, not a calendar" in alice("calendar", "remove", "alice", "--yes", status=1).output


def test_a_calendar_for_stored_busy_times(alice: Cli) -> None:
    """RFC 4791 section 4.1; VAVAILABILITY is RFC 7953."""
    alice("calendar", "create", "alice/fb", "--component", "VFREEBUSY", "--component", "vavailability")
    assert listed(alice)["alice/fb"][-3:] == ["VFREEBUSY", "VAVAILABILITY", "0"]
    assert "alice/x" not in listed(alice)
    assert "VALARM" in alice("calendar", "create", "alice/x", "--component", "VALARM", status=2).output


def test_names_of_objects() -> None:
    assert name_of("a@example.org") == "a@example.org.ics"
    for uid in ("a/b", "ü", "", ".hidden", "x" * 151, "a b"):
        assert name_of(uid) == hashed_name(uid)
        assert len(name_of(uid)) < 60
