from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from scheduling.ical.textmatch import COLLATIONS, MatchType, UnknownCollationError, matches

CONTAINS, EQUALS, STARTS, ENDS = MatchType


@pytest.mark.parametrize(
    ("collation", "text", "pattern", "found"),
    [
        ("i;ascii-casemap", "Team Meeting", "meet", True),
        ("i;ascii-casemap", "Überraschung", "überr", False),  # RFC 4790 9.2: only a-z
        ("i;ascii-casemap", "ÜBERraschung", "ÜberRASCH", True),
        ("i;ascii-casemap", "Überraschung", "ÜBERR", True),
        ("i;ascii-casemap", "straße", "STRASSE", False),
        ("i;ascii-casemap", "\u017f", "S", False),
        ("i;octet", "Team Meeting", "Meet", True),
        ("i;octet", "Team Meeting", "meet", False),
        ("i;octet", "Ü", "U\u0308", False),
        ("i;unicode-casemap", "Überraschung", "üBERR", True),
        ("i;unicode-casemap", "Ü", "u\u0308", True),  # RFC 5051: decomposed
        ("i;unicode-casemap", "ﬁn", "FIN", False),  # title case of the ligature is "Fi": more than one character
        ("i;unicode-casemap", "ΣΊΣΥΦΟΣ", "σίσυφοσ", True),
        ("i;unicode-casemap", "①", "1", True),  # compatibility decomposition
        ("default", "A", "a", True),
        ("i;octet", "anything", "", True),
    ],
)
def test_collations(collation: str, text: str, pattern: str, found: bool) -> None:
    assert matches(text, pattern, collation=collation) is found


@pytest.mark.parametrize(
    ("kind", "hits"),
    [(CONTAINS, {"b", "ab", "bc", "abc"}), (EQUALS, {"b"}), (STARTS, {"b", "bc"}), (ENDS, {"b", "ab"})],
)
def test_match_types(kind: MatchType, hits: set[str]) -> None:
    assert {text for text in ("a", "b", "ab", "bc", "abc", "") if matches(text, "B", match_type=kind)} == hits


@pytest.mark.parametrize("name", ["", "i;ascii-numeric", "I;OCTET", "i;*", "*"])
def test_an_unknown_collation_has_a_name_and_a_condition(name: str) -> None:
    with pytest.raises(UnknownCollationError) as caught:
        matches("a", "a", collation=name)
    assert caught.value.condition == "supported-collation"
    assert caught.value.name == name


@given(st.text(), st.text(), st.text(), st.sampled_from(sorted(COLLATIONS)))
def test_a_part_is_always_found(before: str, part: str, after: str, collation: str) -> None:
    if collation == "i;unicode-casemap":
        before, after = before + " ", " " + after  # what is decomposed at a seam may be reordered
        part = f"x{part}x"
    assert matches(before + part + after, part, collation=collation)
