"""The page on which an organizer decides on a proposal for another time.

RFC 5546 sections 3.2.7 and 3.2.8: the organizer agrees by moving the meeting, which is a change of their object like
any other (a REQUEST goes to everybody), or tells the proposer by DECLINECOUNTER that it stays as it is. The proposal is
an item of their inbox; deciding on it takes it out, so that it is decided once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from caldavd.public import pages
from scheduling.delivery.deliverable import Right, may_deliver
from scheduling.delivery.people import find
from scheduling.delivery.scheduler import INBOX, Refused, scheduled_row
from scheduling.ical.lines import ICalendarError, text as unescape
from scheduling.ical.periods import Busy
from scheduling.itip import proposals
from scheduling.itip.message import Message, received
from scheduling.itip.snapshot import read
from scheduling.mail.mailtext import facts, long_text, name_of, proposed

if TYPE_CHECKING:
    from caldavd.public.visits import Visit
    from caldavd.response import Response
    from scheduling.itip.snapshot import Rid, Snapshot
    from storage.rows import Collection, ObjectRow

#: The journal's words.
REFUSED: Final = "The organizer declined the proposal on the page that the link in the mail leads to."
#: So many attendees are asked for whether they are free.
_MOST_ASKED: Final = 100
_BODY: Final = frozenset({"body"})


class _Proposal:
    """The proposal of a visit: the inbox item, its message, and what it is about."""

    def __init__(self, visit: Visit) -> None:
        inbox, row = _item(visit)
        self.inbox, self.row = inbox, row
        try:
            self.message: Message = received(
                row.body, sender=visit.ticket.address, recipient=_organizer(visit.snapshot), now=visit.now
            )
            snapshot = read(row.body)
        except ICalendarError as error:
            raise visit.stop(410, "dealt-with") from error
        assert snapshot is not None
        self.snapshot = snapshot
        self.rid: Rid = visit.ticket.rid if visit.ticket.rid in snapshot.parts else next(iter(snapshot.parts))
        if snapshot.sequence < visit.snapshot.sequence or not visit.snapshot.has_instance(self.rid):
            raise visit.stop(409, "outdated")

    @property
    def name(self) -> str:
        """Who proposes."""
        part = self.snapshot.parts[self.rid]
        party = part.by_address.get(self.message.sender)
        return name_of(party) if party is not None else self.message.sender.removeprefix("mailto:")

    @property
    def comment(self) -> str:
        """What they say to it."""
        line = self.snapshot.parts[self.rid].component.first("COMMENT")
        return "" if line is None else long_text(unescape(line.value))


def _organizer(snapshot: Snapshot) -> str:
    organizer = snapshot.organizer
    assert organizer is not None
    return organizer.address


def _item(visit: Visit) -> tuple[Collection, ObjectRow]:
    """The proposal in the owner's inbox. Raises Stop where it is not there any more."""
    tx = visit.public.tx
    found = tx.collections.find(visit.owner.name, (INBOX, visit.ticket.item), columns=_BODY)
    if found is None or found.object is None:
        raise visit.stop(410, "dealt-with")
    return found.collection, found.object


def show(visit: Visit) -> Response:
    """The meeting, what is proposed, and the form."""
    done = visit.public.request.query.get("done", "")
    if done in ("agreed", "refused"):
        return _done(visit, done)
    return _page(visit, _Proposal(visit))


def _done(visit: Visit, done: str) -> Response:
    proposer = next((one for part in visit.snapshot.parts.values() if (one := part.own({visit.ticket.address}))), None)
    name = name_of(proposer) if proposer is not None else visit.ticket.address.removeprefix("mailto:")
    told = facts(visit.snapshot, visit.ticket.rid, visit.reader)
    parts = [pages.paragraph(visit.say(f"page-{done}", name=name), mark="said"), pages.table_of(visit.language, told)]
    part = visit.snapshot.describing(visit.ticket.rid)
    if done == "agreed" and part is not None:
        # Answers have started again: who has declined by now answers by itself, as rooms do.
        declined = ", ".join(name_of(one) for one in part.attendees if one.partstat == "DECLINED")
        if declined:
            parts.insert(1, pages.paragraph(visit.say("page-not-free", name=declined), mark="note"))
    return pages.page(visit.language, visit.say("page-proposal"), parts)


