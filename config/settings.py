"""Every setting of the server, with its type, default, bounds and what it is for.

This is the one table of settings: ``config.load`` reads a TOML file and the environment into it, ``config.sample``
writes the commented sample file and the reference in ``docs/configure.md`` out of it. What is not here does not exist.
Sections are frozen: what the server runs with is decided once, at start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, model_validator


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting may be, in words: shown in the sample and when a value is refused."""

    text: str


@dataclass(frozen=True, slots=True)
class FileName:
    """Marks a setting that names a file: a relative name counts from the folder of the config file."""


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Marks a setting that is a database URL: a relative SQLite file counts from the folder of the config file."""


def _matching(pattern: str) -> AfterValidator:
    """The whole text has to match, or it is refused (with the setting's ``Allowed`` text as the message)."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError("does not match")
        return value

    return AfterValidator(check)


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, (IPv4Network, IPv6Network)):
        return value
    return ip_network(str(value), strict=False)


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


#: The absolute name of a file, or none.
File = Annotated[Path | None, BeforeValidator(_empty_is_none), FileName(), Allowed("the name of a PEM file")]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Size = Annotated[ByteSize, Field(ge=1), Allowed('a number of bytes, or a text such as "512 KiB" or "10 MiB"')]
#: RFC 5545 section 3.3.5, form 2.
UtcText = Annotated[str, _matching(r"\d{8}T\d{6}Z"), Allowed('a UTC date-time such as "20260131T120000Z"')]
#: What Apple's calendar-color takes: sRGB and alpha.
Colour = Annotated[
    str, _matching(r"#[0-9A-Fa-f]{6}([0-9A-Fa-f]{2})?"), Allowed('a colour such as "#3A87AD" or "#3A87ADFF"')
]

_AUTH_MODULES = (
    "database", "htpasswd", "ldap", "imap", "pam", "dovecot", "oauth2", "remote_user", "http_remote_user",
    "http_x_remote_user",
)  # fmt: skip


def _auth_type(value: str) -> str:
    if value in _AUTH_MODULES or re.fullmatch(r"\w+(\.\w+)+", value):
        return value
    raise ValueError("is no authentication that is known here")


