# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pegasus client against servers that a test plays: what it sends, what it never sends, whom it asks again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import (
    LostError,
    PegasusError,
    RefusedError,
    ReplyError,
)
from ansible_collections.polystore.storage.tests.unit.pegasus.double import (
    Asked,
    Played,
    Whole,
    after,
    configuration,
    hangs_up,
)
from ansible_collections.polystore.storage.tests.unit.pegasus.recorded import CALLS

# --- what is sent, is what was recorded

RECORDED: dict[str, Callable[[Whole], Any]] = {
    "create": lambda c: c.create("rawtab", 2, 3),
    "create again, success_if_exist": lambda c: c.create("rawtab", 2, 3, exist_ok=True),
    "query config, complete": lambda c: c.cluster.config("rawtab"),
    "list apps": lambda c: c.tables("available"),
    "list nodes": lambda c: c.nodes(),
    "cluster info": lambda c: c.info(),
    "control meta": lambda c: c.level(),
    "del env": lambda c: c.delete_envs("rawtab", ["business.info"]),
    "get max replica count": lambda c: c.replica_count("rawtab"),
    "set max replica count, same": lambda c: c.set_replica_count("rawtab", 3),
    "rename": lambda c: c.rename("rawtab", "rawtab2"),
    "recall": lambda c: c.recall(3),
    "put": lambda c: c.put("rawtab", b"h", b"a", b"1"),
    "empty value put": lambda c: c.put("rawtab", b"h", b"", b""),
    "get": lambda c: c.get("rawtab", b"h", b"a"),
    "get missing": lambda c: c.get("rawtab", b"h", b"none"),
    "ttl": lambda c: c.ttl("rawtab", b"h", b"t"),
    "remove": lambda c: c.remove("rawtab", b"h", b"t"),
    "count": lambda c: c.count("rawtab", b"m"),
    "multi_remove": lambda c: c.multi_remove("rawtab", b"m", [b"c", b"none"]),
    "incr": lambda c: c.incr("rawtab", b"h", b"n", 5),
    "cas not_exist": lambda c: c.check("rawtab", schema.check_and_set(b"c", b"k", "not_exist", b"", b"k", b"v")),
    "cam": lambda c: c.check(
        "rawtab", schema.check_and_mutate(b"c", b"k", "exist", b"", [(b"x", b"1", None), (b"k", None, None)])
    ),
    "batch_get": lambda c: c.get_many("rawtab", [(b"m", b"a"), (b"m", b"none")]),
    "multi_get": lambda c: c.rows("rawtab", b"m"),
    "multi_get max 2": lambda c: c.rows("rawtab", b"m", limit=2),
    "multi_get no value": lambda c: c.rows("rawtab", b"m", no_value=True),
    "multi_get some": lambda c: c.multi_get("rawtab", b"m", [b"c", b"none", b"a"]),
}


@pytest.mark.parametrize("step", RECORDED)
def test_what_is_sent_and_made_of_the_answer(played: Played, step: str) -> None:
    call = next(call for call in CALLS if call.step == step)
    assert call.rpc

    def recorded(asked: Asked) -> bytes:
        seqid = call.seqid.to_bytes(4, "big")
        return call.reply.replace(b"_ACK" + seqid, b"_ACK" + asked.seqid.to_bytes(4, "big"), 1)

    if call.rpc is not schema.QUERY_CONFIG:
        played.partitions = 2
    played.answers[call.rpc.code] = recorded
    found = RECORDED[step](played.client)
    if call.rpc is schema.QUERY_CONFIG:
        assert [p.primary.port for p in found.partitions] == [34802, 34803]
        sent = played.meta.asked
    else:
        sent = played.sent()
    assert len(sent) == 1
    header = wire.HEADER.unpack(sent[0].raw[:48])
    skipped = {8} if call.rpc.meta is False else set()
    assert [part for at, part in enumerate(header) if at not in skipped] == [
        part for at, part in enumerate(call.header) if at not in skipped
    ]
    seqid = sent[0].seqid.to_bytes(4, "big")
    name = len(call.rpc.code)
    body, wanted = sent[0].raw[48:], call.message
    assert body[: 8 + name] == wanted[: 8 + name]
    assert body[8 + name : 12 + name] == seqid
    assert body[12 + name :] == wanted[12 + name :]
    if step in RESULTS:
        assert found == RESULTS[step]


