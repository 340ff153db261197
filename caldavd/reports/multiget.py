"""calendar-multiget (RFC 4791 section 7.9): each href is answered once, a missing one with 404; Depth is ignored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter

from caldavd import filters, kinds
from caldavd.access import READ
from caldavd.calendardata import DataRequest, described, from_rows, read_asked
from caldavd.context import Context
from caldavd.errors import DavError, bad_request
from caldavd.kinds import CALENDAR, INBOX, MEMBERS, Kind
from caldavd.properties.data_listing import DataListing
from caldavd.reports.scope import zone_of_calendar
from caldavd.resources import WITH_BODY, Resource, of_collection, of_object, resolve
from caldavd.response import Response, xml
from caldavd.router import BadPath, Location, OtherServer, Space, plain_names
from caldavd.xml.multistatus import of_utf8, status_response
from caldavd.xml.names import dav
from caldavd.xml.parse import Element, texts_of
from scheduling.ical.timezones import Zone
from storage.rows import OBJECT_COLUMNS, ObjectRow

#: Where a member of the home is: the path of its collection, and its name. A href that leads nowhere here has no path.
Place = tuple[tuple[str, ...] | None, str]
#: The collections that members are asked of, by their paths, and of those members what is there, by their names.
Found = Mapping[tuple[str, ...] | None, tuple[Resource, Mapping[str, ObjectRow]]]


def run(context: Context, resource: Resource, root: Element) -> Response:
    """The named members of a calendar (or, on the home, of its calendars), or the object itself."""
    context.access.require(resource, READ)
    targets = _targets(context, resource, root)
    asked, data = read_asked(root)
    filters.check_ranges(root, earliest=context.limits.min_date_time, latest=context.limits.max_date_time)
    body = of_utf8(_answer(context, resource, root, targets, asked, data))
    return xml(207, body, context.request.preferences.applied("return=minimal") | {"Vary": "Brief, Prefer"})


def _targets(context: Context, resource: Resource, root: Element) -> dict[Place, str]:
    """What the hrefs name, each once, with its first spelling."""
    hrefs = texts_of(root, dav("href"))
    if not hrefs:
        raise bad_request("A calendar-multiget report needs at least one D:href.")
    if len(hrefs) > context.limits.max_multiget_hrefs:
        limit = context.limits.max_multiget_hrefs
        raise DavError(403, f"A calendar-multiget report takes at most {limit} hrefs at once.")
    plain = plain_names(hrefs, resource.href) if resource.kind.is_collection else {}
    targets: dict[Place, str] = {}
    for sent in dict.fromkeys(hrefs):
        name = plain.get(sent)
        targets.setdefault(_locate(context, resource, sent) if name is None else (resource.names, name), sent)
    return targets


def _locate(context: Context, resource: Resource, sent: str) -> Place:
    try:
        location = context.router.locate_href(sent, base=resource.href, authorities=context.request.authorities)
    except (BadPath, OtherServer):
        return None, sent
    inside = location.space is Space.HOME and location.owner == resource.owner
    below = inside and location.names[: len(resource.names)] == resource.names and len(location.names) > 0
    return (location.names[:-1], location.names[-1]) if below else (None, sent)


def _answer(
    context: Context,
    resource: Resource,
    root: Element,
    targets: Mapping[Place, str],
    asked: tuple[str, ...],
    data: DataRequest | None,
) -> Iterator[bytes]:
    listings = from_rows(asked, data)
    found = _find(context, resource, targets, _columns(listings, data))
    hits: list[Place] = []
    missing: list[Place] = []
    for place in targets:
        path, name = place
        (hits if path in found and name in found[path][1] else missing).append(place)
    if listings is None:
        ours = (context.router, resource.owner, resource.home)
        members = [of_object(*ours, found[path][0].chain, found[path][1][name]) for path, name in hits]
        yield from described(context, members, root, asked, data, _zones(context))
    else:
        for path, group in groupby(hits, key=itemgetter(0)):
            parent, rows = found[path]
            how = listings[kinds.OF_MEMBER[parent.collection.kind]]
            yield from how.responses(parent.href, [rows[name] for _, name in group])
    for place in missing:
        yield status_response(_spelt(context, resource, place, targets[place]), 404).encode()


def _columns(listings: Mapping[Kind, DataListing] | None, data: DataRequest | None) -> frozenset[str]:
    if listings is None:
        return WITH_BODY if data else OBJECT_COLUMNS
    return frozenset(column for how in listings.values() for column in how.columns)


def _find(context: Context, resource: Resource, places: Iterable[Place], columns: frozenset[str]) -> Found:
    if resource.kind in MEMBERS:
        parent = of_collection(context.router, resource.owner, resource.home, resource.chain)
        return {parent.names: (parent, {resource.row.name: resource.row})}
    names: dict[tuple[str, ...], list[str]] = {}
    for path, name in places:
        if path is not None:
            names.setdefault(path, []).append(name)
    found: dict[tuple[str, ...] | None, tuple[Resource, Mapping[str, ObjectRow]]] = {}
    for path, members in names.items():
        within = resource if path == resource.names else _collection(context, resource, path)
        if within is not None and within.kind in (CALENDAR, INBOX) and context.access.has(within, READ):
            rows = context.tx.objects.by_names(within.collection.id, members, columns=columns)
            found[path] = within, rows
    return found


def _collection(context: Context, resource: Resource, path: tuple[str, ...]) -> Resource | None:
    try:
        found = resolve(context.tx, context.router, Location(Space.HOME, resource.owner, path))
    except DavError:
        return None
    return found if found.kind in kinds.STORED_COLLECTIONS else None


def _spelt(context: Context, resource: Resource, place: Place, sent: str) -> str:
    """The href of what is not there, spelt as all our hrefs; a slash at its end stays, as clients look for it."""
    path, name = place
    if path is None:
        return sent
    return context.router.below_home(resource.owner, (*path, name), collection=sent.endswith("/"))


def _zones(context: Context) -> Callable[[Resource], Zone]:
    """The zone of the calendar that an object is in, read once a calendar."""
    known: dict[int, Zone] = {}

    def zone(resource: Resource) -> Zone:
        key = resource.collection.id
        if key not in known:
            calendar = of_collection(context.router, resource.owner, resource.home, resource.chain)
            known[key] = zone_of_calendar(context, calendar)
        return known[key]

    return zone
