"""PROPPATCH (RFC 4918 section 9.2): all or nothing, in the order of the document.

Two phases: every instruction is checked; only where all can be done are they done. ``MKCOL`` and ``MKCALENDAR`` with a
body use the same two phases on the collection that they have just made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from caldavd import kinds
from caldavd.access import WRITE_PROPERTIES
from caldavd.conditional import check_preconditions
from caldavd.context import Context
from caldavd.errors import CANNOT_MODIFY_PROTECTED_PROPERTY, DavError, bad_request, failed
from caldavd.locking import check_locks
from caldavd.properties.registry import REGISTRY
from caldavd.resources import Resource
from caldavd.response import Response, empty, xml
from caldavd.xml.fragment import element, href
from caldavd.xml.multistatus import multistatus, propstat
from caldavd.xml.names import dav, split
from caldavd.xml.parse import Element, children, serialize, tag_of
from storage.rows import StoredProperty

#: Properties that one request sets or removes.
MAX_INSTRUCTIONS: Final = 1000
#: Stored properties of one resource, and bytes of all their values: every ``allprop`` returns them all.
MAX_STORED: Final = 1000
MAX_STORED_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Instruction:
    """One property to set (``value`` is its element) or to remove (``value`` is ``None``)."""

    name: str
    value: Element | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of an instruction: its status and, where it failed, why."""

    name: str
    error: DavError | None

    @property
    def status(self) -> int:
        """200, or the status of the error."""
        return 200 if self.error is None else self.error.status


def run(context: Context, resource: Resource) -> Response:
    """A multistatus with a propstat a status."""
    context.access.require(resource, WRITE_PROPERTIES)
    check_preconditions(context, resource)
    check_locks(context, resource)
    root = context.request.required_xml()
    if root.tag != dav("propertyupdate"):
        raise bad_request("The body of a PROPPATCH has to be a D:propertyupdate element.")
    instructions = read_instructions(root)
    if not instructions:
        raise bad_request("The D:propertyupdate element holds no property to set or to remove.")
    outcomes = check(context, resource, instructions)
    if all(outcome.error is None for outcome in outcomes):
        carry_out(context, resource, instructions)
        touch(context, resource)
        if context.request.preferences.minimal:  # RFC 8144 section 2.2
            return empty(204, context.request.preferences.applied("return=minimal"))
    inner = "".join(propstats(outcomes))
    response = f"<D:response>{href(resource.href)}{inner}</D:response>"
    return xml(207, multistatus([response]))


def read_instructions(root: Element) -> list[Instruction]:
    """The properties inside ``D:set`` and ``D:remove``, in document order. Works for MKCOL's bodies, too."""
    result: list[Instruction] = []
    for group in children(root):
        if tag_of(group) not in (dav("set"), dav("remove")):
            continue
        for prop in children(group):
            if tag_of(prop) == dav("prop"):
                removes = tag_of(group) == dav("remove")
                result += [Instruction(tag_of(one), None if removes else one) for one in children(prop)]
    if len(result) > MAX_INSTRUCTIONS:
        raise DavError(413, f"One request sets or removes at most {MAX_INSTRUCTIONS} properties.")
    return result


def check(context: Context, resource: Resource, instructions: list[Instruction]) -> list[Outcome]:
    """What would become of each; where one fails the others are 424 Failed Dependency."""
    errors = [_problem(context, resource, one) for one in instructions]
    if any(errors):
        dependent = DavError(424, "")
        errors = [error or dependent for error in errors]
    return [Outcome(one.name, error) for one, error in zip(instructions, errors, strict=True)]


def _problem(context: Context, resource: Resource, instruction: Instruction) -> DavError | None:
    row = REGISTRY.find(instruction.name, resource.kind)
    if row is None:
        if any(name == instruction.name for name, _ in REGISTRY.rows):
            return failed(
                CANNOT_MODIFY_PROTECTED_PROPERTY, message="This kind of resource does not have this property."
            )
        return None
    if row.validate is None:
        return failed(CANNOT_MODIFY_PROTECTED_PROPERTY, message="The server computes this property.")
    try:
        row.validate(context, resource, instruction.value)
    except DavError as error:
        return error
    return None


def carry_out(context: Context, resource: Resource, instructions: list[Instruction]) -> None:
    """Stores and removes the values. A name counts by itself: attributes never make it another property.

    Raises 507 where the resource would have more properties, or larger ones, than there may be.
    """
    owner = resource.property_owner
    assert owner is not None
    for one in instructions:
        namespace, name = split(one.name)
        row = REGISTRY.find(one.name, resource.kind)
        if row is not None and row.write is not None:
            row.write(context, resource, one.value)
        elif one.value is None:
            context.tx.properties.remove(owner, principal_id=0, namespace=namespace, name=name)
        else:
            context.tx.properties.set(StoredProperty(owner, 0, namespace, name, serialize(one.value)))
        if row is not None and row.instead_of:  # the same under another name: it is replaced, or removed, as well
            other_namespace, other = split(row.instead_of)
            context.tx.properties.remove(owner, principal_id=0, namespace=other_namespace, name=other)
    if any(one.value is not None for one in instructions):
        stored = context.tx.properties.of([owner], principal_id=0).get(owner, ())
        if len(stored) > MAX_STORED or sum(len(one.xml) for one in stored) > MAX_STORED_BYTES:
            size = MAX_STORED_BYTES
            message = f"A resource has at most {MAX_STORED} properties, and at most {size} bytes of them."
            raise DavError(507, message)


def touch(context: Context, resource: Resource) -> None:
    """A change of properties is a change: it draws a number (design section 4)."""
    if resource.object is not None:
        context.tx.objects.touch(resource.collection, resource.object)
    elif resource.kind in kinds.STORED_COLLECTIONS:
        context.tx.collections.touch(resource.collection)


def propstats(outcomes: list[Outcome]) -> list[str]:
    """One propstat a status and reason, successes first."""
    groups: dict[tuple[int, str, str], list[str]] = {}
    for outcome in sorted(outcomes, key=lambda one: one.status):
        error = outcome.error
        key = (outcome.status, error.error_element() if error else "", error.message if error else "")
        groups.setdefault(key, []).append(element(outcome.name))
    return [
        propstat(status, "".join(names), error=condition, description=message)
        for (status, condition, message), names in groups.items()
    ]
