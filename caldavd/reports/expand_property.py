"""expand-property (RFC 3253 section 3.8): properties, and the properties of what they point to, as deep as is asked.

A level is read at once: all principals that the level above points to in one statement, however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from caldavd.access import READ
from caldavd.context import Context
from caldavd.errors import NUMBER_OF_MATCHES_WITHIN_LIMITS, DavError, bad_request, failed
from caldavd.methods.propfind import members
from caldavd.properties.registry import prepare, render
from caldavd.request import INFINITY
from caldavd.resources import Resource, of_principal, resolve
from caldavd.response import Response, xml
from caldavd.router import BadPath, Location, OtherServer, Space
from caldavd.xml.hrefs import Cut, cut, qualified
from caldavd.xml.multistatus import multistatus, prop_response, status_response
from caldavd.xml.names import dav
from caldavd.xml.parse import Element, children, tag_of
from storage.rows import Principal

#: How deep ``D:property`` elements may be nested; Apple nests two.
MAX_LEVELS: Final = 6
#: Resources that are looked up on one level, and how many of them may be something else than principals.
MAX_PRINCIPALS: Final = 2000
MAX_OTHERS: Final = 100
#: Characters of an answer. The same resource may stand in it many times over, so its size is what grows.
MAX_SIZE: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """A ``D:property`` element: the property's name, and what is asked of whatever it points to."""

    name: str
    inner: tuple[Asked, ...] = ()


def run(context: Context, resource: Resource, root: Element) -> Response:
    """A multistatus of the resource (and with Depth 1 of its members)."""
    context.access.require(resource, READ)
    depth = context.request.depth(default=0)
    if depth == INFINITY:
        raise bad_request('This report is done with Depth "0" or "1".')
    asked = _read(root, levels=MAX_LEVELS)
    resources = [resource, *(members(context, resource) if depth else ())]
    minimal = context.request.preferences.minimal
    expanded = _Expansion(context, minimal=minimal).expand(resources, asked)
    return xml(207, multistatus(expanded), context.request.preferences.applied("return=minimal"))


def _read(parent: Element, *, levels: int) -> tuple[Asked, ...]:
    found = [inner for inner in children(parent) if tag_of(inner) == dav("property")]
    if found and levels == 0:
        raise bad_request(f"D:property elements are nested deeper than {MAX_LEVELS} levels.")
    asked = {}
    for inner in found:
        try:
            name = qualified(inner.get("namespace", "DAV:"), inner.get("name", ""))
        except ValueError:
            raise bad_request("The name of a D:property has to be the name of a property.") from None
        asked[name] = Asked(name, _read(inner, levels=levels - 1))
    return tuple(asked.values())


class _Expansion:
    def __init__(self, context: Context, *, minimal: bool) -> None:
        self._context = context
        self._minimal = minimal
        self._size = 0

    def expand(self, resources: Sequence[Resource], asked: tuple[Asked, ...]) -> list[str]:
        """One ``D:response`` a resource, in order."""
        plain = tuple(one.name for one in asked if not one.inner)
        plans = prepare(self._context, resources, plain)
        results = [render(self._context, one, plans[one.kind]) for one in resources]
        for property_ in asked:
            if not property_.inner:
                continue
            plans = prepare(self._context, resources, (property_.name,))
            values = [render(self._context, one, plans[one.kind]) for one in resources]
            cuts = [cut(value.found) if value.found else None for value in values]
            responses = self._responses(resources, cuts, property_.inner)
            for result, value, gaps in zip(results, values, cuts, strict=True):
                if gaps is not None:
                    self._spend(sum(len(responses[sent]) for sent in gaps.hrefs))
                    result.found += gaps.filled(responses.__getitem__)
                result.missing += value.missing
                result.forbidden += value.forbidden
        return [
            prop_response(one.href, result.found, () if self._minimal else result.missing, forbidden=result.forbidden)
            for one, result in zip(resources, results, strict=True)
        ]

    def _spend(self, size: int) -> None:
        self._size += size
        if self._size > MAX_SIZE:
            message = "The answer would be too large: expand less at once."
            raise failed(NUMBER_OF_MATCHES_WITHIN_LIMITS, message=message)

    def _responses(
        self, resources: Sequence[Resource], cuts: Sequence[Cut | None], inner: tuple[Asked, ...]
    ) -> Mapping[str, str]:
        """What takes the place of each href: the expanded response, or one with a status."""
        hrefs: dict[str, str] = {}  # each with the URL that it is relative to
        for one, gaps in zip(resources, cuts, strict=True):
            for sent in gaps.hrefs if gaps is not None else ():
                hrefs.setdefault(sent, one.href)
        found, refused = self._targets(hrefs)
        expanded = self.expand(list({one.href: one for one in found.values()}.values()), inner) if found else []
        by_href = dict(zip(dict.fromkeys(one.href for one in found.values()), expanded, strict=True))
        return {sent: by_href[found[sent].href] if sent in found else refused[sent] for sent in hrefs}

    def _targets(self, hrefs: Mapping[str, str]) -> tuple[dict[str, Resource], dict[str, str]]:
        """The resources that hrefs point to, and a response with a status for those that cannot be expanded."""
        places = {sent: self._locate(sent, base) for sent, base in hrefs.items()}
        names = {place.owner for place in places.values() if place is not None and place.space is Space.PRINCIPAL}
        others = sum(place is not None and place.space is not Space.PRINCIPAL for place in places.values())
        if len(names) > MAX_PRINCIPALS or others > MAX_OTHERS:
            message = f"At most {MAX_PRINCIPALS} principals and {MAX_OTHERS} other resources are expanded at once."
            raise failed(NUMBER_OF_MATCHES_WITHIN_LIMITS, message=message)
        principals = self._context.directory.named(names)
        found: dict[str, Resource] = {}
        refused: dict[str, str] = {}
        for sent, place in places.items():
            try:
                target = self._resolve(place, principals)
                self._context.access.require(target, READ)
                found[sent] = target
            except DavError as error:
                refused[sent] = status_response(sent, error.status, error=error.error_element())
        return found, refused

    def _resolve(self, place: Location | None, principals: Mapping[str, Principal]) -> Resource:
        context = self._context
        if place is None or (place.space is Space.PRINCIPAL and place.owner not in principals):
            raise DavError(404, "There is nothing here.")
        if place.space is Space.PRINCIPAL:
            return of_principal(context.router, principals[place.owner])
        target = resolve(context.tx, context.router, place)
        if "PROPFIND" not in target.kind.methods:
            raise DavError(404, "There is nothing here.")
        return target

    def _locate(self, sent: str, base: str) -> Location | None:
        try:
            return self._context.router.locate_href(sent, base=base, authorities=self._context.request.authorities)
        except (BadPath, OtherServer):
            return None
