"""Random actions of an organizer and four attendees: after every step all copies agree.

Each client works on what it saw last: it looks again when the Schedule-Tag has changed, or by chance. What the machine
does is written as commands of the script language, so that a failure reads as a script. It is played in memory
(``test_convergence``) and over HTTP (``tests.caldavd.itip.test_convergence``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scheduling.ical.lines import text as unescape
from scheduling.ical.rrule import Budget
from scheduling.ical.values import write_utc
from scheduling.itip.snapshot import Snapshot, read
from tests.scheduling.itip.script import UID, Player, Stage, Step, instant, with_partstat
from tests.scheduling.itip.world import lines_of

if TYPE_CHECKING:
    from scheduling.itip.snapshot import Part

OTHERS = "bcde"
#: Parameters, day and last letter of the times; the second has the end of winter time among its instances.
FORMS = (("", "20300201", "Z"), (";TZID=Europe/Berlin", "20300329", ""))
DAY = 86_400
#: What a REQUEST and a CANCEL to each, a REPLY and a REFRESH may come to.
MOST_MESSAGES = 2 * len(OTHERS) + 2

people = st.sampled_from(OTHERS)
crowd = st.sets(people, min_size=2, max_size=4) | st.sets(people, max_size=1)
numbers = st.integers(min_value=0, max_value=5)
answers = st.sampled_from(["ACCEPTED", "DECLINED", "TENTATIVE"])
VERBS = {"ACCEPTED": "accept", "DECLINED": "decline", "TENTATIVE": "tentative"}


def address(name: str) -> str:
    return f"mailto:{name}@example.com"


def told(snapshot: Snapshot) -> dict[int, tuple[Any, ...]]:
    """Every instance that takes place: when, what, where, who comes."""
    out: dict[int, tuple[Any, ...]] = {}
    if snapshot.master is not None and snapshot.master.cancelled:
        return out
    for instance in snapshot.recurrence.near(None, None, Budget()):
        rid = instance.recurrence_id if instance.recurrence_id is not None else 0
        part = next(one for one in snapshot.parts.values() if one.component is instance.component)
        if not part.cancelled:
            out[rid] = (instance.start, instance.end, first(part, "SUMMARY"), first(part, "LOCATION"), coming(part))
    return out


def first(part: Part, name: str) -> str:
    line = part.component.first(name)
    return "" if line is None else unescape(line.value)


def coming(part: Part) -> dict[str, str]:
    return {party.address: party.partstat for party in part.attendees}


def bounded(examples: int, steps: int) -> settings:
    """Settings for so much random play."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


class Watched(Stage, Protocol):
    """A stage whose messages can be counted."""

    def sent(self) -> list[tuple[str, str, str]]:
        """Method, sender and recipient of each message of the last action."""

    def born(self, name: str, uid: str) -> object:
        """Another one each time somebody's object is made anew; None where there is none."""


#: What is one's own in a copy, and survives what the organizer does (the alarm is found by its first line).
OWN = (
    ("BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT5M", "DESCRIPTION:soon", "END:VALARM"),
    ("TRANSP:TRANSPARENT",),
    ("COLOR:turquoise",),
    ("CATEGORIES:mine",),
    ("X-MOZ-LASTACK:20300101T000000Z",),
    ("X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT45M",),
)


