"""expand-property (RFC 3253 section 3.8), nested and within bounds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caldavd.reports import expand_property
from caldavd.xml.hrefs import cut, hrefs_in
from storage.rows import PrincipalKind
from storage.store import Store, Transaction
from tests.caldavd.client import NS, Answer, Client, event
from tests.caldavd.sharing import ace, acl, principal, statements

AsUser = Callable[[str | None], Client]

HOME = "/calendars/u1/"
CAL = HOME + "calendar/"
ME = "/principals/u1/"
CALDAV = NS["C"]


def prop(name: str, *inner: str, namespace: str = "") -> str:
    """A ``D:property`` element."""
    attribute = f' namespace="{namespace}"' if namespace else ""
    return f'<D:property name="{name}"{attribute}>{"".join(inner)}</D:property>'


def expand(client: Client, path: str, *inner: str, **headers: str) -> Answer:
    return client.report(path, "D:expand-property", "".join(inner), **headers)


def test_what_has_no_inner_properties_is_reported_as_by_propfind(u1: Client) -> None:
    answer = expand(u1, ME, prop("displayname"), prop("calendar-home-set", namespace=CALDAV), prop("nothing"))
    assert answer.hrefs == [ME]
    assert answer.prop(ME, "D:displayname") is not None
    assert answer.prop(ME, "C:calendar-home-set/D:href") is not None
    assert answer.status_of(ME, "D:nothing") == 404
    assert expand(u1, ME).hrefs == [ME]


def test_every_href_becomes_a_response(u1: Client) -> None:
    """As in section 3.8.1: two levels, and the hrefs of the innermost stay hrefs."""
    answer = expand(
        u1,
        "/principals/staff/",
        prop("group-member-set", prop("displayname"), prop("group-membership", prop("principal-URL")), prop("nothing")),
    )
    outer = answer.prop("/principals/staff/", "D:group-member-set")
    assert outer is not None
    assert [found.findtext("D:href", None, NS) for found in outer] == ["/principals/u1/", "/principals/u2/"]
    for found, name in zip(outer, ("u1", "u2"), strict=True):
        assert found.tag == "{DAV:}response"
        assert found.findtext("D:propstat/D:prop/D:displayname", None, NS) == f"Name of {name}"
        assert found.xpath("string(D:propstat[D:prop/D:nothing]/D:status)", namespaces=NS) == "HTTP/1.1 404 Not Found"
        [group] = found.findall("D:propstat/D:prop/D:group-membership/D:response", NS)
        assert group.findtext("D:href", None, NS) == "/principals/staff/"
        assert group.findtext("D:propstat/D:prop/D:principal-URL/D:href", None, NS) == "/principals/staff/"


def test_all_kinds_of_resources_are_expanded(u1: Client) -> None:
    answer = expand(u1, ME, prop("calendar-home-set", prop("owner"), prop("resourcetype"), namespace=CALDAV))
    home = answer.prop(ME, "C:calendar-home-set/D:response")
    assert home is not None
    assert home.findtext("D:href", None, NS) == HOME
    assert home.findtext("D:propstat/D:prop/D:owner/D:href", None, NS) == ME
    assert home.find("D:propstat/D:prop/D:resourcetype/D:collection", NS) is not None


def test_the_acl_with_names(u1: Client) -> None:
    """What an editor of ACLs shows, in one request; everything but the hrefs stays as it is."""
    u1.request("ACL", CAL, acl(ace("u2", "read"), ace("<D:all/>", "read")))
    answer = expand(u1, CAL, prop("acl", prop("displayname")))
    found = answer.prop(CAL, "D:acl")
    assert found is not None
    assert found.findtext("D:ace/D:principal/D:response/D:propstat/D:prop/D:displayname", None, NS) == "Name of u2"
    assert len(found.findall("D:ace", NS)) == 3
    assert len(found.findall("D:ace/D:grant/D:privilege/D:read", NS)) == 2


def test_hrefs_that_lead_nowhere(u1: Client, u2: Client) -> None:
    value = (
        "<X:links xmlns:X='urn:x'><D:href>/principals/nobody/</D:href> and <D:href>mailto:a@b.example</D:href>"
        f"<D:href>{HOME}</D:href><D:href>/calendars/u2/</D:href><D:href>http://elsewhere.example/</D:href>"
        "<D:href>../staff/</D:href><D:href/></X:links>"
    )
    assert u1.proppatch(ME, set=value).status == 207
    answer = expand(u2, ME, prop("links", prop("displayname"), namespace="urn:x"))
    found = answer.xpath("//*[local-name()='links']/D:response")
    statuses = {one.findtext("D:href", None, NS): one.findtext("D:status", None, NS) for one in found}
    assert statuses == {
        "/principals/nobody/": "HTTP/1.1 404 Not Found",
        "mailto:a@b.example": "HTTP/1.1 404 Not Found",
        HOME: "HTTP/1.1 404 Not Found",
        "/calendars/u2/": None,
        "http://elsewhere.example/": "HTTP/1.1 404 Not Found",
        "../staff/": "HTTP/1.1 404 Not Found",
        ME: None,  # an empty reference is one to the resource itself (RFC 3986 section 4.4)
    }
    assert " and " in "".join(answer.xpath("//*[local-name()='links']")[0].itertext())
    u1.request("ACL", CAL, acl(ace("u2", "C:read-free-busy")))
    u1.proppatch(ME, set=f"<X:links xmlns:X='urn:x'><D:href>{CAL}</D:href></X:links>")
    answer = expand(u2, ME, prop("links", prop("displayname"), namespace="urn:x"))
    assert answer.xpath("//D:response/D:response/D:status|//D:response//D:response/D:status")[0].text[9:12] == "403"
    assert answer.xpath("//D:response//D:response/D:error/D:need-privileges")


def test_what_apple_asks_is_not_there(u1: Client) -> None:
    """Golden request 16: no delegation, so 404 inside the answer."""
    inner = (prop("calendar-user-address-set", namespace=CALDAV), prop("displayname"))
    answer = expand(
        u1, ME, *(prop(f"calendar-proxy-{one}-for", *inner, namespace=NS["CS"]) for one in ("read", "write"))
    )
    assert answer.status == 207
    assert answer.status_of(ME, "CS:calendar-proxy-read-for") == 404
    assert answer.status_of(ME, "CS:calendar-proxy-write-for") == 404


def test_depth_1_is_the_members_as_well(u1: Client) -> None:
    u1.put(CAL + "a.ics", event("a"))
    answer = expand(u1, CAL, prop("owner", prop("displayname")), Depth="1")
    assert answer.hrefs == [CAL, CAL + "a.ics"]
    assert answer.xpath("count(//D:owner/D:response)") == 2
    assert expand(u1, CAL, prop("owner"), Depth="infinity").status == 400


def test_minimal(u1: Client) -> None:
    answer = expand(u1, ME, prop("nothing"), prop("principal-URL", prop("nothing")), Prefer="return=minimal")
    assert answer.headers["Preference-Applied"] == "return=minimal"
    assert not answer.xpath("//D:nothing")


@pytest.mark.parametrize(
    "inner",
    [
        "<D:property/>",
        '<D:property name=""/>',
        '<D:property name="a b"/>',
        '<D:property name="1a"/>',
        '<D:property name="a:b"/>',
        '<D:property name="a&gt;&lt;b"/>',
    ],
)
def test_bad_names(u1: Client, inner: str) -> None:
    assert expand(u1, ME, inner).status == 400


def test_a_property_without_a_namespace(u1: Client) -> None:
    answer = expand(u1, ME, '<D:property name="plain" namespace=""/>')
    assert answer.xpath("//D:propstat[contains(D:status, '404')]/D:prop/plain")


def test_the_nesting_is_bounded(u1: Client) -> None:
    def nested(levels: int) -> str:
        inner = prop("displayname")
        for _ in range(levels - 1):
            inner = prop("principal-URL", inner)
        return inner

    deepest = expand(u1, ME, nested(expand_property.MAX_LEVELS))
    assert deepest.status == 207
    assert deepest.xpath("count(//D:response)") == expand_property.MAX_LEVELS
    assert expand(u1, ME, nested(expand_property.MAX_LEVELS + 1)).status == 400


def fill(store: Store, members: int) -> None:
    """A group with many members, who are all in another group as well."""

    def work(tx: Transaction) -> None:
        ids = [tx.principals.add(name=f"m{n}", kind=PrincipalKind.INDIVIDUAL).id for n in range(members)]
        for name in ("big", "second"):
            tx.principals.set_members(tx.principals.add(name=name, kind=PrincipalKind.GROUP).id, ids)

    store.run(work, write=True)
    assert principal(store, "big").name == "big"


def test_the_number_of_statements_does_not_grow(store: Store, u1: Client) -> None:
    inner = prop("group-member-set", prop("displayname"), prop("group-membership", prop("displayname")))

    def count(path: str) -> int:
        with statements() as seen:
            assert expand(u1, path, inner).status == 207
        return len(seen)

    fill(store, 60)
    count("/principals/staff/")
    assert count("/principals/big/") == count("/principals/staff/")


def test_the_size_of_the_answer_is_bounded(store: Store, u1: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, 60)
    names = ("group-member-set", "group-membership", "group-member-set", "group-membership", "group-member-set")
    inner = prop("displayname")
    for name in names:
        inner = prop(name, inner)
    monkeypatch.setattr(expand_property, "MAX_SIZE", 1_000_000)
    answer = expand(u1, "/principals/big/", inner)
    assert (answer.status, answer.conditions) == (507, ["number-of-matches-within-limits"])


def test_the_number_of_resources_is_bounded(store: Store, u1: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, 10)
    monkeypatch.setattr(expand_property, "MAX_PRINCIPALS", 9)
    answer = expand(u1, "/principals/big/", prop("group-member-set", prop("displayname")))
    assert (answer.status, answer.conditions) == (507, ["number-of-matches-within-limits"])
    monkeypatch.setattr(expand_property, "MAX_OTHERS", 0)
    answer = expand(u1, ME, prop("calendar-home-set", prop("displayname"), namespace=CALDAV))
    assert (answer.status, answer.conditions) == (507, ["number-of-matches-within-limits"])


# The hrefs in a fragment


def test_hrefs_are_cut_out_and_put_back() -> None:
    fragment = '<D:x a="1">one<D:href>/a &amp; b/</D:href>two<D:y><D:href preferred="1"> /c/ </D:href></D:y></D:x>'
    gaps = cut(fragment)
    assert gaps.hrefs == ("/a & b/", "/c/")
    assert hrefs_in(fragment) == ["/a & b/", "/c/"]
    filled = gaps.filled(lambda sent: f"[{len(sent)}]")
    assert "one[7]two" in filled
    assert "[3]</D:y></D:x>" in filled


def test_a_property_with_prefixes_of_its_own() -> None:
    gaps = cut("<Z:links xmlns:Z='urn:z' xmlns:Q='DAV:'><Q:href>/a/</Q:href></Z:links>")
    assert gaps.hrefs == ("/a/",)
    assert gaps.filled(lambda _: "").endswith("</Z:links>")
