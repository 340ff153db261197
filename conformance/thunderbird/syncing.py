"""Steps: another client changes things, conflicts, being offline, a forgotten token, many events, a restart."""

from __future__ import annotations

import uuid

from conformance.dav import vevent
from conformance.steps import Skip, check
from conformance.thunderbird.scene import SCENARIO, Scene
from conformance.thunderbird.setting_up import ANSWER

MANY = 120
FOREIGN = "ext%20one.ics"  # a name that Thunderbird would not choose


@SCENARIO.step
def external_add(scene: Scene) -> str:
    answer = scene.dav.put(scene.calendar + FOREIGN, vevent("ext-1", "From elsewhere"), {"If-None-Match": "*"})
    check(answer.status == 201, answer.status)
    scene.run("await refresh(); await until('external event', () => byTitle('From elsewhere'))")
    return scene.told()


@SCENARIO.step
def external_modify(scene: Scene) -> str:
    changed = vevent("ext-1", "Changed elsewhere", start="20270301T150000Z", end="20270301T160000Z")
    scene.dav.put(scene.calendar + FOREIGN, changed)
    scene.run("await refresh(); await until('external change', () => byTitle('Changed elsewhere'))")
    copies = scene.run("return (await items()).filter(i => i.id == 'ext-1').length")
    check(copies == 1, f"{copies} copies")
    return scene.told()


@SCENARIO.step
def modify_foreign(scene: Scene) -> str:
    """Thunderbird changes an event that another client made, under that client's name."""
    scene.run(
        "const o = await byTitle('Changed elsewhere'); const n = o.clone(); n.title = 'Edited here';"
        "await tx('modify', n, o); await sleep(300)"
    )
    scene.arrived("SUMMARY:Edited here", scene.calendar + FOREIGN)
    return scene.told()


@SCENARIO.step
def external_delete(scene: Scene) -> str:
    answer = scene.dav.delete(scene.calendar + FOREIGN)
    check(answer.status in {200, 204}, answer.status)
    scene.run("await refresh(); await until('gone', async () => !(await byTitle('Edited here')))")
    return scene.told()


@SCENARIO.step
def delete(scene: Scene) -> str:
    scene.run("await tx('delete', await byTitle('Lunch later')); await sleep(300)")
    check(scene.dav.get(scene.lunch).status == 404, "it is still there")
    deletes = [exchange for exchange in scene.sent() if exchange.method == "DELETE"]
    check(deletes and deletes[0].request_header("If-Match"), "DELETE without If-Match")
    return scene.told()


@SCENARIO.step
def offline(scene: Scene) -> str:
    """Before the conflicts: after one of those, going off and on line drops an item from Thunderbird's own view."""
    scene.run(
        "Services.io.offline = true; await sleep(200);"
        "await tx('add', newEvent('Made offline', '20270307T100000', '20270307T110000'));"
        "const o = await byTitle('Pre-existing'); const n = o.clone(); n.title = 'Edited offline';"
        "await tx('modify', n, o); await sleep(300)"
    )
    check("PUT" not in scene.told(), "a PUT while offline")
    scene.run("Services.io.offline = false; await sleep(2500)")
    scene.arrived("SUMMARY:Made offline")
    scene.arrived("SUMMARY:Edited offline")
    return scene.told()


def conflicting(scene: Scene, title: str) -> str:
    """An event that both know, and that has changed on the server since; its path."""
    name = uuid.uuid4().hex[:8]
    path = f"{scene.calendar}conflict-{name}.ics"
    scene.dav.put(path, vevent(f"conflict-{name}", title))
    scene.run("await refresh(); await until('there', () => byTitle(a[0]))", title)
    scene.dav.put(path, vevent(f"conflict-{name}", f"{title} server side"))
    scene.before = scene.proxy.count()
    return path


@SCENARIO.step
def conflict_overwrite(scene: Scene) -> str:
    path = conflicting(scene, "Conflict O")
    prompts = scene.run(
        ANSWER % "true" + "const o = await byTitle('Conflict O'); const n = o.clone(); n.title = 'Conflict O mine';"
        "await tx('modify', n, o); await sleep(500); return globalThis.prompts"
    )
    check(prompts == 1, f"{prompts} prompts")
    scene.arrived("SUMMARY:Conflict O mine", path)
    check(("PUT", 412) in scene.statuses(), scene.statuses())
    return scene.told()


@SCENARIO.step
def conflict_discard(scene: Scene) -> str:
    path = conflicting(scene, "Conflict D")
    prompts = scene.run(
        ANSWER % "false" + "const o = await byTitle('Conflict D'); const n = o.clone(); n.title = 'Conflict D mine';"
        "win.doTransaction('modify', n, calendar(), o, null);"
        "await until('server version', () => byTitle('Conflict D server side')); return globalThis.prompts"
    )
    check(prompts == 1, f"{prompts} prompts")
    scene.arrived("SUMMARY:Conflict D server side", path)
    return scene.told()


@SCENARIO.step
def conflict_delete(scene: Scene) -> str:
    path = conflicting(scene, "Conflict X")
    prompts = scene.run(
        ANSWER % "true" + "const o = await byTitle('Conflict X');"
        "await tx('delete', o); await sleep(500); return globalThis.prompts"
    )
    status = scene.dav.get(path).status
    check(prompts == 1 and status == 404, f"{prompts} prompts, GET {status}, {scene.statuses()}")
    return scene.told()


@SCENARIO.step
def many_events(scene: Scene) -> str:
    for number in range(MANY):
        answer = scene.dav.put(f"{scene.calendar}bulk-{number}.ics", vevent(f"bulk-{number}", f"Bulk {number}"))
        check(answer.status == 201, answer.status)
    scene.run(
        "await refresh(); await until('bulk', async () => (await items()).filter("
        "i => i.title.startsWith('Bulk ')).length == a[0], 90000)",
        MANY,
    )
    return scene.told()


@SCENARIO.step
def invalid_sync_token(scene: Scene) -> str:
    """The server does not know the token: Thunderbird starts anew and ends with the same items."""
    if not scene.state["sync"]:
        raise Skip("the server has no sync-collection")
    scene.run(
        "inner(calendar()).mWebdavSyncToken = 'http://example.com/ns/sync/nonsense'; await refresh(); await sleep(700)"
    )
    check(("REPORT", 403) in scene.statuses(), scene.statuses())
    return scene.same()
