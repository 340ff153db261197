"""Finding principals: three reports.

principal-property-search (RFC 3744 section 9.4) with Apple's additions, principal-search-property-set (9.5), and
CalendarServer's calendarserver-principal-search (clients.md section 1.10).

What can be searched is :data:`SEARCHABLE`. The store narrows the search down to candidates, and what they are compared
with here is the value of the property itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from caldavd import kinds
from caldavd.access import READ
from caldavd.context import Context
from caldavd.errors import bad_request
from caldavd.methods.propfind import asked_names
from caldavd.properties.principals import CUTYPES, first_and_last_name, mail_addresses
from caldavd.reports.principals import answer, limit_of, require_depth_zero
from caldavd.resources import Resource, of_principal
from caldavd.response import Response, xml
from caldavd.xml.fragment import document, element, text
from caldavd.xml.names import caldav, cs, dav
from caldavd.xml.parse import Element, child, children, tag_of, text_of
from storage.rows import Principal, PrincipalKind
from storage.store import MatchType

Field = Literal["name", "displayname", "address"]

#: Criteria of one search; each may be a statement of its own.
MAX_CRITERIA: Final = 32
#: Characters of a text that is searched for. Databases give up on longer patterns (SQLite at 50,000 bytes).
MAX_TEXT: Final = 1000
#: Candidates that the store hands over for one search where it cannot decide by itself.
MAX_CANDIDATES: Final = 2000
_EVERYBODY: Final = frozenset(PrincipalKind)

_MATCHES: Final[dict[MatchType, Callable[[str, str], bool]]] = {
    "contains": lambda value, wanted: wanted in value,
    "equals": lambda value, wanted: value == wanted,
    "starts-with": lambda value, wanted: value.startswith(wanted),
    "ends-with": lambda value, wanted: value.endswith(wanted),
}


@dataclass(frozen=True, slots=True)
class Searchable:
    """A property that can be searched. ``field``: where the store finds candidates (none: the kind tells).

    ``prefix`` stands before the property's value in that field; ``whole``: nothing else stands there.
    """

    name: str
    description: str
    values: Callable[[Principal], Iterable[str]]
    field: Field | None
    prefix: str = ""
    whole: bool = True


#: In the order in which a client shows them (RFC 3744 section 9.5: the most frequent ones first).
SEARCHABLE: Final = (
    Searchable(dav("displayname"), "Name", lambda one: (one.displayname,), "displayname"),
    Searchable(cs("email-address-set"), "Mail address", mail_addresses, "address", prefix="mailto:"),
    Searchable(cs("first-name"), "First name", lambda one: (first_and_last_name(one)[0],), "displayname", whole=False),
    Searchable(cs("last-name"), "Last name", lambda one: (first_and_last_name(one)[1],), "displayname", whole=False),
    Searchable(
        caldav("calendar-user-address-set"),
        "Calendar address",
        lambda one: (address.uri for address in one.addresses),
        "address",
    ),
    Searchable(caldav("calendar-user-type"), "Kind", lambda one: (CUTYPES[one.kind],), None),
)
_BY_NAME: Final = {row.name: row for row in SEARCHABLE}

#: Whom CalendarServer's contexts are about; without one everybody is. Rooms can be invited as well.
CONTEXTS: Final = {
    "user": frozenset({PrincipalKind.INDIVIDUAL}),
    "group": frozenset({PrincipalKind.GROUP}),
    "location": frozenset({PrincipalKind.ROOM}),
    "resource": frozenset({PrincipalKind.RESOURCE}),
    "attendee": _EVERYBODY,
}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One property compared with one text."""

    row: Searchable
    wanted: str
    match: MatchType = "contains"
    caseless: bool = True

    def holds(self, principal: Principal) -> bool:
        """Whether any of the property's values matches."""
        return any(self._compare(value) for value in self.row.values(principal))

    def _compare(self, value: str) -> bool:
        if self.caseless:
            return _MATCHES[self.match](value.casefold(), self.wanted.casefold())
        return _MATCHES[self.match](value, self.wanted)

    def kinds(self) -> frozenset[PrincipalKind]:
        """The kinds of principal that can match at all."""
        if self.row.field is not None:
            return _EVERYBODY
        return frozenset(kind for kind, name in CUTYPES.items() if self._compare(name))

    def candidates(self) -> tuple[str, MatchType]:
        """The text and the way of matching that make the store find all that match, and few others."""
        if not self.row.whole:
            return self.wanted, "contains"
        if self.match in ("equals", "starts-with"):
            return self.row.prefix + self.wanted, self.match
        return self.wanted, self.match

    @property
    def exact(self) -> bool:
        """Whether the store finds no others than those that match."""
        return self.caseless and self.row.whole and (not self.row.prefix or self.match != "contains")


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched: all criteria have to hold, or (``any_of``) one of them; only these kinds."""

    criteria: tuple[Criterion, ...]
    any_of: bool = False
    kinds: frozenset[PrincipalKind] = _EVERYBODY


Found = tuple[list[Principal], bool]


def find(context: Context, search: Search, *, limit: int) -> Found:
    """The principals that match in the order of their names, and whether there may be more."""
    if not search.any_of:
        return _find_all_of(context, search, limit=limit)
    parts = [
        _find_all_of(context, replace(search, criteria=(criterion,)), limit=limit) for criterion in search.criteria
    ]
    return _merge(parts, limit=limit)


def _merge(parts: Sequence[Found], *, limit: int) -> Found:
    merged = {one.id: one for principals, _ in parts for one in principals}
    found = sorted(merged.values(), key=lambda one: one.name)
    return found[:limit], len(found) > limit or any(limited for _, limited in parts)


def _find_all_of(context: Context, search: Search, *, limit: int) -> Found:
    among = search.kinds.intersection(*(criterion.kinds() for criterion in search.criteria))
    if not among:
        return [], False
    in_fields = [criterion for criterion in search.criteria if criterion.row.field is not None]
    # The longest text leaves the fewest candidates.
    leading = max(in_fields, key=lambda criterion: len(criterion.wanted), default=None)
    wanted, match = leading.candidates() if leading is not None else ("", "contains")
    field: Field = leading.row.field if leading is not None and leading.row.field is not None else "name"
    decides = all(criterion is leading and criterion.exact for criterion in in_fields)
    most = limit + 1 if decides else MAX_CANDIDATES
    rows = context.tx.principals.search(
        text=wanted, fields=(field,), match=match, kinds=among if among != _EVERYBODY else (), limit=most
    )
    found = [one for one in rows if all(criterion.holds(one) for criterion in search.criteria)]
    return found[:limit], len(found) > limit or (not decides and len(rows) == most)


# principal-property-search


def property_search(context: Context, resource: Resource, root: Element) -> Response:
    """The principals among the members of the collection, or with ``apply-to-principal-collection-set`` all."""
    context.access.require(resource, READ)
    require_depth_zero(context)
    search = read_search(root)
    limit = limit_of(context, root)
    everywhere = child(root, dav("apply-to-principal-collection-set")) is not None
    in_scope = everywhere or resource.kind in (kinds.ROOT, kinds.PRINCIPALS)
    found, limited = find(context, search, limit=limit) if search is not None and in_scope else ([], False)
    return answer(context, resource, root, [of_principal(context.router, one) for one in found], limited=limited)


def read_search(root: Element) -> Search | None:
    """What is asked for; ``None``: nobody can match, since a property that cannot be searched never does.

    Without any ``D:property-search``, which RFC 3744 demands, everybody matches: that is how python-caldav lists all.
    Apple's ``test``, ``type``, ``match-type`` and ``caseless`` are attributes that RFC 3744 does not have.
    """
    any_of = root.get("test", "allof") == "anyof"
    if root.get("test", "allof") not in ("allof", "anyof"):
        raise bad_request('The test attribute has to be "allof" or "anyof".')
    elements = [found for found in children(root) if tag_of(found) == dav("property-search")]
    criteria = [criterion for found in elements for criterion in _read_criteria(found)]
    if len(criteria) > MAX_CRITERIA:
        raise bad_request(f"A principal-property-search compares at most {MAX_CRITERIA} properties.")
    known = [criterion for criterion in criteria if criterion is not None]
    if criteria and (not known or (not any_of and len(known) < len(criteria))):
        return None
    wanted = root.get("type")
    among = (
        _EVERYBODY if wanted is None else frozenset(kind for kind, name in CUTYPES.items() if name == wanted.upper())
    )
    return Search(tuple(known), any_of and bool(known), among)


def _read_criteria(search: Element) -> list[Criterion | None]:
    prop, match = child(search, dav("prop")), child(search, dav("match"))
    if prop is None or match is None or not children(prop):
        raise bad_request("A D:property-search holds a D:prop with properties and a D:match.")
    how = match.get("match-type", "contains")
    way: MatchType | None = next((known for known in _MATCHES if known == how), None)
    if way is None:
        raise bad_request(f"match-type has to be one of {', '.join(_MATCHES)}.")
    caseless = match.get("caseless", "yes") != "no"
    rows = (_BY_NAME.get(name) for name in asked_names(prop))
    return [None if row is None else Criterion(row, _text(match), way, caseless) for row in rows]


def _text(element: Element) -> str:
    found = text_of(element)
    if len(found) > MAX_TEXT:
        raise bad_request(f"A text that is searched for has at most {MAX_TEXT} characters.")
    return found


# principal-search-property-set


def search_property_set(context: Context, resource: Resource, root: Element) -> Response:
    """200, not 207: what can be searched, with a description of each."""
    context.access.require(resource, READ)
    require_depth_zero(context)
    rows = (
        element(
            dav("principal-search-property"),
            element(dav("prop"), element(row.name))
            + f'<D:description xml:lang="en">{text(row.description)}</D:description>',
        )
        for row in SEARCHABLE
    )
    return xml(200, document(dav("principal-search-property-set"), "".join(rows)))


# calendarserver-principal-search

_WORD: Final = re.compile(r"[^\W_]+")


def token_search(context: Context, resource: Resource, root: Element) -> Response:
    """The principals of which a name or address has a word that begins with the token, for each of the tokens."""
    context.access.require(resource, READ)
    require_depth_zero(context)
    asked = root.get("context")
    if asked is not None and asked not in CONTEXTS:
        raise bad_request(f"The context has to be one of {', '.join(CONTEXTS)}.")
    tokens = [_text(found).casefold() for found in children(root) if tag_of(found) == cs("search-token")]
    tokens = list(dict.fromkeys(filter(None, tokens)))
    if not tokens or len(tokens) > MAX_CRITERIA:
        raise bad_request(f"A calendarserver-principal-search needs 1 to {MAX_CRITERIA} search-token elements.")
    among = CONTEXTS[asked] if asked is not None else _EVERYBODY
    found, limited = _find_tokens(context, tokens, among, limit=limit_of(context, root))
    return answer(context, resource, root, [of_principal(context.router, one) for one in found], limited=limited)


def _find_tokens(context: Context, tokens: list[str], among: frozenset[PrincipalKind], *, limit: int) -> Found:
    longest = max(tokens, key=len)
    queries: tuple[tuple[Field, str, MatchType], ...] = (
        ("displayname", longest, "contains"),
        ("name", longest, "starts-with"),
        ("address", f"mailto:{longest}", "starts-with"),
    )
    only = among if among != _EVERYBODY else ()
    parts: list[Found] = []
    for field, wanted, match in queries:
        rows = context.tx.principals.search(text=wanted, fields=(field,), match=match, kinds=only, limit=MAX_CANDIDATES)
        parts.append(([one for one in rows if _has_all(one, tokens)], len(rows) == MAX_CANDIDATES))
    return _merge(parts, limit=limit)


def _has_all(principal: Principal, tokens: list[str]) -> bool:
    texts = [principal.displayname, principal.name, *mail_addresses(principal)]
    words = [text.casefold() for text in texts]
    words += [word.casefold() for word in _WORD.findall(principal.displayname)]
    return all(any(word.startswith(token) for word in words) for token in tokens)
