"""The few statements of every request, put to SQLite's driver without a way through SQLAlchemy's execution.

On SQLite a question is answered in five microseconds, and SQLAlchemy takes fifty to put it. ``Direct`` compiles a
SELECT once, with SQLAlchemy, and keeps its text, the order of its parameters and the conversions of its columns;
``DirectWrite`` does the same for an INSERT, UPDATE or DELETE of one row. On all other databases, and where somebody
listens to what is executed (tests that count statements), they are executed by SQLAlchemy as any other statement: both
ways give and leave the same rows (a test compares them), and what the driver refuses is the error that SQLAlchemy would
have made of it.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import Dialect, LargeBinary, bindparam, exc
from sqlalchemy.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    from sqlalchemy import (
        BindParameter,
        ClauseElement,
        ColumnElement,
        CompoundSelect,
        Connection,
        CursorResult,
        Delete,
        Insert,
        Select,
        Update,
    )

    from storage.sql.transaction import SqlTransaction

_Convert = Callable[[Any], Any]

#: Rows that a client of MariaDB reads at a time.
_BUFFERED = 1000


def driver_of(connection: Connection) -> sqlite3.Connection | None:
    """The driver's own connection where questions may go to it directly."""
    listeners = cast("Any", connection.dispatch)
    if listeners.before_cursor_execute or listeners.after_cursor_execute:
        return None
    driver: object = connection.connection.dbapi_connection
    return driver if isinstance(driver, sqlite3.Connection) else None


