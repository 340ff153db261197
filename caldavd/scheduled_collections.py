"""Scheduling objects in collections that are deleted, copied and moved as a whole (RFC 6638 section 3.2.3).

DELETE of a calendar is Remove for all in it (3.2.3.2). COPY and MOVE of one are "undefined" (3.2.3.3, 3.2.3.4); here a
MOVE within a home changes nothing, one into another home is Remove there and Create here, a COPY into another home is
Create, and a COPY within a home is refused where it would double a meeting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from caldavd import kinds
from caldavd.context import Context
from caldavd.resources import Resource, of_collection
from caldavd.scheduled import arrived, removed, scheduled_by, unique_conflict
from scheduling.scheduler import Scheduler
from storage.rows import OBJECT_COLUMNS, Collection, CollectionKind, ObjectRow

_PAGE: Final = 100
_WITH_BODY: Final = frozenset({"body", "organizer"})


def before_delete_all(context: Context, resource: Resource) -> None:
    """Delivers what it means to others that all in a collection goes."""
    if context.scheduler is not None:
        _hold(context, context.scheduler, resource)
        for calendar in _calendars(context, resource):
            for row in _meetings(context, calendar.collection):
                removed(context, calendar, row)


def check_not_doubled(context: Context, source: Resource) -> None:
    """Raises ``unique-scheduling-object-resource`` where a copy within the home would double a scheduling object."""
    if context.scheduler is not None:
        for calendar in _calendars(context, source):
            is_scheduled = scheduled_by(context, calendar)
            for row in _meetings(context, calendar.collection, OBJECT_COLUMNS | {"body"}):
                if is_scheduled(row.body):
                    raise unique_conflict(context, source.owner, row)


def after_arrival(context: Context, resource: Resource) -> None:
    """Delivers what the creation of all in a collection means that has come from another home."""
    if context.scheduler is not None:
        _hold(context, context.scheduler, resource)
        for calendar in _calendars(context, resource):
            for row in _meetings(context, calendar.collection):
                new = arrived(context, calendar, row)
                if new is not None:
                    context.tx.objects.put(calendar.collection, row.name, new, replaces=row)


def _hold(context: Context, scheduler: Scheduler, resource: Resource) -> None:
    """Locks the homes of all parties to all meetings together, before the first one is delivered."""
    texts = (
        row.body
        for calendar in _calendars(context, resource)
        for row in _meetings(context, calendar.collection, _WITH_BODY)
    )
    scheduler.hold(context.tx, texts, held=context.held)


def _calendars(context: Context, resource: Resource) -> Iterator[Resource]:
    """The calendar itself, or those in a plain collection."""
    if resource.kind not in (kinds.CALENDAR, kinds.PLAIN):
        return
    top = resource.collection
    found = {one.path: one for one in context.tx.collections.of_home(top.home_id)}
    for path, one in found.items():
        if one.kind is CollectionKind.CALENDAR and path[: len(top.path)] == top.path:
            chain = tuple(found[path[:length]] for length in range(len(path) + 1))
            yield of_collection(context.router, resource.owner, resource.home, chain)


def _meetings(context: Context, calendar: Collection, columns: frozenset[str] = OBJECT_COLUMNS) -> Iterator[ObjectRow]:
    """The objects with an organizer, a page at a time."""
    after = 0
    while True:
        rows = context.tx.objects.page(calendar.id, columns=columns, after=after, limit=_PAGE)
        yield from [row for row in rows if row.organizer]
        if len(rows) < _PAGE:
            return
        after = rows[-1].id
