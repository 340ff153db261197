"""COPY and MOVE (RFC 4918 sections 9.8 and 9.9, RFC 4791 section 5.3.2.1), all or nothing.

Both homes are locked before (:mod:`caldavd.app`), so nothing is ever done in part: where a member further down stands
in the way (a lock, a privilege) the whole request fails with its status and its href, and there is no 207. A calendar
object that goes to a plain collection becomes a plain file with the same bytes, a plain file that goes into a calendar
is checked like a PUT. A calendar keeps its ACEs when it is moved (RFC 3744 section 7.3); its copy is born without
(section 7.4).

Scheduling (RFC 6638 sections 3.2.3.3 and 3.2.3.4): what comes into a calendar is scheduled like a PUT, what goes out
of the calendars of its owner like a DELETE; a MOVE between the calendars of one home is neither, but gives another
Schedule-Tag (section 3.2.10).
"""

from __future__ import annotations

from dataclasses import replace

from caldavd import bodies, kinds
from caldavd.access import BIND, READ, UNBIND, WRITE_CONTENT, WRITE_PROPERTIES, need_privileges
from caldavd.bodies import Content
from caldavd.conditional import check_preconditions
from caldavd.context import Context
from caldavd.default_calendar import check_not_default, follow_default
from caldavd.errors import (
    CALENDAR_COLLECTION_LOCATION_OK,
    SUPPORTED_CALENDAR_COMPONENT,
    DavError,
    bad_request,
    failed,
)
from caldavd.locking import check_if, locks_on, require_tokens
from caldavd.methods import get
from caldavd.methods.delete import parent_of
from caldavd.methods.lock import collections_below
from caldavd.methods.put import check_new_name
from caldavd.properties.calendars import components_of
from caldavd.request import INFINITY
from caldavd.resources import Resource, of_collection, parent_exists, resolve
from caldavd.response import Response, empty, quoted
from caldavd.router import RESERVED_HOME, Space
from caldavd.scheduled import before_delete, before_put
from caldavd.scheduled_collections import after_arrival, before_delete_all, check_not_doubled
from scheduling.delivery.tagging import new_tag
from storage.errors import UidTaken
from storage.rows import OBJECT_COLUMNS, Collection, NewObject, ObjectRow, Owner

_WHOLE = OBJECT_COLUMNS | {"body", "spans"}


def copy(context: Context, source: Resource) -> Response:
    """COPY: 201 for a new URL, 204 for one that was mapped."""
    depth = _depth(context, source)
    target = _target(context, source, inside=depth == 0)
    exists = target.kind is not kinds.UNMAPPED
    in_place = source.object is not None and target.object is not None
    into = parent_of(target)
    _require_readable(context, source, below=depth != 0)
    if exists:
        context.access.require(target, WRITE_CONTENT, WRITE_PROPERTIES)
    if not in_place:
        context.access.require(into, BIND, *([UNBIND] if exists else []))
    _check(context, source, target, into)
    require_tokens(context, target, removes=exists and not in_place)
    if source.object is not None:
        row: ObjectRow | None = _copy_object(context, source, target, into)
    else:
        _copy_collection(context, source, target, into, infinite=depth != 0)
        row = None
    return _answer(context, source, target, row)


def move(context: Context, source: Resource) -> Response:
    """MOVE: 201 for a new URL, 204 for one that was mapped; the ETag stays, locks are left behind."""
    if _depth(context, source) != INFINITY:
        raise bad_request('MOVE of a collection is always done with Depth "infinity".')
    target = _target(context, source, inside=False)
    exists = target.kind is not kinds.UNMAPPED
    origin, into = parent_of(source), parent_of(target)
    context.access.require(origin, UNBIND)
    context.access.require(into, BIND, *([UNBIND] if exists else []))
    if origin.collection.id != into.collection.id:
        # Appendix B of RFC 3744 does not ask for it; but who takes something to another place reads it there.
        _require_readable(context, source, below=True)
    _check(context, source, target, into)
    require_tokens(context, source, removes=True)
    require_tokens(context, target, removes=exists)
    if source.object is not None:
        row: ObjectRow | None = _move_object(context, source, target, into)
    else:
        _move_collection(context, source, target, into)
        row = None
    context.tx.locks.remove_below(source.collection.home_id, source.names)
    return _answer(context, source, target, row)


def _depth(context: Context, source: Resource) -> int:
    """0 or ``INFINITY``; of no meaning for what has no members (RFC 4918 section 10.2)."""
    if source.object is not None:
        return INFINITY
    depth = context.request.depth(default=INFINITY)
    if depth not in (0, INFINITY):
        raise bad_request('The Depth of a COPY is "0" or "infinity".')
    return depth


