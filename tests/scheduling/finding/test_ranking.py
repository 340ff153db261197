"""The considerations of the ranker, one by one: what is better than what, and what is said of it."""

from __future__ import annotations

import pytest

from scheduling.finding.ranking import burden, liking, named_ranker, rank
from scheduling.finding.slots import (
    Answered,
    Attendee,
    Candidate,
    Engagement,
    Place,
    Ranking,
    Room,
    Settings,
    Weights,
    Wish,
    kilometres,
)
from scheduling.freebusy.availability import Availability
from scheduling.ical.periods import BusyPeriod
from scheduling.ical.timezones import UTC, Zone, named

HOUR = 3600
DAY = 24 * HOUR
MONDAY = 1772409600  # 2026-03-02T00:00:00Z
ONLY = dict.fromkeys(Weights.__slots__, 0.0)


def zone(name: str) -> Zone:
    found = named(name)
    assert found is not None
    return found


def at(hour: float, room: Room | None = None, **more: object) -> Candidate:
    return Candidate(MONDAY + int(hour * HOUR), MONDAY + int((hour + 1) * HOUR), room, **more)  # type: ignore[arg-type]


def span(first: float, last: float) -> BusyPeriod:
    return BusyPeriod(MONDAY + int(first * HOUR), MONDAY + int(last * HOUR))


def by(name: str, candidate: Candidate, *attendees: Attendee, **more: object) -> Ranking:
    """Ranked by one consideration alone."""
    asked = {key: value for key, value in more.items() if key in Wish.__slots__}
    options = {key: value for key, value in more.items() if key not in asked}
    wish = Wish(attendees, MONDAY, MONDAY + DAY, HOUR, **asked)  # type: ignore[arg-type]
    return rank(candidate, wish, Settings(Weights(**{**ONLY, name: 1.0}), **options))  # type: ignore[arg-type]


def test_what_has_nothing_to_say_does_not_count() -> None:
    for name in set(ONLY) - {"buffer", "fragmentation", "sooner"}:
        assert by(name, at(9), Attendee("a")) == Ranking(1.0)


class TestPreference:
    def test_nothing_is_known(self) -> None:
        assert liking(Attendee("a"), MONDAY) is None

    def test_what_was_stated_counts_until_the_history_says_otherwise(self) -> None:
        morning, afternoon = MONDAY + 9 * HOUR, MONDAY + 15 * HOUR
        said = Attendee("a", prefers="morning")
        assert liking(said, morning) == pytest.approx(0.9)
        assert liking(said, afternoon) == pytest.approx(0.1)
        declined = [Answered(morning - week * 7 * DAY, accepted=False) for week in range(1, 30)]
        shown = liking(Attendee("a", prefers="morning", history=declined), morning)
        assert shown is not None
        assert shown < 0.1

    def test_a_weekday_is_told_from_the_others(self) -> None:
        history = [
            Answered(MONDAY + day * DAY + 9 * HOUR - week * 7 * DAY, day != 4)
            for week in range(1, 9)
            for day in range(5)
        ]
        person = Attendee("a", history=history)
        monday, friday = (liking(person, MONDAY + day * DAY + 9 * HOUR) for day in (0, 4))
        assert monday is not None
        assert friday is not None
        assert monday > 0.8
        assert friday < 0.4
        ranking = by("preference", Candidate(MONDAY + 4 * DAY + 9 * HOUR, MONDAY + 4 * DAY + 10 * HOUR), person)
        assert ranking.reasons == ("a seldom takes meetings on Friday mornings",)

    def test_it_is_the_half_of_the_day_where_somebody_is(self) -> None:
        person = Attendee("a", zone=zone("Asia/Tokyo"), prefers="afternoon")
        assert by("preference", at(5), person) == Ranking(0.9, ("in the afternoon, as a likes it",))

    def test_optional_attendees_count_half(self) -> None:
        people = (Attendee("a", prefers="morning"), Attendee("b", required=False, prefers="afternoon"))
        assert by("preference", at(9), *people).score == pytest.approx((0.9 + 0.5 * 0.1) / 1.5, abs=1e-4)


