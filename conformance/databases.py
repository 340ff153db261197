"""Databases on a server, for the time that something is measured or tested on them."""

from __future__ import annotations

from sqlalchemy import create_engine, text


def execute(url: str, statement: str) -> None:
    """Runs a statement that cannot be in a transaction (``CREATE DATABASE``). Raises SQLAlchemyError."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
