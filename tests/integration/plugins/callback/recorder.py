# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what every task of a playbook came to into $POLYSTORE_RECORD, one JSON object a line."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recorder
type: aggregate
short_description: Records every task's result as JSON lines
description: For the integration tests, which compare the recordings of two ways to run the same playbook.
author: polystore.storage contributors (@polystore)
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """One line a host and task: task, action, host, outcome, result, seconds, and when it ended (at)."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recorder"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._file = open(os.environ["POLYSTORE_RECORD"], "a", encoding="utf-8")  # noqa: SIM115
        self._started = time.monotonic()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._started = time.monotonic()

    def _write(self, outcome: str, found: Any) -> None:
        # ansible-core 2.19 made these attributes public
        task, host = getattr(found, "task", None) or found._task, getattr(found, "host", None) or found._host
        result = getattr(found, "result", None) or found._result
        line = {
            "task": task.get_name().strip(),
            "action": task.action,
            "host": host.get_name(),
            "outcome": outcome,
            "result": result,
            "seconds": round(time.monotonic() - self._started, 4),
            "at": time.monotonic(),
        }
        self._file.write(json.dumps(line, default=str, sort_keys=True) + "\n")
        self._file.flush()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result)
