"""The access control properties (RFC 3744 sections 4 and 5), on every kind of resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from caldavd.privileges import TREE, Privilege
from storage.rows import PrincipalKind
from storage.store import Store, Transaction
from tests.caldavd.client import DECLARATIONS, NS, Client, event
from tests.caldavd.sharing import ace, acl, grant, principal, statements

AsUser = Callable[[str | None], Client]

HOME = "/calendars/u1/"
CAL = HOME + "calendar/"
EVERYTHING = ("/", "/principals/", "/principals/u1/", "/principals/staff/", "/calendars/", HOME, CAL, CAL + "a.ics")
#: RFC 3744 section 5: resources that support access control have all of these.
NAMES = (
    "owner",
    "group",
    "supported-privilege-set",
    "current-user-privilege-set",
    "acl",
    "acl-restrictions",
    "inherited-acl-set",
    "principal-collection-set",
)
ALL_OF_THEM = "".join(f"<D:{name}/>" for name in NAMES)


@pytest.fixture(autouse=True)
def _an_event(u1: Client) -> None:
    assert u1.put(CAL + "a.ics", event("a")).status == 201


@pytest.mark.parametrize("path", EVERYTHING)
def test_everything_has_them(admin: Client, path: str) -> None:
    answer = admin.propfind(path, ALL_OF_THEM)
    assert [name for name in NAMES if answer.prop(path, f"D:{name}") is None] == []


@pytest.mark.parametrize("path", EVERYTHING)
def test_allprop_names_none_of_them(admin: Client, path: str) -> None:
    """Section 5: they are expensive. They are in propname."""
    answer = admin.request("PROPFIND", path, Depth="0")
    assert not [name for name in NAMES if answer.xpath(f"//D:prop/D:{name}")]
    names = admin.request("PROPFIND", path, f"<D:propfind {DECLARATIONS}><D:propname/></D:propfind>", Depth="0")
    assert [name for name in NAMES if not names.xpath(f"//D:prop/D:{name}")] == []


@pytest.mark.parametrize("name", NAMES)
def test_they_are_protected(u1: Client, name: str) -> None:
    """Section 5.1.2 (whose D:error stands inside D:responsedescription; RFC 4918 section 14.24 has a place for it)."""
    answer = u1.proppatch(CAL, set=f"<D:{name}><D:href>/principals/u2/</D:href></D:{name}>")
    assert answer.status == 207
    assert answer.status_of(CAL, f"D:{name}") == 403
    assert answer.xpath("//D:propstat/D:error/D:cannot-modify-protected-property")
    assert answer.xpath("string(//D:propstat/D:responsedescription)")


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        (CAL, "/principals/u1/"),
        (CAL + "a.ics", "/principals/u1/"),
        (HOME, "/principals/u1/"),
        ("/principals/u1/", "/principals/u1/"),
        ("/calendars/staff/", "/principals/staff/"),
        ("/principals/staff/", ""),
        ("/principals/", ""),
        ("/", ""),
    ],
)
def test_owner(admin: Client, path: str, owner: str) -> None:
    """Section 5.1.1."""
    assert admin.propfind(path, "<D:owner/>").xpath("string(//D:owner/D:href)") == owner


def test_supported_privilege_set_is_the_tree(u1: Client) -> None:
    """Section 5.3.1: the tree as elements, each with a description in a language that is told."""
    answer = u1.propfind(CAL, "<D:supported-privilege-set/>")

    def read(element: Any) -> Privilege:
        description = element.find("D:description", NS)
        assert description.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
        inner = tuple(read(one) for one in element.findall("D:supported-privilege", NS))
        name = element.find("D:privilege", NS)[0].tag
        abstract = element.find("D:abstract", NS) is not None
        own = next(node.own for node in TREE.walk() if node.name == name)
        return Privilege(name, description.text, inner, own, abstract)

    [root] = answer.xpath("//D:supported-privilege-set/D:supported-privilege")
    assert read(root) == TREE


def test_privileges_that_are_held_can_be_granted(u1: Client) -> None:
    """Section 5.4: each is a non-abstract one of supported-privilege-set."""
    answer = u1.propfind(CAL, "<D:current-user-privilege-set/>")
    held = {found.tag for found in answer.xpath("//D:current-user-privilege-set/D:privilege/*")}
    assert held == {node.name for node in TREE.walk() if not node.abstract}


def test_a_sharee_sees_its_privileges_and_not_the_acl(store: Store, u2: Client) -> None:
    grant(store, "u1/calendar", "u2", ["{DAV:}read"])
    answer = u2.propfind(CAL, ALL_OF_THEM)
    assert answer.prop(CAL, "D:current-user-privilege-set") is not None
    assert answer.status_of(CAL, "D:acl") == 403
    grant(store, "u1/calendar", "u2", ["{DAV:}read", "{DAV:}read-acl"])
    assert u2.propfind(CAL, "<D:acl/>").prop(CAL, "D:acl") is not None


def test_whoever_lacks_a_part_of_read_does_not_hold_read(u1: Client, u2: Client) -> None:
    """Section 3: denying a part comes before granting the whole."""
    u1.request("ACL", CAL, acl(ace("u2", "read-current-user-privilege-set", verb="deny"), ace("u2", "read")))
    assert u2.propfind(CAL, "<D:current-user-privilege-set/>").conditions == ["need-privileges"]


def test_the_acl_of_a_listing_is_read_at_once(u1: Client) -> None:
    def count() -> int:
        with statements() as seen:
            assert u1.propfind(HOME, "<D:acl/>", depth=1).status == 207
        return len(seen)

    u1.request("ACL", CAL, acl(ace("u2", "read")))
    few = count()
    for place in range(10):
        u1.request("MKCALENDAR", f"{HOME}more{place}/")
        u1.request("ACL", f"{HOME}more{place}/", acl(ace("u3", "read"), ace("staff", "read")))
    assert len(u1.propfind(HOME, "<D:acl/>", depth=1).xpath("//D:ace")) > 30
    assert count() == few


# Principals (section 4)


def test_a_principal_has_what_section_4_demands(u1: Client) -> None:
    for path in ("/principals/u2/", "/principals/staff/", "/principals/room1/"):
        answer = u1.propfind(
            path,
            "<D:displayname/><D:resourcetype/><D:alternate-URI-set/><D:principal-URL/><D:group-membership/>"
            "<D:group-member-set/>",
        )
        assert answer.prop(path, "D:resourcetype/D:principal") is not None
        assert answer.xpath("string(//D:displayname)")
        assert answer.xpath("string(//D:principal-URL/D:href)") == path
        for name in ("alternate-URI-set", "group-membership", "group-member-set"):
            assert answer.prop(path, f"D:{name}") is not None


def members(client: Client, group: str) -> list[str]:
    """The hrefs in group-member-set."""
    answer = client.propfind(f"/principals/{group}/", "<D:group-member-set/>")
    return [str(found) for found in answer.xpath("//D:group-member-set/D:href/text()")]


def hrefs(*names: str) -> str:
    inner = "".join(f"<D:href>/principals/{name}/</D:href>" for name in names)
    return f"<D:group-member-set>{inner}</D:group-member-set>"


def test_members_and_memberships_are_seen_by_everybody(as_user: AsUser) -> None:
    u3 = as_user("u3")
    assert members(u3, "staff") == ["/principals/u1/", "/principals/u2/"]
    answer = u3.propfind("/principals/u2/", "<D:group-membership/>")
    assert answer.xpath("//D:group-membership/D:href/text()") == ["/principals/staff/"]


def test_an_administrator_changes_the_members(admin: Client, as_user: AsUser) -> None:
    shared = "/calendars/staff/"
    assert as_user("u3").propfind(shared, "<D:owner/>").status == 404
    answer = admin.proppatch("/principals/staff/", set=hrefs("u3", "u2"))
    assert answer.status_of("/principals/staff/", "D:group-member-set") == 200
    assert members(admin, "staff") == ["/principals/u2/", "/principals/u3/"]
    assert as_user("u3").propfind(shared, "<D:owner/>").status == 207
    assert as_user("u1").propfind(shared, "<D:owner/>").status == 404
    assert admin.proppatch("/principals/staff/", remove="<D:group-member-set/>").status == 207
    assert members(admin, "staff") == []


def test_a_member_does_not(u1: Client) -> None:
    answer = u1.proppatch("/principals/staff/", set=hrefs("u1"))
    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    assert answer.xpath("//D:need-privileges/D:resource/D:privilege/D:write-properties")
    assert members(u1, "staff") == ["/principals/u1/", "/principals/u2/"]


def test_members_are_principals(admin: Client) -> None:
    for bad in ("nobody", "../calendars/u1"):
        answer = admin.proppatch("/principals/staff/", set=hrefs("u1", bad))
        assert answer.status_of("/principals/staff/", "D:group-member-set") == 403
        assert answer.xpath("//D:error/D:recognized-principal/D:href")
    assert members(admin, "staff") == ["/principals/u1/", "/principals/u2/"]


def test_only_groups_have_members(admin: Client) -> None:
    answer = admin.proppatch("/principals/u1/", set=hrefs("u2"))
    assert answer.status_of("/principals/u1/", "D:group-member-set") == 403
    assert answer.xpath("//D:error/D:cannot-modify-protected-property")


def test_a_group_is_not_its_own_member(store: Store, admin: Client) -> None:
    made = store.run(lambda tx: tx.principals.add(name="company", kind=PrincipalKind.GROUP), write=True)
    staff = principal(store, "staff").id
    store.run(lambda tx: tx.principals.set_members(made.id, [staff]), write=True)
    for name in ("staff", "company"):
        answer = admin.proppatch("/principals/staff/", set=hrefs("u1", name))
        assert answer.status_of("/principals/staff/", "D:group-member-set") == 409
    assert admin.proppatch("/principals/company/", set=hrefs("staff", "u3")).status == 207
    assert members(admin, "company") == ["/principals/staff/", "/principals/u3/"]


def test_changing_members_ends_sync_tokens(store: Store, admin: Client, as_user: AsUser) -> None:
    u2 = as_user("u2")
    grant(store, "u1/calendar", "staff", ["{DAV:}read"])
    token = u2.sync(CAL).xpath("string(//D:sync-token)")
    assert admin.proppatch("/principals/staff/", set=hrefs("u1", "u2", "u3")).status == 207
    assert u2.sync(CAL, token).status == 207  # nothing has changed for u2
    admin.proppatch("/principals/staff/", set=hrefs("u1"))
    admin.proppatch("/principals/staff/", set=hrefs("u1", "u2"))
    assert u2.sync(CAL, token).conditions == ["valid-sync-token"]


def test_a_failed_change_leaves_no_trace(admin: Client, as_user: AsUser) -> None:
    """All or nothing: the members stay when another property of the same request cannot be set."""
    answer = admin.proppatch("/principals/staff/", set=hrefs("u3") + "<D:owner/>")
    assert answer.status_of("/principals/staff/", "D:group-member-set") == 424
    assert members(admin, "staff") == ["/principals/u1/", "/principals/u2/"]
    assert as_user("u3").propfind("/calendars/staff/", "<D:owner/>").status == 404


def test_a_person_s_name_is_what_people_are_found_by(u1: Client, u2: Client) -> None:
    assert u1.proppatch("/principals/u1/", set="<D:displayname>  Ada \n Lovelace </D:displayname>").status == 207
    assert u2.propfind("/principals/u1/", "<D:displayname/>").xpath("string(//D:displayname)") == "Ada Lovelace"
    search = "<D:property-search><D:prop><D:displayname/></D:prop><D:match>lovelace</D:match></D:property-search>"
    assert u2.report("/principals/", "D:principal-property-search", search).hrefs == ["/principals/u1/"]
    for bad in (" ", "x" * 300):
        answer = u1.proppatch("/principals/u1/", set=f"<D:displayname>{bad}</D:displayname>")
        assert answer.status_of("/principals/u1/", "D:displayname") == 409
    assert u2.proppatch("/principals/u1/", set="<D:displayname>X</D:displayname>").conditions == ["need-privileges"]
    assert u1.proppatch("/principals/u1/", remove="<D:displayname/>").status == 207
    assert u2.propfind("/principals/u1/", "<D:displayname/>").xpath("string(//D:displayname)") == "u1"


def test_all_principals_are_listed(u1: Client) -> None:
    """Section 5.8: a client finds everybody by way of principal-collection-set."""
    answer = u1.propfind(CAL, "<D:principal-collection-set/>")
    collection = answer.xpath("string(//D:principal-collection-set/D:href)")
    listing = u1.propfind(collection, "<D:displayname/><D:group-membership/><D:group-member-set/>", depth=1)
    assert listing.hrefs == ["/principals/", *(f"/principals/{name}/" for name in sorted(NAMES_OF_ALL))]
    assert listing.prop("/principals/u2/", "D:group-membership/D:href") is not None


NAMES_OF_ALL = ("u1", "u2", "u3", "admin", "room1", "staff")


def test_the_list_of_principals_costs_the_same_with_many(store: Store, u1: Client) -> None:
    def count() -> int:
        with statements() as seen:
            answer = u1.propfind("/principals/", "<D:displayname/><D:group-membership/><D:group-member-set/>", depth=1)
            assert answer.status == 207
        return len(seen)

    few = count()

    def add(tx: Transaction) -> None:
        for place in range(40):
            group = tx.principals.add(name=f"g{place}", kind=PrincipalKind.GROUP)
            tx.principals.set_members(group.id, [principal_id])

    principal_id = principal(store, "u3").id
    store.run(add, write=True)
    assert count() == few


def test_a_listing_longer_than_a_page(store: Store, u1: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caldavd.methods.propfind._PAGE", 2)
    assert len(u1.propfind("/principals/", "<D:displayname/>", depth=1).hrefs) == 1 + len(NAMES_OF_ALL)


def test_current_user_principal(as_user: AsUser) -> None:
    """RFC 5397 section 3; the same on everything."""
    u1 = as_user("u1")
    for path in EVERYTHING:
        found = u1.propfind(path, "<D:current-user-principal/>")
        assert found.xpath("string(//D:current-user-principal/D:href)") == "/principals/u1/"
