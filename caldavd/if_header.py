"""The ``If`` request header (RFC 4918 section 10.4): its grammar and when it holds.

Pure: what state a resource is in is asked of the caller. :mod:`caldavd.locking` gives the answers and decides what a
submitted token permits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: White space between the parts: RFC 4918 section 10.4.2 takes over the LWS of RFC 2616 section 2.2.
_SPACE: Final = re.compile(r"[ \t\r\n]*")
#: ``Coded-URL`` (section 10.1) of an absolute URI; no white space inside.
_TOKEN: Final = re.compile(r"<([A-Za-z][A-Za-z0-9+.\-]*:[^<>\s]*)>")
#: ``Resource-Tag`` (section 10.4.2): an absolute URI or an absolute path.
_TAG: Final = re.compile(r"<([^<>\s]+)>")
#: ``"[" entity-tag "]"`` without white space around the tag (section 10.4.2, RFC 9110 section 8.8.3).
_ETAG: Final = re.compile(r'\[(W/)?"([^"]*)"\]')
_NOT: Final = re.compile(r"Not(?![A-Za-z])", re.IGNORECASE)


class MalformedIf(ValueError):
    """The header does not follow the grammar; the message says where."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a list: a state token or (``is_etag``) an entity tag without its quotes.

    Weak tags compare like strong ones (section 10.4.4 leaves the choice): a ``W/`` before a tag of ours comes from an
    intermediary that compressed the answer, not from another state.
    """

    value: str
    is_etag: bool
    negated: bool


@dataclass(frozen=True, slots=True)
class StateList:
    """Conditions that hold together, about the resource at ``tag`` (``None``: the Request-URI)."""

    tag: str | None
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What a resource is in: its entity tag without quotes (``None``: it has none) and the tokens of its locks."""

    etag: str | None
    tokens: frozenset[str]


@dataclass(frozen=True, slots=True)
class IfHeader:
    """A parsed header."""

    lists: tuple[StateList, ...]

    @property
    def submitted(self) -> frozenset[str]:
        """All state tokens in it, wherever they stand: submitted whether their list holds or not (section 10.4.1)."""
        return frozenset(one.value for found in self.lists for one in found.conditions if not one.is_etag)

    def holds(self, state: Callable[[str | None], State]) -> bool:
        """Whether any of the lists holds; ``state`` is asked once for each resource (section 10.4.3)."""
        known: dict[str | None, State] = {}
        for found in self.lists:
            if found.tag not in known:
                known[found.tag] = state(found.tag)
            if all(_matches(one, known[found.tag]) for one in found.conditions):
                return True
        return False


def _matches(condition: Condition, state: State) -> bool:
    found = condition.value == state.etag if condition.is_etag else condition.value in state.tokens
    return found != condition.negated


def parse(value: str) -> IfHeader:
    """The header's value, parsed. Raises :class:`MalformedIf`."""
    scanner = _Scanner(value)
    lists: list[StateList] = []
    tag: str | None = None
    while not scanner.at_end:
        found = scanner.take(_TAG)
        if found is not None:
            if lists and tag is None:
                raise MalformedIf("Lists with and without a resource tag cannot be mixed in an If header.")
            tag = found[1]
        lists.append(StateList(tag, _conditions(scanner)))
    if not lists:
        raise MalformedIf("The If header is empty.")
    return IfHeader(tuple(lists))


def _conditions(scanner: _Scanner) -> tuple[Condition, ...]:
    scanner.expect("(", "a list in parentheses")
    conditions: list[Condition] = []
    while not scanner.accept(")"):
        negated = scanner.take(_NOT) is not None
        if etag := scanner.take(_ETAG):
            conditions.append(Condition(etag[2], is_etag=True, negated=negated))
        elif token := scanner.take(_TOKEN):
            conditions.append(Condition(token[1], is_etag=False, negated=negated))
        else:
            raise scanner.error('a <state token>, an ["entity tag"] or a closing parenthesis')
    if not conditions:
        raise MalformedIf("A list of the If header holds no condition.")
    return tuple(conditions)


class _Scanner:
    """A position in the header's text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._skip()

    @property
    def at_end(self) -> bool:
        return self._at == len(self._text)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
            self._skip()
        return found

    def accept(self, character: str) -> bool:
        if not self._text.startswith(character, self._at):
            return False
        self._at += 1
        self._skip()
        return True

    def expect(self, character: str, wanted: str) -> None:
        if not self.accept(character):
            raise self.error(wanted)

    def error(self, wanted: str) -> MalformedIf:
        return MalformedIf(f"The If header is malformed at character {self._at + 1}: expected {wanted}.")

    def _skip(self) -> None:
        space = _SPACE.match(self._text, self._at)
        assert space is not None
        self._at = space.end()
