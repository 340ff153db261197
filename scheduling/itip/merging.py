"""An update from the organizer, written into the copy of an attendee line by line.

Owns what survives an update (the tables are in ``ownership``): the attendee's alarms, TRANSP, colour, categories and
client's own properties, how much of a to-do they have done, instances that they took out of their calendar, overrides
that hold nothing but their own things. Everything else becomes what the organizer says; lines that say the same already
stay as they are written. Which messages are applied is in ``updates``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduling.ical.lines import insert_properties, line_text
from scheduling.ical.validate import is_known_zone
from scheduling.itip.amending import Amendments
from scheduling.itip.comparing import PARTSTAT, line_key, same, says_nothing
from scheduling.itip.copying import derived, end_of_components, moment_line, parsed, raw, raw_lines, with_params
from scheduling.itip.message import party_line
from scheduling.itip.ownership import (
    BOOKKEEPING,
    COMPLETION,
    LOCAL_PARAMS,
    STAMP,
    is_personal,
    is_private,
)
from scheduling.itip.personal import arriving, is_private_override, personal_lines, shared_components
from scheduling.itip.revision import same_time, sequence_of
from scheduling.itip.rewriting import answer
from scheduling.itip.snapshot import Snapshot
from scheduling.itip.unseen import says_as_series

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Set as AbstractSet

    from scheduling.ical.lines import Component, ContentLine
    from scheduling.itip.snapshot import Part, Party, Rid

_APART: Final = frozenset({"ATTENDEE", "ORGANIZER", "EXDATE"}) | BOOKKEEPING
_UNDER_WAY: Final = ("COMPLETED", "IN-PROCESS")


class Merge:
    """One update at work on one copy: ``text`` makes the new text.

    With a master, ``update`` is the whole meeting; without, only its instances are updated. What came by a transport
    that does not keep order (``in_order`` false) leaves its DTSTAMP behind, and an answer of the attendee, whose
    addresses are ``me``, that it does not know of. The components ``outdated`` of ``update`` are older than those of
    ``stored`` and do not count. Afterwards ``touches`` counts the changes, but for answers; ``answered`` are those
    whose answers changed.
    """

    def __init__(
        self,
        stored: Snapshot,
        update: Snapshot,
        me: AbstractSet[str],
        *,
        in_order: bool,
        outdated: AbstractSet[Rid],
    ) -> None:
        self.stored, self.update, self.me, self.in_order, self.outdated = stored, update, me, in_order, outdated
        self.work = Amendments(stored.source)
        self.end = end_of_components(stored.calendar)
        self.declined = frozenset(
            rid
            for rid in stored.exdates
            # Only what is said of the instance itself: who has declined the series may not have been invited to it.
            if rid in update.parts
            and not update.parts[rid].future  # it describes others, too
            and any(answer(update, rid, one) == "DECLINED" for one in me)
        )
        #: Changes so far, but for answers; and whose answers changed.
        self.touches = 0
        self.answered: set[str] = set()

    def text(self) -> bytes:
        """The new text; the very same where nothing changes."""
        for rid, part in self.update.parts.items():
            own = self.stored.parts.get(rid)
            if rid in self.declined or rid in self.outdated:
                continue
            if own is not None:
                self._merge(own, part, self.update.source)
            else:
                self._add(part)
        if self.update.master is not None:
            for rid, own in self.stored.overrides.items():
                if rid not in self.update.parts or rid in self.declined:
                    self._keep_private(rid, own)
        self._write_exdates()
        if self.work:
            self._add_zones()
        return self.work.made()

    # --- one component

    def _merge(self, own: Part, new: Part, source: bytes) -> None:
        """``own`` becomes what ``new``, in ``source``, says, but for what is the attendee's."""
        touches = self.touches
        end = insert_properties(own.component).start
        self._merge_attendees(own, new, source, end)
        self._merge_organizer(own, new, source, end)
        done = self._has_own_completion(own, new)
        old_lines = _by_name(own.component.properties, without_completion=done)
        new_lines = _by_name(
            (line for line in new.component.properties if not is_private(line)), without_completion=done
        )
        for name in dict.fromkeys([*old_lines, *new_lines]):
            if name != "SEQUENCE" or own.sequence != new.sequence:
                self._merge_lines(old_lines.get(name, []), new_lines.get(name, []), source, end)
        self._merge_inner(own.component, new.component, source)
        if self.touches > touches:
            self._merge_bookkeeping(own.component, new.component, source)
        if not self.in_order and own.organizer is not None:
            self.work.param(own.organizer.line, STAMP, new.dtstamp or None)

    def _merge_lines(self, old: list[ContentLine], new: list[ContentLine], source: bytes, end: int) -> None:
        """The lines of one name: those that say the same stay, the others give way one for one."""
        gone, come = _unmatched(old, new)
        if not old:
            come = [line for line in come if not says_nothing(line)]
        for old_line, new_line in zip(gone, come, strict=False):
            self._remove(old_line)
            self._put(old_line.start, [raw(source, new_line)])
        for old_line in gone[len(come) :]:
            self._remove(old_line)
        if come[len(gone) :]:
            self._put(old[-1].end if old else end, [raw(source, line) for line in come[len(gone) :]])

    def _merge_attendees(self, own: Part, new: Part, source: bytes, end: int) -> None:
        for address, party in own.by_address.items():
            said = new.by_address.get(address)
            if said is None:
                for line in own.lines_of(address):
                    self._remove(line)
            elif not same(party.line, said.line):
                self._merge_attendee(own, party, said, source)
        lines = [
            party_line(source, party.line) for address, party in new.by_address.items() if address not in own.by_address
        ]
        if lines:
            last = max((party.line.end for party in own.attendees), default=end)
            self._put(last, lines)

    def _merge_attendee(self, own: Part, party: Party, said: Party, source: bytes) -> None:
        if party.address in self.me and self._is_unheard(own.rid, party, said):
            return
        if line_key(party.line, without=PARTSTAT) == line_key(said.line, without=PARTSTAT):
            self.work.param(party.line, "PARTSTAT", said.partstat)
            self.answered.add(party.address)
            return
        self._remove(party.line)
        self._put(party.line.start, [party_line(source, said.line)])

    def _is_unheard(self, rid: Rid, party: Party, said: Party) -> bool:
        """Whether the organizer did not know the attendee's answer when the update was made, and does not ask again."""
        return (
            not self.in_order
            and said.partstat == "NEEDS-ACTION"
            and sequence_of(self.stored, rid) == sequence_of(self.update, rid)
            and same_time(self.stored, self.update, rid)
            and party.partstat != "NEEDS-ACTION"
        )

    def _merge_organizer(self, own: Part, new: Part, source: bytes, end: int) -> None:
        if new.organizer is None:
            return
        line = party_line(source, new.organizer.line)
        if own.organizer is None:
            self._put(end, [line])
        elif not same(own.organizer.line, new.organizer.line):
            local = {key: given for key, given in own.organizer.line.params if key in LOCAL_PARAMS}
            self._remove(own.organizer.line)
            self._put(own.organizer.line.start, [with_params(line, local)])

    def _has_own_completion(self, own: Part, new: Part) -> bool:
        """Whether the attendee has begun or completed their part of a to-do, and the organizer knows it."""
        if own.component.name != "VTODO" or new.cancelled:
            return False
        mine, said = own.own(self.me), new.own(self.me)
        return mine is not None and said is not None and mine.partstat == said.partstat and mine.partstat in _UNDER_WAY

    def _merge_inner(self, own: Component, new: Component, source: bytes) -> None:
        old = {tuple(raw_lines(self.stored.source, one)): one for one in shared_components(own)}
        come = {tuple(raw_lines(source, one)): one for one in shared_components(new)}
        for lines, one in old.items():
            if lines not in come:
                self._remove(one)
        end = insert_properties(own).start
        for lines in come:
            if lines not in old:
                self._put(end, list(lines))

    def _merge_bookkeeping(self, own: Component, new: Component, source: bytes) -> None:
        for name in sorted(BOOKKEEPING):
            old_line, new_line = own.first(name), new.first(name)
            if old_line is not None and new_line is not None and not same(old_line, new_line):
                self._remove(old_line)
                self._put(old_line.start, [raw(source, new_line)])

    def _remove(self, item: ContentLine | Component) -> None:
        self.work.remove(item)
        self.touches += 1

    def _put(self, at: int, lines: list[str]) -> None:
        self.work.put(at, lines)
        self.touches += 1

    # --- components that only one side has

    def _add(self, part: Part) -> None:
        """A component that the organizer has added; to an instance goes what the attendee has put into the series."""
        series = self.stored.master
        lines = arriving(self.update, part, in_order=self.in_order, personal=series is None)
        if series is not None:
            own = personal_lines(self.stored.source, series.component)
            lines = [*lines[:-1], *own, lines[-1]]
        self._put(self.end, lines)

    def _keep_private(self, rid: int, own: Part) -> None:
        """An override that the organizer does not have: the attendee's own, or one that is there no more."""
        if rid not in self.declined and rid not in self.update.exdates and is_private_override(self.stored, rid):
            now = derived(self.update, rid) if says_as_series(self.stored, rid) else None
            if now is not None:
                self._merge_with(own, now)
                return
        self._remove(own.component)

    def _merge_with(self, own: Part, lines: list[str]) -> None:
        source, component = parsed(lines)
        made = Snapshot(source, component, [component])
        self._merge(own, next(iter(made.parts.values())), source)

    # --- EXDATE, VTIMEZONE

    def _write_exdates(self) -> None:
        master = self.stored.master
        if master is None:
            return
        stored, update = self.stored, self.update
        if update.master is not None and None in self.outdated:
            return
        if update.master is not None:
            wanted = update.exdates | self.declined
        else:
            wanted = stored.exdates - (update.overrides.keys() - self.declined)
        if wanted == stored.exdates:
            return
        for line in master.component.all("EXDATE"):
            self._remove(line)
        lines = []
        if update.master is not None:
            lines = [raw(update.source, line) for line in update.master.component.all("EXDATE")]
        rest = wanted - update.exdates
        lines += [line_text(moment_line(stored, "EXDATE", rid)) for rid in sorted(rest)]
        at = master.component.first("EXDATE") or master.component.first("RRULE") or master.component.first("DTSTART")
        if lines:
            self._put(insert_properties(master.component).start if at is None else at.end, lines)

    def _add_zones(self) -> None:
        """The VTIMEZONEs that the organizer's lines refer to (RFC 5545 3.2.19)."""
        known = {tzid: zone for zone in _zones(self.stored) for tzid in _tzids(zone)}
        for zone in _zones(self.update):
            lines = raw_lines(self.update.source, zone)
            for tzid in _tzids(zone):
                own = known.get(tzid)
                if own is None:
                    self.work.put(self.stored.calendar.components[0].start, lines)
                elif not is_known_zone(tzid) and raw_lines(self.stored.source, own) != lines:
                    self.work.remove(own)
                    self.work.put(own.start, lines)


def _by_name(lines: Iterable[ContentLine], *, without_completion: bool) -> dict[str, list[ContentLine]]:
    found: dict[str, list[ContentLine]] = {}
    for line in lines:
        name = line.name
        if name in _APART or is_personal(name) or (without_completion and name in COMPLETION):
            continue
        found.setdefault(name, []).append(line)
    return found


def _unmatched(old: list[ContentLine], new: list[ContentLine]) -> tuple[list[ContentLine], list[ContentLine]]:
    """What is in one list and not in the other."""
    there: dict[Hashable, int] = {}
    for line in new:
        key = line_key(line)
        there[key] = there.get(key, 0) + 1
    gone = []
    for line in old:
        key = line_key(line)
        if there.get(key):
            there[key] -= 1
        else:
            gone.append(line)
    come = []
    for line in reversed(new):
        key = line_key(line)
        if there.get(key):
            there[key] -= 1
            come.append(line)
    return gone, come[::-1]


def _zones(snapshot: Snapshot) -> list[Component]:
    return [one for one in snapshot.calendar.components if one.name == "VTIMEZONE"]


def _tzids(zone: Component) -> list[str]:
    return [line.value.strip() for line in zone.all("TZID")]
