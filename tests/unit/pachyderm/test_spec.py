# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipeline specs: what is equal, what is wrong and where, what is sent, and what texts hold."""

from __future__ import annotations

import copy
import datetime
import json
from typing import Any

import pytest
import yaml
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import MissingLibrary
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import schema, spec
from ansible_collections.polystore.storage.tests.unit.pachyderm.spellings import (
    OTHER,
    PLAIN,
    SERVED,
    Change,
    base,
    set_to,
    spelled,
)
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

NEW = (2, 12, 0)


def whole(doc: Any, project: str = "default") -> Any:
    """A spec as it is where the server has filled in what it has built in."""
    return spec.defaulted(spec.canon(doc, project, False))


@pytest.mark.parametrize("change", PLAIN.values(), ids=PLAIN.keys())
def test_other_words_for_the_same(change: Change) -> None:
    assert spec.canon(spelled(change), "default", True) == spec.canon(base(), "default", True)
    assert whole(spelled(change)) == whole(base())


@pytest.mark.parametrize("change", SERVED.values(), ids=SERVED.keys())
def test_other_words_that_count_in_a_document_only(change: Change) -> None:
    assert spec.canon(spelled(change), "default", True) != spec.canon(base(), "default", True)
    assert whole(spelled(change)) == whole(base())


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER.keys())
def test_what_is_not_the_same(change: Change) -> None:
    assert spec.canon(spelled(change), "default", True) != spec.canon(base(), "default", True)
    assert whole(spelled(change)) != whole(base())


