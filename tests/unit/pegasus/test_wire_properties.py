# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all of Pegasus's messages, keys and ranges; garbage is a typed error, and no reply can harm."""

from __future__ import annotations

import random
import struct
import tracemalloc
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import admin, schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import Range
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import (
    ReplyError,
    RequestError,
    Rpc,
    Struct,
)
from ansible_collections.polystore.storage.tests.unit.pegasus.recorded import CALLS
from hypothesis import given, settings
from hypothesis import strategies as st

EVERY = [*vars(schema).values(), *vars(admin).values()]
RPCS = sorted((rpc for rpc in EVERY if isinstance(rpc, Rpc)), key=lambda rpc: rpc.code)
ANSWERS = [(rpc.code, rpc.answer) for rpc in RPCS if rpc.answer]
I31 = st.integers(0, (1 << 31) - 1)
I32, I64 = st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.binary(max_size=12)

# --- thrift

PAIR = Struct("1 key blob, 2 value blob, 3 expires i32", row=True)
ALL = Struct(
    "1 a bool, 2 b i32, 3 c i64, 4 d text, 5 e blob, 6 f code, 7 g map, 8 h [i32], 9 i [text], 300 j pair, "
    "32767 k [pair], 12 l [blob]",
    {"pair": PAIR},
)
PAIRS = st.tuples(KEYS, KEYS, I32)
VALUES = st.tuples(
    st.booleans(), I32, I64, TEXT, KEYS, TEXT, st.dictionaries(TEXT, TEXT, max_size=3), st.lists(I32, max_size=3),
    st.lists(TEXT, max_size=3), PAIRS, st.lists(PAIRS, max_size=3), st.lists(KEYS, max_size=3),
)  # fmt: skip


@settings(max_examples=100)
@given(VALUES, st.binary(max_size=5))
def test_what_is_written_is_read_and_nothing_behind_it(values: Any, rest: bytes) -> None:
    data = ALL.write(values)
    found, end = ALL.read(data + rest, 0)
    assert end == len(data)
    assert tuple(found.values()) == values


@settings(max_examples=40, deadline=None)
@given(VALUES, st.randoms(use_true_random=False), st.integers(0, 12))
def test_the_order_of_fields_is_the_servers_own_and_none_is_needed(values: Any, chance: Any, kept: int) -> None:
    parts = [
        ALL.write([value if at == number else None for at, value in enumerate(values)])[:-1] for number in range(12)
    ]
    wanted = dict(zip(ALL.names, values, strict=True))
    chance.shuffle(parts)
    whole, _end = ALL.read(b"".join(parts) + b"\0", 0)
    assert whole == wanted
    some, _end = ALL.read(b"".join(parts[:kept]) + b"\0", 0)
    assert sum(some[name] == wanted[name] for name in ALL.names) >= kept


@settings(max_examples=100)
@given(I31, I31, st.integers(0, (1 << 64) - 1), st.binary(max_size=9))
def test_frames(app_id: int, partition: int, partition_hash: int, body: bytes) -> None:
    data = wire.frame(body, app_id, partition, partition_hash, 10)
    fields = wire.HEADER.unpack(data[:48])
    assert fields[:6] == (b"THFT", 0, 48, 0, len(body), 0)
    assert fields[6:8] == (app_id, partition)
    assert fields[8] == 10000
    assert (fields[9] - (app_id * 7919 + partition)) % (1 << 32) == 0
    assert fields[10] == partition_hash
    assert data[48:] == body


@given(st.text("ABCDEFGHIJ_", max_size=30), st.integers(-(1 << 31), (1 << 31) - 1), st.text("ERR_OK", max_size=9))
def test_heads_are_read_as_they_are_written(code: str, seqid: int, error: str) -> None:
    args = b"\x0c\0\0\0\0"
    body = wire.message(code, seqid, args, wire.REPLY)
    assert body[:4] == b"\x80\1\0\2"
    head = wire.parse_head(struct.pack(">i", len(error)) + error.encode() + body)
    assert (head.error, head.code, head.seqid) == (error, code, seqid)


# --- keys, hashes, bounds


