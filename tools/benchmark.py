# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs tests/benchmarks/run.py in the venv of the tests: python tools/benchmark.py [its own options]."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys

from paths import ROOT, environment
from stage import collections_path, tree
from venvs import venv


def main() -> None:
    interpreter = venv("test")
    with tree() as collection:
        top = collections_path(collection)
        env = environment(interpreter) | {"ANSIBLE_COLLECTIONS_PATH": top, "PYTHONPATH": top}
        env["POLYSTORE_SERVER_PYTHON"] = str(interpreter)
        for system in runpy.run_path(str(ROOT / "tests" / "support" / "real.py"))["given"]().values():
            env[system.address] = os.environ[system.address]
        command = [str(interpreter), "tests/benchmarks/run.py", *sys.argv[1:]]
        sys.exit(subprocess.run(command, cwd=collection, env=env, check=False).returncode)


if __name__ == "__main__":
    main()
