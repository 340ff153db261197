"""Mails that people write back to the signed address of an invitation: they are meant for who sent it, and go on there.

Owns the rows of kind ``forward``. The mail goes on as it came, with the fields of RFC 5322 3.6.6 (Resent-) on top, so
that its own signature (DKIM) still fits. ``scheduling.worker`` sends it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from storage.rows import Job, NewJob
from storage.store import Transaction

FORWARD: Final = "forward"
#: The field by which a mail is known that has been here before (lower case).
MARK: Final = "x-caldavd-forwarded"


@dataclass(frozen=True, slots=True)
class Forward:
    """A mail on its way to ``recipient`` (a mail address)."""

    recipient: str
    body: bytes

    def as_bytes(self) -> bytes:
        """As it is sent."""
        return self.body


def post_forward(tx: Transaction, raw: bytes, recipient: str) -> None:
    """Queues ``raw`` for ``recipient``. The same mail is sent on once."""
    key = hashlib.sha256(recipient.encode() + b"\0" + raw).hexdigest()
    job = NewJob(key, json.dumps({"recipient": recipient}).encode(), text=zlib.compress(raw))
    tx.queue.add(FORWARD, [job])


def forward_of(job: Job, *, address: str, now: datetime) -> Forward:
    """The mail that a job is, sent again from ``address``. Raises ValueError for what is none."""
    try:
        recipient, raw = str(json.loads(job.payload)["recipient"]), zlib.decompress(job.text)
    except (KeyError, zlib.error) as error:
        raise ValueError(f"This is no mail of the queue: {error}.") from error
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    head = (
        f"Resent-From: <{address}>\r\nResent-To: <{recipient}>\r\nResent-Date: {format_datetime(now)}\r\n"
        f"Resent-Message-ID: <{job.key[:40]}@{address.rpartition('@')[2]}>\r\nX-Caldavd-Forwarded: {address}\r\n"
    )
    return Forward(recipient, head.encode() + raw)
