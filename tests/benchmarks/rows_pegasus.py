# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pegasus's rows, against the sandbox's stand-in or the one at PEGASUS_META_SERVERS: see rows.py for what a row is."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

from ansible_collections.polystore.storage.tests.benchmarks.bench import Bench, Missing, Sample
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import new_table

COUNT, WORKERS, VALUE = 10_000, 16, "v" * 100
SCANNED = 1_000_000
HERE = pathlib.Path(__file__).resolve().parent


def go(bench: Bench, table: str) -> dict[str, float]:
    """What the official Go client's driver says of its sets and gets. Raises Missing."""
    program = os.environ.get("POLYSTORE_PEGASUS_GO")
    if not program:
        tool = HERE.parents[1] / "tools" / "golang.py"
        done = subprocess.run([sys.executable, str(tool), "pegasus-go"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing("no Go client: %s" % done.stderr.strip()[-300:])
        program = done.stdout.strip()
    metas = ",".join(bench.pegasus.meta_servers)
    told = bench.spend(program, metas, "bench", table, str(COUNT), str(WORKERS)).output
    rows = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    return {name: float(value) for row in rows for name, value in row.items() if isinstance(value, (int, float))}


def row_pegasus_keys(bench: Bench) -> Iterator[Sample]:
    """10,000 keys in one task, then 10,000 questions; the Go client's 10,000 sets and gets with 16 workers."""
    ours, theirs = bench.pegasus.new_name("bench"), bench.pegasus.new_name("bench")
    for table in (ours, theirs):
        new_table(bench.pegasus, table, 8, complete=True)
    options = {**bench.pegasus.connection(), "table": ours}
    batch = [{"hash_key": "key%05d" % number, "sort_key": "sort", "value": VALUE} for number in range(COUNT)]
    warm = ["pegasus_kv", {**options, "hash_key": "warm", "values": {str(n): "v" for n in range(50)}}]
    task = ["pegasus_kv", {**options, "batch": batch}]
    living = ["pegasus_kv", {**options, "batch": batch, "ttl": "never"}]
    together = ["pegasus_kv", {**options, "hash_key": "h", "values": {"%05d" % n: VALUE for n in range(COUNT)}}]
    _warm, first, again, lives, one, _same = bench.work(warm, task, task, living, together, together)
    yield Sample("pegasus_kv, 10,000 keys", first["seconds"], "s")
    yield Sample("processor time of ours", first["cpu"], "s")
    yield Sample("no change", again["seconds"], "s")
    yield Sample("no change / first", again["seconds"] / first["seconds"], budget=0.5)
    yield Sample("no change, requests", again["result"]["summary"]["requests"], "")
    yield Sample("no change, writes", again["result"]["summary"]["writes"], "", 0)
    yield Sample("no change, with a ttl to compare", lives["seconds"], "s")
    yield Sample("10,000 of one hash key", one["seconds"], "s")
    told = go(bench, theirs)
    spent = told["set_seconds"] + told["get_seconds"]
    yield Sample("Go client, 10,000 sets, 16 workers", told["set_seconds"], "s")
    yield Sample("Go client, 10,000 gets, 16 workers", told["get_seconds"], "s")
    yield Sample(
        "pegasus_kv, both runs / Go client, sets and gets", (first["seconds"] + again["seconds"]) / spent, budget=2
    )
    yield Sample("pegasus_kv, first / Go client, sets and gets", first["seconds"] / spent, budget=2)


def row_pegasus_scan(bench: Bench) -> Iterator[Sample]:
    """1,000,000 keys scanned, and the memory that it adds to a process that has scanned 1,000."""
    table = bench.pegasus.new_name("scan")
    new_table(bench.pegasus, table, 8, complete=True)
    command = [sys.executable, str(HERE / "pegasus_scan.py"), ",".join(bench.pegasus.meta_servers), table]
    env = {"PYTHONPATH": str(HERE.parents[4])}
    bench.spend(*command, "fill", "1000", env=env)
    small = bench.spend(*command, "scan", "1000", env=env)
    filled = bench.spend(*command, "fill", str(SCANNED), env=env)
    large = bench.spend(*command, "scan", str(SCANNED), env=env)
    yield Sample("filled, rows a second", SCANNED / filled.seconds, "")
    yield Sample("scanned, rows a second", SCANNED / large.seconds, "")
    yield Sample("1,000,000 keys scanned, memory added", large.peak - small.peak, "MiB", 16)
