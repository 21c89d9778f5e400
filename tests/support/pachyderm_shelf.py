# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repo of one test's own on a pachd, what a test puts there, and what a reader sees."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task
from polystore_sandbox.pachyderm.messages import message

DIRECTORY, OLDEST = 2, "pachd_v20_server"
WRITES = r"pfs_v2\.API/(ModifyFile|StartCommit|FinishCommit|DropCommit|DropCommitSet)"


class Shelf:
    """The repo, through a client of our own."""

    def __init__(self, server: Any) -> None:
        self.server, self.repo = server, server.new_name()
        self.client = client_for(common.CONNECTION, server.connection(), 8, {})
        self.hashes = self.client.can("hash")
        self.new(self.repo)

    def call(self, method: str, **fields: Any) -> Any:
        return self.client.call("pfs_v2.API/" + method, self.client.message("pfs_v2.%sRequest" % method, **fields))

    def new(self, repo: str) -> str:
        self.call("CreateRepo", repo=self.client.repo("default", repo))
        return repo

    def end(self) -> None:
        self.server.clear_faults()
        for repo in (self.repo + "-out", self.repo):
            with contextlib.suppress(StorageError):
                self.call("DeleteRepo", repo=self.client.repo("default", repo), force=True)

    def target(self, branch: str = "master") -> Any:
        return self.client.branch("default", self.repo, branch)

    def head(self, branch: str = "master") -> Any:
        """The CommitInfo."""
        commit = self.client.commit("default", self.repo, branch)
        return self.call("InspectCommit", commit=commit, wait="FINISHED")

    def put(self, files: Mapping[str, bytes], branch: str = "master", url: str = "") -> Any:
        """One commit with these files, as somebody else makes it. Returns its CommitInfo, good or not."""

        def messages() -> Iterator[Any]:
            for name, content in files.items():
                yield self.client.message("pfs_v2.ModifyFileRequest", delete_file={"path": name})
                part = {"path": name, "raw": {"value": content}}
                yield self.client.message("pfs_v2.ModifyFileRequest", add_file=part)

        self.client.modify(self.target(branch), messages())
        return self.head(branch)

    def start(self, branch: str = "master", description: str = "") -> Any:
        """An open commit, as somebody else leaves it."""
        found = self.call("StartCommit", branch=self.target(branch), description=description)
        return self.client.commit("default", self.repo, branch, found.id)

    def follow(self) -> str:
        """Another repo, whose branch master has this repo's as its provenance."""
        repo = self.new(self.repo + "-out")
        branch = self.client.branch("default", repo, "master")
        self.call("CreateBranch", branch=branch, provenance=[self.target()])
        return repo

    def commits(self, repo: str = "") -> list[Any]:
        """All CommitInfos of the repo, the newest first."""
        wanted = {"name": repo or self.repo, "type": "user", "project": {"name": "default"}}
        request = message("pfs_v2.ListCommitRequest")(repo=wanted, all=True)  # no module asks for all
        return list(self.client.stream("pfs_v2.API/ListCommit", request))

    def names(self, branch: str = "master") -> list[str]:
        """The paths of all files of the head; none where there is no branch."""
        commit = self.client.commit("default", self.repo, branch)
        request = self.client.message("pfs_v2.WalkFileRequest", file=self.client.file(commit, "/"))
        try:
            rows = list(self.client.stream("pfs_v2.API/WalkFile", request))
        except StorageError as error:
            if getattr(error, "kind", "") != "missing":
                raise
            return []
        return [row.file.path for row in rows if row.file_type != DIRECTORY]

    def read(self, name: str, branch: str = "master") -> bytes:
        commit = self.client.commit("default", self.repo, branch)
        return b"".join(common.content(self.client, self.client.file(commit, name), 0))

    def contents(self, branch: str = "master") -> dict[str, bytes]:
        """All that a reader of the branch sees."""
        return {name: self.read(name, branch) for name in self.names(branch)}

    def asked(self, mark: Any) -> list[str]:
        """The calls since then, without that for the version."""
        calls = [entry["method"].rsplit("/", 1)[-1] for entry in self.server.requests(mark)]
        return [call for call in calls if call != "GetVersion"]

    def written(self, mark: Any) -> list[str]:
        """Those of them that write."""
        return [entry["method"].rsplit("/", 1)[-1] for entry in self.server.writes(mark)]

    # --- tasks

    def run(self, subject: Any, **args: Any) -> dict[str, Any]:
        return run_ok(subject, self.server, diff=True, **{"repo": self.repo, **args})

    def once(self, subject: Any, **args: Any) -> dict[str, Any]:
        """The contract: check mode tells what the run does, in at most one commit a branch; then nothing is left."""
        mark = self.server.mark()
        check = self.run(subject, check=True, **args)
        assert self.server.writes(mark) == []
        done = self.run(subject, **args)
        assert (check["changed"], check["diff"]) == (done["changed"], done["diff"])
        mark, number = self.server.mark(), len(self.commits())
        again = self.run(subject, **args)
        assert (again["changed"], self.server.writes(mark), len(self.commits())) == (False, [], number)
        return done

    def fails(self, subject: Any, **args: Any) -> dict[str, Any]:
        """A run that fails before it writes; check mode says the same."""
        mark, given = self.server.mark(), {"repo": self.repo, "parallel": 1, **args}
        check, result = (run_task(subject, self.server, mode, **given) for mode in (True, False))
        assert result.get("failed") and check["msg"] == result["msg"]
        assert "This is a fault in" not in result["msg"], result["exception"]
        assert (result["changed"], self.server.writes(mark)) == (False, [])
        return result
