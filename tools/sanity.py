# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-test sanity on the staged tree: python tools/sanity.py [--core 2.20] [--python PATH]. No ignores.

ansible-test downloads a get-pip for the venvs of its own; a stand-in that uses ensurepip is put where it looks for it.
A test whose requirements come from elsewhere than a package index (pylint's of 2.22.0rc1) is left out, and named.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from cores import fitting
from paths import CACHE, environment
from stage import collections_path, tree
from venvs import default_core, locked, venv, version_of

GET_PIP = """\
import ensurepip
import runpy
import sys

ensurepip.bootstrap()
sys.argv[1:] = ["install", *(word for word in sys.argv[1:] if not word.startswith("pip=="))]
if any(not word.startswith("-") for word in sys.argv[2:]):
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def own_files(interpreter: pathlib.Path, pattern: str) -> list[pathlib.Path]:
    """Files of this interpreter's ansible-test, by a pattern below its package."""
    return sorted(interpreter.parent.parent.glob("lib/python*/site-packages/ansible_test/" + pattern))


def stand_in(interpreter: pathlib.Path, home: pathlib.Path) -> None:
    """Writes the get-pip stand-in under every name that this ansible-test may ask for."""
    text = "".join(path.read_text("utf-8") for path in own_files(interpreter, "_util/target/setup/requirements.py"))
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in set(re.findall(r"\d+\.\d+(?:\.\d+)?", text)) | {"25.2", "24.2", "20.3.4"}:
        (cache / ("get_pip_%s.py" % version.replace(".", "_"))).write_text(GET_PIP, "utf-8")


def elsewhere(interpreter: pathlib.Path) -> list[str]:
    """The sanity tests with a requirement that no package index has."""
    files = own_files(interpreter, "_data/requirements/sanity.*.txt")
    return [path.name.split(".")[1] for path in files if " @ http" in path.read_text("utf-8")]


def sanity(core: str | None = None, python: str = sys.executable, tests: list[str] | None = None) -> int:
    """ansible-test's exit code. tests: names of single sanity tests; all when left out."""
    core = core or default_core(python)
    interpreter = venv("core", core, python)
    major, minor = version_of(python)[:2]
    home = CACHE / "ansible-test" / ("%s-py%d.%d" % (core, major, minor))
    started = time.monotonic()
    left_out = elsewhere(interpreter)
    with tree() as collection, locked(home / "lock"):
        ignores = list((collection / "tests" / "sanity").glob("ignore*.txt"))
        if ignores:
            sys.exit("Sanity tests are not ignored here: %s" % ", ".join(path.name for path in ignores))
        stand_in(interpreter, home)
        command = [str(interpreter.parent / "ansible-test"), "sanity", "--local", "--color", "no", "--lint"]
        command += ["--python", "%d.%d" % (major, minor), *(word for test in tests or () for word in ("--test", test))]
        command += [word for test in left_out for word in ("--skip-test", test)]
        env = environment(interpreter, home) | {"ANSIBLE_COLLECTIONS_PATH": collections_path(collection)}
        code = subprocess.run(command, cwd=collection, env=env, check=False).returncode
    verdict = "FAILED" if code else "ok"
    without = "".join(", without %s (a requirement of it is in no package index)" % test for test in left_out)
    seconds = time.monotonic() - started
    print("sanity on ansible-core %s, Python %d.%d: %s, %.0f s%s" % (core, major, minor, verdict, seconds, without))
    return code


def several(cores: list[str], options: list[str]) -> int:
    """One process for each core, at the same time, since ansible-test uses one processor; what they say in turn."""
    commands = [[sys.executable, __file__, "--core", core, *options] for core in cores]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for command in commands]
    with ThreadPoolExecutor(len(running)) as pool:  # each is read as it comes: a full pipe would hold it up
        for said, _nothing in pool.map(subprocess.Popen.communicate, running):
            print(said.decode("utf-8", "replace"), end="", flush=True)
    return max(process.returncode for process in running)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", action="append", help="may be given several times")
    parser.add_argument("--python", help="the interpreter; one that the core can run on when left out")
    parser.add_argument("--test", action="append")
    wanted = parser.parse_args()
    if len(wanted.core or ()) > 1:
        tests = [word for test in wanted.test or () for word in ("--test", test)]
        sys.exit(several(wanted.core, tests))
    core = wanted.core[0] if wanted.core else None
    sys.exit(sanity(core, wanted.python or fitting(core), wanted.test))


if __name__ == "__main__":
    main()
