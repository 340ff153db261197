"""The pages behind the links in mails: an invitation is shown, and answered, without an account.

``/rsvp/TICKET`` and ``/rsvp/TICKET/accept`` show the meeting as it stands and do nothing: mail scanners follow links.
What is sent by the form there acts. Who has the ticket (``scheduling.tickets``) is taken to be the attendee whom the
mail was for; the answer goes the way that a reply by mail would go. The decision on a proposal is in ``decisions``.

A form says which revision of the meeting it was shown with; where it is another one by now, nothing is done, and the
meeting is shown again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl, urlencode

from caldavd.errors import DavError
from caldavd.public import Method, Public, Space, pages
from caldavd.response import Response
from scheduling.answering import Invitation
from scheduling.ical.lines import ICalendarError
from scheduling.ical.timezones import UTC as UTC_ZONE, named
from scheduling.ical.values import DAY
from scheduling.mailtext import Reader, facts, instance, long_text, one_line, when
from scheduling.scheduler import Person, Scheduler
from scheduling.snapshot import Rid, Snapshot, read
from scheduling.tickets import PURPOSE, BadTicket, Signer, Ticket
from scheduling.wording import Language, language
from storage.rows import ObjectRow, Principal

#: Bytes of a form, and characters of a message to the organizer.
MAX_FORM: Final = 32_768
MOST_COMMENT: Final = 2000
#: So many of the next dates of a series can be chosen one by one.
_DATES: Final = 12
#: So many entries of the scheduling log one visitor may cause in a day, about one meeting; so many are looked at.
_MOST_A_DAY: Final = 60
_LOOKED_AT: Final = 2000
_COLUMNS: Final = frozenset({"body", "organizer", "schedule_tag", "component", "etag"})
_ALL: Final = "all"
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
PARTSTATS: Final[Mapping[str, str]] = {"accept": "ACCEPTED", "maybe": "TENTATIVE", "decline": "DECLINED"}
_ANSWERED: Final = {
    "ACCEPTED": "accepted", "TENTATIVE": "tentative", "DECLINED": "declined", "DELEGATED": "delegated",
    "COMPLETED": "accepted", "IN-PROCESS": "accepted",
}  # fmt: skip
#: The journal's words for what is done here.
REASON: Final = "The attendee answered on the page that the link in the mail leads to."


class Stop(DavError):
    """There is nothing to act on: a page that says why, with a status of 4xx."""

    def __init__(self, status: int, about: str, *, name: str = "", language: str = "") -> None:
        super().__init__(status, about)
        self.about, self.name, self.language = about, name, language


@dataclass(frozen=True)
class Visit:
    """A request with a good ticket. ``form`` is empty where nothing was sent."""

    public: Public
    scheduler: Scheduler
    ticket: Ticket
    owner: Principal
    form: Mapping[str, str]

    @cached_property
    def language(self) -> Language:
        """The visitor's browser knows best, then the mail."""
        return language((*_tags(self.public.request.header("Accept-Language") or ""), self.ticket.language))

    @cached_property
    def reader(self) -> Reader:
        """How times are told: in the zone that was asked for, else the meeting's."""
        asked = self.asked_zone
        fallback = named(self.owner.timezone) if self.owner.timezone else None
        return Reader(self.language, zone=named(asked) if asked else None, fallback=fallback or UTC_ZONE)

    @property
    def asked_zone(self) -> str:
        """The zone (IANA) that the visitor has chosen; empty where it is none."""
        asked = (self.form or self.public.request.query).get("zone", "")
        return asked if 0 < len(asked) <= 64 and named(asked) is not None else ""

    @property
    def hint(self) -> str:
        """What was clicked in the mail."""
        return self.public.names[1] if len(self.public.names) > 1 else ""

    @property
    def now(self) -> datetime:
        """The time of the transaction."""
        return datetime.fromtimestamp(self.public.tx.now, UTC)

    def say(self, key: str, **fields: object) -> str:
        """A sentence in the visitor's language."""
        return self.language.say(key, **fields)

    def href(self, page: str = "", **query: str) -> str:
        """The path of a page of this ticket."""
        path = f"{self.public.router.prefix}/rsvp/{self.public.names[0]}" + (f"/{page}" if page else "")
        kept = {name: value for name, value in {"zone": self.asked_zone, **query}.items() if value}
        return f"{path}?{urlencode(kept)}" if kept else path

    def go(self, page: str = "", **query: str) -> Response:
        """After something was done: the page that shows it, which can be loaded again without doing it again."""
        return Response(303, {"Location": self.href(page, **query), "Content-Type": "text/plain"})

    @cached_property
    def row(self) -> ObjectRow:
        """The organizer's object. Raises Stop where there is none (any more)."""
        rows = self.public.tx.objects.by_uid_in_home(self.owner.home_id, self.ticket.uid, columns=_COLUMNS)
        found = next((row for row in rows if row.organizer), None)
        if found is None:
            raise self.stop(410, "gone")
        return found

    @cached_property
    def snapshot(self) -> Snapshot:
        """The organizer's object, read. Raises Stop where it is no meeting of theirs."""
        try:
            found = read(self.row.body)
        except ICalendarError:
            found = None
        organizer = found.organizer if found is not None else None
        names = self.scheduler.site.names_of(self.owner, self.row.body)
        if found is None or organizer is None or organizer.address not in Person.of(self.owner, names).actor.addresses:
            raise self.stop(410, "gone")
        return found

    @cached_property
    def organizer_name(self) -> str:
        """What the organizer is called."""
        return one_line(self.owner.displayname) or self.owner.name

    def stop(self, status: int, about: str) -> Stop:
        """The error that ends this visit."""
        return Stop(status, about, name=self.organizer_name, language=self.ticket.language)


