# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to a Pegasus server: many requests at once, deadlines, half an answer, an end in between, forks."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.lines import Call, Line, Nodes, Settings
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import (
    LostError,
    PegasusError,
    ReplyError,
    Server,
)
from ansible_collections.polystore.storage.tests.unit.pegasus.double import Asked, Double, hangs_up, playing

ARGS = schema.get(b"h", b"s").args
FINE = (0, b"v", "s")


@pytest.fixture
def server() -> Iterator[Double]:
    with playing(lambda asked: asked.reply(*FINE)) as (double,):
        yield double


def opened(server: Double, timeout: float = 20.0) -> Line:
    return Line(server.server, "replica", Settings((server.server,), timeout), Counters())


def ask(line: Line) -> Call:
    return line.send(schema.GET, ARGS, "get t", app_id=1, partition=0, partition_hash=1)


def test_answers_in_pieces(server: Double) -> None:
    def trickle(asked: Asked) -> None:
        for byte in asked.reply(*FINE):
            asked.connection.sendall(bytes([byte]))

    server.answer = trickle
    line = opened(server)
    assert [line.result(ask(line))["value"] for _time in range(3)] == [b"v"] * 3
    line.close()


def test_several_answers_in_one_piece(server: Double) -> None:
    held: list[Asked] = []

    def together(asked: Asked) -> bytes | None:
        held.append(asked)
        return b"".join(each.reply(*FINE) for each in held) if len(held) == 50 else None

    server.answer = together
    line = opened(server)
    calls = [ask(line) for _time in range(50)]
    assert [line.result(call)["value"] for call in reversed(calls)] == [b"v"] * 50
    line.close()


def test_a_large_answer_comes_whole(server: Double) -> None:
    value = os.urandom(3_000_000)
    server.answer = lambda asked: asked.reply(0, value, "s")
    line = opened(server)
    calls = [ask(line) for _time in range(4)]
    assert all(line.result(call)["value"] == value for call in calls)
    assert line.counters.snapshot()["bytes_received"] > 12_000_000
    line.close()


@pytest.mark.parametrize("share", [0, 2, 4, 30, 60])
def test_half_an_answer_and_silence(server: Double, share: int) -> None:
    server.answer = lambda asked: asked.reply(*FINE)[:share]
    line = opened(server, 0.3)
    with pytest.raises(LostError, match=r"get t: replica .*: no answer in 0\.3 s") as caught:
        line.result(ask(line))
    assert caught.value.late
    assert caught.value.whole
    assert not line.open


@pytest.mark.parametrize("share", [0, 2, 4, 30, 60])
def test_half_an_answer_and_an_end(server: Double, share: int) -> None:
    def half(asked: Asked) -> None:
        asked.connection.sendall(asked.reply(*FINE)[:share])
        raise EOFError

    server.answer = half
    line = opened(server)
    with pytest.raises(LostError, match="closed the connection|reset") as caught:
        line.result(ask(line))
    assert (caught.value.whole, caught.value.late) == (True, False)


def troubles(line: Line, count: int) -> list[PegasusError]:
    """What each of so many requests came to. Is the server quicker than we are, the last one hears it at once."""
    calls, found = list[Call](), list[PegasusError]()
    for number in range(count):
        try:
            calls.append(ask(line))
        except PegasusError as error:
            assert number == count - 1
            found.append(error)
    for call in calls:
        with pytest.raises(PegasusError) as caught:
            line.result(call)
        found.append(caught.value)
    return found


def test_an_end_is_told_to_all_who_wait(server: Double) -> None:
    server.answer = lambda asked: hangs_up(asked) if len(server.asked) == 10 else None
    line = opened(server)
    for error in troubles(line, 10):
        assert isinstance(error, LostError) and re.search("closed the connection|reset", str(error))
        assert (error.begun, error.whole, error.transient) == (True, True, True)
    with pytest.raises(LostError) as caught:
        ask(line)
    assert not caught.value.begun


def test_foreign_bytes_are_told_to_all_who_wait(server: Double) -> None:
    server.answer = lambda asked: b"SSH-2.0-OpenSSH_9.2\r\n" if len(server.asked) == 3 else None
    for error in troubles(opened(server), 3):
        assert isinstance(error, ReplyError)
        assert (error.begun, error.whole, error.transient) == (True, True, False)


def test_who_answers_others_is_slow_and_not_silent(server: Double) -> None:
    server.answer = lambda asked: None
    line = opened(server)
    call = ask(line)
    server.wait(1)
    call.until = time.monotonic() - 1  # it should be here, and others have come since
    line._heard = time.monotonic() + 1000
    waiting = threading.Timer(0.2, lambda: server.asked[0].connection.sendall(server.asked[0].reply(*FINE)))
    waiting.start()
    assert line.result(call)["value"] == b"v"
    waiting.join()
    line.close()


