"""Scheduling over HTTP: what PUT, POST and DELETE of calendar objects lead to (RFC 6638 section 3.2).

The rules and the deliveries are in ``scheduling.scheduler``; here are the preconditions, the rows, and what a request
says of itself (``Schedule-Reply``, ``If-Schedule-Tag-Match``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from caldavd import kinds
from caldavd.bodies import Content
from caldavd.context import Context
from caldavd.errors import CONDITIONS, UNIQUE_SCHEDULING_OBJECT_RESOURCE, DavError, failed
from caldavd.resources import Resource
from caldavd.xml.fragment import href
from scheduling import itip
from scheduling.ical.lines import ICalendarError
from scheduling.scheduler import Changed, Person, Refused, Scheduler, scheduled_row
from storage.rows import OBJECT_COLUMNS, Collection, ObjectRow, Principal

_COLUMNS: Final = OBJECT_COLUMNS | {"body"}
_PAGE: Final = 100


def before_put(context: Context, parent: Resource, replaces: ObjectRow | None, content: Content) -> Content:
    """What is to be stored for a PUT, after its messages have been delivered; without scheduling the same content.

    Raises the preconditions of RFC 6638 section 3.2.4.
    """
    scheduler = context.scheduler
    new = content.new
    involved = new.organizer or (replaces is not None and replaces.organizer)
    if scheduler is None or parent.kind is not kinds.CALENDAR or not involved:
        return content
    owner = _owner(context, parent)
    before = _with_body(context, replaces)
    body = new.body
    if before is not None and _may_be_unaware(context):
        body = itip.merged_with_unseen(before.body, body, Person.of(owner).actor)
    changed = _changed(context, scheduler, owner, before, body)
    if changed.takes_part:
        _check_unique(context, parent, replaces, new.uid)
    if changed.text is None or (changed.text == new.body and not changed.schedule_tag):
        return content
    return Content(
        replace(scheduled_row(changed.text, changed.schedule_tag), content_type=new.content_type),
        as_sent=content.as_sent and changed.text == new.body,
    )


def before_delete(context: Context, resource: Resource) -> None:
    """Delivers what the removal of an object, or of all objects below a collection, means to others."""
    if context.scheduler is None:
        return
    if resource.kind is kinds.OBJECT:
        _removed(context, resource, resource.row)
    elif resource.kind in (kinds.CALENDAR, kinds.PLAIN):
        for calendar in _calendars(context, resource.collection):
            for row in _meetings(context, calendar):
                _removed(context, resource, row)


def _removed(context: Context, resource: Resource, row: ObjectRow) -> None:
    if context.scheduler is not None and row.organizer:
        _changed(context, context.scheduler, _owner(context, resource), _with_body(context, row), None)


def _changed(
    context: Context, scheduler: Scheduler, owner: Principal, before: ObjectRow | None, after: bytes | None
) -> Changed:
    reply = (context.request.header("Schedule-Reply") or "T").strip().upper() != "F"  # RFC 6638 section 8.1
    try:
        return scheduler.changed(context.tx, owner, held=context.held, before=before, after=after, reply=reply)
    except Refused as error:
        raise failed(CONDITIONS[error.refusal.condition], message=error.refusal.sentence) from error
    except ICalendarError as error:
        raise DavError(403, f"This meeting cannot be scheduled: {error}") from error


def _may_be_unaware(context: Context) -> bool:
    """A client without any condition, or with the Schedule-Tag, may not know of answers that came in (3.2.10.1)."""
    return context.request.header("If-Match") is None


def _check_unique(context: Context, parent: Resource, replaces: ObjectRow | None, uid: str) -> None:
    """One scheduling object of a UID in all calendars of a home (RFC 6638 section 3.2.4.1)."""
    home_id = parent.collection.home_id
    for row in context.tx.objects.by_uid_in_home(home_id, uid, columns=frozenset({"organizer"})):
        if row.organizer and (replaces is None or row.id != replaces.id):
            raise unique_conflict(context, parent, row)


def unique_conflict(context: Context, parent: Resource, row: ObjectRow) -> DavError:
    """The error that names the scheduling object that is there already."""
    collection = context.tx.collections.get(row.collection_id)
    path = collection.path if collection is not None else ()
    where = context.router.below_home(parent.owner, (*path, row.name), collection=False)
    message = "This meeting is in another place of these calendars already."
    return failed(UNIQUE_SCHEDULING_OBJECT_RESOURCE, href(where), message=message)


def _owner(context: Context, resource: Resource) -> Principal:
    """Whose calendar it is: messages are theirs, also where a delegate writes."""
    if resource.owner == context.user.name:
        found = context.tx.principals.by_id(context.user.id)
    else:
        found = context.tx.principals.by_name(resource.owner)
    assert found is not None, resource.owner
    return found


def _with_body(context: Context, row: ObjectRow | None) -> ObjectRow | None:
    if row is None:
        return None
    return context.tx.objects.get(row.collection_id, row.name, columns=_COLUMNS)


def _calendars(context: Context, collection: Collection) -> list[Collection]:
    return [
        one
        for one in context.tx.collections.of_home(collection.home_id)
        if one.kind == "calendar" and one.path[: len(collection.path)] == collection.path
    ]


def _meetings(context: Context, calendar: Collection) -> list[ObjectRow]:
    found: list[ObjectRow] = []
    after = 0
    while True:
        rows = context.tx.objects.page(
            calendar.id, columns=frozenset({"organizer", "name", "collection_id"}), after=after, limit=_PAGE
        )
        found += [row for row in rows if row.organizer]
        if len(rows) < _PAGE:
            return found
        after = rows[-1].id
