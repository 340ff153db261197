"""Writes that meet locks (RFC 4918 section 7), and the ``If`` header on real resources (section 10.4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.store import Store
from tests.caldavd.client import Answer, Client, event
from tests.caldavd.webdav.sharing import (
    CAL,
    HOME,
    TASKS,
    active_locks,
    doctor,
    grant,
    hrefs_in_error,
    lock,
    lockinfo,
    put_file,
)

PLAIN = HOME + "plain/"
INNER = PLAIN + "inner/"
FILE = PLAIN + "file.txt"
DEEP = INNER + "deep.txt"
NEW = PLAIN + "new.txt"
TITLE = "<X:title xmlns:X='urn:x'>t</X:title>"

Write = Callable[..., Answer]


def put(path: str) -> Write:
    return lambda client, **headers: put_file(client, path, "changed", **headers)


def simple(method: str, path: str, **fixed: str) -> Write:
    return lambda client, **headers: client.request(method, path, **fixed, **headers)


def patch(path: str) -> Write:
    return lambda client, **headers: client.proppatch(path, set=TITLE, **headers)


@pytest.fixture(autouse=True)
def tree(u1: Client, store: Store) -> None:
    for path in (PLAIN, INNER):
        assert u1.request("MKCOL", path).status == 201
    for path in (FILE, DEEP):
        assert put_file(u1, path).status == 201
    grant(store, HOME, "u2", "read", "write")


#: Writes by the lock that protects against them: root and depth of the lock, and the root again as the error names it.
PROTECTED: dict[str, tuple[str, str, Write]] = {
    # A lock on a resource: its content, its properties, its mapping.
    "put": (FILE, "0", put(FILE)),
    "proppatch": (FILE, "0", patch(FILE)),
    "delete": (FILE, "0", simple("DELETE", FILE)),
    "move away": (FILE, "0", simple("MOVE", FILE, Destination=NEW)),
    "copy onto": (FILE, "0", simple("COPY", DEEP, Destination=FILE)),
    "move onto": (FILE, "0", simple("MOVE", DEEP, Destination=FILE)),
    # A depth-0 lock on a collection: its properties and its membership (section 7.4).
    "proppatch of the collection": (PLAIN, "0", patch(PLAIN)),
    "delete of the collection": (PLAIN, "0", simple("DELETE", PLAIN)),
    "move of the collection": (PLAIN, "0", simple("MOVE", PLAIN, Destination=HOME + "other/")),
    "new member by put": (PLAIN, "0", put(NEW)),
    "new member by mkcol": (PLAIN, "0", simple("MKCOL", NEW)),
    "new member by copy": (PLAIN, "0", simple("COPY", DEEP, Destination=NEW)),
    "new member by move": (PLAIN, "0", simple("MOVE", DEEP, Destination=NEW)),
    "new member by post": (PLAIN, "0", simple("POST", PLAIN, Content_Type="text/plain")),
    "member deleted": (PLAIN, "0", simple("DELETE", FILE)),
    "member moved out": (PLAIN, "0", simple("MOVE", FILE, Destination=HOME + "out.txt")),
    "member renamed": (PLAIN, "0", simple("MOVE", FILE, Destination=NEW)),
    "member replaced by move": (PLAIN, "0", simple("MOVE", DEEP, Destination=FILE)),
    "collection member deleted": (PLAIN, "0", simple("DELETE", INNER)),
    # A depth-infinity lock: all below as well.
    "put below": (PLAIN, "infinity", put(DEEP)),
    "proppatch below": (PLAIN, "infinity", patch(DEEP)),
    "delete below": (PLAIN, "infinity", simple("DELETE", DEEP)),
    "mkcol below": (PLAIN, "infinity", simple("MKCOL", INNER + "x/")),
    "copy into, below": (PLAIN, "infinity", simple("COPY", FILE, Destination=INNER + "x")),
    # A lock further down stands in the way of what removes it.
    "delete above": (DEEP, "0", simple("DELETE", PLAIN)),
    "move above": (DEEP, "0", simple("MOVE", PLAIN, Destination=HOME + "other/")),
    "overwritten from above": (DEEP, "0", simple("COPY", INNER, Destination=HOME + "copy/")),
}


@pytest.mark.parametrize("case", PROTECTED)
def test_protected(u1: Client, u2: Client, store: Store, case: str) -> None:
    root, depth, write = PROTECTED[case]
    token = lock(u1, root, depth=depth)
    if case == "overwritten from above":
        write = simple("COPY", INNER, Destination=HOME + "copy/")
        assert write(u1).status == 201  # the source of a COPY is not modified
        inner_token = lock(u1, HOME + "copy/deep.txt")
        root, token = HOME + "copy/deep.txt", inner_token
    refused = write(u1)
    assert (refused.status, refused.conditions) == (423, ["lock-token-submitted"])
    assert hrefs_in_error(refused) == [root]
    # The token of somebody else's lock opens nothing (section 6.4).
    other = write(u2, If=f"<{root}> (<{token}>)")
    assert (other.status, other.conditions) == (423, ["lock-token-submitted"])
    assert write(u1, If=f"<{root}> (<{token}>)").status in (200, 201, 204, 207)
    assert doctor(store) == []


#: Writes that a depth-0 lock on the collection does not touch (section 7.4).
NOT_PROTECTED: dict[str, Write] = {
    "put of a member": put(FILE),
    "proppatch of a member": patch(FILE),
    "copy onto a member": simple("COPY", DEEP, Destination=FILE),
    "copy of a member": simple("COPY", FILE, Destination=HOME + "copy.txt"),
    "delete deeper": simple("DELETE", DEEP),
    "put deeper": put(INNER + "x"),
}


@pytest.mark.parametrize("case", NOT_PROTECTED)
def test_not_protected(u1: Client, case: str) -> None:
    lock(u1, PLAIN, depth="0")
    assert NOT_PROTECTED[case](u1).status in (200, 201, 204, 207)


def test_reading_needs_no_token(u1: Client, u2: Client) -> None:
    lock(u1, HOME)
    for client in (u1, u2):
        assert client.request("GET", FILE).status == 200
        assert client.propfind(PLAIN, "<D:getetag/>", depth=1).status == 207
        assert client.sync(CAL).status == 207


def test_calendar_objects(u1: Client) -> None:
    assert u1.put(CAL + "a.ics", event("a")).status == 201
    token = lock(u1, CAL + "a.ics")
    refused = u1.put(CAL + "a.ics", event("a", summary="x"))
    assert (refused.status, hrefs_in_error(refused)) == (423, [CAL + "a.ics"])
    assert u1.put(CAL + "a.ics", event("a", summary="x"), If=f"(<{token}>)").status == 204


def test_mkcalendar_in_a_locked_home(u1: Client) -> None:
    token = lock(u1, HOME, depth="0")
    refused = u1.request("MKCALENDAR", HOME + "new/")
    assert (refused.status, hrefs_in_error(refused)) == (423, [HOME])
    assert u1.request("MKCALENDAR", HOME + "new/", If=f"<{HOME}> (<{token}>)").status == 201


class TestShared:
    def test_one_of_several_is_enough(self, u1: Client, u2: Client) -> None:
        mine, theirs = lock(u1, FILE, "shared"), lock(u2, FILE, "shared")
        assert put_file(u1, FILE, "x", If=f"(<{mine}>)").status == 204
        assert put_file(u2, FILE, "x", If=f"(<{theirs}>)").status == 204
        assert put_file(u1, FILE, "x", If=f"(<{theirs}>)").status == 423
        assert put_file(u1, FILE, "x").status == 423

    def test_both_collection_and_member(self, u1: Client) -> None:
        above, own = lock(u1, PLAIN, depth="0"), lock(u1, FILE)
        for tokens, hrefs in (("", [FILE, PLAIN]), (f"(<{own}>)", [PLAIN]), (f"<{PLAIN}> (<{above}>)", [FILE])):
            refused = u1.request("DELETE", FILE, **({"If": tokens} if tokens else {}))
            assert (refused.status, hrefs_in_error(refused)) == (423, hrefs)
        both = f"<{PLAIN}> (<{above}>) <{FILE}> (<{own}>)"
        assert u1.request("DELETE", FILE, If=both).status == 204

    def test_shared_above_is_enough_for_a_member(self, u1: Client, u2: Client) -> None:
        token = lock(u1, PLAIN, "shared")
        lock(u2, FILE, "shared")
        assert put_file(u1, FILE, "x", If=f"<{PLAIN}> (<{token}>)").status == 204


class TestAfterwards:
    def test_delete_takes_its_locks_along(self, u1: Client, store: Store) -> None:
        token = lock(u1, FILE)
        assert u1.request("DELETE", FILE, If=f"(<{token}>)").status == 204
        assert put_file(u1, FILE).status == 201
        assert active_locks(u1, FILE) == []
        assert doctor(store) == []

    def test_delete_takes_the_locks_below_along(self, u1: Client) -> None:
        token = lock(u1, DEEP)
        assert u1.request("DELETE", PLAIN, If=f"<{DEEP}> (<{token}>)").status == 204
        for path in (PLAIN, INNER):
            u1.request("MKCOL", path)
        assert put_file(u1, DEEP).status == 201

    def test_move_leaves_locks_behind(self, u1: Client) -> None:
        token = lock(u1, FILE)
        assert u1.request("MOVE", FILE, Destination=NEW, If=f"(<{token}>)").status == 201
        assert active_locks(u1, NEW) == []
        assert put_file(u1, FILE).status == 201

    def test_move_of_a_collection_leaves_locks_behind(self, u1: Client) -> None:
        token = lock(u1, INNER)
        assert u1.request("MOVE", INNER, Destination=HOME + "out/", If=f"(<{token}>)").status == 201
        assert active_locks(u1, HOME + "out/") == []
        assert active_locks(u1, HOME + "out/deep.txt") == []
        assert u1.request("MKCOL", INNER).status == 201

    def test_copy_does_not_copy_locks(self, u1: Client) -> None:
        lock(u1, FILE)
        lock(u1, INNER)
        assert u1.request("COPY", FILE, Destination=NEW).status == 201
        assert u1.request("COPY", PLAIN, Destination=HOME + "copy/").status == 201
        assert [active_locks(u1, path) for path in (NEW, HOME + "copy/inner/", HOME + "copy/file.txt")] == [[], [], []]

    @pytest.mark.parametrize("method", ["COPY", "MOVE"])
    def test_into_a_locked_collection(self, u1: Client, method: str) -> None:
        token = lock(u1, INNER)
        assert u1.request(method, FILE, Destination=INNER + "x", If=f"<{INNER}> (<{token}>)").status == 201
        assert len(active_locks(u1, INNER + "x")) == 1

    @pytest.mark.parametrize("method", ["COPY", "MOVE"])
    def test_a_lock_on_the_destination_stays(self, u1: Client, method: str) -> None:
        token = lock(u1, FILE)
        answer = u1.request(method, DEEP, Destination=FILE, If=f"<{FILE}> (<{token}>)")
        assert answer.status == 204
        assert len(active_locks(u1, FILE)) == 1

    @pytest.mark.parametrize("method", ["COPY", "MOVE"])
    def test_a_lock_on_a_destination_collection_stays(self, u1: Client, store: Store, method: str) -> None:
        u1.request("MKCOL", HOME + "target/")
        put_file(u1, HOME + "target/old")
        outer, inner = lock(u1, HOME + "target/", depth="0"), lock(u1, HOME + "target/old")
        tokens = f"<{HOME}target/> (<{outer}>) <{HOME}target/old> (<{inner}>)"
        assert u1.request(method, PLAIN, Destination=HOME + "target/", If=tokens).status == 204
        assert len(active_locks(u1, HOME + "target/")) == 1
        put_file(u1, HOME + "target/old", If=tokens)
        assert active_locks(u1, HOME + "target/old") == []
        assert doctor(store) == []

    def test_moved_out_is_unlocked(self, u1: Client) -> None:
        token = lock(u1, PLAIN)
        assert u1.request("MOVE", DEEP, Destination=HOME + "free.txt", If=f"<{PLAIN}> (<{token}>)").status == 201
        assert active_locks(u1, HOME + "free.txt") == []
        assert put_file(u1, HOME + "free.txt", "x").status == 204


class TestIf:
    """The header as a precondition on real resources: 412 where no list holds."""

    def test_etag(self, u1: Client) -> None:
        etag = u1.request("GET", FILE).headers["ETag"]
        assert put_file(u1, FILE, "x", If=f"([{etag}])").status == 204
        assert put_file(u1, FILE, "y", If=f"([{etag}])").status == 412
        assert put_file(u1, FILE, "y", If=f"(Not [{etag}])").status == 204

    def test_weak_etag(self, u1: Client) -> None:
        etag = u1.request("GET", FILE).headers["ETag"]
        assert put_file(u1, FILE, "x", If=f"([W/{etag}])").status == 204

    def test_no_lock(self, u1: Client) -> None:
        assert put_file(u1, FILE, "x", If="(<DAV:no-lock>)").status == 412
        assert put_file(u1, FILE, "x", If="(Not <DAV:no-lock>)").status == 204

    def test_412_before_423(self, u1: Client) -> None:
        token = lock(u1, FILE)
        assert put_file(u1, FILE, "x", If=f'(<{token}> ["other"])').status == 412
        assert put_file(u1, FILE, "x", If="(<urn:uuid:1>) (Not <DAV:no-lock>)").status == 423

    def test_submitted_in_a_list_that_fails(self, u1: Client) -> None:
        token = lock(u1, FILE)
        assert put_file(u1, FILE, "x", If=f'(<{token}> ["other"]) (Not <DAV:no-lock>)').status == 204

    def test_submitted_for_another_resource(self, u1: Client) -> None:
        """Section 7.5.2: what matters is that the token is there and that the header holds."""
        token = lock(u1, PLAIN)
        for header in (f"(<{token}>)", f"<{PLAIN}> (<{token}>)", f"<{FILE}> (<{token}>)"):
            assert put_file(u1, FILE, "x", If=header).status == 204

    @pytest.mark.parametrize("host", ["http://localhost", "http://localhost:80", ""])
    def test_tags_are_urls_or_paths(self, u1: Client, host: str) -> None:
        token = lock(u1, FILE)
        tag = FILE.replace("file", "fi%6Ce")
        assert put_file(u1, FILE, "x", If=f"<{host}{tag}> (<{token}>)").status == 204

    @pytest.mark.parametrize(
        "tag", ["http://elsewhere.example/x", "/calendars/nobody/", "/no/where", "/../x", HOME + "no"]
    )
    def test_tags_that_are_nothing_here(self, u1: Client, tag: str) -> None:
        token = lock(u1, FILE)
        assert put_file(u1, FILE, "x", If=f"<{tag}> (<{token}>)").status == 412
        assert put_file(u1, FILE, "x", If=f"<{tag}> (Not <{token}>)").status == 204

    def test_states_of_what_is_not_for_the_user(self, u1: Client, as_user: Callable[[str], Client]) -> None:
        token = lock(u1, FILE)
        stranger = as_user("u3")
        assert put_file(stranger, "/calendars/u3/x", If=f"<{FILE}> (<{token}>)").status == 412
        assert put_file(stranger, "/calendars/u3/x", If=f"<{FILE}> (Not <{token}>)").status == 201

    def test_unmapped(self, u1: Client) -> None:
        assert put_file(u1, NEW, If='(["4217"])').status == 412
        assert put_file(u1, NEW, If='(Not ["4217"])').status == 201

    @pytest.mark.parametrize(
        ("method", "path", "headers"),
        [
            ("GET", FILE, {}),
            ("HEAD", FILE, {}),
            ("OPTIONS", FILE, {}),
            ("PROPFIND", FILE, {"Depth": "0"}),
            ("DELETE", FILE, {}),
            ("MKCOL", NEW, {}),
            ("MKCALENDAR", HOME + "c/", {}),
            ("COPY", FILE, {"Destination": NEW}),
            ("MOVE", FILE, {"Destination": NEW}),
            ("POST", PLAIN, {"Content_Type": "text/plain"}),
        ],
    )
    def test_every_method(self, u1: Client, method: str, path: str, headers: dict[str, str]) -> None:
        assert u1.request(method, path, If="(<DAV:no-lock>)", **headers).status == 412
        assert u1.request(method, path, If="nonsense", **headers).status == 400
        assert u1.request(method, path, If="(Not <DAV:no-lock>)", **headers).status < 300

    def test_methods_with_bodies(self, u1: Client) -> None:
        assert u1.proppatch(FILE, set=TITLE, If="(<DAV:no-lock>)").status == 412
        assert u1.request("LOCK", FILE, lockinfo(), If="(<DAV:no-lock>)").status == 412
        assert u1.put(TASKS + "a.ics", event("a"), If="(").status == 400

    def test_copy_looks_at_the_source_by_default(self, u1: Client) -> None:
        token = lock(u1, NEW)
        assert u1.request("COPY", FILE, Destination=NEW, If=f"(<{token}>)").status == 412
        assert u1.request("COPY", FILE, Destination=NEW, If=f"<{NEW}> (<{token}>)").status == 204


class TestSyncTokens:
    """RFC 6578 section 5: a sync token is a state token of its collection."""

    @pytest.mark.parametrize("path", [HOME, PLAIN, CAL])
    def test_holds_until_something_changes(self, u1: Client, path: str) -> None:
        token = u1.sync(path).xpath("string(//D:sync-token)")
        header = f"<{path}> (<{token}>)"
        put = u1.put(path + "new.ics", event("new"), If=header)
        assert put.status == 201
        assert u1.put(path + "new.ics", event("new"), If=header).status == 412
        assert u1.request("MKCOL", HOME + "child/", If=header).status == 412
        token = u1.sync(path).xpath("string(//D:sync-token)")
        assert u1.request("DELETE", path + "new.ics", If=f"<{path}> (<{token}>)").status == 204

    def test_it_is_of_the_collection_and_opens_no_lock(self, u1: Client) -> None:
        token = u1.sync(PLAIN).xpath("string(//D:sync-token)")
        assert put_file(u1, FILE, "x", If=f"(<{token}>)").status == 412
        lock(u1, FILE)
        token = u1.sync(PLAIN).xpath("string(//D:sync-token)")
        assert put_file(u1, FILE, "x", If=f"<{PLAIN}> (<{token}>)").status == 423
