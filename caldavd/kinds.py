"""The kinds of resource, one row each (design section 1, item 2).

OPTIONS, ``Allow``, 405, ``D:resourcetype`` and ``D:supported-report-set`` are read out of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from caldavd.xml.names import caldav, cs, dav
from storage.rows import CollectionKind

# Reports, by the element that asks for them.
SYNC_COLLECTION: Final = dav("sync-collection")  # RFC 6578 section 3.2
EXPAND_PROPERTY: Final = dav("expand-property")  # RFC 3253 section 3.8
PRINCIPAL_MATCH: Final = dav("principal-match")  # RFC 3744 section 9.3
PRINCIPAL_PROPERTY_SEARCH: Final = dav("principal-property-search")  # RFC 3744 section 9.4
PRINCIPAL_SEARCH_PROPERTY_SET: Final = dav("principal-search-property-set")  # RFC 3744 section 9.5
ACL_PRINCIPAL_PROP_SET: Final = dav("acl-principal-prop-set")  # RFC 3744 section 9.2
CALENDAR_QUERY: Final = caldav("calendar-query")  # RFC 4791 section 7.8
CALENDAR_MULTIGET: Final = caldav("calendar-multiget")  # RFC 4791 section 7.9
FREE_BUSY_QUERY: Final = caldav("free-busy-query")  # RFC 4791 section 7.10
CALENDARSERVER_PRINCIPAL_SEARCH: Final = cs("calendarserver-principal-search")

_READ = ("OPTIONS", "GET", "HEAD", "PROPFIND", "REPORT")
_LOCK = ("LOCK", "UNLOCK")
_MEMBERS = ("PUT", "DELETE", "COPY", "MOVE", "PROPPATCH", *_LOCK)
#: RFC 3744 section 9 demands all of these; Evolution sends its search to the calendar (clients.md section 4).
_ACL_REPORTS = (
    EXPAND_PROPERTY,
    PRINCIPAL_MATCH,
    ACL_PRINCIPAL_PROP_SET,
    PRINCIPAL_PROPERTY_SEARCH,
    PRINCIPAL_SEARCH_PROPERTY_SET,
)
_SEARCH_REPORTS = (CALENDARSERVER_PRINCIPAL_SEARCH,)
_CALENDAR_REPORTS = (CALENDAR_QUERY, CALENDAR_MULTIGET, FREE_BUSY_QUERY)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of resource.

    ``resourcetype`` are the elements inside ``D:resourcetype``, ``methods`` what it takes (everything else is 405 with
    ``Allow``), ``reports`` its ``D:supported-report-set``.
    """

    name: str
    resourcetype: tuple[str, ...]
    methods: tuple[str, ...]
    reports: tuple[str, ...]

    @property
    def is_collection(self) -> bool:
        """Whether its href ends in a slash (RFC 4918 section 5.2)."""
        return dav("collection") in self.resourcetype


