# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps with projects, repos and branches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pachyderm_sdk.api import pfs
from sdk import branch, client, commit, mine, name_of, project, put, repo, write
from telling import Teller

api = client.pfs
Trigger = pfs.Trigger


def projects(step: Teller) -> None:
    """Made, changed, named badly, missing, deleted."""
    one, none = project("cf-p"), project("cf-no")
    make, look = api.create_project, partial(api.inspect_project, project=one)
    step("project create", make, project=one, description="one", then=look)
    step("project create again", make, project=one, description="one")
    newer = partial(api.inspect_project_v2, project=one)
    step("project update", make, project=one, description="two", update=True, then=newer)
    step("project update empties", make, project=one, description="", update=True, then=look)
    step("project update missing", make, project=none, update=True)
    step("project list", api.list_project, show=lambda infos: [mine(infos), "default" in map(name_of, infos)])
    for bad in ("", "_x", "a.b", 52 * "x"):
        step(f"project name {bad[:9]!r}", make, project=project(bad))
    for call in (api.inspect_project, api.inspect_project_v2, api.project_exists, api.delete_project):
        step(f"project missing: {call.__name__}", call, project=none)
    step("project repo", api.create_repo, repo=repo("cf-p/cf-in"))
    step("project delete with contents", api.delete_project, project=one)
    step("project delete with contents, force", api.delete_project, project=one, force=True)
    step("project delete repos", api.delete_repos, projects=[one])
    step("project delete", api.delete_project, project=one, then=look)


def repos(step: Teller) -> None:
    """Made, changed, named badly, listed, missing, deleted."""
    first, second, none = repo("cf-r"), repo("cf-r2"), repo("cf-no")
    make, look = api.create_repo, partial(api.inspect_repo, repo=first)
    step("repo create", make, repo=first, description="d1", then=look)
    step("repo create again", make, repo=first, description="d1")
    step("repo update", make, repo=first, description="d2", update=True, then=look)
    step("repo update empties", make, repo=first, update=True, then=look)
    then = partial(api.inspect_repo, repo=second)
    step("repo update makes", make, repo=second, description="d", update=True, then=then)
    step("repo in a missing project", make, repo=repo("cf-no/cf-x"))
    for bad in ("", "a.b", "a b", "\u00fc"):
        step(f"repo name {bad!r}", make, repo=pfs.Repo(name=bad))
    every = partial(api.list_repo, type="user")
    step("repo list", every, show=mine)
    step(
        "repo list of a project", every, projects=[project("default")], show=lambda found: [*map(name_of, mine(found))]
    )
    step("repo list of a missing project", every, projects=[project("cf-no")])
    for call in (api.inspect_repo, api.repo_exists, api.list_branch, api.list_commit, api.delete_repo):
        step(f"repo missing: {call.__name__}", call, repo=none)
    step("repo inspect in a missing project", api.inspect_repo, repo=repo("cf-no/cf-r"))
    for name in ("repo delete", "repo delete again"):
        step(name, api.delete_repo, repo=second)


def _at(name: str) -> Callable[[], Any]:
    return partial(api.inspect_branch, branch=branch(name))


def branches(step: Teller) -> None:
    """All that happens to a branch, in the order in which the answers were recorded."""
    for name in ("cf-b", "cf-b2", "cf-b3"):
        api.create_repo(repo=repo(name))
    _heads(step)
    _provenance(step)
    _triggers(step)


