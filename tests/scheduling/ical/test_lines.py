from __future__ import annotations

import time

import pytest
from hypothesis import given, settings, strategies as st

from scheduling.ical.lines import (
    OBJECT_LIMITS,
    Component,
    ContentLine,
    ICalendarError,
    Limits,
    amend,
    edit,
    escape,
    fold,
    insert_properties,
    line_end,
    line_text,
    parse,
    parse_stream,
    remove,
    render,
    replace,
    scan,
    split_fields,
    split_list,
    text,
)
from tests.scheduling.ical.samples import FILES, calendar, sample_id


def one(line: str) -> ContentLine:
    (found,) = scan(line.encode())
    return found


def test_a_content_line_has_name_parameters_value_and_place() -> None:
    source = b"BEGIN:VCALENDAR\r\nDTSTART;TZID=Europe/Berlin:20260101T090000\r\nEND:VCALENDAR\r\n"
    line = parse(source).properties[0]
    assert line == ContentLine("DTSTART", (("TZID", ("Europe/Berlin",)),), "20260101T090000", 2, 17, 61)
    assert source[line.start : line.end] == b"DTSTART;TZID=Europe/Berlin:20260101T090000\r\n"
    assert line.param("TZID") == "Europe/Berlin"
    assert line.param("VALUE") is None


def test_names_are_upper_cased_and_values_are_not() -> None:
    line = one("x-Foo;x-Bar=bAz:VaLue")
    assert (line.name, line.params, line.value) == ("X-FOO", (("X-BAR", ("bAz",)),), "VaLue")


@pytest.mark.parametrize(
    ("written", "params", "value"),
    [
        # RFC 5545 3.2: quoted values hold colons, semicolons and commas.
        ('A;CN="Smith; John: x, y":mailto:a@b', (("CN", ("Smith; John: x, y",)),), "mailto:a@b"),
        ('A;MEMBER="mailto:a@b","mailto:c@d":x', (("MEMBER", ("mailto:a@b", "mailto:c@d")),), "x"),
        ('A;P=a,"b,c",d;Q="":x', (("P", ("a", "b,c", "d")), ("Q", ("",))), "x"),
        ("A;P=a,,b:x", (("P", ("a", "", "b")),), "x"),
        ("A;P=:x", (("P", ("",)),), "x"),
        ("A;P=a=b:x", (("P", ("a=b",)),), "x"),
        # A parameter without "=" (vCard 2.1 habit) has an empty value.
        ("A;QUOTED-PRINTABLE:x", (("QUOTED-PRINTABLE", ("",)),), "x"),
        ("A;P;Q=1:x", (("P", ("",)), ("Q", ("1",))), "x"),
        # RFC 6868 3: ^n, ^^ and ^'; any other caret stays.
        ("A;CN=George Herman ^'Babe^' Ruth:x", (("CN", ('George Herman "Babe" Ruth',)),), "x"),
        ("A;P=a^nb^^c^dd^:x", (("P", ("a\nb^c^dd^",)),), "x"),
        ("A;P=^^n:x", (("P", ("^n",)),), "x"),
        # Quotation marks in the value are the value's.
        ('A:say "hi": now', (), 'say "hi": now'),
        ('A;P=1:"', (("P", ("1",)),), '"'),
    ],
)
def test_parameters(written: str, params: object, value: str) -> None:
    line = one(written)
    assert line.params == params
    assert line.value == value


@pytest.mark.parametrize("eol", ["\r\n", "\n", "\r\r\n", "\r"])
def test_folds_and_line_ends(eol: str) -> None:
    written = f"BEGIN:VCALENDAR{eol}SUMMARY:one{eol}  two{eol}\tthree{eol}X:y{eol}END:VCALENDAR{eol}"
    calendar = parse(written.encode())
    assert [(p.name, p.value, p.line) for p in calendar.properties] == [("SUMMARY", "one twothree", 2), ("X", "y", 5)]


def test_a_fold_may_stand_inside_a_utf8_sequence_or_a_name() -> None:
    raw = "BEGIN:VCALENDAR\r\nSUMM\r\n ARY;LANGUAGE=d\r\n e:ü\r\nEND:VCALENDAR".encode()
    at = raw.index("ü".encode()) + 1
    line = parse(raw[:at] + b"\r\n " + raw[at:]).properties[0]
    assert (line.name, line.param("LANGUAGE"), line.value) == ("SUMMARY", "de", "ü")


