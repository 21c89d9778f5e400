# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the fast path is taken, and that forks share nothing."""

from __future__ import annotations

import collections
import json
import pathlib
import re
import sys

import pytest
from ansible_collections.polystore.storage.tests.support import targets
from ansible_collections.polystore.storage.tests.support.pachd import PachdServer
from ansible_collections.polystore.storage.tests.support.servers import SwiftServer

PLAYBOOKS = targets.INTEGRATION / "playbooks"
LOCAL = "%s ansible_connection=local ansible_python_interpreter=%s"


def test_who_runs_a_task(swift_server: SwiftServer, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\nexec %s "$@"\n' % sys.executable, "ascii")
    other.chmod(0o755)
    ran = targets.run_playbook(
        PLAYBOOKS / "handover.yml",
        tmp_path / "run",
        "-vvv",
        variables={"polystore_prefix": swift_server.new_container_name("handover"), "other_python": str(other)},
        env=swift_server.environment(),
        inventory=[LOCAL % ("here", sys.executable), LOCAL % ("other", other)],
    )
    assert ran.code == 0, ran.output
    wrong = [row.task for row in ran.rows if row.by_module != row.task.startswith("Handed over: ")]
    assert wrong == []
    handed = [row for row in ran.rows if row.task.startswith("Handed over: ")]
    assert len(handed) == 9 and len(ran.rows) == 17
    # What -vvv tells does not come from our code: a module file was shipped for these tasks and for no other.
    shipped = [line for line in ran.output.splitlines() if "Using module file" in line and "swift_" in line]
    assert len(shipped) == len(handed)


def test_forks_share_no_socket(swift_server: SwiftServer, tmp_path: pathlib.Path) -> None:
    hosts = ["[crowd]", *(LOCAL % ("h%d" % number, sys.executable) for number in range(5))]
    prefix = swift_server.new_container_name("crowd")
    mark = swift_server.mark()
    ran = targets.run_playbook(
        PLAYBOOKS / "crowd.yml",
        tmp_path,
        "--forks=5",
        variables={"polystore_prefix": prefix},
        env=swift_server.environment(),
        inventory=hosts,
    )
    assert ran.code == 0, ran.output
    assert not [row.task for row in ran.rows if row.by_module]
    loops = ran.named("Many objects in a loop")
    assert sorted(row.host for row in loops) == ["h0", "h1", "h2", "h3", "h4"]
    assert all(item["changed"] for row in loops for item in row.result["results"])
    once_more = ran.named("The same once more, in one task")
    assert [row.result["summary"]["unchanged"] for row in once_more] == [50] * 5
    assert not any(row.result["changed"] for row in once_more)
    requests = swift_server.requests(mark)
    assert [r for r in requests if r["status"] is None or r["status"] >= 500 or r["status"] == 400] == []
    # Each connection served one host only: a socket that two forks share would show two hosts' names.
    served = collections.defaultdict(set)
    for request in requests:
        for host in range(5):
            if "/%s-h%d" % (prefix, host) in request["path"]:
                served[request["client"]].add(host)
    assert len(served) >= 5 and [hosts for hosts in served.values() if len(hosts) > 1] == []
    puts = [r["path"].split("?")[0] for r in requests if r["method"] == "PUT" and r["path"].count("/") >= 4]
    assert len(puts) == len(set(puts)) == 250


@pytest.mark.pachyderm
def test_forks_with_grpc_neither_hang_nor_crash(pachd_server: PachdServer, tmp_path: pathlib.Path) -> None:
    """run_playbook gives up after its time; a fork that used its parent's channel would hang or be refused."""
    ran = targets.run_playbook(
        PLAYBOOKS / "crowd_pachyderm.yml",
        tmp_path,
        "--forks=5",
        variables={"polystore_prefix": pachd_server.new_name("crowd")},
        env=pachd_server.environment(),
        inventory=["[crowd]", *(LOCAL % ("h%d" % number, sys.executable) for number in range(5))],
    )
    assert ran.code == 0, ran.output
    assert not [row.task for row in ran.rows if row.by_module]
    loops = ran.named("Many files in a loop")
    assert sorted(row.host for row in loops) == ["h0", "h1", "h2", "h3", "h4"]
    assert [sum(item["changed"] for item in row.result["results"]) for row in loops] == [40] * 5
    once_more = ran.named("The same once more, in one task")
    assert [row.result["summary"]["unchanged"] for row in once_more] == [40] * 5
    assert not any(row.result["changed"] for row in once_more)


def test_long_work_shows_itself(swift_server: SwiftServer, tmp_path: pathlib.Path) -> None:
    """With -v a line every few seconds, on stderr, where no reader of stdout sees it; without -v none."""
    tree, container = tmp_path / "tree", swift_server.new_container_name("slow")
    tree.mkdir()
    for number in range(4):
        (tree / str(number)).write_bytes(b"x" * 1024)
    swift_server.fault("delay", method="PUT", path="/%s/" % container, seconds=1.5, count=None)
    tasks = [
        {"name": "The place", "polystore.storage.swift_container": {"name": container}},
        {
            "name": "Slow work",
            "polystore.storage.swift_sync": {"container": container, "src": str(tree), "parallel": 1},
        },
        {"name": "Gone", "polystore.storage.swift_container": {"name": container, "state": "absent", "force": True}},
    ]
    playbook = tmp_path / "slow.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), "utf-8")
    line = re.compile(r"Slow work: \d of 4 objects, \S+ \S+, \S+ \S+/s")
    try:
        told = targets.run_playbook(playbook, tmp_path / "v", "-v", env=swift_server.environment())
        silent = targets.run_playbook(playbook, tmp_path / "silent", env=swift_server.environment())
    finally:
        swift_server.clear_faults()
    assert told.code == silent.code == 0, told.output + silent.output
    assert line.search(told.errors), told.output
    assert told.output.count(" of 4 objects") == told.errors.count(" of 4 objects")
    assert " of 4 objects" not in silent.output
