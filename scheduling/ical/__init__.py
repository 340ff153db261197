"""iCalendar: text in, values out (RFC 5545 and its extensions).

Everything here is pure: no clock, no files, no database.

``lines`` scans and edits content lines, ``validate`` says whether a text may be stored as a calendar object resource,
``split`` and ``join`` turn whole calendars into objects and back, ``jcal`` is RFC 7265, ``textmatch`` and ``filter``
answer the questions of RFC 4791 chapter 9.
"""
