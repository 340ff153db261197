"""calendar-query (RFC 4791 section 7.8).

The store pre-selects by component and by the bounds of all instances; what passes is decided by
``scheduling.ical.filter``, on the rows where they are enough, else on the texts. A calendar stands for its members
whatever Depth says: Windows and Evolution send Depth 0 or none and expect them (clients.md rule 11; recorded in
conformance/rfc/4791.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from caldavd import filters
from caldavd.access import READ
from caldavd.calendardata import DataRequest, described, read_asked
from caldavd.context import Context
from caldavd.errors import VALID_FILTER, failed
from caldavd.kinds import MEMBERS
from caldavd.reports.scope import calendars_in, objects_in, zone_of_calendar, zone_of_query
from caldavd.resources import WITH_BODY, Resource, of_collection
from caldavd.response import Response, xml
from caldavd.xml.multistatus import of_utf8
from caldavd.xml.parse import Element, child
from scheduling.ical import filter as ical_filter, lines
from scheduling.ical.digest import DIGEST_VERSION
from scheduling.ical.lines import ICalendarError
from scheduling.ical.spans import is_within
from scheduling.ical.timezones import Zone
from storage.batches import batches
from storage.rows import OBJECT_COLUMNS, ObjectRow


def run(context: Context, resource: Resource, root: Element) -> Response:
    """A multistatus of the objects that the filter lets pass."""
    context.access.require(resource, READ)
    element = child(root, filters.FILTER)
    if element is None:
        raise failed(VALID_FILTER, message="A calendar-query needs a C:filter.")
    query = filters.read_filter(element, max_depth=context.limits.max_filter_depth)
    asked, data = read_asked(root)
    filters.check_ranges(root, earliest=context.limits.min_date_time, latest=context.limits.max_date_time)
    body = of_utf8(_answer(context, resource, root, query, asked, data))
    preferences = context.request.preferences
    return xml(207, body, preferences.applied("return=minimal") | {"Vary": "Brief, Prefer"})


def _answer(
    context: Context,
    resource: Resource,
    root: Element,
    query: ical_filter.CompFilter,
    asked: tuple[str, ...],
    data: DataRequest | None,
) -> Iterator[bytes]:
    zone = zone_of_query(root)
    columns = (WITH_BODY if data is not None else OBJECT_COLUMNS) | {"spans"}
    for calendar, candidates in _candidates(context, resource, query, columns):
        floating = zone or zone_of_calendar(context, calendar)
        parts = batches(candidates)
        found = chain.from_iterable(_passing(context, part, query, floating, columns) for part in parts)
        yield from described(context, found, root, asked, data, _always(floating))


def _passing(
    context: Context,
    candidates: Iterable[Resource],
    query: ical_filter.CompFilter,
    floating: Zone,
    columns: frozenset[str],
) -> list[Resource]:
    """Those that the filter lets pass, in their order. Only the texts of those are read that the rows cannot decide."""
    simple = ical_filter.only_time(query)
    if simple is None:
        found: list[tuple[Resource, bool | None]] = [(one, None) for one in candidates]
    else:
        found = [(one, _told(one.row, *simple, floating)) for one in candidates]
    if "body" not in columns:
        _read_bodies(context, [one for one, told in found if told is None])
    return [one for one, told in found if (_passes(one, query, floating) if told is None else told)]


def _told(row: ObjectRow, component: str, span: ical_filter.TimeRange | None, floating: Zone) -> bool | None:
    """Whether a row is of this component and overlaps the range, if there is one; None: its text has to be asked."""
    if row.component != component or span is None:
        return row.component == component
    if component != "VEVENT" or row.digest_version != DIGEST_VERSION:
        return None
    if not row.recurs and ical_filter.lies_within(span, row.starts_at, row.ends_at):
        return True
    return is_within(row.spans, span.start, span.end, floating)


def _read_bodies(context: Context, resources: Sequence[Resource]) -> None:
    """Gives the resources, all of one collection, rows with their bodies, in one statement a batch."""
    if resources:
        names = [one.row.name for one in resources]
        rows = context.tx.objects.by_names(resources[0].collection.id, names, columns=WITH_BODY)
        for one in resources:
            one.object = rows[one.row.name]


def _candidates(
    context: Context, resource: Resource, query: ical_filter.CompFilter, columns: frozenset[str]
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
                columns=columns,
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