ROOT = Kind("root", (dav("collection"),), _READ, (*_ACL_REPORTS, *_SEARCH_REPORTS))
PRINCIPALS = Kind("principals", (dav("collection"),), _READ, (*_ACL_REPORTS, *_SEARCH_REPORTS))
PRINCIPAL = Kind(
    "principal",
    (dav("collection"), dav("principal")),
    (*_READ, "PROPPATCH"),
    (*_ACL_REPORTS, *_SEARCH_REPORTS, FREE_BUSY_QUERY),
)
HOMES = Kind("homes", (dav("collection"),), _READ, _ACL_REPORTS)
HOME = Kind(
    "home",
    (dav("collection"),),
    (*_READ, "PROPPATCH", "ACL", *_LOCK),
    (*_ACL_REPORTS, SYNC_COLLECTION, *_CALENDAR_REPORTS),
)
CALENDAR = Kind(
    "calendar",
    (dav("collection"), caldav("calendar")),
    (*_READ, "POST", "DELETE", "COPY", "MOVE", "PROPPATCH", "ACL", *_LOCK),
    (*_ACL_REPORTS, SYNC_COLLECTION, *_CALENDAR_REPORTS),
)
SUBSCRIBED = Kind(
    "subscribed",
    (dav("collection"), cs("subscribed")),
    ("OPTIONS", "PROPFIND", "REPORT", "DELETE", "COPY", "MOVE", "PROPPATCH", "ACL", *_LOCK),
    (*_ACL_REPORTS, SYNC_COLLECTION),
)
PLAIN = Kind(
    "plain",
    (dav("collection"),),
    (*_READ, "POST", "DELETE", "COPY", "MOVE", "PROPPATCH", "ACL", *_LOCK),
    (*_ACL_REPORTS, SYNC_COLLECTION, *_CALENDAR_REPORTS),
)
OBJECT = Kind("object", (), (*_READ, *_MEMBERS), (*_ACL_REPORTS, CALENDAR_QUERY, CALENDAR_MULTIGET, FREE_BUSY_QUERY))
FILE = Kind("file", (), (*_READ, *_MEMBERS), _ACL_REPORTS)
#: Where messages arrive (RFC 6638 section 2.2), the messages, and where free/busy is asked (section 2.1). They are
#: there where ``[scheduling]`` is on. KDE asks about somebody's free/busy at their inbox (``caldavd.methods.outbox``).
INBOX = Kind(
    "inbox",
    (dav("collection"), caldav("schedule-inbox")),
    (*_READ, "POST", "PROPPATCH", "ACL", *_LOCK),
    (*_ACL_REPORTS, SYNC_COLLECTION, CALENDAR_QUERY, CALENDAR_MULTIGET),
)
OUTBOX = Kind(
    "outbox",
    (dav("collection"), caldav("schedule-outbox")),
    (*_READ, "POST", "PROPPATCH", "ACL", *_LOCK),
    _ACL_REPORTS,
)
MESSAGE = Kind(
    "message", (), (*_READ, "DELETE", "PROPPATCH", *_LOCK), (*_ACL_REPORTS, CALENDAR_QUERY, CALENDAR_MULTIGET)
)
#: A name below a home that maps to nothing yet.
UNMAPPED = Kind("unmapped", (), ("OPTIONS", "PUT", "MKCOL", "MKCALENDAR", "LOCK"), ())

KINDS: Final = (
    ROOT, PRINCIPALS, PRINCIPAL, HOMES, HOME, CALENDAR, SUBSCRIBED, PLAIN, OBJECT, FILE, INBOX, OUTBOX, MESSAGE,
)  # fmt: skip
#: Collections that nobody sees where scheduling is off.
OF_SCHEDULING: Final = frozenset({INBOX, OUTBOX})
#: Kinds that are rows of the store below a home (and the home itself).
STORED_COLLECTIONS: Final = frozenset({HOME, CALENDAR, SUBSCRIBED, PLAIN, INBOX, OUTBOX})
MEMBERS: Final = frozenset({OBJECT, FILE, MESSAGE})
#: Members that are iCalendar.
ICALENDAR: Final = frozenset({OBJECT, MESSAGE})

OF_COLLECTION: Final = {
    CollectionKind.HOME: HOME,
    CollectionKind.CALENDAR: CALENDAR,
    CollectionKind.PLAIN: PLAIN,
    CollectionKind.SUBSCRIBED: SUBSCRIBED,
    CollectionKind.INBOX: INBOX,
    CollectionKind.OUTBOX: OUTBOX,
}
OF_MEMBER: Final = {CollectionKind.CALENDAR: OBJECT, CollectionKind.INBOX: MESSAGE}

#: The ``DAV:`` header (RFC 4918 10.1, 3744 7.2, 4791 5.1, 5689 3.1). Thunderbird drops the first token unseen, so it is
#: ``1``; Apple and DAVx5 look for ``calendar-access`` on the principal, Evolution on the calendar: the same everywhere.
DAV_TOKENS: Final = (
    "1",
    "2",
    "3",
    "access-control",
    "calendar-access",
    "extended-mkcol",
    "calendarserver-principal-property-search",
    "calendarserver-principal-search",
    "calendarserver-home-sync",
    "calendarserver-subscribed",
)
DAV_HEADER: Final = ", ".join(DAV_TOKENS)
#: The same where scheduling is on (RFC 6638 section 2): clients then leave invitations to the server.
#: Apple shows its panel for working hours where the last two are there (RFC 7953 section 7.2.1; clients.md section 13).
DAV_HEADER_SCHEDULING: Final = ", ".join(
    (*DAV_TOKENS, "calendar-auto-schedule", "calendar-availability", "inbox-availability")
)
#: Methods that OPTIONS names everywhere; Evolution and DAVx5 read PUT, POST, DELETE and MKCALENDAR there (golden 7).
ALL_METHODS: Final = (
    "OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "MKCOL", "MKCALENDAR",
    "LOCK", "UNLOCK", "REPORT", "ACL",
)  # fmt: skip
