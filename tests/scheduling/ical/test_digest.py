"""The digest: never narrower than what a time range matches; and what it costs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from scheduling.ical.digest import Digest, digest
from scheduling.ical.lines import Component, ICalendarError, parse, parse_stream
from scheduling.ical.recurrence import instances
from scheduling.ical.rrule import Budget
from scheduling.ical.spans import Blocking
from scheduling.ical.timerange import TimeRange
from scheduling.ical.timezones import UTC, FixedZone, IanaZone, Zone
from scheduling.ical.values import DAY
from tests.scheduling.ical.ranges import alarm_overlaps, component_overlaps
from tests.scheduling.ical.writing import APPENDIX_B, BERLIN, DATA, calendar, shown, utc


def bounds(*components: str) -> str:
    found = digest(calendar(*components))
    return f"{shown(found.starts_at)} {shown(found.ends_at)}"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("VEVENT\nDTSTART:20240110T100000Z\nDTEND:20240110T120000Z", "2024-01-10 10:00 2024-01-10 12:00"),
        ("VEVENT\nDTSTART;TZID=Europe/Berlin:20240110T100000\nDURATION:PT1H", "2024-01-10 09:00 2024-01-10 10:00"),
        ("VEVENT\nDTSTART:20240110T100000Z", "2024-01-10 10:00 2024-01-10 10:00"),
        # dates and floating times may be a day earlier or later
        ("VEVENT\nDTSTART;VALUE=DATE:20240110", "2024-01-09 00:00 2024-01-12 00:00"),
        ("VEVENT\nDTSTART:20240110T100000\nDURATION:PT1H", "2024-01-09 10:00 2024-01-11 11:00"),
        ("VEVENT\nDTSTART;TZID=Nowhere/Middle:20240110T100000\nDURATION:PT1H", "2024-01-09 10:00 2024-01-11 11:00"),
        ("VEVENT\nDTSTART:20240110T100000Z\nRRULE:FREQ=DAILY", "2024-01-09 10:00 -"),
        ("VEVENT\nDTSTART:20240110T100000Z\nRRULE:FREQ=DAILY;COUNT=3", "2024-01-09 10:00 2024-01-13 10:00"),
        ("VEVENT\nDTSTART:20240110T100000Z\nRRULE:FREQ=DAILY;UNTIL=20240112", "2024-01-09 10:00 2024-01-13 23:59"),
        ("VEVENT\nDTSTART:20240110T100000Z\nRRULE:FREQ=DAILY;COUNT=1000000000", "2024-01-09 10:00 -"),
        ("VTODO\nDTSTART:20240110T100000Z\nDUE:20240110T120000Z", "2024-01-10 10:00 2024-01-10 12:00"),
        ("VTODO\nDUE:20240110T120000Z", "2024-01-10 12:00 2024-01-10 12:00"),
        ("VTODO\nCREATED:20240110T100000Z", "2024-01-10 10:00 -"),
        ("VTODO\nCREATED:20240110T100000Z\nCOMPLETED:20240110T120000Z", "2024-01-10 10:00 2024-01-10 12:00"),
        ("VTODO\nCOMPLETED:20240110T120000Z", "2024-01-10 12:00 2024-01-10 12:00"),
        ("VTODO\nSUMMARY:x", "- -"),
        ("VJOURNAL\nSUMMARY:x", "- -"),
        ("VFREEBUSY\nDTSTART:20240110T100000Z\nDTEND:20240110T120000Z", "2024-01-10 10:00 2024-01-10 12:00"),
        ("VFREEBUSY\nFREEBUSY:20240110T100000Z/PT1H", "2024-01-10 10:00 2024-01-10 11:00"),
        ("VAVAILABILITY\nDTSTART:20240110T100000Z", "2024-01-10 10:00 -"),
        ("VEVENT\nDTSTART:20240110T100000Z\nDURATION:P99999999D", "2024-01-10 10:00 -"),
    ],
)
def test_bounds(text: str, wanted: str) -> None:
    assert bounds(text) == wanted


def test_bounds_of_overrides_and_dates_of_recurrence() -> None:
    master = "VEVENT\nDTSTART:20240110T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2\nRDATE:20250101T000000Z"
    override = "VEVENT\nRECURRENCE-ID:20240111T100000Z\nDTSTART:20200101T000000Z"
    assert bounds(master, override) == "2020-01-01 00:00 2025-01-02 01:00"
    assert bounds(override) == "2020-01-01 00:00 2020-01-01 00:00"


def test_bounds_of_alarms() -> None:
    alarm = "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER{}\nEND:VALARM"
    event = "VEVENT\nDTSTART:20240110T100000Z\n"
    assert bounds(event + alarm.format(":-P1W")) == "2024-01-02 10:00 2024-01-10 10:00"
    assert bounds(event + alarm.format(";VALUE=DATE-TIME:20300101T000000Z")) == "2024-01-10 10:00 2030-01-01 00:00"
    apple = alarm.format(";VALUE=DATE-TIME:19760401T005545Z").replace("DISPLAY", "NONE")
    assert bounds(event + apple) == "2024-01-10 10:00 2024-01-10 10:00"


def test_what_else_it_tells() -> None:
    found = digest(
        calendar(
            "VEVENT\nDTSTART:20240110T100000\nTRANSP:TRANSPARENT\nORGANIZER;CN=x:mailto:a@example.com\n"
            "ATTENDEE:mailto:b@example.com\nATTENDEE:mailto:c@example.com\nRRULE:FREQ=DAILY",
        )
    )
    assert found == Digest(
        uid="1",
        component="VEVENT",
        starts_at=utc("20240108T100000Z"),
        ends_at=None,
        recurs=True,
        floating=True,
        transparent=True,
        organizer="mailto:a@example.com",
        attendees=2,
    )


@pytest.mark.parametrize(
    ("components", "transparent"),
    [
        (["VEVENT\nDTSTART:20240110T100000Z"], False),
        (["VEVENT\nDTSTART:20240110T100000Z\nTRANSP:transparent"], True),
        (
            [
                "VEVENT\nDTSTART:20240110T100000Z\nTRANSP:TRANSPARENT",
                "VEVENT\nRECURRENCE-ID:20240110\nDTSTART:20240110",
            ],
            False,
        ),
        (["VTODO\nDUE:20240110"], True),
        (["VFREEBUSY\nFREEBUSY:20240110T100000Z/PT1H"], False),
    ],
)
def test_transparent(components: list[str], transparent: bool) -> None:
    assert digest(calendar(*components)).transparent is transparent


def test_an_object_without_component_is_an_error() -> None:
    with pytest.raises(ICalendarError):
        digest(Component("VCALENDAR"))


# --- never narrower


def in_bounds(found: Digest, start: int | None, end: int | None) -> bool:
    """What the store asks."""
    return (found.ends_at is None or start is None or found.ends_at >= start) and (
        found.starts_at is None or end is None or found.starts_at <= end
    )


ZONES: list[Zone] = [
    UTC,
    BERLIN,
    IanaZone("Pacific/Kiritimati"),
    IanaZone("Pacific/Pago_Pago"),
    FixedZone("far", -85_000),
]
hours = st.integers(0, 24 * 40).map(lambda hour: utc("20240101") + hour * 3600)


TRIGGERS = st.sampled_from(
    ["", ":-PT1H", ";RELATED=END:P2D", ":-P3W", ";VALUE=DATE-TIME:20231201T000000Z", ";VALUE=DATE-TIME:20240601T000000"]
)


@st.composite
def alarms(draw: st.DrawFn) -> list[str]:
    trigger = draw(TRIGGERS)
    if not trigger:
        return []
    repeat = draw(st.sampled_from([[], ["REPEAT:3", "DURATION:P1D"]]))
    return ["BEGIN:VALARM", "ACTION:AUDIO", f"TRIGGER{trigger}", *repeat, "END:VALARM"]


@st.composite
def objects(draw: st.DrawFn) -> Component:
    form = draw(st.sampled_from(["Z", "", ";TZID=Europe/Berlin", ";TZID=Nowhere", ";VALUE=DATE"]))

    def line(name: str, instant: int) -> str:
        text = shown(instant).replace("-", "").replace(":", "").replace(" ", "T")
        if form == ";VALUE=DATE":
            return f"{name}{form}:{text[:8]}"
        return f"{name}:{text}00Z" if form == "Z" else f"{name}{form}:{text}00"

    kind = draw(st.sampled_from(["VEVENT", "VTODO", "VJOURNAL"]))
    ends = {"VEVENT": "DTEND", "VTODO": "DUE", "VJOURNAL": "X-END"}[kind]

    def times() -> list[str]:
        lines = []
        start, end = draw(hours), draw(hours)
        if kind == "VEVENT" or draw(st.booleans()):
            lines.append(line("DTSTART", start))
        if draw(st.booleans()):
            lines.append(line(ends, end))
        elif draw(st.booleans()):
            lines.append(f"DURATION:{draw(st.sampled_from(['PT3H', 'P2D', 'P1DT1H', 'PT0S', '-PT1H']))}")
        if kind == "VTODO" and draw(st.booleans()):
            lines.append(f"COMPLETED:{shown(draw(hours)).replace('-', '').replace(':', '').replace(' ', 'T')}00Z")
        if kind == "VTODO" and draw(st.booleans()):
            lines.append(f"CREATED:{shown(draw(hours)).replace('-', '').replace(':', '').replace(' ', 'T')}00Z")
        return lines

    parts = []
    if draw(st.integers(0, 5)):
        rule = draw(st.sampled_from(["", "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,TU", "FREQ=MONTHLY", "FREQ=YEARLY"]))
        more = draw(st.sampled_from(["", ";COUNT=3", ";COUNT=70", ";UNTIL=20240320", ";UNTIL=20240201T000000Z"]))
        rules = [f"RRULE:{rule}{more}"] if rule else []
        rules += [line("RDATE", draw(hours)) for _ in range(draw(st.integers(0, 2)))]
        parts.append("\n".join([kind, *times(), *rules, *draw(alarms())]))
    for _ in range(draw(st.integers(0 if parts else 1, 2))):
        future = draw(st.sampled_from(["", ";RANGE=THISANDFUTURE"]))
        rid = line("RECURRENCE-ID", draw(hours))
        rid = rid.replace("RECURRENCE-ID", f"RECURRENCE-ID{future}", 1)
        parts.append("\n".join([kind, rid, *times(), *draw(alarms())]))
    return calendar(*parts)


@settings(max_examples=150, deadline=None)
@given(objects(), st.integers(-2000, 4000), st.integers(1, 3000), st.integers(0, 8))
def test_what_is_out_of_bounds_overlaps_no_range(found: Component, hour: int, width: int, ends: int) -> None:
    told = digest(found)
    start: int | None = utc("20240101") + hour * 3600
    end: int | None = (start or 0) + width * 360
    if ends == 0:
        start = None
    elif ends == 1:
        end = None
    if in_bounds(told, start, end):
        return
    for floating in ZONES:
        span = TimeRange(start, end, floating)
        assert not component_overlaps(found, told.component, span)
        assert not alarm_overlaps(found, told.component, span)


@settings(max_examples=100, deadline=None)
@given(objects(), st.sampled_from(ZONES))
def test_at_its_very_ends_an_object_is_still_in_bounds(found: Component, zone: FixedZone) -> None:
    told = digest(found)
    for instance in instances(found, None, utc("20260101"), zone, Budget(10**6)):
        assert in_bounds(told, instance.order, instance.order)
        assert instance.end is None or in_bounds(told, instance.end, instance.end)


# --- real files


@pytest.mark.parametrize("file", sorted(APPENDIX_B.glob("*.ics")), ids=lambda file: file.stem)
def test_appendix_b(file: object) -> None:
    found = parse((APPENDIX_B / getattr(file, "name", "")).read_bytes())
    told = digest(found)
    for day in range(-700, 700, 7):
        start = utc("20060101") + day * DAY
        for width in (DAY, 30 * DAY):
            if component_overlaps(found, told.component, TimeRange(start, start + width, BERLIN)):
                assert in_bounds(told, start, start + width)


def test_every_collected_file_has_a_digest_or_an_error_with_a_line() -> None:
    lines = {}
    for file in DATA.rglob("*.ics"):
        try:
            for one in parse_stream(file.read_bytes()):
                digest(one, horizon=(utc("20240101"), utc("20250101")), blocking_of=lambda _event: Blocking(2))
        except ICalendarError as error:
            lines[file.name] = error.line
    assert {name for name, line in lines.items() if line is None} <= {"blank.ics"}
