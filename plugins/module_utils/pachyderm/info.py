# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to Pachyderm that change nothing."""

from __future__ import annotations

import dataclasses as dc
import json
import re
import time
from collections.abc import Iterable
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import Query
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item, directive
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common

GATHER = (
    *("version", "cluster", "projects", "repos", "branches"),
    *("commits", "files", "pipelines", "jobs", "secrets"),
)
OF_REPO = ("branches", "commits", "files")
# What a playbook may want to know before it asks for it; the client's own names.
FEATURES = ("projects", "rate_limit", "pipeline_v2", "defaults", "drop_commit", "project_v2", "metadata", "hash")
PIPELINE_STATES = ("unknown", "starting", "running", "restarting", "failure", "paused", "standby", "crashing")
PIPELINE_TYPES = ("unknown", "transform", "spout", "service")
JOB_STATES = (
    *("unknown", "created", "starting", "running", "failure", "success", "killed", "egressing", "finishing"),
    "unrunnable",
)
ORIGINS = ("unknown", "user", "auto", "fsck", "alias")
MASK = "******"
SECRET = re.compile(r"secret|passw|credential|token|key", re.IGNORECASE)


def _limit(value: int) -> int:
    if value < 1:
        raise ValueError("%d rows are none: give 1 or more" % value)
    return value


@dc.dataclass
class Question(Item):
    """What to ask for."""

    gather: Any = directive("list", elements="str", choices=GATHER)
    project: str = directive(parse=common.project_name, default="default")
    all_projects: bool = directive("bool", default=False)
    repo: str = directive(parse=common.name)
    branch: str = directive(parse=common.name)
    commit: str = directive()
    path: str = directive(parse=common.path)
    recursive: bool = directive("bool", default=False)
    pipeline: str = directive(parse=common.name)
    limit: int = directive("int", parse=_limit)

    def wanted(self) -> list[str]:
        """What is to be gathered: what was said, or what the other options suggest."""
        if self.gather is not KEEP:
            return list(self.gather)
        for option, what in (("path", "files"), ("branch", "branches"), ("repo", "repos"), ("pipeline", "pipelines")):
            if getattr(self, option) is not KEEP:
                return [what]
        return ["version"]


