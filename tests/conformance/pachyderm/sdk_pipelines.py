# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps with pipelines and defaults."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from pachyderm_sdk.api import pps
from sdk import branch, client, create, document, ended, mine, name_of, pipeline, project, put, repo
from telling import Teller

api, pfs = client.pps, client.pfs
BRIEF = ("version", "stopped", "pipeline", "user_spec_json", "effective_spec_json")


def _brief(info: Any) -> Any:
    return {name: getattr(info, name) for name in BRIEF}


def _at(name: str, tell: Callable[[Any], Any] = _brief, **fields: Any) -> Callable[[], Any]:
    """What InspectPipeline says then."""
    return lambda: tell(api.inspect_pipeline(pipeline=pipeline(name), **fields))


def _there(name: str) -> bool:
    return bool(pfs.repo_exists(repo(name)))


def pipelines(step: Teller) -> None:
    """From the first to the last, in the order in which the answers were recorded."""
    pfs.create_repo(repo=repo("cf-in"))
    put("cf-in@master", {"/a": b"1"})
    _made(step)
    _updated(step)
    _listed(step)
    _refused(step)
    _stopped(step)
    _missing(step)
    _owned(step)
    _deleted(step)


def _first() -> dict[str, Any]:
    """The fields of CreatePipeline."""
    transform = pps.Transform(image="img:1", cmd=["sh"], stdin=["true"])
    source = pps.Input(pfs=pps.PfsInput(repo="cf-in", glob="/*"))
    return {"pipeline": pipeline("cf-a"), "transform": transform, "input": source, "description": "d"}


def _made(step: Teller) -> None:
    step("pipeline dry run", create, document("cf-a"), dry_run=True)
    step("pipeline made by no dry run", _at("cf-a"))
    step("pipeline create", api.create_pipeline, **_first(), then=_at("cf-a"))
    step("pipeline create again", api.create_pipeline, **_first())
    step("pipeline details", _at("cf-a", lambda info: info.details, details=True))
    step("output: put while its job is open", put, "cf-a@master", {"/x": b"x"}, show=ended)
    step("output: put", put, "cf-a@master", {"/x": b"x"}, show=ended)
    step("output: start commit", pfs.start_commit, branch=branch("cf-a@master"))


def _updated(step: Teller) -> None:
    step("pipeline update with the same", api.create_pipeline, **_first(), update=True, then=_at("cf-a"))
    both = document("cf-b", "cf-a", parallelism_spec={"constant": "2"}, datumTries=5)
    step("pipeline v2", create, both, then=_at("cf-b"))
    plain = document("cf-b", "cf-a")
    step("pipeline v2 again", create, plain)
    then = _at("cf-b", lambda info: [_brief(info), info.details], details=True)
    step("pipeline v2 update", create, document("cf-b", "cf-a", autoscaling=False), update=True, then=then)
    then = _at("cf-b", lambda info: info.version)
    step("pipeline v2 reprocess", create, plain, update=True, reprocess=True, then=then)


def _listed(step: Teller) -> None:
    every = api.list_pipeline
    step("pipeline list", every, show=lambda infos: [[name_of(info), info.version] for info in mine(infos)])

    def versions(infos):
        return [info.version for info in infos]

    step("pipeline list with history", every, pipeline=pipeline("cf-b"), history=-1, show=versions)
    step("pipeline list missing", every, pipeline=pipeline("cf-no"))

    def names(infos):
        return sorted([i.repo.name, i.repo.type] for i in infos if name_of(i) in ("cf-a", "cf-b"))

    step("pipeline repos", pfs.list_repo, type="", show=names)

    def around(info):
        return {name: getattr(info, name) for name in ("direct_provenance", "subvenance")}

    step("pipeline output branch", pfs.inspect_branch, branch=branch("cf-a@master"), show=around)


def _refused(step: Teller) -> None:
    def with_input(given: Any) -> dict[str, Any]:
        return {**document("cf-x"), "input": given}

    def with_transform(given: Any) -> dict[str, Any]:
        return {**document("cf-x"), "transform": given}

    leaf = document("")["input"]
    secret = {"name": "cf-no", "key": "k", "env_var": "K"}
    cases: list[tuple[str, Any]] = [
        ("no JSON", "{"),
        ("unknown field", document("cf-x", frobnicate=1)),
        ("$schema", document("cf-x", **{"$schema": "x"})),
        ("duration", document("cf-x", jobTimeout="1h")),
        ("missing repo", document("cf-x", "cf-no")),
        ("missing project", document("cf-x", within="cf-no")),
        ("no name", {"transform": {}}),
        ("repo of its name", document("cf-in")),
        ("bad name", document("cf.x")),
        ("long name", document("cf-" + 49 * "x")),
        ("no glob", with_input({"pfs": {"repo": "cf-in"}})),
        ("null list", with_transform({"cmd": None})),
        ("same names", with_input({"cross": [leaf, leaf]})),
        ("missing secret", with_transform({"cmd": ["x"], "secrets": [secret]})),
    ]
    for name, given in cases:
        step(f"pipeline spec: {name}", create, given)
    step("pipeline after bad specs", api.pipeline_exists, pipeline("cf-x"))


