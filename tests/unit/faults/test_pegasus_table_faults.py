# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pegasus_table and pegasus_info on a Pegasus that stumbles: what is told is so, and the next run leads on from it."""

from __future__ import annotations

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.info import Info
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.tables import Tables
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import Shelf, new_table
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
ROWS = {b"%04d" % number: b"v" for number in range(300)}
KEYS = [b"key %d" % number for number in range(8)]
LISTS = "LIST_APPS|QUERY_PARTITION_CONFIG_BY_INDEX|LIST_NODES"


@pytest.fixture
def name(pegasus_server):
    return pegasus_server.new_name()


@pytest.fixture
def shelf(pegasus_server):
    """A table with 8 hash keys of 300 rows each."""
    found = Shelf(pegasus_server, complete=True)
    for key in KEYS:
        found.client.multi_put(found.table, key, ROWS)
    yield found
    found.close()


def task(server, name, **args):
    return run_task(Tables, server, False, True, **{"name": name, "timeout": 2, **args})


def there(server, name):
    """The table as it is told by a question of its own."""
    return run_ok(Info, server, table=name)["table"]


def sent(server, mark):
    return [entry["method"] for entry in server.writes(mark)]


# --- the leader of the meta servers


@pytest.mark.parametrize("method", ["LIST_APPS", "LIST_NODES", "CREATE_APP", "UPDATE_APP_ENV", "QUERY_PARTITION.*"])
def test_another_meta_server_leads(pegasus_server, name, method):
    pegasus_server.fault("leader", method=method)
    envs = {"default_ttl": "60"}
    result = task(pegasus_server, name, partition_count=2, envs=envs)
    assert pegasus_server.faults()[0]["hit"] == 1
    assert result["changed"] is True and "failed" not in result
    assert there(pegasus_server, name)["envs"] == envs
    assert task(pegasus_server, name, partition_count=2, envs=envs)["changed"] is False


@pytest.mark.parametrize("method", ["DROP_APP", "RENAME_APP", "RECALL_APP", "SET_MAX_REPLICA_COUNT"])
def test_it_leads_when_a_table_changes(pegasus_server, name, method):
    task(pegasus_server, name, partition_count=2)
    if method == "RECALL_APP":
        task(pegasus_server, name, state="absent")
    pegasus_server.fault("leader", method=method)
    args = {
        "DROP_APP": {"state": "absent"},
        "RENAME_APP": {"name": name + "-new", "renamed_from": name},
        "RECALL_APP": {"recall": True},
        "SET_MAX_REPLICA_COUNT": {"replica_count": 1},
    }[method]
    result = task(pegasus_server, **{"name": name, **args})
    assert pegasus_server.faults()[0]["hit"] == 1 and "failed" not in result and result["changed"] is True
    assert task(pegasus_server, **{"name": name, **args})["changed"] is False


def test_the_leader_is_dead(pegasus_server, name):
    pegasus_server.behave(dead=["meta1"])
    assert task(pegasus_server, name, envs={"business.info": "x"})["changed"] is True
    assert there(pegasus_server, name)["ready"] is True


def test_all_meta_servers_are_dead(pegasus_server, name):
    pegasus_server.listen(False)
    for subject, args in ((Tables, {"name": name}), (Info, {"table": name, "gather": ["scan"]})):
        result = run_task(subject, pegasus_server, retries=1, **args)
        assert result["failed"] is True and "Does it run, and can it be reached from here?" in result["msg"]


# --- answers that are late, lost or none


@pytest.mark.parametrize("method", ["LIST_APPS", "LIST_NODES", "QUERY_PARTITION.*", "UPDATE_APP_ENV", "CREATE_APP"])
@pytest.mark.parametrize("code", ["ERR_SERVICE_NOT_ACTIVE", "ERR_UNDER_RECOVERY", "ERR_BUSY_CREATING"])
def test_what_is_refused_for_a_while_is_asked_again(pegasus_server, name, method, code):
    pegasus_server.fault("status", method=method, body="err=" + code, count=2)
    result = task(pegasus_server, name, envs={"default_ttl": 60})
    assert result["changed"] is True and "failed" not in result
    assert there(pegasus_server, name)["envs"] == {"default_ttl": "60"}


@pytest.mark.parametrize("action", ["close_after", "cut", "garbage"])
@pytest.mark.parametrize("method", ["CREATE_APP", "RENAME_APP", "RECALL_APP", "DROP_APP", "UPDATE_APP_ENV",
                                    "SET_MAX_REPLICA_COUNT"])  # fmt: skip
