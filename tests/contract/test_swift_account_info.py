# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account, and what swift_info tells, against a real Swift."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift.accounts import Accounts
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.swift.info import Info
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

HEADERS = ("Temp-URL-Key", "Temp-URL-Key-2", "Colour", "A-B", "Text", "Number")


def client_of(server: Any) -> Any:
    return client_for(CONNECTION, server.auth(), 8, {})


@pytest.fixture
def account(swift_server: Any) -> Iterator[Any]:
    """The server, its account without metadata, keys and quota before and after."""

    def clean() -> None:
        client_of(swift_server).request("POST", headers={"X-Account-Meta-" + name: "" for name in HEADERS})
        run_ok(Accounts, admin(swift_server), quota_bytes=None)

    clean()
    yield swift_server
    swift_server.clear_faults()
    clean()


def admin(server: Any) -> dict[str, Any]:
    """The reseller's administrator, at work on the other account."""
    options = server.auth_v3(admin=True) if server.keystone else server.auth_v1(admin=True)
    return {**options, "storage_url": client_of(server).storage_url}


def writes_nothing(server: Any, **args: Any) -> dict[str, Any]:
    mark = server.mark()
    result = run_ok(Accounts, server, **args)
    assert (result["changed"], server.writes(mark)) == (False, [])
    return result


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"metadata": {"A_b": "x", "NUMBER": 5, "text": "grün"}}, {"metadata": {"a-b": " x ", "number": "5"}}),
        ({"temp_url_keys": ["k1", "k2"]}, {"temp_url_keys": [None, "k2"]}),
        ({"temp_url_keys": ["k1"]}, {"temp_url_keys": ["k1", ""]}),
    ],
)
def test_another_spelling_is_no_change(account: Any, first: dict[str, Any], second: dict[str, Any]) -> None:
    assert run_ok(Accounts, account, **first)["resource"]["action"] == "updated"
    writes_nothing(account, **first)
    writes_nothing(account, **second)
    writes_nothing(account)


def test_keys_change_one_by_one_and_leave_metadata_alone(account: Any) -> None:
    run_ok(Accounts, account, metadata={"colour": "red"}, temp_url_keys=["key-one", "key-two"])
    result = run_ok(Accounts, account, diff=True, temp_url_keys=["", None])
    assert "key-two" not in json.dumps(result)
    headers = client_of(account).request("HEAD").headers
    assert "x-account-meta-temp-url-key" not in headers
    assert headers["x-account-meta-temp-url-key-2"] == "key-two"
    run_ok(Accounts, account, metadata={}, purge_metadata=True)
    headers = client_of(account).request("HEAD").headers
    assert "x-account-meta-colour" not in headers
    assert headers["x-account-meta-temp-url-key-2"] == "key-two"


def test_only_a_reseller_admin_sets_a_quota(account: Any) -> None:
    refused = run_task(Accounts, account, quota_bytes="1G")
    assert (refused["failed"], refused["failures"][0]["code"]) == (True, 403)
    assert "reseller admin" in refused["failures"][0]["hint"]
    assert run_ok(Accounts, admin(account), quota_bytes="1G")["resource"]["quota_bytes"] == 1 << 30
    writes_nothing(account, quota_bytes=1 << 30)
    assert run_ok(Accounts, admin(account), quota_bytes=None)["changed"] is True
    writes_nothing(account, quota_bytes=None)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"metadata": {"quota_bytes": 1}}, "Use quota_bytes"),
        ({"metadata": {"Temp-URL-Key-2": "k"}}, "Use temp_url_keys"),
        ({"temp_url_keys": [{"a": 1}]}, "temp_url_keys: the value given is not valid"),
        ({"state": "absent"}, "must be one of: present"),
    ],
)
def test_wrong_options_are_refused(account: Any, args: dict[str, Any], words: str) -> None:
    mark = account.mark()
    assert words in run_task(Accounts, account, **args)["msg"]
    assert account.requests(mark) == []


def test_missing_middleware_is_named(account: Any) -> None:
    account.fault("status", method="GET", path="^/info", count=None, status=200, body='{"swift": {}}')
    for option, value, feature in (("temp_url_keys", ["k"], "tempurl"), ("quota_bytes", 1, "account_quotas")):
        mark = account.mark()
        assert "no %s" % feature in run_task(Accounts, account, timeout=61, **{option: value})["msg"]
        assert account.writes(mark) == []


def test_an_account_that_comes_to_be_with_the_first_write(account: Any) -> None:
    account.fault("status", method="HEAD", status=404)
    assert run_ok(Accounts, account, metadata={"colour": "red"})["resource"]["metadata"] == {"colour": "red"}
    writes_nothing(account, metadata={"colour": "red"})


# --- swift_info


def ask(server: Any, **args: Any) -> Any:
    """What one gathering tells; nothing is written."""
    mark = server.mark()
    result = run_ok(Info, server, **args)
    assert (result.pop("changed"), server.writes(mark)) == (False, [])
    return result.popitem()[1] if len(result) == 1 else result


