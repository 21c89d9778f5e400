# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repos of Pachyderm: what depends on them, what the server only seems to delete, and roles."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.repos import Repos
from ansible_collections.polystore.storage.tests.contract.pachyderm_place import SERVERS, Place

pytestmark = [pytest.mark.server, pytest.mark.pachyderm]
EVERY = pytest.mark.parametrize("place", SERVERS, indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """A place on the newest server, or on that of a parameter's version."""
    version = getattr(request, "param", "2.12")
    return Place(Repos, request.getfixturevalue(SERVERS[version]))


def derive(place: Place, repo: str, *sources: str, branch: str = "master") -> None:
    """A branch with provenance."""
    links = [place.client.branch("default", source, "master") for source in sources]
    place.call("pfs_v2.API/CreateBranch", branch=place.client.branch("default", repo, branch), provenance=links)


@EVERY
def test_description(place: Place) -> None:
    name = place.name("r")
    assert place.twice(name=name)["resource"]["action"] == "created"
    place.same(name=name, description="")
    place.twice(name=name, description="ü")
    place.same(name=name)
    assert place.info(name).description == "ü"
    place.twice(name=name, description="")
    place.twice(name=name, state="absent")
    assert place.info(name) is None


@EVERY
def test_the_output_of_a_pipeline_is_not_deleted(place: Place) -> None:
    source = place.repo("src")
    place.put(source)
    output = place.pipeline("out", source)
    for force in (False, True):
        told = place.refused(name=output, state="absent", force=force)
        assert "it is the output of the pipeline of its name" in told and "Delete the pipeline" in told
    assert place.info(output) is not None


@EVERY
def test_one_that_others_depend_on_is_deleted_by_force_only(place: Place) -> None:
    source, other = place.repo("src"), place.repo("other")
    place.put(source)
    derive(place, other, source)
    told = place.refused(name=source, state="absent")
    assert "it is needed by 1 repo (default/%s)" % other in told and "force: true" in told
    place.twice(name=source, state="absent", force=True)
    assert place.info(other) is not None


@EVERY
def test_dependent_ones_go_in_the_right_order(place: Place) -> None:
    names = [place.repo("r%d" % number) for number in range(4)]
    place.put(names[0])
    for source, name in itertools.pairwise(names):
        derive(place, name, source)
    batch = [{"name": name} for name in names]
    place.twice(batch=batch, state="absent")
    assert [place.info(name) for name in names] == [None] * 4


@EVERY
def test_a_trigger_inside_is_no_reason_for_force(place: Place) -> None:
    name = place.repo()
    place.put(name, branch="dev")
    branch = place.client.branch("default", name, "master")
    place.call("pfs_v2.API/CreateBranch", branch=branch, trigger={"branch": "dev", "commits": 2})
    place.twice(name=name, state="absent")
    assert place.info(name) is None


def test_many_are_read_with_one_call_a_project(place: Place) -> None:
    batch: list[dict[str, Any]] = [{"name": place.name("r%d" % number)} for number in range(9)]
    place.ok(batch=batch, description="many")
    mark = place.server.mark()
    assert place.same(batch=batch, description="many")["summary"]["unchanged"] == 9
    assert [call for call in place.asked(mark) if call != "GetVersion"] == ["ListRepo"]
    mark = place.server.mark()
    assert place.ok(batch=batch, state="absent")["summary"]["deleted"] == 9
    assert place.asked(mark).count("ListPipeline") == 1
    assert "InspectPipeline" not in place.asked(mark)


def test_metadata(place: Place) -> None:
    name = place.name("r")
    result = place.twice(name=name, metadata={"k": "v", "flag": False, "number": 1.5})
    assert result["resource"]["metadata"] == {"k": "v", "flag": "false", "number": "1.5"}
    place.twice(name=name, metadata={"k": None})
    place.twice(name=name, metadata={"only": "this"}, purge_metadata=True)
    place.twice(name=name, description="kept beside it")
    assert dict(place.info(name).metadata) == {"only": "this"}
    place.twice(name=name, purge_metadata=True)
    assert dict(place.info(name).metadata) == {}


@pytest.mark.parametrize("place", ["2.0", "2.8"], indirect=True)
def test_metadata_are_too_new_for_old_servers(place: Place) -> None:
    assert "metadata needs Pachyderm 2.10" in place.refused(name=place.name("r"), metadata={"k": "v"})


@pytest.mark.parametrize("place", ["2.0", "2.4"], indirect=True)
def test_projects_are_too_new_for_old_servers(place: Place) -> None:
    for state in ("present", "absent"):
        assert "2.5" in place.refused(name=place.name("r"), project="other", state=state)


def test_repos_of_two_projects_with_one_name(place: Place) -> None:
    project, name = place.name("p"), place.name("r")
    place.call("pfs_v2.API/CreateProject", project={"name": project})
    batch = [{"name": name, "project": project, "description": "there"}, {"name": name, "description": "here"}]
    place.twice(batch=batch)
    assert place.info(name).description == "here"
    assert place.info(name, project=project).description == "there"
    place.twice(name=name, project=project, state="absent")
    assert place.info(name) is not None


def test_a_missing_project_is_told(place: Place) -> None:
    result = place.run(name=place.name("r"), project=place.name("nowhere"))
    assert result["failed"] is True
    assert result["failures"][0]["code"] == "NOT_FOUND"
    place.same(name=place.name("r"), project=place.name("nowhere"), state="absent")


def test_what_was_done_before_a_failure_is_told(place: Place) -> None:
    name = place.name("r")
    place.server.fault("status", method=".*EditMetadata", status="PERMISSION_DENIED", body="not you")
    result = place.run(name=name, metadata={"k": "v"})
    place.server.clear_faults()
    assert result["failed"] is True
    assert "the repo was created, but then" in result["msg"] and "not you" in result["msg"]
    assert place.twice(name=name, metadata={"k": "v"})["resource"]["action"] == "updated"


def test_roles_need_authentication(place: Place) -> None:
    name = place.name("r")
    roles = {"robot:r": ["repoReader"]}
    assert "roles: authentication is not active on this server" in place.refused(name=name, roles=roles)
    place.twice(name=name, roles={})


# --- with authentication

ROOT, BOT = "root-token-of-a-test", "bot-token-of-a-test"


@pytest.fixture
def guarded(pachd_server: Any) -> Place:
    """A place on a server that asks who comes: the root, unless a task has the token BOT."""
    pachd_server.behave(auth=ROOT, tokens={BOT: "robot:bot"})
    return Place(Repos, pachd_server, auth_token=ROOT)


def roles(place: Place, name: str, project: str = "default") -> dict[str, list[str]]:
    """What the server keeps: the roles of each principal."""
    found = place.call("auth_v2.API/GetRoleBinding", resource={"type": "REPO", "name": "%s/%s" % (project, name)})
    return {principal: sorted(given.roles) for principal, given in found.binding.entries.items()}


def test_roles_are_set_by_principal(guarded: Place) -> None:
    name = guarded.name("r")
    guarded.twice(name=name, roles={"robot:a": ["repoWriter", "repoReader"], "allClusterUsers": "repoReader"})
    owner = {"pach:root": ["repoOwner"]}
    everybody = {"allClusterUsers": ["repoReader"]}
    assert roles(guarded, name) == {**owner, **everybody, "robot:a": ["repoReader", "repoWriter"]}
    guarded.same(name=name, roles={"robot:a": ["repoReader", "repoWriter", "repoReader"]})
    guarded.same(name=name, roles={"robot:nobody": []})
    mark = guarded.server.mark()
    result = guarded.twice(name=name, roles={"robot:a": ["repoReader"], "group:b": ["repoOwner"]})
    assert guarded.sent(mark) == ["ModifyRoleBinding"] * 2
    assert result["resource"]["roles"] == {**owner, **everybody, "robot:a": ["repoReader"], "group:b": ["repoOwner"]}
    guarded.twice(name=name, roles={"robot:a": None, "group:b": []})
    assert roles(guarded, name) == {**owner, **everybody}
    guarded.twice(name=name, description="kept beside it")
    guarded.twice(name=name, state="absent")


def test_roles_in_another_project(guarded: Place) -> None:
    project, name = guarded.name("p"), guarded.name("r")
    guarded.call("pfs_v2.API/CreateProject", project={"name": project})
    guarded.twice(name=name, project=project, roles={"robot:a": ["repoReader"]})
    assert roles(guarded, name, project)["robot:a"] == ["repoReader"]


def test_an_unknown_role_is_told_with_what_was_done(guarded: Place) -> None:
    name = guarded.name("r")
    result = guarded.run(name=name, roles={"robot:a": ["nope"]})
    assert "the repo was created, but then: set the roles of robot:a" in result["msg"]
    assert 'unknown role "nope"' in result["msg"]


def test_what_only_seems_to_be_deleted_is_told(guarded: Place) -> None:
    name = guarded.name("r")
    guarded.ok(name=name, roles={"robot:bot": ["repoReader"]})
    result = guarded.run(name=name, state="absent", auth_token=BOT)
    assert result["failed"] is True
    assert result["failures"][0]["code"] == "NOT_DELETED"
    assert "repoOwner" in result["msg"]
    assert guarded.info(name) is not None


def test_a_token_that_is_not_valid(guarded: Place) -> None:
    for options in ({"auth_token": "wrong-token"}, {"auth_token": None}):
        result = guarded.run(name=guarded.name("r"), **options)
        assert (result["failed"], result["failures"][0]["code"]) == (True, "UNAUTHENTICATED")
        assert "auth_token" in result["msg"]
        assert "wrong-token" not in str(result)
