# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An estate: planned, applied, kept, drifted, repaired, removed; the servers' own logs are the witnesses."""

from __future__ import annotations

import json
import pathlib
import re
import time
from time import sleep
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Meter
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import CONNECTION
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.chain import How
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.export import Export
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.record import GRACE
from ansible_collections.polystore.storage.tests.contract.estate_place import Estate, only, whole

FIXTURES = {
    "swift": "swift_server",
    "alluxio": "alluxio_server",
    "pachyderm": "pachd_server",
    "fastdfs": "fdfs_server",
    "pegasus": "pegasus_server",
}


@pytest.fixture(params=[*FIXTURES])
def estate(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Estate:
    """An estate in one system."""
    return Estate(tmp_path, {request.param: request.getfixturevalue(FIXTURES[request.param])})


@pytest.fixture
def swift(swift_server: Any, tmp_path: pathlib.Path) -> Estate:
    """An estate in Swift."""
    return Estate(tmp_path, {"swift": swift_server})


def swift_client(estate: Estate) -> Any:
    """A client of its own."""
    return client_for(CONNECTION, estate.data["connections"]["swift"], 8, {})


def names(estate: Estate) -> list[str]:
    """The objects in its container."""
    return [row["name"] for row in swift_client(estate).listing(estate.name)]


def test_a_whole_life(estate: Estate) -> None:
    whole(estate)
    planned = estate.silent(check=True)
    assert set(planned) == {"created"}
    assert not estate.record.exists()
    assert estate.counts() == planned
    assert estate.silent() == {}
    assert estate.silent(check=True) == {}
    assert estate.silent(check=True, destroy=True) == {"deleted": len(estate.owned())}
    assert estate.counts(destroy=True)["deleted"] >= planned["created"]
    assert estate.owned() == []
    assert estate.silent(destroy=True) == {}
    assert estate.silent(check=True) == planned


def test_only_what_it_made_goes(swift: Estate) -> None:
    """What was there before an estate, and what came into its things since, stays."""
    whole(swift)
    client = swift_client(swift)
    client.request("PUT", swift.name)
    client.request("PUT", swift.name, "tree/0.txt", body=b"mine")
    planned = swift.silent(check=True)
    assert planned["updated"] == 2  # the container, the object
    assert swift.counts() == planned
    client.request("PUT", swift.name, "theirs", body=b"theirs")
    assert swift.counts(destroy=True) == {"deleted": planned["created"]}
    assert names(swift) == ["theirs", "tree/0.txt"]


def test_what_cannot_go_keeps_nothing_else_from_going(swift: Estate) -> None:
    whole(swift)
    swift.data["swift"]["containers"].append({"name": swift.name + "-empty"})
    swift.counts()
    swift_client(swift).request("PUT", swift.name, "theirs", body=b"theirs")
    outcome = swift.run(destroy=True)
    assert [(f["item"], f["code"]) for f in outcome["failures"]] == [(swift.name, 409)]
    assert swift.owned() == [f'swift.containers {{"name": "{swift.name}"}}']
    assert names(swift) == ["theirs"]


def test_prune_takes_only_what_it_made_and_is_not_declared(swift: Estate) -> None:
    whole(swift)
    swift.counts()
    swift_client(swift).request("PUT", swift.name, "tree/theirs", body=b"theirs")
    (swift.tmp / "tree" / "0.txt").unlink()
    del swift.data["swift"]["objects"][0]
    swift.data["swift"]["objects"][0] = {"container": swift.name, "name": "again"}
    assert swift.silent() == {}
    with pytest.raises(StorageError, match=r"2 of 8 would be removed, and max_delete 10% allows 0"):
        swift.silent(prune=True)
    assert swift.silent(prune=True, check=True, max_delete="50%") == {"deleted": 2}
    assert swift.counts(prune=True, max_delete=2) == {"deleted": 2}
    assert names(swift) == ["again", "tree/1.txt", "tree/2.txt", "tree/3.txt", "tree/deep/x.txt", "tree/theirs"]
    assert swift.silent(prune=True) == {}


def test_prune_of_everything_has_to_be_allowed(swift: Estate) -> None:
    whole(swift)
    swift.counts()
    del swift.data["swift"]
    with pytest.raises(StorageError, match="nothing is declared"):
        swift.silent(prune=True, max_delete="100%")
    assert swift.counts(prune=True, max_delete="100%", allow_empty=True)["deleted"] == 8


@pytest.mark.parametrize("wish", [{"destroy": True}, {"prune": True, "max_delete": "100%", "allow_empty": True}])
def test_what_is_protected_stays(swift: Estate, wish: dict[str, Any]) -> None:
    whole(swift)
    swift.counts()
    swift.data["swift"]["containers"][0]["protect"] = True
    swift.counts()  # the record has it now, whatever the manifest says later
    kept = dict(swift.data["swift"])
    if "prune" in wish:
        del swift.data["swift"]
    with pytest.raises(StorageError, match="protected and would be removed: swift.containers") as told:
        swift.silent(**wish)
    assert told.value.code == "PROTECTED"
    swift.data["swift"] = kept
    del kept["containers"][0]["protect"]
    assert swift.counts(destroy=True)["deleted"] == 8


def test_max_delete_holds_for_all_that_goes(swift: Estate) -> None:
    whole(swift)
    swift.counts()
    with pytest.raises(StorageError, match="8 of 8 would be removed, and max_delete 5 allows 5"):
        swift.silent(destroy=True, max_delete=5)
    swift.data["swift"]["objects"][1] = {"container": swift.name, "name": "again", "state": "absent"}
    with pytest.raises(StorageError, match="1 of 8 would be removed, and max_delete 0 allows 0"):
        swift.silent(max_delete=0)
    assert swift.counts(max_delete=1) == {"deleted": 1}


def test_a_plan_is_applied_exactly_or_not_at_all(swift: Estate) -> None:
    whole(swift)
    plan = str(swift.tmp / "plan.json")
    with pytest.raises(StorageError, match="cannot be read"):
        swift.silent(plan_file=plan)
    planned = swift.silent(check=True, plan_file=plan)
    kept = json.loads(pathlib.Path(plan).read_text())
    assert kept["counts"]["created"] == len(kept["changes"]) == planned["created"]
    (swift.tmp / "tree" / "4.txt").write_text("one more\n")
    with pytest.raises(
        StorageError, match=r"1 moved: swift.objects .*tree/4.txt.* \(planned: not in the plan, now: cre"
    ):
        swift.silent(plan_file=plan)
    (swift.tmp / "tree" / "4.txt").unlink()
    (swift.tmp / "tree" / "0.txt").write_text("another\n")
    with pytest.raises(StorageError, match=r"1 moved: .*tree/0.txt.* \(planned: created, now: created\)"):
        swift.silent(plan_file=plan)
    (swift.tmp / "tree" / "0.txt").write_text("file 0\n")
    assert swift.counts(plan_file=plan) == planned
    with pytest.raises(StorageError, match="8 moved"):
        swift.silent(plan_file=plan)
    assert swift.silent(check=True, plan_file=plan) == {}
    swift_client(swift).request("POST", swift.name, "hello", headers={"x-object-meta-a": "moved"})
    with pytest.raises(StorageError, match=r"1 moved: .*hello.*planned: unchanged, now: updated") as told:
        swift.silent(plan_file=plan)
    assert told.value.code == "STALE_PLAN"
    with pytest.raises(StorageError, match="another state, prune or systems"):
        swift.silent(plan_file=plan, destroy=True)
    swift.data["swift"]["objects"][0]["metadata"] = {"a": "c"}
    with pytest.raises(StorageError, match="the manifest is another one"):
        swift.silent(plan_file=plan)


def test_two_runs_are_kept_apart(swift: Estate) -> None:
    whole(swift)
    swift.counts()
    assert swift.work is not None
    with swift.work.record.held(), pytest.raises(StorageError, match="Another run holds the record") as told:
        swift.silent(destroy=True)
    assert told.value.code == "LOCKED"
    assert swift.counts(destroy=True)["deleted"] == 8


def test_what_a_dead_run_asked_for_is_waited_for(swift: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers may still do it. Only a run that was killed leaves its lock."""
    lock = pathlib.Path(str(swift.record) + ".lock")
    lock.write_text("process 1 on elsewhere")
    whole(swift)
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: waited.append(seconds) or sleep(0))
    outcome = swift.run()
    assert waited[0] == GRACE
    told = "A run before this one died (process 1 on elsewhere). This one takes up what it left"
    assert told in outcome["warnings"] and not lock.exists()
    waited.clear()
    assert swift.run()["warnings"] == [] and GRACE not in waited


def test_a_failure_stops_what_comes_after_and_the_next_run_goes_on(swift: Estate) -> None:
    whole(swift)
    swift.data["swift"]["containers"].append({"name": swift.name + "-old", "state": "absent"})
    swift_client(swift).request("PUT", swift.name + "-old")
    planned = swift.silent(check=True)
    server = swift.servers["swift"]
    server.fault("status", method="PUT", path="/hello", count=None, status=403)
    outcome = swift.run()
    told = [(f["item"], f["kind"], f["code"]) for f in outcome["failures"]]
    assert told == [(swift.name + "/hello", "objects", 403)]
    assert only(outcome["summary"]) == {"created": 1, "failed": 1}  # the container
    assert any("1 removals were not begun" in told for told in outcome["warnings"])
    server.clear_faults()
    assert swift.counts() == {**planned, "created": planned["created"] - 1}
    assert swift.counts(destroy=True) == {"deleted": 8}


def test_what_another_item_needs_comes_first_and_goes_last(alluxio_server: Any, tmp_path: pathlib.Path) -> None:
    """A directory, a mount in it, a directory and a file in that, declared the other way round."""
    estate = Estate(tmp_path, {"alluxio": alluxio_server})
    store, top = tmp_path / "store", "/" + estate.name
    store.mkdir()
    estate.data["alluxio"] = {
        "files": [{"path": top + "/in/m/deep/file", "content": "x"}],
        "mounts": [{"path": top + "/in/m", "source": str(store)}],
        "directories": [{"path": top + "/in/m/deep"}, {"path": top + "/in"}],
    }
    assert estate.counts() == {"created": 4}
    assert estate.silent() == {}
    assert (store / "deep" / "file").read_text() == "x"
    assert estate.counts(destroy=True)["deleted"] >= 4
    assert estate.owned() == [] and list(store.iterdir()) == []


def test_progress_is_told_of_each_system(swift: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meter.__init__, "__defaults__", ("item", 0.02))
    whole(swift)
    swift.servers["swift"].fault("delay", method="PUT", path="/tree/", count=None, seconds=0.3)
    swift.counts()
    told = [line for line in swift.told if line.startswith("swift trees: ")]
    assert any(re.fullmatch(r"swift trees: \d of 5 objects, \d+ B, [\d.]+ [KM]?i?B/s", line) for line in told), told


def test_a_thing_of_two_kinds_is_refused(swift: Estate) -> None:
    whole(swift)
    swift.data["swift"]["objects"].append({"container": swift.name, "name": "tree/1.txt", "content": "x"})
    with pytest.raises(StorageError, match="tree/1.txt is declared twice, by swift.objects and by swift.trees"):
        swift.silent()


def test_only_some_systems(swift: Estate, alluxio_server: Any) -> None:
    both = Estate(swift.tmp, {**swift.servers, "alluxio": alluxio_server})
    whole(both)
    made = both.counts(systems=["swift"])
    assert {name.split(".")[0] for name in both.owned()} == {"swift"}
    assert both.silent(systems=["swift"]) == {}
    both.counts()
    assert both.counts(destroy=True, systems=["swift"]) == {"deleted": made["created"]}
    assert {name.split(".")[0] for name in both.owned()} == {"alluxio"}
    both.counts(destroy=True)


def test_two_connections_to_one_system(swift: Estate) -> None:
    swift.data["connections"]["again"] = {"system": "swift", **swift.data["connections"]["swift"]}
    swift.data["swift"] = {
        "containers": [{"name": swift.name}, {"name": swift.name + "-2", "connection": "again"}],
    }
    swift.counts()
    assert [name.split(" ")[0] for name in swift.owned()] == ["again.containers", "swift.containers"]
    del swift.data["connections"]["again"]
    del swift.data["swift"]["containers"][1]
    with pytest.raises(StorageError, match="the manifest has no connection again to swift"):
        swift.silent()
    swift.data["connections"]["again"] = {"system": "swift", **swift.data["connections"]["swift"]}
    assert swift.counts(destroy=True) == {"deleted": 2}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "cannot be read"),
        ("[]", "no record of an estate"),
        ('{"format": "polystore.storage estate record 1", "estate": "other", "made": {}}', "of the estate other"),
        ('{"format": "polystore.storage estate record 1", "estate": "NAME", "made": {"a": {}}}', "its entry a"),
    ],
)
def test_a_record_that_is_not_usable(swift: Estate, text: str, part: str) -> None:
    swift.record.write_text(text.replace("NAME", swift.name))
    with pytest.raises(StorageError, match=part):
        swift.silent()


def test_an_export_says_the_same_there_and_elsewhere(estate: Estate) -> None:
    """Export, nothing to change; remove, apply the export, export again: the same document."""
    whole(estate)
    (system,) = estate.servers
    if system == "pachyderm":
        del estate.data["pachyderm"]["secrets"]  # whose values nobody can read
    estate.counts()
    first = exported(estate, system)
    again = Estate(estate.tmp, estate.servers)
    again.data = {**first, "estate": again.name, "connections": estate.data["connections"]}
    again.record = estate.tmp / "again.json"
    assert again.silent() == {}
    estate.counts(destroy=True)
    assert again.counts()["created"] >= 4
    assert exported(estate, system) == first
    again.counts(destroy=True)


def exported(estate: Estate, system: str) -> dict[str, Any]:
    """The manifest of an export of what the estate has, read as a manifest is."""
    filters = {
        "swift": [estate.name],
        "alluxio": ["/" + estate.name],
        "pachyderm": [estate.name],
        "fastdfs": [str(estate.tmp / "ids.json")],
        "pegasus": [estate.name.replace("-", "_")],
    }
    export = Export(str(estate.tmp / "export.json"), "files", How(8, {}, estate.told.append))
    export.add(system, estate.data["connections"][system], filters[system])
    export.write("exported")
    found: dict[str, Any] = json.loads((estate.tmp / "export.json").read_text())
    return found
