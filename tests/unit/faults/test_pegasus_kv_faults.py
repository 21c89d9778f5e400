# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Pegasus that stumbles under rows: the result is right, or the error names what is not known."""

from __future__ import annotations

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import KvResource
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import Shelf

pytestmark = [pytest.mark.server, pytest.mark.pegasus]
SINGLE = {(b"k%d" % number, b""): b"v%d" % number for number in range(150)}
MANY = {(b"h%d" % (number % 5), b"s%d" % number): b"w%d" % number for number in range(100)}
OLD = {(b"old%d" % number, b""): b"x" for number in range(30)}
WANTED = {**SINGLE, **MANY}
MAYBE = "It may have been carried out all the same"


def declared(rows, **more):
    """Items that declare rows."""
    return [{"hash_key": key.decode(), "sort_key": name.decode(), "value": value.decode(), **more}
            for (key, name), value in rows.items()]  # fmt: skip


class Place(Shelf):
    """A table with rows that are to go, and a task that removes them and writes others."""

    batch = [*declared(WANTED), *({"hash_key": key.decode(), "state": "absent"} for key, _name in OLD)]

    def __init__(self, server):
        super().__init__(server)
        for key, name in OLD:
            self.client.put(self.table, key, name, b"x")

    def apply(self, **more):
        """The task. It does not wait for long where nothing comes."""
        args = {"batch": self.batch, "timeout": 3, "retries": 8, "result_detail": "all", **more}
        result = self.task(KvResource, **args)
        assert "exception" not in result, result["exception"]
        return result

    def right(self, result):
        """Nothing was said to be done that was not, and what is not known is named. Returns the failures."""
        there, failures = self.rows(), {failure["item"]: failure for failure in result.get("failures", ())}
        assert bool(failures) == bool(result.get("failed"))
        for row in result.get("resources", ()):
            key = row["hash_key"].encode(), row["sort_key"].encode()
            if row["action"] == "created":
                assert there[key] == WANTED[key]
            elif row["action"] == "deleted":
                assert key not in there
            else:
                failure = failures["%s/%s/%s" % (self.table, row["hash_key"], row["sort_key"])]
                assert row["action"] == "failed" and failure["message"] and failure["operation"]
                if failure["hint"] != MAYBE:
                    assert (key in there) == (key in OLD), failure
        return list(failures.values())

    def mended(self):
        """Without faults the next run leads to what is declared, and the one after it has nothing to do."""
        self.server.end_faults()
        result = self.apply(timeout=20)
        assert not result.get("failed"), result["msg"]
        assert self.rows() == WANTED
        mark = self.server.mark()
        assert self.apply(timeout=20)["changed"] is False and self.server.writes(mark) == []


@pytest.fixture
def place(pegasus_server):
    found = Place(pegasus_server)
    yield found
    found.close()


def succeeds(place, **more):
    result = place.apply(**more)
    assert not result.get("failed"), result["msg"]
    assert place.right(result) == [] and place.rows() == WANTED
    place.mended()
    return result


# --- what moves in the midst of it


@pytest.mark.parametrize("method", ["BATCH_GET", "MULTI_PUT", "PUT", "REMOVE"])
@pytest.mark.parametrize("action", ["move", "expel", "split", "kill"])
def test_what_moves(place, action, method):
    place.server.fault(action, method=method, path=place.table, nth=2)
    succeeds(place, timeout=20)
    assert place.server.crashes() == []


def test_a_configuration_that_is_old(place):
    place.run(KvResource, hash_key="k0", value="v0")
    for act in ("move", "expel"):
        place.server.do("%s %s" % (act, place.table))
    succeeds_but_one = place.apply(timeout=20)
    assert not succeeds_but_one.get("failed") and place.rows() == WANTED


def test_the_leader_of_the_metas_moves(place):
    place.server.fault("leader", method="QUERY_PARTITION_CONFIG_BY_INDEX", count=1)
    place.server.fault("expel", method="PUT", path=place.table, nth=10)
    succeeds(place, timeout=20)


