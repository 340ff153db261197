"""Who says what a scheduling message in a mail says, and may they be believed?

Owns RFC 6047 2.2.1 and 3 (authorization), RFC 5546 6.1 (spoofing). RFC 6047 wants S/MIME for this, which nobody sends;
instead the address in From has to be that of the attendee who answers, or of the organizer who invites, and what the
mail server found out about From must not speak against it (``authenticity``). What cannot be believed is kept for a
person to look at, never applied (``docs/decisions/0010-mail-that-is-believed.md``).

The rules in short. Somebody is believed to be

- who From says, if a message of theirs comes from it;
- the invited person to whom our mail went, if the answer comes back to the signed address that only that mail had:
  whatever From and ATTENDEE say then (an alias, a forwarded mailbox), as long as they do not name somebody else who is
  invited, and the mail server does not contradict;
- somebody in whose name From may act (SENT-BY), if the meeting here says so already, or the settings do;
- an organizer for whom a service of the settings sends, if the mail server vouches for the service.

Who lives here is believed by mail only if the mail server vouches for the mail: their own messages do not come by mail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from scheduling.addresses import mailbox, mailto, normal
from scheduling.imip.authenticity import Verdict
from scheduling.itip.amending import Amendments
from scheduling.itip.message import ATTENDEE_METHODS

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from scheduling.itip.snapshot import Party, Snapshot

Authentication = Literal["require", "no-contradiction", "off"]
_NOBODY: Final = "nobody"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say.

    ``authentication``: whether the mail server has to vouch for From, only not to contradict, or is not asked.
    ``authserv_id`` is its name. ``services`` are mail addresses and domains that send for any organizer,
    ``delegate_domains`` domains whose people may act for one another. ``hold_invitations``: what a stranger invites to
    is kept for a look.
    """

    authentication: Authentication = "no-contradiction"
    authserv_id: str = ""
    services: frozenset[str] = frozenset()
    delegate_domains: frozenset[str] = frozenset()
    hold_invitations: bool = False


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote the mail: the one mail address in From (``None``: none, or several), and what speaks for it."""

    address: str | None
    verdict: Verdict = Verdict.NONE

    @property
    def uri(self) -> str:
        """As a calendar user address in normal form."""
        return "" if self.address is None else normal(f"mailto:{self.address}")

    @property
    def shown(self) -> str:
        """For people."""
        return self.address or _NOBODY


@dataclass(frozen=True, slots=True)
class Case:
    """One message and what is known about it.

    ``stored`` is the recipient's object of this UID, ``tagged`` the address in it (in normal form) to which the mail
    with the signed address went, ``here`` those of all addresses involved that belong to people here.
    """

    method: str
    said: Snapshot
    author: Author
    stored: Snapshot | None = None
    tagged: str | None = None
    here: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Judgement:
    """``sender`` (in normal form) is who says it, None where nobody is believed; ``reason`` is a sentence for the log.

    ``text`` is the message, in which an address that somebody's program wrote anew is the one that was invited.
    """

    sender: str | None
    reason: str
    text: bytes = b""


def judge(case: Case, policy: Policy) -> Judgement:
    """Whether ``case`` is believed, and of whom."""
    if case.author.address is None:
        return Judgement(None, "The mail has no From with one address.")
    found = _attendee(case, policy) if case.method in ATTENDEE_METHODS else _organizer(case, policy)
    if found.sender is None:
        return found
    doubt = _doubt(case, policy, found.sender)
    return found if doubt is None else Judgement(None, doubt)


def taken_on_trust(case: Case) -> Judgement:
    """The judgement where a person says that the message is to be applied as it is."""
    reason = "A person had a look at the mail and applied it."
    if case.method not in ATTENDEE_METHODS:
        organizer = case.said.organizer
        return Judgement(None if organizer is None else organizer.address, reason, case.said.source)
    author, addresses = case.author.uri, case.said.addresses
    if author in addresses:
        return Judgement(author, reason, case.said.source)
    if case.tagged is not None:
        return Judgement(case.tagged, reason, _as(case, case.tagged))
    if len(addresses) == 1:
        return Judgement(next(iter(addresses)), reason, case.said.source)
    return Judgement(None, "The answer names several attendees, and From is none of them.")


# --- who it is -------------------------------------------------------------------------------------------------------


def _attendee(case: Case, policy: Policy) -> Judgement:
    """Who answers."""
    author, said = case.author.uri, case.said.addresses
    invited: AbstractSet[str] = frozenset() if case.stored is None else case.stored.addresses
    if author in said and (author in invited or case.tagged is None):
        return Judgement(author, "From is the attendee who answers.", case.said.source)
    if case.tagged is not None and not _is_group(case, case.tagged) and not ((said & invited) - {case.tagged}):
        reason = f"The answer came to the address that only the mail to {_plain(case.tagged)} had."
        return Judgement(case.tagged, reason, _as(case, case.tagged))
    if author in said:
        return Judgement(author, "From is the attendee who answers.", case.said.source)
    if author in invited and len(said) == 1 and not said & invited:
        reason = f"From is invited; the answer names {_plain(next(iter(said)))}, who is not."
        return Judgement(author, reason, _as(case, author))
    for address in said:
        if _acts_for(case, policy, address, "ATTENDEE"):
            return Judgement(author, f"From answers for {_plain(address)} (SENT-BY).", case.said.source)
    return Judgement(None, f"The mail is from {case.author.shown}, and answers for {_list(said)}.")


def _organizer(case: Case, policy: Policy) -> Judgement:
    """Who invites, changes or cancels."""
    author, organizer = case.author.uri, case.said.organizer
    if organizer is None:
        return Judgement(None, f"A {case.method} has an ORGANIZER (RFC 5546 3.2.2), this one has none.")
    if author == organizer.address:
        return Judgement(author, "From is the organizer.", case.said.source)
    if _acts_for(case, policy, organizer.address, "ORGANIZER"):
        return Judgement(author, f"From acts for {_plain(organizer.address)} (SENT-BY).", case.said.source)
    if case.method == "REQUEST" and author in case.said.addresses and _has_delegated(case.said, author):
        return Judgement(author, "From is an attendee who delegates.", case.said.source)
    if _is_service(case.author, policy) and organizer.address not in case.here:
        reason = f"{case.author.shown} sends for organizers by the settings, and the mail server vouches for it."
        return Judgement(organizer.address, reason, case.said.source)
    return Judgement(None, f"The mail is from {case.author.shown}, and the organizer is {_plain(organizer.address)}.")


def _acts_for(case: Case, policy: Policy, address: str, name: Literal["ATTENDEE", "ORGANIZER"]) -> bool:
    """Whether From is SENT-BY of ``address`` in the message, and more than the message says so (RFC 6047 2.2.1)."""
    author = case.author.uri
    if not any(author in one.addresses("SENT-BY") for one in _lines(case.said, address, name)):
        return False
    if case.stored is not None and any(
        author in one.addresses("SENT-BY") for one in _lines(case.stored, address, name)
    ):
        return True
    domain = _domain(author)
    return bool(domain) and domain == _domain(address) and domain in policy.delegate_domains


def _lines(snapshot: Snapshot, address: str, name: Literal["ATTENDEE", "ORGANIZER"]) -> list[Party]:
    if name == "ORGANIZER":
        return [one.organizer for one in snapshot.parts.values() if one.organizer and one.organizer.address == address]
    return [one for part in snapshot.parts.values() for one in part.attendees if one.address == address]


def _has_delegated(said: Snapshot, author: str) -> bool:
    return any(one.partstat == "DELEGATED" for one in _lines(said, author, "ATTENDEE"))


def _is_group(case: Case, address: str) -> bool:
    """What went to a list comes back from any of its members."""
    return case.stored is not None and any(one.is_group for one in _lines(case.stored, address, "ATTENDEE"))


def _is_service(author: Author, policy: Policy) -> bool:
    address = (author.address or "").casefold()
    return author.verdict is Verdict.PASS and bool({address, address.rpartition("@")[2]} & policy.services)


def _as(case: Case, address: str) -> bytes:
    """The answer, with ``address`` for the attendee whom it names otherwise."""
    if address in case.said.addresses:
        return case.said.source
    written = mailbox(address)
    work = Amendments(case.said.source)
    for part in case.said.parts.values():
        for party in part.attendees:
            if party.address == case.author.uri or len(case.said.addresses) == 1:
                work.value(party.line, address if written is None else mailto(written))
    return work.made()


# --- whether they are believed ---------------------------------------------------------------------------------------


def _doubt(case: Case, policy: Policy, sender: str) -> str | None:
    """What speaks against it; None where nothing does."""
    if policy.authentication == "off":
        return None
    verdict, shown = case.author.verdict, case.author.shown
    if verdict is Verdict.CONTRADICTION:
        return f"The mail server says that the mail is not from {shown}."
    if verdict is Verdict.PASS:
        return None
    if case.author.uri in case.here or sender in case.here:
        return f"The mail says that it is from {shown}, who lives here, and the mail server does not vouch for that."
    if policy.authentication == "require" and case.tagged != sender:
        return f"The mail server does not vouch for {shown}."
    return None


def _plain(address: str) -> str:
    return address.removeprefix("mailto:")[:200]


def _list(addresses: AbstractSet[str]) -> str:
    return ", ".join(_plain(one) for one in sorted(addresses)[:5]) or _NOBODY


def _domain(address: str) -> str:
    return address.rpartition("@")[2] if "@" in address else ""
