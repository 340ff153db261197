"""RFC 7265 both ways: its examples section by section, real files, and whatever JSON there is."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from scheduling.ical import lenient
from scheduling.ical.jcal import JCalError, from_jcal, from_json, to_jcal, to_json
from scheduling.ical.jcal_values import TYPES
from scheduling.ical.lines import STREAM_LIMITS, Component, ContentLine, ICalendarError, Limits, line_text, parse, text
from tests.scheduling.ical.samples import FILES, calendar, sample_id
from tests.scheduling.ical.test_lines import calendars as any_calendar


def to(line: str) -> Any:
    (found,) = to_jcal(parse(calendar(line)))[1]
    return found


def back(value: Any) -> str:
    (line,) = from_jcal(["vcalendar", [value], []]).properties
    return line_text(line)


#: RFC 7265, the section, iCalendar and jCal; these go both ways.
EXAMPLES = [
    ("3.4", "SUMMARY:Meeting with Fred", ["summary", {}, "text", "Meeting with Fred"]),
    ("3.4", "CATEGORIES:Meetings,Work", ["categories", {}, "text", "Meetings", "Work"]),
    ("3.4.1.1", "GEO:37.386013;-122.082932", ["geo", {}, "float", [37.386013, -122.082932]]),
    ("3.4.1.2", "REQUEST-STATUS:2.0;Success", ["request-status", {}, "text", ["2.0", "Success"]]),
    (
        "3.4.1.2",
        "REQUEST-STATUS:3.7;Invalid calendar user;ATTENDEE:mailto:jsmith@example.org",
        ["request-status", {}, "text", ["3.7", "Invalid calendar user", "ATTENDEE:mailto:jsmith@example.org"]],
    ),
    (
        "3.5",
        "ATTENDEE;PARTSTAT=ACCEPTED;RSVP=TRUE;ROLE=REQ-PARTICIPANT:mailto:jsmith@example.org",
        [
            "attendee",
            {"partstat": "ACCEPTED", "rsvp": "TRUE", "role": "REQ-PARTICIPANT"},
            "cal-address",
            "mailto:jsmith@example.org",
        ],
    ),
    (
        "3.5.2",
        'ATTENDEE;DELEGATED-TO="mailto:jdoe@example.org","mailto:jqpublic@example.org":mailto:jsmith@example.org',
        [
            "attendee",
            {"delegated-to": ["mailto:jdoe@example.org", "mailto:jqpublic@example.org"]},
            "cal-address",
            "mailto:jsmith@example.org",
        ],
    ),
    (
        "3.5.2",
        'ATTENDEE;DELEGATED-TO="mailto:jdoe@example.org":mailto:jsmith@example.org',
        ["attendee", {"delegated-to": "mailto:jdoe@example.org"}, "cal-address", "mailto:jsmith@example.org"],
    ),
    ("3.6.1", "ATTACH;VALUE=BINARY;ENCODING=BASE64:SGVsbG8gV29ybGQh", ["attach", {}, "binary", "SGVsbG8gV29ybGQh"]),
    ("3.6.2", "X-NON-SMOKING;VALUE=BOOLEAN:TRUE", ["x-non-smoking", {}, "boolean", True]),
    ("3.6.3", "ATTENDEE:mailto:kewisch@example.com", ["attendee", {}, "cal-address", "mailto:kewisch@example.com"]),
    ("3.6.4", "DTSTART;VALUE=DATE:20110517", ["dtstart", {}, "date", "2011-05-17"]),
    ("3.6.5", "DTSTART:20121017T120000", ["dtstart", {}, "date-time", "2012-10-17T12:00:00"]),
    ("3.6.5", "DTSTAMP:20121017T120000Z", ["dtstamp", {}, "date-time", "2012-10-17T12:00:00Z"]),
    (
        "3.6.5",
        "DTEND;TZID=Europe/Berlin:20111017T130000",
        ["dtend", {"tzid": "Europe/Berlin"}, "date-time", "2011-10-17T13:00:00"],
    ),
    ("3.6.6", "DURATION:P1D", ["duration", {}, "duration", "P1D"]),
    ("3.6.7", "X-GRADE;VALUE=FLOAT:1.3", ["x-grade", {}, "float", 1.3]),
    ("3.6.8", "PERCENT-COMPLETE:42", ["percent-complete", {}, "integer", 42]),
    (
        "3.6.9",
        "FREEBUSY;FBTYPE=FREE:19970308T160000Z/P1D",
        ["freebusy", {"fbtype": "FREE"}, "period", ["1997-03-08T16:00:00Z", "P1D"]],
    ),
    (
        "3.6.10",
        "RRULE:FREQ=YEARLY;COUNT=5;BYDAY=-1SU,2MO;BYMONTH=10",
        ["rrule", {}, "recur", {"freq": "YEARLY", "count": 5, "byday": ["-1SU", "2MO"], "bymonth": 10}],
    ),
    (
        "3.6.10",
        "RRULE:FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=1,15,-1;UNTIL=20131001",
        ["rrule", {}, "recur", {"freq": "MONTHLY", "interval": 2, "bymonthday": [1, 15, -1], "until": "2013-10-01"}],
    ),
    ("3.6.11", r"COMMENT:hello\, world", ["comment", {}, "text", "hello, world"]),
    ("3.6.12", "X-TIME-LOCAL;VALUE=TIME:123000", ["x-time-local", {}, "time", "12:30:00"]),
    ("3.6.12", "X-TIME-UTC;VALUE=TIME:123000Z", ["x-time-utc", {}, "time", "12:30:00Z"]),
    (
        "3.6.12",
        "X-TIME-OFFSET;VALUE=TIME;TZID=Europe/Berlin:123000",
        ["x-time-offset", {"tzid": "Europe/Berlin"}, "time", "12:30:00"],
    ),
    (
        "3.6.13",
        "TZURL:http://example.org/tz/Europe-Berlin.ics",
        ["tzurl", {}, "uri", "http://example.org/tz/Europe-Berlin.ics"],
    ),
    ("3.6.14", "TZOFFSETFROM:-0500", ["tzoffsetfrom", {}, "utc-offset", "-05:00"]),
    ("3.6.14", "TZOFFSETTO:+1245", ["tzoffsetto", {}, "utc-offset", "+12:45"]),
    (
        "5.3",
        "X-COMPLAINT-DEADLINE:20110512T120000Z",
        ["x-complaint-deadline", {}, "unknown", "20110512T120000Z"],
    ),
    (
        "5.3",
        r"X-COFFEE-DATA:Stenophylla;Guinea\,Africa",
        ["x-coffee-data", {}, "unknown", r"Stenophylla;Guinea\,Africa"],
    ),
    ("5.3", "PERCENT-COMPLETE:95", ["percent-complete", {}, "integer", 95]),
    ("5.3", "DTSTART;VALUE=DATE;X-SLACK=30.3:20110512", ["dtstart", {"x-slack": "30.3"}, "date", "2011-05-12"]),
    (
        "RFC 7529 9",
        "RRULE:RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=FORWARD",
        ["rrule", {}, "recur", {"rscale": "GREGORIAN", "freq": "YEARLY", "skip": "FORWARD"}],
    ),
    ("RFC 7529 9", "RRULE:FREQ=YEARLY;BYMONTH=5L,6", ["rrule", {}, "recur", {"freq": "YEARLY", "bymonth": ["5L", 6]}]),
]


@pytest.mark.parametrize(("section", "line", "value"), EXAMPLES)
def test_the_examples_of_rfc_7265_both_ways(section: str, line: str, value: Any) -> None:
    assert to(line) == value
    assert back(value) == line


B_1 = """CALSCALE:GREGORIAN
PRODID:-//Example Inc.//Example Calendar//EN
VERSION:2.0
BEGIN:VEVENT
DTSTAMP:20080205T191224Z
DTSTART:20081006
SUMMARY:Planning meeting
UID:4088E990AD89CB3DBB484909
END:VEVENT"""


def test_appendix_b_1() -> None:
    assert to_jcal(parse(calendar(B_1))) == [
        "vcalendar",
        [
            ["calscale", {}, "text", "GREGORIAN"],
            ["prodid", {}, "text", "-//Example Inc.//Example Calendar//EN"],
            ["version", {}, "text", "2.0"],
        ],
        [
            [
                "vevent",
                [
                    ["dtstamp", {}, "date-time", "2008-02-05T19:12:24Z"],
                    ["dtstart", {}, "date", "2008-10-06"],
                    ["summary", {}, "text", "Planning meeting"],
                    ["uid", {}, "text", "4088E990AD89CB3DBB484909"],
                ],
                [],
            ]
        ],
    ]
    # On the way back the VALUE that the example lacks is there.
    assert from_json(to_json(parse(calendar(B_1)))) == calendar(B_1.replace("DTSTART:", "DTSTART;VALUE=DATE:"))


B_2 = r"""VERSION:2.0
PRODID:-//Example Corp.//Example Client//EN
BEGIN:VTIMEZONE
LAST-MODIFIED:20040110T032845Z
TZID:US/Eastern
BEGIN:DAYLIGHT
DTSTART:20000404T020000
RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4
TZNAME:EDT
TZOFFSETFROM:-0500
TZOFFSETTO:-0400
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:20001026T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZNAME:EST
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
DTSTAMP:20060206T001121Z
DTSTART;TZID=US/Eastern:20060102T120000
DURATION:PT1H
RRULE:FREQ=DAILY;COUNT=5
RDATE;TZID=US/Eastern;VALUE=PERIOD:20060102T150000/PT2H
SUMMARY:Event #2
DESCRIPTION:We are having a meeting all this week at 12 pm fo
 r one hour\, with an additional meeting on the first day 2 h
 ours long.\nPlease bring your own lunch for the 12 pm meetin
 gs.