def _stopped(step: Teller) -> None:
    one = pipeline("cf-a")
    stopped = _at("cf-a", lambda info: info.stopped)
    both = _at("cf-a", lambda info: [info.stopped, info.version])
    for call in (api.stop_pipeline, api.start_pipeline):
        for again in ("", " again"):
            step(f"pipeline {call.__name__}{again}", call, pipeline=one, then=stopped)
    api.stop_pipeline(pipeline=one)
    step("pipeline update stopped", create, document("cf-a"), update=True, then=both)
    step("pipeline rerun", api.rerun_pipeline, pipeline=one, then=both)
    api.start_pipeline(pipeline=one)


def _missing(step: Teller) -> None:
    none = pipeline("cf-no")
    calls = [api.inspect_pipeline, api.start_pipeline, api.stop_pipeline]
    for call in [*calls, api.run_cron, api.rerun_pipeline, api.delete_pipeline]:
        step(f"pipeline missing: {call.__name__}", call, pipeline=none)
    for call in (api.stop_pipeline, api.delete_pipeline):
        step(f"pipeline missing: {call.__name__}, must_exist", call, pipeline=none, must_exist=True)


def _owned(step: Teller) -> None:
    """What belongs to a pipeline is not to be deleted."""
    for name, target in (("output", "cf-a"), ("input", "cf-in")):
        step(f"{name}: repo delete", pfs.delete_repo, repo=repo(target))
        step(f"{name}: branch delete", pfs.delete_branch, branch=branch(f"{target}@master"))
    step("output: repo delete, force", pfs.delete_repo, repo=repo("cf-a"), force=True)


def _deleted(step: Teller) -> None:
    clock = {"cron": {"name": "tick", "spec": "@every 8760h", "start": "2020-01-01T00:00:00Z"}}
    ticks, one = "cf-cron_tick", pipeline("cf-cron")
    then = _at("cf-cron", lambda info: [info.details.input, _there(ticks)], details=True)
    step("cron", create, {**document("cf-cron"), "input": clock}, then=then)
    step("cron run", api.run_cron, pipeline=one)
    step("cron run of no cron", api.run_cron, pipeline=pipeline("cf-a"))
    delete = api.delete_pipeline
    step("cron delete", delete, pipeline=one, force=True, then=partial(_there, ticks))
    upstream = pipeline("cf-a")
    step("pipeline delete upstream", delete, pipeline=upstream)
    step("pipeline delete", delete, pipeline=pipeline("cf-b"), then=partial(_there, "cf-b"))

    def left():
        return [_there("cf-a"), api.pipeline_exists(upstream)]

    step("pipeline delete keeping the repo", delete, pipeline=upstream, keep_repo=True, then=left)
    step("pipeline create over the kept repo", create, document("cf-a"))
    step("input: repo delete, free again", pfs.delete_repo, repo=repo("cf-in"))


SEVEN = json.dumps({"createPipelineRequest": {"datumTries": 7}})
SCALING = json.dumps({"createPipelineRequest": {"autoscaling": True}})


class _Defaults:
    """A project with a pipeline, and what defaults make of it."""

    def __init__(self) -> None:
        self.project = project("cf-d")
        pfs.create_project(project=self.project)
        self.unset()
        pfs.create_repo(repo=repo("cf-d/cf-in"))
        create(document("cf-dp", within="cf-d"))

    def unset(self) -> None:
        api.set_project_defaults(project=self.project, project_defaults_json="{}")

    def now(self) -> list[Any]:
        cluster = api.get_cluster_defaults().cluster_defaults_json
        return [json.loads(cluster), json.loads(api.get_project_defaults(project=self.project).project_defaults_json)]

    def made(self) -> list[Any]:
        info = api.inspect_pipeline(pipeline=pipeline("cf-dp", "cf-d"))
        text = info.effective_spec_json
        return [[info.version, json.loads(text) if text else text]]


def defaults(step: Teller) -> None:
    """Of the cluster, which has its own again at the end, and of a project."""
    at = _Defaults()
    step("defaults", at.now)
    kept = api.get_cluster_defaults().cluster_defaults_json
    try:
        _defaults(step, at)
    finally:
        api.set_cluster_defaults(cluster_defaults_json=kept)
    step("defaults: delete the project's pipelines", api.delete_pipelines, projects=[at.project])
    pfs.delete_repos(projects=[at.project])
    pfs.delete_project(project=at.project)
    step("defaults outlive their project", pfs.create_project, project=at.project, then=at.now)
    at.unset()


def _defaults(step: Teller, at: _Defaults) -> None:
    give = api.set_cluster_defaults
    step("defaults cluster, dry run", give, cluster_defaults_json=SEVEN, dry_run=True, regenerate=True)
    step("defaults cluster, not set", at.now)
    step("defaults cluster", give, cluster_defaults_json=SEVEN, then=lambda: [*at.now(), *at.made()])
    step("defaults cluster, bad", give, cluster_defaults_json='{"createPipelineRequest":{"frobnicate":1}}')
    step("defaults cluster, regenerate", give, cluster_defaults_json=SEVEN, regenerate=True)
    step("defaults cluster, again", give, cluster_defaults_json=SEVEN, regenerate=True, then=at.made)
    local = partial(api.set_project_defaults, project=at.project)
    step("defaults project", local, project_defaults_json=SCALING, regenerate=True)
    step("defaults of both", lambda: [*at.now(), *at.made()])
    none = project("cf-no")
    step("defaults project missing: set", api.set_project_defaults, project=none, project_defaults_json="{}")
    step("defaults project missing: get", api.get_project_defaults, project=none)
