# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm pipelines: a new version only where the spec says something new, started and stopped, in their order."""

from __future__ import annotations

import dataclasses as dc
import json
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Key,
    Made,
    Resource,
    State,
    directive,
    key,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, duration
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common, spec, things

CREATE, CREATE_V2 = "pps_v2.API/CreatePipeline", "pps_v2.API/CreatePipelineV2"
RUNS, STOPPED = ("running", "standby"), ("paused",)
LOST = ("UNAVAILABLE", "INTERNAL", "CANCELLED", "DEADLINE_EXCEEDED")  # it may have been done all the same
LONGEST = 51  # characters of a pipeline's name
# The server's words -> what to do.
HINTS = (
    ("repo with the same name already exists", "Remove that repo with pachyderm_repo, or choose another name"),
    ("defaults for project", "Make the project first with pachyderm_project"),
    ("Kubernetes secret", "Make the secret first with pachyderm_secret"),
    ("in the direct provenance of", "Remove what reads it in the same batch, or set force: true"),
    ("input must specify a glob", "Give each pfs input a glob such as /*"),
    ("was used more than once", "Give each input a name of its own"),
)


def name(value: Any) -> str:
    """A pipeline's name. Raises ValueError."""
    text = common.name(value)
    if len(text) > LONGEST:
        raise ValueError("%r is %d characters long, and a pipeline's name has at most %d" % (text, len(text), LONGEST))
    return text


def document(value: Mapping[str, Any]) -> dict[str, Any]:
    """A spec that fits the schema. Raises ValueError, which names the path in the spec."""
    spec.typed(value)
    return dict(value)


def seconds(value: Any) -> int:
    """How long to wait. Raises ValueError."""
    found = duration(value)
    if found < 0:
        raise ValueError("it has to end some time: write seconds, or 90s, 15m, 2h")
    return found


@dc.dataclass
class Pipeline(common.InProject):
    """One pipeline."""

    name: str = key(parse=name)
    state: str = directive(choices=("present", "absent", "started", "stopped"), default="present")
    spec: Any = wanted("dict", parse=document)
    spec_src: str = directive("path")
    reprocess: bool = directive("bool", default=False)
    compare: str = directive(choices=("user", "effective"), default="user")
    wait: bool = directive("bool", default=False)
    wait_timeout: Any = directive("raw", parse=seconds, default=300)
    force: bool = directive("bool", default=False)
    keep_repo: bool = directive("bool", default=False)


def loaded(item: Pipeline) -> Any:
    """The spec of an item's spec_src. Raises OptionError."""
    try:
        with open(item.spec_src, encoding="utf-8") as stream:
            return document(spec.load(stream.read(), item.name))
    except OSError as error:
        raise OptionError("spec_src", "%s cannot be read: %s" % (item.spec_src, error.strerror)) from None
    except ValueError as error:
        raise OptionError("spec_src", "%s: %s" % (item.spec_src, error)) from None


def short(enum: Any) -> str:
    """PIPELINE_STANDBY -> standby."""
    return str(enum).rpartition("PIPELINE_")[2].replace("STATE_", "").lower()


def kind(error: StorageError) -> str:
    """What kind of refusal an error is, where the client could tell."""
    return str(getattr(error, "kind", ""))