class Section(BaseModel):
    """A section of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class Server(Section):
    """Where the server listens, and what it is told by a proxy in front of it."""

    host: str = "127.0.0.1"
    """The address to listen on. 127.0.0.1 is this machine only; 0.0.0.0 or :: is every network that it is on: give
    tls_certificate and tls_key then, or put a proxy with TLS in front."""
    port: int = Field(default=5232, ge=1, le=65535)
    """The TCP port to listen on."""
    prefix: Annotated[
        str, _matching(r"(/[A-Za-z0-9._~-]+)*"), Allowed('"" or a path such as "/caldav", without a slash at the end')
    ] = ""
    """The path below which everything is served, where the server shares a host name with something else. A proxy
    passes the path on as it is (it does not cut the prefix off)."""
    base_url: Annotated[
        str,
        _matching(r"|https?://[^/\s?#]+"),
        Allowed('"" or scheme and host such as "https://calendar.example.org", without a path'),
    ] = ""
    """How people reach the server from outside. Used where a whole URL has to be told: by the command line, and for the
    links in mails on which people without an account here answer; without it mails have no links. In answers, hrefs are
    paths and need no host."""
    trusted_proxies: Annotated[
        tuple[Network, ...], Allowed('a list of addresses or networks such as ["127.0.0.1", "10.0.0.0/8"]')
    ] = ()
    """The proxies whose X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id and, with the
    reverse-proxy authentication, X-Remote-User are believed. From anybody else these headers are ignored."""
    tls_certificate: File = None
    """Certificate (with its chain) for TLS in the server itself. Needs tls_key."""
    tls_key: File = None
    """Private key of tls_certificate, in PKCS#8 ("BEGIN PRIVATE KEY")."""
    workers: int = Field(default=1, ge=1, le=256)
    """Processes that serve. One per core is the most that helps."""
    threads: int = Field(default=8, ge=1, le=512)
    """Requests that one worker handles at the same time; also the number of database connections of a worker."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: give both or neither")
        return self


class Storage(Section):
    """Where calendars are kept."""

    type: Annotated[
        str, _matching(r"sql|\w+(\.\w+)*:\w+"), Allowed('"sql", or "package.module:function" of a storage plugin')
    ] = "sql"
    """The store. "sql" comes with the server; for another one see docs/storage-plugin.md."""
    url: Annotated[
        str,
        DatabaseUrl(),
        _matching(r"(sqlite|postgresql|mysql|mariadb)(\+\w+)?://.*"),
        Allowed(
            '"sqlite:///FILE", "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE" or "mysql+pymysql://USER:PASSWORD@HOST/DATABASE"'
        ),
    ] = "sqlite:///caldavd.db"
    """The database. A relative file name counts from the folder of this file. PostgreSQL needs the extra "postgresql",
    MariaDB and MySQL the extra "mysql". To keep the password out of this file, set CALDAVD_STORAGE__URL."""
    wait_seconds: int = Field(default=10, ge=1, le=300)
    """How long to wait for a lock or for a free connection before the client is told to come again (503)."""
    attempts: int = Field(default=8, ge=1, le=100)
    """How often a transaction that lost a race or a deadlock is run before the client is told to come again (503)."""
    removed_days: int = Field(default=180, ge=1, le=3650)
    """How long it is remembered that something was deleted. A client that did not sync for longer starts afresh."""
    options: Annotated[
        dict[str, str | int | bool], Allowed("a table of names and values, as the plugin documents them")
    ] = {}
    """Settings of a storage plugin."""


class Auth(Section):
    """Who may log in, and what stands against guessing."""

    type: Annotated[
        str,
        AfterValidator(_auth_type),
        Allowed(", ".join(f'"{name}"' for name in _AUTH_MODULES) + ', or "package.module"'),
    ] = "database"
    """Where passwords are checked. "database": with the hashes that `caldavd user` keeps. The others are Radicale's own
    authentication modules, set up as in Radicale; app passwords work beside all of them."""
    options: Annotated[dict[str, str | int | bool], Allowed("a table of Radicale's [auth] settings")] = {}
    """The settings of the Radicale module, with the names that they have in Radicale's [auth] section, for example
    htpasswd_filename or ldap_uri."""
    create: bool = True
    """Whether somebody whom an outside authentication accepts, and who is not known here, gets an account at once."""
    realm: Annotated[str, _matching(r'[^"\\\x00-\x1f\x7f]{1,200}'), Allowed("a short text without quotes")] = (
        "Calendars"
    )
    """The realm in every 401. Clients keep stored passwords by it: leave it as it is once people are connected."""
    argon2_memory: Annotated[
        ByteSize, Field(ge=8 * 1024, le=4 * 1024**3), Allowed('a size from "8 KiB" to "4 GiB"')
    ] = ByteSize(19 * 1024 * 1024)
    """Memory for one argon2id hash. The three argon2 defaults are a recommendation of OWASP."""
    argon2_time: int = Field(default=2, ge=1, le=100)
    """Passes over that memory for one hash."""
    argon2_parallelism: int = Field(default=1, ge=1, le=64)
    """Lanes of one hash."""
    cache_seconds: int = Field(default=120, ge=0, le=3600)
    """How long a worker remembers that a password was right, so that not every request costs a hash. A changed or
    revoked password of the database stops at once all the same; one of an outside authentication after this time.
    0: not at all."""
    failures_per_user: int = Field(default=20, ge=1, le=100000)
    """Failed logins of one user within failure_seconds after which further ones are refused (429)."""
    failures_per_address: int = Field(default=100, ge=1, le=100000)
    """Failed logins from one network address within failure_seconds after which further ones are refused (429)."""
    failure_seconds: int = Field(default=300, ge=1, le=86400)
    """The length of time in which failed logins are counted."""


class Limits(Section):
    """What one request or one object may cost. Those with a property in RFC 4791 are advertised to clients."""

    max_body_size: Size = ByteSize(20 * 1024 * 1024)
    """The largest request body of any kind. What is larger gets 413 before it is read."""
    max_resource_size: Size = ByteSize(10 * 1024 * 1024)
    """The largest calendar object or file (max-resource-size, RFC 4791 section 5.2.5)."""
    min_date_time: UtcText = "00010101T000000Z"
    """The earliest date that an object may hold (min-date-time, RFC 4791 section 5.2.6)."""
    max_date_time: UtcText = "99991231T235959Z"
    """The latest date that an object may hold (max-date-time, RFC 4791 section 5.2.7)."""
    max_instances: int = Field(default=20000, ge=1, le=1000000)
    """The most instances that a recurring object with an end may have (max-instances, RFC 4791 section 5.2.8).
    One without an end is taken, and answered for where it is asked for."""
    max_attendees_per_instance: int = Field(default=1000, ge=1, le=100000)
    """The most attendees of one instance (max-attendees-per-instance, RFC 4791 section 5.2.9)."""
    max_filter_depth: int = Field(default=8, ge=3, le=100)
    """How deep the filters of a calendar-query may be nested."""
    max_multiget_hrefs: int = Field(default=5000, ge=1, le=50000)
    """The most hrefs in one calendar-multiget."""
    max_search_results: int = Field(default=200, ge=1, le=10000)
    """The most principals that one search tells."""
    max_lock_seconds: int = Field(default=86400, ge=60, le=2592000)
    """The longest time-out of a WebDAV lock; a client that asks for longer gets this."""
    quota: Annotated[ByteSize, Field(ge=0), Allowed('0 for none, or a size such as "500 MiB"')] = ByteSize(0)
    """What one home may hold in sum, where `caldavd user` has set nothing else for it (RFC 4331). 0: no limit."""


class Provisioning(Section):
    """What a new user gets."""

    calendar_name: str = Field(default="Calendar", min_length=1, max_length=200)
    """Display name of a new user's calendar (calendar/)."""
    calendar_color: Colour = "#3A87ADFF"
    """Colour of that calendar."""
    tasks_name: str = Field(default="Tasks", min_length=1, max_length=200)
    """Display name of a new user's task list (tasks/)."""
    tasks_color: Colour = "#F89406FF"
    """Colour of that task list."""
    mail_domain: Annotated[
        str, _matching(r"|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"), Allowed('"" or a domain such as "example.org"')
    ] = ""
    """A new user without an address of its own, and whose name is none, gets NAME@mail_domain. "": no address."""