def test_the_leader_of_the_metas_is_dead(place):
    place.server.behave(dead=["meta1"])
    succeeds(place, timeout=20)


def test_a_table_that_is_being_split(place):
    place.server.behave(split_seconds=0.1, splitting_seconds=0.2)
    place.server.do("split " + place.table)
    succeeds(place, timeout=20)


def test_no_meta_answers(place):
    place.server.behave(dead=["meta1", "meta2"])
    result = place.apply(retries=1, meta_servers=[place.server.meta_servers[0]])
    assert result["failed"] and place.server.meta_servers[0] in result["msg"] and result["changed"] is False
    place.mended()


# --- servers that are busy, slow or silent


@pytest.mark.parametrize("code", ["ERR_BUSY", "ERR_NOT_ENOUGH_MEMBER", "ERR_CAPACITY_EXCEEDED", "ERR_SPLITTING"])
def test_what_passes_is_waited_for(place, code):
    place.server.fault("status", method="PUT|BATCH_GET|MULTI_PUT|REMOVE", path=place.table, body=code, count=9)
    succeeds(place, timeout=20)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ERR_BUSY", "throttled"),
        ("ERR_NOT_ENOUGH_MEMBER", "too few replicas"),
        ("ERR_INVALID_STATE", "deny_client_request"),
        ("ERR_ACL_DENY", "not allowed"),
        ("ERR_INVALID_DATA", "larger than max_allowed_write_size"),
        ("ERR_OPERATION_DISABLED", "duplicated"),
        ("ERR_DISK_INSUFFICIENT", "disk is full"),
        ("ERR_WHAT_IS_THIS", "ERR_WHAT_IS_THIS"),
    ],
)
def test_what_does_not_pass_is_told(place, code, words):
    place.server.fault("status", method="PUT|MULTI_PUT", path=place.table, body=code, count=None)
    result = place.apply(retries=1)
    failures = place.right(result)
    assert result["changed"] is False and result["summary"]["failed"] == 280
    assert words in result["msg"] and {f["code"] for f in failures} == {code, "not_begun"}
    assert all(key in place.rows() for key in OLD)
    place.mended()


def test_a_slow_server(place):
    place.server.fault("delay", method="PUT|BATCH_GET|MULTI_PUT", path=place.table, seconds=0.3, count=40)
    succeeds(place)


@pytest.mark.parametrize("method", ["BATCH_GET", "PUT", "MULTI_PUT", "REMOVE"])
def test_a_request_that_is_never_answered(place, method):
    """Once: it is asked for again, on another connection."""
    place.server.fault("hang", method=method, path=place.table, nth=2)
    succeeds(place)


def test_a_server_that_never_answers_a_question(place):
    place.server.fault("hang", method="BATCH_GET", path=place.table, count=None)
    result = place.apply(timeout=1)
    assert result["failed"] and result["changed"] is False and "no answer in 1 s" in result["msg"]
    place.mended()


@pytest.mark.parametrize("method", ["PUT", "MULTI_PUT"])
def test_a_server_that_never_answers_a_write(place, method):
    place.server.fault("hang", method=method, path=place.table, count=None)
    result = place.apply(timeout=1, retries=1)
    failures = place.right(result)
    unknown = [failure for failure in failures if failure["hint"] == MAYBE]
    assert unknown and all("no answer in 1 s" in failure["message"] for failure in unknown)
    assert all(key in place.rows() for key in OLD)
    place.mended()


# --- answers that break off, and what is no answer


@pytest.mark.parametrize("method", ["BATCH_GET", "PUT", "MULTI_PUT", "REMOVE"])
@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("close", {}),
        ("close_after", {}),
        ("cut", {"bytes": 2}),
        ("cut", {"bytes": 25}),
        ("cut", {"bytes": 60}),
    ],
)
def test_an_answer_that_breaks_off_once(place, method, action, more):
    place.server.fault(action, method=method, path=place.table, nth=3, **more)
    succeeds(place, timeout=20)


