# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 before each write of an upload, a replacement and a sync: nothing old is lost, the next run finishes.

No segment is left that nothing uses.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift import segments
from ansible_collections.polystore.storage.plugins.module_utils.swift.objects import ObjectResource
from ansible_collections.polystore.storage.plugins.module_utils.swift.sync import SyncResource
from ansible_collections.polystore.storage.tests.support.crashes import Nursery, Side, campaign
from ansible_collections.polystore.storage.tests.support.run import connection

pytestmark = pytest.mark.crash
OLD = b"".join(b"old%05d" % n for n in range(112))  # 896 bytes, nine segments
NEW = b"".join(b"new%05d" % n for n in range(112))
SMALL = b"small"


@pytest.fixture
def nursery(swift_server: Any) -> Iterator[Nursery]:
    found = Nursery(swift_server, [ObjectResource, SyncResource], method="PUT|POST|DELETE|COPY")
    yield found
    found.close()


class Place:
    """A container, and what is in it."""

    def __init__(self, server: Any) -> None:
        self.server, self.name = server, server.new_container_name()
        self.client = client_for(ObjectResource.connection, connection(server), 8, {})
        self.client.request("PUT", self.name)

    def contents(self) -> dict[str, bytes]:
        """Every object, as a reader sees it."""
        names = [row["name"] for row in segments.listed(self.client, self.name)]
        return {name: self.client.request("GET", self.name, name).body for name in names}

    def tidy(self) -> None:
        """Each segment is used by a manifest, and each manifest has its segments."""
        rows = segments.listed(self.client, self.name)
        used = {
            s.name[1] for r in rows if "slo_etag" in r for s in segments.manifest(self.client, self.name, r["name"])
        }
        assert {row["name"] for row in segments.listed(self.client, self.name + "_segments")} == used


@pytest.mark.parametrize(
    ("one", "other", "least"),
    [
        pytest.param(None, NEW, [10, 2], id="upload and delete", marks=pytest.mark.second),
        pytest.param(OLD, NEW, [5, 5], id="replace", marks=pytest.mark.second),
        pytest.param(SMALL, NEW[:300], [4, 2], id="small and large"),
    ],
)
def test_object(nursery: Nursery, tmp_path: pathlib.Path, one: bytes | None, other: bytes, least: list[int]) -> None:
    place, sides = Place(nursery.server), []
    for number, data in enumerate((one, other)):
        source = tmp_path / str(number)
        source.write_bytes(data or b"")
        args: dict[str, Any] = {"container": place.name, "name": "o", "segment_size": 100, "parallel": 1}
        args.update({"state": "absent"} if data is None else {"src": str(source)})
        sides.append(Side(args, {} if data is None else {"o": data}))
    points = campaign(nursery, place, ObjectResource, sides, even=one is OLD)
    assert all(found >= wanted for found, wanted in zip(points, least, strict=True)), points


@pytest.mark.second
def test_sync(nursery: Nursery, tmp_path: pathlib.Path) -> None:
    """New files, replaced ones, one that becomes small or large, and deletions, on three connections."""
    place, sides = Place(nursery.server), []
    trees = [
        {"file": OLD[:200], "resized": OLD[:150], "text": b"old", "kept": OLD[:120], "gone": b"-", "gone 2": OLD[:110]},
        {"file": NEW[:200], "resized": b"small", "text": b"new", "kept": OLD[:120], "new": b"1", "new 2": b"2"},
    ]
    for number, files in enumerate(trees):
        for name, data in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        args: dict[str, Any] = {"container": place.name, "src": str(tmp_path / str(number)), "segment_size": 100}
        sides.append(Side({**args, "prune": True, "max_delete": "100%", "parallel": 3}, files))
    points = campaign(nursery, place, SyncResource, sides, even=True)
    assert sum(points) >= 10, points
