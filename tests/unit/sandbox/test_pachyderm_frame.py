# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pachd's stand-in: its frame, that is versions, faults, the log, and data that outlive a restart."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import schema
from ansible_collections.polystore.storage.tests.support.servers import FILES, PachdServer, endpoints, need, sandbox
from ansible_collections.polystore.storage.tests.unit.sandbox.pachyderm_calls import Calls, failure


@pytest.fixture
def calls(pachd_server: PachdServer) -> Iterator[Calls]:
    with Calls(pachd_server.address) as made:
        yield made


def test_the_schema_is_the_modules_own() -> None:
    copy = FILES / "polystore_sandbox" / "pachyderm" / "schema.py"
    assert copy.read_bytes() == pathlib.Path(schema.__file__).read_bytes()


def test_unknown_calls_are_told_as_pachd_does(calls: Calls) -> None:
    for method, words in {
        "pfs_v2.API/NoSuch": "unknown method NoSuch for service pfs_v2.API",
        "nosuch.API/NoSuch": "unknown service nosuch.API",
    }.items():
        assert failure(lambda method=method: calls.raw(method, b"")) == ("UNIMPLEMENTED", words)


def test_a_call_is_one_line_of_the_log(pachd_server: PachdServer, calls: Calls) -> None:
    name, mark = pachd_server.new_name(), pachd_server.mark()
    calls.pfs("CreateRepo", repo=calls.repo(name), description="d")
    assert failure(lambda: calls.pfs("CreateRepo", repo=calls.repo(name)))[0] == "ALREADY_EXISTS"
    calls.pfs("InspectRepo", repo=calls.repo(name))
    found = pachd_server.requests(mark)
    assert [(entry["method"], entry["status"], entry["path"]) for entry in found] == [
        ("pfs_v2.API/CreateRepo", "OK", f"default/{name}"),
        ("pfs_v2.API/CreateRepo", "ALREADY_EXISTS", f"default/{name}"),
        ("pfs_v2.API/InspectRepo", "OK", f"default/{name}"),
    ]
    assert found[2]["bytes_out"] > found[2]["bytes_in"] > 0
    assert len(pachd_server.writes(mark)) == 2


def test_faults_of_each_kind(pachd_server: PachdServer, calls: Calls) -> None:
    name = pachd_server.new_name()
    pachd_server.fault("status", method=".*/CreateRepo", status="INTERNAL", body="ordered")
    assert failure(lambda: calls.pfs("CreateRepo", repo=calls.repo(name))) == ("INTERNAL", "ordered")
    assert failure(lambda: calls.pfs("InspectRepo", repo=calls.repo(name)))[0] == "NOT_FOUND"
    pachd_server.fault("close_after", method=".*/CreateRepo")
    assert failure(lambda: calls.pfs("CreateRepo", repo=calls.repo(name)))[0] == "UNAVAILABLE"
    assert calls.pfs("InspectRepo", repo=calls.repo(name)).repo.name == name
    pachd_server.fault("cut", method=".*/ListRepo", bytes=1)
    assert failure(lambda: calls.pfs("ListRepo", type="user"))[0] == "UNAVAILABLE"
    assert pachd_server.requests()[-1]["fault"] == "cut"
    pachd_server.fault("delay", method=".*/ListRepo", seconds=0.01)
    assert calls.pfs("ListRepo", type="user")
    pachd_server.fault("hang", method=".*/InspectRepo")
    waiting = calls.later("InspectRepo", repo=calls.repo(name))
    pachd_server.wait_for(lambda: pachd_server.faults()[-1]["hit"])
    assert not waiting.done()
    pachd_server.clear_faults()
    assert failure(waiting.result)[0] == "UNAVAILABLE"


def test_writes_are_refused_and_questions_are_not(pachd_server: PachdServer, calls: Calls) -> None:
    name = pachd_server.new_name()
    code = pachd_server.refuse_writes("no right to")
    assert failure(lambda: calls.pfs("CreateRepo", repo=calls.repo(name))) == (code, "no right to")
    assert calls.pfs("ListRepo", type="user") is not None
    with pytest.raises(ValueError, match="action must be one of"):
        pachd_server.fault("redirect", location="x")


def test_a_closed_port_opens_again(pachd_server: PachdServer) -> None:
    pachd_server.listen(False)
    with Calls(pachd_server.address) as calls:
        assert failure(calls.version)[0] == "UNAVAILABLE"
    pachd_server.listen(True)
    with Calls(pachd_server.address) as calls:
        assert calls.version()[:2] == (2, 12)


