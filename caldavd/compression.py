"""Content codings (RFC 9110 section 8.4): gzip, br and zstd where the client takes them.

The ETag stays as it is: clients send it back in ``If-Match`` and compare it with the one of a PROPFIND
(clients.md rule 19), so the coding is applied as if in transit and never marked in the tag.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from typing import Final

from caldavd.response import Response

_MIN_BYTES: Final = 1024
_TEXT: Final = ("text/", "application/xml", "application/calendar+json", "application/json")


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=5, mtime=0)


def _coders() -> dict[str, Callable[[bytes], bytes]]:
    coders: dict[str, Callable[[bytes], bytes]] = {}
    try:
        import zstandard

        coders["zstd"] = lambda body: zstandard.ZstdCompressor(level=3).compress(body)
    except ImportError:  # an optional package: gzip is always there
        pass
    coders["gzip"] = _gzip
    return coders


#: In the order of preference where a client weighs them equally.
CODERS: Final[Mapping[str, Callable[[bytes], bytes]]] = _coders()


def choose(accept_encoding: str) -> str | None:
    """The best coding that ``Accept-Encoding`` (RFC 9110 section 12.5.3) allows; ``None`` for identity."""
    weights: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if name:
            weights[name] = weight
    best = max(CODERS, key=lambda name: weights.get(name, 0.0), default=None)
    return best if best is not None and weights.get(best, 0.0) > 0 else None


def coding_of(content_type: str, size: int, accept_encoding: str) -> str | None:
    """The coding that a body of this type and size (bytes) goes out with; ``None`` for identity."""
    return choose(accept_encoding) if content_type.startswith(_TEXT) and size >= _MIN_BYTES else None


def compress(response: Response, accept_encoding: str) -> Response:
    """The response, coded where that is allowed and worth it."""
    body = response.body
    kind = response.headers.get("Content-Type", "")
    if not isinstance(body, bytes) or not kind.startswith(_TEXT) or "Content-Range" in response.headers:
        return response
    vary = ", ".join(filter(None, (response.headers.get("Vary"), "Accept-Encoding")))
    coding = coding_of(kind, len(body), accept_encoding)
    if coding is None:
        return Response(response.status, {**response.headers, "Vary": vary}, body)
    headers = {**response.headers, "Vary": vary, "Content-Encoding": coding}
    return Response(response.status, headers, CODERS[coding](body))
