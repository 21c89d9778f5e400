# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Alluxio whose proxy, worker and master are killed in turn, and what alluxio_file makes of it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.files import FileResource
from ansible_collections.polystore.storage.tests.support.alluxio_real import RealAlluxio, RealServer, launch, need_real
from ansible_collections.polystore.storage.tests.support.alluxio_shelf import Shelf
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task


def ran(shelf: Shelf, content: str, fails: bool = False) -> Any:
    """One task for the one file."""
    args = {"path": shelf.at("f"), "content": content, "retries": 0}
    if not fails:
        return run_ok(FileResource, shelf.server, **args)["changed"]
    result = run_task(FileResource, shelf.server, **args)
    assert result.get("failed")
    assert not result["changed"]
    return result["msg"]


def settled(shelf: Shelf, content: str) -> None:
    """The file is put right, once."""
    assert [ran(shelf, content), ran(shelf, content)] == [True, False]
    assert shelf.files() == {"f": content.encode()}


def a_proxy_that_dies(shelf: Shelf, real: RealAlluxio) -> None:
    shelf.begin("f")
    real.kill("proxy")
    ran(shelf, "whole", fails=True)
    real.restart("proxy")
    assert shelf.status("f")["completed"] is False  # whom it belonged to is gone for good
    settled(shelf, "whole")


def a_worker_that_dies(shelf: Shelf, real: RealAlluxio) -> None:
    real.kill("worker")
    ran(shelf, "changed", fails=True)
    assert [(row["name"], row["length"]) for row in shelf.rows()] == [("f", len("whole"))]
    real.restart("worker")
    settled(shelf, "changed")


def a_master_that_dies(shelf: Shelf, real: RealAlluxio) -> None:
    real.kill("master")
    assert "UNAVAILABLE" in ran(shelf, "changed again", fails=True)
    real.restart("master")
    assert ran(shelf, "changed") is False
    settled(shelf, "changed again")


@pytest.mark.alluxio
@pytest.mark.server
@pytest.mark.skipif(os.environ.get("POLYSTORE_ALLUXIO") != "real", reason="kills parts of a real Alluxio")
@pytest.mark.parametrize("version", ["2.9.6", "1.8.1"])
def test_parts_that_die(version: str) -> None:
    need_real(version)
    real = launch(version, split=True)
    try:
        shelf = Shelf(RealServer(real))
        a_proxy_that_dies(shelf, real)
        a_worker_that_dies(shelf, real)
        a_master_that_dies(shelf, real)
    finally:
        real.stop()
