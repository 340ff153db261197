"""The hrefs inside a rendered property: found, and replaced by something else (RFC 3253 section 3.8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from caldavd.xml.fragment import DECLARATIONS
from caldavd.xml.names import dav

#: Takes the place of a href. Incoming documents lose their processing instructions, so that none is ever mistaken.
_PLACE: Final = re.compile(r"<\?href (\d+)\?>")


@dataclass(frozen=True, slots=True)
class Cut:
    """A property as text with gaps: ``hrefs[n]`` stood between ``texts[n]`` and ``texts[n + 1]``."""

    texts: tuple[str, ...]
    hrefs: tuple[str, ...]

    def filled(self, replacement: Callable[[str], str]) -> str:
        """The whole again, with ``replacement(href)`` in the gaps."""
        parts = [self.texts[0]]
        for sent, following in zip(self.hrefs, self.texts[1:], strict=True):
            parts += (replacement(sent), following)
        return "".join(parts)


def hrefs_in(fragment: str) -> list[str]:
    """The texts of all ``D:href`` elements in a fragment."""
    return [(found.text or "").strip() for found in _parse(fragment).iter(dav("href"))]


def cut(fragment: str) -> Cut:
    """The fragment (one element) without its ``D:href`` elements."""
    property_element = next(iter(_parse(fragment)))
    hrefs = []
    for place, found in enumerate(list(property_element.iter(dav("href")))):
        hrefs.append((found.text or "").strip())
        instruction = etree.ProcessingInstruction("href", str(place))
        instruction.tail = found.tail
        parent = found.getparent()
        assert parent is not None
        parent.replace(found, instruction)
    texts = _PLACE.split(etree.tostring(property_element, encoding="unicode", with_tail=False))[::2]
    return Cut(tuple(texts), tuple(hrefs))


def qualified(namespace: str, local: str) -> str:
    """A Clark name from two attribute values. Raises ``ValueError`` where it cannot be an element's name."""
    return etree.QName(namespace or None, local).text


def _parse(fragment: str) -> etree._Element:
    return etree.fromstring(f"<wrapper {DECLARATIONS}>{fragment}</wrapper>")
