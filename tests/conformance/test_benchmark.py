"""The benchmark knows what is right: its client reads HTTP, its events are what it says they are."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import icalendar
import pytest
import recurring_ical_events

from conformance.benchmark import events, growth, scaling
from conformance.benchmark.peers import Running
from conformance.benchmark.report import Figures, chart, growth_table, ratio, table
from conformance.benchmark.wire import Connection, Login, Spent, one_by_one, side_by_side
from conformance.benchmark.workloads import WORKLOADS, Stage

_ANSWERS = {
    b"/length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"/chunked": b"HTTP/1.1 207 Multi\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n0\r\n\r\n2;x=y\r\n\r\n\r\n0\r\n\r\n",
    b"/none": b"HTTP/1.1 204 No Content\r\n\r\n",
    b"/interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    b"/close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.fixture
def port() -> Iterator[int]:
    """A server that answers by the path, a byte at a time."""

    def serve(client: socket.socket) -> None:
        with client:
            while data := client.recv(65536):
                answer = _ANSWERS[data.split(b" ", 2)[1]]
                for place in range(len(answer)):
                    client.sendall(answer[place : place + 1])
                if b"close" in answer:
                    return

    def listen() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_the_client_reads_every_kind_of_answer(port: int) -> None:
    login = Login(port, "user", "word")
    paths = ["/length", "/close", "/chunked", "/none", "/interim", "/length"]
    connection = Connection(port)
    _, answers = one_by_one(connection, [login.request("GET", path) for path in paths])
    connection.close()
    bodies = [(answer.status, answer.body) for answer in answers]
    assert bodies == [(200, b"hello"), (200, b"ok"), (207, b"0\r\n\r\n"), (204, b""), (201, b""), (200, b"hello")]
    assert answers[0].header("content-length") == "5"


def test_several_connections_answer_everything(port: int) -> None:
    login = Login(port, "user", "word")
    connections = [Connection(port) for _ in range(4)]
    spent, answers = side_by_side(connections, [login.request("GET", "/chunked")] * 50)
    for connection in connections:
        connection.close()
    assert len(answers) == len(spent.each) == 50
    assert {answer.body for answer in answers} == {b"0\r\n\r\n"}


def _instant(value: date) -> datetime:
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)


def test_the_events_have_the_instances_that_the_generator_says() -> None:
    for number in range(0, 400, 7):
        calendar = icalendar.Calendar.from_ical(events.event(number, 400))
        found = sorted(
            (_instant(one.start).astimezone(UTC), _instant(one.end).astimezone(UTC))
            for one in recurring_ical_events.of(calendar).between(
                events.FIRST - timedelta(days=9), events.FIRST + timedelta(days=events.DAYS + 99)
            )
        )
        assert found == sorted(events.instants(number, 400))


def test_older_events_lie_before_all_that_is_asked_about() -> None:
    for number in (*range(10), *range(290, 300)):
        calendar = icalendar.Calendar.from_ical(events.older(number, 300))
        # As many as the generator says of the events that are asked about.
        found = recurring_ical_events.of(calendar).between(events.OLDEST, events.FIRST)
        assert len(found) == len(events.instants(number, 300))
        assert all(_instant(one.end) < events.FIRST - timedelta(days=999) for one in found)
    names = {events.older_name_of(number).removesuffix(".ics") for number in range(300)}
    uids = {str(icalendar.Calendar.from_ical(events.older(n, 300)).walk("VEVENT")[0]["UID"]) for n in range(300)}
    assert uids == names


def _figures(seconds: float) -> Figures:
    return Figures([Spent([seconds] * 10, seconds * 10, 0.0)])


def test_the_ratio_is_to_the_best_of_the_others() -> None:
    rate, time = WORKLOADS[0], next(one for one in WORKLOADS if one.measure == "time")
    row = {
        "ours": _figures(0.1),
        "slow": _figures(0.5),
        "best": _figures(0.3),
        "broken": Figures(wrong="5 instead of 6"),
    }
    names = list(row)
    for workload in (rate, time):
        assert ratio(workload, {workload.title: row}, "ours", names) == pytest.approx(3)
        text = table([workload], {workload.title: row}, names)
        assert "3.0 x" in text
        assert "5 instead of 6" in text
        assert workload.title in chart([workload], {workload.title: row}, names)


def test_growth_is_what_the_largest_costs_of_the_smallest() -> None:
    row = {"10": _figures(0.1), "100": _figures(0.5), "1000": _figures(0.2)}
    for workload in (growth.EVEN[0], growth.EVEN[-1]):
        assert growth_table([workload], {workload.title: row}, list(row)).endswith("2.0 x")
    assert {growth.EVEN[0].measure, growth.EVEN[-1].measure} == {"rate", "time"}


def test_growth_notes_what_a_server_computes_for_a_request() -> None:
    def run(_: Stage) -> Spent:
        sum(range(10**6))
        return Spent([1.0, 1.0], 2.0, 0.0)

    costs: dict[str, dict[str, Figures]] = {}
    workload = growth.watched(replace(growth.EVEN[0], run=run), costs)
    here = Stage(Running("here", Login(1, "user", "word"), "/c/", os.getpid()), 1)
    before = time.process_time()
    assert workload.run(here).each == [1.0, 1.0]
    (noted,) = costs[workload.title]["here"].rounds
    assert 0 < noted.each[0] < time.process_time() - before


def test_an_event_of_any_size_of_calendar_is_known_by_its_name() -> None:
    stage = Stage(Running("", Login(1, "user", "word"), "/c/", 0), 10, older=300)
    assert len(stage.names()) == 310
    assert set(stage.some(2_000)) <= stage.names()
    assert stage.text(events.name_of(7), "Meeting") == events.event(7, 10)
    assert stage.text(events.older_name_of(7), "Meeting") == events.older(7, 300)


def test_the_clients_own_time_is_taken_off() -> None:
    """All of it on one connection, its part of the cores on several."""
    spent = Spent([0.01] * 100, wall=1.0, client=0.2)
    assert scaling.Run(spent, server=0.5, cores=1).net == pytest.approx(125)
    assert scaling.Run(spent, server=0.5, cores=2).net == pytest.approx(111.1, abs=0.1)
    assert scaling.Run(spent, server=0.5, cores=2).rate == pytest.approx(100)
    assert scaling.Run(spent, server=0.5, cores=2).cost == pytest.approx(5)