def _target(context: Context, source: Resource, *, inside: bool) -> Resource:
    """What the Destination header names. ``inside``: it may lie below the source (COPY with Depth 0).

    Raises 403 where it cannot be a destination, 409 where its parent does not exist, or not for the eyes of the user.
    """
    location = context.destination
    assert location is not None
    if location.space not in (Space.HOME, Space.NOWHERE):
        raise DavError(403, "Only homes take copies: the Destination has to lie in one.")
    no_parent = DavError(409, "The collection that the Destination lies in does not exist.")
    try:
        target = resolve(context.tx, context.router, location)
    except DavError as error:
        if error.status != 404:
            raise
        raise no_parent from error
    if target.names and target.names[0] in RESERVED_HOME:
        # Nothing is ever put into an inbox or outbox, or in their place (RFC 6638 section 2).
        raise DavError(403, f"The name {target.names[0]!r} is reserved in a home, and takes nothing.")
    if not context.access.visible(target):
        raise no_parent
    if target.kind is kinds.UNMAPPED and not parent_exists(target):
        raise no_parent
    if not target.names:
        raise DavError(403, "A home cannot be overwritten.")
    if source.owner == target.owner:
        _check_apart(source.names, target.names, inside=inside)
    if target.kind is kinds.UNMAPPED:
        check_new_name(target)
    return target


def _check_apart(source: tuple[str, ...], target: tuple[str, ...], *, inside: bool) -> None:
    if source == target:
        raise DavError(403, "The source and the Destination are the same.")
    if target[: len(source)] == source and not inside:
        raise DavError(403, "The Destination lies inside the source.")
    if source[: len(target)] == target:
        raise DavError(403, "The Destination is a collection that the source lies in: it would overwrite the source.")


def _require_readable(context: Context, source: Resource, *, below: bool) -> None:
    """``read`` on the source and on every collection in it."""
    context.access.require(source, READ)
    if source.kind is not kinds.PLAIN or not below:
        return
    for found in collections_below(context, source):
        if not context.access.has(found, READ):
            shown = found if context.access.visible(found) else source
            raise need_privileges(shown.href, READ)


def _check(context: Context, source: Resource, target: Resource, into: Resource) -> None:
    """Preconditions that do not depend on the content of an object."""
    check_preconditions(context, source)
    check_if(context, source)
    overwrite = context.request.overwrite
    if target.kind is not kinds.UNMAPPED and not overwrite:
        raise DavError(412, "There is something at the Destination, and Overwrite is F.")
    if source.object is None:
        at_home = into.kind is kinds.HOME or (source.kind is kinds.PLAIN and into.kind is kinds.PLAIN)
        if not at_home:
            message = "Calendars lie directly in a home, and hold no collections."
            raise failed(CALENDAR_COLLECTION_LOCATION_OK, message=message)
    elif source.kind is kinds.OBJECT and into.kind is kinds.CALENDAR:
        if source.row.component and source.row.component not in components_of(into):
            message = f"This calendar does not take {source.row.component}, only {', '.join(components_of(into))}."
            raise failed(SUPPORTED_CALENDAR_COMPONENT, message=message)
        _check_same_uid(context, target, into, source.row.uid)


def _check_same_uid(context: Context, target: Resource, into: Resource, uid: str) -> None:
    """A calendar object is not overwritten by one with another UID (RFC 4791 section 5.3.2.1)."""
    if target.object is not None and target.object.uid != uid:
        message = "The object at the Destination has another UID, and keeps it."
        raise bodies.uid_conflict(context, into, target.names[-1], message)


def _make_way(context: Context, target: Resource) -> None:
    """Removes what is at the Destination. A lock on its URL stays: the URL never stops being mapped (section 6.1)."""
    if target.object is not None:
        context.tx.objects.remove(target.collection, target.object)
    elif target.kind is not kinds.UNMAPPED:
        check_not_default(context, target)
        before_delete_all(context, target)
        kept = [lock for lock in locks_on(context, target) if lock.path == target.names]
        context.tx.collections.remove(target.collection)
        context.tx.locks.remove_below(target.collection.home_id, target.names)
        for lock in kept:
            context.tx.locks.add(lock)


