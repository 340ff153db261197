"""``/rsvp/TICKET``: where the links in mails lead, without an account.

``/rsvp/TICKET`` and ``/rsvp/TICKET/accept`` show the meeting as it stands and do nothing: mail scanners follow links.
What is sent by the form there acts (docs/decisions/0012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from caldavd.public import Method, Public, Space, decisions, invitations, proposing
from caldavd.public.visits import refusal, visit

if TYPE_CHECKING:
    from caldavd.response import Response

#: Bytes of a form.
MAX_FORM: Final = 32_768


def show(public: Public) -> Response:
    """GET: the meeting and the form."""
    found = visit(public, acts=False)
    if found.ticket.task == "decide":
        return decisions.show(found)
    if found.hint == "propose":
        return proposing.show(found)
    return invitations.show(found)


def act(public: Public) -> Response:
    """POST: what the form says is done."""
    found = visit(public, acts=True)
    if found.ticket.task == "decide":
        return decisions.act(found)
    if found.form.get("do") == "propose":
        return proposing.act(found)
    return invitations.act(found)


SPACE: Final[Space] = Space({"GET": Method(show), "POST": Method(act, write=True, max_body=MAX_FORM)}, refusal=refusal)