def test_byte_order_mark_blank_lines_and_indentation_at_the_start() -> None:
    source = b"\xef\xbb\xbf\n\n  BEGIN:VCALENDAR\n\nX:1\n \t\n\nY:2\nEND:VCALENDAR\n\n"
    calendar = parse(source)
    assert (calendar.line, calendar.start) == (3, 7)
    assert [(p.name, p.value, p.line) for p in calendar.properties] == [("X", "1\t", 5), ("Y", "2", 8)]


def test_components_nest_and_know_their_places() -> None:
    source = b"BEGIN:vcalendar\nA:1\nBEGIN:VEVENT\nB:2\nBEGIN:VALARM\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR"
    calendar = parse(source)
    (event,) = calendar.components
    assert [item.name for item in calendar.walk()] == ["VCALENDAR", "VEVENT", "VALARM"]
    assert source[event.start : event.end].startswith(b"BEGIN:VEVENT")
    assert source[event.start : event.end].endswith(b"END:VEVENT\n")
    assert source[event.body :].startswith(b"B:2")
    assert event.components[0].line == 5
    assert calendar.end == len(source)
    assert [line.value for line in event.all("B")] == ["2"]
    assert event.first("C") is None


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        (b"", None, "no BEGIN:VCALENDAR"),
        (b"hello\n", 1, "no colon"),
        (b"BEGIN:VEVENT\nEND:VEVENT\n", 1, "outside of any VCALENDAR"),
        (b"X:1\nBEGIN:VCALENDAR\nEND:VCALENDAR\n", 1, "outside of any component"),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", 3, "END:VEVENT is due (begun in line 2)"),
        (b"BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR\n", 3, "without its BEGIN"),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", 2, "ends before END:VEVENT"),
        (b"BEGIN:VCALENDAR\nEND:VCALENDAR\nBEGIN:VCALENDAR\nEND:VCALENDAR\n", 3, "second VCALENDAR"),
        (b"BEGIN:VCALENDAR\nSUMMARY\nEND:VCALENDAR\n", 2, "no colon"),
        (b"BEGIN:VCALENDAR\nA\n B\nX Y:1\nEND:VCALENDAR\n", 2, "no colon"),
        (b"BEGIN:VCALENDAR\nA:b\n C\nX Y:1\nEND:VCALENDAR\n", 4, "begin with a name"),
        (b'BEGIN:VCALENDAR\nA;B="c:1\nEND:VCALENDAR\n', 2, "not closed"),
        (b'BEGIN:VCALENDAR\nA;B="c"d:1\nEND:VCALENDAR\n', 2, "parameters that cannot be read"),
        (b"BEGIN:VCALENDAR\n:1\nEND:VCALENDAR\n", 2, "does not begin with a name"),
        (b"BEGIN:VCALENDAR\nBEGIN:A B\nEND:A B\nEND:VCALENDAR\n", 2, "no name of a component"),
        (b"BEGIN:VCALENDAR\nA:\xff\nEND:VCALENDAR\n", 2, "not UTF-8"),
        (b"BEGIN:VCALENDAR\nA:b\n c\0\nEND:VCALENDAR\n", 3, "NUL"),
    ],
)
def test_errors_name_the_line(source: bytes, line: int | None, says: str) -> None:
    with pytest.raises(ICalendarError) as caught:
        parse(source)
    assert caught.value.line == line
    assert says in caught.value.message
    assert caught.value.condition == "valid-calendar-data"
    assert str(caught.value) == caught.value.message if line is None else f"Line {line}: {caught.value.message}"


def test_limits() -> None:
    deep = b"BEGIN:VCALENDAR\n" + b"BEGIN:X\n" * 10
    with pytest.raises(ICalendarError, match="more than 10 deep") as caught:
        parse(deep)
    assert caught.value.line == 11
    with pytest.raises(ICalendarError, match="more than 3 lines") as caught:
        parse(calendar("X:1\nY:2"), limits=Limits(lines=3))
    assert (caught.value.line, caught.value.condition) == (4, "max-resource-size")
    with pytest.raises(ICalendarError, match="the limit is 10") as caught:
        parse(calendar(""), limits=Limits(size=10))
    assert caught.value.condition == "max-resource-size"


