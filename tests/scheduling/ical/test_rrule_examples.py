"""Every example of RFC 5545 3.8.5.3, the two of 3.3.10, and RFC 7529 4.3.4."""

from __future__ import annotations

from itertools import islice

import pytest

from scheduling.ical.recur import parse
from scheduling.ical.rrule import starts
from scheduling.ical.values import Form, moment, wall

# (DTSTART, RRULE, the starts, "..." at the end where there are more). "1997/9/2,4-6" are days; times are those of
# DTSTART unless "@" says others. UTC times of UNTIL are written here as the local time that they are in New York.
EXAMPLES = [
    ("19970902T090000", "FREQ=DAILY;COUNT=10", "1997/9/2-11"),
    ("19970902T090000", "FREQ=DAILY;UNTIL=19971223T190000", "1997/9/2-30 1997/10/1-31 1997/11/1-30 1997/12/1-23"),
    (
        "19970902T090000",
        "FREQ=DAILY;INTERVAL=2",
        """1997/9/2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 1997/10/2,4,6,8,10,12,14,16,18,20,22,24,26,28,30
        1997/11/1,3,5,7,9,11,13,15,17,19,21,23,25,27,29 1997/12/1,3 ...""",
    ),
    ("19970902T090000", "FREQ=DAILY;INTERVAL=10;COUNT=5", "1997/9/2,12,22 1997/10/2,12"),
    (
        "19980101T090000",
        "FREQ=YEARLY;UNTIL=20000131T090000;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
        "1998/1/1-31 1999/1/1-31 2000/1/1-31",
    ),
    ("19980101T090000", "FREQ=DAILY;UNTIL=20000131T090000;BYMONTH=1", "1998/1/1-31 1999/1/1-31 2000/1/1-31"),
    ("19970902T090000", "FREQ=WEEKLY;COUNT=10", "1997/9/2,9,16,23,30 1997/10/7,14,21,28 1997/11/4"),
    (
        "19970902T090000",
        "FREQ=WEEKLY;UNTIL=19971223T190000",
        "1997/9/2,9,16,23,30 1997/10/7,14,21,28 1997/11/4,11,18,25 1997/12/2,9,16,23",
    ),
    (
        "19970902T090000",
        "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
        "1997/9/2,16,30 1997/10/14,28 1997/11/11,25 1997/12/9,23 1998/1/6,20 1998/2/3,17 ...",
    ),
    (
        "19970902T090000",
        "FREQ=WEEKLY;UNTIL=19971006T200000;WKST=SU;BYDAY=TU,TH",
        "1997/9/2,4,9,11,16,18,23,25,30 1997/10/2",
    ),
    ("19970902T090000", "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH", "1997/9/2,4,9,11,16,18,23,25,30 1997/10/2"),
    (
        "19970901T090000",
        "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971223T190000;WKST=SU;BYDAY=MO,WE,FR",
        "1997/9/1,3,5,15,17,19,29 1997/10/1,3,13,15,17,27,29,31 1997/11/10,12,14,24,26,28 1997/12/8,10,12,22",
    ),
    (
        "19970902T090000",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
        "1997/9/2,4,16,18,30 1997/10/2,14,16",
    ),
    (
        "19970905T090000",
        "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
        "1997/9/5 1997/10/3 1997/11/7 1997/12/5 1998/1/2 1998/2/6 1998/3/6 1998/4/3 1998/5/1 1998/6/5",
    ),
    (
        "19970905T090000",
        "FREQ=MONTHLY;UNTIL=19971223T190000;BYDAY=1FR",
        "1997/9/5 1997/10/3 1997/11/7 1997/12/5",
    ),
    (
        "19970907T090000",
        "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
        "1997/9/7,28 1997/11/2,30 1998/1/4,25 1998/3/1,29 1998/5/3,31",
    ),
    (
        "19970922T090000",
        "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
        "1997/9/22 1997/10/20 1997/11/17 1997/12/22 1998/1/19 1998/2/16",
    ),
    (
        "19970928T090000",
        "FREQ=MONTHLY;BYMONTHDAY=-3",
        "1997/9/28 1997/10/29 1997/11/28 1997/12/29 1998/1/29 1998/2/26 ...",
    ),
    (
        "19970902T090000",
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
        "1997/9/2,15 1997/10/2,15 1997/11/2,15 1997/12/2,15 1998/1/2,15",
    ),
    (
        "19970930T090000",
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
        "1997/9/30 1997/10/1,31 1997/11/1,30 1997/12/1,31 1998/1/1,31 1998/2/1",
    ),
    (
        "19970910T090000",
        "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
        "1997/9/10-15 1999/3/10-13",
    ),
    (
        "19970902T090000",
        "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
        "1997/9/2,9,16,23,30 1997/11/4,11,18,25 1998/1/6,13,20,27 1998/3/3,10,17,24,31 ...",
    ),
    (
        "19970610T090000",
        "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
        "1997/6/10 1997/7/10 1998/6/10 1998/7/10 1999/6/10 1999/7/10 2000/6/10 2000/7/10 2001/6/10 2001/7/10",
    ),
    (
        "19970310T090000",
        "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
        "1997/3/10 1999/1/10 1999/2/10 1999/3/10 2001/1/10 2001/2/10 2001/3/10 2003/1/10 2003/2/10 2003/3/10",
    ),
    (
        "19970101T090000",
        "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
        "1997/1/1 1997/4/10 1997/7/19 2000/1/1 2000/4/9 2000/7/18 2003/1/1 2003/4/10 2003/7/19 2006/1/1",
    ),
    ("19970519T090000", "FREQ=YEARLY;BYDAY=20MO", "1997/5/19 1998/5/18 1999/5/17 ..."),
    ("19970512T090000", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997/5/12 1998/5/11 1999/5/17 ..."),
    (
        "19970313T090000",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
        "1997/3/13,20,27 1998/3/5,12,19,26 1999/3/4,11,18,25 ...",
    ),
    (
        "19970605T090000",
        "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8",
        """1997/6/5,12,19,26 1997/7/3,10,17,24,31 1997/8/7,14,21,28 1998/6/4,11,18,25 1998/7/2,9,16,23,30
        1998/8/6,13,20,27 1999/6/3,10,17,24 1999/7/1,8,15,22,29 1999/8/5,12,19,26 ...""",
    ),
    # Friday the 13th: the RFC takes the DTSTART that does not fit away with an EXDATE; here it is the first start.
    (
        "19970902T090000",
        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
        "1997/9/2 1998/2/13 1998/3/13 1998/11/13 1999/8/13 2000/10/13 ...",
    ),
    (
        "19970913T090000",
        "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
        "1997/9/13 1997/10/11 1997/11/8 1997/12/13 1998/1/10 1998/2/7 1998/3/7 1998/4/11 1998/5/9 1998/6/13 ...",
    ),
    (
        "19961105T090000",
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        "1996/11/5 2000/11/7 2004/11/2 ...",
    ),
    ("19970904T090000", "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997/9/4 1997/10/7 1997/11/6"),
    (
        "19970929T090000",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
        "1997/9/29 1997/10/30 1997/11/27 1997/12/30 1998/1/29 1998/2/26 1998/3/30 ...",
    ),
    # The RFC's UNTIL=19970902T170000Z is 13:00 in New York and would leave 15:00 out; the list shows that local time
    # was meant.
    ("19970902T090000", "FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000", "1997/9/2@9:00,12:00,15:00"),
    ("19970902T090000", "FREQ=MINUTELY;INTERVAL=15;COUNT=6", "1997/9/2@9:00,9:15,9:30,9:45,10:00,10:15"),
    ("19970902T090000", "FREQ=MINUTELY;INTERVAL=90;COUNT=4", "1997/9/2@9:00,10:30,12:00,13:30"),
    ("19970805T090000", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997/8/5,10,19,24"),
    ("19970805T090000", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997/8/5,17,19,31"),
    ("20070115T090000", "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007/1/15,30 2007/2/15 2007/3/15,30"),
    # RFC 5545 3.3.10
    (
        "19970105T083000",
        "FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYDAY=SU;BYHOUR=8,9;BYMINUTE=30",
        "1997/1/5@8:30,9:30 1997/1/12@8:30,9:30 1997/1/19@8:30,9:30 1997/1/26@8:30,9:30 1999/1/3@8:30,9:30 ...",
    ),
    ("19970902T090000", "FREQ=DAILY;COUNT=10;INTERVAL=2", "1997/9/2,4,6,8,10,12,14,16,18,20"),
    # RFC 7529 4.3.4
    (
        "20120229",
        "RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=FORWARD",
        "2012/2/29 2013/3/1 2014/3/1 2015/3/1 2016/2/29 2017/3/1 ...",
    ),
    ("20120229", "FREQ=YEARLY", "2012/2/29 2016/2/29 2020/2/29 ..."),
    # RFC 7529 4.1: a monthly event that starts on 31 January
    (
        "20140131",
        "RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=OMIT;COUNT=4",
        "2014/1/31 2014/3/31 2014/5/31 2014/7/31",
    ),
    (
        "20140131",
        "RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=BACKWARD;COUNT=4",
        "2014/1/31 2014/2/28 2014/3/31 2014/4/30",
    ),
    (
        "20140131",
        "RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=FORWARD;COUNT=4",
        "2014/1/31 2014/3/1,31 2014/5/1",
    ),
]

TWENTY_MINUTES = [f"{hour}:{minute:02}" for hour in range(9, 17) for minute in (0, 20, 40)]


def expected(notation: str, default: str) -> tuple[list[str], bool]:
    """The starts as "YYYY-MM-DD HH:MM", and whether there are more."""
    found = []
    for token in notation.removesuffix("...").split():
        days, _, times = token.partition("@")
        year, month, numbers = days.split("/")
        for span in numbers.split(","):
            low, _, high = span.partition("-")
            for day in range(int(low), int(high or low) + 1):
                found += [f"{year}-{int(month):02}-{day:02} {time:0>5}" for time in (times or default).split(",")]
    return found, notation.endswith("...")


@pytest.mark.parametrize(("dtstart", "rrule", "notation"), EXAMPLES, ids=[f"{rule} {at}" for at, rule, _ in EXAMPLES])
def test_example(dtstart: str, rrule: str, notation: str) -> None:
    start, rule = moment(dtstart), parse(rrule)
    until = rule.until.local if rule.until else None
    wanted, more = expected(notation, f"{wall(start.local):%H:%M}")
    made = starts(rule, start.local, dates=start.form is Form.DATE, until=until)
    found = [f"{wall(one):%Y-%m-%d %H:%M}" for one in islice(made, len(wanted) + 1)]
    assert found[: len(wanted)] == wanted
    assert (len(found) > len(wanted)) is more


@pytest.mark.parametrize(
    "rrule",
    [
        "FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40",
        "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16",
    ],
)
def test_every_20_minutes_from_9_to_1640_every_day(rrule: str) -> None:
    times = ",".join(TWENTY_MINUTES)
    wanted, _ = expected(f"1997/9/2@{times} 1997/9/3@{times} 1997/9/4@{times}", "")
    made = starts(parse(rrule), moment("19970902T090000").local)
    assert [f"{wall(one):%Y-%m-%d %H:%M}" for one in islice(made, len(wanted))] == wanted
