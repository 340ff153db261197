"""Random MKCOL, PUT, DELETE, COPY and MOVE in a tree of files, against a model of the tree, with syncs in between."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from storage.store import Store, Transaction
from tests.caldavd.client import Client
from tests.caldavd.webdav.sharing import HOME, doctor, lockinfo, put_file, token_of

STEPS = 50
#: A tree is a collection: names with what they map to, a file's text or another tree.
Tree = dict[str, "str | Tree"]
Path = tuple[str, ...]


def node(tree: Tree, path: Path) -> str | Tree | None:
    """What the path maps to."""
    found: str | Tree | None = tree
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def cloned(found: str | Tree) -> str | Tree:
    return found if isinstance(found, str) else {name: cloned(inner) for name, inner in found.items()}


def expected(tree: Tree, method: str, path: Path, *, text: str, target: Path, overwrite: bool) -> int:
    """The status that the RFC demands, and the change to the tree where it is a success."""
    parent, found = node(tree, path[:-1]), node(tree, path)
    if method in ("PUT", "MKCOL"):
        if found is not None and (method == "MKCOL" or isinstance(found, dict)):
            return 405
        if not isinstance(parent, dict):
            return 409
        parent[path[-1]] = {} if method == "MKCOL" else text
        return 204 if found is not None else 201
    if found is None:
        return 404
    assert isinstance(parent, dict)
    if method == "DELETE":
        del parent[path[-1]]
        return 204
    there = node(tree, target[:-1])
    existing = node(tree, target)
    if not isinstance(there, dict):
        return 409
    if target[: len(path)] == path or path[: len(target)] == target:
        return 403
    if existing is not None and not overwrite:
        return 412
    there[target[-1]] = cloned(found)
    if method == "MOVE":
        del parent[path[-1]]
    return 204 if existing is not None else 201


def as_served(client: Client, path: str) -> Tree:
    """The tree that the server shows."""
    tree: Tree = {}
    listing = client.propfind(path, "<D:resourcetype/>", depth=1)
    for href in listing.hrefs[1:]:
        name = href.rstrip("/").rpartition("/")[2]
        if listing.prop(href, "D:resourcetype/D:collection") is not None:
            tree[name] = as_served(client, href)
        else:
            tree[name] = client.request("GET", href).body.decode()
    return tree


def synced(client: Client, known: set[str], token: str) -> tuple[set[str], str]:
    """What a client that follows the collection knows after another sync."""
    answer = client.sync(HOME + "tree/", token)
    if answer.status == 403 and answer.conditions == ["valid-sync-token"]:
        return synced(client, set(), "")
    for href in answer.hrefs:
        if answer.status_of(href) == 404:
            known.discard(href.rstrip("/"))
        else:
            known.add(href.rstrip("/"))
    return known, str(answer.xpath("string(/D:multistatus/D:sync-token)"))


@pytest.mark.parametrize("seed", range(12))
def test_a_walk(u1: Client, store: Store, seed: int) -> None:
    rng = random.Random(seed)
    tree: Tree = {}
    assert u1.request("MKCOL", HOME + "tree/").status == 201
    known, token = synced(u1, set(), "")

    def somewhere() -> Path:
        return tuple(rng.choice("abc") for _ in range(rng.choice((1, 1, 2, 2, 3))))

    def url(path: Path) -> str:
        return HOME + "tree/" + "/".join(path)

    for step in range(STEPS):
        method = rng.choice(("MKCOL", "MKCOL", "PUT", "PUT", "DELETE", "COPY", "MOVE", "MOVE"))
        path, target, overwrite = somewhere(), somewhere(), rng.random() < 0.7
        wanted = expected(tree, method, path, text=str(step), target=target, overwrite=overwrite)
        if method == "PUT":
            answer = put_file(u1, url(path), str(step))
        elif method in ("COPY", "MOVE"):
            answer = u1.request(method, url(path), Destination=url(target), Overwrite="T" if overwrite else "F")
        else:
            answer = u1.request(method, url(path))
        said = f"{seed}.{step} {method} {path} {target} {overwrite}: {answer.status}, not {wanted}"
        assert answer.status == wanted, said
        if rng.random() < 0.3:
            known, token = synced(u1, known, token)
            assert known == {HOME + "tree/" + name for name in tree}, said
    assert as_served(u1, HOME + "tree/") == tree
    assert doctor(store) == []


@pytest.mark.parametrize("seed", range(6))
def test_a_walk_among_locks(u1: Client, as_user: Callable[[str], Client], store: Store, seed: int) -> None:
    """Whatever is locked and released in between, no lock is left without its root, and nothing fails."""
    rng = random.Random(seed)
    admin = as_user("admin")
    u1.request("MKCOL", HOME + "tree/")
    tokens: dict[str, str] = {}
    taken = 0
    for step in range(STEPS):
        path = HOME + "tree/" + "/".join(rng.choice("ab") for _ in range(rng.choice((1, 2, 2))))
        other = HOME + "tree/" + "/".join(rng.choice("ab") for _ in range(rng.choice((1, 2, 2))))
        submitted = " ".join(f"<{url}> (<{token}>)" for url, token in tokens.items() if rng.random() < 0.7)
        headers = {"If": f"{submitted} <{HOME}> (Not <DAV:no-lock>)"}
        client = rng.choice((u1, u1, admin))
        match rng.choice(("MKCOL", "PUT", "DELETE", "COPY", "MOVE", "LOCK", "LOCK", "UNLOCK")):
            case "LOCK":
                depth = rng.choice(("0", "infinity"))
                answer = u1.request("LOCK", path, lockinfo(rng.choice(("shared", "exclusive"))), Depth=depth, **headers)
                assert answer.status in (200, 201, 409, 423)
                if answer.status < 300:
                    tokens[path] = token_of(answer)
                    taken += 1
            case "UNLOCK":
                if tokens:
                    locked = rng.choice(sorted(tokens))
                    status = u1.request("UNLOCK", locked, Lock_Token=f"<{tokens.pop(locked)}>").status
                    assert status in (204, 404, 409)  # gone with its root, or moved away from
            case "PUT":
                assert put_file(client, path, str(step), **headers).status < 500
            case "COPY" | "MOVE" as method:
                assert client.request(method, path, Destination=other, **headers).status < 500
            case method:
                assert client.request(method, path, **headers).status < 500
        store.run(roots_are_mapped, write=False)
    assert taken
    assert doctor(store) == []


def roots_are_mapped(tx: Transaction) -> None:
    """Section 6.1, number 8: a lock goes when its root does."""
    home = tx.homes.of("u1")
    assert home is not None
    for held in tx.locks.of_home(home.id):
        found = tx.collections.find("u1", held.path)
        assert found is not None
        assert not found.missing, held.path
