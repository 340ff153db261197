"""What a calendar means: iCalendar (RFC 5545), iTIP (RFC 5546), scheduling rules (RFC 6638), free/busy.

Stands on ``storage`` and ``config``; knows nothing of HTTP, XML or SQL.
"""
