# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Swift client that does not wait, a container for it, and how its errors are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.swift import auth, client


def connect(options: dict[str, Any], **more: Any) -> client.SwiftClient:
    """A client that does not wait between its attempts; how long it would have waited is in `paused`."""
    swift = client.SwiftClient(auth.resolve({**options, **more}, {}))
    paused: list[float] = []
    swift._retry = Retry(swift.credentials.retries, sleep=paused.append)
    swift.paused = paused  # type: ignore[attr-defined]
    return swift


@pytest.fixture
def swift(swift_server: Any) -> Iterator[client.SwiftClient]:
    made = connect(swift_server.auth_v1())
    yield made
    made.close()


@pytest.fixture
def container(swift: client.SwiftClient, swift_server: Any) -> str:
    name: str = swift_server.new_container_name()
    swift.request("PUT", name)
    return name


def failure(function: Callable[[], Any]) -> StorageError:
    """The error that function() raises; it shows no secret."""
    with pytest.raises(StorageError) as failed:
        function()
    for secret in ("testing", "wrong-pass", "AUTH_tk", "gAAAA"):
        assert secret not in failed.value.told() + repr(failed.value)
    return failed.value
