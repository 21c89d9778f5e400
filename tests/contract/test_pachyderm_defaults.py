# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The defaults of a cluster: compared by meaning, checked by the server, and what they do to pipelines."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import defaults
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.defaults import ClusterDefaults
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.pipelines import Pipelines
from ansible_collections.polystore.storage.tests.contract.harness import PROMISES, Case, World
from ansible_collections.polystore.storage.tests.contract.pachyderm_place import Place
from ansible_collections.polystore.storage.tests.support.pachd import start_pachd
from ansible_collections.polystore.storage.tests.support.run import run_ok
from ansible_collections.polystore.storage.tests.support.sandboxes import need

pytestmark = [pytest.mark.server, pytest.mark.pachyderm]
VERSIONS = ("2.8.9", "2.12.0")  # servers of this file's own: regenerating touches all pipelines of a cluster
TRIES = {"createPipelineRequest": {"datumTries": 7}}


class Cluster(Place):
    """A place, and the whole cluster's defaults."""

    def __init__(self, server: Any) -> None:
        super().__init__(ClusterDefaults, server)
        request = self.client.message("pps_v2.GetClusterDefaultsRequest")
        self.was = self.client.call("pps_v2.API/GetClusterDefaults", request).cluster_defaults_json

    def set(self, text: str) -> None:
        self.call("pps_v2.API/SetClusterDefaults", cluster_defaults_json=text)

    def now(self) -> Any:
        request = self.client.message("pps_v2.GetClusterDefaultsRequest")
        return json.loads(self.client.call("pps_v2.API/GetClusterDefaults", request).cluster_defaults_json)

    def seen(self, name: str) -> Any:
        request = self.client.message("pps_v2.InspectPipelineRequest", pipeline=self.client.pipeline("default", name))
        return self.client.call("pps_v2.API/InspectPipeline", request)


