# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking commits away: dropping them with their files, and squashing them into their children."""

from __future__ import annotations

from polystore_sandbox.pachyderm import graph
from polystore_sandbox.pachyderm.base import Refused
from polystore_sandbox.pachyderm.state import Commit, CommitKey, State, show_branch


def of_set(state: State, commit_id: str) -> list[Commit]:
    """All commits of one id."""
    return [repo.commits[commit_id] for repo in state.repos.values() if commit_id in repo.commits]


def children(state: State, commit: Commit) -> list[Commit]:
    """Those whose parent it is."""
    return [other for other in state.repos[commit.repo].commits.values() if other.parent == commit.id]


def with_subvenance(state: State, commit: Commit, recursive: bool) -> list[CommitKey]:
    """The commit and all that follow from it; refused when there are such and recursive is not set."""
    found = [commit.key]
    for key in found:
        for repo in state.repos.values():
            found += [
                other.key for other in repo.commits.values() if key in other.provenance and other.key not in found
            ]
    if len(found) > 1 and not recursive:
        others = " ".join(show_branch(key) for key in found[1:])
        words = f"commit {show_branch(commit.key)} has subvenance [{others}], use recursive to include them"
        raise Refused("UNKNOWN", words)
    return found


def _take(state: State, commit: Commit) -> None:
    repo = state.repos[commit.repo]
    del repo.commits[commit.id]
    for child in repo.commits.values():
        if child.parent == commit.id:
            child.parent = commit.parent
    for branch in repo.branches.values():
        if branch.head != commit.id:
            continue
        branch.head = commit.parent if commit.parent in repo.commits else graph.add_empty(state, repo, branch.name).id
        branch.updated = state.now()
    for other in state.repos.values():
        for follower in other.commits.values():
            if commit.key in follower.provenance:
                follower.provenance.remove(commit.key)


def drop(state: State, commits: list[Commit]) -> None:
    """They and their files are gone; heads move to the parents."""
    for commit in commits:
        if children(state, commit):
            raise Refused("UNKNOWN", f"cannot drop a commit that has children: {show_branch(commit.key)}")
    for commit in commits:
        _take(state, commit)


def squash(state: State, commits: list[Commit]) -> None:
    """They are gone, and their files are in their children."""
    for commit in commits:
        if not children(state, commit):
            words = f"cannot squash a commit that has no children: {show_branch(commit.key)}"
            raise Refused("UNKNOWN", words)
    for commit in commits:
        _take(state, commit)
