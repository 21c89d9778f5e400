# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast path's decisions, without a playbook."""

from __future__ import annotations

import os
import pathlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.template import Templar
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import Query
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item
from ansible_collections.polystore.storage.plugins.plugin_utils import fastpath


class _Connection:
    spec: dict[str, dict[str, Any]] = {"password": {"type": "str", "no_log": True}}
    preloaded = 0

    @classmethod
    def preload(cls, tokens: Any) -> None:
        cls.preloaded += 1
        raise StorageError("the library is not there")

    @staticmethod
    def resolve(options: Any, environ: Any) -> Any:
        return types.SimpleNamespace(identity=lambda: tuple(sorted(options.items())))

    @staticmethod
    def connect(resolved: Any, parallel: int) -> Any:
        return object()


class _Options(Item):
    pass


class _Subject(Query):
    connection = _Connection()
    Options = _Options

    @classmethod
    def fetch(cls, client: Any, options: Any) -> dict[str, Any]:
        return {"found": "the password is s3cr3t"}


_MODULE = types.SimpleNamespace(SUBJECT=_Subject, __name__="x.plugins.modules.swift_thing")


class _Action(fastpath.FastPath):
    module = _MODULE
    handed: tuple[str, dict[str, Any]] | None = None

    def _execute_module(self, module_name: Any = None, **options: Any) -> dict[str, Any]:
        self.handed = (module_name, options)
        return {"changed": True, "by": "module"}


HERE = {"ansible_python_interpreter": sys.executable}


def action(transport: str = "local", become: Any = None, args: Any = None, **task: Any) -> _Action:
    """An action plugin for one task."""
    made = Task.load({"polystore.storage.swift_thing": args or {}, **task})
    connection = types.SimpleNamespace(transport=transport, become=become, _shell=types.SimpleNamespace(tmpdir=None))
    loader = DataLoader()
    context = types.SimpleNamespace(diff=False)
    return _Action(made, connection, context, loader, Templar(loader=loader), None)


@pytest.fixture(autouse=True)
def _no_load_of_the_action(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("ansible.parsing.mod_args.ModuleArgsParser.parse", _parse)
    yield


def _parse(self: Any, skip_action_validation: bool = False) -> tuple[str, dict[str, Any], Any]:
    name = "polystore.storage.swift_thing"
    return name, self._task_ds[name], self._task_ds.get("delegate_to")


def test_a_missing_library_does_not_stop_the_load() -> None:
    before = _Connection.preloaded

    class Another(fastpath.FastPath):
        module = _MODULE

    assert _Connection.preloaded == before + 1 and Another.module is _MODULE


def test_a_local_task_runs_here() -> None:
    one = action()
    result = one.run(task_vars=HERE)
    assert one.handed is None
    assert result["changed"] is False and result["found"] == "the password is s3cr3t"


def test_secrets_are_masked_as_a_module_does_it() -> None:
    result = action(args={"password": "s3cr3t"}).run(task_vars=HERE)
    assert "s3cr3t" not in str(result) and "the password is" in result["found"]


def test_wrong_options_are_told_as_a_failure() -> None:
    result = action(args={"pasword": "s3cr3t"}).run(task_vars=HERE)
    assert result["failed"] and "s3cr3t" not in result["msg"]
    assert "Unsupported parameters for (polystore.storage.swift_thing) module: pasword. Supp" in result["msg"]


@pytest.mark.parametrize(
    ("case", "variables"),
    [
        ({"transport": "ssh"}, HERE),
        ({"become": object()}, HERE),
        ({"async": 10}, HERE),
        ({"environment": {"A": "b"}}, HERE),
        ({"args": {"fast_path": False}}, HERE),
        ({}, {**HERE, "polystore_fast_path": False}),
        ({}, {**HERE, "polystore_fast_path": "no"}),
        ({}, {**HERE, "polystore_fast_path": "off"}),
        ({}, {}),
        ({}, {"ansible_python_interpreter": "/nowhere/python"}),
        ({}, {"ansible_python_interpreter": "auto_silent"}),
        ({"delegate_to": "other"}, HERE),
        (
            {"delegate_to": "other"},
            {**HERE, "ansible_delegated_vars": {"other": {"ansible_python_interpreter": "/nowhere/python"}}},
        ),
    ],
)
def test_everything_else_is_handed_over(
    case: dict[str, Any], variables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANSIBLE_PYTHON_INTERPRETER", raising=False)
    one = action(**case)
    assert one.run(task_vars=variables)["by"] == "module"
    assert one.handed is not None and one.handed[0] == "polystore.storage.swift_thing"
    assert one.handed[1]["wrap_async"] == case.get("async", 0)


def test_the_configured_interpreter_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_PYTHON_INTERPRETER", sys.executable)
    one = action()
    one.run(task_vars={})
    assert one.handed is None
    monkeypatch.setenv("ANSIBLE_PYTHON_INTERPRETER", "/nowhere/python")
    other = action()
    assert other.run(task_vars={})["by"] == "module"


@pytest.mark.parametrize("switch", [True, "yes", "true", "1", "True"])
def test_switched_on(switch: Any) -> None:
    one = action()
    one.run(task_vars={**HERE, "polystore_fast_path": switch})
    assert one.handed is None


def test_delegated_to_where_we_are() -> None:
    one = action(delegate_to="other")
    one.run(task_vars={"ansible_delegated_vars": {"other": HERE}})
    assert one.handed is None


def test_the_same_interpreter(tmp_path: pathlib.Path) -> None:
    assert fastpath.same_interpreter(sys.executable)
    assert not fastpath.same_interpreter(str(tmp_path / "python"))
    link = tmp_path / "python"
    link.symlink_to(os.path.realpath(sys.executable))
    assert not fastpath.same_interpreter(str(link)), "the same binary in another directory is another environment"


class _Text(str):
    """As Ansible marks strings with where they come from."""


class _Number(int):
    pass


def test_plain_values() -> None:
    value = {_Text("a"): [_Text("b"), (_Number(1), True, None, 1.5)], 2: {"c": _Text("d")}}
    found = fastpath.plain(value)
    assert found == {"a": ["b", [1, True, None, 1.5]], "2": {"c": "d"}}
    assert found["a"][0].__class__ is str and found["a"][1][0].__class__ is int and found["a"][1][1] is True
