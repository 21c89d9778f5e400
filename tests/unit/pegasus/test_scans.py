# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges and scans of the Pegasus client against a server that a test plays: handles, cut pages, contexts, splits."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import (
    PegasusError,
    Range,
    RefusedError,
    ReplyError,
)
from ansible_collections.polystore.storage.tests.unit.pegasus.double import Asked, Played, configuration

NAMES = [b"%02d" % number for number in range(20)]


class Rows:
    """NAMES under the hash key "h", in pages of 3; a context is (its row) shifted, negative for every other one."""

    def __init__(self, played: Played) -> None:
        self.played, self.bounds, self.forgotten, self.cut = played, dict[int, dict[str, Any]](), set[int](), set[int]()
        self.pages = 0
        for rpc in (schema.GET_SCANNER, schema.SCAN):
            played.answers[rpc.code] = self.answer
        played.answers[schema.MULTI_GET.code] = self.range
        self.numbers = iter(range(1, 1000))

    def raws(self, asked: dict[str, Any]) -> list[bytes]:
        raws = [wire.raw_key(b"h", name) for name in NAMES]
        return [
            raw for raw in raws
            if (raw >= asked["start"] if asked["start_inclusive"] else raw > asked["start"])
            and (raw <= asked["stop"] if asked["stop_inclusive"] else raw < asked["stop"])
        ]  # fmt: skip

    def answer(self, asked: Asked) -> bytes:
        self.pages += 1
        if asked.rpc is schema.GET_SCANNER:
            left = self.raws(asked.asked)
        else:
            left = self.bounds.pop(asked.asked["context"], {"left": None})["left"]
            if left is None or self.pages in self.forgotten:
                return asked.reply(1, [], 0)
        page, left = [(raw, b"v", None) for raw in left[:3]], left[3:]
        if self.pages in self.cut:
            return asked.reply(7, page, 0)
        if not left:
            return asked.reply(0, page, -1)
        number = next(self.numbers)
        context = number << 32 if number % 2 else -(number << 32)
        self.bounds[context] = {"left": left}
        return asked.reply(0, page, context)

    def range(self, asked: Asked) -> bytes:
        """At most 4 rows, and error 7 where there are more."""
        about = dict(asked.asked)
        about["start"], about["stop"] = (
            wire.raw_key(b"h", about["start"]), wire.raw_key(b"h", about["stop"]) if about["stop"] else b"\0\1i",
        )  # fmt: skip
        raws = [raw for raw in self.raws(about) if self.fits(raw)]
        most = min(about["most_rows"] or 4, 4)
        found = raws[-most:] if about["reverse"] else raws[:most]
        self.pages += 1
        if self.pages in self.cut:
            return asked.reply(7, [])
        return asked.reply(7 if len(found) < len(raws) else 0, [(raw[3:], b"v", None) for raw in found])

    fits: Callable[[bytes], bool] = staticmethod(lambda _raw: True)


@pytest.fixture
def rows(played: Played) -> Rows:
    return Rows(played)


def scanned(rows: Rows, *arguments: Any, **more: Any) -> list[bytes]:
    return [row.sort_key for row in rows.played.client.scan("t", b"h", *arguments, **more)]


def test_handles_below_zero_are_handles(rows: Rows) -> None:
    assert scanned(rows) == NAMES
    assert rows.pages == 7
    assert min(asked.asked["context"] for asked in rows.played.sent() if asked.rpc is schema.SCAN) < -1


@pytest.mark.parametrize("page", range(2, 8))
def test_a_context_that_is_gone_is_begun_anew_behind_the_last_row(rows: Rows, page: int) -> None:
    rows.forgotten = {page}
    assert scanned(rows) == NAMES
    again = [asked.asked for asked in rows.played.sent() if asked.rpc is schema.GET_SCANNER][1]
    assert again["start"] == wire.raw_key(b"h", NAMES[3 * (page - 1) - 1])
    assert not again["start_inclusive"]


@pytest.mark.parametrize("page", range(1, 8))
def test_a_page_that_was_cut_is_begun_anew_behind_the_last_row(rows: Rows, page: int) -> None:
    rows.cut = {page, page + 1}
    assert scanned(rows) == NAMES


