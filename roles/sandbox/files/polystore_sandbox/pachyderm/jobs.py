# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm's jobs: one for each commit in a pipeline's output, and none ever finds a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from polystore_sandbox.pachyderm import checks
from polystore_sandbox.pachyderm.base import Call, Refused, Service, waits
from polystore_sandbox.pachyderm.making import KILLED, Job, Making
from polystore_sandbox.pachyderm.merging import REQUEST
from polystore_sandbox.pachyderm.messages import message
from polystore_sandbox.pachyderm.state import Commit, stamp

TICK = 0.1  # seconds


class Jobs(Service):
    """Part of PPS; makes and ends jobs."""

    grpc = "pps_v2.API"

    def __init__(self, state: Any) -> None:
        super().__init__(state)
        self.pipes = Making(state)
        state.listeners.append(self._listen)
        self.waiting = False
        self._later()

    def _listen(self, commit: Commit) -> None:
        if self.pipes.job_of(commit) is not None:
            self._later()

    def _later(self) -> None:
        """Looks again soon, while there are open jobs."""
        if self.waiting or all(job.finished for job in self.pipes.jobs.values()):
            return
        self.waiting = True
        timer = threading.Timer(TICK, self._end)
        timer.daemon = True
        timer.start()

    def _end(self) -> None:
        """Stops the jobs whose time has come."""
        with self.state.lock:
            self.waiting = False
            now = time.time()
            due = [job for job in self.pipes.jobs.values() if not job.finished and job.due <= now]
            for key in {job.pipeline for job in due}:
                self.pipes.stop_jobs(key, due=now)
            if due:
                self.state.dirty = True
                self.state.changed.notify_all()
            self._later()

    def _info(self, job: Job, details: bool) -> Any:
        info = self.make("pps_v2.JobInfo", pipeline_version=job.version, state=job.state)
        info.job.id = job.id
        info.job.pipeline.CopyFrom(self.pipes.message_of(job.pipeline))
        info.created.CopyFrom(stamp(job.created))
        pipeline = self.pipes.table[job.pipeline]
        request = message(REQUEST).FromString(pipeline.versions[job.version - 1].request)
        info.output_commit.CopyFrom(self.pipes.commit_of(job.pipeline, "user", job.id, request.output_branch))
        if job.finished:
            info.finished.CopyFrom(stamp(job.finished))
            info.reason = "job stopped" if job.state == KILLED else ""
        if details:
            checks.details(request, info.details)
            info.details.salt = pipeline.salt
        return info

    def _find(self, wanted: Any) -> Job:
        key = (*self.pipes.key(wanted.pipeline), wanted.id)
        found = self.pipes.jobs.get(key)
        if found is None:
            raise Refused("NOT_FOUND", f"jobs {self.pipes.shown(key[:2])}@{wanted.id} not found")
        return found

    @waits
    def InspectJob(self, request: Any, call: Call) -> Any:
        """One, also once it has ended."""
        with self.state.lock:
            if request.wait:
                self.state.wait(lambda: self._find(request.job).finished, call)
            return self._info(self._find(request.job), request.details)

    def StopJob(self, request: Any, call: Call) -> Any:
        """Ends one."""
        found = self._find(request.job)
        self.state.permit(call, "REPO_WRITE", "REPO", self.pipes.shown(found.pipeline))
        self.pipes.stop_jobs(found.pipeline, found.id)
        return self.empty()

    def ListJob(self, request: Any, _call: Call) -> Iterator[Any]:
        """The newest first; of old versions only with history."""
        with self.state.lock:
            infos = [self._info(job, request.details) for job in self._listed(request)]
        yield from infos[: request.number or None]

    def _listed(self, request: Any) -> list[Job]:
        wanted = [project.name for project in request.projects]
        found = list(self.pipes.jobs.values())
        if request.HasField("pipeline"):
            key = self.pipes.key(request.pipeline)
            if key not in self.pipes.table:
                raise Refused("NOT_FOUND", f'pipeline "{self.pipes.shown(key)}" not found')
            found = [job for job in found if job.pipeline == key]
        if request.history >= 0:
            last = {key: pipeline.last.number for key, pipeline in self.pipes.table.items()}
            found = [job for job in found if job.version >= last[job.pipeline] - request.history]
        found = [job for job in found if not wanted or job.pipeline[0] in wanted]
        return sorted(found, key=lambda job: job.created, reverse=not request.reverse)

    def InspectJobSet(self, request: Any, _call: Call) -> Iterator[Any]:
        """All jobs of one set of commits."""
        with self.state.lock:
            found = [job for job in self.pipes.jobs.values() if job.id == request.job_set.id]
            infos = [self._info(job, request.details) for job in found]
        yield from infos

    def ListJobSet(self, request: Any, _call: Call) -> Iterator[Any]:
        """The sets, the newest first."""
        with self.state.lock:
            sets: dict[str, list[Any]] = {}
            for job in sorted(self.pipes.jobs.values(), key=lambda job: -job.created):
                sets.setdefault(job.id, []).append(self._info(job, request.details))
        for name, infos in list(sets.items())[: request.number or None]:
            reply = self.make("pps_v2.JobSetInfo", jobs=infos)
            reply.job_set.id = name
            yield reply


SERVICES = [Jobs]
