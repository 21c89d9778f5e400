# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachyderm_info tells, at the newest version and at old ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.hashes import ContentHash
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.info import Info, document, masked, word
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
SPEC = {
    "transform": {"image": "birds:1.0", "cmd": ["true"], "env": {"API_TOKEN": "sEcReTnOtToLd", "MODE": "told"}},
    "description": "Listens",
}


def digest(content: bytes) -> str:
    """The server's hash of a content."""
    found = ContentHash()
    found.update(content)
    return found.hexdigest()


class Shelf:
    """A repo with two commits, a branch that follows it, a pipeline and a secret."""

    def __init__(self, server: Any) -> None:
        self.server, self.repo = server, server.new_name()
        self.client = client_for(common.CONNECTION, server.connection(), 8, {})
        client = self.client
        self.here, self.out = client.repo("default", self.repo), self.repo + "-out"
        self.call("pfs_v2.API/CreateRepo", "pfs_v2.CreateRepoRequest", repo=self.here, description="Birds \u00fc")
        self.commits = [self.put({"/a.txt": b"1"}), self.put({"/deep/b.txt": b"22", "/deep/c.txt": b"333"})]
        trigger = {"branch": "master", "commits": 7}
        target = client.branch("default", self.repo, "slow")
        self.call("pfs_v2.API/CreateBranch", "pfs_v2.CreateBranchRequest", branch=target, trigger=trigger)
        spec = {**SPEC, "input": {"pfs": {"repo": self.repo, "glob": "/*", "branch": "master", "name": "in"}}}
        pipeline = client.pipeline("default", self.out)
        if client.can("pipeline_v2"):
            whole = json.dumps({"pipeline": {"name": self.out, "project": {"name": "default"}}, **spec})
            request = {"create_pipeline_request_json": whole}
            self.call("pps_v2.API/CreatePipelineV2", "pps_v2.CreatePipelineV2Request", **request)
        else:
            self.call("pps_v2.API/CreatePipeline", "pps_v2.CreatePipelineRequest", pipeline=pipeline, **spec)
        data = {"password": base64.b64encode(b"sEcReTnOtToLd").decode()}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": self.repo}, "data": data}
        self.call("pps_v2.API/CreateSecret", "pps_v2.CreateSecretRequest", file=json.dumps(secret).encode())

    def call(self, method: str, request: str, **fields: Any) -> Any:
        return self.client.call(method, self.client.message(request, **fields))

    def put(self, files: dict[str, bytes]) -> str:
        rows = [
            self.client.message("pfs_v2.ModifyFileRequest", add_file={"path": name, "raw": {"value": content}})
            for name, content in files.items()
        ]
        self.client.modify(self.client.branch("default", self.repo, "master"), rows)
        return str(self.client.finished(self.client.commit("default", self.repo, "master"), 60).commit.id)

    def end(self) -> None:
        pipeline = self.client.pipeline("default", self.out)
        self.call("pps_v2.API/DeletePipeline", "pps_v2.DeletePipelineRequest", pipeline=pipeline, force=True)
        self.call("pps_v2.API/DeleteSecret", "pps_v2.DeleteSecretRequest", secret={"name": self.repo})
        self.call("pfs_v2.API/DeleteRepo", "pfs_v2.DeleteRepoRequest", repo=self.here, force=True)

    def ask(self, **args: Any) -> Any:
        """What one gathering tells; nothing is written, no secret is told."""
        mark = self.server.mark()
        result = run_ok(Info, self.server, **args)
        assert (result.pop("changed"), self.server.writes(mark)) == (False, [])
        assert "nOtToLd" not in json.dumps(result)
        return result.popitem()[1] if len(result) == 1 else result


