"""What goes over HTTP: WebDAV (RFC 4918), access control (3744), CalDAV (4791), sync (6578), scheduling (6638).

Where to find things: :mod:`caldavd.wsgi` puts the parts together, :mod:`caldavd.app` is a request on one page,
:mod:`caldavd.kinds` says which resources there are and what each can do, :mod:`caldavd.properties`,
:mod:`caldavd.methods` and :mod:`caldavd.reports` are tables with one module per family; :mod:`caldavd.public` is what
needs no login, :mod:`caldavd.cli` the command line. What a calendar *means* is in ``scheduling``, where it is kept in
``storage``.
"""