@pytest.mark.parametrize("change", [*PLAIN.values(), *SERVED.values(), *OTHER.values()])
def test_the_one_form_is_its_own_form_and_leaves_the_document_alone(change: Change) -> None:
    doc = spelled(change)
    kept = copy.deepcopy(doc)
    for keep in (True, False):
        once = spec.canon(doc, "default", keep)
        assert spec.canon(once, "default", keep) == once
        json.dumps(once)
    assert doc == kept


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        ({"frobnicate": 1}, "frobnicate: unknown field, known are autoscaling"),
        ({"transform": {"imagee": "a"}}, "transform.imagee: unknown field, did you mean image?"),
        ({"input": {"cross": [{"pfs": {}}, {"pfs": {"glb": "/"}}]}}, "input.cross[1].pfs.glb: unknown field"),
        ({"input": {"cross": [{"join": [{"pfs": {"x": 1}}]}]}}, "input.cross[0].join[0].pfs.x: unknown field"),
        ({"transform": {"secrets": [{"nam": "s"}]}}, "transform.secrets[0].nam: unknown field"),
        ({"tolerations": [{"effect": "NOSCHEDULE"}]}, 'tolerations[0].effect: "NOSCHEDULE" is none of ALL_EFFECTS'),
        ({"tolerations": [{"operator": 7}]}, "tolerations[0].operator: 7 is none of EMPTY, EXISTS, EQUAL"),
        ({"tolerations": [{"tolerationSeconds": "soon"}]}, "tolerations[0].tolerationSeconds: "),
        ({"jobTimeout": "1h"}, 'jobTimeout: "1h" is no duration'),
        ({"datum_timeout": 90}, 'datum_timeout: 90 is no duration, which Pachyderm takes in seconds: write "90s"'),
        ({"datum_timeout": "1.0123456789s"}, "datum_timeout: "),
        ({"input": {"cron": {"start": "yesterday"}}}, 'input.cron.start: "yesterday" is no point in time'),
        ({"input": {"cron": {"start": "2020-13-01T00:00:00Z"}}}, "input.cron.start: "),
        ({"datum_tries": 1.5}, "datum_tries: 1.5 is no whole number"),
        ({"datum_tries": True}, "datum_tries: true is no whole number"),
        ({"datum_tries": "many"}, 'datum_tries: "many" is no whole number'),
        ({"datum_tries": 1 << 63}, "datum_tries: 9223372036854775808 is not between"),
        ({"parallelism_spec": {"constant": -1}}, "parallelism_spec.constant: -1 is not between 0 and"),
        ({"service": {"internal_port": 1 << 31}}, "service.internal_port: "),
        ({"resource_limits": {"cpu": "lots"}}, 'resource_limits.cpu: "lots" is no number'),
        ({"resource_limits": {"cpu": float("nan")}}, "resource_limits.cpu: NaN is no number"),
        ({"autoscaling": "yes"}, 'autoscaling: "yes" is neither true nor false'),
        ({"transform": {"env": {"A": 1}}}, "transform.env.A: a number is no text, which stands in quotes"),
        ({"transform": {"env": ["A"]}}, "transform.env: a list is no dictionary"),
        ({"transform": {"env": {1: "A"}}}, "transform.env: all of its names have to be text"),
        ({"transform": {"cmd": "sh"}}, "transform.cmd: a text is no list"),
        ({"transform": {"cmd": [["sh"]]}}, "transform.cmd[0]: a list is no text"),
        ({"transform": []}, "transform: a list is no dictionary"),
        ({"description": "\ud800"}, "description: it is not valid UTF-8"),
        ({"datum_tries": 3, "datumTries": 3}, "datumTries: it is given twice, as datum_tries and as datumTries"),
        ([], "the spec: a list is no dictionary"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(doc: Any, words: str) -> None:
    for keep in (True, False):
        with pytest.raises(ValueError) as caught:
            spec.canon(doc, "default", keep)
        assert str(caught.value).startswith(words)
    with pytest.raises(ValueError):
        spec.sendable(doc, "p", "default")


@pytest.mark.parametrize(
    "doc",
    [
        {"transform": {"env": {"A": 123456}}},
        {"transform": {"env": ["A=123456"]}},
        {"transform": {"env": "A=123456"}},
        {"transform": {"cmd": "curl -u me:123456"}},
        {"transform": {"cmd": [["123456"]]}},
        {"transform": "123456"},
    ],
)
def test_commands_and_environments_are_not_quoted(doc: Any) -> None:
    with pytest.raises(ValueError) as caught:
        spec.typed(doc)
    assert "123456" not in str(caught.value)


def test_what_a_server_knows_more_is_kept_where_it_tells_it() -> None:
    doc = {"from_the_future": {"x": 0}, "tolerations": [{"effect": "LATER"}], "transform": {"more": 1}}
    assert spec.canon(doc, "d", False, lenient=True) == {**doc, "pipeline": {"project": {"name": "d"}}}


@pytest.mark.parametrize(
    ("mark", "empty"),
    [
        ("egress.object_storage", {"egress": {"object_storage": {}}}),
        ("spout", {"spout": {}}),
        ("service", {"service": {"ip": ""}}),
        ("input.cron", {"input": {"cron": {}}}),
        ("toleration", {"tolerations": [{}]}),
        ("toleration_seconds", {"tolerations": [{"toleration_seconds": 0}]}),
        ("job_timeout", {"job_timeout": "0s"}),
    ],
)
def test_presence_that_says_something_is_kept(mark: str, empty: dict[str, Any]) -> None:
    assert spec.canon(empty, "default", False) != spec.canon({}, "default", False), mark


def test_one_branch_for_a_trigger_however_it_is_called() -> None:
    forms = [
        {"trigger": {"commits": "2"}},
        {"trigger": {"commits": 2, "branch": "master"}},
        {"branch": "p-trigger-1", "trigger": {"commits": 2}},
    ]
    docs = [{"pipeline": {"name": "p"}, "input": {"pfs": {"repo": "r", "glob": "/", **form}}} for form in forms]
    first, *rest = [spec.canon(doc, "default", False) for doc in docs]
    assert rest == [first, first]
    docs[0]["input"]["pfs"]["branch"] = "mine"
    assert spec.canon(docs[0], "default", False) != first


def test_children_are_sorted_by_the_names_that_were_written() -> None:
    def form(*inputs: Any, served: bool = False) -> Any:
        doc = {"input": {"union": [{"pfs": {"glob": "/", **pfs}} for pfs in inputs]}}
        return spec.canon(doc, "default", True, served=served)

    z, a = {"name": "z", "repo": "z"}, {"name": "a", "repo": "a"}
    assert form(z, a) == form(a, z)
    assert form({"repo": "z"}, {"repo": "a"}) != form({"repo": "a"}, {"repo": "z"})
    assert form({"repo": "z"}, {"repo": "a"}) == form(z, a, served=True)


def test_a_host_without_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "POOL", None)
    with pytest.raises(MissingLibrary, match="The Python package protobuf is needed for Pachyderm"):
        spec.typed({})


# --- what is sent


