"""RFC 3744 section 5: who owns, what may be granted, what is granted; on everything there is, as the section asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from caldavd.access import READ_ACL, READ_CURRENT_USER_PRIVILEGE_SET
from caldavd.aces import RESTRICTIONS, write_ace, write_restrictions
from caldavd.context import Context
from caldavd.privileges import Privilege, Supported, on
from caldavd.properties.registry import PropertyForbidden, live
from caldavd.resources import Resource
from caldavd.xml.fragment import element, href, text
from caldavd.xml.names import dav
from storage.rows import PrincipalKind


@live(dav("owner"), section="RFC 3744 5.1")
def owner(context: Context, resource: Resource) -> str:
    """Of a home and all in it the home's principal; of a principal itself; groups belong to nobody."""
    if resource.principal is not None and resource.principal.kind is PrincipalKind.GROUP:
        return ""
    return href(context.router.principal(resource.owner)) if resource.owner else ""


@live(dav("group"), section="RFC 3744 5.2")
def group(context: Context, resource: Resource) -> str:
    """Always empty: there is no group of the Unix kind."""
    return ""


@live(dav("supported-privilege-set"), section="RFC 3744 5.3")
def supported_privilege_set(context: Context, resource: Resource) -> str:
    """One tree, and below it what RFC 6638 section 6 adds on an inbox and an outbox."""
    return _supported_by(on(resource.kind))


def _supported(node: Privilege) -> str:
    inner = element(dav("privilege"), element(node.name))
    inner += element(dav("abstract")) if node.abstract else ""
    inner += f'<D:description xml:lang="en">{text(node.description)}</D:description>'
    return element(dav("supported-privilege"), inner + "".join(map(_supported, node.contains)))


@cache
def _supported_by(supported: Supported) -> str:
    return _supported(supported.tree)


@live(dav("current-user-privilege-set"), section="RFC 3744 5.4")
def current_user_privilege_set(context: Context, resource: Resource) -> str:
    """What the asker holds, the aggregates' names as well: Thunderbird looks for D:write itself (clients.md 2.1)."""
    held = context.access.privileges(resource)
    if READ_CURRENT_USER_PRIVILEGE_SET not in held:
        raise PropertyForbidden
    return "".join(element(dav("privilege"), element(name)) for name in on(resource.kind).in_order(held))


def _load_principals(context: Context, resources: Sequence[Resource]) -> None:
    readable = [one for one in resources if context.access.has(one, READ_ACL)]
    context.access.load_acls(collection for one in readable for collection in one.chain)
    entries = [entry for one in readable for entry in context.access.acl(one)]
    context.directory.with_ids(entry.ace.principal_id for entry in entries if entry.ace.principal_id is not None)


@live(dav("acl"), section="RFC 3744 5.5", preload=_load_principals)
def acl(context: Context, resource: Resource) -> str:
    """All ACEs in the order in which they are evaluated: the owner's, the resource's own, the inherited ones."""
    if not context.access.has(resource, READ_ACL):
        raise PropertyForbidden
    entries = context.access.acl(resource)
    named = {entry.ace.principal_id for entry in entries if entry.ace.principal_id is not None}
    found = context.directory.with_ids(named)
    hrefs = {id_: context.router.principal(one.name) for id_, one in found.items()}
    written = []
    for entry in entries:
        path = entry.inherited.path if entry.inherited is not None else ()
        above = context.router.below_home(resource.owner, path, collection=True)
        principal = hrefs.get(entry.ace.principal_id, "") if entry.ace.principal_id is not None else ""
        written.append(write_ace(entry, principal_href=principal, inherited_href=above))
    return "".join(written)


@live(dav("acl-restrictions"), section="RFC 3744 5.6")
def acl_restrictions(context: Context, resource: Resource) -> str:
    """Empty: grants and denials in any order, inverted or not."""
    return write_restrictions(RESTRICTIONS)


@live(dav("inherited-acl-set"), section="RFC 3744 5.7")
def inherited_acl_set(context: Context, resource: Resource) -> str:
    """Empty: ACEs are inherited, no second list has to grant as well."""
    return ""


@live(dav("principal-collection-set"), section="RFC 3744 5.8")
def principal_collection_set(context: Context, resource: Resource) -> str:
    """All principals are in one collection."""
    return href(f"{context.router.prefix}/principals/")
