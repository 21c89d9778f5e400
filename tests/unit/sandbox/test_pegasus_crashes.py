# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real Pegasus servers die of: the stand-in drops the connections, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import PegasusServer
from ansible_collections.polystore.storage.tests.unit.sandbox.pegasus_calls import (
    PUT,
    Client,
    environment,
    primary,
    refused,
)
from polystore_sandbox.pegasus.keys import after, joined

pytestmark = [pytest.mark.server, pytest.mark.pegasus]


@pytest.fixture
def client(pegasus_server: PegasusServer) -> Iterator[Client]:
    made = Client(pegasus_server)
    yield made
    made.close()


@pytest.fixture
def table(client: Client) -> str:
    name = client.server.new_name()
    client.create(name)
    return name


@pytest.mark.parametrize(
    ("name", "args", "header"),
    [
        ("PUT", PUT, {"hashed": 1}),
        ("PUT", PUT, {"thread_hash": 1}),
        ("REMOVE", PUT["key"], {"hashed": 1}),
        ("GET", b"\0", {}),
        ("GET", b"\0\5h", {}),
        ("TTL", b"", {}),
        ("MULTI_GET", {"hash_key": bytes(65535)}, {}),
        ("MULTI_PUT", {"hash_key": bytes(65535), "rows": [{"key": b"k", "value": b"v"}]}, {}),
        ("SORTKEY_COUNT", bytes(65535), {}),
        ("BATCH_GET", {"keys": [{"hash_key": bytes(65535), "sort_key": b""}]}, {}),
        ("GET_SCANNER", {"start": b"", "stop": b"\xff"}, {}),
        (
            "GET_SCANNER",
            {"start": joined(b"a"), "stop": after(joined(b"a")), "hash_filter": 2, "hash_pattern": b"ab"},
            {},
        ),
    ],
)
def test_requests_that_end_a_replica_server(
    client: Client, table: str, name: str, args: Any, header: dict[str, int]
) -> None:
    where, good = primary(client, table, b"h")
    assert refused(client, where, {**good, **header}, name, args) == "closed"
    (crash,) = client.server.expect_crash()
    assert (crash["method"], crash["status"]) == (name, None)


def test_the_longest_hash_key_that_is_good(client: Client, table: str) -> None:
    hash_key = bytes(65534)
    assert client.put(table, hash_key, b"k", b"v") == 0
    assert client.many(table, "MULTI_GET", hash_key, sort_keys=[], start_inclusive=True)["rows"]


def test_a_data_request_ends_a_meta(client: Client, table: str) -> None:
    assert refused(client, client.server.meta_servers[0], {}) == "closed"
    assert len(client.server.expect_crash()) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"app_type": "simple_kv"},
        {"envs": {"default_ttl": "600"}},
        {"envs": {"manual_compact.once.trigger_time": "1", "manual_compact.once.target_level": "-1"}},
    ],
)
def test_tables_that_end_every_replica_server(client: Client, options: dict[str, Any]) -> None:
    name = client.server.new_name()
    client.server.behave(primaries_seconds=0)
    client.create(name, wait=False, **options)
    assert len(client.server.expect_crash()) == 3
    assert client.config(name)["partitions"][0]["primary"] == 0


def test_a_default_ttl_before_the_primaries_is_told_at_the_end(client: Client) -> None:
    name = client.server.new_name()
    client.server.behave(primaries_seconds=1000)
    client.create(name, wait=False)
    environment(client, name, default_ttl="600")
    assert len(client.server.expect_crash()) == 1


def test_what_is_no_crash(client: Client) -> None:
    name = client.server.new_name()
    client.server.behave(primaries_seconds=1000)
    client.create(name, wait=False)
    environment(client, name, default_ttl="600", business__info="x")
    client.meta("UPDATE_APP_ENV", app_name=name, op=3, prefix="")
    environment(client, name, default_ttl="abc", replica__slow_query_threshold="20")
    client.server.do("hurry")
    client.complete(name)
    environment(client, name, default_ttl="600")
    assert client.server.crashes() == []