def test_what_is_sent_is_what_was_written_without_verbs() -> None:
    doc = spelled(PLAIN["camel case"])
    extra = {"update": True, "reprocess": True, "dryRun": True, "$schema": "x", "specCommit": {"id": "1"}}
    sent = spec.sendable({**doc, **extra, "metadata": {"labels": None}, "jobTimeout": None}, "p", "x")
    assert sent["pipeline"] == {"name": "p", "project": {"name": "x"}}
    assert not {*extra, "dry_run"}.intersection(sent)
    assert sent["metadata"] == {}
    assert sent["jobTimeout"] is None
    assert {key: sent[key] for key in doc if key != "jobTimeout"} == {k: v for k, v in doc.items() if k != "jobTimeout"}
    at = datetime.datetime(2020, 1, 1, 2, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    assert (
        spec.sendable({"input": {"cron": {"start": at}}}, "p", "x")["input"]["cron"]["start"] == "2020-01-01T00:30:00Z"
    )


@pytest.mark.parametrize("change", [*PLAIN.values(), *SERVED.values()])
def test_all_that_is_accepted_fits_the_message(change: Change) -> None:
    message = spec.request(spec.sendable(spelled(change), "p", "default"), NEW, update=True)
    assert message.update is True
    assert {child.pfs.repo for child in message.input.cross} == {"in", ""}


def details_of(doc: dict[str, Any], version: tuple[int, ...]) -> Any:
    """A PipelineInfo as a server before 2.8 tells it: inputs filled in and sorted, defaults built in."""
    message = spec.request(spec.sendable(doc, "p", "default"), version)
    info = schema.message("pps_v2.PipelineInfo")(version=1)
    info.pipeline.name = "p"
    names = {field.name for field in info.details.DESCRIPTOR.fields}
    told = json_format.MessageToDict(message, preserving_proto_field_name=True)
    json_format.ParseDict({key: value for key, value in told.items() if key in names}, info.details)
    info.details.salt, info.details.created_at.seconds = "made-up", 1
    info.details.output_branch = info.details.output_branch or "master"
    info.details.datum_tries = info.details.datum_tries or 3
    info.details.reprocess_spec = info.details.reprocess_spec or "until_success"
    for child in info.details.input.cross:
        if child.HasField("pfs"):
            child.pfs.repo_type, child.pfs.glob = child.pfs.repo_type or "user", "/" + child.pfs.glob.lstrip("/")
        else:
            child.cron.repo = "p_" + child.cron.name
    info.details.input.cross.sort(key=lambda one: one.pfs.name or one.cron.name)
    return info


@pytest.mark.parametrize("version", [(2, 0, 5), (2, 4, 1), (2, 7, 3)])
@pytest.mark.parametrize("change", [*PLAIN.values(), *SERVED.values()])
def test_details_tell_the_spec_again(change: Change, version: tuple[int, ...]) -> None:
    told = spec.of_details(details_of(spelled(change), version), version, "default")
    assert spec.aligned(told, whole({**base(), "pipeline": {"name": "p"}})) == whole(
        {**base(), "pipeline": {"name": "p"}}
    )


def test_made_up_starts_and_addresses_are_no_difference() -> None:
    have = {"cron": {"name": "c", "start": "2020-01-01T00:00:00Z", "repo": "p_c"}, "service": {"ip": "10.0.0.1"}}
    assert spec.aligned(have, {"cron": {"name": "c"}, "service": {}}) == {"cron": {"name": "c"}, "service": {}}
    assert spec.aligned(have, have) == have
    assert spec.aligned([have], [{"cron": {"start": "x"}}]) == [
        {"cron": {"name": "c", "start": "2020-01-01T00:00:00Z"}, "service": {"ip": "10.0.0.1"}}
    ]


def test_the_cron_spec_of_a_trigger_has_another_number_before_2_7() -> None:
    doc = {"input": {"pfs": {"repo": "r", "glob": "/", "trigger": {"cron_spec": "@daily"}}}}
    old, new = (spec.request(spec.sendable(doc, "p", "x"), v).input.pfs.trigger for v in ((2, 6, 9), (2, 7, 0)))
    assert (old.rate_limit_spec, old.cron_spec) == ("@daily", "")
    assert (new.rate_limit_spec, new.cron_spec) == ("", "@daily")
    info = schema.message("pps_v2.PipelineInfo")()
    info.pipeline.name = "p"
    info.details.input.pfs.trigger.rate_limit_spec = "@daily"
    told = [spec.of_details(info, v, "x")["input"]["pfs"]["trigger"] for v in ((2, 6, 9), (2, 7, 0))]
    assert told == [{"branch": "master", "cron_spec": "@daily"}, {"branch": "master", "rate_limit_spec": "@daily"}]


@pytest.mark.parametrize(
    ("path", "value", "since"),
    [
        ("egress.object_storage.url", "s3://b", "2.2"),
        ("egress.sqlDatabase", {"url": "postgres://"}, "2.2"),
        ("transform.memory_volume", True, "2.4"),
        ("transform.datumBatching", True, "2.5"),
        ("tolerations", [{"key": "k"}], "2.5"),
        ("sidecar_resource_requests", {"cpu": 1}, "2.6"),
        ("determined", {"workspaces": ["w"]}, "2.7"),
        ("input.cross.0.pfs.trigger.rate_limit_spec", "@daily", "2.7"),
        ("maximum_expected_uptime", "1s", "2.9"),
        ("input.cross.0.pfs.reference", True, "2.12"),
    ],
)
def test_what_a_server_is_too_old_for(path: str, value: Any, since: str) -> None:
    major, minor = map(int, since.split("."))
    doc = spelled(set_to(path, value))
    rows = spec.newer(doc, (major, minor - 1, 9))
    assert rows and rows[0][1] == since
    assert rows[0][0].replace("[0]", ".0") in path
    assert spec.newer(doc, (major, minor, 0)) == []
    assert spec.newer(base(), (2, 0, 0)) == []


def test_the_repos_that_a_spec_reads() -> None:
    doc = {"input": {"cross": [{"pfs": {"repo": "a"}}, {"union": [{"pfs": {"repo": "b", "project": "x"}}]}]}}
    assert spec.sources(spec.canon(doc, "here", False)) == {("here", "a"), ("x", "b")}
    assert spec.sources(spec.canon({}, "here", False)) == set()


# --- texts


def test_texts_of_json_and_yaml() -> None:
    for text in (json.dumps(base()), yaml.safe_dump(base()), "---\n" + yaml.safe_dump(base()), json.dumps([base()])):
        assert spec.canon(spec.load(text), "d", True) == spec.canon(base(), "d", True)
    loaded = spec.load("input: {cron: {start: 2020-01-01T00:00:00Z}}\n")
    assert loaded == {"input": {"cron": {"start": "2020-01-01T00:00:00Z"}}}


def test_several_specs_in_a_text() -> None:
    docs: list[Any] = [{"pipeline": {"name": name}, "description": name} for name in ("a", "b")]
    docs.append({"pipeline": "c"})
    for text in (json.dumps(docs), yaml.safe_dump_all(docs), yaml.safe_dump(docs)):
        assert spec.load(text, "b") == docs[1]
        with pytest.raises(ValueError, match="holds 3 specs, and not one of them is called c"):
            spec.load(text, "c")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no spec"),
        ("- 1\n", "holds no spec"),
        ("just text", "holds no spec"),
        ('{"a": 1,}', "not valid JSON \\(line 1\\)"),
        ("a: [1\nb: 2\n", "not valid YAML \\(line 2\\)"),
        ("a: &x {b: 1}\nc: *x\n", "aliases cannot be used"),
        ("a: !!python/object/apply:os.getpid []\n", "not valid YAML"),
    ],
)
def test_texts_that_hold_none(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        spec.load(text)


# --- properties


@settings(max_examples=100, deadline=None)
@given(st.floats(min_value=0, max_value=1e6, width=32))
def test_numbers_are_as_precise_as_the_field(value: float) -> None:
    message = schema.message("pps_v2.ResourceSpec")(cpu=value)
    printed = json_format.MessageToDict(message).get("cpu", 0)
    forms = [spec.canon({"resource_limits": {"cpu": form}}, "d", True) for form in (value, printed, repr(value))]
    assert forms[0] == forms[1] == forms[2]


@settings(max_examples=100, deadline=None)
@given(st.integers(min_value=0, max_value=10**9 * 10**5))
def test_durations_are_as_protobuf_writes_them(nanoseconds: int) -> None:
    message = schema.message("pps_v2.CreatePipelineRequest")()
    message.job_timeout.FromNanoseconds(nanoseconds)
    printed = json_format.MessageToDict(message)["jobTimeout"]
    plain = "%d.%09ds" % divmod(nanoseconds, 10**9)
    assert spec.canon({"job_timeout": printed}, "d", True) == spec.canon({"job_timeout": plain}, "d", True)


@settings(max_examples=100, deadline=None)
@given(st.datetimes(timezones=st.just(datetime.UTC)), st.integers(min_value=-720, max_value=720))
def test_times_are_instants(at: datetime.datetime, minutes: int) -> None:
    def form(value: Any) -> Any:
        return spec.canon({"input": {"cron": {"start": value}}}, "d", True)

    if 2 < at.year < 9998:
        zone = datetime.timezone(datetime.timedelta(minutes=minutes))
        assert form(at) == form(at.astimezone(zone).isoformat()) == form(at.isoformat().replace("+00:00", "Z"))
