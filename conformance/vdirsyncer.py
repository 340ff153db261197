"""vdirsyncer and khal (PyPI) against the server: both directions, conflicts, deletions, properties, many events.

vdirsyncer mirrors a calendar into a folder of .ics files, khal edits that folder; the driver looks at the server and
plays "another client" through `conformance.dav`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.dav import Dav, DavError, vevent
from conformance.environments import environment
from conformance.steps import Scenario, check
from conformance.target import Target
from conformance.verdicts import Verdict

ACCOUNT = 7
TIMEOUT = 120  # seconds for one command
MANY = 150

VDIRSYNCER_CONFIG = """[general]
status_path = "{folder}/status/"
[pair p]
a = "local"
b = "remote"
collections = ["{collection}"]
conflict_resolution = {policy}
metadata = ["displayname", "color"]
[storage local]
type = "filesystem"
path = "{folder}/calendars/"
fileext = ".ics"
[storage remote]
type = "caldav"
url = "{url}"
username = "{user}"
password = "{password}"
"""

KHAL_CONFIG = """[calendars]
[[c]]
path = {mirror}
[locale]
timeformat = %H:%M
dateformat = %Y-%m-%d
longdateformat = %Y-%m-%d
datetimeformat = %Y-%m-%d %H:%M
longdatetimeformat = %Y-%m-%d %H:%M
default_timezone = Europe/Berlin
local_timezone = Europe/Berlin
"""


@dataclass(slots=True)
class Scene:
    """The client's folder, the calendar it mirrors, and the other client."""

    folder: Path
    programs: Path
    url: str
    user: str
    password: str
    dav: Dav
    home: str
    name: str

    @property
    def calendar(self) -> str:
        """The path of the calendar on the server."""
        return f"{self.home}{self.name}/"

    @property
    def mirror(self) -> Path:
        """The folder that mirrors it."""
        return self.folder / "calendars" / self.name

    def configure(self, policy: str = "null", collection: str | None = None) -> None:
        """Write vdirsyncer's configuration. `policy` is its conflict_resolution, a JSON value."""
        text = VDIRSYNCER_CONFIG.format(
            folder=self.folder,
            collection=collection or self.name,
            policy=policy,
            url=self.url,
            user=self.user,
            password=self.password,
        )
        (self.folder / "vdirsyncer.conf").write_text(text, "utf-8")
        (self.folder / "khal.conf").write_text(KHAL_CONFIG.format(mirror=self.mirror), "utf-8")

    def program(self, name: str, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        """Run one of the two programs with everything of its own in the folder."""
        return subprocess.run(
            [self.programs / name, *arguments],
            input=answer,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env={
                **os.environ,
                "HOME": str(self.folder),
                "XDG_CONFIG_HOME": str(self.folder / "config"),
                "XDG_CACHE_HOME": str(self.folder / "cache"),
                "XDG_DATA_HOME": str(self.folder / "data"),
                "VDIRSYNCER_CONFIG": str(self.folder / "vdirsyncer.conf"),
                "LANG": "C.UTF-8",
            },
        )

    def sync(self, *words: str) -> str:
        """`vdirsyncer sync` (or another of its commands), which has to succeed; what it printed."""
        done = self.program("vdirsyncer", *(words or ("sync",)), answer="y\n" * 20)
        check(done.returncode == 0, (done.stdout + done.stderr)[-800:])
        return done.stderr

    def khal(self, *arguments: str) -> str:
        """A khal command, which has to succeed; what it printed."""
        done = self.program("khal", "-c", str(self.folder / "khal.conf"), *arguments)
        check(done.returncode == 0, (done.stdout + done.stderr)[-800:])
        return done.stdout

    def mirrored(self, text: str) -> Path | None:
        """The file in the mirror that holds `text`."""
        return next((path for path in self.mirror.glob("*.ics") if text in path.read_text("utf-8")), None)

    def on_server(self, text: str) -> None:
        """Fail unless an object on the server holds `text`."""
        check(self.dav.find(self.calendar, text), f"no object with {text} on the server")


SCENARIO: Scenario[Scene] = Scenario()


@SCENARIO.vital
def discover(scene: Scene) -> str:
    scene.configure()
    scene.sync("discover", "p")
    return ""


@SCENARIO.vital
def first_sync(scene: Scene) -> str:
    scene.sync()
    return ""


@SCENARIO.step
def event_from_server(scene: Scene) -> str:
    event = vevent("srv-1", "From server", start="20270410T100000Z", end="20270410T110000Z")
    scene.dav.put(scene.calendar + "srv-1.ics", event)
    scene.sync()
    check(scene.mirrored("SUMMARY:From server"), "the event did not arrive")
    check("From server" in scene.khal("list", "2027-04-10", "1d"), "khal does not list it")
    return ""


@SCENARIO.step
def events_from_khal(scene: Scene) -> str:
    scene.khal("new", "-a", "c", "2027-04-11", "14:00", "15:00", "Made in khal :: with a note")
    scene.khal("new", "-a", "c", "2027-04-12", "09:00", "10:00", "-r", "weekly", "-u", "2027-06-01", "-m", "10m", "Go")
    scene.khal("new", "-a", "c", "2027-04-13", "Day off")
    scene.sync()
    scene.on_server("SUMMARY:Made in khal")
    scene.on_server("RRULE:FREQ=WEEKLY")
    scene.on_server("BEGIN:VALARM")
    scene.on_server("DTSTART;VALUE=DATE:20270413")
    return ""


@SCENARIO.step
def changes_both_ways(scene: Scene) -> str:
    scene.dav.put(scene.calendar + "srv-1.ics", vevent("srv-1", "Changed on server"))
    edited = scene.mirrored("SUMMARY:Made in khal")
    check(edited, "khal's event is not in the mirror")
    if edited:
        edited.write_text(edited.read_text("utf-8").replace("SUMMARY:Made in khal", "SUMMARY:Changed here"), "utf-8")
    scene.sync()
    check(scene.mirrored("SUMMARY:Changed on server"), "the server's change did not arrive")
    scene.on_server("SUMMARY:Changed here")
    return ""


@SCENARIO.step
def deletions_both_ways(scene: Scene) -> str:
    scene.dav.delete(scene.calendar + "srv-1.ics")
    removed = scene.mirrored("SUMMARY:Day off")
    check(removed, "the all-day event is not in the mirror")
    if removed:
        removed.unlink()
    scene.sync()
    check(not scene.mirrored("Changed on server"), "the server's deletion did not arrive")
    check(not scene.dav.find(scene.calendar, "SUMMARY:Day off"), "the deletion here did not arrive")
    return ""


def diverge(scene: Scene, word: str) -> subprocess.CompletedProcess[str]:
    """The same event, changed on both sides, and what a sync says to that."""
    local = scene.mirror / "conf-1.ics"
    local.write_text(vevent("conf-1", f"base {word}"), "utf-8")
    scene.sync()
    found = scene.dav.find(scene.calendar, f"SUMMARY:base {word}")
    check(found, "the event is not on the server")
    path = found[0] if found else ""
    scene.dav.put(path, vevent("conf-1", f"server {word}"))
    local.write_text(vevent("conf-1", f"local {word}"), "utf-8")
    scene.configure({"none": "null", "here": '"a wins"', "there": '"b wins"'}[word])
    return scene.program("vdirsyncer", "sync")


@SCENARIO.step
def conflict_reported(scene: Scene) -> str:
    done = diverge(scene, "none")
    check(done.returncode != 0 and "conflict" in (done.stdout + done.stderr).lower(), "the conflict was not reported")
    scene.on_server("SUMMARY:server none")
    check(scene.mirrored("SUMMARY:local none"), "the local version was lost")
    scene.configure('"a wins"')
    scene.sync()
    return ""


@SCENARIO.step
def conflict_won_here(scene: Scene) -> str:
    check(diverge(scene, "here").returncode == 0, "the sync failed")
    scene.on_server("SUMMARY:local here")
    check(scene.mirrored("SUMMARY:local here"), "the local version was lost")
    return ""


@SCENARIO.step
def conflict_won_there(scene: Scene) -> str:
    check(diverge(scene, "there").returncode == 0, "the sync failed")
    scene.on_server("SUMMARY:server there")
    check(scene.mirrored("SUMMARY:server there"), "the server's version did not arrive")
    return ""


@SCENARIO.step
def properties(scene: Scene) -> str:
    scene.configure('"a wins"')  # decides here too, when both sides have a value
    (scene.mirror / "displayname").write_text("Shared name\n", "utf-8")
    (scene.mirror / "color").write_text("#112233\n", "utf-8")
    scene.sync("metasync")
    tree = scene.dav.propfind(scene.calendar, "<D:displayname/><A:calendar-color/>", depth="0")
    values = {element.tag: element.text or "" for element in tree.iter()}
    check(values.get("{DAV:}displayname") == "Shared name", f"the name is {values.get('{DAV:}displayname')}")
    color = values.get("{http://apple.com/ns/ical/}calendar-color", "")
    check(color.lower().startswith("#112233"), f"the color is {color}")
    return ""


@SCENARIO.step
def many_events_up(scene: Scene) -> str:
    for number in range(MANY):
        (scene.mirror / f"many-{number}.ics").write_text(vevent(f"many-{number}", f"Many {number}"), "utf-8")
    scene.sync()
    arrived = sum("SUMMARY:Many" in text for text in scene.dav.texts(scene.calendar).values())
    check(arrived == MANY, f"{arrived} of {MANY} on the server")
    return ""


@SCENARIO.step
def many_events_down(scene: Scene) -> str:
    shutil.rmtree(scene.folder / "status")
    shutil.rmtree(scene.mirror)
    scene.configure()
    scene.sync("discover", "p")
    scene.sync()
    arrived = sum("SUMMARY:Many" in path.read_text("utf-8") for path in scene.mirror.glob("*.ics"))
    check(arrived == MANY, f"{arrived} of {MANY} in a fresh mirror")
    return ""


@SCENARIO.step
def calendar_made_by_client(scene: Scene) -> str:
    """Vdirsyncer makes it itself, with an extended MKCOL (RFC 5689)."""
    made = f"{scene.name}-made"
    scene.configure(collection=made)
    scene.sync("discover", "p")
    check(f"{scene.home}{made}/" in scene.dav.calendars(scene.home), "it is not among the calendars of the home")
    scene.dav.delete(f"{scene.home}{made}/")
    return ""


def version(_: Path) -> str:
    """The versions of the two programs."""
    programs = environment("vdirsyncer")
    said = [
        subprocess.run([programs / name, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("vdirsyncer", "khal")
    ]
    return "; ".join(said)


def run(target: Target, folder: Path, only: Sequence[str] = ()) -> Iterator[Verdict]:
    """Play the scenario in a calendar of its own.

    Raises DavError: the server has no home for the account, or the calendar cannot be made.
    """
    account = target.account(ACCOUNT)
    dav = Dav(target.url, user=account.name, password=account.password)
    scene = Scene(
        folder=folder,
        programs=environment("vdirsyncer"),
        url=target.url,
        user=account.name,
        password=account.password,
        dav=dav,
        home=dav.home(),
        name=f"vds-{uuid.uuid4().hex[:8]}",
    )
    dav.make_calendar(scene.calendar, name="vdirsyncer")
    try:
        yield from SCENARIO.play(scene, before=lambda _: None, only=only)
    finally:
        answer = dav.delete(scene.calendar)
    if answer.status not in {200, 204}:
        raise DavError(f"DELETE {scene.calendar}: {answer.status}")
