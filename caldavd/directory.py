"""The principals that one request has to do with: read once, and many at a time, however many a listing shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from storage.rows import CollectionKind, Principal
from storage.store import Transaction


class Directory:
    """What one transaction has read of principals and of who is in which group."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._by_name: dict[str, Principal] = {}
        self._by_id: dict[int, Principal] = {}
        self._members: dict[int, Sequence[Principal]] = {}
        self._groups: dict[int, Sequence[Principal]] = {}
        self._boxes: dict[int, frozenset[CollectionKind]] = {}

    def named(self, names: Iterable[str]) -> Mapping[str, Principal]:
        """The principals with these names, without those that do not exist."""
        wanted = dict.fromkeys(names)
        missing = [name for name in wanted if name not in self._by_name]
        if missing:
            self._note(self._tx.principals.by_names(missing).values())
        return {name: self._by_name[name] for name in wanted if name in self._by_name}

    def with_ids(self, ids: Iterable[int]) -> Mapping[int, Principal]:
        """The principals with these ids, without those that do not exist."""
        wanted = dict.fromkeys(ids)
        missing = [id_ for id_ in wanted if id_ not in self._by_id]
        if missing:
            self._note(self._tx.principals.by_ids(missing).values())
        return {id_: self._by_id[id_] for id_ in wanted if id_ in self._by_id}

    def members(self, group: Principal) -> Sequence[Principal]:
        """The direct members of a group."""
        self.load_members([group])
        return self._members[group.id]

    def groups(self, principal: Principal) -> Sequence[Principal]:
        """The groups that the principal is a direct member of."""
        self.load_groups([principal])
        return self._groups[principal.id]

    def load_members(self, groups: Iterable[Principal]) -> None:
        """Reads the members of many groups at once."""
        missing = {group.id for group in groups} - self._members.keys()
        if missing:
            found = self._tx.principals.members_of(missing)
            self._members.update({id_: found.get(id_, ()) for id_ in missing})

    def load_groups(self, principals: Iterable[Principal]) -> None:
        """Reads the groups of many principals at once."""
        missing = {principal.id for principal in principals} - self._groups.keys()
        if missing:
            found = self._tx.principals.groups_of(missing)
            self._groups.update({id_: found.get(id_, ()) for id_ in missing})

    def load_boxes(self, principals: Iterable[Principal]) -> None:
        """Reads who has an inbox and an outbox, of many principals at once."""
        missing = {one.home_id for one in principals if one.home_id not in self._boxes}
        if missing:
            kinds = (CollectionKind.INBOX, CollectionKind.OUTBOX)
            found: dict[int, set[CollectionKind]] = {}
            for home, collection, _ in self._tx.collections.of_homes(missing, kinds=kinds):
                found.setdefault(home.id, set()).add(collection.kind)
            self._boxes.update((home_id, frozenset(found.get(home_id, ()))) for home_id in missing)

    def has_box(self, principal: Principal, kind: CollectionKind) -> bool:
        """Whether the principal has an inbox, or an outbox."""
        self.load_boxes([principal])
        return kind in self._boxes[principal.home_id]

    def forget(self) -> None:
        """To be called by whoever changes principals or memberships."""
        for kept in (self._by_name, self._by_id, self._members, self._groups, self._boxes):
            kept.clear()

    def _note(self, found: Iterable[Principal]) -> None:
        for principal in found:
            self._by_name[principal.name] = principal
            self._by_id[principal.id] = principal
