"""Rows and revisions: the store under the calendar server.

This floor owns the database. It has never heard of ``BEGIN:VEVENT`` and knows no HTTP: it keeps named bytes in
collections, counts every change, and answers "what changed since". See :mod:`storage.store` for what it offers,
:mod:`storage.rows` for what it returns and :mod:`storage.errors` for what it raises.
"""

from __future__ import annotations

from storage.open import open_store

__all__ = ["open_store"]
