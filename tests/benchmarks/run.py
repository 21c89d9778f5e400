# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints a table of ratios, measured side by side: make benchmark ARGS="--runs 5 --only task,sync"."""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time
from typing import Any

from ansible_collections.polystore.storage.tests.benchmarks.bench import Bench, Missing, Sample
from ansible_collections.polystore.storage.tests.benchmarks.rows import ONCE, ROWS


def verdict(values: list[float], budget: float | None) -> str:
    """ok or MISSED, by the median; nothing without a budget."""
    if budget is None or any(math.isnan(value) for value in values):
        return ""
    return "ok" if statistics.median(values) <= budget else "MISSED"


def number(value: float, unit: str) -> str:
    """A value with three digits that matter."""
    if math.isnan(value):
        return ""
    text = "%.0f" % value if value >= 100 or (not unit and value == int(value)) else "%.3g" % value
    return (text + " " + unit).strip() if unit != "x" else text


def measure(bench: Bench, names: list[str], runs: int) -> list[dict[str, Any]]:
    """The lines of the table."""
    lines: dict[tuple[str, str, str], dict[str, Any]] = {}
    for name in names:
        for turn in range(1 if name in ONCE else runs):
            started = time.monotonic()
            samples: list[Sample] = []
            try:
                samples.extend(ROWS[name](bench))
            except Missing as reason:
                samples.append(Sample("FAILED: %s" % reason, float("nan"), "", 0))
            print("%s, run %d: %.0f s" % (name, turn + 1, time.monotonic() - started), file=sys.stderr, flush=True)
            for one in samples:
                blank: dict[str, Any] = {
                    "row": name,
                    "what": one.what,
                    "unit": one.unit,
                    "budget": one.budget,
                    "values": [],
                }
                lines.setdefault((name, one.what, one.unit), blank)["values"].append(one.value)
    for line in lines.values():
        failed = line["what"].startswith("FAILED")
        line["verdict"] = "MISSED" if failed else verdict(line["values"], line["budget"])
    return list(lines.values())


def show(lines: list[dict[str, Any]]) -> None:
    """The table, to be read."""
    print("%-8s %-62s %9s %9s %9s %8s  %s" % ("row", "what", "min", "median", "max", "budget", ""))
    for line in lines:
        values, unit = line["values"], line["unit"]
        shown = [number(part, unit) for part in (min(values), statistics.median(values), max(values))]
        budget = "" if line["budget"] is None else "<= " + number(line["budget"], "x")
        print("%-8s %-62s %9s %9s %9s %8s  %s" % (line["row"], line["what"], *shown, budget, line["verdict"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Rows: %s" % ", ".join(ROWS))
    parser.add_argument("--runs", type=int, default=3, help="how often each row is measured (default %(default)s)")
    parser.add_argument("--only", help="some of the rows, separated by commas")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write what was measured there too")
    parser.add_argument("--directory", help="where files lie for a while (3 GiB; default: a temporary one)")
    wanted = parser.parse_args()
    names = wanted.only.split(",") if wanted.only else list(ROWS)
    if unknown := set(names) - set(ROWS):
        parser.error("unknown rows: %s; there are %s" % (", ".join(sorted(unknown)), ", ".join(ROWS)))
    with tempfile.TemporaryDirectory(prefix="polystore-benchmark-", dir=wanted.directory) as directory:
        lines = measure(Bench(pathlib.Path(directory)), names, wanted.runs)
    print()
    show(lines)
    about = "Python %s, %s CPUs, %s" % (platform.python_version(), os.cpu_count(), platform.machine())
    print("\n%s; the verdict is the median's. What the rows mean: tests/benchmarks/README.md" % about)
    if wanted.json:
        wanted.json.write_text(json.dumps({"where": about, "lines": lines}, indent=1), "utf-8")
    sys.exit(any(line["verdict"] == "MISSED" for line in lines))


if __name__ == "__main__":
    main()
