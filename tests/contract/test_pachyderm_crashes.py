# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 in the middle of a commit: it leaves nothing, and the next run makes it."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.files import FileResource
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.crashes import Nursery, Side, campaign
from ansible_collections.polystore.storage.tests.support.pachyderm_shelf import WRITES, Shelf
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = [pytest.mark.server, pytest.mark.crash]
OLD, NEW = b"old" * 1000, bytes(range(256)) * 10_000


class Place(Shelf):
    """A repo in which every commit is whole."""

    def tidy(self) -> None:
        assert all(info.HasField("finishing") and not info.error for info in self.commits())


@pytest.fixture(params=["pachd_server", "pachd_v20_server"])
def nursery(request: pytest.FixtureRequest) -> Iterator[Nursery]:
    found = Nursery(request.getfixturevalue(request.param), [FileResource, SyncResource], method=WRITES)
    yield found
    found.close()


def test_files(nursery: Nursery, tmp_path: pathlib.Path) -> None:
    """Megabytes are on their way when it dies."""
    place, sides = Place(nursery.server), []
    for number, data in enumerate((OLD, NEW)):
        source = tmp_path / str(number)
        source.write_bytes(data)
        mine: dict[str, bytes] = {"/f": data, "/%d" % number: b"x"}
        batch: list[dict[str, Any]] = [{"path": "/f", "src": str(source)}, {"path": "/%d" % number, "content": "x"}]
        batch.append({"path": "/%d" % (1 - number), "state": "absent"})
        sides.append(Side({"repo": place.repo, "batch": batch}, mine))
    assert campaign(nursery, place, FileResource, sides) == [1, 1]
    place.end()


def test_sync(nursery: Nursery, tmp_path: pathlib.Path) -> None:
    place, sides = Place(nursery.server), []
    for number, names in enumerate((("a", "sub/b", "both"), ("c", "other/d", "both"))):
        top = tmp_path / str(number)
        for name in names:
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_bytes(OLD if number else NEW)
        args = {"repo": place.repo, "src": str(top), "prune": True, "max_delete": "100%"}
        sides.append(Side(args, {"/" + name: OLD if number else NEW for name in names}))
    assert campaign(nursery, place, SyncResource, sides) == [1, 1]
    place.end()


def test_a_description_leaves_an_open_commit(nursery: Nursery) -> None:
    """Which is said, and nobody's until it is dropped: readers of the branch wait for its end, or read its parent."""
    place = Place(nursery.server)
    place.put({"/f": b"old"})
    args = {"repo": place.repo, "path": "/f", "content": "new", "description": "why"}
    for after, seen in ((1, b"old"), (2, b"new")):
        assert nursery.killed(FileResource, args, after)
        message = run_task(FileResource, place.server, **args)["msg"]
        assert "polystore.storage is writing: why" in message and "pachctl drop commit" in message
        left = place.commits()[0]
        assert not left.HasField("finishing"), seen
        commit = place.client.commit("default", place.repo, "master", left.commit.id)
        place.call("FinishCommit", commit=commit)
        assert place.read("/f") == seen
    assert not run_ok(FileResource, place.server, **args)["changed"]
    place.end()
