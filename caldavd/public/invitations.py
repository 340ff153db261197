"""The page of an invitation: the meeting as it stands, the answer that is known, and the form for another one.

A form says which revision of the meeting it was shown with; where it is another one by now, nothing is done, and the
meeting is shown again. The answer is a REPLY that goes the way that one by mail would go.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from caldavd.public import pages
from caldavd.public.visits import MOST_COMMENT, Visit, check_rate, comment_of
from scheduling.itip.answering import Invitation
from scheduling.mail.mailtext import Reader, facts, instance, one_line, when
from scheduling.mail.wording import language

if TYPE_CHECKING:
    from caldavd.response import Response
    from scheduling.itip.snapshot import Rid

#: So many of the next dates of a series can be chosen one by one.
_DATES: Final = 12
_ALL: Final = "all"
#: What ``str`` makes of a recurrence-id.
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
PARTSTATS: Final[Mapping[str, str]] = {"accept": "ACCEPTED", "maybe": "TENTATIVE", "decline": "DECLINED"}
_ANSWERED: Final = {
    "ACCEPTED": "accepted", "TENTATIVE": "tentative", "DECLINED": "declined", "DELEGATED": "delegated",
    "COMPLETED": "accepted", "IN-PROCESS": "accepted",
}  # fmt: skip
#: The journal's words for what is done here.
REASON: Final = "The attendee answered on the page that the link in the mail leads to."


def invitation_of(visit: Visit) -> Invitation:
    """What the visitor is invited to. Raises Stop where that is nothing (any more)."""
    found = Invitation(visit.snapshot, visit.ticket.address)
    rid = visit.ticket.rid
    if not found.rids:
        named_somewhere = visit.ticket.address in visit.snapshot.addresses
        raise visit.stop(410, "gone" if named_somewhere else "taken-off")
    if rid is not None and found.partstat(rid) is None:
        part = visit.snapshot.describing(rid)
        gone = part is None or part.cancelled or not visit.snapshot.has_instance(rid)
        raise visit.stop(410, "gone" if gone else "taken-off")
    return found


def shown_rid(visit: Visit, invitation: Invitation) -> Rid:
    """The instance that the page is about: the ticket's, else the series, else the first that they are invited to."""
    if visit.ticket.rid is not None or invitation.whole:
        return visit.ticket.rid
    coming = invitation.coming(now=visit.public.tx.now, limit=1)
    return coming[0].recurrence_id if coming else invitation.rids[0]


def revision(visit: Visit, rid: Rid) -> str:
    """What a visitor has seen of the meeting, in short: another text where something of that is different."""
    reader = Reader(language(("en",)))
    seen = [(one.label, one.text) for one in facts(visit.snapshot, rid, reader) if one.label != "attendees"]
    return hashlib.sha256(repr((visit.snapshot.sequence, seen)).encode()).hexdigest()[:16]


def dates(visit: Visit, invitation: Invitation) -> list[tuple[str, str]]:
    """The instances that can be answered one by one: by which name in the form, and when they are."""
    coming = {one.recurrence_id: one for one in invitation.coming(now=visit.public.tx.now, limit=_DATES)}
    rid = visit.ticket.rid
    part = visit.snapshot.describing(rid) if rid is not None and rid not in coming else None
    single = instance(visit.snapshot, part, rid) if part is not None else None
    if single is not None:
        coming[rid] = single
    ordered = sorted(coming.items(), key=lambda item: item[1].order)
    return [(str(rid), when(one, visit.reader)) for rid, one in ordered if rid is not None]


def _scopes(visit: Visit, invitation: Invitation) -> list[tuple[str, str]]:
    """What an answer may be for; one entry: there is nothing to choose."""
    if not visit.snapshot.recurs and len(invitation.rids) == 1:
        return [(_ALL, "")]
    every = [(_ALL, visit.say("page-all-dates"))] if invitation.whole or len(invitation.rids) > 1 else []
    single = [(value, visit.say("page-this-date", when=said)) for value, said in dates(visit, invitation)]
    return every + single


