# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads, the place where results are recorded, counters and the meter."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Meter, Recorder, Workers
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters
from hypothesis import given
from hypothesis import strategies as st

WAIT = 30.0  # seconds after which a test that hangs is broken


@given(st.integers(1, 9), st.integers(0, 60))
def test_each_thing_is_taken_once(parallel: int, number: int) -> None:
    seen: list[int] = []
    Workers(parallel).each(seen.append, range(number))
    assert sorted(seen) == list(range(number))


def test_as_many_at_once_as_were_asked_for_and_no_more() -> None:
    together, lock, now, most = threading.Barrier(4), threading.Lock(), [0], [0]

    def one(number: int) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        if number < 4:
            together.wait(WAIT)  # passes only when four are here at the same time
        with lock:
            now[0] -= 1

    Workers(4).each(one, range(40))
    assert most == [4]


def test_nested_calls_share_the_threads() -> None:
    workers, lock, now, most, seen = Workers(3), threading.Lock(), [0], [0], []

    def inner(number: int) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            seen.append(number)
        with lock:
            now[0] -= 1

    workers.each(lambda number: workers.each(inner, range(number)), [20] * 10)
    assert len(seen) == 200
    assert most[0] <= 3


def test_one_worker_works_in_the_calling_thread() -> None:
    seen: list[threading.Thread] = []
    Workers(1).each(lambda _number: seen.append(threading.current_thread()), range(5))
    assert set(seen) == {threading.current_thread()}


def test_after_an_error_nothing_new_is_begun() -> None:
    seen: list[int] = []

    def one(number: int) -> None:
        seen.append(number)
        if number == 2:
            raise KeyError(number)

    with pytest.raises(KeyError):
        Workers(1).each(one, range(10))
    assert seen == [0, 1, 2]


def test_an_error_of_the_iterator_is_raised() -> None:
    def things() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the listing broke")

    with pytest.raises(OSError, match="the listing broke"):
        Workers(2).each(lambda _number: None, things())


def test_things_are_fetched_as_they_are_needed() -> None:
    fetched: list[int] = []

    def things() -> Iterator[int]:
        for number in range(100):
            fetched.append(number)
            yield number

    def one(number: int) -> None:
        assert len(fetched) <= number + 2  # itself and one ahead

    Workers(1).each(one, things())
    assert len(fetched) == 100


def test_recording_is_one_at_a_time_and_complete() -> None:
    recorded: list[int] = []
    busy = threading.Lock()

    def record(batch: list[int]) -> None:
        assert busy.acquire(blocking=False)
        recorded.extend(batch)
        busy.release()

    recorder: Recorder[int] = Recorder(record)

    def one(number: int) -> None:
        recorder.deliver([number])
        assert number in recorded  # nobody goes on before it is durable

    Workers(8).each(one, range(300))
    assert sorted(recorded) == list(range(300))


def test_what_queues_is_recorded_together() -> None:
    first, go = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def record(batch: list[int]) -> None:
        batches.append(batch)
        first.set()
        assert go.wait(WAIT)

    recorder: Recorder[int] = Recorder(record)
    threads = [threading.Thread(target=recorder.deliver, args=([0],))]
    threads[0].start()
    assert first.wait(WAIT)
    queued = threading.Barrier(4)

    def late(number: int) -> None:
        queued.wait(WAIT)
        recorder.deliver([number])

    threads += [threading.Thread(target=late, args=(number,)) for number in (1, 2, 3)]
    for thread in threads[1:]:
        thread.start()
    queued.wait(WAIT)
    while len(recorder._queue) < 3:  # a condition, not a time
        threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join(WAIT)
    assert [sorted(batch) for batch in batches] == [[0], [1, 2, 3]]


def test_a_record_that_failed_fails_everybody_after_it() -> None:
    def record(batch: list[int]) -> None:
        raise OSError("disk full")

    recorder: Recorder[int] = Recorder(record)
    for number in (1, 2):
        with pytest.raises(OSError, match="disk full"):
            recorder.deliver([number])


def test_counters_add_up_among_threads() -> None:
    counters = Counters()
    Workers(8).each(lambda _n: counters.add(requests=1, bytes_sent=2, bytes_received=3), range(500))
    assert counters.snapshot() == {"requests": 500, "writes": 0, "bytes_sent": 1000, "bytes_received": 1500}
    assert counters.moved() == 2500


def test_the_meter_tells_what_is_done_and_stops() -> None:
    told, twice = [], threading.Event()

    def tell(line: str) -> None:
        told.append(line)
        if sum(line.startswith("2 of 9") for line in told) > 1:
            twice.set()

    with Meter(tell, lambda: 3 << 20, "object", interval=0.001) as meter:
        meter.total = 9
        meter.count(2)
        assert twice.wait(WAIT)
        assert meter.line().startswith("2 of 9 objects, 0 B, 0 B/s")
    number = len(told)
    assert told[-1].startswith("2 of 9 objects")
    assert not [thread for thread in threading.enumerate() if thread is meter._thread]
    assert len(told) == number


def test_a_meter_without_a_reader_starts_no_thread() -> None:
    before = threading.active_count()
    with Meter(None, lambda: 0):
        assert threading.active_count() == before
