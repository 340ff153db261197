"""Mail on the way out (RFC 6047, iMIP): scheduling messages for people who have no account here.

``posting`` puts a message into the queue, in the transaction that it follows from. ``mailer`` makes the mail and hands
it to a mail server (``tls``). ``mailtext`` and ``wording`` have its words, ``tickets`` signs the links in it, and
``pagewording`` has the words of the pages behind these. Who takes messages out of the queue is ``scheduling.worker``;
mail on the way in is ``scheduling.imip``.
"""