def test_a_stream_may_hold_several_calendars() -> None:
    assert [c.line for c in parse_stream(calendar("X:1") + b"\n" + calendar("Y:2"))] == [1, 5]
    assert parse_stream(b"") == []


# --- TEXT ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "means"),
    [
        # RFC 5545 3.3.11, the example
        (
            r"Project XYZ Final Review\nConference Room - 3B\nCome Prepared.",
            "Project XYZ Final Review\nConference Room - 3B\nCome Prepared.",
        ),
        (r"a\,b\;c\\d\Ne", "a,b;c\\d\ne"),
        (r"\\n", r"\n"),
        (r"c:\temp\:\"", r"c:\temp\:\""),  # an unknown escape is kept as it is
        ("a\\", "a\\"),
    ],
)
def test_text(written: str, means: str) -> None:
    assert text(written) == means


def test_lists_and_fields_are_cut_at_unescaped_separators() -> None:
    assert split_list(r"a\,b,c\\,d;e,") == [r"a\,b", r"c\\", "d;e", ""]
    assert split_fields(r"2.8;a\;b,c;") == ["2.8", r"a\;b,c", ""]
    assert split_list("a\\") == ["a\\"]
    assert split_list("a\\,b\\") == ["a\\,b\\"]
    assert split_list("") == [""]


@given(st.text())
def test_escape_and_text_are_inverse(value: str) -> None:
    assert text(escape(value)) == value.replace("\r\n", "\n").replace("\r", "\n")


@given(st.lists(st.text(), min_size=1))
def test_lists_of_escaped_values_come_apart_again(values: list[str]) -> None:
    assert split_list(",".join(map(escape, values))) == [escape(v) for v in values]
    assert split_fields(";".join(map(escape, values))) == [escape(v) for v in values]


# --- printing and editing --------------------------------------------------------------------------------------------


def test_made_lines_quote_and_encode_what_must_be() -> None:
    line = ContentLine.make("attendee", "mailto:a@b", {"cn": 'The "Babe", Jr.', "MEMBER": ["x:y", "z"]})
    assert line_text(line) == 'ATTENDEE;CN="The ^\'Babe^\', Jr.";MEMBER="x:y",z:mailto:a@b'
    for name, value in [("A", "a\nb"), ("A", "a\rb"), ("A", "\0"), ("A B", "x"), ("", "x")]:
        with pytest.raises(ValueError, match=r"line break|property name"):
            ContentLine.make(name, value)


def test_folding_is_75_octets_and_never_inside_a_character() -> None:
    written = "SUMMARY:" + "ä€😀" * 60
    raw = fold(written)
    assert all(len(physical) <= 75 for physical in raw.split(b"\r\n"))
    for physical in raw.split(b"\r\n"):
        physical.decode()
    assert one(raw.decode()).value == "ä€😀" * 60
    assert fold("X:" + "a" * 73) == b"X:" + b"a" * 73 + b"\r\n"
    assert fold("X:" + "a" * 74) == b"X:" + b"a" * 73 + b"\r\n a\r\n"


SOURCE = (
    b"begin:vcalendar\nversion:2.0\nBEGIN:VEVENT\nUID:1\n"
    b'attendee;x-Foo=bar;\n Partstat=needs-action;cn="A B":mailto:a@b\n'
    b"BEGIN:VALARM\nACTION:AUDIO\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR\n"
)


def test_edits_leave_the_other_lines_as_they_were() -> None:
    event = parse(SOURCE).components[0]
    uid, attendee = event.properties
    changed = edit(
        SOURCE,
        [
            insert_properties(event, ContentLine.make("SEQUENCE", "1"), ContentLine.make("X-A", "y" * 80)),
            replace(uid, ContentLine.make("UID", "2")),
            amend(SOURCE, attendee, {"PARTSTAT": "ACCEPTED", "schedule-status": "2.0;x"}),
        ],
    )
    assert changed == (
        b"begin:vcalendar\nversion:2.0\nBEGIN:VEVENT\nUID:2\n"
        b'attendee;x-Foo=bar;PARTSTAT=ACCEPTED;cn="A B";schedule-status="2.0;x":mailt\n o:a@b\n'
        b"SEQUENCE:1\nX-A:" + b"y" * 71 + b"\n " + b"y" * 9 + b"\n"
        b"BEGIN:VALARM\nACTION:AUDIO\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR\n"
    )


