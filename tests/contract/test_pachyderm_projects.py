# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects of Pachyderm: what is left of a deleted one, and what is too new for a server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.defaults import document
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.projects import Projects
from ansible_collections.polystore.storage.tests.contract.cases_pachyderm_repos import DEFAULTS
from ansible_collections.polystore.storage.tests.contract.pachyderm_place import SERVERS, Place

pytestmark = [pytest.mark.server, pytest.mark.pachyderm]


@pytest.fixture
def place(pachd_server: Any) -> Place:
    return Place(Projects, pachd_server)


def defaults(place: Place, project: str) -> Any:
    """The defaults that the server keeps for a project, in their one form."""
    found = place.call("pps_v2.API/GetProjectDefaults", project={"name": project})
    return document(json.loads(found.project_defaults_json))


def test_description_and_metadata_are_set_one_by_one(place: Place) -> None:
    name = place.name("p")
    place.twice(name=name, description="a", metadata={"k": "v", "flag": True, "number": 3})
    mark = place.server.mark()
    result = place.twice(name=name, description="b")
    assert place.sent(mark) == ["CreateProject"]
    assert result["resource"]["metadata"] == {"k": "v", "flag": "true", "number": "3"}
    mark = place.server.mark()
    result = place.twice(name=name, metadata={"k": None, "new": "ü"})
    assert place.sent(mark) == ["EditMetadata"]
    assert result["resource"]["metadata"] == {"flag": "true", "number": "3", "new": "ü"}
    assert result["resource"]["description"] == "b"
    assert place.twice(name=name, metadata={"new": "ü"}, purge_metadata=True)["resource"]["metadata"] == {"new": "ü"}
    assert place.twice(name=name, description="")["resource"]["description"] == ""


def test_one_that_holds_something_is_not_deleted_unless_forced(place: Place) -> None:
    name = place.name("p")
    place.ok(name=name)
    source = place.repo("src")
    place.put(source)
    inside = place.repo("in", project=name)
    place.pipeline("pipe", source, project=name)
    told = place.refused(name=name, state="absent")
    assert "it still holds 2 repos" in told and inside in told and "force: true" in told
    mark = place.server.mark()
    place.twice(name=name, state="absent", force=True)
    assert place.sent(mark) == ["DeletePipelines", "DeleteRepos", "DeleteProject"]
    assert place.info(inside, project=name) is None
    assert place.info(source) is not None


def test_one_in_use_by_another_project_is_deleted_by_force(place: Place) -> None:
    name, other = place.name("p"), place.name("o")
    place.ok(batch=[{"name": name}, {"name": other}])
    inside = place.repo("in", project=name)
    branch = place.client.branch(other, place.repo("out", project=other), "master")
    place.call("pfs_v2.API/CreateBranch", branch=branch, provenance=[place.client.branch(name, inside, "master")])
    place.twice(name=name, state="absent", force=True)
    assert place.refused(name=other, state="absent").count("it still holds 1 repo ") == 1


def test_defaults_do_not_outlive_their_project(place: Place) -> None:
    name = place.name("p")
    mark = place.server.mark()
    result = place.twice(name=name, defaults=DEFAULTS)
    assert place.sent(mark) == ["CreateProject", "SetProjectDefaults"]
    told = {"create_pipeline_request": {"resource_requests": {"cpu": 1.0}, "transform": {"image": "alpine"}}}
    assert result["resource"]["defaults"] == defaults(place, name) == told
    place.twice(name=name, state="absent")
    place.ok(name=name)
    assert defaults(place, name) == {}
    # Somebody else has deleted it without a thought.
    place.ok(name=name, defaults=DEFAULTS)
    place.call("pfs_v2.API/DeleteProject", project={"name": name})
    place.ok(name=name)
    assert defaults(place, name) == {}
    place.call("pfs_v2.API/DeleteProject", project={"name": name})
    place.twice(name=name, defaults={})
    place.twice(name=name, defaults=DEFAULTS)
    place.twice(name=name, defaults={})
    place.same(name=name, defaults={"createPipelineRequest": {}})


def test_what_defaults_cannot_be_is_told_by_its_path(place: Place) -> None:
    told = place.refused(name=place.name("p"), defaults={"createPipelineRequest": {"transform": {"frobnicate": 1}}})
    assert "frobnicate" in told and "transform" in told


def test_what_was_done_before_a_failure_is_told(place: Place) -> None:
    name = place.name("p")
    place.server.fault("status", method=".*SetProjectDefaults", status="PERMISSION_DENIED", body="not you")
    result = place.run(name=name, defaults=DEFAULTS)
    place.server.clear_faults()
    assert result["failed"] is True
    assert "the project was created, but then" in result["msg"] and "not you" in result["msg"]
    assert place.twice(name=name, defaults=DEFAULTS)["resource"]["action"] == "updated"


def test_many_are_read_with_one_call(place: Place) -> None:
    names = [place.name("p%d" % number) for number in range(9)]
    batch = [{"name": name} for name in names]
    place.ok(batch=batch, description="many")
    mark = place.server.mark()
    assert place.same(batch=batch, description="many")["summary"]["unchanged"] == 9
    assert [call for call in place.asked(mark) if call != "GetVersion"] == ["ListProject"]
    assert place.ok(batch=batch, state="absent")["summary"]["deleted"] == 9


def test_the_default_project_is_never_deleted(place: Place) -> None:
    for force in (False, True):
        assert "the project default is never deleted" in place.refused(name="default", state="absent", force=force)
    place.same(name="default")


@pytest.mark.parametrize(
    ("version", "options", "told"),
    [
        ("2.0", {}, "A project needs Pachyderm 2.5"),
        ("2.4", {"state": "absent"}, "A project needs Pachyderm 2.5"),
        ("2.7", {"defaults": DEFAULTS}, "defaults needs Pachyderm 2.8"),
        ("2.8", {"metadata": {"k": "v"}}, "metadata needs Pachyderm 2.10"),
    ],
)
def test_what_is_too_new_is_refused_by_name(
    request: pytest.FixtureRequest, version: str, options: dict[str, Any], told: str
) -> None:
    place = Place(Projects, request.getfixturevalue(SERVERS[version]))
    assert told in place.refused(name=place.name("p"), **options)


@pytest.mark.parametrize("version", ["2.7", "2.8"])
def test_what_an_old_server_lacks_is_not_missed_where_nothing_is_wanted(
    request: pytest.FixtureRequest, version: str
) -> None:
    place = Place(Projects, request.getfixturevalue(SERVERS[version]))
    name = place.name("p")
    place.twice(name=name, defaults={}, metadata={"k": None}, purge_metadata=True)
    place.twice(name=name, state="absent")