RESULTS: dict[str, Any] = {
    "create": 3, "create again, success_if_exist": 3, "control meta": "steady", "get max replica count": 3,
    "set max replica count, same": 3, "get": b"1", "get missing": None, "ttl": 100, "count": 3, "incr": 5,
    "cas not_exist": (True, False, b""), "cam": (True, True, b"v3"), "batch_get": [b"1", None],
    "multi_get": [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], "multi_get max 2": [(b"a", b"1"), (b"b", b"2")],
    "multi_get no value": [(b"a", b""), (b"b", b""), (b"c", b"")], "multi_get some": {b"c": b"3", b"a": b"1"},
    "list nodes": [(("127.0.0.1", port), "alive") for port in (34801, 34802, 34803)],
}  # fmt: skip


# --- answers out of order, strange, wrong


def test_answers_in_any_order_are_matched_by_their_number(played: Played) -> None:
    held: list[Asked] = []

    def backwards(asked: Asked) -> bytes | None:
        held.append(asked)
        if len(held) < 20:
            return None
        return b"".join(each.reply(0, each.asked[-2:], "s") for each in reversed(held))

    played.answers[schema.GET.code] = backwards
    found = played.client.many("t", [schema.get(b"h", b"%02d" % number) for number in range(20)])
    assert [reply["value"] for reply in found] == [b"%02d" % number for number in range(20)]
    assert len(played.replica.connections) == 1
    assert [asked.seqid for asked in held] == sorted({asked.seqid for asked in held})


def test_a_slow_answer_does_not_hold_up_the_others(played: Played) -> None:
    held, ended = list[Asked](), list[Any]()
    played.answers[schema.GET.code] = held.append
    thread = threading.Thread(target=lambda: ended.append(played.client.get("t", b"h", b"s")))
    thread.start()
    played.replica.wait(1)
    for number in range(20):
        played.client.put("t", b"h", b"%d" % number, b"v")
    assert ended == []
    held[0].connection.sendall(held[0].reply(0, b"late", "s"))
    thread.join(20)
    assert ended == [b"late"]
    assert len(played.replica.connections) == 1


def test_more_than_fits_on_the_way_waits(played: Played) -> None:
    found = played.client.many("t", [schema.put(b"%d" % number, b"", b"v") for number in range(300)])
    assert {type(each) for each in found} == {dict}
    assert len(played.replica.asked) == 300
    assert len(played.replica.connections) == 1


