"""calendar-multiget (RFC 4791 section 7.9): each href is answered once, a missing one with 404; Depth is ignored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from caldavd import filters, kinds
from caldavd.access import READ
from caldavd.calendardata import DataRequest, described, read_asked
from caldavd.context import Context
from caldavd.errors import DavError, bad_request
from caldavd.kinds import CALENDAR, ICALENDAR, INBOX, MEMBERS
from caldavd.reports.scope import zone_of_calendar
from caldavd.resources import WITH_BODY, Resource, of_collection, of_object, resolve
from caldavd.response import Response, xml
from caldavd.router import BadPath, Location, OtherServer, Space
from caldavd.xml.multistatus import multistatus, status_response
from caldavd.xml.names import dav
from caldavd.xml.parse import Element, children, tag_of
from scheduling.ical.timezones import Zone
from storage.rows import OBJECT_COLUMNS


@dataclass(frozen=True, slots=True)
class Target:
    """One ``D:href`` as it was sent and where it leads (``None``: nowhere here)."""

    sent: str
    location: Location | None


def run(context: Context, resource: Resource, root: Element) -> Response:
    """The named members of a calendar (or, on the home, of its calendars), or the object itself."""
    context.access.require(resource, READ)
    targets = _targets(context, resource, root)
    asked, data = read_asked(root)
    filters.check_ranges(root, earliest=context.limits.min_date_time, latest=context.limits.max_date_time)
    found = _find(context, resource, targets, WITH_BODY if data else OBJECT_COLUMNS)
    preferences = context.request.preferences
    body = multistatus(_answer(context, root, targets, found, asked, data))
    return xml(207, body, preferences.applied("return=minimal") | {"Vary": "Brief, Prefer"})


def _targets(context: Context, resource: Resource, root: Element) -> list[Target]:
    hrefs = [(found.text or "").strip() for found in children(root) if tag_of(found) == dav("href")]
    if not hrefs:
        raise bad_request("A calendar-multiget report needs at least one D:href.")
    if len(hrefs) > context.limits.max_multiget_hrefs:
        limit = context.limits.max_multiget_hrefs
        raise DavError(403, f"A calendar-multiget report takes at most {limit} hrefs at once.")
    targets = [Target(sent, _locate(context, resource, sent)) for sent in dict.fromkeys(hrefs)]
    seen: dict[Location | str, Target] = {}
    for target in targets:  # the same resource in two spellings is answered once
        seen.setdefault(target.location or target.sent, target)
    return list(seen.values())


def _locate(context: Context, resource: Resource, sent: str) -> Location | None:
    try:
        location = context.router.locate_href(sent, base=resource.href, authorities=context.request.authorities)
    except (BadPath, OtherServer):
        return None
    inside = location.space is Space.HOME and location.owner == resource.owner
    below = inside and location.names[: len(resource.names)] == resource.names and len(location.names) > 0
    return Location(Space.HOME, location.owner, location.names, slash=False) if below else None


def _find(
    context: Context, resource: Resource, targets: list[Target], columns: frozenset[str]
) -> Mapping[Location, Resource]:
    if resource.kind in MEMBERS:
        return {resource.location: resource}
    names: dict[tuple[str, ...], list[str]] = {}
    for target in targets:
        if target.location is not None:
            names.setdefault(target.location.names[:-1], []).append(target.location.names[-1])
    result: dict[Location, Resource] = {}
    for path, members in names.items():
        parent = resource if path == resource.names else _collection(context, resource, path)
        if parent is None or parent.kind not in (CALENDAR, INBOX) or not context.access.has(parent, READ):
            continue
        rows = context.tx.objects.by_names(parent.collection.id, members, columns=columns)
        for row in rows.values():
            one = of_object(context.router, resource.owner, resource.home, parent.chain, row)
            result[one.location] = one
    return result


def _collection(context: Context, resource: Resource, path: tuple[str, ...]) -> Resource | None:
    try:
        found = resolve(context.tx, context.router, Location(Space.HOME, resource.owner, path))
    except DavError:
        return None
    return found if found.kind in kinds.STORED_COLLECTIONS else None


def _answer(
    context: Context,
    root: Element,
    targets: list[Target],
    found: Mapping[Location, Resource],
    asked: tuple[str, ...],
    data: DataRequest | None,
) -> Iterator[str]:
    hits = [one for one in (_hit(target, found) for target in targets) if one is not None]
    extra = data.renderer(context, _zones(context)) if data is not None else None
    yield from described(context, hits, root, asked, extra)
    answered = {one.location for one in hits}
    for target in targets:
        if target.location not in answered:
            yield status_response(_missing(context, target), 404)


def _missing(context: Context, target: Target) -> str:
    """The href of what is not there, spelt as all our hrefs; a slash at its end stays, as clients look for it."""
    if target.location is None:
        return target.sent
    return context.router.href(replace(target.location, slash=target.sent.endswith("/")))


def _hit(target: Target, found: Mapping[Location, Resource]) -> Resource | None:
    one = found.get(target.location) if target.location is not None else None
    return one if one is not None and one.kind in ICALENDAR else None


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
