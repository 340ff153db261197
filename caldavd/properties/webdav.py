"""RFC 4918 section 15, RFC 4331, 5397, 5995 and 3253: the properties that everything has."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate
from functools import cache, lru_cache

from caldavd import kinds
from caldavd.context import Context
from caldavd.errors import DavError
from caldavd.kinds import CALENDAR, FILE, ICALENDAR, MEMBERS, OBJECT, PLAIN, PRINCIPAL, STORED_COLLECTIONS
from caldavd.language import is_language
from caldavd.properties.registry import REGISTRY, live, stored
from caldavd.resources import Resource
from caldavd.response import quoted
from caldavd.xml.fragment import element, href, text
from caldavd.xml.names import dav
from caldavd.xml.parse import Element, text_of

_DATED = STORED_COLLECTIONS | MEMBERS


@live(dav("resourcetype"), section="RFC 4918 15.9", allprop=True)
def resourcetype(context: Context, resource: Resource) -> str:
    return "".join(map(element, resource.kind.resourcetype))


@live(dav("getetag"), on=MEMBERS, section="RFC 4918 15.6", allprop=True)
def getetag(context: Context, resource: Resource) -> str:
    return quoted(resource.row.etag)


@live(dav("getcontenttype"), on=MEMBERS, section="RFC 4918 15.5", allprop=True)
def getcontenttype(context: Context, resource: Resource) -> str:
    return text(content_type(resource))


def content_type(resource: Resource) -> str:
    """Of a calendar object with its component (clients.md rule 15), of a file as it was sent."""
    row = resource.row
    if resource.kind in ICALENDAR:
        component = f"; component={row.component}" if row.component else ""
        return f"text/calendar; charset=utf-8{component}"
    return row.content_type


@live(dav("getcontentlength"), on=MEMBERS, section="RFC 4918 15.4", allprop=True)
def getcontentlength(context: Context, resource: Resource) -> str:
    return str(resource.row.size)


@live(dav("getlastmodified"), on=_DATED, section="RFC 4918 15.7", allprop=True)
def getlastmodified(context: Context, resource: Resource) -> str:
    return http_date(_times(resource)[1])


@live(dav("creationdate"), on=_DATED, section="RFC 4918 15.1", allprop=True)
def creationdate(context: Context, resource: Resource) -> str:
    return datetime.fromtimestamp(_times(resource)[0], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=4096)
def http_date(seconds: int) -> str:
    """An IMF-fixdate (RFC 9110 section 5.6.7)."""
    return formatdate(seconds, usegmt=True)


def _times(resource: Resource) -> tuple[int, int]:
    row = resource.object if resource.object is not None else resource.collection
    return row.created, row.modified


def _name(context: Context, resource: Resource) -> str:
    return text(resource.names[-1] if resource.names else resource.owner)


# A collection always has a name: Tasks.org crashes and Outlook CalDav Synchronizer lists nothing without one.
stored(dav("displayname"), on=STORED_COLLECTIONS, section="RFC 4918 15.2", default=_name, allprop=True)
stored(dav("displayname"), on=MEMBERS, section="RFC 4918 15.2", allprop=True)


def check_language(context: Context, resource: Resource, value: Element | None) -> None:
    """What GET will send as ``Content-Language``."""
    if value is not None and not is_language(text_of(value)):
        raise DavError(409, "getcontentlanguage is a language tag like de-AT, or several with commas between them.")


stored(dav("getcontentlanguage"), on=(FILE, OBJECT), section="RFC 4918 15.3", allprop=True, validate=check_language)


@live(dav("displayname"), on=(kinds.ROOT, kinds.PRINCIPALS, kinds.HOMES), section="RFC 4918 15.2", allprop=True)
def server_displayname(context: Context, resource: Resource) -> str:
    return {kinds.ROOT: "caldavd", kinds.PRINCIPALS: "Principals", kinds.HOMES: "Calendars"}[resource.kind]


@live(dav("supportedlock"), on=STORED_COLLECTIONS | MEMBERS, section="RFC 4918 15.10", allprop=True)
def supportedlock(context: Context, resource: Resource) -> str:
    write = element(dav("locktype"), element(dav("write")))
    return "".join(
        element(dav("lockentry"), element(dav("lockscope"), element(dav(scope))) + write)
        for scope in ("exclusive", "shared")
    )


@live(dav("current-user-principal"), section="RFC 5397 3")
def current_user_principal(context: Context, resource: Resource) -> str:
    return href(context.router.principal(context.user.name))


@live(dav("supported-report-set"), section="RFC 3253 3.1.5")
def supported_report_set(context: Context, resource: Resource) -> str:
    return "".join(
        element(dav("supported-report"), element(dav("report"), element(name))) for name in resource.kind.reports
    )


@live(dav("supported-method-set"), section="RFC 3253 3.1.3")
def supported_method_set(context: Context, resource: Resource) -> str:
    return "".join(element(dav("supported-method"), name=name) for name in resource.kind.methods)


@live(dav("supported-live-property-set"), section="RFC 3253 3.1.4")
def supported_live_property_set(context: Context, resource: Resource) -> str:
    """RFC 5995 section 3.2.1 wants it: by it a client knows that ``add-member`` is no dead property of somebody."""
    return _live_properties(resource.kind)


@cache
def _live_properties(kind: kinds.Kind) -> str:
    return "".join(
        element(dav("supported-live-property"), element(dav("prop"), element(name)))
        for name in REGISTRY.names(kind, only_allprop=False)
    )


@live(dav("add-member"), on=(CALENDAR, PLAIN), section="RFC 5995 3.2.1")
def add_member(context: Context, resource: Resource) -> str:
    return href(resource.href)


@live(dav("resource-id"), on=STORED_COLLECTIONS | MEMBERS | {PRINCIPAL}, section="RFC 5842 3.1")
def resource_id(context: Context, resource: Resource) -> str:
    owner = resource.property_owner
    assert owner is not None
    kind = {"principal": 1, "collection": 2, "object": 3}[owner.kind]
    epoch = int.from_bytes(context.store.epoch.encode()[:6].ljust(6, b"0"))
    # A stable UUID of the row: version 8 (RFC 9562 section 5.8) of epoch, kind and id.
    return href(f"urn:uuid:{epoch >> 16:08x}-{epoch & 0xFFFF:04x}-8{kind:03x}-8000-{owner.id:012x}")


def _quota(context: Context, resource: Resource) -> tuple[int, int] | None:
    home = resource.home
    limit = context.limits.quota if home is None or home.quota is None else home.quota
    if home is None or not limit or not context.access.has(resource, dav("read")):
        return None
    return home.used, max(limit - home.used, 0)


@live(dav("quota-used-bytes"), on=STORED_COLLECTIONS, section="RFC 4331 4")
def quota_used_bytes(context: Context, resource: Resource) -> str | None:
    quota = _quota(context, resource)
    return None if quota is None else str(quota[0])


@live(dav("quota-available-bytes"), on=STORED_COLLECTIONS, section="RFC 4331 3")
def quota_available_bytes(context: Context, resource: Resource) -> str | None:
    quota = _quota(context, resource)
    return None if quota is None else str(quota[1])
