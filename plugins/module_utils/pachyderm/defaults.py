# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults of pipelines: those of the cluster as a resource, those of a project for the resource of projects."""

from __future__ import annotations

import dataclasses as dc
import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    State,
    compare,
    directive,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common, spec, things

CLUSTER, PROJECT = "ClusterDefaults", "ProjectDefaults"


def document(value: Any) -> dict[str, Any]:
    """Defaults {create_pipeline_request: {...}} in their one form, {} for none. Raises ValueError, which names a path.

    Explicit zeros and nulls stay: a null takes a default away that is set further up.
    """
    return _tidy(spec.typed(value, "pps_v2." + CLUSTER))


def _tidy(found: dict[str, Any]) -> dict[str, Any]:
    request = dict(found.get("create_pipeline_request") or {})
    for name in spec.DROPPED:
        request.pop(name, None)
    return {"create_pipeline_request": request} if request else {}


def told(text: str) -> dict[str, Any]:
    """The defaults that a server's text holds, in the same form."""
    return _tidy(spec.typed(json.loads(text or "{}"), "pps_v2." + CLUSTER, lenient=True))


def project_defaults(client: Any, project: str) -> dict[str, Any] | None:
    """The defaults of a project in their one form; None without a project. Raises StorageError before 2.8."""
    client.need("defaults", "defaults of a project")
    request = client.message("pps_v2.GetProjectDefaultsRequest", project={"name": project})
    reply = client.maybe("pps_v2.API/GetProjectDefaults", request)
    return None if reply is None else told(reply.project_defaults_json)


def set_project_defaults(
    client: Any,
    project: str,
    value: Mapping[str, Any],
    regenerate: bool = False,
    reprocess: bool = False,
    dry_run: bool = False,
) -> list[str]:
    """Set the defaults of a project, which has to exist; {} takes them away. Returns the pipelines that it affects."""
    client.need("defaults", "defaults of a project")
    return _sent(client, "Project", value, regenerate, reprocess, dry_run, project={"name": project})


def _sent(
    client: Any, kind: str, value: Mapping[str, Any], regenerate: bool, reprocess: bool, dry_run: bool, **fields: Any
) -> list[str]:
    fields["%s_defaults_json" % kind.lower()] = json.dumps(_written(value), ensure_ascii=False)
    verbs = {"regenerate": regenerate, "reprocess": reprocess and regenerate, "dry_run": dry_run}
    request = client.message("pps_v2.Set%sDefaultsRequest" % kind, **fields, **verbs)
    try:
        reply = client.call(
            "pps_v2.API/Set%sDefaults" % kind,
            request,
            safe=True if dry_run else None,
            timeout=things.LONG,
            operation="check defaults" if dry_run else "set defaults",
        )
    except StorageError as error:
        if "could not write cluster defaults" in error.server_message:  # nothing more is said
            error.hint = (
                "A pipeline whose spec has no pipeline.project.name stops regenerate for all: declare it again with "
                "pachyderm_pipeline, or leave regenerate out"
            )
        raise
    return sorted("/".join(things.place(pipeline)) for pipeline in reply.affected_pipelines)


def _written(value: Mapping[str, Any]) -> dict[str, Any]:
    """As pachctl writes it."""
    return {"createPipelineRequest" if name == "create_pipeline_request" else name: v for name, v in value.items()}


@dc.dataclass
class Defaults(Item):
    """The defaults of the cluster; there is only one set of them."""

    defaults: Any = wanted("dict", parse=document)
    regenerate: bool = directive("bool", default=False)
    reprocess: bool = directive("bool", default=False)

    def label(self) -> str:
        return "of the cluster"


class ClusterDefaults(Resource):
    """The one set of defaults of a cluster."""

    Item = Defaults
    connection = common.CONNECTION
    noun = "defaults"

    @classmethod
    def validate(cls, item: Defaults) -> None:
        if item.reprocess and not item.regenerate:
            raise OptionError(
                "reprocess", "it does nothing without regenerate", "Set regenerate: true, or leave it out"
            )

    def read(self, items: list[Defaults]) -> dict[Key, State]:
        self.client.need("defaults", "pachyderm_defaults")
        request = self.client.message("pps_v2.GetClusterDefaultsRequest")
        reply = self.client.call("pps_v2.API/GetClusterDefaults", request, operation="read defaults")
        found = told(reply.cluster_defaults_json)
        return {item.key: {"defaults": found} for item in items if found or item.state == "present"}

    def plan(self, item: Defaults, present: State | None) -> Change | None:
        change = compare(item, present)
        if change is None and (item.state == "absent" or not item.regenerate):
            return None
        wanted = {} if item.state == "absent" else {**(present or {}), **(change.fields if change else {})}
        value = wanted.get("defaults", {})
        # the server's own opinion, and what it would do to the pipelines
        affected = self._set(item, value, dry_run=True)
        if change is None:
            if not affected:
                return None
            fields = {"affected_pipelines": affected}
            change = Change(item, "updated", present, {**(present or {}), **fields}, fields)
        elif change.after is not None and item.regenerate:
            change.after["affected_pipelines"] = affected
        change.detail = value
        return change

    def make(self, group: list[Change]) -> list[Made]:
        made = []
        for change in group:
            state: State = {"defaults": change.detail}
            affected = self._set(change.item, change.detail)
            if change.item.regenerate:
                state["affected_pipelines"] = affected
            made.append(Made(change, state))
        return made

    def _set(self, item: Defaults, value: Mapping[str, Any], dry_run: bool = False) -> list[str]:
        affected = _sent(self.client, "Cluster", value, item.regenerate, item.reprocess, dry_run)
        return affected if item.regenerate else []
