# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all of FastDFS's packets: every layout reads what was written in it, garbage is a typed error."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import records, wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.wire import ReplyError
from ansible_collections.polystore.storage.tests.unit.fastdfs.recorded import ANSWERS
from ansible_collections.polystore.storage.tests.unit.fastdfs.test_wire import PARSERS
from hypothesis import given, settings
from hypothesis import strategies as st

GROUP = b"g1".ljust(16, b"\0")


def row_of(layout: Any, chance: random.Random) -> dict[str, Any]:
    """A record as a server could have it: any numbers, text that fits its field, a state, a port."""

    def value_of(form: str) -> Any:
        if form.endswith("s"):
            return "".join(chance.choices("abc.0123456789", k=chance.randrange(int(form[:-1])))).encode()
        size = struct.calcsize("!" + form)
        return struct.unpack("!" + form, chance.randbytes(size))[0]

    row = {name: value_of(form) for name, form in zip(layout.names, layout.forms, strict=True)}
    row["storage_port"] = chance.randrange(65536)
    if "http_port" in row:
        row["http_port"] = chance.randrange(33, 65536)
    if "status" in row:
        row.update(status=chance.choice(sorted(wire.STATES)), if_trunk_server=chance.randrange(2))
    else:
        row["name"] = "".join(chance.choices("abcXYZ019", k=chance.randint(1, 16))).encode()
    return row


@pytest.mark.parametrize(("length", "layout"), [*records.GROUPS.items(), *records.STORAGES.items()])
def test_every_layout_reads_what_was_written(length: int, layout: Any) -> None:
    assert layout.struct.size == length
    storage = "status" in layout.names
    keys = ("state", *records.STORAGE_KEYS) if storage else records.GROUP_KEYS

    @settings(max_examples=40)
    @given(st.integers(0, 1 << 32), st.integers(1, 32))
    def holds(seed: int, count: int) -> None:
        chance = random.Random(seed)
        rows = [row_of(layout, chance) for _number in range(count if seed % 8 == 0 else 1)]
        body = b"".join(layout.struct.pack(*(row[name] for name in layout.names)) for row in rows)
        found = records.parse_storages(body) if storage else records.parse_groups(body)
        assert len(found) == len(rows)
        for wanted, row in zip(rows, found, strict=True):
            assert tuple(row) == keys
            shown = {name: value.decode() if isinstance(value, bytes) else value for name, value in wanted.items()}
            assert row == {**dict.fromkeys(keys), "state": wire.STATES[wanted["status"]], **shown} if storage else True
            assert storage or row == {**dict.fromkeys(keys), **shown}

    holds()


ADDRESSES = st.ip_addresses(v=4).map(str) | st.sampled_from(["::1", "fe80::1", "2001:db8:1:2:3:4:5:6"])
PORTS = st.integers(1, 65535)


def written(servers: list[tuple[str, int]], width: int, bare: bool = False) -> bytes:
    parts = []
    for number, (host, port) in enumerate(servers):
        parts.append(host.encode().ljust(width, b"\0"))
        if not bare or number == 0:
            parts.append(struct.pack("!Q", port))
    return b"".join(parts)


@settings(max_examples=50)
@given(st.lists(st.tuples(ADDRESSES, PORTS), min_size=1, max_size=8), st.booleans(), st.integers(0, 255))
def test_addresses_are_read_as_written(servers: list[tuple[str, int]], wide: bool, path: int) -> None:
    width = 45 if wide or any(len(host) > 15 for host, _port in servers) else 15
    for times in (1, 32 // len(servers)):
        assert wire.parse_store(GROUP + written(servers * times, width) + bytes([path])) == (
            "g1", servers * times, path,
        )  # fmt: skip
        assert wire.parse_place(GROUP + written(servers * times, width)) == servers * times


@settings(max_examples=50)
@given(st.lists(ADDRESSES, min_size=2, max_size=8), PORTS, st.booleans())
def test_addresses_without_their_own_ports_are_read_as_written(hosts: list[str], port: int, wide: bool) -> None:
    width = 45 if wide or any(len(host) > 15 for host in hosts) else 15
    servers = [(host, port) for host in hosts]
    assert wire.parse_place(GROUP + written(servers, width, bare=True)) == servers


ANY = st.characters(min_codepoint=3, exclude_categories=["Cs"])


@settings(max_examples=60)
@given(st.dictionaries(st.text(ANY, min_size=1, max_size=16), st.text(ANY, max_size=64), max_size=4))
def test_metadata_are_read_as_written(metadata: dict[str, str]) -> None:
    packed = wire.pack_metadata(metadata)
    assert wire.parse_metadata(packed) == metadata
    names = [pair.partition(b"\2")[0] for pair in packed.split(b"\1")]
    assert names == sorted(names)


# --- garbage

LENGTHS = (0, 15, 16, 39, 40, 55, 60, 62, 69, 70, 105, 113, 122, 487, 509, 517, 600, 612, 642, 644)
SEEDS = sorted({answer.body for answer in ANSWERS if len(answer.body) > 10})


def garbage(chance: random.Random) -> bytes:
    """Noise, noise of a length that some reply has, or a real reply that was spoiled, cut or lengthened."""
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.choice(LENGTHS))
    if kind == 1:
        return chance.randbytes(chance.randrange(700))
    data = bytearray(chance.choice(SEEDS))
    for _number in range(chance.randint(1, 4)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data) if kind == 2 else bytes(data)[: chance.randrange(len(data))] + chance.randbytes(3)


@pytest.mark.parametrize("parser", [*dict.fromkeys(PARSERS.values()), wire.parse_versions])
def test_garbage_is_a_typed_error(parser: Callable[[bytes], Any]) -> None:
    refused = 0
    for seed in range(600):
        body = garbage(random.Random(seed))
        try:
            found = parser(body)
        except ReplyError as error:
            refused += 1
            assert error.message
            continue
        assert len(repr(found)) < 64 * len(body) + 4096  # nothing is made of nothing
    assert refused > 250 or parser is wire.parse_metadata


@settings(max_examples=60)
@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=200))
def test_any_bytes_at_all_are_a_typed_error(command: int, body: bytes) -> None:
    try:
        PARSERS[command](body)
    except ReplyError as error:
        assert error.message
