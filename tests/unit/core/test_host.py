# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine meets Ansible: batches, null and nothing, clients that are kept, faults of our own."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.polystore.storage.plugins.module_utils.core import host
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item, directive
from ansible_collections.polystore.storage.tests.unit.core.shapes import Container, Containers, World


class Resolved:
    """Credentials of the fake connection."""

    def __init__(self, address: str) -> None:
        self.address = address

    def identity(self) -> str:
        return self.address


class Connection:
    """A connection to a world in memory."""

    spec: Mapping[str, Any] = {"address": {"type": "str"}}

    def resolve(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> Resolved:
        address = options["address"] or environ.get("ADDRESS")
        if not address:
            raise OptionError("address", "is missing", "Set ADDRESS")
        return Resolved(address)

    def connect(self, resolved: Resolved, parallel: int) -> World:
        return World()


class Subject(Containers):
    connection = Connection()

    @classmethod
    def validate(cls, item: Container) -> None:
        if item.quota == 13:
            raise OptionError("quota", "is unlucky", "Take 12")


class Question(Item):
    pass


class Asking(host.Query):
    connection = Connection()
    Options = Question

    @classmethod
    def fetch(cls, client: Any, options: Any) -> dict[str, Any]:
        return {"answer": 42}


@pytest.fixture(autouse=True)
def no_old_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(host, "_CLIENTS", {})
    yield


def execute(subject: Any = Subject, **args: Any) -> dict[str, Any]:
    """A task as the fast path runs it."""
    args.setdefault("address", "here")
    found = ArgumentSpecValidator(host.argument_spec_of(subject)).validate(args)
    assert not found.error_messages
    return host.execute(subject, found.validated_parameters, frozenset(args), diff=True, environ={})


def test_the_spec_holds_connection_engine_and_item() -> None:
    spec = host.argument_spec_of(Subject)
    assert {"address", "batch", "batch_src", "parallel", "result_detail", "shard", "fast_path", "state"} <= set(spec)
    assert spec["secret"]["no_log"] is True
    assert set(host.argument_spec_of(Asking)) == {"address", "fast_path"}


def test_one_item_and_the_null_that_is_a_value() -> None:
    assert execute(name="a", quota=5)["resource"] == {"name": "a", "quota": 5, "fact": 1, "action": "created"}
    assert execute(name="a", read_acl=None)["changed"] is False
    assert execute(name="a", quota=None)["diff"][0]["after"] == {"name": "a", "quota": None}


def test_the_task_s_options_are_the_defaults_of_a_batch() -> None:
    result = execute(quota=5, batch=[{"name": "a"}, {"name": "b", "quota": 6}, {"name": "c", "quota": None}])
    assert [r.get("quota") for r in result["resources"]] == [5, 6, None]
    assert "resource" not in result


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".yml", ".yaml"])
def test_a_batch_in_a_file(tmp_path: pathlib.Path, ending: str) -> None:
    rows = [{"name": "ä"}, {"name": "b", "quota": 6}]
    path = tmp_path / ("batch" + ending)
    text = "\n\n".join(map(json.dumps, rows)) if ending == ".jsonl" else json.dumps(rows)
    path.write_text(text, "utf-8")
    assert execute(batch_src=str(path))["summary"]["created"] == 2


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.json", None, "cannot be read"),
        ("bad.json", "[", "cannot be read"),
        ("bad.jsonl", "{}\n[", "cannot be read"),
        ("bad.yml", "a: [", "is not valid YAML"),
        ("batch.txt", "[]", "no known ending"),
        ("dict.json", "{}", "batch_src: is no list"),
        ("text.json", '["a"]', "batch_src[0]: is no dictionary"),
        ("row.json", '[{"name": "a"}, {"nome": "b"}]', "batch_src[1].nome: unknown option"),
        ("lack.json", '[{"quota": 1}]', "batch_src[0].name: is required"),
    ],
)
def test_wrong_files_are_explained(tmp_path: pathlib.Path, name: str, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    result = execute(batch_src=str(tmp_path / name))
    assert (result["failed"], result["changed"]) == (True, False)
    assert words in result["msg"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"name": "a", "parallel": 0}, "parallel: 0 is out of bounds. Give 1 to 64"),
        ({"name": "a", "parallel": 65}, "parallel: 65 is out of bounds"),
        ({"name": "a", "shard": {"index": 3, "count": 3}}, "shard: index 3 of count 3"),
        ({"name": "a", "shard": {"index": 0, "count": 0}}, "shard: index 0 of count 0"),
        ({"name": "a", "quota": 13}, "quota: is unlucky. Take 12"),
        ({"batch": [{"name": "a"}, {"name": "b", "quota": 13}]}, "batch[1].quota: is unlucky. Take 12"),
        ({"batch": [{"name": "a"}], "batch_src": "/x.json"}, "batch_src: cannot be given together with batch"),
        ({"name": "a", "address": ""}, "address: is missing. Set ADDRESS"),
        ({}, "name: is required"),
    ],
)
def test_wrong_options_end_the_task(args: dict[str, Any], words: str) -> None:
    result = execute(**args)
    assert words in result["msg"]
    assert set(result) == {"failed", "changed", "msg", "failures"}
    assert result["failures"][0]["operation"] == "check options"


def test_a_share_of_a_batch() -> None:
    rows = [{"name": "c%d" % n} for n in range(30)]
    created = [execute(batch=rows, shard={"index": n, "count": 2})["summary"]["created"] for n in (0, 1)]
    assert sum(created) == 30
    assert all(created)


def test_clients_are_kept_for_the_same_connection_and_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def client(address: str, parallel: int = 8) -> Any:
        return host.client_for(Subject.connection, {"address": address}, parallel, {})

    assert client("a") is client("a")
    assert client("a") is not client("b")
    assert client("a") is not client("a", 2)
    old = client("a")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert client("a") is not old


def test_a_question() -> None:
    assert execute(Asking) == {"changed": False, "answer": 42}


def test_a_fault_of_ours_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Subject, "read", lambda self, items: 1 // 0)
    result = execute(name="a")
    assert (result["failed"], result["changed"]) == (True, False)
    assert result["msg"].startswith("This is a fault in polystore.storage")
    assert "ZeroDivisionError" in result["exception"]


def test_failures_name_their_item(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(self: Any, item: Any, present: Any) -> None:
        raise StorageError("cannot be", code=409)

    monkeypatch.setattr(Subject, "plan", plan)
    result = execute(name="a")
    assert (result["failures"][0]["item"], result["msg"]) == ("a", "container a: cannot be")


def test_secrets_in_batches_are_known() -> None:
    rows = [{"name": "a", "secret": "s1"}, {"secret": ["s2", None]}, {"secret": None}, "text"]
    assert host.secrets_in(Subject, rows) >= {"s1", "s2"}
    assert host.secrets_in(Subject, None) == host.secrets_in(Asking, rows) == set()


class Warned(Subject):
    def read(self, items: list[Any]) -> dict[Any, Any]:
        self.run.warnings.append("mind the gap")
        return super().read(items)


def test_warnings_are_passed_on() -> None:
    assert execute(Warned, name="a")["warnings"] == ["mind the gap"]


def test_directive_defaults_are_in_the_spec() -> None:
    assert directive(default=5).metadata["opt"].spec() == {"type": "str", "default": 5, "no_log": False}
