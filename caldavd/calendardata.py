"""``C:calendar-data`` in reports (RFC 4791 section 9.6): what of an object to return, and in which form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from caldavd import filters, formats
from caldavd.context import Context
from caldavd.errors import NUMBER_OF_MATCHES_WITHIN_LIMITS, SUPPORTED_CALENDAR_DATA, bad_request, failed
from caldavd.kinds import ICALENDAR, Kind
from caldavd.methods.propfind import all_properties, asked_names, property_names
from caldavd.properties.data_listing import DataListing, data_listing
from caldavd.properties.registry import responses
from caldavd.resources import Resource
from caldavd.xml.fragment import text_of_utf8
from caldavd.xml.names import caldav, dav
from caldavd.xml.parse import Element, child, children, tag_of
from scheduling.ical import expand
from scheduling.ical.expand import Allowance, Selection, TooMuch
from scheduling.ical.lines import ICalendarError
from scheduling.ical.timezones import Zone
from storage.batches import batches

CALENDAR_DATA = caldav("calendar-data")
_RANGES = (caldav("expand"), caldav("limit-recurrence-set"), caldav("limit-freebusy-set"))


@dataclass(frozen=True, slots=True)
class Range:
    """A range of instants, both ends given."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DataRequest:
    """What the ``C:calendar-data`` element of a report asks for; ``None`` where it does not."""

    jcal: bool = False
    selection: Selection | None = None
    expand: Range | None = None
    limit_recurrence: Range | None = None
    limit_freebusy: Range | None = None

    def renderer(self, context: Context, zone: Callable[[Resource], Zone]) -> Callable[[Resource], str]:
        """A function from a resource (read with its body) to the rendered element.

        ``zone`` gives the zone of floating times of the calendar that an object is in. The function raises 507
        ``number-of-matches-within-limits`` where it is called for more instances than one request may have.
        """
        allowance = Allowance()
        start = (
            '<C:calendar-data content-type="application/calendar+json" version="2.0">'
            if self.jcal
            else "<C:calendar-data>"
        )

        def render(resource: Resource) -> str:
            body = resource.row.body
            try:
                body = self._reduced(body, resource, zone, most=context.limits.max_instances, allowance=allowance)
                if self.jcal:
                    body = formats.to_jcal(body)
            except TooMuch as error:
                message = "There are too many instances in this time range: expand a shorter one."
                raise failed(NUMBER_OF_MATCHES_WITHIN_LIMITS, message=message) from error
            except ICalendarError:
                # What cannot be read any more is returned whole rather than not at all.
                body = resource.row.body
            return f"{start}{text_of_utf8(body).decode()}</C:calendar-data>"

        return render

    def _reduced(
        self, body: bytes, resource: Resource, zone: Callable[[Resource], Zone], *, most: int, allowance: Allowance
    ) -> bytes:
        if self.expand is not None:
            body = expand.expand(
                body, self.expand.start, self.expand.end, zone(resource), most=most, allowance=allowance
            )
        if self.limit_recurrence is not None:
            span = self.limit_recurrence
            body = expand.limit_recurrence_set(body, span.start, span.end, zone(resource))
        if self.limit_freebusy is not None:
            span = self.limit_freebusy
            body = expand.limit_freebusy_set(body, span.start, span.end, zone(resource))
        if self.selection is not None:
            body = expand.select(body, self.selection)
        return body


def read_asked(root: Element) -> tuple[tuple[str, ...], DataRequest | None]:
    """The asked properties of a report without ``calendar-data``, and what that one asks for (``None``: not asked).

    Without ``D:prop`` nothing is named; what :func:`described` does then depends on the other forms.
    """
    prop = child(root, dav("prop"))
    if prop is None:
        return (), None
    names = asked_names(prop)
    data = child(prop, CALENDAR_DATA)
    return tuple(name for name in names if name != CALENDAR_DATA), _read(data) if data is not None else None


