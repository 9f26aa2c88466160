"""Who is let in while there is too much to do: laws of a simulated event loop, and every door of the real one."""

import asyncio
import heapq
import random
from collections import deque
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.runtime.http import Refusal
from everloop.runtime.protocols import PROTOCOLS
from everloop.runtime.protocols.route import Route
from everloop.runtime.server.app import create_app
from everloop.runtime.server.grpc import GrpcServer
from everloop.runtime.service.settings import ServerSettings
from everloop.runtime.service.waiting import LEAST_WAIT, Waiting

REFUSING = 0.0001
READING = 0.00001
SECONDS = 20.0
BEGINS = 3.0
"""Seconds after which overload has been noticed."""


class Loop:
    """An event loop whose time passes as requests take it: it begins what it read, then reads what has come.

    Args:
        slower: How many times longer than its processor time everything lasts, as on a machine that is shared.
        at_once: Whether requests are answered as they are read.
    """

    def __init__(self, *, slower=1.0, at_once=False):
        self.processor = self.wall = 0.0
        self.slower, self.at_once = slower, at_once
        self.ready, self.coming = deque(), []
        self.number = count()
        self.waiting = Waiting(lambda: self.processor, lambda: self.wall, self.ready.append)
        self.accepted, self.refused = [], []

    def come(self, at, takes, again=None):
        heapq.heappush(self.coming, (at, next(self.number), takes, again))

    def spend(self, seconds):
        self.processor += seconds
        self.wall += seconds * self.slower

    def run(self, until):
        while self.wall <= until and (self.ready or self.coming):
            for _ in range(len(self.ready)):
                self.ready.popleft()()
            self.spend(READING)
            self.read()
            if not self.ready and self.coming:
                self.wall = max(self.wall, self.coming[0][0])
        return self

    def read(self):
        seen = self.wall
        while self.coming and self.coming[0][0] <= seen:
            request = heapq.heappop(self.coming)
            if self.at_once:
                self.answer(request, admitted=self.waiting.admits_at_once(10**6))
            else:
                self.waiting.read()
                self.ready.append(lambda one=request: self.answer(one, admitted=self.waiting.admits()))

    def answer(self, request, *, admitted):
        at, _, takes, again = request
        self.spend(takes if admitted else REFUSING)
        if admitted:
            self.accepted.append((at, self.wall - at))
        else:
            self.refused.append(at)
        if again is not None:
            self.come(self.wall + again, takes, again)


def evenly(takes, times, seconds=SECONDS, **how):
    loop = Loop(**how)
    rate = times / takes / loop.slower
    for number in range(int(rate * seconds)):
        loop.come(number / rate, takes)
    return loop.run(seconds)


def at_random(takes, times, seed, seconds=SECONDS):
    loop, chance, at = Loop(), random.Random(seed), 0.0
    while at < seconds:
        at += chance.expovariate(times / takes)
        loop.come(at, takes)
    return loop.run(seconds)


def in_turns(clients, takes, seconds=5.0):
    loop = Loop()
    for number in range(clients):
        loop.come(number * takes / 10, takes, again=0.0001)
    return loop.run(seconds)


def late(loop):
    return [waited for at, waited in loop.accepted if at > BEGINS]


@pytest.mark.parametrize("times", [1.5, 2, 5, 10])
@pytest.mark.parametrize("takes", [0.004, 0.008, 0.02, 0.05])
def test_who_is_let_in_under_overload_is_answered_within_five_times_what_a_request_takes(takes, times):
    loop = evenly(takes, times)
    assert len(loop.refused) > 0
    assert np.quantile(late(loop), 0.99) < 5.0 * (takes + (times - 1) * REFUSING)
    spent = sum(takes for _ in loop.accepted) + REFUSING * len(loop.refused)
    assert spent > 0.93 * SECONDS  # the loop is never left without work


