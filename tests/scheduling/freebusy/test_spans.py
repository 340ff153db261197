"""Packed busy time: it says what the text says, in every zone and for every owner; and where it says nothing."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import event, given, settings, strategies as st

from scheduling.freebusy import vfreebusy
from scheduling.freebusy.busy import BusyCalendar, spans_of
from scheduling.freebusy.index import Version
from scheduling.ical import spans as packing
from scheduling.ical.digest import DIGEST_VERSION, digest
from scheduling.ical.lines import ICalendarError, parse
from scheduling.ical.periods import Busy, BusyPeriod, merge
from scheduling.ical.recurrence import recurrence_sets
from scheduling.ical.spans import MAX_ENTRIES, MAX_SPANS, Blocking, pack_spans, read_spans
from scheduling.ical.timezones import UTC, FixedZone, IanaZone, Zone
from scheduling.ical.validate import validate
from scheduling.ical.values import DAY
from scheduling.indexing import indexed
from storage.rows import NewObject
from tests.scheduling.ical.writing import BERLIN, calendar, shown, source, utc

HORIZON = (utc("20240101"), utc("20250101"))
HOUR = 3600
ZONES: list[Zone] = [
    UTC,
    BERLIN,
    IanaZone("America/New_York"),
    IanaZone("Pacific/Kiritimati"),
    IanaZone("Pacific/Apia"),
    FixedZone("far", -85_000),
]
OWNERS = [frozenset[str](), *(frozenset(f"mailto:{name}@x" for name in names) for names in ("a", "b", "ab", "bc", "o"))]


def row_of(body: bytes, horizon: tuple[int, int] = HORIZON) -> NewObject:
    told = digest(parse(body), horizon=horizon, blocking_of=vfreebusy.blocking_of)
    return NewObject(body, "text/calendar", "1", told.component, spans=told.spans, digest_version=DIGEST_VERSION)


def said(row: NewObject, start: int, end: int, zone: Zone = UTC, owner: frozenset[str] = OWNERS[0]) -> object:
    """What the spans say, merged; None: nothing."""
    found = spans_of(row, BusyCalendar(1, Version("e", 1, "b"), zone, owner), start, end)  # type: ignore[arg-type]
    return None if found is None else merge(found)


def told(row: NewObject, start: int, end: int, zone: Zone = UTC, owner: frozenset[str] = OWNERS[0]) -> object:
    """What the text says."""
    return merge(vfreebusy.busy(row.body, start, end, zone, owner=owner))


# --- the same as the text

FORMS = ("Z", "", ";TZID=Europe/Berlin", ";TZID=Nowhere", ";VALUE=DATE")
# Around the ends of daylight saving time in all of the zones.
HOURS = st.integers(0, 24 * 400).map(lambda hour: utc("20231001") + hour * HOUR)
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from("abco"), st.sampled_from(["", "ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED", "needs-action"])
    ),
    max_size=4,
)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    form = draw(st.sampled_from(FORMS))
    odd = draw(st.sampled_from(FORMS)) if draw(st.integers(0, 7)) == 0 else form

    def written(instant: int, how: str) -> str:
        text = shown(instant).replace("-", "").replace(":", "").replace(" ", "T")
        return text[:8] if how == ";VALUE=DATE" else f"{text}00{'Z' if how == 'Z' else ''}"

    def line(name: str, instant: int, how: str | None = None) -> str:
        how = form if how is None else how
        return f"{name}{'' if how == 'Z' else how}:{written(instant, how)}"

    def times() -> list[str]:
        start = draw(HOURS)
        lines = [line("DTSTART", start)]
        lasts = draw(st.sampled_from([0, 1, 5, 23, 24, 25, 49, 24 * 40]))
        how = draw(st.integers(0, 3))
        if how == 0:
            lines.append(line("DTEND", start + lasts * HOUR, odd))
        elif how == 1:
            lines.append(
                f"DURATION:{draw(st.sampled_from(['PT3H', 'P2D', 'P1DT1H', 'PT0S', '-PT1H', 'PT90M', 'P5W']))}"
            )
        return lines

    def more() -> list[str]:
        lines = draw(
            st.sampled_from(
                ([], [], ["TRANSP:TRANSPARENT"], ["STATUS:TENTATIVE"], ["STATUS:CANCELLED"], ["STATUS:CONFIRMED"])
            )
        )
        if draw(st.booleans()):
            return lines
        people = [f"ATTENDEE{f';PARTSTAT={answer}' if answer else ''}:mailto:{who}@x" for who, answer in draw(PEOPLE)]
        return [*lines, f"ORGANIZER:mailto:{draw(st.sampled_from('oa'))}@x", *people]

    parts = []
    if draw(st.integers(0, 5)):
        rule = draw(
            st.sampled_from(
                (
                    "",
                    "FREQ=DAILY",
                    "FREQ=WEEKLY;BYDAY=SU,MO",
                    "FREQ=MONTHLY;BYMONTHDAY=31",
                    "FREQ=YEARLY",
                    "FREQ=HOURLY",
                )
            )
        )
        until = [
            "",
            "",
            ";COUNT=3",
            ";COUNT=70",
            ";UNTIL=20240331",
            ";UNTIL=20240331T010000Z",
            ";UNTIL=20240331T010000",
        ]
        lines = [f"RRULE:{rule}{draw(st.sampled_from(until))}"] if rule else []
        lines += [line("RDATE", draw(HOURS), odd) for _ in range(draw(st.integers(0, 2)))]
        if form == "" and draw(st.booleans()):
            lines.append(f"RDATE;VALUE=PERIOD:{written(draw(HOURS), form)}/{draw(st.sampled_from(['PT5H', 'P1DT2H']))}")
        lines += [line("EXDATE", draw(HOURS), odd) for _ in range(draw(st.integers(0, 2)))]
        parts.append("\n".join(["VEVENT", *times(), *lines, *more()]))
    for _ in range(draw(st.integers(0 if parts else 1, 2))):
        future = draw(st.sampled_from(["", ";RANGE=THISANDFUTURE"]))
        rid = line("RECURRENCE-ID", draw(HOURS), odd).replace("RECURRENCE-ID", f"RECURRENCE-ID{future}", 1)
        parts.append("\n".join(["VEVENT", rid, *times(), *more()]))
    return source(*parts)


@settings(max_examples=600, deadline=None)
@given(
    events(), st.integers(-24 * 60, 24 * 500), st.integers(1, 24 * 60), st.sampled_from(ZONES), st.sampled_from(OWNERS)
)
def test_spans_say_what_the_text_says(body: bytes, hour: int, width: int, zone: Zone, owner: frozenset[str]) -> None:
    try:
        row = row_of(body)
    except ICalendarError:
        return
    start = utc("20231001") + hour * HOUR
    end = start + width * HOUR
    spans = said(row, start, end, zone, owner)
    event("packed" if row.spans else "not packed")
    event("covered" if spans is not None else "not covered")
    if spans is not None:
        assert spans == told(row, start, end, zone, owner)


# --- what is packed


def test_what_ends_is_packed_for_all_time() -> None:
    row = row_of(source("VEVENT\nDTSTART:20010110T100000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=3"))
    assert said(row, utc("19000101"), utc("22000101")) == [
        BusyPeriod(utc(day) + 10 * HOUR, utc(day) + 11 * HOUR) for day in ("20010110", "20010117", "20010124")
    ]


def test_what_has_no_end_is_packed_around_now() -> None:
    row = row_of(source("VEVENT\nDTSTART:20010110T100000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY"))
    assert said(row, *HORIZON) == told(row, *HORIZON)
    assert said(row, HORIZON[0] - 1, HORIZON[1]) is None
    assert said(row, HORIZON[0], HORIZON[1] + 1) is None
    assert len(row.spans) < 60 * 20 + 50


def test_dates_are_read_in_the_zone_of_the_calendar() -> None:
    row = row_of(source("VEVENT\nDTSTART;VALUE=DATE:20240110\nRRULE:FREQ=DAILY;COUNT=2"))
    start = utc("20240101")
    assert said(row, start, start + 31 * DAY, BERLIN) == [BusyPeriod(utc("20240109T230000Z"), utc("20240111T230000Z"))]
    assert said(row, start, start + 31 * DAY) == [BusyPeriod(utc("20240110"), utc("20240112"))]


def test_what_is_often_is_packed_for_less_time() -> None:
    row = row_of(source("VEVENT\nDTSTART:20010110T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY"))
    quarter = HORIZON[0], HORIZON[0] + 90 * DAY
    assert said(row, *quarter) == told(row, *quarter)
    assert said(row, HORIZON[0], HORIZON[0] + 100 * DAY) is None


@pytest.mark.parametrize(
    "lines",
    [
        "DTSTART:20240110T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20240201T000000Z",
        "DTSTART:20240110T100000\nDTEND:20240110T150000Z",
        "DTSTART:20240110T100000\nDURATION:PT1H\nRDATE:20240111T100000Z",
        "DTSTART:20240110T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE;TZID=Europe/Berlin:20240111T100000",
        "DTSTART;TZID=Nowhere:20240110T100000\nDURATION:PT1H",
    ],
)
def test_what_is_another_set_of_instances_in_each_zone_is_not_packed(lines: str) -> None:
    assert row_of(source(f"VEVENT\n{lines}")).spans == b""


def test_only_events_are_packed() -> None:
    free_busy = source("VFREEBUSY\nDTSTART:20240110T100000Z\nDTEND:20240111T100000Z\nFREEBUSY:20240110T110000Z/PT1H")
    assert row_of(free_busy).spans == b""
    assert (
        said(replace(row_of(free_busy), spans=row_of(source("VEVENT\nDTSTART:20240110T100000Z")).spans), *HORIZON)
        is None
    )


def test_old_spans_and_those_of_other_rules_of_zones_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    row = row_of(source("VEVENT\nDTSTART;TZID=Europe/Berlin:20240110T100000\nDURATION:PT1H"))
    assert said(row, *HORIZON) is not None
    assert said(replace(row, digest_version=DIGEST_VERSION - 1), *HORIZON) is None
    assert said(replace(row, spans=b""), *HORIZON) is None
    assert said(replace(row, spans=row.spans[:20]), *HORIZON) is None
    monkeypatch.setattr(packing, "tzdata_version", lambda: "2099z")
    assert said(row, *HORIZON) is None


@pytest.mark.parametrize(
    ("owner", "kind"),
    [("a", Busy.BUSY), ("b", None), ("c", Busy.TENTATIVE), ("o", Busy.BUSY), ("stranger", Busy.BUSY)],
)
def test_whose_answer_counts(owner: str, kind: Busy | None) -> None:
    people = "\n".join(
        f"ATTENDEE;PARTSTAT={answer}:MAILTO:{who}@X"
        for who, answer in (("a", "ACCEPTED"), ("b", "DECLINED"), ("c", "TENTATIVE"))
    )
    row = row_of(source(f"VEVENT\nDTSTART:20240110T100000Z\nDURATION:PT1H\nORGANIZER:mailto:o@x\n{people}"))
    at = utc("20240110") + 10 * HOUR
    expected = [BusyPeriod(at, at + HOUR, kind)] if kind is not None else []
    assert said(row, *HORIZON, owner=frozenset({f"mailto:{owner}@x"})) == expected


# --- what it costs


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=MINUTELY;COUNT=19999", "FREQ=HOURLY", "FREQ=DAILY;COUNT=19999"]
)
def test_what_makes_too_much_is_left_to_the_text(rule: str) -> None:
    row = row_of(source(f"VEVENT\nDTSTART:20230110T100000Z\nDURATION:PT1S\nRRULE:{rule}"))
    assert len(row.spans) < 20 * MAX_SPANS
    assert said(row, utc("19000101"), utc("22000101")) is None


def test_a_meeting_of_very_many_is_left_to_the_text() -> None:
    people = "\n".join(f"ATTENDEE:mailto:u{number}@x" for number in range(MAX_ENTRIES + 1))
    row = row_of(source(f"VEVENT\nDTSTART:20240110T100000Z\nDURATION:PT1H\nORGANIZER:mailto:o@x\n{people}"))
    assert row.spans == b""


def test_packing_costs_little() -> None:
    bodies = [
        source(f"VEVENT\nDTSTART:20150110T100000Z\nDURATION:PT1S\nRRULE:{rule}")
        for rule in (
            "FREQ=SECONDLY;COUNT=20000",
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=DAILY;INTERVAL=3;COUNT=9999",
        )
    ]
    began = time.process_time()
    for body in bodies:
        row_of(body)
    assert time.process_time() - began < 1


def test_the_server_packs_what_it_stores() -> None:
    now = int(time.time())
    body = source("VEVENT\nDTSTART:20240110T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY").replace(
        b"UID:1", b"UID:1\r\nDTSTAMP:20240101T000000Z"
    )
    row = indexed(validate(body), body)
    assert said(row, now - 31 * DAY, now + 35 * DAY) == told(row, now - 31 * DAY, now + 35 * DAY)


def test_a_part_that_is_local_beside_one_that_is_not_is_noticed() -> None:

    found = calendar("VEVENT\nDTSTART:20240110T100000Z\nDURATION:PT1H")
    sets = recurrence_sets(found, UTC)
    packed = pack_spans(sets, found.components, HORIZON, lambda _event: Blocking(3), ends=True, floating=True)
    assert packed == b""
    assert read_spans(packed, *HORIZON, UTC) is None
