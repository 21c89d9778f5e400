# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's SUBJECT in process, as the fast path does, against a server of tests/support/servers.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.polystore.storage.plugins.module_utils.core.host import argument_spec_of, execute


def connection(server: Any) -> dict[str, Any]:
    """Connection options: a server's own, or the mapping itself."""
    return dict(server if isinstance(server, Mapping) else server.connection())


def run_task(subject: Any, server: Any, check: bool = False, diff: bool = False, **args: Any) -> dict[str, Any]:
    """The result of one task. server: a server or connection options; args: the task's options.

    Nothing is taken from the environment, and nothing is masked afterwards: what the engine lets through is seen.
    """
    given = {**connection(server), **args}
    validation = ArgumentSpecValidator(argument_spec_of(subject)).validate(given)
    if validation.error_messages:
        return {"failed": True, "changed": False, "msg": validation.errors.msg, "failures": []}
    return execute(subject, validation.validated_parameters, frozenset(given), check, diff, environ={})


def run_ok(subject: Any, server: Any, check: bool = False, diff: bool = False, **args: Any) -> dict[str, Any]:
    """The result of a task that has to succeed."""
    result = run_task(subject, server, check, diff, **args)
    assert not result.get("failed"), result.get("exception", result["msg"])
    return result


class Tasks:
    """Tasks of one module on one server, and what always holds of them."""

    subject: Any
    server: Any
    options: Mapping[str, Any] = {}  # of each task

    def run(self, **args: Any) -> dict[str, Any]:
        """A task with diff; check: in check mode."""
        return run_task(self.subject, self.server, **{"diff": True, **self.options, **args})

    def ok(self, **args: Any) -> dict[str, Any]:
        """One that has to succeed."""
        return run_ok(self.subject, self.server, **{"diff": True, **self.options, **args})

    def same(self, **args: Any) -> dict[str, Any]:
        """One that may not change or write anything."""
        mark = self.server.mark()
        result = self.ok(**args)
        assert (result["changed"], result["diff"], self.server.writes(mark)) == (False, [], [])
        return result

    def twice(self, **args: Any) -> dict[str, Any]:
        """One that changes something, which check mode foretells, and changes nothing the second time."""
        mark = self.server.mark()
        check = self.ok(check=True, **args)
        assert self.server.writes(mark) == []
        result = self.ok(**args)
        assert check["changed"] is result["changed"] is True
        assert check["diff"] == result["diff"]
        self.same(**args)
        return result

    def refused(self, **args: Any) -> str:
        """The message of one that fails before it writes; check mode says the same."""
        mark = self.server.mark()
        result, check = self.run(**args), self.run(check=True, **args)
        assert result["failed"] is True and "exception" not in result, result
        assert check["msg"] == result["msg"]
        assert self.server.writes(mark) == []
        return str(result["msg"])
