# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines on every version of pachd: a new version only for what is new, states, order, and what goes wrong."""

from __future__ import annotations

import copy
import json
import pathlib
from typing import Any

import pytest
import yaml
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.pipelines import Pipelines
from ansible_collections.polystore.storage.tests.contract.pachyderm_place import SERVERS, Place
from ansible_collections.polystore.storage.tests.unit.pachyderm.spellings import (
    OTHER,
    PLAIN,
    SERVED,
    base,
    set_to,
    spelled,
    turned,
)

pytestmark = [pytest.mark.server, pytest.mark.pachyderm]
MODERN = ("2.8", "2.12")
SECRET = "what-nobody-should-see"


class Line(Place):
    """A place with a repo, and pipelines that read it."""

    def __init__(self, server: Any) -> None:
        super().__init__(Pipelines, server)
        self.source = self.repo("in")
        for branch in ("one", "two"):
            self.put(self.source, branch=branch)
        self.modern = self.client.version >= (2, 8)

    def simple(self, source: str = "", **more: Any) -> dict[str, Any]:
        """A small spec."""
        pfs = {"repo": self.name(source) if source else self.source, "glob": "/*"}
        return {"input": {"pfs": pfs}, "transform": {"image": "img:1", "cmd": ["true"]}, **more}

    def there(self, short: str = "p", project: str = "default") -> Any:
        """A pipeline's PipelineInfo with details, or None."""
        pipeline = self.client.pipeline(project, self.name(short))
        request = self.client.message("pps_v2.InspectPipelineRequest", pipeline=pipeline, details=True)
        return self.client.maybe("pps_v2.API/InspectPipeline", request)

    def version(self, short: str = "p") -> int:
        return int(self.there(short).version)

    def p(self, short: str = "p", **args: Any) -> dict[str, Any]:
        return {"name": self.name(short), **args}


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest) -> Line:
    """A place on each version."""
    return Line(request.getfixturevalue(SERVERS[request.param]))


@pytest.fixture(params=MODERN)
def modern(request: pytest.FixtureRequest) -> Line:
    """A place where the server keeps documents."""
    return Line(request.getfixturevalue(SERVERS[request.param]))


def test_a_pipeline_comes_changes_and_goes(place: Line) -> None:
    mark = place.server.mark()
    result = place.ok(**place.p(spec=place.simple()))
    assert len(place.sent(mark)) == 1
    resource = result["resource"]
    assert (resource["action"], resource["version"], resource["stopped"]) == ("created", 1, False)
    assert resource["spec"]["input"]["pfs"]["branch"] == "master"
    assert place.there().details.transform.image == "img:1"
    place.same(**place.p(spec=place.simple()))
    place.same(**place.p())
    changed = place.twice(**place.p(spec=place.simple(description="new")))
    assert (changed["resource"]["version"], changed["resource"]["action"]) == (2, "updated")
    before, after = (changed["diff"][0][side]["spec"] for side in ("before", "after"))
    assert {key for key in {**before, **after} if before.get(key) != after.get(key)} == {"description"}
    gone = place.twice(**place.p(state="absent"))
    assert gone["resource"] == {"project": "default", "name": place.name("p"), "action": "deleted"}
    assert place.there() is None
    assert place.info(place.name("p")) is None


def test_other_words_are_never_a_new_version(place: Line) -> None:
    """41 ways to write one spec."""
    place.ok(**place.p(spec=base(place.source)))
    assert len({**PLAIN, **SERVED}) >= 40
    for name, change in {**PLAIN, **SERVED}.items():
        mark = place.server.mark()
        result = place.ok(**place.p(spec=spelled(change, place.source)))
        assert (name, result["changed"], place.server.writes(mark)) == (name, False, [])
    assert place.version() == 1


@pytest.mark.parametrize("name", ["camel case", "tries written out", "explicit false", "null for a message"])
def test_whichever_spelling_came_first(place: Line, name: str) -> None:
    place.ok(**place.p(spec=spelled({**PLAIN, **SERVED}[name], place.source)))
    place.same(**place.p(spec=base(place.source)))
    place.same(**place.p(spec=turned(base(place.source))))
    assert place.version() == 1


