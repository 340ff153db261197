"""A request as the handlers see it: the body is read before any transaction begins.

What HTTP means by its environment, WebOb knows; what WebDAV adds (Depth, Destination, Prefer, Overwrite) is here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import webob

from caldavd.errors import NO_EXTERNAL_ENTITIES, DavError, bad_request, failed
from caldavd.xml.parse import Element, ExternalEntity, MalformedXML, parse

INFINITY: Final = 1 << 30
_DEPTHS: Final = {"0": 0, "1": 1, "infinity": INFINITY}
_TIMEOUT = re.compile(r"\s*(?:Second-(\d+)|(Infinite))\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Preferences:
    """``Prefer`` (RFC 7240, 8144) and ``Brief`` (clients.md section 1.1).

    ``minimal``: leave out what was not found; ``representation``: answer a write with the stored state;
    ``depth_noroot``: leave the collection itself out of its listing.
    """

    minimal: bool = False
    representation: bool = False
    depth_noroot: bool = False

    def applied(self, *names: str) -> dict[str, str]:
        """The ``Preference-Applied`` header for those of ``names`` that were asked for."""
        asked = {
            "return=minimal": self.minimal,
            "return=representation": self.representation,
            "depth-noroot": self.depth_noroot,
        }
        value = ", ".join(name for name in names if asked[name])
        return {"Preference-Applied": value} if value else {}


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``path`` is decoded and without the prefix; ``environ`` is WSGI's; ``body`` is complete."""

    method: str
    path: str
    environ: Mapping[str, Any] = field(repr=False)
    body: bytes
    authorities: frozenset[str]
    base_url: str
    remote_address: str
    id: str
    query: dict[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """The header's value or ``None``."""
        value: str | None = self.environ.get(_key(name))
        return value

    def depth(self, *, default: int) -> int:
        """``Depth`` (RFC 4918 section 10.2) as 0, 1 or ``INFINITY``. Raises 400 for anything else."""
        value = self.header("Depth")
        if value is None:
            return default
        try:
            return _DEPTHS[value.strip().lower()]
        except KeyError:
            raise bad_request('The Depth header has to be "0", "1" or "infinity".') from None

    @property
    def overwrite(self) -> bool:
        """``Overwrite`` (RFC 4918 section 10.6); T where it is missing."""
        value = (self.header("Overwrite") or "T").strip().upper()
        if value not in ("T", "F"):
            raise bad_request('The Overwrite header has to be "T" or "F".')
        return value == "T"

    @property
    def preferences(self) -> Preferences:
        """What ``Prefer`` and ``Brief`` ask for; the draft's spelling ``return-minimal`` counts (old Apple builds).

        Of a preference that is sent more than once the first counts (RFC 7240 section 2).
        """
        asked = [
            part.strip().lower().replace('"', "").split(";")[0].replace(" ", "")
            for part in (self.header("Prefer") or "").split(",")
        ]
        brief = (self.header("Brief") or "").strip().lower() == "t"
        returned = next((one.replace("-", "=", 1) for one in asked if one.startswith(("return=", "return-"))), "")
        return Preferences(
            minimal=brief or returned == "return=minimal",
            representation=returned == "return=representation",
            depth_noroot="depth-noroot" in asked,
        )

    @property
    def lock_timeout(self) -> int | None:
        """The first usable value of ``Timeout`` (RFC 4918 section 10.7) in seconds; ``None``: none was given."""
        for part in (self.header("Timeout") or "").split(","):
            if found := _TIMEOUT.fullmatch(part):
                return int(found[1][:10]) if found[1] else INFINITY
        return None

    def xml(self) -> Element | None:
        """The body's root element, ``None`` without a body. Raises 400 where it is not XML that is taken."""
        return read_xml(self.body)

    def required_xml(self) -> Element:
        """As :meth:`xml`; 400 without a body."""
        root = self.xml()
        if root is None:
            raise bad_request("This request needs an XML body.")
        return root

    @property
    def media_type(self) -> str:
        """The type of ``Content-Type`` in lower case, without parameters; empty where it is missing."""
        return (self.header("Content-Type") or "").split(";")[0].strip().lower()


@lru_cache(maxsize=256)
def _key(name: str) -> str:
    """What a header is called in WSGI's environment (PEP 3333)."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def read_xml(body: bytes) -> Element | None:
    """The root element of a body, ``None`` of an empty one. Raises 400 where it is not XML that is taken."""
    if not body.strip():
        return None
    try:
        return parse(body)
    except ExternalEntity as error:
        raise failed(NO_EXTERNAL_ENTITIES, message=str(error)) from error
    except MalformedXML as error:
        raise bad_request(str(error)) from error


def read_body(raw: webob.BaseRequest, *, limit: int) -> bytes:
    """The whole body, chunked or not.

    Raises 413 above ``limit`` bytes, 400 where it ends early, and 411 where it is chunked and the WSGI server does not
    undo that (uWSGI): read as it stands, it would look empty.
    """
    length = raw.content_length
    if length is not None and length > limit:
        raise DavError(413, f"The body is larger than {limit} bytes.")
    stream = raw.environ["wsgi.input"]
    if length is None:
        if not raw.environ.get("wsgi.input_terminated"):
            if "chunked" in (raw.environ.get("HTTP_TRANSFER_ENCODING") or "").lower():
                raise DavError(411, "This server takes no chunked bodies: send a Content-Length.")
            return b""
        length = limit + 1
        exact = False
    else:
        exact = True
    parts = []
    remaining = length
    while remaining > 0:
        part = stream.read(min(remaining, 1 << 20))
        if not part:
            break
        parts.append(part)
        remaining -= len(part)
    body = b"".join(parts)
    if exact and remaining:
        raise bad_request("The body ended before its Content-Length.")
    if len(body) > limit:
        raise DavError(413, f"The body is larger than {limit} bytes.")
    return body
