"""Changes to one text, gathered from several rules and made at once; two rules may change one line.

The editor itself is ``ical.lines``; what the rules do not name stays as the client sent it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduling.ical.lines import Component, amend, edit, remove
from scheduling.itip.copying import put_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scheduling.ical.lines import ContentLine, Edit


class Amendments:
    """What is to be changed in ``source``."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self._lines: dict[int, ContentLine] = {}
        self._params: dict[int, dict[str, str | Sequence[str] | None]] = {}
        self._values: dict[int, str] = {}
        self._removed: dict[int, ContentLine | Component] = {}
        self._put: list[Edit] = []

    def __bool__(self) -> bool:
        return bool(self._lines or self._removed or self._put)

    def param(self, line: ContentLine, name: str, value: str | Sequence[str] | None) -> None:
        """The parameter ``name`` of ``line`` becomes ``value``; None takes it away."""
        if value is None and line.param(name) is None:
            return
        self._lines[line.start] = line
        self._params.setdefault(line.start, {})[name] = value

    def value(self, line: ContentLine, value: str) -> None:
        """The raw value of ``line`` becomes ``value``."""
        self._lines[line.start] = line
        self._values[line.start] = value

    def property(self, component: Component, name: str, value: str) -> None:
        """The first property ``name`` of ``component`` gets the raw ``value``; where there is none, it is put first."""
        line = component.first(name)
        if line is not None:
            self.value(line, value)
        else:
            self.put(component.body, [f"{name}:{value}"])

    def remove(self, item: ContentLine | Component) -> None:
        """``item`` goes; what else was said about it does not count."""
        self._removed[item.start] = item

    def put(self, at: int, lines: Iterable[str]) -> None:
        """``lines`` stand at ``at``, a byte offset between two lines."""
        self._put.append(put_in(at, list(lines)))

    def made(self) -> bytes:
        """The text with all changes; the very same object where there are none."""
        if not self:
            return self.source
        edits = [remove(item) for item in self._removed.values()]
        for start, line in self._lines.items():
            if not self._is_gone(start):
                edits.append(amend(self.source, line, self._params.get(start, {}), value=self._values.get(start)))
        # What is put in comes before what is changed at the same place.
        return edit(self.source, [*self._put, *edits])

    def _is_gone(self, start: int) -> bool:
        """Whether a line lies in what is removed; one that lies in a component goes with it."""
        if start in self._removed:
            return True
        return any(one.start <= start < one.end for one in self._removed.values() if isinstance(one, Component))
