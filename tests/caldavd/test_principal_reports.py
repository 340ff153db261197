"""The reports about principals: RFC 3744 section 9 with its examples, Apple's and CalendarServer's additions."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

import pytest

from caldavd import provision
from caldavd.reports import principal_match, principal_search
from config.settings import Provisioning
from storage.rows import PrincipalKind
from storage.store import Store, Transaction
from tests.caldavd.client import DECLARATIONS, Answer, Client, event
from tests.caldavd.sharing import ace, acl, grant, statements

AsUser = Callable[[str | None], Client]

HOME = "/calendars/u1/"
CAL = HOME + "calendar/"
REPORTS = (
    "D:acl-principal-prop-set",
    "D:principal-match",
    "D:principal-property-search",
    "D:principal-search-property-set",
    "CS:calendarserver-principal-search",
)


@pytest.fixture
def directory(store: Store) -> None:
    """People to be found, beside those of the other tests."""
    people = [
        ("jdoe", "John Doe", PrincipalKind.INDIVIDUAL),
        ("jane", "Jane Doering", PrincipalKind.INDIVIDUAL),
        ("zsmith", "Zygdoebert Smith", PrincipalKind.INDIVIDUAL),
        ("jürgen", "Jürgen Weiß", PrincipalKind.INDIVIDUAL),
        ("doe-room", "The Doe Room", PrincipalKind.ROOM),
        ("beamer", "Beamer 100%", PrincipalKind.RESOURCE),
        ("sales", "Sales & Doe", PrincipalKind.GROUP),
    ]

    def add(tx: Transaction) -> None:
        for name, displayname, kind in people:
            address = f"mailto:{name}@corp.example".replace("ü", "ue")
            new = provision.NewPrincipal(name=name, displayname=displayname, kind=kind, addresses=(address,))
            provision.create(tx, new, Provisioning())

    store.run(add, write=True)


def names(answer: Answer) -> list[str]:
    """Who was found."""
    assert answer.status == 207, answer.body
    return [unquote(href).removeprefix("/principals/").rstrip("/") for href in answer.hrefs]


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("depth", ["1", "infinity"])
def test_they_are_only_defined_for_depth_0(u1: Client, report: str, depth: str) -> None:
    inner = "<D:self/><CS:search-token>u</CS:search-token>"
    assert u1.report("/principals/u1/", report, inner, depth=depth).status == 400


@pytest.mark.parametrize("path", ["/", "/principals/", "/principals/u1/", "/calendars/", HOME, CAL, CAL + "a.ics"])
def test_what_section_9_demands_is_on_everything(u1: Client, path: str) -> None:
    u1.put(CAL + "a.ics", event("a"))
    answer = u1.propfind(path, "<D:supported-report-set/>")
    reports = {found.tag.partition("}")[2] for found in answer.xpath("//D:report/*")}
    assert reports >= {"expand-property", *(name.partition(":")[2] for name in REPORTS[:4])}


# acl-principal-prop-set


def test_acl_principal_prop_set(u1: Client) -> None:
    """Section 9.2.1: all (no URL), a person, a group; and here the owner, whom a property names."""
    u1.request("ACL", CAL, acl(ace("<D:all/>", "read"), ace("u2", "write"), ace("staff", "write"), ace("u2", "unlock")))
    answer = u1.report(CAL, "D:acl-principal-prop-set", "<D:prop><D:displayname/></D:prop>", depth=0)
    assert names(answer) == ["u1", "u2", "staff"]
    assert answer.xpath("//D:displayname/text()") == ["Name of u1", "Name of u2", "Name of staff"]


def test_acl_principal_prop_set_of_principals_is_themselves(u1: Client, admin: Client) -> None:
    inner = "<D:prop><D:displayname/></D:prop>"
    assert names(u1.report("/principals/u1/", "D:acl-principal-prop-set", inner)) == ["u1"]
    assert names(admin.report("/principals/staff/", "D:acl-principal-prop-set", inner)) == []


def test_acl_principal_prop_set_needs_read_acl(store: Store, u2: Client) -> None:
    grant(store, "u1/calendar", "u2", ["{DAV:}read"])
    answer = u2.report(CAL, "D:acl-principal-prop-set", "<D:prop><D:displayname/></D:prop>")
    assert answer.conditions == ["need-privileges"]
    assert answer.xpath("//D:need-privileges//D:read-acl")


def test_acl_principal_prop_set_within_limits(with_limits: Callable[..., Client]) -> None:
    u1 = with_limits(max_search_results=2)
    u1.request("ACL", CAL, acl(ace("u2", "read"), ace("u3", "read"), ace("staff", "read")))
    answer = u1.report(CAL, "D:acl-principal-prop-set", "<D:prop><D:displayname/></D:prop>")
    assert answer.hrefs == ["/principals/u1/", "/principals/u2/", CAL]
    assert answer.status_of(CAL) == 507
    assert answer.xpath("//D:response/D:error/D:number-of-matches-within-limits")


# principal-match


def match(client: Client, path: str, inner: str) -> Answer:
    return client.report(path, "D:principal-match", inner, depth=0)


OWNER = "<D:principal-property><D:owner/></D:principal-property>"


def test_principal_match_of_what_one_owns(u1: Client, u2: Client) -> None:
    """Section 9.3.1: without D:prop each match is a response with a status."""
    u1.put(CAL + "a.ics", event("a"))
    u1.request("MKCOL", HOME + "files/")
    u1.put(HOME + "files/b.txt", "b", Content_Type="text/plain")
    answer = match(u1, HOME, OWNER)
    assert answer.hrefs == [
        CAL, CAL + "a.ics", HOME + "files/", HOME + "files/b.txt", HOME + "inbox/", HOME + "outbox/", HOME + "tasks/",
    ]  # fmt: skip
    assert answer.status_of(CAL + "a.ics") == 200
    assert match(u1, CAL, OWNER).hrefs == [CAL + "a.ics"]
    assert match(u1, CAL + "a.ics", OWNER).hrefs == [CAL + "a.ics"]
    u1.request("ACL", CAL, acl(ace("u2", "read")))
    assert match(u2, CAL, OWNER).hrefs == []
    assert match(u2, HOME, OWNER).conditions == ["need-privileges"]


def test_principal_match_everywhere(u1: Client) -> None:
    mine = [HOME, CAL, HOME + "inbox/", HOME + "outbox/", HOME + "tasks/"]
    assert match(u1, "/", OWNER).hrefs == ["/principals/u1/", "/calendars/staff/", *mine]
    assert match(u1, "/calendars/", OWNER).hrefs == ["/calendars/staff/", *mine]
    assert match(u1, "/principals/", OWNER).hrefs == ["/principals/u1/"]


def test_principal_match_of_oneself(u1: Client, as_user: AsUser) -> None:
    """One's own principal and the groups that one is a member of."""
    itself = "<D:self/><D:prop><D:displayname/></D:prop>"
    assert names(match(u1, "/principals/", itself)) == ["staff", "u1"]
    assert match(u1, "/principals/", itself).xpath("//D:displayname/text()") == ["Name of staff", "Name of u1"]
    assert names(match(u1, "/", itself)) == ["staff", "u1"]
    assert names(match(as_user("u3"), "/principals/", itself)) == ["u3"]
    assert names(match(u1, "/principals/staff/", itself)) == ["staff"]
    assert names(match(u1, "/principals/u1/", itself)) == ["u1"]
    assert names(match(u1, "/principals/u2/", itself)) == []
    assert names(match(u1, HOME, itself)) == []


