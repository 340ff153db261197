"""What RFC 4791 9.7 leaves open or says in passing; its examples are in ``tests/caldavd/test_filters.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduling.ical.digest import digest
from scheduling.ical.filter import (
    Bounds,
    CompFilter,
    FilterError,
    IsNotDefined,
    ParamFilter,
    PropFilter,
    TextMatch,
    TimeRange,
    bounds,
    matches,
)
from scheduling.ical.lines import parse
from scheduling.ical.split import split
from scheduling.ical.timezones import UTC, FixedZone
from tests.scheduling.ical.samples import FILES, calendar, event, sample_id

NOT = IsNotDefined()
JAN_1 = 1767225600  # 2026-01-01T00:00:00Z
DAY = 86400
HOUR = 3600


def event_with(*props: PropFilter, test: TimeRange | None = None, comps: tuple[CompFilter, ...] = ()) -> CompFilter:
    return CompFilter("VCALENDAR", None, (), (CompFilter("VEVENT", test, props, comps),))


def says(query: CompFilter, *properties: str) -> bool:
    return matches(query, parse(calendar("".join(event("UID:1\n" + each) for each in properties))), UTC)


@pytest.mark.parametrize(
    ("prop", "properties", "expected"),
    [
        (PropFilter("SUMMARY"), "SUMMARY:", True),
        (PropFilter("SUMMARY"), "COMMENT:x", False),
        (PropFilter("SUMMARY", NOT), "COMMENT:x", True),
        (PropFilter("SUMMARY", NOT), "SUMMARY:x", False),
        (PropFilter("SUMMARY", TextMatch("a, b")), r"SUMMARY:A\, B", True),  # as people see it, not as it is escaped
        (PropFilter("CATEGORIES", TextMatch("work")), "CATEGORIES:HOME,WORK", True),
        (PropFilter("STATUS", TextMatch("CANCELLED", negate=True)), "STATUS:CONFIRMED", True),
        (PropFilter("STATUS", TextMatch("CANCELLED", negate=True)), "STATUS:CANCELLED", False),
        # What is not there has no value that could match.
        (PropFilter("STATUS", TextMatch("CANCELLED", negate=True)), "COMMENT:x", False),
        # Of several lines one is enough, also with negate.
        (PropFilter("COMMENT", TextMatch("a")), "COMMENT:b\nCOMMENT:a", True),
        (PropFilter("COMMENT", TextMatch("a", negate=True)), "COMMENT:b\nCOMMENT:a", True),
        (PropFilter("COMMENT", TextMatch("A", collation="i;octet")), "COMMENT:a", False),
        (PropFilter("DTSTART", TimeRange(JAN_1, JAN_1 + 1)), "COMMENT:x", True),
        (PropFilter("DTSTART", TimeRange(JAN_1 + 1, None)), "COMMENT:x", False),
        (PropFilter("DTEND", TimeRange(JAN_1 + HOUR, JAN_1 + HOUR + 1)), "DURATION:PT1H", True),
        (PropFilter("DTSTAMP", TimeRange(JAN_1, None)), "DTSTAMP:20260202T000000Z", True),
        (PropFilter("DTSTAMP", TimeRange(JAN_1, None)), "DTSTAMP:never", False),
    ],
)
def test_properties(prop: PropFilter, properties: str, expected: bool) -> None:
    assert says(event_with(prop), properties) is expected


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (ParamFilter("PARTSTAT"), True),
        (ParamFilter("ROLE"), False),
        (ParamFilter("ROLE", NOT), True),
        (ParamFilter("PARTSTAT", NOT), False),
        (ParamFilter("PARTSTAT", TextMatch("accepted")), True),
        (ParamFilter("PARTSTAT", TextMatch("declined")), False),
        (ParamFilter("PARTSTAT", TextMatch("accepted", negate=True)), False),
        (ParamFilter("MEMBER", TextMatch("c@d")), True),  # any of several values
        (ParamFilter("CN", TextMatch('"Al"')), True),  # RFC 6868
    ],
)
def test_parameters(param: ParamFilter, expected: bool) -> None:
    attendee = 'ATTENDEE;PARTSTAT=ACCEPTED;MEMBER="mailto:a@b","mailto:c@d";CN=^\'Al^\':mailto:x@y'
    assert says(event_with(PropFilter("ATTENDEE", None, (param,))), attendee) is expected


def test_text_and_parameters_are_of_one_line() -> None:
    query = event_with(PropFilter("ATTENDEE", TextMatch("a@b"), (ParamFilter("ROLE", TextMatch("CHAIR")),)))
    assert says(query, "ATTENDEE;ROLE=CHAIR:mailto:a@b")
    assert not says(query, "ATTENDEE:mailto:a@b\nATTENDEE;ROLE=CHAIR:mailto:c@d")


def test_everything_is_asked_of_one_component() -> None:
    master = "SUMMARY:a\nRRULE:FREQ=DAILY"
    override = "SUMMARY:b\nRECURRENCE-ID:20260103T000000Z"
    query = event_with(PropFilter("SUMMARY", TextMatch("a")), PropFilter("RECURRENCE-ID"))
    assert not says(query, master, override)
    # The override took the instance of its day away from the master.
    body = event("UID:1\n" + master) + (
        "BEGIN:VEVENT\nUID:1\nSUMMARY:b\nRECURRENCE-ID:20260103T000000Z\nDTSTART:20260103T120000Z\nEND:VEVENT\n"
    )
    source = parse(calendar(body))
    for summary, start, end, expected in [
        ("a", JAN_1 + 2 * DAY, JAN_1 + 3 * DAY, False),
        ("b", JAN_1 + 2 * DAY, JAN_1 + 3 * DAY, True),
        ("a", JAN_1 + 3 * DAY, JAN_1 + 4 * DAY, True),
        ("b", JAN_1 + 3 * DAY, JAN_1 + 4 * DAY, False),
    ]:
        query = event_with(PropFilter("SUMMARY", TextMatch(summary)), test=TimeRange(start, end))
        assert matches(query, source, UTC) is expected


def test_alarms() -> None:
    def alarm(test: TimeRange | IsNotDefined | None, *props: PropFilter) -> CompFilter:
        return event_with(comps=(CompFilter("VALARM", test, props),))

    alarms = (
        "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT1H\nEND:VALARM\nBEGIN:VALARM\nACTION:EMAIL\nTRIGGER:-P1D\nEND:VALARM"
    )
    display, email = (PropFilter("ACTION", TextMatch(kind)) for kind in ("DISPLAY", "EMAIL"))
    an_hour_before = TimeRange(JAN_1 - HOUR, JAN_1)
    assert says(alarm(None), alarms)
    assert not says(alarm(NOT), alarms)
    assert says(alarm(NOT), "COMMENT:x")
    assert says(alarm(an_hour_before), alarms)
    assert says(alarm(an_hour_before, display), alarms)
    assert not says(alarm(an_hour_before, email), alarms)  # it is the other one that goes off then
    assert says(alarm(TimeRange(JAN_1 - DAY, JAN_1 - HOUR), email), alarms)
    assert not says(alarm(an_hour_before, PropFilter("ATTACH")), alarms)


def test_right_below_the_calendar() -> None:
    source = parse(calendar("VERSION:2.0\n" + event("UID:1\nSUMMARY:a\nDURATION:PT1H")))

    def asked(*props: PropFilter, test: TimeRange | IsNotDefined | None = None) -> bool:
        return matches(CompFilter("VCALENDAR", test, props), source, UTC)

    assert asked()
    assert not asked(test=NOT)
    assert asked(PropFilter("VERSION", TextMatch("2.0")))
    assert asked(PropFilter("METHOD", NOT))
    assert asked(PropFilter("SUMMARY", TextMatch("A")), test=TimeRange(JAN_1, None))
    assert not asked(PropFilter("SUMMARY", TextMatch("A")), test=TimeRange(None, JAN_1))
    assert asked(PropFilter("CATEGORIES", NOT))


def test_unknown_components_are_there_or_not() -> None:
    source = parse(calendar(event() + "BEGIN:X-C\nA:1\nBEGIN:X-D\nEND:X-D\nEND:X-C"))
    for query, expected in [
        (CompFilter("X-C", None, (PropFilter("A"),), (CompFilter("X-D"),)), True),
        (CompFilter("X-C", None, (), (CompFilter("X-E"),)), False),
        (CompFilter("X-E"), False),
        (CompFilter("X-E", NOT), True),
    ]:
        assert matches(CompFilter("VCALENDAR", None, (), (query,)), source, UTC) is expected


def test_bounds() -> None:
    def of(*comps: CompFilter, test: TimeRange | None = None) -> Bounds | None:
        return bounds(CompFilter("VCALENDAR", test, (), comps))

    span = TimeRange(JAN_1, JAN_1 + DAY)
    wide = (JAN_1 - 1, JAN_1 + DAY + 1)
    assert of() == Bounds(frozenset(), None, None)
    assert of(CompFilter("VEVENT")) == Bounds(frozenset({"VEVENT"}), None, None)
    assert of(CompFilter("VEVENT", span)) == Bounds(frozenset({"VEVENT"}), *wide)
    assert of(CompFilter("VEVENT", TimeRange(JAN_1))) == Bounds(frozenset({"VEVENT"}), wide[0], None)
    assert of(CompFilter("VEVENT", TimeRange(None, JAN_1 + DAY))) == Bounds(frozenset({"VEVENT"}), None, wide[1])
    assert of(test=span) == Bounds(frozenset(), *wide)
    assert of(CompFilter("VEVENT"), CompFilter("VTODO")) is None
    assert of(CompFilter("VEVENT"), CompFilter("VTIMEZONE", NOT)) == Bounds(frozenset({"VEVENT"}), None, None)
    others = of(CompFilter("VEVENT", NOT))
    assert others is not None
    assert "VEVENT" not in others.components
    assert "VTODO" in others.components
    alarm = CompFilter("VALARM", span)
    assert of(CompFilter("VEVENT", None, (), (alarm,))) == Bounds(frozenset({"VEVENT"}), *wide)
    assert bounds(CompFilter("VCALENDAR", NOT)) is None


@pytest.mark.parametrize("path", FILES, ids=sample_id)
def test_bounds_hold_back_nothing_that_matches(path: Path) -> None:
    for item in split(path.read_bytes()).objects[:20]:
        source = parse(item.data)
        told = digest(source)
        middle = told.starts_at if told.starts_at is not None else told.ends_at or JAN_1
        last = told.ends_at if told.ends_at is not None else middle
        for start, end in [
            (middle - 8 * DAY, middle),
            (middle - HOUR, middle + 1),
            (middle, middle + HOUR),
            (last - HOUR, last),
            (last - 1, last + 1),
            (last, last + DAY),
            (last, None),
            (None, middle),
            (None, middle + 1),
        ]:
            span = TimeRange(start, end)
            for comp in (
                CompFilter(item.kind, span),
                CompFilter(item.kind, None, (), (CompFilter("VALARM", span),))
                if item.kind in {"VEVENT", "VTODO"}
                else CompFilter(item.kind),
            ):
                query = CompFilter("VCALENDAR", None, (), (comp,))
                for zone in (UTC, FixedZone("east", 14 * HOUR), FixedZone("west", -12 * HOUR)):
                    if matches(query, source, zone):
                        limits = bounds(query)
                        assert limits is not None
                        assert limits.components == {item.kind}
                        assert limits.end is None or told.starts_at is None or told.starts_at < limits.end
                        assert limits.start is None or told.ends_at is None or told.ends_at >= limits.start


def test_what_does_not_go_together_cannot_be_made() -> None:
    with pytest.raises(FilterError) as caught:
        TextMatch("a", collation="i;none")
    assert caught.value.condition == "supported-collation"
    for make in (
        lambda: TimeRange(None, None),
        lambda: TimeRange(2, 2),
        lambda: PropFilter("SUMMARY", TimeRange(1, 2)),
        lambda: PropFilter("SUMMARY", NOT, (ParamFilter("X"),)),
        lambda: CompFilter("VTIMEZONE", TimeRange(1, 2)),
        lambda: CompFilter("VEVENT", NOT, (PropFilter("UID"),)),
        lambda: CompFilter("VEVENT", None, (), (CompFilter("VTODO"),)),
        lambda: CompFilter("STANDARD", None, (), (CompFilter("X"),)),
    ):
        with pytest.raises(FilterError) as caught:
            make()
        assert caught.value.condition == "valid-filter"
