"""Migrations (alembic): expand first, contract a release later, one DDL statement a step.

MariaDB and MySQL commit every DDL statement by itself, so a step that fails half-way must be able to run again.
"""