def _copy_object(context: Context, source: Resource, target: Resource, into: Resource) -> ObjectRow:
    replaces = target.object
    if replaces is None:
        _make_way(context, target)
    new = before_put(context, into, replaces, Content(_content(context, source, into), as_sent=True)).new
    row = bodies.put(context, into, target.names[-1], new, replaces=replaces)
    context.tx.properties.copy(Owner("object", source.row.id), Owner("object", row.id))
    return row


def _move_object(context: Context, source: Resource, target: Resource, into: Resource) -> ObjectRow:
    name = target.names[-1]
    new = None
    if target.object is None:
        _make_way(context, target)
    if not (_same_kind(source, into) and source.owner == target.owner):
        before_delete(context, source)
        # What that has led to may have changed what is there.
        target = resolve(context.tx, context.router, replace(target.location, slash=False))
        new = _content(context, source, into)
        if new.uid:
            _check_same_uid(context, target, into, new.uid)
        new = before_put(context, into, target.object, Content(new, as_sent=True)).new
    elif source.row.schedule_tag:
        # "The server MUST change the CALDAV:schedule-tag property value" (RFC 6638 section 3.2.10).
        new = replace(_content(context, source, into), schedule_tag=new_tag())
    if target.object is not None:
        _make_way(context, target)
    try:
        row = context.tx.objects.move(source.collection, source.row, into.collection, name)
        if new is not None and (not _same_kind(source, into) or new.schedule_tag != source.row.schedule_tag):
            row = context.tx.objects.put(into.collection, name, new, replaces=row)
    except UidTaken as error:
        raise bodies.uid_conflict(context, into, error.name, str(error)) from error
    return row


def _copy_collection(context: Context, source: Resource, target: Resource, into: Resource, *, infinite: bool) -> None:
    elsewhere = source.owner != target.owner
    if infinite and not elsewhere:
        check_not_doubled(context, source)
    _make_way(context, target)
    made = context.tx.collections.copy(source.collection, into.collection, target.names[-1], infinite=infinite)
    if infinite and elsewhere:
        after_arrival(context, _placed(context, into, made))


def _move_collection(context: Context, source: Resource, target: Resource, into: Resource) -> None:
    name, elsewhere = target.names[-1], source.owner != target.owner
    if elsewhere:
        check_not_default(context, source)
        before_delete_all(context, source)
    _make_way(context, target)
    if not elsewhere:
        follow_default(context, source, replace(source.collection, path=(*into.collection.path, name)))
    moved = context.tx.collections.move(source.collection, into.collection, name)
    if elsewhere:
        after_arrival(context, _placed(context, into, moved))


def _placed(context: Context, into: Resource, made: Collection) -> Resource:
    """The resource of a collection that has just come into ``into``."""
    return of_collection(context.router, into.owner, into.home, (*into.chain, made))


def _same_kind(source: Resource, into: Resource) -> bool:
    """Whether the object stays what it is (calendar object or plain file) as a member of ``into``."""
    return (source.kind is kinds.OBJECT) == (into.kind is kinds.CALENDAR)


def _content(context: Context, source: Resource, into: Resource) -> NewObject:
    """The source's content as a member of ``into``. Raises the precondition that it violates there."""
    row = context.tx.objects.get(source.collection.id, source.row.name, columns=_WHOLE)
    assert row is not None
    if not _same_kind(source, into):
        return bodies.content_of(context, into, row.body, row.content_type).new
    return NewObject(
        body=row.body,
        content_type=row.content_type,
        uid=row.uid,
        component=row.component,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        recurs=row.recurs,
        transparent=row.transparent,
        organizer=row.organizer,
        spans=row.spans,
        digest_version=row.digest_version,
    )


def _answer(context: Context, source: Resource, target: Resource, row: ObjectRow | None) -> Response:
    """201 with ``Location`` or 204, or what is there now where the client asks for it (RFC 8144 section 3.1)."""
    created = target.kind is kinds.UNMAPPED
    path = context.router.below_home(target.owner, target.names, collection=source.object is None)
    headers = {"Location": path} if created else {}
    if row is None:
        return empty(201 if created else 204, headers)
    if row.schedule_tag:
        headers["Schedule-Tag"] = quoted(row.schedule_tag)  # RFC 6638 section 3.2.10
    preferences = context.request.preferences
    if not (preferences.representation and context.access.has(target, READ)):
        return empty(201 if created else 204, headers | ({"ETag": quoted(row.etag)} if created else {}))
    stored = resolve(context.tx, context.router, replace(target.location, slash=False), columns=_WHOLE)
    answer = get.whole(context, stored)
    answer.status = 201 if created else 200
    answer.headers |= headers | {"Content-Location": path} | preferences.applied("return=representation")
    return answer