def test_what_differs_is_a_new_version_once(place: Line) -> None:
    place.ok(**place.p(spec=base(place.source)))
    count = 1
    for name, change in OTHER.items():
        if name in ("repo type", "empty service", "a name in a map", "time"):
            continue
        for doc in (spelled(change, place.source), base(place.source)):
            result = place.ok(**place.p(spec=doc))
            count += 1
            assert (name, result["changed"], result["resource"]["version"]) == (name, True, count)
            place.same(**place.p(spec=doc))
    assert place.version() == count


@pytest.mark.parametrize("ending", ["json", "yml", "several.yml"])
def test_a_spec_from_a_file(place: Line, tmp_path: pathlib.Path, ending: str) -> None:
    doc, path = base(place.source), tmp_path / ("spec." + ending)
    others = [{"pipeline": {"name": "other"}}, {**doc, "pipeline": {"name": place.name("p")}}]
    texts = {"json": json.dumps(doc), "yml": yaml.safe_dump(doc), "several.yml": yaml.safe_dump_all(others)}
    path.write_text(texts[ending])
    assert place.ok(**place.p(spec_src=str(path)))["resource"]["action"] == "created"
    place.same(**place.p(spec=base(place.source)))
    place.same(**place.p(spec_src=str(path)))


def test_what_others_made_is_known_again(place: Line) -> None:
    """By the old call, whose document the server writes itself; and by hand without a project."""
    name = place.pipeline("p", place.source)
    spec = {"input": {"pfs": {"repo": place.source, "glob": "/*"}}, "transform": {"image": "alpine", "cmd": ["true"]}}
    place.same(name=name, spec=spec)
    place.same(name=name, spec={**spec, "datum_tries": 3, "update": True})
    if place.modern:
        doc = {"pipeline": {"name": place.name("q")}, **spec}
        place.call("pps_v2.API/CreatePipelineV2", create_pipeline_request_json=json.dumps(doc))
        place.same(**place.p("q", spec=spec))
        place.ok(name=place.name("q"), state="absent")  # with it nobody here can regenerate


def test_the_project_is_always_sent(modern: Line) -> None:
    modern.ok(**modern.p(spec=modern.simple(update=True, dry_run=True, reprocess=True)))
    sent = json.loads(modern.there().user_spec_json)
    assert sent["pipeline"] == {"name": modern.name("p"), "project": {"name": "default"}}
    assert not {"update", "dry_run", "reprocess"}.intersection(sent)


def test_salt_counts_only_at_the_creation(place: Line) -> None:
    place.ok(**place.p(spec=place.simple(salt="one")))
    assert place.there().details.salt == "one"
    place.same(**place.p(spec=place.simple(salt="two")))
    place.ok(**place.p(spec=place.simple(description="new")))
    assert place.there().details.salt == "one"


def test_reprocess_acts_only_with_a_change(place: Line) -> None:
    place.ok(**place.p(spec=place.simple()))
    salt = place.there().details.salt
    place.same(**place.p(spec=place.simple(), reprocess=True))
    place.ok(**place.p(spec=place.simple(description="new"), reprocess=True))
    assert place.there().details.salt != salt


def test_started_and_stopped(place: Line) -> None:
    place.twice(**place.p(spec=place.simple(), state="stopped"))
    assert place.there().stopped is True
    place.same(**place.p(spec=place.simple()))
    mark = place.server.mark()
    result = place.ok(**place.p(spec=place.simple(description="new")))
    assert (result["resource"]["stopped"], len(place.sent(mark))) == (True, 1)
    mark = place.server.mark()
    assert place.twice(**place.p(state="started"))["resource"]["action"] == "updated"
    assert place.sent(mark) == ["StartPipeline"]
    assert place.there().stopped is False
    both = place.ok(**place.p(spec=place.simple(), state="stopped"))
    assert (both["resource"]["stopped"], both["resource"]["version"]) == (True, 3)


def test_a_pipeline_that_is_not_there_needs_a_spec(place: Line) -> None:
    for state in ("present", "started", "stopped"):
        assert "it does not exist, and there is no spec" in place.refused(**place.p(state=state))
    place.same(**place.p(state="absent"))


