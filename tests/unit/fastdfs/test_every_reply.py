# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a server answers to any request of the FastDFS client: a value or a typed error, no hang, no memory."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import LostError, ReplyError
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.records import Cluster
from ansible_collections.polystore.storage.tests.unit.fastdfs.double import (
    APPENDER,
    CONTENT,
    NORMAL,
    Answer,
    Call,
    Double,
    info,
    of,
    says,
    serving,
    waits,
)
from ansible_collections.polystore.storage.tests.unit.fastdfs.recorded import ANSWERS

MOST_MEMORY = 1 << 20
REQUESTS: dict[int, Callable[[Cluster], Any]] = {
    wire.UPLOAD: lambda c: c.upload(of(), 14),
    wire.UPLOAD_APPENDER: lambda c: c.upload(of(), 14, appender=True),
    wire.UPLOAD_SLAVE: lambda c: c.upload_slave(NORMAL, "_150x150", of(), 14, extension="jpg"),
    wire.DELETE: lambda c: c.delete(NORMAL),
    wire.SET_METADATA: lambda c: c.set_metadata(NORMAL, {"a": "1"}),
    wire.GET_METADATA: lambda c: c.get_metadata(NORMAL),
    wire.DOWNLOAD: lambda c: c.read(NORMAL),
    wire.INFO: lambda c: c.info(NORMAL),
    wire.APPEND: lambda c: c.append(APPENDER, of(), 14),
    wire.MODIFY: lambda c: c.modify(APPENDER, 0, of(), 14),
    wire.TRUNCATE: lambda c: c.truncate(APPENDER, 1),
    wire.REGENERATE: lambda c: c.regenerate(APPENDER),
    wire.LIST_GROUP: lambda c: c.group("group1"),
    wire.LIST_GROUPS: lambda c: c.groups(),
    wire.LIST_STORAGES: lambda c: c.storages("group1"),
    wire.LEADER: lambda c: c.leader(),
    wire.ACTIVE_TEST: lambda c: c.ping(c.settings.trackers[0]),
    wire.STORE: lambda c: c.store(),
    wire.STORE_IN: lambda c: c.store("group1"),
    wire.STORE_ALL: lambda c: c.store(every=True),
    wire.STORE_ALL_IN: lambda c: c.store("group1", every=True),
    wire.FETCH: lambda c: c.places(NORMAL),
    wire.UPDATE: lambda c: c.places(NORMAL, "update"),
    wire.FETCH_ALL: lambda c: c.places(NORMAL, "all"),
}
SEEDS = sorted({answer.body for answer in ANSWERS if answer.body})
each = pytest.mark.parametrize(
    "command", REQUESTS, ids=lambda command: wire.WORDS[command].replace(" ", "-") + str(command)
)


def test_every_request_that_there_is_is_one_of_these() -> None:
    assert set(REQUESTS) == set(wire.WORDS)


@pytest.fixture
def pair() -> Iterator[tuple[Double, Cluster]]:
    with serving(retries=0) as both:
        both[0].on[wire.INFO] = says(info(14))
        yield both


def told(pair: tuple[Double, Cluster], command: int, answer: Answer) -> StorageError | None:
    """The error that the request ends in when it is answered so; None when in none. In little memory."""
    double, client = pair
    double.on[command] = answer
    tracemalloc.start()
    try:
        REQUESTS[command](client)
    except StorageError as error:
        assert error.message and (error.code is None or isinstance(error.code, int))
        return error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST_MEMORY + 2 * len(CONTENT)
    assert command in double.commands()
    return None


@each
@pytest.mark.parametrize("length", [1 << 23, 1 << 40, 1 << 62, (1 << 64) - 1])
def test_an_announced_length_is_not_believed(pair: tuple[Double, Cluster], command: int, length: int) -> None:
    error = told(pair, command, lambda call: call.send(wire.HEADER.pack(length, wire.REPLY, 0) + bytes(4096)))
    assert isinstance(error, ReplyError)


def silent_after(data: bytes) -> Answer:
    """These bytes, then nothing, and no end."""

    def answer(call: Call) -> None:
        call.send(data)
        waits(call)

    return answer


@each
@pytest.mark.parametrize("data", [b"", bytes(9), wire.HEADER.pack(14, wire.REPLY, 0) + bytes(13)], ids=len)
def test_silence_is_a_lost_connection(command: int, data: bytes) -> None:
    with serving(timeout=0.1, retries=0) as pair:
        pair[0].on[wire.INFO] = says(info(14))
        assert isinstance(told(pair, command, silent_after(data)), LostError)


@each
@pytest.mark.parametrize("data", [b"", bytes(9), wire.HEADER.pack(14, wire.REPLY, 0) + bytes(13)], ids=len)
def test_an_end_is_a_lost_connection(pair: tuple[Double, Cluster], command: int, data: bytes) -> None:
    def answer(call: Call) -> None:
        call.send(data)
        call.drop()

    assert isinstance(told(pair, command, answer), LostError)


def garbage(chance: random.Random) -> bytes:
    """A packet: noise, or with a right header noise or a real server's reply that was spoiled, cut or lengthened."""
    if chance.randrange(4) == 0:
        return chance.randbytes(chance.randrange(1, 200))
    body = bytearray(chance.choice(SEEDS) if chance.randrange(2) else chance.randbytes(chance.randrange(200)))
    for _number in range(chance.randrange(4) if body else 0):
        body[chance.randrange(len(body))] = chance.randrange(256)
    body = body[: chance.randrange(len(body) + 1)] if chance.randrange(3) == 0 else body + bytes(chance.randrange(3))
    status = chance.choice((0, 0, 0, 0, 2, 22, chance.randrange(256)))
    return wire.HEADER.pack(len(body), wire.REPLY, status) + body


@each
def test_garbage_is_a_typed_error_or_what_it_says(command: int) -> None:
    errors = 0
    with serving(retries=0) as pair:
        pair[0].on[wire.INFO] = says(info(14))
        for seed in range(40):
            packet = garbage(random.Random(1000 * command + seed))

            def answer(call: Call, packet: bytes = packet) -> None:
                call.send(packet)
                call.drop()

            errors += told(pair, command, answer) is not None
    assert errors > 5
