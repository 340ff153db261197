"""Inbox and outbox (RFC 6638 section 2): made with their principal, or later for those who have none yet.

Clients cannot make or delete them ("clients have no way to create or delete them", section 2). Groups have none:
whoever invites a group invites its members.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from caldavd.privileges import SCHEDULE_DELIVER
from scheduling.delivery.scheduler import INBOX, OUTBOX
from storage.errors import NameTaken
from storage.rows import Ace, Collection, CollectionKind, PrincipalKind
from storage.store import Store, Transaction

log = logging.getLogger(__name__)

#: Everybody with an account may invite, answer and ask when somebody is busy, until the inbox's ACL says otherwise.
_EVERYBODY_DELIVERS: Final = Ace("authenticated", grant=True, privileges=(SCHEDULE_DELIVER,))
_KINDS: Final = {INBOX: CollectionKind.INBOX, OUTBOX: CollectionKind.OUTBOX}
#: Principals that are looked at at once, and homes that are locked at once.
_PAGE: Final = 1000
_BATCH: Final = 50


def create_boxes(tx: Transaction, home: Collection) -> None:
    """Makes inbox and outbox in a home whose root is ``home``, which this transaction has locked."""
    for name in _KINDS:
        _create(tx, home, name)


def _create(tx: Transaction, home: Collection, name: str) -> None:
    made = tx.collections.add(home, name, kind=_KINDS[name])
    if name == INBOX:
        tx.acls.set(made, [_EVERYBODY_DELIVERS])


def ensure_boxes(store: Store) -> int:
    """Makes what is missing for everybody but groups; returns how many homes got something.

    For databases in which people were made while scheduling was off. Any number of processes may do it at once: each
    looks again under the locks of the homes. Three statements a page where nothing is missing.
    """
    done, after = 0, ""
    while True:
        found, after = store.run(partial(_incomplete, after=after), write=False)
        for start in range(0, len(found), _BATCH):
            batch = found[start : start + _BATCH]
            done += store.run(partial(_complete, homes=batch), write=True)
        if not after:
            return done


def _incomplete(tx: Transaction, after: str) -> tuple[list[int], str]:
    """The ids of homes of the next page of principals that lack a box, and where the page after it begins."""
    page = tx.principals.all(after=after, limit=_PAGE)
    homes = [one.home_id for one in page if one.kind is not PrincipalKind.GROUP]
    missing = _missing(tx, homes)
    return list(missing), page[-1].name if len(page) == _PAGE else ""


def _missing(tx: Transaction, homes: Sequence[int]) -> dict[int, list[str]]:
    """The names of the boxes that are not there, by home."""
    there = {
        (home.id, collection.name)
        for home, collection, _ in tx.collections.of_homes(homes, kinds=tuple(_KINDS.values()))
    }
    lacking = {home: [name for name in _KINDS if (home, name) not in there] for home in homes}
    return {home: names for home, names in lacking.items() if names}


def _complete(tx: Transaction, homes: Sequence[int]) -> int:
    """Makes what is missing in these homes; those that are gone by now are left out."""
    roots = tx.collections.roots(homes)
    tx.homes.lock([home.id for home, _ in roots])
    missing = _missing(tx, [home.id for home, _ in roots])
    for home, root in roots:
        for name in missing.get(home.id, ()):
            try:
                _create(tx, root, name)
            except NameTaken:
                log.warning(
                    "%s cannot take part in scheduling: something else is called %s in their home. Move it away.",
                    home.owner,
                    name,
                )
    return len(missing)
