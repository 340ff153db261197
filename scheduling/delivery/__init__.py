"""What follows from a change, carried out in its transaction (RFC 6638 sections 3 and 4).

``scheduler`` is the one door, and has the order of things. ``people`` and ``invited_groups`` say whom an address means,
``deliverable`` whose messages they take, ``placing`` where these go. ``deliveries`` applies the messages of one change,
``copies`` reads and writes everybody's object of the meeting together, ``second_chances`` asks rooms again, ``tagging``
draws Schedule-Tags outside of a change, and ``running`` runs work again with more homes locked.

The rules themselves are pure and in ``scheduling.itip``.
"""
