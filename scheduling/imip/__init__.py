"""iMIP on the way in (RFC 6047): from a mail to a scheduling message that may be believed.

``mime`` reads a mail, ``objects`` finds the scheduling messages in it, ``authenticity`` reads what the mail server
found out about its sender, ``judging`` decides who speaks for whom, ``tags`` makes and reads the signed addresses that
answers come to, ``bounces`` reads delivery reports. All of these are pure.

``reception`` is the rim that takes mails in, ``taking`` its transaction for one message and recipient, ``people`` and
``fates`` what goes in and comes out. ``lmtp`` and ``poll`` bring mails to it, and so does ``caldavd imip-receive``;
``forwarding`` sends on what people write back.

Mail on the way out is in ``scheduling.mail``.
"""
