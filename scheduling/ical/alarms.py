"""When alarms go off.

Owns RFC 5545 3.6.6 and 3.8.6 (VALARM: TRIGGER, REPEAT, DURATION). Which alarm falls into a range is asked in
``timerange``.

Decisions where RFC 5545 leaves a choice or clients differ: a trigger relative to a start that a VTODO does not have is
relative to its DUE (RFC 4791 7.8.5 does so), and one relative to an end that is not there to its start; an alarm with
ACTION:NONE never goes off (Apple writes one with a TRIGGER in 1976 where an event is to have no alarm).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scheduling.ical.values import DAY, Duration, Form, Moment, duration_of, moment_of

if TYPE_CHECKING:
    from scheduling.ical.lines import Component
    from scheduling.ical.timing import Instance

_MOST_REPEATS = 10**6


class Alarm(NamedTuple):
    """A VALARM: when it goes off first, and how often and at what distance (seconds) again."""

    trigger: Moment | Duration
    from_end: bool
    repeat: int
    distance: int

    @property
    def relative(self) -> bool:
        """Its trigger is relative to the start or the end of what it belongs to."""
        return isinstance(self.trigger, Duration)

    @property
    def offset(self) -> int:
        """Seconds, with days of 24 hours, from the start or the end to the first time; 0 for an absolute trigger."""
        return self.trigger.total if isinstance(self.trigger, Duration) else 0

    @property
    def last_after_first(self) -> int:
        """Seconds from the first to the last time that it goes off."""
        return self.repeat * self.distance

    def first(self, instance: Instance) -> int | None:
        """The instant at which it goes off first for ``instance``; None where the instance has no time.

        Only for a trigger that is a duration.
        """
        trigger = self.trigger
        if not isinstance(trigger, Duration):
            return None
        local, instant = instance.start_local, instance.start
        if instance.end is not None and (self.from_end or instant is None):
            local, instant = instance.end_local, instance.end
        if instant is None or local is None:
            return None
        if not trigger.days:
            return instant + trigger.seconds
        if instance.form in (Form.UTC, Form.ZONED):
            local = instance.zone.to_local(instant)
        return instance.zone.to_instant(local + trigger.days * DAY) + trigger.seconds

    def goes_off(self, first: int, start: int, end: int) -> bool:
        """Whether it goes off in ``start`` to ``end`` (not included), where it does so first at ``first``."""
        if start <= first < end:
            return True
        if not self.repeat or first >= end:
            return False
        times = -((first - start) // self.distance)  # so often again, and it is ``start`` or later
        return times <= self.repeat and first + times * self.distance < end


def alarms_of(component: Component) -> list[Alarm]:
    """The alarms of ``component`` that go off. Raises ICalendarError for values that cannot be read."""
    return [alarm for part in component.components if part.name == "VALARM" and (alarm := alarm_of(part)) is not None]


def alarm_of(part: Component) -> Alarm | None:
    """The VALARM ``part``, None where it never goes off. Raises ICalendarError."""
    trigger_line, action = part.first("TRIGGER"), part.first("ACTION")
    if trigger_line is None or (action is not None and action.value.strip().upper() == "NONE"):
        return None
    value = trigger_line.value
    trigger = duration_of(trigger_line) if "P" in value or "p" in value else moment_of(trigger_line)
    from_end = (trigger_line.param("RELATED") or "").upper() == "END"
    repeat_line, distance_line = part.first("REPEAT"), part.first("DURATION")
    if repeat_line is None or distance_line is None:
        return Alarm(trigger, from_end, 0, 0)
    distance = duration_of(distance_line).total
    digits = repeat_line.value.strip()
    repeat = min(int(digits), _MOST_REPEATS) if digits.isascii() and digits.isdigit() and len(digits) < 20 else 0
    return Alarm(trigger, from_end, repeat, distance) if distance > 0 else Alarm(trigger, from_end, 0, 0)
