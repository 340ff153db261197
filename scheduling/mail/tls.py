"""TLS to the mail servers of this installation: SMTP on the way out, IMAP on the way in.

Owns, for RFC 3207 (STARTTLS of SMTP), RFC 9051 6.2.1 (of IMAP) and RFC 8314 (TLS from the start), which certificates
are believed, and the oldest version that is spoken: 1.2 (RFC 8996 ends those before it).
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """Believes the certificates in ``ca_file``; where it is None, those that the system does.

    Raises OSError, with a sentence that names the file, where it cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise OSError(f"the certificates in {ca_file} cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
