# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs modules in this process and tells what each cost: python worker.py < JSON list of [module, arguments, check].

Prints a list of {seconds, cpu (seconds of all threads), peak (MiB, of the process until then), result}. The first rows
warm up libraries and token.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.polystore.storage.plugins.module_utils.core.host import argument_spec_of, execute
from ansible_collections.polystore.storage.tests.support.memory import peak


def run(module: str, args: dict[str, Any], check: bool) -> dict[str, Any]:
    """One task, as the fast path runs it."""
    subject = importlib.import_module("ansible_collections.polystore.storage.plugins.modules." + module).SUBJECT
    validation = ArgumentSpecValidator(argument_spec_of(subject)).validate(args)
    if validation.error_messages:
        raise SystemExit("%s: %s" % (module, validation.errors.msg))
    started, before = time.monotonic(), time.process_time()
    result = execute(subject, validation.validated_parameters, frozenset(args), check)
    seconds, cpu = time.monotonic() - started, time.process_time() - before
    if result.get("failed"):
        raise SystemExit("%s: %s" % (module, result.get("exception", result["msg"])))
    return {"seconds": seconds, "cpu": cpu, "peak": peak(), "result": {**result, "resources": []}}


if __name__ == "__main__":
    json.dump([run(*row) for row in json.load(sys.stdin)], sys.stdout)
