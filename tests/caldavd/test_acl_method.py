"""The ACL method (RFC 3744 section 8): what it changes, each of its preconditions, and the RFC's examples."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caldavd.access import OWNER
from caldavd.aces import MAX_ACES, Restrictions, Rules, check
from caldavd.errors import DavError
from caldavd.privileges import ALL, READ, WRITE, Privilege, Supported
from storage.rows import Ace
from storage.store import Store
from tests.caldavd.client import DECLARATIONS, NS, Client, event
from tests.caldavd.sharing import ace, acl, grant, principal, set_aces

AsUser = Callable[[str | None], Client]

HOME = "/calendars/u1/"
CAL = HOME + "calendar/"
OWNER_ELEMENT = "<D:property><D:owner/></D:property>"


def aces_of(client: Client, path: str = CAL) -> list[dict[str, object]]:
    """The ACEs that DAV:acl shows, as dictionaries."""
    found = client.propfind(path, "<D:acl/>").prop(path, "D:acl")
    assert found is not None
    result = []
    for one in found.iterfind("D:ace", NS):
        principal_element = one.find(".//D:principal", NS)
        assert principal_element is not None
        inherited = one.find("D:inherited/D:href", NS)
        result.append(
            {
                "who": principal_element[0].text or principal_element[0].tag.partition("}")[2],
                "grant": [name[0].tag.partition("}")[2] for name in one.iterfind("D:grant/D:privilege", NS)],
                "deny": [name[0].tag.partition("}")[2] for name in one.iterfind("D:deny/D:privilege", NS)],
                "invert": one.find("D:invert", NS) is not None,
                "protected": one.find("D:protected", NS) is not None,
                "inherited": None if inherited is None else inherited.text,
            }
        )
    return result


def stored(client: Client, path: str = CAL) -> list[tuple[object, ...]]:
    """Whom the ACEs that can be changed are about, and what they say."""
    return [
        (one["who"], *(("deny", *one["deny"]) if one["deny"] else ("grant", *one["grant"])))  # type: ignore[misc]
        for one in aces_of(client, path)
        if not one["protected"] and one["inherited"] is None
    ]


# What it changes


def test_the_example_of_the_rfc(u1: Client, as_user: AsUser) -> None:
    """RFC 3744 section 8.1.2."""
    body = acl(ace("u2", "read", "write"), ace(OWNER_ELEMENT, "read-acl", "write-acl"), ace("<D:all/>", "read"))
    answer = u1.request("ACL", CAL, body)
    assert (answer.status, answer.body) == (200, b"")
    assert stored(u1) == [
        ("/principals/u2/", "grant", "read", "write"),
        ("property", "grant", "read-acl", "write-acl"),
        ("all", "grant", "read"),
    ]
    assert as_user("u2").put(CAL + "a.ics", event("a")).status == 201
    assert as_user("u3").request("GET", CAL + "a.ics").status == 200
    assert as_user("u3").put(CAL + "a.ics", event("a", summary="B")).status == 403


def test_the_protected_ace_stays_and_the_others_are_replaced(u1: Client) -> None:
    assert u1.request("ACL", CAL, acl(ace("u2", "read"))).status == 200
    assert u1.request("ACL", CAL, acl(ace("staff", "all", verb="deny", invert=True))).status == 200
    first, second = aces_of(u1)
    assert first == {
        "who": "property",
        "grant": ["all"],
        "deny": [],
        "invert": False,
        "protected": True,
        "inherited": None,
    }
    assert (second["who"], second["deny"], second["invert"]) == ("/principals/staff/", ["all"], True)
    assert u1.request("ACL", CAL, acl()).status == 200
    assert aces_of(u1) == [first]


def test_inherited_aces_are_shown_with_where_they_come_from(u1: Client) -> None:
    assert u1.request("ACL", HOME, acl(ace("u2", "read"))).status == 200
    assert u1.request("ACL", CAL, acl(ace("u3", "read"))).status == 200
    u1.put(CAL + "a.ics", event("a"))
    assert [(one["who"], one["inherited"]) for one in aces_of(u1)[1:]] == [
        ("/principals/u3/", None),
        ("/principals/u2/", HOME),
    ]
    assert [(one["who"], one["inherited"]) for one in aces_of(u1, CAL + "a.ics")[1:]] == [
        ("/principals/u3/", CAL),
        ("/principals/u2/", HOME),
    ]


def test_what_was_read_can_be_sent_back(u1: Client) -> None:
    """The whole of DAV:acl, as it was read, with another ACE added: what many clients do."""
    u1.request("ACL", HOME, acl(ace("u2", "read")))
    u1.request("ACL", CAL, acl(ace("u3", "read", "C:read-free-busy")))
    found = u1.propfind(CAL, "<D:acl/>")
    start, end = found.body.index(b"<D:acl>") + 7, found.body.index(b"</D:acl>")
    answer = u1.request("ACL", CAL, acl(found.body[start:end].decode(), ace("staff", "read")))
    assert answer.status == 200, answer.body
    assert stored(u1) == [
        ("/principals/u3/", "grant", "read", "read-free-busy"),
        ("/principals/staff/", "grant", "read"),
    ]


@pytest.mark.parametrize(
    "href",
    [
        "/principals/u2",
        "/principals/u2/",
        "http://localhost/principals/u2/",
        "../../../principals/%75%32/",
        "  /principals/u2/\n",
    ],
)
def test_principals_are_recognized_however_their_url_is_written(u1: Client, href: str) -> None:
    body = acl(ace(f"<D:href>{href}</D:href>", "read"))
    expected = 403 if href.startswith("..") else 200  # dot segments are a client's to resolve
    assert u1.request("ACL", CAL, body).status == expected


def test_several_privileges_in_one_element(u1: Client) -> None:
    """Drafts before the RFC wrote it like this, and so do clients."""
    rights = "<D:grant><D:privilege><D:read/><D:write/></D:privilege></D:grant>"
    body = acl(f"<D:ace><D:principal><D:all/></D:principal>{rights}</D:ace>")
    assert u1.request("ACL", CAL, body).status == 200
    assert stored(u1) == [("all", "grant", "read", "write")]


@pytest.mark.parametrize("path", [HOME, CAL, HOME + "files/", HOME + "feed/"])
def test_collections_and_homes_have_acls(u1: Client, path: str) -> None:
    u1.request("MKCOL", HOME + "files/")
    kind = "<D:resourcetype><D:collection/><CS:subscribed/></D:resourcetype>"
    u1.request("MKCOL", HOME + "feed/", f"<D:mkcol {DECLARATIONS}><D:set><D:prop>{kind}</D:prop></D:set></D:mkcol>")
    assert u1.request("ACL", path, acl(ace("u2", "read"))).status == 200
    assert stored(u1, path) == [("/principals/u2/", "grant", "read")]


@pytest.mark.parametrize("path", ["/", "/principals/", "/principals/u1/", "/calendars/", CAL + "a.ics"])
def test_the_acl_of_anything_else_is_fixed(u1: Client, admin: Client, path: str) -> None:
    u1.put(CAL + "a.ics", event("a"))
    for client in (u1, admin):
        answer = client.request("ACL", path, acl(ace("u2", "read")))
        assert answer.status == 405
        assert "ACL" not in answer.headers["Allow"].split(", ")


def test_who_holds_write_acl_may_change_it(store: Store, as_user: AsUser) -> None:
    grant(store, "u1/calendar", "u2", ["{DAV:}write-acl", "{DAV:}read-acl", "{DAV:}read"])
    assert as_user("u2").request("ACL", CAL, acl(ace("u2", "all"))).status == 200
    assert as_user("u2").put(CAL + "a.ics", event("a")).status == 201


def test_a_lock_protects_the_acl(u1: Client, admin: Client) -> None:
    """RFC 3744 section 7.5."""
    scope = "<D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>"
    locked = admin.request("LOCK", CAL, f"<D:lockinfo {DECLARATIONS}>{scope}</D:lockinfo>")
    assert locked.status == 200
    assert u1.request("ACL", CAL, acl(ace("u2", "read"))).status == 423
    token = locked.headers["Lock-Token"]
    assert admin.request("ACL", CAL, acl(ace("u2", "read")), If=f"({token})").status == 200


def test_move_keeps_and_copy_loses_the_acl(u1: Client) -> None:
    """RFC 3744 sections 7.3 and 7.4."""
    u1.request("ACL", CAL, acl(ace("u2", "read")))
    copied = u1.request("COPY", CAL, Destination=f"http://localhost{HOME}copy/")
    moved = u1.request("MOVE", CAL, Destination=f"http://localhost{HOME}moved/")
    assert (copied.status, moved.status) == (201, 201)
    assert stored(u1, HOME + "copy/") == []
    assert stored(u1, HOME + "moved/") == [("/principals/u2/", "grant", "read")]


def test_only_a_change_ends_the_sync_tokens_of_others(u1: Client, u2: Client) -> None:
    u1.request("ACL", CAL, acl(ace("u2", "read")))
    mine, theirs = (client.sync(CAL).xpath("string(//D:sync-token)") for client in (u1, u2))
    assert u1.request("ACL", CAL, acl(ace("u2", "read"))).status == 200
    assert u2.sync(CAL, theirs).status == 207
    assert u1.request("ACL", CAL, acl(ace("u2", "read", "write"))).status == 200
    assert u2.sync(CAL, theirs).conditions == ["valid-sync-token"]
    assert u1.sync(CAL, mine).status == 207


# Preconditions (section 8.1.1): what this server refuses


def refused(client: Client, *aces: str, path: str = CAL) -> str:
    """The precondition that the request violates; it has changed nothing."""
    before = aces_of(client, path)
    answer = client.request("ACL", path, acl(*aces))
    assert answer.status == 403
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert answer.xpath("string(/D:error/D:responsedescription)").endswith(".")
    assert aces_of(client, path) == before
    [condition] = answer.conditions
    return condition


def test_no_ace_conflict(u1: Client) -> None:
    assert refused(u1, ace("u2", "read"), ace("u2", "read", verb="deny")) == "no-ace-conflict"
    assert refused(u1, ace("u2", "write", verb="deny"), ace("u2", "bind")) == "no-ace-conflict"


def test_aces_that_only_overlap_are_no_conflict(u1: Client) -> None:
    body = acl(ace("u2", "read"), ace("u2", "all", verb="deny"), ace("<D:all/>", "write"))
    assert u1.request("ACL", CAL, body).status == 200


def test_no_protected_ace_conflict(u1: Client, admin: Client) -> None:
    """Section 8.1.3: denying the owner what the protected ACE grants, by href or by property."""
    assert refused(u1, ace("u1", "write", verb="deny")) == "no-protected-ace-conflict"
    assert refused(admin, ace(OWNER_ELEMENT, "write", verb="deny")) == "no-protected-ace-conflict"
    assert refused(u1, ace("u2", "read", more="<D:protected/>")) == "no-protected-ace-conflict"


def test_no_inherited_ace_conflict(u1: Client) -> None:
    """Section 8.1.4 is not like this: its ACE grants what its text says is denied, without D:privilege. An own ACE
    that contradicts an inherited one is taken and comes first, which the section leaves to the server."""
    u1.request("ACL", HOME, acl(ace("u2", "read")))
    inherited = f"<D:inherited><D:href>{HOME}</D:href></D:inherited>"
    assert refused(u1, ace("u2", "write", more=inherited)) == "no-inherited-ace-conflict"
    assert u1.request("ACL", CAL, acl(ace("u2", "read", verb="deny"))).status == 200


def test_limited_number_of_aces(u1: Client) -> None:
    many = [ace("u2" if place % 2 else "u3", "read") for place in range(MAX_ACES + 1)]
    assert refused(u1, *many) == "limited-number-of-aces"
    assert refused(u1, *many * 10) == "limited-number-of-aces"
    assert u1.request("ACL", CAL, acl(*many[1:])).status == 200


def test_not_supported_privilege(u1: Client) -> None:
    answer = u1.request("ACL", CAL, acl(ace("u2", "read", "C:schedule-deliver")))
    assert refused(u1, ace("u2", "read", "C:schedule-deliver")) == "not-supported-privilege"
    assert answer.xpath("//D:not-supported-privilege/D:privilege/C:schedule-deliver")


def test_recognized_principal(u1: Client) -> None:
    for href in ("/principals/nobody/", "/calendars/u2/", "mailto:u2@example.org", "http://elsewhere.example/u2/"):
        body = acl(ace(f"<D:href>{href}</D:href>", "read"))
        answer = u1.request("ACL", CAL, body)
        assert answer.conditions == ["recognized-principal"]
        assert answer.xpath("string(//D:recognized-principal/D:href)") == href


@pytest.mark.parametrize("who", ["<D:unauthenticated/>", "<D:self/>", "<D:property><D:displayname/></D:property>"])
def test_allowed_principal(u1: Client, who: str) -> None:
    assert refused(u1, ace(who, "read")) == "allowed-principal"


def test_need_privileges(store: Store, u2: Client) -> None:
    grant(store, "u1/calendar", "u2", ["{DAV:}read"])
    answer = u2.request("ACL", CAL, acl())
    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    assert answer.xpath("string(//D:need-privileges/D:resource/D:href)") == CAL
    assert answer.xpath("//D:need-privileges/D:resource/D:privilege/D:write-acl")


# Preconditions of restrictions that this server does not have: they are enforced where they are set


def violated(rules: Rules, *aces: Ace) -> str:
    with pytest.raises(DavError) as caught:
        check(aces, rules)
    assert caught.value.status == 403
    assert caught.value.condition is not None
    return caught.value.condition.local


EVERYBODY = Ace("all", True, (READ,))
NOBODY = Ace("all", False, (WRITE,))


def test_grant_only() -> None:
    assert violated(Rules(restrictions=Restrictions(grant_only=True)), NOBODY) == "grant-only"


def test_no_invert() -> None:
    inverted = Ace("principal", True, (READ,), principal_id=1, invert=True)
    assert violated(Rules(restrictions=Restrictions(no_invert=True)), inverted) == "no-invert"


def test_deny_before_grant() -> None:
    rules = Rules(restrictions=Restrictions(deny_before_grant=True))
    assert violated(rules, EVERYBODY, NOBODY) == "deny-before-grant"
    check([NOBODY, EVERYBODY], rules)


def test_missing_required_principal() -> None:
    owner = Ace("property", True, (ALL,), property=OWNER)
    rules = Rules(restrictions=Restrictions(required=(owner,)))
    assert violated(rules, EVERYBODY) == "missing-required-principal"
    check([EVERYBODY, owner], rules)


def test_no_abstract() -> None:
    tree = Privilege(ALL, "", (Privilege(READ, "", abstract=True), Privilege(WRITE, "")))
    assert violated(Rules(supported=Supported(tree)), EVERYBODY) == "no-abstract"
    check([NOBODY], Rules(supported=Supported(tree)))


def test_the_server_restricts_nothing_and_says_so(u1: Client) -> None:
    restrictions = u1.propfind(CAL, "<D:acl-restrictions/>").prop(CAL, "D:acl-restrictions")
    assert restrictions is not None
    assert len(restrictions) == 0
    body = acl(ace("u2", "read"), ace("u3", "read", verb="deny"), ace("staff", "bind", invert=True))
    assert u1.request("ACL", CAL, body).status == 200


# Bad requests

GRANT = "<D:grant><D:privilege><D:read/></D:privilege></D:grant>"
TO_ALL = "<D:principal><D:all/></D:principal>"
BAD = {
    # Section 8.1.5. (Its privileges lack their D:privilege elements, which is wrong as well.)
    "the example of the RFC": (
        "<D:principal><D:href>/principals/staff/</D:href></D:principal><D:grant><D:read/></D:grant>"
        "<D:principal><D:href>/principals/u2/</D:href></D:principal><D:deny><D:read/></D:deny>"
    ),
    "two principals": TO_ALL + TO_ALL + GRANT,
    "no principal": GRANT,
    "an empty principal": "<D:principal/>" + GRANT,
    "a principal of two": "<D:principal><D:all/><D:self/></D:principal>" + GRANT,
    "an empty href": "<D:principal><D:href/></D:principal>" + GRANT,
    "a property without a name": "<D:principal><D:property/></D:principal>" + GRANT,
    "inverted and not": f"<D:invert>{TO_ALL}</D:invert>" + TO_ALL + GRANT,
    "an empty invert": "<D:invert/>" + GRANT,
    "neither grant nor deny": TO_ALL,
    "grant and deny": TO_ALL + GRANT + "<D:deny><D:privilege><D:write/></D:privilege></D:deny>",
    "no privilege": TO_ALL + "<D:grant/>",
    "a privilege without its element": TO_ALL + "<D:grant><D:read/></D:grant>",
    "an empty privilege": TO_ALL + "<D:grant><D:privilege/></D:grant>",
}


@pytest.mark.parametrize("inner", BAD.values(), ids=BAD.keys())
def test_bad_aces(u1: Client, inner: str) -> None:
    before = aces_of(u1)
    answer = u1.request("ACL", CAL, acl(f"<D:ace>{inner}</D:ace>"))
    assert answer.status == 400
    assert aces_of(u1) == before


@pytest.mark.parametrize("body", ["", "<D:acl", f"<D:propfind {DECLARATIONS}/>", "<acl/>"])
def test_bad_bodies(u1: Client, body: str) -> None:
    assert u1.request("ACL", CAL, body).status == 400


def test_unknown_elements_are_ignored(u1: Client) -> None:
    more = "<X:note xmlns:X='urn:x'>because</X:note>"
    assert u1.request("ACL", CAL, acl(ace("u2", "read", more=more), more)).status == 200


def test_a_principal_that_goes_takes_its_aces_along(store: Store, u1: Client) -> None:
    u1.request("ACL", CAL, acl(ace("u3", "read"), ace("u2", "read")))
    gone = principal(store, "u3").id
    store.run(lambda tx: tx.principals.remove(gone), write=True)
    assert stored(u1) == [("/principals/u2/", "grant", "read")]


def test_what_the_store_keeps_is_what_was_sent(store: Store, u1: Client) -> None:
    set_aces(store, "u1/calendar", Ace("property", False, (WRITE,), property=OWNER, invert=True))
    assert [(one["who"], one["deny"], one["invert"]) for one in aces_of(u1)[1:]] == [("property", ["write"], True)]
