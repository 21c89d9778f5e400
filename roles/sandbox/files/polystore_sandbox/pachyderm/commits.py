# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from polystore_sandbox.pachyderm import graph, undoing
from polystore_sandbox.pachyderm.base import Call, Refused, Service, waits
from polystore_sandbox.pachyderm.lookup import (
    branch_key,
    check_name,
    commit_repo,
    find_branch,
    get_commit,
    get_repo,
    repo_key,
)
from polystore_sandbox.pachyderm.state import USER, BranchKey, Commit, State, show_branch, show_repo
from polystore_sandbox.pachyderm.views import commit_info, commit_message

READY, FINISHING, FINISHED = 2, 3, 4


def check_startable(state: State, key: BranchKey) -> None:
    """Refuses a branch whose head is open, or which follows from others."""
    branch = find_branch(state, key)
    if branch is None:
        return
    head = state.repos[key[0]].commits.get(branch.head)
    if head and not head.finishing:
        words = f"parent commit {show_branch(head.key)} has not been finished"
        raise Refused("UNKNOWN", f"create commit: {words}" if state.since(12) else words)
    if branch.provenance:
        raise Refused("UNKNOWN", f"cannot start a commit on an output branch: {show_branch(key)}")


def reached(state: State, commit: Commit, wanted: int) -> bool:
    """Whether a commit is as far as InspectCommit.wait asks."""
    if wanted == READY:
        commits = [state.repos[key[0]].commits.get(key[1]) for key in commit.provenance if key[0] in state.repos]
        return all(other.finished for other in commits if other)
    return bool(commit.finished if wanted >= FINISHED else commit.finishing if wanted == FINISHING else True)