def show(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    """The meeting and the form; ``problem`` is a sentence about what could not be done."""
    invitation = invitation_of(visit)
    rid = shown_rid(visit, invitation)
    told = facts(visit.snapshot, rid, visit.reader)
    name = visit.organizer_name
    parts = []
    partstat = invitation.partstat(rid) or "NEEDS-ACTION"
    said = _ANSWERED.get(partstat)
    if problem:
        parts.append(pages.paragraph(problem, mark="bad"))
    elif "said" in visit.public.request.query and said:
        parts.append(pages.paragraph(visit.say("page-saved", name=name), mark="said"))
    elif "proposed" in visit.public.request.query:
        parts.append(pages.paragraph(visit.say("page-proposed", name=name), mark="said"))
    elif visit.snapshot.sequence > visit.ticket.sequence:
        parts.append(pages.paragraph(visit.say("page-changed"), mark="note"))
    address = visit.ticket.address.removeprefix("mailto:")
    parts.append(pages.paragraph(visit.say("page-invites", name=name, address=one_line(address))))
    parts.append(pages.table_of(visit.language, told[1:]))
    parts.append(pages.heading(visit.say("page-your-answer")))
    parts.append(pages.paragraph(visit.say(f"page-answered-{said}" if said else "page-not-answered")))
    parts.append(_answer_form(visit, invitation, rid))
    if visit.snapshot.kind == "VEVENT":
        parts.append(pages.link(visit.href("propose"), visit.say("page-propose")))
    parts.append(zone_form(visit, visit.href()))
    kind = visit.say("page-task" if visit.snapshot.kind == "VTODO" else "page-invitation")
    return pages.page(visit.language, told[0].text, parts, kind=kind, status=status)


def _answer_form(visit: Visit, invitation: Invitation, rid: Rid) -> str:
    scopes = _scopes(visit, invitation)
    chosen = visit.form.get("for") or (str(visit.ticket.rid) if visit.ticket.rid is not None else _ALL)
    inner = []
    if len(scopes) > 1:
        inner.append(pages.choice("for", visit.say("page-which"), scopes, chosen=chosen))
    comment = visit.form.get("comment") or invitation.comment(rid)
    label = visit.say("page-comment", name=visit.organizer_name)
    inner.append(pages.text_area("comment", label, comment, most=MOST_COMMENT))
    options = [(one, visit.say(one)) for one in PARTSTATS]
    inner.append(pages.buttons("do", options, first=visit.hint or "accept"))
    hidden = {"seen": revision(visit, rid), "zone": visit.asked_zone}
    if len(scopes) == 1:
        hidden["for"] = scopes[0][0]
    return pages.form(visit.href(), inner, hidden=hidden)


#: Zones to choose from, where the visitor's is not known: one or two for each offset, by the names of cities.
_ZONES: Final = (
    "Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Denver", "America/Chicago",
    "America/New_York", "America/Halifax", "America/Sao_Paulo", "UTC", "Europe/London", "Europe/Lisbon",
    "Africa/Lagos", "Europe/Berlin", "Europe/Paris", "Europe/Athens", "Africa/Cairo", "Africa/Johannesburg",
    "Europe/Kyiv", "Europe/Istanbul", "Europe/Moscow", "Asia/Dubai", "Asia/Karachi", "Asia/Kolkata", "Asia/Dhaka",
    "Asia/Bangkok", "Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip


def zone_form(visit: Visit, action: str) -> str:
    """The form that shows the page again with the times of another zone."""
    names = dict.fromkeys((*_ZONES, *filter(None, (visit.owner.timezone, visit.asked_zone))))
    options = [("", visit.say("page-zone-of-event")), *((name, name.replace("_", " ")) for name in sorted(names))]
    inner = [
        pages.choice("zone", visit.say("page-show-in-zone"), options, chosen=visit.asked_zone),
        f" <button>{visit.say('page-show')}</button>",
    ]
    return (
        f"<details><summary>{visit.say('page-zone')}</summary>" + pages.form(action, inner, method="get") + "</details>"
    )


# --- answering -------------------------------------------------------------------------------------------------------


def act(visit: Visit) -> Response:
    """Passes the answer of the form on to the organizer."""
    invitation = invitation_of(visit)
    partstat = PARTSTATS.get(visit.form.get("do", ""))
    if partstat is None:
        raise visit.stop(400, "bad-request")
    if visit.form.get("seen") != revision(visit, shown_rid(visit, invitation)):
        return show(visit, problem=visit.say("page-changed-now"), status=409)
    try:
        comment = comment_of(visit)
    except ValueError as error:
        return show(visit, problem=str(error), status=422)
    rids = _answered_rids(visit, invitation)
    if _is_new(invitation, rids, partstat, comment):
        check_rate(visit)
        message = invitation.reply(partstat, rids, now=visit.now, comment=comment)
        assert message is not None
        done = visit.scheduler.receive(visit.public.tx, message, held=visit.public.held, reason=REASON)
        if done.action == "ignore" and not done.status.startswith(("1.", "2.")):
            return show(visit, problem=visit.say("page-changed-now"), status=409)
    return visit.go(said="1")


def _answered_rids(visit: Visit, invitation: Invitation) -> tuple[Rid, ...]:
    """Which instances the answer is for. Raises Stop for one that they are not invited to."""
    scope = visit.form.get("for", _ALL)
    if scope == _ALL:
        return (None,) if invitation.whole else invitation.rids
    rid = rid_in(scope)
    if rid is None or invitation.partstat(rid) is None:
        raise visit.stop(409, "gone")
    return (rid,)


def rid_in(scope: str) -> int | None:
    """The instance that a form names, as ``dates`` names them; None where the text is no number."""
    return int(scope) if _NUMBER.fullmatch(scope) else None


def _is_new(invitation: Invitation, rids: tuple[Rid, ...], partstat: str, comment: str) -> bool:
    """Whether the answer is another one than the one that is known; sent twice it is one answer."""
    asked = dict.fromkeys((*rids, *(invitation.rids if None in rids else ())))
    return any(invitation.partstat(rid) not in (partstat, None) or invitation.comment(rid) != comment for rid in asked)
