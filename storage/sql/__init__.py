"""The SQL store: SQLite, PostgreSQL, MariaDB and MySQL through SQLAlchemy Core.

``schema`` has the tables, ``backend`` what differs between the databases, ``store`` runs transactions, ``transaction``
is one of them, and every other module is one part of a transaction (:class:`storage.store.Transaction`).
"""
