# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run goes through its systems: all at the same time, and what comes after only when all have come so far."""

from __future__ import annotations

import pathlib
import threading
import time
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.plugin_utils.estate import chain
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.chain import Chain
from ansible_collections.polystore.storage.tests.contract.estate_place import work_of

DATA = {
    "estate": "e",
    "connections": {
        "swift": {"auth_type": "v1", "auth": {"auth_url": "http://127.0.0.1:9/auth", "username": "u", "password": "p"}},
        "pegasus": {"meta_servers": ["127.0.0.1:9"]},
        "alluxio": {"proxy_url": "http://127.0.0.1:9"},
    },
    "swift": {"containers": [{"name": "c"}]},
    "alluxio": {"directories": [{"path": "/d"}]},
    "pegasus": {"tables": [{"name": "t"}]},
}
SYSTEMS = {"swift", "alluxio", "pegasus"}


def test_systems_go_side_by_side(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met = {step: threading.Barrier(len(SYSTEMS)) for step in ("plan", "make", "remove")}
    for step, barrier in met.items():
        monkeypatch.setattr(Chain, step, lambda self, record, barrier=barrier: barrier.wait(60) >= 0)
    work_of(tmp_path, DATA, tmp_path / "record.json", str).run()


def test_removals_wait_for_all_systems(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []
    for step in ("plan", "make", "remove"):
        monkeypatch.setattr(Chain, step, lambda self, record, step=step: done.append((step, self.connection)))
    work_of(tmp_path, DATA, tmp_path / "record.json", str).run()
    assert [step for step, _system in done] == [step for step in ("plan", "make", "remove") for _system in SYSTEMS]
    assert {system for _step, system in done} == SYSTEMS


@pytest.mark.parametrize("step", ["plan", "make"])
def test_one_that_fails_keeps_all_from_what_comes_after(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    done: list[str] = []

    def failing(self: Any, record: Any) -> None:
        if self.connection == "alluxio":
            raise StorageError("it is not there")

    for name in ("plan", "make", "remove"):
        monkeypatch.setattr(Chain, name, lambda self, record, name=name: done.append(name))
    monkeypatch.setattr(Chain, step, failing)
    with pytest.raises(StorageError) as told:
        work_of(tmp_path, DATA, tmp_path / "record.json", str).run()
    assert told.value.message == "alluxio: it is not there"
    assert set(done) == ({"plan"} if step == "make" else set())


def on_swift(source: str) -> dict[str, Any]:
    """The same, with a mount."""
    return {**DATA, "alluxio": {"mounts": [{"path": "/m", "source": source}]}}


@pytest.mark.parametrize("source", ["swift://c", "swift://c/data", "swift://c.sahara/data"])
def test_a_mount_of_a_container_follows_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Made after it, removed before it; the third system waits for neither."""
    done: list[tuple[str, str]] = []
    third = {step: threading.Event() for step in ("make", "remove")}
    first = {"make": "swift", "remove": "alluxio"}

    def slow(self: Any, record: Any, step: str) -> None:
        if self.connection == "pegasus":
            third[step].set()
        elif self.connection == first[step]:
            assert third[step].wait(60)
            time.sleep(0.2)
            done.append((step, self.connection))
        else:
            done.append((step, self.connection))

    monkeypatch.setattr(Chain, "plan", lambda self, record: None)
    for step in first:
        monkeypatch.setattr(Chain, step, lambda self, record, step=step: slow(self, record, step))
    work_of(tmp_path, on_swift(source), tmp_path / "record.json", str).run()
    assert done == [("make", "swift"), ("make", "alluxio"), ("remove", "alluxio"), ("remove", "swift")]


@pytest.mark.parametrize("source", ["swift://other", "swift://c.d.e/data", "s3://c", "/c"])
def test_a_mount_of_anything_else_waits_for_nobody(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    barrier = threading.Barrier(len(SYSTEMS))
    for step in ("plan", "make", "remove"):
        monkeypatch.setattr(Chain, step, lambda self, record: barrier.wait(60) >= 0)
    work_of(tmp_path, on_swift(source), tmp_path / "record.json", str).run()


def test_what_follows_a_system_that_failed_is_not_begun(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(Chain, "plan", lambda self, record: None)
    monkeypatch.setattr(Chain, "make", lambda self, record: done.append(self.connection) or self.system != "swift")
    work = work_of(tmp_path, on_swift("swift://c"), tmp_path / "record.json", str)
    work.run()
    assert set(done) == {"swift", "pegasus"}
    told = "alluxio: nothing more was begun, because not everything of swift succeeded"
    assert told in work.outcome()["warnings"]


def test_clients_are_made_one_at_a_time(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They import their libraries then, and Python gives up on threads whose imports wait for each other."""
    within, most = 0, []

    def connect(*_what: Any) -> Any:
        nonlocal within
        within += 1
        most.append(within)
        time.sleep(0.05)
        within -= 1
        raise StorageError("not today")

    monkeypatch.setattr(chain, "client_for", connect)
    with pytest.raises(StorageError, match="not today"):
        work_of(tmp_path, DATA, tmp_path / "record.json", str).run()
    assert most == [1, 1, 1]


@pytest.mark.parametrize("parallel", [0, 65])
def test_parallel_has_bounds_for_applying_and_for_exporting(parallel: int) -> None:
    with pytest.raises(StorageError, match="parallel: %d is out of bounds" % parallel):
        chain.How(parallel, {}, str)
