"""The Thunderbird process, and running JavaScript in its privileged ("chrome") context over Marionette.

Marionette is the TCP protocol of Mozilla's browsers for tests: `LENGTH:[type, id, name, parameters]`. Nothing but
Thunderbird itself is needed. It runs without a display, with a profile and a home folder of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, BinaryIO, cast

HERE = Path(__file__).parent
# Debian's /usr/bin/thunderbird is a wrapper script that does not pass our folder on.
BINARY = Path("/usr/lib/thunderbird/thunderbird")
START = 90.0  # seconds until Marionette listens
SCRIPT = 120_000  # milliseconds for one script
END = 20.0  # seconds to quit

PREFERENCES: dict[str, str | int | bool] = {
    "marionette.port": 0,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.spotlight.firstRunDone": True,
    "mail.rights.version": 1,
    "mailnews.start_page.enabled": False,
    "mail.shell.checkDefaultClient": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "extensions.update.enabled": False,
    "calendar.timezone.useSystemTimezone": False,
    "calendar.timezone.local": "Europe/Berlin",
    "calendar.alarms.show": False,
    "calendar.alarms.playsound": False,
    "calendar.loglevel": "Debug",
    "devtools.console.stdout.chrome": True,
    "network.proxy.type": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "signon.rememberSignons": True,  # works without a display with the empty master password
}


class ApplicationError(RuntimeError):
    """Thunderbird did not start, or ended, or a script failed in it."""


def binary() -> Path | None:
    """The program, if it is installed."""
    if BINARY.exists():
        return BINARY
    found = shutil.which("thunderbird")
    return Path(found) if found else None


class Thunderbird:
    """One profile; `start` may be called again after `quit`."""

    def __init__(self, profile: Path) -> None:
        self.profile = profile
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: socket.socket | None = None
        self.stream: BinaryIO | None = None
        self.number = 0
        self.prelude = (HERE / "prelude.js").read_text("utf-8")

    def start(self) -> None:
        """Start it and wait until its calendar window is ready.

        Raises ApplicationError.
        """
        program = binary()
        if not program:
            raise ApplicationError("Thunderbird is not installed.")
        home = self.profile / "home"
        home.mkdir(parents=True, exist_ok=True)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (self.profile / "user.js").write_text("".join(lines), "utf-8")
        port_file = self.profile / "MarionetteActivePort"
        port_file.unlink(missing_ok=True)
        variables = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        with (self.profile / "thunderbird.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(program, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote"),
                    *("--profile", self.profile),
                ],
                env={**variables, "HOME": str(home), "MOZ_HEADLESS": "1", "MOZ_CRASHREPORTER_DISABLE": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.connect(self.port(port_file))
        self.command("WebDriver:NewSession", {})
        self.command("Marionette:SetContext", {"value": "chrome"})
        self.command("WebDriver:SetTimeouts", {"script": SCRIPT})
        self.script(
            "await until('calendar window', () => win && win.doTransaction && "
            "win.document.readyState == 'complete', 30000); await sleep(500)"
        )

    def port(self, port_file: Path) -> int:
        """Wait for the file that says where Marionette listens."""
        end = time.monotonic() + START
        while not (port_file.exists() and port_file.read_text().strip()):
            if self.process and self.process.poll() is not None:
                raise ApplicationError(f"Thunderbird ended with {self.process.returncode}.")
            if time.monotonic() > end:
                raise ApplicationError(f"Marionette did not listen within {START:.0f} seconds.")
            time.sleep(0.1)
        return int(port_file.read_text())

    def connect(self, port: int) -> None:
        """Open the connection; Marionette introduces itself first."""
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.stream = cast("BinaryIO", self.connection.makefile("rb"))
        self.number = 0
        self.receive()

    def receive(self) -> Any:
        """The next message."""
        if not self.stream:
            raise ApplicationError("Thunderbird does not run.")
        digits = b""
        while (byte := self.stream.read(1)) != b":":
            if not byte:
                raise ApplicationError("Thunderbird closed the connection.")
            digits += byte
        return json.loads(self.stream.read(int(digits)))

    def command(self, name: str, parameters: dict[str, object]) -> Any:
        """Send a command; its result.

        Raises ApplicationError: Marionette says that it failed.
        """
        self.number += 1
        message = json.dumps([0, self.number, name, parameters]).encode()
        if not self.connection:
            raise ApplicationError("Thunderbird does not run.")
        self.connection.sendall(b"%d:" % len(message) + message)
        _, _, error, result = self.receive()
        if error:
            raise ApplicationError(f"{name}: {error.get('error')}: {error.get('message')}")
        return result

    def script(self, source: str, *arguments: object) -> Any:
        """Run the body of an async function (its arguments are `a`) after the prelude; what it returns.

        Raises ApplicationError: it threw, or a modal dialog opened, which Marionette dismisses.
        """
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            "const a = Array.prototype.slice.call(arguments, 0, -1);"
            f"(async () => {{{self.prelude}{source}\n}})().then("
            "v => done({v: v === undefined ? null : v}),"
            "e => done({e: String(e && e.message || e) + '\\n' + (e && e.stack || '')}));"
        )
        parameters: dict[str, object] = {"script": wrapped, "args": list(arguments)}
        parameters |= {"newSandbox": False, "sandbox": "system"}
        value = self.command("WebDriver:ExecuteAsyncScript", parameters)["value"]
        if value is None:
            raise ApplicationError("A modal dialog opened (a password prompt?), and Marionette dismissed it.")
        if "e" in value:
            raise ApplicationError(value["e"])
        return value["v"]

    def file(self, name: str, *arguments: object) -> Any:
        """Run a script of this folder."""
        return self.script((HERE / name).read_text("utf-8"), *arguments)

    def quit(self) -> None:
        """End it as a user does, so that its cache and passwords are kept; by signal when it does not listen."""
        if not self.process or self.process.poll() is not None:
            return
        try:
            self.command("Marionette:Quit", {"flags": ["eForceQuit"]})
        except (ApplicationError, OSError) as error:
            print(f"     (Thunderbird did not take the command to quit: {error})", flush=True)
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign:
                os.killpg(self.process.pid, sign)  # the session that `start` made
            try:
                self.process.wait(END)
                break
            except subprocess.TimeoutExpired:
                continue
        if self.connection:
            self.connection.close()
