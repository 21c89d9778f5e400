# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which meta server the Pegasus client asks, and when it asks another; where they are is read from options."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import admin, schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import (
    LostError,
    RefusedError,
    ReplyError,
    Server,
    Settings,
)
from ansible_collections.polystore.storage.tests.unit.pegasus.double import (
    Answer,
    Asked,
    Played,
    Whole,
    configuration,
    hangs_up,
    playing,
)

# --- options


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("a", [("a", 34601)]), ("a:1,b:2", [("a", 1), ("b", 2)]),
        (["a:1", "b, c:3"], [("a", 1), ("b", 34601), ("c", 3)]),
        ("[::1]:34601", [("::1", 34601)]), ("[fe80::1]", [("fe80::1", 34601)]), (["a", "a:34601"], [("a", 34601)]),
        ("10.0.0.1:34601", [("10.0.0.1", 34601)]),
    ],
)  # fmt: skip
def test_where_the_meta_servers_are(told: Any, found: list[tuple[str, int]]) -> None:
    assert Settings.resolve({"meta_servers": told}, {}).meta_servers == tuple(found)
    if isinstance(told, str):
        assert Settings.resolve({}, {"PEGASUS_META_SERVERS": told}).meta_servers == tuple(found)


def test_options_are_more_than_the_environment() -> None:
    settings = Settings.resolve({"meta_servers": ["a"], "timeout": 3, "retries": 0}, {"PEGASUS_META_SERVERS": "b"})
    assert settings == Settings((Server("a", 34601),), 3.0, 0)
    assert settings.identity() != Settings((Server("a", 34601),), 3.0, 1).identity()
    assert settings.identity() == Settings((Server("a", 34601),), 3.0, 0).identity()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "meta_servers: no meta server is named"), ({"meta_servers": []}, "no meta server is named"),
        ({"meta_servers": "a:0"}, "no address"), ({"meta_servers": "a:65536"}, "no address"),
        ({"meta_servers": "http://a:34601"}, "no address"), ({"meta_servers": "a b"}, "no address"),
        ({"meta_servers": "a,"}, "no address"), ({"meta_servers": [["a"]]}, "no address"),
        ({"meta_servers": "::1"}, "no address"), ({"meta_servers": "a:b"}, "no address"),
        ({"meta_servers": "a", "timeout": 0}, "timeout: 0"), ({"meta_servers": "a", "timeout": True}, "timeout: True"),
        ({"meta_servers": "a", "timeout": "5"}, "timeout: '5'"), ({"meta_servers": "a", "timeout": 1e9}, "timeout: 1"),
        ({"meta_servers": "a", "retries": -1}, "retries: -1"), ({"meta_servers": "a", "retries": 1.5}, "retries: 1.5"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_right(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Settings.resolve(options, {})


# --- who leads


def forwards(leader: Server | None) -> Answer:
    """A meta server that does not lead, and knows who does, or not."""

    def answer(asked: Asked) -> bytes:
        if asked.rpc is schema.QUERY_CONFIG:
            return asked.reply(body=configuration(0, [(0, leader)] if leader else [], "ERR_FORWARD_TO_OTHERS"))
        return asked.reply("ERR_FORWARD_TO_OTHERS")

    return answer


CALLS: list[Callable[[Whole], Any]] = [
    lambda client: client.cluster.config("t"), lambda client: client.create("new", 4, 3),
    lambda client: client.tables(),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_the_leader_is_found_where_it_is_not_named(played: Played, call: Callable[[Whole], Any]) -> None:
    with playing(forwards(played.meta.server)) as (follower,):
        client = Whole(Settings((follower.server,), timeout=5.0, retries=0))
        call(client)
        asked = len(follower.asked)
        call(client)
        client.close()
        assert len(follower.asked) == asked  # the leader is remembered
        assert len(played.meta.asked) == 2


@pytest.mark.parametrize("call", CALLS)
def test_each_is_asked_until_one_leads(played: Played, call: Callable[[Whole], Any]) -> None:
    with playing(forwards(None), hangs_up) as (follower, gone):
        gone.stop()
        client = Whole(Settings((gone.server, follower.server, played.meta.server), timeout=5.0, retries=0))
        call(client)
        client.close()
        assert follower.asked
        assert len(played.meta.asked) == 1


def test_the_leader_moves(played: Played) -> None:
    with playing(played.answer) as (second,):
        client = Whole(Settings((played.meta.server, second.server), timeout=5.0, retries=0))
        client.tables()
        assert (len(played.meta.asked), len(second.asked)) == (1, 0)
        played.meta.answer = forwards(second.server)
        client.tables()
        client.tables()
        assert [asked.code for asked in second.asked] == [schema.LIST_APPS.code] * 2
        second.answer, played.meta.answer = forwards(None), played.answer
        client.tables()
        second.stop()
        client.tables()
        client.close()


def test_nobody_leads_for_a_while(played: Played) -> None:
    tries: list[int] = []

    def elected(asked: Asked) -> bytes | None:
        tries.append(1)
        return played.answer(asked) if len(tries) > 3 else forwards(None)(asked)

    played.meta.answer = elected
    played.client.cluster.config("t")
    assert len(tries) == 4
    with playing(forwards(None)) as (follower,):
        client = Whole(Settings((follower.server,), timeout=5.0, retries=4))
        with pytest.raises(RefusedError, match="ERR_FORWARD_TO_OTHERS") as caught:
            client.cluster.config("t")
        client.close()
        assert caught.value.fatal
        assert len(follower.asked) == 5


@pytest.mark.parametrize("code", ["ERR_SERVICE_NOT_ACTIVE", "ERR_UNDER_RECOVERY", "ERR_BUSY_CREATING"])
def test_a_leader_that_is_not_ready_is_asked_again(played: Played, code: str) -> None:
    tries: list[int] = []

    def starting(asked: Asked) -> bytes | None:
        tries.append(1)
        return asked.reply(code, 0) if len(tries) < 3 else asked.reply("ERR_OK", 7)

    played.answers[admin.CREATE.code] = starting
    assert played.client.create("new", 4, 3) == 7
    assert len(tries) == 3


def test_a_creation_that_got_lost_is_told_to_be_unknown(played: Played) -> None:
    with playing(played.answer) as (second,):
        played.answers[admin.CREATE.code] = hangs_up
        client = Whole(Settings((played.meta.server, second.server), timeout=5.0, retries=3))
        with pytest.raises(LostError) as caught:
            client.create("new", 4, 3)
        client.close()
        assert (caught.value.whole, caught.value.transient) == (True, False)
        assert "may have been carried out" in caught.value.told()
        assert len(played.meta.asked + second.asked) == 1


@pytest.mark.parametrize("call", [lambda c: c.drop("t"), lambda c: c.set_replica_count("t", 2), lambda c: c.tables()])
def test_what_sets_a_state_is_sent_again(played: Played, call: Callable[[Whole], Any]) -> None:
    lost: list[Asked] = []

    def once(asked: Asked) -> bytes | None:
        if not lost:
            lost.append(asked)
            raise EOFError
        return played.answer(asked)

    played.meta.answer = once
    call(played.client)
    assert [asked.code for asked in played.meta.asked] == [lost[0].code] * 2


def test_a_drop_is_right_where_there_is_none_and_keeps_what_it_is_told_to(played: Played) -> None:
    played.client.drop("t")
    played.client.drop("t", 60)
    assert [asked.asked["options"] for asked in played.meta.asked] == [
        {"missing_ok": True, "reserve": 0}, {"missing_ok": True, "reserve": 60},
    ]  # fmt: skip


def test_the_words_of_a_refusal_are_kept(played: Played) -> None:
    words = 'app_env "no.such" is not supported'
    played.answers[admin.UPDATE_ENV.code] = lambda asked: asked.reply("ERR_INVALID_PARAMETERS", words)
    with pytest.raises(RefusedError, match="update envs t") as caught:
        played.client.set_envs("t", {"no.such": "1"})
    assert words in caught.value.told()
    assert caught.value.code == "ERR_INVALID_PARAMETERS"


def test_what_never_answered_may_be_a_wrong_address_and_is_not_asked_for_long(played: Played) -> None:
    played.meta.answer = hangs_up
    client = Whole(Settings((played.meta.server,), timeout=5.0, retries=8))
    with pytest.raises(LostError):
        client.tables()
    assert len(played.meta.asked) == 3
    played.meta.answer = played.answer
    client.tables()
    played.meta.answer = hangs_up
    with pytest.raises(LostError):
        client.tables()
    client.close()
    assert len(played.meta.asked) == 3 + 1 + 9


def test_no_meta_server_can_be_reached(played: Played) -> None:
    played.meta.stop()
    with pytest.raises(LostError, match="query configuration t: meta .*: connection refused|connect to") as caught:
        played.client.get("t", b"h", b"s")
    assert caught.value.fatal
    assert "Its port is 34601" in caught.value.told()


def test_a_replica_server_given_as_meta_server(played: Played) -> None:
    played.meta.answer = lambda asked: asked.reply(error="ERR_HANDLER_NOT_FOUND")
    with pytest.raises(RefusedError, match="ERR_HANDLER_NOT_FOUND") as caught:
        played.client.tables()
    assert "Is it a meta server" in caught.value.told()
    assert len(played.meta.asked) == 1


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 404 Not Found\r\n\r\n", b"\x15\3\1\0\2\2\x46", b"SSH-2.0-x\r\n", b"\0" * 99]
)
def test_something_else_listens_there(played: Played, data: bytes) -> None:
    played.meta.answer = lambda asked: data
    with pytest.raises(ReplyError) as caught:
        played.client.tables()
    assert caught.value.hint == "Is this a Pegasus meta server?"
    assert caught.value.fatal


def test_statuses_and_levels_that_are_new_are_shown(played: Played) -> None:
    played.answers[admin.CONTROL.code] = lambda asked: asked.reply("ERR_OK", 450)
    assert played.client.level() == "level 450"
    row = (9, "pegasus", "t", 1)
    played.answers[schema.LIST_APPS.code] = lambda asked: asked.reply("ERR_OK", [row])
    assert played.client.tables()[0]["status"] == "status 9"


def test_errors_survive_being_copied(played: Played) -> None:
    error = wire.refused("ERR_BUSY", "put t", "replica", "h:1")
    again = pickle.loads(pickle.dumps(error))
    assert (again.message, again.code, again.role) == (error.message, "ERR_BUSY", "replica")
