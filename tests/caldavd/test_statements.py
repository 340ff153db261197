"""How many SQL statements each kind of request costs: so many, however many members a calendar has.

The numbers (``KINDS_OF_REQUEST``) hold the login of somebody who was here a moment ago, and leave out what begins and
ends transactions. Where one has changed, the failure lists the statements: fewer are welcome, more need a reason.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Final, NamedTuple

import pytest
from sqlalchemy import Engine, event as sql_events
from sqlalchemy.pool import Pool

from caldavd import provision
from caldavd.auth import cost_of
from caldavd.auth.passwords import hash_password
from caldavd.wsgi import build
from config.settings import Provisioning, Settings
from storage.open import open_store
from storage.store import Transaction
from tests.caldavd.client import Answer, Client, event, question
from tests.storage.databases import Databases

#: The first one asks.
PEOPLE: Final = [f"p{number:02}" for number in range(20)]
HOME: Final = "/calendars/p00/"
#: Calendars, by how many members they have.
SIZES: Final = {"few": 10, "many": 300}
_FEW: Final = {"few": SIZES["few"]}
#: Hashes that cost nothing.
_SETTINGS: Final = Settings.model_validate({"auth": {"argon2_memory": "8 KiB", "argon2_time": 1}})
_NOT_COUNTED: Final = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "--")

_fresh = count()

#: Prepares a request for a calendar (its URL), and returns the request.
Prepare = Callable[[Client, str], Callable[[], Answer]]


def _member(calendar: str, number: int) -> str:
    return f"{calendar}{number}.ics"


def _new(client: Client, calendar: str) -> str:
    """The URL of an event that was just made."""
    url = f"{calendar}x{next(_fresh)}.ics"
    assert client.put(url, event(url)).status == 201
    return url


def _put_new(client: Client, calendar: str) -> Callable[[], Answer]:
    url = f"{calendar}x{next(_fresh)}.ics"
    return lambda: client.put(url, event(url), If_None_Match="*")


def _put_update(client: Client, calendar: str) -> Callable[[], Answer]:
    url = _new(client, calendar)
    etag = client.request("GET", url).headers["ETag"]
    return lambda: client.put(url, event(url, summary="Other"), If_Match=etag)


def _delete(client: Client, calendar: str) -> Callable[[], Answer]:
    url = _new(client, calendar)
    return lambda: client.request("DELETE", url)


def _move(client: Client, calendar: str) -> Callable[[], Answer]:
    url = _new(client, calendar)
    target = f"http://localhost{HOME}target/x{next(_fresh)}.ics"
    return lambda: client.request("MOVE", url, Destination=target)


_LOCK: Final = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    "<D:locktype><D:write/></D:locktype></D:lockinfo>"
)


def _lock(client: Client, calendar: str) -> Callable[[], Answer]:
    url = _new(client, calendar)
    return lambda: client.request("LOCK", url, _LOCK, Depth="0")


def _unlock(client: Client, calendar: str) -> Callable[[], Answer]:
    url = _new(client, calendar)
    token = client.request("LOCK", url, _LOCK, Depth="0").headers["Lock-Token"]
    return lambda: client.request("UNLOCK", url, Lock_Token=token)


def _multiget(size: int) -> Prepare:
    """Of ``size`` hrefs; those that are not there are told of with 404."""

    def prepare(client: Client, calendar: str) -> Callable[[], Answer]:
        hrefs = "".join(f"<D:href>{_member(calendar, number)}</D:href>" for number in range(size))
        inner = f"<D:prop><D:getetag/><C:calendar-data/></D:prop>{hrefs}"
        return lambda: client.report(calendar, "C:calendar-multiget", inner)

    return prepare


_WEEK: Final = '<C:time-range start="20260302T000000Z" end="20260309T000000Z"/>'
_VEVENTS: Final = (
    f'<C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">{_WEEK}</C:comp-filter></C:comp-filter>'
)


def _query(props: str) -> Prepare:
    inner = f"<D:prop>{props}</D:prop><C:filter>{_VEVENTS}</C:filter>"
    return lambda client, calendar: lambda: client.report(calendar, "C:calendar-query", inner, depth=1)


def _asked_before(ask: Callable[[], Answer]) -> Callable[[], Answer]:
    """What is known of everybody's time is in memory then."""
    assert ask().status == 200
    return ask


def _free_busy(client: Client, calendar: str) -> Callable[[], Answer]:
    return _asked_before(lambda: client.report(calendar, "C:free-busy-query", _WEEK, depth=1))


