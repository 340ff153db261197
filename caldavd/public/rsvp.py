"""The pages behind the links in mails: an invitation is shown, and answered, without an account."""

from __future__ import annotations

from typing import Final

from caldavd.errors import not_found
from caldavd.public import Method, Public, Space
from caldavd.response import Response


def show(public: Public) -> Response:
    """Shows the invitation."""
    raise not_found(f"There is no invitation {public.names}.")


SPACE: Final[Space] = Space({"GET": Method(show)})
