# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Branches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from polystore_sandbox.pachyderm import graph, triggers
from polystore_sandbox.pachyderm.base import Call, Refused, Service
from polystore_sandbox.pachyderm.lookup import (
    branch_key,
    check_name,
    commit_repo,
    find_branch,
    get_branch,
    get_commit,
    get_repo,
    no_commit_in,
    repo_key,
)
from polystore_sandbox.pachyderm.state import Commit, show_branch, show_repo
from polystore_sandbox.pachyderm.views import branch_info


class Branches(Service):
    """pfs_v2.API: branches."""

    grpc = "pfs_v2.API"

    def _head(self, request: Any) -> Commit | None:
        """The commit that the branch is to point at."""
        if not request.HasField("head"):
            return None
        if commit_repo(request.head) != repo_key(request.branch.repo):
            raise Refused("UNKNOWN", "branch and head commit must belong to the same repo")
        try:
            found: Commit = get_commit(self.state, request.head)
        except Refused as exc:
            reference = request.head.id or (request.head.branch.name if self.state.since(12) else "")
            shown = show_branch((commit_repo(request.head), reference))
            raise exc.under(f"unable to inspect {shown}") from exc
        return found

    def CreateBranch(self, request: Any, call: Call) -> Any:
        """Makes or changes one: the provenance is set exactly, head and trigger where they are given."""
        key = branch_key(request.branch)
        if key[0] not in self.state.repos:
            raise no_commit_in(self.state, key[0])
        check_name(key[1])
        self.state.permit(call, "REPO_CREATE_BRANCH", "REPO", show_repo(key[0]))
        head = self._head(request)
        wanted = list(dict.fromkeys(map(branch_key, request.provenance)))
        trigger = b""
        if request.HasField("trigger"):
            triggers.check(self.state, key, request.trigger, bool(wanted))
            trigger = request.trigger.SerializeToString()
        graph.create_branch(self.state, key, wanted, head, trigger)
        return self.empty()

    def InspectBranch(self, request: Any, call: Call) -> Any:
        """One."""
        try:
            return branch_info(self.state, get_branch(self.state, branch_key(request.branch)))
        except Refused as exc:
            raise exc.under("inspect branch in transaction") from exc

    def ListBranch(self, request: Any, call: Call) -> Iterator[Any]:
        """Those of a repo, the newest first."""
        with self.state.lock:
            repo = get_repo(self.state, repo_key(request.repo))
            found = [branch_info(self.state, branch) for branch in repo.branches.values()]
        yield from found if request.reverse else reversed(found)

    def DeleteBranch(self, request: Any, call: Call) -> Any:
        """One that nothing depends on, or with force."""
        key = branch_key(request.branch)
        if find_branch(self.state, key) is None:
            words = f'get branch "{show_branch(key, True)}": branch (id=0, branch={show_branch(key)}) not found'
            raise Refused("NOT_FOUND", words)
        self.state.permit(call, "REPO_DELETE_BRANCH", "REPO", show_repo(key[0]))
        graph.delete_branch(self.state, key, request.force)
        return self.empty()


SERVICES: list[type[Service]] = [Branches]