class TestHabitsOfOthers:
    """Of who is not told of: no name, and no more than whether they like it, or do not, or nothing in particular."""

    def person(self, accepted: int, declined: int, *, told: bool = False) -> Attendee:
        morning = MONDAY + 9 * HOUR
        history = [Answered(morning - week * 7 * DAY, week >= declined) for week in range(1, accepted + declined + 1)]
        return Attendee("Ann", history=history, told=told)

    def test_the_score_is_one_of_three(self) -> None:
        seen = {
            liking(self.person(accepted, declined), MONDAY + 9 * HOUR)
            for accepted in range(12)
            for declined in range(1, 12)
        }
        assert seen == {0.3, 0.5, 0.7}

    def test_no_name_is_said(self) -> None:
        for accepted, declined in ((0, 20), (20, 1), (3, 4)):
            ranking = by("preference", at(9), self.person(accepted, declined), Attendee("Bea", prefers="morning"))
            assert not any("Ann" in why for why in ranking.reasons)
        assert by("preference", at(9), self.person(0, 20)).reasons == ("not when everybody is in the habit of meeting",)
        assert "Ann" in by("preference", at(9), self.person(0, 20, told=True)).reasons[0]
        assert by("preference", at(9), self.person(20, 1)).reasons == ("in the morning, as everybody likes it",)


def test_a_ranker_is_found_by_its_name() -> None:
    assert named_ranker("scheduling.finding.ranking:rank") is rank
    for name in (
        "nowhere:rank",
        "scheduling.finding.ranking:nothing",
        "scheduling.finding.ranking:CONSIDERATIONS",
        "",
        ":",
    ):
        with pytest.raises(ValueError, match="ranker"):
            named_ranker(name)


class TestTheDayAroundIt:
    def test_a_buffer_is_good(self) -> None:
        person = Attendee("Ann", busy=[span(8, 9), span(12, 13)])
        assert by("buffer", at(9), person) == Ranking(0.0, ("back to back with another meeting of Ann",))
        assert by("buffer", at(9 + 1 / 12), person).score == 0.5
        assert by("buffer", at(9.5), person) == Ranking(1.0, ("10 minutes free before and after it for everybody",))
        assert by("buffer", at(11), person).score == 0.0
        assert by("buffer", at(11), person, buffer=0) == Ranking(1.0)

    def test_a_day_in_one_piece_is_good(self) -> None:
        person = Attendee("Ann", busy=[span(8, 9), span(12, 13)])
        beside = by("fragmentation", at(9), person)
        assert beside == Ranking(1.0, ("right beside other meetings of Ann, which keeps the day in one piece",))
        assert by("fragmentation", at(9.5), person) == Ranking(
            0.5, ("leaves Ann a gap that is too short for much else",)
        )
        assert by("fragmentation", at(10.5), Attendee("Ann", busy=[span(8, 10), span(12, 13)])).score == 0.0

    def test_the_end_of_work_leaves_gaps_as_well(self) -> None:
        person = Attendee("Ann", hours=Availability(unavailable=(span(0, 9), span(17, 24))))
        assert by("fragmentation", at(9), person) == Ranking(1.0)
        assert by("fragmentation", at(9.5), person).score == 0.5


class TestFairness:
    @pytest.mark.parametrize(("hour", "expected"), [(9, 0.0), (16, 0.0), (6, 0.5), (19, 0.5), (1, 1.0), (23, 1.0)])
    def test_a_burden_grows_with_the_distance_from_the_day(self, hour: int, expected: float) -> None:
        assert burden(Attendee("a"), MONDAY + hour * HOUR, MONDAY + (hour + 1) * HOUR) == expected

    def test_the_worst_hour_of_anybody_counts(self) -> None:
        berlin, tokyo = Attendee("Bea", zone=zone("Europe/Berlin")), Attendee("Tom", zone=zone("Asia/Tokyo"))
        assert by("fairness", at(8), berlin, tokyo).score == pytest.approx(5 / 6, abs=1e-4)
        late = by("fairness", at(15), berlin, tokyo)
        assert late == Ranking(0.0, ("at 00:00 for Tom, who has the hardest hour",))
        assert by("fairness", at(8), berlin, Attendee("b", zone=zone("Europe/Paris"))) == Ranking(1.0)

    def test_in_the_daytime_for_all(self) -> None:
        people = (Attendee("Bea", zone=zone("Europe/Berlin")), Attendee("Lou", zone=zone("Europe/London")))
        assert by("fairness", at(10), *people) == Ranking(1.0, ("in the daytime for everybody",))

    def test_hours_off_work_are_named_with_the_time_there(self) -> None:
        bea, tom = Attendee("Bea"), Attendee("Tom", zone=zone("Asia/Tokyo"))
        ranking = by("hours", at(9, outside=(tom,)), bea, tom)
        assert ranking == Ranking(0.6667, ("outside of the working hours of Tom (18:00 there)",))
        assert by("hours", at(9, outside=(bea, tom)), bea, tom).reasons == (
            "outside of the working hours of Bea (09:00 there), Tom (18:00 there)",
        )

    def test_an_hour_after_work_is_better_than_the_middle_of_the_night(self) -> None:
        scores = [by("hours", at(hour, outside=(bea,)), bea).score for bea in [Attendee("Bea")] for hour in (2, 17, 20)]
        assert scores[0] < scores[2] < scores[1] < 1


