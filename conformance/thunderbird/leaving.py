"""Steps: quit and start again, and whether both sides hold the same in the end."""

from __future__ import annotations

from conformance.dav import vevent
from conformance.steps import check
from conformance.thunderbird.scene import SCENARIO, Scene


@SCENARIO.step
def restart(scene: Scene) -> str:
    """While it is down another client makes an event. A password prompt would be a modal dialog, which fails."""
    before = scene.run("return (await items()).length")
    scene.thunderbird.quit()
    scene.dav.put(scene.calendar + "while-down.ics", vevent("down-1", "While it was down"))
    scene.before = scene.proxy.count()
    scene.thunderbird.start()
    scene.run(
        "globalThis.wantedUri = cal.manager.getCalendars().find(c => c.type == 'caldav').uri.spec;"
        "if (!calendar().wrappedJSObject.mPendingSync) { calendar().refresh(); }"
        "await until('new event after start', () => byTitle('While it was down'), 40000); await sleep(700)"
    )
    after = scene.run("return (await items()).length")
    check(after == before + 1, f"{before} items before, {after} after")
    return scene.told()


@SCENARIO.step
def same_on_both_sides(scene: Scene) -> str:
    scene.run("await refresh()")
    return scene.same()
