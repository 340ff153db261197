from __future__ import annotations

from pathlib import Path

import pytest

from scheduling.ical.join import join
from scheduling.ical.lines import parse
from scheduling.ical.split import Metadata, split
from scheduling.ical.validate import KINDS, check_values
from tests.scheduling.ical.samples import FILES, calendar, event, sample_id


def zone(tzid: str, offset: str = "+0100") -> str:
    return (
        f"BEGIN:VTIMEZONE\nTZID:{tzid}\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:{offset}\n"
        f"TZOFFSETTO:{offset}\nEND:STANDARD\nEND:VTIMEZONE\n"
    )


def zoned(uid: str, tzid: str) -> str:
    return f"BEGIN:VEVENT\nUID:{uid}\nDTSTART;TZID={tzid}:20260101T090000\nEND:VEVENT\n"


def test_an_empty_calendar() -> None:
    assert b"".join(join([])) == (
        b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//caldavd//caldavd//EN\r\nCALSCALE:GREGORIAN\r\nEND:VCALENDAR\r\n"
    )


def test_the_header_names_the_calendar() -> None:
    metadata = Metadata(name="Work; mostly", description="d", timezone="Europe/Berlin", color="#FF0000FF")
    first, last = join([], metadata=metadata, prodid="-//x//y")
    assert first.decode().splitlines()[2:] == [
        "PRODID:-//x//y",
        "CALSCALE:GREGORIAN",
        "NAME:Work\\; mostly",
        "X-WR-CALNAME:Work\\; mostly",
        "DESCRIPTION:d",
        "X-WR-CALDESC:d",
        "X-WR-TIMEZONE:Europe/Berlin",
        "X-APPLE-CALENDAR-COLOR:#FF0000FF",
    ]
    assert last == b"END:VCALENDAR\r\n"
    assert b"\r\nCOLOR:tomato\r\n" in next(join([], metadata=Metadata(color="tomato")))
    assert split(b"".join([first, last])).metadata == metadata


def test_each_object_is_one_chunk_and_each_zone_comes_once() -> None:
    chunks = list(
        join(
            [
                calendar("METHOD:X\nX-A:1\n" + zone("A") + zoned("1", "A")),
                calendar(zone("A") + zone("B") + zoned("2", "A") + zoned("2b", "B")),
                calendar(event("UID:3\nSUMMARY:a\n  b")).replace(b"\r\n", b"\n"),
            ]
        )
    )
    assert [chunk.decode().replace("\r\n", "\n") for chunk in chunks[1:-1]] == [
        zone("A") + zoned("1", "A"),
        zone("B") + zoned("2", "A") + zoned("2b", "B"),
        event("UID:3\nSUMMARY:a\n  b"),
    ]
    assert all(chunk.endswith(b"\r\n") and chunk.count(b"\n") == chunk.count(b"\r\n") for chunk in chunks)


def test_one_tzid_with_two_meanings_is_told_apart() -> None:
    objects = [
        calendar(zone("Customized Time Zone") + zoned("1", "Customized Time Zone")),
        calendar(zone("Customized Time Zone", "+0200") + zoned("2", "Customized Time Zone")),
        calendar(zone("Customized Time Zone", "+0200") + zoned("3", "Customized Time Zone")),
    ]
    joined = parse(b"".join(join(objects)))
    zones = {item.first("TZID").value: item for item in joined.components if item.name == "VTIMEZONE"}  # type: ignore[union-attr]
    used = [item.first("DTSTART").param("TZID") for item in joined.components if item.name == "VEVENT"]  # type: ignore[union-attr]
    assert len(zones) == 2
    assert used[0] == "Customized Time Zone"
    assert used[1] == used[2] != used[0]
    assert zones[used[1] or ""].components[0].first("TZOFFSETTO").value == "+0200"  # type: ignore[union-attr]


def test_a_known_zone_has_one_meaning() -> None:
    objects = [
        calendar(zone("Europe/Berlin", offset) + zoned(offset, "Europe/Berlin")) for offset in ("+0100", "+0200")
    ]
    assert b"".join(join(objects)).count(b"BEGIN:VTIMEZONE") == 1


@pytest.mark.parametrize(
    "source",
    [
        b"\xef\xbb\xbf" + calendar(zone("A") + zoned("1", "A")),
        calendar(zone("A") + zoned("1", "A")).replace(b"\r\n", b"\r"),
        calendar(zone("A") + zoned("1", "A")).replace(b"BEGIN:VT", b"BEGIN:V\r\n T"),
        calendar(zone("A") + zoned("1", "A")).replace(b"TZID:", b"tzid;\r\n X-A=b:\r\n "),
        b"  " + calendar(zone("A") + zoned("1", "A")).strip(),
    ],
    ids=range(5),
)
def test_unusual_texts_are_read_as_well(source: bytes) -> None:
    joined = parse(b"".join(join([source, source])))
    assert [item.name for item in joined.components] == ["VTIMEZONE", "VEVENT", "VEVENT"]


@pytest.mark.parametrize("path", FILES, ids=sample_id)
def test_what_was_split_and_joined_splits_again_into_the_same(path: Path) -> None:
    def bodies(objects: list[bytes]) -> list[bytes]:
        """The texts from the first component on, since the header is another one."""
        return [data[data.index(b"BEGIN:V", 5) :] for data in objects]

    objects = [item.data for item in split(path.read_bytes()).objects]
    joined = b"".join(join(objects))
    again = split(joined)
    assert bodies([item.data for item in again.objects]) == bodies(objects)
    assert again.rejections == []
    for item in parse(joined).components if objects else []:
        assert item.name in KINDS | {"VTIMEZONE"}
        check_values(item)