def test_the_answer_is_lost(pegasus_server, name, action, method):
    """What was carried out is found to be so; nothing is done twice that must not be."""
    args = {
        "CREATE_APP": {"partition_count": 2},
        "RENAME_APP": {"name": name + "-new", "renamed_from": name},
        "RECALL_APP": {"recall": True},
        "DROP_APP": {"state": "absent"},
        "UPDATE_APP_ENV": {"envs": {"business.info": "x"}},
        "SET_MAX_REPLICA_COUNT": {"replica_count": 2},
    }[method]
    if method != "CREATE_APP":
        task(pegasus_server, name, partition_count=2)
    if method == "RECALL_APP":
        task(pegasus_server, name, state="absent")
    pegasus_server.fault(action, method=method, bytes=20 if action == "cut" else 0, body="HTTP/1.1 200 OK\r\n\r\n")
    mark = pegasus_server.mark()
    result = task(pegasus_server, **{"name": name, **args})
    again = task(pegasus_server, **{"name": name, **args})
    once = method in ("CREATE_APP", "RENAME_APP", "RECALL_APP")
    assert sent(pegasus_server, mark).count(method) <= (1 if once else 3)  # one goes to who does not lead
    if "failed" in result:  # garbage for a write that may be repeated is not: then nobody knows
        assert action == "garbage" and not once
        assert result["failures"][0]["hint"]
    else:
        assert result["changed"] is True
    assert again["changed"] is False and "failed" not in again


@pytest.mark.parametrize("action", ["close", "hang"])
def test_nobody_knows_whether_it_was_created(pegasus_server, name, action):
    pegasus_server.fault(action, method="CREATE_APP")
    mark = pegasus_server.mark()
    result = task(pegasus_server, name, partition_count=2, timeout=1)
    assert result["failed"] is True and result["changed"] is False
    assert "It may have been carried out all the same" in result["msg"]
    assert sent(pegasus_server, mark) == ["CREATE_APP"]
    assert there(pegasus_server, name) is None
    pegasus_server.clear_faults()
    assert task(pegasus_server, name, partition_count=2)["resource"]["action"] == "created"


def test_somebody_else_was_quicker(pegasus_server, name):
    """A table of that name that is not like the one declared is nobody's success."""
    pegasus_server.fault("status", method="CREATE_APP", body="err=ERR_APP_EXIST")
    result = task(pegasus_server, name)
    assert result["failed"] is True and result["failures"][0]["code"] == "ERR_APP_EXIST"
    pegasus_server.fault("status", method="RENAME_APP", body="err=ERR_APP_NOT_EXIST")
    task(pegasus_server, name)
    result = task(pegasus_server, name + "-new", renamed_from=name)
    assert result["failed"] is True and result["failures"][0]["code"] == "ERR_APP_NOT_EXIST"
    pegasus_server.fault("status", method="RECALL_APP", body="err=ERR_APP_NOT_EXIST")
    task(pegasus_server, name, state="absent")
    result = task(pegasus_server, name, recall=True)
    assert (result["failed"], result["changed"]) == (True, False)


@pytest.mark.parametrize("method", ["LIST_APPS", "QUERY_PARTITION.*"])
def test_a_meta_server_that_speaks_another_language(pegasus_server, name, method):
    pegasus_server.fault("garbage", method=method, body="HTTP/1.1 400 Bad Request\r\n\r\n", count=None)
    result = task(pegasus_server, name, retries=1)
    assert result["failed"] is True and "Is this a Pegasus meta server?" in result["msg"]
    assert result["changed"] is (method != "LIST_APPS")  # it was created before it could be looked at


def test_a_slow_meta_server(pegasus_server, name):
    pegasus_server.fault("delay", method=".*", path=name, seconds=0.2, count=None)
    assert task(pegasus_server, name, envs={"default_ttl": 60})["changed"] is True


# --- what happens between two steps of a task


def test_the_table_is_dropped_while_it_is_waited_for(pegasus_server, name):
    pegasus_server.behave(primaries_seconds=1000)
    pegasus_server.fault("status", method="QUERY_PARTITION.*", path=name, body="err=ERR_OBJECT_NOT_FOUND", count=None)
    result = task(pegasus_server, name, wait_timeout=1)
    assert result["failed"] is True and result["changed"] is True
    assert "the table was created, but then: after 1 s the meta servers do not know it" in result["msg"]


def test_what_was_done_is_told_step_by_step(pegasus_server, name):
    task(pegasus_server, name, partition_count=2, envs={"business.info": "x"})
    pegasus_server.fault("status", method="UPDATE_APP_ENV", body="err=ERR_ACL_DENY", count=None, skip=1)
    args = {"name": name + "-new", "renamed_from": name, "replica_count": 2}
    envs = {"business.info": None, "rocksdb.num_levels": 3}
    result = task(pegasus_server, envs=envs, **args)
    told = "it was renamed and the replica count was set and envs were removed, but then: update envs"
    assert result["failed"] is True and result["changed"] is True and told in result["msg"]
    resource = result["resource"]
    assert (resource["name"], resource["replica_count"], resource["envs"]) == (name + "-new", 2, {})
    pegasus_server.clear_faults()
    assert task(pegasus_server, envs=envs, **args)["resource"]["envs"] == {"rocksdb.num_levels": "3"}
    assert task(pegasus_server, envs=envs, **args)["changed"] is False


