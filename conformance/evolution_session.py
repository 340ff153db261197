"""The half of the Evolution driver that talks to Evolution Data Server, through its GObject introspection.

Runs under Debian's Python in a D-Bus session of its own; started by `conformance.evolution`, which reads the verdicts
back from a file. It is started twice with the same folder: the second time the client has been down, and must go on
from its cache and its keyring. When the back end asks for credentials, the session does what the client's dialog does:
look into the keyring, and only when there is nothing ask the person (who answers at once, and is counted).
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from conformance.dav import Dav, vevent
from conformance.steps import Scenario, Skip, check

T = TypeVar("T")
PATIENCE = 20.0  # seconds until something that was to happen counts as not happening
ZONE = (
    "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:STANDARD\r\nDTSTART:19961027T030000\r\n"
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\n"
    "BEGIN:DAYLIGHT\r\nDTSTART:19810329T020000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\n"
    "TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n"
)


@dataclass(slots=True)
class Session:
    """What the session has to know; it arrives as a file of JSON. `verdicts` is where the verdicts go."""

    calendar: str
    url: str
    proxy: str
    user: str
    password: str
    address: str
    guest: str
    schedules: bool
    only: list[str]
    verdicts: str
    again: bool


class Scene:
    """The client, its open calendar and task list, and the other client."""

    def __init__(self, session: Session) -> None:
        gi: Any = importlib.import_module("gi")
        for name, required in (("EDataServer", "1.2"), ("ECal", "2.0"), ("ICalGLib", "3.0")):
            gi.require_version(name, required)
        self.ecal: Any = importlib.import_module("gi.repository.ECal")
        self.eds: Any = importlib.import_module("gi.repository.EDataServer")
        self.ical: Any = importlib.import_module("gi.repository.ICalGLib")
        glib: Any = importlib.import_module("gi.repository.GLib")
        self.glib_error: Any = glib.Error
        self.loop: Any = glib.MainContext.default()
        self.session = session
        self.calendar = session.calendar
        self.dav = Dav(session.url, user=session.user, password=session.password)
        self.registry: Any = None
        self.events: Any = None
        self.tasks: Any = None
        self.sources: list[Any] = []
        self.prompts = 0
        self.plain: Any = self.ecal.OperationFlags.NONE

    def mark(self, step: str) -> None:
        """Label the traffic of a step in the proxy's log."""
        with urllib.request.urlopen(f"{self.session.proxy}/__mark__/{urllib.parse.quote(step)}"):
            return

    def turn(self) -> None:
        """Let the client's events through, and answer the back ends that ask for credentials."""
        while self.loop.pending():
            self.loop.iteration(may_block=False)
        for source in self.sources:
            if source.get_connection_status() == self.eds.SourceConnectionStatus.AWAITING_CREDENTIALS:
                self.offer(source)

    def until(self, what: str, found: Callable[[], T | None]) -> T:
        """Wait until `found` gives something."""
        end = time.monotonic() + PATIENCE
        while True:
            self.turn()
            value = found()
            if value:
                return value
            check(time.monotonic() < end, f"it did not come about: {what}")
            time.sleep(0.05)

    def credentials(self, password: str) -> Any:
        """User and password, as the client takes them."""
        given = self.eds.NamedParameters.new()
        given.set("username", self.session.user)
        given.set("password", password)
        return given

    def offer(self, source: Any) -> None:
        """The credentials the back end asks for: from the keyring, or by asking the person and keeping the answer."""
        _, found = source.lookup_password_sync(None)
        if not found:
            self.prompts += 1
            source.store_password_sync(self.session.password, True, None)  # noqa: FBT003 - permanently
        source.invoke_authenticate_sync(self.credentials(found or self.session.password), None)

    def connect(self, name: str, kind: Any) -> Any:
        """Open a calendar or task list."""
        source = self.registry.ref_source(name)
        check(source is not None, f"the registry does not know {name}")
        self.sources.append(source)
        box: dict[str, Any] = {}

        def done(_: Any, result: Any) -> None:
            try:
                box["client"] = self.ecal.Client.connect_finish(result)
            except self.glib_error as error:
                box["error"] = error

        def settled() -> bool:
            return "error" in box or "client" in box

        self.ecal.Client.connect(source, kind, 30, None, done)
        self.until(f"{name} connected", settled)
        check("error" not in box, box.get("error"))
        return box["client"]

    def objects(self, client: Any) -> list[Any]:
        """What the client has."""
        _, found = client.get_object_list_sync("#t", None)
        return list(found)

    def titled(self, summary: str, client: Any = None) -> Any:
        """The client's item with this title, or None."""
        items = self.objects(client or self.events)
        return next((item for item in items if item.get_summary() == summary), None)

    def refresh(self) -> None:
        """What the refresh button does."""
        self.events.refresh_sync(None)

    def arrived(self, text: str) -> tuple[str, str]:
        """Path and text of the object on the server that holds `text`, once it is there."""
        return self.until(f"{text} on the server", lambda: self.dav.find(self.calendar, text))

    def component(
        self, summary: str, start: str = "20270401T100000", *, extra: str = "", kind: str = "VEVENT", uid: str = ""
    ) -> Any:
        """An item of one hour in the zone Europe/Berlin."""
        end = f"{start[:9]}{int(start[9:11]) + 1:02}{start[11:]}"
        ending = "" if kind == "VTODO" else f"DTEND;TZID=Europe/Berlin:{end}\r\n"
        return self.ical.Component.new_from_string(
            f"BEGIN:{kind}\r\nUID:{uid or uuid.uuid4()}\r\nDTSTAMP:20260101T000000Z\r\n"
            f"DTSTART;TZID=Europe/Berlin:{start}\r\n{ending}SUMMARY:{summary}\r\n{extra}END:{kind}\r\n"
        )

    def add_zone(self, client: Any) -> None:
        """Give the client the zone that the items are in."""
        zone = self.ical.Timezone.new()
        zone.set_component(self.ical.Component.new_from_string(ZONE))
        client.add_timezone_sync(zone, None)


