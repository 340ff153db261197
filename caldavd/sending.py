"""Who may send scheduling messages in whose name (RFC 6638 sections 6.2 and 11.2, item 2).

The owner of a calendar always may. Somebody else who writes into it also needs ``schedule-send-invite`` or
``schedule-send-reply`` on the owner's outbox, where what they write leads to messages; where it does not (an alarm, a
colour, a private event) the calendar's own privileges are enough.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from caldavd import kinds
from caldavd.access import need_privileges
from caldavd.context import Context
from caldavd.privileges import SCHEDULE_SEND_INVITE, SCHEDULE_SEND_REPLY
from caldavd.resources import Resource, of_collection
from scheduling import itip
from scheduling.delivery.deliverable import Right, right_for
from scheduling.delivery.scheduler import OUTBOX
from scheduling.itip import Actor

#: Appendix A.2. An attendee who delegates sends a REQUEST, too.
_PRIVILEGES: Final = {Right.INVITE: SCHEDULE_SEND_INVITE, Right.REPLY: SCHEDULE_SEND_REPLY}


def require_send(
    context: Context, resource: Resource, actor: Actor, before: bytes | None, after: bytes | None, *, reply: bool
) -> None:
    """Raises 403 ``need-privileges`` where the user may not send what follows from the change.

    ``actor`` is the owner of ``resource`` with all addresses; ``before`` and ``after`` are the object's texts. An
    authorization error comes before all others (section 11.4), also where the change is one that nobody may make.
    """
    if context.user.admin or resource.owner == context.user.name:
        return
    held = _held(context, resource)
    if held >= {SCHEDULE_SEND_INVITE, SCHEDULE_SEND_REPLY}:
        return
    out = itip.outgoing(before, after, actor, now=datetime.fromtimestamp(context.tx.now, UTC), reply=reply)
    if out.role == "none" or not (out.messages or out.refused):
        return
    needed = {_PRIVILEGES[right_for(one.method)] for one in out.messages}
    needed = needed or {SCHEDULE_SEND_INVITE if out.role == "organizer" else SCHEDULE_SEND_REPLY}
    if not held >= needed:
        path = context.router.below_home(resource.owner, (OUTBOX,), collection=True)
        raise need_privileges(path, *sorted(needed - held))


def _held(context: Context, resource: Resource) -> frozenset[str]:
    """What the user holds on the outbox of the owner of ``resource``; nothing where there is none."""
    found = context.tx.collections.find(resource.owner, (OUTBOX,))
    if found is None or found.missing or found.object is not None:
        return frozenset()
    outbox = of_collection(context.router, resource.owner, found.home, found.chain)
    return context.access.privileges(outbox) if outbox.kind is kinds.OUTBOX else frozenset()