def test_a_server_that_never_gets_further(rows: Rows) -> None:
    rows.played.answers[schema.GET_SCANNER.code] = lambda asked: asked.reply(7, [], 0)
    with pytest.raises(RefusedError, match="gave up 4 times without a row") as caught:
        scanned(rows)
    assert caught.value.code == "Incomplete"
    rows.played.answers[schema.GET_SCANNER.code] = lambda asked: asked.reply(0, [], 5 << 32)
    with pytest.raises(RefusedError, match="gave up 4 times without a row"):
        scanned(rows)


@pytest.mark.parametrize(
    "within",
    [
        Range(b"05", b"05"), Range(b"05", b"04", True, True), Range(b"05", b"05", False, True), Range(stop=b""),
        Range(b"05", b"05", True, False), Range(b"", b"", False, True), Range(b"zz", b"a", True, True),
    ],
)  # fmt: skip
def test_an_empty_range_is_not_asked_for(rows: Rows, within: Range) -> None:
    assert scanned(rows, within) == []
    assert rows.played.client.rows("t", b"h", within) == []
    assert rows.pages == 0


def test_an_empty_range_that_the_server_finds_ends(rows: Rows) -> None:
    rows.played.answers[schema.GET_SCANNER.code] = lambda asked: asked.reply(0, [], 0)
    assert scanned(rows) == []
    assert len(rows.played.sent()) == 1


def test_who_stops_early_has_the_context_cleared(rows: Rows) -> None:
    found = rows.played.client.scan("t", b"h")
    assert next(found).sort_key == b"00"
    found.close()
    rows.played.replica.wait(2)
    last = rows.played.sent()[-1]
    assert (last.rpc, last.kind, last.asked) == (schema.CLEAR_SCANNER, wire.ONEWAY, 1 << 32)
    assert last.header[10] == wire.crc64(b"h")


def test_no_context_is_cleared_where_there_is_none(rows: Rows) -> None:
    scanned(rows, Range(b"00", b"02"))
    assert rows.played.client.get("t", b"h", b"s") == b"v"
    assert [asked.rpc.words for asked in rows.played.sent()] == ["get_scanner", "get"]


RANGES = [
    Range(), Range(b"03"), Range(None, b"05"), Range(b"03", b"17"), Range(b"03", b"17", False, True),
    Range(b"03", b"03", True, True), Range(b"a", None), Range(b"", b"01", False, True), Range(b"", None, False),
]  # fmt: skip


@pytest.mark.parametrize("within", RANGES)
@pytest.mark.parametrize("limit", [None, 0, 1, 4, 5, 100])
@pytest.mark.parametrize("reverse", [False, True])
def test_ranges_page_by_page(rows: Rows, within: Range, limit: int | None, reverse: bool) -> None:
    low = [name for name in NAMES if within.start is None or name > within.start or
           (name == within.start and within.start_inclusive)]  # fmt: skip
    inside = [name for name in low if within.stop is None or name < within.stop or
              (name == within.stop and within.stop_inclusive)]  # fmt: skip
    wanted = inside if limit is None else inside[len(inside) - min(limit, len(inside)) :] if reverse else inside[:limit]
    found = rows.played.client.rows("t", b"h", within, limit, reverse)
    assert [name for name, _value in found] == wanted
    assert all(asked.rpc is schema.MULTI_GET for asked in rows.played.sent())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [None, 3, 6])
@pytest.mark.parametrize("page", [1, 2])
def test_where_a_filter_leaves_nothing_a_scan_goes_on(rows: Rows, reverse: bool, limit: int | None, page: int) -> None:
    rows.cut = {page}
    found = rows.played.client.rows("t", b"h", Range(), limit, reverse)
    wanted = NAMES if limit is None else NAMES[-limit:] if reverse else NAMES[:limit]
    assert [name for name, _value in found] == wanted
    assert limit == 3 and page == 2 or any(asked.rpc is schema.GET_SCANNER for asked in rows.played.sent())


def test_the_row_with_the_empty_sort_key_alone(rows: Rows) -> None:
    # an empty stop means none to a server: only a scan can ask for this
    assert rows.played.client.rows("t", b"h", Range(None, b"", True, True)) == []
    (asked,) = rows.played.sent()
    assert (asked.rpc, asked.asked["start"], asked.asked["stop"]) == (schema.GET_SCANNER, b"\0\1h", b"\0\1h")
    assert asked.asked["stop_inclusive"]


