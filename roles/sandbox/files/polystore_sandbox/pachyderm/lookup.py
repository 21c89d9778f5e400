# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the references in messages to what is there, with the server's words for what is not."""

from __future__ import annotations

import re
from typing import Any

from polystore_sandbox.pachyderm.base import Refused
from polystore_sandbox.pachyderm.state import Branch, BranchKey, Commit, Repo, RepoKey, State, show_branch, show_repo

PANIC = "panic: runtime error: invalid memory address or nil pointer dereference"


def check_name(name: str) -> None:
    """A repo's, branch's or project's name has only certain characters."""
    if not re.fullmatch("[A-Za-z0-9_-]+", name):
        words = "invalid: only alphanumeric characters, underscores, and dashes are allowed"
        raise Refused("UNKNOWN", f"name ({name}) {words}")


def project_of(value: Any) -> str:
    """The project that a message with a field of that name is of."""
    return str(value.project.name) or "default"


def repo_key(repo: Any) -> RepoKey:
    """The key of a pfs_v2.Repo, which has to have a type."""
    if not repo.type:
        raise Refused("UNKNOWN", 'ERROR: invalid input value for enum pfs.repo_type: "" (SQLSTATE 22P02)')
    return project_of(repo), repo.name, repo.type


def branch_key(branch: Any) -> BranchKey:
    """The key of a pfs_v2.Branch."""
    return repo_key(branch.repo), branch.name


def commit_repo(commit: Any) -> RepoKey:
    """The repo of a pfs_v2.Commit: its own, else its branch's."""
    return repo_key(commit.repo if commit.HasField("repo") else commit.branch.repo)


def row(key: RepoKey) -> str:
    """A repo in the words of the database."""
    return f"repo (id=0, project={key[0]}, name={key[1]}, type={key[2]}) not found"


def no_commit_in(state: State, key: RepoKey) -> Refused:
    """A commit that could not be made, for want of a repo."""
    words = (
        f"get commit by commit key: {row(key)}\ncommit (int_id=0, commit_id={show_repo(key, True)}@{state.new_id()})"
    )
    return Refused("NOT_FOUND", words + " not found")


def get_repo(state: State, key: RepoKey) -> Repo:
    """NOT_FOUND when it is missing."""
    if key not in state.repos:
        raise Refused("NOT_FOUND", f"repo {show_repo(key)} not found")
    return state.repos[key]


def find_branch(state: State, key: BranchKey) -> Branch | None:
    """None when it is missing, or its repo."""
    repo = state.repos.get(key[0])
    return repo.branches.get(key[1]) if repo else None


def get_branch(state: State, key: BranchKey) -> Branch:
    """NOT_FOUND when it is missing."""
    branch = find_branch(state, key)
    if branch is None:
        raise Refused(
            "NOT_FOUND",
            f"branch (id=0, branch={show_branch(key)}) not found\n"
            f'branch "{key[1]}" not found in repo {show_repo(key[0])}',
        )
    return branch


def _ancestry(name: str) -> tuple[str, int]:
    """ "master^2~" -> ("master", 3)."""
    found = re.fullmatch(r"([^^~]*)((?:[\^~]\d*)*)", name)
    if not found:
        return name, 0
    return found[1], sum(int(step or 1) for step in re.findall(r"[\^~](\d*)", found[2]))


def _missing(state: State, key: RepoKey, reference: str, branch: str) -> Refused:
    """A commit that is not there: an id, or the head of a branch."""
    place = show_repo(key)
    if state.since(12):
        words = f"pick commit tx: commit {place}@{reference} not found\n"
        if key not in state.repos:
            return Refused("NOT_FOUND", words + f"repo {place} not found")
        last = f'branch "{branch}" not found in repo {place}' if branch else f"commit {place}@{reference} not found"
        return Refused("NOT_FOUND", words + last)
    if not branch:
        return Refused("NOT_FOUND", f"commit {place}@{reference} not found")
    words = "" if key in state.repos else row(key) + "\n"
    words += f"branch (id=0, branch={place}@{branch}) not found\n"
    return Refused("NOT_FOUND", words + f'branch "{branch}" not found in repo {place}')


def get_commit(state: State, reference: Any) -> Commit:
    """The commit that a pfs_v2.Commit means: an id, a branch's head, or an ancestor of one."""
    key = commit_repo(reference)
    repo = state.repos.get(key)
    name, steps = reference.branch.name, 0
    if state.since(12):
        name, steps = _ancestry(name)
    wanted, more = _ancestry(reference.id)
    if reference.id and not reference.HasField("branch") and not re.fullmatch("[0-9a-f]{32}", wanted):
        raise Refused("ABORTED", PANIC)
    commits, branches = (repo.commits, repo.branches) if repo else ({}, {})
    if wanted and wanted not in commits and wanted in branches and more:
        name, wanted = wanted, ""
    if wanted:
        found = commits.get(wanted)
        if found is None:
            raise _missing(state, key, reference.id, "")
    else:
        if name not in branches:
            raise _missing(state, key, "", name)
        found = commits[branches[name].head]
    return _ancestor(state, found, steps + more, reference)


def _ancestor(state: State, commit: Commit, steps: int, reference: Any) -> Commit:
    commits, at = state.repos[commit.repo].commits, commit
    for done in range(steps):
        if not at.parent:
            if not state.since(12):
                shown = reference.id or reference.branch.name
                raise Refused("NOT_FOUND", f"commit {show_repo(commit.repo)}@{shown} not found")
            raise Refused(
                "UNKNOWN",
                f"pick commit tx: picking commit: invalid offset for ancestor of commit: "
                f"{show_branch(commit.key, True)}, offset requested: {steps}, offset traversable: {done}",
            )
        at = commits[at.parent]
    return at
