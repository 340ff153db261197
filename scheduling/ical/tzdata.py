"""Which version of the IANA time zone database this process reads: part of what an index was computed from."""

from __future__ import annotations

import zoneinfo
from functools import cache
from importlib import import_module
from pathlib import Path


@cache
def tzdata_version() -> str:
    """As "2026a": of the files of the machine, else of the ``tzdata`` package; empty where neither says.

    Read once: ``zoneinfo`` keeps a zone as it was when it was first asked for, too.
    """
    for folder in zoneinfo.TZPATH:
        for name in ("tzdata.zi", "+VERSION"):
            try:
                with (Path(folder) / name).open(encoding="ascii", errors="replace") as file:
                    return file.readline().removeprefix("# version ").strip()
            except OSError:
                continue
    try:
        return str(getattr(import_module("tzdata"), "IANA_VERSION", ""))
    except ModuleNotFoundError:
        return ""