@pytest.fixture(params=["pachd_server", "pachd_v20_server", "pachd_v27_server"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    found = Shelf(request.getfixturevalue(request.param))
    yield found
    found.end()


def test_the_server(shelf: Shelf) -> None:
    told = shelf.ask()
    assert told["version"] == ".".join(map(str, shelf.client.version))
    assert told["features"]["pipeline_v2"] == shelf.client.can("pipeline_v2")
    cluster = shelf.ask(gather="cluster")
    assert cluster["id"] and cluster["auth"]["active"] is (cluster["auth"]["user"] is not None)
    assert ("defaults" in cluster) == shelf.client.can("defaults")


def test_projects(shelf: Shelf) -> None:
    if shelf.client.can("projects"):
        assert "default" in [row["name"] for row in shelf.ask(gather="projects")]
        assert len(shelf.ask(gather="projects", limit=1)) == 1
        return
    failed = run_task(Info, shelf.server, gather="projects")
    assert failed["failed"] and "2.5" in failed["msg"]


def test_repos(shelf: Shelf) -> None:
    (row,) = shelf.ask(repo=shelf.repo)
    assert (row["project"], row["name"], row["description"]) == ("default", shelf.repo, "Birds \u00fc")
    assert row["branches"] == ["master", "slow"] and row["created"].endswith("Z") and row["metadata"] == {}
    names = [row["name"] for row in shelf.ask(gather="repos")]
    assert shelf.repo in names and shelf.out in names
    assert len(shelf.ask(gather="repos", limit=2)) == 2  # others come and go meanwhile
    assert {row["name"] for row in shelf.ask(gather="repos", all_projects=True)} >= {shelf.repo, shelf.out}
    assert shelf.ask(repo=shelf.repo + "-none") == []


def test_branches(shelf: Shelf) -> None:
    rows = {row["name"]: row for row in shelf.ask(gather="branches", repo=shelf.repo)}
    assert set(rows) == {"master", "slow"}
    assert rows["master"]["head"] == shelf.commits[-1] and rows["master"]["trigger"] is None
    assert rows["slow"]["trigger"] == {"branch": "master", "commits": 7}
    assert shelf.ask(repo=shelf.repo, branch="slow") == [rows["slow"]]
    assert shelf.ask(repo=shelf.repo, branch="none") == []
    (row,) = shelf.ask(repo=shelf.out, branch="master")
    assert {"project": "default", "repo": shelf.repo, "branch": "master"} in row["provenance"]


def test_commits(shelf: Shelf) -> None:
    rows = shelf.ask(gather="commits", repo=shelf.repo, branch="master")
    ids = [row["id"] for row in rows if row["origin"] == "user"]
    assert ids == shelf.commits[::-1]
    assert rows[0]["parent"] == rows[1]["id"] and rows[0]["finished"].endswith("Z") and rows[0]["error"] is None
    assert [row["id"] for row in shelf.ask(gather="commits", repo=shelf.repo, branch="master", limit=1)] == ids[:1]
    before = shelf.ask(gather="commits", repo=shelf.repo, commit="master^", limit=1)
    assert [row["id"] for row in before] == ids[1:2]
    assert {row["id"] for row in shelf.ask(gather="commits", repo=shelf.repo)} >= set(ids)


def test_files(shelf: Shelf) -> None:
    rows = shelf.ask(repo=shelf.repo, path="/")
    assert [(row["path"], row["type"], row["size"]) for row in rows] == [
        ("/a.txt", "file", 1),
        ("/deep/", "directory", 5),
    ]
    if shelf.client.can("hash"):
        assert rows[0]["hash"] == digest(b"1")
    rows = shelf.ask(repo=shelf.repo, path="/", recursive=True)
    assert [row["path"] for row in rows] == ["/", "/a.txt", "/deep/", "/deep/b.txt", "/deep/c.txt"]
    assert shelf.ask(repo=shelf.repo, path="/", recursive=True, limit=3) == rows[:3]
    assert [row["path"] for row in shelf.ask(repo=shelf.repo, path="deep/b.txt")] == ["/deep/b.txt"]
    assert [row["path"] for row in shelf.ask(repo=shelf.repo, path="/", commit="master^")] == ["/a.txt"]
    failed = run_task(Info, shelf.server, repo=shelf.repo, path="/none", recursive=True)
    assert failed["failed"] and "/none" in failed["msg"]
    failed = run_task(Info, shelf.server, repo=shelf.repo, path="/", branch="none")
    assert failed["failed"] and "There is no commit default/%s@none" % shelf.repo in failed["msg"]


def test_pipelines_and_jobs(shelf: Shelf) -> None:
    (row,) = shelf.ask(pipeline=shelf.out)
    wanted = {"name": shelf.out, "version": 1, "description": "Listens", "stopped": False, "type": "transform"}
    assert {name: row[name] for name in wanted} == wanted
    assert row["output_branch"] == "master" and row["state"] in ("starting", "running", "failure", "crashing")
    if shelf.client.can("pipeline_v2"):
        environment = {"API_TOKEN": "******", "MODE": "told"}
        assert row["spec"]["transform"]["env"] == environment == row["effective_spec"]["transform"]["env"]
        assert row["effective_spec"]["outputBranch"] == "master"
    assert shelf.out in [row["name"] for row in shelf.ask(gather="pipelines")]
    assert shelf.ask(pipeline=shelf.out + "-none") == []
    jobs = shelf.ask(gather="jobs", pipeline=shelf.out)
    assert all(row["pipeline"] == shelf.out and len(row["id"]) == 32 for row in jobs)
    assert shelf.ask(gather="jobs", pipeline=shelf.out, limit=1) == jobs[:1]


def test_secrets(shelf: Shelf) -> None:
    rows = shelf.ask(gather="secrets")
    assert shelf.repo in [row["name"] for row in rows]
    assert all(set(row) == {"name", "type", "created"} for row in rows)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"gather": ["files"]}, "repo: is needed to gather files"),
        ({"path": "/"}, "repo: is needed to gather files"),
        ({"gather": ["everything"]}, "gather"),
        ({"repo": "a", "limit": 0}, "limit: 0"),
        ({"repo": "a.b"}, "repo: "),
        ({"repo": "a", "path": "/a*"}, "path: "),
        ({"repo": "a", "gather": ["files"], "commit": "a.b"}, "commit: "),
        ({"project": "-a"}, "project: "),
    ],
)
def test_questions_that_cannot_be_asked(pachd_server: Any, args: dict[str, Any], words: str) -> None:
    mark = pachd_server.mark()
    result = run_task(Info, pachd_server, **args)
    assert result["failed"] is True
    assert words in result["msg"]
    assert pachd_server.requests(mark) == []


def test_masks_and_words() -> None:
    env = {"transform": {"env": {"DB_PASSWORD": "x", "KEYS": "y", "A": "b"}}, "token": "told, no variable"}
    assert masked(env)["transform"]["env"] == {"DB_PASSWORD": "******", "KEYS": "******", "A": "b"}
    assert masked({"egress": {"URL": "s3://key:secret@bucket/a"}}) == {"egress": {"URL": "s3://key:******@bucket/a"}}
    assert document("") is None and document("{") is None and document('{"a": [1]}') == {"a": [1]}
    assert word(("a", "b"), 1) == "b" and word(("a",), 7) == "7"
