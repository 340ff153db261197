"""Local time to instants and back, by definition and by name."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from scheduling.ical.lines import Component, ICalendarError, parse
from scheduling.ical.timezones import UTC, DefinedZone, IanaZone, Zone, Zones, defined, named, zone_of
from scheduling.ical.values import MAX_LOCAL, MIN_LOCAL, Form, Moment, moment, write_local, write_utc

DATA = Path(__file__).parents[4] / "shared" / "data" / "ics"


def vtimezone(body: str) -> Component:
    text = f"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\n{body.strip()}\nEND:VTIMEZONE\nEND:VCALENDAR\n"
    return parse(text.encode())


def zone(body: str) -> Zone:
    found = defined(vtimezone(body).components[0])
    assert found is not None
    return found


def observance(name: str, start: str, before: str, after: str, *more: str) -> str:
    lines = [f"BEGIN:{name}", f"DTSTART:{start}", f"TZOFFSETFROM:{before}", f"TZOFFSETTO:{after}", *more, f"END:{name}"]
    return "\n".join(lines) + "\n"


# RFC 5545 3.6.5, its five examples. The last two are about the same made-up rules.
SINCE_1967 = (
    "TZID:America/New_York\nLAST-MODIFIED:20050809T050000Z\n"
    + observance(
        "DAYLIGHT",
        "19670430T020000",
        "-0500",
        "-0400",
        "RRULE:FREQ=YEARLY;BYMONTH=4;BYDAY=-1SU;UNTIL=19730429T070000Z",
        "TZNAME:EDT",
    )
    + observance(
        "STANDARD",
        "19671029T020000",
        "-0400",
        "-0500",
        "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU;UNTIL=20061029T060000Z",
    )
    + observance("DAYLIGHT", "19740106T020000", "-0500", "-0400", "RDATE:19750223T020000")
    + observance(
        "DAYLIGHT", "19760425T020000", "-0500", "-0400", "RRULE:FREQ=YEARLY;BYMONTH=4;BYDAY=-1SU;UNTIL=19860427T070000Z"
    )
    + observance(
        "DAYLIGHT", "19870405T020000", "-0500", "-0400", "RRULE:FREQ=YEARLY;BYMONTH=4;BYDAY=1SU;UNTIL=20060402T070000Z"
    )
    + observance("DAYLIGHT", "20070311T020000", "-0500", "-0400", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU")
    + observance("STANDARD", "20071104T020000", "-0400", "-0500", "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU")
)
CURRENT_ONLY = (
    "TZID:America/New_York\n"
    + observance("STANDARD", "20071104T020000", "-0400", "-0500")
    + observance("DAYLIGHT", "20070311T020000", "-0500", "-0400")
)
WITH_RULES = (
    "TZID:America/New_York\nTZURL:http://zones.example.com/tz/America-New_York.ics\n"
    + observance("STANDARD", "20071104T020000", "-0400", "-0500", "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU")
    + observance("DAYLIGHT", "20070311T020000", "-0500", "-0400", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU")
)
FICTITIOUS = (
    "TZID:Fictitious\n"
    + observance("STANDARD", "19871101T020000", "-0400", "-0500", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10")
    + observance(
        "DAYLIGHT", "19870405T020000", "-0500", "-0400", "RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4;UNTIL=19980404T070000Z"
    )
)
FICTITIOUS_AND_AGAIN = FICTITIOUS + observance(
    "DAYLIGHT", "19990424T020000", "-0500", "-0400", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=4"
)


@pytest.mark.parametrize("year", range(1967, 2038))
def test_new_york_since_1967(year: int) -> None:
    ours, iana = zone(SINCE_1967), IanaZone("America/New_York")
    first = moment(f"{max(year, 1967)}0501").local
    for hour in range(0, 366 * 24 - 121 * 24, 5):
        at = first + hour * 3600
        assert ours.to_local(at) == iana.to_local(at), write_utc(at)
        assert ours.to_instant(at) == iana.to_instant(at), write_local(at)


@pytest.mark.parametrize(
    ("body", "local", "instant"),
    [
        # RFC 5545 3.3.5: twice, the first; in a gap, the offset from before it
        (WITH_RULES, "20071104T013000", "20071104T053000Z"),
        (WITH_RULES, "20070311T023000", "20070311T073000Z"),
        (WITH_RULES, "20070311T015959", "20070311T065959Z"),
        (WITH_RULES, "20070311T030000", "20070311T070000Z"),
        (WITH_RULES, "20071104T020000", "20071104T070000Z"),
        (WITH_RULES, "24000701T120000", "24000701T160000Z"),
        (WITH_RULES, "99990701T120000", "99990701T160000Z"),
        # before the first onset: what IANA says of the name
        (WITH_RULES, "19750701T120000", "19750701T160000Z"),
        (WITH_RULES, "19750131T120000", "19750131T170000Z"),
        (CURRENT_ONLY, "20070701T120000", "20070701T160000Z"),
        (CURRENT_ONLY, "20070301T120000", "20070301T170000Z"),
        (CURRENT_ONLY, "20990701T120000", "20990701T160000Z"),
        (FICTITIOUS, "19970701T120000", "19970701T160000Z"),
        (FICTITIOUS, "19990701T120000", "19990701T170000Z"),
        (FICTITIOUS_AND_AGAIN, "19980701T120000", "19980701T170000Z"),
        (FICTITIOUS_AND_AGAIN, "19990701T120000", "19990701T160000Z"),
        # before the first onset of a name that nobody knows: its TZOFFSETFROM
        (FICTITIOUS, "19800701T120000", "19800701T170000Z"),
    ],
)
def test_local_time_to_instant(body: str, local: str, instant: str) -> None:
    assert write_utc(zone(body).to_instant(moment(local).local)) == instant


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]),
    st.integers(-(2**31), 2**31),
)
def test_there_and_back(name: str, instant: int) -> None:
    iana = IanaZone(name)
    local = iana.to_local(instant)
    back = iana.to_instant(local)
    assert iana.to_local(back) == local
    assert back <= instant  # the first of two


@settings(max_examples=300)
@given(st.integers(MIN_LOCAL * 3, MAX_LOCAL * 3))
def test_any_number_is_answered(seconds: int) -> None:
    for one in (zone(SINCE_1967), IanaZone("America/New_York"), UTC):
        assert abs(one.to_instant(seconds) - seconds) <= 86400
        assert abs(one.to_local(seconds) - seconds) <= 86400


@pytest.mark.parametrize("name", ["Los_Angeles", "New_York", "Denver", "Atikokan"])
def test_definitions_of_others_agree_with_iana_since_2007(name: str) -> None:
    file = DATA / "ical.js" / f"{name}.ics"
    if not file.exists():
        pytest.skip("the collected files of ../shared are not here")
    calendar = parse(b"BEGIN:VCALENDAR\n" + file.read_bytes() + b"\nEND:VCALENDAR\n")
    part = next(one for one in calendar.walk() if one.name == "VTIMEZONE")
    ours, iana = defined(part), IanaZone(f"America/{name}")
    assert ours is not None
    for instant in range(moment("20070401").local, moment("20380101").local, 40_003):
        assert ours.to_local(instant) == iana.to_local(instant)
        assert ours.to_instant(instant) == iana.to_instant(instant)


def test_until_as_a_date_or_local_time_is_understood() -> None:
    for until in ("19980404T070000Z", "19980404T020000", "19980404"):
        body = FICTITIOUS.replace("19980404T070000Z", until)
        assert write_utc(zone(body).to_instant(moment("19970701T120000").local)) == "19970701T160000Z"
        assert write_utc(zone(body).to_instant(moment("19980701T120000").local)) == "19980701T170000Z"


def test_the_same_definition_is_read_once() -> None:
    assert zone(WITH_RULES) is zone(WITH_RULES)
    assert zone(WITH_RULES) is not zone(WITH_RULES.replace("BYDAY=2SU", "BYDAY=3SU"))


# --- definitions that are broken, or bombs


@pytest.mark.parametrize(
    "body",
    [
        "TZID:X",
        "TZID:X\nBEGIN:STANDARD\nEND:STANDARD",
        "TZID:X\n" + observance("STANDARD", "yesterday", "+0100", "+0100"),
        "TZID:X\n" + observance("STANDARD", "20070101T000000", "+0100", "one hour"),
        "TZID:X\n" + observance("STANDARD", "20070101T000000", "+9900", "+0100"),
    ],
)
def test_what_defines_nothing_is_none(body: str) -> None:
    assert defined(vtimezone(body).components[0]) is None
    with pytest.raises(ICalendarError):
        zone_of(vtimezone(body))


def test_a_broken_observance_leaves_the_others() -> None:
    body = WITH_RULES + observance("DAYLIGHT", "19700101T000000", "?", "?")
    assert write_utc(zone(body).to_instant(moment("20080701T120000").local)) == "20080701T160000Z"


MANY = ",".join(f"{year:04}{month:02}01T020000" for year in range(1000, 9999) for month in range(1, 13))
BOMBS = {
    "secondly": observance("STANDARD", "19700101T000000", "+0100", "+0200", "RRULE:FREQ=SECONDLY"),
    "secondly until": observance("STANDARD", "19700101T000000", "+0100", "+0200", "RRULE:FREQ=SECONDLY;UNTIL=20300101"),
    "count": observance("STANDARD", "19700101T000000", "+0100", "+0200", "RRULE:FREQ=HOURLY;COUNT=1000000000"),
    "rdates": observance("STANDARD", "19700101T000000", "+0100", "+0200", f"RDATE:{MANY}"),
    "observances": "".join(
        observance("STANDARD", f"{year:04}0101T000000", "+0100", "+0200", "RRULE:FREQ=YEARLY")
        for year in range(1, 5000)
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_cut(bomb: str) -> None:
    calendar = vtimezone(f"TZID:Bomb\n{BOMBS[bomb]}")
    begun = time.process_time()
    found = defined(calendar.components[0])
    assert isinstance(found, DefinedZone)
    for year in range(1, 9999, 500):
        at = moment(f"{year:04}0701T120000").local
        assert at - found.to_instant(at) in (3600, 7200)
        assert found.to_local(at) - at in (3600, 7200)
    assert found.cut
    assert time.process_time() - begun < 2.5  # 20 far-away lookups; one is a tenth


# --- names


@pytest.mark.parametrize(
    ("tzid", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/lisbon", "Europe/Lisbon"),
        ("America/New York", "America/New_York"),
        ("US/Eastern", "US/Eastern"),
        ("Z", "UTC"),
        ("Etc/UTC", "UTC"),
        ("GMT", "UTC"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("pacific standard time", "America/Los_Angeles"),
        ("/mozilla.org/20050126_1/Europe/Berlin", "Europe/Berlin"),
        ("/freeassociation.sourceforge.net/Tzfile/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("/softwarestudio.org/Olson_20011030_5/America/New_York", "America/New_York"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Amsterdam"),
        ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("(UTC-05:00) Eastern Time (US and Canada)", "America/New_York"),
        ("(GMT+10:00) Brisbane", "Australia/Brisbane"),
    ],
)
def test_name(tzid: str, name: str) -> None:
    found = named(tzid)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(("tzid", "hours"), [("GMT+0100", 1), ("UTC-05:00", -5), ("+02", 2), ("(GMT +01:00)", 1)])
def test_plain_offset(tzid: str, hours: int) -> None:
    found = named(tzid)
    assert found is not None
    assert found.to_local(0) == hours * 3600


@pytest.mark.parametrize(
    "tzid",
    ["", "Nowhere/Middle", "Customized Time Zone 1", "America", "../../etc/passwd", "/" * 300, "+99:00"],
)
def test_unknown_name(tzid: str) -> None:
    assert named(tzid) is None


# --- for one object


def test_the_definition_in_the_object_wins_over_the_name() -> None:
    always = "TZID:Europe/Berlin\n" + observance("STANDARD", "19700101T000000", "+0300", "+0300", "RRULE:FREQ=YEARLY")
    zones = Zones(vtimezone(always), UTC)
    assert write_utc(zones.instant(moment("20240701T120000", "Europe/Berlin"))) == "20240701T090000Z"


def test_behind_the_last_onset_the_name_counts() -> None:
    berlin = (
        "TZID:Europe/Berlin\n"
        + observance("STANDARD", "20181028T030000", "+0200", "+0100")
        + observance("DAYLIGHT", "20190331T020000", "+0100", "+0200")
    )
    for tzid, winter in (("Europe/Berlin", "20201107T110000Z"), ("Mine", "20201107T100000Z")):
        zones = Zones(vtimezone(berlin.replace("Europe/Berlin", tzid)), UTC)
        assert write_utc(zones.instant(moment("20190301T120000", tzid))) == "20190301T110000Z"
        assert write_utc(zones.instant(moment("20201107T120000", tzid))) == winter


def test_tzid_is_text_in_the_definition_and_none_in_the_parameter() -> None:
    body = "TZID:(UTC+07:00) Bangkok\\, Hanoi\\, Jakarta\n" + observance(
        "STANDARD", "16010101T000000", "+0600", "+0600", "RRULE:FREQ=YEARLY"
    )
    zones = Zones(vtimezone(body), UTC)
    assert (
        write_utc(zones.instant(moment("20240701T120000", "(UTC+07:00) Bangkok, Hanoi, Jakarta"))) == "20240701T060000Z"
    )


def test_floating_dates_and_unknown_names_take_the_zone_of_the_calendar() -> None:
    zones = Zones(Component("VCALENDAR"), IanaZone("Asia/Tokyo"))
    for value in (moment("20240701T120000"), moment("20240701T120000", "Nowhere/Middle")):
        assert write_utc(zones.instant(value)) == "20240701T030000Z"
    assert write_utc(zones.instant(moment("20240701"))) == "20240630T150000Z"
    assert zones.instant(Moment(5, Form.UTC)) == 5


def test_calendar_timezone() -> None:
    assert zone_of(vtimezone(WITH_RULES)).name == "America/New_York"
    assert zone_of(vtimezone("TZID:Europe/Berlin")).name == "Europe/Berlin"
    with pytest.raises(ICalendarError):
        zone_of(Component("VCALENDAR"))
