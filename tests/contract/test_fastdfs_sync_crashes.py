# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of fdfs_sync before and after each of its steps, and trees that are sent at once with one manifest."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.fdfs_shelf import Shelf, Stepper
from ansible_collections.polystore.storage.tests.support.run import run_ok

pytestmark = [pytest.mark.server, pytest.mark.crash]


@pytest.fixture
def stepper(fdfs_server: Any) -> Iterator[Stepper]:
    found = Stepper(fdfs_server, [SyncResource])
    yield found
    found.close()


def tree(top: pathlib.Path, **files: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A local directory as (options, what a reader finds then)."""
    top.mkdir()
    for name, text in files.items():
        (top / name).write_text(text)
    options = {"src": str(top), "prune": True, "max_delete": "100%", "allow_empty": True, "parallel": 1}
    return options, {name: text.encode() for name, text in files.items()}


def test_at_each_step(stepper: Stepper, tmp_path: pathlib.Path) -> None:
    """One file is stored, one replaced, one deleted: a reader finds the old content or the new one at any time."""
    place = Shelf(stepper.server, tmp_path)
    one = tree(tmp_path / "one", a="old", b="goes", c="stays")
    sides = [one, tree(tmp_path / "two", a="new", c="stays", d="comes")]
    manifest = {"manifest": str(place.path), "metadata": {"team": "birds"}}
    for old, new in (sides, sides[::-1]):
        run_ok(SyncResource, place.server, **manifest, **old[0])
        for step in range(1000):
            if not stepper.killed(SyncResource, {**manifest, **new[0]}, step):
                break
            there = place.contents()
            for name in {*old[1], *there}:
                assert there.get(name) in (old[1].get(name), new[1].get(name)), (step, name)
            run_ok(SyncResource, place.server, **manifest, **new[0])
            assert place.contents() == new[1]
            place.unheard_of()
            place.tidy()
            run_ok(SyncResource, place.server, **manifest, **old[0])
        else:
            raise AssertionError("still not through")
        assert step > 20


def test_trees_at_once(stepper: Stepper, tmp_path: pathlib.Path) -> None:
    """Runs that use one manifest take turns: no entry is lost."""
    place = Shelf(stepper.server, tmp_path)
    wanted: dict[str, bytes] = {}
    tasks = []
    for number in range(4):
        options, files = tree(tmp_path / ("tree%d" % number), **{"f%d" % n: "%d %d" % (number, n) for n in range(10)})
        tasks.append({**options, "manifest": str(place.path), "prefix": "p%d" % number, "parallel": 4})
        wanted.update(("p%d/%s" % (number, name), data) for name, data in files.items())
    stepper.together(SyncResource, tasks)
    assert place.contents() == wanted
    place.tidy()
