"""Passwords: hashing with argon2id (RFC 9106), checking, and making new ones.

Nothing here knows users or stores. How many hashes run at once is the caller's to bound (:mod:`caldavd.auth.slots`):
each takes ``Cost.memory`` KiB.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

#: Small letters and digits without those that look like another one (i l o 0 1).
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS: Final = 5
_GROUP_LENGTH: Final = 5
#: Entropy of a generated password in bits: 123.8.
GENERATED_BITS: Final = _GROUPS * _GROUP_LENGTH * math.log2(len(_ALPHABET))

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
#: An app password's salt begins with this and the password's tag; see :func:`new_app_password`.
_TAGGED: Final = b"app1"
_TAG_BYTES: Final = 2
#: The most memory that a hash may ask for, in KiB (the bound of the setting argon2_memory): checking one costs as much.
_MOST_MEMORY: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What one argon2id hash costs: ``memory`` in KiB, ``time`` in passes, ``parallelism`` in lanes (RFC 9106 3.1).

    The defaults are a recommendation of OWASP's Password Storage Cheat Sheet.
    """

    memory: int = 19 * 1024
    time: int = 2
    parallelism: int = 1


def hash_password(password: str, *, cost: Cost) -> str:
    """The argon2id hash of a password in PHC form, with a random salt."""
    return _hasher(cost).hash(_octets(password))


def hash_passwords(passwords: Iterable[str], *, cost: Cost, threads: int | None = None) -> Iterator[str]:
    """The hashes of many passwords in their order, computed ``threads`` at a time (default: one for each processor)."""
    with ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="hash") as pool:
        yield from pool.map(lambda password: hash_password(password, cost=cost), passwords)


def verify(stored: str, password: str) -> bool:
    """Whether ``password`` is the one that the hash ``stored`` was made from; compared in constant time.

    Raises:
        ValueError: ``stored`` is no argon2 hash that could be checked.
    """
    if not is_hash(stored):
        raise ValueError("What is stored is no argon2 hash that this server can check.")
    try:
        return argon2.PasswordHasher().verify(stored, _octets(password))
    except VerificationError:
        return False


def is_hash(text: str) -> bool:
    """Whether ``text``, from a file of accounts for example, is an argon2 hash that this server would check."""
    try:
        parameters = argon2.extract_parameters(text)
    except InvalidHashError:
        return False
    whole = parameters.hash_len > 0 and parameters.salt_len > 0
    return whole and parameters.memory_cost <= _MOST_MEMORY


def needs_rehash(stored: str, *, cost: Cost) -> bool:
    """Whether the hash was made with other parameters than those of ``cost``."""
    return _hasher(cost).check_needs_rehash(stored)


def dummy_hash(*, cost: Cost) -> str:
    """A hash that no password matches and that takes as long to check as a real one: for users that do not exist."""
    salt, digest = _unpadded(secrets.token_bytes(_SALT_BYTES)), _unpadded(secrets.token_bytes(_HASH_BYTES))
    return f"$argon2id$v=19$m={cost.memory},t={cost.time},p={cost.parallelism}${salt}${digest}"


def generate_password() -> str:
    """A random password that people can read and type: five groups of five letters and digits, ``GENERATED_BITS``."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))


def new_app_password(*, cost: Cost) -> tuple[str, str]:
    """A new app password, to be shown once, and its hash, to be kept.

    A person has several app passwords, and a login names none of them. Trying each would make a failed login take
    longer for those who have some, which tells who exists. So the salt of the hash carries a tag, two octets of a
    plain hash of the password, and only app passwords with the tag of what was sent are tried. The tag gives 16 bits
    away, of ``GENERATED_BITS``: that is why it is made here and never for a password that a person chose.
    """
    password = generate_password()
    salt = _TAGGED + _tag(password) + secrets.token_bytes(_SALT_BYTES - len(_TAGGED) - _TAG_BYTES)
    return password, _hasher(cost).hash(_octets(password), salt=salt)


def may_match(stored: str, password: str) -> bool:
    """Whether an app password's hash is worth checking: not if it carries a tag and ``password`` has another one."""
    salt = _salt(stored)
    return not salt.startswith(_TAGGED) or salt[len(_TAGGED) :].startswith(_tag(password))


def _hasher(cost: Cost) -> argon2.PasswordHasher:
    return argon2.PasswordHasher(
        time_cost=cost.time,
        memory_cost=cost.memory,
        parallelism=cost.parallelism,
        hash_len=_HASH_BYTES,
        salt_len=_SALT_BYTES,
    )


def _octets(password: str) -> bytes:
    """What is hashed: non-ASCII spaces as spaces, then NFC (OpaqueString, RFC 8265 section 4.2.2), in UTF-8.

    The same password comes in different octets from different keyboards otherwise.
    """
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in password)
    return unicodedata.normalize("NFC", spaced).encode("utf-8")


def _tag(password: str) -> bytes:
    return hashlib.sha256(_octets(password)).digest()[:_TAG_BYTES]


def _salt(stored: str) -> bytes:
    parts = stored.split("$")
    text = parts[-2] if len(parts) > 2 else ""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _unpadded(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii").rstrip("=")
