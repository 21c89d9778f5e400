# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a change must pass, stage by stage: python tools/ci.py [--only lint,test] [--list].

Each stage has its own time limit; one that fails does not stop the others. Ends with a table of what ran where and a
plain line "N passed, M failed". Exits 1 when a stage failed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import IO, NamedTuple

import cores
from paths import REPORTS, ROOT
from run_tests import Count, counts, unsteady
from venvs import default_core

OLD_TARGET = 9  # the oldest Python 3 that targets may have
BOTH_WAYS = {"POLYSTORE_WAYS": "both"}  # integration targets: each on the fast path and through ordinary modules
# What Alluxio 1.x answers does not depend on who runs the modules, nor what tours and examples do on the oldest core.
OF_CORE = ("-k", "(test_targets or test_fast_path) and not alluxio_v1")


class Stage(NamedTuple):
    """One command with a limit. report: the JUnit file that it writes, if it does."""

    name: str
    command: list[str]
    minutes: float
    where: str
    report: str = ""
    variables: dict[str, str] = {}


class Outcome(NamedTuple):
    """What a stage came to."""

    passed: int
    failed: int
    skipped: int
    seconds: float
    note: str = ""


def script(name: str, *options: str) -> list[str]:
    """A command that runs a tool with this interpreter."""
    return [sys.executable, str(ROOT / "tools" / name), *options]


def tests(core: str, report: str, suites: list[str], *options: str) -> list[str]:
    """A command that runs test suites (none named: all) on a core. options: for pytest."""
    return script(
        "run_tests.py", *suites, "--core", core, "--python", cores.runnable()[core], "--report", report, "--", *options
    )


def stages() -> list[Stage]:
    """All stages in the order in which they run."""
    here = "%d.%d" % sys.version_info[:2]
    default, runnable, ends = default_core(), cores.runnable(), cores.ends()
    standard = "core %s" % default
    found = [
        Stage("lint", ["make", "lint"], 10, "Python " + here),
        Stage("test", ["make", "test"], 30, "%s, tempauth" % standard, "tests"),
    ]
    # Everything that talks to Swift once more, with Keystone before it and on the newest core; and what "test" leaves
    # out as too long. Where a dead run stopped does not depend on who gave it its token: no campaign runs twice.
    others = " and ".join("not %s" % name for name in ("alluxio", "pachyderm", "fastdfs", "pegasus"))
    command = tests(ends[-1], "keystone", [], "-m", "server and (second or not crash) and " + others)
    where = "core %s, Keystone" % ends[-1]
    found.append(Stage("keystone", command, 25, where, "keystone", {"POLYSTORE_AUTH": "v3"}))
    # Everything that talks to Alluxio, with real ones instead of the stand-in; and what "test" leaves out as too long.
    outages = "tests/unit/faults/test_alluxio_outages.py"  # whose parts only a real one has
    suites = ["contract", "conformance", "integration"]
    command = tests(ends[-1], "alluxio", suites, "-m", "alluxio", outages)
    where = "core %s, real Alluxio 2.9.6 and 1.8.1" % ends[-1]
    found.append(Stage("alluxio", command, 35, where, "alluxio", {"POLYSTORE_ALLUXIO": "real"}))
    # The official clients judge the stand-in; the targets on older ones; a role that needs kubectl and systemd.
    clients = ["conformance", "integration", "--clients", "pachyderm-sdk,python-pachyderm"]
    command = tests(ends[-1], "pachyderm", clients, "-m", "pachyderm and second")
    where = "core %s, pachyderm-sdk 2.12.2 and python-pachyderm 7.6.0" % ends[-1]
    found.append(Stage("pachyderm", command, 30, where, "pachyderm"))
    # Three registries' clients, each against the stand-in as six versions of FastDFS.
    command = tests(ends[-1], "fastdfs", ["conformance", "integration"], "-m", "fastdfs and second")
    where = "core %s, FastDFS's Java, Node and Rust clients" % ends[-1]
    found.append(Stage("fastdfs", command, 30, where, "fastdfs"))
    clients = ["conformance", "integration", "--clients", "pegasus-go,pypegasus3"]
    command = tests(ends[-1], "pegasus", clients, "-m", "pegasus and second")
    where = "core %s, Pegasus's Go client and pypegasus3 0.0.1.1" % ends[-1]
    found.append(Stage("pegasus", command, 15, where, "pegasus"))
    for core in runnable:
        if core == default:
            continue  # the stage "test" has run them
        name = "units-%s" % core
        # The sandbox's servers are no part of what a core runs.
        fast = ("-m", "not server", "--ignore=tests/unit/sandbox")
        found.append(Stage(name, tests(core, name, ["units"], *fast), 6, "core " + core, name))
    options = [word for core in ends for word in ("--core", core)]
    found.append(Stage("sanity", script("sanity.py", *options), 15, "cores " + ", ".join(ends)))
    # Every target once on the fast path and once through modules on the oldest Python that targets may have.
    python = cores.interpreters().get(OLD_TARGET)
    for core in ends[:-1]:
        name, where = "integration-%s" % core, "core %s" % core
        options = ["integration", "--core", core, "--python", runnable[core], "--report", name]
        if python:
            options += ["--target", python]
            where += ", modules on Python 3.%d" % OLD_TARGET
        found.append(Stage(name, script("run_tests.py", *options, "--", *OF_CORE), 20, where, name, BOTH_WAYS))
    found.append(Stage("quickstart", ["make", "quickstart"], 4, standard))
    found.append(Stage("docs", ["make", "docs"], 4, standard))
    return found