SCENARIO: Scenario[Scene] = Scenario()


@SCENARIO.vital
def registry(scene: Scene) -> str:
    scene.registry = scene.eds.SourceRegistry.new_sync(None)
    return ""


@SCENARIO.step
def discover(scene: Scene) -> str:
    """What the button "find calendars" sends."""
    kinds = scene.eds.WebDAVDiscoverSupports
    result = scene.eds.webdav_discover_sources_sync(
        scene.registry.ref_source("drive-events"),
        scene.session.proxy + "/",
        kinds.EVENTS | kinds.TASKS,
        scene.credentials(scene.session.password),
        None,
    )
    found = next(part for part in result if isinstance(part, list | tuple)) if isinstance(result, tuple) else result
    hrefs = [str(getattr(each, "href", "")) for each in found]
    check(any(href.endswith(scene.calendar) for href in hrefs), f"only {hrefs}")
    return f"{len(hrefs)} calendars"


@SCENARIO.vital
def connect_events(scene: Scene) -> str:
    scene.events = scene.connect("drive-events", scene.ecal.ClientSourceType.EVENTS)
    scene.until("the first sync", lambda: scene.titled("Pre-existing"))
    check(not scene.events.is_readonly(), "the calendar is read-only")
    return ""


@SCENARIO.step
def create(scene: Scene) -> str:
    scene.add_zone(scene.events)
    scene.events.create_object_sync(scene.component("Evo lunch äöü"), scene.plain, None)
    path, text = scene.arrived("SUMMARY:Evo lunch äöü")
    check("TZID=" in text, text)
    return path


@SCENARIO.step
def modify(scene: Scene) -> str:
    item = scene.titled("Evo lunch äöü")
    item.set_summary("Evo lunch later")
    scene.events.modify_object_sync(item, scene.ecal.ObjModType.ALL, scene.plain, None)
    return scene.arrived("SUMMARY:Evo lunch later")[0]


@SCENARIO.step
def recurring(scene: Scene) -> str:
    series = scene.component("Evo weekly", "20270405T090000", extra="RRULE:FREQ=WEEKLY;COUNT=5\r\n")
    scene.events.create_object_sync(series, scene.plain, None)
    _, text = scene.arrived("SUMMARY:Evo weekly")
    check("RRULE" in text, text)
    return ""


@SCENARIO.step
def exception(scene: Scene) -> str:
    moved = scene.component(
        "Evo weekly moved",
        "20270412T140000",
        extra="RECURRENCE-ID;TZID=Europe/Berlin:20270412T090000\r\n",
        uid=scene.titled("Evo weekly").get_uid(),
    )
    scene.events.modify_object_sync(moved, scene.ecal.ObjModType.THIS, scene.plain, None)
    _, text = scene.arrived("SUMMARY:Evo weekly moved")
    check(text.count("BEGIN:VEVENT") == 2 and "RECURRENCE-ID" in text, text)
    return ""


