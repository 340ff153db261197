"""Every method against the table of RFC 3744 appendix B: with just what it needs, without each part, with each alone.

What is asked for lies in the home of u1; u2 asks, and holds by ACEs what the test says. What the privileges are needed
on lies in collections of its own, so that one ACL never stands for another: ``calendar`` or ``files`` (the resource and
its parent), ``other`` (the destination and its parent).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from caldavd.app import Application
from caldavd.privileges import ALL, CONTAINS, METHODS, READ_FREE_BUSY, TREE, Need, On
from storage.store import Store
from tests.caldavd.client import DECLARATIONS, Answer, Client, event
from tests.caldavd.sharing import acl, grant

HOME = "/calendars/u1/"
CAL, FILES, OTHER = HOME + "calendar/", HOME + "files/", HOME + "other/"
LOCKINFO = (
    f"<D:lockinfo {DECLARATIONS}><D:lockscope><D:exclusive/></D:lockscope>"
    "<D:locktype><D:write/></D:locktype></D:lockinfo>"
)
YEAR = "<C:time-range start='20260101T000000Z' end='20270101T000000Z'/>"


@dataclass(frozen=True)
class Scene:
    """How a row of the table is played: the request, and where its ACLs stand and what its resources are called."""

    play: Callable[[Client], Answer]
    source: str = FILES
    target: str = OTHER
    member: str = FILES + "a.txt"
    made: str = OTHER + "b.txt"

    def collection(self, on: On) -> str:
        """The path of the collection whose ACL decides."""
        return self.target if on in (On.DESTINATION, On.DESTINATION_PARENT) else self.source

    def hrefs(self, on: On) -> set[str]:
        """What ``need-privileges`` may name: the resource itself or the collection that it has its ACL from."""
        return {
            On.RESOURCE: {self.member, self.source},
            On.PARENT: {self.source},
            On.DESTINATION: {self.made},
            On.DESTINATION_PARENT: {self.target},
        }[on]


def to(path: str) -> dict[str, str]:
    return {"Destination": f"http://localhost{path}"}


def unlock(client: Client) -> Answer:
    owner = Client(client.application, "u1")
    token = owner.request("LOCK", FILES + "a.txt", LOCKINFO).headers["Lock-Token"]
    return client.request("UNLOCK", FILES + "a.txt", Lock_Token=token)


SCENES = {
    ("OPTIONS", ""): Scene(lambda c: c.request("OPTIONS", CAL), source=CAL),
    ("GET", ""): Scene(lambda c: c.request("GET", FILES + "a.txt")),
    ("HEAD", ""): Scene(lambda c: c.request("HEAD", FILES + "a.txt")),
    ("PROPFIND", ""): Scene(lambda c: c.propfind(CAL, "<D:resourcetype/>"), source=CAL),
    ("REPORT", ""): Scene(lambda c: c.sync(CAL), source=CAL),
    ("REPORT", "free-busy-query"): Scene(lambda c: c.report(CAL, "C:free-busy-query", YEAR, depth=1), source=CAL),
    ("PROPPATCH", ""): Scene(lambda c: c.proppatch(CAL, set="<D:displayname>X</D:displayname>"), source=CAL),
    ("ACL", ""): Scene(lambda c: c.request("ACL", CAL, acl()), source=CAL),
    ("PUT", "target exists"): Scene(
        lambda c: c.put(CAL + "a.ics", event("a", summary="B")), source=CAL, member=CAL + "a.ics"
    ),
    ("PUT", "no target exists"): Scene(lambda c: c.put(CAL + "new.ics", event("new")), source=CAL),
    ("POST", ""): Scene(lambda c: c.request("POST", CAL, event("new"), Content_Type="text/calendar"), source=CAL),
    ("DELETE", ""): Scene(lambda c: c.request("DELETE", FILES + "a.txt")),
    ("MKCOL", ""): Scene(lambda c: c.request("MKCOL", FILES + "new/")),
    ("MKCALENDAR", ""): Scene(lambda c: c.request("MKCALENDAR", HOME + "new/"), source=HOME),
    ("COPY", "no target exists"): Scene(lambda c: c.request("COPY", FILES + "a.txt", **to(OTHER + "new.txt"))),
    ("COPY", "target exists"): Scene(lambda c: c.request("COPY", FILES + "a.txt", **to(OTHER + "b.txt"))),
    ("MOVE", "no target exists"): Scene(lambda c: c.request("MOVE", FILES + "a.txt", **to(OTHER + "new.txt"))),
    ("MOVE", "target exists"): Scene(lambda c: c.request("MOVE", FILES + "a.txt", **to(OTHER + "b.txt"))),
    ("MOVE", "in the same collection"): Scene(
        lambda c: c.request("MOVE", FILES + "a.txt", **to(FILES + "new.txt")), target=FILES
    ),
    ("LOCK", "target exists"): Scene(lambda c: c.request("LOCK", FILES + "a.txt", LOCKINFO)),
    ("LOCK", "no target exists"): Scene(lambda c: c.request("LOCK", FILES + "new.txt", LOCKINFO)),
    ("UNLOCK", "another's lock"): Scene(unlock),
}
#: Every privilege that can be granted by itself and is more than all its parts.
SINGLE = [node.name for node in TREE.walk() if node.own or not node.contains]
ROWS = {f"{need.method} {need.state}".strip(): need for need in METHODS}


@pytest.fixture
def scenery(application: Application) -> Application:
    """The collections of u1 and what is in them."""
    u1 = Client(application, "u1")
    assert u1.put(CAL + "a.ics", event("a")).status == 201
    for path in (FILES, OTHER):
        assert u1.request("MKCOL", path).status == 201
    assert u1.put(FILES + "a.txt", "a", Content_Type="text/plain").status == 201
    assert u1.put(OTHER + "b.txt", "b", Content_Type="text/plain").status == 201
    return application


def hold(store: Store, held: dict[str, set[str]]) -> None:
    """Gives u2 these privileges on collections."""
    for path, names in held.items():
        grant(store, path.removeprefix("/calendars/").rstrip("/"), "u2", names)


def needed(need: Need, scene: Scene) -> dict[str, set[str]]:
    """What the row needs, by the path of the collection."""
    result: dict[str, set[str]] = {}
    for on, name in need.privileges:
        result.setdefault(scene.collection(on), set()).add(name)
    return result


def missing(answer: Answer) -> set[tuple[str, str]]:
    """Pairs of an href and a privilege that ``need-privileges`` names."""
    assert answer.conditions == ["need-privileges"]
    return {
        (resource.findtext("{DAV:}href"), resource.find("{DAV:}privilege")[0].tag)
        for resource in answer.xpath("/D:error/D:need-privileges/D:resource")
    }


def scene_of(need: Need) -> Scene:
    return SCENES[need.method, need.state]


@pytest.mark.parametrize("row", ROWS)
def test_what_the_table_names_is_enough(scenery: Application, store: Store, row: str) -> None:
    need, scene = ROWS[row], scene_of(ROWS[row])
    hold(store, needed(need, scene))
    answer = scene.play(Client(scenery, "u2"))
    assert answer.status < 300, answer.body


TAKEN_AWAY = [(row, place) for row, need in ROWS.items() for place in range(len(need.privileges))]


@pytest.mark.parametrize(("row", "place"), TAKEN_AWAY)
def test_all_privileges_but_one_are_not_enough(scenery: Application, store: Store, row: str, place: int) -> None:
    need, scene = ROWS[row], scene_of(ROWS[row])
    on, name = need.privileges[place]
    held = {scene.source: {ALL}, scene.target: {ALL}} | {
        scene.collection(on): {node.name for node in TREE.walk() if name not in CONTAINS[node.name]}
    }
    hold(store, held)
    answer = scene.play(Client(scenery, "u2"))
    assert answer.status == 403
    if need.method != "HEAD":
        [(path, lacking)] = missing(answer)
        # free-busy-query may also name read, which contains what it needs.
        assert name in CONTAINS[lacking]
        assert path in scene.hrefs(on)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("row", ROWS)
def test_each_privilege_alone(scenery: Application, store: Store, row: str, name: str) -> None:
    need, scene = ROWS[row], scene_of(ROWS[row])
    hold(store, {scene.source: {name}, scene.target: {name}})
    answer = scene.play(Client(scenery, "u2"))
    enough = all(wanted in CONTAINS[name] for _, wanted in need.privileges)
    if enough:
        assert answer.status < 300, answer.body
    else:
        assert answer.status == 403
        if need.method != "HEAD":
            lacking = {wanted for _, wanted in missing(answer)}
            assert lacking
            assert name not in lacking


@pytest.mark.parametrize("row", ROWS)
def test_who_holds_nothing_gets_404(scenery: Application, row: str) -> None:
    assert scene_of(ROWS[row]).play(Client(scenery, "u2")).status == 404


@pytest.mark.parametrize("row", ROWS)
def test_the_owner_and_an_administrator_need_nothing(scenery: Application, row: str) -> None:
    assert scene_of(ROWS[row]).play(Client(scenery, "admin")).status < 300


def test_a_move_names_all_that_is_missing(scenery: Application, store: Store) -> None:
    """RFC 3744 section 7.1.1, whose example names both collections. Not all violations have to be told."""
    hold(store, {FILES: {READ_FREE_BUSY}, OTHER: {READ_FREE_BUSY}})
    answer = Client(scenery, "u2").request("MOVE", FILES + "a.txt", **to(OTHER + "b.txt"))
    assert answer.status == 403
    assert {path for path, _ in missing(answer)} <= {FILES, FILES + "a.txt", OTHER}
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert b"which you do not hold" in answer.body
