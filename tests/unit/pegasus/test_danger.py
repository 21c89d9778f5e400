# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DANGER: requests that take a Pegasus server down, or that cannot be right, are found before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import (
    Range,
    ReplyError,
    RequestError,
    Settings,
)
from ansible_collections.polystore.storage.tests.unit.pegasus.double import Played, Whole, configuration, playing

LONG = b"k" * 65535
BIG = b"v" * (1 << 20)
DEADLY: dict[str, Callable[[Whole], Any]] = {
    # 65535 bytes of hash key: a multi_put kills each replica in turn, again after each restart
    "put": lambda c: c.put("t", LONG, b"", b"v"),
    "get": lambda c: c.get("t", LONG, b""),
    "ttl": lambda c: c.ttl("t", LONG, b""),
    "remove": lambda c: c.remove("t", LONG, b""),
    "incr": lambda c: c.incr("t", LONG, b""),
    "count": lambda c: c.count("t", LONG),
    "multi_put": lambda c: c.multi_put("t", LONG, {b"s": b"v"}),
    "multi_remove": lambda c: c.multi_remove("t", LONG, [b"s"]),
    "multi_get": lambda c: c.multi_get("t", LONG, [b"s"]),
    "rows": lambda c: c.rows("t", LONG),
    "batch_get": lambda c: c.get_many("t", [(LONG, b"s")]),
    "check_and_set": lambda c: c.check("t", schema.check_and_set(LONG, b"", "exist", b"", b"", b"v")),
    "check_and_mutate": lambda c: c.check("t", schema.check_and_mutate(LONG, b"", "exist", b"", [(b"s", b"", None)])),
    "scan": lambda c: list(c.scan("t", LONG)),
    # a pattern becomes a hash key there, and one of 65535 bytes aborts
    "hash pattern": lambda c: list(c.scan_all("t", "prefix", LONG)),
    # more than 1 MiB in one write
    "large put": lambda c: c.put("t", b"h", b"s", BIG),
    "large incr": lambda c: c.incr("t", b"h", BIG),
    "large remove": lambda c: c.remove("t", b"h", BIG),
    "large multi_put": lambda c: c.multi_put("t", b"h", {b"s": BIG}),
    "large multi_remove": lambda c: c.multi_remove("t", b"h", [BIG]),
    "large check_and_set": lambda c: c.check("t", schema.check_and_set(b"h", b"", "exist", b"", b"", BIG)),
    # an empty hash key where rows cannot be found by it
    "no hash key: multi_get": lambda c: c.multi_get("t", b"", [b"s"]),
    "no hash key: rows": lambda c: c.rows("t", b""),
    "no hash key: multi_put": lambda c: c.multi_put("t", b"", {b"s": b"v"}),
    "no hash key: multi_remove": lambda c: c.multi_remove("t", b"", [b"s"]),
    "no hash key: count": lambda c: c.count("t", b""),
    "no hash key: scan": lambda c: list(c.scan("t", b"")),
    "no hash key: check": lambda c: c.check("t", schema.check_and_set(b"", b"", "exist", b"", b"", b"")),
    # what no server can hold or understand
    "ttl 0": lambda c: c.put("t", b"h", b"s", b"v", ttl=0),
    "ttl after 2084": lambda c: c.put("t", b"h", b"s", b"v", ttl=1 << 31),
    "multi_put ttl": lambda c: c.multi_put("t", b"h", {b"s": b"v"}, ttl=-1),
    "incr text": lambda c: c.incr("t", b"h", b"s", "1"),  # type: ignore[arg-type]
    "incr 2^63": lambda c: c.incr("t", b"h", b"s", 1 << 63),
    "text": lambda c: c.put("t", "h", "s", "v"),  # type: ignore[arg-type]
    "text in a list": lambda c: c.multi_get("t", b"h", ["s"]),  # type: ignore[list-item]
    "check of no name": lambda c: c.check("t", schema.check_and_set(b"h", b"", "equals", b"", b"", b"v")),
    "no mutations": lambda c: c.check("t", schema.check_and_mutate(b"h", b"", "exist", b"", [])),
    "filter of no name": lambda c: c.rows("t", b"h", Range(match="suffix", pattern=b"x")),
    "bound as text": lambda c: c.rows("t", b"h", Range(start="a")),  # type: ignore[arg-type]
    "limit": lambda c: c.rows("t", b"h", limit=1 << 31),
    "batch 0": lambda c: list(c.scan("t", b"h", batch=0)),
    "batch 1001": lambda c: list(c.scan_all("t", batch=1001)),
    "scan filter of no name": lambda c: list(c.scan_all("t", "suffix", b"x")),
    # tables
    "table without a name": lambda c: c.create("", 4, 3),
    "table of blanks": lambda c: c.create(" ", 4, 3),
    "table with a blank": lambda c: c.create("t ", 4, 3),
    "table with a line break": lambda c: c.create("a\nb", 4, 3),
    "renamed to nothing": lambda c: c.rename("t", ""),
    "recalled to a control character": lambda c: c.recall(3, "\x01"),
    "partitions 2^31": lambda c: c.create("t", 1 << 31, 3),
    "partitions as text": lambda c: c.create("t", "4", 3),  # type: ignore[arg-type]
    "reserve 0": lambda c: c.drop("t", 0),
    "reserve -1": lambda c: c.drop("t", -1),
}


