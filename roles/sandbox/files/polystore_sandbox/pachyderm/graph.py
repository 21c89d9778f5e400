# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Branches, their provenance, and the commits that follow from it; what the services do to them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from polystore_sandbox.pachyderm.base import Refused
from polystore_sandbox.pachyderm.content import Tree
from polystore_sandbox.pachyderm.lookup import PANIC, check_name, find_branch, no_commit_in
from polystore_sandbox.pachyderm.state import (
    AUTO,
    Branch,
    BranchKey,
    Commit,
    Repo,
    RepoKey,
    State,
    show_branch,
    show_repo,
)
from polystore_sandbox.pachyderm.tree import collision
from polystore_sandbox.pachyderm.triggers import fire, watched, watching

SYSTEM = ("meta", "spec")


def branches(state: State) -> Iterable[Branch]:
    """All there are."""
    return [branch for repo in state.repos.values() for branch in repo.branches.values()]


def provenance(state: State, key: BranchKey) -> list[BranchKey]:
    """All that a branch depends on, directly and through others."""
    found: list[BranchKey] = []
    wanted = [key]
    while wanted:
        branch = find_branch(state, wanted.pop())
        for other in branch.provenance if branch else []:
            if other not in found:
                found.append(other)
                wanted.append(other)
    return found


def direct_subvenance(state: State, key: BranchKey) -> list[BranchKey]:
    """The branches that have it in their direct provenance."""
    return [(branch.repo, branch.name) for branch in branches(state) if key in branch.provenance]


def subvenance(state: State, key: BranchKey) -> list[BranchKey]:
    """All that depend on a branch, those nearer to it first."""
    found: list[BranchKey] = []
    wanted = [key]
    while wanted:
        for other in direct_subvenance(state, wanted.pop(0)):
            if other in found:
                found.remove(other)
            found.append(other)
            wanted.append(other)
    return found


# --- commits -----------------------------------------------------------------------------------------------------


def good(state: State, commit: Commit | None) -> Commit | None:
    """The commit or the nearest ancestor that has no error."""
    while commit is not None and (commit.error or collision(commit.files)):
        commit = state.repos[commit.repo].commits.get(commit.parent)
    return commit


def base(state: State, commit: Commit) -> Tree:
    """The files that a commit starts from."""
    parent = good(state, state.repos[commit.repo].commits.get(commit.parent))
    return parent.files if parent else Tree()


def add_commit(state: State, repo: Repo, branch: str, parent: str, origin: int, commit_id: str = "") -> Commit:
    """A new open commit; the branch is not moved."""
    commit = Commit(repo.key, commit_id or state.new_id(), branch, origin, state.now(), parent)
    repo.commits[commit.id] = commit
    commit.files = base(state, commit)
    return commit


def add_empty(state: State, repo: Repo, branch: str) -> Commit:
    """The finished commit that a branch without a head gets."""
    commit = add_commit(state, repo, branch, "", AUTO)
    commit.finishing = commit.finished = commit.started
    return commit


def start_commit(state: State, key: BranchKey, origin: int, description: str = "", parent: str = "") -> Commit:
    """A new open head of a branch, which is made when it is missing; what depends on the branch follows."""
    repo = state.repos[key[0]]
    branch = repo.branches.get(key[1])
    commit = add_commit(state, repo, key[1], parent or (branch.head if branch else ""), origin)
    commit.description = description
    _move(state, key, commit)
    propagate(state, [key], commit.id)
    return commit


def _move(state: State, key: BranchKey, commit: Commit) -> Branch:
    repo, now = state.repos[key[0]], state.now()
    branch = repo.branches.get(key[1])
    if branch is None:
        check_name(key[1])
        branch = repo.branches[key[1]] = Branch(key[0], key[1], commit.id, now, now)
    branch.head, branch.updated = commit.id, now
    return branch


def finish_commit(state: State, commit: Commit, error: str = "") -> None:
    """Finishing now, finished a little later; then a collision of its files is told."""
    commit.finishing = state.now()
    commit.error = error
    commit.due = time.time() + float(state.settings["finish_seconds"])
    state.finishers.append(commit)
    state.dirty = True
    state.changed.notify_all()


def due(state: State, commit: Commit) -> None:
    """A finishing commit is finished."""
    if commit.id not in getattr(state.repos.get(commit.repo), "commits", {}):
        return  # it was dropped
    commit.error = commit.error or collision(commit.files)
    commit.finished = state.now()
    if commit.error:
        return
    for key in fire(state, commit):
        _move(state, key, commit)
        propagate(state, [key], state.new_id())


def propagate(state: State, moved: Iterable[BranchKey], commit_id: str) -> None:
    """A new open commit on every branch whose provenance has moved."""
    wanted: list[BranchKey] = []
    for key in moved:
        for other in [key, *subvenance(state, key)]:
            if other in wanted:
                wanted.remove(other)
            wanted.append(other)
    for key in wanted:
        branch = find_branch(state, key)
        if branch is None or not branch.provenance:
            continue
        heads = [(other[0], state.repos[other[0]].branches[other[1]].head) for other in branch.provenance]
        repo = state.repos[key[0]]
        head = repo.commits.get(branch.head)
        if commit_id in repo.commits or (head and sorted(head.provenance) == sorted(heads)):
            continue
        commit = add_commit(state, repo, key[1], branch.head, AUTO, commit_id)
        commit.provenance = heads
        branch.head, branch.updated = commit.id, state.now()
        for listener in state.listeners:
            listener(commit)


# --- branches ----------------------------------------------------------------------------------------------------


