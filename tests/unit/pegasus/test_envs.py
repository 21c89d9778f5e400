# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envs of tables in their normal form; and questions about a million rows, of which memory knows nothing."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import build
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.admin import HARMLESS
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.envs import NORMAL, envs, told
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.info import Info, Question
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import Row
from hypothesis import given
from hypothesis import strategies as st

MILLION = 1_000_000
SAME: dict[str, list[Any]] = {
    "default_ttl": ["600", 600, " 600 ", "0600"],
    "manual_compact.once.target_level": ["-1", -1],
    "manual_compact.periodic.trigger_time": ["3:00,21:00", "3:00, 21:00"],
    "replica.deny_client_request": ["timeout*all", "timeout * all", " timeout*all "],
    "replica.read_throttling_by_size": ["20000", 20000, "20K"],
    "replica.rocksdb_block_cache_enabled": ["true", True, "True", "TRUE"],
    "replica.write_throttling": ["2000000*delay*1,3*reject*0", "3*reject*0, 2M*delay*1", "3*reject*00,2M*delay*1"],
    "rocksdb.usage_scenario": ["bulk_load", "BULK_LOAD"],
    "business.info": ["5", 5],
    "no.such.env": ["true", True],
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_what_means_the_same_has_one_form(name: str) -> None:
    first = SAME[name][0]
    assert [envs({name: value}) for value in SAME[name]] == [{name: first}] * len(SAME[name])
    assert told({name: str(SAME[name][-1])}) == {name: first if name in NORMAL else str(SAME[name][-1])}


def test_what_means_something_else_has_another() -> None:
    texts = ["1*delay*1", "1*delay*2", "2*delay*1", "1*reject*1", "1*delay*1,1*reject*1", "1K*delay*1"]
    assert len({envs({"replica.read_throttling": text})["replica.read_throttling"] for text in texts}) == len(texts)


@given(st.sampled_from(sorted(NORMAL)), st.text(max_size=12) | st.integers().map(str))
def test_the_normal_form_of_a_normal_form_is_itself(name: str, text: str) -> None:
    try:
        once = envs({name: text})
    except ValueError:
        assert told({name: text}) == {name: text}  # what a server has all the same is told as it is
        return
    assert envs(once) == once
    assert told({name: text}) == {key: value for key, value in once.items() if value is not None}


def test_what_removes() -> None:
    assert envs({"a": None, "default_ttl": 0, "rocksdb.num_levels": None}) == {
        "a": None,
        "default_ttl": None,
        "rocksdb.num_levels": None,
    }
    assert told({"default_ttl": "0", "rocksdb.num_levels": "5"}) == {"rocksdb.num_levels": "5"}


def test_what_may_harm_a_new_table_is_not_among_the_harmless() -> None:
    once = {name for name in NORMAL if name.startswith("manual_compact.once.")}
    assert len(once) == 3 and not HARMLESS & (once | {"default_ttl"})


# --- a million rows


class Table:
    """A client whose table has a million rows. closed: after how many rows the scan was given up."""

    def __init__(self) -> None:
        self.cluster = SimpleNamespace(forget=lambda _table: None)
        self.given = self.closed = 0

    def scan_all(self, *_args: Any, **_options: Any) -> Iterator[Row]:
        try:
            for number in range(MILLION):
                self.given = number + 1
                yield Row(b"hash key", b"%d" % number, b"v" * 100, 0)
        except GeneratorExit:
            self.closed = self.given
            raise


def test_a_million_rows_are_counted_in_no_memory() -> None:
    table = Table()
    question = build(Question, {"table": "t", "gather": ["count"]})
    tracemalloc.start()
    try:
        assert Info.fetch(table, question) == {"count": MILLION}
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert table.given == MILLION


@pytest.mark.parametrize(("options", "rows"), [({"limit": 10}, 10), ({"max_bytes": 1100}, 10), ({"max_bytes": 1}, 1)])
def test_a_scan_goes_no_further_than_its_limit(options: dict[str, Any], rows: int) -> None:
    table = Table()
    found = Info.fetch(table, build(Question, {"table": "t", "gather": ["scan"], **options}))
    assert len(found["scan"]) == rows and found["incomplete"] == ["scan"]
    assert table.given == table.closed == rows + 1