class Scheduling(Section):
    """Invitations and answers between people here (RFC 6638)."""

    enabled: bool = True
    """Whether the server delivers invitations and answers, and people and rooms have an inbox and an outbox. While it
    is off, calendars hold meetings as they are sent, nobody is told of them, and clients see no inbox and no outbox."""
    most_shown: int = Field(default=1000, ge=0, le=100000)
    """Up to how many attendees of a meeting everybody has the whole list in their copy, with everybody's answer: each
    answer is then written into all copies. In larger meetings each attendee's copy names the organizer, themselves and
    the rooms, and the organizer's has everybody."""


class Rooms(Section):
    """How rooms and resources answer when they are invited. `caldavd room set` has more for each (docs/rooms.md)."""

    policy: Literal["automatic", "accept", "decline", "none"] = "automatic"
    """"automatic": accept while free, decline while busy. "accept" and "decline": always. "none": a person answers."""
    window_days: int = Field(default=730, ge=1, le=3650)
    """How far ahead a room can be booked."""
    beyond: Literal["decline", "cut"] = "decline"
    """What becomes of a booking that reaches beyond that, or never ends: it is declined, or accepted up to there."""
    notice_minutes: int = Field(default=0, ge=0, le=525600)
    """How long before it begins a booking has to be made. Not for administrators, nor are window and capacity."""
    check_capacity: bool = False
    """Whether a room declines a meeting of more people than fit in. If not, capacity is for finding a room only."""
    most_exceptions: int = Field(default=100, ge=0, le=1000)
    """Of a series, a room accepts the times when it is free and declines the others, if so many of them at most are
    answered otherwise than the series. Where it would be more, the whole series is declined."""