def follow(stream: IO[bytes], said: list[str]) -> None:
    """Passes a stage's output on as it comes, and keeps its last lines."""
    for raw in stream:
        line = raw.decode("utf-8", "replace")
        sys.stdout.write(line)
        sys.stdout.flush()
        said.append(line)
        del said[:-20]


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of a stage's process group: asked first, then killed."""
    for number, seconds in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 20.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


def run(stage: Stage) -> Outcome:
    """Runs a stage with its output as it comes; after its time it and all that it started is ended."""
    report = REPORTS / ("%s.xml" % stage.report)
    report.unlink(missing_ok=True)
    started = time.monotonic()
    env = os.environ | {"CI": "true", "PYTHON": sys.executable} | stage.variables
    said: list[str] = []
    note = ""
    process = subprocess.Popen(
        stage.command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    reader = threading.Thread(target=follow, args=(process.stdout, said), daemon=True)
    reader.start()
    try:
        process.wait(stage.minutes * 60)
    except subprocess.TimeoutExpired:
        note = "ended after its %g minutes" % stage.minutes
    finally:
        end(process)
    reader.join(10)  # a process that escaped may hold the pipe; nothing more is waited for
    code = process.returncode or int(bool(note))
    seconds = time.monotonic() - started
    total = sum(counts(report).values(), Count()) if stage.report else Count()
    if match := re.search(r"^lint: (\d+) passed, (\d+) failed$", "".join(said), re.MULTILINE):
        total = Count(int(match[1]) + int(match[2]), int(match[2]))
    if stage.report and (shaky := unsteady(report)):
        note = "; ".join(filter(None, (note, "unsteady: " + ", ".join(shaky))))
    passed, failed = total.tests - total.failed - total.skipped, total.failed
    if not total.tests:
        passed = int(code == 0)
    if code and not failed:
        failed = 1
        note = note or "exit code %d" % code
    return Outcome(passed, failed, total.skipped, seconds, note)


def table(results: list[tuple[Stage, Outcome]]) -> None:
    """Prints what ran where."""
    row = "%-18s %-7s %7s %7s %8s %8s   %s"
    print("\n" + row % ("stage", "result", "passed", "failed", "skipped", "seconds", "where"))
    for stage, outcome in results:
        verdict = "FAILED" if outcome.failed else "ok"
        where = "%s  (%s)" % (stage.where, outcome.note) if outcome.note else stage.where
        figures = (outcome.passed, outcome.failed, outcome.skipped, "%.0f" % outcome.seconds)
        print(row % (stage.name, verdict, *figures, where))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", help="names of stages, comma separated; units, sanity, integration name all of theirs"
    )
    parser.add_argument("--list", action="store_true", help="prints the names of the stages")
    wanted = parser.parse_args()
    every = stages()
    if wanted.only:
        names = wanted.only.split(",")
        if unknown := [n for n in names if not any(n in (s.name, s.name.split("-")[0]) for s in every)]:
            parser.error("unknown stage: %s" % ", ".join(unknown))
        every = [stage for stage in every if stage.name in names or stage.name.split("-")[0] in names]
    if wanted.list:
        for stage in every:
            print("%-18s %2g min  %s" % (stage.name, stage.minutes, stage.where))
        return
    results = []
    for stage in every:
        print("\n===== %s: %s" % (stage.name, " ".join(stage.command)), flush=True)
        results.append((stage, run(stage)))
    table(results)
    outcomes = [outcome for _stage, outcome in results]
    passed, failed = sum(o.passed for o in outcomes), sum(o.failed for o in outcomes)
    print("whole: %.1f min" % (sum(outcome.seconds for outcome in outcomes) / 60))
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