def visit(public: Public, *, acts: bool) -> Visit:
    """Reads the ticket, and the form where one was sent. Raises Stop, DavError; NeedHomes where it ``acts``."""
    if public.scheduler is None or not 1 <= len(public.names) <= 2:
        raise Stop(404, "unknown")
    try:
        ticket = Signer(public.store.secret(PURPOSE)).read(public.names[0])
    except BadTicket as error:
        raise Stop(404, "unknown") from error
    owner = public.tx.principals.by_id(ticket.owner)
    if owner is None:
        raise Stop(410, "gone", language=ticket.language)
    form: dict[str, str] = {}
    if acts:
        if public.request.media_type != _FORM_TYPE:
            raise Stop(415, "bad-request", language=ticket.language)
        try:
            sent = public.request.body.decode("ascii")
            form = dict(parse_qsl(sent, keep_blank_values=True, errors="replace", max_num_fields=50))
        except ValueError as error:
            raise Stop(400, "bad-request", language=ticket.language) from error
        public.hold(owner.name)
    found = Visit(public, public.scheduler, ticket, owner, form)
    if public.tx.now > ticket.expires:
        raise found.stop(410, "over")
    return found


def _tags(accept_language: str) -> list[str]:
    """The tags of ``Accept-Language`` (RFC 9110 section 12.5.4), what is liked best first."""
    weighed = []
    for place, one in enumerate(accept_language[:500].split(",")):
        tag, _, weight = one.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0
        if tag.strip() and quality > 0:
            weighed.append((-quality, place, tag.strip()))
    return [tag for _, _, tag in sorted(weighed)]


# --- the invitation --------------------------------------------------------------------------------------------------


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


def show(public: Public) -> Response:
    """GET: the meeting and the form."""
    found = visit(public, acts=False)
    if found.ticket.task == "decide":
        return decisions.show(found)
    if found.hint == "propose":
        return proposing.show(found)
    return _invitation(found)


def act(public: Public) -> Response:
    """POST: what the form says is done."""
    found = visit(public, acts=True)
    if found.ticket.task == "decide":
        return decisions.act(found)
    if found.form.get("do") == "propose":
        return proposing.act(found)
    return _answer(found)