class Commits(Service):
    """pfs_v2.API: commits."""

    grpc = "pfs_v2.API"

    def StartCommit(self, request: Any, call: Call) -> Any:
        """An open head of a branch, which is made when it is missing."""
        try:
            key = branch_key(request.branch)
            get_repo(self.state, key[0])
            check_name(key[1])
            self.state.permit(call, "REPO_WRITE", "REPO", show_repo(key[0]))
            parent = get_commit(self.state, request.parent) if request.HasField("parent") else None
            check_startable(self.state, key)
        except Refused as exc:
            raise exc.under("start commit in transaction") from exc
        commit = graph.start_commit(self.state, key, USER, request.description, parent.id if parent else "")
        return commit_message(self.state, commit.key)

    def FinishCommit(self, request: Any, call: Call) -> Any:
        """An open one, whose files are then looked through."""
        try:
            commit = get_commit(self.state, request.commit)
        except Refused as exc:
            raise exc.under("finish commit in transaction") from exc
        self.state.permit(call, "REPO_WRITE", "REPO", show_repo(commit.repo))
        if commit.finishing:
            raise Refused("UNKNOWN", f"commit {show_branch(commit.key)} has already finished")
        if commit.provenance and not request.force and (*commit.repo[:2], "spec") in self.state.repos:
            words = "cannot finish a pipeline output or meta commit, use 'stop job' instead"
            raise Refused("UNKNOWN", words)
        commit.description = request.description or commit.description
        graph.finish_commit(self.state, commit, request.error)
        return self.empty()

    def ClearCommit(self, request: Any, call: Call) -> Any:
        """Takes back all changes of an open one."""
        commit = get_commit(self.state, request.commit)
        if commit.finishing:
            raise Refused("UNKNOWN", "cannot clear finished commit")
        commit.files = graph.base(self.state, commit)
        return self.empty()

    @waits
    def InspectCommit(self, request: Any, call: Call) -> Any:
        """One, when it is as far as was asked."""
        with self.state.lock:
            try:
                commit = get_commit(self.state, request.commit)
            except Refused as exc:
                raise exc if self.state.since(12) else exc.under("inspect commitHandle") from exc
            self.state.wait(lambda: reached(self.state, self.state.again(commit), request.wait), call)
            return commit_info(self.state, self.state.again(commit))

    def _chain(self, request: Any, commits: dict[str, Commit]) -> list[Commit]:
        """The newest first: all, or from `to` back to `from` without that one."""
        if not request.HasField("to"):
            if request.HasField("from"):
                raise Refused("UNKNOWN", "cannot use `from` commit without `to` commit")
            return list(reversed(commits.values()))
        last = getattr(request, "from").id
        found, at = [], commits.get(get_commit(self.state, request.to).id)
        while at is not None and at.id != last:
            found.append(at)
            at = commits.get(at.parent)
        return found

    def ListCommit(self, request: Any, call: Call) -> Iterator[Any]:
        """Those of a repo, the newest first."""
        with self.state.lock:
            self.state.settle()
            if request.HasField("repo"):
                key = repo_key(request.repo)
                try:
                    repos = [get_repo(self.state, key)]
                except Refused as exc:
                    raise exc.under("ensure repo exists") from exc
                found = self._chain(request, repos[0].commits)
            else:
                found = [commit for repo in self.state.repos.values() for commit in repo.commits.values()]
                found.sort(key=lambda commit: -commit.started)
            if request.origin_kind:
                found = [commit for commit in found if commit.origin == request.origin_kind]
            if request.reverse:
                found.reverse()
            infos = [commit_info(self.state, commit, listed=True) for commit in found[: request.number or None]]
        yield from infos

    def SubscribeCommit(self, request: Any, call: Call) -> Iterator[Any]:
        """Those of a repo or branch as they come, the oldest first; it ends with the caller."""
        key = repo_key(request.repo)
        told: set[str] = set()
        with self.state.lock:
            get_repo(self.state, key)
        while True:
            with self.state.lock:
                commit = self.state.wait(lambda: self._next(key, request, told), call)
                told.add(commit.id)
                info = commit_info(self.state, commit)
            yield info

    def _next(self, key: Any, request: Any, told: set[str]) -> Commit | None:
        for commit in get_repo(self.state, key).commits.values():
            wanted = commit.id not in told and request.branch in ("", commit.branch)
            if wanted and request.origin_kind in (0, commit.origin) and reached(self.state, commit, request.state):
                return commit
        return None

    # --- sets ----------------------------------------------------------------------------------------------------

    def InspectCommitSet(self, request: Any, call: Call) -> Iterator[Any]:
        """All commits of one id."""
        with self.state.lock:
            self.state.settle()
            wanted = undoing.of_set(self.state, request.commit_set.id)
            if not wanted:
                raise Refused("NOT_FOUND", f"no commits found for commitset {request.commit_set.id}")
        for commit in wanted:
            with self.state.lock:
                if request.wait:
                    self.state.wait(lambda commit=commit: self.state.again(commit).finished, call)
                info = commit_info(self.state, self.state.again(commit))
            yield info

    def ListCommitSet(self, request: Any, call: Call) -> Iterator[Any]:
        """All ids with their commits, the newest first."""
        with self.state.lock:
            self.state.settle()
            sets: dict[str, list[Commit]] = {}
            for repo in self.state.repos.values():
                if not request.project.name or repo.key[0] == request.project.name:
                    for commit in repo.commits.values():
                        sets.setdefault(commit.id, []).append(commit)
            found = [
                self.make(
                    "pfs_v2.CommitSetInfo",
                    commit_set=self.make("pfs_v2.CommitSet", id=name),
                    commits=[commit_info(self.state, commit) for commit in commits],
                )
                for name, commits in sorted(sets.items(), key=lambda item: -max(each.started for each in item[1]))
            ]
        yield from found

    def DropCommitSet(self, request: Any, call: Call) -> Any:
        """The commits of one id, none when there are none."""
        with self.state.all_or_nothing():
            undoing.drop(self.state, undoing.of_set(self.state, request.commit_set.id))
        return self.empty()

    def SquashCommitSet(self, request: Any, call: Call) -> Any:
        """The commits of one id; their files stay in their children."""
        with self.state.all_or_nothing():
            undoing.squash(self.state, undoing.of_set(self.state, request.commit_set.id))
        return self.empty()

    def _one(self, request: Any, call: Call) -> Commit:
        commit: Commit = get_commit(self.state, request.commit)
        self.state.permit(call, "REPO_DELETE_COMMIT", "REPO", show_repo(commit_repo(request.commit)))
        return commit

    def DropCommit(self, request: Any, call: Call) -> Any:
        """One that has no children, or with recursive what follows from it too."""
        commit = self._one(request, call)
        with self.state.all_or_nothing():
            commits = undoing.with_subvenance(self.state, commit, request.recursive)
            undoing.drop(self.state, [self.state.repos[each[0]].commits[each[1]] for each in commits])
        return self.make("pfs_v2.DropCommitResponse")

    def SquashCommit(self, request: Any, call: Call) -> Any:
        """One that has children, whose files stay in them."""
        commit = self._one(request, call)
        with self.state.all_or_nothing():
            commits = undoing.with_subvenance(self.state, commit, request.recursive)
            undoing.squash(self.state, [self.state.repos[each[0]].commits[each[1]] for each in commits])
        return self.make("pfs_v2.SquashCommitResponse")


SERVICES: list[type[Service]] = [Commits]
