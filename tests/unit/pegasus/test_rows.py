# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pegasus_kv makes of its options, with no server: limits, ranges, keys and conditions."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import build
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import rows, schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import KvResource
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.rows import MOST, Condition, KvItem, within
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import Range
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import Moment, RequestError
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.binary(max_size=3)
BOUNDS = st.none() | st.binary(min_size=1, max_size=3)


def item(**options: Any) -> KvItem:
    """An item that has been looked at."""
    found = build(KvItem, {"table": "t", "hash_key": "h", **options})
    KvResource.validate(found)
    return found


@pytest.mark.parametrize("key", [0, 1, 65534])
@pytest.mark.parametrize("name", [0, 5, 1000])
def test_the_limit_is_that_of_the_request(key: int, name: int) -> None:
    value = b"v" * (MOST - key - name)
    assert schema.put(b"h" * key, b"s" * name, value).size == wire.WRITE_MOST
    with pytest.raises(RequestError, match="at most"):
        schema.put(b"h" * key, b"s" * name, value + b"v")


@given(NAMES, BOUNDS, BOUNDS, st.booleans(), st.booleans())
def test_a_range_holds_what_is_between(
    name: bytes, start: bytes | None, stop: bytes | None, first: bool, last: bool
) -> None:
    found = within(Range(start, stop, first, last), name)
    low = start is None or name > start or (name == start and first)
    high = stop is None or name < stop or (name == stop and last)
    assert found is (low and high)


@given(NAMES, st.binary(min_size=1, max_size=2), st.sampled_from(["anywhere", "prefix", "postfix"]))
def test_a_range_with_a_pattern(name: bytes, pattern: bytes, match: str) -> None:
    real = {"anywhere": pattern in name, "prefix": name.startswith(pattern), "postfix": name.endswith(pattern)}
    assert within(Range(match=match, pattern=pattern), name) is real[match]


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_keys_are_told_as_they_could_be_given(key: bytes, name: bytes) -> None:
    """Whatever the keys are: what the result calls them leads to the same row."""
    first = KvItem(table="t")
    first.pair = (key, name)
    again = build(KvItem, first.identity())
    KvResource.validate(again)
    assert again.pair == (key, name) and again.key == first.key


@given(st.integers(-(1 << 64), 1 << 64), st.integers(-(1 << 64), 1 << 64))
def test_numbers_are_those_of_64_bits(have: int, want: int) -> None:
    fit = all(-(1 << 63) <= number < 1 << 63 for number in (have, want))
    condition = Condition(b"", "int_less", b"%d" % want)
    if fit:
        assert condition.holds(b"%d" % have) is (have < want)
    else:
        with pytest.raises(ValueError, match="64 bits"):
            condition.holds(b"%d" % have)


@pytest.mark.parametrize("text", [b"", b" 1", b"1 ", b"1.0", b"0x1", b"1e3", "\u0661".encode(), b"--1", b"1" * 30])
def test_what_is_no_number(text: bytes) -> None:
    with pytest.raises(ValueError, match="no whole number"):
        Condition(b"", "int_equal", b"1").holds(text)


def test_the_rows_of_values() -> None:
    found = item(values={"a": "1", "b": None, "": "ü", "n": 3}).many
    assert found == {b"a": b"1", b"b": None, b"": "ü".encode(), b"n": b"3"}
    assert set((item(values={"a": "1", "b": 2}, state="absent").many or {}).values()) == {None}
    pieces = [item(values={"a": "1", "b": None}).single(*row) for row in {b"a": b"1", b"b": None}.items()]
    assert [(piece.key, piece.state) for piece in pieces] == [
        (("t", b"h", b"a"), "present"),
        (("t", b"h", b"b"), "absent"),
    ]


@pytest.mark.parametrize(
    ("ttl", "tolerance", "wanted"),
    [
        (100, {}, 60),
        (600, {}, 60),
        (86400, {}, 8640),
        (86400, {"ttl_tolerance": 5}, 5),
        (10, {"ttl_tolerance": "1h"}, 3600),
    ],
)
def test_how_far_a_ttl_may_be_off(ttl: int, tolerance: dict[str, Any], wanted: int) -> None:
    found = item(value="v", ttl=ttl, **tolerance)
    assert found.tolerance == wanted
    now = int(time.time()) - wire.EPOCH
    assert not KvResource._off(found, now + ttl + wanted - 2) and not KvResource._off(found, now + ttl - wanted + 2)
    assert KvResource._off(found, now + ttl + wanted + 2) and KvResource._off(found, now + ttl - wanted - 2)
    assert KvResource._off(found, 0)
    assert KvResource._off(item(value="v", ttl="never"), 5) and not KvResource._off(item(value="v", ttl="never"), 0)


def test_a_moment_is_sent_as_it_is() -> None:
    assert wire.expires(Moment(5), time.time()) == 5 and wire.expires(Moment(0), time.time()) == 0
    assert schema.put(b"h", b"s", b"v", Moment(77)) == schema.put(b"h", b"s", b"v", Moment(77))
    assert (77).to_bytes(4, "big") in schema.put(b"h", b"s", b"v", Moment(77)).args


def test_the_hash_key_of_the_scope_will_do() -> None:
    found = build(KvItem, {"table": "t", "scope": {"hash_key": "x"}, "prune": True, "values": {}})
    KvResource.validate(found)
    assert found.pair[0] == b"x" and found.rows == (b"x", schema.EVERY)


def test_what_is_said_of_a_large_file_does_not_read_it_all(tmp_path: Any) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(OptionError, match="value_src"):
        item(value_src=str(path))
    assert rows.MOST == 1_048_519