def test_amend_takes_parameters_away_and_sets_the_value() -> None:
    attendee = parse(SOURCE).components[0].properties[1]
    changed = edit(SOURCE, [amend(SOURCE, attendee, {"PARTSTAT": None, "CN": None, "NONE": None}, value="mailto:c@d")])
    assert b"UID:1\nattendee;x-Foo=bar:mailto:c@d\nBEGIN" in changed
    with pytest.raises(ValueError, match="line break"):
        amend(SOURCE, attendee, {}, value="a\nb")


def test_remove_and_insert_into_an_empty_component() -> None:
    source = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR"
    found = parse(source)
    assert edit(source, [remove(found.components[0])]) == b"BEGIN:VCALENDAR\r\nEND:VCALENDAR"
    filled = edit(source, [insert_properties(found.components[0], ContentLine.make("UID", "1"))])
    assert filled == b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\nEND:VCALENDAR"


def test_overlapping_edits_are_refused() -> None:
    event = parse(SOURCE).components[0]
    with pytest.raises(ValueError, match="two edits"):
        edit(SOURCE, [remove(event), remove(event.properties[0])])


def shape(component: Component) -> object:
    return (
        component.name,
        [(p.name, p.params, p.value) for p in component.properties],
        [shape(inner) for inner in component.components],
    )


names = st.from_regex(r"[A-Z][A-Z0-9-]{0,8}", fullmatch=True).filter(lambda n: n not in {"BEGIN", "END"})
clean = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=40)
# RFC 6868 knows no code for CR, and a parameter value cannot hold other line breaks.
param_values = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=20)
content_lines = st.builds(
    ContentLine.make, names, clean, st.dictionaries(names, st.lists(param_values, min_size=1, max_size=3), max_size=3)
)
components = st.recursive(
    st.builds(Component, names, st.lists(content_lines, max_size=4)),
    lambda inner: st.builds(Component, names, st.lists(content_lines, max_size=4), st.lists(inner, max_size=3)),
    max_leaves=5,
)
calendars = st.builds(
    Component, st.just("VCALENDAR"), st.lists(content_lines, max_size=4), st.lists(components, max_size=3)
)
eols = st.sampled_from([b"\r\n", b"\n"])


@given(calendars, eols)
def test_what_is_rendered_reads_back_the_same(component: Component, eol: bytes) -> None:
    raw = render(component, eol=eol)
    found = parse(raw)
    assert shape(found) == shape(component)
    assert render(found, eol=line_end(raw)) == raw


@given(calendars, content_lines, eols, st.data())
def test_an_edit_changes_one_line_and_nothing_else(
    component: Component, new: ContentLine, eol: bytes, data: st.DataObject
) -> None:
    raw = render(component, eol=eol)
    lines = [line for inner in parse(raw).walk() for line in inner.properties]
    if not lines:
        return
    old = data.draw(st.sampled_from(lines))
    changed = edit(raw, [replace(old, new)])
    assert changed[: old.start] == raw[: old.start]
    assert changed[len(changed) - (len(raw) - old.end) :] == raw[old.end :]
    again = [line for inner in parse(changed).walk() for line in inner.properties]
    assert line_text(again[lines.index(old)]) == line_text(new)
    assert edit(changed, [replace(again[lines.index(old)], old)]) == raw


@given(calendars, st.dictionaries(names, st.none() | param_values, max_size=3), st.data())
def test_amend_sets_exactly_these_parameters(
    component: Component, params: dict[str, str | None], data: st.DataObject
) -> None:
    raw = render(component)
    lines = [line for inner in parse(raw).walk() for line in inner.properties]
    if not lines:
        return
    old = data.draw(st.sampled_from(lines))
    again = [line for inner in parse(edit(raw, [amend(raw, old, params)])).walk() for line in inner.properties]
    new = again[lines.index(old)]
    expected = dict(old.params)
    for name, value in params.items():
        if value is None:
            expected.pop(name, None)
        else:
            expected[name] = (value,)
    assert dict(new.params) == expected
    assert new.value == old.value


