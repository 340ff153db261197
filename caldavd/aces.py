"""Access control entries as XML (RFC 3744 section 5.5), and what the ACL method demands of them (section 8.1.1).

Pure: hrefs come in and go out as text, who they name is looked up by the caller. :data:`RESTRICTIONS` is both what
``acl-restrictions`` shows and what is enforced, so that a client is never refused what it was told it may do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from caldavd import errors
from caldavd.access import GROUP, OWNER, Entry
from caldavd.errors import Condition, bad_request, failed
from caldavd.privileges import USUAL, Supported
from caldavd.xml.fragment import element, href
from caldavd.xml.names import dav
from caldavd.xml.parse import Element, child, children, tag_of, text_of
from storage.rows import Ace, AceWho, Principal

#: Entries of one list. Each access by somebody else reads all of those on the way, so there has to be an end.
MAX_ACES: Final = 500

_PRINCIPAL, _INVERT, _GRANT, _DENY = map(dav, ("principal", "invert", "grant", "deny"))
_PROTECTED, _INHERITED, _PRIVILEGE, _HREF = map(dav, ("protected", "inherited", "privilege", "href"))
#: The children of ``D:principal`` (section 5.5.1).
_WHO: Final[Mapping[str, AceWho]] = {
    _HREF: "principal",
    dav("all"): "all",
    dav("authenticated"): "authenticated",
    dav("unauthenticated"): "unauthenticated",
    dav("property"): "property",
    dav("self"): "self",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """An ACE as it was sent. ``ace`` lacks its ``principal_id`` where it names a principal by ``href``."""

    ace: Ace
    href: str = ""
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Restrictions:
    """``acl-restrictions`` (section 5.6); ``required`` are principals that an ACL always has to name."""

    grant_only: bool = False
    no_invert: bool = False
    deny_before_grant: bool = False
    required: tuple[Ace, ...] = ()


#: This server takes grants and denials in any order, and inverted ones. The owner's ACE is protected, so that nobody
#: has to be required.
RESTRICTIONS: Final = Restrictions()


@dataclass(frozen=True, slots=True)
class Rules:
    """What a new ACL is checked against: the resource's protected ACEs, its owner, and what the server allows.

    ``supported``: the privileges that there are on the resource.
    """

    protected: Sequence[Ace] = ()
    owner_id: int | None = None
    restrictions: Restrictions = RESTRICTIONS
    supported: Supported = USUAL
    limit: int = MAX_ACES


# Coming in


def read_acl(root: Element) -> list[Sent]:
    """The ACEs of the body of an ACL request. Raises 400 for what is not well-formed (section 8.1.5)."""
    if tag_of(root) != dav("acl"):
        raise bad_request("The body of an ACL request has to be a D:acl element.")
    return [_read_ace(found) for found in children(root) if tag_of(found) == dav("ace")]


def _read_ace(ace: Element) -> Sent:
    invert = child(ace, _INVERT)
    principals = [found for found in children(ace if invert is None else invert) if tag_of(found) == _PRINCIPAL]
    outside = [found for found in children(ace) if tag_of(found) in (_PRINCIPAL, _INVERT)]
    if len(principals) != 1 or len(outside) != 1:
        raise bad_request("A D:ace is about exactly one D:principal (which may stand in D:invert).")
    rights = [found for found in children(ace) if tag_of(found) in (_GRANT, _DENY)]
    if len(rights) != 1:
        raise bad_request("A D:ace has exactly one D:grant or D:deny.")
    sent = _read_principal(principals[0])
    read = replace(
        sent.ace,
        grant=tag_of(rights[0]) == _GRANT,
        privileges=_read_privileges(rights[0]),
        invert=invert is not None,
        protected=child(ace, _PROTECTED) is not None,
    )
    return replace(sent, ace=read, inherited=child(ace, _INHERITED) is not None)


def _read_principal(principal: Element) -> Sent:
    named = [found for found in children(principal) if tag_of(found) in _WHO]
    if len(named) != 1:
        raise bad_request(f"D:principal holds one of {', '.join(name.rpartition('}')[2] for name in _WHO)}.")
    who = _WHO[tag_of(named[0])]
    properties = children(named[0]) if who == "property" else []
    if who == "property" and len(properties) != 1:
        raise bad_request("D:property names exactly one property.")
    if who == "principal" and not text_of(named[0]):
        raise bad_request("The D:href of a D:principal is empty.")
    prop = tag_of(properties[0]) if properties else ""
    ace = Ace(who, grant=True, privileges=(), property=prop)
    return Sent(ace, text_of(named[0]) if who == "principal" else "")


def _read_privileges(rights: Element) -> tuple[str, ...]:
    wrappers = [found for found in children(rights) if tag_of(found) == _PRIVILEGE]
    names = tuple(dict.fromkeys(tag_of(found) for wrapper in wrappers for found in children(wrapper)))
    if not names:
        raise bad_request("D:grant and D:deny hold at least one D:privilege with a privilege in it.")
    return names


# Going out


def write_ace(entry: Entry, *, principal_href: str, inherited_href: str) -> str:
    """A ``D:ace`` as a fragment; the hrefs count where the entry names a principal or is inherited."""
    ace = entry.ace
    inner = _who(ace, principal_href)
    privileges = "".join(element(_PRIVILEGE, element(name)) for name in ace.privileges)
    inner = element(_INVERT, inner) if ace.invert else inner
    inner += element(_GRANT if ace.grant else _DENY, privileges)
    inner += element(_PROTECTED) if ace.protected else ""
    inner += element(_INHERITED, href(inherited_href)) if entry.inherited is not None else ""
    return element(dav("ace"), inner)


def _who(ace: Ace, principal_href: str) -> str:
    if ace.who == "principal":
        return element(_PRINCIPAL, href(principal_href))
    return element(_PRINCIPAL, element(dav(ace.who), element(ace.property) if ace.property else ""))


def write_restrictions(restrictions: Restrictions) -> str:
    """The content of ``acl-restrictions`` as a fragment. ``required`` names no principals by href."""
    flags = {
        "grant-only": restrictions.grant_only,
        "no-invert": restrictions.no_invert,
        "deny-before-grant": restrictions.deny_before_grant,
    }
    inner = "".join(element(dav(name)) for name, is_set in flags.items() if is_set)
    required = "".join(
        element(dav(ace.who), element(ace.property) if ace.property else "") for ace in restrictions.required
    )
    return inner + (element(dav("required-principal"), required) if required else "")


# The preconditions


def settle(sent: Iterable[Sent], principals: Mapping[str, Principal], existing: Sequence[Entry]) -> list[Ace]:
    """The ACEs that are to be stored.

    ``principals`` are those that the hrefs name; one that is missing is ``recognized-principal``. A client that sends
    back what it has read sends protected and inherited ACEs as well: where they are as they were they are left out,
    where they are not that is a conflict.
    """
    settled: list[Ace] = []
    for one in sent:
        ace = one.ace
        if ace.who == "principal":
            if one.href not in principals:
                message = "An ACE names its principal by the principal-URL of a principal of this server."
                raise failed(errors.RECOGNIZED_PRINCIPAL, href(one.href), message=message)
            ace = replace(ace, principal_id=principals[one.href].id)
        if one.inherited:
            if not any(entry.inherited is not None and _same(entry.ace, ace) for entry in existing):
                message = "Inherited ACEs are changed where they are inherited from."
                raise failed(errors.NO_INHERITED_ACE_CONFLICT, message=message)
        elif ace.protected:
            if not any(entry.inherited is None and _same(entry.ace, ace) for entry in existing):
                raise failed(errors.NO_PROTECTED_ACE_CONFLICT, message="Protected ACEs cannot be changed or added.")
        else:
            settled.append(ace)
    return settled


def _same(left: Ace, right: Ace) -> bool:
    return replace(left, privileges=tuple(sorted(left.privileges))) == replace(
        right, privileges=tuple(sorted(right.privileges)), protected=left.protected
    )


#: What is wrong, if anything: the fragment inside the precondition's element, and the sentence for people.
Problem = tuple[str, str] | None


def _limited_number_of_aces(aces: Sequence[Ace], rules: Rules) -> Problem:
    return ("", f"An ACL has at most {rules.limit} entries.") if len(aces) > rules.limit else None


def _not_supported_privilege(aces: Sequence[Ace], rules: Rules) -> Problem:
    known = {node.name for node in rules.supported.tree.walk()}
    unknown = [name for name in _named(aces) if name not in known]
    return (_privileges(unknown), "supported-privilege-set tells which privileges there are.") if unknown else None


def _no_abstract(aces: Sequence[Ace], rules: Rules) -> Problem:
    abstract = {node.name for node in rules.supported.tree.walk() if node.abstract}
    found = [name for name in _named(aces) if name in abstract]
    return (_privileges(found), "An abstract privilege is granted by one that contains it.") if found else None


def _allowed_principal(aces: Sequence[Ace], _: Rules) -> Problem:
    for ace in aces:
        if ace.who == "unauthenticated":
            return "", "Nobody gets in here without a password, so nothing can be granted to them."
        if ace.who == "self":
            return "", "Only a principal can have an ACE about itself, and its ACL is fixed."
        if ace.who == "property" and ace.property not in (OWNER, GROUP):
            return "", "The properties that name a principal are DAV:owner and DAV:group."
    return None


def _grant_only(aces: Sequence[Ace], rules: Rules) -> Problem:
    violated = rules.restrictions.grant_only and not all(ace.grant for ace in aces)
    return ("", "Privileges can be granted here, not denied.") if violated else None


def _no_invert(aces: Sequence[Ace], rules: Rules) -> Problem:
    violated = rules.restrictions.no_invert and any(ace.invert for ace in aces)
    return ("", "D:invert cannot be used here.") if violated else None


def _deny_before_grant(aces: Sequence[Ace], rules: Rules) -> Problem:
    grants = [ace.grant for ace in aces]
    violated = rules.restrictions.deny_before_grant and grants != sorted(grants)
    return ("", "Entries that deny have to come before those that grant.") if violated else None


def _missing_required_principal(aces: Sequence[Ace], rules: Rules) -> Problem:
    named = {_whom(ace) for ace in (*aces, *rules.protected)}
    missing = [ace for ace in rules.restrictions.required if _whom(ace) not in named]
    return ("", "acl-restrictions tells whom an ACL has to name.") if missing else None


def _no_protected_ace_conflict(aces: Sequence[Ace], rules: Rules) -> Problem:
    """What a protected ACE grants cannot be denied to the same principal."""
    atoms = rules.supported.atoms
    protected = {_whom(ace, rules.owner_id): atoms(ace.privileges) for ace in rules.protected}
    for ace in aces:
        if not ace.grant and protected.get(_whom(ace, rules.owner_id), frozenset()) & atoms(ace.privileges):
            return "", "The owner holds all privileges: they cannot be denied."
    return None


def _no_ace_conflict(aces: Sequence[Ace], rules: Rules) -> Problem:
    """An ACE that an earlier one about the same principal contradicts in all that it says is a mistake."""
    decided: dict[tuple[object, ...], dict[str, bool]] = {}
    for ace in aces:
        earlier = decided.setdefault(_whom(ace, rules.owner_id), {})
        names = rules.supported.atoms(ace.privileges)
        if all(earlier.get(name, ace.grant) != ace.grant for name in names):
            return (
                "",
                "The same privilege is granted to a principal and denied to it: the first of the two would count.",
            )
        for name in names:
            earlier.setdefault(name, ace.grant)
    return None


#: In the order in which they are looked at. ``recognized-principal`` and ``no-inherited-ace-conflict`` are in
#: :func:`settle`: an own ACE may say something else than an inherited one and then comes first.
CHECKS: Final[tuple[tuple[Condition, Callable[[Sequence[Ace], Rules], Problem]], ...]] = (
    (errors.LIMITED_NUMBER_OF_ACES, _limited_number_of_aces),
    (errors.NOT_SUPPORTED_PRIVILEGE, _not_supported_privilege),
    (errors.NO_ABSTRACT, _no_abstract),
    (errors.ALLOWED_PRINCIPAL, _allowed_principal),
    (errors.GRANT_ONLY, _grant_only),
    (errors.NO_INVERT, _no_invert),
    (errors.DENY_BEFORE_GRANT, _deny_before_grant),
    (errors.MISSING_REQUIRED_PRINCIPAL, _missing_required_principal),
    (errors.NO_PROTECTED_ACE_CONFLICT, _no_protected_ace_conflict),
    (errors.NO_ACE_CONFLICT, _no_ace_conflict),
)


def check(aces: Sequence[Ace], rules: Rules) -> None:
    """Raises 403 with the first precondition of section 8.1.1 that the ACEs violate."""
    for condition, problem_of in CHECKS:
        problem = problem_of(aces, rules)
        if problem is not None:
            raise failed(condition, problem[0], message=problem[1])


def _named(aces: Iterable[Ace]) -> Iterator[str]:
    return iter(dict.fromkeys(name for ace in aces for name in ace.privileges))


def _privileges(names: Iterable[str]) -> str:
    return "".join(element(_PRIVILEGE, element(name)) for name in names)


def _whom(ace: Ace, owner_id: int | None = None) -> tuple[object, ...]:
    """Whom an ACE is about; the owner by its href is the owner by the property."""
    if ace.who == "principal" and owner_id is not None and ace.principal_id == owner_id:
        return "property", None, OWNER, ace.invert
    return ace.who, ace.principal_id, ace.property, ace.invert
