"""The page on which an attendee proposes another time: a form, what may be wrong with it, and the COUNTER.

RFC 5546 section 3.2.7. The dates and times are those of the zone that the page names; all of them are judged here,
since a browser may know nothing of date fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from html import escape
from typing import TYPE_CHECKING, Final

from caldavd.public import invitations, pages
from caldavd.public.visits import MOST_COMMENT, check_rate, comment_of
from scheduling.ical.values import DAY, EPOCH_ORDINAL, nearest_wall
from scheduling.itip import Actor, proposals
from scheduling.mail.mailtext import Reader, facts, instance, zone_for

if TYPE_CHECKING:
    from caldavd.public.visits import Visit
    from caldavd.response import Response
    from scheduling.ical.timing import Instance
    from scheduling.itip.answering import Invitation
    from scheduling.itip.snapshot import Rid

#: How far away a proposal may be, seconds.
_FAR: Final = 5 * 366 * DAY
#: The journal's words.
REASON: Final = "The attendee proposed another time on the page that the link in the mail leads to."


class _Wrong(ValueError):
    """What was written cannot be proposed; the message is a sentence in the visitor's language."""


@dataclass(frozen=True, slots=True)
class _Typed:
    """What stands in the fields, as text."""

    begin_date: str
    begin_time: str
    end_date: str
    end_time: str


