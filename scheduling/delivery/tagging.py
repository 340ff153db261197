"""Schedule-Tags for scheduling objects that no client has put while the server schedules (RFC 6638 section 3.2.10).

"All scheduling object resources MUST support the Schedule-Tag header" (8.2): also those that were there before
scheduling was switched on, and those that come from a file. They are what they are without anybody being told.
"""

from __future__ import annotations

from secrets import token_hex

from scheduling import itip
from scheduling.delivery.people import Person, Site
from scheduling.ical.lines import ICalendarError
from storage.rows import Principal, PrincipalKind


def new_tag() -> str:
    """A tag that was never given before."""
    return token_hex(8)


def tag_for(text: bytes, owner: Principal, site: Site) -> str:
    """A tag that was never given before; empty where ``text`` is no scheduling object of ``owner`` (section 3.1)."""
    if owner.kind is PrincipalKind.GROUP:
        return ""
    try:
        role = itip.role(text, Person.of(owner, site.names_of(owner, text)).actor)
    except ICalendarError:
        return ""
    return new_tag() if role != "none" else ""
