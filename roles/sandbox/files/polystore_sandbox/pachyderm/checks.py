# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachd fills into a pipeline's request, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

MAX_NAME, MAX_KUBERNETES = 51, 63
MANY = ("join", "group", "cross", "union")


class SpecError(ValueError):
    """A request that is well formed and still makes no pipeline; the text is the server's."""


def leaves(given: Any) -> Iterator[Any]:
    """The pfs and cron inputs, from the left."""
    if given.HasField("pfs") or given.HasField("cron"):
        yield given
    for kind in MANY:
        for child in getattr(given, kind):
            yield from leaves(child)


def input_name(given: Any) -> str:
    """The name by which an input is sorted among its siblings."""
    if given.HasField("pfs"):
        return str(given.pfs.name)
    if given.HasField("cron"):
        return str(given.cron.name)
    for kind in MANY:
        children = getattr(given, kind)
        if children:
            return input_name(children[0])
    return ""


def sort_inputs(given: Any) -> None:
    """Children by the name that the user wrote; those without one stay in their order, first."""
    for kind in MANY:
        children = list(getattr(given, kind))
        for child in children:
            sort_inputs(child)
        children = [_copied(child) for child in sorted(children, key=input_name)]
        given.ClearField(kind)
        getattr(given, kind).extend(children)