def _heads(step: Teller) -> None:
    make, master = api.create_branch, branch("cf-b@master")
    for call in (api.inspect_branch, api.branch_exists, api.delete_branch):
        step(f"branch missing: {call.__name__}", call, branch=master)
    step("branch in a missing repo", make, branch=branch("cf-no@master"))
    step("branch list of none", api.list_branch, repo=repo("cf-b"))
    step("branch create", make, branch=master, then=_at("cf-b@master"))
    step("branch first commit", api.inspect_commit, commit=commit("cf-b@master"))
    step("branch create again", make, branch=master, then=_at("cf-b@master"))
    for content in (b"1", b"2"):
        put("cf-b@master", {"/a": content})
    dev, seen = branch("cf-b@dev"), _at("cf-b@dev")
    step("branch at a branch", make, branch=dev, head=commit("cf-b@master"), then=seen)
    step("branch at an ancestor", make, branch=dev, head=commit("cf-b@master^"), then=seen)
    step("branch head left out", make, branch=dev, then=seen)
    step("branch head missing", make, branch=branch("cf-b@x"), head=commit("cf-b@nob"))
    step("branch head of another repo", make, branch=branch("cf-b2@x"), head=commit("cf-b@master"))
    for bad in ("", "a/b", "a.b", "a b"):
        step(f"branch name {bad!r}", make, branch=pfs.Branch(name=bad, repo=repo("cf-b")))
    names = partial(api.list_branch, repo=repo("cf-b"))
    step("branch list", names, show=lambda found: [info.branch.name for info in found])
    step("branch list reversed", names, reverse=True, show=lambda found: [info.branch.name for info in found])


def _provenance(step: Teller) -> None:
    def give(name: str, target: str, *sources: str, seen: str = "") -> None:
        of = {"provenance": [branch(source) for source in sources]} if sources else {}
        then = {"then": _at(seen)} if seen else {}
        step(name, api.create_branch, branch=branch(target), **of, **then)

    give("provenance", "cf-b2@out", "cf-b@master", seen="cf-b2@out")
    give("provenance again", "cf-b2@out", "cf-b@master", seen="cf-b2@out")
    give("provenance chain", "cf-b3@out", "cf-b2@out", seen="cf-b3@out")
    step("subvenance", _at("cf-b@master"))
    give("provenance of its own repo", "cf-b@x", "cf-b@master")
    give("provenance in a circle", "cf-b@master", "cf-b3@out")
    give("provenance of a missing repo", "cf-b2@x", "cf-no@master")
    give("provenance of a missing branch", "cf-b2@x", "cf-b@made", seen="cf-b@made")
    then = partial(api.inspect_commit, commit=commit("cf-b3@out"))
    step("provenance: write joins the open head", write, "cf-b3@out", {"/x": b"x"}, then=then)
    step("provenance: start commit", api.start_commit, branch=branch("cf-b3@out"))
    step("branch delete with subvenance", api.delete_branch, branch=branch("cf-b@master"))
    step("repo delete with subvenance", api.delete_repo, repo=repo("cf-b"))
    give("provenance cleared", "cf-b3@out", seen="cf-b3@out")
    step("branch delete, force", api.delete_branch, branch=branch("cf-b@master"), force=True, then=_at("cf-b@master"))


def _triggers(step: Teller) -> None:
    make, triggered, seen = api.create_branch, branch("cf-b@t"), _at("cf-b@t")
    full = Trigger(branch="dev", all=True, rate_limit_spec="@every 1h", size="1GB", commits=3, cron_spec="@every 60s")
    step("trigger", make, branch=triggered, trigger=full, then=seen)
    step("trigger left out", make, branch=triggered, then=seen)
    step("trigger changed", make, branch=triggered, trigger=Trigger(branch="dev", commits=5), then=seen)
    bad = [
        ("of a missing branch", Trigger(branch="nob", commits=1)),
        ("of itself", Trigger(branch="t2", commits=1)),
        ("bad size", Trigger(branch="dev", size="lots")),
        ("bad cron", Trigger(branch="dev", cron_spec="whenever")),
        ("negative", Trigger(branch="dev", commits=-1)),
    ]
    other = branch("cf-b@t2")
    for name, trigger in bad:
        step(f"trigger {name}", make, branch=other, trigger=trigger)
    both = {"trigger": Trigger(branch="dev", commits=1), "provenance": [branch("cf-b2@out")]}
    step("trigger and provenance", make, branch=other, **both)
    step("branch delete that others trigger on", api.delete_branch, branch=branch("cf-b@dev"))
    step("branch delete with a trigger", api.delete_branch, branch=triggered)
    step("branch delete with a trigger, force", api.delete_branch, branch=triggered, force=True, then=seen)
    step("branch delete", api.delete_branch, branch=branch("cf-b@dev"), then=_at("cf-b@dev"))
