"""Many people click at the same time, on every database, with two servers beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from caldavd.app import Application
from storage.open import open_store
from tests.caldavd.client import NamesAreEnough
from tests.caldavd.conftest import _accounts
from tests.caldavd.rsvp.conftest import FORM, Office, Page, links_in, meeting
from tests.scheduling.mail.smtp import Sink
from tests.storage.databases import KINDS, Databases

U1 = "u1@example.org"


@pytest.fixture(params=KINDS)
def offices(request: pytest.FixtureRequest, databases: Databases, sink: Sink) -> Iterator[list[Office]]:
    """Two servers on one database."""
    url = databases.url(request.param)
    stores = [open_store(url, wait_seconds=60) for _ in range(2)]
    stores[0].run(_accounts, write=True)
    yield [Office(Application(store=one, authenticator=NamesAreEnough(one)), one, sink) for one in stores]  # type: ignore[arg-type]
    for one in stores:
        one.close()


def clicked(office: Office, page: Page, **changed: str) -> int:
    body = urlencode(page.fields | changed)
    return office.visitor.request("POST", page.path, body, Content_Type=FORM).status


def test_everybody_answers_and_the_organizer_decides(offices: list[Office]) -> None:
    people = [f"p{n}@far.example" for n in range(6)]
    office = offices[0]
    office.put(meeting("u2@example.org", *people))
    mails = {to: links_in(mail) for to, mail in office.mails()}
    pages = {to: office.page(mails[to]["accept"]) for to in people}
    for one, hour in zip(people[:2], ("09", "10"), strict=True):
        page = office.page(mails[one]["propose"])
        day = {"begin_date": "2027-03-11", "end_date": "2027-03-11"}
        assert clicked(office, page, do="propose", begin_time=f"{hour}:00", end_time=f"{hour}:30", **day) == 303
    decisions = [office.page(links_in(mail)["agree"]) for to, mail in office.mails() if to == U1]

    def answer(number: int) -> int:
        return clicked(offices[number % 2], pages[people[number // 2]], do="accept")

    def decide(number: int) -> int:
        return clicked(offices[number % 2], decisions[number // 2], do=("agree", "refuse")[number % 2])

    with ThreadPoolExecutor(8) as pool:
        answered = pool.map(answer, range(12))
        decided = pool.map(decide, range(4))
        # An answer to what has just been moved is asked for again.
        assert set(answered) <= {303, 409}
        statuses = list(decided)
    # Of two decisions on one proposal one counts (410: it is not waiting any more); once the meeting has been moved,
    # the other proposal is out of date (409).
    for first in (0, 2):
        assert sorted(statuses[first : first + 2]) in ([303, 410], [303, 409], [409, 410], [409, 409]), statuses
    assert 1 <= statuses.count(303) <= 2
    text, copy = office.text(), office.text("u2")
    moved = [line for line in text.splitlines() if line.startswith("DTSTART;TZID=Europe/Berlin:2027031")]
    assert moved == [line for line in copy.splitlines() if line.startswith("DTSTART;TZID=Europe/Berlin:2027031")]
    for one in people:
        (ours,) = (line for line in text.splitlines() if line.endswith(f"mailto:{one}"))
        (theirs,) = (line for line in copy.splitlines() if line.endswith(f"mailto:{one}"))
        assert ("PARTSTAT=ACCEPTED" in ours) == ("PARTSTAT=ACCEPTED" in theirs)
