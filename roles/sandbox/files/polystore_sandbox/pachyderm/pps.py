# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm's pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from polystore_sandbox.pachyderm.base import Call, Refused, Service
from polystore_sandbox.pachyderm.making import Making
from polystore_sandbox.pachyderm.pipes import Key, Pipeline, to_json, to_request


class Pipelines(Service):
    """Part of PPS."""

    grpc = "pps_v2.API"

    def __init__(self, state: Any) -> None:
        super().__init__(state)
        self.pipes = Making(state)

    # --- rights --------------------------------------------------------------------------------------------------

    def _named(self, key: Key) -> str:
        return "/".join(key) if self.state.since(5) else key[1]

    def _may_write(self, call: Call, key: Key) -> None:
        self.state.permit(call, "REPO_WRITE", "REPO", self._named(key))

    def _may_make(self, call: Call, document: dict[str, Any]) -> None:
        """A pipeline that is there is written to, another one is made in its project."""
        key = self.pipes.key(to_request({"pipeline": document.get("pipeline") or {}}).pipeline)
        if key in self.pipes.table:
            self._may_write(call, key)
        else:
            self.state.permit(call, "PROJECT_CREATE_REPO", "PROJECT", key[0])

    # --- making --------------------------------------------------------------------------------------------------

    def CreatePipeline(self, request: Any, call: Call) -> Any:
        """From a message."""
        if request.dry_run and self.state.since(11):
            return self.empty()
        user = to_json(request)
        document = self.pipes.effective(user)
        self._may_make(call, document)
        self.pipes.create(user if self.state.since(8) else "", document, request.update, request.reprocess)
        return self.empty()

    def CreatePipelineV2(self, request: Any, call: Call) -> Any:
        """From a document; the answer is what it comes to with the defaults."""
        user = request.create_pipeline_request_json
        document = self.pipes.effective(user)
        reply = to_request(document)
        reply.update, reply.reprocess = request.update, request.reprocess
        if not request.dry_run:
            self._may_make(call, document)
            self.pipes.create(user, document, request.update, request.reprocess)
        return self.make("pps_v2.CreatePipelineV2Response", effective_create_pipeline_request_json=to_json(reply))

    def RerunPipeline(self, request: Any, call: Call) -> Any:
        """The next version from the same document."""
        try:
            found = self.pipes.find(request.pipeline)
        except Refused as exc:
            shown = self.pipes.shown(self.pipes.key(request.pipeline))
            raise exc.under(f'inspect pipeline "{shown}"') from exc
        self._may_write(call, found.key)
        document = self.pipes.effective(found.last.user)
        if "project" not in (document.get("pipeline") or {}):
            if self.state.since(12):
                raise Refused("UNKNOWN", "rerun pipeline: project picker cannot be nil")
            words = "cannot be created because a repo with the same name already exists"
            raise Refused("UNKNOWN", f'pipeline "{found.key[1]}" {words}')
        self.pipes.create(found.last.user, document, True, request.reprocess)
        return self.empty()

    # --- asking --------------------------------------------------------------------------------------------------

    def InspectPipeline(self, request: Any, _call: Call) -> Any:
        """The newest version."""
        found = self.pipes.find(request.pipeline)
        return self.pipes.info(found, found.last, request.details)

    def ListPipeline(self, request: Any, _call: Call) -> Iterator[Any]:
        """The latest changed first, each with as much history as is wanted."""
        with self.state.lock:
            infos = [
                self.pipes.info(pipeline, version, request.details)
                for pipeline in self._listed(request)
                for version in self.pipes.listed(pipeline, request.history)
            ]
        yield from infos

    def _listed(self, request: Any) -> list[Pipeline]:
        if request.HasField("pipeline"):
            key = self.pipes.key(request.pipeline)
            if key not in self.pipes.table:
                words = f'could not list pipeline info: pipeline "{self.pipes.shown(key)}" not found'
                raise Refused("NOT_FOUND", words)
            return [self.pipes.table[key]]
        wanted = [project.name for project in request.projects]
        found = [one for one in self.pipes.newest_first() if not wanted or one.key[0] in wanted]
        if request.HasField("page") and request.page.page_size:
            start = request.page.page_size * request.page.page_index
            return found[start : start + request.page.page_size]
        return found

    # --- changing ------------------------------------------------------------------------------------------------

    def StartPipeline(self, request: Any, call: Call) -> Any:
        """Also when it has been started."""
        found = self.pipes.find(request.pipeline)
        self._may_write(call, found.key)
        self.pipes.start(found)
        return self.empty()

    def StopPipeline(self, request: Any, call: Call) -> Any:
        """Also when it is stopped, or not there."""
        if self.pipes.key(request.pipeline) not in self.pipes.table and not request.must_exist:
            return self.empty()
        found = self.pipes.find(request.pipeline)
        self._may_write(call, found.key)
        self.pipes.stop(found)
        return self.empty()

    def RunCron(self, request: Any, call: Call) -> Any:
        """A tick now."""
        found = self.pipes.find(request.pipeline)
        self._may_write(call, found.key)
        self.pipes.tick(found)
        return self.empty()

    def DeletePipeline(self, request: Any, call: Call) -> Any:
        """One that is not there is as good as deleted."""
        if request.all:
            self._delete(list(self.pipes.table.values()), request, call)
            return self.empty()
        key = self.pipes.key(request.pipeline)
        if key not in self.pipes.table:
            if not request.must_exist:
                return self.empty()
            try:
                self.pipes.find(request.pipeline)
            except Refused as exc:
                raise exc.under(f"error stopping pipeline {self.pipes.shown(key)}") from exc
        self._delete([self.pipes.table[key]], request, call)
        return self.empty()

    def DeletePipelines(self, request: Any, call: Call) -> Any:
        """All of some projects."""
        wanted = [project.name for project in request.projects]
        found = [one for one in self.pipes.table.values() if request.all or one.key[0] in wanted]
        keys = self._delete(found, request, call)
        return self.make("pps_v2.DeletePipelinesResponse", pipelines=[self.pipes.message_of(key) for key in keys])

    def _delete(self, wanted: list[Pipeline], request: Any, call: Call) -> list[Key]:
        """Those first on which no other depends; all or none."""
        keys = [pipeline.key for pipeline in wanted]
        for key in keys:
            self.state.permit(call, "REPO_DELETE", "REPO", self._named(key))
        left: list[Key] = keys[::-1]
        gone: list[Key] = []
        with self.state.all_or_nothing():
            while left:
                refused, before = [], len(gone)
                for key in list(left):
                    try:
                        self.pipes.delete(self.pipes.table[key], request.force, request.keep_repo)
                    except Refused as exc:
                        refused.append(exc)
                        continue
                    left.remove(key)
                    gone.append(key)
                if len(gone) == before:
                    raise refused[0]
        return gone

    def DeleteAll(self, _request: Any, call: Call) -> Any:
        """All pipelines."""
        for pipeline in list(self.pipes.table.values()):
            self.state.permit(call, "REPO_DELETE", "REPO", self._named(pipeline.key))
            self.pipes.delete(pipeline, True, False)
        return self.empty()

    def ActivateAuth(self, _request: Any, _call: Call) -> Any:
        """Nothing is to be done."""
        return self.make("pps_v2.ActivateAuthResponse")


SERVICES = [Pipelines]
