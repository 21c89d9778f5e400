# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers of a playbook lend each other their tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.swift.client import SwiftClient
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import CONNECTION
from ansible_collections.polystore.storage.plugins.plugin_utils.tokens import SharedTokens


@pytest.fixture
def lending(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(SwiftClient, "shared", SharedTokens())
    yield


def client(server: Any, **auth: str) -> SwiftClient:
    options = server.auth_v1()
    options["auth"] = {**options["auth"], **auth}
    return CONNECTION.connect(CONNECTION.resolve(options, {}), 2)


def logins(server: Any, mark: Any) -> int:
    return len([r for r in server.requests(mark) if "/auth/" in r["path"]])


def test_the_second_client_asks_for_no_token(swift_server: Any, lending: None) -> None:
    mark = swift_server.mark()
    for _number in range(3):
        client(swift_server).request("HEAD")
    assert logins(swift_server, mark) == 1


def test_another_user_gets_another_token(swift_server: Any, lending: None) -> None:
    client(swift_server).request("HEAD")
    with pytest.raises(Exception, match=r"refused|401"):
        client(swift_server, password="wrong").request("HEAD")


def test_a_lent_token_that_has_ended_is_renewed_for_all(swift_server: Any, lending: None) -> None:
    first = client(swift_server)
    first.request("HEAD")
    place = first.credentials.identity()
    kept = SwiftClient.shared.get(place)
    SwiftClient.shared.put(place, {**kept, "_token": "AUTH_tk0000", "_lent": "AUTH_tk0000"})
    mark = swift_server.mark()
    assert client(swift_server).request("HEAD").status in (200, 204)
    assert client(swift_server).request("HEAD").status in (200, 204)
    assert logins(swift_server, mark) == 1


def test_a_refusal_with_a_lent_token_is_asked_again_with_a_new_one(swift_server: Any, lending: None) -> None:
    client(swift_server).request("HEAD")
    swift_server.fault("status", method="HEAD", status=403, count=1)
    try:
        assert client(swift_server).request("HEAD").status in (200, 204)
    finally:
        swift_server.clear_faults()
