"""calendar-query, multiget and calendar-data over HTTP: RFC 4791 appendix B data, chapter 7, and jCal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caldavd.reports import calendar_query
from tests.caldavd.client import DECLARATIONS, Answer, Client, event

DATA = Path(__file__).parents[1] / "scheduling" / "ical" / "rfc4791"
CAL = "/calendars/u1/bernard/"
FILES = tuple(f"abcd{number}.ics" for number in range(1, 9))


@pytest.fixture
def bernard(u1: Client) -> Client:
    """A calendar with the data of appendix B."""
    assert u1.request("MKCALENDAR", CAL).status == 201
    for name in FILES[:7]:
        answer = u1.put(CAL + name, (DATA / name).read_bytes())
        assert answer.status == 201, (name, answer.body)
    return u1


def query(
    client: Client, inner: str, *, data: str = "", path: str = CAL, depth: str | None = "1", before: str = ""
) -> Answer:
    """A query with ``inner`` inside of VCALENDAR's comp-filter."""
    prop = f"<D:prop><D:getetag/>{data}</D:prop>"
    inside = f'{before}{prop}<C:filter><C:comp-filter name="VCALENDAR">{inner}</C:comp-filter></C:filter>'
    return client.report(path, "C:calendar-query", inside, depth=depth)


def names(answer: Answer) -> list[str]:
    assert answer.status == 207, answer.body
    return sorted(href.rpartition("/")[2] for href in answer.hrefs)


RANGE = '<C:time-range start="20060104T000000Z" end="20060105T000000Z"/>'


def comp(name: str, inner: str = "") -> str:
    return f'<C:comp-filter name="{name}">{inner}</C:comp-filter>'


def prop(name: str, inner: str = "") -> str:
    return f'<C:prop-filter name="{name}">{inner}</C:prop-filter>'


def test_7_8_1_partial_retrieval_by_time_range(bernard: Client) -> None:
    data = (
        '<C:calendar-data><C:comp name="VCALENDAR"><C:prop name="VERSION"/><C:comp name="VEVENT">'
        '<C:prop name="SUMMARY"/><C:prop name="UID"/><C:prop name="DTSTART"/><C:prop name="DTEND"/>'
        '<C:prop name="DURATION"/><C:prop name="RRULE"/><C:prop name="RDATE"/><C:prop name="EXRULE"/>'
        '<C:prop name="EXDATE"/><C:prop name="RECURRENCE-ID"/></C:comp><C:comp name="VTIMEZONE"/></C:comp>'
        "</C:calendar-data>"
    )
    answer = query(bernard, comp("VEVENT", RANGE), data=data)
    assert names(answer) == ["abcd2.ics", "abcd3.ics"]
    text = answer.xpath(f"string(//D:response[D:href='{CAL}abcd2.ics']//C:calendar-data)")
    assert "SUMMARY:Event #2\n" in text
    assert "BEGIN:VTIMEZONE" in text
    assert "PRODID" not in text
    assert "DTSTAMP" not in text


def test_7_8_2_limit_recurrence_set(bernard: Client) -> None:
    limit = (
        '<C:calendar-data><C:limit-recurrence-set start="20060103T000000Z" end="20060105T000000Z"/></C:calendar-data>'
    )
    span = '<C:time-range start="20060103T000000Z" end="20060105T000000Z"/>'
    answer = query(bernard, comp("VEVENT", span), data=limit)
    text = answer.xpath(f"string(//D:response[D:href='{CAL}abcd2.ics']//C:calendar-data)")
    assert "Event #2 bis\n" in text
    assert "Event #2 bis bis" not in text


def test_7_8_3_expand(bernard: Client) -> None:
    data = '<C:calendar-data><C:expand start="20060103T000000Z" end="20060105T000000Z"/></C:calendar-data>'
    span = '<C:time-range start="20060103T000000Z" end="20060105T000000Z"/>'
    answer = query(bernard, comp("VEVENT", span), data=data)
    text = answer.xpath(f"string(//D:response[D:href='{CAL}abcd2.ics']//C:calendar-data)")
    assert text.count("BEGIN:VEVENT") == 2
    assert "RECURRENCE-ID:20060103T170000Z" in text
    assert "VTIMEZONE" not in text


def test_7_8_5_todos_by_alarm(bernard: Client) -> None:
    # The RFC's example asks from 06T10 on and expects the task, but its alarm goes off at 20060105T235000.
    span = '<C:time-range start="20060105T100000Z" end="20060106T100000Z"/>'
    assert names(query(bernard, comp("VTODO", comp("VALARM", span)))) == ["abcd5.ics"]


