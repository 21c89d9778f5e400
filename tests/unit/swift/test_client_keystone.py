# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Swift client with a real Keystone."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.swift_client import connect, failure


def test_keystone_password_and_token(swift_and_keystone: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server, name = swift_and_keystone, swift_and_keystone.new_container_name()
    swift = connect(server.auth_v3())
    swift.request("PUT", name, headers={"X-Container-Meta-A": "ä"})
    sent = [message.partition('"')[2] for message in caplog.messages if "HTTP/1.1" in message]
    assert [line.split()[:2] for line in sent[:1]] == [["POST", "/v3/auth/tokens"]] and len(sent) == 2
    assert swift._token not in caplog.text and '"password": {' not in caplog.text
    auth_url = swift.credentials.auth_url
    direct = {"auth_type": "v3token", "auth": {"token": swift._token}, "storage_url": swift.storage_url}
    project = {k: getattr(swift.credentials, k) for k in ("project_name", "project_domain_name", "project_domain_id")}
    scoped = {"auth_type": "v3token", "auth": {"token": swift._token, "auth_url": auth_url, **project}}
    for options in (direct, scoped, server.auth_credential()):
        other = connect(options)
        assert other.storage_url == swift.storage_url
        assert other.request("HEAD", name).headers["x-container-meta-a"] == "ä"
        other.close()
    swift.close()


def test_keystone_renews_what_has_expired(swift_and_keystone: Any) -> None:
    swift = connect(swift_and_keystone.auth_v3())
    swift.request("HEAD")
    first, mark = swift._token, swift_and_keystone.keystone.mark()
    swift._expires = 1.0
    swift.request("HEAD")
    swift._token = "AUTH_tkbroken"
    swift.request("HEAD")
    asked = [entry for entry in swift_and_keystone.keystone.requests(mark) if entry["method"] == "POST"]
    assert len(asked) == 2 and swift._token not in (first, "AUTH_tkbroken")
    swift.close()


@pytest.mark.parametrize(
    ("field", "value", "code", "word"),
    [
        ("password", "wrong-pass", 401, "password"),
        ("project_name", "nowhere", 401, "project"),
        ("auth_url", "{swift}/nothing/v3", None, "auth.auth_url"),
    ],
)
def test_keystone_refuses(swift_and_keystone: Any, field: str, value: str, code: int | None, word: str) -> None:
    options = swift_and_keystone.auth_v3()
    options["auth"] = {**options["auth"], field: value.replace("{swift}", swift_and_keystone.url)}
    error = failure(lambda: connect(options).request("HEAD"))
    assert error.fatal and not error.transient and word in error.told()
    assert code is None or error.code == code


def test_keystone_has_no_such_endpoint(swift_and_keystone: Any) -> None:
    error = failure(lambda: connect(swift_and_keystone.auth_v3(), region_name="nowhere").request("HEAD"))
    assert error.fatal and "nowhere" in error.message and "storage_url" in error.hint


def test_keystone_s_faults(swift_and_keystone: Any) -> None:
    keystone = swift_and_keystone.keystone
    keystone.fault("status", method="POST", path="/auth/tokens", status=503)
    swift = connect(swift_and_keystone.auth_v3())
    assert swift.request("HEAD").status == 204 and len(swift.paused) == 1  # type: ignore[attr-defined]
    swift.close()
    keystone.fault("redirect", method="POST", path="/auth/tokens", location="https://login.example.org/")
    error = failure(lambda: connect(swift_and_keystone.auth_v3()).request("HEAD"))
    assert error.fatal and "https://login.example.org/" in error.message and "auth.auth_url" in error.hint
    keystone.fault("status", method="POST", path="/auth/tokens", status=200, body="<h1>Hotel</h1>")
    error = failure(lambda: connect(swift_and_keystone.auth_v3()).request("HEAD"))
    assert error.fatal