@given(takes=st.floats(0.004, 0.05), times=st.floats(2, 5), seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_waits_are_bounded_however_requests_come(takes, times, seed):
    assert np.quantile(late(at_random(takes, times, seed, 8.0)), 0.99) < 7.0 * takes


@pytest.mark.parametrize("slower", [1.5, 4, 10])
def test_a_slow_machine_keeps_its_own_measure(slower):
    loop = evenly(0.01, 5, 6 * slower, slower=slower)
    waited = [waited / slower for at, waited in loop.accepted if at > BEGINS * slower]
    assert np.quantile(waited, 0.99) < 5.0 * 0.01


@pytest.mark.parametrize(
    ("name", "loop"),
    [
        ("nine tenths of what is carried", lambda: evenly(0.008, 0.9)),
        ("four clients in turn, many rows each", lambda: in_turns(4, 0.05)),
        ("64 clients in turn, a row each", lambda: in_turns(64, 0.00006)),
        ("150 clients in turn, a row each", lambda: in_turns(150, 0.00006)),
        ("a random half of what is carried, a row each", lambda: at_random(0.0002, 0.5, 1, 5.0)),
        ("a machine that is ten times slower", lambda: evenly(0.008, 0.9, slower=10.0)),
    ],
)
def test_nobody_is_refused_where_the_server_keeps_up(name, loop):
    done = loop()
    assert len(done.accepted) > 50, name
    assert not done.refused, name


@pytest.mark.parametrize("at_once", [True, False])
def test_a_burst_and_a_pause_of_the_machine_are_borne(at_once):
    loop = Loop(at_once=at_once)
    for number in range(400):
        loop.come(1.0, 0.0005)
        loop.come(2.0 + number / 100, 0.0005)
    loop.wall = 4.0  # the machine did something else for so long
    loop.run(60.0)
    assert (len(loop.accepted), len(loop.refused)) == (800, 0)


def test_after_overload_everyone_is_let_in_again():
    loop = evenly(0.008, 5, 5.0)
    assert loop.waiting.refuses
    refused, calm = len(loop.refused), loop.wall + 0.2
    for number in range(200):
        loop.come(calm + number / 50, 0.008)
    loop.run(60.0)
    assert len([at for at in loop.refused[refused:] if at >= calm]) == 0
    assert not loop.waiting.refuses


def test_where_refusing_alone_is_too_much_some_are_let_in_all_the_same():
    loop = evenly(0.001, 9, 10.0)
    assert sum(1 for at, _ in loop.accepted if at > BEGINS) > 100


def test_overload_of_requests_that_are_answered_as_they_are_read_is_refused():
    loop = evenly(0.0005, 3, 5.0, at_once=True)
    assert len(loop.refused) > 0.3 * len(loop.accepted)
    waited = [waited for at, waited in loop.accepted if at > BEGINS]
    assert np.quantile(waited, 0.99) < 5 * LEAST_WAIT


def test_of_what_arrives_together_no_more_are_let_in_than_stated():
    waiting = Waiting(lambda: 0.0, lambda: 0.0, lambda _: None)
    assert [waiting.admits_at_once(3) for _ in range(5)] == [True, True, True, False, False]
    waiting.hand_over()
    assert waiting.admits_at_once(5)


def test_at_a_usual_load_processor_time_is_never_asked_for():
    def asked():
        raise AssertionError("this costs as much as a tenth of an answer")

    loop = Loop()
    loop.waiting = Waiting(asked, lambda: loop.wall, loop.ready.append)
    for number in range(1000):
        loop.come(number / 1000, 0.0002)
    assert len(loop.run(5.0).accepted) == 1000


class Late(Waiting):
    """A loop in which everyone waits a second for every question."""

    def __init__(self):
        seconds = count(step=1.0)
        super().__init__(lambda: next(seconds), lambda: 0.0, lambda _: None)
        self.refuses = True


COUNTED = [
    route
    for part in PROTOCOLS
    for route in part.ROUTES
    if isinstance(route, Route) and route.method == "POST" and route.counts
]


@pytest.mark.parametrize("under", ["", "/models/{name}"])
def test_every_route_is_refused_before_its_body_is_read(packages, tmp_path, under):
    app = create_app(ServerSettings(package=str(packages["binary"]), log=str(tmp_path / "log")))
    app.start()
    name = next(iter(app.lifecycles.named))
    app.waiting = Late()

    async def unread():
        raise AssertionError("the body is read")

    async def status_of(path):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
        await app(scope, unread, send)
        return sent[0]["status"], dict(sent[0]["headers"]).get(b"retry-after")

    paths = [route.path for route in COUNTED if not (under and "{name}" in route.path)]
    assert {"/predict", "/invocations"} <= set(paths)
    for path in paths:
        asked = (under + path).replace("{name}", name).replace("{version}", "7")
        assert asyncio.run(status_of(asked)) == (503, b"1"), asked
    app.stop()


@pytest.mark.parametrize(("role", "refused"), [("predict", True), (None, False)])
def test_a_method_of_grpc_is_refused_before_its_request_is_looked_at(packages, tmp_path, role, refused):
    app = create_app(ServerSettings(package=str(packages["binary"]), log=str(tmp_path / "log")))
    app.start()
    service, asked = app.lifecycles.sole, []
    server = GrpcServer(app.lifecycles, service.settings, Late())

    async def method(_service, request):
        asked.append(request)
        return "answered"

    if refused:
        with pytest.raises(Refusal) as found:
            asyncio.run(server.answer(service, method, role, b"", "request"))
        assert (found.value.status, found.value.headers["retry-after"], asked) == (503, "1", [])
    else:
        assert asyncio.run(server.answer(service, method, role, b"", "request")) == "answered"
    assert service.requests_now == 0
    app.stop()
