"""The column types, bytewise on every database, and the limits that follow from the smallest index of them.

Migrations use these as well: what a type means on a database is never changed here, a new meaning gets a new name.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeEngine

#: Characters of one name (a path segment) and of a whole path below a home: both fit into the index of every database
#: (InnoDB: 3,072 bytes at four bytes a character; PostgreSQL: 2,704 bytes, see ``PATH_BYTES``).
NAME_LENGTH = 255
PATH_LENGTH = 760
PATH_BYTES = 2400
#: Bytes of a UID, an organizer, a property's namespace or name: MariaDB's TEXT ends at 65,535.
LONG_TEXT_BYTES = 60_000
#: Bytes of the hash that stands for a long text in an index.
HASH_LENGTH = 20


def key_hash(*texts: str) -> bytes:
    """The hash by which long texts are found; NUL, which no text here contains, keeps the parts apart."""
    return blake2b("\0".join(texts).encode(), digest_size=HASH_LENGTH).digest()


class Bytewise(String):
    """Text that compares byte by byte, so that ``A`` is not ``a`` and ``a`` is not ``a`` with a space behind it."""

    cache_ok = True


@compiles(Bytewise, "postgresql")
def _bytewise_postgresql(type_: Bytewise, _compiler: Any, **_kw: Any) -> str:
    return f'{_varchar(type_)} COLLATE "C"'


@compiles(Bytewise, "mysql", "mariadb")
def _bytewise_mysql(type_: Bytewise, compiler: Any, **_kw: Any) -> str:
    # Two names for the same idea; the servers know only their own.
    collation = "utf8mb4_nopad_bin" if compiler.dialect.is_mariadb else "utf8mb4_0900_bin"
    return f"{_varchar(type_)} CHARACTER SET utf8mb4 COLLATE {collation}"


@compiles(Bytewise)
def _bytewise(type_: Bytewise, _compiler: Any, **_kw: Any) -> str:
    return _varchar(type_)


def _varchar(type_: Bytewise) -> str:
    return "TEXT" if type_.length is None else f"VARCHAR({type_.length})"


#: SQLite numbers rows by itself only in a column that is called exactly INTEGER.
Id: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
#: Bytes of any length. MariaDB's BLOB ends at 65,535.
Bytes: TypeEngine[bytes] = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
Hash: TypeEngine[bytes] = LargeBinary(HASH_LENGTH).with_variant(mysql.BINARY(HASH_LENGTH), "mysql", "mariadb")
Name = Bytewise(NAME_LENGTH)
Path = Bytewise(PATH_LENGTH)
LongText = Bytewise(None)
#: Text of people, compared only in its folded form.
Folded = Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
