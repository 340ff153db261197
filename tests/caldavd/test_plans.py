"""No request looks at rows that it does not tell of: how SQLite finds what each statement asks for.

What a request looks at must not grow with what else is in its calendar, its home or the store. So every statement finds
its rows by an index, and those of ``objects`` and ``removals``, of which a calendar has many, by more than the
calendar that they are in: by a name, a UID, an id, the number of their last change, or how long they last and when.
"""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.caldavd.test_statements import KINDS_OF_REQUEST, Kind, Scene, on_sqlite

__all__ = ["on_sqlite"]

#: What tells of all members looks at all of them.
_LISTINGS: Final = {"PROPFIND of a calendar, Depth 1", "PROPFIND of a calendar, Depth 1, more"}
_MANY: Final = ("objects", "removals")
_STEP: Final = re.compile(r"(SCAN|SEARCH) (\w+)(?: AS \w+)?(?: USING .*?\((.*)\))?")


def _steps(scene: Scene, statements: list[str]) -> list[tuple[str, str, str]]:
    """How each table is read: SCAN or SEARCH, its name, and by which columns."""
    found = []
    store = scene.client.application.store
    with store._backend.reader.connect() as connection:  # type: ignore[attr-defined]
        for statement in statements:
            plan = connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            for row in plan:
                step = _STEP.match(row[3])
                if step is not None:
                    found.append((step[1], step[2], step[3] or ""))
    return found


@pytest.mark.parametrize("kind", KINDS_OF_REQUEST, ids=[kind.name for kind in KINDS_OF_REQUEST])
def test_rows_are_found_and_not_looked_for(on_sqlite: Scene, kind: Kind) -> None:
    steps = _steps(on_sqlite, on_sqlite.statements(kind, "many"))
    assert steps
    assert not [step for step in steps if step[0] == "SCAN"]
    if kind.name not in _LISTINGS:
        assert not [step for step in steps if step[1] in _MANY and step[2] == "collection_id=?"]
