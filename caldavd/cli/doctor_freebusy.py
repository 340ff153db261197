"""The part of ``caldavd doctor`` that compares the free/busy index with the database.

What is in Redis is compared as it is. A process of its own finds nothing in memory, so what a server would put there is
computed as a server does it, from the packed spans of the rows, and compared with the texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import click

from caldavd.cli.session import Failure, Session, all_principals
from config.settings import without_password
from scheduling.freebusy.busy import BusyCalendar, Whose
from scheduling.freebusy.diaries import FreeBusy
from scheduling.freebusy.index import FreeBusyIndex
from scheduling.freebusy.index_check import Comparison, compare
from scheduling.freebusy.index_memory import MemoryIndex
from scheduling.freebusy.index_open import free_busy_of
from storage.store import Transaction

#: Principals whose calendars are looked at together, and calendars that are compared in one transaction.
_PEOPLE: Final = 100
_CALENDARS: Final = 25
#: Milliseconds that Redis may take here, where nobody waits for an answer.
_PATIENCE: Final = 10_000


def findings(session: Session) -> Iterator[str]:
    """A sentence for each week that is wrong; says what was compared, and the drift."""
    settings = session.settings.freebusy
    try:
        service = free_busy_of(settings.model_copy(update={"timeout_milliseconds": _PATIENCE}))
    except ValueError as error:
        raise Failure(str(error)) from error
    computed, kept = Comparison(), Comparison()
    reached = service.index.ping()
    for calendars in _calendars(session, service):
        fresh = replace(service, index=MemoryIndex())

        def look(tx: Transaction, calendars: dict[str, BusyCalendar] = calendars, fresh: FreeBusy = fresh) -> None:
            horizon = fresh.horizon(tx.now)
            fresh.ask(tx, {path: Whose([one]) for path, one in calendars.items()}, horizon.start, horizon.end)
            _compare(tx, fresh.index, calendars, computed)
            if settings.redis and reached:
                _compare(tx, service.index, calendars, kept)

        session.read(look)
    yield from computed.drift
    yield from (f"In Redis: {sentence}" for sentence in kept.drift)
    click.echo(f"Free/busy, as a server computes it: {_said(computed)}.")
    if settings.redis and reached:
        click.echo(f"Free/busy in Redis ({without_password(settings.redis)}): {_said(kept)}.")
    elif settings.redis:
        url = without_password(settings.redis)
        yield f"Redis ({url}) does not answer, so what it keeps of free/busy was not compared."


def _compare(tx: Transaction, index: FreeBusyIndex, calendars: dict[str, BusyCalendar], into: Comparison) -> None:
    compare(tx, index, list(calendars.values()), into, {one.id: path for path, one in calendars.items()})


def _said(found: Comparison) -> str:
    old = f", {found.old} entries are old and count for nothing" if found.old else ""
    unknown = f", {found.unknown} weeks hold too much to be kept" if found.unknown else ""
    return f"{found.weeks} weeks of {found.calendars} calendars compared{old}{unknown}; drift {len(found.drift)}"


def _calendars(session: Session, service: FreeBusy) -> Iterator[dict[str, BusyCalendar]]:
    """Some calendars at a time, by the names that the command line has for them."""
    people = session.read(lambda tx: list(all_principals(tx)))
    epoch = session.store.epoch
    for start in range(0, len(people), _PEOPLE):
        some = people[start : start + _PEOPLE]
        found = session.read(partial(service.calendars, principals=some, epoch=epoch))
        paths = list(found)
        for at in range(0, len(paths), _CALENDARS):
            yield {path: found[path] for path in paths[at : at + _CALENDARS]}
