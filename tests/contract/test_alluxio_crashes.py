# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 before each write of an upload, a replacement and a sync in Alluxio, on both dialects.

A reader sees the old content or the new, never a part of it; where the server cannot rename over a file, or nothing for
that moment. The next run finishes, and no temporary file remains.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.files import FileResource
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.alluxio_shelf import WRITES, Shelf
from ansible_collections.polystore.storage.tests.support.crashes import Nursery, Side, campaign

pytestmark = [pytest.mark.server, pytest.mark.crash]
OLD, NEW = b"old" * 1000, bytes(range(256)) * 5000  # the new one's digest is set after it was sent


class Place(Shelf):
    """A directory, and what is in it."""

    def contents(self) -> dict[str, bytes]:
        """Every file with a name of its own; each of them is whole."""
        rows = [row for row in self.rows() if not row["folder"] and "/.polystore-" not in row["path"]]
        assert all(row["completed"] for row in rows)
        return {row["name"]: self.read(row["name"]) for row in rows}

    def tidy(self) -> None:
        assert [row["name"] for row in self.rows() if "/.polystore-" in row["path"]] == []


@pytest.fixture(params=["alluxio_server", "alluxio_v1_server"])
def nursery(request: pytest.FixtureRequest) -> Iterator[Nursery]:
    found = Nursery(request.getfixturevalue(request.param), [FileResource, SyncResource], path=WRITES)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("one", "other", "least"), [(None, NEW, [5, 1]), (OLD, NEW, [4, 4])], ids=["upload and delete", "replace"]
)
def test_file(nursery: Nursery, tmp_path: pathlib.Path, one: bytes | None, other: bytes, least: list[int]) -> None:
    place, sides = Place(nursery.server), []
    for number, data in enumerate((one, other)):
        source = tmp_path / str(number)
        source.write_bytes(data or b"")
        args: dict[str, Any] = {"path": place.at("f"), "parallel": 1}
        args.update({"state": "absent"} if data is None else {"src": str(source), "mode": "0640"})
        sides.append(Side(args, {} if data is None else {"f": data}))
    window = not place.client.can("rename_overwrite")
    points = campaign(nursery, place, FileResource, sides, window=window)
    if not place.client.can("xattr"):
        least = [number if number < 5 else 4 for number in least]
    assert all(found >= wanted for found, wanted in zip(points, least, strict=True)), points


def test_renamed(nursery: Nursery) -> None:
    """Renamed, replaced and given attributes in one run: dead in between, the next run finishes."""
    place = Place(nursery.server)
    for after in range(100):
        place.put("old", OLD)
        args = {"path": place.at("f"), "renamed_from": place.at("old"), "content": NEW.decode("latin-1")}
        through = not nursery.killed(FileResource, args, after)
        if through:
            assert after >= 5
            break
        assert len(place.contents()) == 1 or not place.client.can("rename_overwrite")
        again = nursery.killed(FileResource, args, 100)
        assert again is False
        assert place.contents() == {"f": NEW.decode("latin-1").encode()}
        place.tidy()
        place.client.delete(place.at("f"))


def test_sync(nursery: Nursery, tmp_path: pathlib.Path) -> None:
    """New files, replaced ones, and deletions of files and directories, on three connections."""
    place, sides = Place(nursery.server), []
    trees: list[dict[str, bytes]] = [
        {"file": OLD, "kept": b"kept", "gone": b"-", "folder/gone": b"-", "sub/text": b"old"},
        {"file": NEW, "kept": b"kept", "new": b"1", "other folder/new": b"2", "sub/text": b"new"},
    ]
    for number, files in enumerate(trees):
        for name, data in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        args = {"path": place.path, "src": str(tmp_path / str(number)), "prune": True, "max_delete": "100%"}
        sides.append(Side({**args, "parallel": 3}, files))
    window = not place.client.can("rename_overwrite")
    points = campaign(nursery, place, SyncResource, sides, even=True, window=window)
    assert sum(points) >= 18, points
    assert sorted(place.folders()) in (["folder", "sub"], ["other folder", "sub"])
