"""Who a mail is for, and who of the people in it lives here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scheduling.addresses import mailbox, normal
from storage.rows import PrincipalKind

if TYPE_CHECKING:
    from scheduling.imip.tags import Tag
    from storage.rows import Principal
    from storage.store import Transaction

#: Who has mail: a group's is for its members, and comes to them.
PEOPLE: Final = frozenset({PrincipalKind.INDIVIDUAL, PrincipalKind.ROOM, PrincipalKind.RESOURCE})


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a mail is for: a signed address (``tag``), a person here (``principal``), or neither: the server itself."""

    address: str
    tag: Tag | None = None
    principal: Principal | None = None


def person(tx: Transaction, uri: str) -> Principal | None:
    """Who has the address ``uri``; ``None`` where nobody here does."""
    found = next(iter(tx.principals.by_addresses([uri]).values()), None)
    return found if found is not None and found.kind in PEOPLE else None


def addresses_of(principal: Principal) -> frozenset[str]:
    """All addresses of ``principal``, in normal form."""
    return frozenset(normal(one.uri) for one in principal.addresses)


def mail_address(principal: Principal) -> str | None:
    """The mail address of ``principal``; the preferred one, if it is one."""
    uris = sorted(principal.addresses, key=lambda one: not one.preferred)
    return next((found for one in uris if (found := mailbox(one.uri)) is not None), None)
