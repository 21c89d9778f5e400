# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A place of one test's own on a pachd: repos, commits and pipelines by its own calls, and a module's tasks."""

from __future__ import annotations

from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.common import CONNECTION
from ansible_collections.polystore.storage.tests.support.run import Tasks

# What a fixture behaves as; each of them serves every test that takes the fixture `place`.
SERVERS = {
    "2.0": "pachd_v20_server",
    "2.4": "pachd_v24_server",
    "2.7": "pachd_v27_server",
    "2.8": "pachd_v28_server",
    "2.12": "pachd_server",
}


class Place(Tasks):
    """What a test does on a server. subject: the module under test; options: what each of its tasks has."""

    def __init__(self, subject: Any, server: Any, **options: Any) -> None:
        self.subject, self.server, self.options = subject, server, options
        access = {name: options[name] for name in CONNECTION.spec if name in options}
        self.client = client_for(CONNECTION, {**server.connection(), **access}, 8, {})
        self.top = server.new_name()

    def name(self, short: str) -> str:
        """A name that no other test has."""
        return "%s-%s" % (self.top, short)

    # --- the log

    def sent(self, mark: int) -> list[str]:
        """The calls that wrote, by their short names."""
        return [entry["method"].rsplit("/", 1)[-1] for entry in self.server.writes(mark)]

    def asked(self, mark: int) -> list[str]:
        """All calls since a mark, by their short names."""
        return [entry["method"].rsplit("/", 1)[-1] for entry in self.server.requests(mark)]

    # --- calls of the test's own

    def call(self, method: str, **fields: Any) -> Any:
        """call("pfs_v2.API/CreateRepo", repo=...); the request is named after the call."""
        request = "%s.%sRequest" % (method.split(".")[0], method.rsplit("/", 1)[-1])
        return self.client.call(method, self.client.message(request, **fields))

    def repo(self, short: str = "r", project: str = "default") -> str:
        """A new repo."""
        name = self.name(short)
        self.call("pfs_v2.API/CreateRepo", repo=self.client.repo(project, name))
        return name

    def put(self, repo: str, path: str = "/f", content: bytes = b"x", branch: str = "master") -> str:
        """One commit with one file; its id."""
        where = self.client.branch("default", repo, branch)
        add = self.client.message("pfs_v2.ModifyFileRequest", add_file={"path": path, "raw": {"value": content}})
        self.client.modify(where, [add])
        return str(self.branch(repo, branch).head.id)

    def pipeline(self, short: str, source: str, project: str = "default") -> str:
        """A new pipeline that reads a repo of the project default."""
        name = self.name(short)
        pfs = {"repo": source, "glob": "/*", "project": "default", "branch": "master"}
        self.call(
            "pps_v2.API/CreatePipeline",
            pipeline=self.client.pipeline(project, name),
            transform={"image": "alpine", "cmd": ["true"]},
            input={"pfs": pfs},
        )
        return name

    def branch(self, repo: str, name: str = "master", project: str = "default") -> Any:
        """A branch's BranchInfo, or None."""
        request = self.client.message("pfs_v2.InspectBranchRequest", branch=self.client.branch(project, repo, name))
        return self.client.maybe("pfs_v2.API/InspectBranch", request)

    def info(self, repo: str, project: str = "default") -> Any:
        """A repo's RepoInfo, or None."""
        request = self.client.message("pfs_v2.InspectRepoRequest", repo=self.client.repo(project, repo))
        return self.client.maybe("pfs_v2.API/InspectRepo", request)
