"""``caldavd find-time``: the worked example, as text and as JSON, and command lines that say something wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from storage.open import open_store
from tests.caldavd.cli.conftest import Cli
from tests.caldavd.meeting_world import NOW, MeetingWorld, at, meeting

SETTINGS = """
[storage]
url = "sqlite:///caldavd.db"
[find_time]
learn_weeks = 8
step_minutes = 30
travel_minutes = { "Harbour <> Castle" = 30 }
"""
PEOPLE = [word for name in ("alice", "bob@example.org", "carol", "dave", "olga") for word in ("--with", name)]
WEEK = ("--from", "2026-01-12", "--to", "2026-01-16", "--timezone", "America/Los_Angeles")


@pytest.fixture
def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MeetingWorld]:
    """The people of the example, whose time stands still for the command line as well; without appointments."""
    (folder / "caldavd.toml").write_text(SETTINGS)
    monkeypatch.setattr("caldavd.stores.open_store", partial(open_store, clock=lambda: NOW))
    made = MeetingWorld(folder / "caldavd.db")
    yield made
    made.store.close()


def test_the_worked_example(world: MeetingWorld, cli: Cli) -> None:
    world.fill()
    found = json.loads(cli("find-time", *PEOPLE, *WEEK, "--duration", "30m", "--room", "auto", "--json").stdout)
    assert found["timezone"] == "America/Los_Angeles"
    assert [one["start"] for one in found["suggestions"]] == [
        "2026-01-13T09:00:00-08:00", "2026-01-15T09:30:00-08:00", "2026-01-12T10:30:00-08:00",
        "2026-01-14T11:00:00-08:00", "2026-01-16T10:00:00-08:00",
    ]  # fmt: skip
    tuesday, _, _, wednesday, friday = found["suggestions"]
    assert tuesday["end"] == "2026-01-13T09:30:00-08:00"
    assert tuesday["rooms"] == ["boardroom"]
    assert wednesday["rooms"] == []
    assert any("seldom takes meetings on Friday mornings" in why for why in friday["reasons"])
    assert found["alternatives"] == []
    shown = cli("find-time", *PEOPLE, *WEEK, "--duration", "30m", "--room", "auto").stdout.splitlines()
    assert shown[0].startswith("Tue 2026-01-13 09:00-09:30 America/Los_Angeles  0.")
    assert shown[0].endswith("  Boardroom")
    assert "    at a time that everybody likes" in shown
    assert [line[:14] for line in shown if not line.startswith(" ")] == [
        "Tue 2026-01-13", "Thu 2026-01-15", "Mon 2026-01-12", "Wed 2026-01-14", "Fri 2026-01-16"
    ]  # fmt: skip


def test_optional_people_rooms_and_the_step(world: MeetingWorld, cli: Cli) -> None:
    world.put("carol", "c", meeting("c", at(1, "09:00"), at(1, "12:00")))
    options = ("--optional", "carol", "--capacity", "6", "--equipment", "projector", "--step", "1h", "--count", "3")
    found = json.loads(cli("find-time", "--with", "dave", *options, *WEEK, "--duration", "1h", "--json").stdout)
    assert len(found["suggestions"]) == 3
    assert {one["start"][14:16] for one in found["suggestions"]} == {"00"}
    assert all(one["rooms"] == ["boardroom"] for one in found["suggestions"])
    tuesday = ("--from", "2026-01-13T09:00", "--to", "2026-01-13T10:00", "--timezone", "America/Los_Angeles")
    found = json.loads(cli("find-time", "--with", "dave", *options, *tuesday, "--duration", "PT1H", "--json").stdout)
    assert [one["absent"] for one in found["suggestions"]] == [["carol"]]


def test_the_organizer_comes_and_learns_what_they_may(world: MeetingWorld, cli: Cli) -> None:
    world.put("bob", "b", meeting("b", at(1, "09:00"), at(1, "10:00"), "LOCATION:Harbour"))
    world.put("olga", "o", meeting("o", at(1, "10:00"), at(1, "11:00")))
    window = ("--from", "2026-01-13T18:00Z", "--to", "2026-01-13T19:30Z", "--duration", "30m", "--place", "Castle")
    cli_says = cli("find-time", "--with", "bob", *window).stdout
    assert "too little time for Bob to get there" in cli_says
    olga = cli("find-time", "--with", "bob", "--organizer", "olga", *window).stdout
    assert olga.startswith("Tue 2026-01-13 11:00-11:30 America/Los_Angeles")
    assert "get there" not in olga


def test_no_time_at_all(world: MeetingWorld, cli: Cli) -> None:
    world.put("bob", "b", meeting("b", at(1, "00:00"), at(2, "00:00")))
    tuesday = ("--from", "2026-01-13", "--to", "2026-01-13", "--timezone", "America/Los_Angeles")
    shown = cli("find-time", "--with", "bob", "--with", "x@example.net", *tuesday, "--duration", "30m", status=1).stdout
    lines = shown.splitlines()
    assert lines[0] == "There is no time for all. What comes nearest:"
    assert lines[2] == "    only Bob is busy"
    assert lines[-1].startswith("x@example.net: There is nobody here with this address")


def test_a_name_that_nobody_has_is_a_mistake(world: MeetingWorld, cli: Cli) -> None:
    del world
    for option in ("--with", "--optional"):
        said = cli("find-time", "--with", "bob", option, "nobodi", *WEEK, "--duration", "30m", status=1).output
        assert said.startswith("Error: There is no user 'nobodi'.")


def test_beyond_the_working_hours_and_beside_them(world: MeetingWorld, cli: Cli) -> None:
    world.put("dave", "d", meeting("d", at(1, "00:00"), at(1, "18:00")))
    tuesday = ("--from", "2026-01-13", "--to", "2026-01-13")
    shown = cli("find-time", "--with", "dave", *tuesday, "--duration", "30m").stdout
    assert "outside of the working hours of Dave (18:30 there)" in shown
    assert "There is no time for all within everybody's working hours. What comes nearest:" in shown
    assert "only Dave is busy" in shown


def test_a_meeting_over_new_year_and_one_over_midnight(world: MeetingWorld, cli: Cli) -> None:
    years = ("--from", "2026-12-30T23:00", "--to", "2027-01-02", "--timezone", "UTC", "--count", "1", "--step", "24h")
    shown = cli("find-time", "--with", "admin", *years, "--duration", "26h").stdout
    assert shown.startswith("Thu 2026-12-31 00:00-Fri 2027-01-01 02:00 UTC")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--with", "bob"), 2, "--duration"),
        (("--with", "bob", "--duration", "soon"), 2, "is no length of time such as 30m"),
        (("--with", "bob", "--duration", "0m"), 1, "has to last some time"),
        (("--with", "bob", "--duration", "999h"), 1, "longer than the time to look in"),
        (("--duration", "1h"), 1, "Say who is to come"),
        (("--with", "bob", "--duration", "1h", "--from", "monday"), 2, "is no time such as 2026-03-02"),
        (("--with", "bob", "--duration", "1h", "--to", "2020-01-01"), 1, "ends before it begins"),
        (("--with", "bob", "--duration", "1h", "--from", "2020-01-01", "--to", "2020-02-01"), 1, "is over"),
        (("--with", "bob", "--duration", "1h", "--to", "2036-01-01"), 1, "92 days at most"),
        (("--with", "bob", "--duration", "1h", "--room", "bob"), 1, "There is no room 'bob' here."),
        (("--with", "bob", "--duration", "1h", "--room", "auto", "--room", "boardroom"), 2, "give auto, or"),
        (("--with", "bob", "--duration", "1h", "--capacity", "0"), 2, "--capacity"),
        (("--with", "bob", "--duration", "1h", "--count", "1000"), 1, "Ask for 1 to 20 times."),
        (("--with", "bob", "--duration", "1h", "--timezone", "Mars"), 2, "is no time zone such as"),
        (("--with", "bob", "--duration", "1h", "--organizer", "eve"), 1, "There is no user 'eve'"),
    ],
)
def test_command_lines_that_say_something_wrong(
    world: MeetingWorld,
    cli: Cli,
    arguments: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    assert says in " ".join(cli("find-time", *arguments, status=status).output.split())
