# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the tests in the staged tree.

    python tools/run_tests.py [units contract conformance integration] [--core 2.19] [-- pytest options]

Needs nothing but this interpreter: the venv is built when it is missing. Ends with pytest's own closing line and a
table of what ran and how long it took. A failed test is a failed test; but in CI (CI=true), where one of thousands
would refuse a whole change, up to FEW of them are tried once more, alone, and are named when they pass then.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from cores import fitting, interpreters
from golang import PROGRAMS, program
from paths import CACHE, REPORTS, environment
from stage import collections_path, tree
from venvs import default_core, venv, version_of

SUITES = {
    "units": "tests/unit",
    "contract": "tests/contract",
    "conformance": "tests/conformance",
    "integration": "tests/integration",
}
FEW = 5  # more failures than this are no accident
TESTS_FAILED = 1  # pytest's exit code
NEWEST = {"pypegasus3": 12}  # the last Python 3 that a client runs on


class Count(NamedTuple):
    """What one suite, or one file of it, came to."""

    tests: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def __add__(self, other: object) -> Count:
        if not isinstance(other, Count):
            return NotImplemented
        return Count(
            self.tests + other.tests,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.seconds + other.seconds,
        )


class Case(NamedTuple):
    """What became of one test. unsteady: it failed, and passed when it was tried once more."""

    failed: bool
    skipped: bool
    seconds: float
    unsteady: bool = False


def again(report: pathlib.Path) -> pathlib.Path:
    """Where the report of the tests that were tried once more is."""
    return report.with_name(report.stem + "-again.xml")


def _read(report: pathlib.Path) -> dict[str, Case]:
    """The tests of one JUnit report by class and name. Empty when pytest died before it wrote one."""
    found: dict[str, Case] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase") if report.exists() else ():
        failed = case.find("failure") is not None or case.find("error") is not None
        one = Case(failed, case.find("skipped") is not None, float(case.get("time") or 0))
        found["%s::%s" % (case.get("classname"), case.get("name"))] = one
    return found


def cases(report: pathlib.Path) -> dict[str, Case]:
    """The tests of a run by class and name, with what trying again came to."""
    found, second = _read(report), _read(again(report))
    for name in found.keys() & second.keys():
        if found[name].failed and not second[name].failed:
            found[name] = found[name]._replace(failed=False, unsteady=True)
    return found


def unsteady(report: pathlib.Path) -> list[str]:
    """Those tests that failed and passed when they were tried once more."""
    return sorted(name for name, case in cases(report).items() if case.unsteady)


def counts(report: pathlib.Path) -> dict[str, Count]:
    """Per suite directory, what the tests of a run came to."""
    found: dict[str, Count] = {}
    for name, case in cases(report).items():
        parts = name.split("::")[0].split(".")
        suite = next((key for key, path in SUITES.items() if parts[:2] == path.split("/")), "collection")
        one = Count(1, int(case.failed), int(case.skipped), case.seconds)
        found[suite] = found.get(suite, Count()) + one
    return found


def judge(name: str) -> pathlib.Path:
    """Somebody else's client: a program, or the interpreter of a venv that this Python or an older one has made."""
    if name in PROGRAMS:
        return program(name)
    minor = min(sys.version_info[1], NEWEST.get(name, 99))
    return venv(name, python=interpreters().get(minor, sys.executable))


