"""Lines from one text for another: as they were sent, or moved to another instance.

Owns the making of an override out of a series (RFC 5545 3.8.4.4: RECURRENCE-ID, DTSTART and DTEND of one instance) and
of EXDATE lines in the form of their series. Lines are taken over with the parameters, case and quotes of who wrote
them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import ContentLine, Edit, amend, line_text, parse, unfold
from scheduling.ical.timing import timing_of
from scheduling.ical.values import Form, moment_of, write_date, write_local, write_utc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduling.ical.lines import Component
    from scheduling.ical.timezones import Zone
    from scheduling.ical.timing import Instance
    from scheduling.itip.snapshot import Snapshot

_LINE_END: Final = re.compile(r"[\r\n]+")
#: What makes a component a series; an override has none of it.
_SERIES: Final = frozenset({"RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID"})
_TIMES: Final = frozenset({"DTSTART", "DTEND", "DUE"})


def raw(source: bytes, line: ContentLine) -> str:
    """``line`` as it is written in ``source``, unfolded, without its line end."""
    return unfold(source[line.start : line.end]).decode().rstrip("\r\n")


def raw_lines(source: bytes, component: Component) -> list[str]:
    """``component`` with everything in it, BEGIN and END included, as it is written in ``source``, line by line."""
    text = unfold(source[component.start : component.end]).decode()
    return [one for one in _LINE_END.split(text) if one]


def written(form: Form, *, local: int, instant: int) -> str:
    """A DATE or DATE-TIME of ``form``."""
    if form is Form.DATE:
        return write_date(local)
    return write_utc(instant) if form is Form.UTC else write_local(local)


def anchor(component: Component) -> ContentLine | None:
    """The line that says when the series begins: DTSTART, or DUE in a to-do without it."""
    return component.first("DTSTART") or component.first("DUE")


def moment_line(snapshot: Snapshot, name: str, rid: int) -> ContentLine:
    """EXDATE, RDATE or RECURRENCE-ID for the instance ``rid``, in the form of the series; without one, in UTC."""
    master = snapshot.master
    line = None if master is None else anchor(master.component)
    if line is None:
        return ContentLine.make(name, write_utc(rid))
    start = moment_of(line)
    params = {}
    if start.form is Form.DATE:
        params["VALUE"] = "DATE"
    elif start.form is Form.ZONED:
        params["TZID"] = start.tzid
    local = snapshot.zones.zone(start).to_local(rid)
    return ContentLine.make(name, written(start.form, local=local, instant=rid), params)


def derived(snapshot: Snapshot, rid: int) -> list[str] | None:
    """The override that says of the instance ``rid`` what its series says; None where there is no such instance.

    With what is in the component (alarms), without rules. One line each, BEGIN and END included.
    """
    instance = snapshot.instance(rid)
    if instance is None:
        return None
    source, base = snapshot.source, instance.component
    out = [f"BEGIN:{base.name}"]
    put = False
    for line in base.properties:
        if line.name in _SERIES:
            continue
        if line.name in _TIMES:
            out.append(_moved(snapshot, line, instance))
            if not put:
                out.append(line_text(moment_line(snapshot, "RECURRENCE-ID", rid)))
                put = True
        elif line.name == "DURATION":
            out.append(_length(snapshot, instance) or raw(source, line))
        else:
            out.append(raw(source, line))
    if not any(line.name in ("DTEND", "DUE", "DURATION") for line in base.properties):
        out += filter(None, [_length(snapshot, instance)])
    for inner in base.components:
        out += raw_lines(source, inner)
    return [*out, f"END:{base.name}"]


def _length(snapshot: Snapshot, instance: Instance) -> str | None:
    """DURATION of an instance that lasts otherwise than its component says: RDATE;VALUE=PERIOD; else None."""
    timing = timing_of(instance.component, snapshot.zones)
    if timing is None or instance.start is None or instance.end is None or instance.start_local is None:
        return None
    if timing.end(instance.start_local, instance.start)[1] in (instance.end, None):
        return None
    minutes, seconds = divmod(instance.end - instance.start, 60)
    return f"DURATION:PT{minutes}M{seconds}S" if seconds else f"DURATION:PT{minutes}M"


def _moved(snapshot: Snapshot, line: ContentLine, instance: Instance) -> str:
    """DTSTART, DTEND or DUE of ``instance`` in the form in which the series has it."""
    start = line.name == "DTSTART"
    local, instant = (instance.start_local, instance.start) if start else (instance.end_local, instance.end)
    if local is None or instant is None:
        return raw(snapshot.source, line)
    value = moment_of(line)
    if value.form is Form.ZONED:
        zone: Zone = snapshot.zones.zone(value)
        local = zone.to_local(instant)
    new = amend(snapshot.source, line, {}, value=written(value.form, local=local, instant=instant)).new[0]
    assert isinstance(new, str)
    return new


def end_of_components(calendar: Component) -> int:
    """Where a component may be put in: behind the last one."""
    ends = [item.end for item in calendar.components] + [line.end for line in calendar.properties]
    return max(ends, default=calendar.body)


def put_in(at: int, lines: list[str]) -> Edit:
    """``lines`` stand at ``at``."""
    return Edit(at, at, tuple(lines))


def before(rid: int, form: Form, zone: Zone) -> str:
    """UNTIL for a series that ends before the instance ``rid`` (RFC 5545 3.3.10: of the form of DTSTART, or UTC)."""
    if form is Form.DATE:
        return write_date(zone.to_local(rid) - 86_400)
    if form is Form.FLOATING:
        return write_local(zone.to_local(rid) - 1)
    return write_utc(rid - 1)


def with_params(line: str, params: Mapping[str, str | Sequence[str] | None]) -> str:
    """An unfolded line with other parameters; None takes one away."""
    data = f"{line}\r\n".encode()
    new = amend(data, ContentLine(named(line), (), "", 1, 0, len(data)), params).new[0]
    assert isinstance(new, str)
    return new


def named(line: str) -> str:
    """The name of an unfolded line, upper-cased."""
    return line.partition(":")[0].partition(";")[0].upper()


def parsed(lines: Sequence[str]) -> tuple[bytes, Component]:
    """The component that ``lines`` are, and the text that its offsets refer to."""
    source = "\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""]).encode()
    return source, parse(source).components[0]
