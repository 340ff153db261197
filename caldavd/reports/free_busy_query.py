"""free-busy-query (RFC 4791 section 7.10): when the calendars in scope make their owner busy.

Depth 0 and none on a calendar mean its members, as for calendar-query; on a home or plain collection Depth 1 covers the
calendars directly in it, infinity all below. On a principal (Evolution asks there, clients.md section 4) all calendars
of its home count, whatever Depth says, and so do its working hours. Transparent calendars
(``schedule-calendar-transp``, RFC 6638 section 9.1) count only where they are asked themselves. It needs
``CALDAV:read-free-busy`` alone, on each calendar. What makes busy is in ``scheduling.freebusy.diaries``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from caldavd import filters
from caldavd.access import READ_FREE_BUSY
from caldavd.context import Context
from caldavd.errors import NUMBER_OF_MATCHES_WITHIN_LIMITS, VALID_FILTER, bad_request, failed, not_found
from caldavd.kinds import CALENDAR, OBJECT, PRINCIPAL
from caldavd.reports.scope import calendars_in, zone_of_calendar
from caldavd.request import INFINITY
from caldavd.resources import Resource, of_collection, resolve
from caldavd.response import Response
from caldavd.router import Location, Space
from caldavd.xml.parse import Element, child
from scheduling.delivery.scheduler import INBOX
from scheduling.freebusy import vfreebusy
from scheduling.freebusy.availability import PROPERTIES as AVAILABILITY_PROPERTIES
from scheduling.freebusy.busy import Whose
from scheduling.freebusy.diaries import (
    CALENDAR_PROPERTIES,
    addresses_of,
    availability_in,
    blocks,
    calendar_of,
    is_transparent,
    zone_of_principal,
)
from scheduling.ical.periods import BusyPeriod, merge
from storage.rows import Owner, Principal

_TOO_MUCH: Final = "There is too much in these calendars for an answer about so long a time: ask for a shorter one."


def run(context: Context, resource: Resource, root: Element) -> Response:
    """200 with ``text/calendar``: one VFREEBUSY."""
    start, end = _range(root)
    if resource.kind is not PRINCIPAL:
        context.access.require(resource, READ_FREE_BUSY)
    owner = resource.principal or context.tx.principals.by_name(resource.owner)
    if resource.kind is OBJECT:
        periods = _of_object(context, resource, owner, start, end)
    else:
        whose = _of_person(context, resource, owner) if resource.kind is PRINCIPAL else _of(context, resource, owner)
        answer = context.freebusy.ask(context.tx, {0: whose}, start, end)[0]
        if not answer.complete:
            raise failed(NUMBER_OF_MATCHES_WITHIN_LIMITS, message=_TOO_MUCH)
        periods = answer.periods
    body = vfreebusy.answer(periods, start, end, now=context.tx.now)
    return Response(200, {"Content-Type": "text/calendar; charset=utf-8"}, body)


def _range(root: Element) -> tuple[int, int]:
    element = child(root, filters.TIME_RANGE)
    if element is None:
        raise failed(VALID_FILTER, message="A free-busy-query needs a C:time-range.")
    span = filters.read_time_range(element)
    if span.start is None or span.end is None:
        raise bad_request("A free-busy-query needs a C:time-range with start and end.")
    return span.start, span.end


def _of_object(
    context: Context, resource: Resource, owner: Principal | None, start: int, end: int
) -> Iterable[BusyPeriod]:
    calendar = of_collection(context.router, resource.owner, resource.home, resource.chain)
    zone = zone_of_calendar(context, calendar)
    addresses = addresses_of(owner) if owner is not None else frozenset()
    return merge(vfreebusy.busy(resource.row.body, start, end, zone, owner=addresses))


def _of(context: Context, resource: Resource, owner: Principal | None) -> Whose:
    """The calendars that a calendar, home or plain collection stands for."""
    calendars = calendars_in(context, resource, depth=context.request.depth(default=0), privilege=READ_FREE_BUSY)
    return _whose(context, list(calendars), owner, asked_itself=resource.kind is CALENDAR)


def _of_person(context: Context, resource: Resource, owner: Principal | None) -> Whose:
    home = resolve(context.tx, context.router, Location(Space.HOME, resource.owner))
    calendars = list(calendars_in(context, home, depth=INFINITY, privilege=READ_FREE_BUSY))
    if not calendars and not context.access.has(home, READ_FREE_BUSY):
        # An empty answer would say that somebody is free who has not told (404 as in section 7.10).
        raise not_found("Nothing about when they are busy is shared with you.")
    return _whose(context, calendars, owner, inbox=_inbox(context, resource))


def _inbox(context: Context, principal: Resource) -> Resource | None:
    found = context.tx.collections.find(principal.owner, (INBOX,))
    if found is None or found.missing or found.object is not None:
        return None
    return of_collection(context.router, principal.owner, found.home, found.chain)


def _whose(
    context: Context,
    calendars: list[Resource],
    owner: Principal | None,
    *,
    asked_itself: bool = False,
    inbox: Resource | None = None,
) -> Whose:
    """``inbox`` is where working hours are kept that count beside those in the calendars."""
    _load(context, [*calendars, *([inbox] if inbox is not None else [])], owner)
    counting = [
        calendar_of(one.collection, one.stored, owner, epoch=context.store.epoch)
        for one in calendars
        if blocks(one.collection) and (asked_itself or not is_transparent(one.stored))
    ]
    hours = availability_in(inbox.stored) if inbox is not None else b""
    return Whose(counting, hours, zone_of_principal(owner)) if owner is not None else Whose(counting)


def _load(context: Context, resources: list[Resource], owner: Principal | None) -> None:
    """Reads what the owner has set on these collections, whoever asks."""
    by_owner = {Owner("collection", one.collection.id): one for one in resources}
    names = (*CALENDAR_PROPERTIES, *AVAILABILITY_PROPERTIES)
    found = context.tx.properties.of(list(by_owner), principal_id=owner.id if owner is not None else 0, names=names)
    for key, values in found.items():
        by_owner[key].stored = {(one.namespace, one.name): one for one in values}
