# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the defaults of the cluster and of a project make of a pipeline's document."""

from __future__ import annotations

import json
from typing import Any

from polystore_sandbox.pachyderm import specs
from polystore_sandbox.pachyderm.base import Refused
from polystore_sandbox.pachyderm.messages import message

REQUEST, WRAPPER = "pps_v2.CreatePipelineRequest", "pps_v2.ClusterDefaults"
BUILT_IN = {
    "createPipelineRequest": {
        "transform": {"image": "ubuntu:20.04"},
        "outputBranch": "master",
        "datumTries": "3",
        "reprocessSpec": "until_success",
    }
}
_RESOURCES = {"cpu": 1, "memory": "256Mi", "disk": "1Gi"}
# What a fresh cluster has; seen on 2.11 and 2.12.
FRESH = {"createPipelineRequest": {"resourceRequests": _RESOURCES, "sidecarResourceRequests": _RESOURCES}}


def compact(document: Any, ordered: bool = False) -> str:
    """JSON without blanks."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=ordered)


def fresh(version: tuple[int, ...]) -> str:
    """The cluster's defaults that nobody set."""
    return compact(FRESH) if version >= (2, 11) else "{}"


def checked(text: str) -> dict[str, Any]:
    """Defaults in camelCase; DocumentError."""
    descriptor = message(WRAPPER).DESCRIPTOR
    document = specs.parse(text, descriptor)
    specs.check_nulls(document, descriptor)
    return document


def effective(cluster: str, project: str, user: str) -> dict[str, Any]:
    """What the server makes of a user's document; Refused."""
    start = "could not make effective spec: "
    try:
        wanted = specs.parse(user, message(REQUEST).DESCRIPTOR)
    except specs.DocumentError as exc:
        words = f"{start}could not parse {user} as Create Pipeline Request message: proto: {exc}"
        raise Refused("INVALID_ARGUMENT", words) from exc
    wrapped = {"createPipelineRequest": wanted}
    try:
        specs.check_nulls(wrapped, message(WRAPPER).DESCRIPTOR)
    except specs.DocumentError as exc:
        wrapper = '{"createPipelineRequest":%s}' % user
        words = f"{start}could not merge user wrapper {wrapper}: could not canonicalize target object: {exc}"
        raise Refused("INVALID_ARGUMENT", words) from exc
    merged: Any = BUILT_IN
    for patch in (checked(cluster), checked(project), wrapped):
        merged = specs.merge(merged, patch)
    found: dict[str, Any] = merged["createPipelineRequest"]
    return found
