"""Who is asking: logins, passwords, and what stands against guessing (RFC 7617, ``docs/authentication.md``).

Takes header strings and addresses and gives values, of which :mod:`caldavd.app` makes the statuses 401, 429 and 503.
:mod:`caldavd.auth.passwords` is for whoever sets passwords.
"""

from __future__ import annotations

from caldavd.auth.answers import Authenticated, Challenge, SetupError, TooMany, Unavailable
from caldavd.auth.authenticator import Authenticator, Expected, Policy, Unconfirmed
from caldavd.auth.setup import cost_of, from_settings

__all__ = [
    "Authenticated",
    "Authenticator",
    "Challenge",
    "Expected",
    "Policy",
    "SetupError",
    "TooMany",
    "Unavailable",
    "Unconfirmed",
    "cost_of",
    "from_settings",
]
