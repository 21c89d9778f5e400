# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs suites on every ansible-core that an interpreter found here can run, and prints a table.

    python tools/matrix.py [units sanity contract integration] [--cores 2.18,2.21]

All of units, sanity and integration when none is named.
"""

from __future__ import annotations

import argparse
import sys
import time

import cores
from paths import REPORTS
from run_tests import Count, counts, run
from sanity import sanity

SUITES = ("units", "sanity", "contract", "integration")


def cell(suite: str, core: str, python: str) -> tuple[bool, int]:
    """(passed, number of tests) of one suite on one core."""
    if suite == "sanity":
        return sanity(core, python) == 0, 1
    report = "%s-%s" % (suite, core)
    code = run([suite], core, python, report=report)
    return code == 0, sum(counts(REPORTS / (report + ".xml")).values(), Count()).tests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*")
    parser.add_argument("--cores", help="comma separated; all when left out")
    wanted = parser.parse_args()
    if unknown := set(wanted.suites) - set(SUITES):
        parser.error("unknown suite: %s" % ", ".join(sorted(unknown)))
    runnable = cores.runnable()
    rows, failed = [], 0
    for core in wanted.cores.split(",") if wanted.cores else cores.PYTHONS:
        for suite in wanted.suites or ("units", "sanity", "integration"):
            if core not in runnable:
                rows.append("%-6s %-12s %-8s" % (core, suite, "no interpreter"))
                continue
            print("\n== %s on ansible-core %s, %s" % (suite, core, runnable[core]), flush=True)
            started = time.monotonic()
            passed, tests = cell(suite, core, runnable[core])
            failed += not passed
            seconds = time.monotonic() - started
            verdict = "ok" if passed else "FAILED"
            rows.append("%-6s %-12s %-8s %6d %8.0f   %s" % (core, suite, verdict, tests, seconds, runnable[core]))
    print("\n%-6s %-12s %-8s %6s %8s   %s" % ("core", "suite", "result", "tests", "seconds", "interpreter"))
    print("\n".join(rows))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
