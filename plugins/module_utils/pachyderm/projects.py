# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm projects: their description, metadata and defaults; deleted only when empty, or with all that is inside."""

from __future__ import annotations

import dataclasses as dc
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    State,
    about,
    compare,
    directive,
    key,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import defaults as kept
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.common import (
    CONNECTION,
    DEFAULT,
    project_name,
    text,
)
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.things import (
    FEW,
    LONG,
    after,
    edit_metadata,
    metadata,
    picked,
    some,
)


@dc.dataclass
class ProjectItem(Item):
    """One project."""

    name: str = key(parse=project_name)
    description: str = wanted(parse=text)
    metadata: Any = wanted("dict", parse=metadata, merge=True)
    purge_metadata: bool = directive("bool", default=False)
    defaults: Any = wanted("dict", parse=kept.document)
    force: bool = directive("bool", default=False)


class Projects(Resource):
    """pachyderm_project."""

    Item = ProjectItem
    connection = CONNECTION
    noun = "project"

    @classmethod
    def validate(cls, item: Any) -> None:
        if item.state == "absent" and item.name == DEFAULT:
            raise OptionError("name", "the project default is never deleted", "Delete what is in it")

    def read(self, items: list[Any]) -> dict[Key, State]:
        self.client.need("projects", "A project")
        found: dict[Key, State] = {}
        listed = {}
        if len(items) >= FEW:
            rows = self.client.stream("pfs_v2.API/ListProject", self._message("ListProjectRequest"))
            listed = {info.project.name: info for info in rows}

        def one(item: Any) -> None:
            with about(item):
                info = listed.get(item.name) if len(items) >= FEW else self._inspect(item.name)
                if info is not None:
                    found[item.key] = self._state(item, info)

        self.run.workers.each(one, items)
        return found

    def plan(self, item: Any, present: State | None) -> Change | None:
        change = compare(item, present)
        if change is None:
            return None
        if change.action != "deleted":
            if "metadata" in change.fields:
                self.client.need("metadata", "metadata")
            if change.fields.get("defaults"):
                self.client.need("defaults", "defaults")
            return change
        inside = (present or {}).get("_inside") or []
        if inside and not item.force:
            raise StorageError(
                "it still holds %s" % some([name for _type, name in inside], "repo"),
                operation="delete project",
                code="NOT_EMPTY",
                hint="Set force: true to delete its pipelines and its repos with all data in them",
            )
        return change

    def make(self, group: list[Change]) -> list[Made]:
        change = group[0]
        name, fields = change.item.name, change.fields
        if change.action == "deleted":
            self._delete(name, bool((change.before or {}).get("_inside")))
            return [Made(change)]
        done = ""
        if change.action == "created" or "description" in fields:
            new = change.action == "created"
            self._create(name, fields.get("description", ""), update=not new)
            done = "the project was created" if new else "the description was changed"
        with after(done):
            if "metadata" in fields:
                edit_metadata(
                    self.client, picked(name), (change.before or {}).get("metadata") or {}, fields["metadata"]
                )
            if change.action == "created":
                self._settle(name, fields.get("defaults") or {})
            elif "defaults" in fields:
                kept.set_project_defaults(self.client, name, fields["defaults"])
        return [Made(change)]

    # --- calls

    def _message(self, name: str, **fields: Any) -> Any:
        return self.client.message("pfs_v2." + name, **fields)

    def _inspect(self, name: str) -> Any:
        request = self._message("InspectProjectRequest", project={"name": name})
        return self.client.maybe("pfs_v2.API/InspectProject", request)

    def _state(self, item: Any, info: Any) -> State:
        found: State = {"description": info.description}
        if self.client.can("metadata"):
            found["metadata"] = dict(sorted(info.metadata.items()))
        if item.state == "absent":
            request = self._message("ListRepoRequest", projects=[{"name": item.name}])
            rows = self.client.stream("pfs_v2.API/ListRepo", request)
            found["_inside"] = [(row.repo.type, row.repo.name) for row in rows]
        elif item.defaults is not KEEP:
            found["defaults"] = self._defaults(item.name)
        return found

    def _create(self, name: str, description: str, update: bool) -> None:
        request = self._message("CreateProjectRequest", project={"name": name}, description=description, update=update)
        self.client.call("pfs_v2.API/CreateProject", request)

    def _defaults(self, name: str) -> dict[str, Any]:
        return (kept.project_defaults(self.client, name) or {}) if self.client.can("defaults") else {}

    def _settle(self, name: str, want: dict[str, Any]) -> None:
        """Give a new project its defaults, or none: the server keeps those of a deleted one of the same name."""
        if self._defaults(name) != want:
            kept.set_project_defaults(self.client, name, want)

    def _delete(self, name: str, inside: bool) -> None:
        """Pipelines, repos, defaults, then the project: its own force leaves everything where it is, and fails."""
        project, done = {"name": name}, ""
        if inside:
            request = self.client.message("pps_v2.DeletePipelinesRequest", projects=[project], force=True)
            self.client.call("pps_v2.API/DeletePipelines", request, timeout=LONG, operation="delete pipelines")
            with after("its pipelines were deleted"):
                request = self._message("DeleteReposRequest", projects=[project], force=True)
                self.client.call("pfs_v2.API/DeleteRepos", request, timeout=LONG, operation="delete repos")
            done = "its pipelines and repos were deleted"
        with after(done):
            had = self._defaults(name)
            if had:
                kept.set_project_defaults(self.client, name, {})
            request = self._message("DeleteProjectRequest", project=project)
            try:
                self.client.call("pfs_v2.API/DeleteProject", request)
            except StorageError as error:
                if getattr(error, "kind", "") == "missing":  # somebody else was quicker
                    return
                if had:
                    kept.set_project_defaults(self.client, name, had)
                raise