@pytest.mark.parametrize("action", ["close", "close_after", "cut"])
def test_answers_that_break_off_always(place, action):
    place.server.fault(action, method="PUT", path=place.table, count=None, bytes=20)
    result = place.apply(retries=1)
    failures = place.right(result)
    unknown = {failure["item"] for failure in failures if failure["hint"] == MAYBE}
    assert unknown and {"%s/%s/" % (place.table, key.decode()) for key, _n in SINGLE} <= {f["item"] for f in failures}
    there = place.rows()
    assert any(key in there for key in SINGLE) is (action != "close") and all(key in there for key in OLD)
    place.mended()


FOREIGN = ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x16\x03\x01\x02", "\x7f\xff\xff\xff" * 9]


@pytest.mark.parametrize("body", FOREIGN, ids=["http", "ssh", "tls", "long"])
def test_bytes_of_something_else(place, body):
    place.server.fault("garbage", method="PUT", path=place.table, nth=3, body=body)
    result = place.apply()
    unknown = [failure for failure in place.right(result) if failure["hint"] == MAYBE]
    assert bool(unknown) == bool(result.get("failed"))
    place.mended()


@pytest.mark.parametrize("body", FOREIGN, ids=["http", "ssh", "tls", "long"])
def test_bytes_of_something_else_for_an_answer_to_a_question(place, body):
    place.server.fault("garbage", method="BATCH_GET", path=place.table, count=None, body=body)
    result = place.apply(retries=1)
    assert result["failed"] and result["changed"] is False and place.rows() == OLD
    place.mended()


# --- conditions are asked once


@pytest.mark.parametrize("action", ["close", "close_after", "cut", "hang"])
def test_a_condition_whose_answer_is_lost(place, action):
    """It is not sent again: it might be refused for what it has done itself."""
    args = {"hash_key": "lease", "value": "me", "only_if": {"op": "not_exist"}, "timeout": 2}
    place.server.fault(action, method="CHECK_AND_SET", path=place.table, bytes=20)
    mark = place.server.mark()
    (failure,) = place.fails(KvResource, **args)["failures"]
    assert failure["hint"] == MAYBE and len(place.server.requests(mark, method="CHECK_AND_SET")) == 1
    place.server.clear_faults()
    again = place.run(KvResource, **{**args, "timeout": 20})
    done = action in ("close_after", "cut")
    assert again["changed"] is not done and again["resource"]["condition_met"] is True
    assert place.client.get(place.table, b"lease", b"") == b"me"


def test_a_condition_of_a_partition_that_moved(place):
    place.run(KvResource, hash_key="lease", value="x")
    for action in ("move", "expel", "split"):
        place.server.fault(action, method="CHECK_AND_SET", path=place.table)
        condition = {"op": "bytes_equal", "operand": "x"}
        place.run(KvResource, hash_key="lease", value="y", only_if=condition)
        place.run(KvResource, hash_key="lease", value="x", only_if={**condition, "operand": "y"})


# --- scopes


@pytest.mark.parametrize("action", ["move", "expel", "split", "kill"])
def test_a_scope_that_moves(place, action):
    place.client.multi_put(place.table, b"scope", {b"s%04d" % number: b"v" for number in range(2500)})
    place.server.fault(action, method="SCAN", path=place.table, nth=1)
    args = {"hash_key": "scope", "values": {"s0007": "v", "new": "v"}, "prune": True, "scope": {}}
    result = place.run(KvResource, **args, max_delete="100%")
    assert result["summary"]["deleted"] == 2499
    assert [name for name, _value in place.client.rows(place.table, b"scope")] == [b"new", b"s0007"]


def test_a_scope_that_cannot_be_read_whole_is_not_pruned(place):
    place.client.multi_put(place.table, b"scope", {b"s%04d" % number: b"v" for number in range(2500)})
    place.server.fault("status", method="SCAN", path=place.table, body="ERR_BUSY", count=None)
    args = {"hash_key": "scope", "values": {"new": "v"}, "prune": True, "scope": {}, "retries": 1}
    mark = place.server.mark()
    assert "ERR_BUSY" in place.fails(KvResource, **args, max_delete="100%")["msg"]
    assert place.server.writes(mark) == [] and place.client.count(place.table, b"scope") == 2500
