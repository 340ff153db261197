"""``D:multistatus`` (RFC 4918 section 13) as bytes, in memory or spooled.

The rules that clients need (clients.md 8, 9, 14): the propstat with 200 comes first; status lines read ``HTTP/1.1 200
OK`` whatever the connection speaks; a response has either propstats or one status.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from caldavd.spool import Spool, spooled, spooled_text
from caldavd.statuses import with_phrase
from caldavd.xml.fragment import DECLARATIONS, element, href, text

HEAD = f'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus {DECLARATIONS}>'
TAIL = "</D:multistatus>"


def status_line(code: int) -> str:
    """``HTTP/1.1 404 Not Found``."""
    return f"HTTP/1.1 {with_phrase(code)}"


def propstat(code: int, inner: str, *, error: str = "", description: str = "") -> str:
    """One ``D:propstat``; ``inner`` is the content of ``D:prop``, ``error`` the content of ``D:error``."""
    parts = [f"<D:propstat><D:prop>{inner}</D:prop><D:status>{status_line(code)}</D:status>"]
    if error:
        parts.append(f"<D:error>{error}</D:error>")
    if description:
        parts.append(f"<D:responsedescription>{text(description)}</D:responsedescription>")
    parts.append("</D:propstat>")
    return "".join(parts)


def prop_response(path: str, found: str, missing: Sequence[str] = (), *, forbidden: Sequence[str] = ()) -> str:
    """A response of a PROPFIND or REPORT: ``found`` is rendered, ``missing`` and ``forbidden`` are Clark names."""
    parts = ["<D:response>", href(path)]
    if found or not (missing or forbidden):
        parts.append(propstat(200, found))
    if forbidden:
        parts.append(propstat(403, "".join(element(name) for name in forbidden)))
    if missing:
        parts.append(propstat(404, "".join(element(name) for name in missing)))
    parts.append("</D:response>")
    return "".join(parts)


def status_response(path: str, code: int, *, error: str = "", description: str = "") -> str:
    """A response that has a status of its own and no properties."""
    inner = f"<D:error>{error}</D:error>" if error else ""
    if description:
        inner += f"<D:responsedescription>{text(description)}</D:responsedescription>"
    return f"<D:response>{href(path)}<D:status>{status_line(code)}</D:status>{inner}</D:response>"


def multistatus(responses: Iterable[str], *, tail: str = "") -> bytes | Spool:
    """The whole document; ``tail`` is a fragment after the responses (``D:sync-token``).

    Raises :class:`caldavd.spool.NoRoom`.
    """
    return spooled_text(chain((HEAD,), responses, (tail, TAIL)))


def of_utf8(responses: Iterable[bytes]) -> bytes | Spool:
    """As :func:`multistatus`, of responses that are UTF-8 already."""
    return spooled(chain((HEAD.encode(),), responses, (TAIL.encode(),)))