TABLE = {("Harbour", "Castle"): 30.0}


class TestTravel:
    def person(self, first: float, last: float, place: Place) -> Attendee:
        one = span(first, last)
        return Attendee("Ann", engagements=[Engagement(one.start, one.end, place)])

    @pytest.mark.parametrize(("hour", "score"), [(9.5, 1.0), (9.25, 0.5), (9, 0.0), (6.5, 1.0), (6.75, 0.5)])
    def test_by_a_table_either_way(self, hour: float, score: float) -> None:
        for here, there in (("Castle", "Harbour"), ("Harbour", "Castle")):
            person = self.person(8, 9, Place(there))
            found = by("travel", at(hour), person, place=Place(here), travel=TABLE)
            assert found.score == score
            assert found.reasons[0].startswith("time enough" if score == 1 else "too little time for Ann")

    def test_a_journey_of_days_that_has_just_ended_counts_and_what_was_yesterday_does_not(self) -> None:
        yesterday = self.person(-16, -15, Place("Harbour")).engagements
        journey = self.person(-60, 8.75, Place("Harbour")).engagements
        for engagements, score in ((yesterday, 1.0), (journey, 0.5), ([*yesterday, *journey], 0.5)):
            person = Attendee("Ann", engagements=engagements)
            assert by("travel", at(9), person, place=Place("Castle"), travel=TABLE).score == score

    def test_by_the_distance(self) -> None:
        berlin, potsdam = Place("Berlin", (52.52, 13.405)), Place("Potsdam", (52.39, 13.065))
        assert kilometres((52.52, 13.405), (52.39, 13.065)) == pytest.approx(27.2, abs=0.3)
        settings = Settings()
        seconds = settings.seconds_between(berlin, potsdam)
        assert seconds is not None
        assert seconds == pytest.approx(27.2 / 30 * HOUR, abs=60)
        assert by("travel", at(9.5), self.person(8, 9, berlin), place=potsdam).score < 0.6

    def test_the_room_is_where_it_is(self) -> None:
        room = Room("Tower", 5, place=Place("Castle"))
        person = self.person(8, 9, Place("Harbour"))
        assert by("travel", at(9, room), person, place=Place("Harbour"), travel=TABLE).score == 0.0

    def test_nobody_knows_how_far_it_is(self) -> None:
        assert Settings().seconds_between(Place("a"), Place("b")) is None
        assert Settings().seconds_between(Place("a"), Place("a")) == 0
        assert by("travel", at(9), self.person(8, 9, Place("x")), place=Place("y")) == Ranking(1.0)


class TestWhoAndWhat:
    def test_optional_attendees_are_missed(self) -> None:
        people = (Attendee("a"), Attendee("b", required=False), Attendee("c", required=False))
        assert by("attendance", at(9), *people) == Ranking(1.0, ("all optional attendees can come",))
        assert by("attendance", at(9, absent=people[1:2]), *people) == Ranking(0.5, ("without b",))

    def test_a_room_that_fits(self) -> None:
        small, big = Room("Den", 2), Room("Hall", 100)
        people = (Attendee("a"), Attendee("b"))
        scores = [by("room", at(9, room), *people, rooms=(small, big)).score for room in (small, big, None)]
        assert scores == [1.0, 0.51, 0.0]

    def test_long_lists_of_names_are_cut(self) -> None:
        people = [Attendee(name, required=False) for name in "abcdef"]
        assert by("attendance", at(9, absent=tuple(people)), *people).reasons == ("without a, b, c and 3 more",)

    def test_sooner_is_better(self) -> None:
        assert by("sooner", at(0), Attendee("a")).score == 1.0
        assert by("sooner", at(23), Attendee("a")).score == 0.0


def test_what_weighs_most_is_said_first() -> None:
    person = Attendee("Ann", zone=UTC, prefers="afternoon", busy=[span(8, 9)])
    wish = Wish((person,), MONDAY, MONDAY + DAY, HOUR, rooms=(Room("Den", 1),))
    ranking = rank(at(9), wish, Settings())
    assert ranking.reasons[0] == "Ann seldom takes meetings on Monday mornings"
    assert "no suitable room is free" in ranking.reasons
    assert 0 < ranking.score < 1