@pytest.fixture
def shelf(swift_server: Any) -> tuple[Any, str]:
    """A server and a container with objects of every kind."""
    name = swift_server.new_container_name("shelf ?#")
    client = client_of(swift_server)
    path = name.replace("?", "%3F").replace("#", "%23")
    client.request("PUT", name, headers={"X-Container-Meta-Quota-Count": "9", "X-Container-Sync-Key": "sync-secret"})
    meta = {"X-Object-Meta-Text": "grün", "Content-Type": "text/plain", "X-Delete-At": "4102444800"}
    client.request("PUT", name, "d/plain ?#", headers={**meta, "Cache-Control": "no-store"}, body=b"12345")
    client.request("PUT", name, "d/2", body=b"678")
    client.request("PUT", name, "dynamic", headers={"X-Object-Manifest": path + "/d/"}, body=b"")
    parts = json.dumps([{"path": "/%s/d/2" % name}, {"path": "/%s/d/plain ?#" % name}]).encode()
    client.request("PUT", name, "static", query={"multipart-manifest": "put"}, body=parts)
    client.request("PUT", name, "link", headers={"X-Symlink-Target": path + "/d/2"}, body=b"")
    client.request("PUT", name, "broken", headers={"X-Symlink-Target": path + "/gone"}, body=b"")
    return swift_server, name


def test_account_and_capabilities(account: Any) -> None:
    run_ok(Accounts, account, metadata={"colour": "red"}, temp_url_keys=["key-one"])
    told = ask(account)
    assert told["storage_url"] == client_of(account).storage_url
    assert (told["metadata"], told["quota_bytes"], told["temp_url_keys"][1]) == ({"colour": "red"}, None, "")
    assert told["temp_url_keys"][0].startswith("(hidden")
    assert ask(account, gather=["capabilities"])["bulk_delete"]["max_deletes_per_request"] == 10000


def test_containers_by_prefix_delimiter_and_limit(swift_server: Any) -> None:
    base = swift_server.new_container_name("row")
    for end in ("-a", "-b-1", "-b-2"):
        client_of(swift_server).request("PUT", base + end)
    rows = ask(swift_server, gather=["containers"], prefix=base)
    assert [row["name"] for row in rows] == [base + end for end in ("-a", "-b-1", "-b-2")]
    assert set(rows[0]) == {"name", "object_count", "bytes_used", "last_modified"}
    assert len(ask(swift_server, gather=["containers"], prefix=base, limit=2)) == 2
    rows = ask(swift_server, gather=["containers"], prefix=base + "-", delimiter="-")
    assert [(row["name"], row.get("subdir")) for row in rows] == [(base + "-a", None), (base + "-b-", True)]


def test_a_container(shelf: tuple[Any, str]) -> None:
    server, name = shelf
    told = ask(server, container=name)
    assert (told["name"], told["quota_count"], told["object_count"], told["metadata"]) == (name, 9, 6, {})
    assert told["sync_key"].startswith("(hidden")
    assert ask(server, container=name + " gone") is None


def test_objects(shelf: tuple[Any, str]) -> None:
    server, name = shelf
    rows = {row["name"]: row for row in ask(server, gather=["objects"], container=name)}
    assert (rows["d/2"]["size"], rows["d/2"]["checksum"]) == (3, hashlib.md5(b"678").hexdigest())
    assert (rows["static"]["size"], rows["static"]["large_object"]) == (8, "slo")
    assert rows["link"]["symlink_to"] == name + "/d/2"
    rows = ask(server, gather=["objects"], container=name, delimiter="/", limit=2)
    assert [row["name"] for row in rows] == ["broken", "d/"]
    assert [row["name"] for row in ask(server, gather=["objects"], container=name, prefix="d/")] == [
        "d/2",
        "d/plain ?#",
    ]
    failed = run_task(Info, server, gather=["objects"], container=name + " gone")
    assert (failed["failures"][0]["code"], "no container" in failed["msg"]) == (404, True)


def test_an_object(shelf: tuple[Any, str]) -> None:
    server, name = shelf
    told = ask(server, container=name, name="d/plain ?#")
    assert (told["size"], told["content_type"], told["metadata"]) == (5, "text/plain", {"text": "grün"})
    assert (told["expires"], told["cache_control"]) == ("2100-01-01T00:00:00Z", "no-store")
    assert "symlink_to" not in told
    told = ask(server, container=name, name="dynamic")
    assert (told["size"], told["large_object"]) == (8, "dlo")
    told = ask(server, container=name, name="static")
    assert (told["size"], told["large_object"]) == (8, "slo")
    told = ask(server, container=name, name="link")
    assert (told["size"], told["symlink_to"]) == (3, name + "/d/2")
    assert ask(server, container=name, name="broken")["symlink_to"] == name + "/gone"
    assert ask(server, container=name, name="nothing") is None


def test_an_object_among_versions(swift_server: Any) -> None:
    name = swift_server.new_container_name()
    client = client_of(swift_server)
    client.request("PUT", name, headers={"X-Versions-Enabled": "true"})
    client.request("PUT", name, "o", headers={"X-Delete-At": "4102444800", "X-Object-Meta-A": "1"}, body=b"123")
    told = ask(swift_server, container=name, name="o")
    assert (told["size"], told["metadata"], told["expires"]) == (3, {"a": "1"}, "2100-01-01T00:00:00Z")
    assert told["version_id"]
    assert "symlink_to" not in told


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"gather": ["objects"]}, "container: is needed to gather objects"),
        ({"gather": ["account", "container"]}, "container: is needed to gather container"),
        ({"gather": ["object"], "container": "c"}, "name: is needed to gather object"),
        ({"name": "o"}, "container: is needed to gather object"),
        ({"gather": ["everything"]}, "gather"),
        ({"container": "c", "limit": 0}, "limit: 0"),
        ({"container": "a/b"}, "no container name"),
    ],
)
def test_questions_that_cannot_be_asked(swift_server: Any, args: dict[str, Any], words: str) -> None:
    mark = swift_server.mark()
    result = run_task(Info, swift_server, **args)
    assert result["failed"] is True
    assert words in result["msg"]
    assert swift_server.requests(mark) == []