def _page(visit: Visit, proposal: _Proposal, *, problem: str = "", status: int = 200) -> Response:
    parts = [pages.paragraph(problem, mark="bad")] if problem else []
    parts.append(pages.paragraph(visit.say("page-proposes", name=proposal.name)))
    told = proposed(proposal.snapshot, proposal.rid, visit.reader, visit.snapshot)
    parts.append(pages.table_of(visit.language, [one for one in told if one.label != "comment"]))
    busy = _busy_then(visit, proposal)
    if busy:
        parts.append(pages.paragraph(visit.say("page-not-free", name=", ".join(busy)), mark="note"))
    if proposal.comment:
        parts.append(pages.heading(visit.say("page-says", name=proposal.name)))
        parts.append(pages.paragraph(proposal.comment))
    parts.append(pages.heading(visit.say("page-decide")))
    parts.append(pages.paragraph(visit.say("page-decide-what", name=proposal.name)))
    options = [(one, visit.say(one)) for one in ("agree", "refuse")]
    parts.append(pages.form(visit.href(), [pages.buttons("do", options, first=visit.hint or "agree")]))
    return pages.page(visit.language, visit.say("page-proposal"), parts, status=status)


def _busy_then(visit: Visit, proposal: _Proposal) -> list[str]:
    """Who of the organizer and of the attendees here has something else at the proposed time, as far as they may know.

    Only what blocks: neither tentative time nor the end of somebody's working hours.
    """
    part, new = visit.snapshot.describing(proposal.rid), proposal.snapshot.parts[proposal.rid]
    timing = proposal.snapshot.timing(new)
    end = timing.end(timing.local, timing.instant)[1] if timing is not None else None
    if part is None or timing is None or end is None:
        return []
    public = visit.public
    named = {one.address: name_of(one) for one in part.attendees[:_MOST_ASKED]}
    people = find(public.tx, named, visit.scheduler.site)
    names = {one.id: named[address] for address, one in people.items()}
    others = [one for one in {one.id: one for one in people.values()}.values() if one.id != visit.owner.id]
    allowed = may_deliver(public.tx, visit.owner, others, Right.FREEBUSY)
    asked = [visit.owner, *(one for one in others if one.id in allowed)]
    times = public.freebusy.busy_times(
        public.tx, asked, timing.instant, end, epoch=public.store.epoch, mask_uid=visit.ticket.uid
    )
    names.setdefault(visit.owner.id, visit.organizer_name)
    return [names[id_] for id_, known in times.items() if any(one.kind is Busy.BUSY for one in known.periods)]


def act(visit: Visit) -> Response:
    """Does what the organizer has decided, and takes the proposal out of the inbox."""
    decision = visit.form.get("do")
    if decision not in ("agree", "refuse"):
        raise visit.stop(400, "bad-request")
    proposal = _Proposal(visit)
    tx, scheduler = visit.public.tx, visit.scheduler
    if decision == "refuse":
        message = proposals.decline_counter(proposal.message, visit.snapshot, now=visit.now)
        assert message is not None
        scheduler.send(tx, visit.owner, [message], held=visit.public.held, reason=REFUSED)
    elif (problem := _agree(visit, proposal)) is not None:
        return _page(visit, proposal, problem=visit.say("page-cannot", reason=problem), status=409)
    tx.objects.remove(proposal.inbox, proposal.row)
    return visit.go(done="refused" if decision == "refuse" else "agreed")


def _agree(visit: Visit, proposal: _Proposal) -> str | None:
    """Moves the meeting as the organizer would; a sentence where that cannot be."""
    text = proposals.agreed(visit.snapshot, proposal.snapshot, proposal.rid)
    if text is None:
        return visit.say("page-outdated")
    tx = visit.public.tx
    try:
        changed = visit.scheduler.changed(
            tx, visit.owner, held=visit.public.held, before=visit.row, after=text, reply=True
        )
    except Refused as error:
        return error.refusal.sentence
    collection = tx.collections.get(visit.row.collection_id)
    assert collection is not None
    assert changed.text is not None
    tx.objects.put(collection, visit.row.name, scheduled_row(changed.text, changed.schedule_tag), replaces=visit.row)
    return None
