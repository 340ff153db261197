"""Evolution Data Server (GNOME: Evolution, Calendar, To Do) against the server, without a display.

This half runs in our own environment: it makes the calendar, the logging proxy and the folders with the client's
accounts, and starts `conformance.evolution_session` under Debian's Python (which has the GObject bindings) and a D-Bus
session of its own. The steps and what the client is asked to do are there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from conformance.dav import Dav, vevent
from conformance.environments import HERE
from conformance.evolution_session import Session
from conformance.logproxy import LogProxy
from conformance.target import Target
from conformance.verdicts import Outcome, Verdict

ACCOUNT, GUEST = 10, 11
PACKAGES = "evolution-data-server gir1.2-ecal-2.0 gir1.2-edataserver-1.2 python3-gi dbus"
PYTHON = "/usr/bin/python3"
TIMEOUT = 300  # seconds

SOURCE = """[Data Source]
DisplayName={name}
Enabled=true
Parent=caldav-stub

[{kind}]
BackendName=caldav
Color=#62a0ea
Selected=true
Order=0

[Security]
Method=none

[Offline]
StaySynchronized=true

[Refresh]
Enabled=false
IntervalMinutes=60

[WebDAV Backend]
AvoidIfmatch=false
CalendarAutoSchedule={auto}
DisplayName={name}
EmailAddress={address}
ResourcePath={path}
ResourceQuery=
SslTrust=

[Authentication]
Host=127.0.0.1
Port={port}
Method=plain/password
ProxyUid=system-proxy
RememberPassword=true
User={user}
CredentialName=
IsExternal=false
"""
PROBE = (
    "import gi; [gi.require_version(*each) for each in (('EDataServer', '1.2'), ('ECal', '2.0'), ('ICalGLib', '3.0'))]"
)


def present() -> bool:
    """The client, its bindings and dbus-run-session are there."""
    if not shutil.which("dbus-run-session") or not Path(PYTHON).exists():
        return False
    return subprocess.run([PYTHON, "-c", PROBE], capture_output=True, check=False).returncode == 0


def version(_: Path) -> str:
    """The version of the client's Debian package, without Debian's own part."""
    command = ["dpkg-query", "-W", "-f", "${Version}", "evolution-data-server"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return f"evolution-data-server {done.stdout.split('-')[0]}"


def run(target: Target, folder: Path, only: Sequence[str] = ()) -> Iterator[Verdict]:
    """Play the scenario in a calendar of its own."""
    account, guest = target.account(ACCOUNT), target.account(GUEST)
    dav = Dav(target.url, user=account.name, password=account.password)
    home = dav.home()
    calendar = f"{home}eds-{uuid.uuid4().hex[:8]}/"
    dav.make_calendar(calendar, name="Evolution")
    dav.put(calendar + "before.ics", vevent("before-1", "Pre-existing"))
    proxy = LogProxy(target.url, folder / "traffic.jsonl").start()
    session = Session(
        calendar=calendar,
        url=target.url,
        proxy=proxy.url,
        user=account.name,
        password=account.password,
        address=account.address,
        guest=guest.address,
        schedules="calendar-auto-schedule" in dav.features(home),
        only=list(only),
        verdicts=str(folder / "verdicts.jsonl"),
        again=False,
    )
    try:
        accounts(folder, session, proxy.port)
        yield from play(folder, session)
        if not only or "restart" in only:
            dav.put(calendar + "while-down.ics", vevent("down-1", "While it was down"))
            session.again = True
            yield from play(folder, session)
    finally:
        proxy.stop()
        dav.delete(calendar)


def accounts(folder: Path, session: Session, port: int) -> None:
    """Write the client's account files: one for events, one for tasks."""
    sources = folder / "config/evolution/sources"
    sources.mkdir(parents=True)
    for name, kind in (("drive-events", "Calendar"), ("drive-tasks", "Task List")):
        text = SOURCE.format(
            name=name,
            kind=kind,
            auto=str(session.schedules).lower(),
            address=session.address,
            path=session.calendar,
            port=port,
            user=session.user,
        )
        (sources / f"{name}.source").write_text(text, "utf-8")


def play(folder: Path, session: Session) -> Iterator[Verdict]:
    """Run the session and read back its verdicts; that it comes to its end is a verdict too."""
    verdicts = Path(session.verdicts)
    verdicts.unlink(missing_ok=True)
    written = folder / "session.json"
    written.write_text(json.dumps(asdict(session)), "utf-8")
    places = {f"XDG_{name.upper()}_HOME": str(folder / name) for name in ("config", "cache", "data")}
    run_folder = folder / "run"
    run_folder.mkdir(mode=0o700, exist_ok=True)
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS")
    with (folder / "errors.txt").open("ab") as errors:
        done = subprocess.run(
            ["dbus-run-session", "--", PYTHON, "-m", "conformance.evolution_session", str(written)],
            env={
                **{name: value for name, value in os.environ.items() if name not in hidden},
                **places,
                "HOME": str(folder),
                "XDG_RUNTIME_DIR": str(run_folder),
                "PYTHONPATH": str(HERE.parent),
                "PYTHONDONTWRITEBYTECODE": "1",
                "LANG": "C.UTF-8",
                "TZ": "Europe/Berlin",
                "GSETTINGS_BACKEND": "memory",
                "GIO_USE_VFS": "local",
                "no_proxy": "*",
            },
            stderr=errors,
            timeout=TIMEOUT,
            check=False,
        )
    for line in verdicts.read_text("utf-8").splitlines() if verdicts.exists() else []:
        test, outcome, note = json.loads(line)
        yield Verdict(test, Outcome(outcome), note)
    if done.returncode:
        note = (folder / "errors.txt").read_text("utf-8", "replace")[-300:]
        yield Verdict("to-the-end", Outcome.FAIL, note)
