"""What a process that serves has loaded: what it never needs costs memory in each worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Of the command line, of the tests, of other logins; and what is loaded when somebody first needs it.
_NOT_NEEDED = ("alembic", "icalendar", "ldap3", "mako", "numpy", "radicale", "recurring_ical_events", "vobject")

_PROGRAM = """
import sys
from caldavd import wsgi
application = wsgi.application
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_a_worker_loads_only_what_it_needs(tmp_path: Path, template: Path) -> None:
    (tmp_path / "caldavd.toml").write_text(f'[storage]\nurl = "sqlite:///{template}"\n', "utf-8")
    environment = {**os.environ, "CALDAVD_CONFIG": str(tmp_path / "caldavd.toml")}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.split()
    assert "sqlalchemy" in loaded
    assert not set(loaded) & set(_NOT_NEEDED)


_FORKING = """
import os
from caldavd import wsgi
folder = os.environ["DATABASE_FOLDER"]
store = wsgi.application.store
def opened():
    found = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return [path for path in found if os.path.exists(path) and os.readlink(path).startswith(folder)]
print(len(opened()))
store.run(lambda tx: tx.principals.all(limit=1), write=False)
print(len(opened()))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are looked up in /proc")
def test_no_connection_is_open_where_a_server_may_fork(tmp_path: Path, template: Path) -> None:
    """As ``gunicorn --preload`` does: two processes on one connection get each other's answers."""
    (tmp_path / "caldavd.toml").write_text(f'[storage]\nurl = "sqlite:///{template}"\n', "utf-8")
    folder = {"CALDAVD_CONFIG": str(tmp_path / "caldavd.toml"), "DATABASE_FOLDER": str(template.parent.resolve())}
    done = subprocess.run(
        [sys.executable, "-c", _FORKING], env={**os.environ, **folder}, capture_output=True, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert before == 0
    assert after > 0
