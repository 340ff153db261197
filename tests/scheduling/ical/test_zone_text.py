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


@pytest.mark.parametrize(
    "name",
    ["Europe/Berlin", "America/New_York", "Australia/Sydney", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Tehran",
     "Europe/Dublin", "Pacific/Apia", "Australia/Lord_Howe", "Antarctica/Troll"],
)  # fmt: skip
def test_the_clock_changes_when_it_does(name: str) -> None:
    zone = zone_of(parse(definition(name).encode()))
    iana = ZoneInfo(name)
    at = dt.datetime(1971, 1, 1, tzinfo=dt.UTC)
    while at.year < 2038:
        local = at.astimezone(iana)
        instant = int(at.timestamp())
        assert zone.to_local(instant) - instant == int((local.utcoffset() or dt.timedelta()).total_seconds()), at
        later = at + dt.timedelta(days=5)
        # Hour by hour where the clock changes.
        at = at + dt.timedelta(hours=1) if later.astimezone(iana).utcoffset() != local.utcoffset() else later


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
def test_a_zone_goes_on_after_the_last_year_that_was_looked_at(name: str) -> None:
    zone = zone_of(parse(definition(name).encode()))
    for month in (1, 7):
        at = dt.datetime(2052, month, 1, tzinfo=dt.UTC)
        instant = int(at.timestamp())
        offset = at.astimezone(ZoneInfo(name)).utcoffset() or dt.timedelta()
        assert zone.to_local(instant) - instant == int(offset.total_seconds())
    assert len(definition(name)) < 4000


def test_the_name_in_a_definition() -> None:
    assert name_in(definition("Europe/Berlin")) == "Europe/Berlin"


def test_no_such_zone() -> None:
    with pytest.raises(ValueError, match="Shire"):
        definition("Middle-earth/Shire")
