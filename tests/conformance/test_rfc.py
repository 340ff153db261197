"""The documents about the standards name tests that exist, and no section is called done without a word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
DOCUMENTS = sorted((TREE / "conformance" / "rfc").glob("*.md"))
NAMED = [
    (document.name, found)
    for document in DOCUMENTS
    for found in dict.fromkeys(re.findall(r"`(tests/[^`]+)`", document.read_text("utf-8")))
]


@pytest.mark.parametrize(("document", "named"), NAMED)
def test_the_named_test_exists(document: str, named: str) -> None:
    path, _, function = named.partition("::")
    file = TREE / path
    assert file.is_file(), f"{document}: there is no {path}"
    if function and path.endswith(".txt"):  # an iTIP script, by its title
        assert f"== {function}" in file.read_text("utf-8").splitlines(), f"{document}: {path} has no {function}"
    elif function:
        pattern = rf"^\s*(?:async )?def {re.escape(function.rpartition('::')[2])}\b"
        assert re.search(pattern, file.read_text("utf-8"), re.MULTILINE), f"{document}: {path} has no {function}"


LITMUS = [
    (document.name, found)
    for document in DOCUMENTS
    for found in dict.fromkeys(re.findall(r"litmus `([^`]+)`", document.read_text("utf-8")))
]


@pytest.mark.parametrize(("document", "named"), LITMUS)
def test_the_named_test_of_litmus_passed(document: str, named: str) -> None:
    kept = (TREE / "conformance" / "results" / "litmus.txt").read_text("utf-8").splitlines()
    assert f"PASS {named}" in kept, f"{document}: {named}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_row_has_three_columns(document: Path) -> None:
    rows = [line for line in document.read_text("utf-8").splitlines() if line.startswith("|")]
    assert rows
    for row in rows:
        assert len(re.split(r"(?<!\\)\|", row)) == 5, row