def test_7_8_6_event_by_uid(bernard: Client) -> None:
    match = '<C:text-match collation="i;octet">DC6C50A017428C5216A2F1CD@example.com</C:text-match>'
    assert names(query(bernard, comp("VEVENT", prop("UID", match)))) == ["abcd3.ics"]


def test_7_8_7_events_by_partstat(bernard: Client) -> None:
    who = '<C:text-match collation="i;ascii-casemap">mailto:lisa@example.com</C:text-match>'
    partstat = '<C:text-match collation="i;ascii-casemap">NEEDS-ACTION</C:text-match>'
    param = f'<C:param-filter name="PARTSTAT">{partstat}</C:param-filter>'
    assert names(query(bernard, comp("VEVENT", prop("ATTENDEE", who + param)))) == ["abcd3.ics"]


def test_7_8_8_events_only(bernard: Client) -> None:
    assert names(query(bernard, comp("VEVENT"))) == ["abcd1.ics", "abcd2.ics", "abcd3.ics"]


@pytest.mark.parametrize("component", ["VEVENT", "VTODO", "VJOURNAL"])
def test_all_of_a_component_are_found_without_their_texts(
    bernard: Client, monkeypatch: pytest.MonkeyPatch, component: str
) -> None:
    by_text = names(query(bernard, comp(component, '<C:prop-filter name="UID"/>')))
    monkeypatch.setattr(calendar_query, "_passes", None)
    assert names(query(bernard, comp(component))) == by_text
    assert len(by_text) == {"VEVENT": 3, "VTODO": 4}.get(component, 0)


def test_7_8_9_pending_todos(bernard: Client) -> None:
    pending = prop("COMPLETED", "<C:is-not-defined/>") + prop(
        "STATUS", '<C:text-match negate-condition="yes">CANCELLED</C:text-match>'
    )
    assert names(query(bernard, comp("VTODO", pending))) == ["abcd4.ics", "abcd5.ics"]


def test_7_8_10_unsupported_filter(bernard: Client) -> None:
    nonsense = query(bernard, prop("X-ABC-GUID", '<C:time-range start="20060106T100000Z"/>'))
    assert nonsense.status == 403
    assert nonsense.conditions[0] in ("supported-filter", "valid-filter")
    collation = query(bernard, comp("VEVENT", prop("UID", '<C:text-match collation="i;none">x</C:text-match>')))
    assert collation.conditions == ["supported-collation"]


def test_7_9_1_multiget(bernard: Client) -> None:
    inner = (
        f"<D:prop><D:getetag/><C:calendar-data/></D:prop><D:href>{CAL}abcd1.ics</D:href><D:href>{CAL}mtg1.ics</D:href>"
    )
    answer = bernard.report(CAL, "C:calendar-multiget", inner)
    assert answer.hrefs == [CAL + "abcd1.ics", CAL + "mtg1.ics"]
    assert answer.status_of(CAL + "mtg1.ics") == 404
    text = answer.xpath(f"string(//D:response[D:href='{CAL}abcd1.ics']//C:calendar-data)")
    assert text.encode() == (DATA / "abcd1.ics").read_bytes()


def test_depth_and_no_component_name(bernard: Client) -> None:
    for depth in (None, "0", "1", "infinity"):
        assert len(names(query(bernard, "", depth=depth))) >= 7
    assert names(query(bernard, comp("VEVENT"), path="/calendars/u1/", depth="infinity")) == [
        "abcd1.ics", "abcd2.ics", "abcd3.ics",
    ]  # fmt: skip
    assert names(query(bernard, comp("VEVENT"), path="/calendars/u1/", depth="0")) == []
    assert names(query(bernard, comp("VEVENT"), path=CAL + "abcd1.ics", depth="0")) == ["abcd1.ics"]
    assert names(query(bernard, comp("VTODO"), path=CAL + "abcd1.ics", depth="0")) == []


def test_floating_times_take_the_zone_of_the_query_or_the_calendar(u1: Client) -> None:
    floating = event("f", start="20060104T230000")  # 22:00Z in Berlin (the owner's zone), 05th 04:00Z in New York
    u1.put("/calendars/u1/calendar/f.ics", floating)
    path = "/calendars/u1/calendar/"
    day = comp("VEVENT", '<C:time-range start="20060105T030000Z" end="20060105T060000Z"/>')
    assert names(query(u1, day, path=path)) == []
    assert names(query(u1, day, path=path, before="<C:timezone-id>America/New_York</C:timezone-id>")) in ([], ["f.ics"])
    assert u1.proppatch(path, set="<C:calendar-timezone-id>America/New_York</C:calendar-timezone-id>").status == 207
    assert names(query(u1, day, path=path)) == ["f.ics"]


