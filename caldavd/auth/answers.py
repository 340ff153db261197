"""What an authentication ends with. Who asks turns it into a status: nothing here knows HTTP beyond these numbers."""

from __future__ import annotations

from dataclasses import dataclass

from config.load import SettingsError
from storage.errors import Busy
from storage.rows import Principal


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The request comes from this principal, as the database has it now."""

    principal: Principal


@dataclass(frozen=True, slots=True)
class Challenge:
    """401 with ``WWW-Authenticate: Basic realm="…", charset="UTF-8"`` (RFC 7617 section 2).

    One realm for every method and path: Thunderbird opens a password prompt where a challenge has another realm than
    the stored password, or none.
    """

    realm: str


@dataclass(frozen=True, slots=True)
class TooMany:
    """429 with ``Retry-After`` in seconds (RFC 6585 section 4), after which another attempt will be listened to."""

    retry_after: int


class SetupError(SettingsError):
    """An authentication cannot be set up as the settings ask for it; the text is a sentence for the administrator."""

    def __init__(self, problem: str) -> None:
        super().__init__([problem])


class Unavailable(Busy):
    """Whether the password is right cannot be said now: 503, and not 401, for which clients drop a stored password."""