def run(
    suites: list[str],
    core: str | None = None,
    python: str = sys.executable,
    options: list[str] | None = None,
    report: str = "tests",
    target: str = "",
    clients: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> int:
    """Runs the suites on one core with one interpreter; returns pytest's exit code.

    report: the name of the JUnit file in .build/reports. target: another interpreter, on which modules are run.
    clients: kinds of venvs with other people's clients, and programs in Go, for the conformance tests that the second
    stage has.
    more: variables besides those of paths.environment.
    """
    core = core or default_core(python)
    interpreter = venv("test", core, python)
    junit = REPORTS / ("%s.xml" % report)
    junit.parent.mkdir(parents=True, exist_ok=True)
    junit.unlink(missing_ok=True)
    again(junit).unlink(missing_ok=True)
    with tree() as collection:
        env = environment(interpreter) | {"ANSIBLE_COLLECTIONS_PATH": collections_path(collection), **(more or {})}
        env.setdefault("POLYSTORE_SERVER_PYTHON", str(interpreter))
        env["POLYSTORE_CACHE"] = str(CACHE)  # HOME is another one there
        if "conformance" in suites:
            for name in ("alluxio-client", *clients):
                env["POLYSTORE_" + name.replace("-", "_").upper()] = str(judge(name))
        if target:
            env["POLYSTORE_TARGET_PYTHON"] = str(venv("target", core, target))
        if env.get("POLYSTORE_AUTH") == "v3" or env.get("POLYSTORE_KEYSTONE") == "1":
            env["POLYSTORE_SERVER_PYTHON"] = str(venv("keystone"))
        else:
            options = ["-m", "not keystone and not second", *(options or [])]
        paths = [SUITES[suite] for suite in suites if (collection / SUITES[suite]).is_dir()]
        if not paths:
            sys.exit("There is nothing to run in %s" % ", ".join(suites))
        workers = min(2, os.cpu_count() or 1) + 1  # a third of their time they wait for what they started
        pytest = [str(interpreter), "-m", "pytest", "-q", "-o", "cache_dir=%s" % junit.with_suffix(".cache")]
        first = ["--junitxml=%s" % junit, "--cache-clear", "-n", str(workers), "--dist=worksteal"]
        rest = [*(options or []), *paths]
        code = subprocess.run([*pytest, *first, *rest], cwd=collection, env=env, check=False).returncode
        # Only where all have run: an interruption or an error of pytest's own is nothing to try again.
        failures = sum(case.failed for case in cases(junit).values()) if code == TESTS_FAILED else 0
        if env.get("CI") == "true" and 0 < failures <= FEW:
            print("\nWhat failed is tried once more, alone.", flush=True)
            second = ["--junitxml=%s" % again(junit), "--last-failed", "--last-failed-no-failures=none"]
            code = subprocess.run([*pytest, *second, *rest], cwd=collection, env=env, check=False).returncode
            code = code or int(any(case.failed for case in cases(junit).values()))  # one that was not tried again
    where = "ansible-core %s, Python %s" % (core, ".".join(map(str, version_of(python))))
    print("\n%-14s %7s %7s %8s %9s   %s" % ("suite", "tests", "failed", "skipped", "seconds", "where"))
    for suite, count in sorted(counts(junit).items()):
        print("%-14s %7d %7d %8d %9.1f   %s" % (suite, *count, where))
    for name in unsteady(junit):
        print("UNSTEADY, passed only when tried again: %s" % name)
    return code


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands before "--", and what stands behind it for pytest."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", help="some of %s; all when left out" % ", ".join(SUITES))
    parser.add_argument("--core", help="ansible-core's major.minor")
    parser.add_argument("--python", help="the interpreter to build the venv from; one that fits when left out")
    parser.add_argument("--report", default="tests")
    parser.add_argument("--target", default="", help="run the modules of the integration targets with this interpreter")
    parser.add_argument("--clients", default="", help="clients that judge, comma separated (tools/venvs.py, golang.py)")
    own, options = split(sys.argv[1:])
    wanted = parser.parse_args(own)
    if unknown := set(wanted.suites) - set(SUITES):
        parser.error("unknown suite: %s" % ", ".join(sorted(unknown)))
    python = wanted.python or fitting(wanted.core)
    suites, clients = wanted.suites or list(SUITES), list(filter(None, wanted.clients.split(",")))
    sys.exit(run(suites, wanted.core, python, options, wanted.report, wanted.target, clients))


if __name__ == "__main__":
    main()
