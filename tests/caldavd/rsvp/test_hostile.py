"""What people write into meetings, forms and links stays what it is: text."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from scheduling.ical.lines import escape, fold
from storage.store import Transaction
from tests.caldavd.rsvp.conftest import CARLA, FORM, Office, links_in, meeting

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus=alert(1) autofocus='",
    "{name} {0} %s %(x)s ${y}",
    "</textarea></title></style><script>",
    "\u202egnp.exe\u2066",
    "&lt;b&gt; &amp;",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_stay_text(office: Office, value: str) -> None:
    text = meeting().replace("SUMMARY:Plan <b>A</b>", f"SUMMARY:{escape(value)}")
    for name in ("LOCATION", "DESCRIPTION", "URL"):
        text = text.replace("END:VEVENT", fold(f"{name}:{escape(value)}").decode() + "END:VEVENT", 1)
    text = text.replace("LOCATION:Room 5\r\n", "").replace("CN=Carla", 'CN="' + value.replace('"', "'") + '"')
    office.put(text)
    page = office.page(office.links()["accept"])
    proposing = office.page(page.path.replace("accept", "propose"))
    answered = page.send(do="maybe", comment=value)
    office.page(page.path.replace("accept", "propose")).send(
        do="propose", comment=value, begin_date="2027-03-11", end_date="2027-03-11"
    )
    deciding = office.page(office.links("u1@example.org")["agree"])
    wrong = proposing.send(do="propose", begin_date=value, begin_time=value, comment=value)
    for one in (page, answered, proposing, deciding, wrong):
        assert one.status in (200, 422), one.text
        assert not one.tree.xpath("//script | //img | //iframe | //b"), one.text
        attributes = {str(name) for element in one.tree.iter() for name in element.attrib}
        assert not {name for name in attributes if name.startswith("on") or name == "autofocus"}
        assert all(href.startswith("/rsvp/") for href in one.tree.xpath("//@href | //@action"))
        assert "\u202e" not in one.tree.xpath("//title")[0].text
    shown = re.sub(r"\s+", " ", re.sub("[\u202e\u2066]", " ", value)).strip()
    assert shown in " ".join(page.text.split())
    assert answered.fields["comment"] == re.sub("[\u202e\u2066]", "", value)


@pytest.mark.parametrize(
    "zone", ["../../etc/passwd", "Europe/Berlin\x00", "<b>", "A" * 5000, "posixrules", "Etc/GMT+5", "", "UTC+01:00"]
)
def test_zones_are_names_of_zones(office: Office, zone: str) -> None:
    office.put(meeting())
    path = office.links()["accept"]
    page = office.page(f"{path}?zone={quote(zone)}")
    assert page.status == 200
    assert not page.tree.xpath("//b")


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"do=accept&do=decline",
        b"=&=&=",
        b"do=%00",
        b"do=accept&seen=%ff%fe",
        b"do=propose&begin_date=%00",
        b"do=propose&for=99999999999999999999",
        b"do=propose&for=-1",
        b"do=accept&for=--1",
        b"do=accept&for=%C2%B2",  # a superscript two is a digit, and no number
        b"a" * 32_768,
        b"",
    ],
)
def test_no_form_breaks_the_server(office: Office, body: bytes) -> None:
    office.put(meeting())
    links = office.links()
    before = office.text()
    for path in links.values():
        answer = office.visitor.request("POST", path, body, Content_Type=FORM)
        assert 400 <= answer.status < 500, (path, answer.status)
        assert b"<main>" in answer.body
    assert office.text() == before


@pytest.mark.parametrize("chosen", ["--1", "-", "-" * 18 + "1", "\u0663", "9" * 18, "-1"])
def test_a_date_that_is_none_is_not_proposed_for(office: Office, chosen: str) -> None:
    office.put(meeting(more="RRULE:FREQ=DAILY;COUNT=3\r\n"))
    page = office.page(office.links()["propose"])
    assert page.send(do="propose", **{"for": chosen}, begin_date="2027-03-10", begin_time="09:00").status in (200, 409)


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_the_first_and_the_last_year_in_every_zone(office: Office, year: str) -> None:
    day = "0101" if year == "0001" else "1231"
    text = meeting(start=f"{year}{day}T003000", end=f"{year}{day}T220000")
    office.put(text.replace(";TZID=Europe/Berlin:", ":").replace("000\r\n", "000Z\r\n"))
    links = office.links()
    for path in (links["accept"], links["propose"]):
        for zone in ("Pacific/Kiritimati", "Pacific/Honolulu"):
            page = office.page(f"{path}?zone={quote(zone)}")
            assert (page.status, "Room 5" in page.text) == (200, True)


def test_a_proposal_that_lasts_for_ages_is_far_away(office: Office) -> None:
    office.put(meeting())
    page = office.page(office.links()["propose"])
    answer = page.send(do="propose", begin_date="2027-03-11", end_date="9999-12-31")
    assert answer.status == 422
    assert "COUNTER" not in {entry.method for entry in office.log()}


def test_an_organizer_who_has_gone(office: Office) -> None:
    office.put(meeting())
    path = office.links()["accept"]
    found = office.store.run(lambda tx: tx.principals.by_name("u1"), write=False)
    assert found is not None

    def remove(tx: Transaction) -> None:
        tx.homes.lock_of(["u1"])
        tx.principals.remove(found.id)

    office.store.run(remove, write=True)
    page = office.page(path)
    assert (page.status, "This meeting is no more" in page.text) == (410, True)
    assert office.visitor.request("POST", path, b"do=accept", Content_Type=FORM).status == 410


def test_a_mail_address_in_another_case_is_the_same_person(office: Office) -> None:
    office.put(meeting().replace(f"mailto:{CARLA}", "MAILTO:Carla@FAR.example"))
    ((to, mail),) = office.mails()
    assert to.casefold() == CARLA
    page = office.page(links_in(mail)["accept"])
    assert page.send(do="accept").status == 200
    assert "PARTSTAT=ACCEPTED" in next(line for line in office.text().splitlines() if "Carla@FAR" in line)