@pytest.mark.parametrize("first", [0, 1, 3])
def test_named_rows_that_were_cut_are_asked_for_again(rows: Rows, first: int) -> None:
    tries: list[list[bytes]] = []

    def cut(asked: Asked) -> bytes:
        names = asked.asked["sort_keys"]
        tries.append(names)
        if len(tries) == 1:
            return asked.reply(7, [(name, b"v", None) for name in names[:first]])
        return asked.reply(0, [(name, b"v", None) for name in names if name != b"04"])

    rows.played.answers[schema.MULTI_GET.code] = cut
    rows.played.answers[schema.GET.code] = lambda asked: asked.reply(1 if asked.asked.endswith(b"04") else 0, b"v")
    wanted = dict.fromkeys(NAMES[:6], b"v")
    del wanted[b"04"]
    assert rows.played.client.multi_get("t", b"h", [*NAMES[:6], b"00"]) == wanted
    assert tries[1:] == ([NAMES[first:6]] if first else [])


def test_more_names_than_a_server_looks_at(rows: Rows) -> None:
    asked_for: list[int] = []

    def count(asked: Asked) -> bytes:
        asked_for.append(len(asked.asked["sort_keys"]))
        return asked.reply(0, [(name, b"", None) for name in asked.asked["sort_keys"]])

    rows.played.answers[schema.MULTI_GET.code] = count
    names = [b"%d" % number for number in range(2500)]
    assert list(rows.played.client.multi_get("t", b"h", names, no_value=True)) == names
    assert sorted(asked_for) == [500, 1000, 1000]


def test_a_count_that_took_too_long_is_counted_by_a_scan(rows: Rows) -> None:
    rows.played.answers[schema.SORTKEY_COUNT.code] = lambda asked: asked.reply(0, -1)
    assert rows.played.client.count("t", b"h") == 20


# --- over a whole table

ALL = [(b"k%03d" % number, b"s") for number in range(200)]


class Parts:
    """ALL, each row with the partition that its hash names; the table is split once so many pages were asked for."""

    def __init__(self, played: Played, split_at: int = 0, ready: bool = True) -> None:
        self.played, self.split_at, self.pages, self.ready = played, split_at, 0, ready
        self.waits = 0
        played.answers[schema.QUERY_CONFIG.code] = self.config
        played.answers[schema.GET_SCANNER.code] = played.answers[schema.SCAN.code] = self.answer
        self.contexts: dict[int, list[bytes]] = {}

    @property
    def split(self) -> bool:
        return 0 < self.split_at < self.pages

    def config(self, asked: Asked) -> bytes:
        one = (3, self.played.replica.server)
        child = one if self.waits else (-1, None)
        self.waits += int(self.split)
        return asked.reply(body=configuration(3, [one] * 4 + ([child] * 4 if self.split else [])))

    def answer(self, asked: Asked) -> bytes:
        self.pages += 1
        number, partition_hash = asked.header[7], asked.header[10]
        count = 8 if self.split else 4
        if partition_hash % count != number:  # what a server does that knows of the split
            return asked.reply(error="ERR_PARENT_PARTITION_MISUSED")
        if asked.rpc is schema.GET_SCANNER:
            assert asked.asked["full"]
            assert asked.asked["validate"]
            mine = sorted(wire.raw_key(*pair) for pair in ALL if wire.crc64(pair[0]) % count == number)
            left = [raw for raw in mine if raw > asked.asked["start"]]
        else:
            left = self.contexts.pop(asked.asked["context"])
            left = [raw for raw in left if wire.crc64(wire.split_key(raw)[0]) % count == number]
        page, left = left[:7], left[7:]
        if left:
            self.contexts[-(self.pages << 32)] = left
        return asked.reply(0, [(raw, b"v", 5) for raw in page], -(self.pages << 32) if left else -1)


@pytest.mark.parametrize("split_at", [0, 1, 2, 5, 11, 25, 28, 100])
def test_a_split_in_the_midst_of_a_scan_loses_nothing_and_repeats_nothing(played: Played, split_at: int) -> None:
    parts = Parts(played, split_at)
    found = [(row.hash_key, row.sort_key) for row in played.client.scan_all("t", expire=True)]
    assert len(found) == 200
    assert set(found) == set(ALL)
    assert (parts.waits > 0) == (0 < split_at < 100)


