# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm repos: their description, metadata and roles; deleted with care for what depends on them."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
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
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.common import (
    CONNECTION,
    InProject,
    name,
    text,
)
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.things import (
    FEW,
    after,
    edit_metadata,
    metadata,
    output_of,
    picked,
    pipelines_in,
    place,
    some,
    waves,
)

PREFIXES = ("user:", "robot:", "group:", "pipeline:", "pach:", "internal:")
EVERYBODY = "allClusterUsers"
REPO = 2  # auth_v2.ResourceType


def roles(value: Mapping[str, Any]) -> dict[str, list[str] | None]:
    """Roles by principal in their normal form: sorted; none, or null, takes them away. Raises ValueError."""
    found: dict[str, list[str] | None] = {}
    for principal, given in value.items():
        if principal != EVERYBODY and not (principal.startswith(PREFIXES) and principal.split(":", 1)[1]):
            raise ValueError("%r is no principal: write it as user:NAME, robot:NAME or group:NAME" % (principal,))
        parts = [given] if isinstance(given, str) else given or []
        if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) and part for part in parts):
            raise ValueError("the roles of %r are no list of names" % (principal,))
        found[principal] = sorted({text(part) for part in parts}) or None
    return found


@dc.dataclass
class RepoItem(InProject):
    """One repo."""

    name: str = key(parse=name)
    description: str = wanted(parse=text)
    metadata: Any = wanted("dict", parse=metadata, merge=True)
    purge_metadata: bool = directive("bool", default=False)
    roles: Any = wanted("dict", parse=roles, merge=True)
    force: bool = directive("bool", default=False)