# --- many


def test_a_batch_in_any_order(place: Line) -> None:
    names = ["c", "a", "d", "b"]
    reads = {"a": "", "b": "a", "c": "b", "d": "c"}
    items = [place.p(short, spec=place.simple(reads[short])) for short in names]
    result = place.ok(batch=items)
    assert (result["summary"]["created"], result["summary"]["writes"]) == (4, 4)
    place.same(batch=items)
    gone = place.twice(batch=[place.p(short, state="absent") for short in names])
    assert gone["summary"]["deleted"] == 4
    assert place.there("a") is None


def test_a_batch_of_many_is_listed(place: Line) -> None:
    items = [place.p("n%d" % number, spec=place.simple()) for number in range(12)]
    place.ok(batch=items)
    mark = place.server.mark()
    place.same(batch=items)
    asked = place.asked(mark)
    assert "InspectPipeline" not in asked
    assert asked.count("ListPipeline") == 1
    place.ok(batch=[{**item, "state": "absent"} for item in items])


def test_one_that_others_read_stays_unless_they_go_too(place: Line) -> None:
    place.ok(batch=[place.p("a", spec=place.simple()), place.p("b", spec=place.simple("a"))])
    result = place.run(**place.p("a", state="absent"))
    assert "Remove what reads it in the same batch, or set force: true" in result["msg"]
    assert place.there("a") is not None
    place.ok(**place.p("a", state="absent", force=True))
    assert place.there("a") is None
    place.ok(**place.p("b", state="absent", force=True))


def test_a_kept_repo_and_what_it_means(place: Line) -> None:
    place.ok(**place.p(spec=place.simple()))
    place.ok(**place.p(state="absent", keep_repo=True))
    assert place.info(place.name("p")) is not None
    message = place.run(**place.p(spec=place.simple()))["msg"]
    assert "a repo with the same name already exists" in message
    assert "Remove that repo with pachyderm_repo" in message


def test_a_circle_is_told_before_anything(place: Line) -> None:
    items = [place.p("a", spec=place.simple("b")), place.p("b", spec=place.simple("a"))]
    assert "read each other's output in a circle" in place.refused(batch=items)


def test_projects_side_by_side(modern: Line) -> None:
    project = modern.name("proj")
    modern.call("pfs_v2.API/CreateProject", project={"name": project})
    doc = {**modern.simple(), "input": {"pfs": {"repo": modern.source, "glob": "/*", "project": "default"}}}
    for home in ("default", project):
        modern.ok(**modern.p(spec=doc, project=home))
        modern.same(**modern.p(spec={**doc, "pipeline": {"project": {"name": home}}}, project=home))
    modern.ok(**modern.p(project=project, state="absent"))
    assert modern.there(project=project) is None
    assert modern.there() is not None
    told = modern.refused(**modern.p(spec={**doc, "pipeline": {"project": {"name": project}}}))
    assert "project: it is default, and the spec says %s" % project in told


def test_a_project_needs_2_5(pachd_v24_server: Any) -> None:
    place = Line(pachd_v24_server)
    assert "needs Pachyderm 2.5, this is 2.4" in place.refused(**place.p(spec=place.simple(), project="x"))
    cron = {"input": {"cron": {"name": "c", "spec": "@daily"}}, "transform": {"cmd": ["true"]}}
    items = [place.p("n%d" % number, spec=cron, project="x") for number in range(12)]
    assert "needs Pachyderm 2.5, this is 2.4" in place.refused(batch=items)
    message = place.refused(**place.p(spec=place.simple(), compare="effective"))
    assert "compare: effective needs Pachyderm 2.8, this is 2.4" in message


def test_pipelines_from_before_an_upgrade(pachd_v27_server: Any) -> None:
    """They have no document: what the server tells of them is compared with what it would make."""
    place = Line(pachd_v27_server)
    place.ok(**place.p(spec=base(place.source)))
    place.server.behave(version="2.8.10")
    assert place.there().user_spec_json == ""
    fresh = {"parallel": 3}  # a client that asks for the version anew
    for change in (*PLAIN.values(), *SERVED.values()):
        place.same(**place.p(spec=spelled(change, place.source)), **fresh)
    assert place.twice(**place.p(spec=spelled(OTHER["image"], place.source)), **fresh)["resource"]["version"] == 2


