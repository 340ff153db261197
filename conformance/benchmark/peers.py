"""The servers: how each is installed, started in a fresh folder, and where its calendars are.

Each runs in the way that its own documentation recommends for production, on the loopback interface, with logins on
wherever the server has any. One that cannot be had is named with the reason (``Missing``). A new peer is a new row of
``PEERS``.
"""

from __future__ import annotations

import getpass
import imaplib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conformance import server
from conformance.benchmark import events
from conformance.benchmark.wire import Connection, Login, WrongAnswer
from conformance.environments import InstallError, environment, version_of

#: Who is asked about in the free/busy workload: the fixed accounts of ``conformance.server``.
PEOPLE: Final = tuple([f"user{n:02}" for n in range(1, 41)] + [f"location{n:02}" for n in range(1, 11)])
_CALENDAR: Final = "bench"
_START_SECONDS: Final = 60


class Missing(Exception):
    """The server cannot be had here; the text says why, and what to install."""


@dataclass(slots=True)
class Running:
    """A server that answers.

    ``calendar`` is the path of the calendar that is filled, ``pid`` the process that all of its processes come from.
    ``can``: "sync" (sync-collection) and "scheduling" (free/busy through the outbox); the latter with ``outbox`` and
    ``people`` (calendar user addresses). ``config`` are the settings of a caldavd, for its commands.
    """

    name: str
    login: Login
    calendar: str
    pid: int
    can: frozenset[str] = frozenset({"sync"})
    outbox: str = ""
    people: Sequence[str] = ()
    config: Path | None = None

    def make_calendar(self, connection: Connection) -> None:
        """MKCALENDAR. Raises WrongAnswer."""
        answer = connection.ask(self.login.request("MKCALENDAR", self.calendar, Content_Length="0"))
        if answer.status != 201:
            raise WrongAnswer(f"MKCALENDAR: {answer.status} {answer.body[:200]!r}")

    def memory(self) -> int:
        """The resident memory of the largest of its processes, bytes."""
        return max((_resident(pid) for pid in _tree(self.pid)), default=0)

    def forget_peak(self) -> None:
        """From now on ``peak`` counts."""
        for pid in _tree(self.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")

    def peak(self) -> int:
        """The most resident memory that any of its processes has had since ``forget_peak``, bytes."""
        return max((_most_resident(pid) for pid in _tree(self.pid)), default=0)

    def cpu(self) -> float:
        """The CPU that all of its processes have taken so far, seconds."""
        # The clock of another process, as clock_getcpuclockid(3) makes it: times(2) and /proc count in steps of 10 ms.
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in _tree(self.pid))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return
    for child in children:
        yield from _tree(int(child))


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _most_resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


# --- caldavd ---------------------------------------------------------------------------------------------------------


@contextmanager
def caldavd(workers: int = 0, *, database: str = "", busy: bool = True) -> Iterator[Running]:
    """This server with durable writes, with so many workers (0: one for each core).

    ``database`` is an SQLAlchemy URL (default: SQLite); ``busy``: whether ``PEOPLE`` have meetings.
    """
    with server.start(workers=workers or _workers(), database=database) as running:
        port = int(running.url.rsplit(":", 1)[1].strip("/"))
        home = "/calendars/user01/"
        found = Running(
            "caldavd",
            Login(port, "user01", "user01"),
            f"{home}{_CALENDAR}/",
            running.process.pid,
            frozenset({"sync", "scheduling"}),
            f"{home}outbox/",
            [f"mailto:{name}@example.com" for name in PEOPLE],
            running.config,
        )
        if busy:
            _fill_people([(Login(port, name, name), f"/calendars/{name}/calendar/") for name in PEOPLE])
        yield found


def _workers() -> int:
    return max(1, (os.cpu_count() or 1))


def _fill_people(places: Sequence[tuple[Login, str]]) -> None:
    """Twenty meetings in the month that is asked about, for everybody."""
    for login, calendar in places:
        connection = Connection(login.port)
        for number in range(20):
            body = events.event(3, 10**6).replace(b"000003@bench", f"{login.user}-{number}@bench".encode())
            body = body.replace(b":20250101T", f":202606{1 + number:02}T".encode())
            request = login.request("PUT", f"{calendar}{number}.ics", body, Content_Type="text/calendar; charset=utf-8")
            answer = connection.ask(request)
            if answer.status != 201:
                raise WrongAnswer(f"PUT for {login.user}: {answer.status} {answer.body[:200]!r}")
        connection.close()


# --- Python peers ----------------------------------------------------------------------------------------------------


def _installed(name: str) -> Path:
    try:
        return environment(name)
    except InstallError as error:
        raise Missing(str(error)) from error


