# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast path: an action plugin that runs a module's engine in the controller, where that is the same thing."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from ansible import constants as C
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import argument_spec_of, execute, secrets_in
from ansible_collections.polystore.storage.plugins.plugin_utils.masking import masked
from ansible_collections.polystore.storage.plugins.plugin_utils.tokens import SharedTokens

SWITCH = "polystore_fast_path"
TOKENS = SharedTokens()


def plain(value: Any) -> Any:
    """A task argument as plain JSON types, as a module would get it: tags gone, vaulted text in clear."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def refusal(validation: Any, name: str) -> str:
    """What is wrong with a task's options, in the words of a module of this name."""
    told = str(validation.errors.msg)
    if isinstance(validation.errors[0], UnsupportedError):
        return "Unsupported parameters for (%s) module: %s" % (name, told)
    return told


def same_interpreter(path: str) -> bool:
    """Whether path is the interpreter that runs here, in the same environment."""
    here, there = os.path.dirname(sys.executable), os.path.dirname(path)
    try:
        return os.path.realpath(here) == os.path.realpath(there) and os.path.samefile(path, sys.executable)
    except OSError:
        return False


class FastPath(ActionBase):  # type: ignore[misc]
    """Base of the generated action plugins, which only name their module."""

    module: Any = None
    _supports_check_mode = True
    _supports_async = True

    def __init_subclass__(cls) -> None:
        # The linear strategy loads the class in the controller: the library is imported once, before the forks.
        with contextlib.suppress(StorageError):  # a missing library is said by the task that needs it
            cls.module.SUBJECT.connection.preload(TOKENS)

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the task here, or hand it over to the ordinary module."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        if not self._is_here(variables):
            result.update(
                self._execute_module(self._module_name(), task_vars=variables, wrap_async=self._task.async_val)
            )
            return result
        result.update(self._run_here())
        return result

    def _module_name(self) -> str:
        return "polystore.storage." + str(self.module.__name__).rsplit(".", 1)[-1]

    def _run_here(self) -> dict[str, Any]:
        args = plain(self._task.args)
        validation = ArgumentSpecValidator(argument_spec_of(self.module.SUBJECT)).validate(args)
        if validation.error_messages:
            return {"failed": True, "msg": refusal(validation, self._module_name())}
        display = Display()

        def tell(line: str) -> None:
            display.display("%s: %s" % (self._task.get_name(), line), stderr=True)

        found = execute(
            self.module.SUBJECT,
            validation.validated_parameters,
            frozenset(args),
            check=bool(self._task.check_mode),
            diff=bool(self._task.diff),
            tell=tell if display.verbosity else None,
        )
        hidden = validation._no_log_values | secrets_in(self.module.SUBJECT, args.get("batch"))
        cleaned: dict[str, Any] = masked(found, hidden)
        return cleaned

    def _is_here(self, variables: dict[str, Any]) -> bool:
        task = self._task
        if task.async_val or any(task.environment or ()) or self._connection.become:
            return False
        if self._connection.transport not in ("local", "ansible.builtin.local"):
            return False
        for switch in (variables.get(SWITCH, True), task.args.get("fast_path", True)):
            if str(self._templar.template(switch)).strip().lower() in ("false", "no", "off", "0"):
                return False
        if task.delegate_to:
            variables = variables.get("ansible_delegated_vars", {}).get(task.delegate_to, {})
        interpreter = variables.get("ansible_python_interpreter") or C.config.get_config_value("INTERPRETER_PYTHON")
        return bool(interpreter) and same_interpreter(str(self._templar.template(interpreter)))
