# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of pegasus_table and pegasus_info that cannot be right: nothing is sent."""

from __future__ import annotations

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.info import Info
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.tables import Tables
from ansible_collections.polystore.storage.tests.support.run import run_task

pytestmark = pytest.mark.server
T = {"name": "t"}
Q = {"table": "t"}
H = {**Q, "hash_key": "h"}


def env(name, value):
    return {**T, "envs": {name: value}}


# (options, what the message says)
TABLES = [
    # names
    ({}, "name: is required"),
    ({"name": ""}, "name: '' is no name of a table"),
    ({"name": " "}, "is no name of a table"),
    ({"name": "a "}, "name: 'a ' is no name of a table"),
    ({"name": "a\nb"}, "name: 'a\\nb' holds a control character"),
    ({"name": "a\0"}, "holds a control character"),
    ({"name": "a\udcff"}, "is not valid UTF-8"),
    ({**T, "renamed_from": ""}, "renamed_from: '' is no name of a table"),
    ({**T, "renamed_from": "t"}, "renamed_from: t is its name already"),
    ({**T, "renamed_from": "a\tb"}, "renamed_from: 'a\\tb' holds a control character"),
    # numbers
    ({**T, "partition_count": 0}, "partition_count: 0 is out of bounds: 1 to 65536"),
    ({**T, "partition_count": -8}, "partition_count: -8 is out of bounds"),
    ({**T, "partition_count": 65537}, "partition_count: 65537 is out of bounds"),
    ({**T, "partition_count": 1 << 40}, "is out of bounds"),
    ({**T, "partition_count": "many"}, "partition_count"),
    ({**T, "partition_count": 8.5}, "partition_count"),
    ({**T, "replica_count": 0}, "replica_count: 0 is out of bounds"),
    ({**T, "replica_count": 128}, "replica_count: 128 is out of bounds"),
    ({**T, "replica_count": "three"}, "replica_count"),
    ({**T, "wait_timeout": 0}, "wait_timeout: 0 is no time to wait"),
    ({**T, "wait_timeout": "never"}, "wait_timeout: 'never' is no time to wait"),
    ({**T, "wait_timeout": "soon"}, "wait_timeout: 'soon' is no duration"),
    ({**T, "state": "absent", "reserve": 0}, "reserve: 0 is no time to wait"),
    ({**T, "state": "absent", "reserve": "never"}, "reserve: 'never' is no time"),
    ({**T, "state": "absent", "reserve": 1 << 31}, "reserve: 2147483648 is no time"),
    ({**T, "reserve": "1d"}, "reserve: is for tables that are dropped. It goes with state: absent"),
    ({**T, "state": "dropped"}, "state"),
    ({**T, "recall": "perhaps"}, "recall"),
    # envs
    ({**T, "envs": ["a"]}, "envs"),
    (env("", "x"), "envs: '' is no name"),
    (env(" a", "x"), "envs: ' a' is no name"),
    (env("a\nb", "x"), "envs: 'a\\nb' holds a control character"),
    (env("business.info", "a\udcff"), "envs: business.info: it is not valid UTF-8"),
    (env("business.info", {"a": 1}), "envs: business.info: {'a': 1} is no text"),
    (env("business.info", ["a"]), "envs: business.info: ['a'] is no text"),
    (env("business.info", 1.5), "envs: business.info: 1.5 is no text"),
    (env("default_ttl", "abc"), "envs: default_ttl: 'abc' is no whole number"),
    (env("default_ttl", -1), "envs: default_ttl: '-1' is no whole number from 0"),
    (env("default_ttl", "7d"), "envs: default_ttl: '7d' is no whole number"),
    (env("default_ttl", True), "envs: default_ttl: 'true' is no whole number"),
    (env("default_ttl", 2147483647), "envs: default_ttl: a ttl of 2147483647 s ends after the year 2083"),
    (env("default_ttl", 1 << 31), "envs: default_ttl: '2147483648' is no whole number"),
    (env("replica.slow_query_threshold", 19), "'19' is no whole number from 20"),
    (env("replica.slow_query_threshold", "20ms"), "'20ms' is no whole number"),
    (env("replica.rocksdb_iteration_threshold_time_ms", -1), "'-1' is no whole number"),
    (env("rocksdb.write_buffer_size", 16777215), "'16777215' is no whole number from 16777216 to 536870912"),
    (env("rocksdb.write_buffer_size", 536870913), "is no whole number from 16777216 to 536870912"),
    (env("rocksdb.num_levels", 0), "'0' is no whole number from 1 to 10"),
    (env("rocksdb.num_levels", 11), "'11' is no whole number from 1 to 10"),
    (env("rocksdb.checkpoint.reserve_min_count", 0), "'0' is no whole number from 1"),
    (env("rocksdb.usage_scenario", "nonsense"), "'nonsense' is none of normal, prefer_write, bulk_load"),
    (env("rocksdb.allow_ingest_behind", "yes"), "'yes' is none of true, false"),
    (env("replica.rocksdb_block_cache_enabled", 1), "'1' is none of true, false"),
    (env("manual_compact.disabled", "off"), "'off' is none of true, false"),
    (env("manual_compact.max_concurrent_running_count", -1), "'-1' is no whole number"),
    (env("manual_compact.once.trigger_time", "3:00"), "'3:00' is no whole number"),
    (env("manual_compact.once.target_level", 0), "'0' is no level"),
    (env("manual_compact.once.bottommost_level_compaction", "yes"), "'yes' is none of force, skip"),
    (env("manual_compact.periodic.trigger_time", "25:00"), "'25:00' is no time of day"),
    (env("manual_compact.periodic.target_level", -2), "'-2' is no whole number"),
    (env("replica.write_throttling", ""), "envs: replica.write_throttling: it is empty"),
    (env("replica.write_throttling", 20), "'20' is not such as 2000*delay*100"),
    (env("replica.write_throttling", "1*x*1"), "is not such as"),
    (env("replica.write_throttling", "1*delay*1,2*delay*2"), "each of both at most once"),
    (env("replica.read_throttling", "20G*delay*1"), "'20G' is no number such as 20000, 20K or 20M"),
    (env("replica.backup_request_throttling", "1*delay*-1"), "'-1' is no whole number"),
    (env("replica.write_throttling_by_size", "a*delay*1"), "'a' is no number"),
    (env("replica.read_throttling_by_size", ""), "is not such as 20000, 20K"),
    (env("replica.read_throttling_by_size", "abc"), "'abc' is not such as 20000, 20K"),
    (env("replica.read_throttling_by_size", 0), "'0' is not such as 20000, 20K"),
    (env("replica.deny_client_request", "x*all"), "'x*all' is not such as timeout*all"),
    (env("replica.deny_client_request", "reconfig"), "'reconfig' is not such as"),
    (env("replica.deny_client_request", ""), "'' is not such as"),
    # batches
    ({"batch": [{"name": "a"}, {"name": "a"}]}, "a is declared twice"),
    ({"batch": [{"name": "a"}, {}]}, "batch[1].name: is required"),
    ({"batch": [{"name": "a"}, {"name": "b", "partitions": 4}]}, "batch[1].partitions: unknown option"),
    ({"batch": [{"name": "a"}, {"name": "b", "envs": {"default_ttl": "x"}}]}, "batch[1].envs: default_ttl: 'x'"),
    ({"batch": [{"name": "a", "renamed_from": "b"}, {"name": "b"}]}, "b is declared, and is to be renamed to a"),
    ({**T, "parallel": 0}, "parallel: 0 is out of bounds"),
    # the connection
    ({**T, "meta_servers": []}, "meta_servers: no meta server is named"),
    ({**T, "meta_servers": ["host:port"]}, "meta_servers: 'host:port' is no address of a meta server"),
    ({**T, "meta_servers": ["http://host"]}, "is no address of a meta server"),
    ({**T, "timeout": 0}, "timeout: 0 is out of bounds"),
    ({**T, "retries": -1}, "retries: -1 is out of bounds"),
]
QUESTIONS = [
    # what is needed
    ({"gather": ["table"]}, "table: is needed to gather table"),
    ({"gather": ["partitions"]}, "table: is needed to gather partitions"),
    ({"gather": ["scan"]}, "table: is needed to gather scan"),
    ({**Q, "gather": ["value"]}, "hash_key: is needed to gather value"),
    ({**Q, "gather": ["sort_keys"]}, "hash_key: is needed to gather sort_keys"),
    ({**Q, "gather": ["range"]}, "hash_key: is needed to gather range"),
    ({**Q, "gather": ["rows"]}, "gather"),
    ({"table": " t"}, "table: ' t' is no name of a table"),
    # what takes servers down, or gives what nobody means
    ({**Q, "hash_key": "x" * 65535}, "hash_key: a hash key of 65535 bytes: at most 65534 go"),
    ({**Q, "hash_key": "ä" * 32768, "sort_key": ""}, "hash_key: a hash key of 65536 bytes"),
    (
        {**Q, "gather": ["scan"], "hash_match": "prefix", "hash_pattern": "x" * 65535},
        "hash_pattern: a hash key of 65535 bytes",
    ),
    ({**H, "gather": ["scan"], "hash_match": "prefix", "hash_pattern": "x"}, "hash_match: is for whole tables"),
    ({**Q, "hash_key": "", "gather": ["range"]}, "hash_key: it is empty"),
    ({**Q, "hash_key": "", "gather": ["count"]}, "hash_key: it is empty"),
    ({**Q, "hash_key_b64": "", "gather": ["sort_keys"]}, "hash_key: it is empty"),
    ({**Q, "hash_key": "a\udcff"}, "hash_key: it is not valid UTF-8"),
    # what does not go together
    ({**H, "hash_key_b64": "aA=="}, "hash_key_b64: cannot be given together with hash_key"),
    ({**H, "sort_key": "a", "sort_key_b64": "YQ=="}, "sort_key_b64: cannot be given together with sort_key"),
    ({**H, "start": "a", "start_b64": "YQ=="}, "start_b64: cannot be given together with start"),
    ({**H, "named": ["a"], "named_b64": ["YQ=="]}, "named_b64: cannot be given together with named"),
    ({**H, "named": ["a"], "start": "a"}, "named: cannot be given together with a range"),
    ({**H, "named": ["a"], "reverse": True}, "named: cannot be given together with a range"),
    ({**H, "gather": ["value"], "reverse": True}, "reverse: goes with gather: range, sort_keys"),
    ({**H, "gather": ["scan"], "reverse": True}, "reverse: goes with gather: range, sort_keys"),
    ({**H, "gather": ["range"], "sort_key": "a"}, "sort_key: goes with gather: value, ttl, exists"),
    ({**H, "gather": ["count"], "limit": 5}, "limit: goes with gather: range, scan, sort_keys"),
    ({**H, "gather": ["range"], "with_ttl": True}, "with_ttl: goes with gather: scan"),
    ({**H, "gather": ["sort_keys"], "no_value": True}, "no_value: goes with gather: range, scan"),
    ({**Q, "limit": 5}, "limit: goes with gather: range, scan, sort_keys"),
    ({**H, "match": "prefix"}, "pattern: is missing"),
    ({**H, "pattern": "a"}, "match: is missing"),
    ({**Q, "gather": ["scan"], "hash_match": "prefix"}, "hash_pattern: is missing"),
    ({**Q, "gather": ["scan"], "start": "a"}, "start: goes with hash_key: a whole table has no order"),
    ({**Q, "gather": ["count"], "stop": "a"}, "stop: goes with hash_key"),
    # values
    ({**Q, "hash_key_b64": "a?b"}, "hash_key_b64: it is no base64"),
    ({**H, "stop_b64": "=="}, "stop_b64: it is no base64"),
    ({**H, "named_b64": ["YQ==", "?"]}, "named_b64: it is no base64"),
    ({**H, "match": "regex", "pattern": "a"}, "match"),
    ({**H, "limit": 0}, "limit: 0 is out of bounds"),
    ({**H, "limit": 1 << 31}, "limit: 2147483648 is out of bounds"),
    ({**H, "max_bytes": 0}, "max_bytes: 0 is out of bounds"),
    ({**H, "max_bytes": "lots"}, "max_bytes: 'lots' is no size"),
    ({**H, "gather": ["scan"], "batch_size": 0}, "batch_size: 0 is out of bounds: 1 to 1000 rows"),
    ({**H, "gather": ["scan"], "batch_size": 1001}, "batch_size: 1001 is out of bounds"),
    ({**H, "encoding": "latin1"}, "encoding"),
]
CASES = [*((Tables, *case) for case in TABLES), *((Info, *case) for case in QUESTIONS)]


@pytest.mark.parametrize(
    ("subject", "options", "told"),
    CASES,
    ids=["%03d-%s-%s" % (number, case[0].__name__, "-".join(case[1])) for number, case in enumerate(CASES)],
)
def test_refused_before_anything_is_sent(pegasus_server, subject, options, told):
    mark = pegasus_server.mark()
    for check in (False, True):
        result = run_task(subject, pegasus_server, check=check, **options)
        assert result["failed"] is True and result["changed"] is False
        assert told in result["msg"] and "exception" not in result, result["msg"]
    assert pegasus_server.requests(mark) == []


def test_there_are_many():
    assert len(TABLES) >= 70 and len(QUESTIONS) >= 40
    assert len({(case[0], str(case[1])) for case in CASES}) == len(CASES)