grammar = st.lists(
    st.sampled_from(
        [
            *[b"BEGIN:VCALENDAR", b"END:VCALENDAR", b"BEGIN:VEVENT", b"END:VEVENT", b"\r\n", b"\n", b"\r", b" ", b"\t"],
            *[
                b":",
                b";",
                b"=",
                b'"',
                b",",
                b"^n",
                b"\\",
                b"UID:1",
                b"A;B=c:d",
                "ü".encode(),
                b"\xc3",
                b"\0",
                b"\xef\xbb\xbf",
            ],
        ]
    ),
    max_size=40,
).map(b"".join)


@given(st.binary() | grammar)
@settings(max_examples=300)
def test_whatever_the_bytes_parsing_ends_in_components_or_an_icalendar_error(source: bytes) -> None:
    try:
        found = parse_stream(source)
    except ICalendarError as caught:
        assert (caught.line or 1) in range(1, source.count(b"\n") + source.count(b"\r") + 2)  # noqa: PT017
        return
    for component in found:
        assert 0 <= component.start < component.body <= component.end <= len(source)
        for inner in component.walk():
            for line in inner.properties:
                (again,) = scan(source[line.start : line.end])
                assert (again.name, again.params, again.value) == (line.name, line.params, line.value)


# --- what texts begin with -------------------------------------------------------------------------------------------


def _outcome(source: bytes, limits: Limits = OBJECT_LIMITS) -> object:
    try:
        return parse_stream(source, limits=limits)
    except ICalendarError as caught:
        return caught.message, caught.line, caught.condition


def _both_ways(source: bytes, limits: Limits = OBJECT_LIMITS) -> None:
    """A beginning that is known already is read as one that is not: components, places and errors."""
    found = [_outcome(source, limits), _outcome(source, limits)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scheduling.ical.lines._head_of", lambda _: b"")
        plain = _outcome(source, limits)
    assert found == [plain, plain]


_ZONE = b"BEGIN:VTIMEZONE\nTZID:Z\nBEGIN:STANDARD\nDTSTART:19700101T000000\nEND:STANDARD\nEND:VTIMEZONE\n"
_BEGIN, _EVENT, _END = b"BEGIN:VCALENDAR\nVERSION:2.0\n", b"BEGIN:VEVENT\nUID:1\nEND:VEVENT\n", b"END:VCALENDAR\n"
BEGINNINGS = {
    "plain": _BEGIN + _ZONE + _EVENT + _END,
    "CRLF": (_BEGIN + _ZONE + _EVENT + _END).replace(b"\n", b"\r\n"),
    "CR CR LF": (_BEGIN + _ZONE + _EVENT + _END).replace(b"\n", b"\r\r\n"),
    "byte order mark and blank lines": b"\xef\xbb\xbf\n\n" + _BEGIN + b"\n" + _ZONE + _EVENT + _END,
    "lower case": (_BEGIN + _ZONE + _EVENT + _END).lower(),
    "two zones": _BEGIN + _ZONE + _ZONE.replace(b"TZID:Z", b"TZID:Y") + _EVENT + _END,
    "a zone behind": _BEGIN + _EVENT + _ZONE + _END,
    "the end is folded": _BEGIN + _ZONE + b" X\n" + _EVENT + _END,
    "a blank line and a fold": _BEGIN + _ZONE + b"\n X\n" + _EVENT + _END,
    "two calendars": _BEGIN + _ZONE + _END + _BEGIN + _ZONE + _END,
    "a calendar without a zone first": _BEGIN + _END + _BEGIN + _ZONE + _END,
    "no calendar": _ZONE + _EVENT,
    "nothing behind": _BEGIN + _ZONE,
    "NUL behind": _BEGIN + _ZONE + b"X:\0\n" + _END,
    "an error before": b"BEGIN:VCALENDAR\nX\n" + _ZONE + _END,
    "an error behind": _BEGIN + _ZONE + b"X\n" + _END,
    "a zone that is not begun": _BEGIN + b"END:VTIMEZONE\n" + _EVENT + _END,
    "a zone in another component": _BEGIN + b"BEGIN:VEVENT\n" + _ZONE + b"END:VEVENT\n" + _END,
    "deep in the zone": _BEGIN + _ZONE.replace(b"END:STANDARD", b"BEGIN:A\nBEGIN:B\nEND:B\nEND:A\nEND:STANDARD") + _END,
}


@pytest.mark.parametrize("source", BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_beginning_that_is_known_is_read_as_before(source: bytes) -> None:
    _both_ways(source)


@pytest.mark.parametrize("path", FILES, ids=sample_id)
def test_real_files_with_a_known_beginning_are_read_as_before(path: object) -> None:
    _both_ways(path.read_bytes())  # type: ignore[attr-defined]


pieces = st.lists(
    st.sampled_from(
        [
            b"BEGIN:VCALENDAR",
            b"END:VCALENDAR",
            _ZONE.strip(),
            b"BEGIN:VTIMEZONE",
            b"END:VTIMEZONE",
            b" x",
            b"",
            b"A:1",
            b"A",
        ]
    ),
    max_size=12,
)


@given(pieces, st.sampled_from([b"\n", b"\r\n", b"\r"]))
@settings(max_examples=300)
def test_any_beginning_is_read_as_before(pieces: list[bytes], eol: bytes) -> None:
    _both_ways(eol.join([b"BEGIN:VCALENDAR", *pieces]).replace(b"\n", eol))


@pytest.mark.parametrize(
    "limits",
    [*(Limits(lines=lines) for lines in range(15)), *(Limits(depth=n) for n in range(5)), Limits(size=100)],
    ids=str,
)
def test_limits_count_for_a_known_beginning(limits: Limits) -> None:
    assert _outcome(BEGINNINGS["plain"]) == _outcome(BEGINNINGS["plain"])
    _both_ways(BEGINNINGS["plain"], limits)


def test_the_objects_of_a_client_share_their_zone() -> None:
    first, second = (parse(BEGINNINGS["plain"].replace(b"UID:1", uid)) for uid in (b"UID:1", b"UID:2"))
    assert first.components[0] is second.components[0]
    assert first.components[1] != second.components[1]
    assert first.properties is not second.properties


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        b"A" + b"\n " * 200_000,
        b"A:" + b"\r\n \r\n\t" * 100_000,
        b"A;" + b'"' * 400_001,
        b"A" + b";P=," * 100_000 + b":x",
        b'A;P="' + b'","' * 100_000 + b":x",
        b"A;P=" + b"^" * 400_000 + b":x",
        b"A:" + b"\\" * 400_000 + b"\n",
        b"\n" * 400_000,
        b"\r" * 400_000,
        b" " * 400_000,
        b"BEGIN:" * 70_000,
    ],
    ids=range(11),
)
def test_time_is_linear_in_the_size_of_hostile_input(source: bytes) -> None:
    began = time.perf_counter()
    try:
        for line in scan(source):
            split_list(line.value)
            split_fields(line.value)
            text(line.value)
    except ICalendarError:
        pass
    assert time.perf_counter() - began < 2  # about 0.1 s on one slow core; quadratic time would be minutes


