"""What a process that serves has loaded: what it never needs costs memory in each worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
