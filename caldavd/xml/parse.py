"""Incoming XML: one door, bounded in size and depth, without DTDs and entities (RFC 4918 section 20.6).

defusedxml's parser reads the text first, while :class:`_Bounds` counts; only then lxml builds the tree that the rest
works on (dead properties need prefixes and attributes exactly as they came, RFC 4918 section 4.3).
"""

from __future__ import annotations

import re
from functools import lru_cache
from xml.parsers.expat import ExpatError

from defusedxml import DefusedXmlException
from defusedxml.expatreader import create_parser
from lxml import etree

MAX_DEPTH = 64
#: Elements of one body. Each costs half a kilobyte once it is read, so that the size of the body alone bounds nothing.
MAX_ELEMENTS = 100_000
#: Attributes of one element, namespace declarations among them. The parser compares each with all others.
MAX_ATTRIBUTES = 200
#: Namespace prefixes that one body declares. An element that is stored takes all of them along.
MAX_PREFIXES = 100

_LXML = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


#: An element of a parsed body; the rest of the server knows lxml only by this name.
Element = etree._Element


class MalformedXML(ValueError):
    """The body is not XML that this server takes; the message is for people."""


class ExternalEntity(MalformedXML):
    """The body names something outside of itself (RFC 4918 section 16, no-external-entities)."""


#: A document type or an entity that is somewhere else. No ``<`` before the keyword: from each beginning the search goes
#: to the next at most.
_EXTERNAL = re.compile(rb"<!(?:DOCTYPE|ENTITY)\b[^<>]*\b(?:SYSTEM|PUBLIC)\b")


class _Bounds:
    """Raises MalformedXML where the body is beyond the limits, before anything is built of it."""

    __slots__ = ("depth", "elements", "prefixes")

    def __init__(self) -> None:
        self.depth = 0
        self.elements = 0
        self.prefixes: set[str] = set()

    def start(self, _name: str, attributes: list[str]) -> None:
        """Counts an element; ``attributes`` are names and values in turn."""
        self.depth += 1
        self.elements += 1
        if self.depth > MAX_DEPTH:
            raise MalformedXML(f"The XML body is nested deeper than {MAX_DEPTH} elements.")
        if self.elements > MAX_ELEMENTS:
            raise MalformedXML(f"The XML body has more than {MAX_ELEMENTS} elements.")
        if attributes:
            if len(attributes) > 2 * MAX_ATTRIBUTES:
                raise MalformedXML(f"An element of the XML body has more than {MAX_ATTRIBUTES} attributes.")
            self.prefixes.update(found for found in attributes[::2] if found.startswith("xmlns:"))
            if len(self.prefixes) > MAX_PREFIXES:
                raise MalformedXML(f"The XML body declares more than {MAX_PREFIXES} namespace prefixes.")

    def end(self, _name: str) -> None:
        """Counts the depth down again."""
        self.depth -= 1


def parse(body: bytes) -> etree._Element:
    """The root element of ``body``. Raises :class:`MalformedXML`."""
    (_checked_before if len(body) <= _OFTEN else _check)(body)
    try:
        return etree.fromstring(body, etree.XMLParser(**_LXML))  # type: ignore[arg-type]
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXML(f"The body is not well-formed XML: {error}.") from error


def _check(body: bytes) -> None:
    """Raises :class:`MalformedXML` for what is no XML, or more than is taken."""
    gate = create_parser(forbid_dtd=True)
    gate.reset()  # which gives it expat's parser, with what refuses document types and entities
    reader, gate._parser = gate._parser, None  # type: ignore[attr-defined]  # so that nothing is held in a ring
    bounds = _Bounds()
    # Straight from expat: on the way through SAX each element would cost four times as much.
    reader.ordered_attributes = True
    reader.StartElementHandler = bounds.start
    reader.EndElementHandler = bounds.end
    reader.CharacterDataHandler = None
    try:
        reader.Parse(body, True)  # noqa: FBT003
    except DefusedXmlException as error:
        if _EXTERNAL.search(body.replace(b"\0", b"")):  # whichever of the UTFs it is in
            raise ExternalEntity("The XML body refers to entities outside of it, which are never read.") from error
        raise MalformedXML("The XML body has a document type declaration or entities, which are not taken.") from error
    except MalformedXML:
        raise
    except (ExpatError, ValueError, LookupError) as error:
        raise MalformedXML(f"The body is not well-formed XML: {error}.") from error


#: Bytes of a body that may come again: what clients poll with is the same each time.
_OFTEN = 2048
#: What has passed passes again; what has not is not remembered.
_checked_before = lru_cache(maxsize=512)(_check)


def children(element: etree._Element) -> list[etree._Element]:
    """Child elements; the parser leaves comments and processing instructions out, and entities are refused."""
    return list(element)


def child(element: etree._Element, name: str) -> etree._Element | None:
    """The first child of this Clark name."""
    return next(element.iterchildren(name), None)


def text_of(element: etree._Element | None) -> str:
    """The element's own character data, stripped; empty where there is no element."""
    return (element.text or "").strip() if element is not None else ""


def texts_of(element: etree._Element, name: str) -> list[str]:
    """What :func:`text_of` gives for each child of this Clark name."""
    return [(found.text or "").strip() for found in element.iterchildren(name)]


def tag_of(element: etree._Element) -> str:
    """The element's Clark name."""
    return str(element.tag)


def serialize(element: etree._Element) -> bytes:
    """The element on its own, so that it can be stored and put into another document.

    With it go the namespace declarations that it needs, those whose prefix its text or attributes mention (XPath and
    XML Schema write names there), and the ``xml:lang`` that is in scope (RFC 4918 section 4.3).
    """
    copy = etree.fromstring(_written(element), etree.XMLParser(**_LXML))  # type: ignore[arg-type]
    if _LANGUAGE not in copy.attrib:
        for ancestor in element.iterancestors():
            value = ancestor.get(_LANGUAGE)
            if value is not None:
                copy.set(_LANGUAGE, value)
                break
    if all(str(inner.tag).startswith("{") for inner in copy.iter()):
        # Elsewhere cleaning up would take ``xmlns=""`` away, and with it what an element without a namespace is.
        etree.cleanup_namespaces(copy, keep_ns_prefixes=_mentioned_prefixes(copy))
    return _written(copy)


def _written(element: etree._Element) -> bytes:
    """In UTF-8: in ASCII, names with other letters could not be written."""
    return etree.tostring(element, encoding="utf-8", xml_declaration=False, with_tail=False)


_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def _mentioned_prefixes(element: etree._Element) -> list[str]:
    declared = etree.iterwalk(element, events=("start-ns",))
    prefixes = {prefix for _, (prefix, _) in declared if prefix}
    if not prefixes:
        return []
    texts = [text for inner in element.iter() for text in (inner.text, inner.tail, *inner.attrib.values()) if text]
    return [prefix for prefix in prefixes if any(f"{prefix}:" in text for text in texts)]
