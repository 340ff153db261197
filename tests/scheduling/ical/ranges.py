"""Whether there is anything in a range: what ``TimeRange`` finds, as one answer."""

from __future__ import annotations

from scheduling.ical.lines import Component
from scheduling.ical.timerange import TimeRange


def component_overlaps(calendar: Component, kind: str, span: TimeRange) -> bool:
    return any(True for _ in span.components(calendar, kind))


def alarm_overlaps(calendar: Component, kind: str, span: TimeRange) -> bool:
    return any(True for _ in span.with_alarm(calendar, kind))


def property_overlaps(calendar: Component, kind: str, name: str, span: TimeRange) -> bool:
    return any(True for _ in span.with_property(calendar, kind, name))
