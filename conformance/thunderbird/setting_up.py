"""Steps: start, a wrong password, finding the calendar, subscribing to it."""

from __future__ import annotations

from conformance.dav import vevent
from conformance.steps import check
from conformance.thunderbird.application import ApplicationError
from conformance.thunderbird.scene import SCENARIO, Scene

ANSWER = "globalThis.prompts = 0; cal.provider.promptOverwrite = () => { globalThis.prompts++; return %s; };"
STATE = """
const i = inner(calendar());
return {sync: i.mHasWebdavSyncSupport, token: i.mWebdavSyncToken, ctag: i.mCtag, schedules: i.mHasAutoScheduling,
  outbox: i.mOutboxUrl?.spec, readOnly: calendar().readOnly, disabled: calendar().getProperty('disabled')};
"""


@SCENARIO.vital
def start(scene: Scene) -> str:
    scene.thunderbird.start()
    scene.thunderbird.file("account.js", scene.account.address, scene.account.name, scene.mailbox.port)
    answer = scene.dav.put(scene.calendar + "before.ics", vevent("before-1", "Pre-existing"))
    check(answer.status == 201, f"PUT: {answer.status}")
    return str(scene.run("return Services.appinfo.name + ' ' + Services.appinfo.version"))


@SCENARIO.step
def wrong_password(scene: Scene) -> str:
    account = scene.account
    try:
        scene.thunderbird.file("subscribe.js", account.name, f"not-{account.password}", scene.location, None)
    except ApplicationError as error:
        check(401 in {status for _, status in scene.statuses()}, f"{error}; {scene.statuses()}")
        return "refused"
    raise AssertionError("the calendar was found with a wrong password")


@SCENARIO.vital
def detect(scene: Scene) -> str:
    account = scene.account
    found = scene.thunderbird.file("subscribe.js", account.name, account.password, scene.location, None)
    check(any(each["uri"].endswith(scene.calendar) for each in found), f"not among {found}")
    return f"{len(found)} calendars; {scene.told()}"


@SCENARIO.vital
def subscribe(scene: Scene) -> str:
    account = scene.account
    scene.run(ANSWER % "true")  # a modal dialog about a conflict would hold up the run
    scene.thunderbird.file("subscribe.js", account.name, account.password, scene.location, scene.calendar)
    scene.state = scene.run(STATE)
    check(not scene.state["disabled"], f"disabled: {scene.state}")
    check(not scene.state["readOnly"], f"read-only: {scene.state}")
    scene.run("await until('pre-existing', () => byTitle('Pre-existing'))")
    return str(scene.state)


@SCENARIO.step
def sync_collection_used(scene: Scene) -> str:
    """The calendar says that it has sync-collection, and Thunderbird believes it."""
    check(scene.state["sync"] and scene.state["token"], f"not used: {scene.state}")
    return str(scene.state["token"])


@SCENARIO.step
def refresh_unchanged(scene: Scene) -> str:
    scene.run("await refresh()")
    return scene.told()
