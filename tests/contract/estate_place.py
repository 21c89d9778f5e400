# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An estate in all systems that tests have servers of."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.values import share
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.chain import How
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.document import Document
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.manifest import Reader
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.record import Record
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.work import Wish, Work


def only(counts: Mapping[str, int]) -> dict[str, int]:
    """The actions in a summary that happened."""
    return {n: counts[n] for n in ("created", "updated", "deleted", "failed") if counts[n]}


def work_of(tmp: pathlib.Path, data: Any, place: pathlib.Path, tell: Callable[[str], Any], **wish: Any) -> Work:
    """One run of a manifest, not begun. place: of its record."""
    document = Document.parse(json.dumps(data), str(tmp / "m.json"), str(tmp))
    manifest = Reader(document, {}, lambda value, known: value, wish.get("systems")).read()
    if "max_delete" in wish:
        wish["max_delete"] = share(wish["max_delete"])
    return Work(manifest, Record(str(place), manifest.name), Wish(**wish), How(8, {}, tell))


class Estate:
    """A manifest that tests change, its record, and the servers it is on."""

    def __init__(self, tmp: pathlib.Path, servers: Mapping[str, Any]) -> None:
        self.tmp, self.servers = tmp, servers
        self.name = "t%d-%s" % (os.getpid(), abs(hash(str(tmp))) % 10**8)
        self.data: dict[str, Any] = {"estate": self.name}
        self.data["connections"] = {name: server.connection() for name, server in servers.items()}
        self.record = tmp / "record.json"
        self.told: list[str] = []
        self.work: Work | None = None

    def run(self, **wish: Any) -> dict[str, Any]:
        """One run; its outcome."""
        self.work = work_of(self.tmp, self.data, self.record, self.told.append, **wish)
        self.work.run()
        return self.work.outcome()

    def counts(self, **wish: Any) -> dict[str, int]:
        """One run; what happened."""
        outcome = self.run(**wish)
        assert not outcome["failures"], outcome["failures"]
        return only(outcome["summary"])

    def silent(self, **wish: Any) -> dict[str, int]:
        """The same; no server may see a write."""
        marks = {name: server.mark() for name, server in self.servers.items()}
        counts = self.counts(**wish)
        for name, server in self.servers.items():
            # A request of a dead process that hung and ended now was never applied.
            assert [e for e in server.writes(marks[name]) if e.get("fault") != "hang"] == [], name
        return counts

    def owned(self) -> list[str]:
        """The names in the record."""
        return sorted(json.loads(self.record.read_text())["made"])


def whole(estate: Estate) -> None:
    """Declares something of every kind there is."""
    name, tree = estate.name, estate.tmp / "tree"
    (tree / "deep").mkdir(parents=True)
    for number in range(4):
        (tree / f"{number}.txt").write_text(f"file {number}\n")
    (tree / "deep" / "x.txt").write_text("deep\n")
    if "swift" in estate.servers:
        estate.data["swift"] = {
            "objects": [
                {"container": name, "name": "hello", "content": "hello\n", "metadata": {"a": "b"}},
                {"container": name, "name": "again", "copy_from": f"{name}/hello"},
            ],
            "trees": [{"container": name, "prefix": "tree", "src": "tree"}],
            "containers": [{"name": name, "metadata": {"made-by": "estate"}}],
        }
    if "alluxio" in estate.servers:
        estate.data["alluxio"] = {
            "files": [{"path": f"/{name}/a/b/file", "content": "x"}],
            "trees": [{"path": f"/{name}/tree", "src": "tree"}],
            "directories": [{"path": f"/{name}", "mode": "0755"}, {"path": f"/{name}/empty"}],
        }
    if "pachyderm" in estate.servers:
        repo = name + "-in"
        estate.data["pachyderm"] = {
            "pipelines": [
                {
                    "name": name + "-p",
                    "project": name,
                    "spec": {
                        "transform": {"cmd": ["cp"], "image": "busybox"},
                        "input": {"pfs": {"repo": repo, "glob": "/*"}},
                    },
                }
            ],
            "files": [{"project": name, "repo": repo, "path": "/a", "content": "a"}],
            "trees": [{"project": name, "repo": repo, "path": "/tree", "src": "tree"}],
            "branches": [
                {"project": name, "repo": repo, "name": "stable", "head": "master"},
                {"project": name, "repo": repo, "name": "other"},
            ],
            "repos": [{"project": name, "name": repo, "description": "in"}],
            "projects": [{"name": name}],
            "secrets": [{"name": name + "-s", "data": {"k": "canary-secret-value"}}],
        }
    if "fastdfs" in estate.servers:
        estate.data["fastdfs"] = {
            "files": [{"name": "one", "manifest": "ids.json", "content": "one", "metadata": {"k": "v"}}],
            "trees": [{"manifest": "ids.json", "prefix": "tree", "src": "tree"}],
        }
    if "pegasus" in estate.servers:
        table = name.replace("-", "_")
        estate.data["pegasus"] = {
            "kv": [
                {"table": table, "hash_key": "one", "sort_key": "a", "value": "1"},
                {"table": table, "hash_key": "many", "values": {"a": "1", "b": "2"}, "ttl": "7d"},
            ],
            "tables": [{"name": table, "partition_count": 4, "replica_count": 1}],
        }