def _invitation(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
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


def comment_of(visit: Visit) -> str:
    """The message to the organizer. Raises ValueError with a sentence where it is too long."""
    comment = long_text(visit.form.get("comment", ""))
    if len(comment) > MOST_COMMENT:
        raise ValueError(visit.say("page-bad-comment", n=MOST_COMMENT))
    return comment


def _answer(visit: Visit) -> Response:
    invitation = invitation_of(visit)
    partstat = PARTSTATS.get(visit.form.get("do", ""))
    if partstat is None:
        raise visit.stop(400, "bad-request")
    if visit.form.get("seen") != revision(visit, shown_rid(visit, invitation)):
        return _invitation(visit, problem=visit.say("page-changed-now"), status=409)
    try:
        comment = comment_of(visit)
    except ValueError as error:
        return _invitation(visit, problem=str(error), status=422)
    rids = _answered_rids(visit, invitation)
    if _is_new(invitation, rids, partstat, comment):
        check_rate(visit)
        message = invitation.reply(partstat, rids, now=visit.now, comment=comment)
        assert message is not None
        done = visit.scheduler.receive(visit.public.tx, message, held=visit.public.held, reason=REASON)
        if done.action == "ignore" and not done.status.startswith(("1.", "2.")):
            return _invitation(visit, problem=visit.say("page-changed-now"), status=409)
    return visit.go(said="1")


def check_rate(visit: Visit) -> None:
    """Raises Stop where the visitor has sent very much about this meeting within a day: each message is kept, or told.

    The link may have been passed on.
    """
    since = visit.public.tx.now - DAY
    entries = visit.public.tx.journal.of_uid(visit.ticket.uid, address=visit.ticket.address, limit=_LOOKED_AT)
    sent = [one for _, one in entries if one.actor == visit.ticket.address and one.at > since]
    if len(sent) >= _MOST_A_DAY:
        raise visit.stop(429, "too-often")


def _answered_rids(visit: Visit, invitation: Invitation) -> tuple[Rid, ...]:
    """Which instances the answer is for. Raises Stop for one that they are not invited to."""
    scope = visit.form.get("for", _ALL)
    if scope == _ALL:
        return (None,) if invitation.whole else invitation.rids
    rid = int(scope) if scope.lstrip("-").isdecimal() and len(scope) < 20 else None
    if rid is None or invitation.partstat(rid) is None:
        raise visit.stop(409, "gone")
    return (rid,)


def _is_new(invitation: Invitation, rids: tuple[Rid, ...], partstat: str, comment: str) -> bool:
    """Whether the answer is another one than the one that is known; sent twice it is one answer."""
    asked = dict.fromkeys((*rids, *(invitation.rids if None in rids else ())))
    return any(invitation.partstat(rid) not in (partstat, None) or invitation.comment(rid) != comment for rid in asked)


# --- what goes wrong -------------------------------------------------------------------------------------------------

_TITLES: Final = {"busy": "trouble", "too-often": "trouble", "broken": "trouble", "bad-request": "trouble"}


def refusal(error: DavError, accept_language: str) -> Response:
    """An error as a page that says what a person can do."""
    tag, name = "", ""
    if isinstance(error, Stop):
        about, name, tag = error.about, error.name, error.language
    elif error.status in (404, 410):
        about = "unknown"
    elif error.status < 500:
        about = "bad-request"
    else:
        about = "busy" if error.status == 503 else "broken"
    spoken = language((*_tags(accept_language), tag))
    who = name or spoken.say("somebody")
    title = spoken.say(f"page-{_TITLES.get(about, about)}-title")
    return pages.page(spoken, title, [pages.paragraph(spoken.say(f"page-{about}", name=who))], status=error.status)


SPACE: Final[Space] = Space({"GET": Method(show), "POST": Method(act, write=True, max_body=MAX_FORM)}, refusal=refusal)

from caldavd.public import decisions, proposing  # noqa: E402