def show(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    """The form, filled with the time that the meeting has."""
    invitation = invitations.invitation_of(visit)
    rid = _chosen(visit, invitation)
    found = _instance(visit, rid)
    if found is None or visit.snapshot.kind != "VEVENT":
        raise visit.stop(410, "gone")
    told = facts(visit.snapshot, rid, visit.reader)
    parts = []
    if problem:
        parts.append(pages.paragraph(f"{visit.say('page-error')}: {problem}", mark="bad"))
    elif visit.snapshot.sequence > visit.ticket.sequence:
        parts.append(pages.paragraph(visit.say("page-changed"), mark="note"))
    parts.append(pages.table_of(visit.language, told))
    parts.append(pages.paragraph(visit.say("page-propose-what", name=visit.organizer_name)))
    parts.append(_form(visit, invitation, rid, found))
    parts.append(pages.link(visit.href(), visit.say("page-back")))
    parts.append(invitations.zone_form(visit, visit.href("propose")))
    kind = visit.say("page-invitation")
    return pages.page(visit.language, visit.say("page-propose"), parts, kind=kind, status=status)


def act(visit: Visit) -> Response:
    """Sends the COUNTER to the organizer; what cannot be proposed is said on the form."""
    invitation = invitations.invitation_of(visit)
    rid = _chosen(visit, invitation)
    found = _instance(visit, rid)
    if found is None or visit.snapshot.kind != "VEVENT":
        raise visit.stop(410, "gone")
    if visit.form.get("seen") != _seen(visit, invitation):
        return show(visit, problem=visit.say("page-changed-now"), status=409)
    try:
        start, end = _proposed(visit, found)
        comment = comment_of(visit)
    except ValueError as error:
        return show(visit, problem=str(error), status=422)
    check_rate(visit)
    actor = Actor(frozenset({visit.ticket.address}))
    message = proposals.counter(visit.snapshot, actor, start=start, end=end, now=visit.now, rid=rid, comment=comment)
    if message is None:
        raise visit.stop(410, "gone")
    visit.scheduler.receive(visit.public.tx, message, held=visit.public.held, reason=REASON)
    return visit.go(proposed="1")


def _chosen(visit: Visit, invitation: Invitation) -> Rid:
    """The instance that is to be moved: what does not recur, or the one that was chosen, else the next one."""
    if not visit.snapshot.recurs and len(invitation.rids) == 1:
        return invitation.rids[0]
    chosen = invitations.rid_in(visit.form.get("for", ""))
    if chosen is not None and invitation.partstat(chosen) is not None:
        return chosen
    if visit.ticket.rid is not None:
        return visit.ticket.rid
    coming = invitation.coming(now=visit.public.tx.now, limit=1)
    return coming[0].recurrence_id if coming else invitation.rids[0]


def _instance(visit: Visit, rid: Rid) -> Instance | None:
    part = visit.snapshot.describing(rid)
    found = instance(visit.snapshot, part, rid) if part is not None else None
    return None if found is None or found.start is None else found


def _form(visit: Visit, invitation: Invitation, rid: Rid, found: Instance) -> str:
    inner = []
    options = invitations.dates(visit, invitation) if visit.snapshot.recurs or len(invitation.rids) > 1 else []
    if len(options) > 1:
        inner.append(pages.choice("for", visit.say("page-which-date"), options, chosen=str(rid)))
    typed = _typed(visit) if visit.form else _now(found, visit.reader)
    rows = [pages.field("begin_date", visit.say("page-begin-date"), typed.begin_date, kind="date")]
    if found.all_day:
        rows.append(pages.field("end_date", visit.say("page-last-date"), typed.end_date, kind="date"))
        inner.append(f'<div class="row">{"".join(rows)}</div>')
    else:
        rows.append(pages.field("begin_time", visit.say("page-begin-time"), typed.begin_time, kind="time"))
        inner.append(f'<div class="row">{"".join(rows)}</div>')
        ends = [
            pages.field("end_date", visit.say("page-end-date"), typed.end_date, kind="date"),
            pages.field("end_time", visit.say("page-end-time"), typed.end_time, kind="time"),
        ]
        inner.append(f'<div class="row">{"".join(ends)}</div>')
    zone = "" if found.floating else f" {visit.say('page-zone')}: {zone_for(found, visit.reader).name}."
    inner.append(f'<p class="hint">{escape(visit.say("page-date-hint") + zone)}</p>')
    label = visit.say("page-comment", name=visit.organizer_name)
    inner.append(pages.text_area("comment", label, visit.form.get("comment", ""), most=MOST_COMMENT))
    inner.append(pages.buttons("do", [("propose", visit.say("page-send-proposal"))], first="propose"))
    hidden = {"seen": _seen(visit, invitation), "zone": visit.asked_zone}
    if len(options) <= 1 and rid is not None:
        hidden["for"] = str(rid)
    return pages.form(visit.href("propose"), inner, hidden=hidden)


def _seen(visit: Visit, invitation: Invitation) -> str:
    """The revision, whichever of the dates is chosen."""
    return invitations.revision(visit, invitations.shown_rid(visit, invitation))


def _typed(visit: Visit) -> _Typed:
    return _Typed(*(visit.form.get(name, "")[:40].strip() for name in _Typed.__slots__))


def _now(found: Instance, reader: Reader) -> _Typed:
    start, end = _bounds(found, reader)
    last = end - DAY if found.all_day else end
    first, final = nearest_wall(start), nearest_wall(last)
    return _Typed(f"{first:%Y-%m-%d}", f"{first:%H:%M}", f"{final:%Y-%m-%d}", f"{final:%H:%M}")


def _bounds(found: Instance, reader: Reader) -> tuple[int, int]:
    """When it is, local seconds in the zone of the page; of what has no end, twice the start."""
    if found.floating:
        assert found.start_local is not None
        return found.start_local, found.end_local if found.end_local is not None else found.start_local
    assert found.start is not None
    zone = zone_for(found, reader)
    return zone.to_local(found.start), zone.to_local(found.end if found.end is not None else found.start)


def _proposed(visit: Visit, found: Instance) -> tuple[int, int]:
    """What is proposed, instants (of floating times and dates: as if they were UTC). Raises _Wrong."""
    typed = _typed(visit)
    try:
        start = _local(typed.begin_date, "00:00" if found.all_day else typed.begin_time)
        end = _local(typed.end_date, "00:00" if found.all_day else typed.end_time)
    except ValueError as error:
        raise _Wrong(visit.say("page-bad-date")) from error
    end += DAY if found.all_day else 0
    if (start, end) == _bounds(found, visit.reader):
        raise _Wrong(visit.say("page-bad-same"))
    if not found.floating:
        zone = zone_for(found, visit.reader)
        instants = zone.to_instant(start), zone.to_instant(end)
        if (zone.to_local(instants[0]), zone.to_local(instants[1])) != (start, end):
            raise _Wrong(visit.say("page-bad-gap"))
        start, end = instants
    now = visit.public.tx.now
    if end <= start:
        raise _Wrong(visit.say("page-bad-order"))
    if end <= now - (DAY if found.floating else 0):
        raise _Wrong(visit.say("page-bad-past"))
    if end > now + _FAR:
        raise _Wrong(visit.say("page-bad-far"))
    return start, end


def _local(day: str, clock: str) -> int:
    """Local seconds of a date and a time as date and time fields send them. Raises ValueError."""
    at = time.fromisoformat(clock)
    if at.tzinfo is not None:
        raise ValueError(clock)
    of_day = (at.hour * 60 + at.minute) * 60 + at.second
    return (date.fromisoformat(day).toordinal() - EPOCH_ORDINAL) * DAY + of_day
