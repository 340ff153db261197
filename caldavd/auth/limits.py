"""What stands against guessing: failed logins counted in the database, by address and by user, for all workers.

Three counts, each over the last ``seconds``:

- by address (an IPv4 address, or the /64 of an IPv6 one, which is what one customer has),
- by user name, whether there is such a user or not,
- by user name at an address.

An address from which a user logged in within the last 30 days is *known* for this user. At a known address only the
third count is looked at, elsewhere the first two. So nobody is locked out of the places where they always are by what
others do elsewhere, or by what others do at the same address with other names. A success clears the third count and
leaves the first two alone, so that whoever has an account cannot use it to wipe out failures at guessing another one.

At a limit a right password is refused like a wrong one (otherwise the limit would only slow guessing down), and what is
refused is not counted: a limit ends ``seconds`` after the last failure that counted, whatever comes in between.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self

from storage.store import Transaction

#: How long an address stays known for a user after the last login from there, in seconds.
KNOWN_SECONDS: Final = 30 * 86400
#: How many bits of an IPv6 address are one place: the rest its owner chooses as often as it likes (RFC 4291 2.5.1).
_IPV6_PLACE: Final = 64


@dataclass(frozen=True, slots=True)
class Keys:
    """What a login is counted under. Hashes: people type passwords where the name goes, and names have any length."""

    address: str
    user: str
    pair: str

    @classmethod
    def of(cls, *, name: str, remote_address: str) -> Self:
        """The keys for this name from this address."""
        where = place(remote_address)
        return cls(_key("address", where), user_key(name), _key("pair", where, name))


def user_key(name: str) -> str:
    """The key of a user name: ``tx.logins.clear([user_key(name)])`` is what an administrator can do for somebody."""
    return _key("user", name)


@lru_cache(maxsize=1024)
def place(remote_address: str) -> str:
    """The address as far as it is one place; "local" for what is no IP address (a Unix socket)."""
    try:
        address: IPv4Address | IPv6Address = ip_address(remote_address.partition("%")[0])
    except ValueError:
        return "local"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        kept = int(address) >> (128 - _IPV6_PLACE) << (128 - _IPV6_PLACE)
        return f"{IPv6Address(kept)}/{_IPV6_PLACE}"
    return str(address)


@dataclass(frozen=True, slots=True)
class Limits:
    """``per_user`` and ``per_address`` failures within ``seconds`` are the last ones that are listened to."""

    per_user: int = 20
    per_address: int = 100
    seconds: int = 300

    def standing(self, tx: Transaction, keys: Keys) -> Standing:
        """How these keys stand now: two statements."""
        counts = tx.logins.failures((keys.address, keys.user, keys.pair), since=tx.now - self.seconds + 1)
        known = bool(tx.logins.succeeded([keys.pair], since=tx.now - KNOWN_SECONDS))
        address, user, pair = (counts.get(key, 0) for key in (keys.address, keys.user, keys.pair))
        over = pair >= self.per_user if known else (user >= self.per_user or address >= self.per_address)
        return Standing(over=over, pair=pair, clean=not (address or user or pair))

    def failed(self, tx: Transaction, keys: Keys) -> None:
        """Counts a failure."""
        tx.logins.fail((keys.address, keys.user, keys.pair), at=tx.now)

    def succeeded(self, tx: Transaction, keys: Keys) -> None:
        """Notes that this address is known for this user, and forgets the user's failures there."""
        tx.logins.clear([keys.pair])
        tx.logins.succeed(keys.pair, at=tx.now)


@dataclass(frozen=True, slots=True)
class Standing:
    """``over``: not to be listened to. ``pair``: this user's failures at this address. ``clean``: no failure counts."""

    over: bool
    pair: int
    clean: bool


def _key(kind: str, *parts: str) -> str:
    return f"{kind}:{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:40]}"
