"""calendar-query (RFC 4791 section 7.8).

The store pre-selects by component and by the bounds of all instances; what passes is decided on the text by
``scheduling.ical.filter``. A calendar stands for its members whatever Depth says: Windows and Evolution send Depth 0 or
none and expect them (clients.md rule 11; recorded in conformance/rfc/4791.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from caldavd import filters
from caldavd.access import READ
from caldavd.calendardata import DataRequest, described, read_asked
from caldavd.context import Context
from caldavd.errors import VALID_FILTER, failed
from caldavd.kinds import MEMBERS
from caldavd.reports.scope import calendars_in, objects_in, zone_of_calendar, zone_of_query
from caldavd.resources import WITH_BODY, Resource, of_collection
from caldavd.response import Response, xml
from caldavd.xml.multistatus import multistatus
from caldavd.xml.parse import Element, child
from scheduling.ical import filter as ical_filter, lines
from scheduling.ical.lines import ICalendarError
from scheduling.ical.timezones import Zone


def run(context: Context, resource: Resource, root: Element) -> Response:
    """A multistatus of the objects that the filter lets pass."""
    context.access.require(resource, READ)
    element = child(root, filters.FILTER)
    if element is None:
        raise failed(VALID_FILTER, message="A calendar-query needs a C:filter.")
    query = filters.read_filter(element, max_depth=context.limits.max_filter_depth)
    asked, data = read_asked(root)
    filters.check_ranges(root, earliest=context.limits.min_date_time, latest=context.limits.max_date_time)
    body = multistatus(_answer(context, resource, root, query, asked, data))
    preferences = context.request.preferences
    return xml(207, body, preferences.applied("return=minimal") | {"Vary": "Brief, Prefer"})


def _answer(
    context: Context,
    resource: Resource,
    root: Element,
    query: ical_filter.CompFilter,
    asked: tuple[str, ...],
    data: DataRequest | None,
) -> Iterator[str]:
    zone = zone_of_query(context, root)
    for calendar, candidates in _candidates(context, resource, query):
        floating = zone or zone_of_calendar(context, calendar)
        found = [one for one in candidates if _passes(one, query, floating)]
        extra = data.renderer(context, _always(floating)) if data is not None else None
        yield from described(context, found, root, asked, extra)


def _candidates(
    context: Context, resource: Resource, query: ical_filter.CompFilter
) -> Iterator[tuple[Resource, Iterator[Resource]]]:
    if resource.kind in MEMBERS:
        parent = of_collection(context.router, resource.owner, resource.home, resource.chain)
        yield parent, iter((resource,))
        return
    bounds = ical_filter.bounds(query)
    if bounds is None:
        return
    depth = context.request.depth(default=0)
    for calendar in calendars_in(context, resource, depth=depth, privilege=READ):
        yield (
            calendar,
            objects_in(
                context,
                calendar,
                columns=WITH_BODY,
                components=bounds.components,
                start=bounds.start,
                end=bounds.end,
            ),
        )


def _passes(resource: Resource, query: ical_filter.CompFilter, floating: Zone) -> bool:
    """What was stored can be read; where a value that decides cannot (a zone's rules never end), it does not match."""
    try:
        return ical_filter.matches(query, lines.parse(resource.row.body), floating)
    except ICalendarError:
        return False


def _always(zone: Zone) -> Callable[[Resource], Zone]:
    return lambda _: zone