class Pipelines(Resource):
    """Pipelines of one Pachyderm."""

    Item = Pipeline
    connection = common.CONNECTION
    noun = "pipeline"
    told = ("version", "pipeline_state", "reason")

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.items: list[Pipeline] = []
        self.infos: dict[Key, Any] = {}  # PipelineInfo of what is there
        self.waited: set[Key] = set()

    @classmethod
    def validate(cls, item: Pipeline) -> None:
        if item.spec_src is not KEEP:
            if item.spec is not KEEP:
                raise OptionError("spec_src", "cannot be given together with spec", "Give one of them")
            if item.state != "absent":
                item.spec = loaded(item)
        if item.spec is KEEP or item.state == "absent":
            return
        said = item.spec.get("pipeline") or {}
        called = said.get("name") or item.name, (said.get("project") or {}).get("name") or item.project
        for option, inside, outside in zip(("name", "project"), called, (item.name, item.project)):
            if inside != outside:
                raise OptionError(option, "it is %s, and the spec says %s" % (outside, inside), "Make them the same")

    # --- reading

    @property
    def modern(self) -> bool:
        """Whether the server keeps documents and can be asked what it would make of one."""
        return bool(self.client.can("pipeline_v2"))

    def expand(self, items: list[Pipeline]) -> list[Pipeline]:
        self.items = items
        needs = {item.key: self._needs(item) for item in items if item.state != "absent" and item.spec is not KEEP}
        left = set(needs)
        while left:
            ready = {key for key in left if not left.intersection(needs[key])}
            if not ready:
                names = ", ".join(sorted("/".join(key) for key in left))
                raise OptionError("spec", "%s read each other's output in a circle" % names)
            left -= ready
        return items

    @staticmethod
    def _canon(item: Pipeline, keep_presence: bool) -> State:
        """An item's spec in its one form."""
        return spec.canon(spec.sendable(item.spec, item.name, item.project), item.project, keep_presence)

    def _needs(self, item: Pipeline) -> set[Key]:
        """The repos that an item's spec reads."""
        return set(spec.sources(self._canon(item, False)))

    def read(self, items: list[Pipeline]) -> dict[Key, State]:
        homes: dict[str, list[Pipeline]] = {}
        for item in items:
            homes.setdefault(item.project, []).append(item)
        for project, members in homes.items():
            self.client.project(project)  # refuses one that an old server would take for its only one
            if len(members) > things.FEW:
                self._listed(project, {item.key for item in members})
            else:
                self.run.workers.each(self._look, members)
        return {item.key: self._state(item, self.infos[item.key]) for item in items if item.key in self.infos}

    def _look(self, item: Pipeline) -> Any:
        """The PipelineInfo of an item as it is now, or None."""
        found = things.pipeline_of(self.client, item.project, item.name, details=not self.modern)
        if found is not None and self.modern and not found.user_spec_json:
            found = things.pipeline_of(self.client, item.project, item.name, details=True)
        if found is None:
            self.infos.pop(item.key, None)
        else:
            self.infos[item.key] = found
        return found

    def _listed(self, project: str, keys: set[Key]) -> None:
        fields: dict[str, Any] = {"details": True}
        if self.client.can("projects"):
            fields["projects"] = [{"name": project}]
        request = self.client.message("pps_v2.ListPipelineRequest", **fields)
        for info in self.client.stream("pps_v2.API/ListPipeline", request):
            place = things.place(info.pipeline)
            if place in keys:
                self.infos[place] = info

    def _kept(self, info: Any) -> bool:
        """Whether the server has the document that the user wrote."""
        return self.modern and bool(info.user_spec_json)

    def _state(self, item: Pipeline, info: Any) -> State:
        if self._kept(info):
            told = spec.canon(json.loads(info.user_spec_json), item.project, True, lenient=True)
        else:
            told = spec.of_details(info, self.client.version, item.project)
        enum = info.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number.get(info.state)
        found: State = {"spec": told, "stopped": bool(info.stopped), "version": int(info.version)}
        found["pipeline_state"] = short(enum.name) if enum else str(info.state)
        if info.reason:
            found["reason"] = info.reason
        return found

    # --- planning

    def plan(self, item: Pipeline, present: State | None) -> Change | None:
        # what changes by itself is no part of a diff
        before = None if present is None else {name: present[name] for name in ("spec", "stopped")}
        if item.state == "absent":
            return None if before is None else Change(item, "deleted", before, None)
        if item.spec is not KEEP:
            self._known(item)
        halted = item.state == "stopped"
        if before is None:
            if item.spec is KEEP:
                hint = "Give spec or spec_src"
                raise StorageError("it does not exist, and there is no spec", operation="read pipeline", hint=hint)
            if self.run.check and self.modern:
                self._validated(item)
            fields = {"spec": self._canon(item, self.modern), "stopped": halted}
            return Change(item, "created", None, dict(fields), fields)
        fields = {} if item.spec is KEEP else self._differs(item, before)
        if item.state != "present" and halted != before["stopped"]:
            fields["stopped"] = halted
        return Change(item, "updated", before, {**before, **fields}, fields) if fields else None

    def _known(self, item: Pipeline) -> None:
        """Raises OptionError for what this server would silently drop, and then never have."""
        if item.compare == "effective":
            self.client.need("pipeline_v2", "compare: effective")
        rows = spec.newer(item.spec, self.client.version)
        if not self.client.can("projects"):
            rows += [("its input", "2.5") for project, _repo in self._needs(item) if project != common.DEFAULT]
        if rows:
            told = "%s needs Pachyderm %s, this is %s" % (*rows[0], ".".join(map(str, self.client.version)))
            raise OptionError("spec", told, "Leave it out, or upgrade")

    def _differs(self, item: Pipeline, before: State) -> State:
        """What is not as the spec says; before gets what only a comparison of effective specs shows."""
        info, want = self.infos[item.key], self._canon(item, True)
        if not self._kept(info):
            told = self._dry_run(item) if self.modern else self._canon(item, False)
            plain = spec.defaulted(spec.canon(told, item.project, False, lenient=True))
            before["spec"] = spec.aligned(before["spec"], plain)
            return {} if before["spec"] == plain else {"spec": plain}
        same = want == before["spec"]
        if same and item.compare == "user":
            return {}
        coming = spec.canon(self._dry_run(item), item.project, False, lenient=True)
        there = spec.canon(json.loads(info.effective_spec_json or "{}"), item.project, False, lenient=True)
        there["pipeline"] = coming["pipeline"]  # documents of others may leave it out
        if coming == there:
            return {}
        if same:
            before["effective_spec"] = there
            return {"effective_spec": coming}
        return {"spec": want}

    def _json(self, item: Pipeline) -> str:
        return json.dumps(spec.sendable(item.spec, item.name, item.project), ensure_ascii=False)

    def _dry_run(self, item: Pipeline) -> Any:
        """The effective spec that the server would make of an item's."""
        fields = {"create_pipeline_request_json": self._json(item), "dry_run": True, "update": True}
        request = self.client.message("pps_v2.CreatePipelineV2Request", **fields)
        try:
            reply = self.client.call(CREATE_V2, request, safe=True, operation="check spec")
        except StorageError as error:
            raise self._hinted(error) from None
        return json.loads(reply.effective_create_pipeline_request_json)

    def _validated(self, item: Pipeline) -> None:
        """The server's opinion of a spec; a project that is missing yet is no fault of it."""
        try:
            self._dry_run(item)
        except StorageError as error:
            if "defaults for project" not in error.server_message:
                raise
            told = "pipeline %s: the server cannot check its spec before its project is there"
            self.run.warnings.append(told % item.label())

    # --- making

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """Pipelines after those whose output they read; the other way round where they go, and that last."""
        going = [group for group in groups if group[0].action == "deleted"]
        coming = [group for group in groups if group[0].action != "deleted"]
        reads = {group[0].item.key: self._reads(group[0]) for group in groups}

        def readers(change: Change) -> set[Key]:
            return {key for key, needs in reads.items() if change.item.key in needs}

        return things.waves(coming, lambda change: reads[change.item.key]) + things.waves(going, readers)

    def _reads(self, change: Change) -> set[Key]:
        """The repos that a pipeline reads: as it is to be, or where it goes as it is."""
        if change.action != "deleted":
            found = change.item.spec
            return set() if found is KEEP else self._needs(change.item)
        info, item = self.infos[change.item.key], change.item
        if self._kept(info):
            effective = json.loads(info.effective_spec_json or info.user_spec_json)
            return set(spec.sources(spec.canon(effective, item.project, False, lenient=True)))
        return set(spec.sources((change.before or {})["spec"]))

    def make(self, group: list[Change]) -> list[Made]:
        return [self._made(change) for change in group]

    def _made(self, change: Change) -> Made:
        item = change.item
        if change.action == "deleted":
            self._delete(item)
            return Made(change)
        if change.action == "created" or {"spec", "effective_spec"}.intersection(change.fields):
            self._write(change)
        info = self.infos[item.key]
        want = change.fields.get("stopped", info.stopped)
        if bool(want) != bool(info.stopped):
            verb = "Stop" if want else "Start"
            request = self.client.message(
                "pps_v2.%sPipelineRequest" % verb, pipeline=self.client.pipeline(item.project, item.name)
            )
            self.client.call("pps_v2.API/%sPipeline" % verb, request, operation="%s pipeline" % verb.lower())
            info = self._look(item)
        if info is None:
            raise StorageError("it was there, and is gone", operation="read pipeline", hint="Run the task again")
        return Made(change, self._state(item, info))

    def _write(self, change: Change) -> None:
        item, update = change.item, change.action == "updated"
        old = int(self.infos[item.key].version) if update else 0
        verbs = {"update": update, "reprocess": update and item.reprocess}
        operation = "%s pipeline" % ("update" if update else "create")
        try:
            if self.modern:
                fields = {"create_pipeline_request_json": self._json(item), **verbs}
                request = self.client.message("pps_v2.CreatePipelineV2Request", **fields)
                self.client.call(CREATE_V2, request, operation=operation)
            else:
                document = spec.sendable(item.spec, item.name, item.project)
                request = spec.request(document, self.client.version, **verbs)
                self.client.call(CREATE, request, operation=operation)
        except StorageError as error:
            if not self._arrived(item, old, error):
                raise self._hinted(error) from None
        info = self._look(item)
        if info is None or info.version <= old:
            raise StorageError(
                "Pachyderm took the spec, and %s" % ("its version is still %d" % old if old else "shows no pipeline"),
                operation=operation,
                hint="Look at it with pachctl inspect pipeline, and run the task again",
            )

    def _arrived(self, item: Pipeline, old: int, error: StorageError) -> bool:
        """Whether what was sent has been done although the answer got lost."""
        if error.fatal or kind(error) or error.code not in LOST:
            return False
        try:
            info = self._look(item)
        except StorageError:
            return False
        if info is None or info.version != old + 1 or not self._kept(info):
            return False
        return bool(self._state(item, info)["spec"] == self._canon(item, True))

    def _delete(self, item: Pipeline) -> None:
        request = self.client.message(
            "pps_v2.DeletePipelineRequest",
            pipeline=self.client.pipeline(item.project, item.name),
            force=item.force,
            keep_repo=item.keep_repo,
        )
        try:
            self.client.call("pps_v2.API/DeletePipeline", request, timeout=things.LONG, operation="delete pipeline")
        except StorageError as error:
            lost = kind(error) == "missing" or (error.code in LOST and not error.fatal)
            if not lost or self._look(item) is not None:
                raise self._hinted(error) from None
        if self._look(item) is not None:
            told = "Pachyderm said it is deleted, and it is still there"
            raise StorageError(told, operation="delete pipeline", hint="Look whether the token may delete it")

    @staticmethod
    def _hinted(error: StorageError) -> StorageError:
        """The error with what to do about it, where the server's words tell."""
        words = "%s %s" % (error.server_message, error.message)
        found = next((hint for text, hint in HINTS if text in words), "")
        if not found and kind(error) == "missing" and "repo " in words:
            found = "Make the repo first with pachyderm_repo, or declare the pipeline that fills it in the same batch"
        error.hint = found or error.hint or "Mend what the server says, and run the task again"
        return error

    # --- waiting

    def settle(self, made: Made) -> None:
        item = made.change.item
        if item.wait and made.change.action != "deleted":
            state = self._waited(item)
            if made.state is not None:
                made.state.clear()
                made.state.update(state)

    def finish(self, complete: bool) -> None:
        for item in self.items:
            there = item.key in self.infos and self.run.mine(item.key)
            if complete and item.wait and item.state != "absent" and item.key not in self.waited and there:
                self._waited(item)

    def _waited(self, item: Pipeline) -> State:
        """The state of an item once it runs, or is paused where it is stopped. Raises StorageError after a while."""
        self.waited.add(item.key)
        end, pause = time.monotonic() + item.wait_timeout, 0.2
        while True:
            info = self.infos.get(item.key)
            if info is None:
                told = "it is gone while it is waited for"
                raise StorageError(told, operation="wait for pipeline", hint="Run the task again")
            state = self._state(item, info)
            now = state["pipeline_state"]
            if now in (STOPPED if state["stopped"] else RUNS):
                return state
            if now == "failure" or time.monotonic() >= end:
                raise self._late(item, state)
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
            pause = min(pause * 1.5, 3.0)
            self._look(item)

    @staticmethod
    def _late(item: Pipeline, state: State) -> StorageError:
        now = state["pipeline_state"]
        told = "pipeline %s is in state %s" % (item.label(), now)
        if now != "failure":
            told += " after %d seconds" % item.wait_timeout
        error = StorageError(
            "%s: %s" % (told, state["reason"]) if state.get("reason") else told,
            operation="wait for pipeline",
            code=now,
            server_message=state.get("reason", ""),
            hint="Look at its image, its secrets and what its workers log; raise wait_timeout when it needs longer",
        )
        error.item = item.label()
        return error
