"""The server under test, as the suites see it: an origin and the accounts that were provisioned on it.

Starting the server is in `conformance.server`; any other server on this machine will do, if its accounts are named
like those here (the password is the name).
"""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """A person on the server: the login name, the password and the mail address."""

    name: str
    password: str
    address: str


@dataclass(frozen=True, slots=True)
class Target:
    """A running server. `url` is its root, always on the loopback interface and with a slash at the end."""

    url: str

    def __post_init__(self) -> None:
        """Refuse an address that is not this machine: conformance traffic never leaves it.

        Raises ValueError: the host is not on the loopback interface.
        """
        host = urllib.parse.urlsplit(self.url).hostname or ""
        if host not in ("localhost", "::1") and not host.startswith("127."):
            raise ValueError(f"{host} is not on the loopback interface; the suites only talk to this machine.")

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        parts = urllib.parse.urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def mail_account(self, number: int) -> Account:
        """The fixed account mail01@example.com …: a login name that is a mail address, as many hosters give out."""
        name = f"mail{number:02}@example.com"
        return Account(name, name, name)

    def account(self, number: int) -> Account:
        """The fixed account user01, user02 …; each suite uses accounts of its own."""
        name = f"user{number:02}"
        return Account(name, name, f"{name}@example.com")
