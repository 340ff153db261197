"""MKCALENDAR (RFC 4791 section 5.3.1), MKCOL (RFC 4918 section 9.3) and extended MKCOL (RFC 5689)."""

from __future__ import annotations

from typing import Final

from caldavd import kinds
from caldavd.access import BIND
from caldavd.conditional import check_preconditions
from caldavd.context import Context
from caldavd.errors import CALENDAR_COLLECTION_LOCATION_OK, VALID_RESOURCETYPE, DavError, bad_request, failed
from caldavd.locking import check_locks
from caldavd.methods.delete import parent_of
from caldavd.methods.proppatch import Instruction, Outcome, carry_out, check, propstats, read_instructions
from caldavd.methods.put import check_new_name
from caldavd.properties.calendars import MAKEABLE
from caldavd.resources import Resource, of_collection
from caldavd.response import Response, empty
from caldavd.xml.fragment import document
from caldavd.xml.names import caldav, cs, dav
from caldavd.xml.parse import Element, children, tag_of
from storage.rows import CollectionKind

_CALENDAR: Final = frozenset({dav("collection"), caldav("calendar")})
_SUBSCRIBED: Final = frozenset({dav("collection"), cs("subscribed")})
_PLAIN: Final = frozenset({dav("collection")})
_KINDS: Final = {
    _CALENDAR: CollectionKind.CALENDAR,
    _SUBSCRIBED: CollectionKind.SUBSCRIBED,
    _PLAIN: CollectionKind.PLAIN,
}
_COMPONENT_SET: Final = caldav("supported-calendar-component-set")
#: The body's root and the answer's root, by method.
_BODIES: Final = {
    "MKCALENDAR": (caldav("mkcalendar"), caldav("mkcalendar-response")),
    "MKCOL": (dav("mkcol"), dav("mkcol-response")),
}


def run(context: Context, resource: Resource) -> Response:
    """201 without a body (DAVx5 takes 207 as a failure, clients.md rule 26); all or nothing."""
    method = context.request.method
    parent = parent_of(resource)
    context.access.require(parent, BIND)
    check_new_name(resource)
    check_preconditions(context, resource)
    check_locks(context, resource)
    instructions = _body(context, method)
    default = CollectionKind.CALENDAR if method == "MKCALENDAR" else CollectionKind.PLAIN
    try:
        kind = _resourcetype(instructions, default)
    except DavError as error:
        raise _not_made(method, _spoilt(instructions, error)) from error
    if parent.kind is kinds.CALENDAR or (kind is not CollectionKind.PLAIN and parent.kind is not kinds.HOME):
        message = "Calendars lie directly in a home, and hold no collections."
        raise failed(CALENDAR_COLLECTION_LOCATION_OK, message=message)
    collection = context.tx.collections.add(
        parent.collection, resource.names[-1], kind=kind, components=_components(instructions)
    )
    made = of_collection(context.router, resource.owner, resource.home, (*resource.chain, collection))
    rest = [one for one in instructions if one.name not in (dav("resourcetype"), _COMPONENT_SET)]
    outcomes = check(context, made, rest)
    if any(outcome.error for outcome in outcomes):
        raise _not_made(method, outcomes)
    carry_out(context, made, rest)
    return empty(201, {"Location": made.href, **context.request.preferences.applied("return=minimal")})


class NotMade(DavError):
    """A property could not be set, so the collection was not made; ``answer`` has a propstat for each property."""

    def __init__(self, status: int, answer: bytes) -> None:
        super().__init__(status, "A property could not be set, so nothing was made.")
        self._answer = answer

    def body(self) -> bytes:
        """``mkcol-response`` or ``mkcalendar-response``."""
        return self._answer


def _not_made(method: str, outcomes: list[Outcome]) -> NotMade:
    """RFC 5689 section 3.5: the status of what was wrong. The exception carries it out of the transaction."""
    status = next(one.status for one in outcomes if one.error is not None and one.status != 424)
    return NotMade(status, document(_BODIES[method][1], "".join(propstats(outcomes))))


def _spoilt(instructions: list[Instruction], error: DavError) -> list[Outcome]:
    """The resource type is what is wrong, and the others fail with it."""
    dependent = DavError(424, "")
    return [Outcome(one.name, error if one.name == dav("resourcetype") else dependent) for one in instructions]


def _body(context: Context, method: str) -> list[Instruction]:
    if (
        method == "MKCOL"
        and context.request.body
        and context.request.media_type not in ("", "text/xml", "application/xml")
    ):
        raise DavError(415, "The body of a MKCOL has to be XML.")
    try:
        root = context.request.xml()
    except DavError as error:
        if error.condition is not None:
            raise
        # RFC 4918 section 9.3.1: a body that is not understood is 415 for MKCOL.
        raise DavError(415 if method == "MKCOL" else 400, error.message) from error
    if root is None:
        return []
    if root.tag != _BODIES[method][0]:
        if method == "MKCOL":
            raise DavError(415, "The body of a MKCOL has to be a D:mkcol element.")
        raise bad_request("The body of a MKCALENDAR has to be a C:mkcalendar element.")
    return read_instructions(root)


def _resourcetype(instructions: list[Instruction], default: CollectionKind) -> CollectionKind:
    for one in instructions:
        if one.name == dav("resourcetype") and one.value is not None:
            asked = frozenset(map(tag_of, children(one.value)))
            kind = _KINDS.get(asked)
            if kind is None or (kind is CollectionKind.PLAIN and default is CollectionKind.CALENDAR):
                raise failed(VALID_RESOURCETYPE, message="This combination of resource types cannot be made here.")
            return kind
    return default


def _components(instructions: list[Instruction]) -> tuple[str, ...]:
    """The exact set that was asked for; components that nobody knows are left out (Evolution sent a ``TIMEZONE``)."""
    for one in instructions:
        if one.name == _COMPONENT_SET and one.value is not None:
            names = tuple(dict.fromkeys(name for name in map(_comp_name, children(one.value)) if name in MAKEABLE))
            if not names:
                raise DavError(409, f"A calendar holds one or more of {', '.join(MAKEABLE)}.")
            return names
    return ()


def _comp_name(comp: Element) -> str:
    return (comp.get("name") or "").upper()