def test_a_scan_that_begins_during_a_split(played: Played) -> None:
    parts = Parts(played, 1)
    parts.pages = 1  # the meta servers know of it already, the new partitions are not there
    halves: list[tuple[int, int]] = []
    one = (3, played.replica.server)
    begun = configuration(3, [one] * 4 + [(-1, None)] * 4)
    parts.split_at = 10
    played.answers[schema.QUERY_CONFIG.code] = lambda asked: (
        parts.config(asked) if parts.split else asked.reply(body=begun)
    )
    for row in played.client.scan_all("t"):
        halves.append((len(row.hash_key), row.expires))
    assert len(halves) == 200


def test_a_table_that_is_made_anew_in_the_midst_of_a_scan(played: Played) -> None:
    Parts(played)
    found = played.client.scan_all("t")
    next(found)
    played.answers[schema.QUERY_CONFIG.code] = lambda asked: asked.reply(
        body=configuration(9, [(3, played.replica.server)] * 4)
    )
    played.client.cluster.forget("t")
    with pytest.raises(ReplyError, match="dropped and made anew"):
        list(found)


def test_filters_for_hash_keys_only_with_a_scan_over_all(played: Played) -> None:
    # without `full` a server aborts over such a filter
    parts = Parts(played)
    list(played.client.scan_all("t", "prefix", b"k", "postfix", b"s", no_value=True, batch=10))
    for asked in played.sent():
        if asked.rpc is schema.GET_SCANNER:
            about = asked.asked
            assert (about["hash_match"], about["hash_pattern"], about["match"], about["pattern"]) == (2, b"k", 3, b"s")
            assert (about["start"][:2], about["stop"], about["batch"]) == (b"\0\0", b"\xff\xff", 10)
            assert about["full"]
    assert parts.pages
    scan = schema.Scan(b"\xff\xff", hash_match="prefix", hash_pattern=b"k")
    with pytest.raises(PegasusError, match="scans over all of them"):
        scan.order(b"\0\0", True, 0, 0, "")


def test_keys_that_a_split_parts_are_not_asked_for_in_one_request(played: Played) -> None:
    def answer(asked: Asked) -> bytes:
        count = played.partitions
        number, keys = asked.header[7], asked.asked["keys"]
        if asked.header[10] % count != number:
            return asked.reply(error="ERR_PARENT_PARTITION_MISUSED")
        assert {wire.crc64(hash_key) % count for hash_key, _sort_key in keys} == {number}
        played.partitions = 8  # from now on half of the rows are elsewhere
        return asked.reply(0, [(*pair, b"v") for pair in keys])

    played.answers[schema.BATCH_GET.code] = answer
    assert played.client.get_many("t", [*ALL, ALL[0]]) == [b"v"] * 201
    assert len(played.replica.asked) > 8


def test_many_keys_of_which_some_have_no_hash_key(played: Played) -> None:
    played.answers[schema.BATCH_GET.code] = lambda asked: asked.reply(
        0, [(*pair, b"v") for pair in asked.asked["keys"] if pair[1] != b"none"]
    )
    played.answers[schema.GET.code] = lambda asked: asked.reply(int(asked.asked == b"\0\0none"), b"w")
    keys = [(b"a", b"1"), (b"", b"1"), (b"a", b"none"), (b"", b"none"), (b"a", b"1")]
    assert played.client.get_many("t", keys) == [b"v", b"w", None, None, b"v"]
    assert played.client.get_many("t", []) == []


def test_portions_fit_into_a_write() -> None:
    rows = [(b"%d" % number, b"v" * size) for number, size in enumerate([10, 500000, 500000, 500000, 1000000, 10])]
    parts = list(schema.portions(b"h", rows, lambda row: len(row[0]) + len(row[1])))
    assert [row for part in parts for row in part] == rows
    assert [len(part) for part in parts] == [3, 1, 2]
    for part in parts:
        assert schema.multi_put(b"h", part).size <= 1 << 20
    assert [len(part) for part in schema.portions(b"h", [b"k"] * 2500, len)] == [1000, 1000, 500]
    wide = [(struct.pack(">I", number), b"") for number in range(1000)]
    (part,) = schema.portions(b"k" * 65534, wide, lambda row: len(row[0]) + len(row[1]))
    assert schema.multi_put(b"k" * 65534, part, ttl=5).size <= 1 << 20
