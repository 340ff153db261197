"""Zones as text: what is written for a name is read as the same zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from scheduling.ical.lines import parse
from scheduling.ical.timezones import zone_of
from scheduling.ical.zone_text import definition, name_in


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
def test_a_definition_says_what_the_name_says(name: str) -> None:
    zone = zone_of(parse(definition(name).encode()))
    for month in range(1, 13):
        for year in (1975, 2001, 2026, 2037):
            moment = dt.datetime(year, month, 15, 12, tzinfo=ZoneInfo(name))
            local = int(moment.replace(tzinfo=dt.UTC).timestamp())
            assert zone.to_instant(local) == int(moment.timestamp()), moment


def test_the_name_in_a_definition() -> None:
    assert name_in(definition("Europe/Berlin")) == "Europe/Berlin"


def test_no_such_zone() -> None:
    with pytest.raises(ValueError, match="Shire"):
        definition("Middle-earth/Shire")
