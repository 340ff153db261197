"""Why a room declines, in words for the organizer and for the scheduling log. What others do there is never told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduling.ical.values import DAY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scheduling.ical.timezones import Zone

#: So many times are named one by one.
_NAMED: Final = 3


class Why(NamedTuple):
    """A reason: the rule, and the time that it is about where that makes a difference."""

    rule: str
    time: str = ""
    zone: str = ""

    def __str__(self) -> str:
        """The reason by itself."""
        return summary([self])


def only_events() -> Why:
    """Another component than VEVENT."""
    return Why("only events can be booked here")


TOO_OFTEN: Final = Why("it recurs too often to be checked")


def nothing() -> Why:
    """No instance is left, or none that is to be looked at."""
    return Why("there is no time in it that could be booked")


def closed() -> Why:
    """The policy is to decline."""
    return Why("it takes no bookings")


def endless() -> Why:
    """The series has no end, or none that can be found."""
    return Why("it cannot be booked without an end")


def beyond(ahead: int, zone: Zone) -> Why:
    """Bookings reach up to the instant ``ahead``."""
    return Why(f"it cannot be booked beyond {_date(zone.to_local(ahead))}")


def late(notice: int) -> Why:
    """Bookings are made ``notice`` seconds before at the latest."""
    amount = f"{notice // DAY} days" if notice >= 2 * DAY else f"{-(-notice // 60)} minutes"
    return Why(f"it has to be booked {amount} before")


def full(heads: int, capacity: int) -> Why:
    """More people than fit in."""
    return Why(f"{heads} people are invited, and {capacity} fit in")


def too_many(exceptions: int, slots: int, most: int) -> Why:
    """A series of which too many instances would have to be answered by themselves."""
    return Why(f"{exceptions} of the {slots} times would need an answer of their own, and at most {most} get one")


def cut(most: int) -> Why:
    """What comes after the instances that were answered by themselves."""
    return Why(f"of a series that reaches further at most {most} times are accepted")


def taken_by_other(start: int, end: int, zone: Zone, *, all_day: bool) -> Why:
    """Somebody else has it then; the time is that of the instance, not theirs."""
    return _when("busy with another booking", start, end, zone, all_day=all_day)


def outside_hours(start: int, end: int, zone: Zone, *, all_day: bool) -> Why:
    """Its hours (VAVAILABILITY) do not cover the instance."""
    return _when("outside of its hours", start, end, zone, all_day=all_day)


def _when(rule: str, start: int, end: int, zone: Zone, *, all_day: bool) -> Why:
    first, last = zone.to_local(start), zone.to_local(end)
    if all_day:
        until = "" if last - first <= DAY else f" to {_date(last - 1)}"
        return Why(rule, f"{_date(first)}{until}")
    until = f"{_time(last)}" if first // DAY == last // DAY else f"{_date(last)} {_time(last)}"
    return Why(rule, f"{_date(first)} {_time(first)}-{until}", zone.name)


def summary(reasons: Iterable[Why | None]) -> str:
    """Several reasons as one phrase, each rule once, with the first times that it is about."""
    times: dict[tuple[str, str], list[str]] = {}
    for one in reasons:
        if one is not None:
            times.setdefault((one.rule, one.zone), []).append(one.time)
    return "; ".join(_phrase(rule, [time for time in at if time], zone) for (rule, zone), at in times.items())


def _phrase(rule: str, times: list[str], zone: str) -> str:
    if not times:
        return rule
    more = f" and {len(times) - _NAMED} more" if len(times) > _NAMED else ""
    where = f" ({zone})" if zone else ""
    return f"{rule} on {', '.join(times[:_NAMED])}{more}{where}"


def _date(local: int) -> str:
    return datetime.fromtimestamp(local, UTC).date().isoformat()


def _time(local: int) -> str:
    return datetime.fromtimestamp(local, UTC).strftime("%H:%M")