def test_servers_die_and_the_table_is_waited_for(pegasus_server, name):
    task(pegasus_server, name, partition_count=4, replica_count=1)
    pegasus_server.do("hurry")
    pegasus_server.behave(dead=["replica1"], failover_seconds=0)
    result = task(pegasus_server, name, wait_timeout=1)
    assert result["failed"] is True and result["changed"] is False
    assert "of 4 partitions have no primary" in result["msg"] and result["failures"][0]["code"] == "NO_PRIMARY"
    table = there(pegasus_server, name)
    assert table["ready"] is False and table["without_primary"]
    pegasus_server.behave(dead=[])
    pegasus_server.do("hurry")
    assert task(pegasus_server, name)["changed"] is False


# --- questions


@pytest.mark.parametrize("action", ["move", "expel", "split", "kill"])
@pytest.mark.parametrize("nth", [1, 5, 20])
def test_a_scan_is_whole(pegasus_server, shelf, action, nth):
    pegasus_server.fault(action, method="SCAN", path=shelf.table, nth=nth)
    found = shelf.run(Info, gather=["scan", "count"], batch_size=50)
    assert pegasus_server.faults()[0]["hit"] == 1
    assert len(found["scan"]) == found["count"] == len(KEYS) * len(ROWS)
    assert len({(row["hash_key"], row["sort_key"]) for row in found["scan"]}) == len(found["scan"])


@pytest.mark.parametrize("action", ["move", "expel", "split", "kill"])
@pytest.mark.parametrize("method", ["GET", "TTL", "MULTI_GET", "SORTKEY_COUNT", "GET_SCANNER"])
def test_rows_are_found_wherever_they_have_gone(pegasus_server, shelf, action, method):
    pegasus_server.fault(action, method=method, path=shelf.table)
    row = shelf.run(Info, gather=["value", "ttl", "exists"], hash_key="key 1", sort_key="0007")
    assert (row["value"], row["ttl"], row["exists"]) == ("v", "never", True)
    rows = shelf.run(Info, gather=["range", "scan", "sort_keys", "count"], hash_key="key 1", limit=250)
    assert len(rows["range"]) == len(rows["scan"]) == len(rows["sort_keys"]) == 250 and rows["count"] == 300
    assert pegasus_server.faults()[0]["hit"] == 1


def test_pages_that_servers_end_early(pegasus_server, shelf):
    pegasus_server.behave(multi_get_rows=70, scan_rows=30)
    asked = {"gather": ["range", "scan", "sort_keys", "count"], "hash_key": "key 2"}
    found = shelf.run(Info, **asked)
    assert [row["sort_key"] for row in found["range"]] == found["sort_keys"] == sorted(name.decode() for name in ROWS)
    assert found["scan"] == found["range"] and found["count"] == 300
    back = shelf.run(Info, gather=["range"], hash_key="key 2", reverse=True, limit=200)
    assert back["range"] == found["range"][100:] and back["incomplete"] == ["range"]
    far = shelf.run(Info, gather=["range"], hash_key="key 2", match="postfix", pattern="99", limit=5)
    assert [row["sort_key"] for row in far["range"]] == ["0099", "0199", "0299"]


def test_a_scan_that_waited_too_long(pegasus_server, shelf):
    pegasus_server.behave(scan_seconds=0)
    assert shelf.run(Info, gather=["count"], batch_size=50)["count"] == len(KEYS) * len(ROWS)


@pytest.mark.parametrize("code", ["ERR_BUSY", "ERR_CAPACITY_EXCEEDED", "ERR_SPLITTING", "ERR_INVALID_STATE"])
def test_throttled_for_a_while(pegasus_server, shelf, code):
    pegasus_server.fault("status", method="GET|SCAN|MULTI_GET", path=shelf.table, body=code, count=3)
    found = shelf.run(Info, gather=["range", "count"], hash_key="key 3", start="0100")
    assert len(found["range"]) == found["count"] == 200


def test_a_server_that_never_answers(pegasus_server, shelf):
    pegasus_server.fault("hang", method="SCAN|GET_SCANNER", path=shelf.table, count=None)
    result = shelf.fails(Info, gather=["count"], timeout=1, retries=1)
    assert "no answer in 1 s" in result["msg"] and "count" not in result


def test_a_partition_without_a_primary(pegasus_server, name):
    pegasus_server.behave(primaries_seconds=1000)
    task(pegasus_server, name, wait=False)
    result = run_task(Info, pegasus_server, table=name, gather=["scan"], retries=1)
    assert result["failed"] is True and "has no primary now" in result["msg"]


def test_a_table_that_is_dropped_in_the_midst_of_a_scan(pegasus_server, shelf):
    """Rows of two tables of one name are never told as one."""
    other = pegasus_server.new_name()
    new_table(pegasus_server, other)
    pegasus_server.fault("status", method="SCAN", path=shelf.table, body="ERR_OBJECT_NOT_FOUND", skip=2, count=None)
    pegasus_server.fault(
        "status", method="GET_SCANNER", path=shelf.table, body="ERR_OBJECT_NOT_FOUND", skip=5, count=None
    )
    result = shelf.fails(Info, gather=["scan"], batch_size=50, retries=1)
    assert "ERR_OBJECT_NOT_FOUND" in result["msg"] and "scan" not in result
