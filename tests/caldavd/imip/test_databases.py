"""Mails that come in on every database: applied, held, reported, forwarded, and many answers at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from caldavd import provision
from caldavd.app import Application
from config.settings import Provisioning
from scheduling.imip.fates import Fate
from storage.open import open_store
from storage.store import Transaction
from tests.caldavd.client import NamesAreEnough
from tests.caldavd.imip.scene import CARL, Office, meeting, reply
from tests.storage.databases import KINDS, Databases


def people(tx: Transaction) -> None:
    for name in ("u1", "u2"):
        new = provision.NewPrincipal(name=name, addresses=(f"mailto:{name}@example.org",), schedules=True)
        provision.create(tx, new, Provisioning())


@pytest.fixture(params=[kind for kind in KINDS if kind != "sqlite"])
def elsewhere(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Office]:
    store = open_store(databases.url(request.param), pool_size=8)
    store.run(people, write=True)
    yield Office(Application(store=store, authenticator=NamesAreEnough(store)), store)  # type: ignore[arg-type]
    store.close()


def test_all_that_becomes_of_mails(elsewhere: Office) -> None:
    elsewhere.put(meeting("u2@example.org", CARL))
    tagged = elsewhere.tagged(CARL)
    for _ in range(2):
        assert elsewhere.receive(reply(CARL), tagged).fate is Fate.APPLIED
        assert elsewhere.receive(reply(CARL, author="evil@else.example")).fate is Fate.HELD
        assert elsewhere.receive("bounce-no-such-user.eml", elsewhere.tagged(CARL, kind="b")).fate is Fate.NOTED
        assert elsewhere.receive("somebody-writes-back.eml", tagged).fate is Fate.FORWARDED
        assert elsewhere.receive("gmail-invitation.eml", "u2@example.org").fate is Fate.APPLIED
    assert "PARTSTAT=ACCEPTED" in elsewhere.line(CARL)
    assert len(elsewhere.objects("u2")) == 2
    assert len(elsewhere.held()) == 1
    assert elsewhere.store.run(lambda tx: tx.queue.counts("forward"), write=False) == {"waiting": 1}


def test_many_answers_at_once(elsewhere: Office) -> None:
    who = [f"p{number}@else.example" for number in range(10)]
    elsewhere.put(meeting("u2@example.org", *who))
    with ThreadPoolExecutor(5) as pool:
        outcomes = list(pool.map(lambda one: elsewhere.receive(reply(one), elsewhere.tagged(one)), who))
    assert {one.fate for one in outcomes} == {Fate.APPLIED}
    for user in ("u1", "u2"):
        assert all("PARTSTAT=ACCEPTED" in elsewhere.line(one, user=user) for one in who)