class Repos(Resource):
    """pachyderm_repo."""

    Item = RepoItem
    connection = CONNECTION
    noun = "repo"
    going: set[Key] = set()  # what this run is to delete

    def read(self, items: list[Any]) -> dict[Key, State]:
        projects: dict[str, list[Any]] = {}
        for item in items:
            projects.setdefault(item.project, []).append(item)
        if any(item.roles for item in items if item.state == "present"):
            self._auth()
        infos: dict[Key, Any] = {}
        outputs: dict[str, set[str]] = {}
        for project, here in projects.items():
            self.client.repo(project, here[0].name)  # refuses projects that this server does not know
            if len(here) >= FEW:
                infos.update(self._listed(project))
            if sum(item.state == "absent" for item in here) >= FEW:
                outputs[project] = pipelines_in(self.client, project)
        found: dict[Key, State] = {}

        def one(item: Any) -> None:
            with about(item):
                many = len(projects[item.project]) >= FEW
                info = infos.get(item.key) if many else self._inspect(item)
                if info is not None:
                    found[item.key] = self._state(item, info, outputs)

        self.run.workers.each(one, items)
        self.going = {item.key for item in items if item.state == "absent"}
        return found

    def plan(self, item: Any, present: State | None) -> Change | None:
        change = compare(item, present)
        if change is None or change.action != "deleted":
            if change is not None and "metadata" in change.fields:
                self.client.need("metadata", "metadata")
            return change
        have = present or {}
        if have["_output"]:
            raise StorageError(
                "it is the output of the pipeline of its name",
                operation="delete repo",
                code="OUTPUT_REPO",
                hint="Delete the pipeline, which takes it along: pachyderm_pipeline with state: absent",
            )
        needed = ["%s/%s" % where for where in have["_needed"] if where not in self.going]
        if needed and not item.force:
            raise StorageError(
                "it is needed by %s" % some(needed, "repo"),
                operation="delete repo",
                code="NEEDED",
                hint="Delete those first, or set force: true",
            )
        return change

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """Deletions last, and what others depend on after those others."""
        gone = [g for g in groups if g[0].action == "deleted"]
        return [
            [g for g in groups if g[0].action != "deleted"],
            *waves(gone, lambda change: (change.before or {})["_needed"]),
        ]

    def make(self, group: list[Change]) -> list[Made]:
        change = group[0]
        item, fields, before = change.item, change.fields, change.before or {}
        if change.action == "deleted":
            self._delete(change)
            return [Made(change)]
        done = ""
        if change.action == "created" or "description" in fields:
            new = change.action == "created"
            self._create(item, fields.get("description", ""), update=not new)
            done = "the repo was created" if new else "the description was changed"
        with after(done):
            if "metadata" in fields:
                target = picked(item.project, item.name)
                edit_metadata(self.client, target, before.get("metadata") or {}, fields["metadata"])
                done = "everything but its roles was set"
        with after(done):
            if "roles" in fields:
                self._bind(item, before.get("roles") or {}, fields["roles"])
        return [Made(change)]

    # --- calls

    def _message(self, name: str, **fields: Any) -> Any:
        return self.client.message("pfs_v2." + name, **fields)

    def _listed(self, project: str) -> dict[Key, Any]:
        fields: dict[str, Any] = {"projects": [{"name": project}]} if self.client.can("projects") else {}
        rows = self.client.stream("pfs_v2.API/ListRepo", self._message("ListRepoRequest", type="user", **fields))
        return {place(info.repo): info for info in rows}

    def _inspect(self, item: Any) -> Any:
        request = self._message("InspectRepoRequest", repo=self.client.repo(item.project, item.name))
        return self.client.maybe("pfs_v2.API/InspectRepo", request)

    def _state(self, item: Any, info: Any, outputs: Mapping[str, set[str]]) -> State:
        found: State = {"description": info.description}
        if self.client.can("metadata"):
            found["metadata"] = dict(sorted(info.metadata.items()))
        if item.state == "absent":
            known = outputs.get(item.project)
            output = output_of(self.client, item.project, item.name) if known is None else item.name in known
            found["_output"] = output
            found["_triggers"], found["_needed"] = self._dependents(item)
        elif item.roles:
            found["roles"] = self._bindings(item)
        return found

    def _branches(self, item: Any) -> list[Any]:
        request = self._message("ListBranchRequest", repo=self.client.repo(item.project, item.name))
        return list(self.client.stream("pfs_v2.API/ListBranch", request))

    def _dependents(self, item: Any) -> tuple[list[str], list[Key]]:
        """The branches of a repo that have a trigger, and the repos that depend on it."""
        rows = self._branches(item)
        needed = {place(branch.repo) for info in rows for branch in info.subvenance}
        return [i.branch.name for i in rows if i.HasField("trigger") and i.trigger.branch], sorted(needed)

    def _create(self, item: Any, description: str, update: bool) -> None:
        repo = self.client.repo(item.project, item.name)
        request = self._message("CreateRepoRequest", repo=repo, description=description, update=update)
        self.client.call("pfs_v2.API/CreateRepo", request)

    def _delete(self, change: Change) -> None:
        item = change.item
        if not item.force:
            # Without force the server refuses a repo that has a trigger inside, whoever depends on it.
            for branch in (change.before or {})["_triggers"]:
                request = self._message(
                    "DeleteBranchRequest", branch=self.client.branch(item.project, item.name, branch), force=True
                )
                self.client.call("pfs_v2.API/DeleteBranch", request, operation="delete branch %s" % branch)
        request = self._message("DeleteRepoRequest", repo=self.client.repo(item.project, item.name), force=item.force)
        try:
            deleted = self.client.call("pfs_v2.API/DeleteRepo", request).deleted
        except StorageError as error:
            if getattr(error, "kind", "") != "missing":
                raise
            return  # somebody else was quicker
        if not deleted and self._inspect(item) is not None:
            raise StorageError(
                "the server said that all was well, and did not delete it",
                operation="delete repo",
                code="NOT_DELETED",
                hint="That is its answer to those who may not: ask for the role repoOwner on it",
            )

    # --- roles

    def _auth(self) -> None:
        """Raises StorageError where authentication is off."""
        try:
            self.client.call("auth_v2.API/WhoAmI", self.client.message("auth_v2.WhoAmIRequest"))
        except StorageError as error:
            if getattr(error, "kind", "") == "auth-off":
                raise OptionError(
                    "roles", "authentication is not active on this server", "Leave roles out, or activate it"
                ) from None
            raise

    def _resource(self, item: Any) -> dict[str, Any]:
        path = "%s/%s" % (item.project, item.name) if self.client.can("projects") else item.name
        return {"type": REPO, "name": path}

    def _bindings(self, item: Any) -> dict[str, list[str]]:
        request = self.client.message("auth_v2.GetRoleBindingRequest", resource=self._resource(item))
        entries = self.client.call("auth_v2.API/GetRoleBinding", request).binding.entries
        found = {principal: sorted(r for r, on in given.roles.items() if on) for principal, given in entries.items()}
        return {principal: given for principal, given in sorted(found.items()) if given}

    def _bind(self, item: Any, before: Mapping[str, list[str]], wants: Mapping[str, list[str]]) -> None:
        """Set the roles of each principal that differs; what a call says replaces all that the principal had."""
        for principal in sorted({*before, *wants}):
            if before.get(principal) == wants.get(principal):
                continue
            request = self.client.message(
                "auth_v2.ModifyRoleBindingRequest",
                resource=self._resource(item),
                principal=principal,
                roles=wants.get(principal) or [],
            )
            self.client.call("auth_v2.API/ModifyRoleBinding", request, operation="set the roles of %s" % principal)
