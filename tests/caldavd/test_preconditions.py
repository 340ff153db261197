"""Every precondition of RFC 4791 section 5.3.2.1, the limits of 5.2.5 to 5.2.9 and the quota of RFC 4331, over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.store import Store
from tests.caldavd.client import Client, event, todo

CAL = "/calendars/u1/calendar/"
DAILY = "RRULE:FREQ=DAILY;COUNT=%d\r\n"
ATTENDEES = "ORGANIZER:mailto:u1@example.org\r\n" + "".join(
    f"ATTENDEE;SCHEDULE-AGENT=NONE:mailto:guest{number}@example.org\r\n" for number in range(5)
)
WITHOUT_UID = event("x").replace("UID:x\r\n", "")
METHOD = event("x").replace("VERSION:2.0", "VERSION:2.0\r\nMETHOD:REQUEST")


def two(first: str, second: str) -> str:
    """Two objects as one."""
    return first.replace("END:VCALENDAR\r\n", "") + second[second.index("BEGIN:VEVENT") :]


@pytest.mark.parametrize(
    ("body", "condition"),
    [
        ("no calendar", "valid-calendar-data"),
        (event("x").replace("END:VEVENT", "END:VTODO"), "valid-calendar-data"),
        (event("x").replace("DTSTART:20260310T120000Z", "DTSTART:tomorrow"), "valid-calendar-data"),
        (METHOD, "valid-calendar-object-resource"),
        (WITHOUT_UID, "valid-calendar-object-resource"),
        (two(event("x"), event("y")), "valid-calendar-object-resource"),
        (todo("x"), "supported-calendar-component"),
        (event("x", extra="RRULE:RSCALE=CHINESE;FREQ=YEARLY\r\n"), "supported-rscale"),
    ],
)
def test_what_a_put_must_be(u1: Client, body: str, condition: str) -> None:
    answer = u1.put(CAL + "x.ics", body)
    assert (answer.status, answer.conditions) == (403, [condition])
    assert len(answer.xpath("string(//D:responsedescription)")) > 20
    assert u1.request("GET", CAL + "x.ics").status == 404


def test_a_line_that_cannot_be_read_is_named(u1: Client) -> None:
    broken = event("x").replace("DTSTART:20260310T120000Z", "DTSTART:tomorrow")
    line = broken[: broken.index("tomorrow")].count("\r\n") + 1
    assert f"line {line}" in u1.put(CAL + "x.ics", broken).xpath("string(//D:responsedescription)").lower()


@pytest.mark.parametrize("content_type", ["text/vcard", "application/json", "text/calendar; charset=utf-16"])
def test_supported_calendar_data(u1: Client, content_type: str) -> None:
    answer = u1.put(CAL + "x.ics", event("x"), Content_Type=content_type)
    assert (answer.status, answer.conditions) == (403, ["supported-calendar-data"])


@pytest.mark.parametrize(
    ("limits", "fine", "too_much", "condition"),
    [
        (
            {"max_resource_size": 400},
            event("x"),
            event("x", extra="COMMENT:" + "y" * 500 + "\r\n"),
            "max-resource-size",
        ),
        (
            {"min_date_time": "20200101T000000Z"},
            event("x", start="20200102T000000Z"),
            event("x", start="20191231T000000Z"),
            "min-date-time",
        ),
        (
            {"max_date_time": "20300101T000000Z"},
            event("x", start="20291230T000000Z"),
            event("x", start="20300102T000000Z"),
            "max-date-time",
        ),
        ({"max_instances": 10}, event("x", extra=DAILY % 10), event("x", extra=DAILY % 11), "max-instances"),
        (
            {"max_attendees_per_instance": 4},
            event("x", extra=ATTENDEES.replace("ATTENDEE;SCHEDULE-AGENT=NONE:mailto:guest4@example.org\r\n", "")),
            event("x", extra=ATTENDEES),
            "max-attendees-per-instance",
        ),
    ],
)
def test_limits(
    with_limits: Callable[..., Client], limits: dict[str, object], fine: str, too_much: str, condition: str
) -> None:
    client = with_limits(**limits)
    assert client.put(CAL + "x.ics", fine).status == 201
    answer = client.put(CAL + "x.ics", too_much)
    assert (answer.status, answer.conditions) == (403, [condition])
    kept = client.request("GET", CAL + "x.ics").body
    assert kept == fine.encode()
    told = client.propfind(CAL, f"<C:{condition}/>").prop(CAL, f"C:{condition}")
    assert told is not None
    assert told.text == str(next(iter(limits.values())))


def test_the_limits_are_properties_of_a_calendar(u1: Client) -> None:
    names = ["max-resource-size", "min-date-time", "max-date-time", "max-instances", "max-attendees-per-instance"]
    names += ["supported-calendar-component-set", "supported-calendar-data", "supported-collation-set"]
    answer = u1.propfind(CAL, "".join(f"<C:{name}/>" for name in names))
    assert all(answer.prop(CAL, f"C:{name}") is not None for name in names)
    types = answer.xpath("//C:supported-calendar-data/C:calendar-data/@content-type")
    assert set(types) == {"text/calendar", "application/calendar+json"}
    assert {"i;ascii-casemap", "i;octet"} <= set(answer.xpath("//C:supported-collation/text()"))
    for name in names[:5]:
        refused = u1.proppatch(CAL, set=f"<C:{name}>1</C:{name}>")
        assert refused.status_of(CAL, f"C:{name}") == 403


ZONE = (
    "BEGIN:VTIMEZONE\r\nTZID:X\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\n"
    "END:STANDARD\r\nEND:VTIMEZONE\r\n"
)


def test_a_time_zone_that_is_none(u1: Client) -> None:
    """RFC 4791 section 5.2.2: exactly a single VTIMEZONE component."""
    alone = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\n" + ZONE + "END:VCALENDAR\r\n"
    fine = u1.proppatch(CAL, set=f"<C:calendar-timezone>{alone}</C:calendar-timezone>")
    assert fine.status_of(CAL, "C:calendar-timezone") == 200
    beside = event("x").replace("BEGIN:VEVENT", f"{ZONE}BEGIN:VEVENT")
    for value in ("nonsense", event("x"), beside, alone.replace(ZONE, ZONE + ZONE)):
        answer = u1.proppatch(CAL, set=f"<C:calendar-timezone>{value}</C:calendar-timezone>")
        assert answer.status_of(CAL, "C:calendar-timezone") == 403
        assert answer.xpath("//D:error/C:valid-calendar-data")


def test_quota(u1: Client, store: Store) -> None:
    """RFC 4331 sections 3, 4 and 6."""
    store.run(lambda tx: tx.homes.set_quota(tx.homes.lock_of(["u1"])["u1"].id, 1000), write=True)
    home = "/calendars/u1/"
    quota = "<D:quota-available-bytes/><D:quota-used-bytes/>"
    assert u1.put(CAL + "x.ics", event("x")).status == 201
    told = u1.propfind(home, quota)
    used = int(told.xpath("string(//D:quota-used-bytes)"))
    assert used == len(event("x"))
    assert int(told.xpath("string(//D:quota-available-bytes)")) == 1000 - used
    answer = u1.put(CAL + "y.ics", event("y", extra="COMMENT:" + "y" * 900 + "\r\n"))
    assert (answer.status, answer.conditions) == (507, ["quota-not-exceeded"])
    assert u1.request("DELETE", CAL + "x.ics").status == 204
    assert u1.propfind(home, quota).xpath("string(//D:quota-used-bytes)") == "0"
    assert u1.request("PROPFIND", home, Depth="0").xpath("count(//D:quota-used-bytes)") == 0
    refused = u1.proppatch(home, set="<D:quota-available-bytes>5</D:quota-available-bytes>")
    assert refused.status_of(home, "D:quota-available-bytes") == 403


def test_without_a_quota_there_are_no_properties(u1: Client) -> None:
    answer = u1.propfind("/calendars/u1/", "<D:quota-available-bytes/><D:quota-used-bytes/>")
    assert answer.status_of("/calendars/u1/", "D:quota-available-bytes") == 404