@SCENARIO.step
def deleted_occurrence(scene: Scene) -> str:
    uid = scene.titled("Evo weekly").get_uid()
    scene.events.remove_object_sync(uid, "20270419T090000", scene.ecal.ObjModType.THIS, scene.plain, None)
    scene.arrived("EXDATE")
    return ""


@SCENARIO.step
def external_add(scene: Scene) -> str:
    answer = scene.dav.put(scene.calendar + "ext.ics", vevent("ext-eds", "From elsewhere"))
    check(answer.status == 201, answer.status)
    scene.refresh()
    scene.until("the other client's event", lambda: scene.titled("From elsewhere"))
    return ""


@SCENARIO.step
def external_modify(scene: Scene) -> str:
    scene.dav.put(scene.calendar + "ext.ics", vevent("ext-eds", "Changed elsewhere"))
    scene.refresh()
    scene.until("the other client's change", lambda: scene.titled("Changed elsewhere"))
    return ""


def diverged(scene: Scene, summary: str) -> Any:
    """The client's item, changed by another client behind its back and then here."""
    item = scene.titled(summary)
    check(item is not None, f"the client has no {summary}")
    scene.dav.put(scene.calendar + "ext.ics", vevent("ext-eds", "Changed behind its back"))
    item.set_summary("Mine")
    return item


def store(scene: Scene, item: Any, flag: Any) -> str:
    """Store the item with this flag for conflicts; what the client refuses it with, or nothing."""
    try:
        scene.events.modify_object_sync(item, scene.ecal.ObjModType.ALL, flag, None)
    except scene.glib_error as error:
        return str(error)
    return ""


@SCENARIO.step
def conflict_reported(scene: Scene) -> str:
    """An ETag that is no longer current: the server must refuse, and keep the other client's version."""
    refused = store(scene, diverged(scene, "Changed elsewhere"), scene.ecal.OperationFlags.CONFLICT_FAIL)
    check(refused, "the change was accepted")
    kept = scene.dav.get(scene.calendar + "ext.ics").text
    check("SUMMARY:Changed behind its back" in kept, kept)
    return refused


@SCENARIO.step
def conflict_delete(scene: Scene) -> str:
    """A deletion of what has changed meanwhile is refused as well."""
    scene.refresh()
    diverged(scene, "Changed behind its back")
    scene.dav.put(scene.calendar + "ext.ics", vevent("ext-eds", "Changed once more"))
    try:
        flag = scene.ecal.OperationFlags.CONFLICT_FAIL
        scene.events.remove_object_sync("ext-eds", None, scene.ecal.ObjModType.ALL, flag, None)
    except scene.glib_error as error:
        kept = scene.dav.get(scene.calendar + "ext.ics")
        check("SUMMARY:Changed once more" in kept.text, f"{kept.status} {kept.text}")
        return str(error)
    raise AssertionError("the deletion was accepted")


@SCENARIO.step
def conflict_overwrite(scene: Scene) -> str:
    """The person says that the version here counts."""
    scene.refresh()
    item = scene.until("the server's version", lambda: scene.titled("Changed once more"))
    item.set_summary("Mine counts")
    refused = store(scene, item, scene.ecal.OperationFlags.CONFLICT_KEEP_LOCAL)
    check(not refused, refused)
    scene.arrived("SUMMARY:Mine counts")
    return ""


@SCENARIO.step
def external_delete(scene: Scene) -> str:
    scene.dav.delete(scene.calendar + "ext.ics")
    scene.refresh()
    gone = lambda: all(item.get_uid() != "ext-eds" for item in scene.objects(scene.events))  # noqa: E731
    scene.until("the deletion", gone)
    return ""


@SCENARIO.step
def delete(scene: Scene) -> str:
    uid = scene.titled("Evo lunch later").get_uid()
    scene.events.remove_object_sync(uid, None, scene.ecal.ObjModType.ALL, scene.plain, None)
    scene.until("the deletion on the server", lambda: not scene.dav.find(scene.calendar, "SUMMARY:Evo lunch later"))
    return ""


