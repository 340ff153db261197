"""What is told straight from rows says the same, byte by byte, as what the table of properties renders."""

from __future__ import annotations

import re
from itertools import permutations
from urllib.parse import quote

import pytest

from caldavd.kinds import CALENDAR, OBJECT
from caldavd.methods import propfind
from caldavd.properties import listing as module
from caldavd.reports import sync_collection
from caldavd.xml.names import dav, tag
from tests.caldavd.client import Client, event, todo

_NAMES = ("a.ics", "with space & amp.ics", "ümläut-日本.ics", "per%cent'quote\".ics", "at@home~.ics")
_PATH = "/calendars/u1/list/"


@pytest.fixture
def filled(u1: Client) -> Client:
    """u1 with a calendar of events and tasks with awkward names, one of them removed again."""
    assert u1.request("MKCALENDAR", _PATH).status == 201
    for number, name in enumerate(_NAMES):
        body = (event, todo)[number % 2](f"uid-{number}")
        assert u1.put(_PATH + quote(name), body).status == 201
    assert u1.request("DELETE", _PATH + quote(_NAMES[0])).status == 204
    return u1


def _answers(client: Client, names: tuple[str, ...]) -> list[bytes]:
    asked = "".join(f"<{tag(name)[0]}/>" for name in names)
    sync = f"<D:sync-token/><D:sync-level>1</D:sync-level><D:prop>{asked}</D:prop>"
    found = [
        client.propfind(_PATH, asked, depth=1),
        client.propfind(_PATH, asked, depth=1, Prefer="depth-noroot, return=minimal"),
        client.report(_PATH, "D:sync-collection", sync, depth=0),
    ]
    assert [one.status for one in found] == [207] * 3
    return [one.body for one in found]


def _sorted(body: bytes) -> list[bytes]:
    """The responses in an order: PROPFIND promises none."""
    return sorted(re.split(rb"(?<=</D:response>)|(?=<D:response>)", body))


def test_both_ways_say_the_same(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    properties = tuple(module.DIRECT)
    for size in range(1, len(properties) + 1):
        for names in permutations(properties, size):
            direct = _answers(filled, names)
            with monkeypatch.context() as patch:
                for place in (propfind, sync_collection):
                    patch.setattr(place, "listing", lambda kind, asked: None)
                by_table = _answers(filled, names)
            assert list(map(_sorted, direct)) == list(map(_sorted, by_table))
            assert direct[2].count(b"<D:response>") == len(_NAMES) - 1


def test_what_the_table_alone_knows_is_left_to_it() -> None:
    assert module.listing(OBJECT, (dav("getetag"),)) is not None
    assert module.listing(OBJECT, (dav("getetag"), dav("displayname"))) is None
    assert module.listing(OBJECT, ()) is None
    assert module.listing(CALENDAR, (dav("resourcetype"),)) is None