# --- defaults of the cluster


@pytest.fixture
def defaulted(modern: Line) -> Any:
    """A place whose cluster defaults are put back."""
    get = modern.client.message("pps_v2.GetClusterDefaultsRequest")
    was = modern.client.call("pps_v2.API/GetClusterDefaults", get).cluster_defaults_json
    yield modern
    modern.call("pps_v2.API/SetClusterDefaults", cluster_defaults_json=was)


def test_changed_defaults_matter_only_where_that_was_asked_for(defaulted: Line) -> None:
    place = defaulted
    place.ok(**place.p(spec=place.simple()))
    new = {"createPipelineRequest": {"datumTries": 7, "autoscaling": True}}
    place.call("pps_v2.API/SetClusterDefaults", cluster_defaults_json=json.dumps(new))
    place.same(**place.p(spec=place.simple()))
    result = place.twice(**place.p(spec=place.simple(), compare="effective"))
    assert result["diff"][0]["after"]["effective_spec"]["datum_tries"] == 7
    assert "autoscaling" not in result["diff"][0]["before"]["effective_spec"]
    assert place.there().details.datum_tries == 7
    # what is a default now may be written out, and an explicit false is not the same as nothing
    place.same(**place.p(spec=place.simple(datum_tries=7, autoscaling=True)))
    assert place.ok(**place.p(spec=place.simple(autoscaling=False)))["changed"] is True
    assert place.there().details.autoscaling is False
    assert place.ok(**place.p(spec=place.simple(datumTries=None)))["changed"] is True
    assert place.there().details.autoscaling is True


# --- waiting


def test_waiting_tells_the_last_state_and_reason(place: Line) -> None:
    result = place.run(**place.p(spec=place.simple(), wait=True, wait_timeout="30s"))
    failure = result["failures"][0]
    assert result["changed"] is True
    assert "is in state failure" in result["msg"]
    assert failure["code"] == "failure"
    assert failure["server_message"] == place.there().reason != ""
    assert failure["operation"] == "wait for pipeline"
    # it is still so for a run that changes nothing
    again = place.run(**place.p(spec=place.simple(), wait=True, wait_timeout=5))
    assert (again["failed"], again["changed"]) == (True, False)
    assert "is in state failure" in again["msg"]


def test_waiting_ends(place: Line) -> None:
    place.ok(**place.p(spec=place.simple()))
    result = place.run(**place.p(spec=place.simple(description="new"), wait=True, wait_timeout=0))
    assert "is in state starting after 0 seconds" in result["msg"]


# --- what goes wrong


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("frobnicate", 1, "spec: frobnicate: unknown field"),
        ("transform.imagee", "x", "spec: transform.imagee: unknown field, did you mean image?"),
        ("input.cross.1.pfs.glb", "/", "spec: input.cross[1].pfs.glb: unknown field"),
        ("datum_timeout", "1h", 'spec: datum_timeout: "1h" is no duration'),
        ("transform.env.A", 1, "spec: transform.env.A: a number is no text"),
        ("tolerations", [{"effect": "x"}], 'spec: tolerations[0].effect: "x" is none of'),
        ("pipeline.name", "other", "the spec says other"),
    ],
)
def test_a_spec_that_cannot_be_is_not_sent(place: Line, path: str, value: Any, words: str) -> None:
    mark = place.server.mark()
    assert words in place.refused(**place.p(spec=spelled(set_to(path, value), place.source)))
    assert place.asked(mark) == []


