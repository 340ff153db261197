"""Scheduling over HTTP: what PUT, POST, DELETE, COPY and MOVE of calendar objects lead to (RFC 6638 section 3.2.3).

The rules and the deliveries are in ``scheduling.delivery.scheduler``; here are the preconditions, the rows, and what a
request says of itself (``Schedule-Reply``, ``If-Schedule-Tag-Match``). Who may send in whose name is in
:mod:`caldavd.sending`, what becomes of whole collections in :mod:`caldavd.scheduled_collections`.

An object is a scheduling object of the calendar's owner (section 3.1), whoever writes it: messages are theirs. A group
has no outbox, so nothing in its calendars is one (section 11.2, item 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from caldavd import kinds
from caldavd.bodies import Content, of_icalendar, uid_conflict
from caldavd.context import Context
from caldavd.errors import CONDITIONS, UNIQUE_SCHEDULING_OBJECT_RESOURCE, DavError, failed
from caldavd.resources import Resource
from caldavd.sending import require_send
from caldavd.xml.fragment import href
from scheduling import itip
from scheduling.delivery.scheduler import Changed, Person, Refused, Scheduler, scheduled_row
from scheduling.ical.lines import ICalendarError
from scheduling.itip import Actor
from storage.rows import OBJECT_COLUMNS, NewObject, ObjectRow, Principal, PrincipalKind

WITH_BODY: Final = OBJECT_COLUMNS | {"body"}
_SAME_UID: Final = frozenset({"body", "organizer"})


def before_put(context: Context, parent: Resource, replaces: ObjectRow | None, content: Content) -> Content:
    """What is to be stored for a PUT, after its messages have been delivered; without scheduling the same content.

    For POST, and for COPY and MOVE into a calendar, it is the same (notes 1 of section 3.2.3). Raises the preconditions
    of section 3.2.4 and ``need-privileges``.
    """
    new = content.new
    involved = bool(new.organizer) or (replaces is not None and bool(replaces.organizer))
    scheduling = _scheduling(context, parent) if involved and parent.kind is kinds.CALENDAR else None
    if scheduling is None:
        return content
    scheduler, owner = scheduling
    before = _with_body(context, replaces)
    body = new.body
    actor = _actor(scheduler, owner, body, None if before is None else before.body)
    if before is not None and _may_be_unaware(context):
        body = _merged(before.body, body, actor)
    role = _role(body, actor)
    if role != "none":
        _check_unique(context, parent, replaces, new.uid, actor)
    changed = _changed(context, parent, scheduling, before, body, actor)
    # What was a scheduling object and is none any more has no tag.
    tag = changed.schedule_tag if role != "none" else ""
    if changed.text is None or (changed.text == new.body and not tag):
        return content
    return Content(
        replace(scheduled_row(changed.text, tag), content_type=new.content_type),
        as_sent=content.as_sent and changed.text == new.body,
    )


def before_delete(context: Context, resource: Resource) -> None:
    """Delivers what the removal of an object means to others (sections 3.2.3.2 and, for MOVE, 3.2.3.4)."""
    if resource.kind is kinds.OBJECT:
        removed(context, resource, resource.row)


def removed(context: Context, resource: Resource, row: ObjectRow) -> None:
    """Delivers what it means to others that ``row`` goes, which is ``resource`` or lies in it."""
    scheduling = _scheduling(context, resource) if row.organizer else None
    before = _with_body(context, row) if scheduling is not None else None
    if scheduling is None or before is None:
        return
    actor = _actor(*scheduling, before.body)
    _changed(context, resource, scheduling, before, None, actor)


def arrived(context: Context, parent: Resource, row: ObjectRow) -> NewObject | None:
    """What ``row``, which a COPY or MOVE of a collection has brought into the calendar ``parent``, is to become there.

    Delivers what its creation means (section 3.2.3.1). ``None``: it stays as it is.
    """
    stored = _with_body(context, row)
    if stored is None or not row.organizer:
        return None
    scheduling = _scheduling(context, parent)
    tag, text = "", stored.body
    if scheduling is not None:
        actor = _actor(*scheduling, stored.body)
        if _role(stored.body, actor) != "none":
            _check_unique(context, parent, row, row.uid, actor)
            changed = _changed(context, parent, scheduling, None, stored.body, actor)
            assert changed.text is not None
            tag, text = changed.schedule_tag, changed.text
    if tag == row.schedule_tag and text == stored.body:
        return None
    return replace(scheduled_row(text, tag), content_type=row.content_type)


def scheduled_by(context: Context, parent: Resource) -> Callable[[bytes], bool]:
    """Tells of texts in the calendar ``parent`` whether they are scheduling objects of its owner (section 3.1)."""
    scheduling = _scheduling(context, parent)
    if scheduling is None:
        return lambda _: False
    return lambda text: _role(text, _actor(*scheduling, text)) != "none"


def unique_conflict(context: Context, owner: str, row: ObjectRow) -> DavError:
    """The error that names the scheduling object that is there already (section 3.2.4.1)."""
    collection = context.tx.collections.get(row.collection_id)
    path = collection.path if collection is not None else ()
    where = context.router.below_home(owner, (*path, row.name), collection=False)
    message = "This meeting is in another place of these calendars already."
    return failed(UNIQUE_SCHEDULING_OBJECT_RESOURCE, href(where), message=message)


def _scheduling(context: Context, resource: Resource) -> tuple[Scheduler, Principal] | None:
    """Who schedules, and for whom; ``None`` where nobody does."""
    if context.scheduler is None:
        return None
    owner = _owner(context, resource)
    return None if owner.kind is PrincipalKind.GROUP else (context.scheduler, owner)


def _owner(context: Context, resource: Resource) -> Principal:
    if resource.owner == context.user.name:
        found = context.tx.principals.by_id(context.user.id)
    else:
        found = context.tx.principals.by_name(resource.owner)
    assert found is not None, resource.owner
    return found


def _actor(scheduler: Scheduler, owner: Principal, *texts: bytes | None) -> Actor:
    return Person.of(owner, scheduler.site.names_of(owner, *texts)).actor


def _changed(
    context: Context,
    resource: Resource,
    scheduling: tuple[Scheduler, Principal],
    before: ObjectRow | None,
    after: bytes | None,
    actor: Actor,
) -> Changed:
    scheduler, owner = scheduling
    reply = (context.request.header("Schedule-Reply") or "T").strip().upper() != "F"  # section 8.1
    try:
        require_send(context, resource, actor, None if before is None else before.body, after, reply=reply)
        return scheduler.changed(context.tx, owner, held=context.held, before=before, after=after, reply=reply)
    except Refused as error:
        raise failed(CONDITIONS[error.refusal.condition], message=error.refusal.sentence) from error
    except ICalendarError as error:
        raise of_icalendar(error) from error


def _merged(stored: bytes, sent: bytes, actor: Actor) -> bytes:
    try:
        return itip.merged_with_unseen(stored, sent, actor)
    except ICalendarError as error:
        raise of_icalendar(error) from error


def _role(text: bytes, actor: Actor) -> itip.Role:
    try:
        return itip.role(text, actor)
    except ICalendarError as error:
        raise of_icalendar(error) from error


def _may_be_unaware(context: Context) -> bool:
    """A client without any condition, or with the Schedule-Tag, may not know of answers that came in (3.2.10.1)."""
    return (context.request.header("If-Match") or "*").strip() == "*"


def _check_unique(context: Context, parent: Resource, replaces: ObjectRow | None, uid: str, actor: Actor) -> None:
    """One scheduling object of a UID in all calendars of a home (section 3.2.4.1).

    What is in the same calendar is ``no-uid-conflict``, scheduling or not (RFC 4791 section 5.3.2.1).
    """
    home_id = parent.collection.home_id
    for row in context.tx.objects.by_uid_in_home(home_id, uid, columns=_SAME_UID):
        if replaces is not None and row.id == replaces.id:
            continue
        if row.collection_id == parent.collection.id:
            raise uid_conflict(context, parent, row.name, "Another object of this calendar has the same UID.")
        if row.organizer and _role(row.body, actor) != "none":
            raise unique_conflict(context, parent.owner, row)


def _with_body(context: Context, row: ObjectRow | None) -> ObjectRow | None:
    if row is None:
        return None
    return context.tx.objects.get(row.collection_id, row.name, columns=WITH_BODY)
