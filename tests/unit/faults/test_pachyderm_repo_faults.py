# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects, repos and branches on a pachd that stumbles: what was done is told, and the next run leads on from it."""

from __future__ import annotations

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.branches import Branches
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.projects import Projects
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.repos import Repos
from ansible_collections.polystore.storage.tests.contract.pachyderm_place import Place

pytestmark = [pytest.mark.server, pytest.mark.pachyderm]


@pytest.fixture
def place(pachd_server):
    found = Place(Repos, pachd_server)
    yield found
    pachd_server.clear_faults()


def told(result):
    """The first failure of a result that failed for a reason of the server's."""
    assert result["failed"] is True, result
    assert "exception" not in result
    return result["failures"][0]


@pytest.mark.parametrize("call", ["InspectRepo", "ListRepo"])
def test_a_read_is_asked_again(place, call):
    names = [place.name("r%d" % number) for number in range(1 if call == "InspectRepo" else 9)]
    place.ok(batch=[{"name": name} for name in names])
    place.server.fault("status", method=".*" + call, status="UNAVAILABLE", body="not yet", count=1)
    place.same(batch=[{"name": name} for name in names])


@pytest.mark.parametrize("status", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "ABORTED"])
def test_a_write_that_is_refused_is_not_made(place, status):
    name = place.name("r")
    place.server.fault("status", method=".*CreateRepo", status=status, body="out of luck", count=None)
    mark = place.server.mark()
    failure = told(place.run(name=name))
    assert (failure["code"], failure["server_message"]) == (status, "out of luck")
    assert place.sent(mark) == ["CreateRepo"]  # never twice
    place.server.clear_faults()
    place.twice(name=name)


@pytest.mark.parametrize(
    "words",
    ["commit unexpectedly resulted in rollback", "create repo: ERROR: current transaction is aborted (SQLSTATE 25P02)"],
)
def test_a_write_that_the_database_took_back_is_asked_again(place, words):
    """Nothing of it was left: pachd's transactions clash where much is written at a time (seen on a real 2.12)."""
    name = place.name("r")
    place.server.fault("status", method=".*CreateRepo", status="UNKNOWN", body=words, count=2)
    mark = place.server.mark()
    assert place.ok(name=name)["changed"] is True
    assert place.sent(mark) == ["CreateRepo"] * 3


def test_a_creation_whose_answer_is_lost(place):
    name = place.name("r")
    place.server.fault("close_after", method=".*CreateRepo", count=1)
    told(place.run(name=name, description="d"))
    place.same(name=name, description="d")


def test_a_deletion_whose_answer_is_lost(place):
    name = place.repo()
    place.server.fault("close_after", method=".*DeleteRepo", count=1)
    told(place.run(name=name, state="absent"))
    place.same(name=name, state="absent")


def test_a_repo_that_goes_meanwhile(place):
    name = place.repo()
    place.server.fault("status", method=".*DeleteRepo", status="NOT_FOUND", body="repo not found", count=1)
    assert place.ok(name=name, state="absent")["changed"] is True


def test_what_succeeded_beside_a_failure_is_told(place):
    batch = [{"name": place.name("r%d" % number)} for number in range(4)]
    place.server.fault("status", method=".*CreateRepo", status="INTERNAL", body="once", count=1)
    result = place.run(batch=batch)
    summary = result["summary"]
    assert (summary["created"], summary["failed"], result["changed"]) == (3, 1, True)
    result = place.ok(batch=batch)
    assert (result["summary"]["created"], result["summary"]["unchanged"]) == (1, 3)


@pytest.mark.parametrize(
    ("call", "done"),
    [
        ("DeletePipelines", ""),
        ("DeleteRepos", "its pipelines were deleted, but then"),
        ("DeleteProject", "its pipelines and repos were deleted, but then"),
    ],
)
def test_a_project_that_is_half_deleted(place, call, done):
    source = place.repo("src")
    place.put(source)
    place.subject = Projects
    name = place.name("p")
    defaults = {"createPipelineRequest": {"datumTries": 2}}
    place.ok(name=name, defaults=defaults)
    place.pipeline("out", source, project=name)
    place.server.fault("status", method=".*/" + call, status="INTERNAL", body="no disk", count=1)
    failure = told(place.run(name=name, state="absent", force=True))
    assert failure["server_message"] == "no disk" and done in failure["message"]
    place.same(name=name, defaults=defaults)
    assert place.ok(name=name, state="absent", force=True)["resource"]["action"] == "deleted"
    place.same(name=name, state="absent")


def test_a_branch_whose_making_failed(place):
    place.subject, repo = Branches, place.repo()
    place.server.fault("status", method=".*CreateBranch", status="INTERNAL", body="no luck", count=1)
    assert told(place.run(repo=repo, name="b"))["server_message"] == "no luck"
    place.twice(repo=repo, name="b")


def test_nobody_there(place):
    result = place.run(name="r", address="grpc://127.0.0.1:9", retries=0)
    assert told(result)["code"] == "UNAVAILABLE"
    assert "grpc://127.0.0.1:9" in result["msg"]


def test_nobody_answers(place):
    place.server.fault("hang", method=".*InspectRepo", count=None)
    result = place.run(name=place.name("r"), timeout=1, retries=0)
    assert told(result)["code"] == "DEADLINE_EXCEEDED"
