# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the state looks like in messages."""

from __future__ import annotations

from typing import Any

from polystore_sandbox.pachyderm.graph import provenance, subvenance
from polystore_sandbox.pachyderm.messages import message
from polystore_sandbox.pachyderm.state import Branch, BranchKey, Commit, CommitKey, Project, Repo, RepoKey, State, stamp
from polystore_sandbox.pachyderm.tree import collision
from polystore_sandbox.pachyderm.triggers import trigger_of


def repo_message(key: RepoKey) -> Any:
    """pfs_v2.Repo."""
    return message("pfs_v2.Repo")(name=key[1], type=key[2], project=message("pfs_v2.Project")(name=key[0]))


def branch_message(key: BranchKey) -> Any:
    """pfs_v2.Branch."""
    return message("pfs_v2.Branch")(repo=repo_message(key[0]), name=key[1])


def commit_message(state: State, key: CommitKey, branch: bool = False) -> Any:
    """pfs_v2.Commit; servers before 2.6 always have the branch in it, and never the repo."""
    made = message("pfs_v2.Commit")(id=key[1], repo=repo_message(key[0]))
    commit = state.repos[key[0]].commits.get(key[1])
    if branch or not state.since(6):
        made.branch.CopyFrom(branch_message((key[0], commit.branch if commit else "")))
    return made


def project_info(project: Project) -> Any:
    """pfs_v2.ProjectInfo."""
    return message("pfs_v2.ProjectInfo")(
        project=message("pfs_v2.Project")(name=project.name),
        description=project.description,
        created_at=stamp(project.created),
        metadata=project.metadata,
        created_by=project.created_by,
    )


def total(commit: Commit | None) -> int:
    """The bytes of a commit's files."""
    return sum(content.size for content in commit.files.values()) if commit else 0


def repo_info(state: State, repo: Repo, details: bool = False) -> Any:
    """pfs_v2.RepoInfo; the size is that of the branch master."""
    master = repo.branches.get("master")
    size = total(repo.commits.get(master.head)) if master else 0
    info = message("pfs_v2.RepoInfo")(
        repo=repo_message(repo.key),
        created=stamp(repo.created),
        size_bytes_upper_bound=0 if details else size,
        description=repo.description,
        branches=[branch_message((repo.key, name)) for name in repo.branches],
        metadata=repo.metadata,
    )
    if details:
        info.details.size_bytes = size
        info.details.SetInParent()
    return info


def branch_info(state: State, branch: Branch) -> Any:
    """pfs_v2.BranchInfo."""
    key = (branch.repo, branch.name)
    return message("pfs_v2.BranchInfo")(
        branch=branch_message(key),
        head=commit_message(state, (branch.repo, branch.head)),
        provenance=[branch_message(other) for other in provenance(state, key)],
        subvenance=[branch_message(other) for other in subvenance(state, key)],
        direct_provenance=[branch_message(other) for other in branch.provenance],
        trigger=trigger_of(state, key),
        metadata=branch.metadata,
        created_by=branch.created_by,
        created_at=stamp(branch.created),
        updated_at=stamp(branch.updated),
    )


def commit_info(state: State, commit: Commit, listed: bool = False) -> Any:
    """pfs_v2.CommitInfo; in lists with the upper bound of its size."""
    commits = state.repos[commit.repo].commits
    children = [other for other in commits.values() if other.parent == commit.id]
    info = message("pfs_v2.CommitInfo")(
        commit=commit_message(state, commit.key),
        origin=message("pfs_v2.CommitOrigin")(kind=commit.origin),
        description=commit.description,
        parent_commit=commit_message(state, (commit.repo, commit.parent)) if commit.parent else None,
        child_commits=[commit_message(state, child.key, True) for child in children],
        started=stamp(commit.started),
        finishing=stamp(commit.finishing),
        finished=stamp(commit.finished),
        error=commit.error,
        direct_provenance=[commit_message(state, key, True) for key in commit.provenance if key[0] in state.repos],
        metadata=commit.metadata,
        created_by=commit.created_by,
        created_at=stamp(commit.started),
        updated_at=stamp(commit.finished or commit.finishing or commit.started),
    )
    info.details.SetInParent()
    if commit.finished and commit.error in ("", collision(commit.files)):  # one that was broken off is not looked at
        info.details.size_bytes = total(commit)
        if commit.finished != commit.finishing:  # it was looked at
            info.details.compacting_time.SetInParent()
            info.details.validating_time.SetInParent()
        if listed:
            info.size_bytes_upper_bound = total(commit)
    return info
