from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from scheduling.ical.lines import ICalendarError, parse
from scheduling.ical.validate import CHECKS, KINDS, MAX_LISTED, CalendarObject, check_dates, is_known_zone, validate
from tests.scheduling.ical.samples import FILES, calendar, event, sample_id

OBJECT = "valid-calendar-object-resource"
DATA = "valid-calendar-data"
BERLIN = """
BEGIN:VTIMEZONE
TZID:Berlin
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
"""


def test_a_valid_object_says_its_uid_and_kind() -> None:
    found = validate(
        calendar("VERSION:2.0\nPRODID:x\n" + event("UID:a\\,b") + event("UID:a\\,b\nRECURRENCE-ID:20260102"))
    )
    assert (found.uid, found.kind, len(found.components)) == ("a,b", "VEVENT", 2)
    assert isinstance(found, CalendarObject)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_rfc_4791_makes_an_object(kind: str) -> None:
    found = validate(calendar(f"BEGIN:{kind}\nUID:1\nDTSTART:20260101T000000Z\nEND:{kind}"))
    assert found.kind == kind


def test_vavailability_only_where_it_is_asked_for() -> None:
    text = calendar(
        "BEGIN:VAVAILABILITY\nUID:1\nBEGIN:AVAILABLE\nUID:2\nDTSTART:20260101T090000Z\nRRULE:FREQ=WEEKLY\n"
        "END:AVAILABLE\nEND:VAVAILABILITY"
    )
    assert refusal(text) == ("supported-calendar-component", 2)
    assert validate(text, supported={"VAVAILABILITY"}).kind == "VAVAILABILITY"


def refusal(source: bytes, **options: object) -> tuple[str, int | None]:
    with pytest.raises(ICalendarError) as caught:
        validate(source, **options)  # type: ignore[arg-type]
    assert caught.value.message.endswith((".", '"'))
    return caught.value.condition, caught.value.line


@pytest.mark.parametrize(
    ("body", "condition", "line"),
    [
        # RFC 4791 4.1
        ("METHOD:PUBLISH\n" + event(), OBJECT, 2),
        ("VERSION:2.0", OBJECT, 1),
        (BERLIN, OBJECT, 1),
        (event() + "BEGIN:VTODO\nUID:1\nEND:VTODO", OBJECT, 6),
        (event("UID:1") + event("UID:2"), OBJECT, 7),
        (event("UID:A") + event("UID:a"), OBJECT, 7),
        (event("SUMMARY:none"), OBJECT, 2),
        (event("UID: "), OBJECT, 3),
        (event() + event(), OBJECT, 6),
        (event() + event("UID:1\nRECURRENCE-ID:20260101") + event("UID:1\nRECURRENCE-ID:20260101"), OBJECT, 13),
        ("BEGIN:VEVENT\nUID:1\nEND:VEVENT", DATA, 2),
        # RFC 4791 5.2.4 and 5.2.3
        ("VERSION:1.0\n" + event(), "supported-calendar-data", 2),
        ("BEGIN:VPOLL\nUID:1\nEND:VPOLL", "supported-calendar-component", 2),
        # RFC 5545
        ("CALSCALE:HEBREW\n" + event(), DATA, 2),
        (event("UID:1\nUID:2"), DATA, 4),
        (event("UID:1\nDTSTART:20260102"), DATA, 5),
        (event("UID:1\nORGANIZER:mailto:a@b\nORGANIZER:mailto:c@d"), DATA, 5),
        (BERLIN.replace("TZID:Berlin\n", "") + event(), DATA, 2),
        (BERLIN.replace("TZOFFSETTO:+0100\n", "") + event(), DATA, 4),
        ("BEGIN:VTIMEZONE\nTZID:Berlin\nEND:VTIMEZONE\n" + event(), DATA, 2),
        (BERLIN + event("UID:1\nRDATE;TZID=berlin:20260101T000000"), DATA, 13),
        (event("UID:1\nRDATE;TZID=Nowhere:20260101T000000"), DATA, 4),
    ],
)
def test_what_is_no_calendar_object_is_refused(body: str, condition: str, line: int) -> None:
    assert refusal(calendar(body)) == (condition, line)