class FreeBusy(Section):
    """How fast it is answered who is busy when. Without an index the answer is the same, and takes longer."""

    redis: Annotated[
        str,
        _matching(r"|(redis|rediss|unix|redis\+cluster|rediss\+cluster)://.*"),
        Allowed('"" for none, or "redis://HOST:6379/0", "rediss://…", "unix:///FILE" or "redis+cluster://HOST:6379"'),
    ] = ""
    """Redis, in which all processes and machines of the server keep busy times ready. "": each process keeps them in
    its own memory. Needs the extra "redis". To keep a password out of this file, set CALDAVD_FREEBUSY__REDIS."""
    prefix: Annotated[
        str, _matching(r"[A-Za-z0-9._:-]{1,64}"), Allowed("1 to 64 letters, digits or any of . _ : -")
    ] = "caldavd"
    """What the names of all keys in Redis begin with. Two servers with databases of their own that share a Redis need
    different ones."""
    timeout_milliseconds: int = Field(default=250, ge=10, le=10000)
    """How long Redis may take for an answer before the database is asked instead."""
    pause_seconds: int = Field(default=5, ge=1, le=3600)
    """How long Redis is left alone after it failed twice in a row. Meanwhile the database answers."""
    days_ahead: int = Field(default=366, ge=1, le=3660)
    """How far into the future busy times are kept ready. What lies beyond is computed from the database."""
    days_back: int = Field(default=366, ge=0, le=3660)
    """The same for the past."""


#: What the ranker of `caldavd find-time` considers, and how much each counts.
_WEIGHTS = {
    "preference": 3.0, "hours": 4.0, "fairness": 2.0, "travel": 2.0, "attendance": 2.0, "buffer": 1.5,
    "fragmentation": 1.0, "tentative": 1.0, "room": 1.0, "sooner": 0.5,
}  # fmt: skip
_BETWEEN = " <> "
_DAY = "(Mo|Tu|We|Th|Fr|Sa|Su)"
_TIME = r"(([01]\d|2[0-3]):[0-5]\d|24:00)"
_SHIFT = f"{_DAY}(-{_DAY})? {_TIME}-{_TIME}"


def _weights(value: dict[str, float]) -> dict[str, float]:
    if not value.keys() <= _WEIGHTS.keys() or not all(0 <= one <= 1000 for one in value.values()):
        raise ValueError("is no table of weights")
    return _WEIGHTS | value


def _ways(value: dict[str, float]) -> dict[str, float]:
    if not all(key.count(_BETWEEN) == 1 and 0 <= one <= 1440 for key, one in value.items()):
        raise ValueError("is no table of ways")
    return value


