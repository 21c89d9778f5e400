# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets on every version of pachd: made, made anew, removed, and never shown."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import secrets_in
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import secrets
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.pipelines import Pipelines
from ansible_collections.polystore.storage.tests.contract.pachyderm_place import SERVERS, Place
from ansible_collections.polystore.storage.tests.support.run import run_task

pytestmark = [pytest.mark.server, pytest.mark.pachyderm]
SECRET = "what-nobody-should-see"
DATA = {"password": SECRET, "port": 5432, "on": True, "raw": {"b64": "/wA="}, "empty": ""}


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest) -> Place:
    """A place on each version."""
    return Place(secrets.Secrets, request.getfixturevalue(SERVERS[request.param]))


def there(place: Place, short: str = "s") -> Any:
    """A secret's SecretInfo, or None."""
    reply = place.client.call("pps_v2.API/ListSecret", place.client.message("google.protobuf.Empty"))
    return next((info for info in reply.secret_info if info.secret.name == place.name(short)), None)


def hidden(*results: Any) -> None:
    text = json.dumps(results, default=str)
    for secret in (SECRET, base64.b64encode(SECRET.encode()).decode()):
        assert secret not in text


def test_a_secret_comes_and_goes(place: Place) -> None:
    mark = place.server.mark()
    result = place.twice(name=place.name("s"), data=DATA)
    assert place.sent(mark) == ["CreateSecret"]
    assert result["resource"] == {"name": place.name("s"), "type": "Opaque", "action": "created"}
    assert there(place) is not None
    # its values cannot be read back: they are taken for the right ones
    other = place.same(name=place.name("s"), data={"password": "other"})
    alone = place.same(name=place.name("s"))
    gone = place.twice(name=place.name("s"), state="absent")
    assert there(place) is None
    hidden(result, other, alone, gone)


def test_force_makes_it_anew_every_time(place: Place) -> None:
    place.ok(name=place.name("s"), data=DATA)
    for _number in range(2):
        mark = place.server.mark()
        check = place.ok(name=place.name("s"), data=DATA, force=True, check=True)
        assert place.sent(mark) == []
        result = place.ok(name=place.name("s"), data=DATA, force=True)
        assert place.sent(mark) == ["DeleteSecret", "CreateSecret"]
        assert result["resource"]["action"] == "updated"
        assert check["diff"] == result["diff"] != []
        hidden(check, result)
    assert place.ok(name=place.name("new"), data=DATA, force=True)["resource"]["action"] == "created"


def test_another_type_is_a_difference(place: Place) -> None:
    place.ok(name=place.name("s"), data=DATA)
    assert "data: is required to make it anew" in place.refused(name=place.name("s"), type="kubernetes.io/tls")
    result = place.twice(name=place.name("s"), type="kubernetes.io/tls", data=DATA)
    assert result["resource"]["type"] == "kubernetes.io/tls"
    place.same(name=place.name("s"))
    hidden(result)


def test_pipelines_find_their_keys(place: Place) -> None:
    place.ok(name=place.name("s"), data=DATA)
    repo = place.repo("in")
    spec: dict[str, Any] = {
        "input": {"pfs": {"repo": repo, "glob": "/*"}},
        "transform": {"image": "i", "cmd": ["true"], "secrets": [{"name": place.name("s"), "env_var": "P"}]},
    }
    spec["transform"]["secrets"][0]["key"] = "nothing"
    result = run_task(Pipelines, place.server, name=place.name("p"), spec=spec)
    assert "Make the secret first with pachyderm_secret" in result["msg"]
    spec["transform"]["secrets"][0]["key"] = "raw"
    assert run_task(Pipelines, place.server, name=place.name("p"), spec=spec)["changed"] is True
    run_task(Pipelines, place.server, name=place.name("p"), state="absent")


def test_a_batch(place: Place) -> None:
    items = [{"name": place.name(short), "data": {"k": SECRET}} for short in "abc"]
    mark = place.server.mark()
    result = place.twice(batch=items)
    assert result["summary"]["created"] == 3
    assert place.asked(mark).count("ListSecret") == 3
    hidden(result)
    assert place.twice(state="absent", batch=[{"name": item["name"]} for item in items])["summary"]["deleted"] == 3
    assert SECRET in secrets_in(secrets.Secrets, items)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"name": "Upper"}, "name: 'Upper' is no name of a secret"),
        ({"name": "a..b"}, "is no name of a secret"),
        ({"name": "-a"}, "is no name of a secret"),
        ({"name": "x" * 254}, "is no name of a secret"),
        ({}, "data: is required where there is no such secret yet"),
        ({"force": True}, "data: is required with force"),
        ({"data": {"a b": SECRET}}, "data: the value given is not valid"),
        ({"data": {"k": {"b64": "!" + SECRET}}}, "data: the value given is not valid"),
        ({"data": {"k": [SECRET]}}, "data: the value given is not valid"),
        ({"data": {"k": None}}, "data: the value given is not valid"),
        ({"data": {"k": SECRET * 60000}}, "data: the value given is not valid"),
    ],
)
def test_what_cannot_be_is_not_sent(pachd_server: Any, args: dict[str, Any], words: str) -> None:
    place = Place(secrets.Secrets, pachd_server)
    message = place.refused(**{"name": place.name("s"), **args})
    assert words in message
    hidden(message)


def test_only_what_pachyderm_made_is_removed(pachd_server: Any) -> None:
    """A secret that is not listed is none of ours: it is neither deleted nor replaced."""
    place = Place(secrets.Secrets, pachd_server)
    place.server.fault("status", method=".*/CreateSecret", status="UNKNOWN", body='secrets "s" already exists')
    result = place.run(name=place.name("s"), data=DATA, force=True)
    assert "was not made through it: choose another name" in result["msg"]
    mark = place.server.mark()
    place.same(name=place.name("s"), state="absent")
    assert place.asked(mark) == ["ListSecret"]
    hidden(result)


def test_a_refusal_that_quotes_is_masked_and_tells_what_was_done(pachd_server: Any) -> None:
    place = Place(secrets.Secrets, pachd_server)
    place.ok(name=place.name("s"), data=DATA)
    encoded = base64.b64encode(SECRET.encode()).decode()
    place.server.fault("status", method=".*/CreateSecret", status="UNKNOWN", body="no: %s %s" % (encoded, SECRET))
    result = place.run(name=place.name("s"), data=DATA, force=True)
    assert "it was deleted, but then: " in result["msg"]
    assert "no: ****** ******" in result["msg"]
    hidden(result)
    assert place.ok(name=place.name("s"), data=DATA)["resource"]["action"] == "created"


def test_one_that_somebody_else_removed_is_gone(pachd_server: Any) -> None:
    place = Place(secrets.Secrets, pachd_server)
    place.ok(name=place.name("s"), data=DATA)
    words = 'failed to delete secret: secrets "x" not found'
    place.server.fault("status", method=".*/DeleteSecret", status="UNKNOWN", body=words)
    assert place.ok(name=place.name("s"), state="absent")["resource"]["action"] == "deleted"
