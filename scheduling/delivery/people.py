"""Who of the parties to a meeting lives here, and by which addresses a meeting may name them.

Owns the forms of a calendar user address that mean a principal of this server (RFC 6638 section 2.4.1, RFC 5545
section 3.3.3): the addresses in the directory (``mailto:``, ``urn:uuid:`` …), and the URL of the principal as a path or
as a whole URL. How addresses are compared is in ``addresses``.

A URL with the authority of another server is nobody here, although the path may be the same: another calendar server
has a ``/principals/anna/`` as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from scheduling.addresses import normal
from scheduling.ical.lines import ICalendarError
from scheduling.itip.outcome import Actor
from scheduling.itip.snapshot import read
from storage.rows import Principal
from storage.store import Transaction

#: Where principals are below the prefix (design section 2, URL space).
PRINCIPALS: Final = "principals"


@dataclass(frozen=True, slots=True)
class Site:
    """Which URLs are this server's: the path in front of all of them, and the authorities (``host[:port]``)."""

    prefix: str = ""
    authorities: frozenset[str] = frozenset()

    def name_in(self, address: str) -> str | None:
        """The name of the principal whose URL ``address`` (in normal form) would be; ``None`` where it is none here."""
        scheme, is_url, rest = address.partition("://")
        path = address
        if is_url:
            authority, slash, path = rest.partition("/")
            if scheme not in ("http", "https") or authority not in self.authorities:
                return None
            path = slash + path
        # A path without the prefix is taken as well: it is what a client that was told only the path has.
        path = path.removeprefix(self.prefix)
        space, _, name = path.removeprefix("/").partition("/")
        return name if path.startswith("/") and space == PRINCIPALS and name and "/" not in name else None

    def names_of(self, principal: Principal, *texts: bytes | None) -> frozenset[str]:
        """The URLs by which calendar objects name ``principal``, in normal form."""
        found: set[str] = set()
        for text in texts:
            if text is None or PRINCIPALS.encode() not in text:
                continue
            try:
                snapshot = read(text)
            except ICalendarError:
                continue
            if snapshot is not None:
                parties = {*snapshot.addresses, *snapshot.organizers}
                found |= {one for one in parties if self.name_in(one) == principal.name}
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Person:
    """A principal as scheduling sees it."""

    principal: Principal
    actor: Actor

    @classmethod
    def of(cls, principal: Principal, also: Iterable[str] = ()) -> Person:
        """With all addresses in normal form, the principal's path, and ``also``: those by which a meeting names it."""
        addresses = {normal(one.uri) for one in principal.addresses}
        return cls(principal, Actor(frozenset({*addresses, f"/{PRINCIPALS}/{principal.name}", *also})))

    @property
    def home_id(self) -> int:
        """The home of the principal."""
        return self.principal.home_id


def find(tx: Transaction, addresses: Iterable[str], site: Site) -> dict[str, Principal]:
    """The principals that have ``addresses`` (in normal form), by address; four statements a batch of 500 at most."""
    wanted = frozenset(addresses)
    found = {normal(uri): principal for uri, principal in tx.principals.by_addresses(wanted).items()}
    names = {one: name for one in wanted - found.keys() if (name := site.name_in(one)) is not None}
    if names:
        by_name = tx.principals.by_names(frozenset(names.values()))
        found.update((one, by_name[name]) for one, name in names.items() if name in by_name)
    return found


def people(found: Mapping[str, Principal]) -> dict[str, Person]:
    """Each of ``found`` (by address) with all the addresses under which it was found."""
    also: dict[int, list[str]] = {}
    for address, principal in found.items():
        also.setdefault(principal.id, []).append(address)
    made = {principal.id: Person.of(principal, also[principal.id]) for principal in found.values()}
    return {address: made[principal.id] for address, principal in found.items()}