STRANGE: dict[str, Callable[[Asked], bytes]] = {
    "http": lambda _asked: b"HTTP/1.1 404 Not Found\r\n\r\n",
    "too long": lambda _asked: b"\x7f\xff\xff\xff",
    "too short": lambda _asked: b"\0\0\0\4",
    "zeros": lambda _asked: b"\0\0\0\x40" + b"\0" * 60,
    "another request": lambda asked: asked.reply(0, b"v", code="RPC_RRDB_RRDB_PUT_ACK"),
    "a number that nobody used": lambda asked: asked._replace(seqid=asked.seqid + 7).reply(0, b"v"),
    "no result": lambda asked: asked.reply(body=b""),
    "no status": lambda asked: asked.reply(None, b"v"),
    "no value": lambda asked: asked.reply(0, None),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_answers(played: Played, name: str) -> None:
    played.answers[schema.GET.code] = STRANGE[name]
    with pytest.raises(ReplyError, match="Pegasus replica server|get t") as caught:
        played.client.get("t", b"h", b"s")
    assert caught.value.hint == "Is this a Pegasus replica server?"
    assert len(played.replica.asked) == 1
    played.answers.clear()
    assert played.client.get("t", b"h", b"s") == b"v"


def test_a_status_without_a_name(played: Played) -> None:
    played.answers[schema.GET.code] = lambda asked: asked.reply(99, b"v")
    with pytest.raises(RefusedError, match="status 99"):
        played.client.get("t", b"h", b"s")


@pytest.mark.parametrize(
    "partitions", [[], [(-1, None)], [(3, None), (-1, None), (3, None), (3, None)], [(3, None), (3, None), (-1, None)]]
)
def test_configurations_that_make_no_sense(played: Played, partitions: Any) -> None:
    played.answers[schema.QUERY_CONFIG.code] = lambda asked: asked.reply(body=configuration(3, partitions))
    with pytest.raises(ReplyError, match="not those of the table"):
        played.client.get("t", b"h", b"s")


# --- whom to ask again


@pytest.mark.parametrize("code", ["ERR_OBJECT_NOT_FOUND", "ERR_INVALID_STATE", "ERR_PARENT_PARTITION_MISUSED"])
@pytest.mark.parametrize("order", [schema.put(b"h", b"s", b"v"), schema.incr(b"h", b"s", 1), schema.get(b"h", b"s")])
def test_a_stale_configuration_is_asked_for_anew(played: Played, code: str, order: schema.Order) -> None:
    played.answers[order.rpc.code] = after(2, lambda asked: asked.reply(error=code))
    assert played.client.one("t", order)["error"] == 0
    assert len(played.replica.asked) == 3
    assert [asked.code for asked in played.meta.asked] == [schema.QUERY_CONFIG.code] * 3


@pytest.mark.parametrize("code", ["ERR_BUSY", "ERR_SPLITTING", "ERR_NOT_ENOUGH_MEMBER", "ERR_CAPACITY_EXCEEDED"])
@pytest.mark.parametrize("order", [schema.put(b"h", b"s", b"v"), schema.incr(b"h", b"s", 1), schema.get(b"h", b"s")])
def test_who_is_busy_is_asked_again_and_nobody_else(played: Played, code: str, order: schema.Order) -> None:
    played.answers[order.rpc.code] = after(3, lambda asked: asked.reply(error=code))
    assert played.client.one("t", order)["error"] == 0
    assert len(played.replica.asked) == 4
    assert len(played.meta.asked) == 1
    played.answers[order.rpc.code] = after(4, lambda asked: asked.reply(error=code))
    with pytest.raises(RefusedError) as caught:
        played.client.one("t", order)
    assert caught.value.code == code
    assert not caught.value.whole


@pytest.mark.parametrize("code", ["ERR_INVALID_DATA", "ERR_ACL_DENY", "ERR_OPERATION_DISABLED", "ERR_DISK_IO_ERROR"])
def test_a_refusal_that_stays_is_not_asked_for_again(played: Played, code: str) -> None:
    played.answers[schema.PUT.code] = lambda asked: asked.reply(error=code)
    with pytest.raises(RefusedError) as caught:
        played.client.put("t", b"h", b"s", b"v")
    assert (caught.value.code, caught.value.whole, caught.value.transient) == (code, False, False)
    assert len(played.replica.asked) == 1


REPEATED = [
    schema.put(b"h", b"s", b"v"), schema.remove(b"h", b"s"), schema.multi_put(b"h", [(b"s", b"v")]),
    schema.multi_remove(b"h", [b"s"]), schema.get(b"h", b"s"), schema.ttl_of(b"h", b"s"), schema.multi_get(b"h"),
]  # fmt: skip
ONCE = [
    schema.incr(b"h", b"s", 1), schema.check_and_set(b"h", b"s", "exist", b"", b"s", b"v"),
    schema.check_and_mutate(b"h", b"s", "exist", b"", [(b"s", b"v", None)]),
]  # fmt: skip


@pytest.mark.parametrize("order", REPEATED)
@pytest.mark.parametrize("trouble", [hangs_up, lambda asked: asked.reply(error="ERR_TIMEOUT")])
def test_what_may_be_repeated_is(played: Played, order: schema.Order, trouble: Any) -> None:
    usual = {schema.TTL: (0, -1), schema.MULTI_GET: (0, []), schema.GET: (0, b"v")}.get(order.rpc, (0,))

    def answer(asked: Asked) -> bytes | None:
        return asked.reply(*usual) if len(played.replica.asked) > 1 else trouble(asked)

    played.answers[order.rpc.code] = answer
    assert played.client.one("t", order)["error"] == 0
    assert len(played.replica.asked) == 2


@pytest.mark.parametrize("order", ONCE)
@pytest.mark.parametrize("trouble", [hangs_up, lambda asked: asked.reply(error="ERR_TIMEOUT")])
def test_what_may_not_be_repeated_is_told_to_be_unknown(played: Played, order: schema.Order, trouble: Any) -> None:
    played.answers[order.rpc.code] = trouble
    with pytest.raises(PegasusError) as caught:
        played.client.one("t", order)
    assert (caught.value.whole, caught.value.transient) == (True, False)
    assert "It may have been carried out all the same" in caught.value.told()
    assert len(played.replica.asked) == 1


def test_a_refusal_after_a_loss_leaves_open_what_the_first_try_did(played: Played) -> None:
    def answer(asked: Asked) -> bytes | None:
        return asked.reply(error="ERR_ACL_DENY") if len(played.replica.asked) > 1 else hangs_up(asked)

    played.answers[schema.PUT.code] = answer
    with pytest.raises(RefusedError) as caught:
        played.client.put("t", b"h", b"s", b"v")
    assert caught.value.whole
    assert "may have been carried out" in caught.value.told()
    assert len(played.replica.asked) == 2


def test_nothing_is_unknown_of_what_never_left(played: Played) -> None:
    played.client.cluster.config("t")
    played.replica.stop()
    with pytest.raises(LostError, match="refused|closed") as caught:
        played.client.incr("t", b"h", b"s")
    assert not caught.value.whole
    assert caught.value.transient


def test_a_partition_without_a_primary(played: Played) -> None:
    played.ready = False
    with pytest.raises(RefusedError, match="partition . has no primary now") as caught:
        played.client.put("t", b"h", b"s", b"v")
    assert "10 s after a server died" in caught.value.told()
    assert len(played.meta.asked) == 4
    assert not played.sent()


def test_each_order_has_its_own_result(played: Played) -> None:
    def answer(asked: Asked) -> bytes | None:
        if asked.asked.endswith(b"bad"):
            return asked.reply(4, b"")
        if asked.asked.endswith(b"denied"):
            return asked.reply(error="ERR_ACL_DENY")
        return asked.reply(0, asked.asked[3:])

    played.answers[schema.GET.code] = answer
    one, bad, denied, two = played.client.many(
        "t", [schema.get(b"h", b"one"), schema.get(b"h", b"bad"), schema.get(b"h", b"denied"), schema.get(b"h", b"two")]
    )
    assert (one["value"], two["value"]) == (b"one", b"two")
    assert (bad.code, denied.code) == ("InvalidArgument", "ERR_ACL_DENY")
    assert "(b'h', b'bad')" in bad.message
    with pytest.raises(RefusedError, match="InvalidArgument"):
        played.client.all("t", [schema.get(b"h", b"one"), schema.get(b"h", b"bad")])


def test_a_table_that_is_not_there(played: Played) -> None:
    nothing = configuration(0, [], "ERR_OBJECT_NOT_FOUND")
    played.answers[schema.QUERY_CONFIG.code] = lambda asked: asked.reply(body=nothing)
    with pytest.raises(RefusedError, match="query configuration t") as caught:
        played.client.get("t", b"h", b"s")
    assert caught.value.no_table
    assert len(played.meta.asked) == 1
    played.answers[schema.QUERY_CONFIG.code] = lambda asked: asked.reply(error="ERR_OBJECT_NOT_FOUND")
    with pytest.raises(RefusedError) as caught:
        played.client.many("t", [schema.get(b"h", b"s")])
    assert caught.value.no_table


def test_a_table_that_is_dropped_in_between(played: Played) -> None:
    played.client.get("t", b"h", b"s")
    played.answers[schema.GET.code] = lambda asked: asked.reply(error="ERR_OBJECT_NOT_FOUND")
    nothing = configuration(0, [], "ERR_OBJECT_NOT_FOUND")
    played.answers[schema.QUERY_CONFIG.code] = lambda asked: asked.reply(body=nothing)
    with pytest.raises(RefusedError) as caught:
        played.client.get("t", b"h", b"s")
    assert caught.value.no_table
