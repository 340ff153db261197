"""The outside suites' own Python environments, below `.conform/` (which git ignores).

They stay apart from the server's because their dependencies disagree with it: python-caldav's HTTP library takes the
place of `urllib3` for `requests` in the same environment. What each holds is in `requirements/<name>.txt`.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parent / ".conform"
TIMEOUT = 900  # seconds for an installation


class InstallError(RuntimeError):
    """An environment could not be made; the text is the last of what the installer printed."""


def environment(name: str) -> Path:
    """The folder of the environment's programs, made or brought up to date when its requirements have changed."""
    requirements = HERE / "requirements" / f"{name}.txt"
    place = FOLDER / name
    stamp = place / "requirements.txt"
    if not stamp.exists() or stamp.read_text("utf-8") != requirements.read_text("utf-8"):
        print(f"Installing {name} into .conform/ …", flush=True)
        carry_out([sys.executable, "-m", "venv", "--clear", str(place)])
        carry_out([str(place / "bin/python"), "-m", "pip", "install", "-q", "-r", str(requirements)])
        stamp.write_text(requirements.read_text("utf-8"), "utf-8")
    return place / "bin"


def version_of(name: str, package: str) -> str:
    """The version of a package in the environment."""
    script = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    done = subprocess.run(
        [environment(name) / "python", "-c", script, package], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def sources(name: str, requirement: str) -> Path:
    """The unpacked source distribution of `requirement` (`name==version`), which holds the tests a wheel leaves out."""
    place = FOLDER / "sources"
    folder = place / requirement.replace("==", "-")
    if not folder.exists():
        place.mkdir(parents=True, exist_ok=True)
        command = [str(environment(name) / "python"), "-m", "pip", "download", "-q", "--no-deps"]
        carry_out([*command, "--no-binary", ":all:", "-d", str(place), requirement])
        with tarfile.open(next(place.glob(f"{folder.name}.tar.gz"))) as archive:
            archive.extractall(place, filter="data")
    return folder


def carry_out(command: list[str]) -> None:
    """Run an installation.

    Raises InstallError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        raise InstallError(f"{' '.join(command[-3:])} failed:\n{(done.stdout + done.stderr)[-2000:]}")
