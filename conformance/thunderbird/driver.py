"""Starts Thunderbird behind the logging proxy and plays the scenario in a calendar of its own.

Thunderbird only ever talks to the proxy; the driver talks to the server directly, to look at what arrived and to play
"another client". The steps run in the order in which the modules below declare them.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from conformance.dav import Dav
from conformance.logproxy import LogProxy
from conformance.target import Target
from conformance.thunderbird import setting_up  # isort: split

from conformance.thunderbird import editing  # isort: split

from conformance.thunderbird import syncing  # isort: split

from conformance.thunderbird import inviting  # isort: split

from conformance.thunderbird import leaving  # isort: split

from conformance.thunderbird.application import Thunderbird, binary
from conformance.thunderbird.mailbox import Mailbox
from conformance.thunderbird.scene import SCENARIO, Scene
from conformance.verdicts import Verdict

ACCOUNT, GUEST = 8, 9
STEPS = (setting_up, editing, syncing, inviting, leaving)


def present() -> bool:
    """Thunderbird is installed."""
    return binary() is not None


def version(_: Path) -> str:
    """The version of Thunderbird."""
    done = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run(target: Target, folder: Path, only: Sequence[str] = ()) -> Iterator[Verdict]:
    """The verdicts of the scenario; the traffic is kept in the folder."""
    account, guest = target.account(ACCOUNT), target.account(GUEST)
    dav = Dav(target.url, user=account.name, password=account.password)
    calendar = f"{dav.home()}tb-{uuid.uuid4().hex[:8]}/"
    dav.make_calendar(calendar, name="Thunderbird")
    scene = Scene(
        folder=folder,
        account=account,
        guest=guest,
        dav=dav,
        guest_dav=Dav(target.url, user=guest.name, password=guest.password),
        proxy=LogProxy(target.url, folder / "traffic.jsonl").start(),
        mailbox=Mailbox(),
        calendar=calendar,
        thunderbird=Thunderbird(folder / "profile"),
        guest_thunderbird=Thunderbird(folder / "guest"),
    )
    try:
        yield from SCENARIO.play(scene, before=scene.begin, only=only)
    finally:
        scene.thunderbird.quit()
        scene.guest_thunderbird.quit()
        scene.proxy.stop()
        scene.mailbox.close()
        dav.delete(calendar)