@pytest.mark.parametrize("name", DEADLY)
def test_what_cannot_be_right_or_takes_servers_down_is_not_sent(played: Played, name: str) -> None:
    with pytest.raises(RequestError) as caught:
        DEADLY[name](played.client)
    assert not caught.value.transient
    assert not played.sent()
    assert played.client.counters.snapshot()["writes"] == 0


def test_what_is_just_good_is_sent(played: Played) -> None:
    played.client.put("t", b"k" * 65534, b"", b"v")
    played.client.put("t", b"h", b"big", b"v" * 1048515)  # the largest that a 2.5.0 took under this key
    with pytest.raises(RequestError, match="1048577 bytes in one write"):
        played.client.put("t", b"h", b"big", b"v" * 1048516)
    assert [len(asked.raw) - 48 for asked in played.sent()][1] == 1 << 20


def test_a_table_is_always_of_the_one_type_and_without_envs(played: Played) -> None:
    # another type, or default_ttl from the beginning, crashes every server that opens the table
    played.client.create("new", 8, 3)
    (asked,) = played.sent()
    assert asked.asked["options"] == {
        "partitions": 8, "replicas": 3, "exist_ok": False, "type": "pegasus", "stateful": True, "envs": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    "env", ["default_ttl", "manual_compact.once.trigger_time", "manual_compact.once.target_level", "a.new.one"]
)
def test_envs_that_crash_who_opens_the_table_wait_for_it(played: Played, env: str) -> None:
    played.ready = False
    with pytest.raises(RequestError, match="may crash servers") as caught:
        played.client.set_envs("t", {"business.info": "x", env: "1"})
    assert caught.value.transient  # in a while it can be set
    assert not played.sent()
    played.client.set_envs("t", {"business.info": "x", "replica.deny_client_request": "reconfig*write"})
    played.ready = True
    played.client.set_envs("t", {env: "1"})
    assert [asked.asked["keys"] for asked in played.sent()] == [["business.info", "replica.deny_client_request"], [env]]


def test_one_partition_without_a_primary_is_enough_to_wait(played: Played) -> None:
    some = [(3, played.replica.server)] * 3 + [(0, None)]
    played.answers[schema.QUERY_CONFIG.code] = lambda asked: asked.reply(body=configuration(3, some))
    with pytest.raises(RequestError, match="may crash servers"):
        played.client.set_envs("t", {"default_ttl": "60"})
    assert not played.sent()


def test_no_data_for_meta_servers(played: Played) -> None:
    # a meta server that gets a request for data aborts
    played.replica.server = played.meta.server
    with pytest.raises(ReplyError, match="is a meta server") as caught:
        played.client.get("t", b"h", b"s")
    assert caught.value.fatal
    assert not played.sent()


def test_no_data_for_a_meta_server_that_was_never_asked(played: Played) -> None:
    with playing(played.answer) as (other,):
        played.replica.server = other.server
        settings = Settings((played.meta.server, other.server), retries=0)
        client = Whole(settings)
        with pytest.raises(ReplyError, match="is a meta server"):
            client.put("t", b"h", b"s", b"v")
        client.close()
        assert not other.asked


@pytest.mark.parametrize("key", [b"h", b"", b"user_1"])
def test_hash_and_thread_of_a_write_are_the_keys_own(played: Played, key: bytes) -> None:
    # a server aborts when one of them is wrong
    played.app_id, played.partitions = 1234567, 7
    played.client.put("t", key, b"s", b"v")
    played.client.remove("t", key, b"s")
    for asked in played.sent():
        _m, _v, _l, _c, _b, _c2, app_id, partition, _timeout, thread, partition_hash = asked.header
        assert partition_hash == wire.crc64(key or b"s")
        assert partition == partition_hash % 7
        assert (thread - (app_id * 7919 + partition)) % (1 << 32) == 0
