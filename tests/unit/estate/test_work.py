# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run goes through its systems: all at the same time, and what comes after only when all have come so far."""

from __future__ import annotations

import pathlib
import threading
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
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
