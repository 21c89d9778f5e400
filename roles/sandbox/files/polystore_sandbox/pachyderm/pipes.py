# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines as the stand-in keeps them: versions, what they look like from outside, and their texts."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format

from polystore_sandbox.pachyderm import checks, specs
from polystore_sandbox.pachyderm.base import Refused
from polystore_sandbox.pachyderm.merging import REQUEST, compact, effective, fresh
from polystore_sandbox.pachyderm.messages import enum, message
from polystore_sandbox.pachyderm.state import stamp

Key = tuple[str, str]  # project, name
LIFE = 1.5  # seconds until a pipeline that no worker serves has failed, and its jobs are stopped
REASON = "could not create the pipeline's workers: this server has none"
PIPELINE_STATES, JOB_STATES = "pps_v2.PipelineState", "pps_v2.JobState"


@dataclass
class Version:
    """One version of a pipeline; `request` is its filled CreatePipelineRequest."""

    number: int
    commit: str
    user: str
    effective: str
    request: bytes
    made: int


@dataclass
class Pipeline:
    """A pipeline, oldest version first."""

    key: Key
    salt: str
    created: int
    since: float  # time.time() of its last start
    touched: int  # for the order of lists
    stopped: bool = False
    paused: bool = False  # was stopped before it had failed
    versions: list[Version] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    last_job: int = 1

    @property
    def last(self) -> Version:
        """The newest."""
        return self.versions[-1]

    def state(self) -> str:
        """The name of its PipelineState."""
        if self.paused:
            return "PIPELINE_PAUSED"
        return "PIPELINE_STARTING" if time.time() < self.since + LIFE else "PIPELINE_FAILURE"


def number(name: str, value: str) -> int:
    """An enum's value."""
    return int(enum(name).values_by_name[value].number)


def to_json(request: Any) -> str:
    """A message as protojson has it: whole numbers without a fraction."""
    return compact(_whole(json_format.MessageToDict(request)))


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def to_request(document: dict[str, Any]) -> Any:
    """A document that was checked, as a message."""
    return json_format.ParseDict(specs.without_nulls(document), message(REQUEST)())


