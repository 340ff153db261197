"""Principals: RFC 3744 section 4, ``calendar-home-set`` (4791 6.2.1), addresses (6638 2.4), CalendarServer's names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from caldavd.context import Context
from caldavd.errors import CANNOT_MODIFY_PROTECTED_PROPERTY, RECOGNIZED_PRINCIPAL, DavError, failed
from caldavd.kinds import PRINCIPAL
from caldavd.properties.registry import live, written
from caldavd.resources import Resource
from caldavd.router import BadPath, OtherServer, Space
from caldavd.xml.fragment import element, href, text
from caldavd.xml.names import caldav, cs, dav
from caldavd.xml.parse import Element, children, tag_of, text_of
from storage.rows import Principal, PrincipalKind

_ON = (PRINCIPAL,)

#: CUTYPE of RFC 5545 section 3.2.3.
CUTYPES = {
    PrincipalKind.INDIVIDUAL: "INDIVIDUAL",
    PrincipalKind.GROUP: "GROUP",
    PrincipalKind.ROOM: "ROOM",
    PrincipalKind.RESOURCE: "RESOURCE",
}


def _principal(resource: Resource) -> Principal:
    assert resource.principal is not None
    return resource.principal


#: Characters of a principal's display name.
MAX_DISPLAYNAME: Final = 255


def principals_at(context: Context, hrefs: Collection[str], *, base: str) -> Mapping[str, Principal]:
    """The principals that hrefs of a body point to, by href as it was sent; what points elsewhere is left out."""
    names: dict[str, str] = {}
    for sent in hrefs:
        try:
            location = context.router.locate_href(sent, base=base, authorities=context.request.authorities)
        except (BadPath, OtherServer):
            continue
        if sent and location.space is Space.PRINCIPAL:
            names[sent] = location.owner
    found = context.directory.named(names.values())
    return {sent: found[name] for sent, name in names.items() if name in found}


@live(dav("principal-URL"), on=_ON, section="RFC 3744 4.2")
def principal_url(context: Context, resource: Resource) -> str:
    return href(resource.href)


@live(dav("alternate-URI-set"), on=_ON, section="RFC 3744 4.1")
def alternate_uri_set(context: Context, resource: Resource) -> str:
    return "".join(href(address.uri) for address in _principal(resource).addresses)


def _load_members(context: Context, resources: Sequence[Resource]) -> None:
    context.directory.load_members(one for one in map(_principal, resources) if one.kind is PrincipalKind.GROUP)


def _members_of(context: Context, resource: Resource, value: Element | None) -> list[Principal]:
    """The principals that a new ``group-member-set`` names. Raises where no such group can be."""
    group = _principal(resource)
    if group.kind is not PrincipalKind.GROUP:
        raise failed(CANNOT_MODIFY_PROTECTED_PROPERTY, message="Only groups have members.")
    hrefs = [] if value is None else [text_of(found) for found in children(value) if tag_of(found) == dav("href")]
    named = principals_at(context, hrefs, base=resource.href)
    unknown = [sent for sent in hrefs if sent not in named]
    if unknown:
        message = "A member of a group is a principal of this server, named by its principal-URL."
        raise failed(RECOGNIZED_PRINCIPAL, "".join(map(href, unknown)), message=message)
    above = {group.id, *(one.id for one in context.tx.principals.groups(group.id, transitive=True))}
    if any(one.id in above for one in named.values()):
        raise DavError(409, "A group cannot be a member of itself, not even by way of other groups.")
    return list(named.values())


def _check_members(context: Context, resource: Resource, value: Element | None) -> None:
    _members_of(context, resource, value)


def _set_members(context: Context, resource: Resource, value: Element | None) -> None:
    members = _members_of(context, resource, value)
    context.tx.principals.set_members(_principal(resource).id, {one.id for one in members})
    context.directory.forget()
    context.access.forget()


@written(
    dav("group-member-set"),
    on=_ON,
    section="RFC 3744 4.3",
    validate=_check_members,
    write=_set_members,
    preload=_load_members,
)
def group_member_set(context: Context, resource: Resource) -> str:
    principal = _principal(resource)
    if principal.kind is not PrincipalKind.GROUP:
        return ""
    return "".join(href(context.router.principal(found.name)) for found in context.directory.members(principal))


def _load_groups(context: Context, resources: Sequence[Resource]) -> None:
    context.directory.load_groups(map(_principal, resources))


@live(dav("group-membership"), on=_ON, section="RFC 3744 4.4", preload=_load_groups)
def group_membership(context: Context, resource: Resource) -> str:
    groups = context.directory.groups(_principal(resource))
    return "".join(href(context.router.principal(found.name)) for found in groups)


def _plain(value: Element) -> str:
    return " ".join("".join(map(str, value.itertext())).split())


def _check_displayname(context: Context, resource: Resource, value: Element | None) -> None:
    if value is not None and not 0 < len(_plain(value)) <= MAX_DISPLAYNAME:
        raise DavError(
            409, f"A principal always has a name (RFC 3744 section 4), of up to {MAX_DISPLAYNAME} characters."
        )


def _set_displayname(context: Context, resource: Resource, value: Element | None) -> None:
    principal = _principal(resource)
    name = principal.name if value is None else _plain(value)
    context.tx.principals.update(replace(principal, displayname=name))
    context.directory.forget()


# Not stored as it was sent but a column of the directory, because people are searched by it.
@written(
    dav("displayname"),
    on=_ON,
    section="RFC 3744 4",
    validate=_check_displayname,
    write=_set_displayname,
    allprop=True,
)
def displayname(context: Context, resource: Resource) -> str:
    return text(_principal(resource).displayname or _principal(resource).name)


@live(caldav("calendar-home-set"), on=_ON, section="RFC 4791 6.2.1")
def calendar_home_set(context: Context, resource: Resource) -> str:
    # Exactly one: with several, Apple picks one unpredictably (clients.md rule 5).
    return href(context.router.below_home(resource.owner, (), collection=True))


@live(caldav("calendar-user-address-set"), on=_ON, section="RFC 6638 2.4.1")
def calendar_user_address_set(context: Context, resource: Resource) -> str:
    # The preferred mailto first, marked as Apple wants it (clients.md sections 1.3 and rule 5).
    addresses = sorted(_principal(resource).addresses, key=lambda address: not address.preferred)
    marked = [
        element(dav("href"), text(address.uri), preferred="1") if address.preferred else href(address.uri)
        for address in addresses
    ]
    return "".join(marked) + href(resource.href)


@live(caldav("calendar-user-type"), on=_ON, section="RFC 6638 2.4.2")
def calendar_user_type(context: Context, resource: Resource) -> str:
    return CUTYPES[_principal(resource).kind]


def mail_addresses(principal: Principal) -> list[str]:
    """The principal's mail addresses, without ``mailto:``."""
    return [address.uri[7:] for address in principal.addresses if address.uri.startswith("mailto:")]


@live(cs("email-address-set"), on=_ON, section="CalendarServer")
def email_address_set(context: Context, resource: Resource) -> str:
    return "".join(element(cs("email-address"), text(mail)) for mail in mail_addresses(_principal(resource)))


@live(cs("record-type"), on=_ON, section="CalendarServer")
def record_type(context: Context, resource: Resource) -> str:
    return {"individual": "users", "group": "groups", "room": "locations", "resource": "resources"}[
        _principal(resource).kind
    ]


def first_and_last_name(principal: Principal) -> tuple[str, str]:
    """The display name in two: the last word is the last name where there are several words."""
    first, _, last = principal.displayname.strip().rpartition(" ")
    return (first.strip(), last) if first else (last, "")


@live(cs("first-name"), on=_ON, section="CalendarServer")
def first_name(context: Context, resource: Resource) -> str | None:
    return text(first_and_last_name(_principal(resource))[0]) or None


@live(cs("last-name"), on=_ON, section="CalendarServer")
def last_name(context: Context, resource: Resource) -> str | None:
    return text(first_and_last_name(_principal(resource))[1]) or None