@given(st.binary(max_size=300), st.binary(max_size=20))
def test_raw_keys_are_split_as_they_were_made(hash_key: bytes, sort_key: bytes) -> None:
    raw = wire.raw_key(hash_key, sort_key)
    assert wire.split_key(raw) == (hash_key, sort_key)
    assert len(raw) == 2 + len(hash_key) + len(sort_key) >= 2


@settings(max_examples=100)
@given(st.binary(max_size=100))
def test_crc64_bit_by_bit(data: bytes) -> None:
    crc = (1 << 64) - 1
    for byte in data:
        crc ^= byte
        for _bit in range(8):
            crc = crc >> 1 ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    assert wire.crc64(data) == crc ^ ((1 << 64) - 1)


@given(st.binary(min_size=1, max_size=40), st.integers(1, 10))
def test_a_split_moves_a_key_to_its_partition_or_to_the_one_that_is_made_of_it(key: bytes, power: int) -> None:
    count = 1 << power
    before, after = wire.crc64(key) % count, wire.crc64(key) % (2 * count)
    assert after in (before, before + count)
    # in whose name a full scan asks: the server that has lost the second half sees that it is not meant
    assert (before + count) % count == before
    assert (before + count) % (2 * count) != before


RAWS = st.tuples(st.binary(max_size=3), st.binary(max_size=4))


@settings(max_examples=200)
@given(RAWS, st.lists(RAWS, max_size=12))
def test_the_end_of_a_hash_keys_rows_is_behind_all_of_them_and_before_all_others(one: Any, others: Any) -> None:
    first, end = wire.raw_key(one[0], b""), wire.next_key(wire.raw_key(one[0], b""))
    for hash_key, sort_key in [*others, one]:
        raw = wire.raw_key(hash_key, sort_key)
        assert (first <= raw < end) == (hash_key == one[0])


SORTS = st.none() | st.binary(max_size=2)


@settings(max_examples=300)
@given(SORTS, SORTS, st.booleans(), st.booleans(), st.lists(st.binary(max_size=3), max_size=12))
def test_ranges(start: Any, stop: Any, first: bool, last: bool, names: list[bytes]) -> None:
    within = Range(start, stop, first, last)

    def inside(name: bytes) -> bool:
        low = start is None or (name >= start if first else name > start)
        return low and (stop is None or (name <= stop if last else name < stop))

    if within.empty:
        assert not any(map(inside, names))
        return
    begin, inclusive, scan = schema.hash_scan(b"h", within)
    assert begin < scan.stop or (begin == scan.stop and inclusive and scan.stop_inclusive)
    for name in names:
        raw = wire.raw_key(b"h", name)
        low = raw >= begin if inclusive else raw > begin
        assert (low and (raw <= scan.stop if scan.stop_inclusive else raw < scan.stop)) == inside(name)


@given(st.integers(), st.integers(0, 4102444800))
def test_a_time_of_expiry_is_one_that_a_server_can_hold(ttl: int, now: int) -> None:
    try:
        moment = wire.expires(ttl, now)
    except ValueError:
        assert ttl <= 0 or not 0 < now - 1451606400 + ttl < 1 << 31
        return
    assert moment - ttl == now - 1451606400
    assert 0 < moment < 1 << 31


# --- every request that can be made is one that no server dies of

LONG = st.sampled_from([b"", b"k", b"k" * 65534, b"k" * 65535, b"k" * 70000]) | KEYS


