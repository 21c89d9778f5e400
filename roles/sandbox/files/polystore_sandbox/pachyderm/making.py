# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of repos, branches, commits and jobs when a pipeline is made, changed, stopped or deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from polystore_sandbox.pachyderm import checks, graph
from polystore_sandbox.pachyderm.base import Refused
from polystore_sandbox.pachyderm.merging import REQUEST, compact
from polystore_sandbox.pachyderm.messages import message
from polystore_sandbox.pachyderm.pipes import LIFE, Key, Pipeline, Pipes, Version, new_salt, same
from polystore_sandbox.pachyderm.state import USER, BranchKey, Commit, RepoKey, show_repo

CREATED, KILLED = 1, 6  # JobState
TAKEN = "cannot be created because a repo with the same name already exists"


@dataclass
class Job:
    """One run of a pipeline; its id is that of the output's commit."""

    pipeline: Key
    id: str
    version: int
    created: int
    due: float  # time.time() when it is stopped for want of workers
    state: int = CREATED
    finished: int = 0


@contextmanager
def one_set(state: Any, set_id: str) -> Iterator[None]:
    """All commits that are made in the block have this id."""
    outer = state.__dict__.get("new_id")
    state.new_id = lambda: set_id
    try:
        yield
    finally:
        del state.new_id
        if outer:
            state.new_id = outer


