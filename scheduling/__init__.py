"""What a calendar means: iCalendar (RFC 5545), iTIP (RFC 5546), scheduling rules (RFC 6638), free/busy.

From the ground up: ``ical`` and ``addresses``; on them ``freebusy`` (who is busy when) and ``itip`` (the rules of
meetings, pure); ``indexing`` (from a text to its row); ``rooms`` (how they answer) and ``mail`` (on the way out);
``delivery`` (what follows from a change, in its transaction); ``finding`` (a time for a meeting) and ``imip`` (mail on
the way in); ``worker`` (what transactions have left in the queue). Each is imported only by those above it.

Stands on ``storage`` and ``config``; knows nothing of HTTP, XML or SQL.
"""
