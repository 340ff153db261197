"""ACLs for tests: as XML for the ACL method, and straight into the store; and what else is done there past HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

from storage.rows import Ace, Principal
from storage.store import Store, Transaction
from tests.caldavd.client import DECLARATIONS


def ace(who: str, *privileges: str, verb: str = "grant", invert: bool = False, more: str = "") -> str:
    """A ``D:ace``. ``who``: a principal's name, or an element (``<D:all/>``); privileges without prefix are ``D:``."""
    inner = who if who.startswith("<") else f"<D:href>/principals/{who}/</D:href>"
    principal = f"<D:principal>{inner}</D:principal>"
    if invert:
        principal = f"<D:invert>{principal}</D:invert>"
    elements = (name if ":" in name else f"D:{name}" for name in privileges)
    rights = "".join(f"<D:privilege><{name}/></D:privilege>" for name in elements)
    return f"<D:ace>{principal}<D:{verb}>{rights}</D:{verb}>{more}</D:ace>"


def acl(*aces: str) -> str:
    """The body of an ACL request."""
    return f"<D:acl {DECLARATIONS}>{''.join(aces)}</D:acl>"


def principal(store: Store, name: str) -> Principal:
    """A principal by its name."""
    found = store.run(lambda tx: tx.principals.by_name(name), write=False)
    assert found is not None, name
    return found


def grant(store: Store, path: str, name: str, privileges: Iterable[str]) -> None:
    """Makes a grant to one principal the only stored ACE of the collection at ``path`` (``u1/calendar``)."""
    to = principal(store, name).id
    set_aces(store, path, Ace("principal", True, tuple(privileges), principal_id=to))


def set_aces(store: Store, path: str, *aces: Ace) -> None:
    """Replaces the stored ACEs of the collection at ``path``."""
    owner, *names = path.split("/")

    def work(tx: Transaction) -> None:
        tx.homes.lock_of([owner])
        found = tx.collections.find(owner, names)
        assert found is not None, path
        assert not found.missing, path
        tx.acls.set(found.collection, aces)

    store.run(work, write=True)


def remove(store: Store, *paths: str) -> None:
    """Takes away the collections at ``paths`` (``u1/calendar``), as no client may."""

    def work(tx: Transaction) -> None:
        tx.homes.lock_of({path.split("/")[0] for path in paths})
        for path in paths:
            owner, *names = path.split("/")
            found = tx.collections.find(owner, names)
            assert found is not None, path
            tx.collections.remove(found.collection)

    store.run(work, write=True)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collects the SQL statements that are run meanwhile, without those that begin and end transactions."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "PRAGMA")):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)