def test_jcal(u1: Client) -> None:
    path = "/calendars/u1/calendar/j.ics"
    text = event("j", summary="Grüße")
    u1.put(path, text)
    plain = u1.request("GET", path)
    answer = u1.request("GET", path, Accept="application/calendar+json")
    assert answer.headers["Content-Type"] == "application/calendar+json"
    assert answer.headers["ETag"] != plain.headers["ETag"]
    assert "Accept" in answer.headers["Vary"]
    assert (
        u1.request("GET", path, Accept="application/calendar+json", If_None_Match=answer.headers["ETag"]).status == 304
    )
    assert u1.request("GET", path, Accept="text/calendar, application/calendar+json").body == text.encode()

    calendar = json.loads(answer.body)
    summary = next(prop for prop in calendar[2][0][1] if prop[0] == "summary")
    summary[3] = "Neu"
    stale = u1.request("PUT", path, json.dumps(calendar), Content_Type="application/calendar+json", If_Match='"x-jcal"')
    assert stale.status == 412
    written = u1.request(
        "PUT", path, json.dumps(calendar), Content_Type="application/calendar+json", If_Match=answer.headers["ETag"]
    )
    assert written.status == 204
    assert "ETag" not in written.headers
    assert "SUMMARY:Neu\r\n" in u1.request("GET", path).body.decode()
    broken = u1.request("PUT", path, '["vcalendar"', Content_Type="application/calendar+json")
    assert broken.conditions == ["valid-calendar-data"]

    data = '<C:calendar-data content-type="application/calendar+json"/>'
    found = query(u1, comp("VEVENT"), data=data, path="/calendars/u1/calendar/")
    assert json.loads(found.xpath("string(//C:calendar-data)"))[0] == "vcalendar"
    other = query(u1, comp("VEVENT"), data='<C:calendar-data content-type="text/x"/>', path="/calendars/u1/calendar/")
    assert other.conditions == ["supported-calendar-data"]


ALL = '<C:filter><C:comp-filter name="VCALENDAR"/></C:filter>'


@pytest.mark.parametrize(
    ("report", "rest"),
    [("C:calendar-query", ALL), ("C:calendar-multiget", f"<D:href>{CAL}abcd1.ics</D:href>")],
)
def test_allprop_and_propname_in_a_report(bernard: Client, report: str, rest: str) -> None:
    """RFC 4791 9.5 and 9.10: the three forms of a PROPFIND; allprop never brings calendar-data (9.6)."""
    assert bernard.proppatch(CAL + "abcd1.ics", set='<X:mark xmlns:X="urn:x">red</X:mark>').status == 207
    everything = bernard.report(CAL, report, f"<D:allprop/>{rest}", depth=1)
    listed = bernard.request("PROPFIND", CAL + "abcd1.ics", Depth="0")
    ours = f"//D:response[D:href='{CAL}abcd1.ics']//D:prop/*"
    assert [one.tag for one in everything.xpath(ours)] == [one.tag for one in listed.xpath(ours)]
    assert "{urn:x}mark" in [one.tag for one in everything.xpath(ours)]
    assert not everything.xpath("//C:calendar-data")
    etag = everything.prop(CAL + "abcd1.ics", "D:getetag")
    assert etag is not None
    assert etag.text
    only_names = bernard.report(CAL, report, f"<D:propname/>{rest}", depth=1)
    found = only_names.xpath(ours)
    assert {"{DAV:}getetag", "{DAV:}owner", "{urn:x}mark"} <= {one.tag for one in found}
    assert not any(one.text or len(one) for one in found)


def test_a_multiget_of_a_collection_names_it_as_it_was_sent(bernard: Client) -> None:
    answer = bernard.report(CAL, "C:calendar-multiget", f"<D:prop><D:getetag/></D:prop><D:href>{CAL}sub/</D:href>")
    assert answer.hrefs == [CAL + "sub/"]
    assert answer.status_of(CAL + "sub/") == 404


