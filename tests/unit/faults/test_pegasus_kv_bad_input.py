# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of pegasus_kv that cannot be right, or would take servers down: nothing is sent, not even a question."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import KvResource
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.rows import MOST
from ansible_collections.polystore.storage.tests.support.run import run_task
from ansible_collections.polystore.storage.tests.unit.faults.test_bad_input import local, placed, refused

__all__ = ["local"]
K = {"table": "t", "hash_key": "h"}
V = {**K, "value": "v"}
P = {**V, "prune": True, "scope": {}}
LONG = base64.b64encode(b"x" * 65535).decode()


def only(**more):
    """A row with a condition."""
    return {**V, "only_if": {"op": "exist", **more}}


def scope(**more):
    """A row with a scope."""
    return {**P, "scope": more}


# (options, what the message says); "@x" is the path x in a directory made for the test.
CASES = [
    # what is needed
    ({}, "table: is required"),
    ({"table": "t", "value": "v"}, "hash_key: is missing. Give hash_key or hash_key_b64"),
    ({"hash_key": "h", "value": "v"}, "table: is required"),
    # names of tables
    ({**V, "table": ""}, "table: '' is no name of a table"),
    ({**V, "table": " t"}, "table: ' t' is no name of a table: it is empty, or has blanks"),
    ({**V, "table": "a\nb"}, "table: 'a\\nb' holds a control character"),
    ({**V, "table": "a\udcff"}, "is not valid UTF-8"),
    # keys and values that servers do not survive, or do not take
    ({**V, "hash_key": "x" * 65535}, "hash_key: a hash key of 65535 bytes: at most 65534 go"),
    ({**V, "hash_key": "ä" * 32768}, "hash_key: a hash key of 65536 bytes"),
    ({**V, "hash_key": "x" * 65535, "state": "absent"}, "hash_key: a hash key of 65535 bytes"),
    ({"table": "t", "hash_key_b64": LONG, "value": "v"}, "hash_key: a hash key of 65535 bytes"),
    ({**scope(hash_key="x" * 65535)}, "scope.hash_key: a hash key of 65535 bytes"),
    ({**V, "value": "x" * MOST}, "value: it has %d bytes with its keys: at most %d go" % (MOST + 1, MOST)),
    ({**V, "hash_key": "x" * 60000, "value": "x" * (MOST - 59999)}, "value: it has"),
    ({**V, "sort_key": "x" * MOST}, "at most %d go" % MOST),
    ({**K, "sort_key": "x" * MOST, "state": "absent"}, "sort_key: xxx"),
    ({**K, "values": {"a": "1", "big": "x" * MOST}}, "values: big has"),
    ({**K, "value_src": "@large"}, "value_src: it has"),
    ({**V, "hash_key": "a\udcff"}, "hash_key: it is not valid UTF-8"),
    ({**V, "sort_key": "a\udcff"}, "sort_key: it is not valid UTF-8"),
    ({**K, "value": "a\udcff"}, "value: it is not valid UTF-8"),
    ({**K, "values": {"a": "\udcff"}}, "values: 'a': it is not valid UTF-8"),
    ({**K, "values": {"\udcff": "a"}}, "values: '\\udcff': it is not valid UTF-8"),
    ({"table": "t", "hash_key_b64": "a?b", "value": "v"}, "hash_key_b64: it is no base64"),
    ({**V, "sort_key_b64": "YQ"}, "sort_key_b64: it is no base64"),
    ({**K, "value_b64": "AP8"}, "value_b64: it is no base64"),
    ({**K, "values": {"a": {"deep": 1}}}, "values: the value of 'a' is no text. Write it with to_json"),
    ({**K, "values": ["a"]}, "values"),
    # local files
    ({**K, "value_src": "@none"}, "value_src: "),
    ({**K, "value_src": "@plain"}, "plain is no regular file"),
    ({**K, "value_src": "@pipe/fifo"}, "fifo is no regular file"),
    # what does not go together
    ({**V, "hash_key_b64": "YQ=="}, "hash_key_b64: cannot be given together with hash_key"),
    ({**V, "sort_key": "s", "sort_key_b64": "YQ=="}, "sort_key_b64: cannot be given together with sort_key"),
    ({**V, "value_b64": "eA=="}, "value_b64: cannot be given together with value"),
    ({**V, "value_src": "@file"}, "value_src: cannot be given together with value"),
    ({**V, "values": {"a": "b"}}, "values: cannot be given together with value"),
    ({**K, "values": {"a": "b"}, "sort_key": "s"}, "sort_key: cannot be given together with values"),
    ({**K, "values": {"a": "b"}, "sort_key_b64": "YQ=="}, "sort_key: cannot be given together with values"),
    # times to live
    ({**V, "ttl": 0}, "ttl: 0 is no ttl: 1 second or more"),
    ({**V, "ttl": -5}, "ttl: -5 is no duration"),
    ({**V, "ttl": "soon"}, "ttl: 'soon' is no duration"),
    ({**V, "ttl": 1.5}, "ttl: 1.5 is no duration"),
    ({**V, "ttl": "60000d"}, "ends after the year 2083"),
    ({**V, "ttl": 1 << 70}, "ends after the year 2083"),
    ({**V, "ttl_tolerance": 60}, "ttl_tolerance: goes with a ttl that is not never"),
    ({**V, "ttl": "never", "ttl_tolerance": 60}, "ttl_tolerance: goes with a ttl that is not never"),
    ({**V, "ttl": "1d", "ttl_tolerance": "10%"}, "ttl_tolerance: '10%' is no duration"),
    ({**V, "ttl": "1d", "ttl_tolerance": "never"}, 'ttl_tolerance: "never" is no tolerance'),
    # conditions
    ({**V, "only_if": {"sort_key": "s"}}, "op"),
    ({**V, "batch": [{"only_if": {"sort_key": "s"}}]}, "batch[0].only_if.op: is missing. Known are not_exist"),
    ({**V, "batch": [{"only_if": {"op": "none"}}]}, "batch[0].only_if.op: 'none' is none of not_exist"),
    ({**V, "batch": [{"only_if": {"op": "exist", "key": "k"}}]}, "batch[0].only_if: key is unknown in it"),
    (only(op="equal"), "value of op"),
    (only(operand="1"), "only_if.operand: exist compares with nothing"),
    (only(op="int_less"), "only_if.operand: is missing: int_less compares with it"),
    (only(op="int_less", operand="1.5"), "only_if.operand: it is no whole number of 64 bits"),
    (only(op="int_equal", operand="9223372036854775808"), "only_if.operand: it is no whole number of 64 bits"),
    (only(op="bytes_equal", operand="1", operand_b64="MQ=="), "only_if.operand_b64: cannot be given together"),
    (only(op="bytes_equal", operand_b64="?"), "only_if.operand_b64: it is no base64"),
    (only(op="bytes_equal", operand="x" * MOST), "only_if: check_and_mutate"),
    ({**only(), "hash_key": ""}, "hash_key: an empty hash key: its rows are spread"),
    ({**only(), **P}, "prune: cannot be given together with only_if"),
    ({**K, "values": {"a": "1"}, "only_if": {"op": "exist"}}, "only_if.sort_key: is missing"),
    (
        {**K, "values": {"a": "1"}, "only_if": {"op": "exist", "sort_key": "a"}, "shard": {"index": 0, "count": 2}},
        "shard: cannot be given together with only_if and values",
    ),
    (
        {**K, "values": {"a": "x" * 600_000, "b": "x" * 600_000}, "only_if": {"op": "exist", "sort_key": "a"}},
        "only_if: check_and_mutate",
    ),
    # prune
    ({**V, "prune": True}, "scope: is missing"),
    ({**V, "scope": {"start": "a"}}, "scope: goes with prune: true"),
    ({**P, "max_delete": "101%"}, "max_delete: '101%' is neither a number"),
    ({**P, "max_delete": -1}, "max_delete: -1 is neither a number"),
    ({**P, "hash_key": ""}, "scope.hash_key: an empty hash key: its rows are spread"),
    (scope(start="b", stop="a"), "scope: nothing can be in it"),
    (scope(start="a", stop="a"), "scope: nothing can be in it"),
    (scope(stop=""), "scope: nothing can be in it"),
    (scope(match="prefix"), "scope.pattern: is missing. match and pattern go together"),
    (scope(pattern="x"), "scope.match: is missing. match and pattern go together"),
    (scope(match="regex", pattern="x"), "match"),
    (scope(start="a", start_b64="YQ=="), "scope.start_b64: cannot be given together with start"),
    (scope(stop_b64="?"), "scope.stop_b64: it is no base64"),
    (scope(hash_key="a", hash_key_b64="YQ=="), "scope.hash_key_b64: cannot be given together with hash_key"),
    ({**P, "batch": [{"scope": {"from": "a"}}]}, "batch[0].scope: from is unknown in it"),
    # values of other options
    ({**V, "state": "gone"}, "state"),
    ({**V, "prune": "perhaps"}, "prune"),
    ({**V, "parallel": 65}, "parallel: 65 is out of bounds"),
    ({**V, "shard": {"index": 3, "count": 3}}, "shard: index 3 of count 3 is no share"),
    # batches
    ({**V, "batch": [{"hash_key": "a"}, {"hash_key": "a"}]}, "t/a/ is declared twice"),
    ({**K, "batch": [{"value": "a"}, {"value": "b", "sort_key": ""}]}, "t/h/ is declared twice"),
    ({**V, "batch": [{"hash_key": "a"}, {"hash_key": "x" * 65535}]}, "batch[1].hash_key: a hash key of 65535"),
    ({**V, "batch": [{"hash_key": "a"}, {"key": "b"}]}, "batch[1].key: unknown option"),
    (
        {**V, "batch": [{"hash_key": "a"}, {"value_b64": "?"}]},
        "batch[1].value_b64: cannot be given together with value",
    ),
    ({**V, "batch_src": "@broken.json"}, "batch_src: "),
    ({**V, "batch_src": "@dictionary.yml"}, "batch_src: is no list"),
    # the connection
    ({**V, "meta_servers": ["host:port"]}, "meta_servers: 'host:port' is no address of a meta server"),
    ({**V, "meta_servers": ["host:70000"]}, "meta_servers: 'host:70000' is no address"),
    ({**V, "meta_servers": ["http://host"]}, "meta_servers: 'http://host' is no address"),
    ({**V, "meta_servers": []}, "meta_servers: no meta server is named"),
    ({**V, "timeout": 0}, "timeout: 0 is out of bounds"),
    ({**V, "retries": -1}, "retries: -1 is out of bounds"),
]


@pytest.mark.parametrize(("options", "told"), CASES, ids=["%03d" % number for number in range(len(CASES))])
def test_refused_before_anything_is_sent(pegasus_server, local, options, told):
    (local / "large").write_bytes(b"x" * (MOST + 5))
    mark = pegasus_server.mark()
    for check in (False, True):
        refused(run_task(KvResource, pegasus_server, check=check, **placed(options, local)), told)
    assert pegasus_server.requests(mark) == []


def test_there_are_many():
    assert len(CASES) >= 50
    assert len({str(options) for options, _told in CASES}) == len(CASES)