@dataclass(slots=True)
class _Text:
    """A statement as the driver takes it."""

    text: str
    #: Of each parameter in its order: the name, and the conversion.
    parameters: tuple[tuple[str, _Convert | None], ...]
    #: The values that the statement brings itself.
    own: Mapping[str, Any]

    def values(self, where: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order. Raises KeyError where one is missing."""
        if self.own:
            where = {**self.own, **where}
        return [where[name] if convert is None else convert(where[name]) for name, convert in self.parameters]


@dataclass(slots=True)
class _Question(_Text):
    make: Callable[[Sequence[Any]], Any]
    #: Of the columns that are converted: where they stand, and how.
    converts: tuple[tuple[int, _Convert], ...]


class Direct:
    """A SELECT whose parameters are single values (none of them ``expanding``)."""

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: Select[Any] | CompoundSelect[Any]) -> None:
        self._statement = statement
        self._compiled: _Question | None = None

    def all(self, tx: SqlTransaction, where: Mapping[str, Any]) -> Sequence[Any]:
        """The rows, each a tuple with its columns as attributes."""
        driver = tx.driver
        if driver is None:
            return tx.execute(self._statement, where).all()
        compiled = self._asked(tx)
        values = compiled.values(where)
        try:
            rows = driver.execute(compiled.text, values).fetchall()
        except sqlite3.Error as error:
            raise _usual(error, compiled.text, values, tx) from error
        if compiled.converts:
            rows = [_converted(row, compiled.converts) for row in rows]
        return [compiled.make(row) for row in rows]

    def each(self, tx: SqlTransaction, where: Mapping[str, Any]) -> Iterator[Any]:
        """The rows as they are read. Nothing else may be asked of the transaction before the last one."""
        driver = tx.driver
        if driver is None:
            # Else MariaDB's client makes objects of all rows first. PostgreSQL's keeps them as they came, some 10 MB
            # for 100,000 of them; a cursor would take four more trips.
            options = {"stream_results": tx.backend.name != "postgresql", "max_row_buffer": _BUFFERED}
            with tx.execute(self._statement, where, execution_options=options) as found:
                yield from found
            return
        compiled = self._asked(tx)
        values = compiled.values(where)
        try:
            rows = driver.execute(compiled.text, values)
            if not compiled.converts:
                yield from map(compiled.make, rows)
            else:
                for row in rows:
                    yield compiled.make(_converted(row, compiled.converts))
        except sqlite3.Error as error:
            raise _usual(error, compiled.text, values, tx) from error

    def _asked(self, tx: SqlTransaction) -> _Question:
        if self._compiled is None:
            self._compiled = _question(self._statement, tx.connection.dialect)
        return self._compiled

    def locked(self, tx: SqlTransaction, where: Mapping[str, Any]) -> Sequence[Any]:
        """The rows, each locked (on SQLite the transaction has locked the whole database already)."""
        if tx.driver is not None:
            return self.all(tx, where)
        return tx.execute(tx.backend.locking(cast("Select[Any]", self._statement)), where).all()


class DirectAmong:
    """A SELECT of the rows whose ``column`` is among several values; its other parameters are single values.

    The driver keeps a statement for its text, and the text has a place for each value: so there are statements for 1,
    2, 4, 8, … values, and the last value fills what is left.
    """

    __slots__ = ("_column", "_sized", "_statement")

    def __init__(self, statement: Select[Any], column: ColumnElement[Any]) -> None:
        self._statement = statement
        self._column = column
        self._sized: dict[int, tuple[Direct, list[str]]] = {}

    def all(self, tx: SqlTransaction, where: Mapping[str, Any], values: Sequence[Any]) -> Sequence[Any]:
        """The rows. ``values``: at least one, and no more than a batch (:mod:`storage.batches`)."""
        if tx.driver is None:
            among = self._statement.where(self._column.in_(bindparam("among", expanding=True)))
            return tx.execute(among, {**where, "among": values}).all()
        size = 1 << (len(values) - 1).bit_length()
        sized = self._sized.get(size)
        if sized is None:
            names = [f"among_{place}" for place in range(size)]
            places: list[BindParameter[Any]] = [bindparam(name) for name in names]
            sized = self._sized[size] = Direct(self._statement.where(self._column.in_(places))), names
        direct, names = sized
        filled = dict.fromkeys(names, values[-1]) | dict(zip(names, values, strict=False))
        return direct.all(tx, {**where, **filled})


class Written(NamedTuple):
    """What a statement did: how many rows an UPDATE or DELETE found, and the id of the row that an INSERT made."""

    rows: int
    id: int


class DirectWrite:
    """An INSERT, UPDATE or DELETE with single values as parameters. ``columns`` are what it sets, always the same."""

    __slots__ = ("_compiled", "_statement", "columns")

    def __init__(self, statement: Insert | Update | Delete, columns: Sequence[str] = ()) -> None:
        self._statement = statement
        self.columns = tuple(columns)
        self._compiled: _Text | None = None

    def run(self, tx: SqlTransaction, values: Mapping[str, Any]) -> Written:
        """Executes it. ``values`` are those of ``columns`` and of the parameters, and nothing else."""
        driver = tx.driver
        if driver is None:
            done = cast("CursorResult[Any]", tx.execute(self._statement, values))
            key = done.inserted_primary_key if self._statement.is_insert else None
            return Written(done.rowcount, key[0] if key else 0)
        compiled = self._compiled
        if compiled is None:
            compiled = self._compiled = _text(_compile(self._statement, tx.connection.dialect, self.columns))
        given = compiled.values(values)
        try:
            cursor = driver.execute(compiled.text, given)
        except sqlite3.Error as error:
            raise _usual(error, compiled.text, given, tx) from error
        return Written(cursor.rowcount, cursor.lastrowid or 0)


def _usual(error: sqlite3.Error, text: str, values: Sequence[Any], tx: SqlTransaction) -> BaseException:
    """The error that the rest of the store knows.

    A statement that failed is not tried again on the usual way: the error may have ended the transaction.
    """
    return exc.DBAPIError.instance(text, values, error, sqlite3.Error, dialect=tx.connection.dialect)


def _converted(row: Sequence[Any], converts: tuple[tuple[int, _Convert], ...]) -> list[Any]:
    values = list(row)
    for place, convert in converts:
        values[place] = convert(values[place])
    return values


def _compile(statement: ClauseElement, dialect: Dialect, columns: Sequence[str] | None = None) -> SQLCompiler:
    compiled = statement.compile(dialect=dialect, column_keys=None if columns is None else list(columns))
    assert isinstance(compiled, SQLCompiler)
    return compiled


def _text(compiled: SQLCompiler) -> _Text:
    dialect = compiled.dialect
    bound = [(name, compiled.binds[name]) for name in compiled.positiontup or ()]
    return _Text(
        str(compiled),
        tuple((name, one.type.dialect_impl(dialect).bind_processor(dialect)) for name, one in bound),
        {name: one.value for name, one in bound if not one.required},
    )


def _question(statement: Select[Any] | CompoundSelect[Any], dialect: Dialect) -> _Question:
    text = _text(_compile(statement, dialect))
    columns = list(statement.selected_columns)
    found = [(place, _processor(column.type, dialect)) for place, column in enumerate(columns)]
    names = [str(getattr(column, "key", None) or "") for column in columns]
    return _Question(
        text.text,
        text.parameters,
        text.own,
        # A second column of a name is there by its place only.
        cast("Any", namedtuple("Row", names, rename=True))._make,  # noqa: PYI024
        tuple((place, convert) for place, convert in found if convert is not None),
    )


def _processor(type_: Any, dialect: Dialect) -> _Convert | None:
    if isinstance(type_, LargeBinary):
        return None  # the driver gives bytes
    convert: _Convert | None = type_.dialect_impl(dialect).result_processor(dialect, None)
    return convert
