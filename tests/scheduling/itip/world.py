"""A small world of accounts in memory: what a scheduler does with the rules of ``scheduling.itip``, without a store.

Each account has at most one object per UID, an inbox and Schedule-Tags. Messages between accounts are delivered at once
and in order; messages to others are kept (``outside``). After every action the world checks what must always hold.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from scheduling import itip
from scheduling.addresses import normal
from scheduling.ical.lines import parse, unfold
from scheduling.ical.validate import validate
from scheduling.itip.message import received
from scheduling.itip.snapshot import read

if TYPE_CHECKING:
    from collections.abc import Iterable

#: So many deliveries one action may cause.
MOST_DELIVERIES: Final = 5_000
#: Lines that the rules may change in what a client sends; all others are kept as sent.
AMENDED: Final = ("ATTENDEE", "ORGANIZER", "SEQUENCE", "X-CALENDARSERVER-ATTENDEE-COMMENT")
_NEVER_SENT: Final = re.compile(rb"SCHEDULE-(AGENT|STATUS|FORCE-SEND)=|BEGIN:VALARM|^X-MOZ-|^COLOR", re.MULTILINE)


@dataclass
class Account:
    """Somebody with a calendar here."""

    name: str
    addresses: frozenset[str]
    objects: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    inbox: list[itip.Message] = field(default_factory=list)

    @property
    def actor(self) -> itip.Actor:
        return itip.Actor(self.addresses)


@dataclass
class Sent:
    """A message that went out, and what became of it."""

    message: itip.Message
    status: str
    applied: itip.Applied | None


class World:
    """The accounts, and the clock."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.sent: list[Sent] = []
        self.outside: list[itip.Message] = []
        self.last_tag = 0
        #: How often somebody's object was made by a message.
        self.births: dict[tuple[str, str], int] = {}
        self.refused: itip.Refusal | None = None
        self.reasons: list[str] = []

    def add(self, name: str, addresses: Iterable[str]) -> None:
        self.accounts[name] = Account(name, frozenset(map(normal, addresses)))

    def owner_of(self, address: str) -> Account | None:
        return next((one for one in self.accounts.values() if address in one.addresses), None)

    # --- actions

    def put(self, name: str, text: bytes, *, merge: bool = False) -> None:
        account = self._begin(name)
        uid = validate(text).uid
        before = account.objects.get(uid)
        if merge and before is not None:
            text = itip.merged_with_unseen(before, text, account.actor)
        out = itip.outgoing(before, text, account.actor, now=self.now)
        self.refused = out.refused
        self.reasons.append(out.reason)
        if out.refused is not None:
            return
        assert out.text is not None
        check_kept(text, out.text)
        account.objects[uid] = out.text
        if out.significant:
            self._new_tag(account, uid)
        self._send(account, uid, out)

    def delete(self, name: str, uid: str, *, reply: bool = True) -> None:
        account = self._begin(name)
        before = account.objects.pop(uid)
        account.tags.pop(uid, None)
        out = itip.outgoing(before, None, account.actor, now=self.now, reply=reply)
        self.reasons.append(out.reason)
        self.refused = out.refused
        self._send(account, uid, out)

    def receive(self, sender: str, recipient: str, text: bytes) -> itip.Applied:
        """A message from elsewhere."""
        account = self.owner_of(normal(recipient))
        assert account is not None
        self._begin(account.name)
        message = received(text, sender=sender, recipient=recipient, now=self.now)
        applied = self._deliver(message, account)
        self.sent.append(Sent(message, applied.status, applied))
        self._spread(applied.onward)
        self._check()
        return applied

    def _begin(self, name: str) -> Account:
        self.sent, self.refused, self.reasons = [], None, []
        return self.accounts[name]

    # --- delivery

    def _send(self, account: Account, uid: str, out: itip.Outgoing) -> None:
        statuses = self._spread(out.messages)
        text = account.objects.get(uid)
        if text is not None and out.role != "none" and statuses:
            account.objects[uid] = itip.with_statuses(
                text, statuses, on="attendee" if out.role == "organizer" else "organizer"
            )
        self._check()

    def _spread(self, messages: Iterable[itip.Message]) -> dict[str, str]:
        """Delivers ``messages`` and what follows from them; the statuses of the first ones by recipient."""
        first = list(messages)
        statuses: dict[str, str] = {}
        queue = deque(first)
        count = 0
        while queue:
            message = queue.popleft()
            count += 1
            assert count <= MOST_DELIVERIES, "messages follow each other without end"
            check_message(message, self.now)
            status, applied = self._pass_on(message)
            self.sent.append(Sent(message, status, applied))
            if message in first:
                statuses[message.recipient] = status
            elif message.method == "REQUEST":
                sender = self.owner_of(message.sender)
                if sender is not None and message.uid in sender.objects and status != "1.2":
                    sender.objects[message.uid] = itip.with_statuses(
                        sender.objects[message.uid], {message.recipient: status}, on="attendee"
                    )
            if applied is not None:
                queue.extend(applied.onward)
        keys = [sent.message.key for sent in self.sent]
        assert len(keys) == len(set(keys)), "a message was sent twice"
        return statuses

    def _pass_on(self, message: itip.Message) -> tuple[str, itip.Applied | None]:
        account = self.owner_of(message.recipient)
        if account is not None:
            applied = self._deliver(message, account)
            return applied.status, applied
        if not message.recipient.startswith("mailto:") or message.recipient.endswith(("@invalid.example", "@")):
            return "3.7", None
        self.outside.append(message)
        return "1.1", None

    def _deliver(self, message: itip.Message, account: Account) -> itip.Applied:
        uid = message.uid
        stored = account.objects.get(uid)
        applied = itip.incoming(message, stored, account.actor, now=self.now)
        assert applied.reason.endswith((".", ")", "?")), f"no sentence: {applied.reason!r}"
        self.reasons.append(applied.reason)
        match applied.action:
            case "create" | "update":
                assert applied.text is not None
                assert (stored is None) is (applied.action == "create")
                assert applied.text != stored
                account.objects[uid] = applied.text
                if stored is None:
                    self.births[account.name, uid] = self.births.get((account.name, uid), 0) + 1
            case "delete":
                del account.objects[uid]
                account.tags.pop(uid, None)
            case "ignore":
                assert applied.text is None
        if applied.significant and uid in account.objects:
            self._new_tag(account, uid)
        if applied.inbox:
            account.inbox.append(message)
        return applied

    def _new_tag(self, account: Account, uid: str) -> None:
        self.last_tag += 1
        account.tags[uid] = self.last_tag

    def _check(self) -> None:
        for account in self.accounts.values():
            for uid, text in account.objects.items():
                assert validate(text).uid == uid
                assert b"SCHEDULE-FORCE-SEND" not in text