@settings(max_examples=300, deadline=None)
@given(LONG, LONG, st.binary(max_size=30), st.integers(0, 12))
def test_what_is_made_is_harmless(key: bytes, sort_key: bytes, value: bytes, which: int) -> None:
    makers = [
        lambda: schema.put(key, sort_key, value), lambda: schema.get(key, sort_key),
        lambda: schema.ttl_of(key, sort_key), lambda: schema.remove(key, sort_key),
        lambda: schema.incr(key, sort_key, 1), lambda: schema.count(key),
        lambda: schema.multi_put(key, [(sort_key, value)]), lambda: schema.multi_remove(key, [sort_key]),
        lambda: schema.check_and_set(key, sort_key, "exist", b"", sort_key, value),
        lambda: schema.check_and_mutate(key, sort_key, "exist", b"", [(sort_key, value, None)]),
        lambda: schema.batch_get([(b"k", b""), (key, sort_key)]), lambda: schema.multi_get(key, [sort_key]),
        lambda: schema.hash_scan(key, Range())[2].order(b"\0\0", True, 0, None, ""),
    ]  # fmt: skip
    try:
        order = makers[which]()
    except RequestError as error:
        assert len(key) > 65534 or (not key and which > 4)
        assert not error.transient
        return
    assert len(key) <= 65534
    assert order.size == len(wire.message(order.rpc.code, 1, order.args))
    (asked,) = order.rpc.ask.read(order.args, 0)[0].values()
    if which < 5:
        raw = asked if isinstance(asked, bytes) else asked["key"]
        assert wire.split_key(raw) == (key, sort_key)
        assert order.hash == wire.crc64(key or sort_key)
    elif which < 12:
        assert order.hash == wire.crc64(b"k" if which == 10 else key)


# --- garbage

SEEDS = [(call.rpc.answer, call.reply[4 + wire.parse_head(call.reply[4:]).at :]) for call in CALLS
         if call.rpc and call.rpc.answer and call.error == "ERR_OK"]  # fmt: skip
HEADS = [call.reply[4:] for call in CALLS]


def spoiled(chance: random.Random, data: bytes) -> bytes:
    """Noise, or a real reply cut, lengthened, or with some bytes changed, lengths above all."""
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(80))
    if kind == 1:
        return data[: chance.randrange(len(data) + 1)]
    if kind == 2:
        at = chance.randrange(len(data) + 1)
        return data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at:]
    changed = bytearray(data)
    for _time in range(chance.randrange(1, 4)):
        at = chance.randrange(len(changed))
        if kind == 3:
            changed[at] = chance.choice([0, 1, 2, 8, 10, 11, 12, 13, 14, 15, 127, 128, 255, chance.randrange(256)])
        else:
            changed[at : at + 4] = struct.pack(">i", chance.choice([-1, 1 << 30, (1 << 31) - 1, 0, 1000]))
    return bytes(changed)


@pytest.mark.parametrize("seed", range(8))
def test_garbage_is_a_typed_error_or_a_reply_with_all_its_fields(seed: int) -> None:
    chance = random.Random(seed)
    tracemalloc.start()
    try:
        for _time in range(700):
            answer, data = chance.choice(SEEDS)
            if chance.random() < 0.1:
                answer = chance.choice(ANSWERS)[1]
            data = spoiled(chance, data)
            try:
                found = wire.parse_reply(answer, data, 0)
            except ReplyError as error:
                assert not error.transient
                assert len(error.message) < 500
            else:
                assert list(found) == answer.names
                assert found.get("error", 0) is not None
                assert found.get("err", "") is not None
            data = spoiled(chance, chance.choice(HEADS))
            try:
                head = wire.parse_head(data)
            except ReplyError:
                continue
            assert head.at <= len(data)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("code", "answer"), ANSWERS)
def test_every_parser_finds_that_a_reply_was_cut(code: str, answer: Struct) -> None:
    for known, data in SEEDS:
        if known is answer:
            for end in range(len(data) - 1):
                with pytest.raises(ReplyError):
                    wire.parse_reply(answer, data[:end], 0)
            break
    else:
        assert code == "RPC_RRDB_RRDB_CLEAR_SCANNER"


@pytest.mark.parametrize("kind", [0x0F, 0x0E, 0x0D])
def test_no_depth_and_no_length_takes_long(kind: int) -> None:
    nested = bytes([kind, 0, 99]) + bytes([kind, 0, 0, 0, 1]) * 5000
    with pytest.raises(ReplyError):
        wire.parse_reply(schema.GET.answer, b"\x0c\0\0" + nested, 0)  # type: ignore[arg-type]
    wide = bytes([0x0F, 0, 99, 2]) + struct.pack(">i", 1 << 20) + b"\0" * (1 << 20)
    error, value = b"\x08\0\1\0\0\0\0", b"\x0c\0\2\0\0\0\1v"
    found = wire.parse_reply(schema.GET.answer, b"\x0c\0\0" + error + wide + value + b"\0\0", 0)  # type: ignore[arg-type]
    assert found["value"] == b"v"