@SCENARIO.step
def task(scene: Scene) -> str:
    scene.tasks = scene.connect("drive-tasks", scene.ecal.ClientSourceType.TASKS)
    scene.add_zone(scene.tasks)
    item = scene.component("Evo task", extra="STATUS:NEEDS-ACTION\r\n", kind="VTODO")
    scene.tasks.create_object_sync(item, scene.plain, None)
    _, text = scene.arrived("SUMMARY:Evo task")
    check("BEGIN:VTODO" in text, text)
    item = scene.until("the task", lambda: scene.titled("Evo task", scene.tasks))
    item.set_status(scene.ical.PropertyStatus.COMPLETED)
    scene.tasks.modify_object_sync(item, scene.ecal.ObjModType.ALL, scene.plain, None)
    scene.arrived("STATUS:COMPLETED")
    return ""


@SCENARIO.step
def import_events(scene: Scene) -> str:
    """Several events at once, as the import of a file stores them."""
    items = [scene.component(f"Imported {number}", f"2027050{number + 1}T080000") for number in range(5)]
    scene.events.create_objects_sync(items, scene.plain, None)
    for number in range(5):
        scene.arrived(f"SUMMARY:Imported {number}")
    return ""


@SCENARIO.step
def many_events(scene: Scene) -> str:
    for number in range(120):
        scene.dav.put(f"{scene.calendar}bulk-{number}.ics", vevent(f"bulk-{number}", f"Bulk {number}"))
    scene.refresh()

    def complete() -> bool:
        return [item.get_summary().startswith("Bulk ") for item in scene.objects(scene.events)].count(True) == 120

    scene.until("120 events", complete)
    return ""


@SCENARIO.step
def invite(scene: Scene) -> str:
    attendees = (
        f"ORGANIZER;CN=Me:mailto:{scene.session.address}\r\n"
        f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{scene.session.address}\r\n"
        f"ATTENDEE;RSVP=TRUE;PARTSTAT=NEEDS-ACTION:mailto:{scene.session.guest}\r\n"
    )
    scene.events.create_object_sync(
        scene.component("Evo meeting", "20270420T100000", extra=attendees), scene.plain, None
    )
    _, text = scene.arrived("SUMMARY:Evo meeting")
    check("ORGANIZER" in text and scene.session.guest in text, text)
    return ""


@SCENARIO.step
def free_busy(scene: Scene) -> str:
    if not scene.session.schedules:
        raise Skip("the server does not schedule (no calendar-auto-schedule in DAV:)")
    start = int(time.mktime((2027, 4, 1, 0, 0, 0, 0, 0, 0)))
    return str(scene.events.get_free_busy_sync(start, start + 30 * 86400, [scene.session.guest], None))


def same(scene: Scene) -> str:
    """Fail unless the client and the server have the same."""
    scene.refresh()
    mine = {item.get_uid() for client in (scene.events, scene.tasks) for item in scene.objects(client)}
    theirs = scene.dav.uids(scene.calendar)
    check(mine == theirs, f"only here {mine - theirs}, only there {theirs - mine}")
    return f"{len(mine)} items"


@SCENARIO.step
def same_on_both_sides(scene: Scene) -> str:
    return same(scene)


AGAIN: Scenario[Scene] = Scenario()


@AGAIN.vital
def restart(scene: Scene) -> str:
    """The client comes back; another one has made an event meanwhile. Nobody is asked for a password."""
    scene.registry = scene.eds.SourceRegistry.new_sync(None)
    scene.events = scene.connect("drive-events", scene.ecal.ClientSourceType.EVENTS)
    scene.tasks = scene.connect("drive-tasks", scene.ecal.ClientSourceType.TASKS)
    scene.refresh()
    scene.until("the event made meanwhile", lambda: scene.titled("While it was down"))
    check(scene.prompts == 0, f"{scene.prompts} password prompts")
    return ""


@AGAIN.step
def same_after_restart(scene: Scene) -> str:
    return same(scene)


def main(written: Path) -> None:
    """Play the session described in the file. Leaves at once: the client's threads do not end by themselves."""
    session = Session(**json.loads(written.read_text("utf-8")))
    keyring = subprocess.Popen(
        ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    if keyring.stdin:
        keyring.stdin.write(b"keyring")
        keyring.stdin.close()
    time.sleep(0.5)
    scene = Scene(session)
    with Path(session.verdicts).open("a", encoding="utf-8") as file:
        for verdict in (AGAIN if session.again else SCENARIO).play(scene, before=scene.mark, only=session.only):
            note = re.sub(r"\s+", " ", verdict.note)
            file.write(json.dumps([verdict.test, verdict.outcome, note], ensure_ascii=False) + "\n")
            file.flush()
    keyring.terminate()
    keyring.wait(10)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