def _sync_one(client: Client, calendar: str) -> Callable[[], Answer]:
    token = _token(client, calendar)
    _new(client, calendar)
    return lambda: client.sync(calendar, token)


def _sync_none(client: Client, calendar: str) -> Callable[[], Answer]:
    token = _token(client, calendar)
    return lambda: client.sync(calendar, token)


def _token(client: Client, calendar: str) -> str:
    return str(client.sync(calendar).xpath("string(/D:multistatus/D:sync-token)"))


def _outbox(people: int) -> Prepare:
    attendees = (f"mailto:{name}@example.org" for name in PEOPLE[:people])
    body = question(*attendees, organizer="mailto:p00@example.org", start="20260302", end="20260309")

    def prepare(client: Client, _: str) -> Callable[[], Answer]:
        content = "text/calendar; charset=utf-8"
        return _asked_before(lambda: client.request("POST", f"{HOME}outbox/", body, Content_Type=content))

    return prepare


def _meeting(people: int) -> Prepare:
    attendees = "".join(f"ATTENDEE;RSVP=TRUE:mailto:{name}@example.org\r\n" for name in PEOPLE[1:people])

    def prepare(client: Client, calendar: str) -> Callable[[], Answer]:
        url = f"{calendar}x{next(_fresh)}.ics"
        body = event(url, extra=f"ORGANIZER:mailto:p00@example.org\r\nATTENDEE:mailto:p00@example.org\r\n{attendees}")
        return lambda: client.put(url, body)

    return prepare


def _mkcalendar(client: Client, _: str) -> Callable[[], Answer]:
    return lambda: client.request("MKCALENDAR", f"{HOME}x{next(_fresh)}/")


def _proppatch(client: Client, calendar: str) -> Callable[[], Answer]:
    name = f"Number {next(_fresh)}"
    return lambda: client.proppatch(calendar, set=f"<D:displayname>{name}</D:displayname>")


def _propfind(props: str, depth: int, path: str | None = None) -> Prepare:
    return lambda client, calendar: lambda: client.propfind(path or calendar, props, depth=depth)


class Kind(NamedTuple):
    """A kind of request, and what it costs on each database.

    SQLite's driver counts a statement once for each row that it is run with; over a network all rows are one.
    """

    name: str
    sqlite: int
    postgresql: int
    mysql: int
    status: int
    prepare: Prepare


KINDS_OF_REQUEST: Final = (
    Kind("poll", 1, 1, 1, 207, _propfind("<CS:getctag/><D:sync-token/>", 0)),
    Kind("GET", 1, 1, 1, 200, lambda client, calendar: lambda: client.request("GET", _member(calendar, 3))),
    Kind("HEAD", 3, 3, 3, 200, lambda client, calendar: lambda: client.request("HEAD", _member(calendar, 3))),
    Kind("PUT, new", 8, 9, 9, 201, _put_new),
    Kind("PUT, changed", 7, 8, 8, 204, _put_update),
    Kind("DELETE", 10, 10, 10, 204, _delete),
    Kind("MOVE", 13, 14, 14, 201, _move),
    Kind("PROPFIND of the home, Depth 1", 5, 5, 5, 207, _propfind("<D:displayname/><CS:getctag/>", 1, HOME)),
    Kind("PROPFIND of a calendar, Depth 1", 4, 4, 4, 207, _propfind("<D:getetag/>", 1)),
    Kind("PROPFIND of a calendar, Depth 1, more", 5, 5, 5, 207, _propfind("<D:getetag/><D:owner/><D:displayname/>", 1)),
    Kind("multiget of 1", 3, 3, 3, 207, _multiget(1)),
    Kind("multiget of 50", 3, 3, 3, 207, _multiget(50)),
    Kind("query of a week, ETags", 5, 5, 5, 207, _query("<D:getetag/>")),
    Kind("query of a week, data", 5, 5, 5, 207, _query("<D:getetag/><C:calendar-data/>")),
    Kind("free-busy-query", 4, 4, 4, 200, _free_busy),
    Kind("sync, from the beginning", 4, 4, 4, 207, lambda client, calendar: lambda: client.sync(calendar)),
    Kind("sync, one change", 4, 4, 4, 207, _sync_one),
    Kind("sync, nothing new", 4, 4, 4, 207, _sync_none),
    Kind("free/busy POST, 2 people", 5, 5, 5, 200, _outbox(2)),
    Kind("free/busy POST, 20 people", 5, 5, 5, 200, _outbox(20)),
    Kind("MKCALENDAR", 9, 10, 10, 201, _mkcalendar),
    Kind("PROPPATCH", 10, 11, 11, 207, _proppatch),
    Kind("LOCK", 8, 9, 9, 200, _lock),
    Kind("UNLOCK", 5, 6, 6, 204, _unlock),
    Kind("PUT of a meeting, 2 people", 21, 27, 27, 201, _meeting(2)),
    Kind("PUT of a meeting, 20 people", 149, 24, 25, 201, _meeting(20)),
)
_each_kind = pytest.mark.parametrize("kind", KINDS_OF_REQUEST, ids=[kind.name for kind in KINDS_OF_REQUEST])


