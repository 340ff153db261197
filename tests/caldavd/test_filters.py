"""``C:filter`` from XML to an answer, with the examples of RFC 4791 7.8 over the data of its appendix B."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from caldavd.errors import DavError
from caldavd.filters import MAX_DEPTH, MAX_ELEMENTS, read_filter
from caldavd.xml.parse import parse as parse_xml
from scheduling.ical.filter import (
    CompFilter,
    IsNotDefined,
    ParamFilter,
    PropFilter,
    TextMatch,
    TimeRange,
    bounds,
    matches,
)
from scheduling.ical.lines import parse
from scheduling.ical.timezones import UTC, named

APPENDIX_B = {
    path.stem: parse(path.read_bytes())
    for path in sorted((Path(__file__).parents[1] / "scheduling" / "ical" / "rfc4791").glob("*.ics"))
}


def read(inner: str) -> CompFilter:
    return read_filter(parse_xml(f'<C:filter xmlns:C="urn:ietf:params:xml:ns:caldav">{inner}</C:filter>'.encode()))


def in_calendar(inner: str) -> str:
    return f'<C:comp-filter name="VCALENDAR">{inner}</C:comp-filter>'


def found(inner: str) -> set[str]:
    query = read(in_calendar(inner))
    zone = named("US/Eastern") or UTC
    return {name.removeprefix("abcd") for name, calendar in APPENDIX_B.items() if matches(query, calendar, zone)}


def comp(name: str, *inner: str) -> str:
    return f'<C:comp-filter name="{name}">{"".join(inner)}</C:comp-filter>'


def prop(name: str, *inner: str) -> str:
    return f'<C:prop-filter name="{name}">{"".join(inner)}</C:prop-filter>'


def param(name: str, *inner: str) -> str:
    return f'<C:param-filter name="{name}">{"".join(inner)}</C:param-filter>'


def match(text: str, attributes: str = "") -> str:
    return f"<C:text-match {attributes}>{text}</C:text-match>"


def during(start: str | None = None, end: str | None = None) -> str:
    """A time range of January 2006, given as day and hour (04T10)."""
    bounds = [f'{name}="200601{at}0000Z"' for name, at in (("start", start), ("end", end)) if at is not None]
    return f"<C:time-range {' '.join(bounds)}/>"


ABSENT = "<C:is-not-defined/>"


@pytest.mark.parametrize(
    ("section", "inner", "expected"),
    [
        ("7.8.1", comp("VEVENT", during("04T00", "05T00")), "23"),
        ("7.8.2", comp("VEVENT", during("03T00", "05T00")), "23"),
        ("7.8.3", comp("VEVENT", during("03T00", "05T00")), "23"),
        ("7.8.4", comp("VFREEBUSY", during("02T00", "03T00")), "8"),
        # 7.8.5 expects task 5, but the alarm of that task goes off at 20060105T235000 and so is not in the range that
        # the example asks for, 20060106T100000Z to 20060107T100000Z, wherever on earth the clock hangs.
        ("7.8.5", comp("VTODO", comp("VALARM", during("06T10", "07T10"))), ""),
        ("7.8.5, a day earlier", comp("VTODO", comp("VALARM", during("05T10", "06T10"))), "5"),
        (
            "7.8.6",
            comp("VEVENT", prop("UID", match("DC6C50A017428C5216A2F1CD@example.com", 'collation="i;octet"'))),
            "3",
        ),
        (
            "7.8.7",
            comp(
                "VEVENT",
                prop(
                    "ATTENDEE",
                    match("mailto:lisa@example.com", 'collation="i;ascii-casemap"'),
                    param("PARTSTAT", match("NEEDS-ACTION", 'collation="i;ascii-casemap"')),
                ),
            ),
            "3",
        ),
        ("7.8.8", comp("VEVENT"), "123"),
        (
            "7.8.9",
            comp("VTODO", prop("COMPLETED", ABSENT), prop("STATUS", match("CANCELLED", 'negate-condition="yes"'))),
            "45",
        ),
        # 7.8.10 is of a server that knows no X-ABC-GUID; this one searches for any property.
        ("7.8.10", comp("VEVENT", prop("X-ABC-GUID", match("ABC"))), ""),
    ],
)
def test_the_examples_of_rfc_4791(section: str, inner: str, expected: str) -> None:
    assert found(inner) == set(expected)


def test_appendix_b_is_complete() -> None:
    assert len(APPENDIX_B) == 8


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", "12345678"),  # no kind of component is named
        (comp("VEVENT", ABSENT), "45678"),
        (comp("VJOURNAL"), ""),  # KDE asks this of every calendar (clients.md 5)
        (comp("VTIMEZONE"), "123"),
        (comp("VTODO", comp("VALARM")), "45"),
        (comp("VTODO", comp("VALARM", ABSENT)), "67"),
        (prop("VERSION", match("2.0")), "12345678"),
        (prop("METHOD"), ""),
        # DAVx5 asks from some day on (clients.md 3.3); nobody may say until.
        (comp("VEVENT", during("05T00")), "2"),
        (comp("VTODO", during(None, "02T00")), "67"),
        # python-caldav, when it does not know the kind of component, asks right below VCALENDAR.
        (during("04T06", "06T05"), "2358"),
        (prop("SUMMARY", match("#2")), "25"),
        (during("05T19", "06T05") + prop("SUMMARY", match("#2")), "5"),
    ],
)
def test_other_queries_over_the_same_data(inner: str, expected: str) -> None:
    assert found(inner) == set(expected)


def test_the_tree_has_every_part() -> None:
    query = read(
        in_calendar(
            '<C:comp-filter name="vevent"><C:time-range start="20060104T000000Z"/>'
            '<C:prop-filter name="dtstart"><C:time-range end="20060105T000000Z"/><C:param-filter name="tzid"/>'
            '<C:param-filter name="X"><C:is-not-defined/></C:param-filter></C:prop-filter>'
            '<C:prop-filter name="SUMMARY">'
            '<C:text-match collation="i;octet" negate-condition="yes" match-type="starts-with"> a </C:text-match>'
            '</C:prop-filter><C:comp-filter name="VALARM"><C:is-defined/></C:comp-filter>'
            '<X xmlns="urn:x"/></C:comp-filter>'
        )
    )
    (event,) = query.comps
    assert query.name == "VCALENDAR"
    assert (event.name, event.time_range) == ("VEVENT", TimeRange(1136332800, None))
    assert event.props[0] == PropFilter(
        "DTSTART", TimeRange(None, 1136419200), (ParamFilter("TZID"), ParamFilter("X", IsNotDefined()))
    )
    test = event.props[1].test
    assert isinstance(test, TextMatch)
    assert (test.text, test.collation, test.negate, test.match_type.value) == (" a ", "i;octet", True, "starts-with")
    assert event.comps == (CompFilter("VALARM"),)


@pytest.mark.parametrize(
    ("inner", "condition"),
    [
        ("", "valid-filter"),
        (comp("VCALENDAR") + comp("VCALENDAR"), "valid-filter"),
        (comp("VEVENT"), "valid-filter"),
        ("<C:comp-filter/>", "valid-filter"),
        (comp(""), "valid-filter"),
        (comp("A B"), "valid-filter"),
        (prop("VCALENDAR"), "valid-filter"),
        # RFC 4791 7.8 names these two.
        (in_calendar(comp("VTODO", comp("VEVENT"))), "valid-filter"),
        (in_calendar(comp("VEVENT", prop("SUMMARY", during("04T00")))), "valid-filter"),
        (in_calendar(comp("VALARM")), "valid-filter"),
        (in_calendar(comp("VTIMEZONE", during("04T00"))), "valid-filter"),
        (in_calendar(comp("VEVENT", during())), "valid-filter"),
        (in_calendar(comp("VEVENT", '<C:time-range start="20060104"/>')), "valid-filter"),
        (in_calendar(comp("VEVENT", '<C:time-range start="20060104T000000"/>')), "valid-filter"),
        (in_calendar(comp("VEVENT", '<C:time-range start="now"/>')), "valid-filter"),
        (in_calendar(comp("VEVENT", during("05T00", "05T00"))), "valid-filter"),
        (in_calendar(comp("VEVENT", ABSENT, prop("UID"))), "valid-filter"),
        (in_calendar(comp("VEVENT", ABSENT, during("05T00"))), "valid-filter"),
        (in_calendar(prop("UID", match("a<C:b/>"))), "valid-filter"),
        (in_calendar(prop("UID", ABSENT, param("X"))), "valid-filter"),
        (in_calendar(prop("UID", match("a"), match("b"))), "valid-filter"),
        (in_calendar(prop("UID", match("a", 'negate-condition="1"'))), "valid-filter"),
        (in_calendar(prop("UID", match("a", 'match-type="x"'))), "valid-filter"),
        (in_calendar(match("a")), "valid-filter"),
        (in_calendar(prop("UID", match("a", 'collation="i;x"'))), "supported-collation"),
        (in_calendar(comp("VEVENT", comp("VALARM", prop("DTSTART", during("04T00"))))), "supported-filter"),
        ('<C:comp-filter name="X">' * MAX_DEPTH * 2 + "</C:comp-filter>" * MAX_DEPTH * 2, "supported-filter"),
        (in_calendar(prop("UID") * MAX_ELEMENTS), "supported-filter"),
    ],
)
def test_malformed_filters_have_a_condition(inner: str, condition: str) -> None:
    with pytest.raises(DavError) as caught:
        read(inner)
    assert caught.value.status == 403
    assert caught.value.condition is not None
    assert caught.value.condition.local == condition
    assert caught.value.message.endswith((".", ").", '"'))


SHAPES = st.recursive(
    st.sampled_from(
        [
            "<C:is-not-defined/>",
            '<C:time-range start="20060104T000000Z"/>',
            '<C:time-range end="x"/>',
            "<C:text-match>#2</C:text-match>",
            '<C:text-match collation="none"/>',
            '<C:param-filter name="TZID"/>',
            '<X xmlns="urn:x"/>',
        ]
    ),
    lambda inner: st.tuples(
        st.sampled_from(["C:comp-filter", "C:prop-filter", "C:param-filter", "C:filter"]),
        st.sampled_from(["VCALENDAR", "VEVENT", "VTODO", "VALARM", "VTIMEZONE", "DTSTART", "SUMMARY", "X"]),
        st.lists(inner, max_size=3),
    ).map(lambda made: f'<{made[0]} name="{made[1]}">{"".join(made[2])}</{made[0]}>'),
    max_leaves=6,
)


@given(st.lists(SHAPES, max_size=3))
def test_any_shape_is_answered_or_refused_and_bounds_hold_nothing_back(shapes: list[str]) -> None:
    try:
        query = read(in_calendar("".join(shapes)))
    except DavError as error:
        if error.condition is None:
            raise
        return
    limits = bounds(query)
    for calendar in APPENDIX_B.values():
        if matches(query, calendar, UTC):
            assert limits is not None
            kinds = {item.name for item in calendar.components}
            assert not limits.components or kinds & limits.components
