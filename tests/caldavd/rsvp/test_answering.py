"""An invitation that came by mail is answered on a page, without an account."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from tests.caldavd.rsvp.conftest import CARLA, FORM, Office, Page, links_in, meeting

Invited = Callable[..., Page]
DAILY = "RRULE:FREQ=DAILY;COUNT=5\r\n"


def partstat(text: str, address: str = CARLA) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith("ATTENDEE") and line.endswith(f"mailto:{address}")]
    return [line.partition("PARTSTAT=")[2].split(";")[0].split(":")[0] or "NEEDS-ACTION" for line in lines]


def test_the_mail_has_four_links_and_the_page_shows_the_meeting(invited: Invited, office: Office) -> None:
    page = invited("u2@example.org")
    assert page.status == 200
    assert page.text.startswith("Invitation Plan <b>A</b> Name of u1 invites you, carla@far.example. When")
    assert "Wednesday, 10 March 2027, 14:00-15:00 (Europe/Berlin, UTC+01:00)" in page.text
    assert "Room 5" in page.text
    assert "You have not answered yet." in page.text
    for name, chosen in (("maybe", "maybe"), ("decline", "decline"), ("accept", "accept")):
        (first,) = office.page(page.path.replace("accept", name)).tree.xpath("//button[@class='first']")
        assert first.get("value") == chosen


def test_looking_does_nothing(invited: Invited, office: Office) -> None:
    page = invited("u2@example.org", link="decline")
    before = (office.text(), len(office.log()))
    for path in (page.path, page.path.replace("/decline", ""), page.path.replace("decline", "propose")):
        assert office.page(path).status == 200
        assert office.visitor.request("HEAD", path).status == 200
    assert (office.text(), len(office.log())) == before


@pytest.mark.parametrize(
    ("button", "answer", "said"),
    [
        ("accept", "ACCEPTED", "You have accepted."),
        ("maybe", "TENTATIVE", "You have said that you may come."),
        ("decline", "DECLINED", "You have declined."),
    ],
)
def test_an_answer_reaches_the_organizer_and_the_others(
    invited: Invited, office: Office, button: str, answer: str, said: str
) -> None:
    after = invited("u2@example.org").send(do=button)
    assert after.status == 200
    assert "Your answer has been passed on to Name of u1." in after.text
    assert said in after.text
    assert partstat(office.text()) == [answer]
    assert partstat(office.text("u2")) == [answer]
    assert partstat(office.text(), "u2@example.org") == ["NEEDS-ACTION"]
    entry = next(entry for entry in office.log() if entry.method == "REPLY")
    assert (entry.actor, entry.status) == (f"mailto:{CARLA}", "1.2")
    assert "on the page" in entry.reason
    assert office.mails() == []


def test_the_same_answer_twice_changes_nothing(invited: Invited, office: Office) -> None:
    page = invited("u2@example.org")
    page.send(do="accept", comment="See you")
    before = (office.text(), office.text("u2"), office.log(), office.inbox("u1"))
    assert page.send(do="accept", comment="See you").status == 200
    assert (office.text(), office.text("u2"), office.log(), office.inbox("u1")) == before


def test_a_message_reaches_the_organizer_and_nobody_else(invited: Invited, office: Office) -> None:
    after = invited("u2@example.org").send(do="maybe", comment="Late; 5, or 10\nminutes\x00")
    assert after.fields["comment"] == "Late; 5, or 10\nminutes"
    assert r"mailto:carla@far.example" in office.text()
    assert r":Late\; 5\, or 10\nminutes" in office.text()
    assert r"COMMENT:Late\; 5\, or 10\nminutes" in office.inbox("u1")[0]
    assert "Late" not in office.text("u2")
    again = after.send(do="accept", comment="")
    assert "Late" not in office.text()
    assert again.fields["comment"] == ""


def test_a_message_that_is_too_long_is_not_cut(invited: Invited, office: Office) -> None:
    after = invited().send(do="accept", comment="x" * 2001)
    assert after.status == 422
    assert "2000 characters" in after.text
    assert after.fields["comment"] == "x" * 2001
    assert partstat(office.text()) == ["NEEDS-ACTION"]


def test_an_answer_to_what_has_been_changed_meanwhile_is_asked_for_again(invited: Invited, office: Office) -> None:
    page = invited()
    office.put(meeting(start="20270311T090000", end="20270311T100000"))
    changed = office.page(page.path)
    assert "This meeting has been changed since the mail was sent." in changed.text
    assert "11 March 2027, 09:00" in changed.text
    refused = page.send(do="accept", comment="yes")
    assert refused.status == 409
    assert "has just been changed" in refused.text
    assert partstat(office.text()) == ["NEEDS-ACTION"]
    assert refused.send(do="accept").status == 200
    assert partstat(office.text()) == ["ACCEPTED"]


def test_what_is_no_more_says_so(invited: Invited, office: Office) -> None:
    page = invited("u2@example.org")
    without = "\r\n".join(line for line in meeting("u2@example.org").split("\r\n") if CARLA not in line)
    office.put(without)
    gone = office.page(page.path)
    assert (gone.status, "has taken you off the list" in gone.text) == (410, True)
    assert page.send(do="accept").status == 410
    office.put(meeting("u2@example.org", more="STATUS:CANCELLED\r\n"))
    assert "cancelled or deleted" in office.page(page.path).text
    assert office.client("u1").request("DELETE", "/calendars/u1/calendar/m.ics").status == 204
    gone = page.send(do="accept")
    assert (gone.status, "cancelled or deleted" in gone.text) == (410, True)


def test_one_date_of_a_series_or_all(invited: Invited, office: Office) -> None:
    page = invited("u2@example.org", more=DAILY)
    names = list(page.options)
    assert names[0] == "all dates"
    assert names[2] == "only this date: Thursday, 11 March 2027, 14:00-15:00 (Europe/Berlin, UTC+01:00)"
    assert len(names) == 6
    one = page.send(do="decline", **{"for": page.options[names[2]]})
    assert partstat(office.text()) == ["NEEDS-ACTION", "DECLINED"]
    assert "RECURRENCE-ID;TZID=Europe/Berlin:20270311T140000" in office.text()
    assert partstat(office.text("u2")) == ["NEEDS-ACTION", "DECLINED"]
    one.send(do="accept", **{"for": "all"})
    assert set(partstat(office.text())) == {"ACCEPTED"}


def test_somebody_who_is_invited_to_one_date_sees_no_other(office: Office) -> None:
    series = meeting("u2@example.org", more=DAILY).replace(f"ATTENDEE;RSVP=TRUE;CN=Carla:mailto:{CARLA}\r\n", "")
    override = (
        meeting("u2@example.org", start="20270312T160000", end="20270312T170000")
        .partition("BEGIN:VEVENT")[2]
        .replace("UID:m\r\n", "UID:m\r\nRECURRENCE-ID;TZID=Europe/Berlin:20270312T140000\r\n")
    )
    office.put(series.replace("END:VCALENDAR\r\n", f"BEGIN:VEVENT{override}"))
    page = office.page(office.links()["accept"])
    assert "Friday, 12 March 2027, 16:00-17:00" in page.text
    assert page.options == {}
    assert "11 March" not in page.text
    assert page.send(do="accept").status == 200
    assert partstat(office.text()) == ["ACCEPTED"]
    other = page.send(**{"do": "decline", "for": "1804770000"})  # 11 March, which is not hers
    assert other.status == 409
    assert partstat(office.text()) == ["ACCEPTED"]


@pytest.mark.parametrize(
    ("accepts", "spoken"), [("de-AT,en;q=0.5", "de"), ("fr, en;q=0.3, de;q=0.8", "de"), ("en", "en"), ("fr", "en")]
)
def test_the_page_speaks_the_visitors_language(invited: Invited, office: Office, accepts: str, spoken: str) -> None:
    page = office.page(invited().path, Accept_Language=accepts)
    assert page.tree.get("lang") == spoken
    assert page.answer.headers["Content-Language"] == spoken
    assert ("Mittwoch, 10. März 2027" in page.text) is (spoken == "de")


def test_times_are_shown_in_the_zone_that_is_asked_for(invited: Invited, office: Office) -> None:
    page = invited()
    path = page.path.removesuffix("/accept")
    there = office.page(f"{path}?zone=America/New_York")
    assert "08:00-09:00 (America/New_York, UTC-05:00)" in there.text
    assert "08:00-09:00 (America/New_York" in there.send(do="accept").text
    assert "(Europe/Berlin" in office.page(f"{path}?zone=No/Where").text


def test_nothing_on_the_page_is_from_elsewhere_or_runs(invited: Invited) -> None:
    page = invited()
    policy = page.answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert page.answer.headers["X-Frame-Options"] == "DENY"
    assert page.answer.headers["Referrer-Policy"] == "no-referrer"
    assert page.answer.headers["Cache-Control"] == "no-store"
    assert not page.tree.xpath("//script | //img | //link | //iframe | //@onclick | //@src | //@style")
    assert all(href.startswith("/rsvp/") for href in page.tree.xpath("//@href"))
    for control in page.tree.xpath("//input[not(@type='hidden')] | //select | //textarea"):
        assert page.tree.xpath("//label[@for=$id]", id=control.get("id")), control.get("name")


def test_tampered_unknown_and_expired_links(invited: Invited, office: Office) -> None:
    page = invited()
    _, _, token, _ = page.path.split("/")
    flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
    bad = (flipped, f"A{token[1:]}", token[:-2], f"{token}A", "A", "%20", "x" * 1000, f"{token}=")
    for path in (*(f"/rsvp/{one}" for one in bad), f"/rsvp/{token}/accept/more", "/rsvp/", "/rsvp"):
        for answer in (office.page(path).answer, office.visitor.request("POST", path, "do=accept", Content_Type=FORM)):
            assert answer.status == 404, path
            assert b"This link does not work" in answer.body
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    late = replace(office.application, store=_Later(office.application.store, 2_000_000_000))  # type: ignore[arg-type]
    office.visitor = replace(office.visitor, application=late)
    over = office.page(page.path)
    assert (over.status, "This link has run out" in over.text) == (410, True)
    assert office.visitor.request("POST", page.path, "do=accept", Content_Type=FORM).status == 410
    assert partstat(office.text()) == ["NEEDS-ACTION"]


class _Later:
    """The same store at another time."""

    def __init__(self, store: object, now: int) -> None:
        self._store, self._now = store, now

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def run(self, work: Callable[[object], object], *, write: bool) -> object:
        return self._store.run(lambda tx: work(_At(tx, self._now)), write=write)  # type: ignore[attr-defined]


class _At:
    def __init__(self, tx: object, now: int) -> None:
        self._tx, self.now = tx, now

    def __getattr__(self, name: str) -> object:
        return getattr(self._tx, name)


def test_forms_that_make_no_sense(invited: Invited, office: Office) -> None:
    page = invited()
    path = page.path.removesuffix("/accept")
    for body, kind, status in (
        (urlencode(page.fields | {"do": "explode"}), FORM, 400),
        (urlencode(page.fields), FORM, 400),
        ("do=accept", FORM, 409),
        ("do=accept", "text/plain", 415),
        ("&".join(f"a{n}=1" for n in range(60)), FORM, 400),
        ("\xe4=1", FORM, 400),
        (urlencode(page.fields | {"do": "accept", "for": "x"}), FORM, 409),
        (urlencode(page.fields | {"do": "accept", "for": "--5"}), FORM, 409),
        (urlencode(page.fields | {"do": "accept", "for": "\u0663"}), FORM, 409),
        (urlencode(page.fields | {"do": "accept", "for": "-9" + "9" * 30}), FORM, 409),
        ("x" * 40_000, FORM, 413),
    ):
        answer = office.visitor.request("POST", path, body, Content_Type=kind)
        assert (answer.status, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8"), body[:50]
    assert partstat(office.text()) == ["NEEDS-ACTION"]


def test_an_attendee_answers_for_nobody_else(office: Office) -> None:
    office.put(meeting("dora@far.example"))
    mails = dict(office.mails())
    assert set(mails) == {CARLA, "dora@far.example"}
    office.page(links_in(mails["dora@far.example"])["accept"]).send(do="accept")
    assert (partstat(office.text()), partstat(office.text(), "dora@far.example")) == (["NEEDS-ACTION"], ["ACCEPTED"])


def test_many_answers_at_once(office: Office) -> None:
    people = [f"p{n}@far.example" for n in range(8)]
    office.put(meeting("u2@example.org", *people))
    pages = {to: office.page(links_in(mail)["accept"]) for to, mail in office.mails() if to in people}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda to: pages[to].send(do="accept").status, people * 2))
    assert answers == [200] * 16
    assert all(partstat(office.text(), one) == ["ACCEPTED"] for one in people)
    assert all(partstat(office.text("u2"), one) == ["ACCEPTED"] for one in people)


def test_without_a_base_url_there_are_no_links(office: Office) -> None:
    office.worker.links = None
    office.put(meeting())
    ((_, mail),) = office.mails()
    assert "/rsvp/" not in mail.as_string()
    assert "open the attached invitation" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_where_scheduling_is_off_links_lead_nowhere(invited: Invited, office: Office) -> None:
    page = invited()
    office.visitor = replace(office.visitor, application=replace(office.application, scheduler=None))
    assert office.page(page.path).status == 404


def test_a_task_is_answered_too(office: Office) -> None:
    todo = meeting().replace("VEVENT", "VTODO").replace("DTEND", "DUE")
    answer = office.client("u1").put("/calendars/u1/tasks/m.ics", todo)
    assert answer.status == 201, answer.body
    links = office.links()
    assert set(links) == {"accept", "maybe", "decline"}
    page = office.page(links["accept"])
    assert page.text.startswith("Task Plan")
    assert page.send(do="accept").status == 200
    stored = office.client("u1").request("GET", "/calendars/u1/tasks/m.ics").body.decode().replace("\r\n ", "")
    assert partstat(stored) == ["ACCEPTED"]
    assert office.page(links["accept"].replace("accept", "propose")).status == 410
