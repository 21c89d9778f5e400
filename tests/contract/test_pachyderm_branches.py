# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Branches of Pachyderm: compared as the server keeps them, and none that belongs to a pipeline is touched."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.branches import Branches
from ansible_collections.polystore.storage.tests.contract.pachyderm_place import SERVERS, Place

pytestmark = [pytest.mark.server, pytest.mark.pachyderm]
EVERY = pytest.mark.parametrize("place", SERVERS, indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """A place on the newest server, or on that of a parameter's version; its tasks are about one repo."""
    version = getattr(request, "param", "2.12")
    found = Place(Branches, request.getfixturevalue(SERVERS[version]))
    found.options["repo"] = found.repo()
    return found


def links(place: Place, name: str) -> set[tuple[str, str]]:
    """The branches that a branch is directly derived from."""
    return {(b.repo.name, b.name) for b in place.branch(place.options["repo"], name).direct_provenance}


@EVERY
def test_a_new_one_has_an_empty_commit(place: Place) -> None:
    made = place.twice(name="b")["resource"]
    assert made["head"] == place.branch(made["repo"], "b").head.id
    assert (made["provenance"], made["trigger"]) == ([], {})
    place.same(name="b", provenance=[], trigger={})
    place.twice(name="b", state="absent")


@EVERY
def test_the_head_is_an_id_a_branch_or_an_ancestor(place: Place) -> None:
    repo = place.options["repo"]
    ids = [place.put(repo, "/%d" % number, branch="dev") for number in range(4)]
    for head, number in (("dev", 3), ("dev^", 2), ("dev^2", 1), ("dev~3", 0), (ids[3], 3), (ids[2] + "^", 1)):
        result = place.twice(name="b", head=head)
        assert result["resource"]["head"] == ids[number], head
        assert place.branch(repo, "b").head.id == ids[number]
    place.same(name="b")
    result = place.run(name="b", head="0" * 32)
    assert "head: %s is no commit" % ("0" * 32) in result["msg"]
    assert "is no commit" in place.run(name="b", head="nowhere")["msg"]


@EVERY
def test_provenance_is_a_set(place: Place) -> None:
    one, two, three = (place.repo(name) for name in ("one", "two", "three"))
    for repo in (one, two, three):
        place.put(repo)
    place.twice(name="b", provenance=[{"repo": one}, {"repo": two, "branch": "master"}])
    assert links(place, "b") == {(one, "master"), (two, "master")}
    place.same(name="b", provenance=[{"repo": two, "project": "default"}, {"repo": one}])
    head = place.branch(place.options["repo"], "b").head.id
    place.twice(name="b", provenance=[{"repo": three}, {"repo": two}])
    assert links(place, "b") == {(three, "master"), (two, "master")}
    assert place.branch(place.options["repo"], "b").head.id != head
    place.same(name="b")
    result = place.twice(name="b", provenance=[])
    assert result["resource"]["provenance"] == []
    assert links(place, "b") == set()


def test_a_branch_that_the_server_makes_is_warned_of(place: Place) -> None:
    source = place.repo("src")
    result = place.ok(name="b", provenance=[{"repo": source, "branch": "typo"}])
    assert result["warnings"] == [
        "branch default/%s@b: its provenance default/%s@typo did not exist, and Pachyderm makes it"
        % (place.options["repo"], source)
    ]
    assert "warnings" not in place.same(name="b", provenance=[{"repo": source, "branch": "typo"}])


def test_the_server_tells_what_it_does_not_take(place: Place) -> None:
    result = place.run(name="b", provenance=[{"repo": place.name("none")}])
    assert (result["failed"], result["failures"][0]["code"]) == (True, "NOT_FOUND")
    source, between = place.repo("src"), place.repo("between")
    place.ok(repo=between, name="master", provenance=[{"repo": source}])
    result = place.run(name="b", provenance=[{"repo": between}, {"repo": source, "branch": "other"}])
    assert "cannot participate in a DAG" in result["msg"]
    result = place.run(name="b", provenance=[{"repo": source, "branch": "x"}, {"repo": source, "branch": "y"}])
    assert result["msg"].startswith("provenance: default/%s has two branches in it" % source), result["msg"]
    place.put(place.options["repo"], branch="dev")
    assert "lots" in place.run(name="b", trigger={"branch": "dev", "size": "lots"})["msg"]
    assert place.branch(place.options["repo"], "b") is None


@EVERY
def test_a_trigger_is_compared_as_a_whole(place: Place) -> None:
    repo = place.options["repo"]
    place.put(repo, branch="dev")
    place.twice(name="b", trigger={"branch": "dev", "all": True, "size": "1GB", "commits": 3})
    place.same(name="b", trigger={"branch": "dev", "all": "yes", "size": "1GB", "commits": "3", "cron_spec": ""})
    place.same(name="b")
    result = place.twice(name="b", trigger={"branch": "dev", "cron_spec": "@every 1h"})
    assert result["resource"]["trigger"] == {"branch": "dev", "cron_spec": "@every 1h"}
    head = place.put(repo, "/more", branch="dev")
    assert place.twice(name="b", head="dev")["resource"]["head"] == head
    assert place.branch(repo, "b").trigger.branch == "dev"


@EVERY
def test_a_trigger_cannot_be_taken_away(place: Place) -> None:
    repo = place.options["repo"]
    head = place.put(repo, branch="dev")
    place.ok(name="b", head="dev", trigger={"branch": "dev", "commits": 3})
    told = place.refused(name="b", trigger={})
    assert "cannot take a trigger away" in told and "head: %s" % head in told
    place.twice(name="b", state="absent")
    place.twice(name="b", head=head, trigger={})


@pytest.mark.parametrize("place", ["2.0", "2.4"], indirect=True)
def test_a_rate_limit_is_too_new_for_old_servers(place: Place) -> None:
    place.put(place.options["repo"], branch="dev")
    told = place.refused(name="b", trigger={"branch": "dev", "rate_limit_spec": "@every 1h"})
    assert "trigger.rate_limit_spec needs Pachyderm 2.7" in told


@pytest.mark.parametrize("place", ["2.7", "2.12"], indirect=True)
def test_a_rate_limit_is_no_cron_spec(place: Place) -> None:
    place.put(place.options["repo"], branch="dev")
    both = {"branch": "dev", "rate_limit_spec": "@every 1h", "cron_spec": "0 * * * *"}
    place.twice(name="b", trigger=both)
    found = place.branch(place.options["repo"], "b").trigger
    assert (found.rate_limit_spec, found.cron_spec) == ("@every 1h", "0 * * * *")
    place.twice(name="b", trigger={"branch": "dev", "rate_limit_spec": "0 * * * *"})


def test_trigger_and_provenance_exclude_each_other(place: Place) -> None:
    source = place.repo("src")
    place.put(source)
    place.put(place.options["repo"], branch="dev")
    place.ok(name="b", provenance=[{"repo": source}])
    told = place.refused(name="b", trigger={"branch": "dev", "commits": 2})
    assert "the branch has provenance" in told and "provenance: []" in told
    place.twice(name="b", trigger={"branch": "dev", "commits": 2}, provenance=[])
    assert "the branch has a trigger" in place.refused(name="b", provenance=[{"repo": source}])


def test_the_head_of_a_derived_branch_is_the_server_s(place: Place) -> None:
    source = place.repo("src")
    place.put(source)
    place.put(place.options["repo"], branch="dev")
    head = place.ok(name="b", provenance=[{"repo": source}])["resource"]["head"]
    place.same(name="b", head=head)
    assert "a branch with provenance gets its commits from the server" in place.refused(name="b", head="dev")
    place.twice(name="b", head="dev", provenance=[])


@EVERY
def test_an_output_branch_is_never_touched(place: Place) -> None:
    source = place.repo("src")
    place.put(source)
    output = place.pipeline("out", source)
    before = place.branch(output, "master")
    dev = place.put(place.options["repo"], branch="dev")
    for options in (
        {"provenance": []},
        {"provenance": [{"repo": place.options["repo"]}]},
        {"trigger": {"branch": "other", "commits": 1}},
        {"state": "absent"},
        {"state": "absent", "force": True},
    ):
        told = place.refused(repo=output, name="master", **options)
        assert "it is the output branch of the pipeline %s" % output in told
    assert place.branch(output, "master").direct_provenance == before.direct_provenance
    place.same(repo=output, name="master")
    # Another branch of that repo is nobody's but ours.
    place.twice(repo=output, name="release", head="master")
    place.twice(repo=output, name="release", state="absent")
    assert dev


@EVERY
def test_one_that_others_depend_on_is_deleted_by_force_only(place: Place) -> None:
    other = place.repo("other")
    place.put(place.options["repo"], branch="b")
    place.ok(repo=other, name="master", provenance=[{"repo": place.options["repo"], "branch": "b"}])
    told = place.refused(name="b", state="absent")
    assert "it is needed by 1 branch (default/%s@master)" % other in told and "force: true" in told
    place.twice(name="b", state="absent", force=True)


@EVERY
def test_one_that_is_watched_is_deleted_by_force_only(place: Place) -> None:
    place.put(place.options["repo"], branch="dev")
    place.ok(name="t", trigger={"branch": "dev", "commits": 2})
    assert "@t). Delete those first" in place.refused(name="dev", state="absent")
    place.twice(batch=[{"name": "dev"}, {"name": "t"}], state="absent")


@EVERY
def test_many_are_made_and_deleted_in_the_right_order(place: Place) -> None:
    repos = [place.repo("c%d" % number) for number in range(3)]
    batch: list[dict[str, Any]] = [{"repo": repos[0], "name": "master"}]
    for source, repo in itertools.pairwise(repos):
        batch.append({"repo": repo, "name": "master", "provenance": [{"repo": source}]})
    batch.append({"repo": repos[0], "name": "t", "trigger": {"branch": "master", "commits": 2}})
    result = place.twice(batch=batch[::-1])
    assert "warnings" not in result
    place.twice(batch=[{"repo": row["repo"], "name": row["name"]} for row in batch], state="absent")


def test_a_head_may_be_made_in_the_same_task(place: Place) -> None:
    place.ok(batch=[{"name": "release", "head": "dev"}, {"name": "dev"}])
    repo = place.options["repo"]
    assert place.branch(repo, "release").head.id == place.branch(repo, "dev").head.id


def test_many_are_read_with_one_call(place: Place) -> None:
    batch = [{"name": "b%d" % number} for number in range(9)]
    place.ok(batch=batch)
    mark = place.server.mark()
    place.same(batch=batch)
    assert [call for call in place.asked(mark) if call != "GetVersion"] == ["ListBranch"]


def test_one_in_a_repo_that_is_missing(place: Place) -> None:
    repo = place.name("none")
    place.same(repo=repo, name="b", state="absent")
    result = place.run(repo=repo, name="b")
    assert (result["failed"], result["failures"][0]["code"]) == (True, "NOT_FOUND")
