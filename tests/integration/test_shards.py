# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One tree, sent by all hosts of a play: each takes its share, and prunes within it."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import CONNECTION
from ansible_collections.polystore.storage.tests.support import targets
from ansible_collections.polystore.storage.tests.support.servers import SwiftServer

HOSTS = ("one", "two", "three")
FILES = 30
SYNC = "polystore.storage.swift_sync"


def test_a_tree_by_several_hosts(swift_server: SwiftServer, tmp_path: pathlib.Path) -> None:
    name, tree = swift_server.new_container_name(), tmp_path / "tree"
    tree.mkdir()
    for number in range(FILES):
        (tree / ("%d.txt" % number)).write_text("%d\n" % number, "utf-8")
    client = client_for(CONNECTION, swift_server.connection(), 8, {})
    client.request("PUT", name)
    for number in range(4):
        client.request("PUT", name, "old-%d" % number, body=b"old")
    share = {
        "index": "{{ ansible_play_hosts.index(inventory_hostname) }}",
        "count": "{{ ansible_play_hosts | length }}",
    }
    task = {"container": name, "src": str(tree), "prune": True, "max_delete": "100%", "shard": share}
    play = {"hosts": "workers", "gather_facts": False, "tasks": [{"name": "My share", SYNC: task}]}
    playbook = tmp_path / "shards.yml"
    playbook.write_text(json.dumps([play]), "utf-8")
    line = "%s ansible_connection=local ansible_python_interpreter=" + sys.executable
    inventory = ["[workers]", *(line % host for host in HOSTS)]
    env = swift_server.environment()

    def run(scratch: str) -> dict[str, Any]:
        ran = targets.run_playbook(playbook, tmp_path / scratch, inventory=inventory, env=env)
        assert ran.code == 0, ran.output
        return {row.host: row.result["summary"] for row in ran.named("My share")}

    first = run("first")
    assert set(first) == set(HOSTS)
    assert sum(summary["created"] for summary in first.values()) == FILES
    assert sum(summary["deleted"] for summary in first.values()) == 4
    assert all(0 < summary["created"] < FILES for summary in first.values())
    assert {row["name"] for row in client.listing(name)} == {"%d.txt" % number for number in range(FILES)}
    mark = swift_server.mark()
    again = run("again")
    assert swift_server.writes(mark) == []
    assert sum(summary["unchanged"] for summary in again.values()) == FILES
