"""Messages that ask and propose: REFRESH, COUNTER, DECLINECOUNTER.

Owns RFC 5546 3.2.6 to 3.2.8 and 3.4.6 to 3.4.8 as builders. Nothing here changes an object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import escape, insert_properties, line_text
from scheduling.ical.values import DAY, Form, moment_of
from scheduling.itip.amending import Amendments
from scheduling.itip.copying import moment_line, named, parsed, raw, written
from scheduling.itip.message import Message, cancelled, envelope, party_line, shown, stamped
from scheduling.itip.organizer import refresh
from scheduling.itip.revision import sequence_of
from scheduling.itip.snapshot import read
from scheduling.itip.views import views

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from scheduling.itip.outcome import Actor
    from scheduling.itip.snapshot import Party, Rid, Snapshot


#: What a DECLINECOUNTER tells of the meeting besides who and which.
_TOLD: Final = frozenset({"DTSTART", "DTEND", "DUE", "DURATION", "SUMMARY", "LOCATION"})


def refresh_request(snapshot: Snapshot, actor: Actor, *, now: datetime, rid: Rid = None) -> tuple[Message, ...]:
    """A REFRESH by the attendee ``actor`` (RFC 5546 3.2.6); none where they are not invited."""
    me = _own(snapshot, actor)
    organizer = snapshot.organizer
    if me is None or organizer is None:
        return ()
    out = [f"BEGIN:{snapshot.kind}", f"UID:{escape(snapshot.uid)}", f"DTSTAMP:{stamped(now)}"]
    if rid is not None:
        out.append(line_text(moment_line(snapshot, "RECURRENCE-ID", rid)))
    if snapshot.kind != "VTODO":  # RFC 5546 3.4.6: ORGANIZER 0
        out.append(party_line(snapshot.source, organizer.line))
    out += [party_line(snapshot.source, me.line), f"END:{snapshot.kind}"]
    text = envelope(snapshot, "REFRESH", [out])
    return (Message("REFRESH", snapshot.uid, me.address, organizer.address, text, 0, _whole(now), (rid,)),)


def answer_to_refresh(snapshot: Snapshot, actor: Actor, attendee: str, *, now: datetime) -> tuple[Message, ...]:
    """The meeting as it stands, for ``attendee``; a CANCEL where it is cancelled (RFC 5546 3.4.6).

    None where they are not invited: whoever knows a UID learns nothing by it.
    """
    if attendee not in snapshot.addresses:
        return ()
    organizer = snapshot.organizer
    assert organizer is not None
    view = views(snapshot, leave_out=actor.addresses).get(attendee)
    if view is None:
        rids: list[Rid] = [rid for rid, part in snapshot.parts.items() if attendee in part.by_address]
        sequence = max(sequence_of(snapshot, rid) for rid in rids)
        gone: list[Rid] = [None] if None in rids else rids
        parts = [
            cancelled(snapshot, rid, now, sequence=sequence, attendees=frozenset({attendee}), whole=True)
            for rid in gone
        ]
        text = envelope(snapshot, "CANCEL", parts)
        return (Message("CANCEL", snapshot.uid, organizer.address, attendee, text, sequence, _whole(now), tuple(gone)),)
    return refresh(snapshot, actor, now=now, to=frozenset({attendee}))


def counter(
    snapshot: Snapshot,
    actor: Actor,
    *,
    start: int,
    end: int | None,
    now: datetime,
    rid: Rid = None,
    comment: str = "",
    location: str | None = None,
) -> Message | None:
    """A COUNTER by the attendee ``actor``: the meeting, or the instance ``rid``, at another time (RFC 5546 3.2.7).

    ``start`` and ``end`` are instants in seconds; they are written in the form that the meeting has. None where there
    is no such instance, or ``actor`` is not invited to it.
    """
    lines = _instance(snapshot, rid, now)
    me, organizer = _own(snapshot, actor), snapshot.organizer
    if lines is None or me is None or organizer is None:
        return None
    left = {"COMMENT"} if location is None else {"COMMENT", "LOCATION"}
    out = [line for line in _at_time(snapshot, lines, start, end) if named(line) not in left]
    if location is not None:
        out.append(f"LOCATION:{escape(location)}")
    if comment:
        out.append(f"COMMENT:{escape(comment)}")
    part = [f"BEGIN:{snapshot.kind}", *out, f"END:{snapshot.kind}"]
    text = envelope(snapshot, "COUNTER", [part])
    sequence = sequence_of(snapshot, rid)
    return Message("COUNTER", snapshot.uid, me.address, organizer.address, text, sequence, _whole(now), (rid,))


def _at_time(snapshot: Snapshot, lines: Sequence[str], start: int, end: int | None) -> Iterator[str]:
    """The properties of a component with other times, in the form that they have."""
    source, component = parsed(lines)
    for line in component.properties:
        if line.name in ("DTSTART", "DTEND", "DUE"):
            value = start if line.name == "DTSTART" else end
            if value is not None:
                moment = moment_of(line)
                local = snapshot.zones.zone(moment).to_local(value)
                yield raw(source, line).removesuffix(line.value) + written(moment.form, local=local, instant=value)
        elif line.name == "DURATION" and end is not None:
            yield f"DURATION:PT{max(0, end - start)}S"
        else:
            yield raw(source, line)


def agreed(snapshot: Snapshot, proposed: Snapshot, rid: Rid) -> bytes | None:
    """The organizer's text with the time, and the place, that ``proposed`` has for the instance ``rid``.

    For the organizer to store as a change of their own (RFC 5546 3.2.7). Times are written in the form that the meeting
    has. None where there is no such instance, where the proposal has no time, or where it would move a whole series:
    what becomes of the rule and of the instances that were moved before is for a person to say.
    """
    part = snapshot.parts.get(rid)
    if part is None and rid is not None:
        made = snapshot.with_override(rid)
        return None if made is None else agreed(made, proposed, rid)
    new = proposed.parts.get(rid)
    timing = None if new is None else proposed.timing(new)
    if part is None or new is None or timing is None or not timing.has_start or (rid is None and snapshot.recurs):
        return None
    _, end = timing.end(timing.local, timing.instant)
    work = Amendments(snapshot.source)
    for line in part.component.properties:
        if line.name in ("DTSTART", "DTEND", "DUE"):
            value = timing.instant if line.name == "DTSTART" else end
            if value is None:
                continue
            moment = moment_of(line)
            if (moment.form is Form.DATE) != (timing.form is Form.DATE):
                return None
            local = snapshot.zones.zone(moment).to_local(value)
            work.value(line, written(moment.form, local=local, instant=value))
        elif line.name == "DURATION" and end is not None:
            days, rest = divmod(end - timing.instant, DAY)
            work.value(line, f"P{days}D" if timing.form is Form.DATE and not rest else f"PT{end - timing.instant}S")
    place, known = new.component.first("LOCATION"), part.component.first("LOCATION")
    if place is not None and known is not None:
        work.value(known, place.value)
    elif place is not None:
        work.put(insert_properties(part.component).start, [f"LOCATION:{place.value}"])
    return work.made()


def decline_counter(proposal: Message, snapshot: Snapshot, *, now: datetime, comment: str = "") -> Message | None:
    """The organizer's DECLINECOUNTER to ``proposal`` (RFC 5546 3.2.8); None for a proposal that is none."""
    proposed = read(proposal.text)
    organizer = snapshot.organizer
    if proposed is None or organizer is None or proposal.method != "COUNTER":
        return None
    parts = []
    for rid, part in proposed.parts.items():
        base = snapshot.describing(rid)
        if base is None:
            continue
        out = [f"BEGIN:{snapshot.kind}", f"UID:{escape(snapshot.uid)}", f"DTSTAMP:{stamped(now)}"]
        out.append(f"SEQUENCE:{part.sequence}")
        out += [raw(proposed.source, line) for line in part.component.properties if line.name == "RECURRENCE-ID"]
        # What stays as it was, so that a person knows what is meant (RFC 5546 3.2.8: each of them may be there).
        out += [line for line in _instance(snapshot, rid, now) or () if named(line) in _TOLD]
        out.append(party_line(snapshot.source, organizer.line))
        out += [party_line(snapshot.source, party.line) for party in base.attendees]
        if comment:
            out.append(f"COMMENT:{escape(comment)}")
        parts.append([*out, f"END:{snapshot.kind}"])
    if not parts:
        return None
    text = envelope(snapshot, "DECLINECOUNTER", parts)
    rids = tuple(proposed.parts)
    return Message(
        "DECLINECOUNTER", snapshot.uid, organizer.address, proposal.sender, text, proposal.sequence, _whole(now), rids
    )


def _instance(snapshot: Snapshot, rid: Rid, now: datetime) -> list[str] | None:
    """One instance, or the whole, as it may be shown to others."""
    part = snapshot.parts.get(rid)
    if part is None and rid is not None:
        made = snapshot.with_override(rid)
        if made is None:
            return None
        snapshot, part = made, made.parts[rid]
    return None if part is None else shown(snapshot, part, now)


def _own(snapshot: Snapshot, actor: Actor) -> Party | None:
    return next((found for part in snapshot.parts.values() if (found := part.own(actor.addresses)) is not None), None)


def _whole(now: datetime) -> datetime:
    return now.replace(microsecond=0)
