# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the collection by their full names."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.common import CONNECTION
from ansible_collections.polystore.storage.tests.support import targets
from ansible_collections.polystore.storage.tests.support.servers import SwiftServer, need

# As the implicit localhost has it.
LOCAL = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}


def tour(server: SwiftServer, tmp_path: pathlib.Path, fast: bool) -> targets.Ran:
    """One tour with an RC file made from the server's own variables; nothing is in the environment."""
    rc_file = tmp_path / "openrc.sh"
    lines = ["#!/usr/bin/env bash", *('export %s="%s"' % pair for pair in sorted(server.environment().items()))]
    rc_file.write_text("\n".join([*lines, ""]), "utf-8")
    place = {"tour_dir": str(tmp_path / "tour"), "bucket": "snakebucket", "rc_file": str(rc_file)}
    variables = {**LOCAL, **place, **({} if fast else {targets.SWITCH: False})}
    ran = targets.run_playbook("polystore.storage.allas_tour", tmp_path / "run", variables=variables)
    assert ran.code == 0, ran.output
    assert {row.by_module for row in ran.rows if row.ours} == {not fast}
    assert not (tmp_path / "tour").exists()
    return ran


def told(server: SwiftServer, tmp_path: pathlib.Path) -> None:
    """The tour, both ways, and what the server saw of it."""
    mark = server.mark()
    first = tour(server, tmp_path, fast=True)
    requests = server.requests(mark)
    segments = [r for r in requests if r["method"] == "PUT" and "/snakebucket_segments/" in r["path"]]
    assert len(segments) >= 4, "4 MiB in segments of 1 MiB"
    last = server.requests(mark, "DELETE", "/snakebucket")[-1]
    assert last["status"] == 204 and last["path"].rsplit("/", 1)[-1].startswith("snakebucket")
    assert targets.differences(first, tour(server, tmp_path, fast=False)) == []


def test_the_tour_of_allas(swift_server: SwiftServer, tmp_path: pathlib.Path) -> None:
    told(swift_server, tmp_path)


@pytest.mark.keystone
@pytest.mark.skipif(os.environ.get("POLYSTORE_AUTH") != "v3", reason="POLYSTORE_AUTH=v3 runs it with Keystone")
def test_the_tour_of_allas_with_keystone(swift_and_keystone: SwiftServer, tmp_path: pathlib.Path) -> None:
    told(swift_and_keystone, tmp_path)


def test_a_tour_without_a_session_says_what_it_needs(tmp_path: pathlib.Path) -> None:
    ran = targets.run_playbook("polystore.storage.allas_tour", tmp_path, variables=LOCAL)
    assert ran.code != 0 and "-e rc_file=" in ran.output


