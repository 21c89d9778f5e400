# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook polystore.storage.fixtures, through a whole life in all systems at once."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import CONNECTION as PEGASUS
from ansible_collections.polystore.storage.plugins.modules.fdfs_file import SUBJECT as FDFS
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.kinds import connection_of
from ansible_collections.polystore.storage.tests.contract.estate_place import Estate, whole
from ansible_collections.polystore.storage.tests.contract.test_estate import FIXTURES
from ansible_collections.polystore.storage.tests.support import targets
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import new_table
from ansible_collections.polystore.storage.tests.support.run import run_ok

CANARIES = ("canary-header-4711", "canary-url-key-4711", "canary-secret-value")
SEVERAL = 10


class Life:
    """A manifest on disk, and the playbook."""

    def __init__(self, estate: Estate, tmp: pathlib.Path) -> None:
        self.estate, self.tmp, self.runs = estate, tmp, 0
        self.texts: list[str] = []

    def run(self, action: str, **variables: Any) -> dict[str, Any]:
        """One playbook run, which has to succeed; what the module returned."""
        manifest = self.tmp / "fixtures.json"
        manifest.write_text(json.dumps(self.estate.data), "utf-8")
        self.runs += 1
        given = {"fixtures_manifest": str(manifest), "fixtures_action": action, **variables}
        given["ansible_python_interpreter"] = "{{ ansible_playbook_python }}"
        scratch = self.tmp / ("run-%d" % self.runs)
        ran = targets.run_playbook("polystore.storage.fixtures", scratch, "--diff", "-vv", variables=given, seconds=900)
        assert ran.code == 0, ran.output
        self.texts.append(ran.output)
        (row,) = ran.named("What there is" if action == "export" else "The estate")
        return row.result

    def silent(self, action: str, **variables: Any) -> dict[str, Any]:
        """The same, and no server may see a write."""
        marks = {name: server.mark() for name, server in self.estate.servers.items()}
        result = self.run(action, **variables)
        for name, server in self.estate.servers.items():
            assert server.writes(marks[name]) == [], name
        return result

    def client(self, system: str) -> Any:
        connection = PEGASUS if system == "pegasus" else connection_of(system)  # to rows, not to tables
        return client_for(connection, self.estate.data["connections"][system], 8, {})


def manifest(estate: Estate) -> None:
    """At least 40 things, with secrets among them."""
    whole(estate)
    for number in range(SEVERAL):
        (estate.tmp / "tree" / ("more-%d.txt" % number)).write_text("more %d\n" % number)
    estate.data["swift"]["containers"].append(
        {"name": estate.name + "-k", "temp_url_keys": ["canary-url-key-4711", ""]}
    )
    estate.data["connections"]["alluxio"]["headers"] = {"X-Gateway": "canary-header-4711"}


def drifted(life: Life) -> None:
    """Changes by hand, one in each system."""
    name = life.estate.name
    life.client("swift").request("DELETE", name, "tree/1.txt")
    life.client("alluxio").delete("/%s/tree/2.txt" % name)
    pachd = life.client("pachyderm")
    repo = pachd.repo(name, name + "-in")
    pachd.call(
        "pfs_v2.API/CreateRepo", pachd.message("pfs_v2.CreateRepoRequest", repo=repo, description="other", update=True)
    )
    table = life.estate.name.replace("-", "_")
    life.client("pegasus").put(table, b"one", b"a", b"other")
    ids = life.tmp / "ids.json"
    found = json.loads(ids.read_text("utf-8"))
    entries = found.get("files", found)
    del entries["one"]
    ids.write_text(json.dumps(found), "utf-8")


