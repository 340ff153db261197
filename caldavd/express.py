"""The two things that clients ask most, on a shorter way: the ctag of a calendar, and the text of an event.

Where the owner asks, and sends no condition, no preference and no wish for another format, nothing else can change the
answer: an owner holds all privileges in a home (:mod:`caldavd.access`), and a lock hinders nobody who reads. So one
statement confirms the login and reads what is asked for, and the answer is written from it. Everything else goes the
usual way, which gives the same answers in more time: a test asks on both.
"""

from __future__ import annotations

from typing import Final

from caldavd.auth import Expected
from caldavd.compression import coding_of
from caldavd.formats import wants_jcal
from caldavd.methods.get import EVENT_TYPE, event_headers
from caldavd.methods.propfind import PROP, asked_of
from caldavd.request import Request
from caldavd.response import Response, xml
from caldavd.router import Location, Router, Space
from caldavd.sync_tokens import ctag, token_of_owner
from caldavd.xml.fragment import element
from caldavd.xml.multistatus import multistatus, prop_response
from caldavd.xml.names import cs, dav
from storage.rows import CollectionKind, Owned
from storage.store import Store, Transaction

_CTAG: Final = cs("getctag")
_TOKEN: Final = dav("sync-token")
_POLLED: Final = frozenset({_CTAG, _TOKEN})

#: What changes the answer to GET or PROPFIND, as WSGI calls it: with any of these a request goes the usual way.
_CHANGES: Final = frozenset(
    """HTTP_IF HTTP_IF_MATCH HTTP_IF_NONE_MATCH HTTP_IF_MODIFIED_SINCE HTTP_IF_UNMODIFIED_SINCE
    HTTP_IF_SCHEDULE_TAG_MATCH HTTP_IF_RANGE HTTP_RANGE HTTP_PREFER HTTP_BRIEF""".split()
)


def answer(store: Store, router: Router, login: Expected, location: Location, request: Request) -> Response | None:
    """The answer; ``None``: the request has to go the usual way.

    Raises :class:`caldavd.auth.Unconfirmed` where the login does not count any more.
    """
    mine = location.space is Space.HOME and location.owner == login.name
    if not mine or not _CHANGES.isdisjoint(request.environ):
        return None
    if request.method == "GET" and len(location.names) == 2 and not location.slash:
        return _event(store, login, location, request)
    if request.method == "PROPFIND" and len(location.names) == 1:
        return _poll(store, router, login, location, request)
    return None


def _found(store: Store, login: Expected, location: Location) -> Owned | None:
    def work(tx: Transaction) -> Owned | None:
        found = tx.collections.owned(login.name, *location.names)
        if found is not None:
            login.confirm(found.principal_id, found.revision)
        return found

    found = store.run(work, write=False)
    return found if found is not None and found.collection.kind is CollectionKind.CALENDAR else None


def _event(store: Store, login: Expected, location: Location, request: Request) -> Response | None:
    if request.body or wants_jcal(request.environ.get("HTTP_ACCEPT", "")):
        return None
    found = _found(store, login, location)
    event = found.object if found is not None else None
    if event is None or event.has_properties:
        return None
    headers = event_headers(event.etag, event.modified, event.schedule_tag)
    if coding_of(EVENT_TYPE, len(event.body), request.environ.get("HTTP_ACCEPT_ENCODING", "")) is None:
        headers["Accept-Ranges"] = "bytes"
    return Response(200, headers, event.body)


def _poll(store: Store, router: Router, login: Expected, location: Location, request: Request) -> Response | None:
    if request.environ.get("HTTP_DEPTH") != "0":
        return None
    asked = asked_of(request)
    if asked.form != PROP or not asked.names or not _POLLED.issuperset(asked.names):
        return None
    found = _found(store, login, location)
    if found is None:
        return None
    epoch, calendar = store.epoch, found.collection
    values = {_CTAG: ctag(epoch, calendar, calendar.revision), _TOKEN: token_of_owner(epoch, calendar)}
    inner = "".join([element(name, values[name]) for name in asked.names])
    href = router.below_home(location.owner, location.names, collection=True)
    return xml(207, multistatus([prop_response(href, inner)]), {"Vary": "Brief, Prefer"})
