"""Authentication outside, by Radicale's own modules: htpasswd, ldap, imap, pam, dovecot, oauth2, a proxy's header.

The module is loaded from a Radicale configuration that is built from ``[auth] options``. What is added here: it cannot
hold up the server (a bound on how many checks run at once and on how long one may take, and Radicale's sleep after a
failure is done without occupying a place), a directory that is down is told from a wrong password, and a header with
a user name counts only from a trusted proxy.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import radicale.auth
import radicale.config

from caldavd.auth.answers import SetupError, Unavailable
from caldavd.auth.slots import Slots

log = logging.getLogger("caldavd.auth")

#: Untyped, though it says that it is typed.
_RADICALE: Final[Any] = radicale.auth

#: What sleeps in Radicale's ``login`` after a failure (3.5 to 3.9). The sleep grows with the slowest failure ever seen.
_SLEEP: Final = "_sleep_for_constant_exec_time"
#: The threads in which modules check logins.
_THREAD: Final = "login"
#: The longest that a failed login is drawn out, in seconds.
_LONGEST_DELAY: Final = 1.0
#: Where the user name comes from the WSGI server itself, which no client can imitate.
_FROM_THE_SERVER: Final = "remote_user"
#: Modules that do nothing but read the name from the environment: their ``login`` accepts everybody.
_TOLD_ONLY: Final = frozenset({"remote_user", "http_remote_user", "http_x_remote_user"})


class External:
    """One of Radicale's authentication modules.

    ``kind`` is Radicale's ``[auth] type`` (or ``package.module``), ``options`` the rest of its ``[auth]`` section.
    ``trusted`` says of the address of the *peer* whether it is a proxy that may tell a user's name. ``at_once`` checks
    may run at the same time, each for at most ``seconds``; another one waits for ``patience`` seconds.

    Raises:
        SetupError: the module cannot be loaded, or does not take these options.
    """

    def __init__(
        self,
        kind: str,
        options: Mapping[str, str | int | bool],
        *,
        trusted: Callable[[str], bool],
        at_once: int = 8,
        patience: float = 5.0,
        seconds: float = 20.0,
    ) -> None:
        self._kind = kind
        self._trusted = trusted
        self._seconds = seconds
        self._slots = Slots(at_once, patience=patience)
        self._slowest = 0.0
        self._configuration = _configuration(kind, options)
        try:
            self._module: Any = _RADICALE.load(self._configuration)
        except (ImportError, OSError, RuntimeError, ValueError, KeyError) as error:
            raise SetupError(f"[auth] type = {kind!r} cannot be set up: {error}") from error
        logging.getLogger("radicale").addFilter(_names_nobody)
        # The delay is kept, but after the slot was given back: see _even_out.
        setattr(self._module, _SLEEP, lambda _begin: None)
        #: Modules that take the name from the environment accept every password: they must not be asked with one.
        self.takes_passwords = not self._module.get_external_login({})

    def name_of(self, login: str) -> str:
        """The user name that a login stands for, as far as it can be told without asking the module.

        Radicale's options ``lc_username``, ``uc_username``, ``urldecode_username`` and ``strip_domain``, in its order.
        """
        option = self._option
        if option("lc_username"):
            login = login.lower()
        if option("uc_username"):
            login = login.upper()
        if option("urldecode_username"):
            login = unquote(login)
        return login.split("@")[0] if option("strip_domain") else login

    def told(self, environ: Mapping[str, object], *, remote_address: str) -> str | None:
        """The user whom the server or a trusted proxy has authenticated; ``None`` where there is none.

        ``environ`` is the request's WSGI environment as the server made it: ``REMOTE_ADDR`` is the peer, not the
        client behind the proxy.
        """
        told = self._module.get_external_login(environ)
        login, password = told or ("", "")
        if not login:
            return None
        peer = str(environ.get("REMOTE_ADDR") or "")
        if self._kind != _FROM_THE_SERVER and not self._trusted(peer):
            log.warning(
                "A user name in a header was ignored: %s is not among [server] trusted_proxies.", peer or "the peer"
            )
            return None
        if self._kind in _TOLD_ONLY:
            return self.name_of(_text(login))
        return self._ask(_text(login), password or "", remote_address)

    def check(self, login: str, password: str, *, remote_address: str) -> str | None:
        """The user name of whoever has this login and password; ``None`` where they do not fit.

        Raises:
            Unavailable: whoever has to say so does not answer.
        """
        if not self.takes_passwords:
            return None
        begin = time.monotonic()
        name = self._ask(login, password, remote_address)
        if name is None:
            self._probe()
            self._even_out(begin)
        return name

    def _ask(self, login: str, password: str, remote_address: str) -> str | None:
        """``login`` in a thread of its own: some modules have no time-out, and would keep a request's thread."""
        context = _RADICALE.AuthContext()
        context.remote_addr = context.x_remote_addr = remote_address
        answer: Future[str] = Future()

        def run() -> None:
            try:
                answer.set_result(self._module.login(login, password, context)[0])
            except Exception as error:  # noqa: BLE001  a module may raise anything; it is judged where it is waited for
                answer.set_exception(error)
            finally:
                self._slots.give_back()

        self._slots.take()
        try:
            threading.Thread(target=run, name=_THREAD, daemon=True).start()
        except RuntimeError as error:
            self._slots.give_back()
            raise Unavailable("No thread could be started to check the login.") from error
        try:
            return answer.result(self._seconds) or None
        except UnicodeError:
            # Protocols that take ASCII only. The error would quote a character of the password: it is not logged.
            return None
        except Exception as error:
            # No traceback: it ends with the error's own text, which may quote what was sent.
            # Only the kinds of errors whose text comes from a server or the system are quoted.
            text = str(error) if isinstance(error, (OSError, RuntimeError)) else ""
            log.error("Authentication by %s does not work: %s %s", self._kind, type(error).__name__, text)  # noqa: TRY400
            raise Unavailable("The server's directory of users does not answer: try again later.") from error

    def _probe(self) -> None:
        """Radicale's modules take a server that is down for a wrong password: look whether it is there."""
        find = _ADDRESSES.get(self._kind)
        address = find(self._option) if find else None
        if address is None:
            return
        try:
            if isinstance(address, str):
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(3)
                    connection.connect(address)
            else:
                socket.create_connection(address, timeout=3).close()
        except OSError as error:
            log.error("Authentication by %s: %s cannot be reached: %s", self._kind, address, error)  # noqa: TRY400
            raise Unavailable("The server's directory of users does not answer: try again later.") from error

    def _even_out(self, begin: float) -> None:
        """Makes failures last equally long, known user or not, as Radicale's sleep does; up to ``_LONGEST_DELAY``."""
        took = time.monotonic() - begin
        self._slowest = max(self._slowest, min(took, _LONGEST_DELAY))
        time.sleep(max(0.0, self._slowest - took))

    def _option(self, name: str) -> Any:
        return self._configuration.get("auth", name)