class Making(Pipes):
    """Pipelines with their repos and jobs. Table `jobs`: (project, pipeline, id) -> Job."""

    # --- making --------------------------------------------------------------------------------------------------

    def create(self, user: str, document: dict[str, Any], update: bool, reprocess: bool) -> Pipeline:
        """Makes a pipeline, or the next version of one; Refused before anything is done."""
        request = self.filled(document)
        key = self.key(request.pipeline)
        self.check_inputs(request)
        self.check_secrets(request)
        found = self.table.get(key)
        if found is not None and not update:
            raise Refused("ALREADY_EXISTS", f'pipeline "{self.shown(key)}" already exists')
        if found is None and (*key, "user") in self.state.repos:
            raise Refused("UNKNOWN", f'pipeline "{key[1]}" {TAKEN}')
        with self.state.all_or_nothing():
            return self._version(key, request, user, document, reprocess)

    def check_inputs(self, request: Any) -> None:
        """The repos of all inputs must be there; those of crons are made."""
        for leaf in checks.leaves(request.input):
            if leaf.HasField("pfs"):
                repo = (leaf.pfs.project, leaf.pfs.repo, leaf.pfs.repo_type)
                if repo not in self.state.repos:
                    raise Refused("NOT_FOUND", f"repo {show_repo(repo)} not found")

    def _version(self, key: Key, request: Any, user: str, document: dict[str, Any], reprocess: bool) -> Pipeline:
        now, set_id = self.state.now(), self.state.new_id()
        pipeline = self.table.get(key)
        if pipeline is None:
            pipeline = self.table[key] = Pipeline(key, request.salt or new_salt(), now, 0.0, now)
            for kind in ("user", "spec", "meta"):
                graph.create_repo(self.state, (*key, kind), self._described(kind, key))
        elif reprocess:
            pipeline.salt = new_salt()
        before = pipeline.versions[-1] if pipeline.versions else None
        spec = compact(document, ordered=True)
        made = Version(len(pipeline.versions) + 1, set_id, user, spec, request.SerializeToString(), now)
        pipeline.versions.append(made)
        pipeline.touched = now
        if not pipeline.stopped:
            pipeline.since, pipeline.paused = time.time(), False
        self.stop_jobs(key)
        with one_set(self.state, set_id):
            self._commits(pipeline, request, before)
        return pipeline

    def _described(self, kind: str, key: Key) -> str:
        what = {"user": "Output", "spec": "Spec", "meta": "Meta"}[kind]
        return f"{what} repo for pipeline {self.shown(key)}."

    def _commits(self, pipeline: Pipeline, request: Any, before: Version | None) -> None:
        """The spec's commit, and with it the output's and the meta repo's."""
        key = pipeline.key
        commit = graph.start_commit(self.state, ((*key, "spec"), "master"), USER)
        commit.finishing = commit.finished = commit.started
        if before is not None:
            old = message(REQUEST).FromString(before.request).output_branch
            if old != request.output_branch and old in self.state.repos[(*key, "user")].branches:
                graph.create_branch(self.state, ((*key, "user"), old), [])
        wanted = self._inputs(request, key)
        self._provide(pipeline, request, [] if pipeline.stopped else wanted)

    def _provide(self, pipeline: Pipeline, request: Any, wanted: list[BranchKey]) -> None:
        """The provenance of the branches into which the pipeline writes."""
        for kind, name in (("user", request.output_branch), ("meta", "master")):
            repo: RepoKey = (*pipeline.key, kind)
            graph.create_branch(self.state, (repo, name), wanted)
            branch = self.state.repos[repo].branches[name]
            head = self.state.repos[repo].commits.get(branch.head)
            if head is not None and head.provenance:
                head.provenance = [
                    (other[0], self.state.repos[other[0]].branches[other[1]].head) for other in branch.provenance
                ]

    def _inputs(self, request: Any, key: Key) -> list[BranchKey]:
        """The branches that the output depends on; cron repos and triggered branches are made."""
        found: list[BranchKey] = [((*key, "spec"), "master")]
        for leaf in checks.leaves(request.input):
            if leaf.HasField("cron"):
                repo: RepoKey = (leaf.cron.project, leaf.cron.repo, "user")
                words = f"Cron tick repo for pipeline {self.shown(key)}."
                graph.create_repo(self.state, repo, words, update=True)
                branch = (repo, "master")
            else:
                repo = (leaf.pfs.project, leaf.pfs.repo, leaf.pfs.repo_type)
                branch = (repo, leaf.pfs.branch)
                if leaf.pfs.HasField("trigger"):
                    graph.create_branch(self.state, branch, [], None, leaf.pfs.trigger.SerializeToString())
            if branch not in found:
                found.append(branch)
        return found

    def regenerate(self, project: str, reprocess: bool, what: str) -> list[Key]:
        """The next version of each pipeline (of a project, "": of all) that the defaults now make another one."""
        affected = []
        for pipeline in list(self.table.values()):
            if project and pipeline.key[0] != project:
                continue
            user = pipeline.last.user
            if not user:  # from before 2.8
                continue
            named = json.loads(user).get("pipeline") or {}
            if "project" not in named:
                raise Refused("UNKNOWN", f"unknown error: could not write {what} defaults")
            document = self.effective(user)
            if same(compact(document), pipeline.last.effective):
                continue
            self._version(pipeline.key, self.filled(document), user, document, reprocess)
            affected.append(pipeline.key)
        return affected

    # --- stopping and starting -----------------------------------------------------------------------------------

    def stop(self, pipeline: Pipeline) -> None:
        """No new commits come to its output."""
        if pipeline.stopped:
            return
        pipeline.paused = pipeline.state() != "PIPELINE_FAILURE"
        pipeline.stopped = True
        self.stop_jobs(pipeline.key)
        self._provide(pipeline, message(REQUEST).FromString(pipeline.last.request), [])

    def start(self, pipeline: Pipeline) -> None:
        """They come again."""
        if not pipeline.stopped:
            return
        pipeline.stopped = pipeline.paused = False
        pipeline.since = time.time()
        request = message(REQUEST).FromString(pipeline.last.request)
        with one_set(self.state, self.state.new_id()):
            self._provide(pipeline, request, self._inputs(request, pipeline.key))

    def tick(self, pipeline: Pipeline) -> None:
        """A commit in each of its cron repos."""
        request = message(REQUEST).FromString(pipeline.last.request)
        crons = [leaf.cron for leaf in checks.leaves(request.input) if leaf.HasField("cron")]
        if not crons:
            raise Refused("UNKNOWN", "pipeline doesn't have a cron input")
        for cron in crons:
            commit = graph.start_commit(self.state, ((cron.project, cron.repo, "user"), "master"), USER)
            files = type(commit.files)({} if cron.overwrite else commit.files)
            files[time.strftime("/%Y-%m-%dT%H:%M:%SZ", time.gmtime())] = self.state.store.of(b"")
            commit.files = files
            graph.finish_commit(self.state, commit)

    # --- jobs ----------------------------------------------------------------------------------------------------

    @property
    def jobs(self) -> dict[tuple[str, str, str], Job]:
        """By project, pipeline and id."""
        found: dict[tuple[str, str, str], Job] = self.state.table("jobs")
        return found

    def job_of(self, commit: Commit) -> Job | None:
        """A new job, when the commit is in a pipeline's output."""
        key = commit.repo[:2]
        pipeline = self.table.get(key)
        if pipeline is None or commit.repo[2] != "user" or not pipeline.versions:
            return None
        job = Job(key, commit.id, pipeline.last.number, self.state.now(), time.time() + LIFE)
        self.jobs[(*key, commit.id)] = job
        pipeline.last_job = CREATED
        return job

    def stop_jobs(self, key: Key, wanted: str = "", due: float | None = None) -> None:
        """Ends a pipeline's open jobs, or one of them, or those that are due: no worker ever took them."""
        for job in list(self.jobs.values()):
            if job.pipeline != key or job.finished or wanted not in ("", job.id) or due and job.due > due:
                continue
            job.state, job.finished = KILLED, self.state.now()
            for kind in ("user", "meta"):
                repo = self.state.repos.get((*key, kind))
                commit = repo.commits.get(job.id) if repo else None
                if commit is not None and not commit.finishing:
                    graph.finish_commit(self.state, commit, "job stopped")
            pipeline = self.table.get(key)
            if pipeline is not None:
                pipeline.last_job = KILLED

    # --- deleting ------------------------------------------------------------------------------------------------

    def delete(self, pipeline: Pipeline, force: bool, keep_repo: bool) -> None:
        """With all its repos, or all but the output's; Refused when others depend on it."""
        key = pipeline.key
        user: RepoKey = (*key, "user")
        if not force and user in self.state.repos:
            graph.check_delete_repo(self.state, user)
        self.stop_jobs(key)
        request = message(REQUEST).FromString(pipeline.last.request)
        if keep_repo and user in self.state.repos:
            graph.create_branch(self.state, (user, request.output_branch), [])
            for kind in ("spec", "meta"):
                graph.delete_repo(self.state, (*key, kind), True)
        else:
            graph.delete_repo(self.state, user, True)
        for leaf in checks.leaves(request.input):
            if leaf.HasField("cron"):
                graph.delete_repo(self.state, (leaf.cron.project, leaf.cron.repo, "user"), True)
        del self.table[key]
        for name in [name for name in self.jobs if name[:2] == key]:
            del self.jobs[name]
