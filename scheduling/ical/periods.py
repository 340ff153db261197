"""Arithmetic of busy time: half-open periods of instants, each of a kind (RFC 5545 3.2.9 FBTYPE).

Where periods of different kinds overlap, the stronger one counts: BUSY over BUSY-UNAVAILABLE over BUSY-TENTATIVE (the
order of RFC 7953 section 4); so the result of ``merge`` is disjoint, in order, and says for each instant one thing.
"""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Busy(IntEnum):
    """How busy, weakest first; ``fbtype`` is what RFC 5545 3.2.9 calls it."""

    TENTATIVE = 1
    UNAVAILABLE = 2
    BUSY = 3

    @property
    def fbtype(self) -> str:
        """The value of FBTYPE."""
        return _FBTYPES[self]


_FBTYPES = {Busy.TENTATIVE: "BUSY-TENTATIVE", Busy.BUSY: "BUSY", Busy.UNAVAILABLE: "BUSY-UNAVAILABLE"}
#: FBTYPE to kind; an unknown one is BUSY (RFC 5545 3.2.9), FREE is none.
OF_FBTYPE = {name: kind for kind, name in _FBTYPES.items()}
#: Number to kind, where many are read; raises KeyError where ``Busy`` raises ValueError.
OF_NUMBER = {int(kind): kind for kind in Busy}


class BusyPeriod(NamedTuple):
    """From ``start`` up to, and without, ``end``: instants in seconds."""

    start: int
    end: int
    kind: Busy = Busy.BUSY


def merge(periods: Iterable[BusyPeriod]) -> list[BusyPeriod]:
    """Disjoint periods in order; neighbours of one kind are joined, and the strongest kind counts in an overlap."""
    merged: list[BusyPeriod] = []
    for group in _groups(sorted([one for one in periods if one[0] < one[1]])):
        merged += group if len(group) == 1 else _joined(group)
    return merged


def _groups(ordered: list[BusyPeriod]) -> Iterator[list[BusyPeriod]]:
    """The periods with a gap neither in nor between them: most are alone."""
    group: list[BusyPeriod] = []
    reach = 0
    for one in ordered:
        if not group:
            group, reach = [one], one[1]
        elif one[0] > reach:
            yield group
            group, reach = [one], one[1]
        else:
            group.append(one)
            reach = max(reach, one[1])
    if group:
        yield group


def _joined(group: list[BusyPeriod]) -> list[BusyPeriod]:
    if len({one[2] for one in group}) == 1:
        return [BusyPeriod(group[0][0], max([one[1] for one in group]), group[0][2])]
    joined: list[BusyPeriod] = []
    for piece in _pieces(group):
        if joined and joined[-1].end == piece.start and joined[-1].kind == piece.kind:
            joined[-1] = BusyPeriod(joined[-1].start, piece.end, piece.kind)
        else:
            joined.append(piece)
    return joined


def _pieces(ordered: list[BusyPeriod]) -> Iterator[BusyPeriod]:
    """A sweep over the edges: between two of them the strongest open period counts."""
    edges = sorted({edge for one in ordered for edge in (one.start, one.end)})
    open_ones: list[tuple[int, int]] = []  # (-kind, end): the strongest first
    following = 0
    for begin, end in pairwise(edges):
        while following < len(ordered) and ordered[following].start <= begin:
            heappush(open_ones, (-ordered[following].kind, ordered[following].end))
            following += 1
        while open_ones and open_ones[0][1] <= begin:
            heappop(open_ones)
        if open_ones:
            yield BusyPeriod(begin, end, OF_NUMBER[-open_ones[0][0]])


def clip(periods: Iterable[BusyPeriod], start: int, end: int) -> Iterator[BusyPeriod]:
    """What lies between ``start`` and ``end``."""
    for one in periods:
        begin, finish, kind = one
        if start <= begin < finish <= end:
            yield one
        elif (begin := max(begin, start)) < (finish := min(finish, end)):
            yield BusyPeriod(begin, finish, kind)


def subtract(periods: Iterable[BusyPeriod], others: Iterable[BusyPeriod]) -> list[BusyPeriod]:
    """What of ``periods`` lies in none of ``others``, whatever their kind."""
    result: list[BusyPeriod] = []
    cuts = merge(BusyPeriod(one.start, one.end) for one in others)
    for one in merge(periods):
        begin = one.start
        for cut in cuts:
            if cut.end <= begin or cut.start >= one.end:
                continue
            if cut.start > begin:
                result.append(BusyPeriod(begin, cut.start, one.kind))
            begin = max(begin, cut.end)
        if begin < one.end:
            result.append(BusyPeriod(begin, one.end, one.kind))
    return result
