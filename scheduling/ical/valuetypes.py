"""Which value type each property has where it has no VALUE parameter, and which properties hold several values.

Owns the tables of RFC 5545 3.7 and 3.8 and of its extensions. RFC 7265 needs them; what the values mean is in
``values`` and ``recur``.
"""

from __future__ import annotations

from typing import Final

#: The default value type of every property that has one, as jCal writes it (RFC 7265 3.5.1: in lower case).
DEFAULT_TYPES: Final[dict[str, str]] = {
    # RFC 5545 3.7
    "CALSCALE": "text",
    "METHOD": "text",
    "PRODID": "text",
    "VERSION": "text",
    # RFC 5545 3.8.1
    "ATTACH": "uri",
    "CATEGORIES": "text",
    "CLASS": "text",
    "COMMENT": "text",
    "DESCRIPTION": "text",
    "GEO": "float",
    "LOCATION": "text",
    "PERCENT-COMPLETE": "integer",
    "PRIORITY": "integer",
    "RESOURCES": "text",
    "STATUS": "text",
    "SUMMARY": "text",
    # RFC 5545 3.8.2
    "COMPLETED": "date-time",
    "DTEND": "date-time",
    "DUE": "date-time",
    "DTSTART": "date-time",
    "DURATION": "duration",
    "FREEBUSY": "period",
    "TRANSP": "text",
    # RFC 5545 3.8.3
    "TZID": "text",
    "TZNAME": "text",
    "TZOFFSETFROM": "utc-offset",
    "TZOFFSETTO": "utc-offset",
    "TZURL": "uri",
    # RFC 5545 3.8.4
    "ATTENDEE": "cal-address",
    "CONTACT": "text",
    "ORGANIZER": "cal-address",
    "RECURRENCE-ID": "date-time",
    "RELATED-TO": "text",
    "URL": "uri",
    "UID": "text",
    # RFC 5545 3.8.5; EXRULE is RFC 2445 4.8.5.2
    "EXDATE": "date-time",
    "EXRULE": "recur",
    "RDATE": "date-time",
    "RRULE": "recur",
    # RFC 5545 3.8.6
    "ACTION": "text",
    "REPEAT": "integer",
    "TRIGGER": "duration",
    # RFC 5545 3.8.7 and 3.8.8
    "CREATED": "date-time",
    "DTSTAMP": "date-time",
    "LAST-MODIFIED": "date-time",
    "SEQUENCE": "integer",
    "REQUEST-STATUS": "text",
    # RFC 7808 7.1, 7.2
    "TZUNTIL": "date-time",
    "TZID-ALIAS-OF": "text",
    # RFC 7953 3.2
    "BUSYTYPE": "text",
    # RFC 7986 5; REFRESH-INTERVAL, SOURCE, IMAGE and CONFERENCE have no default
    "NAME": "text",
    "COLOR": "text",
    # RFC 9073 6; STYLED-DESCRIPTION and STRUCTURED-DATA have no default
    "LOCATION-TYPE": "text",
    "PARTICIPANT-TYPE": "text",
    "RESOURCE-TYPE": "text",
    "CALENDAR-ADDRESS": "cal-address",
    # RFC 9074 6.1, 8.1
    "ACKNOWLEDGED": "date-time",
    "PROXIMITY": "text",
    # RFC 9253 8
    "CONCEPT": "uri",
    "REFID": "text",
}

#: The properties whose value is a list with commas (RFC 5545 3.1.2; RFC 9073 6.1).
MULTI_VALUED: Final = frozenset({"CATEGORIES", "EXDATE", "FREEBUSY", "LOCATION-TYPE", "RDATE", "RESOURCES"})
#: The properties whose value has parts between semicolons (RFC 5545 3.8.1.6, 3.8.8.3).
STRUCTURED: Final = frozenset({"GEO", "REQUEST-STATUS"})
