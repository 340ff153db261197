"""The doctor finds what it says it finds: each rule is broken once by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import text

from storage.rows import Ace, Address, CollectionKind, JournalEntry, Lock, NewJob, NewObject, Owner, StoredProperty
from storage.sql.checking import RULES, check
from storage.sql.store import SqlStore
from storage.store import Store, Transaction
from tests.storage.conftest import House, find

#: What is done behind the store's back, and what the doctor says of it.
DAMAGE = {
    "DELETE FROM homes WHERE owner = 'bert'": "The principal bert has no home",
    "UPDATE homes SET owner = 'berta' WHERE owner = 'bert'": "says that it belongs to berta",
    "UPDATE collections SET path = 'lost' WHERE path = '' AND home_id = (SELECT id FROM homes WHERE owner = 'bert')": (
        "has no root collection"
    ),
    "UPDATE homes SET used = used + 1 WHERE owner = 'anna'": "bytes of objects; there are",
    "UPDATE homes SET counter = 1 WHERE owner = 'anna'": "The counter of home",
    "UPDATE objects SET number = 2 WHERE name = 'a.ics'": "was given 2 times",
    "UPDATE objects SET number = 10000 WHERE name = 'a.ics'": "but number 10000 was drawn in it",
    "UPDATE collections SET floor = 10000 WHERE path = 'work'": "but number 10000 was drawn in it",
    "UPDATE collections SET kind = 'attic' WHERE path = 'work'": "of no known kind",
    "UPDATE collections SET path = 'work/inner' WHERE path = 'plain/inner'": "does not lie in its parent",
    "UPDATE collections SET path = 'elsewhere' WHERE path = 'plain/inner'": "does not lie in its parent",
    "UPDATE objects SET home_id = 0 WHERE name = 'a.ics'": "says that it is in home 0",
    "UPDATE objects SET starts_at = 9, ends_at = 8 WHERE name = 'a.ics'": "begins at 9, after it ends (8)",
    "UPDATE removals SET name = 'a.ics'": "is both there and removed",
    "UPDATE removals SET number = 1": "lies below the floor",
    "UPDATE objects SET name = 'inner' WHERE name = 'file'": "has the name of an object beside it",
    "UPDATE removals SET name = 'inner', was_collection = {true}, collection_id = "
    "(SELECT id FROM collections WHERE path = 'plain')": "is both there and removed",
    "UPDATE aces SET principal_id = NULL": "names nobody",
    "UPDATE locks SET principal_id = 0": "belongs to nobody",
    "UPDATE objects SET size = 1, etag = etag WHERE name = 'a.ics'": "should have 1 bytes; there are 4",
    "UPDATE objects SET etag = 'x' WHERE name = 'a.ics'": "is not that of its bytes",
    "UPDATE objects SET uid = 'y' WHERE name = 'a.ics'": "cannot be found by its UID",
    "UPDATE addresses SET uri = 'mailto:other@x'": "The address mailto:other@x cannot be found",
    "UPDATE queue SET state = 'begun'": "is neither waiting nor done nor failed",
    "UPDATE queue SET leased_until = 5": "is leased until 5, to nobody",
    "UPDATE journal SET uid = 'other'": "of the scheduling log cannot be found by its UID",
    "UPDATE collection_properties SET name = 'other'": "other of",
    "UPDATE collection_properties SET principal_id = 10000": "belongs to nobody",
}


@pytest.fixture
def damaged(store: Store, url: str, clock: object) -> House:
    """A store with something of everything, which is not looked at afterwards."""
    house = House(store, url, clock)  # type: ignore[arg-type]
    bert = house.add_person("bert")

    def furnish(tx: Transaction) -> None:
        plain = tx.collections.add(find(tx, "anna").collection, "plain", kind=CollectionKind.PLAIN)
        tx.collections.add(plain, "inner", kind=CollectionKind.PLAIN)
        tx.objects.put(plain, "file", NewObject(b"", "text/plain"), replaces=None)
        tx.acls.set(house.work, [Ace("principal", grant=True, privileges=(), principal_id=bert.principal_id)])
        tx.locks.add(Lock("t", house.home_id, (), bert.principal_id, True, True, b"", tx.now + 9))
        tx.properties.set(StoredProperty(Owner("collection", house.work.id), 0, "D", "p", b"<p/>"))
        anna = tx.principals.by_name("anna")
        assert anna is not None
        tx.principals.update(replace(anna, addresses=(Address("mailto:anna@x", preferred=True),)))
        tx.queue.add("mail", [NewJob("k", b"")])
        tx.journal.add([JournalEntry(tx.now, "uid", "a", "b", "REQUEST", "1.2", "here", "")])

    house.locked(furnish)
    house.put("a.ics")
    house.put("b.ics")
    house.remove("b.ics")
    return house


def test_every_damage_is_found(damaged: House) -> None:
    assert damaged.complaints() == []
    store = damaged.store
    assert isinstance(store, SqlStore)
    complaints: list[str] = []
    for statement, sentence in DAMAGE.items():
        with store._backend.writer.connect() as connection:
            true = "1" if connection.dialect.name == "sqlite" else "true"
            begun = connection.begin()
            connection.execute(text(statement.replace("{true}", true)))
            found = list(check(connection))
            begun.rollback()
        assert any(sentence in complaint for complaint in found), (statement, found)
        complaints += found
    assert damaged.complaints() == []
    # A rule without a case would be a rule that nobody has seen at work.
    for _, rule in RULES:
        pattern = ".*".join(re.escape(part) for part in re.split(r"\{.*?\}", rule))
        assert any(re.fullmatch(pattern, complaint) for complaint in complaints), rule


def test_sqlite_itself_is_asked(damaged: House) -> None:
    store = damaged.store
    assert isinstance(store, SqlStore)
    if store._backend.networked:
        pytest.skip("This is about SQLite's own check of a file")
    with store._backend.writer.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys = OFF")
        connection.execute(text("UPDATE objects SET collection_id = 10000 WHERE name = 'a.ics'"))
        connection.commit()
    assert any("not there" in complaint for complaint in damaged.complaints())