Option = Callable[[str], Any]


def _imap(option: Option) -> tuple[str, int]:
    host, port = option("imap_host")
    return host, port or (993 if option("imap_security") == "tls" else 143)


def _dovecot(option: Option) -> tuple[str, int] | str:
    if option("dovecot_connection_type") == "AF_UNIX":
        return str(option("dovecot_socket"))
    return option("dovecot_host"), option("dovecot_port")


def _url(option: Option, *, name: str, ports: Mapping[str, int]) -> tuple[str, int] | None:
    parts = urlsplit(option(name))
    port = parts.port or ports.get(parts.scheme)
    return (parts.hostname, port) if parts.hostname and port else None


#: Where the server of each module listens: host and port, or a Unix socket; ``None``: not to be said.
_ADDRESSES: Final[Mapping[str, Callable[[Option], tuple[str, int] | str | None]]] = {
    "imap": _imap,
    "dovecot": _dovecot,
    "ldap": lambda option: _url(option, name="ldap_uri", ports={"ldap": 389, "ldaps": 636}),
    "oauth2": lambda option: _url(option, name="oauth2_token_endpoint", ports={"http": 80, "https": 443}),
}


def _names_nobody(record: logging.LogRecord) -> bool:
    """Keeps what modules say of each login out of the log: it holds the name that was typed, maybe a password."""
    return record.threadName != _THREAD or record.levelno >= logging.ERROR


def _configuration(kind: str, options: Mapping[str, str | int | bool]) -> Any:
    section: dict[str, Any] = {
        name: value if isinstance(value, bool) else str(value) for name, value in options.items() if name != "type"
    }
    configuration = radicale.config.load()
    try:
        configuration.update({"auth": {"type": kind, **section}}, "[auth] options")
    except (RuntimeError, ValueError) as error:
        raise SetupError(f"{error}.") from error
    return configuration


def _text(value: str) -> str:
    """A header's value: WSGI gives octets as latin-1 (PEP 3333), proxies write UTF-8."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value
