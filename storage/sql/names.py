"""Names, paths and texts on their way in: what no database keeps is refused here, in one place and with one error."""

from __future__ import annotations

from functools import lru_cache

from storage.errors import UnstorableText
from storage.sql.types import LONG_TEXT_BYTES, NAME_LENGTH, PATH_BYTES, PATH_LENGTH

SEPARATOR = "/"


def checked_text(text: str, what: str, *, length: int | None = None) -> str:
    """The text itself; raises :class:`~storage.errors.UnstorableText` where it cannot be kept."""
    if "\0" in text:
        raise UnstorableText(f"The {what} contains a NUL character.")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise UnstorableText(f"The {what} is not valid Unicode.") from None
    if length is not None and len(text) > length:
        raise UnstorableText(f"The {what} has {len(text)} characters; {length} is the most.")
    if size > LONG_TEXT_BYTES:
        raise UnstorableText(f"The {what} has {size} bytes; {LONG_TEXT_BYTES} is the most.")
    return text


@lru_cache(maxsize=4096)
def checked_name(name: str) -> str:
    """The name of a member; a path segment that is not empty and has no slash."""
    if not name or SEPARATOR in name:
        raise UnstorableText(f"{name!r} cannot be a name: it is empty or contains a slash.")
    return checked_text(name, "name", length=NAME_LENGTH)


def storable(text: str) -> bool:
    """Whether a database could hold this text at all; what is not so is not found, which is no error."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def findable(name: str) -> bool:
    """Whether a member could have this name."""
    return storable(name) and SEPARATOR not in name and name != ""


def joined(path: tuple[str, ...]) -> str:
    """A path below a home as the database keeps it."""
    text = SEPARATOR.join(path)
    if len(text) > PATH_LENGTH or len(text.encode(errors="replace")) > PATH_BYTES:
        raise UnstorableText(f"The path is too deep: {PATH_LENGTH} characters is the most.")
    return text


def split(path: str) -> tuple[str, ...]:
    """The opposite of :func:`joined`."""
    return tuple(path.split(SEPARATOR)) if path else ()


@lru_cache(maxsize=4096)
def upward(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path and those of all collections above it, the home's root first."""
    return tuple(SEPARATOR.join(path[:depth]) for depth in range(len(path) + 1))


def below(path: str) -> tuple[str, str]:
    """The half-open range of the paths below one: "/" is followed by "0"."""
    return f"{path}/", f"{path}0"


def folded(text: str) -> str:
    """Text as caseless search compares it."""
    return text.casefold()