class FindTime(Section):
    """Finding a time for a meeting (docs/find-time.md), by `caldavd find-time` and by XML that is sent to an outbox."""

    working_hours: Annotated[
        str,
        _matching(rf"|{_SHIFT}(, *{_SHIFT})*"),
        Allowed('"" for none, or days and times such as "Mo-Th 09:00-17:00, Fr 09:00-13:00"'),
    ] = "Mo-Fr 09:00-17:00"
    """The working hours, where they are, of people who have stated none in their calendar program. "": people without
    working hours can be met at any time."""
    beyond_hours: bool = True
    """Whether times outside of somebody's working hours are offered where there is none within them."""
    tentative: Literal["busy", "counts against it"] = "busy"
    """Whether a time for which somebody has a tentative appointment is taken, or only worse than a free one."""
    weights: Annotated[
        dict[str, float],
        AfterValidator(_weights),
        Allowed(f"a table of numbers from 0 to 1000 for any of {', '.join(_WEIGHTS)}"),
    ] = {}
    """How much each consideration counts for the score of a time; only their proportions matter, and 0 leaves one out.
    What is not named counts as it does by default: preference 3, hours 4, fairness 2, travel 2, attendance 2, buffer
    1.5, fragmentation 1, tentative 1, room 1, sooner 0.5."""
    buffer_minutes: int = Field(default=10, ge=0, le=240)
    """So long before and after a meeting people like to have nothing."""
    useful_minutes: int = Field(default=60, ge=0, le=1440)
    """A gap between two meetings that is shorter is good for nothing."""
    travel_minutes: Annotated[
        dict[str, float],
        AfterValidator(_ways),
        Allowed('a table of minutes from 0 to 1440 such as { "Harbour <> Castle" = 30 }'),
    ] = {}
    """How long the way is from one place to another, either way. The names are those in LOCATION, and the places of
    rooms. Between other places it is as long as their positions (GEO) and kilometres_an_hour make it."""
    kilometres_an_hour: int = Field(default=30, ge=1, le=1000)
    """How fast people are, as the crow flies, where travel_minutes does not say."""
    learn: Literal["answers", "free-busy", "nothing"] = "answers"
    """What is learned of when people like to meet, by weekday and half of the day: "answers": from what they accepted
    and declined; "free-busy": only from when their meetings lie, which everybody may ask who may ask when they are
    busy; "nothing". Of people whose calendars the asker may not read no name is ever said with it, and the score knows
    no more than that they like such a time, or do not, or nothing in particular."""
    learn_weeks: int = Field(default=4, ge=1, le=26)
    """For how many weeks before now."""
    ranker: Annotated[
        str, _matching(r"|\w+(\.\w+)*:\w+"), Allowed('"" for the one that comes with the server, or "module:function"')
    ] = ""
    """What ranks the possible times instead (docs/find-time.md)."""
    step_minutes: int = Field(default=15, ge=1, le=1440)
    """Meetings begin at multiples of so many minutes on the clock, where the question does not say."""
    slots: int = Field(default=5, ge=1, le=1000)
    """How many times are offered, where the question does not say."""
    max_slots: int = Field(default=20, ge=1, le=1000)
    """The most times that may be asked for."""
    max_people: int = Field(default=100, ge=1, le=1000)
    """The most people of one question, members of groups among them."""
    max_days: int = Field(default=92, ge=1, le=366)
    """The longest time that may be looked in."""


