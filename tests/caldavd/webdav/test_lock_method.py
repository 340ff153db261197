"""LOCK, UNLOCK and ``lockdiscovery`` (RFC 4918 sections 6, 9.10, 9.11, 15.8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from lxml import etree

from caldavd.app import Application
from caldavd.methods import lock as lock_method
from storage.store import Store
from tests.caldavd.client import DECLARATIONS, NS, Client, event
from tests.caldavd.webdav.sharing import (
    CAL,
    HOME,
    active_locks,
    deny,
    doctor,
    grant,
    hrefs_in_error,
    lock,
    lockinfo,
    put_file,
    text_in,
    token_of,
)

FILE = HOME + "file.txt"
PLAIN = HOME + "plain/"


@pytest.fixture
def file(u1: Client) -> str:
    assert put_file(u1, FILE).status == 201
    return FILE


@pytest.fixture
def plain(u1: Client) -> str:
    assert u1.request("MKCOL", PLAIN).status == 201
    return PLAIN


class TestNew:
    def test_answer(self, u1: Client, file: str) -> None:
        answer = u1.request("LOCK", file, lockinfo(), Depth="0", Timeout="Second-100")
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("application/xml")
        token = token_of(answer)
        (active,) = answer.xpath("/D:prop/D:lockdiscovery/D:activelock")
        assert active.find("D:locktype/D:write", NS) is not None
        assert active.find("D:lockscope/D:exclusive", NS) is not None
        assert text_in(active, "D:depth") == "0"
        assert text_in(active, "D:timeout") == "Second-100"
        assert text_in(active, "D:locktoken/D:href") == token
        assert text_in(active, "D:lockroot/D:href") == file

    def test_owner_is_kept_as_it_was(self, u1: Client, file: str) -> None:
        owner = (
            '<D:owner xml:lang="de"><X:who xmlns:X="urn:x" a="1">J\u00f6rg <X:b/>&amp; Co</X:who>'
            "<D:href>mailto:j@example.org</D:href></D:owner>"
        )
        assert u1.request("LOCK", file, lockinfo(owner=owner)).status == 200
        (active,) = active_locks(u1, file)
        found = active.find("{DAV:}owner")
        assert found is not None
        assert found.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"
        who = found.find("{urn:x}who")
        assert who is not None
        assert who.get("a") == "1"
        assert who.text == "J\u00f6rg "
        assert who[0].tail == "& Co"

    def test_without_owner(self, u1: Client, file: str) -> None:
        answer = u1.request("LOCK", file, lockinfo(owner=""))
        assert answer.status == 200
        assert answer.xpath("count(//D:owner)") == 0

    def test_depth_is_infinity_where_none_is_given(self, u1: Client, plain: str) -> None:
        answer = u1.request("LOCK", plain, lockinfo())
        assert answer.xpath("string(//D:depth)") == "infinity"

    @pytest.mark.parametrize("depth", ["1", "2", "nonsense"])
    def test_other_depths(self, u1: Client, plain: str, depth: str) -> None:
        assert u1.request("LOCK", plain, lockinfo(), Depth=depth).status == 400

    @pytest.mark.parametrize(
        ("asked", "given"),
        [
            ("Second-7", "Second-7"),
            ("Infinite", "Second-86400"),
            ("Infinite, Second-4100000000", "Second-86400"),
            ("Second-99999999999999999999", "Second-86400"),
            ("Extend, Second-5", "Second-5"),
            ("nonsense", "Second-3600"),
            ("Second-0", "Second-1"),
        ],
    )
    def test_timeout(self, u1: Client, file: str, asked: str, given: str) -> None:
        answer = u1.request("LOCK", file, lockinfo(), Timeout=asked)
        assert answer.xpath("string(//D:timeout)") == given

    def test_timeout_default_and_limit(self, with_limits: Callable[..., Client]) -> None:
        client = with_limits(max_lock_seconds=60)
        put_file(client, FILE)
        assert client.request("LOCK", FILE, lockinfo()).xpath("string(//D:timeout)") == "Second-60"

    @pytest.mark.parametrize(
        "body",
        [
            "<D:lockinfo",
            f"<D:propfind {DECLARATIONS}/>",
            f"<D:lockinfo {DECLARATIONS}/>",
            f"<D:lockinfo {DECLARATIONS}><D:lockscope><D:exclusive/></D:lockscope></D:lockinfo>",
            f"<D:lockinfo {DECLARATIONS}><D:locktype><D:write/></D:locktype></D:lockinfo>",
            (
                f"<D:lockinfo {DECLARATIONS}><D:lockscope><D:exclusive/><D:shared/></D:lockscope>"
                "<D:locktype><D:write/></D:locktype></D:lockinfo>"
            ),
        ],
    )
    def test_malformed_body(self, u1: Client, file: str, body: str) -> None:
        assert u1.request("LOCK", file, body).status == 400
        assert active_locks(u1, file) == []

    @pytest.mark.parametrize(("scope", "kind"), [("local", "write"), ("exclusive", "read")])
    def test_unknown_scope_or_type(self, u1: Client, file: str, scope: str, kind: str) -> None:
        body = lockinfo(scope).replace("<D:write/>", f"<D:{kind}/>")
        assert u1.request("LOCK", file, body).status == 422

    def test_owner_too_large(self, u1: Client, file: str) -> None:
        owner = f"<D:owner>{'x' * lock_method.MAX_OWNER}</D:owner>"
        assert u1.request("LOCK", file, lockinfo(owner=owner)).status == 413

    def test_as_many_as_there_may_be(self, u1: Client, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lock_method, "MAX_LOCKS", 2)
        lock(u1, file, "shared")
        lock(u1, file, "shared")
        assert u1.request("LOCK", file, lockinfo("shared")).status == 507

    def test_supportedlock(self, u1: Client, file: str) -> None:
        for path in (file, CAL, HOME):
            found = u1.propfind(path, "<D:supportedlock/>")
            assert found.xpath("count(//D:lockentry[D:locktype/D:write])") == 2

    def test_not_on_principals(self, u1: Client) -> None:
        assert u1.request("LOCK", "/principals/u1/", lockinfo()).status == 405
        assert u1.request("LOCK", "/", lockinfo()).status == 405


class TestUnmapped:
    def test_creates_an_empty_file(self, u1: Client, store: Store) -> None:
        answer = u1.request("LOCK", FILE, lockinfo())
        assert answer.status == 201
        assert answer.xpath("count(/D:prop/D:lockdiscovery/D:activelock)") == 1
        got = u1.request("GET", FILE)
        assert (got.status, got.body, got.headers["Content-Length"]) == (200, b"", "0")
        assert FILE in u1.propfind(HOME, "<D:getetag/>", depth=1).hrefs
        assert doctor(store) == []

    def test_stays_after_the_lock(self, u1: Client) -> None:
        token = lock(u1, FILE)
        assert u1.request("UNLOCK", FILE, Lock_Token=f"<{token}>").status == 204
        assert u1.request("GET", FILE).status == 200

    def test_takes_content_and_no_mkcol(self, u1: Client) -> None:
        token = lock(u1, FILE)
        assert put_file(u1, FILE, "x", If=f"(<{token}>)").status == 204
        assert u1.request("MKCOL", FILE, If=f"(<{token}>)").status == 405

    def test_no_parent(self, u1: Client) -> None:
        assert u1.request("LOCK", HOME + "no/file.txt", lockinfo()).status == 409

    def test_reserved_name(self, u1: Client) -> None:
        assert u1.request("LOCK", HOME + "notifications", lockinfo()).status == 403

    def test_a_calendar_has_no_empty_objects(self, u1: Client) -> None:
        answer = u1.request("LOCK", CAL + "new.ics", lockinfo())
        assert answer.status == 403
        assert answer.conditions == ["valid-calendar-data"]
        assert u1.request("GET", CAL + "new.ics").status == 404

    def test_in_a_locked_collection(self, u1: Client, plain: str) -> None:
        token = lock(u1, plain, depth="0")
        refused = u1.request("LOCK", plain + "x", lockinfo())
        assert (refused.status, refused.conditions) == (423, ["lock-token-submitted"])
        assert hrefs_in_error(refused) == [plain]
        assert u1.request("LOCK", plain + "x", lockinfo(), If=f"<{plain}> (<{token}>)").status == 201

    def test_if_none_match(self, u1: Client, file: str) -> None:
        assert u1.request("LOCK", file, lockinfo(), If_None_Match="*").status == 412
        assert u1.request("LOCK", HOME + "other", lockinfo(), If_None_Match="*").status == 201


class TestConflicts:
    """The table of RFC 4918 section 9.10.5."""

    @pytest.mark.parametrize(
        ("held", "asked", "granted"),
        [
            ("shared", "shared", True),
            ("shared", "exclusive", False),
            ("exclusive", "shared", False),
            ("exclusive", "exclusive", False),
        ],
    )
    def test_compatibility(self, u1: Client, file: str, held: str, asked: str, granted: bool) -> None:
        lock(u1, file, held)
        answer = u1.request("LOCK", file, lockinfo(asked))
        assert answer.status == (200 if granted else 423)
        if granted:
            assert len(active_locks(u1, file)) == 2
        else:
            assert answer.conditions == ["no-conflicting-lock"]
            assert hrefs_in_error(answer) == [file]

    def test_indirect(self, u1: Client, plain: str) -> None:
        put_file(u1, plain + "x")
        lock(u1, plain)
        answer = u1.request("LOCK", plain + "x", lockinfo("shared"))
        assert (answer.status, answer.conditions, hrefs_in_error(answer)) == (423, ["no-conflicting-lock"], [plain])

    def test_depth_0_is_no_conflict_for_members(self, u1: Client, plain: str) -> None:
        put_file(u1, plain + "x")
        lock(u1, plain, depth="0")
        lock(u1, plain + "x")

    def test_below(self, u1: Client, plain: str) -> None:
        put_file(u1, plain + "x")
        lock(u1, plain + "x")
        answer = u1.request("LOCK", plain, lockinfo("shared"))
        assert (answer.status, answer.conditions) == (423, ["no-conflicting-lock"])
        assert hrefs_in_error(answer) == [plain + "x"]
        assert active_locks(u1, plain) == []
        assert u1.request("LOCK", plain, lockinfo("shared"), Depth="0").status == 200

    def test_below_in_a_collection(self, u1: Client, plain: str) -> None:
        u1.request("MKCOL", plain + "deep/")
        lock(u1, plain + "deep/", depth="0")
        assert hrefs_in_error(u1.request("LOCK", plain, lockinfo())) == [plain + "deep/"]

    def test_calendars(self, u1: Client) -> None:
        u1.put(CAL + "a.ics", event("a"))
        lock(u1, CAL + "a.ics")
        assert u1.request("LOCK", CAL, lockinfo()).status == 423


class TestRefresh:
    def test_restarts_the_time(self, u1: Client, file: str) -> None:
        token = lock(u1, file, Timeout="Second-100")
        answer = u1.request("LOCK", file, If=f"(<{token}>)", Timeout="Second-500", Depth="1")
        assert answer.status == 200
        assert "Lock-Token" not in answer.headers
        assert answer.xpath("string(//D:timeout)") == "Second-500"
        assert [text_in(one, "D:locktoken/D:href") for one in active_locks(u1, file)] == [token]

    def test_from_a_member(self, u1: Client, plain: str) -> None:
        put_file(u1, plain + "x")
        token = lock(u1, plain)
        answer = u1.request("LOCK", plain + "x", If=f"(<{token}>)", Timeout="Second-9")
        assert answer.status == 200
        assert answer.xpath("string(//D:lockroot/D:href)") == plain
        assert answer.xpath("string(//D:timeout)") == "Second-9"

    def test_other_locks_do_not_matter(self, u1: Client, file: str) -> None:
        one, two = lock(u1, file, "shared", Timeout="Second-50"), lock(u1, file, "shared", Timeout="Second-60")
        answer = u1.request("LOCK", file, If=f"(<{two}>)", Timeout="Second-70")
        times = {text_in(one, "D:locktoken/D:href"): text_in(one, "D:timeout") for one in active_locks(u1, file)}
        assert answer.status == 200
        assert times == {one: "Second-50", two: "Second-70"}

    def test_needs_if(self, u1: Client, file: str) -> None:
        lock(u1, file)
        assert u1.request("LOCK", file).status == 400

    def test_unknown_token(self, u1: Client, file: str) -> None:
        lock(u1, file)
        answer = u1.request("LOCK", file, If="(<urn:uuid:00000000-0000-0000-0000-000000000000>)")
        assert (answer.status, answer.conditions) == (412, ["lock-token-matches-request-uri"])

    def test_lock_of_another_resource(self, u1: Client, file: str, plain: str) -> None:
        token = lock(u1, plain)
        answer = u1.request("LOCK", file, If=f"<{plain}> (<{token}>)")
        assert (answer.status, answer.conditions) == (412, ["lock-token-matches-request-uri"])

    def test_unmapped(self, u1: Client) -> None:
        assert u1.request("LOCK", FILE, If="(<urn:uuid:0>)").status == 412
        assert u1.request("GET", FILE).status == 404

    def test_only_one_at_a_time(self, u1: Client, file: str) -> None:
        one, two = lock(u1, file, "shared"), lock(u1, file, "shared")
        assert u1.request("LOCK", file, If=f"(<{one}> <{two}>)").status == 400

    def test_of_somebody_else(self, u1: Client, u2: Client, file: str, store: Store) -> None:
        grant(store, HOME, "u2", "read", "write")
        token = lock(u1, file)
        assert u2.request("LOCK", file, If=f"(<{token}>)").status == 403


class TestUnlock:
    def test_goes(self, u1: Client, file: str) -> None:
        token = lock(u1, file)
        answer = u1.request("UNLOCK", file, Lock_Token=f"<{token}>")
        assert (answer.status, answer.body) == (204, b"")
        assert active_locks(u1, file) == []
        assert put_file(u1, file, "changed").status == 204

    @pytest.mark.parametrize("header", [None, "", "urn:uuid:1", "<>", "<a b>", "<urn:uuid:1> x"])
    def test_needs_a_token(self, u1: Client, file: str, header: str | None) -> None:
        lock(u1, file)
        headers = {} if header is None else {"Lock_Token": header}
        assert u1.request("UNLOCK", file, **headers).status == 400

    def test_unknown_token(self, u1: Client, file: str) -> None:
        lock(u1, file)
        answer = u1.request("UNLOCK", file, Lock_Token="<urn:uuid:1>")
        assert (answer.status, answer.conditions) == (409, ["lock-token-matches-request-uri"])
        assert len(active_locks(u1, file)) == 1

    def test_outside_of_the_scope(self, u1: Client, file: str, plain: str) -> None:
        put_file(u1, plain + "x")
        token = lock(u1, plain, depth="0")
        for path in (file, plain + "x"):
            answer = u1.request("UNLOCK", path, Lock_Token=f"<{token}>")
            assert (answer.status, answer.conditions) == (409, ["lock-token-matches-request-uri"])

    def test_from_a_member(self, u1: Client, plain: str) -> None:
        put_file(u1, plain + "x")
        token = lock(u1, plain)
        assert u1.request("UNLOCK", plain + "x", Lock_Token=f"<{token}>").status == 204
        assert active_locks(u1, plain) == []

    def test_one_of_two(self, u1: Client, file: str) -> None:
        one, two = lock(u1, file, "shared"), lock(u1, file, "shared")
        assert u1.request("UNLOCK", file, Lock_Token=f"<{one}>").status == 204
        assert [text_in(left, "D:locktoken/D:href") for left in active_locks(u1, file)] == [two]

    def test_if_header_counts(self, u1: Client, file: str) -> None:
        token = lock(u1, file)
        assert u1.request("UNLOCK", file, Lock_Token=f"<{token}>", If='(["x"])').status == 412
        assert len(active_locks(u1, file)) == 1

    def test_others_need_unlock(self, u1: Client, u2: Client, file: str, store: Store) -> None:
        token = lock(u1, file)
        assert u2.request("UNLOCK", file, Lock_Token=f"<{token}>").status == 404
        grant(store, HOME, "u2", "read", "write")
        refused = u2.request("UNLOCK", file, Lock_Token=f"<{token}>")
        assert (refused.status, refused.conditions) == (403, ["need-privileges"])
        assert refused.xpath("count(//D:need-privileges/D:resource/D:privilege/D:unlock)") == 1
        grant(store, HOME, "u2", "read", "unlock")
        assert u2.request("UNLOCK", file, Lock_Token=f"<{token}>").status == 204

    def test_the_owner_of_the_home_may(self, u1: Client, u2: Client, file: str, store: Store) -> None:
        grant(store, HOME, "u2", "read", "write")
        token = lock(u2, file)
        assert put_file(u1, file, "x", If=f"(<{token}>)").status == 423
        assert u1.request("UNLOCK", file, Lock_Token=f"<{token}>").status == 204

    def test_the_administrator_may(self, u1: Client, admin: Client, file: str) -> None:
        token = lock(u1, file)
        assert admin.request("UNLOCK", file, Lock_Token=f"<{token}>").status == 204


class TestPrivileges:
    def test_lock_needs_write_content(self, u2: Client, file: str, store: Store) -> None:
        assert u2.request("LOCK", file, lockinfo()).status == 404
        grant(store, HOME, "u2", "read", "write-properties")
        refused = u2.request("LOCK", file, lockinfo())
        assert (refused.status, refused.conditions) == (403, ["need-privileges"])
        assert refused.xpath("count(//D:privilege/D:write-content)") == 1
        grant(store, HOME, "u2", "write-content")
        assert u2.request("LOCK", file, lockinfo()).status == 200

    def test_lock_on_unmapped_needs_bind(self, u2: Client, store: Store) -> None:
        grant(store, HOME, "u2", "read", "write-content")
        refused = u2.request("LOCK", FILE, lockinfo())
        assert refused.xpath("count(//D:privilege/D:bind)") == 1
        grant(store, HOME, "u2", "bind")
        assert u2.request("LOCK", FILE, lockinfo()).status == 201

    def test_all_or_nothing_below(self, u1: Client, u2: Client, store: Store, plain: str) -> None:
        u1.request("MKCOL", plain + "secret/")
        grant(store, plain, "u2", "read", "write")
        deny(store, plain + "secret/", "u2", "write-content")
        answer = u2.request("LOCK", plain, lockinfo())
        assert answer.status == 207
        assert answer.status_of(plain + "secret/") == 403
        assert answer.status_of(plain) == 424
        assert active_locks(u1, plain) == []
        assert u2.request("LOCK", plain, lockinfo(), Depth="0").status == 200


class TestDiscovery:
    def test_inherited_lock_shows_its_root(self, u1: Client) -> None:
        u1.put(CAL + "a.ics", event("a"))
        token = lock(u1, CAL)
        for path in (CAL, CAL + "a.ics"):
            (active,) = active_locks(u1, path)
            assert text_in(active, "D:lockroot/D:href") == CAL
            assert text_in(active, "D:locktoken/D:href") == token
        assert active_locks(u1, HOME) == []

    def test_depth_0_is_not_inherited(self, u1: Client) -> None:
        u1.put(CAL + "a.ics", event("a"))
        lock(u1, CAL, depth="0")
        assert active_locks(u1, CAL + "a.ics") == []

    def test_what_is_put_below_is_locked(self, u1: Client, plain: str) -> None:
        token = lock(u1, plain)
        assert put_file(u1, plain + "x", If=f"<{plain}> (<{token}>)").status == 201
        assert len(active_locks(u1, plain + "x")) == 1

    def test_allprop_names_it_and_it_is_protected(self, u1: Client, file: str) -> None:
        lock(u1, file)
        everything = u1.request("PROPFIND", file, Depth="0")
        assert everything.xpath("count(//D:prop/D:lockdiscovery/D:activelock)") == 1
        assert everything.xpath("count(//D:prop/D:supportedlock)") == 1
        answer = u1.proppatch(HOME, set="<D:lockdiscovery/>")
        assert answer.status_of(HOME, "D:lockdiscovery") == 403
        assert answer.xpath("count(//D:error/D:cannot-modify-protected-property)") == 1

    def test_empty_without_locks(self, u1: Client, file: str) -> None:
        assert active_locks(u1, file) == []

    def test_one_statement_a_listing(self, u1: Client) -> None:
        for number in range(3):
            u1.put(f"{CAL}{number}.ics", event(str(number)))
        lock(u1, CAL)
        listing = u1.propfind(CAL, "<D:lockdiscovery/>", depth=1)
        assert listing.xpath("count(//D:activelock)") == 4


def test_expired_locks_are_gone(application: Application, store: Store, file: str) -> None:
    """A store whose clock stands later sees the lock no more; nothing waits here."""
    from datetime import UTC, datetime, timedelta

    client = Client(application, "u1")
    lock(client, file, Timeout="Second-10")
    later = datetime.now(UTC) + timedelta(seconds=11)
    assert put_file(client, file, "too early").status == 423
    store._clock = lambda: later  # type: ignore[attr-defined]
    assert active_locks(Client(replace(application, store=store), "u1"), file) == []
    assert put_file(client, file, "free again").status == 204


def test_tokens_are_unique(u1: Client, file: str) -> None:
    assert len({lock(u1, file, "shared") for _ in range(5)}) == 5


def test_xml_bombs_are_refused(u1: Client, file: str) -> None:
    body = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + lockinfo(owner="<D:owner>&a;</D:owner>")
    answer = u1.request("LOCK", file, body)
    assert 400 <= answer.status < 500
    etree.fromstring(answer.body)
    assert active_locks(u1, file) == []
