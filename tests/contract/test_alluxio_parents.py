# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made above a directory or a file gets none of its attributes: a ttl there would delete the neighbours."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.directories import Directories
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.files import FileResource
from ansible_collections.polystore.storage.tests.support.run import run_ok
from ansible_collections.polystore.storage.tests.support.servers import AlluxioServer

TTL = {"ttl": "1h", "ttl_action": "delete"}
CASES = [(Directories, {}), (FileResource, {"content": "x"})]


@pytest.fixture(params=["alluxio_server", "alluxio_v1_server"])
def server(request: pytest.FixtureRequest) -> AlluxioServer:
    found: AlluxioServer = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(("subject", "more"), CASES)
def test_a_ttl_is_not_given_to_the_parents(server: AlluxioServer, subject: Any, more: dict[str, Any]) -> None:
    top = server.new_path()
    path = top + "/a/b/c"
    run_ok(subject, server, path=path, **TTL, **more)
    found = {name: server.call(name, "get-status")["ttl"] for name in (top, top + "/a", top + "/a/b", path)}
    assert list(found.values()) == [-1, -1, -1, 3600000]
    mark = server.mark()
    assert not run_ok(subject, server, path=path, **TTL, **more)["changed"]
    assert server.writes(mark) == []


def test_a_server_would_have(alluxio_server: AlluxioServer) -> None:
    top = alluxio_server.new_path()
    ttl = {"commonOptions": {"ttl": 3600000, "ttlAction": "FREE"}}
    alluxio_server.call(top + "/a/b", "create-directory", {"recursive": True, **ttl})
    assert alluxio_server.call(top + "/a", "get-status")["ttl"] == 3600000