@pytest.mark.parametrize(
    ("attributes", "condition"),
    [
        ('start="18991231T235959Z"', "min-date-time"),
        ('end="20500101T000001Z"', "max-date-time"),
        ('start="19000101T000000Z" end="20500101T000000Z"', None),
    ],
)
def test_ranges_lie_within_the_dates_that_are_advertised(
    with_limits: Callable[..., Client], attributes: str, condition: str | None
) -> None:
    """RFC 4791 7.8 and 7.9: every element that specifies a range of time."""
    client = with_limits(min_date_time="19000101T000000Z", max_date_time="20500101T000000Z")
    path = "/calendars/u1/calendar/"
    answer = query(client, comp("VEVENT", f"<C:time-range {attributes}/>"), path=path)
    assert (answer.status, answer.conditions) == ((403, [condition]) if condition else (207, []))
    both = attributes if "start" in attributes else f'start="20260101T000000Z" {attributes}'
    both = both if "end" in both else f'{both} end="20260102T000000Z"'
    inner = f"<D:prop><C:calendar-data><C:expand {both}/></C:calendar-data></D:prop><D:href>{path}a.ics</D:href>"
    answer = client.report(path, "C:calendar-multiget", inner)
    assert (answer.status, answer.conditions) == ((403, [condition]) if condition else (207, []))


def test_a_sync_says_that_it_was_minimal(bernard: Client) -> None:
    """RFC 7240 3, RFC 8144 2.1: what is not there is left out, and the answer says so."""
    inner = "<D:sync-token/><D:sync-level>1</D:sync-level><D:prop><D:getetag/><D:nonesuch/></D:prop>"
    answer = bernard.report(CAL, "D:sync-collection", inner, Prefer="return=minimal")
    assert answer.headers["Preference-Applied"] == "return=minimal"
    assert not answer.xpath("//D:nonesuch")
    assert len(answer.hrefs) == len(FILES) - 1


@pytest.mark.parametrize(
    ("prefer", "minimal"),
    [("return=minimal, return=representation", True), ("return=representation, return=minimal", False)],
)
def test_of_one_preference_sent_twice_the_first_counts(bernard: Client, prefer: str, minimal: bool) -> None:
    """RFC 7240 2."""
    answer = bernard.propfind(CAL, "<D:displayname/><D:nonesuch/>", Prefer=prefer)
    assert bool(answer.xpath("//D:nonesuch")) is not minimal
    assert ("Preference-Applied" in answer.headers) is minimal


BUSY = "/calendars/u1/busy/"


def test_stored_busy_times(u1: Client) -> None:
    """RFC 4791 4.1, 7.8.4, 7.10: a calendar that was made for VFREEBUSY takes them, the others do not."""
    wanted = '<C:supported-calendar-component-set><C:comp name="VFREEBUSY"/></C:supported-calendar-component-set>'
    body = f"<C:mkcalendar {DECLARATIONS}><D:set><D:prop>{wanted}</D:prop></D:set></C:mkcalendar>"
    assert u1.request("MKCALENDAR", BUSY, body).status == 201
    kept = u1.propfind(BUSY, "<C:supported-calendar-component-set/>")
    assert kept.xpath("//C:comp/@name") == ["VFREEBUSY"]
    assert u1.put(BUSY + "8.ics", (DATA / FILES[7]).read_bytes()).status == 201
    refused = u1.put("/calendars/u1/calendar/8.ics", (DATA / FILES[7]).read_bytes())
    assert refused.conditions == ["supported-calendar-component"]

    limit = '<C:limit-freebusy-set start="20060102T000000Z" end="20060103T000000Z"/>'
    data = f"<C:calendar-data>{limit}</C:calendar-data>"
    span = '<C:time-range start="20060102T000000Z" end="20060103T000000Z"/>'
    answer = query(u1, comp("VFREEBUSY", span), data=data, path=BUSY)
    assert names(answer) == ["8.ics"]
    text = answer.xpath("string(//C:calendar-data)")
    assert [line for line in text.splitlines() if line.startswith("FREEBUSY")] == [
        "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20060102T100000Z/20060102T120000Z"
    ]
    later = '<C:time-range start="20080102T000000Z" end="20080103T000000Z"/>'
    assert names(query(u1, comp("VFREEBUSY", later), path=BUSY)) == []

    told = u1.report("/calendars/u1/", "C:free-busy-query", span, depth=1).body.decode()
    assert "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20060102T100000Z/20060102T120000Z\r\n" in told


