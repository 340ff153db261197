"""From the text of a calendar object to its row: checked, and with what the store must know to find it (``Digest``).

The one place where the two meet, for PUT, deliveries, the importers, ``caldavd reindex`` and ``caldavd doctor`` alike;
what is checked and what is indexed is decided in ``scheduling.ical``.
"""

from __future__ import annotations

from collections.abc import Collection as Members, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol

from config.clock import system_clock
from scheduling.freebusy.index import WEEK
from scheduling.freebusy.vfreebusy import blocking_of
from scheduling.ical.bounds import check_instances
from scheduling.ical.digest import DIGEST_VERSION, digest
from scheduling.ical.lines import ICalendarError
from scheduling.ical.validate import CalendarObject, check_dates, validate
from scheduling.ical.values import DAY
from storage.rows import NewObject, ObjectRow

#: The media type of every stored calendar object (RFC 5545 section 8.1).
CONTENT_TYPE: Final = "text/calendar; charset=utf-8"
#: How far around now the busy times of endless recurrences are packed. A year later the texts are read again, unless
#: ``caldavd reindex`` has moved it on; the index of busy times looks as far (``[freebusy]``).
BACK: Final = 40 * DAY
AHEAD: Final = 420 * DAY
#: What of a row is read out of its text.
_INDEXED: Final = (
    "uid", "component", "starts_at", "ends_at", "recurs", "transparent", "organizer", "digest_version",
)  # fmt: skip


class ObjectLimits(Protocol):
    """What of the section ``[limits]`` bounds one object."""

    @property
    def max_resource_size(self) -> int:
        """Bytes."""

    @property
    def max_attendees_per_instance(self) -> int:
        """ATTENDEE properties in one component."""

    @property
    def max_instances(self) -> int:
        """Instances of an object whose recurrence ends."""

    @property
    def min_date_time(self) -> str:
        """The earliest date, as an iCalendar text in UTC."""

    @property
    def max_date_time(self) -> str:
        """The latest date, as an iCalendar text in UTC."""


def object_row(body: bytes, *, supported: Members[str], limits: ObjectLimits | None) -> NewObject:
    """The row of a calendar object resource that is to be stored; ``None``: somebody else has seen to its limits.

    Raises:
        ICalendarError: it may not be, with the precondition's name, a sentence and the line.
    """
    if limits is None:
        return indexed(validate(body, supported=supported), body)
    if len(body) > limits.max_resource_size:
        message = f"It has {len(body)} bytes, and an object may have at most {limits.max_resource_size} here."
        raise ICalendarError(message, condition="max-resource-size")
    found = validate(body, supported=supported, max_attendees=limits.max_attendees_per_instance)
    check_dates(found, earliest=_instant(limits.min_date_time), latest=_instant(limits.max_date_time))
    row = indexed(found, body)
    if row.recurs:
        check_instances(found.calendar, found.kind, limits.max_instances)
    return row


def indexed(found: CalendarObject, body: bytes) -> NewObject:
    """The row of an object that was checked."""
    told = digest(found.calendar, horizon=_stretch(), blocking_of=blocking_of)
    return NewObject(
        body,
        CONTENT_TYPE,
        uid=found.uid,
        component=found.kind,
        starts_at=told.starts_at,
        ends_at=told.ends_at,
        recurs=told.recurs,
        transparent=told.transparent,
        organizer=told.organizer,
        spans=told.spans,
        digest_version=DIGEST_VERSION,
    )


def _stretch() -> tuple[int, int]:
    """The time for which the busy times of what has no end are packed. It changes what an answer costs, not what it is.

    Whole weeks, so that the same text gives the same row for some days.
    """
    now = int(system_clock().timestamp()) // WEEK * WEEK
    return now - BACK, now + AHEAD


def differences(row: ObjectRow, new: NewObject) -> Iterator[tuple[str, object, object]]:
    """Where a stored row says something else than what its text gives now: column, stored, computed."""
    for column in _INDEXED:
        stored, computed = getattr(row, column), getattr(new, column)
        if stored != computed:
            yield column, stored, computed


@lru_cache(maxsize=16)
def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