def test_versions_know_what_they_knew(pachd_server: PachdServer, calls: Calls) -> None:
    name = pachd_server.new_name()
    pachd_server.behave(version="2.0.8")
    assert calls.version() == (2, 0, 8)
    words = "unknown method CreateProject for service pfs_v2.API"
    assert failure(lambda: calls.pfs("CreateProject", project={"name": name})) == ("UNIMPLEMENTED", words)
    calls.pfs("CreateRepo", repo={"name": name, "project": {"name": "elsewhere"}})  # a field that it does not know
    assert failure(lambda: calls.pfs("CreateRepo", repo={"name": name}))[0] == "UNKNOWN"
    assert failure(lambda: calls.pfs("DeleteRepo", repo=calls.repo(name + "-no")))[0] == "UNKNOWN"
    assert not calls.pfs("InspectRepo", repo=calls.repo(name)).repo.HasField("project")
    pachd_server.behave(version="2.4.6")
    assert failure(lambda: calls.pfs("InspectRepo", repo=calls.repo(name + "-no")))[0] == "NOT_FOUND"
    pachd_server.behave(version="2.12.1")
    assert calls.pfs("InspectRepo", repo=calls.repo(name)).repo.project.name == "default"
    for wrong in ({"version": "3"}, {"colour": "red"}):
        with pytest.raises(ValueError, match="version must be|unknown setting colour"):
            pachd_server.behave(**wrong)


@pytest.mark.parametrize("fixture", ["pachd_v20_server", "pachd_v24_server", "pachd_v27_server", "pachd_v28_server"])
def test_the_older_servers(fixture: str, request: Any) -> None:
    server: PachdServer = request.getfixturevalue(fixture)
    with Calls(server.address) as calls:
        assert ".".join(map(str, calls.version())) == server.version
        assert "%d%d" % calls.version()[:2] == fixture[7:9]
        name = server.new_name()
        repo = {"name": name, "type": "user"}
        calls.pfs("CreateRepo", repo=repo)
        calls.modify({"repo": repo, "name": "master"}, [{"add_file": {"path": "/a", "raw": "YQ=="}}])
        commit = {"branch": {"repo": repo, "name": "master"}}
        info = calls.pfs("InspectCommit", commit=commit, wait="FINISHED").commit
        wanted = ("master", False) if calls.version() < (2, 6) else ("", True)
        assert (info.branch.name, info.HasField("repo")) == wanted
        digest = calls.pfs("InspectFile", file={"commit": commit, "path": "/a"}).hash.hex()
        known = digest == "3d4b9478848e85771d9d678f2d80966bf9ea36f0d05b44fe5b23433e14a3eace"
        assert known is (calls.version() >= (2, 1, 6))


def test_what_it_knows_outlives_a_restart(tmp_path: pathlib.Path) -> None:
    need("grpc", "google.protobuf")
    folder = str(tmp_path / "box")
    arguments = ["--dir", folder, "--services", "pachyderm"]
    try:
        first = sandbox("start", *arguments)["services"]["pachyderm"]
        address = endpoints(tmp_path / "box")["pachyderm"]["address"]
        with Calls(address) as calls:
            calls.pfs("CreateRepo", repo=calls.repo("kept"), description="d")
            changes = [{"add_file": {"path": f"/{size}", "raw": "AAAA" * size}} for size in (1, 100_000)]
            calls.modify(calls.branch("kept"), changes)
            before = calls.pfs("InspectRepo", repo=calls.repo("kept"))
            files = calls.pfs("WalkFile", file=calls.file("kept", "/"))
        sandbox("stop", "--dir", folder)
        assert sandbox("start", *arguments)["services"]["pachyderm"]["port"] == first["port"]
        with Calls(address) as calls:
            assert calls.pfs("InspectRepo", repo=calls.repo("kept")) == before
            assert calls.pfs("WalkFile", file=calls.file("kept", "/")) == files
            content = calls.pfs("GetFile", file=calls.file("kept", "/100000"))
            assert b"".join(part.value for part in content) == bytes(300_000)
            calls.modify(calls.branch("kept"), changes)
            commit = calls.commit("kept", "master")
            assert calls.pfs("InspectCommit", commit=commit, wait="FINISHED").details.size_bytes == 600_006
    finally:
        sandbox("absent", "--dir", folder)