# --- real files ------------------------------------------------------------------------------------------------------

#: Files of the collection that are not made of content lines, and the first line that shows it.
BROKEN = {
    # A property whose name ends in an equals sign instead of a colon.
    "node-ical/event-with-valarm.ics": 6,
    # A quotation mark that opens in TZID and closes behind the value.
    "node-ical/ms_timezones.ics": 152,
    # A component that ends under a misspelt name.
    "recurring-ical-events/issue_201_test_matrix.ics": 11,
    # A continuation line that lost its leading space.
    "recurring-ical-events/issue_61_time_zone_error.ics": 211,
}


@pytest.mark.parametrize("path", FILES, ids=sample_id)
def test_real_files_are_read(path: object) -> None:
    name = sample_id(path)
    source = path.read_bytes()  # type: ignore[attr-defined]
    try:
        found = parse_stream(source)
    except ICalendarError as caught:
        assert BROKEN.get(name) == caught.line  # noqa: PT017
        return
    assert name not in BROKEN
    # Nothing lost: what is in the text is what was read, line by line.
    read = {line.start: line for c in found for inner in c.walk() for line in inner.properties}
    for line in scan(source, limits=Limits(size=1 << 30, lines=1 << 30)):
        assert line.name in {"BEGIN", "END"} or read[line.start] == line


@pytest.mark.parametrize("params", [";A=b" * 201, ";A=" + "b," * 2001 + "b"])
def test_a_line_has_so_many_parameters(params: str) -> None:
    with pytest.raises(ICalendarError, match="parameters"):
        parse(f"BEGIN:VCALENDAR\r\nX-A{params}:c\r\nEND:VCALENDAR\r\n".encode())