def moment(message: Any, field: str) -> str | None:
    """A Timestamp field in ISO 8601, UTC; None when it is not set."""
    if not message.HasField(field):
        return None
    stamp = getattr(message, field)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stamp.seconds))
    return "%s.%03dZ" % (text, stamp.nanos // 1_000_000)


def word(words: tuple[str, ...], number: int) -> str:
    """An enum's value; one that is newer than this list by its number."""
    return words[number] if 0 <= number < len(words) else str(number)


def branch_row(branch: Any) -> dict[str, str]:
    """A Branch as an option names it."""
    return {"project": branch.repo.project.name or "default", "repo": branch.repo.name, "branch": branch.name}


def document(text: str) -> Any:
    """A JSON document of the server, secrets masked; none when there is none."""
    try:
        return masked(json.loads(text)) if text else None
    except ValueError:
        return None


def masked(value: Any, environment: bool = False) -> Any:
    """Values of environment variables whose name tells of a secret, and passwords in URLs, are not shown."""
    if isinstance(value, dict):
        hide = {name for name, part in value.items() if environment and isinstance(part, str) and SECRET.search(name)}
        return {name: MASK if name in hide else masked(part, name == "env") for name, part in value.items()}
    if isinstance(value, list):
        return [masked(part) for part in value]
    if isinstance(value, str):
        return re.sub(r"^([A-Za-z0-9+.-]+://[^/@:]*):[^/@]*@", r"\1:%s@" % MASK, value)
    return value


class Info(Query):
    """The module pachyderm_info."""

    connection = common.CONNECTION
    Options = Question

    @classmethod
    def validate(cls, options: Question) -> None:
        for what in options.wanted():
            if what in OF_REPO and options.repo is KEEP:
                raise OptionError("repo", "is needed to gather %s" % what)
        common.check_commit(options)

    @classmethod
    def fetch(cls, client: Any, options: Question) -> dict[str, Any]:
        return {what: getattr(cls, "_" + what)(client, options) for what in options.wanted()}

    # --- the server

    @staticmethod
    def _version(client: Any, options: Question) -> dict[str, Any]:
        return {
            "version": ".".join(map(str, client.version)),
            "features": {name: bool(client.can(name)) for name in FEATURES},
        }

    @staticmethod
    def _cluster(client: Any, options: Question) -> dict[str, Any]:
        info = client.call("admin_v2.API/InspectCluster", client.message("admin_v2.InspectClusterRequest"))
        found: dict[str, Any] = {"id": info.id, "deployment_id": info.deployment_id}
        found.update(warnings=list(info.warnings), paused=info.paused, metadata=dict(info.metadata))
        found["auth"] = {"active": True, "user": None}
        try:
            who = client.call("auth_v2.API/WhoAmI", client.message("auth_v2.WhoAmIRequest"))
            found["auth"]["user"] = who.username
        except StorageError as error:
            kind = getattr(error, "kind", "")
            if kind not in ("auth-off", "login"):
                raise
            found["auth"]["active"] = kind == "login"
        if client.can("defaults"):
            request = client.message("pps_v2.GetClusterDefaultsRequest")
            told = client.call("pps_v2.API/GetClusterDefaults", request)
            found["defaults"] = document(told.cluster_defaults_json)
        return found

    # --- lists

    @staticmethod
    def _some(client: Any, options: Question, method: str, request: Any) -> Iterable[Any]:
        """The messages of a stream, as many as are wanted; the rest is not fetched."""
        rows = client.stream(method, request)
        left = options.limit or 0
        try:
            for row in rows:
                yield row
                left -= 1
                if not left:
                    return
        finally:
            rows.close()

    @classmethod
    def _projects(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        client.need("projects", "gathering projects")
        request = client.message("pfs_v2.ListProjectRequest")
        found = []
        for info in cls._some(client, options, "pfs_v2.API/ListProject", request):
            row = {"name": info.project.name, "description": info.description, "created": moment(info, "created_at")}
            found.append({**row, "metadata": dict(info.metadata)})
        return found

    @staticmethod
    def _where(client: Any, options: Question) -> list[Any]:
        """The projects to look in; none of them means all."""
        return [] if options.all_projects else [client.project(options.project)]

    @classmethod
    def _repos(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        if options.repo is KEEP:
            where = cls._where(client, options)
            request = client.message("pfs_v2.ListRepoRequest", type="user", projects=where)
            return [cls._repo(info) for info in cls._some(client, options, "pfs_v2.API/ListRepo", request)]
        request = client.message("pfs_v2.InspectRepoRequest", repo=client.repo(options.project, options.repo))
        found = client.maybe("pfs_v2.API/InspectRepo", request)
        return [] if found is None else [cls._repo(found)]

    @staticmethod
    def _repo(info: Any) -> dict[str, Any]:
        exact = info.HasField("details") and info.details.size_bytes
        return {
            "project": info.repo.project.name or "default",
            "name": info.repo.name,
            "description": info.description,
            "created": moment(info, "created"),
            "size_bytes": exact or info.size_bytes_upper_bound,
            "branches": sorted(branch.name for branch in info.branches),
            "metadata": dict(info.metadata),
        }

    @classmethod
    def _branches(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        if options.branch is KEEP:
            request = client.message("pfs_v2.ListBranchRequest", repo=client.repo(options.project, options.repo))
            rows = cls._some(client, options, "pfs_v2.API/ListBranch", request)
            return [cls._branch(client, info) for info in rows]
        branch = client.branch(options.project, options.repo, options.branch)
        found = client.maybe("pfs_v2.API/InspectBranch", client.message("pfs_v2.InspectBranchRequest", branch=branch))
        return [] if found is None else [cls._branch(client, found)]

    @staticmethod
    def _branch(client: Any, info: Any) -> dict[str, Any]:
        trigger: dict[str, Any] = {}
        if info.HasField("trigger"):
            names = ["branch", "all", "size", "commits", "rate_limit_spec"]
            names += ["cron_spec"] if client.can("rate_limit") else []
            trigger = {name: getattr(info.trigger, name) for name in names if getattr(info.trigger, name)}
            if not client.can("rate_limit") and "rate_limit_spec" in trigger:  # one number, two meanings
                trigger["cron_spec"] = trigger.pop("rate_limit_spec")
        row = branch_row(info.branch)
        row["name"] = row.pop("branch")
        return {
            **row,
            "head": info.head.id,
            "provenance": sorted((branch_row(one) for one in info.direct_provenance), key=lambda r: list(r.values())),
            "trigger": trigger or None,
            "metadata": dict(info.metadata),
        }

    @classmethod
    def _commits(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        given: dict[str, Any] = {"repo": client.repo(options.project, options.repo), "number": options.limit or 0}
        if options.branch is not KEEP or options.commit is not KEEP:
            given["to"] = common.commit_of(client, options)
        request = client.message("pfs_v2.ListCommitRequest", **given)
        return [cls._commit(info) for info in cls._some(client, options, "pfs_v2.API/ListCommit", request)]

    @staticmethod
    def _commit(info: Any) -> dict[str, Any]:
        exact = info.HasField("details") and info.details.size_bytes
        return {
            "project": info.commit.branch.repo.project.name or info.commit.repo.project.name or "default",
            "repo": info.commit.branch.repo.name or info.commit.repo.name,
            "branch": info.commit.branch.name,
            "id": info.commit.id,
            "origin": word(ORIGINS, info.origin.kind),
            "description": info.description,
            "parent": info.parent_commit.id or None,
            "started": moment(info, "started"),
            "finishing": moment(info, "finishing"),
            "finished": moment(info, "finished"),
            "error": info.error or None,
            "size_bytes": exact or info.size_bytes_upper_bound,
        }

    @classmethod
    def _files(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        """Of a finished commit, because reading another may never end."""
        commit = common.finished(client, options).commit
        path = "/" if options.path is KEEP else options.path
        verb = "Walk" if options.recursive else "List"
        # Servers before 2.4 know no number and tell all; the rest is not fetched then.
        given = {"file": client.file(commit, path), "number": options.limit or 0}
        request = client.message("pfs_v2.%sFileRequest" % verb, **given)
        try:
            rows = list(cls._some(client, options, "pfs_v2.API/%sFile" % verb, request))
        except StorageError as error:
            if getattr(error, "kind", "") == "missing":
                error.hint = "There is no file or directory %s in that commit" % path
            raise
        return [cls._file(info) for info in rows]

    @staticmethod
    def _file(info: Any) -> dict[str, Any]:
        kind = "directory" if info.file_type == common.DIRECTORY else "file"
        row = {"path": info.file.path, "type": kind, "size": info.size_bytes, "hash": info.hash.hex()}
        return {**row, "committed": moment(info, "committed")}

    # --- pipelines

    @classmethod
    def _pipelines(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        if options.pipeline is not KEEP:
            wanted = client.pipeline(options.project, options.pipeline)
            request = client.message("pps_v2.InspectPipelineRequest", pipeline=wanted, details=True)
            found = client.maybe("pps_v2.API/InspectPipeline", request)
            return [] if found is None else [cls._pipeline(client, found)]
        request = client.message("pps_v2.ListPipelineRequest", details=True, projects=cls._where(client, options))
        rows = cls._some(client, options, "pps_v2.API/ListPipeline", request)
        return [cls._pipeline(client, info) for info in rows]

    @staticmethod
    def _pipeline(client: Any, info: Any) -> dict[str, Any]:
        row: dict[str, Any] = {
            "project": info.pipeline.project.name or "default",
            "name": info.pipeline.name,
            "version": info.version,
            "description": info.details.description,
            "state": word(PIPELINE_STATES, info.state),
            "stopped": info.stopped,
            "reason": info.reason,
            "type": word(PIPELINE_TYPES, info.type),
            "last_job_state": word(JOB_STATES, info.last_job_state),
            "parallelism": info.parallelism,
            "output_branch": info.details.output_branch,
            "created": moment(info.details, "created_at"),
            "metadata": dict(info.metadata),
        }
        if client.can("pipeline_v2"):  # before 2.8 the number of the first is another field's
            row["spec"] = document(info.user_spec_json)
            row["effective_spec"] = document(info.effective_spec_json)
        return row

    @classmethod
    def _jobs(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        given: dict[str, Any] = {"history": -1, "projects": cls._where(client, options), "number": options.limit or 0}
        if options.pipeline is not KEEP:
            given["pipeline"] = client.pipeline(options.project, options.pipeline)
        rows = cls._some(client, options, "pps_v2.API/ListJob", client.message("pps_v2.ListJobRequest", **given))
        return [cls._job(info) for info in rows]

    @staticmethod
    def _job(info: Any) -> dict[str, Any]:
        counts = ("processed", "skipped", "total", "failed", "recovered")
        return {
            "project": info.job.pipeline.project.name or "default",
            "pipeline": info.job.pipeline.name,
            "id": info.job.id,
            "pipeline_version": info.pipeline_version,
            "state": word(JOB_STATES, info.state),
            "reason": info.reason,
            "created": moment(info, "created"),
            "started": moment(info, "started"),
            "finished": moment(info, "finished"),
            "data": {name: getattr(info, "data_" + name) for name in counts},
        }

    @classmethod
    def _secrets(cls, client: Any, options: Question) -> list[dict[str, Any]]:
        """Names and types; Pachyderm tells no values to anybody."""
        told = client.call("pps_v2.API/ListSecret", client.message("google.protobuf.Empty"))
        rows = [
            {"name": info.secret.name, "type": info.type, "created": moment(info, "creation_timestamp")}
            for info in told.secret_info
        ]
        rows.sort(key=lambda row: str(row["name"]))
        return rows if options.limit is KEEP else rows[: options.limit]