def _copied(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def fill(request: Any, now: Callable[[Any], None], projects: bool) -> None:
    """Puts into a CreatePipelineRequest what the server puts there; `now` sets a Timestamp."""
    project = request.pipeline.project.name if projects else ""
    if not request.transform.image:
        request.transform.image = "ubuntu:20.04"
    request.output_branch = request.output_branch or "master"
    request.datum_tries = request.datum_tries or 3
    request.reprocess_spec = request.reprocess_spec or "until_success"
    for service in (request.service, request.spout.service):
        if service.ByteSize() or (service is request.service and request.HasField("service")):
            service.type = service.type or "NodePort"
    if not request.HasField("input"):
        return
    sort_inputs(request.input)
    for number, leaf in enumerate(leaves(request.input), 1):
        if leaf.HasField("pfs"):
            _fill_pfs(leaf.pfs, request.pipeline.name, project, number)
        else:
            cron = leaf.cron
            if not cron.HasField("start"):
                now(cron.start)
            cron.repo = cron.repo or f"{request.pipeline.name}_{cron.name}"
            cron.project = cron.project or project


def _fill_pfs(pfs: Any, pipeline: str, project: str, number: int) -> None:
    pfs.name = pfs.name or pfs.repo
    pfs.repo_type = pfs.repo_type or "user"
    pfs.project = pfs.project or project
    if pfs.HasField("trigger"):
        pfs.trigger.branch = pfs.trigger.branch or pfs.branch or "master"
        pfs.branch = f"{pipeline}-trigger-{number}"
    pfs.branch = pfs.branch or "master"
    if pfs.glob:
        pfs.glob = "/" + pfs.glob.lstrip("/")


def check_name(project: str, name: str) -> None:
    """A pipeline's name; SpecError."""
    if not name:
        raise SpecError("request.Pipeline.Name cannot be empty")
    ancestry = re.search(r"[\^.~]", name)
    if ancestry:
        mark, rest = ancestry.group(), name[ancestry.end() :]
        odd = next((char for char in rest if char not in "0123456789" + mark), None)
        if odd is not None:
            raise SpecError(f'invalid ancestry syntax "{name}", cannot mix {mark} and {odd} characters')
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", name):
        words = "only alphanumeric characters, underscores, and dashes are allowed"
        raise SpecError(f"name ({name}) invalid: {words}")
    over = len(name) - MAX_NAME
    if over > 0:
        raise SpecError(f'pipeline name "{name}" is {over} characters longer than the {MAX_NAME} max')
    kubernetes = f"{project or 'pipeline'}-{name}-v99".replace("_", "-").lower()
    over = len(kubernetes) - MAX_KUBERNETES
    if over > 0:
        raise SpecError(f'Kubernetes name "{kubernetes}" is {over} characters longer than the {MAX_KUBERNETES} max')


def check_input(given: Any) -> None:
    """An input, after `fill`; SpecError."""
    kinds = sum(given.HasField(kind) for kind in ("pfs", "cron")) + sum(bool(getattr(given, kind)) for kind in MANY)
    if kinds != 1:
        raise SpecError("no input set" if not kinds else "multiple input types set")
    if given.HasField("pfs"):
        _check_pfs(given.pfs)
    if given.HasField("cron"):
        if not given.cron.name:
            raise SpecError("input must specify a name")
        if not schedule(given.cron.spec):
            raise SpecError(f"error parsing cron-spec: {schedule_complaint(given.cron.spec)}")
    for kind in MANY:
        for child in getattr(given, kind):
            check_input(child)
    for kind in ("cross", "join", "group"):
        seen: set[str] = set()
        for child in getattr(given, kind):
            for name in {input_name(leaf) for leaf in leaves(child)}:
                if name in seen:
                    raise SpecError(f'name "{name}" was used more than once')
                seen.add(name)


def _check_pfs(pfs: Any) -> None:
    if not pfs.name:
        raise SpecError("input must specify a name")
    if pfs.name == "out":
        words = "as pachyderm already creates /pfs/out to collect job output"
        raise SpecError(f'input cannot be named "out", {words}')
    if not pfs.repo:
        raise SpecError("input must specify a repo")
    if not pfs.glob and not pfs.s3:
        raise SpecError("input must specify a glob")
    if pfs.s3 and pfs.glob != "/":
        words = "as the S3 gateway is only able to expose data at the commit level"
        raise SpecError(f"inputs that set 's3' to 'true' must also set 'glob', to \"/\", {words}")


def schedule(spec: str) -> bool:
    """True for what a cron schedule may be."""
    every = re.fullmatch(r"@every (\d+(\.\d+)?(ns|us|ms|s|m|h))+", spec)
    named = spec in ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
    fields = re.fullmatch(r"[\d*/,A-Za-z?-]+( +[\d*/,A-Za-z?-]+){4}", spec)
    return bool(every or named or fields)


def schedule_complaint(spec: str) -> str:
    """What is wrong with one that is none."""
    count = len(spec.split())
    if spec.startswith("@"):
        return f"Unrecognized descriptor: {spec}"
    return f"Expected exactly 5 fields, found {count}: {spec}" if count != 5 else f"Failed to parse int from {spec}"


def check_request(request: Any) -> None:
    """All that needs no look at other things, after `fill`; SpecError."""
    service, spout = request.HasField("service"), request.HasField("spout")
    if request.HasField("tf_job"):
        raise SpecError("embedding TFJobs in pipelines is not supported yet")
    if request.HasField("input"):
        check_input(request.input)
    if service and request.parallelism_spec.constant not in (0, 1):
        raise SpecError("services can only be run with a constant parallelism of 1")
    if spout and not request.spout.HasField("service") and request.HasField("input"):
        raise SpecError("spout pipelines (without a service) must not have an input")
    if spout and request.autoscaling:
        raise SpecError("autoscaling can't be used with spouts (spouts aren't triggered externally)")
    if request.s3_out and (service or spout):
        raise SpecError("s3 output is not supported in spouts or services")
    if request.reprocess_spec not in ("until_success", "every_job"):
        words = "Valid values are 'until_success' and 'every_job'"
        raise SpecError(f"invalid pipeline spec: ReprocessSpec '{request.reprocess_spec}' not recognized. {words}")
    if request.pod_patch:
        try:
            json.loads(request.pod_patch)
        except ValueError as exc:
            raise SpecError("malformed PodPatch") from exc


def details(request: Any, into: Any) -> None:
    """Copies a filled request into a PipelineInfo.Details, whose numbers are others."""
    names = {field.name for field in into.DESCRIPTOR.fields}
    for field, value in request.ListFields():
        if field.name not in names or field.name in ("salt", "pipeline"):
            continue
        if field.message_type is not None and hasattr(value, "CopyFrom"):
            getattr(into, field.name).CopyFrom(value)
        elif hasattr(value, "MergeFrom") or isinstance(value, (list, tuple)) or hasattr(value, "extend"):
            getattr(into, field.name).extend(value)
        else:
            setattr(into, field.name, value)
    into.datum_tries = request.datum_tries
