# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of a Pegasus in which a test's tasks work, and what is really in it."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.pegasus.admin import PegasusAdmin
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import PegasusClient
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.lines import Settings
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import EPOCH
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

HASH_KEY = b"h"


def new_table(server: Any, name: str, partitions: int = 4, complete: bool = False) -> None:
    """Make a table and wait until it can be used; complete: until every partition has all its replicas."""
    admin = PegasusAdmin(Settings.resolve(server.connection(), {}))
    admin.create(name, partitions, 3, exist_ok=True)

    def there() -> bool:
        route = admin.cluster.config(name)
        return route.ready and (not complete or all(len(part.secondaries) == 2 for part in route.partitions))

    server.wait_for(there, 60)
    admin.close()


class Shelf:
    """One table. client: ours, which tells what is there."""

    def __init__(self, server: Any, partitions: int = 4, complete: bool = True) -> None:
        self.server, self.table = server, server.new_name()
        new_table(server, self.table, partitions, complete)
        self.client = PegasusClient(Settings.resolve(server.connection(), {}))
        self.admin = PegasusAdmin(self.client.settings)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.admin.close()

    def rows(self) -> dict[tuple[bytes, bytes], bytes]:
        """All rows of the table."""
        return {(row.hash_key, row.sort_key): row.value for row in self.client.scan_all(self.table)}

    def left(self, key: bytes, sort_key: bytes = b"") -> int | None:
        """Seconds that a row has left, None: it does not expire."""
        for row in self.client.scan_all(self.table, expire=True):
            if (row.hash_key, row.sort_key) == (key, sort_key):
                return row.expires + EPOCH - int(time.time()) if row.expires else None
        raise AssertionError("there is no such row")

    def contents(self) -> dict[str, bytes]:
        """The values of the rows without a sort key, by hash key."""
        return {key.decode(): value for (key, sort_key), value in self.rows().items() if not sort_key}

    def tidy(self) -> None:
        """Nothing else can be there."""

    def task(self, subject: Any, check: bool = False, **args: Any) -> dict[str, Any]:
        """A task about this table, with diff."""
        return run_task(subject, self.server, check, True, **{"table": self.table, **args})

    def run(self, subject: Any, check: bool = False, **args: Any) -> dict[str, Any]:
        """A task about this table that has to succeed, with diff."""
        return run_ok(subject, self.server, check, True, **{"table": self.table, **args})

    def fails(self, subject: Any, **args: Any) -> dict[str, Any]:
        """A task about this table that has to fail, and not by a fault of ours."""
        result = self.task(subject, **args)
        assert result["failed"] is True and "exception" not in result, result
        return result

    def contract(self, subject: Any, **args: Any) -> dict[str, Any]:
        """Check mode, the task, and the task again: the first says what the second does, the third does nothing."""
        mark = self.server.mark()
        check = self.run(subject, True, **args)
        assert self.server.writes(mark) == []
        result = self.run(subject, **args)
        assert (check["changed"], check["diff"]) == (result["changed"], result["diff"])
        assert [row["action"] for row in check["resources"]] == [row["action"] for row in result["resources"]]
        mark = self.server.mark()
        again = self.run(subject, **args)
        assert again["changed"] is False and again["diff"] == []
        assert self.server.writes(mark) == []
        return result