class Pipes:
    """All pipelines. Table `pipelines`: key -> Pipeline."""

    def __init__(self, state: Any) -> None:
        self.state = state

    @property
    def table(self) -> dict[Key, Pipeline]:
        """By project and name."""
        found: dict[Key, Pipeline] = self.state.table("pipelines")
        return found

    def key(self, pipeline: Any) -> Key:
        """Of a pps_v2.Pipeline."""
        return pipeline.project.name or "default", pipeline.name

    def shown(self, key: Key) -> str:
        """As texts name it."""
        return f"{key[0]}/{key[1]}" if self.state.since(5) else key[1]

    def find(self, pipeline: Any) -> Pipeline:
        """One; Refused in the words of the version."""
        key = self.key(pipeline)
        found = self.table.get(key)
        if found is not None:
            return found
        shown = self.shown(key)
        if self.state.since(12):
            middle = f"pick commit tx: commit {shown}.spec@ not found\nrepo {shown}.spec not found"
        elif self.state.since(11):
            middle = (
                f"repo (id=0, project={key[0]}, name={key[1]}, type=spec) not found\n"
                f"branch (id=0, branch={shown}.spec@master) not found\n"
                f'branch "master" not found in repo {shown}.spec'
            )
        else:
            middle = f"repo {shown}.spec not found"
        start = f'pipeline was not inspected: couldn\'t find up to date spec for pipeline "{shown}": '
        raise Refused("NOT_FOUND", f'{start}{middle}\npipeline "{shown}" not found')

    def newest_first(self) -> list[Pipeline]:
        """Those made or updated last come first."""
        return sorted(self.table.values(), key=lambda pipeline: -pipeline.touched)

    # --- documents -----------------------------------------------------------------------------------------------

    def effective(self, user: str) -> dict[str, Any]:
        """The user's document over the defaults of its project and of the cluster; Refused."""
        texts = self.state.table("defaults")
        try:
            named = specs.parse(user, message(REQUEST).DESCRIPTOR).get("pipeline") or {}
        except specs.DocumentError:
            named = {}
        project = (named.get("project") or {}).get("name") or "default"
        if project not in self.state.projects:
            twice = f"could not get defaults for project {project}: " * 2
            words = f'error getting project "{project}": get project by name: project "{project}" not found'
            raise Refused("INVALID_ARGUMENT", f"could not make effective spec: {twice}{words}")
        cluster = texts.get("") or fresh(self.state.version) if self.state.since(8) else "{}"
        return effective(cluster, (texts.get(project) or "{}") if self.state.since(8) else "{}", user)

    def filled(self, document: dict[str, Any]) -> Any:
        """The request with all that the server fills in; Refused when it makes no pipeline."""
        request = to_request(document)
        if not request.HasField("pipeline"):
            raise Refused("UNKNOWN", "request.Pipeline cannot be nil")
        request.pipeline.project.name = request.pipeline.project.name or "default"
        try:
            checks.check_name(request.pipeline.project.name if self.state.since(5) else "", request.pipeline.name)
            checks.fill(request, lambda time: time.CopyFrom(stamp(self.state.now())), True)
            checks.check_request(request)
        except checks.SpecError as exc:
            raise Refused("UNKNOWN", str(exc)) from exc
        return request

    def check_secrets(self, request: Any) -> None:
        """What the transform takes from Kubernetes must be there."""
        held = self.state.table("secrets")
        for secret in request.transform.secrets:
            if secret.name not in held:
                raise Refused("UNKNOWN", f"missing Kubernetes secret {secret.name}")
            if secret.key and secret.key not in held[secret.name]["keys"]:
                raise Refused("UNKNOWN", f"Kubernetes secret {secret.name} missing key {secret.key}")

    # --- messages ------------------------------------------------------------------------------------------------

    def message_of(self, key: Key) -> Any:
        """pps_v2.Pipeline."""
        return message("pps_v2.Pipeline")(name=key[1], project=message("pfs_v2.Project")(name=key[0]))

    def commit_of(self, key: Key, kind: str, wanted: str, branch: str = "") -> Any:
        """pfs_v2.Commit in one of its repos."""
        commit = message("pfs_v2.Commit")(id=wanted)
        commit.repo.name, commit.repo.type, commit.repo.project.name = key[1], kind, key[0]
        if branch:
            commit.branch.name = branch
            commit.branch.repo.CopyFrom(commit.repo)
        return commit

    def info(self, pipeline: Pipeline, version: Version, details: bool) -> Any:
        """pps_v2.PipelineInfo of one version."""
        key, new = pipeline.key, version is pipeline.last
        request = message(REQUEST).FromString(version.request)
        info = message("pps_v2.PipelineInfo")(pipeline=self.message_of(key), version=version.number)
        info.spec_commit.CopyFrom(self.commit_of(key, "spec", version.commit, "master"))
        info.stopped = pipeline.stopped
        info.state = number(PIPELINE_STATES, pipeline.state())
        info.reason = REASON if new and pipeline.state() == "PIPELINE_FAILURE" else ""
        info.last_job_state = pipeline.last_job
        info.parallelism = request.parallelism_spec.constant or 1
        info.type = 3 if request.HasField("service") else 2 if request.HasField("spout") else 1
        if version.user:  # one from before 2.8 has neither
            info.user_spec_json, info.effective_spec_json = version.user, version.effective
        if new:
            for name, value in pipeline.metadata.items():
                info.metadata[name] = value
        if details:
            checks.details(request, info.details)
            info.details.salt = pipeline.salt
            info.details.created_at.CopyFrom(stamp(pipeline.created))
            info.details.updated_at.CopyFrom(stamp(version.made))
        if not self.state.since(8):  # 2.7 has something else in the field
            info.user_spec_json = to_json(request)
        return info

    def listed(self, pipeline: Pipeline, history: int) -> Iterator[Version]:
        """The newest version and as many before it; -1: all."""
        versions = pipeline.versions[::-1]
        yield from versions if history < 0 else versions[: history + 1]


def new_salt() -> str:
    """A salt as the server makes it."""
    return uuid.uuid4().hex


def same(one: str, other: str) -> bool:
    """Two documents, whatever their spelling of blanks and order."""
    return bool(json.loads(one) == json.loads(other))
