"""free-busy-query (RFC 4791 section 7.10): when the calendars in scope make their owner busy.

Depth 0 and none on a calendar mean its members, as for calendar-query; on a home or plain collection Depth 1 covers the
calendars directly in it, infinity all below. On a principal (Evolution asks there, clients.md section 4) all calendars
of its home count, whatever Depth says. Transparent calendars (``schedule-calendar-transp``, RFC 6638 section 9.1) count
only where they are asked themselves. It needs ``CALDAV:read-free-busy`` alone, on each calendar.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from caldavd import filters
from caldavd.access import READ_FREE_BUSY
from caldavd.context import Context
from caldavd.errors import NUMBER_OF_MATCHES_WITHIN_LIMITS, VALID_FILTER, bad_request, failed, not_found
from caldavd.kinds import CALENDAR, OBJECT, PRINCIPAL
from caldavd.properties.registry import load_stored
from caldavd.reports.scope import calendars_in, objects_in, zone_of_calendar
from caldavd.request import INFINITY
from caldavd.resources import Resource, of_collection, resolve
from caldavd.response import Response
from caldavd.router import Location, Space
from caldavd.xml.names import CALDAV_NS
from caldavd.xml.parse import Element, child
from scheduling import freebusy
from scheduling.addresses import normal
from scheduling.ical.periods import BusyPeriod
from scheduling.ical.rrule import DEFAULT_STEPS, Budget
from storage.rows import KEY_COLUMNS

_BODY: Final = KEY_COLUMNS | {"body"}
_COMPONENTS: Final = frozenset({"VEVENT", "VFREEBUSY"})
#: Steps of recurrences that one request may cost, beside what each object may: a second or two. A person with two
#: thousand daily events can still ask for some months.
_STEPS: Final = 500_000
_TRANSP: Final = (CALDAV_NS, "schedule-calendar-transp")


def run(context: Context, resource: Resource, root: Element) -> Response:
    """200 with ``text/calendar``: one VFREEBUSY."""
    start, end = _range(root)
    if resource.kind is not PRINCIPAL:
        context.access.require(resource, READ_FREE_BUSY)
    periods = list(_periods(context, resource, start, end))
    body = freebusy.answer(periods, start, end, now=context.tx.now)
    return Response(200, {"Content-Type": "text/calendar; charset=utf-8"}, body)


def _range(root: Element) -> tuple[int, int]:
    element = child(root, filters.TIME_RANGE)
    if element is None:
        raise failed(VALID_FILTER, message="A free-busy-query needs a C:time-range.")
    span = filters.read_time_range(element)
    if span.start is None or span.end is None:
        raise bad_request("A free-busy-query needs a C:time-range with start and end.")
    return span.start, span.end


def _periods(context: Context, resource: Resource, start: int, end: int) -> Iterator[BusyPeriod]:
    owner = context.tx.principals.by_name(resource.owner)
    addresses = frozenset(normal(one.uri) for one in owner.addresses) if owner is not None else frozenset()
    left = _STEPS
    for calendar, objects in _scope(context, resource, start, end):
        zone = zone_of_calendar(context, calendar)
        for one in objects:
            budget = Budget(DEFAULT_STEPS)
            yield from freebusy.busy(one.row.body, start, end, zone, owner=addresses, budget=budget)
            left -= DEFAULT_STEPS - budget.left
            if left < 0:
                message = "There are too many instances in this time range: ask for a shorter one."
                raise failed(NUMBER_OF_MATCHES_WITHIN_LIMITS, message=message)


def _scope(context: Context, resource: Resource, start: int, end: int) -> Iterator[tuple[Resource, Iterator[Resource]]]:
    if resource.kind is OBJECT:
        yield of_collection(context.router, resource.owner, resource.home, resource.chain), iter((resource,))
        return
    depth = context.request.depth(default=0)
    if resource.kind is PRINCIPAL:
        resource, depth = resolve(context.tx, context.router, Location(Space.HOME, resource.owner)), INFINITY
    calendars = list(calendars_in(context, resource, depth=depth, privilege=READ_FREE_BUSY))
    if not calendars and not context.access.has(resource, READ_FREE_BUSY):
        # Of a principal: an empty answer would say that somebody is free who has not told (404 as in section 7.10).
        raise not_found("Nothing about when they are busy is shared with you.")
    load_stored(context, calendars, None)
    for calendar in calendars:
        if resource.kind is CALENDAR or not is_transparent(calendar):
            found = objects_in(context, calendar, columns=_BODY, components=_COMPONENTS, start=start, end=end)
            yield calendar, found


def is_transparent(calendar: Resource) -> bool:
    """Whether the calendar is set not to make its owner busy; its stored properties have to be loaded."""
    kept = calendar.stored.get(_TRANSP)
    return kept is not None and b"transparent" in kept.xml