def test_options_that_cannot_be(place: Line, tmp_path: pathlib.Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.yml").write_text("transform: {x: 1}")
    missing = str(tmp_path / "no.yml")
    for args, words in (
        ({"spec": {}, "spec_src": missing}, "spec_src: cannot be given together with spec"),
        ({"spec_src": missing}, "no.yml cannot be read: No such file"),
        ({"spec_src": str(tmp_path / "bad.json")}, "it is not valid JSON (line 1)"),
        ({"spec_src": str(tmp_path / "bad.yml")}, "bad.yml: transform.x: unknown field"),
        ({"wait_timeout": "never"}, "wait_timeout: it has to end some time"),
        ({"name": "a.b"}, "is no name"),
        ({"name": "x" * 52}, "52 characters long, and a pipeline's name has at most 51"),
    ):
        mark = place.server.mark()
        assert words in place.refused(**{**place.p(), **args})
        assert place.asked(mark) == []


def test_what_the_server_is_too_old_for_is_named(place: Line) -> None:
    doc = place.simple(maximum_expected_uptime="60s")
    if place.client.version >= (2, 9):
        return place.twice(**place.p(spec=doc)) and None
    assert "spec: maximum_expected_uptime needs Pachyderm 2.9, this is 2." in place.refused(**place.p(spec=doc))
    assert place.there() is None
    return None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_to("input.pfs.repo", "no-such-repo"), "Make the repo first with pachyderm_repo"),
        (
            set_to("transform.secrets", [{"name": "no-such", "key": "k", "env_var": "K"}]),
            "Make the secret first with pachyderm_secret",
        ),
        (set_to("input.pfs.glob", ""), "Give each pfs input a glob"),
    ],
)
def test_what_the_server_refuses_comes_with_what_to_do(place: Line, change: Any, words: str) -> None:
    doc = place.simple()
    change(doc)
    result = place.run(**place.p(spec=doc))
    failure = result["failures"][0]
    assert words in failure["hint"]
    assert failure["server_message"]
    assert (result["changed"], place.there()) == (False, None)


def test_check_mode_lets_the_server_check(modern: Line) -> None:
    mark = modern.server.mark()
    assert modern.ok(check=True, **modern.p(spec=modern.simple()))["changed"] is True
    assert "CreatePipelineV2 (dry run)" in modern.asked(mark)
    assert modern.there() is None
    project = modern.name("not-yet")
    result = modern.ok(check=True, **modern.p(spec=modern.simple(), project=project))
    assert "before its project is there" in result["warnings"][0]
    message = modern.run(**modern.p(spec=modern.simple(), project=project))["msg"]
    assert "Make the project first with pachyderm_project" in message


def test_no_error_quotes_the_document(modern: Line) -> None:
    """A document that the server's parser refuses and ours does not."""
    doc = modern.simple(egress={"object_storage": {"url": "a"}, "sql_database": {"url": "b"}})
    doc["transform"]["env"] = {"PASSWORD": SECRET}
    for check in (False, True):
        result = modern.run(check=check, **modern.p(spec=doc))
        assert result["failed"] is True
        assert result["failures"][0]["code"] == "INVALID_ARGUMENT"
        assert SECRET not in json.dumps(result)


def test_an_answer_that_got_lost_is_no_failure(place: Line) -> None:
    method = ".*/CreatePipelineV2" if place.modern else ".*/CreatePipeline"
    place.ok(**place.p(spec=place.simple()))
    if place.modern:
        place.server.fault("close_after", method=method)
        result = place.ok(**place.p(spec=place.simple(description="new")))
        assert result["resource"]["version"] == 2
        place.server.fault("close_after", method=method)
        assert place.ok(**place.p("q", spec=place.simple()))["resource"]["version"] == 1
    place.server.fault("close_after", method=".*/DeletePipeline")
    assert place.ok(**place.p(state="absent"))["resource"]["action"] == "deleted"


def test_a_call_that_never_arrived_is_one(place: Line) -> None:
    place.ok(**place.p(spec=place.simple()))
    method = ".*/CreatePipelineV2" if place.modern else ".*/CreatePipeline"
    place.server.fault("status", method=method, count=None)
    result = place.run(**place.p(spec=place.simple(description="new")))
    assert result["failures"][0]["code"] == "UNAVAILABLE"
    place.server.clear_faults()
    assert (place.version(), result["changed"]) == (1, False)
    place.server.fault("status", method=".*/DeletePipeline", count=None)
    assert place.run(**place.p(state="absent"))["failed"] is True


def test_the_document_given_is_left_as_it_is(place: Line) -> None:
    doc = place.simple(update=True)
    kept = copy.deepcopy(doc)
    place.ok(**place.p(spec=doc))
    assert doc == kept