@pytest.fixture(params=VERSIONS)
def place(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster without defaults; what it had is put back, and pipelines go."""
    need("grpc", "google.protobuf")
    found = Cluster(start_pachd(request.param))
    found.set("{}")
    yield found
    found.server.end_faults()
    for short in ("q", "p"):
        pipeline = found.client.pipeline("default", found.name(short))
        found.call("pps_v2.API/DeletePipeline", pipeline=pipeline)
    found.set(found.was)


ROW = Case(
    "defaults",
    ClusterDefaults,
    lambda world: {},
    lambda world: {"defaults": {"createPipelineRequest": {"description": world.name, "datumTries": "4"}}},
    lambda world: {"defaults": {"create_pipeline_request": {"datum_tries": 5}}, "regenerate": True},
    first="updated",
)


@pytest.mark.parametrize("promise", sorted(set(PROMISES) - {"left_alone"}))
def test_promise(place: Cluster, promise: str, tmp_path: pathlib.Path) -> None:
    """The contract; there is only one thing of the kind, and it has but one option."""
    PROMISES[promise](ROW, World(place.server, ClusterDefaults, place.name("x"), tmp_path))


def test_what_is_left_out_is_left_alone(place: Cluster) -> None:
    place.set(json.dumps(TRIES))
    assert place.same()["resource"]["defaults"] == {"create_pipeline_request": {"datum_tries": 7}}


@pytest.mark.parametrize(
    "other",
    [
        {"createPipelineRequest": {"datumTries": "7", "jobTimeout": "90s"}},
        {"create_pipeline_request": {"job_timeout": "90.0s", "datum_tries": 7.0}},
        {"createPipelineRequest": {"datumTries": 7, "jobTimeout": "90s", "update": True}, "$schema": "x"},
    ],
)
def test_other_words_for_the_same(place: Cluster, other: dict[str, Any]) -> None:
    place.ok(defaults={"createPipelineRequest": {"datumTries": 7, "jobTimeout": "90s"}})
    place.same(defaults=other)


def test_absent_is_none_at_all(place: Cluster) -> None:
    place.set(json.dumps(TRIES))
    assert place.twice(state="absent")["resource"]["action"] == "deleted"
    assert place.now() == {}
    place.same(defaults={})
    place.same(defaults={"createPipelineRequest": {}})


def test_pipelines_follow_only_where_that_was_asked_for(place: Cluster) -> None:
    name = place.pipeline("p", place.repo())
    result = place.twice(defaults=TRIES)
    assert "affected_pipelines" not in result["resource"]
    assert place.seen(name).version == 1
    mark = place.server.mark()
    result = place.twice(defaults=TRIES, regenerate=True)
    assert result["resource"]["affected_pipelines"] == ["default/" + name]
    assert place.sent(mark) == ["SetClusterDefaults"]
    info = place.seen(name)
    assert (info.version, json.loads(info.effective_spec_json)["datumTries"]) == (2, 7)
    place.same(defaults=TRIES, regenerate=True, reprocess=True)
    gone = place.ok(state="absent", regenerate=True, check=True)
    assert gone["resource"]["action"] == "deleted"
    gone = place.ok(state="absent", regenerate=True, reprocess=True)
    assert gone["resource"]["affected_pipelines"] == ["default/" + name]
    assert place.seen(name).version == 3


def test_a_pipeline_of_the_module_does_not_stand_in_the_way(place: Cluster) -> None:
    """Regenerating fails for all where one spec names no project: ours always does."""
    repo, name = place.repo(), place.name("p")
    spec = {"input": {"pfs": {"repo": repo, "glob": "/*"}}, "transform": {"image": "img:1", "cmd": ["true"]}}
    run_ok(Pipelines, place.server, name=name, spec=spec)
    assert place.ok(defaults=TRIES, regenerate=True)["resource"]["affected_pipelines"] == ["default/" + name]
    doc = {"pipeline": {"name": place.name("q")}, **spec}
    place.call("pps_v2.API/CreatePipelineV2", create_pipeline_request_json=json.dumps(doc))
    result = place.run(defaults={"createPipelineRequest": {"autoscaling": True}}, regenerate=True)
    assert "A pipeline whose spec has no pipeline.project.name" in result["msg"]
    assert place.now() == {"createPipelineRequest": {"datum_tries": 7}}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"defaults": {"datumTries": 1}}, "defaults: datumTries: unknown field, known are create_pipeline_request"),
        ({"defaults": {"createPipelineRequest": {"x": 1}}}, "defaults: createPipelineRequest.x: unknown field"),
        ({"defaults": {"createPipelineRequest": {"jobTimeout": "1h"}}}, 'createPipelineRequest.jobTimeout: "1h" is no'),
        ({"defaults": TRIES, "reprocess": True}, "reprocess: it does nothing without regenerate"),
    ],
)
def test_what_cannot_be_is_not_sent(place: Cluster, args: dict[str, Any], words: str) -> None:
    mark = place.server.mark()
    assert words in place.refused(**args)
    assert place.asked(mark) == []


def test_a_server_without_defaults(pachd_v27_server: Any) -> None:
    place = Place(ClusterDefaults, pachd_v27_server)
    assert "pachyderm_defaults needs Pachyderm 2.8, this is 2.7" in place.refused(defaults=TRIES)


def test_defaults_of_a_project(pachd_server: Any) -> None:
    """What the module of projects uses."""
    place = Place(ClusterDefaults, pachd_server)
    project = place.name("p")
    assert defaults.project_defaults(place.client, project) is None
    place.call("pfs_v2.API/CreateProject", project={"name": project})
    assert defaults.project_defaults(place.client, project) == {}
    assert defaults.set_project_defaults(place.client, project, defaults.document(TRIES)) == []
    assert defaults.project_defaults(place.client, project) == {"create_pipeline_request": {"datum_tries": 7}}
    defaults.set_project_defaults(place.client, project, {})
    assert defaults.project_defaults(place.client, project) == {}
