"""Sync tokens (RFC 6578): what they say, and when one is still good. All come from the one counter of the home."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from caldavd.context import Context
from caldavd.errors import VALID_SYNC_TOKEN, failed
from caldavd.kinds import CALENDAR, HOME, INBOX, PLAIN, SUBSCRIBED
from caldavd.resources import Resource
from storage.rows import Collection

#: The kinds of resource that have a sync token.
SYNCED: Final = (HOME, CALENDAR, PLAIN, SUBSCRIBED, INBOX)

#: The generation of an owner, who always sees everything.
_OWNER: Final = "o"
_TOKEN = re.compile(r"urn:x-caldavd:sync:([0-9a-zA-Z_-]+):(\d{1,18}\.\d{1,18}):([0-9.o]+):(\d{1,18}):(\d{1,18})")


@dataclass(frozen=True, slots=True)
class SyncToken:
    """Where a client stands: ``base`` and ``cursor`` are numbers as in :class:`storage.store.Changes`."""

    base: int
    cursor: int


def revision_of(resource: Resource) -> int:
    """The last number drawn in what a sync of this resource covers."""
    if resource.kind is HOME and resource.home is not None:
        return max(resource.home.counter, resource.collection.revision)
    return resource.collection.revision


def ctag(epoch: str, collection: Collection, revision: int) -> str:
    """The value of ``CS:getctag``: other bytes whenever anything in the collection is other than it was."""
    return f"{epoch}-{collection.id}-{revision}"


def token_of_owner(epoch: str, collection: Collection) -> str:
    """The value of ``D:sync-token`` on a calendar, for its owner."""
    return _written(epoch, collection, _OWNER, SyncToken(collection.revision, collection.revision))


def _generation(context: Context, resource: Resource) -> str:
    """What changes when the asker may see something else than before: never for the owner."""
    if resource.owner == context.user.name:
        return _OWNER
    assert resource.home is not None
    return f"{resource.home.generation}.{context.user.generation}"


def _place(collection: Collection) -> str:
    """Home and collection: one that is moved into another home keeps its id, and counts with that home's numbers."""
    return f"{collection.home_id}.{collection.id}"


def write_token(context: Context, resource: Resource, token: SyncToken) -> str:
    """The token as a URI: Evolution ignores one without ``:`` or ``/`` (clients.md rule 12)."""
    return _written(context.store.epoch, resource.collection, _generation(context, resource), token)


def _written(epoch: str, collection: Collection, generation: str, token: SyncToken) -> str:
    return f"urn:x-caldavd:sync:{epoch}:{_place(collection)}:{generation}:{token.base}:{token.cursor}"


def read_token(context: Context, resource: Resource, value: str) -> SyncToken:
    """Raises ``valid-sync-token`` for what is foreign, unreadable, from another epoch or another view."""
    found = _TOKEN.fullmatch(value.strip())
    if found is None:
        raise failed(VALID_SYNC_TOKEN, message="This is not a sync-token of this server: start again without one.")
    epoch, place, generation, base, cursor = found.groups()
    same = (epoch, place, generation) == (
        context.store.epoch,
        _place(resource.collection),
        _generation(context, resource),
    )
    token = SyncToken(int(base), int(cursor))
    if not same or max(token.base, token.cursor) > revision_of(resource):
        raise failed(VALID_SYNC_TOKEN, message="This sync-token is no longer valid: start again without one.")
    return token


def current_token(context: Context, resource: Resource) -> str:
    """The value of ``D:sync-token`` (RFC 6578 section 4)."""
    revision = revision_of(resource)
    return write_token(context, resource, SyncToken(revision, revision))
