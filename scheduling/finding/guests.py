"""Who is to come to a meeting that a time is looked for: addresses and names looked up, groups as who is in them.

The number of statements does not grow with the number of people, and there are never more than may be asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import unquote

from scheduling.addresses import normal
from scheduling.finding.slots import NotAWish
from storage.rows import Principal, PrincipalKind
from storage.store import Transaction

#: Groups within groups that are followed.
_DEPTH: Final = 5
_PRINCIPALS: Final = "/principals/"
_NOBODY: Final = "There is nobody here with this address: when they are busy is not known."


class Guests:
    """Those who have to come and those who may, by the principal's id, and what is ``unknown`` and why."""

    def __init__(self, tx: Transaction, most: int) -> None:
        self._tx = tx
        self._most = most
        self.required: dict[int, Principal] = {}
        self.optional: dict[int, Principal] = {}
        self.unknown: dict[str, str] = {}

    def invite(self, required: Sequence[str], optional: Sequence[str]) -> None:
        """Who is both has to come. Raises ``NotAWish`` where there are too many."""
        self._check(len(required) + len(optional))
        found = looked_up(self._tx, (*required, *optional))
        self.unknown |= {text: _NOBODY for text in (*required, *optional) if text not in found}
        members = self._members(found.values())
        for texts, into in ((required, self.required), (optional, self.optional)):
            for text in texts:
                for one in members[found[text].id] if text in found else ():
                    if one.id not in self.required:
                        into[one.id] = one
        self._check(len(self.required) + len(self.optional) + len(self.unknown))

    def _members(self, found: Iterable[Principal]) -> dict[int, list[Principal]]:
        """Who each principal stands for: itself, or all who are in it; two statements for each level of groups."""
        known = {one.id: one for one in found}
        inside: dict[int, list[int]] = {}
        groups = _groups(known.values())
        for _ in range(_DEPTH):
            if not groups:
                break
            members = self._tx.principals.members_of(groups)
            inside |= {group: [one.id for one in several] for group, several in members.items()}
            known |= {one.id: one for several in members.values() for one in several}
            self._check(len(known) - len(inside))
            groups = [id_ for id_ in _groups(known.values()) if id_ not in inside]
        return {id_: [known[one] for one in _within(id_, inside, known)] for id_ in known}

    def _check(self, number: int) -> None:
        if number > self._most:
            raise NotAWish("attendees", f"These are too many people: a time is found for {self._most} at most.")


def _groups(principals: Iterable[Principal]) -> list[int]:
    return [one.id for one in principals if one.kind is PrincipalKind.GROUP]


def _within(id_: int, inside: dict[int, list[int]], known: dict[int, Principal]) -> Iterable[int]:
    """The people in a group and in the groups in it, each once."""
    seen, waiting = {id_: None}, [id_]
    while waiting:
        for one in inside.get(waiting.pop(), ()):
            if one not in seen:
                seen[one] = None
                waiting.append(one)
    return [one for one in seen if known[one].kind is not PrincipalKind.GROUP]


def looked_up(tx: Transaction, texts: Iterable[str]) -> dict[str, Principal]:
    """Who is meant by each text: a calendar user address, or the name of a principal. Three statements at most."""
    wanted = list(dict.fromkeys(texts))
    addresses = {text: normal(text) for text in wanted if "@" in text or ":" in text}
    found: dict[str, Principal] = {}
    if addresses:
        known = {normal(uri): one for uri, one in tx.principals.by_addresses(set(addresses.values())).items()}
        found |= {text: known[address] for text, address in addresses.items() if address in known}
    names = {text: _name_in(text) for text in wanted if text not in found}
    if names:  # one with an @ may be a name as well
        named = tx.principals.by_names(set(names.values()))
        found |= {text: named[name] for text, name in names.items() if name in named}
    return found


def _name_in(text: str) -> str:
    """The name of a principal: the text itself, or the end of the path that it is."""
    return unquote(text.partition(_PRINCIPALS)[2]).strip("/") if _PRINCIPALS in text else text
