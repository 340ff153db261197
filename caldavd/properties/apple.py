"""What Apple's and CalendarServer's clients read and write; mostly stored as it comes (clients.md 1.4, 1.5)."""

from __future__ import annotations

from caldavd.kinds import CALENDAR, HOME, SUBSCRIBED
from caldavd.properties.registry import stored
from caldavd.xml.names import apple, caldav, cs

_LISTED = (CALENDAR, SUBSCRIBED)

stored(apple("calendar-color"), on=_LISTED, section="clients.md 1.4")
stored(apple("calendar-order"), on=_LISTED, section="clients.md 1.4")
stored(apple("refreshrate"), on=(SUBSCRIBED,), section="clients.md 1.8")
stored(cs("source"), on=(SUBSCRIBED,), section="clients.md 1.8")
for _name in ("subscribed-strip-alarms", "subscribed-strip-attachments", "subscribed-strip-todos"):
    stored(cs(_name), on=(SUBSCRIBED,), section="clients.md 1.8")
# Default alarms are text with one VALARM (CalendarServer extension), on the home and on each calendar.
for _name in (
    "default-alarm-vevent-datetime",
    "default-alarm-vevent-date",
    "default-alarm-vtodo-datetime",
    "default-alarm-vtodo-date",
):
    stored(caldav(_name), on=(HOME, CALENDAR), section="draft-daboo-caldav-extensions")
