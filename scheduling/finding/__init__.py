"""Finding a time for a meeting, with reasons.

``finder`` takes the question and has its bounds; ``guests`` looks up who is to come, ``askable`` says whose time may be
asked. ``gathering`` reads what is needed (with ``habits`` and ``whereabouts``) and makes a ``Wish`` of it. From there
on all is pure: ``search`` finds what is possible, ``ranking`` says what is best and why. ``slots`` has the values that
these share.
"""
