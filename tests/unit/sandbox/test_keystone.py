# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's Keystone, and Swift behind it."""

from __future__ import annotations

import pathlib
import urllib.parse
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import SwiftServer, endpoints, sandbox

session: Any = pytest.importorskip("keystoneauth1.session")
v3: Any = pytest.importorskip("keystoneauth1.identity.v3")


def connect(options: dict[str, Any]) -> Any:
    """A keystoneauth1 session for connection options."""
    kinds = {"v3password": v3.Password, "v3applicationcredential": v3.ApplicationCredential}
    return session.Session(auth=kinds[str(options["auth_type"])](**options["auth"]))


@pytest.mark.parametrize("kind", ["auth_v3", "auth_credential"])
def test_tokens_open_the_account_of_the_catalog(swift_and_keystone: SwiftServer, kind: str) -> None:
    server = swift_and_keystone
    opened = connect(getattr(server, kind)())
    url = opened.get_endpoint(service_type="object-store", interface="public", region_name="RegionOne")
    assert url.startswith(server.url + "/v1/KEY_")
    name = server.new_container_name()
    mark = server.mark()
    assert opened.put(f"{url}/{name}").status_code == 201
    assert opened.head(f"{url}/{name}").status_code == 204
    assert [entry["method"] for entry in server.writes(mark)] == ["PUT"]


def test_a_token_is_validated_once(swift_and_keystone: SwiftServer) -> None:
    server = swift_and_keystone
    assert server.keystone is not None
    opened = connect(server.auth_v3())
    url = opened.get_endpoint(service_type="object-store")
    mark = server.keystone.mark()
    for _time in range(3):
        opened.get(url)
    asked = server.keystone.requests(mark)
    assert [entry["path"].split("?")[0] for entry in asked if entry["method"] == "GET"] == ["/v3/auth/tokens"]
    assert server.keystone.writes(mark) == []


def test_both_kinds_of_accounts_live_side_by_side(swift_and_keystone: SwiftServer) -> None:
    server = swift_and_keystone
    opened = session.Session(auth=v3.Password(**server.auth_v3()["auth"]))
    own = opened.get_endpoint(service_type="object-store")
    auth = server.auth_v1()["auth"]
    bare = session.Session()
    headers = {"X-Storage-User": auth["username"], "X-Storage-Pass": auth["password"]}
    got = bare.get(auth["auth_url"], headers=headers).headers
    token = {"X-Auth-Token": got["x-auth-token"]}
    assert bare.head(got["x-storage-url"], headers=token).ok
    assert bare.head(own, headers=token, raise_exc=False).status_code == 403
    assert opened.head(got["x-storage-url"], raise_exc=False).status_code == 403
    assert bare.head(own, headers={"X-Auth-Token": "gAAAAnonsense"}, raise_exc=False).status_code == 401


def test_faults_of_keystone(swift_and_keystone: SwiftServer) -> None:
    keystone = swift_and_keystone.keystone
    assert keystone is not None
    keystone.fault("status", path="/auth/tokens", status=503)
    bare = session.Session()
    body = {"auth": {"identity": {"methods": []}}}
    url = keystone.url + "/v3/auth/tokens"
    assert bare.post(url, json=body, raise_exc=False).status_code == 503
    assert bare.post(url, json=body, raise_exc=False).status_code != 503
    with pytest.raises(ValueError, match="action must be one of status, redirect, delay, hang"):
        keystone.fault("cut", bytes=1)


def test_a_restart_keeps_projects_and_credentials(swift_and_keystone: SwiftServer, tmp_path: pathlib.Path) -> None:
    home = tmp_path / "box"
    arguments = ("--dir", str(home), "--services", "swift,keystone")
    try:
        sandbox("start", *arguments)
        before = endpoints(home)
        assert sandbox("start", *arguments)["changed"] is False
        sandbox("stop", "--dir", str(home))
        assert sandbox("start", *arguments)["changed"] is True
        after = endpoints(home)
        for name in before:
            del before[name]["pid"], after[name]["pid"]
        assert after == before
        credential = session.Session(auth=v3.ApplicationCredential(**after["keystone"]["credential_auth"]))
        storage = urllib.parse.urlsplit(credential.get_endpoint(service_type="object-store"))
        assert storage.port == after["swift"]["port"]
        assert "OS_AUTH_URL" in (home / "env.sh").read_text()
        assert "ST_AUTH" not in (home / "env.sh").read_text()
    finally:
        sandbox("absent", "--dir", str(home))
