"""LMTP in `caldavd serve` and `caldavd worker`: one of all their processes listens, and a mail becomes a meeting."""

from __future__ import annotations

import signal
import smtplib
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.caldavd.cli.processes import Serve, ends_well, worker
from tests.caldavd.imip.scene import CARL, itip


def invitation(to: str) -> bytes:
    body = f"ORGANIZER:mailto:{CARL}\r\nATTENDEE;RSVP=TRUE:mailto:{to}\r\nSUMMARY:Lunch\r\n"
    return itip("REQUEST", body, author=CARL, uid="lunch")


def delivered(path: Path, raw: bytes, recipient: str) -> dict[str, tuple[int, bytes]]:
    """What LMTP said of those who were refused; waits until somebody listens."""
    limit = time.monotonic() + 40
    while True:
        try:
            with smtplib.LMTP(str(path)) as client:
                return client.sendmail("x@else.example", [recipient], raw)
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < limit
            time.sleep(0.1)


def meetings(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "caldavd.db")) as connection:
        found: int = connection.execute("SELECT count(*) FROM objects WHERE uid = 'lunch'").fetchone()[0]
    return found


def test_serve_takes_mails_in(serve: Serve, tmp_path: Path) -> None:
    place = tmp_path / "lmtp"
    served = serve(
        "--first-run",
        CALDAVD_SERVER__WORKERS="2",
        CALDAVD_PROVISIONING__MAIL_DOMAIN="here.example",
        CALDAVD_INCOMING__LMTP=f"unix:{place}",
    ).ready()
    name, _ = served.login()
    assert delivered(place, invitation(f"{name}@here.example"), f"{name}@here.example") == {}
    assert meetings(tmp_path) == 1
    served.process.send_signal(signal.SIGTERM)
    assert served.ended() == 0
    assert "Traceback" not in served.output
    assert served.output.count("LMTP: listening at") == 1, "one of the two processes"


def test_a_worker_takes_mails_in_and_another_one_takes_over_when_it_is_killed(serve: Serve, tmp_path: Path) -> None:
    served = serve("--first-run", CALDAVD_PROVISIONING__MAIL_DOMAIN="here.example").ready()
    name, _ = served.login()
    place = tmp_path / "lmtp"
    address = f"{name}@here.example"
    with worker(tmp_path, CALDAVD_INCOMING__LMTP=f"unix:{place}") as first:
        assert delivered(place, invitation(address), address) == {}
        with worker(tmp_path, CALDAVD_INCOMING__LMTP=f"unix:{place}") as second:
            first.kill()
            first.wait(20)
            assert delivered(place, invitation(address), address) == {}, "the same mail again"
            ends_well(second)
    assert meetings(tmp_path) == 1
