"""What the tests of locks and copies share: lock bodies, tokens, and privileges given to another user."""

from __future__ import annotations

from lxml import etree

from storage.rows import Ace
from storage.store import Store, Transaction
from tests.caldavd.client import NS, Answer, Client

HOME = "/calendars/u1/"
CAL = "/calendars/u1/calendar/"
TASKS = "/calendars/u1/tasks/"


def lockinfo(
    scope: str = "exclusive", *, owner: str = "<D:owner><D:href>mailto:u1@example.org</D:href></D:owner>"
) -> str:
    """A body for LOCK."""
    return (
        f'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope>'
        f"<D:locktype><D:write/></D:locktype>{owner}</D:lockinfo>"
    )


def lock(client: Client, path: str, scope: str = "exclusive", *, depth: str = "infinity", **headers: str) -> str:
    """Takes a lock and returns its token."""
    answer = client.request("LOCK", path, lockinfo(scope), Depth=depth, **headers)
    assert answer.status in (200, 201), answer.body
    return token_of(answer)


def token_of(answer: Answer) -> str:
    """The token of the ``Lock-Token`` header."""
    value = answer.headers["Lock-Token"]
    assert value.startswith("<urn:uuid:")
    assert value.endswith(">")
    return value[1:-1]


def put_file(client: Client, path: str, body: str = "text", **headers: str) -> Answer:
    """A plain file."""
    return client.request("PUT", path, body, **{"Content_Type": "text/plain", **headers})


def hrefs_in_error(answer: Answer) -> list[str]:
    """The hrefs inside the precondition element."""
    return [str(text) for text in answer.xpath("/D:error/*/D:href/text()")]


def active_locks(client: Client, path: str) -> list[etree._Element]:
    """The ``activelock`` elements of a resource."""
    found = client.propfind(path, "<D:lockdiscovery/>").prop(path, "D:lockdiscovery")
    assert found is not None
    return found.findall("{DAV:}activelock")


def text_in(element: etree._Element, path: str) -> str:
    """The text at a path below an element."""
    return str(element.xpath(f"string({path})", namespaces=NS))


def grant(store: Store, path: str, user: str, *privileges: str) -> None:
    """Gives ``user`` privileges (names of ``DAV:``) on a collection, in place of what was granted there before."""
    _set_ace(store, path, user, privileges, grants=True)


def doctor(store: Store) -> list[str]:
    """What is wrong with the database."""
    return list(store.check())


def deny(store: Store, path: str, user: str, *privileges: str) -> None:
    """As ``grant``, but takes them away."""
    _set_ace(store, path, user, privileges, grants=False)


def _set_ace(store: Store, path: str, user: str, privileges: tuple[str, ...], *, grants: bool) -> None:
    owner, *names = path.strip("/").split("/")[1:]

    def work(tx: Transaction) -> None:
        tx.homes.lock_of([owner])
        found = tx.collections.find(owner, names)
        asker = tx.principals.by_name(user)
        assert found is not None
        assert asker is not None
        assert not found.missing
        clark = tuple(f"{{DAV:}}{name}" for name in privileges)
        tx.acls.set(found.collection, [Ace("principal", grant=grants, privileges=clark, principal_id=asker.id)])

    store.run(work, write=True)