def from_rows(asked: tuple[str, ...], data: DataRequest | None) -> Mapping[Kind, DataListing] | None:
    """How objects and messages are told without a resource for each, where so little is asked; ``None``: not so."""
    if data is not None and data != _WHOLE:
        return None
    found = {kind: data_listing(kind, asked, data=data is not None) for kind in ICALENDAR}
    listings = {kind: how for kind, how in found.items() if how is not None}
    return listings if len(listings) == len(found) else None


def described(
    context: Context,
    found: Iterable[Resource],
    root: Element,
    asked: tuple[str, ...],
    data: DataRequest | None,
    zone: Callable[[Resource], Zone],
) -> Iterable[bytes]:
    """One ``D:response`` a resource in the form that a report asks for (RFC 4791 sections 9.5 and 9.10), in UTF-8.

    ``D:allprop`` and ``D:propname`` mean what they do in a PROPFIND and never bring ``calendar-data`` (section 9.6);
    without any form there are no properties, only hrefs. ``zone`` is as for :meth:`DataRequest.renderer`.
    """
    if child(root, dav("prop")) is None:
        if child(root, dav("allprop")) is not None:
            return map(str.encode, all_properties(context, found))
        if child(root, dav("propname")) is not None:
            return map(str.encode, property_names(context, found))
    listings = from_rows(asked, data)
    if listings is not None:
        return _from_rows(context, found, listings)
    minimal = context.request.preferences.minimal
    extra = None if data is None else data.renderer(context, zone)
    return map(str.encode, responses(context, found, asked, minimal=minimal, extra=extra))


def _from_rows(context: Context, found: Iterable[Resource], listings: Mapping[Kind, DataListing]) -> Iterator[bytes]:
    for _, group in groupby(found, key=lambda one: one.collection.id):
        for members in batches(group):
            one = members[0]
            base = context.router.below_home(one.owner, one.collection.path, collection=True)
            yield from listings[one.kind].responses(base, [member.row for member in members])


#: An object as it was stored.
_WHOLE = DataRequest()


def _read(element: Element) -> DataRequest:
    kind = (element.get("content-type") or formats.ICALENDAR).split(";")[0].strip().lower()
    if kind not in (formats.ICALENDAR, formats.JCAL) or (element.get("version") or "2.0").strip() != "2.0":
        message = "calendar-data is there as text/calendar and application/calendar+json, version 2.0."
        raise failed(SUPPORTED_CALENDAR_DATA, message=message)
    ranges = {tag_of(found): _range(found) for found in children(element) if tag_of(found) in _RANGES}
    comp = child(element, caldav("comp"))
    return DataRequest(
        jcal=kind == formats.JCAL,
        selection=_selection(comp) if comp is not None else None,
        expand=ranges.get(_RANGES[0]),
        limit_recurrence=ranges.get(_RANGES[1]),
        limit_freebusy=ranges.get(_RANGES[2]),
    )


def _range(element: Element) -> Range:
    span = filters.read_time_range(element)
    if span.start is None or span.end is None or span.start >= span.end:
        raise bad_request(f"{tag_of(element).rpartition('}')[2]} needs a start and an end, the start first.")
    return Range(span.start, span.end)


def _selection(comp: Element, depth: int = 0) -> Selection:
    """A ``C:comp``. An empty one stands for all that is in the component, as in the example of section 7.8.1."""
    if depth > filters.MAX_DEPTH:
        raise bad_request("The C:comp elements are nested too deep.")
    found = {tag_of(inner) for inner in children(comp)}
    everything = not found
    props = {
        _name(inner): (inner.get("novalue") or "no").lower() == "yes"
        for inner in children(comp)
        if tag_of(inner) == caldav("prop")
    }
    comps = tuple(_selection(inner, depth + 1) for inner in children(comp) if tag_of(inner) == caldav("comp"))
    return Selection(
        _name(comp),
        None if everything or caldav("allprop") in found else props,
        None if everything or caldav("allcomp") in found else comps,
    )


def _name(element: Element) -> str:
    name = (element.get("name") or "").strip().upper()
    if not name:
        raise bad_request("C:comp and C:prop need a name.")
    return name
