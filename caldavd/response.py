"""A response as the handlers make it: status, headers, and bytes or an iterator of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

XML_TYPE: Final = "application/xml; charset=utf-8"


@dataclass(slots=True)
class Response:
    """``body`` as ``bytes`` goes out with a Content-Length, as an iterator in chunks."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


def xml(status: int, body: bytes | Iterable[bytes], headers: Mapping[str, str] | None = None) -> Response:
    """An XML answer (207, or the body of an error)."""
    return Response(status, {"Content-Type": XML_TYPE, **(headers or {})}, body)


def empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(status, dict(headers or {}))


def quoted(etag: str) -> str:
    """A strong entity tag as it stands in headers and properties (RFC 9110 section 8.8.3)."""
    return f'"{etag}"'