def create_branch(
    state: State, key: BranchKey, wanted: list[BranchKey], head: Commit | None = None, trigger: bytes = b""
) -> Branch:
    """Makes or changes a branch; its direct provenance is exactly the wanted one afterwards."""
    repo = state.repos.get(key[0])
    if repo is None:
        raise no_commit_in(state, key[0])
    for other in wanted:
        if other[0] == key[0]:
            words = f"repo {show_repo(key[0])} cannot be in the provenance of its own branch"
            raise Refused("UNKNOWN", words)
    branch, target = repo.branches.get(key[1]), head.id if head else None
    if set(wanted) == set(branch.provenance if branch else ()):  # nothing can go wrong
        return _create_branch(state, repo, key, wanted, target, trigger)
    with state.all_or_nothing():
        return _create_branch(state, repo, key, wanted, target, trigger)


def _create_branch(
    state: State, repo: Repo, key: BranchKey, wanted: list[BranchKey], head: str | None, trigger: bytes
) -> Branch:
    now = state.now()
    branch = repo.branches.get(key[1])
    if branch is None:
        first = head or ("" if wanted else add_empty(state, repo, key[1]).id)
        branch = repo.branches[key[1]] = Branch(key[0], key[1], first, now, now)
        moved = not wanted
    else:
        moved = bool(head) and head != branch.head
        branch.head = head or branch.head
    branch.updated = now
    if trigger:
        branch.trigger = trigger
    differs = set(wanted) != set(branch.provenance)
    if differs:
        _check_cycle(state, key, wanted)
        made = [other[0] for other in wanted if _make(state, other)]
        if state.since(12) and len(set(made)) < len(made):
            raise Refused("ABORTED", PANIC)
        branch.provenance = list(wanted)
        _check_graph(state, key)
    if moved or (differs and wanted):
        propagate(state, [key], state.new_id())
    return branch


def _make(state: State, key: BranchKey) -> bool:
    """Makes a branch of the provenance; False when it is there."""
    repo = state.repos.get(key[0])
    if repo is None:
        raise no_commit_in(state, key[0]).under("create empty commit")
    if key[1] in repo.branches:
        return False
    check_name(key[1])
    now = state.now()
    repo.branches[key[1]] = Branch(key[0], key[1], add_empty(state, repo, key[1]).id, now, now)
    return True


def _check_cycle(state: State, key: BranchKey, wanted: list[BranchKey]) -> None:
    after = subvenance(state, key)
    for other in wanted:
        if other in after:
            words = f"cycle detected because {show_branch(other, True)} is already in the subvenance of "
            prefix = "create branch: update head: " if state.since(12) else "create branch: "
            raise Refused("INTERNAL", prefix + words + show_branch(key, True))


def _check_graph(state: State, key: BranchKey) -> None:
    for one in [key, *subvenance(state, key)]:
        seen: set[RepoKey] = set()
        for other in [one, *provenance(state, one)]:
            if other[0] in seen:
                words = f'multiple branches from the same repo, "{show_repo(other[0])}", cannot participate in a DAG'
                raise Refused("UNKNOWN", "validate DAG at end of transaction: " + words)
            seen.add(other[0])


def check_delete(state: State, key: BranchKey, inside: RepoKey | None = None, only: str = "") -> None:
    """Refuses when others depend on the branch. inside: what is in that repo does not count for the provenance."""
    shown = f'branch "{show_branch(key)}" cannot be deleted because'
    others = [other for other in direct_subvenance(state, key) if other[0] != inside]
    if only != "trigger" and others:
        words = f"{shown} it's in the direct provenance of [{' '.join(map(show_branch, others))}]"
        raise Refused("UNKNOWN", words)
    if only == "provenance":
        return
    if names := watching(state, key):
        raise Refused("UNKNOWN", f"{shown} it is triggered by branches [{' '.join(map(show_branch, names))}]")
    if names := watched(state, key):
        raise Refused("UNKNOWN", f"{shown} it triggers branches [{' '.join(map(show_branch, names))}]")


def delete_branch(state: State, key: BranchKey, force: bool = False) -> None:
    """Deletes a branch that is there; its commits stay."""
    if not force:
        check_delete(state, key)
    for other in watching(state, key):
        state.repos[other[0]].branches[other[1]].trigger = b""
    for branch in branches(state):
        if key in branch.provenance:
            branch.provenance.remove(key)
    del state.repos[key[0]].branches[key[1]]


# --- repos -------------------------------------------------------------------------------------------------------


def create_repo(state: State, key: RepoKey, description: str = "", update: bool = False) -> Repo:
    """Makes a repo, or sets its description."""
    check_name(key[1])
    if key[0] not in state.projects:
        words = f'cannot find project "{key[0]}": get project by name: project "{key[0]}" not found'
        raise Refused("NOT_FOUND", words)
    repo = state.repos.get(key)
    if repo is None:
        repo = state.repos[key] = Repo(key, state.now(), description)
    elif not update:
        raise Refused("ALREADY_EXISTS", f"repo {show_repo(key)} already exists")
    repo.description = description
    return repo


def check_delete_repo(state: State, key: RepoKey) -> None:
    """Refuses when others depend on the repo's branches."""
    for only in ("trigger", "provenance"):
        for name in list(state.repos[key].branches):
            try:
                check_delete(state, (key, name), key, only)
            except Refused as exc:
                raise exc.under(f"delete branch {show_branch((key, name))}") from exc


def delete_repo(state: State, key: RepoKey, force: bool = False) -> bool:
    """Deletes a repo with all in it, and its system repos; False when it was not there."""
    if key not in state.repos:
        return False
    if not force:
        check_delete_repo(state, key)
    gone = [key, *((key[0], key[1], kind) for kind in SYSTEM if key[2] == "user")]
    for each in gone:
        for name in list(state.repos[each].branches) if each in state.repos else []:
            delete_branch(state, (each, name), True)
        state.repos.pop(each, None)
    return True
