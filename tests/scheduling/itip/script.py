"""iTIP scripts: text files that say who does what, and what comes of it; ``tests/itip/README.md`` tells the format.

``load`` reads the scripts of a file, ``play`` plays one in a ``Stage``: in memory (``world``), or over HTTP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from scheduling.addresses import normal
from scheduling.ical.lines import ContentLine, scan
from scheduling.ical.rrule import Budget
from scheduling.ical.values import write_utc
from scheduling.itip.snapshot import Snapshot, read
from tests.scheduling.itip.world import lines_of

if TYPE_CHECKING:
    from pathlib import Path

UID: Final = "meeting"
_ADDRESS: Final = re.compile(r"<([a-z0-9.+-]+)>")


class Stage(Protocol):
    """Where a script is played."""

    def account(self, name: str, addresses: list[str]) -> None: ...
    def at(self, now: datetime) -> None: ...
    def put(self, name: str, text: bytes, *, merge: bool) -> None: ...
    def delete(self, name: str, uid: str, *, reply: bool) -> None: ...
    def receive(self, sender: str, recipient: str, text: bytes) -> None: ...
    def stored(self, name: str, uid: str) -> bytes | None: ...
    def tag(self, name: str, uid: str) -> object: ...
    def inbox(self, name: str) -> list[str]: ...
    def newest(self, name: str) -> bytes | None:
        """The newest message in somebody's inbox."""

    def refused(self) -> str | None: ...
    def status(self, expected: str, uri: str) -> str:
        """How this stage says the SCHEDULE-STATUS ``expected`` of the address ``uri``."""

    def check_messages(self, expected: list[str]) -> None:
        """Asserts that the last action led to these messages: METHOD sender -> recipient [instances]."""

    def reasons(self) -> list[str] | None: ...


@dataclass
class Step:
    """One command with its indented lines."""

    line: int
    words: list[str]
    body: list[str] = field(default_factory=list)


@dataclass
class Script:
    """One script."""

    title: str
    file: str
    line: int
    steps: list[Step] = field(default_factory=list)


def load(path: Path) -> list[Script]:
    """The scripts in ``path``."""
    scripts: list[Script] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("== "):
            scripts.append(Script(line[3:].strip(), path.stem, number))
        elif not line.strip() or line.startswith("#"):
            continue
        elif line.startswith("  "):
            scripts[-1].steps[-1].body.append(line[2:])
        else:
            assert not line[0].isspace(), f"{path.name}:{number}: indent by two spaces"
            scripts[-1].steps.append(Step(number, line.split()))
    return scripts


def address(name: str) -> str:
    """``a`` to ``w`` are at example.com, ``x`` to ``z`` elsewhere, ``nobody`` nowhere."""
    if name in ("x", "y", "z"):
        return f"mailto:{name}@example.org"
    return f"mailto:{name}@{'invalid.example' if name == 'nobody' else 'example.com'}"


def play(script: Script, stage: Stage) -> None:
    """Plays ``script``; an AssertionError names its file and line."""
    player = Player(stage)
    for step in script.steps:
        try:
            player.run(step)
        except AssertionError as error:
            where = f"{script.file}.txt:{step.line}: {' '.join(step.words)}"
            raise AssertionError(f"{where}\n{error}\n{player.report()}") from error


