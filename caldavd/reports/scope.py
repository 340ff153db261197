"""What a CalDAV report looks at: the calendars in its scope, the rows to read, the zone of floating times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from caldavd import errors
from caldavd.context import Context
from caldavd.errors import failed
from caldavd.kinds import CALENDAR, HOME, INBOX, PLAIN
from caldavd.properties.registry import load_stored
from caldavd.request import INFINITY
from caldavd.resources import Resource, of_collection, of_object
from caldavd.xml.names import CALDAV_NS, caldav
from caldavd.xml.parse import Element, child, parse, text_of
from scheduling.ical import lines, timezones
from scheduling.ical.lines import ICalendarError
from scheduling.ical.timezones import Zone

_ZONE_PROPERTIES: Final = ((CALDAV_NS, "calendar-timezone"), (CALDAV_NS, "calendar-timezone-id"))


def calendars_in(context: Context, resource: Resource, *, depth: int, privilege: str | None) -> Iterator[Resource]:
    """The calendars that a report on ``resource`` covers and where the user holds ``privilege`` (``None``: any).

    A calendar stands for its members whatever Depth says (clients.md rule 11), and so does an inbox (RFC 6638 section
    2.3), which is in no other scope: what is in it is no calendar object of its owner. A home or plain collection
    covers the calendars in it with Depth 1 and infinity; with Depth 0 nothing: it has no calendar objects of its own.
    """
    if resource.kind in (CALENDAR, INBOX):
        yield resource
        return
    if resource.kind not in (HOME, PLAIN) or depth == 0:
        return
    found = context.tx.collections.of_home(resource.collection.home_id)
    by_path = {one.path: one for one in found}
    context.access.preload(found)
    size = len(resource.names)
    for one in found:
        inside = one.path[:size] == resource.names and (depth == INFINITY or len(one.path) == size + 1)
        if inside and one.kind == "calendar":
            chain = tuple(by_path[one.path[:length]] for length in range(len(one.path) + 1))
            calendar = of_collection(context.router, resource.owner, resource.home, chain)
            if privilege is None or context.access.has(calendar, privilege):
                yield calendar


def objects_in(
    context: Context,
    calendar: Resource,
    *,
    columns: frozenset[str],
    components: frozenset[str],
    start: int | None,
    end: int | None,
) -> Iterator[Resource]:
    """The objects of a calendar that may lie in a range (epoch seconds), some hundreds of rows at a time."""
    rows = context.tx.objects.within(
        calendar.collection.id, columns=columns, components=components, start=start, end=end
    )
    for row in rows:
        yield of_object(context.router, calendar.owner, calendar.home, calendar.chain, row)


def zone_of_query(root: Element) -> Zone | None:
    """The zone that a query names by ``C:timezone`` (RFC 4791 9.8) or ``C:timezone-id`` (RFC 7809 5.1)."""
    by_id = text_of(child(root, caldav("timezone-id")))
    if by_id:
        return _by_id(by_id)
    definition = child(root, caldav("timezone"))
    return _by_definition(definition.text or "") if definition is not None else None


def zone_of_calendar(context: Context, calendar: Resource) -> Zone:
    """The zone of floating times in a calendar: its own, else its owner's, else UTC (RFC 4791 sections 5.2.2, 7.3)."""
    if not any(key in calendar.stored for key in _ZONE_PROPERTIES):
        load_stored(context, [calendar], _ZONE_PROPERTIES)
    by_id = calendar.stored.get(_ZONE_PROPERTIES[1])
    by_text = calendar.stored.get(_ZONE_PROPERTIES[0])
    if by_id is not None:
        return _by_id(text_of(parse(by_id.xml)))
    if by_text is not None:
        return _by_definition(parse(by_text.xml).text or "")
    owner = context.user if calendar.owner == context.user.name else context.tx.principals.by_name(calendar.owner)
    return _by_id(owner.timezone) if owner is not None and owner.timezone else timezones.UTC


def _by_id(name: str) -> Zone:
    zone = timezones.named(name)
    if zone is None:
        raise failed(errors.VALID_TIMEZONE, message=f"The time zone {name!r} is not known here.")
    return zone


def _by_definition(text: str) -> Zone:
    try:
        return timezones.zone_of(lines.parse(text.encode()))
    except ICalendarError as error:
        raise failed(errors.VALID_CALENDAR_TIMEZONE, message=f"The time zone cannot be used: {error}") from error