@contextmanager
def radicale() -> Iterator[Running]:
    """Radicale under gunicorn with threads (its documentation names gunicorn), with its cache of logins."""
    programs = _installed("radicale")
    port = server.free_port()
    with _folder("radicale") as folder:
        (folder / "users").write_text("user01:user01\n", "utf-8")
        (folder / "config").write_text(
            f"[auth]\ntype = htpasswd\nhtpasswd_filename = {folder}/users\nhtpasswd_encryption = plain\n"
            f"cache_logins = True\n[storage]\nfilesystem_folder = {folder}/collections\n[logging]\nlevel = error\n",
            "utf-8",
        )
        command = [str(programs / "gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", str(_workers())]
        command += ["--worker-class", "gthread", "--threads", "8", "--keep-alive", "60", "--log-level", "error"]
        command += ["--env", f"RADICALE_CONFIG={folder}/config", "radicale"]
        with running(command, folder, port) as pid:
            found = version_of("radicale", "Radicale")
            yield Running(f"Radicale {found}", Login(port, "user01", "user01"), f"/user01/{_CALENDAR}/", pid)


@contextmanager
def xandikos() -> Iterator[Running]:
    """Xandikos' own server; it has no logins (a proxy in front is to do that)."""
    programs = _installed("xandikos")
    port = server.free_port()
    with _folder("xandikos") as folder:
        command = [str(programs / "xandikos"), "serve", "--directory", str(folder / "dav"), "--defaults"]
        command += ["--listen-address", "127.0.0.1", "--port", str(port), "--current-user-principal", "/user01/"]
        with running(command, folder, port) as pid:
            found = version_of("xandikos", "xandikos")
            login = Login(port, "user01", "user01")
            yield Running(f"Xandikos {found}", login, f"/user01/calendars/{_CALENDAR}/", pid)


# --- Cyrus -----------------------------------------------------------------------------------------------------------

_CYRUS: Final = Path("/usr/lib/cyrus/bin")
_CYRUS_CONFIG: Final = """\
configdirectory: {folder}/conf
partition-default: {folder}/spool
defaultpartition: default
admins: cyrus
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/sasldb2
sasl_mech_list: PLAIN LOGIN
allowplaintext: yes
httpmodules: caldav
calendar_user_address_set: example.com
unixhierarchysep: yes
altnamespace: yes
servername: localhost
"""
_CYRUS_SERVICES: Final = """\
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {folder}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {folder}/imapd.conf" listen="127.0.0.1:{imap}" prefork=0
  http cmd="{bin}/httpd -C {folder}/imapd.conf" listen="127.0.0.1:{http}" prefork=2
}}
EVENTS {{
}}
"""


@contextmanager
def cyrus() -> Iterator[Running]:
    """Cyrus IMAP's CalDAV server from Debian's packages, with its own master process."""
    packages = "cyrus-imapd cyrus-caldav sasl2-bin libsasl2-modules libsasl2-modules-db"
    needed = (_CYRUS / "master", _CYRUS / "httpd", _CYRUS / "imapd", Path("/usr/sbin/saslpasswd2"))
    if not all(path.exists() for path in needed):
        raise Missing(f"apt-get install --no-install-recommends {packages}")
    if getpass.getuser() != "root":
        raise Missing("its master process is started as root, which then becomes the user cyrus")
    http, imap = server.free_port(), server.free_port()
    with _folder("cyrus") as folder:
        for name in ("db", "socket", "log", "msg", "proc", "lock", "quota", "user"):
            (folder / "conf" / name).mkdir(parents=True)
        (folder / "spool").mkdir()
        (folder / "imapd.conf").write_text(_CYRUS_CONFIG.format(folder=folder), "utf-8")
        services = _CYRUS_SERVICES.format(folder=folder, bin=_CYRUS, imap=imap, http=http)
        (folder / "cyrus.conf").write_text(services, "utf-8")
        for name in ("cyrus", *PEOPLE):
            command = ["/usr/sbin/saslpasswd2", "-p", "-c", "-f", str(folder / "sasldb2"), "-u", "localhost", name]
            subprocess.run(command, input=name.encode(), check=True, capture_output=True)
        subprocess.run(["/bin/chown", "-R", "cyrus:mail", str(folder)], check=True)
        folder.chmod(0o755)
        command = [str(_CYRUS / "master"), "-C", str(folder / "imapd.conf"), "-M", str(folder / "cyrus.conf")]
        with running([*command, "-p", str(folder / "master.pid")], folder, http) as pid:
            with imaplib.IMAP4("127.0.0.1", imap) as admin:
                admin.login("cyrus", "cyrus")
                for name in PEOPLE:
                    admin.create(f"user/{name}")
            home = "/dav/calendars/user/user01/"
            _fill_people([(Login(http, name, name), f"/dav/calendars/user/{name}/Default/") for name in PEOPLE])
            yield Running(
                f"Cyrus {_cyrus_version()}",
                Login(http, "user01", "user01"),
                f"{home}{_CALENDAR}/",
                pid,
                frozenset({"sync", "scheduling"}),
                f"{home}Outbox/",
                [f"mailto:{name}@example.com" for name in PEOPLE],
            )


def _cyrus_version() -> str:
    done = subprocess.run([_CYRUS / "cyr_buildinfo"], capture_output=True, text=True, check=False)
    return next((line.split()[1].partition("-")[0] for line in done.stdout.splitlines() if line[:7] == "version"), "3")


# --- sabre/dav -------------------------------------------------------------------------------------------------------


_PHP: Final = """\
<?php
error_reporting(E_ERROR | E_PARSE);  // this version is older than this PHP, which deprecates what it does
date_default_timezone_set('UTC');
require_once 'Sabre/autoload.php';
class Logins extends \\Sabre\\DAV\\Auth\\Backend\\AbstractBasic {{
    protected function validateUserPass($username, $password) {{ return $username === $password; }}
}}
$pdo = new \\PDO('sqlite:{folder}/db.sqlite');
$pdo->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$principals = new \\Sabre\\DAVACL\\PrincipalBackend\\PDO($pdo);
$server = new \\Sabre\\DAV\\Server([
    new \\Sabre\\CalDAV\\Principal\\Collection($principals),
    new \\Sabre\\CalDAV\\CalendarRootNode($principals, new \\Sabre\\CalDAV\\Backend\\PDO($pdo)),
]);
$server->setBaseUri('/');
$server->addPlugin(new \\Sabre\\DAV\\Auth\\Plugin(new Logins(), 'bench'));
$server->addPlugin(new \\Sabre\\DAVACL\\Plugin());
$server->addPlugin(new \\Sabre\\CalDAV\\Plugin());
$server->exec();
"""
_FPM: Final = """\
[global]
error_log = {folder}/fpm.log
daemonize = no
[www]
user = {user}
group = {group}
listen = 127.0.0.1:{fpm}
pm = static
pm.max_children = 8
"""
_NGINX: Final = """\
daemon off;
user {user} {group};
worker_processes 1;
error_log {folder}/nginx.log;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 50m;
        client_body_temp_path {folder}/body;
        fastcgi_temp_path {folder}/fastcgi;
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME {folder}/server.php;
            fastcgi_param SCRIPT_NAME "";
            fastcgi_keep_conn on;
            fastcgi_pass 127.0.0.1:{fpm};
        }}
    }}
}}
"""
_SABRE: Final = Path("/usr/share/php/Sabre")
_SABRE_SQL: Final = Path("/usr/share/doc/php-sabre-dav/examples/sql")


@contextmanager
def sabre() -> Iterator[Running]:
    """sabre/dav as Debian packages it (an old version without sync-collection): nginx, PHP-FPM with opcache, SQLite."""
    fpm = next(iter(sorted(Path("/usr/sbin").glob("php-fpm*"), reverse=True)), None)
    if fpm is None or not _SABRE.exists() or shutil.which("nginx", path="/usr/sbin") is None:
        packages = "php-sabre-dav php-fpm php-sqlite3 php-xml php-mbstring nginx-light"
        raise Missing(f"apt-get install --no-install-recommends {packages}")
    port, fpm_port = server.free_port(), server.free_port()
    with _folder("sabre") as folder:
        user, group = ("www-data", "www-data") if getpass.getuser() == "root" else (getpass.getuser(),) * 2
        words = {"folder": folder, "user": user, "group": group, "port": port, "fpm": fpm_port}
        for name, text in (("server.php", _PHP), ("fpm.conf", _FPM), ("nginx.conf", _NGINX)):
            (folder / name).write_text(text.format(**words), "utf-8")
        with sqlite3.connect(folder / "db.sqlite") as database:
            for name in ("calendars", "locks", "principals", "users"):
                database.executescript((_SABRE_SQL / f"sqlite.{name}.sql").read_text("utf-8"))
            database.execute("INSERT INTO principals (uri, email, displayname) VALUES ('principals/user01', '', '')")
        folder.chmod(0o755)
        if user == "www-data":
            subprocess.run(["/bin/chown", "-R", f"{user}:{group}", str(folder)], check=True)
        nginx = ["/usr/sbin/nginx", "-c", str(folder / "nginx.conf")]
        with (
            running([str(fpm), "-F", "-y", str(folder / "fpm.conf")], folder, fpm_port),
            running(nginx, folder, port) as pid,
        ):
            yield Running(
                f"sabre/dav {_sabre_version()}",
                Login(port, "user01", "user01"),
                f"/calendars/user01/{_CALENDAR}/",
                pid,
                frozenset(),
            )


def _sabre_version() -> str:
    found = re.search(r"VERSION = '([\d.]+)'", (_SABRE / "DAV/Version.php").read_text("utf-8"))
    return found.group(1) if found else ""


# --- processes -------------------------------------------------------------------------------------------------------


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"caldavd-bench-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(command: Sequence[str], folder: Path, port: int) -> Iterator[int]:
    """Runs a server in a process group of its own until the block ends. Raises Missing where it does not answer."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"it did not start: {log.read_text('utf-8', 'replace')[-500:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(10)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


#: By the name that chooses them on the command line; the first is the one that is compared with the others.
PEERS: Final[Mapping[str, Callable[[], AbstractContextManager[Running]]]] = {
    "caldavd": caldavd,
    "radicale": radicale,
    "xandikos": xandikos,
    "cyrus": cyrus,
    "sabre": sabre,
}