def test_principal_match_by_any_property_with_an_href(u1: Client) -> None:
    def by(prop: str, path: str = "/principals/") -> list[str]:
        return match(u1, path, f"<D:principal-property>{prop}</D:principal-property>").hrefs

    assert by("<D:group-member-set/>") == ["/principals/staff/"]
    assert by("<D:principal-URL/>") == ["/principals/staff/", "/principals/u1/"]
    assert by("<D:displayname/>") == []
    value = "<X:reviewer xmlns:X='urn:x'><D:href>/principals/u1</D:href></X:reviewer>"
    assert u1.proppatch(HOME + "tasks/", set=value).status == 207
    assert by("<X:reviewer xmlns:X='urn:x'/>", HOME) == [HOME + "tasks/"]


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<D:self/>" + OWNER,
        "<D:principal-property/>",
        "<D:principal-property><D:owner/><D:group/></D:principal-property>",
    ],
)
def test_bad_principal_matches(u1: Client, inner: str) -> None:
    assert match(u1, "/principals/", inner).status == 400


def test_principal_match_within_limits(with_limits: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> None:
    u1 = with_limits(max_search_results=2)
    for place in range(5):
        u1.put(f"{CAL}{place}.ics", event(str(place)))
    answer = match(u1, CAL, OWNER)
    assert answer.hrefs == [CAL + "0.ics", CAL + "1.ics", CAL]
    assert answer.status_of(CAL) == 507
    monkeypatch.setattr(principal_match, "MAX_LOOKED_AT", 2)
    monkeypatch.setattr(principal_match, "_BATCH", 2)
    answer = match(u1, CAL, "<D:principal-property><D:group/></D:principal-property>")
    assert (answer.hrefs, answer.status_of(CAL)) == ([CAL], 507)


# principal-property-search


def searched(prop: str, wanted: str, attributes: str = "") -> str:
    return f"<D:property-search><D:prop>{prop}</D:prop><D:match {attributes}>{wanted}</D:match></D:property-search>"


def search(client: Client, *inner: str, path: str = "/principals/", root: str = "") -> Answer:
    """A principal-property-search; ``root`` are attributes of the root element."""
    name = "D:principal-property-search"
    body = f"<{name} {DECLARATIONS} {root}>{''.join(inner)}</{name}>"
    return client.request("REPORT", path, body, Depth="0")


NAME = "<D:displayname/>"
MAIL = "<CS:email-address-set/>"
ADDRESS = "<C:calendar-user-address-set/>"
KIND = "<C:calendar-user-type/>"
FIRST, LAST = "<CS:first-name/>", "<CS:last-name/>"


@pytest.mark.usefixtures("directory")
class TestPropertySearch:
    def test_the_example_of_the_rfc(self, u1: Client) -> None:
        """Section 9.4.2, with a kind for the title, and a property that nobody has."""
        prop = "<D:prop><D:displayname/><X:salary xmlns:X='urn:x'/></D:prop>"
        answer = search(u1, searched(NAME, "doE"), searched(KIND, "individual"), prop)
        assert names(answer) == ["jane", "jdoe", "zsmith"]
        assert answer.xpath("//D:displayname/text()") == ["Jane Doering", "John Doe", "Zygdoebert Smith"]
        assert answer.xpath("count(//D:propstat[contains(D:status, '404')])") == 3

    @pytest.mark.parametrize(
        ("criteria", "root", "found"),
        [
            # the way of matching
            ([(NAME, "doe", "")], "", ["doe-room", "jane", "jdoe", "sales", "zsmith"]),
            ([(NAME, "john doe", "match-type='equals'")], "", ["jdoe"]),
            ([(NAME, "JO", "match-type='starts-with'")], "", ["jdoe"]),
            ([(NAME, "doe", "match-type='ends-with'")], "", ["jdoe", "sales"]),
            ([(NAME, "WEISS", "")], "", ["jürgen"]),
            ([(NAME, "doe", "caseless='no'")], "", ["zsmith"]),
            ([(NAME, "John", "caseless='no' match-type='starts-with'")], "", ["jdoe"]),
            ([(NAME, "100%", "")], "", ["beamer"]),
            ([(NAME, "_", "")], "", []),
            ([(NAME, "&amp;", "")], "", ["sales"]),
            # the properties
            ([(MAIL, "jdoe@corp", "")], "", ["jdoe"]),
            ([(MAIL, "jdoe@corp.example", "match-type='equals'")], "", ["jdoe"]),
            ([(MAIL, "j", "match-type='starts-with'")], "", ["jane", "jdoe", "jürgen"]),
            ([(MAIL, "mailto", "")], "", []),
            ([(ADDRESS, "mailto:jane@corp.example", "match-type='equals'")], "", ["jane"]),
            ([(ADDRESS, "jane@corp", "")], "", ["jane"]),
            ([(FIRST, "zyg", "match-type='starts-with'")], "", ["zsmith"]),
            ([(FIRST, "doe", "match-type='equals'")], "", []),
            ([(LAST, "doe", "match-type='equals'")], "", ["jdoe", "sales"]),
            ([(KIND, "ROOM", "match-type='equals'")], "", ["doe-room", "room1"]),
            # several: all of them, or any
            ([(NAME, "j", ""), (LAST, "doe", "")], "", ["jane", "jdoe"]),
            ([(NAME + LAST, "doe", "")], "", ["jane", "jdoe", "sales"]),
            ([(FIRST, "john", ""), (LAST, "smith", "")], "test='anyof'", ["jdoe", "zsmith"]),
            ([(FIRST, "john", ""), (LAST, "smith", "")], "test='allof'", []),
            ([(KIND, "ROOM", ""), (KIND, "RESOURCE", "")], "test='anyof'", ["beamer", "doe-room", "room1"]),
            ([(KIND, "ROOM", ""), (KIND, "RESOURCE", "")], "", []),
            # Apple's type
            ([(NAME, "doe", "")], "type='INDIVIDUAL'", ["jane", "jdoe", "zsmith"]),
            ([(NAME, "doe", ""), (MAIL, "doe", "")], "type='room' test='anyof'", ["doe-room"]),
            ([(NAME, "doe", "")], "type='UNKNOWN'", []),
            # properties that cannot be searched match nobody
            ([("<D:owner/>", "doe", "")], "", []),
            ([("<D:owner/>", "doe", ""), (NAME, "john", "")], "", []),
            ([("<D:owner/>", "doe", ""), (NAME, "john", "")], "test='anyof'", ["jdoe"]),
        ],
    )
    def test_search(self, u1: Client, criteria: list[tuple[str, str, str]], root: str, found: list[str]) -> None:
        answer = search(u1, *(searched(*criterion) for criterion in criteria), "<D:prop/>", root=root)
        assert names(answer) == found

    @pytest.mark.parametrize("path", [CAL, HOME, "/calendars/", "/principals/u1/", "/principals/u2/"])
    def test_the_principal_collection_set(self, u1: Client, path: str) -> None:
        """Evolution sends its search to the calendar; Outlook's synchronizer puts the element behind D:prop."""
        everywhere = "<D:apply-to-principal-collection-set/>"
        one, prop = searched(ADDRESS, "jdoe@corp.example"), "<D:prop><D:displayname/></D:prop>"
        for inner in ((everywhere, one, prop), (one, everywhere, prop), (one, prop, everywhere)):
            assert names(search(u1, *inner, path=path)) == ["jdoe"]
        # Without it, the members of the collection: these have no principals among them.
        assert names(search(u1, one, prop, path=path)) == []

    def test_the_root_has_all_principals_in_it(self, u1: Client) -> None:
        assert names(search(u1, searched(NAME, "john"), path="/")) == ["jdoe"]

    def test_without_properties(self, u1: Client) -> None:
        answer = search(u1, searched(NAME, "john"))
        assert answer.status_of("/principals/jdoe/") == 200

    def test_properties_of_those_found(self, u1: Client) -> None:
        """What Apple, KDE and Outlook's synchronizer ask for."""
        inner = f"<D:prop>{NAME}{ADDRESS}{MAIL}{KIND}<D:principal-URL/><D:resource-id/><CS:record-type/></D:prop>"
        answer = search(u1, searched(MAIL, "room", "match-type='contains'"), inner)
        assert answer.xpath("//C:calendar-user-type/text()") == ["ROOM", "ROOM"]
        assert answer.xpath("//D:principal-URL/D:href/text()") == ["/principals/doe-room/", "/principals/room1/"]
        assert answer.xpath("//C:calendar-user-address-set/D:href[@preferred='1']/text()") == [
            "mailto:doe-room@corp.example",
            "mailto:room1@example.org",
        ]

    @pytest.mark.parametrize(
        ("inner", "root"),
        [
            ("<D:property-search/>", ""),
            ("<D:property-search><D:prop/><D:match>x</D:match></D:property-search>", ""),
            (f"<D:property-search><D:prop>{NAME}</D:prop></D:property-search>", ""),
            (searched(NAME, "x", "match-type='regex'"), ""),
            (searched(NAME, "x" * 60_000), ""),
            (searched(NAME, "x"), "test='someof'"),
            (searched(NAME, "x") * (principal_search.MAX_CRITERIA + 1), ""),
            (searched(NAME, "x") + "<CS:limit><CS:nresults>0</CS:nresults></CS:limit>", ""),
            (searched(NAME, "x") + "<CS:limit><CS:nresults>many</CS:nresults></CS:limit>", ""),
        ],
    )
    def test_bad_searches(self, u1: Client, inner: str, root: str) -> None:
        assert search(u1, inner, root=root).status == 400

    def test_within_limits(self, u1: Client, with_limits: Callable[..., Client]) -> None:
        """The first ones in the order of their names, and 507 with its postcondition where there are more."""
        limited = search(u1, searched(NAME, "doe"), "<CS:limit><CS:nresults>2</CS:nresults></CS:limit>")
        assert limited.hrefs == ["/principals/doe-room/", "/principals/jane/", "/principals/"]
        assert limited.status_of("/principals/") == 507
        assert limited.xpath("//D:response/D:error/D:number-of-matches-within-limits")
        five = "<CS:limit><CS:nresults>5</CS:nresults></CS:limit>"
        assert len(search(u1, searched(NAME, "doe"), five).hrefs) == 5
        by_server = search(with_limits(max_search_results=1), searched(NAME, "doe"), five, root="test='anyof'")
        assert by_server.hrefs == ["/principals/doe-room/", "/principals/"]

    def test_a_search_with_too_many_candidates_says_so(self, u1: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(principal_search, "MAX_CANDIDATES", 3)
        answer = search(u1, searched(NAME, "doe"), searched(FIRST, "j"))
        assert answer.status_of("/principals/") == 507

    def test_the_number_of_statements_is_that_of_a_search(self, u1: Client) -> None:
        def count(wanted: str) -> int:
            with statements() as seen:
                inner = f"<D:prop>{NAME}{ADDRESS}<D:group-membership/><D:group-member-set/></D:prop>"
                assert search(u1, searched(NAME, wanted), inner).status == 207
            return len(seen)

        count("name of")
        assert count("name of") == count("")


# principal-search-property-set


def test_principal_search_property_set(u1: Client) -> None:
    """Section 9.5.1 and golden request 15: 200, and what it names can be searched."""
    answer = u1.report("/principals/", "D:principal-search-property-set", "", depth=0)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/xml")
    rows = answer.xpath("/D:principal-search-property-set/D:principal-search-property")
    assert rows[0][0][0].tag == "{DAV:}displayname"
    for row in rows:
        [prop, description] = row
        assert len(prop) == 1
        assert description.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
        assert description.text
    assert len(rows) == len(principal_search.SEARCHABLE)


# calendarserver-principal-search


def tokens(client: Client, *wanted: str, context: str = "", more: str = "") -> Answer:
    """A calendarserver-principal-search."""
    root = "CS:calendarserver-principal-search"
    inner = "".join(f"<CS:search-token>{token}</CS:search-token>" for token in wanted)
    attribute = f'context="{context}"' if context else ""
    prop = f"<D:prop>{NAME}{ADDRESS}<D:principal-URL/></D:prop>"
    body = f"<{root} {DECLARATIONS} {attribute}>{inner}{prop}{more}</{root}>"
    return client.request("REPORT", "/principals/", body, Depth="0")


@pytest.mark.usefixtures("directory")
class TestTokenSearch:
    @pytest.mark.parametrize(
        ("wanted", "context", "found"),
        [
            (["doe"], "", ["doe-room", "jane", "jdoe", "sales"]),
            (["doe"], "attendee", ["doe-room", "jane", "jdoe", "sales"]),
            (["doe"], "user", ["jane", "jdoe"]),
            (["doe"], "group", ["sales"]),
            (["doe"], "location", ["doe-room"]),
            (["doe"], "resource", []),
            (["JOHN", "doe"], "", ["jdoe"]),
            (["doe", "j"], "user", ["jane", "jdoe"]),
            (["jdoe@corp"], "", ["jdoe"]),
            (["zyg"], "", ["zsmith"]),
            (["mailto"], "", []),
            (["oe"], "", []),
            (["jür"], "", ["jürgen"]),
            (["beam", "100"], "", ["beamer"]),
        ],
    )
    def test_search(self, u1: Client, wanted: list[str], context: str, found: list[str]) -> None:
        answer = tokens(u1, *wanted, context=context)
        assert names(answer) == found
        assert answer.xpath("//D:principal-URL/D:href/text()") == answer.hrefs

    def test_within_limits(self, u1: Client) -> None:
        answer = tokens(u1, "doe", more="<CS:limit><CS:nresults>1</CS:nresults></CS:limit>")
        assert answer.hrefs == ["/principals/doe-room/", "/principals/"]
        assert answer.status_of("/principals/") == 507

    def test_bad_searches(self, u1: Client) -> None:
        assert tokens(u1).status == 400
        assert tokens(u1, " ").status == 400
        assert tokens(u1, "x" * 60_000).status == 400
        assert tokens(u1, "x", context="everything").status == 400
        assert tokens(u1, *(str(place) for place in range(principal_search.MAX_CRITERIA + 1))).status == 400
