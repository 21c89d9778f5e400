# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects and repos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from polystore_sandbox.pachyderm import graph
from polystore_sandbox.pachyderm.base import Call, Refused, Service
from polystore_sandbox.pachyderm.lookup import check_name, get_repo, project_of, repo_key
from polystore_sandbox.pachyderm.state import Project, RepoKey, show_repo
from polystore_sandbox.pachyderm.views import project_info, repo_info, repo_message

LONGEST = 51


class Projects(Service):
    """pfs_v2.API: projects."""

    grpc = "pfs_v2.API"

    def _get(self, name: str) -> Project:
        project: Project | None = self.state.projects.get(name)
        if project is None:
            words = f'error getting project "{name}": get project by name: project "{name}" not found'
            raise Refused("NOT_FOUND", words)
        return project

    def CreateProject(self, request: Any, call: Call) -> Any:
        """Makes one, or sets the description of one that is there."""
        name = request.project.name
        try:
            check_name(name)
            if not name[0].isalnum():
                raise Refused("UNKNOWN", "project names must start with an alphanumeric character")
            if len(name) > LONGEST:
                over = len(name) - LONGEST
                words = f'project name "{name}" is {over} characters longer than the {LONGEST} max'
                raise Refused("UNKNOWN", words)
        except Refused as exc:
            raise exc.under("invalid project name") from exc
        project = self.state.projects.get(name)
        if request.update:
            if project is None:
                words = f'get project {name}: get project by name: project "{name}" not found'
                raise Refused("NOT_FOUND", words)
            project.description = request.description
        elif project is not None:
            raise Refused("ALREADY_EXISTS", f'project "{name}" already exists\nproject {name} already exists')
        else:
            self.state.permit(call, "PROJECT_CREATE", "CLUSTER", "")
            self.state.projects[name] = Project(name, self.state.now(), request.description)
        return self.empty()

    def InspectProject(self, request: Any, call: Call) -> Any:
        """One."""
        return project_info(self._get(request.project.name))

    def InspectProjectV2(self, request: Any, call: Call) -> Any:
        """One with its defaults."""
        name = request.project.name
        try:
            info = project_info(self._get(name))
        except Refused as exc:
            raise exc.under(f'could not inspect project "{name}"') from exc
        defaults = self.state.table("project_defaults").get(name, "{}")
        return self.make("pfs_v2.InspectProjectV2Response", info=info, defaults_json=defaults)

    def ListProject(self, request: Any, call: Call) -> Iterator[Any]:
        """All."""
        with self.state.lock:
            found = [project_info(project) for project in self.state.projects.values()]
        yield from found

    def DeleteProject(self, request: Any, call: Call) -> Any:
        """An empty one; force gives other words, and deletes no more."""
        name = request.project.name
        if name not in self.state.projects:
            raise Refused("NOT_FOUND", f'delete project "{name}": project "{name}" not found')
        self.state.permit(call, "PROJECT_DELETE", "PROJECT", name)
        inside = [key for key in self.state.repos if key[0] == name]
        if inside and request.force:
            words = (
                'ERROR: update or delete on table "projects" violates foreign key constraint "repos_project_id_fkey"'
            )
            words = f'delete project "{name}": delete project: {words} on table "repos" (SQLSTATE 23503)'
            raise Refused("UNKNOWN", words)
        if inside:
            words = "\n".join(f"repo {show_repo(key)} still exists" for key in inside)
            raise Refused("FAILED_PRECONDITION", f"cannot delete project {name}: {words}")
        del self.state.projects[name]
        return self.empty()


class Repos(Service):
    """pfs_v2.API: repos."""

    grpc = "pfs_v2.API"

    def CreateRepo(self, request: Any, call: Call) -> Any:
        """Makes one; with update it may be there, and its description is set."""
        key = (project_of(request.repo), request.repo.name, request.repo.type or "user")
        there = key in self.state.repos
        name = show_repo(key) if there else key[0]
        self.state.permit(call, "REPO_WRITE" if there else "PROJECT_CREATE_REPO", "REPO" if there else "PROJECT", name)
        graph.create_repo(self.state, key, request.description, request.update)
        return self.empty()

    def InspectRepo(self, request: Any, call: Call) -> Any:
        """One with its size."""
        return repo_info(self.state, get_repo(self.state, repo_key(request.repo)), details=True)

    def ListRepo(self, request: Any, call: Call) -> Iterator[Any]:
        """The oldest first; of all types when none is given, of all projects likewise."""
        wanted = [project.name or "default" for project in request.projects]
        with self.state.lock:
            found = [
                repo_info(self.state, repo)
                for key, repo in self.state.repos.items()
                if request.type in ("", key[2]) and (not wanted or key[0] in wanted)
            ]
        size = request.page.page_size
        if size:
            found = found[request.page.page_index * size :][:size]
        yield from found

    def _check(self, key: RepoKey) -> None:
        if key[:2] in self.state.table("pipelines"):
            words = "cannot delete a repo associated with a pipeline - delete the pipeline instead"
            prefix = f'delete repo: error checking whether repo "{show_repo((key[0], key[1], "user"))}" can be deleted'
            raise Refused("UNKNOWN", f"{prefix}: {words}")

    def DeleteRepo(self, request: Any, call: Call) -> Any:
        """One with all in it; newer servers say when it was not there, and not why."""
        key = repo_key(request.repo)
        answer = self.make("pfs_v2.DeleteRepoResponse")
        if key not in self.state.repos:
            if not self.state.since(8):
                raise Refused("NOT_FOUND", f"repo {show_repo(key)} not found")
            return answer
        try:
            self.state.permit(call, "REPO_DELETE", "REPO", show_repo(key))
        except Refused:
            if not self.state.since(12):
                raise
            return answer
        self._check(key)
        try:
            answer.deleted = graph.delete_repo(self.state, key, request.force)
        except Refused as exc:
            raise exc.under("delete repo") from exc
        return answer

    def DeleteRepos(self, request: Any, call: Call) -> Any:
        """All of some projects."""
        wanted = [project.name or "default" for project in request.projects]
        keys = [key for key in self.state.repos if (request.all or key[0] in wanted) and key[2] == "user"]
        with self.state.all_or_nothing():
            for key in keys:
                self._check(key)
            left, refused = list(keys), Refused("UNKNOWN", "")
            while left:  # those that others depend on come last
                for key in list(left):
                    try:
                        graph.delete_repo(self.state, key, request.force)
                        left.remove(key)
                        break
                    except Refused as exc:
                        refused = exc
                else:
                    raise refused.under("delete repo")
        return self.make("pfs_v2.DeleteReposResponse", repos=[repo_message(key) for key in keys])


SERVICES: list[type[Service]] = [Projects, Repos]