class Meeting(RuleBasedStateMachine):
    """One meeting of ``a`` with some of ``b`` to ``e``."""

    def make_stage(self) -> Watched:
        """Where it is played."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.stage = self.make_stage()
        self.player = Player(self.stage)
        self.recurs = False
        self.form = FORMS[0]
        #: Lines of their own that somebody has put into the series.
        self.private: dict[str, set[str]] = {name: set() for name in OTHERS}
        self.born: dict[str, object] = {}
        #: Who removed their copy without a word, and has not been asked again.
        self.silent: set[str] = set()
        #: The Schedule-Tag of what each client has.
        self.tags: dict[str, object] = {}
        self.actor = ""
        self.counter = 0

    # --- doing

    def run(self, *words: str, body: list[str] | None = None, refusable: bool = False) -> bool:
        """Runs a command; returns whether it was done. ``refusable``: it may also be refused, and change nothing."""
        self.actor = words[1]
        self.player.expected_refusal = True
        self.player.run(Step(0, list(words), body or []))
        if refusable and self.stage.refused() is not None:
            self.unchanged()
            self.look(self.actor)
            return False
        assert self.stage.refused() is None, (self.stage.refused(), words, body)
        self.check_messages()
        self.check_tags()
        self.forget_what_went()
        self.look(self.actor)
        return True

    def unchanged(self) -> None:
        """The last action changed nothing and told nobody."""
        assert self.stage.sent() == []
        for key, text in self.player.before.items():
            assert self.stage.stored(*key) == text, f"{key} changed"

    def check_messages(self) -> None:
        sent = self.stage.sent()
        assert len(sent) <= MOST_MESSAGES, sent
        if self.actor != "a":
            assert not [one for one in sent if one[2] == address(self.actor)], "an echo"
        assert len(sent) == len(set(sent)), sent
        asked = {
            recipient
            for method, sender, recipient in sent
            if method == "REQUEST" and (self.actor == "a" or sender != address("a") or self.has_delegated(recipient))
        }
        self.silent -= {name for name in OTHERS if address(name) in asked and (self.actor == "a" or self.has(name))}

    def has_delegated(self, uri: str) -> bool:
        """A delegator is told when a delegate declines (RFC 5546 4.2.5)."""
        parts = self.stored("a").parts.values() if self.has("a") else ()
        return any(
            party.address == uri and party.addresses("DELEGATED-TO") for part in parts for party in part.attendees
        )

    def check_tags(self) -> None:
        """RFC 6638 3.2.10: whoever acts gets a new tag, and a reply gives the organizer none."""
        now, before = self.stage.tag(self.actor, UID), self.player.tags[self.actor, UID]
        assert now is None or now != before, "the same tag for another text"
        if self.actor != "a":
            assert self.stage.tag("a", UID) == self.player.tags["a", UID], "a reply changed the organizer's tag"

    def others_keep_their_tags(self) -> None:
        """Nothing but answers changed: nobody else has to look again."""
        for name in OTHERS:
            before = self.player.tags[name, UID]
            if name != self.actor and before is not None and self.has(name):
                assert self.stage.tag(name, UID) == before, f"an answer changed {name}'s tag"

    def forget_what_went(self) -> None:
        """A copy that went, if only to come back for some instances, took what was its owner's along."""
        for name in OTHERS:
            born = self.stage.born(name, UID)
            if born != self.born.get(name):
                self.private[name].clear()
                self.born[name] = born

    def look(self, name: str) -> None:
        """The client fetches what there is."""
        text = self.stage.stored(name, UID)
        self.tags[name] = self.stage.tag(name, UID)
        if text is None:
            self.player.seen.pop(name, None)
        else:
            self.player.seen[name] = text

    def client(self, name: str) -> Snapshot:
        """What the client of ``name`` works on: it looks again where the server would say 412."""
        if name not in self.player.seen or self.tags.get(name) != self.stage.tag(name, UID):
            self.look(name)
        found = read(self.player.seen[name])
        assert found is not None
        return found

    def edit(self, name: str, body: list[str]) -> None:
        self.run("edit", name, "merge", body=body, refusable=name == "a" and self.has_range())

    def has_range(self) -> bool:
        """The organizer's object has RANGE=THISANDFUTURE, which cannot invite others than the series does."""
        text = self.stage.stored("a", UID)
        return text is not None and b"RANGE=THISANDFUTURE" in text

    def has(self, name: str) -> bool:
        return self.stage.stored(name, UID) is not None

    def stored(self, name: str) -> Snapshot:
        return self._object(name, UID)

    def _object(self, name: str, uid: str) -> Snapshot:
        text = self.stage.stored(name, uid)
        assert text is not None
        found = read(text)
        assert found is not None
        return found

    def instance(self, name: str, number: int) -> str | None:
        """The RECURRENCE-ID of one of the instances in somebody's copy."""
        snapshot = self.client(name)
        rids = sorted(
            {
                one.recurrence_id
                for one in snapshot.recurrence.near(None, None, Budget())
                if one.recurrence_id is not None
            }
        )
        return write_utc(rids[number % len(rids)]) if rids else None

    def line(self, name: str, which: str | None, start: str) -> str | None:
        """The first line that begins so, in the component for an instance or in the first one."""
        snapshot = self.client(name)
        part = snapshot.master
        if which is not None:
            rid = next((rid for rid in snapshot.parts if rid is not None and write_utc(rid) == which), None)
            part = snapshot.parts[rid] if rid is not None else snapshot.master
            if rid is None:
                made = self.player.edited(snapshot.source, [f"@ {which}"])
                again = read(made)
                assert again is not None
                rid = next(rid for rid in again.parts if rid is not None and write_utc(rid) == which)
                part, snapshot = again.parts[rid], again
        assert part is not None
        text = snapshot.source[part.component.start : part.component.end]
        return next((line for line in lines_of(text) if line.startswith(start)), None)

    # --- the organizer

    @initialize(recurs=st.sampled_from([True, True, True, False]), invited=crowd, form=st.sampled_from(FORMS))
    def create(self, recurs: bool, invited: set[str], form: tuple[str, str, str]) -> None:
        self.recurs, self.form = recurs, form
        body = [*self.times(10, 11), "SUMMARY:0"]
        body += ["RRULE:FREQ=DAILY;COUNT=4"] if recurs else []
        self.run("put", "a", body=[*body, f"people a {' '.join(sorted(invited))}"])

    @precondition(lambda self: not self.has("a"))
    @rule(recurs=st.sampled_from([True, True, True, False]), invited=crowd, form=st.sampled_from(FORMS))
    def create_again(self, recurs: bool, invited: set[str], form: tuple[str, str, str]) -> None:
        self.create(recurs, invited, form)

    def times(self, begin: int, end: int) -> list[str]:
        zone, day, letter = self.form
        return [f"DTSTART{zone}:{day}T{begin:02}0000{letter}", f"DTEND{zone}:{day}T{end:02}0000{letter}"]

    def _at(self, which: str | None) -> list[str]:
        return [f"@ {which}"] if which else ["@ series"]

    def _which(self, number: int) -> str | None:
        return self.instance("a", number) if self.recurs and number else None

    @precondition(lambda self: self.has("a"))
    @rule(number=numbers)
    def rename(self, number: int) -> None:
        which = self._which(number)
        old = self.line("a", which, "SUMMARY")
        self.counter += 1
        before = told(self.stored("a"))
        self.edit("a", [*self._at(which), f"- {old}", f"+ SUMMARY:{self.counter}"])
        for rid, said in told(self.stored("a")).items():
            if rid in before:
                assert said[4] == before[rid][4], "a change of the title cost an answer"

    @precondition(lambda self: self.has("a") and self.recurs)
    @rule(number=numbers, hour=st.integers(min_value=8, max_value=18))
    def move_instance(self, number: int, hour: int) -> None:
        which = self.instance("a", number)
        if which is not None:
            start, end = self.line("a", which, "DTSTART"), self.line("a", which, "DTEND")
            day = which[:8]
            new = [f"- {start}", f"+ DTSTART:{day}T{hour:02}0000Z", f"- {end}", f"+ DTEND:{day}T{hour:02}3000Z"]
            self.edit("a", [*self._at(which), *new])

    @precondition(lambda self: self.has("a"))
    @rule(hour=st.integers(min_value=8, max_value=18))
    def move_all(self, hour: int) -> None:
        """As clients do it: the overrides and exceptions go."""
        start, end = self.line("a", None, "DTSTART"), self.line("a", None, "DTEND")
        body = [f"@ {write_utc(rid)} remove" for rid in self.client("a").overrides]
        body += ["@ series"]
        snapshot = self.client("a")
        assert snapshot.master is not None
        body += ["- EXDATE..." for _ in snapshot.master.component.all("EXDATE")]
        new_start, new_end = self.times(hour, hour + 2)
        body += [f"- {start}", f"+ {new_start}", f"- {end}", f"+ {new_end}"]
        self.edit("a", body)

    @precondition(lambda self: self.has("a"))
    @rule(number=numbers)
    def overwrite_blindly(self, number: int) -> None:
        """Another client of the organizer's, that has not looked for a while, gives the meeting another title."""
        seen = read(self.player.seen["a"]) if "a" in self.player.seen else None
        if seen is None or seen.master is None:
            return
        self.counter += 1
        lines = lines_of(seen.source)
        old = next(line for line in lines if line.startswith("SUMMARY"))
        body = ["@ series", f"- {old}", f"+ SUMMARY:{self.counter}"]
        if old in lines_of(seen.source[seen.master.component.start : seen.master.component.end]):
            self.run("edit", "a", "merge", body=body, refusable=True)

    @precondition(lambda self: self.has("a") and self.recurs)
    @rule(interval=st.integers(min_value=1, max_value=3), orphans=st.booleans())
    def other_rule(self, interval: int, orphans: bool) -> None:
        """Another rule; the client drops the overrides, or leaves them as orphans."""
        rids = [] if orphans else list(self.client("a").overrides)
        old = self.line("a", None, "RRULE")
        body = [f"@ {write_utc(rid)} remove" for rid in rids]
        self.edit("a", [*body, "@ series", f"- {old}", f"+ RRULE:FREQ=DAILY;INTERVAL={interval};COUNT=4"])

    @precondition(lambda self: self.has("a") and self.recurs)
    @rule(number=st.integers(min_value=1, max_value=5))
    def split(self, number: int) -> None:
        """This and all future: the old series ends, a new one begins with a UID of its own."""
        snapshot = self.client("a")
        which = self.instance("a", number)
        if which is None or snapshot.master is None or which == write_utc(snapshot.rid_of(_moment(snapshot))):
            return
        people = [name for name in OTHERS if address(name) in snapshot.master.by_address]
        late = [rid for rid in snapshot.overrides if write_utc(rid) >= which]
        old = self.line("a", None, "RRULE")
        until = write_utc(instant(which) - 1)
        body = [f"@ {write_utc(rid)} remove" for rid in late]
        self.edit("a", [*body, "@ series", f"- {old}", f"+ RRULE:FREQ=DAILY;UNTIL={until}"])
        self.counter += 1
        tail = f"tail{self.counter}"
        body = [f"DTSTART:{which}", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2", "SUMMARY:tail"]
        self.player.run(Step(0, ["put", "a", f"uid={tail}"], [*body, f"people a {' '.join(people)}"]))
        truth = told(self._object("a", tail))
        for name in people:
            assert told(self._object(name, tail)) == truth
        self.player.run(Step(0, ["delete", "a", f"uid={tail}"]))
        assert not any(self.stage.stored(name, tail) for name in OTHERS)

    @precondition(lambda self: self.has("a") and self.recurs)
    @rule(count=st.integers(min_value=1, max_value=6))
    def other_count(self, count: int) -> None:
        snapshot = self.client("a")
        start = snapshot.rid_of(_moment(snapshot))
        late = [rid for rid in snapshot.overrides if rid > start + (count - 0.5) * DAY]
        body = [f"@ {write_utc(rid)} remove" for rid in late]
        old = self.line("a", None, "RRULE")
        self.edit("a", [*body, "@ series", f"- {old}", f"+ RRULE:FREQ=DAILY;COUNT={count}"])

    @precondition(lambda self: self.has("a"))
    @rule(name=people, number=numbers)
    def invite(self, name: str, number: int) -> None:
        which = self._which(number)
        if self.line("a", which, "ATTENDEE") is None or self._invited(which, name):
            return
        self.edit("a", [*self._at(which), f"+ ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:{address(name)}"])

    @precondition(lambda self: self.has("a"))
    @rule(name=people, number=numbers)
    def take_off(self, name: str, number: int) -> None:
        which = self._which(number)
        old = self._invited(which, name)
        if old:
            self.edit("a", [*self._at(which), f"- {old}"])

    def _invited(self, which: str | None, name: str) -> str | None:
        return self._named("a", which, name)

    def _named(self, whose: str, which: str | None, name: str) -> str | None:
        """The ATTENDEE line of ``name`` in a component of somebody's object."""
        edited = self.player.edited(self.client(whose).source, self._at(which))
        found = read(edited)
        assert found is not None
        rid = None if which is None else next(rid for rid in found.parts if rid is not None and write_utc(rid) == which)
        part = found.parts[rid].component
        lines = lines_of(edited[part.start : part.end])
        return next(
            (line for line in lines if line.startswith("ATTENDEE") and line.endswith(f":{address(name)}")), None
        )

    @precondition(lambda self: self.has("a") and self.recurs)
    @rule(number=numbers, drop=st.booleans())
    def cancel_instance(self, number: int, drop: bool) -> None:
        which = self.instance("a", number)
        if which is None:
            return
        if drop:
            rid = next((rid for rid in self.client("a").overrides if write_utc(rid) == which), None)
            body = [f"@ {which} remove"] if rid is not None else []
            self.edit("a", [*body, "@ series", "= RRULE...", f"+ EXDATE:{which}"])
        else:
            old = self.line("a", which, "STATUS")
            self.edit("a", [f"@ {which}", *([f"- {old}"] if old else []), "= SUMMARY...", "+ STATUS:CANCELLED"])

    @precondition(lambda self: self.has("a") and self.recurs)
    @rule()
    def reinstate(self) -> None:
        line = self.line("a", None, "EXDATE")
        if line is not None:
            self.edit("a", ["@ series", f"- {line}"])

    @precondition(lambda self: self.has("a"))
    @rule(sure=st.integers(min_value=0, max_value=9))
    def remove(self, sure: int) -> None:
        if not sure:
            self.run("delete", "a")

    # --- the attendees

    @precondition(lambda self: self.has("a"))
    @rule(name=people, answer=answers, number=numbers)
    def answer(self, name: str, answer: str, number: int) -> None:
        if not self.has(name):
            return
        snapshot = self.client(name)
        which = self.instance(name, number) if (number or snapshot.master is None) else None
        self.run(VERBS[answer], name, *([which] if which else []))
        self.others_keep_their_tags()

    @precondition(lambda self: self.has("a") and self.recurs)
    @rule(name=people, answer=answers, number=st.integers(min_value=1, max_value=5))
    def answer_instance(self, name: str, answer: str, number: int) -> None:
        self.answer(name, answer, number)

    @precondition(lambda self: self.has("a"))
    @rule(name=people, answer=answers)
    def answer_all(self, name: str, answer: str) -> None:
        if self.has(name):
            self.client(name)
            self.run(VERBS[answer], name, "all")
            self.others_keep_their_tags()

    @precondition(lambda self: self.has("a"))
    @rule(name=people, answer=answers)
    def answer_blindly(self, name: str, answer: str) -> None:
        """A client that has not looked for a while, and does not ask whether it may."""
        if self.has(name) and name in self.player.seen:
            self.run(VERBS[answer], name, refusable=True)

    @precondition(lambda self: self.has("a"))
    @rule(name=people, to=people)
    def delegate(self, name: str, to: str) -> None:
        """All that somebody is invited to, to somebody who is not invited at all."""
        if not self.has(name) or self.has(to) or address(to) in self.stored("a").addresses:
            return
        body = []
        for rid in self.client(name).parts:
            which = None if rid is None else write_utc(rid)
            old = self._named(name, which, name)
            if old is not None:
                params = with_partstat(re.sub(';DELEGATED-TO="[^"]*"', "", old), "DELEGATED").removesuffix(
                    f":{address(name)}"
                )
                new = f'{params};DELEGATED-TO="{address(to)}":{address(name)}'
                body += [*self._at(which), f"- {old}", f"+ {new}"]
        self.edit(name, body)

    @precondition(lambda self: self.has("a") and self.recurs)
    @rule(name=people, number=numbers)
    def leave_instance_out(self, name: str, number: int) -> None:
        if not self.has(name) or self.client(name).master is None:
            return
        which = self.instance(name, number)
        if which is None or len(told(self.client(name))) < 2:
            return
        own = any(write_utc(rid) == which for rid in self.client(name).overrides)
        body = [f"@ {which} remove"] if own else []
        body += ["@ series", "= RRULE...", f"+ EXDATE:{which}"]
        if self.run("edit", name, "merge", body=body, refusable=own and self.has_range()):
            self.others_keep_their_tags()

    @precondition(lambda self: self.has("a"))
    @rule(name=people)
    def leave(self, name: str) -> None:
        if self.has(name):
            self.run("delete", name)
            self.others_keep_their_tags()

    @precondition(lambda self: self.has("a"))
    @rule(name=people)
    def leave_silently(self, name: str) -> None:
        """Schedule-Reply: F."""
        if self.has(name):
            self.run("delete", name, "silently")
            assert not self.stage.sent()
            self.silent.add(name)

    @precondition(lambda self: self.has("a"))
    @rule(name=people, own=st.sampled_from(OWN), number=numbers)
    def keep_something(self, name: str, own: tuple[str, ...], number: int) -> None:
        """An alarm, a colour, a tag of one's own, on the series or on one instance."""
        if not self.has(name):
            return
        snapshot = self.client(name)
        which = self.instance(name, number) if number or snapshot.master is None else None
        body = self._at(which)
        if own[0].startswith("TRANSP") and (old := self.line(name, which, "TRANSP")) is not None:
            body.append(f"- {old}")
        if which is None:
            self.private[name].add(own[0])
        self.edit(name, [*body, *(f"+ {line}" for line in own)])
        assert not self.stage.sent()

    @rule(name=st.sampled_from("abcde"))
    def look_again(self, name: str) -> None:
        self.look(name)

    # --- what always holds

    @invariant()
    def all_copies_agree(self) -> None:
        if not self.has("a"):
            assert not any(self.has(name) for name in OTHERS)
            return
        truth = told(self.stored("a"))
        for name in OTHERS:
            self._agrees(name, {rid: said for rid, said in truth.items() if address(name) in said[4]})

    def _agrees(self, name: str, wanted: dict[int, tuple[Any, ...]]) -> None:
        who = address(name)
        if not self.has(name):
            if name in self.silent:
                return  # "remove … without a reply": nobody knows
            answers = {said[4][who] for said in wanted.values()}
            assert answers <= {"DECLINED"}, f"{name} has no copy but {answers}"
            return
        assert name not in self.silent, f"what {name} removed is back"
        found = told(self.stored(name))
        strange = found.keys() - wanted.keys()
        assert not strange, f"{name} sees instances that are not theirs: {sorted(map(write_utc, strange))}"
        for rid, said in wanted.items():
            if rid not in found:
                assert said[4][who] == "DECLINED", f"{name} misses {write_utc(rid)}"
            else:
                assert found[rid] == said, f"{name}'s copy differs at {write_utc(rid)}: {found[rid]} {said}"

    @invariant()
    def what_is_private_stays(self) -> None:
        for name, lines in self.private.items():
            text = self.stage.stored(name, UID)
            assert not lines or text is not None
            for line in lines:
                assert line in lines_of(text or b""), f"{name}'s {line} is gone"
        for name in "abcde":
            text = self.stage.stored(name, UID)
            for line in lines_of(text or b""):
                own = any(line == lines[0] for lines in OWN)
                assert not own or name in OTHERS, f"{name} has {line} of somebody else"

    @invariant()
    def sequences_agree(self) -> None:
        """An attendee's revision of the series is the organizer's: replies will be to it."""
        if self.has("a"):
            mine = self.stored("a").master
            for name in OTHERS:
                theirs = self.stored(name).master if self.has(name) else None
                if mine is not None and theirs is not None:
                    assert theirs.sequence == mine.sequence, f"{name} has {theirs.sequence}, a has {mine.sequence}"


class MeetingWithRanges(Meeting):
    """The organizer's client also writes RANGE=THISANDFUTURE."""

    @precondition(lambda self: self.has("a") and self.recurs)
    @rule(number=st.integers(min_value=1, max_value=5), hour=st.integers(min_value=8, max_value=18))
    def change_the_future(self, number: int, hour: int) -> None:
        """This and all future by RANGE=THISANDFUTURE: another place, perhaps another time."""
        which = self.instance("a", number)
        if which is None or any(part.future for part in self.client("a").parts.values()):
            return
        rid, start, end = (self.line("a", which, name) for name in ("RECURRENCE-ID", "DTSTART", "DTEND"))
        assert rid is not None
        self.counter += 1
        new = [f"- {rid}", f"+ {rid.replace('RECURRENCE-ID', 'RECURRENCE-ID;RANGE=THISANDFUTURE')}"]
        if hour > 10:
            new += [
                f"- {start}",
                f"+ DTSTART:{which[:8]}T{hour:02}0000Z",
                f"- {end}",
                f"+ DTEND:{which[:8]}T{hour:02}3000Z",
            ]
        body = [f"@ {which}", *new, "= SUMMARY...", f"+ LOCATION:{self.counter}"]
        self.run("edit", "a", "merge", body=body, refusable=True)


def _moment(snapshot: Snapshot) -> Any:
    from scheduling.ical.values import moment_of

    assert snapshot.master is not None
    line = snapshot.master.component.first("DTSTART")
    assert line is not None
    return moment_of(line)
