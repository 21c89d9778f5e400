# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of a run that writes and prunes rows of Pegasus, before each of its writes; the next run finishes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import KvResource
from ansible_collections.polystore.storage.tests.support.crashes import Nursery, Side, campaign
from ansible_collections.polystore.storage.tests.support.pegasus import WRITING
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import Shelf

pytestmark = [pytest.mark.server, pytest.mark.crash]


class Place(Shelf):
    """All rows are looked at."""

    def contents(self) -> dict[str, bytes]:
        return {"%s/%s" % (key.decode(), name.decode()): value for (key, name), value in self.rows().items()}

    def side(self, many: dict[str, str], single: dict[str, str], gone: list[str]) -> Side:
        """Rows below h, which are pruned, and others that are named one by one."""
        batch: list[dict[str, Any]] = [{"hash_key": "h", "values": many, "prune": True, "scope": {}}]
        batch += ({"hash_key": key, "value": value} for key, value in single.items())
        batch += ({"hash_key": key, "state": "absent"} for key in gone)
        rows = {**{"h/" + name: value for name, value in many.items()}, **{k + "/": v for k, v in single.items()}}
        args = {"table": self.table, "batch": batch, "max_delete": "100%", "parallel": 1}
        return Side(args, {name: value.encode() for name, value in rows.items()})


@pytest.fixture
def nursery(pegasus_server: Any) -> Iterator[Nursery]:
    found = Nursery(pegasus_server, [KvResource], method="|".join(WRITING))
    yield found
    found.close()


def test_before_each_write(nursery: Nursery) -> None:
    place = Place(nursery.server)
    sides = [
        place.side({"a": "old", "b": "old", "c": "same"}, {"k1": "old", "k2": "old", "k3": "x"}, ["k4", "k5"]),
        place.side({"a": "new", "c": "same", "d": "new"}, {"k1": "new", "k4": "new", "k5": "new"}, ["k2", "k3"]),
    ]
    points = campaign(nursery, place, KvResource, sides)
    # one multi_put and three puts, then what goes: two removes (of the batch) and the pruned row
    assert points == [7, 7]
    place.close()