@pytest.mark.server
@pytest.mark.parametrize("fixture", ["alluxio_server", "alluxio_v1_server"])
def test_the_tour_of_alluxio(fixture: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    """What the example of Alluxio's classic Python client does, both ways, and what the server saw of it."""
    server: Any = request.getfixturevalue(fixture)
    place = {"proxy_url": server.connection()["proxy_url"], "tour_root": "/" + server.new_container_name()}
    ran = {}
    for way, more in (("fast", {}), ("module", {targets.SWITCH: False})):
        mark = server.mark()
        variables = {**LOCAL, **place, **more}
        ran[way] = targets.run_playbook("polystore.storage.alluxio_tour", tmp_path / way, variables=variables)
        assert ran[way].code == 0, ran[way].output
        assert {row.by_module for row in ran[way].rows if row.ours} == {way == "module"}
        operations = [entry["path"].partition("?")[0].rsplit("/", 1)[-1] for entry in server.writes(mark)]
        assert operations[0] == "create-directory" and "rename" in operations and operations[-1] == "delete"
        (told,) = ran[way].named("Tell")
        assert any("It begins: Alluxio works with Ansible!" in line for line in told.result["msg"])
    assert targets.differences(ran["fast"], ran["module"]) == []
    server.call(place["tour_root"], "create-directory", {})
    mark = server.mark()
    refused = targets.run_playbook("polystore.storage.alluxio_tour", tmp_path / "again", variables={**LOCAL, **place})
    assert refused.code != 0 and "-e tour_root=" in refused.output and server.writes(mark) == []
    server.call(place["tour_root"], "delete", {})


@pytest.mark.server
@pytest.mark.parametrize("fixture", ["pachd_server", "pachd_v20_server"])
def test_the_tour_of_pachyderm(fixture: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    """The book's example, and what the server saw of it; before 2.5 in the only project, and one way."""
    server: Any = request.getfixturevalue(fixture)
    place = {"address": server.connection()["address"], "tour_project": server.new_name()}
    tour, env = "polystore.storage.pachyderm_tour", server.environment()  # the token
    ran = {}
    for way, more in [("fast", {}), ("module", {targets.SWITCH: False})][: 1 if "v20" in fixture else 2]:
        mark = server.mark()
        variables = {**LOCAL, **place, **more}
        ran[way] = targets.run_playbook(
            "polystore.storage.pachyderm_tour", tmp_path / way, variables=variables, env=env
        )
        assert ran[way].code == 0, ran[way].output
        assert {row.by_module for row in ran[way].rows if row.ours and row.outcome == "ok"} == {way == "module"}
        calls = [entry["method"].rsplit("/", 1)[-1] for entry in server.writes(mark)]
        assert calls.count("ModifyFile") == calls.count("CreateRepo") == 1
        assert len([call for call in calls if call.startswith("CreatePipeline")]) == 2
        assert calls[-1] == ("DeleteRepo" if "v20" in fixture else "DeleteProject")
        (told,) = ran[way].named("Tell")
        assert "Pipelines: contour, histogram." in told.result["msg"]
    assert targets.differences(ran["fast"], ran.get("module", ran["fast"])) == []
    client = client_for(CONNECTION, server.connection(), 8, {})
    repo = client.repo(place["tour_project"] if client.can("projects") else "default", "photos")
    if client.can("projects"):
        request_ = client.message("pfs_v2.CreateProjectRequest", project=repo.project)
        client.call("pfs_v2.API/CreateProject", request_)
    client.call("pfs_v2.API/CreateRepo", client.message("pfs_v2.CreateRepoRequest", repo=repo))
    mark = server.mark()
    again = targets.run_playbook(tour, tmp_path / "again", variables={**LOCAL, **place}, env=env)
    assert again.code != 0 and "-e tour_project=" in again.output and server.writes(mark) == []
    client.call("pfs_v2.API/DeleteRepo", client.message("pfs_v2.DeleteRepoRequest", repo=repo))
    if client.can("projects"):
        client.call("pfs_v2.API/DeleteProject", client.message("pfs_v2.DeleteProjectRequest", project=repo.project))


def test_quickstart_twice(tmp_path: pathlib.Path) -> None:
    need("swift", "eventlet")
    place = tmp_path / "sandbox"
    variables = {**LOCAL, "sandbox_dir": str(place), "sandbox_owner": os.getpid()}
    try:
        foretold = targets.run_playbook("polystore.storage.sandbox", tmp_path / "0", "--check", variables=variables)
        assert foretold.code == 0 and foretold.recap("changed") == 1, foretold.output
        assert not place.exists()
        first = targets.run_playbook("polystore.storage.quickstart", tmp_path / "1", variables=variables)
        assert first.code == 0 and first.recap("changed") >= 6, first.output
        log = place / "swift" / "access.jsonl"
        before = log.stat().st_size
        second = targets.run_playbook("polystore.storage.quickstart", tmp_path / "2", variables=variables)
        assert second.code == 0 and second.recap("changed") == 0, second.output
        with log.open("rb") as file:
            file.seek(before)
            methods = {json.loads(line)["method"] for line in file.read().splitlines()}
        assert methods <= {"GET", "HEAD"}, "the second run wrote something"
        (words,) = second.named("What this run did")
        assert "This run sent 0 write requests." in words.result["msg"]
        assert any("recordings/dawn.txt" in line and "site/index.html" in line for line in words.result["msg"])
    finally:
        gone = {**variables, "sandbox_state": "absent"}
        ended = targets.run_playbook("polystore.storage.sandbox", tmp_path / "3", variables=gone)
    assert ended.code == 0 and not place.exists(), ended.output
