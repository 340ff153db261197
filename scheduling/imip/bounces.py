"""Delivery reports: what another mail server says became of one of our mails.

Owns RFC 3464 (multipart/report with message/delivery-status), RFC 3463 (its status codes) and RFC 3834 (mails that a
program sent, which are answers of nobody). What is written on the sender's object is SCHEDULE-STATUS (RFC 6638 3.2.9).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scheduling.imip.mime import MAX_HEAD, Head, Mail, Unreadable, head_of, read
from scheduling.imip.objects import objects_in
from scheduling.itip.outcome import INVALID_USER, NOT_DELIVERED, REJECTED
from scheduling.itip.snapshot import read as snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The most recipients in one report that are looked at.
_MAX_BLOCKS: Final = 100
_BLOCKS: Final = re.compile(rb"(?:\r?\n[ \t]*){2,}")
_STATUS: Final = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
#: RFC 3463 3.2: the address is wrong (5.1.0 to 5.1.3), has moved without a new one (5.1.6), takes no mail (5.1.10).
_WRONG_ADDRESS: Final = frozenset({("1", "0"), ("1", "1"), ("1", "2"), ("1", "3"), ("1", "6"), ("1", "10")})
_SAID: Final = 300


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a mail.

    ``action`` is that of RFC 3464 2.3.3 (failed, delayed, delivered, relayed, expanded), ``code`` the SCHEDULE-STATUS
    that follows from it (empty where it has not failed), ``said`` what the other server said, for people.
    """

    action: str
    code: str
    said: str


def is_automatic(head: Head) -> bool:
    """Whether a program sent it by itself (RFC 3834 5): out of office, a list, a report."""
    said = head.first("auto-submitted").partition(";")[0].strip().lower()
    if said and said != "no":
        return True
    return (
        head.first("precedence").strip().lower() in ("bulk", "junk", "list", "auto_reply")
        or bool(head.first("x-autoreply") or head.first("x-autorespond"))
        or head.first("return-path").strip() == "<>"
    )


def report_in(mail: Mail) -> Report | None:
    """The delivery report that ``mail`` is; None where it is none (RFC 3464 2)."""
    kind = mail.params.get("report-type", "delivery-status").strip().lower()
    if mail.type != "multipart/report" or kind != "delivery-status":
        return None
    found = list(_recipients(mail))
    failed = next((one for one in found if one.action == "failed"), None)
    return failed or next(iter(found), None)


def _recipients(mail: Mail) -> Iterator[Report]:
    for part in mail.parts:
        if part.type not in ("message/delivery-status", "message/global-delivery-status"):
            continue
        try:
            content = part.content()[:MAX_HEAD]
        except Unreadable:
            continue
        for block in _BLOCKS.split(content.strip())[:_MAX_BLOCKS]:
            fields = head_of(block.strip() + b"\r\n\r\n")
            action = fields.first("action").strip().lower()
            if action:
                yield _report(action, fields)


def _report(action: str, fields: Head) -> Report:
    status = fields.first("status")
    said = fields.first("diagnostic-code").partition(";")[2].strip() or status
    code = code_of(status) if action == "failed" else ""
    return Report(action[:20], code, f"{status} {said}".strip()[:_SAID] if status not in said else said[:_SAID])


def code_of(status: str) -> str:
    """The SCHEDULE-STATUS (RFC 6638 3.2.9) for an enhanced status code (RFC 3463)."""
    match = _STATUS.match(status)
    if match is None:
        return NOT_DELIVERED
    if (match[2], match[3]) in _WRONG_ADDRESS:
        return INVALID_USER
    return REJECTED if match[2] == "7" else NOT_DELIVERED


def uid_in(mail: Mail) -> str | None:
    """The UID of the object in the mail that a report encloses; None where it encloses none of it."""
    for part in mail.parts:
        if part.type not in ("message/rfc822", "message/global"):
            continue
        try:
            for text in objects_in(read(part.content().lstrip())).texts:
                found = snapshot_of(text)
                if found is not None:
                    return found.uid
        except (Unreadable, ValueError):
            continue
    return None