# --- what must always hold -------------------------------------------------------------------------------------------


def lines_of(text: bytes) -> list[str]:
    """The unfolded lines of ``text``."""
    return [one for one in re.split(r"[\r\n]+", unfold(text).decode()) if one]


def check_kept(sent: bytes, stored: bytes) -> None:
    """The bytes that need not change are kept as sent."""
    if sent is stored:
        return
    assert sent != stored, "the same text made anew"
    kept = set(lines_of(stored))
    for line in lines_of(sent):
        assert line in kept or line.partition(":")[0].partition(";")[0].upper() in AMENDED, line
    came = set(lines_of(sent))
    added = [line for line in lines_of(stored) if line not in came]
    override = "RECURRENCE-ID" in stored.decode() and stored.count(b"BEGIN:V") > sent.count(b"BEGIN:V")
    if not override:
        assert all(line.partition(":")[0].partition(";")[0].upper() in AMENDED for line in added), added


#: What each component of a message has (RFC 5546 3.2, 3.4); SUMMARY and DTSTART where the method asks for them.
_REQUIRED: Final = {
    "REQUEST": ("DTSTAMP", "ORGANIZER", "UID", "SUMMARY", "ATTENDEE"),
    "CANCEL": ("DTSTAMP", "ORGANIZER", "UID", "SEQUENCE"),
    "REPLY": ("DTSTAMP", "ORGANIZER", "UID", "ATTENDEE"),
    "REFRESH": ("DTSTAMP", "UID", "ATTENDEE"),
    "COUNTER": ("DTSTAMP", "ORGANIZER", "UID", "SUMMARY"),
    "DECLINECOUNTER": ("DTSTAMP", "ORGANIZER", "UID", "ATTENDEE", "SEQUENCE"),
    "ADD": ("DTSTAMP", "ORGANIZER", "UID", "SUMMARY", "SEQUENCE", "DTSTART"),
    "PUBLISH": ("DTSTAMP", "ORGANIZER", "UID", "SUMMARY"),
}


def check_message(message: itip.Message, now: datetime) -> None:
    """What RFC 5546 and RFC 6638 ask of every message."""
    calendar = parse(message.text)
    assert [line.name for line in calendar.properties][:1] == ["METHOD"]
    assert calendar.properties[0].value == message.method
    assert message.text.endswith(b"END:VCALENDAR\r\n")
    assert all(len(line) <= 75 for line in message.text.split(b"\r\n"))
    found = _NEVER_SENT.search(unfold(message.text))
    assert found is None, found
    snapshot = read(message.text)
    assert snapshot is not None
    assert message.method == "ADD" or set(message.recurrence_ids) == set(snapshot.parts)
    for part in snapshot.parts.values():
        names = {line.name for line in part.component.properties}
        wanted = _REQUIRED[message.method]
        missing = [
            name for name in wanted if name not in names and not (message.method == "REPLY" and name == "ORGANIZER")
        ]
        assert not missing, (message.method, missing)
        stamp = part.component.all("DTSTAMP")
        assert [line.value for line in stamp] == [now.strftime("%Y%m%dT%H%M%SZ")]
        if message.method == "REQUEST":  # RFC 6638 3.2.6
            assert message.recipient in part.by_address, "an instance that is not theirs"
            assert not part.cancelled
        if message.method == "REPLY":
            assert part.attendees[0].address == message.sender
    zones = {line.value for one in calendar.components if one.name == "VTIMEZONE" for line in one.all("TZID")}
    used = {line.param("TZID") for one in calendar.walk() for line in one.properties} - {None}
    assert zones <= used
