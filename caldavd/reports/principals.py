"""What the reports about principals have in common (RFC 3744 section 9): Depth, limits, and how they answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from caldavd.context import Context
from caldavd.errors import NUMBER_OF_MATCHES_WITHIN_LIMITS, bad_request
from caldavd.methods.propfind import asked_names
from caldavd.properties.registry import responses
from caldavd.resources import Resource
from caldavd.response import Response, xml
from caldavd.xml.fragment import element
from caldavd.xml.multistatus import multistatus, status_response
from caldavd.xml.names import cs, dav
from caldavd.xml.parse import Element, child, text_of


def require_depth_zero(context: Context) -> None:
    """Each of these reports is only defined for Depth 0, which is also the default (RFC 3744 section 9)."""
    if context.request.depth(default=0) != 0:
        raise bad_request('This report is only defined with Depth "0".')


def limit_of(context: Context, root: Element) -> int:
    """The most results: the server's limit, or a smaller one of the client's (``CS:limit`` or ``D:limit``)."""
    limit = context.limits.max_search_results
    for name, inner in ((cs("limit"), cs("nresults")), (dav("limit"), dav("nresults"))):
        asked = child(root, name)
        if asked is not None:
            value = text_of(child(asked, inner))
            if not (value.isascii() and value.isdigit() and int(value[:9])):
                raise bad_request("nresults has to be a positive number.")
            limit = min(limit, int(value[:9]))
    return limit


def answer(
    context: Context, asked_at: Resource, root: Element, found: Sequence[Resource], *, limited: bool
) -> Response:
    """A multistatus with the properties in the report's ``D:prop``.

    ``limited``: there is more than what was ``found``, which 507 with ``number-of-matches-within-limits`` on the
    request's own URL tells (as in RFC 6578 section 3.6, and as CalendarServer answers Apple's searches).
    """
    body = multistatus(_responses(context, asked_at, found, _asked(root), limited=limited))
    return xml(207, body, context.request.preferences.applied("return=minimal"))


def _asked(root: Element) -> tuple[str, ...] | None:
    """What ``D:prop`` names.

    python-caldav 3 leaves it empty and writes the properties beside it, so that they count where it is empty; who
    wrote it so for want of properties has written nothing beside it.
    """
    prop = child(root, dav("prop"))
    if prop is None:
        return None
    return asked_names(prop) or tuple(name for name in asked_names(root) if name not in _NO_PROPERTIES)


#: Elements of RFC 3744 section 9 and CalendarServer's that stand beside ``D:prop`` and are no properties.
_NO_PROPERTIES: Final = frozenset(
    {
        dav("prop"),
        dav("property-search"),
        dav("apply-to-principal-collection-set"),
        dav("limit"),
        dav("self"),
        dav("principal-property"),
        cs("limit"),
        cs("search-token"),
    }
)


def _responses(
    context: Context, asked_at: Resource, found: Sequence[Resource], asked: tuple[str, ...] | None, *, limited: bool
) -> Iterator[str]:
    if asked is None:  # the example of RFC 3744 section 9.3.1
        yield from (status_response(one.href, 200) for one in found)
    else:
        yield from responses(context, found, asked, minimal=context.request.preferences.minimal)
    if limited:
        error = element(NUMBER_OF_MATCHES_WITHIN_LIMITS.name)
        yield status_response(asked_at.href, 507, error=error, description="There are more than are told here.")
