from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from scheduling.ical import lenient
from scheduling.ical.lines import ICalendarError, Limits, parse
from scheduling.ical.split import Metadata, Split, split
from scheduling.ical.validate import validate
from tests.scheduling.ical.samples import FILES, calendar, event, sample_id

BERLIN = """BEGIN:VTIMEZONE
TZID:Berlin
BEGIN:STANDARD
DTSTART:16010101T000000
TZOFFSETFROM:+0100
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
"""


def said(found: Split) -> list[tuple[int, bool]]:
    return [(fault.line, fault.lost) for fault in found.faults]


def test_masters_and_overrides_come_together_with_the_zones_they_use() -> None:
    source = calendar(
        "PRODID:-//A//B\nVERSION:2.0\nMETHOD:PUBLISH\nX-WR-CALNAME:Work\\, mostly\nX-WR-TIMEZONE:Europe/Berlin\n"
        + BERLIN
        + BERLIN.replace("Berlin", "Unused")
        + "BEGIN:VEVENT\nUID:a\nDTSTART;TZID=Berlin:20260101T090000\nRRULE:FREQ=DAILY\nSUMMARY:Long\n  and folded\n"
        + "END:VEVENT\n"
        + event("UID:b")
        + "BEGIN:VEVENT\nUID:a\nRECURRENCE-ID;TZID=Berlin:20260102T090000\nDTSTART;TZID=Berlin:20260102T100000\n"
        + "END:VEVENT\n"
    )
    found = split(source)
    assert [(item.uid, item.kind, item.line) for item in found.objects] == [("a", "VEVENT", 23), ("b", "VEVENT", 30)]
    assert found.objects[0].data == (
        b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//A//B\r\n"
        + BERLIN.replace("\n", "\r\n").encode()
        + b"BEGIN:VEVENT\r\nUID:a\r\nDTSTART;TZID=Berlin:20260101T090000\r\nRRULE:FREQ=DAILY\r\nSUMMARY:Long\r\n"
        b"  and folded\r\nEND:VEVENT\r\n"
        b"BEGIN:VEVENT\r\nUID:a\r\nRECURRENCE-ID;TZID=Berlin:20260102T090000\r\nDTSTART;TZID=Berlin:20260102T100000\r\n"
        b"END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    assert b"VTIMEZONE" not in found.objects[1].data
    assert found.metadata == Metadata(name="Work, mostly", timezone="Europe/Berlin")
    assert (found.rejections, found.faults) == ([], [])


def test_several_calendars_make_one_import() -> None:
    source = (
        calendar("NAME:one\nCOLOR:tomato\nREFRESH-INTERVAL:P1D\n" + BERLIN + event("UID:a"))
        + calendar("NAME:two\n" + event("UID:b\nRDATE;TZID=Berlin:20260103T000000"))
        + calendar(event("UID:a\nRECURRENCE-ID:20260102T000000Z"))
    )
    found = split(source)
    assert [item.uid for item in found.objects] == ["a", "b"]
    assert found.objects[0].data.count(b"BEGIN:VEVENT") == 2
    assert b"TZID:Berlin" in found.objects[1].data  # defined in another VCALENDAR of the same file
    assert (found.metadata.name, found.metadata.color) == ("one", "tomato")
    assert [line.name for line in found.metadata.others] == ["REFRESH-INTERVAL"]


def test_events_without_uid_get_the_same_one_each_time() -> None:
    body = "SUMMARY:x\nDTSTAMP:20260101T000000Z\nSEQUENCE:1"
    first = split(calendar(event(body) + event(body) + event("UID: \nSUMMARY:y")))
    assert [item.line for item in first.objects] == [2, 14]
    assert first.objects[0].uid != first.objects[1].uid
    assert len(first.objects[0].uid) == 40
    assert said(first) == [(2, False), (8, False), (8, False), (14, False)]  # the second is the same as the first
    again = split(calendar("X-WR-CALNAME:z\n" + event("SUMMARY:x\nDTSTAMP:20270101T000000Z")))
    assert again.objects[0].uid == first.objects[0].uid
    assert validate(again.objects[0].data).uid == again.objects[0].uid
    assert split(again.objects[0].data).objects[0].data == again.objects[0].data


def test_of_several_versions_the_newest_is_taken() -> None:
    found = split(
        calendar(
            event("UID:a\nSEQUENCE:2\nSUMMARY:new")
            + event("UID:a\nSEQUENCE:1\nSUMMARY:old\nRDATE:20260105")
            + event("UID:b\nLAST-MODIFIED:20260101T000000Z\nX:1")
            + event("UID:b\nLAST-MODIFIED:20260102T000000Z\nX:2")
            + event("UID:c\nRECURRENCE-ID:20260101T000000Z\nSEQUENCE:1")
            + event("UID:c\nRECURRENCE-ID:20260101T000000Z\nSEQUENCE:0\nX:1")
        )
    )
    assert [(item.uid, item.line) for item in found.objects] == [("a", 2), ("b", 21), ("c", 27)]
    assert [(item.line, item.uid) for item in found.rejections] == [(8, "a"), (15, "b"), (33, "c")]
    assert "line 2" in found.rejections[0].message


def test_different_events_with_one_uid_are_all_taken_whatever_their_order() -> None:
    parts = [event("UID:a\nSUMMARY:one"), event("UID:a\nSUMMARY:two"), event("UID:a\nRECURRENCE-ID:20260101")]
    found = split(calendar("".join(parts)))
    assert len(found.objects) == 2
    assert found.rejections == []
    again = split(calendar("".join(reversed(parts))))
    assert {item.uid: Counter(item.data.splitlines()) for item in found.objects} == {
        item.uid: Counter(item.data.splitlines()) for item in again.objects
    }


def test_what_is_not_taken_is_said_with_its_line() -> None:
    found = split(
        calendar(
            event("UID:a\nDTEND:never")
            + "BEGIN:VTODO\nUID:b\nEND:VTODO\nBEGIN:VPOLL\nUID:c\nEND:VPOLL\n"
            + "BEGIN:VTIMEZONE\nTZID:X\nEND:VTIMEZONE\n"
            + event("UID:d\nRDATE;TZID=X:20260101T000000\nthis is no line\nBEGIN:VALARM\nTRIGGER:x\nEND:VALARM")
            + "BEGIN:VAVAILABILITY\nUID:e\nEND:VAVAILABILITY"
        ),
        supported={"VEVENT"},
    )
    assert [(item.line, item.kind, item.uid) for item in found.rejections] == [
        (2, "VEVENT", "a"),
        (7, "VTODO", "b"),
        (10, "VPOLL", "c"),
        (25, "VAVAILABILITY", "e"),
    ]
    assert "Line 4" in found.rejections[0].message
    assert [item.uid for item in found.objects] == ["d"]
    assert b"VALARM" not in found.objects[0].data
    # The zone without a definition, the time that uses it, the line, the alarm.
    assert said(found) == [(13, True), (18, False), (19, True), (21, True)]


def test_other_kinds_with_the_same_uid() -> None:
    found = split(calendar(event("UID:a") + "BEGIN:VTODO\nUID:a\nEND:VTODO"))
    assert [item.kind for item in found.objects] == ["VEVENT"]
    assert [item.line for item in found.rejections] == [6]


def test_other_versions_and_methods() -> None:
    found = split(calendar("VERSION:1.0\n" + event()) + calendar("METHOD:CANCEL\n" + event("UID:b")))
    assert [item.uid for item in found.objects] == ["b"]
    assert b"METHOD" not in found.objects[0].data
    assert b"PRODID" in found.objects[0].data
    assert [item.uid for item in found.rejections] == ["1"]
    assert said(found) == [(9, False)]


def test_a_web_page_is_one_fault() -> None:
    found = split(b"<!DOCTYPE html>\n<html>\n<p>not here\n</html>\n")
    assert (found.objects, said(found)) == ([], [(1, True)])
    assert "3 lines after it" in found.faults[0].message


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-8-sig"])
def test_other_codings(coding: str) -> None:
    written = calendar(event("UID:a\nSUMMARY:Büro")).decode()
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(coding, b"")
    found = split(mark + written.encode(coding))
    assert "SUMMARY:Büro\r\n".encode() in found.objects[0].data
    assert [fault.lost for fault in found.faults] == ([] if coding == "utf-8-sig" else [False])


def test_nul_characters_are_taken_out() -> None:
    found = split(calendar(event("UID:a\nSUMMARY:a\0b")))
    assert b"SUMMARY:ab\r\n" in found.objects[0].data
    assert said(found) == [(4, True)]


@pytest.mark.parametrize("eol", [b"\n", b"\r", b"\r\r\n"])
def test_line_ends_become_crlf(eol: bytes) -> None:
    source = calendar(event("UID:a\nSUMMARY:a\n b"))
    assert split(source.replace(b"\r\n", eol)).objects == split(source).objects


ONE = "BEGIN:VEVENT\nUID:1\nDTSTART:20260101\n"
TWO = "BEGIN:VEVENT\nUID:2\nDTSTART:20260101\n"


@pytest.mark.parametrize(
    ("body", "uids", "faults"),
    [
        # END is missing, of the event and of the alarm in it; misspelt; one too many.
        ("BEGIN:VCALENDAR\n" + ONE + TWO + "END:VEVENT\nEND:VCALENDAR", ["1", "2"], [(5, False)]),
        ("BEGIN:VCALENDAR\n" + ONE + "BEGIN:VALARM\nEND:VEVENT\nEND:VCALENDAR", ["1"], [(6, False)]),
        ("BEGIN:VCALENDAR\n" + ONE + "END:VEVNT\nEND:VCALENDAR", ["1"], [(5, False)]),
        ("BEGIN:VCALENDAR\n" + ONE + "END:VALARM\nEND:VEVENT\nEND:VCALENDAR", ["1"], [(5, False)]),
        # The text breaks off.
        ("BEGIN:VCALENDAR\n" + ONE + "END:VEVENT\n" + TWO + "SUMM", ["1"], [(1, False), (6, True), (9, True)]),
        # VCALENDAR twice, or not at all.
        ("BEGIN:VCALENDAR\nBEGIN:VCALENDAR\n" + ONE + "END:VEVENT\nEND:VCALENDAR", ["1"], [(2, False)]),
        (ONE + "END:VEVENT\n" + TWO + "END:VEVENT", ["1", "2"], [(1, False), (1, False)]),
        ("X:1\nY:2\nBEGIN:VCALENDAR\nEND:VCALENDAR\nZ:3", [], [(1, True), (5, True)]),
        ("BEGIN:VCALENDAR\n" + ONE + "BEGIN:\nEND:\nEND:VEVENT\nEND:VCALENDAR", ["1"], [(5, True), (6, False)]),
    ],
)
def test_components_that_do_not_pair(body: str, uids: list[str], faults: list[tuple[int, bool]]) -> None:
    found = split(body.encode())
    assert [item.uid for item in found.objects] == uids
    assert said(found) == faults
    assert found.rejections == []


def test_limits_hold() -> None:
    with pytest.raises(ICalendarError):
        split(calendar(event()), limits=Limits(size=20))
    with pytest.raises(ICalendarError):
        split(b"BEGIN:VCALENDAR\n" + b"BEGIN:X\n" * 20)


def components_in(source: bytes) -> int:
    found = lenient.read(source).calendars
    return sum(item.name != "VTIMEZONE" for one in found for item in one.components)


def accounted_for(found: Split) -> int:
    """Components that were taken, that were not, and that are the same as another."""
    taken = sum(item.name != "VTIMEZONE" for one in found.objects for item in parse(one.data).components)
    return taken + len(found.rejections) + sum("the same as" in fault.message for fault in found.faults)


@pytest.mark.parametrize("path", FILES, ids=sample_id)
def test_real_files_are_split_without_loss(path: Path) -> None:
    source = path.read_bytes()
    found = split(source)
    assert accounted_for(found) == components_in(source)
    assert found == split(source)
    uids = [item.uid for item in found.objects]
    assert len(set(uids)) == len(uids)
    for item in found.objects:
        read = validate(item.data, known_zone=lambda _: True)
        assert (read.uid, read.kind) == (item.uid, item.kind)
        (again,) = split(item.data).objects
        assert again.data == item.data


@pytest.mark.parametrize(
    "source",
    [
        b"".join(calendar(BERLIN + event(f"UID:{n}\nRDATE;TZID=Z{n}:20260101T000000")) for n in range(2000)),
        calendar(event("UID:1\nSUMMARY:x") * 5000),
        calendar("".join(event(f"UID:1\nSUMMARY:{n}") for n in range(5000))),
        calendar("".join(event(f"UID:1\nRECURRENCE-ID:20260101\nSUMMARY:{n}") for n in range(5000))),
        b"BEGIN:VCALENDAR\n" + b"BEGIN:VEVENT\n" * 20_000,
        b"<p>\n" * 50_000,
        b"X:\xff\n" * 20_000,
    ],
    ids=range(7),
)
def test_time_is_about_linear(source: bytes) -> None:
    began = time.perf_counter()
    found = split(source)
    assert accounted_for(found) == components_in(source)
    assert time.perf_counter() - began < 10  # about a second on one slow core


SOUP = [
    *["BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VTIMEZONE", "END:VTIMEZONE"],
    *["BEGIN:VALARM", "END:VALARM", "BEGIN:STANDARD", "END:VTODO", "BEGIN:VTODO", "END:X", "BEGIN:X", "BEGIN:", "END:"],
    *["UID:1", "UID:2", "UID:", "DTSTART:20260101", "DTSTART;TZID=Z:20260101T000000", "DTSTART:x", "TZID:Z", "X", " y"],
    *["SEQUENCE:1", "SEQUENCE:x", "RECURRENCE-ID:20260101", "SUMMARY:\udcff", "A\0B:c", "", "METHOD:REPLY", 'A;B="c:d'],
]


@given(st.lists(st.sampled_from(SOUP), max_size=25))
@settings(max_examples=500, deadline=None)
def test_whatever_the_text_every_component_is_accounted_for(lines: list[str]) -> None:
    source = "\n".join(lines).encode(errors="surrogateescape")
    found = split(source)
    assert accounted_for(found) == components_in(source)
    for item in found.objects:
        assert validate(item.data, known_zone=lambda _: True).uid == item.uid


@given(st.binary(max_size=300))
def test_whatever_the_bytes_splitting_ends(source: bytes) -> None:
    assert accounted_for(split(source)) == components_in(source)
