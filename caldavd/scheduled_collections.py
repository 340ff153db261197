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
from scheduling.delivery.scheduler import Scheduler
from storage.batches import batches
from storage.members import every_member
from storage.rows import OBJECT_COLUMNS, Collection, CollectionKind, ObjectRow

_PAGE: Final = 1000
_BATCH: Final = 100
_BODY: Final = frozenset({"body"})


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
            for row, text in _texts(context, calendar.collection):
                if is_scheduled(text):
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
    texts = (text for calendar in _calendars(context, resource) for _, text in _texts(context, calendar.collection))
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


def _meetings(context: Context, calendar: Collection) -> Iterator[ObjectRow]:
    """The objects with an organizer, without their texts; what has none costs next to nothing."""
    rows = every_member(context.tx, calendar.id, columns=OBJECT_COLUMNS, together=_PAGE)
    return (row for row in rows if row.organizer)


def _texts(context: Context, calendar: Collection) -> Iterator[tuple[ObjectRow, bytes]]:
    """The objects with an organizer, and their texts."""
    for batch in batches(_meetings(context, calendar), _BATCH):
        found = context.tx.objects.by_names(calendar.id, [row.name for row in batch], columns=_BODY)
        yield from [(row, found[row.name].body) for row in batch if row.name in found]