_ALARM = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:x\r\nTRIGGER:{0}\r\nEND:VALARM\r\n"
#: What is at the edges of 2026-03-10 to 2026-03-11, all of it UTC or floating.
_AT_THE_EDGES = {
    "inside": "DTSTART:20260310T100000Z\r\nDTEND:20260310T110000Z\r\n",
    "over-the-start": "DTSTART:20260309T230000Z\r\nDTEND:20260310T010000Z\r\n",
    "up-to-the-start": "DTSTART:20260309T230000Z\r\nDTEND:20260310T000000Z\r\n",
    "up-to-the-end": "DTSTART:20260310T230000Z\r\nDTEND:20260311T000000Z\r\n",
    "from-the-end": "DTSTART:20260311T000000Z\r\nDTEND:20260311T010000Z\r\n",
    "a-moment-at-the-start": "DTSTART:20260310T000000Z\r\n",
    "a-moment-at-the-end": "DTSTART:20260311T000000Z\r\n",
    "a-moment-at-the-end-with-alarm": f"DTSTART:20260311T000000Z\r\n{_ALARM.format('-PT15M')}",
    "alarm-inside-only": f"DTSTART:20260311T000000Z\r\nDTEND:20260311T010000Z\r\n{_ALARM.format('-PT15M')}",
    "alarm-after": f"DTSTART:20260310T100000Z\r\nDTEND:20260310T110000Z\r\n{_ALARM.format('P3D')}",
    "all-day": "DTSTART;VALUE=DATE:20260310\r\n",
    "all-day-after": "DTSTART;VALUE=DATE:20260311\r\n",
    "floating": "DTSTART:20260310T120000\r\nDURATION:PT1H\r\n",
    "floating-late": "DTSTART:20260310T233000\r\nDURATION:PT1H\r\n",
    "gone": "DTSTART:20260310T100000Z\r\nEXDATE:20260310T100000Z\r\n",
    "all-gone": "DTSTART:20260310T100000Z\r\nRRULE:FREQ=HOURLY;COUNT=2\r\nEXDATE:20260310T100000Z,20260310T110000Z\r\n",
    "again": "DTSTART:20260303T100000Z\r\nDTEND:20260303T110000Z\r\nRRULE:FREQ=WEEKLY;COUNT=2\r\n",
    "for-ever": "DTSTART:19900101T100000Z\r\nDTEND:19900101T110000Z\r\nRRULE:FREQ=DAILY\r\n",
    "on-mondays": "DTSTART:20200106T100000Z\r\nDTEND:20200106T110000Z\r\nRRULE:FREQ=WEEKLY\r\n",
    "on-free-tuesdays": "DTSTART;VALUE=DATE:20200107\r\nTRANSP:TRANSPARENT\r\nRRULE:FREQ=WEEKLY\r\n",
    "too-often": "DTSTART:20260301T003000Z\r\nDURATION:PT1M\r\nRRULE:FREQ=HOURLY;UNTIL=20260401T000000Z\r\n",
}


@pytest.mark.parametrize("zone", ["", "<C:timezone-id>Pacific/Auckland</C:timezone-id>"])
def test_what_rows_decide_is_what_texts_say(u1: Client, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    for name, times in _AT_THE_EDGES.items():
        body = event(name).replace("DTSTART:20260310T120000Z\r\nDURATION:PT1H\r\n", times)
        assert body.count("DTSTART") == 1
        assert u1.put(f"/calendars/u1/calendar/{name}.ics", body).status == 201
    decided: list[bool | None] = []

    def watched(*args: Any) -> bool | None:
        decided.append(told(*args))
        return decided[-1]

    def undecided(*_: Any) -> None:
        return None

    told = calendar_query._told
    answers = []
    for way in (watched, undecided):
        monkeypatch.setattr(calendar_query, "_told", way)
        for data in ("", "<C:calendar-data/>"):
            span = '<C:time-range start="20260310T000000Z" end="20260311T000000Z"/>'
            inner = f'<C:comp-filter name="VEVENT">{span}</C:comp-filter>'
            answers.append(query(u1, inner, data=data, path="/calendars/u1/calendar/", before=zone))
    assert answers[0].body == answers[2].body
    assert answers[1].body == answers[3].body
    assert names(answers[0]) == names(answers[1])
    assert {True, False, None} == set(decided)
    found = {name.removesuffix(".ics") for name in names(answers[0])}
    assert {"inside", "over-the-start", "up-to-the-end", "a-moment-at-the-start", "again", "alarm-after"} <= found
    assert {"for-ever", "on-free-tuesdays", "too-often"} <= found
    gone = {"up-to-the-start", "from-the-end", "a-moment-at-the-end", "a-moment-at-the-end-with-alarm", "gone"}
    assert not found & (gone | {"all-gone", "alarm-inside-only", "on-mondays"})