def test_who_answers_others_is_not_waited_for_forever(server: Double) -> None:
    server.answer = lambda asked: None
    line = opened(server)
    call = ask(line)
    call.until = time.monotonic() - 3 * line.timeout - 1
    line._heard = time.monotonic() + 1000
    with pytest.raises(LostError, match="no answer") as caught:
        line.result(call)
    assert caught.value.late
    line.close()


def test_an_answer_that_comes_too_late_harms_nobody(server: Double) -> None:
    server.answer = lambda asked: None
    line = opened(server)
    first, second = ask(line), ask(line)
    server.wait(2)
    first.until = line.timeout = 0.0  # its time is over
    with pytest.raises(LostError, match="no answer"):
        line.result(first)
    server.asked[0].connection.sendall(server.asked[0].reply(0, b"old", "s") + server.asked[1].reply(*FINE))
    assert line.result(second)["value"] == b"v"


def test_a_line_that_is_given_up_still_takes_what_is_on_its_way(server: Double) -> None:
    gate = threading.Event()

    def answer(asked: Asked) -> bytes | None:
        gate.wait(20)
        return asked.reply(*FINE)

    server.answer = answer
    line = opened(server)
    call = ask(line)
    line.retire()
    with pytest.raises(LostError) as caught:
        ask(line)
    assert not caught.value.begun
    gate.set()
    assert line.result(call)["value"] == b"v"


def test_nobody_listens() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(*listener.getsockname())
    listener.close()
    with pytest.raises(LostError, match=r"connect to: meta 127.0.0.1:\d+: connection refused") as caught:
        Line(server, "meta", Settings((server,)), Counters())
    assert not caught.value.begun
    assert "Its port is 34601" in caught.value.told()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70 + ".invalid", "\udcff"])
def test_names_that_lead_nowhere(host: str) -> None:
    with pytest.raises(LostError, match="connect to: meta"):
        Line(Server(host, 34601), "meta", Settings((Server(host, 34601),)), Counters())


def test_a_line_that_ended_in_between_is_replaced(server: Double) -> None:
    nodes = Nodes(Settings((Server("127.0.0.1", 1),), 20.0), Counters())
    line, call = nodes.send(server.server, "replica", schema.GET, ARGS, "get t")
    assert line.result(call)["value"] == b"v"
    again, call = nodes.send(server.server, "replica", schema.GET, ARGS, "get t")
    assert again is line
    assert line.result(call)["value"] == b"v"
    line.close()
    other, call = nodes.send(server.server, "replica", schema.GET, ARGS, "get t")
    assert other is not line
    assert other.result(call)["value"] == b"v"
    assert len(server.connections) == 2
    nodes.close()
    assert not other.open


def test_threads_make_one_connection(server: Double) -> None:
    nodes = Nodes(Settings((Server("127.0.0.1", 1),), 20.0), Counters())
    start, found = threading.Barrier(8), list[Any]()

    def work() -> None:
        start.wait(20)
        line, call = nodes.send(server.server, "replica", schema.GET, ARGS, "get t")
        found.append(line.result(call)["value"])

    threads = [threading.Thread(target=work) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [b"v"] * 8
    assert len(server.connections) == 1
    nodes.close()


def test_a_fork_has_its_own_connection(server: Double) -> None:
    nodes = Nodes(Settings((Server("127.0.0.1", 1),), 20.0), Counters())
    line, call = nodes.send(server.server, "replica", schema.GET, ARGS, "get t")
    assert line.result(call)["value"] == b"v"
    child = os.fork()
    if not child:
        code = 1
        try:
            own, call = nodes.send(server.server, "replica", schema.GET, ARGS, "get t")
            code = 0 if own is not line and own.result(call)["value"] == b"v" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    line, call = nodes.send(server.server, "replica", schema.GET, ARGS, "get t")
    assert line.result(call)["value"] == b"v"
    assert len(server.connections) == 2
    nodes.close()


def test_one_way_requests_wait_for_nothing(server: Double) -> None:
    server.answer = lambda asked: None if asked.rpc is schema.CLEAR_SCANNER else asked.reply(*FINE)
    line = opened(server)
    line.send(schema.CLEAR_SCANNER, schema.CLEAR_SCANNER.ask.write((-5,)), "clear_scanner")
    assert line.result(ask(line))["value"] == b"v"
    assert [asked.kind for asked in server.asked] == [4, 1]
    assert server.asked[0].asked == -5
    line.close()


def test_what_was_sent_is_counted(server: Double) -> None:
    line = opened(server)
    line.result(ask(line))
    order = schema.put(b"h", b"s", b"v")
    server.answer = lambda asked: asked.reply(0)
    line.result(line.send(order.rpc, order.args, "put t"))
    found = line.counters.snapshot()
    assert (found["requests"], found["writes"]) == (2, 1)
    assert found["bytes_sent"] == sum(len(asked.raw) for asked in server.asked)
    line.close()
