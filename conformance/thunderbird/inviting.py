"""Steps: invitations. Where the server does not schedule, Thunderbird mails them, and some steps do not apply."""

from __future__ import annotations

import time

from conformance.steps import Skip, check
from conformance.thunderbird.mailbox import text_of
from conformance.thunderbird.scene import SCENARIO, Scene

NO_SCHEDULING = "the server does not schedule (no calendar-auto-schedule in DAV:)"


@SCENARIO.step
def invite(scene: Scene) -> str:
    mailed = len(scene.mailbox.messages)
    scene.thunderbird.file("invite.js", "Meeting", scene.account.address, scene.guest.address)
    text = scene.arrived("SUMMARY:Meeting")
    check(f"mailto:{scene.guest.address}" in text and "ORGANIZER" in text, text)
    scene.meeting = scene.path("SUMMARY:Meeting")
    new = scene.mailbox.messages[mailed:]
    if scene.state["schedules"]:
        check(not new, f"mail was sent although the server schedules: {new}")
        return "left to the server"
    check(len(new) == 1 and "METHOD:REQUEST" in text_of(new[0]), f"{len(new)} mails")
    return "mailed"


@SCENARIO.step
def free_busy(scene: Scene) -> str:
    if not scene.state["outbox"]:
        raise Skip(NO_SCHEDULING)
    busy = scene.thunderbird.file("freebusy.js", scene.guest.address)
    check("POST" in scene.told(), f"no POST: {scene.told()}")
    return str(busy)


@SCENARIO.step
def attendee_accepts(scene: Scene) -> str:
    """A second Thunderbird, the guest's, finds the invitation and accepts it."""
    if not scene.state["schedules"]:
        raise Skip(NO_SCHEDULING)
    where = invited(scene)
    guest = scene.guest_thunderbird
    guest.start()
    guest.file("account.js", scene.guest.address, scene.guest.name, scene.mailbox.port)
    guest.file("subscribe.js", scene.guest.name, scene.guest.password, scene.location, where)
    mailed = len(scene.mailbox.messages)
    guest.file("accept.js")
    check(len(scene.mailbox.messages) == mailed, "the reply went by mail")
    end = time.monotonic() + 10
    while "PARTSTAT=ACCEPTED" not in (line := attendee(scene)):
        check(time.monotonic() < end, f"the organizer's copy says {line}")
        time.sleep(0.5)
    scene.run(
        "await refresh(); await until('reply seen', async () => { const i = await byTitle('Meeting');"
        "return i.getAttendeeById('mailto:' + a[0]).participationStatus == 'ACCEPTED' })",
        scene.guest.address,
    )
    return line


def invited(scene: Scene) -> str:
    """The guest's calendar in which the invitation lies, once it is there."""
    end = time.monotonic() + 10
    while True:
        for calendar in scene.guest_dav.calendars(scene.guest_dav.home()):
            if scene.guest_dav.find(calendar, "SUMMARY:Meeting"):
                return calendar
        check(time.monotonic() < end, "the invitation reached none of the guest's calendars")
        time.sleep(0.5)


def attendee(scene: Scene) -> str:
    """The line of the guest in the organizer's object."""
    found = scene.dav.find(scene.calendar, "SUMMARY:Meeting")
    lines = found[1].split("\n") if found else []
    return next((line for line in lines if line.startswith("ATTENDEE") and scene.guest.address in line), "")


@SCENARIO.step
def invitation_updated(scene: Scene) -> str:
    scene.run(
        "const o = await byTitle('Meeting'); const n = o.clone();"
        "n.startDate = dt('20270320T120000', 'Europe/Berlin'); n.endDate = dt('20270320T130000', 'Europe/Berlin');"
        "n.setProperty('X-MOZ-SEND-INVITATIONS', 'TRUE'); const s = cal.itip.prepareSequence(n, o);"
        "await tx('modify', s, o, {responseMode: Ci.calIItipItem.AUTO}); await sleep(2000)"
    )
    scene.arrived("20270320T120000", scene.meeting)
    return scene.told()


@SCENARIO.step
def invitation_cancelled(scene: Scene) -> str:
    scene.run(
        "const o = await byTitle('Meeting'); await tx('delete', o, null, {responseMode: Ci.calIItipItem.AUTO});"
        "await sleep(2000)"
    )
    check(scene.dav.get(scene.meeting).status == 404, "it is still there")
    return scene.told()
