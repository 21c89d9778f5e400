# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm's key-value metadata of projects, repos, branches, commits, pipelines and the cluster."""

from __future__ import annotations

from typing import Any

from polystore_sandbox.pachyderm.base import Refused, Service
from polystore_sandbox.pachyderm.state import show_repo

REQUIRED = "validate request: invalid EditMetadataRequest.Edits[%d]: embedded message failed validation"


class Metadata(Service):
    """All edits of a request, or none."""

    grpc = "metadata.API"

    def EditMetadata(self, request: Any, call: Any) -> Any:
        """Refused names the edit that failed."""
        for number, edit in enumerate(request.edits):
            for oneof, name in (("target", "Target"), ("op", "Op")):
                if edit.WhichOneof(oneof) is None:
                    words = f"{REQUIRED % number} | caused by: invalid Edit.{name}: value is required"
                    raise Refused("INVALID_ARGUMENT", words)
        with self.state.all_or_nothing():
            for number, edit in enumerate(request.edits):
                try:
                    self._edit(edit, call)
                except Refused as exc:
                    raise exc.under(f"apply edits: edit #{number}") from exc
        return self.make("metadata.EditMetadataResponse")

    def _edit(self, edit: Any, call: Any) -> None:
        kind = edit.WhichOneof("target")
        try:
            shown, metadata, right = getattr(self, "_" + kind)(getattr(edit, kind))
        except Refused as exc:
            raise exc.under(f"pick {kind}") from exc
        self.state.permit(call, *right)
        operation = edit.WhichOneof("op")
        if operation == "replace":
            metadata.clear()
            metadata.update(edit.replace.replacement)
        elif operation == "delete_key":
            metadata.pop(edit.delete_key.key, None)
        elif operation == "edit_key":
            metadata[edit.edit_key.key] = edit.edit_key.value
        else:
            key = edit.add_key.key
            if key in metadata:
                words = f'edit {kind} {shown}: add_key target key "{key}" already exists; use edit_key instead'
                raise Refused("FAILED_PRECONDITION", words.replace("  ", " "))
            metadata[key] = edit.add_key.value

    def _cluster(self, _picker: Any) -> tuple[str, Any, tuple[str, str, str]]:
        held = self.state.table("cluster").setdefault("metadata", {})
        return "", held, ("CLUSTER_EDIT_CLUSTER_METADATA", "CLUSTER", "")

    def _project(self, picker: Any) -> tuple[str, Any, tuple[str, str, str]]:
        found = self.state.projects.get(picker.name)
        if found is None:
            words = f'picking project: get project by name: project "{picker.name}" not found'
            raise Refused("UNKNOWN", words)
        return f'"{found.name}"', found.metadata, ("PROJECT_CREATE_REPO", "PROJECT", found.name)

    def _found_repo(self, picker: Any) -> Any:
        name = picker.name
        key = (name.project.name, name.name, name.type)
        if not name.type:
            words = 'invalid input value for enum pfs.repo_type: "" (SQLSTATE 22P02)'
            raise Refused("UNKNOWN", f"picking repo: get repo info with id: ERROR: {words}")
        found = self.state.repos.get(key)
        if found is None:
            words = f"repo (id=0, project={key[0]}, name={key[1]}, type={key[2]}) not found"
            raise Refused("UNKNOWN", f"picking repo: get repo info with id: {words}")
        return found

    def _repo(self, picker: Any) -> tuple[str, Any, tuple[str, str, str]]:
        found = self._found_repo(picker)
        right = ("REPO_WRITE", "REPO", "/".join(found.key[:2]))
        return f'"{show_repo(found.key, typed=True)}"', found.metadata, right

    def _branch(self, picker: Any) -> tuple[str, Any, tuple[str, str, str]]:
        try:
            repo = self._found_repo(picker.name.repo)
        except Refused as exc:
            raise exc.under("picking branch") from exc
        shown = f"{show_repo(repo.key, typed=True)}@{picker.name.name}"
        found = repo.branches.get(picker.name.name)
        if found is None:
            branch = f"{show_repo(repo.key)}@{picker.name.name}"
            raise Refused("UNKNOWN", f"picking branch: get branch: branch (id=0, branch={branch}) not found")
        return f'"{shown}"', found.metadata, ("REPO_CREATE_BRANCH", "REPO", "/".join(repo.key[:2]))

    def _commit(self, picker: Any) -> tuple[str, Any, tuple[str, str, str]]:
        how = picker.WhichOneof("picker")
        named = picker.id.repo if how == "id" else picker.branch_head.name.repo
        repo = self._found_repo(named)
        wanted = picker.id.id
        if how == "branch_head":
            branch = repo.branches.get(picker.branch_head.name.name)
            wanted = branch.head if branch else ""
        found = repo.commits.get(wanted)
        if found is None:
            raise Refused("UNKNOWN", f"picking commit: commit {show_repo(repo.key)}@{wanted} not found")
        right = ("REPO_WRITE", "REPO", "/".join(repo.key[:2]))
        return f'"{show_repo(repo.key, typed=True)}@{wanted}"', found.metadata, right

    def _pipeline(self, picker: Any) -> tuple[str, Any, tuple[str, str, str]]:
        key = (picker.name.project.name or "default", picker.name.name)
        found = self.state.table("pipelines").get(key)
        if found is None:
            raise Refused("UNKNOWN", f'picking pipeline: pipeline "{key[0]}/{key[1]}" not found')
        return f'"{key[0]}/{key[1]}"', found.metadata, ("REPO_WRITE", "REPO", "/".join(key))


SERVICES = [Metadata]
