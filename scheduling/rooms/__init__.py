"""How rooms and resources answer an invitation (RFC 5545 3.2.3: ROOM, RESOURCE), by rules and without a person.

``bookings`` is the door, called in the organizer's transaction with the rooms' homes locked. ``rules`` judges instance
by instance and ``answers`` writes the answer into the room's copy, both pure; ``diaries`` reads when rooms cannot be
had, ``words`` says why one declines.
"""
