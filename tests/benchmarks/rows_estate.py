# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An estate's row, against the sandbox: see rows.py for what a row is."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import yaml
from ansible_collections.polystore.storage.tests.benchmarks.bench import Bench, Sample
from ansible_collections.polystore.storage.tests.support.servers import start_pachd, start_stand_in

EACH = 2_000  # items of each system
HERE = pathlib.Path(__file__).resolve().parent


def declared(name: str, each: int, connections: dict[str, Any]) -> dict[str, Any]:
    """A manifest with so many items of each of five systems, and what they are in."""
    table, numbers = name.replace("-", "_"), ["%05d" % number for number in range(each)]
    place = {"project": name, "repo": "in"}
    return {
        "estate": name,
        "connections": connections,
        "swift": {
            "containers": [{"name": name}],
            "objects": [{"container": name, "name": n, "content": "item %s\n" % n} for n in numbers],
        },
        "alluxio": {"files": [{"path": "/%s/%s" % (name, n), "content": "item %s\n" % n} for n in numbers]},
        "pachyderm": {
            "projects": [{"name": name}],
            "repos": [{"project": name, "name": "in"}],
            "files": [{**place, "path": "/" + n, "content": "item %s\n" % n} for n in numbers],
        },
        "fastdfs": {"files": [{"name": n, "manifest": name + ".ids", "content": "item %s\n" % n} for n in numbers]},
        "pegasus": {
            "tables": [{"name": table, "partition_count": 4}],
            "kv": [{"table": table, "hash_key": n, "sort_key": "s", "value": "item %s" % n} for n in numbers],
        },
    }


def runs(bench: Bench, each: int, *wishes: str) -> list[dict[str, Any]]:
    """What an estate of that size cost in a process of its own."""
    servers = {"swift": bench.server, "fastdfs": bench.fdfs, "pegasus": bench.pegasus}
    connections = {name: server.connection() for name, server in servers.items()}
    connections.update(alluxio=start_stand_in().connection(), pachyderm=start_pachd().connection())
    name = bench.name("estate")
    place = bench.directory / (name + ".yml")
    place.write_text(yaml.safe_dump(declared(name, each, connections), sort_keys=False), "utf-8")
    env = {"PYTHONPATH": str(HERE.parents[4])}
    told = bench.spend(sys.executable, HERE / "estate_run.py", place, *wishes, env=env).output
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def row_estate(bench: Bench) -> Iterator[Sample]:
    """10,000 items in five systems: planned, made, planned again, removed."""
    small = runs(bench, EACH // 10, "apply", "plan", "destroy")
    first, applied, again, third, gone = runs(bench, EACH, "plan", "apply", "plan", "plan", "destroy")
    count = applied["summary"]["created"]
    yield Sample("items", count, "")
    yield Sample("planned for the first time", first["seconds"], "s")
    yield Sample("made", applied["seconds"], "s")
    yield Sample("no-change plan", min(again["seconds"], third["seconds"]), "s", 10)
    yield Sample("no-change plan, of it reading the manifest", again["read"], "s")
    yield Sample("no-change plan, processor time", again["cpu"], "s")
    yield Sample("no-change plan, requests", again["summary"]["requests"], "")
    yield Sample("no-change plan, writes", again["summary"]["writes"], "", 0)
    yield Sample("no-change plan, changes", sum(again["summary"][n] for n in ("created", "updated", "deleted")), "", 0)
    yield Sample("removed", gone["seconds"], "s")
    yield Sample("peak of the process, 1,000 items", small[-1]["peak"], "MiB")
    yield Sample("peak of the process, 10,000 items", gone["peak"], "MiB")
    yield Sample("memory that one more plan adds", third["peak"] - again["peak"], "MiB", 16)
