# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults of the cluster and of projects."""

from __future__ import annotations

from typing import Any

from polystore_sandbox.pachyderm import specs
from polystore_sandbox.pachyderm.base import Refused, Service
from polystore_sandbox.pachyderm.making import Making
from polystore_sandbox.pachyderm.merging import checked, fresh


class Defaults(Service):
    """Part of PPS. Table `defaults`: "" -> the cluster's text, a project's name -> its text, even deleted."""

    grpc = "pps_v2.API"

    def cluster(self) -> str:
        """The text as it was given."""
        return str(self.state.table("defaults").get("") or fresh(self.state.version))

    def project(self, name: str) -> str:
        """The text as it was given."""
        return str(self.state.table("defaults").get(name) or "{}")

    def GetClusterDefaults(self, _request: Any, _call: Any) -> Any:
        """Verbatim."""
        return self.make("pps_v2.GetClusterDefaultsResponse", cluster_defaults_json=self.cluster())

    def GetProjectDefaults(self, request: Any, _call: Any) -> Any:
        """Verbatim, also what an earlier project of that name was given."""
        name = request.project.name or "default"
        self.need_project(name)
        return self.make("pps_v2.GetProjectDefaultsResponse", project_defaults_json=self.project(name))

    def need_project(self, name: str) -> None:
        """Refused when there is none."""
        if name not in self.state.projects:
            words = f'error getting project "{name}": get project by name: project "{name}" not found'
            raise Refused("NOT_FOUND", words)

    def SetClusterDefaults(self, request: Any, call: Any) -> Any:
        """With regenerate: all pipelines that come out otherwise."""
        self.state.permit(call, "CLUSTER_SET_DEFAULTS", "CLUSTER", "")
        affected = self._set("", request.cluster_defaults_json, request, "cluster")
        return self.make("pps_v2.SetClusterDefaultsResponse", affected_pipelines=affected)

    def SetProjectDefaults(self, request: Any, call: Any) -> Any:
        """A project that is not there takes them silently."""
        name = request.project.name or "default"
        self.state.permit(call, "PROJECT_SET_DEFAULTS", "PROJECT", name)
        affected = self._set(name, request.project_defaults_json, request, "project")
        return self.make("pps_v2.SetProjectDefaultsResponse", affected_pipelines=affected)

    def _set(self, name: str, text: str, request: Any, what: str) -> list[Any]:
        try:
            checked(text)
        except specs.DocumentError as exc:
            raise Refused("INVALID_ARGUMENT", f"invalid {what} defaults JSON") from exc
        with self.state.tried() if request.dry_run else self.state.all_or_nothing():
            return self._apply(name, text, request, what)

    def _apply(self, name: str, text: str, request: Any, what: str) -> list[Any]:
        self.state.table("defaults")[name] = text
        if not request.regenerate:
            return []
        pipes = Making(self.state)
        return [pipes.message_of(key) for key in pipes.regenerate(name, request.reprocess, what)]


SERVICES = [Defaults]
