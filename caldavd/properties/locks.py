"""``lockdiscovery`` (RFC 4918 section 15.8): the locks that cover a resource, inherited ones with their root."""

from __future__ import annotations

from caldavd.context import Context
from caldavd.kinds import MEMBERS, STORED_COLLECTIONS
from caldavd.locking import locks_on, root_href
from caldavd.locks import covering
from caldavd.properties.registry import live
from caldavd.resources import Resource
from caldavd.xml.fragment import element, href
from caldavd.xml.names import dav
from storage.rows import Lock


@live(dav("lockdiscovery"), on=STORED_COLLECTIONS | MEMBERS, section="RFC 4918 15.8", allprop=True)
def lockdiscovery(context: Context, resource: Resource) -> str | None:
    """The tokens are shown (section 6.5): they open nothing to who did not take the lock."""
    return active_locks(context, resource)


def active_locks(context: Context, resource: Resource) -> str:
    """An ``activelock`` a lock that covers the resource."""
    return "".join(
        _activelock(context, resource, lock) for lock in covering(locks_on(context, resource), resource.names)
    )


def _activelock(context: Context, resource: Resource, lock: Lock) -> str:
    """Section 14.1, in the order of its DTD; ``owner`` as it came."""
    parts = [
        element(dav("lockscope"), element(dav("exclusive" if lock.exclusive else "shared"))),
        element(dav("locktype"), element(dav("write"))),
        element(dav("depth"), "infinity" if lock.infinite else "0"),
        lock.owner_xml.decode(),
        element(dav("timeout"), f"Second-{lock.expires - context.tx.now}"),
        element(dav("locktoken"), href(lock.token)),
        element(dav("lockroot"), href(root_href(context, resource, lock))),
    ]
    return element(dav("activelock"), "".join(parts))