# --- the server ------------------------------------------------------------------------------------------------------


class Scene(NamedTuple):
    """A server's first user; ``ran`` gets every statement that the server runs."""

    client: Client
    ran: list[str]

    def statements(self, kind: Kind, calendar: str) -> list[str]:
        """What a request of this kind runs."""
        request = kind.prepare(self.client, f"{HOME}{calendar}/")
        self.ran.clear()
        answer = request()
        found = [statement for statement in self.ran if not statement.startswith(_NOT_COUNTED)]
        assert answer.status == kind.status, answer.body
        return found


@contextmanager
def _served(url: str, sizes: dict[str, int]) -> Iterator[Scene]:
    """A server on an empty database, with the people and the calendars."""
    ran: list[str] = []

    def traced(connection: object, _record: object) -> None:
        # Some statements go to SQLite's driver directly (storage/sql/direct.py), so they are heard of there.
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(ran.append)

    def noted(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        ran.append(statement)

    with ExitStack() as stack:
        on_sqlite = url.startswith("sqlite")
        listener = (Pool, "connect", traced) if on_sqlite else (Engine, "before_cursor_execute", noted)
        sql_events.listen(*listener)
        stack.callback(sql_events.remove, *listener)
        store = open_store(url, wait_seconds=60)
        stack.callback(store.close)
        store.run(_furnish, write=True)
        client = Client(build(_SETTINGS, store=store), "p00")
        for calendar, size in sizes.items():
            assert client.request("MKCALENDAR", f"{HOME}{calendar}/").status == 201
            for number in range(size):
                day = f"{20260302 + number % 20}T120000Z"
                assert (
                    client.put(_member(f"{HOME}{calendar}/", number), event(f"{calendar}{number}", start=day)).status
                    == 201
                )
        assert client.request("MKCALENDAR", f"{HOME}target/").status == 201
        yield Scene(client, ran)


def _furnish(tx: Transaction) -> None:
    for name in PEOPLE:
        new = provision.NewPrincipal(name=name, addresses=(f"mailto:{name}@example.org",), schedules=True)
        made = provision.create(tx, new, Provisioning())
        tx.principals.set_password(made.id, hash_password(name, cost=cost_of(_SETTINGS)))


@pytest.fixture(scope="module")
def on_sqlite(databases: Databases) -> Iterator[Scene]:
    with _served(databases.url("sqlite"), SIZES) as scene:
        yield scene


def _expect(kind: Kind, ran: list[str], wanted: int) -> None:
    if len(ran) != wanted:
        listed = "\n".join(" ".join(statement.split())[:400] for statement in ran)
        pytest.fail(f"{kind.name}: {len(ran)} statements instead of {wanted}:\n{listed}", pytrace=False)


@_each_kind
@pytest.mark.parametrize("calendar", SIZES)
def test_on_sqlite(on_sqlite: Scene, kind: Kind, calendar: str) -> None:
    _expect(kind, on_sqlite.statements(kind, calendar), kind.sqlite)


@pytest.fixture(scope="module")
def on_postgresql(databases: Databases) -> Iterator[Scene]:
    with _served(databases.url("postgresql"), _FEW) as scene:
        yield scene


@_each_kind
def test_on_postgresql(on_postgresql: Scene, kind: Kind) -> None:
    _expect(kind, on_postgresql.statements(kind, "few"), kind.postgresql)


@pytest.fixture(scope="module")
def on_mysql(databases: Databases) -> Iterator[Scene]:
    with _served(databases.url("mysql"), _FEW) as scene:
        yield scene


@_each_kind
def test_on_mariadb(on_mysql: Scene, kind: Kind) -> None:
    _expect(kind, on_mysql.statements(kind, "few"), kind.mysql)