def neighbours(life: Life) -> Callable[[], list[Any]]:
    """Things of somebody else, beside and below what the estate will have; what tells how they are."""
    swift, alluxio, pachd = (life.client(system) for system in ("swift", "alluxio", "pachyderm"))
    pegasus, name, ids = life.client("pegasus"), life.estate.name, life.tmp / "ids.json"
    theirs, table = "their-" + name, "their_" + name.replace("-", "_")
    swift.request("PUT", theirs)
    swift.request("PUT", theirs, "tree/0.txt", body=b"theirs")
    alluxio.create_directory("/" + theirs)
    repo = pachd.repo("default", theirs)
    pachd.call("pfs_v2.API/CreateRepo", pachd.message("pfs_v2.CreateRepoRequest", repo=repo))
    new_table(life.estate.servers["pegasus"], table, 4, complete=True)
    pegasus.put(table, b"one", b"a", b"theirs")
    run_ok(FDFS, life.estate.servers["fastdfs"], name="theirs", manifest=str(ids), content="theirs")

    def told() -> list[Any]:
        found = pachd.call("pfs_v2.API/InspectRepo", pachd.message("pfs_v2.InspectRepoRequest", repo=repo))
        return [
            list(swift.listing(theirs)),
            alluxio.get_status("/" + theirs),
            str(found),
            pegasus.get(table, b"one", b"a"),
            json.loads(ids.read_text("utf-8"))["files"]["theirs"],
        ]

    return told


def exported(life: Life) -> None:
    """What there is as a manifest, which changes nothing where it came from."""
    name, there = life.estate.name, life.tmp / "exported.json"
    filters = {
        "swift_prefixes": [name],
        "alluxio_paths": ["/" + name],
        "pachyderm_projects": [name],
        "fastdfs_manifests": [str(life.tmp / "ids.json")],
        "pegasus_tables": [name.replace("-", "_")],
    }
    connections = life.estate.data["connections"]
    place = {"fixtures_manifest": str(there), "fixtures_connections": connections, "fixtures_filters": filters}
    found = life.silent("export", **place)
    assert {kind.split(".")[0] for kind in found["counts"]} == set(FIXTURES) and sum(found["counts"].values()) >= 40
    again = json.loads(there.read_text("utf-8"))
    again["connections"] = connections
    (life.tmp / "again.json").write_text(json.dumps(again), "utf-8")
    same = life.silent("apply", fixtures_manifest=str(life.tmp / "again.json"))
    assert not same["changed"] and same["summary"]["unchanged"] == sum(found["counts"].values()) and same["owned"] == 0
    (life.tmp / "again.json").unlink()  # it has the connections' secrets


def test_a_life_of_fixtures(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    estate = Estate(tmp_path, {system: request.getfixturevalue(name) for system, name in FIXTURES.items()})
    manifest(estate)
    life = Life(estate, tmp_path)
    others = neighbours(life)
    before = others()
    plan, page = str(tmp_path / "plan.json"), str(tmp_path / "plan.html")
    planned = life.silent("plan", fixtures_plan_file=plan, fixtures_report=page)
    assert planned["summary"]["created"] >= 40
    applied = life.run("apply", fixtures_plan_file=plan, fixtures_report=str(tmp_path / "applied.json"))
    assert applied["changes"] == planned["changes"] and applied["summary"]["created"] == planned["summary"]["created"]
    again = life.silent("apply")
    assert not again["changed"] and again["summary"]["writes"] == 0
    drifted(life)
    drift = life.silent("drift", fixtures_report=str(tmp_path / "drift.md"))
    assert {change["system"] for change in drift["changes"]} == set(FIXTURES)
    assert "differ from what is declared" in (tmp_path / "drift.md").read_text("utf-8")
    repaired = life.run("apply")
    assert repaired["changes"] == drift["changes"]
    assert not life.silent("apply")["changed"]
    exported(life)
    removed = life.run("destroy")
    assert removed["owned"] == 0
    assert life.silent("plan")["summary"]["created"] == planned["summary"]["created"]
    assert others() == before
    kept = [path for path in tmp_path.rglob("*.*") if path.is_file() and path.name not in ("fixtures.json",)]
    told = [path.read_text("utf-8", "replace") for path in kept if "variables" not in path.name] + life.texts
    secrets = [*CANARIES, *(s for server in estate.servers.values() for s in server.secrets() if len(s) > 7)]
    assert [secret for secret in secrets for text in told if secret in text] == []
