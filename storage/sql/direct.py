"""The few questions of every request, put to SQLite's driver without a way through SQLAlchemy's execution.

On SQLite a question is answered in five microseconds, and SQLAlchemy takes fifty to put it. ``Direct`` compiles a
SELECT once, with SQLAlchemy, and keeps its text, the order of its parameters and the conversions of its columns. On
all other databases, where somebody listens to what is executed (tests that count statements), and for everything that
the driver refuses, it is executed by SQLAlchemy as any other statement: both ways give the same rows (a test compares
them).
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from storage.sql.transaction import SqlTransaction

_Convert = Callable[[Any], Any]


def driver_of(connection: Connection) -> sqlite3.Connection | None:
    """The driver's own connection where questions may go to it directly."""
    listeners = cast("Any", connection.dispatch)
    if listeners.before_cursor_execute or listeners.after_cursor_execute:
        return None
    driver: object = connection.connection.dbapi_connection
    return driver if isinstance(driver, sqlite3.Connection) else None


@dataclass(slots=True)
class _Compiled:
    text: str
    #: Of each parameter in its order: the name, the value where none is given, and the conversion.
    parameters: tuple[tuple[str, Any, _Convert | None], ...]
    make: Callable[[Sequence[Any]], Any]
    #: Of the columns that are converted: where they stand, and how.
    converts: tuple[tuple[int, _Convert], ...]


class Direct:
    """A SELECT whose parameters are single values (none of them ``expanding``)."""

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: Select[Any]) -> None:
        self._statement = statement
        self._compiled: _Compiled | None = None

    def all(self, tx: SqlTransaction, where: Mapping[str, Any]) -> Sequence[Any]:
        """The rows, each a tuple with its columns as attributes."""
        driver = tx.driver
        if driver is None:
            return tx.execute(self._statement, where).all()
        compiled = self._compiled
        if compiled is None:
            compiled = self._compiled = _compile(self._statement, tx.connection.dialect)
        values = [
            where.get(name, default) if convert is None else convert(where.get(name, default))
            for name, default, convert in compiled.parameters
        ]
        try:
            rows = driver.execute(compiled.text, values).fetchall()
        except sqlite3.Error:
            # Asked again on the usual way, what is wrong becomes the error that the rest of the store knows.
            return tx.execute(self._statement, where).all()
        if compiled.converts:
            rows = [_converted(row, compiled.converts) for row in rows]
        return [compiled.make(row) for row in rows]


def _converted(row: Sequence[Any], converts: tuple[tuple[int, _Convert], ...]) -> list[Any]:
    values = list(row)
    for place, convert in converts:
        values[place] = convert(values[place])
    return values


def _compile(statement: Select[Any], dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    parameters = []
    for name in compiled.positiontup or ():
        bound = compiled.binds[name]
        convert = bound.type.dialect_impl(dialect).bind_processor(dialect)
        parameters.append((name, bound.value, convert))
    columns = list(statement.selected_columns)
    found = [(place, _processor(column.type, dialect)) for place, column in enumerate(columns)]
    names = [str(getattr(column, "key", None) or "") for column in columns]
    return _Compiled(
        str(compiled),
        tuple(parameters),
        # A second column of a name is there by its place only.
        cast("Any", namedtuple("Row", names, rename=True))._make,  # noqa: PYI024
        tuple((place, convert) for place, convert in found if convert is not None),
    )


def _processor(type_: Any, dialect: Dialect) -> _Convert | None:
    convert: _Convert | None = type_.dialect_impl(dialect).result_processor(dialect, None)
    return convert
