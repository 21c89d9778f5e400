# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract that every state module keeps, checked against a real server's request log.

A module joins with rows in a file cases_<x>.py beside this one: a list CASES of Case, a list QUESTIONS of Question.
"""

from __future__ import annotations

import dataclasses as dc
import importlib
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Run
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.tests.support.run import connection, run_ok, run_task

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = "ansible_collections.polystore.storage.tests.contract."
SUMMARY = {"created", "updated", "deleted", "unchanged", "failed"}
MEASURES = {"bytes_sent", "bytes_received", "requests", "writes"}
FAILURE = {"item", "operation", "code", "server_message", "hint", "message"}
WORDS = "Out of luck today"


@dc.dataclass
class World:
    """Where a case happens. name: one that nothing else has; tmp: an empty directory."""

    server: Any
    subject: Any
    name: str
    tmp: pathlib.Path

    def client(self) -> Any:
        """A client of the module's own system, for what a setup needs."""
        return client_for(self.subject.connection, connection(self.server), Run().parallel, {})

    def run(self, *, check: bool = False, **args: Any) -> dict[str, Any]:
        """A task that has to succeed, with diff; no secret of the connection may appear in its result."""
        return run_ok(self.subject, self.server, check, True, **args)

    def silent(self, *, check: bool = False, **args: Any) -> dict[str, Any]:
        """The same, and it may not send a write."""
        mark = self.server.mark()
        result = self.run(check=check, **args)
        assert self.server.writes(mark) == []
        return result


Options = Callable[[World], Mapping[str, Any]]


def nothing(world: World) -> None:
    """The setup of a case that needs none."""


@dc.dataclass(frozen=True)
class Case:
    """One row. identity, args, changed, absent: options; args are laid over identity, and so are the others.

    setup: what has to be there before; changed: what is different the second time; absent: how it is removed (None:
    it cannot be); secrets: texts that no result may hold; volatile: fields of a state that follow from others;
    first: what applying args for the first time is called.
    """

    name: str
    subject: Any
    identity: Options
    args: Options
    changed: Options
    absent: Options | None = lambda world: {"state": "absent"}
    setup: Callable[[World], Any] = nothing
    secrets: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    first: str = "created"
    server: str = "swift_server"

    def options(self, world: World, *names: str) -> dict[str, Any]:
        """The identity with the named options laid over it."""
        found = dict(self.identity(world))
        for name in names:
            found.update(getattr(self, name)(world))
        return found

    def steady(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """A state without what the server may count a moment later."""
        return {name: value for name, value in state.items() if name not in self.volatile}


@dc.dataclass(frozen=True)
class Question:
    """One row for a module that only asks."""

    name: str
    subject: Any
    args: Options
    setup: Callable[[World], Any] = nothing
    secrets: tuple[str, ...] = ()
    server: str = "swift_server"


def rows(kind: str) -> list[Any]:
    """All rows of a kind (CASES or QUESTIONS) from the files beside this one."""
    names = sorted(path.stem for path in HERE.glob("cases_*.py"))
    return [row for name in names for row in getattr(importlib.import_module(PACKAGE + name), kind, ())]


def hidden(result: Any, world: World, secrets: tuple[str, ...]) -> None:
    """No secret of the case or of the connection is anywhere in a result."""
    text = json.dumps(result, default=str, ensure_ascii=False)
    for secret in (*secrets, *world.server.secrets()):
        assert secret not in text


def applied_twice(case: Case, world: World) -> None:
    """The second run changes nothing and sends no write."""
    args = case.options(world, "args")
    first, second = world.run(**args), world.silent(**args)
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["resource"]["action"] == case.first
    assert second["resource"]["action"] == "unchanged"
    assert second["diff"] == []
    again = case.options(world, "changed")
    assert world.run(**again)["resource"]["action"] == "updated"
    assert world.silent(**again)["changed"] is False
    if case.absent is not None:
        gone = case.options(world, "absent")
        assert world.run(**gone)["resource"]["action"] == "deleted"
        assert world.silent(**gone)["changed"] is False


def checked_first(case: Case, world: World) -> None:
    """Check mode sends no write and tells the same change and the same diff as the run that follows."""
    for names in (["args"], ["args"], ["changed"], ["absent"] if case.absent is not None else ["changed"]):
        args = case.options(world, *names)
        check = world.silent(check=True, **args)
        real = world.run(**args)
        assert check["changed"] == real["changed"]
        assert check["diff"] == real["diff"]
        assert [r["action"] for r in check["resources"]] == [r["action"] for r in real["resources"]]
        for diff in real["diff"]:
            assert set(diff) == {"before", "after", "before_header", "after_header"}
            assert diff["before"] != diff["after"]
        assert bool(real["diff"]) == real["changed"]
        hidden([check, real], world, case.secrets)


def left_alone(case: Case, world: World) -> None:
    """What is left out is not touched, neither alone nor beside a change."""
    world.run(**case.options(world, "args"))
    before = world.silent(**case.options(world))
    assert before["changed"] is False
    world.run(**case.options(world, "changed"))
    after = world.silent(**case.options(world))
    said = {*case.changed(world), "action"}
    kept = {k: v for k, v in case.steady(before["resource"]).items() if k not in said}
    assert kept and kept == {k: v for k, v in case.steady(after["resource"]).items() if k not in said}


def failed_well(case: Case, world: World) -> None:
    """A refusal names the item, the operation, the server's words and what to do; afterwards it can be done again."""
    args = case.options(world, "args")
    code = world.server.refuse_writes(WORDS)
    words = getattr(world.server, "refusal", WORDS)  # what a server says that has no words of its own
    result = run_task(case.subject, world.server, False, True, **args)
    world.server.clear_faults()
    assert result["failed"] is True
    assert result["changed"] is False
    assert result["summary"]["failed"] == 1
    assert result["resource"]["action"] == "failed"
    failure = result["failures"][0]
    assert set(failure) == FAILURE
    assert failure["code"] == code
    assert words in failure["server_message"]
    assert failure["operation"] and failure["hint"] and failure["item"]
    for part in (failure["item"], failure["operation"], words, failure["hint"]):
        assert part in result["msg"]
    hidden(result, world, case.secrets)
    assert world.run(**args)["changed"] is True


def shaped(case: Case, world: World) -> None:
    """One item and a batch tell the same in the same shape."""
    args = case.options(world, "args")
    one = world.run(**args)
    assert set(one) == {"changed", "resources", "resource", "summary", "diff"}
    assert one["resources"] == [one["resource"]]
    assert set(one["summary"]) == SUMMARY | MEASURES
    assert one["summary"]["writes"] > 0
    for name, value in case.identity(world).items():
        assert one["resource"][name] == value
    again, batch = world.run(**args), world.run(batch=[args])
    assert [case.steady(state) for state in batch["resources"]] == [case.steady(again["resource"])]
    assert sum(batch["summary"][name] for name in SUMMARY) == batch["summary"]["unchanged"] == 1
    twice = run_task(case.subject, world.server, batch=[args, args])
    assert twice["failed"] is True
    assert "declared twice" in twice["msg"]
    unknown = run_task(case.subject, world.server, batch=[{**args, "no_such_option": 1}])
    assert "batch[0].no_such_option" in unknown["msg"]
    hidden([one, again, batch, twice, unknown], world, case.secrets)


PROMISES = {f.__name__: f for f in (applied_twice, checked_first, left_alone, failed_well, shaped)}