@pytest.mark.parametrize(
    "wrong",
    [
        "DTEND:20260230",
        "DTEND:tomorrow",
        "DUE:20260101T250000Z",
        "COMPLETED:",
        "DURATION:1H",
        "DURATION:P1Y",
        "RECURRENCE-ID:1",
        "EXDATE:20260101,x",
        "RDATE:20260101T000000Z/PT",
        "RRULE:FREQ=OFTEN",
        "RRULE:COUNT=2",
        "SEQUENCE:1.5",
        "SEQUENCE:" + "1" * 5000,
        "PRIORITY:",
        "PERCENT-COMPLETE:half",
        "FREEBUSY:20260101T000000Z",
        "TRIGGER:230000",
        "REPEAT:often",
        "TZOFFSETTO:+1",
    ],
)
def test_values_that_cannot_be_read_are_refused_with_their_line(wrong: str) -> None:
    assert refusal(calendar(event("UID:1\n" + wrong))) == (DATA, 4)
    assert refusal(calendar(event("UID:1\nBEGIN:VALARM\nACTION:AUDIO\n" + wrong + "\nEND:VALARM"))) == (DATA, 6)
    assert wrong.partition(":")[0] in CHECKS


def test_what_a_collection_does_not_take() -> None:
    assert refusal(calendar(event()), supported={"VTODO"}) == ("supported-calendar-component", 2)
    attendees = "UID:1\nATTENDEE:mailto:a@b\nATTENDEE:mailto:c@d"
    assert validate(calendar(event(attendees)), max_attendees=2).uid == "1"
    assert refusal(calendar(event(attendees)), max_attendees=1) == ("max-attendees-per-instance", 2)


def test_what_is_no_icalendar_at_all() -> None:
    assert refusal(b"<xml/>") == (DATA, 1)
    assert refusal(b"BEGIN:VCARD\nVERSION:3.0\nEND:VCARD\n") == (DATA, 1)
    assert refusal(b"") == (DATA, None)


@pytest.mark.parametrize(
    "body",
    [
        # Hand-made files: neither PRODID nor VERSION nor DTSTAMP.
        event(),
        "VERSION:2.0;2.0\n" + event(),
        # Google writes a date that does not exist when it does not know one.
        event("UID:1\nCREATED:00001231T000000Z\nDTSTAMP:202103206T200210Z\nLAST-MODIFIED:never"),
        # Thunderbird: DTEND and DURATION:PT0S in overrides (clients.md 2.4).
        event("UID:1\nDTEND:20260101T010000Z\nDURATION:PT0S"),
        # A festival's feed: VALUE=DATE with a DATE-TIME.
        "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20110804T120000\nDTEND;VALUE=DATE-TIME:20110805\nEND:VEVENT",
        # Evolution: EXDATE as DATE where DTSTART is a DATE-TIME (clients.md 4); Exchange: RECURRENCE-ID so.
        event("UID:1\nRRULE:FREQ=DAILY;UNTIL=20260105\nEXDATE;VALUE=DATE:20260102\nEXDATE:"),
        event() + event("UID:1\nRECURRENCE-ID;VALUE=DATE:20260101"),
        # Google's birthday calendars.
        event("UID:1\nRDATE:20131210Z"),
        # Weeks behind the T.
        event("UID:1\nDURATION:PT1W"),
        # Calendar Labs.
        event("UID:1\nRRULE:"),
        event("UID:1\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY"),
        # Task lists: a repeating task with DUE only (vobject#104).
        "BEGIN:VTODO\nUID:1\nDUE:20260101\nRRULE:FREQ=DAILY\nEND:VTODO",
        # RFC 7809 clients, Outlook, Evolution and older Thunderbird: known zones without VTIMEZONE.
        "BEGIN:VEVENT\nUID:1\nDTSTART;TZID=Europe/Berlin:20260101T000000\nEND:VEVENT",
        "BEGIN:VEVENT\nUID:1\nDTSTART;TZID=W. Europe Standard Time:20260101T000000\nEND:VEVENT",
        "BEGIN:VEVENT\nUID:1\nDTSTART;TZID=/freeassociation.sourceforge.net/Europe/Berlin:20260101T000000\nEND:VEVENT",
        "BEGIN:VTIMEZONE\nTZID:Europe/Berlin\nEND:VTIMEZONE\n" + event(),
        # Apple: "explicitly no alarm" and a sound by its name (clients.md 1.7); RFC 2445: an absolute TRIGGER.
        event("UID:1\nBEGIN:VALARM\nACTION:NONE\nTRIGGER;VALUE=DATE-TIME:19760401T005545Z\nEND:VALARM"),
        event("UID:1\nBEGIN:VALARM\nACTION:AUDIO\nATTACH;VALUE=URI:Basso\nTRIGGER:19980403T120000\nEND:VALARM"),
        event("UID:1\nBEGIN:VALARM\nDESCRIPTION:neither ACTION nor TRIGGER\nEND:VALARM"),
        # Addresses that are none, components and properties that nobody knows, control characters.
        event("UID:1\nORGANIZER:me\nATTENDEE;CN=x:\nX-FOO;TZID=Nowhere:1\nNEW_PROP:2\nBEGIN:X-C\nA:1\nEND:X-C"),
        "BEGIN:X-UNKNOWN\nUID:2\nEND:X-UNKNOWN\n" + event("UID:1\nSUMMARY:a\vb\x1b"),
        # The same line twice contradicts nothing.
        event("UID:1\nUID:1\nDTSTART:20260101T000000Z"),
    ],
)
def test_what_clients_send_against_the_letter_is_stored(body: str) -> None:
    assert validate(calendar(body)).uid == "1"