UID:00959BC664CA650E933C892C@example.com
END:VEVENT
BEGIN:VEVENT
DTSTAMP:20060206T001121Z
DTSTART;TZID=US/Eastern:20060104T140000
DURATION:PT1H
RECURRENCE-ID;TZID=US/Eastern:20060104T120000
SUMMARY:Event #2 bis
UID:00959BC664CA650E933C892C@example.com
END:VEVENT"""


MEETING = (
    "We are having a meeting all this week at 12 pm for one hour, with an additional meeting on the first day 2 hours"
    " long.\nPlease bring your own lunch for the 12 pm meetings."
)


def test_appendix_b_2() -> None:
    """The RFC's jCal is not what its iCalendar says in four places.

    VERSION and PRODID change places; the period is one string, against 3.6.9; the second DTSTART is at 12 and not at
    14 o'clock; the second SUMMARY has lost its "bis".
    """
    found = to_jcal(parse(calendar(B_2)))
    zone, first, second = found[2]
    assert found[1] == [
        ["version", {}, "text", "2.0"],
        ["prodid", {}, "text", "-//Example Corp.//Example Client//EN"],
    ]
    assert zone == [
        "vtimezone",
        [["last-modified", {}, "date-time", "2004-01-10T03:28:45Z"], ["tzid", {}, "text", "US/Eastern"]],
        [
            [
                "daylight",
                [
                    ["dtstart", {}, "date-time", "2000-04-04T02:00:00"],
                    ["rrule", {}, "recur", {"freq": "YEARLY", "byday": "1SU", "bymonth": 4}],
                    ["tzname", {}, "text", "EDT"],
                    ["tzoffsetfrom", {}, "utc-offset", "-05:00"],
                    ["tzoffsetto", {}, "utc-offset", "-04:00"],
                ],
                [],
            ],
            [
                "standard",
                [
                    ["dtstart", {}, "date-time", "2000-10-26T02:00:00"],
                    ["rrule", {}, "recur", {"freq": "YEARLY", "byday": "-1SU", "bymonth": 10}],
                    ["tzname", {}, "text", "EST"],
                    ["tzoffsetfrom", {}, "utc-offset", "-04:00"],
                    ["tzoffsetto", {}, "utc-offset", "-05:00"],
                ],
                [],
            ],
        ],
    ]
    assert first == [
        "vevent",
        [
            ["dtstamp", {}, "date-time", "2006-02-06T00:11:21Z"],
            ["dtstart", {"tzid": "US/Eastern"}, "date-time", "2006-01-02T12:00:00"],
            ["duration", {}, "duration", "PT1H"],
            ["rrule", {}, "recur", {"freq": "DAILY", "count": 5}],
            ["rdate", {"tzid": "US/Eastern"}, "period", ["2006-01-02T15:00:00", "PT2H"]],
            ["summary", {}, "text", "Event #2"],
            [
                "description",
                {},
                "text",
                MEETING,
            ],
            ["uid", {}, "text", "00959BC664CA650E933C892C@example.com"],
        ],
        [],
    ]
    assert second[1][1] == ["dtstart", {"tzid": "US/Eastern"}, "date-time", "2006-01-04T14:00:00"]
    assert second[1][4] == ["summary", {}, "text", "Event #2 bis"]
    assert to_jcal(parse(from_json(to_json(parse(calendar(B_2)))))) == found


@pytest.mark.parametrize(
    ("line", "value"),
    [
        # Types are told by the form of the text where VALUE is missing or wrong.
        ("TRIGGER:19980403T120000Z", ["trigger", {}, "date-time", "1998-04-03T12:00:00Z"]),
        ("DTSTART;VALUE=DATE:20110804T120000", ["dtstart", {}, "date-time", "2011-08-04T12:00:00"]),
        ("RDATE:20260101T000000Z/PT1H", ["rdate", {}, "period", ["2026-01-01T00:00:00Z", "PT1H"]]),
        ("CREATED:00001231T000000Z", ["created", {}, "date-time", "0000-12-31T00:00:00Z"]),
        # What fits no type goes over as it is.
        ("DTSTART:Next Year", ["dtstart", {}, "unknown", "Next Year"]),
        ("EXDATE:20260101,20260102T000000", ["exdate", {}, "unknown", "20260101,20260102T000000"]),
        ("SEQUENCE:1.5", ["sequence", {}, "unknown", "1.5"]),
        ("GEO:1", ["geo", {}, "unknown", "1"]),
        ("RRULE:", ["rrule", {}, "unknown", ""]),
        ("RRULE:FREQ=DAILY;FREQ=DAILY", ["rrule", {}, "unknown", "FREQ=DAILY;FREQ=DAILY"]),
        ("RDATE:20131210Z", ["rdate", {}, "unknown", "20131210Z"]),
        ("X-A;VALUE=A B:c", ["x-a", {}, "unknown", "c"]),
        ("X-A;VALUE=X-B:a\\;b", ["x-a", {}, "x-b", "a\\;b"]),
        # RFC 7265 3.1: text in base64 is decoded; Outlook's attachments lack VALUE=BINARY.
        ("COMMENT;ENCODING=BASE64:SGksIHlvdQ==", ["comment", {}, "text", "Hi, you"]),
        ("COMMENT;ENCODING=BASE64:%", ["comment", {"encoding": "BASE64"}, "unknown", "%"]),
        ("ATTACH;ENCODING=base64;FMTTYPE=a/b:AAAA", ["attach", {"fmttype": "a/b"}, "binary", "AAAA"]),
        # Numbers, and parameters that occur twice.
        ("PRIORITY:+007", ["priority", {}, "integer", 7]),
        ("X-A;B=1;B=2,3:x", ["x-a", {"b": ["1", "2", "3"]}, "unknown", "x"]),
        ("X-A;CN=^'Al^':x", ["x-a", {"cn": '"Al"'}, "unknown", "x"]),
    ],
)
def test_what_is_not_as_it_should_be(line: str, value: Any) -> None:
    assert to(line) == value
    again = from_jcal(json.loads(json.dumps(["vcalendar", [value], []])))
    assert to_jcal(again)[1] == [value]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (["rdate", {}, "period", "2006-01-02T15:00:00/PT2H"], "RDATE;VALUE=PERIOD:20060102T150000/PT2H"),  # B.2.2
        (
            ["rrule", {}, "recur", {"freq": "DAILY", "byday": ["MO"], "bymonth": [1]}],
            "RRULE:FREQ=DAILY;BYDAY=MO;BYMONTH=1",
        ),
        (["attendee", {"CN": ["x"]}, "CAL-ADDRESS", "mailto:a"], "ATTENDEE;CN=x:mailto:a"),
        (["x-a", {}, "text", "a", "b,c"], r"X-A;VALUE=TEXT:a,b\,c"),
        (["x-a", {}, "integer", 4.0], "X-A;VALUE=INTEGER:4"),
        (["x-a", {}, "float", 1e-7], "X-A;VALUE=FLOAT:0.0000001"),
        (["summary", {}, "text", "a\r\nb;c"], r"SUMMARY:a\nb\;c"),
        (["geo", {}, "float", [1, 2.5]], "GEO:1;2.5"),
        (["tzoffsetto", {}, "utc-offset", "+00:53:28"], "TZOFFSETTO:+005328"),
    ],
)
def test_other_ways_to_write_it(value: Any, line: str) -> None:
    assert back(value) == line


EVENT = ["vevent", [], []]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ""),
        ({}, ""),
        ([], ""),
        (["vcalendar", []], ""),
        (["vcalendar", {}, []], ""),
        (["vcalendar", [], {}], ""),
        (["v calendar", [], []], "[0]"),
        ([1, [], []], "[0]"),
        (["vcalendar", [], [["vevent", [], [None]]]], "[2][0][2][0]"),
        (["vcalendar", [["uid", {}, "text"]], []], "[1][0]"),
        (["vcalendar", [[1, {}, "text", ""]], []], "[1][0][0]"),
        (["vcalendar", [["begin", {}, "text", "VEVENT"]], []], "[1][0][0]"),
        (["vcalendar", [["uid:1\nx", {}, "text", ""]], []], "[1][0][0]"),
        (["vcalendar", [["uid", [], "text", ""]], []], "[1][0][1]"),
        (["vcalendar", [["uid", {"value": "TEXT"}, "text", ""]], []], "[1][0][1]"),
        (["vcalendar", [["uid", {"a b": "x"}, "text", ""]], []], "[1][0][1]"),
        (["vcalendar", [["uid", {"a": "x", "A": "y"}, "text", ""]], []], "[1][0][1]"),
        (["vcalendar", [["uid", {"a": 1}, "text", ""]], []], "[1][0][1]"),
        (["vcalendar", [["uid", {"a": []}, "text", ""]], []], "[1][0][1]"),
        (["vcalendar", [["uid", {"a": "\0"}, "text", ""]], []], "[1][0][1]"),
        (["vcalendar", [["uid", {}, None, ""]], []], "[1][0][2]"),
        (["vcalendar", [["uid", {}, "a;b", ""]], []], "[1][0][2]"),
        (["vcalendar", [["uid", {}, "text", 1]], []], "[1][0]"),
        (["vcalendar", [["uid", {}, "text", "\0"]], []], "[1][0]"),
        (["vcalendar", [["uid", {}, "text", ["a", "b"]]], []], "[1][0]"),
        (["vcalendar", [["url", {}, "uri", "a\nBEGIN:VEVENT"]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "unknown", "a\rb"]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "unknown", 1]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "x-b", {}]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "boolean", "true"]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "integer", True]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "integer", 1.5]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "integer", 10**18]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "float", "1"]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "float", 1e300]], []], "[1][0]"),
        (["vcalendar", [["x-a", {}, "binary", "%"]], []], "[1][0]"),
        (["vcalendar", [["dtstart", {}, "date", "20260101"]], []], "[1][0]"),
        (["vcalendar", [["dtstart", {}, "date", "2026-01"]], []], "[1][0]"),
        (["vcalendar", [["dtstart", {}, "date-time", "2026-01-01"]], []], "[1][0]"),
        (["vcalendar", [["dtstart", {}, "date-time", "2026-01-01T00:00:00+01:00"]], []], "[1][0]"),
        (["vcalendar", [["duration", {}, "duration", "1H"]], []], "[1][0]"),
        (["vcalendar", [["rdate", {}, "period", ["2026-01-01T00:00:00"]]], []], "[1][0]"),
        (["vcalendar", [["rdate", {}, "period", ["2026-01-01T00:00:00", 1]]], []], "[1][0]"),
        (["vcalendar", [["rrule", {}, "recur", "FREQ=DAILY"]], []], "[1][0]"),
        (["vcalendar", [["rrule", {}, "recur", {}]], []], "[1][0]"),
        (["vcalendar", [["rrule", {}, "recur", {"freq": "DAILY;COUNT=1"}]], []], "[1][0]"),
        (["vcalendar", [["rrule", {}, "recur", {"a=b;c": 1}]], []], "[1][0]"),
        (["vcalendar", [["rrule", {}, "recur", {"until": "20260101"}]], []], "[1][0]"),
        (["vcalendar", [["rrule", {}, "recur", {"byday": []}]], []], "[1][0]"),
    ],
)
def test_what_is_no_jcal_is_refused_with_its_place(value: Any, path: str) -> None:
    with pytest.raises(JCalError) as caught:
        from_jcal(value)
    assert caught.value.path == path
    assert caught.value.condition == "valid-calendar-data"


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"{",
        b"\xff",
        b"[NaN]",
        b"[1e999, Infinity]",
        b"[" * 100_000,
        b'["vevent",[],[]]',
        b"1" * 5000,
        b'["vcalendar",[["x-a",{},"text","\\ud800"]],[]]',
        b'["vcalendar",[["x-a",{"p":"\\udc00"},"text",""]],[]]',
    ],
    ids=range(10),
)
def test_what_is_no_json_object_is_refused(source: bytes) -> None:
    with pytest.raises(JCalError):
        from_json(source)


def test_limits() -> None:
    deep: list[Any] = EVENT
    for _ in range(9):
        deep = ["vcalendar", [], [deep]]
    with pytest.raises(JCalError, match="more than 9 deep"):
        from_jcal(deep, limits=Limits(depth=9))
    assert from_jcal(deep, limits=Limits(depth=10)).name == "VCALENDAR"
    for limits in (Limits(lines=3), Limits(size=10)):
        with pytest.raises(ICalendarError) as caught:
            from_json(b'["vcalendar",[["uid",{},"text","1"]],[["vevent",[],[]]]]', limits=limits)
        assert caught.value.condition == "max-resource-size"


# --- round trips -----------------------------------------------------------------------------------------------------


def same(one: ContentLine, other: ContentLine) -> bool:
    """Whether two values mean the same, apart from how numbers and dates are spelled and texts are escaped."""
    if one.name != other.name:
        return False
    if one.value == other.value or text(one.value) == text(other.value):
        return True
    try:
        mine, theirs = ([float(part) for part in line.value.split(";")] for line in (one, other))
    except ValueError:
        return False
    return all(map(math.isclose, mine, theirs)) and len(mine) == len(theirs)


def without_value(line: ContentLine) -> dict[str, tuple[str, ...]]:
    return {name: values for name, values in line.params if name not in {"VALUE", "ENCODING"}}


@pytest.mark.parametrize("path", FILES, ids=sample_id)
def test_real_files_go_there_and_back(path: Path) -> None:
    for component in lenient.read(path.read_bytes()).calendars:
        made = to_jcal(component)
        again = from_jcal(json.loads(json.dumps(made)), limits=STREAM_LIMITS)
        assert to_jcal(again) == made
        for one, other in zip(component.walk(), again.walk(), strict=True):
            assert one.name == other.name
            for line, line_again in zip(one.properties, other.properties, strict=True):
                assert same(line, line_again)
                assert without_value(line) == without_value(line_again)


@given(any_calendar)
def test_any_component_goes_there_and_back(component: Component) -> None:
    made = to_jcal(component)
    assert to_jcal(from_jcal(json.loads(json.dumps(made)))) == made


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["vcalendar", "uid", "text", "recur", "period", "date", "2026-01-01", "P1D", "freq", "x\ny"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
TYPED = st.tuples(
    st.sampled_from(["uid", "geo", "rdate", "rrule", "x-a", "request-status"]),
    st.dictionaries(st.sampled_from(["a", "tzid", "value", ""]), VALUES, max_size=2) | st.just({}),
    st.sampled_from([*TYPES, "unknown", "x-b"]),
    VALUES,
).map(list)


@given(VALUES | st.lists(TYPED, max_size=2).map(lambda lines: ["vcalendar", lines, []]))
@settings(max_examples=500)
def test_whatever_the_json_it_is_a_calendar_or_a_jcal_error(value: Any) -> None:
    try:
        found = from_json(json.dumps(value).encode())
    except JCalError:
        return
    assert len(parse(found).properties) == len(value[1])  # nothing smuggled in a line of its own
