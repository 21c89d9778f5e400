# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Branches that follow another one when enough has come to it."""

from __future__ import annotations

import re
from typing import Any

from polystore_sandbox.pachyderm.base import Refused
from polystore_sandbox.pachyderm.messages import message
from polystore_sandbox.pachyderm.state import BranchKey, Commit, State, show_branch

UNITS = {"": 1, "B": 1, **{letter: 1000**power for power, letter in enumerate("KMGTPE", 1)}}


def trigger_of(state: State, key: BranchKey) -> Any:
    """The branch's pfs_v2.Trigger, or None."""
    data = state.repos[key[0]].branches[key[1]].trigger
    return message("pfs_v2.Trigger").FromString(data) if data else None


def watching(state: State, key: BranchKey) -> list[BranchKey]:
    """The branches that are triggered by this one."""
    found = [(key[0], name) for name in state.repos[key[0]].branches]
    return [one for one in found if getattr(trigger_of(state, one), "branch", None) == key[1]]


def watched(state: State, key: BranchKey) -> list[BranchKey]:
    """The branch that this one watches, if it is there."""
    trigger = trigger_of(state, key)
    return [(key[0], trigger.branch)] if trigger and trigger.branch in state.repos[key[0]].branches else []


def size_of(text: str) -> int:
    """ "1GB" in bytes; ValueError when it is no size."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGTPE]?)(I?)B?\s*", text.upper())
    if not found:
        raise ValueError(text)
    unit = UNITS[found[2]] if not found[3] else 1024 ** ("KMGTPE".index(found[2]) + 1 if found[2] else 0)
    return int(float(found[1]) * unit)


def _check_cron(text: str, what: str) -> None:
    if not text or text.startswith("@"):
        return
    count = len(text.split())
    if count != 5:
        raise Refused("UNKNOWN", f"invalid {what}: Expected exactly 5 fields, found {count}: {text}")


def check(state: State, key: BranchKey, trigger: Any, has_provenance: bool) -> None:
    """Refuses a trigger that cannot be."""
    if not trigger.branch:
        raise Refused("UNKNOWN", "triggers must specify a branch to trigger on")
    if has_provenance:
        raise Refused("UNKNOWN", "a branch cannot have both provenance and a trigger")
    _check_cron(trigger.cron_spec, "trigger cron spec")
    if state.since(7):
        _check_cron(trigger.rate_limit_spec, "trigger rate limit spec")
    else:
        _check_cron(trigger.rate_limit_spec, "trigger cron spec")
    try:
        size_of(trigger.size or "0")
    except ValueError as exc:
        raise Refused("UNKNOWN", f"invalid trigger size: invalid size: '{trigger.size}'") from exc
    if trigger.commits < 0:
        raise Refused("UNKNOWN", "can't trigger on a negative number of commits")
    repo, name, seen = state.repos.get(key[0]), trigger.branch, {key[1]}
    while name:
        if name in seen:
            raise Refused("UNKNOWN", "triggers cannot form a loop")
        seen.add(name)
        there = repo.branches.get(name) if repo else None
        further = trigger_of(state, (key[0], name)) if there else None
        name = further.branch if further else ""
    if repo and trigger.branch not in repo.branches:
        doing = "create branch: update head: " if state.since(12) else "create branch: "
        words = f"branch (id=0, branch={show_branch((key[0], trigger.branch))}) not found"
        raise Refused("NOT_FOUND", f"{doing}updating branch trigger: {words}")


def fire(state: State, commit: Commit) -> list[BranchKey]:
    """The branches that a finished commit moves to itself."""
    repo = state.repos[commit.repo]
    found = []
    for name, branch in repo.branches.items():
        trigger = trigger_of(state, (repo.key, name))
        there = repo.branches.get(trigger.branch) if trigger else None
        if not there or there.head != commit.id or branch.head == commit.id:
            continue
        if _due(state, trigger, commit, branch.head):
            found.append((repo.key, name))
    return found


def _due(state: State, trigger: Any, commit: Commit, head: str) -> bool:
    """By the number of commits and the bytes since the branch's head; what is of the clock does not come."""
    commits, at, since = state.repos[commit.repo].commits, commit, 0
    while at.id != head:
        since += 1
        if not at.parent:
            break
        at = commits[at.parent]
    before = sum(content.size for content in commits[head].files.values()) if head in commits else 0
    grown = sum(content.size for content in commit.files.values()) - before
    tests = []
    if trigger.commits:
        tests.append(since >= trigger.commits)
    if trigger.size:
        tests.append(grown >= size_of(trigger.size))
    if trigger.cron_spec or trigger.rate_limit_spec:
        tests.append(False)
    return (all if trigger.all else any)(tests) and bool(tests)
