"""To whom a property belongs: to the organizer, or to the person in whose calendar the copy lies.

Owns the tables behind RFC 6638 3.2.2.1 (what an attendee may change), 7.1 to 7.3 (parameters that never travel) and
RFC 5546 3.2 and 3.4 (what a message holds). A property that is in none of the tables belongs to the organizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scheduling.ical.lines import ContentLine

#: A change of these makes a new revision: SEQUENCE must grow (RFC 5546 2.1.4).
REVISING: Final = frozenset({"DTSTART", "DTEND", "DURATION", "DUE", "RRULE", "RDATE", "EXDATE", "STATUS"})

#: How and when a component was written; never a change by itself (RFC 5545 3.8.7; RFC 6638 3.2.2.1, item 9).
BOOKKEEPING: Final = frozenset({"DTSTAMP", "CREATED", "LAST-MODIFIED"})

#: Everybody has their own; an update from the organizer leaves them. An invitation carries TRANSP and CATEGORIES as a
#: first value (RFC 6638 B.2 has TRANSP), the others never (see ``is_private``).
_PERSONAL: Final = frozenset(
    {
        "TRANSP",  # RFC 6638 3.2.2.1, item 2
        "CATEGORIES",  # the tags by which people sort their own calendar
        "COLOR",  # RFC 7986 5.9 and 7: "their own personal view"
        "X-MICROSOFT-CDO-BUSYSTATUS",  # Outlook's TRANSP; what the organizer wishes is X-MICROSOFT-CDO-INTENDEDSTATUS
        "X-CALENDARSERVER-PRIVATE-COMMENT",  # caldav-privatecomments: travels in a REPLY only
        "X-CALENDARSERVER-ATTENDEE-COMMENT",  # caldav-privatecomments: "MUST NOT include"
        "X-CALENDARSERVER-HIDDEN-INSTANCE",
        "X-OC-HIDESUBTASKS",  # Tasks.org
    }
)
#: The same by how the names begin. Apple's X-APPLE-STRUCTURED-LOCATION and X-APPLE-CREATOR-… are the organizer's.
_PERSONAL_PREFIXES: Final = (
    "X-MOZ-",  # Thunderbird: LASTACK, SNOOZE-TIME, GENERATION, SEND-INVITATIONS …
    "X-APPLE-TRAVEL",
    "X-APPLE-NEEDS-REPLY",
    "X-APPLE-DEFAULT-ALARM",
    "X-APPLE-SORT-ORDER",
    "X-APPLE-LOCAL-",
    "X-APPLE-PROXIMITY",
    "X-APPLE-EWS-",
    "X-APPLE-ACTIVITY",
    "X-EVOLUTION-",
    "X-KDE-",
    "X-LIC-",
    "X-CALDAVD-",
)
#: In a to-do everybody also has done their own part (RFC 6638 3.2.2.1, items 3 and 4; RFC 5545 3.8.1.8).
COMPLETION: Final = frozenset({"PERCENT-COMPLETE", "COMPLETED", "STATUS"})

#: Properties of a person that an invitation carries as a first value.
_OFFERED: Final = frozenset({"TRANSP", "CATEGORIES"})

#: Components of a person (RFC 6638 3.2.2.1, item 5).
PERSONAL_COMPONENTS: Final = frozenset({"VALARM"})

#: RFC 6638 7.1, 7.2, 7.3: "MUST NOT include this parameter in any scheduling messages"; and our own.
REPLIED: Final = "X-CALDAVD-REPLIED"
STAMP: Final = "X-CALDAVD-STAMP"
LOCAL_PARAMS: Final = ("SCHEDULE-AGENT", "SCHEDULE-STATUS", "SCHEDULE-FORCE-SEND", REPLIED, STAMP)

PARTIES: Final = frozenset({"ORGANIZER", "ATTENDEE"})
PRIVATE_COMMENT: Final = "X-CALENDARSERVER-PRIVATE-COMMENT"
ATTENDEE_COMMENT: Final = "X-CALENDARSERVER-ATTENDEE-COMMENT"


def is_personal(name: str) -> bool:
    """Whether the property ``name`` (upper case) belongs to the person in whose calendar it is."""
    return name in _PERSONAL or name.startswith(_PERSONAL_PREFIXES)


def is_private(line: ContentLine) -> bool:
    """Whether ``line`` stays at home: it is left out of every message to others."""
    name = line.name
    if name == "CONFERENCE":  # RFC 7986 7: a moderator's access code "MUST" not be sent to attendees
        return any(value.upper() == "MODERATOR" for key, values in line.params if key == "FEATURE" for value in values)
    return name == "REQUEST-STATUS" or (is_personal(name) and name not in _OFFERED)
