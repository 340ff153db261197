"""Element names, as Clark names (``{namespace}local``), and the prefixes that go out.

Clients bind prefixes as they like (clients.md section 0), so nothing here is ever compared by prefix. What goes out
declares every prefix of :data:`PREFIXES` once, on the root element.
"""

from __future__ import annotations

from typing import Final

DAV_NS: Final = "DAV:"
CALDAV_NS: Final = "urn:ietf:params:xml:ns:caldav"
CS_NS: Final = "http://calendarserver.org/ns/"
APPLE_NS: Final = "http://apple.com/ns/ical/"
#: This server's own elements (docs/find-time.md). It is in no document that does not use it.
OWN_NS: Final = "urn:caldavd:ns"

#: Prefixes of outgoing documents, in the order of their declarations.
PREFIXES: Final = {"D": DAV_NS, "C": CALDAV_NS, "CS": CS_NS, "A": APPLE_NS}
_BY_NAMESPACE: Final = {namespace: prefix for prefix, namespace in PREFIXES.items()}


def dav(local: str) -> str:
    """A name of RFC 4918, 3744, 6578, … (``DAV:``)."""
    return f"{{{DAV_NS}}}{local}"


def caldav(local: str) -> str:
    """A name of RFC 4791 and 6638."""
    return f"{{{CALDAV_NS}}}{local}"


def cs(local: str) -> str:
    """A name of the CalendarServer extensions."""
    return f"{{{CS_NS}}}{local}"


def apple(local: str) -> str:
    """A name of Apple's iCal namespace (colour, order)."""
    return f"{{{APPLE_NS}}}{local}"


def own(local: str) -> str:
    """A name of this server's own."""
    return f"{{{OWN_NS}}}{local}"


def split(name: str) -> tuple[str, str]:
    """``{namespace}local`` as ``(namespace, local)``; the namespace is empty where there is none."""
    if name.startswith("{"):
        namespace, _, local = name[1:].partition("}")
        return namespace, local
    return "", name


def clark(namespace: str, local: str) -> str:
    """The reverse of :func:`split`."""
    return f"{{{namespace}}}{local}" if namespace else local


def tag(name: str) -> tuple[str, str]:
    """How an element is written: its start tag's inside (declared where no prefix is known) and its end tag's."""
    namespace, local = split(name)
    prefix = _BY_NAMESPACE.get(namespace)
    if prefix is not None:
        return f"{prefix}:{local}", f"{prefix}:{local}"
    if not namespace:
        return f'{local} xmlns=""', local
    from caldavd.xml.fragment import attribute

    return f"X:{local} xmlns:X={attribute(namespace)}", f"X:{local}"