class Mail(Section):
    """Mail to the people in meetings who have no account here (docs/mail.md). There is none without smtp_host."""

    smtp_host: Annotated[
        str, _matching(r"|[A-Za-z0-9._:-]+"), Allowed('"" for no mail, or the name or address of a mail server')
    ] = ""
    """The mail server that takes our mail. Needs address."""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    """Its TCP port: usually 587 with starttls, 465 with tls, 25 with none."""
    security: Literal["none", "starttls", "tls"] = "starttls"
    """How the connection is kept private. "none" is for a server on this machine."""
    ca_file: File = None
    """Certificates that are believed instead of the system's, for a mail server with one of its own making."""
    username: str = Field(default="", max_length=200)
    """The name to log in with. "": without a login."""
    password: str = Field(default="", max_length=200)
    """The password. To keep it out of this file, set CALDAVD_MAIL__PASSWORD."""
    address: Annotated[
        str,
        _matching(r"|[^\s@,;:<>()\[\]\\\"]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"),
        Allowed('a mail address such as "calendar@example.org"'),
    ] = ""
    """The address that mails come from, and that mails which cannot be delivered go back to. The name beside it is that
    of the person who invites, and so is the address for answers."""
    language: Annotated[
        str, _matching(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*"), Allowed('a language tag such as "en" or "de-CH"')
    ] = "en"
    """The language of mails where neither the recipient's nor the sender's is known."""
    timeout_seconds: int = Field(default=30, ge=1, le=60)
    """How long the mail server may take for each answer."""
    retry_hours: int = Field(default=72, ge=1, le=720)
    """How long a mail is tried again that the mail server does not take, or while there is no mail server."""
    link_days: int = Field(default=30, ge=1, le=366)
    """How many days after the end of a meeting the links in its mails still work (accept, decline, propose another
    time). There are links where [server] base_url is set."""
    worker: bool = True
    """Whether `caldavd serve` sends the mail itself. If not, run `caldavd worker` beside it. Several do no harm."""

    @model_validator(mode="after")
    def _from_somebody(self) -> Self:
        if self.smtp_host and not self.address:
            raise ValueError('smtp_host needs address, from which the mail comes: "calendar@example.org"')
        if self.username and self.security == "none" and self.smtp_host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError('a password is not sent in the clear over a network: set security to "starttls" or "tls"')
        return self


#: What a mail address is here: one plain address, as it stands in an envelope.
_MAIL_ADDRESS = r"[^\s@,;:<>()\[\]\\\"]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
_DOMAIN = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"


def _each_matching(pattern: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        if not all(compiled.fullmatch(value) for value in values):
            raise ValueError("does not match")
        return tuple(value.lower() for value in values)

    return AfterValidator(check)


class Incoming(Section):
    """Mail that comes in: answers and invitations from outside (docs/mail.md). `caldavd imip-receive` needs none."""

    reply_address: Annotated[
        str, _matching(r"|" + _MAIL_ADDRESS), Allowed('"" for none, or a mail address such as "calendar@example.org"')
    ] = ""
    """The address that answers to our mails come to, with a signed tag in it (calendar+TAG@example.org), by which they
    find their meeting. The mail server has to bring mail for it, with any tag, to this server. "": answers go to the
    person who invites. At most 17 characters in front of the @."""
    tag_separator: Literal["+", "-", "=", "_", "."] = "+"
    """What stands between reply_address and the tag (recipient_delimiter in Postfix)."""
    bounces: bool = True
    """Whether mails that cannot be delivered come back to a tagged reply_address, too, and the organizer sees that."""
    lmtp: Annotated[
        str,
        _matching(r"|unix:/.+|\[[0-9A-Fa-f:.]+\]:\d{1,5}|[A-Za-z0-9.-]+:\d{1,5}"),
        Allowed('"", "HOST:PORT" such as "127.0.0.1:2424", or "unix:/run/caldavd/lmtp"'),
    ] = ""
    """Where the mail server delivers mail by LMTP, to `caldavd serve` or `caldavd worker`. Only the mail server may
    reach it: whoever can connect is believed to be it."""
    lmtp_mode: Annotated[str, _matching(r"0?[0-7]{3}"), Allowed('a file mode such as "0660"')] = "0660"
    """Who may connect to the socket, where lmtp is one: its file mode."""
    max_mail_size: Size = ByteSize(10 * 1024 * 1024)
    """The largest mail that is taken in."""
    authentication: Literal["require", "no-contradiction", "off"] = "no-contradiction"
    """When a mail is believed to be from whom it says: "require": only if the mail server (authserv_id) says that
    DMARC, DKIM or SPF passed for the domain in From; "no-contradiction": unless it says that they failed; "off":
    always. What is not believed is kept for a look (`caldavd mail held list`)."""
    authserv_id: Annotated[
        str, _matching(r"|[A-Za-z0-9._:-]+"), Allowed('"" or the name in Authentication-Results, "mx.example.org"')
    ] = ""
    """The name that your own mail server writes into Authentication-Results. Only the topmost field counts, and only if
    it has this name; the mail server has to take such fields out of mail that comes from outside."""
    services: Annotated[
        tuple[str, ...],
        _each_matching(_MAIL_ADDRESS + "|" + _DOMAIN),
        Allowed('a list of mail addresses and domains such as ["calendar@example.com", "example.net"]'),
    ] = ()
    """Services that send invitations in the name of their users, so that From is not the organizer. They are believed
    if authserv_id says that the mail is theirs."""
    delegate_domains: Annotated[
        tuple[str, ...], _each_matching(_DOMAIN), Allowed('a list of domains such as ["example.com"]')
    ] = ()
    """Domains in which people may answer and invite in each other's name (SENT-BY): firms, not mail providers."""
    invitations: Literal["calendar", "hold"] = "calendar"
    """What is done with invitations from outside to meetings that are not known yet: "calendar" puts them into the
    invited person's calendar, unanswered; "hold" keeps them for a look."""
    imap_host: Annotated[
        str, _matching(r"|[A-Za-z0-9._:-]+"), Allowed('"" for none, or the name or address of an IMAP server')
    ] = ""
    """An IMAP server that is asked for mail, where the mail server cannot bring it."""
    imap_port: int = Field(default=993, ge=1, le=65535)
    """Its TCP port: usually 993 with tls, 143 with starttls or none."""
    imap_security: Literal["none", "starttls", "tls"] = "tls"
    """How the connection is kept private. "none" is for a server on this machine."""
    imap_ca_file: File = None
    """Certificates that are believed instead of the system's, for an IMAP server with one of its own making."""
    imap_username: str = Field(default="", max_length=200)
    """The name to log in with."""
    imap_password: str = Field(default="", max_length=200)
    """The password. To keep it out of this file, set CALDAVD_INCOMING__IMAP_PASSWORD."""
    imap_folder: str = Field(default="INBOX", min_length=1, max_length=200)
    """The folder that is looked into. It is best a mailbox of its own: each mail in it is marked when it was read."""
    imap_done_folder: str = Field(default="", max_length=200)
    """Where mails are moved when they were taken. "": they stay where they are, marked as read."""
    imap_poll_seconds: int = Field(default=60, ge=5, le=86400)
    """How often it is looked into."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len(self.reply_address.rpartition("@")[0]) > 17:
            raise ValueError("reply_address must have at most 17 characters in front of the @: the tag needs the rest")
        if self.authentication == "require" and not self.authserv_id:
            raise ValueError('authentication = "require" needs authserv_id, whose word counts')
        if self.imap_host and not self.imap_username:
            raise ValueError("imap_host needs imap_username and imap_password")
        if self.imap_security == "none" and self.imap_host not in ("", "localhost", "127.0.0.1", "::1"):
            raise ValueError('a password is not sent in the clear over a network: set imap_security to "tls"')
        return self


class Logging(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object a line for programs."""
    access: bool = True
    """Whether every request is logged with method, path, status, duration and user."""


class Settings(BaseModel):
    """All sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: Server = Server()
    storage: Storage = Storage()
    auth: Auth = Auth()
    limits: Limits = Limits()
    provisioning: Provisioning = Provisioning()
    scheduling: Scheduling = Scheduling()
    rooms: Rooms = Rooms()
    freebusy: FreeBusy = FreeBusy()
    find_time: FindTime = FindTime()
    mail: Mail = Mail()
    incoming: Incoming = Incoming()
    logging: Logging = Logging()

    @property
    def secret_url(self) -> str:
        """``storage.url`` for showing to people: with the password, if there is one, made unreadable."""
        return without_password(self.storage.url)


def without_password(url: str) -> str:
    """A URL for showing to people: with the password, if there is one, made unreadable."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)
