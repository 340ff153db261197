"""Every script in ``tests/itip``, played over HTTP."""

from __future__ import annotations

import pytest

from tests.caldavd.itip.stage import Office
from tests.scheduling.itip.script import Script, play
from tests.scheduling.itip.test_scripts import SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=[f"{one.file}-{one.title}" for one in SCRIPTS])
def test_script(script: Script, office: Office) -> None:
    play(script, office)
