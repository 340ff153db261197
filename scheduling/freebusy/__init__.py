"""Who is busy when, and when they can be met at all (RFC 4791 section 7.10, RFC 6638 section 5, RFC 7953).

``diaries`` is the door: from principals to the periods that may be told of them. ``busy`` answers for many people at
once, out of the index (``index`` says what one is; ``index_memory``, ``index_redis``), the rows and, where these do not
say enough, the texts. ``vfreebusy`` reads one text and writes the answer; ``availability`` and ``working_hours`` say
when somebody can be met; ``links`` are the secrets in free/busy addresses.

Knows iCalendar and nothing of meetings: the rules of scheduling stand beside it.
"""
