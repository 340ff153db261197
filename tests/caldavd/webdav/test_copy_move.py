"""COPY and MOVE (RFC 4918 sections 9.8 and 9.9, RFC 4791 section 5.3.2.1, RFC 3744 appendix B)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from storage.store import Store
from tests.caldavd.client import Answer, Client, event, todo
from tests.caldavd.webdav.sharing import CAL, HOME, TASKS, deny, doctor, grant, hrefs_in_error, put_file

FILE = HOME + "file.txt"
PLAIN = HOME + "plain/"
OTHER = HOME + "other/"
THEIRS = "/calendars/u2/"
BOTH = pytest.mark.parametrize("method", ["COPY", "MOVE"])
TITLE = "<X:title xmlns:X='urn:x'>t</X:title>"


def get(client: Client, path: str) -> bytes | int:
    """The body, or the status where there is none."""
    answer = client.request("GET", path)
    return answer.body if answer.status == 200 else answer.status


def title(client: Client, path: str) -> str:
    return str(client.propfind(path, "<X:title xmlns:X='urn:x'/>").xpath("string(//*[local-name()='title'])"))


@pytest.fixture
def event_url(u1: Client) -> str:
    assert u1.put(CAL + "a.ics", event("a")).status == 201
    return CAL + "a.ics"


@pytest.fixture
def file(u1: Client) -> str:
    assert put_file(u1, FILE).status == 201
    return FILE


@pytest.fixture
def tree(u1: Client) -> str:
    """``plain/`` with a file, and ``deep/`` with another."""
    for path in (PLAIN, PLAIN + "deep/"):
        assert u1.request("MKCOL", path).status == 201
    assert put_file(u1, PLAIN + "one.txt", "one").status == 201
    assert put_file(u1, PLAIN + "deep/two.txt", "two").status == 201
    assert u1.proppatch(PLAIN + "deep/", set=TITLE).status == 207
    assert u1.proppatch(PLAIN + "deep/two.txt", set=TITLE).status == 207
    return PLAIN


@pytest.fixture(autouse=True)
def in_order(store: Store) -> Iterator[None]:
    yield
    assert doctor(store) == []


class TestObjects:
    @BOTH
    def test_to_a_new_url(self, u1: Client, event_url: str, method: str) -> None:
        etag = u1.request("GET", event_url).headers["ETag"]
        u1.request("MKCALENDAR", HOME + "second/")
        answer = u1.request(method, event_url, Destination=HOME + "second/b.ics")
        assert (answer.status, answer.body) == (201, b"")
        assert answer.headers["Location"] == HOME + "second/b.ics"
        assert answer.headers["ETag"] == etag
        assert u1.request("GET", HOME + "second/b.ics").headers["ETag"] == etag
        assert get(u1, HOME + "second/b.ics") == event("a").encode()
        assert get(u1, event_url) == (event("a").encode() if method == "COPY" else 404)

    @BOTH
    def test_over_another(self, u1: Client, file: str, method: str) -> None:
        put_file(u1, HOME + "old.txt", "old")
        assert u1.request(method, file, Destination=HOME + "old.txt", Overwrite="T").status == 204
        assert get(u1, HOME + "old.txt") == b"text"

    @BOTH
    def test_overwrite_is_t_where_it_is_missing(self, u1: Client, file: str, method: str) -> None:
        put_file(u1, HOME + "old.txt", "old")
        assert u1.request(method, file, Destination=HOME + "old.txt").status == 204

    @BOTH
    def test_overwrite_f(self, u1: Client, file: str, method: str) -> None:
        put_file(u1, HOME + "old.txt", "old")
        assert u1.request(method, file, Destination=HOME + "old.txt", Overwrite="F").status == 412
        assert get(u1, HOME + "old.txt") == b"old"
        assert u1.request(method, file, Destination=HOME + "new.txt", Overwrite="F").status == 201

    @BOTH
    def test_overwrite_that_is_neither(self, u1: Client, file: str, method: str) -> None:
        assert u1.request(method, file, Destination=HOME + "x", Overwrite="yes").status == 400

    @BOTH
    def test_depth_does_not_matter(self, u1: Client, file: str, method: str) -> None:
        assert u1.request(method, file, Destination=HOME + "x", Depth="0").status == 201

    @BOTH
    def test_properties_come_along(self, u1: Client, event_url: str, method: str) -> None:
        u1.proppatch(event_url, set=TITLE + "<D:displayname>Name</D:displayname>")
        assert (
            u1.request(method, event_url, Destination=CAL + "b.ics" if method == "MOVE" else HOME + "b").status == 201
        )
        target = CAL + "b.ics" if method == "MOVE" else HOME + "b"
        assert title(u1, target) == "t"
        assert u1.propfind(target, "<D:displayname/>").xpath("string(//D:displayname)") == "Name"

    @BOTH
    def test_properties_of_what_was_overwritten_go(self, u1: Client, file: str, method: str) -> None:
        put_file(u1, HOME + "old.txt")
        u1.proppatch(HOME + "old.txt", set=TITLE)
        assert u1.request(method, file, Destination=HOME + "old.txt").status == 204
        assert title(u1, HOME + "old.txt") == ""

    def test_dates(self, u1: Client, file: str) -> None:
        def created(path: str) -> str:
            return str(u1.propfind(path, "<D:creationdate/>").xpath("string(//D:creationdate)"))

        before = created(file)
        u1.request("MOVE", file, Destination=HOME + "moved.txt")
        assert created(HOME + "moved.txt") == before

    def test_copies_are_independent(self, u1: Client, file: str) -> None:
        u1.request("COPY", file, Destination=HOME + "copy.txt")
        put_file(u1, HOME + "copy.txt", "changed")
        u1.proppatch(HOME + "copy.txt", set=TITLE)
        assert get(u1, file) == b"text"
        assert title(u1, file) == ""

    @BOTH
    def test_content_type_comes_along(self, u1: Client, method: str) -> None:
        put_file(u1, FILE, "{}", Content_Type="application/json; x=y")
        u1.request(method, FILE, Destination=HOME + "b")
        assert u1.request("GET", HOME + "b").headers["Content-Type"] == "application/json; x=y"

    @BOTH
    def test_conditions_are_about_the_source(self, u1: Client, file: str, method: str) -> None:
        assert u1.request(method, file, Destination=HOME + "b", If_Match='"x"').status == 412
        etag = u1.request("GET", file).headers["ETag"]
        assert u1.request(method, file, Destination=HOME + "b", If_Match=etag).status == 201

    def test_sync_of_a_move(self, u1: Client, event_url: str) -> None:
        """Golden request 46: gone there, new here."""
        u1.request("MKCALENDAR", HOME + "second/")
        there, here = (u1.sync(path).xpath("string(//D:sync-token)") for path in (CAL, HOME + "second/"))
        answer = u1.request("MOVE", event_url, Destination=f"http://localhost{HOME}second/a.ics", Overwrite="F")
        assert answer.status == 201
        assert u1.sync(CAL, there).status_of(event_url) == 404
        assert u1.sync(HOME + "second/", here).hrefs == [HOME + "second/a.ics"]

    def test_sync_of_a_rename(self, u1: Client, event_url: str) -> None:
        token = u1.sync(CAL).xpath("string(//D:sync-token)")
        assert u1.request("MOVE", event_url, Destination=CAL + "b.ics").status == 201
        delta = u1.sync(CAL, token)
        assert sorted(delta.hrefs) == [event_url, CAL + "b.ics"]
        assert delta.status_of(event_url) == 404


class TestDestination:
    @BOTH
    def test_missing(self, u1: Client, file: str, method: str) -> None:
        assert u1.request(method, file).status == 400

    @BOTH
    @pytest.mark.parametrize("destination", ["%FF", "/calendars/u1/../u2/x", "ftp://localhost/x", "/calendars/u1/%00"])
    def test_unusable(self, u1: Client, file: str, method: str, destination: str) -> None:
        assert u1.request(method, file, Destination=destination).status == 400

    @BOTH
    def test_another_server(self, u1: Client, file: str, method: str) -> None:
        assert u1.request(method, file, Destination="http://elsewhere.example/x").status == 502
        assert get(u1, file) == b"text"

    @BOTH
    @pytest.mark.parametrize("same", [FILE, "http://localhost" + FILE, FILE.replace("file", "%66ile"), FILE + "/"])
    def test_the_same(self, u1: Client, file: str, method: str, same: str) -> None:
        assert u1.request(method, file, Destination=same).status == 403
        assert get(u1, file) == b"text"

    @BOTH
    @pytest.mark.parametrize(
        "path", [HOME + "no/x", HOME + "no/such/x", "/calendars/nobody/x", "/no/where", FILE + "/x"]
    )
    def test_no_parent(self, u1: Client, file: str, method: str, path: str) -> None:
        assert u1.request(method, file, Destination=path).status == 409

    @BOTH
    @pytest.mark.parametrize("path", ["/", "/principals/u1/", "/principals/", "/calendars/", HOME, HOME + "inbox"])
    def test_places_that_take_nothing(self, u1: Client, file: str, method: str, path: str) -> None:
        assert u1.request(method, file, Destination=path).status == 403
        assert get(u1, file) == b"text"

    @BOTH
    def test_inside_itself(self, u1: Client, tree: str, method: str) -> None:
        assert u1.request(method, tree, Destination=tree + "deep/again/").status == 403
        assert u1.request(method, tree, Destination=tree + "again/").status == 403

    @BOTH
    def test_over_what_it_lies_in(self, u1: Client, tree: str, method: str) -> None:
        assert u1.request(method, tree + "deep/", Destination=tree).status == 403
        assert u1.request(method, tree + "one.txt", Destination=tree).status == 403
        assert get(u1, tree + "one.txt") == b"one"

    def test_depth_0_inside_itself(self, u1: Client, tree: str) -> None:
        assert u1.request("COPY", tree, Destination=tree + "again/", Depth="0").status == 201

    @BOTH
    @pytest.mark.parametrize("path", ["/", "/principals/u1/", HOME, "/calendars/"])
    def test_sources_that_do_not_move(self, u1: Client, method: str, path: str) -> None:
        assert u1.request(method, path, Destination=HOME + "x/").status == 405

    @BOTH
    def test_no_source(self, u1: Client, method: str) -> None:
        assert u1.request(method, HOME + "no.txt", Destination=HOME + "x").status == 404


class TestCollections:
    @BOTH
    def test_with_all_below(self, u1: Client, tree: str, method: str) -> None:
        answer = u1.request(method, tree, Destination=HOME + "new")
        assert answer.status == 201
        assert answer.headers["Location"] == HOME + "new/"
        assert get(u1, HOME + "new/one.txt") == b"one"
        assert get(u1, HOME + "new/deep/two.txt") == b"two"
        assert title(u1, HOME + "new/deep/") == title(u1, HOME + "new/deep/two.txt") == "t"
        assert (get(u1, tree + "deep/two.txt") == b"two") is (method == "COPY")

    @BOTH
    def test_over_another(self, u1: Client, tree: str, method: str) -> None:
        u1.request("MKCOL", OTHER)
        put_file(u1, OTHER + "old.txt")
        assert u1.request(method, tree, Destination=OTHER, Overwrite="F").status == 412
        assert u1.request(method, tree, Destination=OTHER).status == 204
        assert get(u1, OTHER + "one.txt") == b"one"
        assert get(u1, OTHER + "old.txt") == 404

    @BOTH
    def test_file_over_collection_and_back(self, u1: Client, tree: str, file: str, method: str) -> None:
        assert u1.request(method, tree + "one.txt", Destination=tree + "deep").status == 204
        assert get(u1, tree + "deep") == b"one"
        assert u1.request(method, tree, Destination=file).status == 204
        assert get(u1, file + "/deep") == b"one"

    def test_copy_with_depth_0(self, u1: Client, tree: str) -> None:
        u1.proppatch(tree, set=TITLE)
        assert u1.request("COPY", tree, Destination=OTHER, Depth="0").status == 201
        assert u1.propfind(OTHER, "<D:getetag/>", depth=1).hrefs == [OTHER]
        assert title(u1, OTHER) == "t"

    @pytest.mark.parametrize(("method", "depth"), [("COPY", "1"), ("MOVE", "0"), ("MOVE", "1"), ("COPY", "x")])
    def test_other_depths(self, u1: Client, tree: str, method: str, depth: str) -> None:
        assert u1.request(method, tree, Destination=OTHER, Depth=depth).status == 400

    @BOTH
    def test_calendar(self, u1: Client, event_url: str, method: str) -> None:
        u1.proppatch(CAL, set="<D:displayname>Work</D:displayname><A:calendar-color>#FF0000FF</A:calendar-color>")
        assert u1.request(method, CAL, Destination=HOME + "work/").status == 201
        found = u1.propfind(HOME + "work/", "<D:resourcetype/><D:displayname/><A:calendar-color/>")
        assert found.xpath("count(//D:resourcetype/C:calendar)") == 1
        assert found.xpath("string(//D:displayname)") == "Work"
        assert found.xpath("string(//A:calendar-color)") == "#FF0000FF"
        assert u1.sync(HOME + "work/").hrefs == [HOME + "work/a.ics"]
        assert get(u1, HOME + "work/a.ics") == event("a").encode()

    @BOTH
    def test_component_set_comes_along(self, u1: Client, method: str) -> None:
        assert u1.request(method, TASKS, Destination=HOME + "todo/").status == 201
        found = u1.propfind(HOME + "todo/", "<C:supported-calendar-component-set/>")
        assert found.xpath("//C:comp/@name") == ["VTODO"]

    @BOTH
    @pytest.mark.parametrize("source", [CAL, PLAIN])
    @pytest.mark.parametrize("destination", [TASKS + "x/", OTHER + "x/"])
    def test_where_calendars_lie(self, u1: Client, tree: str, method: str, source: str, destination: str) -> None:
        u1.request("MKCOL", OTHER)
        answer = u1.request(method, source, Destination=destination)
        if (source, destination) == (PLAIN, OTHER + "x/"):
            assert answer.status == 201
        else:
            assert (answer.status, answer.conditions) == (403, ["calendar-collection-location-ok"])

    def test_old_tokens_of_a_moved_calendar(self, u1: Client, event_url: str) -> None:
        token = u1.sync(CAL).xpath("string(//D:sync-token)")
        u1.request("MOVE", CAL, Destination=HOME + "work/")
        assert u1.sync(HOME + "work/", token).conditions == ["valid-sync-token"]
        assert u1.sync(HOME + "work/").hrefs == [HOME + "work/a.ics"]

    def test_home_sync_shows_both(self, u1: Client) -> None:
        token = u1.sync(HOME).xpath("string(//D:sync-token)")
        u1.request("MOVE", CAL, Destination=HOME + "work/")
        delta = u1.sync(HOME, token)
        assert delta.status_of(CAL) == 404 or delta.status_of(CAL.rstrip("/")) == 404
        assert HOME + "work/" in delta.hrefs


class TestCalendarObjects:
    """The preconditions of RFC 4791 section 5.3.2.1."""

    @BOTH
    def test_uid_conflict(self, u1: Client, event_url: str, method: str) -> None:
        u1.request("MKCALENDAR", HOME + "second/")
        u1.put(HOME + "second/same.ics", event("a"))
        answer = u1.request(method, event_url, Destination=HOME + "second/b.ics")
        assert (answer.status, answer.conditions) == (403, ["no-uid-conflict"])
        assert hrefs_in_error(answer) == [HOME + "second/same.ics"]
        assert get(u1, event_url) == event("a").encode()

    def test_copy_within_one_calendar(self, u1: Client, event_url: str) -> None:
        answer = u1.request("COPY", event_url, Destination=CAL + "b.ics")
        assert (answer.conditions, hrefs_in_error(answer)) == (["no-uid-conflict"], [event_url])

    @BOTH
    def test_over_the_same_uid(self, u1: Client, event_url: str, method: str) -> None:
        u1.request("MKCALENDAR", HOME + "second/")
        u1.put(HOME + "second/same.ics", event("a", summary="old"))
        assert u1.request(method, event_url, Destination=HOME + "second/same.ics").status == 204
        assert get(u1, HOME + "second/same.ics") == event("a").encode()

    @BOTH
    def test_over_another_uid(self, u1: Client, event_url: str, method: str) -> None:
        u1.put(CAL + "b.ics", event("b"))
        answer = u1.request(method, event_url, Destination=CAL + "b.ics")
        assert (answer.status, answer.conditions) == (403, ["no-uid-conflict"])
        assert hrefs_in_error(answer) == [CAL + "b.ics"]
        assert get(u1, CAL + "b.ics") == event("b").encode()

    @BOTH
    def test_component(self, u1: Client, event_url: str, method: str) -> None:
        answer = u1.request(method, event_url, Destination=TASKS + "a.ics")
        assert (answer.status, answer.conditions) == (403, ["supported-calendar-component"])
        u1.put(TASKS + "t.ics", todo("t"))
        u1.request("MKCALENDAR", HOME + "all/")
        assert u1.request(method, TASKS + "t.ics", Destination=HOME + "all/t.ics").status == 201

    @BOTH
    def test_out_of_a_calendar(self, u1: Client, event_url: str, method: str) -> None:
        """It is a file there, and nothing keeps two of the same UID apart."""
        u1.request("MKCALENDAR", HOME + "second/")
        u1.put(HOME + "second/a.ics", event("a"))
        u1.request("MKCOL", PLAIN)
        for source, target in ((event_url, PLAIN + "1.ics"), (HOME + "second/a.ics", PLAIN + "2.ics")):
            assert u1.request(method, source, Destination=target).status == 201
            got = u1.request("GET", target)
            assert got.body == event("a").encode()
            assert got.headers["Content-Type"].startswith("text/calendar")

    @BOTH
    def test_into_a_calendar(self, u1: Client, method: str) -> None:
        put_file(u1, FILE, event("f"), Content_Type="text/calendar")
        u1.proppatch(FILE, set=TITLE)
        etag = u1.request("GET", FILE).headers["ETag"]
        assert u1.request(method, FILE, Destination=CAL + "f.ics").status == 201
        assert u1.request("GET", CAL + "f.ics").headers["ETag"] == etag
        assert title(u1, CAL + "f.ics") == "t"
        again = u1.put(CAL + "g.ics", event("f"))
        assert (again.conditions, hrefs_in_error(again)) == (["no-uid-conflict"], [CAL + "f.ics"])

    @BOTH
    def test_into_a_calendar_with_a_taken_uid(self, u1: Client, event_url: str, method: str) -> None:
        put_file(u1, FILE, event("a"), Content_Type="text/calendar")
        answer = u1.request(method, FILE, Destination=CAL + "f.ics")
        assert (answer.conditions, hrefs_in_error(answer)) == (["no-uid-conflict"], [event_url])
        assert u1.request(method, FILE, Destination=event_url).status == 204

    @BOTH
    def test_file_over_an_object_with_another_uid(self, u1: Client, event_url: str, method: str) -> None:
        put_file(u1, FILE, event("f"), Content_Type="text/calendar")
        answer = u1.request(method, FILE, Destination=event_url)
        assert (answer.conditions, hrefs_in_error(answer)) == (["no-uid-conflict"], [event_url])

    @BOTH
    @pytest.mark.parametrize(
        ("body", "content_type", "condition"),
        [
            ("no calendar", "text/calendar", "valid-calendar-data"),
            ("x", "image/png", "supported-calendar-data"),
            (
                event("m").replace("VERSION", "METHOD:REQUEST\r\nVERSION"),
                "text/calendar",
                "valid-calendar-object-resource",
            ),
        ],
    )
    def test_file_that_is_no_calendar_object(
        self, u1: Client, method: str, body: str, content_type: str, condition: str
    ) -> None:
        put_file(u1, FILE, body, Content_Type=content_type)
        answer = u1.request(method, FILE, Destination=CAL + "f.ics")
        assert (answer.status, answer.conditions) == (403, [condition])
        assert get(u1, FILE) == body.encode()

    @BOTH
    def test_too_large_for_a_calendar_here(self, with_limits: Callable[..., Client], store: Store, method: str) -> None:
        put_file(Client(with_limits().application, "u1"), FILE, event("f"), Content_Type="text/calendar")
        answer = with_limits(max_resource_size=50).request(method, FILE, Destination=CAL + "f.ics")
        assert (answer.status, answer.conditions) == (403, ["max-resource-size"])


class TestOtherHomes:
    @BOTH
    def test_admin(self, u1: Client, u2: Client, admin: Client, event_url: str, method: str) -> None:
        answer = admin.request(method, event_url, Destination=THEIRS + "calendar/a.ics")
        assert answer.status == 201
        assert answer.headers["Location"] == THEIRS + "calendar/a.ics"
        assert get(u2, THEIRS + "calendar/a.ics") == event("a").encode()
        assert u2.sync(THEIRS + "calendar/").hrefs == [THEIRS + "calendar/a.ics"]

    @BOTH
    def test_collection(self, u1: Client, u2: Client, admin: Client, tree: str, method: str) -> None:
        assert admin.request(method, tree, Destination=THEIRS + "got/").status == 201
        assert get(u2, THEIRS + "got/deep/two.txt") == b"two"

    @BOTH
    def test_into_a_shared_calendar(self, u1: Client, u2: Client, store: Store, event_url: str, method: str) -> None:
        destination = THEIRS + "calendar/a.ics"
        assert u1.request(method, event_url, Destination=destination).status == 409  # nobody tells that it is there
        grant(store, THEIRS + "calendar/", "u1", "read")
        refused = u1.request(method, event_url, Destination=destination)
        assert (refused.status, refused.conditions) == (403, ["need-privileges"])
        assert refused.xpath("string(//D:resource/D:href)") == THEIRS + "calendar/"
        assert refused.xpath("count(//D:privilege/D:bind)") == 1
        grant(store, THEIRS + "calendar/", "u1", "bind")
        assert u1.request(method, event_url, Destination=destination).status == 201
        assert get(u2, destination) == event("a").encode()

    def test_copy_from_a_shared_calendar(self, u2: Client, store: Store, event_url: str) -> None:
        assert u2.request("COPY", event_url, Destination=THEIRS + "calendar/a.ics").status == 404
        grant(store, CAL, "u2", "bind")
        refused = u2.request("COPY", event_url, Destination=THEIRS + "calendar/a.ics")
        assert refused.xpath("count(//D:privilege/D:read)") == 1
        grant(store, CAL, "u2", "read")
        assert u2.request("COPY", event_url, Destination=THEIRS + "calendar/a.ics").status == 201

    def test_move_from_a_shared_calendar(self, u1: Client, u2: Client, store: Store, event_url: str) -> None:
        grant(store, CAL, "u2", "read", "write-content")
        refused = u2.request("MOVE", event_url, Destination=THEIRS + "calendar/a.ics")
        assert refused.xpath("count(//D:privilege/D:unbind)") == 1
        assert refused.xpath("string(//D:resource/D:href)") == CAL
        grant(store, CAL, "u2", "unbind")
        assert u2.request("MOVE", event_url, Destination=THEIRS + "calendar/a.ics").status == 403  # cannot read it
        grant(store, CAL, "u2", "read", "unbind")
        assert u2.request("MOVE", event_url, Destination=THEIRS + "calendar/a.ics").status == 201
        assert get(u1, event_url) == 404

    def test_overwriting(self, u1: Client, u2: Client, store: Store, event_url: str) -> None:
        destination = THEIRS + "calendar/a.ics"
        u2.put(destination, event("a", summary="old"))

        def missing(method: str, *privileges: str) -> list[str]:
            grant(store, THEIRS + "calendar/", "u1", *privileges)
            answer: Answer = u1.request(method, event_url, Destination=destination)
            return [found.tag.rpartition("}")[2] for found in answer.xpath("//D:privilege/*")] if answer.body else []

        assert missing("COPY", "read", "bind") == ["write-content", "write-properties"]
        assert missing("COPY", "read", "write-content") == ["write-properties"]
        assert missing("MOVE", "read", "write-content", "write-properties", "bind") == ["unbind"]
        assert missing("COPY", "write-content", "write-properties") == []
        assert missing("MOVE", "bind", "unbind") == []

    def test_members_that_are_not_readable(self, u1: Client, u2: Client, store: Store, tree: str) -> None:
        grant(store, tree, "u2", "read")
        deny(store, tree + "deep/", "u2", "read")
        answer = u2.request("COPY", tree, Destination=THEIRS + "got/")
        assert (answer.status, answer.conditions) == (403, ["need-privileges"])
        assert get(u2, THEIRS + "got/one.txt") == 404
        assert u2.request("COPY", tree, Destination=THEIRS + "got/", Depth="0").status == 201

    def test_acls(self, u1: Client, u2: Client, store: Store, event_url: str) -> None:
        """RFC 3744 sections 7.3 and 7.4: a move keeps what was granted, a copy is born without."""
        grant(store, CAL, "u2", "read")
        u1.request("COPY", CAL, Destination=HOME + "copied/")
        u1.request("MOVE", CAL, Destination=HOME + "moved/")
        assert get(u2, HOME + "moved/a.ics") == event("a").encode()
        assert get(u2, HOME + "copied/a.ics") == 404

    @BOTH
    def test_quota_of_the_other_home(self, admin: Client, store: Store, file: str, method: str) -> None:
        def limit(tx: object) -> None:
            homes = tx.homes  # type: ignore[attr-defined]
            homes.set_quota(homes.lock_of(["u2"])["u2"].id, 3)

        store.run(limit, write=True)
        answer = admin.request(method, file, Destination=THEIRS + "file.txt")
        assert (answer.status, answer.conditions) == (507, ["quota-not-exceeded"])
        assert get(admin, file) == b"text"
        assert get(admin, THEIRS + "file.txt") == 404


def test_large_collections_in_few_statements(u1: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statements of a COPY do not grow with the number of objects."""
    from storage.rows import NewObject
    from storage.store import Transaction

    def fill(tx: Transaction) -> None:
        tx.homes.lock_of(["u1"])
        found = tx.collections.find("u1", ("calendar",))
        assert found is not None
        new = [(f"{number}.ics", NewObject(b"x", "text/calendar", uid=str(number))) for number in range(2000)]
        tx.objects.put_many(found.collection, new)

    from sqlalchemy import event as sql_events
    from sqlalchemy.engine import Engine

    store.run(fill, write=True)
    statements: list[str] = []

    def count(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    sql_events.listen(Engine, "before_cursor_execute", count)
    try:
        assert u1.request("COPY", CAL, Destination=HOME + "copy/").status == 201
    finally:
        sql_events.remove(Engine, "before_cursor_execute", count)
    assert len(statements) < 40
    assert len(u1.sync(HOME + "copy/").hrefs) == 2000


class TestRepresentation:
    """RFC 8144 section 3.1: what is there after it, in the answer."""

    @BOTH
    def test_created_and_replaced(self, u1: Client, file: str, method: str) -> None:
        etag = u1.request("GET", file).headers["ETag"]
        created = u1.request(method, file, Destination=HOME + "new.txt", Prefer="return=representation")
        assert (created.status, created.body, created.headers["ETag"]) == (201, b"text", etag)
        assert created.headers["Content-Location"] == created.headers["Location"] == HOME + "new.txt"
        assert created.headers["Content-Type"] == "text/plain"
        assert created.headers["Preference-Applied"] == "return=representation"
        u1.request("MKCOL", PLAIN)
        replaced = u1.request(method, HOME + "new.txt", Destination=PLAIN, Prefer="return=representation")
        assert (replaced.status, replaced.body) == (200, b"text")
        assert replaced.headers["Content-Location"] == HOME + "plain"
        assert "Location" not in replaced.headers

    @BOTH
    def test_collections_have_none(self, u1: Client, tree: str, method: str) -> None:
        answer = u1.request(method, tree, Destination=OTHER, Prefer="return=representation")
        assert (answer.status, answer.body) == (201, b"")

    def test_not_for_who_may_not_read_it(self, u1: Client, u2: Client, store: Store, event_url: str) -> None:
        grant(store, CAL, "u2", "bind", "unbind")
        answer = u2.request("MOVE", event_url, Destination=CAL + "b.ics", Prefer="return=representation")
        assert (answer.status, answer.body) == (201, b"")


@BOTH
@pytest.mark.parametrize("collection", [False, True])
def test_last_modified_goes_up(
    u1: Client, store: Store, monkeypatch: pytest.MonkeyPatch, method: str, collection: bool
) -> None:
    """RFC 4918 section 8.8: a cache that has the former content of the URL must not take it for the present one."""
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)

    def at(seconds: int) -> None:
        monkeypatch.setattr(store, "_clock", lambda: now + timedelta(seconds=seconds))

    for path in (PLAIN, OTHER):
        u1.request("MKCOL", path)
    put_file(u1, PLAIN + "a")
    at(60)
    put_file(u1, OTHER + "a", "other")
    before = u1.request("GET", OTHER + "a").headers["Last-Modified"]
    at(120)
    source, target = (PLAIN, OTHER) if collection else (PLAIN + "a", OTHER + "a")
    assert u1.request(method, source, Destination=target).status == 204
    assert u1.request("GET", OTHER + "a", If_Modified_Since=before).body == b"text"
