"""A response as the handlers make it: status, headers, and a body that is whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from caldavd.spool import Spool

XML_TYPE: Final = "application/xml; charset=utf-8"


@dataclass(slots=True)
class Response:
    """``body`` is in memory, or spooled where it is long."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Spool = b""


def xml(status: int, body: bytes | Spool, headers: Mapping[str, str] | None = None) -> Response:
    """An XML answer (207, or the body of an error)."""
    return Response(status, {"Content-Type": XML_TYPE, **(headers or {})}, body)


def empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(status, dict(headers or {}))


def quoted(etag: str) -> str:
    """A strong entity tag as it stands in headers and properties (RFC 9110 section 8.8.3)."""
    return f'"{etag}"'
