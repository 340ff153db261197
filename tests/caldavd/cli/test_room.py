"""``caldavd room``, and what ``caldavd user import`` says of rooms."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from caldavd.cli import room_hours
from caldavd.cli.accounts_file import Mistakes, read
from caldavd.cli.room_rules import Said
from caldavd.privileges import READ, SCHEDULE_SEND, WRITE
from scheduling.freebusy.availability import availability, check_property
from scheduling.ical.timezones import UTC as UTC_ZONE
from tests.caldavd.cli.conftest import Cli
from tests.caldavd.cli.test_user_import import aces, imported

DEFAULTS: dict[str, Any] = {
    "name": "blue",
    "kind": "room",
    "policy": "automatic",
    "delegate": None,
    "window": 730,
    "beyond": "decline",
    "capacity": None,
    "equipment": [],
    "place": "",
    "position": None,
    "booked_by": ["@all"],
    "hours": "",
}
SET = (
    "--policy", "accept", "--window", "90", "--beyond", "cut", "--capacity", "12", "--equipment", "screen",
    "--equipment", "big  phone", "--place", "House 2", "--position", "52.52, 13.4", "--booked-by", "team",
    "--booked-by", "ann", "--hours", "mon - Friday 08:00-18:00;Sat 22:00-02:00",
)  # fmt: skip
IS_SET = DEFAULTS | {
    "policy": "accept",
    "window": 90,
    "beyond": "cut",
    "capacity": 12,
    "equipment": ["screen", "big phone"],
    "place": "House 2",
    "position": [52.52, 13.4],
    "booked_by": ["team", "ann"],
    "hours": "Mon-Fri 08:00-18:00; Sat 22:00-02:00",
}


@pytest.fixture
def house(ready: Cli) -> Cli:
    """A database with the room ``blue``, the people ann and bob, and the group team."""
    for name, kind in (("blue", "room"), ("ann", "person"), ("bob", "person"), ("team", "group")):
        ready("user", "add", name, "--kind", kind, *(("--no-password",) if kind == "person" else ()))
    return ready


def blue(cli: Cli) -> dict[str, Any]:
    (line,) = cli("room", "list", "--json").stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_new_room_does_as_the_settings_say(house: Cli, folder: Path) -> None:
    assert blue(house) == DEFAULTS
    (folder / "caldavd.toml").write_text('[rooms]\npolicy = "none"\nwindow_days = 5\n')
    assert blue(house) == DEFAULTS | {"policy": "none", "window": 5}


def test_all_of_it(house: Cli) -> None:
    said = house("room", "set", "blue", *SET).stdout
    assert said == (
        "blue: changed policy, window, beyond, capacity, equipment, place, position, booked by, hours.\n"
    )  # fmt: skip
    assert blue(house) == IS_SET
    assert house("room", "set", "blue", *SET).stdout == "blue: so it was already.\n"
    listed = house("room", "list").stdout
    assert listed.splitlines()[1].split() == "blue room accept 90 12 screen, big phone House 2".split()
    shown = house("room", "show", "blue").stdout
    assert "booked by  team ann" in shown
    assert "capacity   12 (not checked: [rooms] check_capacity)" in shown


def test_what_is_not_named_stays_and_all_of_it_can_be_taken_back(house: Cli) -> None:
    house("room", "set", "blue", *SET)
    house("room", "set", "blue", "--capacity", "4")
    assert blue(house) == IS_SET | {"capacity": 4}
    house(
        "room", "set", "blue", "--policy", "default", "--window", "0", "--beyond", "default", "--capacity", "0",
        "--equipment", "", "--place", "", "--position", "", "--booked-by", "@all",
        "--hours", "",
    )  # fmt: skip
    assert blue(house) == DEFAULTS


def test_a_delegate_is_let_in_and_out(house: Cli) -> None:
    before = aces("blue")
    house("room", "set", "blue", "--delegate", "bob")
    assert (blue(house)["policy"], blue(house)["delegate"]) == ("delegate", "bob")
    (given,) = [ace for ace in aces("blue") if ace not in before]
    assert set(given.privileges) == {READ, WRITE, SCHEDULE_SEND}
    house("room", "set", "blue", "--delegate", "team")
    (other,) = [ace for ace in aces("blue") if ace not in before]
    assert other.principal_id != given.principal_id
    refused = house("room", "set", "blue", "--delegate", "", status=1).output
    assert "Nobody answers for 'blue'" in refused
    house("room", "set", "blue", "--delegate", "", "--policy", "default")
    assert aces("blue") == before
    assert blue(house) == DEFAULTS


def test_other_rights_of_the_inbox_stay(house: Cli) -> None:
    usual = aces("blue", "inbox")
    house("user", "add", "carol", "--no-password")
    house("room", "set", "blue", "--booked-by", "ann")
    assert len(aces("blue", "inbox")) == 2
    house("room", "set", "blue", "--booked-by", "@all")
    assert aces("blue", "inbox") == usual


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("set", "blue"), 2, "Say what is to be set"),
        (("set", "bob", "--policy", "accept"), 1, "'bob' is no room"),
        (("set", "green", "--policy", "accept"), 1, "There is no user 'green'"),
        (("set", "blue", "--policy", "delegate"), 1, "Nobody answers for 'blue'"),
        (("set", "blue", "--delegate", "nobody"), 1, "There is no user 'nobody'"),
        (("set", "blue", "--delegate", "blue"), 1, "'blue' cannot answer for 'blue'"),
        (("set", "blue", "--booked-by", "nobody"), 1, "There is no user 'nobody' who could book"),
        (("set", "blue", "--position", "north"), 2, "write latitude and longitude"),
        (("set", "blue", "--position", "91,0"), 2, "latitude is -90 to 90"),
        (("set", "blue", "--hours", "always"), 2, "write days and times such as"),
        (("set", "blue", "--hours", "Mon 08:00-25:00"), 2, "write days and times such as"),
        (("set", "blue", "--hours", "Mittwoch 08:00-09:00"), 2, "the days are Mon, Tue"),
        (("set", "blue", "--window", "-1"), 2, "-1 is not in the range"),
        (("show", "bob"), 1, "'bob' is no room"),
    ],
)
def test_mistakes(house: Cli, arguments: tuple[str, ...], status: int, says: str) -> None:
    assert says in house("room", *arguments, status=status).output
    assert blue(house) == DEFAULTS


def test_all_rooms_or_none(house: Cli) -> None:
    house("room", "set", "blue", "ann", "--policy", "accept", status=1)
    assert blue(house) == DEFAULTS


@pytest.mark.parametrize("zone", ["Europe/Berlin", ""])
def test_hours_are_those_of_a_calendar(zone: str) -> None:
    """RFC 7953: a client reads them as it reads those of a person."""
    body = room_hours.availability("Mon,Wed-Thu 08:00-18:00; Sat 22:00-02:00", zone).encode()
    check_property(body)
    monday = int(datetime(2027, 7, 5, tzinfo=UTC).timestamp())
    found = availability([body], monday, monday + 7 * 86_400, UTC_ZONE)
    assert found is not None
    early = 2 if zone else 0
    hours = [((one.start - monday) / 3600 + early, (one.end - monday) / 3600 + early) for one in found.available]
    assert hours == [(8, 18), (56, 66), (80, 90), (142, 146)]


def test_no_rooms(ready: Cli) -> None:
    assert ready("room", "list").stdout == "There are no rooms and no resources.\n"


# --- a file of accounts

TOML = """
[[person]]
name = "ann"
[[group]]
name = "team"
[[room]]
name = "blue"
policy = "accept"
window = 90
beyond = "cut"
capacity = 12
equipment = ["screen", "big phone"]
place = "House 2"
position = [52.52, 13.4]
booked_by = ["team", "ann"]
hours = "Mon-Fri 08:00-18:00; Sat 22:00-02:00"
"""
CSV = """\
name,kind,policy,window,beyond,capacity,equipment,place,position,booked_by,hours
ann,person,,,,,,,,,
team,group,,,,,,,,,
blue,room,accept,90,cut,12,screen; big phone,House 2,52.52 13.4,team ann,Mon-Fri 08:00-18:00; Sat 22:00-02:00
"""


def test_a_file_of_rooms(ready: Cli, folder: Path) -> None:
    assert imported(ready, folder, TOML).endswith("3 added, 0 changed, 0 unchanged, 0 new rights\n")
    assert blue(ready) == IS_SET
    assert imported(ready, folder, TOML).endswith("0 added, 0 changed, 3 unchanged, 0 new rights\n")
    (folder / "rooms.csv").write_text(CSV)
    assert ready("user", "import", "rooms.csv").stdout.endswith("0 added, 0 changed, 3 unchanged, 0 new rights\n")
    changed = imported(ready, folder, TOML.replace("window = 90", 'delegate = "ann"\nwindow = 0'))
    assert "blue: changed delegate, window, rights of the delegate" in changed
    # What the file does not say stays.
    assert imported(ready, folder, '[[room]]\nname = "blue"\n').endswith("1 unchanged, 0 new rights\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('policy = "sometimes"', "policy = 'sometimes'"),
        ('delegate = "nobody"', "There is no user 'nobody'"),
        ("window = -3", "window = -3"),
        ("capacity = true", "capacity = True"),
        ("equipment = 3", "equipment = 3"),
        ("position = [1.0]", "position = [1.0]"),
        ('hours = "now"', "hours = 'now'"),
        ('booked_by = ["nobody"]', "There is no user 'nobody'"),
    ],
)
def test_mistakes_in_a_file(ready: Cli, folder: Path, line: str, says: str) -> None:
    assert says in imported(ready, folder, f'[[room]]\nname = "blue"\n{line}\n', status=1)
    assert ready("room", "list").stdout == "There are no rooms and no resources.\n"


def test_people_are_no_rooms() -> None:
    with pytest.raises(Mistakes, match="only a room and a resource have policy"):
        read(b'[[person]]\nname = "ann"\ncapacity = 3\n', toml=True)
    assert read(b'[[person]]\nname = "ann"\n', toml=True).accounts[0].room == Said()
