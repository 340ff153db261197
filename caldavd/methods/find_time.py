"""POST of XML to the outbox: asks for the best times of a meeting (docs/find-time.md has the elements).

Owns the wire: ``find-time`` and ``find-time-response`` in this server's own namespace, with elements of WebDAV and
CalDAV where there are such. Who comes, and what is found, is in ``scheduling.finding.finder``; the owner of the outbox
asks and, unless they are named otherwise, has to come as well.
"""

from __future__ import annotations

from typing import Final

from caldavd.context import Context
from caldavd.errors import (
    VALID_ATTENDEES,
    VALID_DURATION,
    VALID_FIND_TIME,
    VALID_NUMBER,
    VALID_ROOMS,
    VALID_WINDOW,
    Condition,
    failed,
)
from caldavd.filters import TIME_RANGE, read_time_range
from caldavd.finding import readable
from caldavd.resources import Resource
from caldavd.response import Response, xml
from caldavd.xml.fragment import attribute, document, href, text
from caldavd.xml.names import dav, own, split
from caldavd.xml.parse import Element, child, tag_of, text_of
from scheduling.addresses import normal
from scheduling.finding.askable import address_of, name_of
from scheduling.finding.finder import Answer, Question
from scheduling.finding.slots import Attendee, NotAWish, Place, Suggestion
from scheduling.finding.whereabouts import geo_in
from scheduling.ical.lines import ICalendarError
from scheduling.ical.timezones import Zone, named
from scheduling.ical.values import duration, write_utc
from storage.rows import Principal

MEDIA_TYPES: Final = frozenset({"application/xml", "text/xml"})
_CONDITIONS: Final[dict[str, Condition]] = {
    "duration": VALID_DURATION,
    "window": VALID_WINDOW,
    "attendees": VALID_ATTENDEES,
    "rooms": VALID_ROOMS,
    "number": VALID_NUMBER,
}
#: ROLE of an attendee (RFC 5545 3.2.16): who has to come, who may, and who does not.
_ROLES: Final = ("CHAIR", "REQ-PARTICIPANT", "OPT-PARTICIPANT", "NON-PARTICIPANT")
_ELEMENTS: Final = frozenset(
    {"duration", "attendee", "room", "capacity", "equipment", "location", "step", "timezone", "masked-uid"}
)


def run(context: Context, resource: Resource) -> Response:
    """200 with a ``find-time-response``. The privilege to ask has been seen to."""
    root = context.request.required_xml()
    if tag_of(root) != own("find-time"):
        message = f"An outbox takes no {tag_of(root)[:200]}: it answers find-time of {split(own(''))[0]}."
        raise failed(VALID_FIND_TIME, message=message)
    asker = context.user if context.user.name == resource.owner else context.tx.principals.by_name(resource.owner)
    assert asker is not None, resource.owner
    try:
        answer = context.finder.find(
            context.tx,
            context.freebusy,
            _question(root, asker),
            asker=asker,
            readable=readable(context.tx, context.access),
            epoch=context.store.epoch,
        )
    except NotAWish as error:
        raise failed(_CONDITIONS[error.about], message=str(error)) from error
    return xml(200, document(own("find-time-response"), _rendered(answer)))


# --- the question ----------------------------------------------------------------------------------------------------


def _question(root: Element, asker: Principal) -> Question:
    _check_names(root)
    window = child(root, TIME_RANGE)
    span = read_time_range(window) if window is not None else None
    if span is None or span.start is None or span.end is None:
        raise failed(VALID_WINDOW, message="A find-time needs a C:time-range with start and end.")
    roles = _roles(root)
    if not _is_among(asker, roles):
        roles = {address_of(asker): "CHAIR"} | roles
    rooms = _all(root, "room")
    named_rooms = [address for one in rooms if (address := text_of(child(one, dav("href"))))]
    people = _one(root, "capacity")
    wants_room = bool(rooms) or people is not None or child(root, own("equipment")) is not None
    limit = child(root, dav("limit"))
    count = text_of(child(limit, dav("nresults"))) if limit is not None else ""
    return Question(
        start=span.start,
        end=span.end,
        duration=_seconds(root, "duration") or 0,
        required=[one for one, role in roles.items() if role in _ROLES[:2]],
        optional=[one for one, role in roles.items() if role == _ROLES[2]],
        rooms=named_rooms if wants_room else None,
        needs_room=any(one.get("required") == "yes" for one in rooms) or bool(named_rooms),
        people=None if people is None else _number(people, VALID_ROOMS),
        equipment=frozenset(text_of(one) for one in _all(root, "equipment")),
        place=_place(root),
        step=_seconds(root, "step"),
        count=_number(count, VALID_NUMBER) if count else None,
        masked=_one(root, "masked-uid"),
        zone=_zone(root),
    )


