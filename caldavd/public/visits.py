"""A visit by a link: the ticket, the form that was sent, the meeting as it stands, and the page where there is none.

Who has the ticket (``scheduling.mail.tickets``) is taken to be the attendee whom the mail was for, or the organizer who
is to decide. What is shown and done is in ``invitations``, ``proposing`` and ``decisions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl, urlencode

from caldavd.errors import DavError
from caldavd.public import Public, pages
from caldavd.response import Response
from scheduling.delivery.scheduler import Person, Scheduler
from scheduling.ical.lines import ICalendarError
from scheduling.ical.timezones import UTC as UTC_ZONE, named
from scheduling.ical.values import DAY
from scheduling.itip.snapshot import Snapshot, read
from scheduling.mail.mailtext import Reader, long_text, one_line
from scheduling.mail.tickets import PURPOSE, BadTicket, Signer, Ticket
from scheduling.mail.wording import Language, language
from storage.rows import ObjectRow, Principal

#: Characters of a message to the organizer.
MOST_COMMENT: Final = 2000
#: So many entries of the scheduling log one visitor may cause in a day, about one meeting; so many are looked at.
_MOST_A_DAY: Final = 60
_LOOKED_AT: Final = 2000
_COLUMNS: Final = frozenset({"body", "organizer", "schedule_tag", "component", "etag"})
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
#: What a page is about that has no title of its own.
_TITLES: Final = {"busy": "trouble", "too-often": "trouble", "broken": "trouble", "bad-request": "trouble"}


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


def comment_of(visit: Visit) -> str:
    """The message to the organizer. Raises ValueError with a sentence where it is too long."""
    comment = long_text(visit.form.get("comment", ""))
    if len(comment) > MOST_COMMENT:
        raise ValueError(visit.say("page-bad-comment", n=MOST_COMMENT))
    return comment


def check_rate(visit: Visit) -> None:
    """Raises Stop where the visitor has sent very much about this meeting within a day: each message is kept, or told.

    The link may have been passed on.
    """
    since = visit.public.tx.now - DAY
    entries = visit.public.tx.journal.of_uid(visit.ticket.uid, address=visit.ticket.address, limit=_LOOKED_AT)
    sent = [one for _, one in entries if one.actor == visit.ticket.address and one.at > since]
    if len(sent) >= _MOST_A_DAY:
        raise visit.stop(429, "too-often")


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
