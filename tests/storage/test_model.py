"""Random work against a model: what a client has after each sync equals what is there, and the doctor is content."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import event

from storage.errors import NameTaken, TokenTooOld, UidTaken
from storage.open import open_store
from storage.rows import Collection, CollectionKind, NewObject, PrincipalKind
from storage.sql.store import SqlStore
from storage.store import Store, Transaction
from tests.storage.conftest import Watch
from tests.storage.databases import Databases
from tests.storage.workers import Client

OWNERS = ("anna", "bert")
NAMES = ("a", "b")
Path_ = tuple[str, ...]
Place = Path_ | int
# A place is mostly one that there is (chosen by number among them), now and then any path.
places = st.one_of(
    st.integers(0, 20), st.integers(0, 20), st.lists(st.sampled_from(NAMES), min_size=0, max_size=2).map(tuple)
)
owners = st.sampled_from(("anna", "anna", "anna", "bert"))
names = st.sampled_from(NAMES)
limits = st.sampled_from([1, 2, None, None])


class Houses(RuleBasedStateMachine):
    """Two homes with collections in collections and objects in all of them.

    The model is a dictionary: ``{(owner, path): body}``, with ``None`` for a collection.
    """

    databases: ClassVar[Databases]
    kind: ClassVar[str]

    @initialize()
    def furnish(self) -> None:
        self.clock = Watch()
        self.store = _quick(open_store(self.databases.url(self.kind), clock=self.clock))
        self.model: dict[tuple[str, Path_], bytes | None] = {}
        self.uids: dict[tuple[str, Path_], str] = {}
        # Clients of homes (infinite depth), by owner, and of collections, by owner, path and id.
        self.homes = {owner: Client() for owner in OWNERS}
        self.clients: dict[tuple[str, Path_], tuple[int, Client]] = {}
        for owner in OWNERS:
            self.store.run(
                lambda tx, owner=owner: tx.principals.add(name=owner, kind=PrincipalKind.INDIVIDUAL),  # type: ignore[misc]
                write=True,
            )
            self.model[owner, ()] = None
        # Something to begin with, of which everybody knows.
        self.make_collection("anna", (), "a")
        for path in ((), ("a",)):
            self.put("anna", path, "b", b"first", "u")
            self.sync_collection("anna", path, None, 1)
        self.sync_home("anna", None, 1)

    def _collection(self, tx: Transaction, owner: str, path: Path_) -> Collection | None:
        found = tx.collections.find(owner, path)
        assert found is not None
        return None if found.missing or found.object is not None else found.collection

    def _place(self, owner: str, place: Place, *, collection: bool = False) -> Path_:
        if not isinstance(place, int):
            return place
        known = sorted(path for whose, path in self.model if whose == owner)
        suitable = [path for path in known if not collection or self._is_collection(owner, path)]
        return suitable[place % len(suitable)]

    def _is_collection(self, owner: str, path: Path_) -> bool:
        return self.model.get((owner, path), b"") is None

    def _below(self, owner: str, path: Path_) -> list[Path_]:
        return [known for whose, known in self.model if whose == owner and known[: len(path)] == path]

    def _forget(self, owner: str, path: Path_) -> None:
        for known in self._below(owner, path):
            del self.model[owner, known]
            self.uids.pop((owner, known), None)

    def _uid_is_taken(self, owner: str, parent: Path_, uid: str, *, but: str = "") -> bool:
        return any(
            value == uid and whose == owner and path[:-1] == parent and path[-1] != but
            for (whose, path), value in self.uids.items()
        )

    @rule(owner=owners, parent=places, name=names, body=st.binary(max_size=5), uid=st.sampled_from(["", "u", "v"]))
    def put(self, owner: str, parent: Place, name: str, body: bytes, uid: str) -> None:
        parent = self._place(owner, parent, collection=True)

        def work(tx: Transaction) -> str:
            tx.homes.lock_of([owner])
            collection = self._collection(tx, owner, parent)
            found = tx.collections.find(owner, (*parent, name))
            assert found is not None
            if collection is None:
                return "no collection"
            try:
                tx.objects.put(collection, name, NewObject(body, "text/plain", uid=uid), replaces=found.object)
            except (NameTaken, UidTaken) as error:
                return type(error).__name__
            return "done"

        path = (*parent, name)
        outcome = self.store.run(work, write=True)
        if not self._is_collection(owner, parent):
            assert outcome == "no collection"
        elif self._is_collection(owner, path):
            assert outcome == "NameTaken" or (
                outcome == "UidTaken" and self._uid_is_taken(owner, parent, uid, but=name)
            )
        elif uid and self._uid_is_taken(owner, parent, uid, but=name):
            assert outcome == "UidTaken"
        else:
            assert outcome == "done"
            self.model[owner, path] = body
            self.uids.pop((owner, path), None)
            if uid:
                self.uids[owner, path] = uid

    @rule(owner=owners, path=places)
    def remove(self, owner: str, path: Place) -> None:
        path = self._place(owner, path)

        def work(tx: Transaction) -> None:
            tx.homes.lock_of([owner])
            found = tx.collections.find(owner, path)
            assert found is not None
            if found.missing or not path:
                return
            if found.object is not None:
                tx.objects.remove(found.collection, found.object)
            else:
                tx.collections.remove(found.collection)

        self.store.run(work, write=True)
        if path:
            self._forget(owner, path)

    @rule(owner=owners, parent=places, name=names)
    def make_collection(self, owner: str, parent: Place, name: str) -> None:
        parent = self._place(owner, parent, collection=True)

        def work(tx: Transaction) -> bool:
            tx.homes.lock_of([owner])
            collection = self._collection(tx, owner, parent)
            if collection is None:
                return False
            try:
                tx.collections.add(collection, name, kind=CollectionKind.PLAIN)
            except NameTaken:
                return False
            return True

        path = (*parent, name)
        free = self._is_collection(owner, parent) and (owner, path) not in self.model
        assert self.store.run(work, write=True) == free
        if free:
            self.model[owner, path] = None

    @rule(here=owners, source=places, there=owners, parent=places, name=names)
    def move(self, here: str, source: Place, there: str, parent: Place, name: str) -> None:
        source, parent = self._place(here, source), self._place(there, parent, collection=True)
        target = (*parent, name)
        if not source or (here == there and parent[: len(source)] == source):
            return

        def work(tx: Transaction) -> str:
            tx.homes.lock_of({here, there})
            found = tx.collections.find(here, source)
            collection = self._collection(tx, there, parent)
            assert found is not None
            if found.missing or collection is None:
                return "nothing"
            try:
                if found.object is not None:
                    tx.objects.move(found.collection, found.object, collection, name)
                else:
                    tx.collections.move(found.collection, collection, name)
            except (NameTaken, UidTaken) as error:
                return type(error).__name__
            return "done"

        outcome = self.store.run(work, write=True)
        if (here, source) not in self.model or not self._is_collection(there, parent):
            assert outcome == "nothing"
            return
        uid = self.uids.get((here, source))
        if (there, target) in self.model:
            assert outcome in ("NameTaken", "UidTaken")
        elif uid and (here, source[:-1]) != (there, parent) and self._uid_is_taken(there, parent, uid):
            assert outcome == "UidTaken"
        else:
            assert outcome == "done"
            for known in self._below(here, source):
                new = (*target, *known[len(source) :])
                self.model[there, new] = self.model.pop((here, known))
                if (here, known) in self.uids:
                    self.uids[there, new] = self.uids.pop((here, known))

    @rule(owner=owners, parent=places, name=names, infinite=st.booleans(), source=places)
    def copy(self, owner: str, parent: Place, name: str, infinite: bool, source: Place) -> None:
        source, parent = self._place(owner, source), self._place(owner, parent, collection=True)
        if not source or parent[: len(source)] == source:
            return

        def work(tx: Transaction) -> bool:
            tx.homes.lock_of([owner])
            old, into = self._collection(tx, owner, source), self._collection(tx, owner, parent)
            if old is None or into is None:
                return False
            try:
                tx.collections.copy(old, into, name, infinite=infinite)
            except NameTaken:
                return False
            return True

        possible = (
            self._is_collection(owner, source)
            and self._is_collection(owner, parent)
            and (owner, (*parent, name)) not in self.model
        )
        assert self.store.run(work, write=True) == possible
        if not possible:
            return
        for known in self._below(owner, source):
            if infinite or known == source:
                new = (*parent, name, *known[len(source) :])
                self.model[owner, new] = self.model[owner, known]
                if (owner, known) in self.uids:
                    self.uids[owner, new] = self.uids[owner, known]

    @rule(owner=owners, path=places)
    def touch(self, owner: str, path: Place) -> None:
        path = self._place(owner, path)

        def work(tx: Transaction) -> None:
            tx.homes.lock_of([owner])
            found = tx.collections.find(owner, path)
            assert found is not None
            if not found.missing and found.object is not None:
                tx.objects.touch(found.collection, found.object)
            elif not found.missing:
                tx.collections.touch(found.collection)

        self.store.run(work, write=True)

    @rule(seconds=st.sampled_from([10, 1000]))
    def clean(self, seconds: int) -> None:
        self.clock.forward(seconds)
        self.store.clean(removals_before=self.clock.now - 500)

    @rule(owner=owners, limit=limits, pages=st.integers(1, 4))
    def sync_home(self, owner: str, limit: int | None, pages: int) -> None:
        """Some pages of a walk below a home: the walk may go on in a later step, after other things happened."""
        client = self.homes[owner]
        root = self.store.run(lambda tx: self._collection(tx, owner, ()), write=False)
        assert root is not None
        if client.base < 0:
            client.restart(root.revision)
        for _ in range(pages):
            try:
                delta = self.store.run(
                    lambda tx: tx.changes.since_below(
                        root, base=client.base, cursor=client.cursor, limit=limit, infinite=True, columns=_BODY
                    ),
                    write=False,
                )
            except TokenTooOld:
                client.base = -1
                return
            for path in (*delta.removed, *delta.removed_collections):
                client.drop(tuple(path))
            for collection in delta.collections:
                client.members[collection.path] = ""
            for path, row in delta.objects:
                client.members[*path, row.name] = row.body.hex() + "."
            client.cursor = delta.reached
            if not delta.truncated:
                client.base = delta.reached
                assert client.members == {
                    path: "" if body is None else body.hex() + "."
                    for (whose, path), body in self.model.items()
                    if whose == owner and path
                }
                return

    @rule(owner=owners, path=places, limit=limits, pages=st.integers(1, 4))
    def sync_collection(self, owner: str, path: Place, limit: int | None, pages: int) -> None:
        path = self._place(owner, path, collection=True)
        collection = self.store.run(lambda tx: self._collection(tx, owner, path), write=False)
        assert (collection is not None) == self._is_collection(owner, path)
        if collection is None:
            return
        # A client that finds its token refused, or another collection at the URL with a token that is not known there,
        # starts again; it does not know that the collection is another one.
        _, client = self.clients.setdefault((owner, path), (collection.id, Client()))
        if client.base < 0:
            client.restart(collection.revision)
        for _ in range(pages):
            try:
                delta = self.store.run(
                    lambda tx: tx.changes.since(
                        collection.id, base=client.base, cursor=client.cursor, limit=limit, columns=_BODY
                    ),
                    write=False,
                )
            except TokenTooOld:
                client.base = -1
                return
            for name in delta.removed:
                client.members.pop((name,), None)
            for row in delta.changed:
                client.members[row.name,] = row.body.hex()
            client.cursor = delta.reached
            if not delta.truncated:
                client.base = delta.reached
                assert client.members == {
                    known[-1:]: body.hex()
                    for (whose, known), body in self.model.items()
                    if whose == owner and body is not None and known[:-1] == path and known
                }
                return

    @invariant()
    def what_is_there_is_what_was_done(self) -> None:
        def work(tx: Transaction) -> dict[tuple[str, Path_], bytes | None]:
            there: dict[tuple[str, Path_], bytes | None] = {}
            for owner in OWNERS:
                home = tx.homes.of(owner)
                assert home is not None
                for collection in tx.collections.of_home(home.id):
                    there[owner, collection.path] = None
                    for row in tx.objects.page(collection.id, columns=_BODY | {"name"}, limit=100):
                        there[owner, (*collection.path, row.name)] = row.body
            return there

        assert self.store.run(work, write=False) == self.model

    def teardown(self) -> None:
        if hasattr(self, "store"):
            complaints = list(self.store.check())
            self.store.close()
            assert complaints == []


_BODY = frozenset({"body"})


def _quick(store: Store) -> Store:
    """No power will be lost here."""
    assert isinstance(store, SqlStore)
    if not store._backend.networked:
        event.listen(store._backend.writer, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
    return store


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "examples", "steps"), [("sqlite", 60, 50), ("postgresql", 6, 30), ("mysql", 6, 30)])
def test_random_work_against_a_model(databases: Databases, kind: str, examples: int, steps: int) -> None:
    databases.url(kind)  # skips here, and not in the middle of an example
    Houses.databases, Houses.kind = databases, kind
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Houses,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks, database=None
        ),
    )