def _check_names(root: Element) -> None:
    """Elements of other namespaces are passed over (RFC 4918 section 17); of ours all are known."""
    for one in root:
        namespace, local = split(tag_of(one))
        if namespace == split(own(""))[0] and local not in _ELEMENTS:
            known = ", ".join(sorted(_ELEMENTS))
            raise failed(VALID_FIND_TIME, message=f"There is no {local[:100]} in a find-time; there are {known}.")


def _roles(root: Element) -> dict[str, str]:
    """The attendees, each with its ROLE."""
    roles = {}
    for one in _all(root, "attendee"):
        address, role = text_of(child(one, dav("href"))), one.get("role", "REQ-PARTICIPANT").upper()
        if not address:
            raise failed(VALID_ATTENDEES, message="Each attendee has a D:href with a calendar user address.")
        if role not in _ROLES:
            raise failed(VALID_ATTENDEES, message=f"There is no role {role[:100]}; there are {', '.join(_ROLES)}.")
        roles[address] = role
    return roles


def _is_among(asker: Principal, roles: dict[str, str]) -> bool:
    mine = {normal(one.uri) for one in asker.addresses} | {f"/principals/{asker.name}", asker.name}
    return any(normal(one) in mine or normal(one).endswith(f"/principals/{asker.name}") for one in roles)


def _all(root: Element, local: str) -> list[Element]:
    return [one for one in root if tag_of(one) == own(local)]


def _one(root: Element, local: str) -> str | None:
    """The text of an element that may be there once."""
    found = _all(root, local)
    if len(found) > 1:
        raise failed(VALID_FIND_TIME, message=f"A find-time has at most one {local}.")
    return text_of(found[0]) if found else None


def _seconds(root: Element, local: str) -> int | None:
    value = _one(root, local)
    try:
        return None if value is None else duration(value).total
    except ICalendarError as error:
        raise failed(VALID_DURATION, message=f"{error} Write {local} as in PT30M (RFC 5545 3.3.6).") from error


def _number(value: str, condition: Condition) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > len("1000000"):
        raise failed(condition, message=f"{value[:100]!r} is no number that can be asked for.")
    return int(value)


def _place(root: Element) -> Place:
    found = _all(root, "location")
    name = _one(root, "location") or ""
    value = found[0].get("geo") if found else None
    position = None if value is None else geo_in(value)
    if value is not None and position is None:
        raise failed(VALID_FIND_TIME, message="geo holds latitude and longitude in degrees, such as 52.52;13.40.")
    return Place(name, position)


def _zone(root: Element) -> Zone | None:
    name = _one(root, "timezone")
    zone = None if name is None else named(name)
    if name is not None and zone is None:
        raise failed(VALID_FIND_TIME, message=f"There is no time zone {name[:100]!r} here.")
    return zone


# --- the answer ------------------------------------------------------------------------------------------------------


def _rendered(answer: Answer) -> str:
    parts = [_slot("slot", one, answer) for one in answer.suggestions]
    parts += [_slot("alternative", one, answer) for one in answer.alternatives]
    parts += [_element("unknown", href(one) + _element("reason", text(why))) for one, why in answer.unknown.items()]
    return "".join(parts)


def _slot(local: str, one: Suggestion, answer: Answer) -> str:
    found = one.candidate

    def parties(name: str, attendees: tuple[Attendee, ...]) -> str:
        return "".join(_party(name, answer.people[each]) for each in attendees)

    inner = "".join(_element("reason", text(why)) for why in one.reasons)
    inner += "".join(_party("room", answer.rooms[room]) for room in one.rooms)
    inner += parties("busy", found.busy) + parties("absent", found.absent)
    inner += parties("tentative", found.tentative) + parties("outside-hours", found.outside)
    return _element(local, inner, start=write_utc(one.start), end=write_utc(one.end), score=f"{one.score:.4f}")


def _party(local: str, principal: Principal) -> str:
    return _element(local, href(address_of(principal)) + _element("name", text(name_of(principal))))


def _element(local: str, inner: str, **attributes: str) -> str:
    """As ``fragment.element``, with the prefix that ``document`` gives the root of our own namespace."""
    start = "".join(f" {key}={attribute(value)}" for key, value in attributes.items())
    return f"<X:{local}{start}>{inner}</X:{local}>"