class Player:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.accounts: dict[str, list[str]] = {}
        self.tags: dict[tuple[str, str], object] = {}
        self.before: dict[tuple[str, str], bytes | None] = {}
        self.last_put = b""
        self.expected_refusal = True
        #: What a client has in hand where it is not what the server has.
        self.seen: dict[str, bytes] = {}
        for name in "abcde":
            self._account(name, [address(name)])

    def _account(self, name: str, addresses: list[str]) -> None:
        self.accounts[name] = addresses
        self.stage.account(name, addresses)

    def run(self, step: Step) -> None:
        words = [word for word in step.words if not word.startswith("uid=")]
        uid = next((word[4:] for word in step.words if word.startswith("uid=")), UID)
        verb, rest = words[0], words[1:]
        getattr(self, f"do_{verb}")(rest, uid, step.body)

    def report(self) -> str:
        out = [f"reasons: {self.stage.reasons()}"]
        for name in self.accounts:
            text = self.stage.stored(name, UID)
            if text is not None:
                out.append(f"--- {name}\n{text.decode()}")
        return "\n".join(out)

    # --- actions

    def do_account(self, rest: list[str], uid: str, body: list[str]) -> None:
        self._account(rest[0], [one if ":" in one or "/" in one else f"mailto:{one}" for one in rest[1:]])

    def do_at(self, rest: list[str], uid: str, body: list[str]) -> None:
        self.now = datetime.strptime(rest[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    def _act(self) -> None:
        assert self.expected_refusal or self.stage.refused() is None, f"refused: {self.stage.refused()}"
        self.now += timedelta(minutes=1)
        self.stage.at(self.now)
        self.before = {
            (name, uid): self.stage.stored(name, uid) for name in self.accounts for uid in (UID, "other", *self._uids())
        }
        self.tags = {key: self.stage.tag(*key) for key in self.before}
        self.expected_refusal = False

    def _uids(self) -> list[str]:
        return sorted(self._known_uids)

    _known_uids: frozenset[str] = frozenset()

    def _know(self, text: bytes) -> None:
        self._known_uids |= {line[4:] for line in lines_of(text) if line.startswith("UID:")}

    def do_put(self, rest: list[str], uid: str, body: list[str]) -> None:
        self._put(rest[0], self._text(body, uid), merge="merge" in rest)

    def _put(self, name: str, text: bytes, *, merge: bool = False) -> None:
        self._know(text)
        self._act()
        self.last_put = text
        self.stage.put(name, text, merge=merge)

    def do_edit(self, rest: list[str], uid: str, body: list[str]) -> None:
        """The client changes its copy: "- line" goes, "+ line" comes, "= line" is where; "@ rid" is which component."""
        name = rest[0]
        text = self.seen.get(name, self.stage.stored(name, uid))
        assert text is not None, f"{name} has no object"
        if "stale" in rest:
            text = self.before[(name, uid)]
            assert text is not None
        self._put(name, self.edited(text, body), merge="merge" in rest)

    def edited(self, text: bytes, body: list[str]) -> bytes:
        lines = lines_of(text)
        first = next(i for i, line in enumerate(lines) if line in ("BEGIN:VEVENT", "BEGIN:VTODO", "BEGIN:VJOURNAL"))
        at = _end_of(lines, first)
        low, high = first, at
        for item in body:
            mark, line = item[0], self._expand(item[2:])
            if mark == "@":
                lines, low, high = self._component(lines, line)
                at = high
            elif mark in "-=":
                at = next((i for i in range(low, high + 1) if _same(lines[i], line)), -1)
                assert at >= 0, f"no line {line!r} in\n" + "\n".join(lines)
                if mark == "-":
                    del lines[at]
                    high -= 1
                else:
                    at += 1
            else:
                assert mark == "+", item
                lines.insert(at, line)
                at += 1
                high += 1
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _component(self, lines: list[str], which: str) -> tuple[list[str], int, int]:
        """The component for one instance, made of the series where there is none."""
        text = "".join(f"{line}\r\n" for line in lines).encode()
        snapshot = read(text)
        assert snapshot is not None
        if which == "remove":
            raise AssertionError("say @ RID remove")
        rid_text, _, remove = which.partition(" ")
        rid = None if rid_text == "series" else instant(rid_text)
        if rid is not None and rid not in snapshot.parts:
            made = snapshot.with_override(rid)
            assert made is not None, f"no instance {rid_text}"
            snapshot, lines = made, lines_of(made.source)
        ends = [i for i, line in enumerate(lines) if line == f"BEGIN:{snapshot.kind}"]
        order = list(snapshot.parts)
        low = ends[order.index(rid)]
        high = _end_of(lines, low)
        if remove:
            del lines[low : high + 1]
            low = next(i for i, line in enumerate(lines) if line == f"BEGIN:{snapshot.kind}")
            high = _end_of(lines, low)
        return lines, low, high

    def _answer(self, partstat: str, rest: list[str], uid: str) -> None:
        """The client sets the PARTSTAT of its user, of the series or of one instance."""
        name, *rids = rest
        text = self.seen.get(name, self.stage.stored(name, uid))
        assert text is not None, f"{name} has no object"
        own = {normal(one) for one in self.accounts[name]}
        lines = lines_of(text)
        for rid in rids or [""]:
            if rid and rid != "all":
                lines, low, high = self._component(lines, rid)
            elif rid == "all":
                low, high = 0, len(lines) - 1
            else:
                low = next(i for i, line in enumerate(lines) if line in ("BEGIN:VEVENT", "BEGIN:VTODO"))
                high = _end_of(lines, low)
            for i in range(low, high):
                line = _line(lines[i])
                if line.name == "ATTENDEE" and normal(line.value) in own:
                    lines[i] = with_partstat(lines[i], partstat)
        self._put(name, "".join(f"{line}\r\n" for line in lines).encode())

    def do_accept(self, rest: list[str], uid: str, body: list[str]) -> None:
        self._answer("ACCEPTED", rest, uid)

    def do_decline(self, rest: list[str], uid: str, body: list[str]) -> None:
        self._answer("DECLINED", rest, uid)

    def do_tentative(self, rest: list[str], uid: str, body: list[str]) -> None:
        self._answer("TENTATIVE", rest, uid)

    def do_delete(self, rest: list[str], uid: str, body: list[str]) -> None:
        self._act()
        self.stage.delete(rest[0], uid, reply="silently" not in rest)

    def do_receive(self, rest: list[str], uid: str, body: list[str]) -> None:
        """receive x -> a [METHOD]: a message from elsewhere."""
        sender, arrow, recipient, *method = rest
        assert arrow == "->"
        self._act()
        text = self._text(body, uid, method=method[0] if method else "")
        self._know(text)
        self.stage.receive(self._who(sender), self._who(recipient), text)

    def _who(self, name: str) -> str:
        return name if ":" in name else self.accounts.get(name, [address(name)])[0]

    # --- texts

    def _expand(self, line: str) -> str:
        return _ADDRESS.sub(lambda m: address(m[1]), line)

    def _text(self, body: list[str], uid: str, method: str = "") -> bytes:
        if body and body[0].strip() == "BEGIN:VCALENDAR":
            return ("\r\n".join(_unfolded(body)) + "\r\n").encode()
        head = ["BEGIN:VCALENDAR", *([f"METHOD:{method}"] if method else []), "VERSION:2.0", "PRODID:-//test//test//EN"]
        out: list[str] = []
        kind = "VEVENT"
        parts: list[list[str]] = [[]]
        for line in _unfolded(body):
            if line == "---":
                parts.append([])
            elif line in ("VTODO", "VJOURNAL", "VEVENT"):
                kind = line
            else:
                parts[-1] += self._lines(line)
        for part in parts:
            own = part[: next((i for i, line in enumerate(part) if line.startswith("BEGIN:")), len(part))]
            names = {line.partition(":")[0].partition(";")[0] for line in own}
            added = [] if "UID" in names else [f"UID:{uid}"]
            added += [] if "DTSTAMP" in names else [f"DTSTAMP:{self.now:%Y%m%dT%H%M%SZ}"]
            out += [f"BEGIN:{kind}", *added, *part, f"END:{kind}"]
        return "".join(f"{line}\r\n" for line in [*head, *out, "END:VCALENDAR"]).encode()

    def _lines(self, line: str) -> list[str]:
        if not line.startswith("people "):
            return [self._expand(line)]
        organizer, *others = line.split()[1:]
        out = [f"ORGANIZER:{address(organizer)}", f"ATTENDEE;PARTSTAT=ACCEPTED:{address(organizer)}"]
        for one in others:
            name, _, partstat = one.partition("=")
            out.append(f"ATTENDEE;PARTSTAT={partstat or 'NEEDS-ACTION'};RSVP=TRUE:{address(name)}")
        return out

    # --- expectations

    def do_expect(self, rest: list[str], uid: str, body: list[str]) -> None:
        what = rest[0]
        handler = getattr(self, f"expect_{what}", None)
        if handler is not None:
            handler(rest[1:], uid, body)
            return
        self._expect_object(what.rstrip(":"), rest[1:], uid, body)

    def expect_refused(self, rest: list[str], uid: str, body: list[str]) -> None:
        self.expected_refusal = True
        assert self.stage.refused() == rest[0], f"refused: {self.stage.refused()}"
        for key, text in self.before.items():
            assert self.stage.stored(*key) == text, f"{key} changed"

    def expect_messages(self, rest: list[str], uid: str, body: list[str]) -> None:
        """Each as METHOD sender -> recipient [rids]; "none" for none."""
        self.stage.check_messages([] if rest == ["none"] else [" ".join(line.split()) for line in body])

    def expect_reason(self, rest: list[str], uid: str, body: list[str]) -> None:
        found = self.stage.reasons()
        if found is not None:
            assert any(" ".join(rest) in reason for reason in found), found

    def expect_inbox(self, rest: list[str], uid: str, body: list[str]) -> None:
        name, *methods = rest
        if methods == ["has"]:
            newest = self.stage.newest(name)
            assert newest is not None, "the inbox is empty"
            self._has(newest, body)
            return
        assert self.stage.inbox(name) == ([] if methods == ["empty"] else methods), self.stage.inbox(name)

    def expect_tag(self, rest: list[str], uid: str, body: list[str]) -> None:
        name, how = rest
        now, before = self.stage.tag(name, uid), self.tags.get((name, uid))
        assert (now == before) is (how == "same"), f"tag was {before}, is {now}"

    def expect_kept(self, rest: list[str], uid: str, body: list[str]) -> None:
        """The object is, byte for byte, what was sent, or what it was before the last action."""
        now = self.stage.stored(rest[0], uid)
        assert now in (self.last_put, self.before.get((rest[0], uid))), "the text changed"

    def expect_changed(self, rest: list[str], uid: str, body: list[str]) -> None:
        """Just these lines changed since before the last action: "- line", "+ line"."""
        old, new = self.before.get((rest[0], uid)), self.stage.stored(rest[0], uid)
        assert old is not None
        assert new is not None
        gone = sorted(_minus(lines_of(old), lines_of(new)))
        come = sorted(_minus(lines_of(new), lines_of(old)))
        found = [f"- {line}" for line in gone] + [f"+ {line}" for line in come]
        assert sorted(found) == sorted(self._expand(line) for line in body), "\n".join(["changed:", *found])

    def _expect_object(self, name: str, rest: list[str], uid: str, body: list[str]) -> None:
        text = self.stage.stored(name, uid)
        if rest == ["none"]:
            assert text is None, f"{name} has the object"
            return
        assert text is not None, f"{name} has no object"
        snapshot = read(text)
        match rest:
            case ["has"]:
                self._has(text, body)
            case ["status", *pairs]:
                assert snapshot is not None
                self._statuses(snapshot, pairs)
            case ["sees", *starts]:
                assert snapshot is not None
                assert _starts(snapshot, len(starts) + 5)[: len(starts) if starts[-1] == "..." else None] == starts or (
                    starts[-1] == "..." and _starts(snapshot, len(starts) - 1) == starts[:-1]
                ), _starts(snapshot, 20)
            case _:
                assert snapshot is not None, f"{name}'s object is no meeting"
                self._answers(snapshot, rest)

    def _has(self, text: bytes, body: list[str]) -> None:
        """ "line" is there, "! line" is not; "@ rid" chooses a component; "line..." begins so."""
        snapshot = read(text)
        lines = lines_of(text)
        for item in body:
            if item.startswith("@ "):
                assert snapshot is not None
                rid = None if item[2:] == "series" else instant(item[2:])
                assert rid in snapshot.parts, f"no component for {item[2:]}"
                part = snapshot.parts[rid].component
                lines = lines_of(text[part.start : part.end])
                continue
            line = self._expand(item.removeprefix("! "))
            there = any(_matches(one, line) for one in lines)
            assert there is not item.startswith("! "), f"{item} in\n" + "\n".join(lines)

    def _statuses(self, snapshot: Snapshot, pairs: list[str]) -> None:
        parties = {party.address: party for part in snapshot.parts.values() for party in part.attendees}
        if snapshot.organizer is not None:
            parties["organizer"] = snapshot.organizer
        for pair in pairs:
            who, _, code = pair.partition("=")
            party = parties[who if who == "organizer" else normal(self._who(who))]
            wanted = self.stage.status(code, party.address)
            assert (party.line.param("SCHEDULE-STATUS") or "none") == wanted, party.line

    def _answers(self, snapshot: Snapshot, rest: list[str]) -> None:
        rid = None
        for item in rest:
            who, equals, partstat = item.partition("=")
            if not equals:
                rid = None if who == "series" else instant(who)
                assert rid in snapshot.parts, f"no component for {who}"
                continue
            party = snapshot.parts[rid].by_address.get(normal(self._who(who)))
            if partstat == "absent":
                assert party is None, f"{who} is there"
            else:
                assert party is not None, f"{who} is not there"
                assert party.partstat == partstat, f"{who} is {party.partstat}"


def _unfolded(body: list[str]) -> list[str]:
    out: list[str] = []
    for line in body:
        if line.startswith(" ") and out:
            out[-1] += line[1:]
        else:
            out.append(line)
    return out


def _end_of(lines: list[str], begin: int) -> int:
    kind = lines[begin].partition(":")[2]
    return next(i for i in range(begin, len(lines)) if lines[i] == f"END:{kind}")


def _line(text: str) -> ContentLine:
    return next(iter(scan(text.encode())))


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    return other.endswith("...") and one.startswith(other[:-3])


def _matches(one: str, wanted: str) -> bool:
    if _same(one, wanted):
        return True
    if wanted.endswith("...") or ":" not in wanted or ":" not in one:
        return False
    first, second = _line(one), _line(wanted)
    return (first.name, first.value, sorted(first.params)) == (second.name, second.value, sorted(second.params))


def with_partstat(line: str, partstat: str) -> str:
    if re.search(r";PARTSTAT=[A-Za-z-]+", line):
        return re.sub(r";PARTSTAT=[A-Za-z-]+", f";PARTSTAT={partstat}", line)
    return re.sub(r"^ATTENDEE", f"ATTENDEE;PARTSTAT={partstat}", line)


def instant(text: str) -> int:
    found = datetime.strptime(text if "T" in text else f"{text}T000000Z", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(found.timestamp())


def _starts(snapshot: Snapshot, most: int) -> list[str]:
    out: list[str] = []
    for instance in snapshot.recurrence.near(None, None, Budget()):
        if len(out) >= most:
            break
        out.append(write_utc(instance.start if instance.start is not None else instance.end or 0))
    return out


def _minus(one: list[str], other: list[str]) -> list[str]:
    left = list(other)
    out = []
    for line in one:
        if line in left:
            left.remove(line)
        else:
            out.append(line)
    return out