def test_names_of_time_zones() -> None:
    for name in ("UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Pacific Standard Time"):
        assert is_known_zone(name)
    for name in ("/mozilla.org/20050126_1/Europe/Berlin", "/x/America/Argentina/Buenos_Aires"):
        assert is_known_zone(name)
    for name in ("(GMT+01:00) Berlin", "(UTC-05:00) Eastern Time (US & Canada)", "GMT-0500"):
        assert is_known_zone(name)
    for name in ("", "Nowhere", "/", "europe"):
        assert not is_known_zone(name)


def test_bounds_of_dates() -> None:
    found = validate(
        calendar(
            BERLIN
            + event(
                "UID:1\nDTEND;TZID=Berlin:20260201T000000\nCREATED:00001231T000000Z\nRDATE:20260301\n"
                "BEGIN:VALARM\nTRIGGER:19760401T005545Z\nEND:VALARM"
            )
        )
    )
    check_dates(found, earliest=datetime(2026, 1, 1, tzinfo=UTC), latest=datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC))
    check_dates(found, earliest=None, latest=None)
    with pytest.raises(ICalendarError) as caught:
        check_dates(found, earliest=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), latest=None)
    assert (caught.value.condition, caught.value.line) == ("min-date-time", 19)
    with pytest.raises(ICalendarError) as caught:
        check_dates(found, earliest=None, latest=datetime(2026, 3, 1, tzinfo=UTC))
    assert (caught.value.condition, caught.value.line) == ("max-date-time", 15)


# --- real files ------------------------------------------------------------------------------------------------------

#: path, condition and line of every file in the collection that is no calendar object resource; each was looked at.
REFUSED = {
    path: (condition, None if line == "-" else int(line))
    for path, condition, line in (
        row.split() for row in Path(__file__).with_name("refused.txt").read_text().splitlines() if row[:1] != "#"
    )
}


@pytest.mark.parametrize("path", FILES, ids=sample_id)
def test_real_files_are_taken_or_refused_for_the_right_reason(path: Path) -> None:
    source = path.read_bytes()
    expected = REFUSED.get(sample_id(path))
    if expected is None:
        assert validate(source).calendar == parse(source)
    else:
        assert refusal(source) == expected


SOUP = (
    "UID:1 UID:2 DTSTART:20260101 DTSTART;TZID=X:1 RRULE:FREQ=DAILY RRULE:x RDATE:, TZID:X METHOD:X VERSION:3"
    " BEGIN:VEVENT END:VEVENT BEGIN:VTODO END:VTODO BEGIN:VTIMEZONE END:VTIMEZONE RECURRENCE-ID:20260101"
    " TRIGGER:P DURATION:P SEQUENCE:\u0663"
)


@given(
    st.lists(
        st.sampled_from(SOUP.split()),
        max_size=12,
    )
)
@settings(max_examples=300)
def test_validation_ends_in_an_object_or_an_icalendar_error(lines: list[str]) -> None:
    try:
        found = validate(calendar("\n".join(lines)))
    except ICalendarError:
        return
    assert found.uid
    assert found.components


def test_lists_of_dates_are_bounded() -> None:
    dates = ",".join(["20260102T000000Z"] * MAX_LISTED)
    text = "VERSION:2.0\nPRODID:x\n" + event("UID:a\nRRULE:FREQ=DAILY\nEXDATE:" + dates)
    assert validate(calendar(text)).uid == "a"
    with pytest.raises(ICalendarError) as caught:
        validate(calendar(text.replace("EXDATE:", "EXDATE:20260103T000000Z\nEXDATE:")))
    assert caught.value.condition == "max-instances"
