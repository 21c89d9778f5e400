# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of its own in Alluxio, filled and read through the client."""

from __future__ import annotations

import io
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.common import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.tests.support.run import connection, run_ok, run_task

WRITES = r"/(create-directory|create-file|delete|rename|set-attribute|write|close)(\?|$)"


class Shelf:
    """A directory, and a client."""

    def __init__(self, server: Any) -> None:
        self.server, self.path = server, server.new_path()
        self.client = client_for(CONNECTION, connection(server), 8, {})

    def at(self, name: str) -> str:
        return "%s/%s" % (self.path, name)

    def put(self, name: str, data: bytes, **attributes: Any) -> None:
        self.client.upload(self.at(name), lambda: io.BytesIO(data), len(data), **attributes)

    def begin(self, name: str) -> None:
        """An incomplete file, as somebody leaves it who dies while writing."""
        options = {"writeType": "CACHE_THROUGH", "recursive": True}
        order = self.client._order(self.at(name), "create-file", options, write=True)
        self.client._call(order)

    def status(self, name: str) -> dict[str, Any]:
        found = self.client.get_status(self.at(name))
        assert found is not None
        return dict(found)

    def read(self, name: str) -> bytes:
        with self.client.stream(self.at(name)) as chunks:
            return b"".join(chunks)

    def rows(self, name: str = "") -> list[dict[str, Any]]:
        """Everything below, whatever the server can list."""
        found = list(self.client.list_status(self.at(name).rstrip("/"), recursive=True))
        return [{**row, "name": row["path"][len(self.path) + 1 :]} for row in found]

    def files(self) -> dict[str, bytes]:
        """All files, as a reader sees them."""
        return {row["name"]: self.read(row["name"]) for row in self.rows() if not row["folder"]}

    def folders(self) -> list[str]:
        return [row["name"] for row in self.rows() if row["folder"]]

    def contract(self, subject: Any, quiet: bool = True, **args: Any) -> dict[str, Any]:
        """Check mode, the task, the task again: the promises of a state module. quiet: the last may not write."""
        mark = self.server.mark()
        check = run_ok(subject, self.server, True, True, **args)
        assert self.server.writes(mark) == []
        result = run_ok(subject, self.server, False, True, **args)
        assert (check["changed"], check["diff"]) == (result["changed"], result["diff"])
        assert [(r["path"], r["action"]) for r in check["resources"]] == [
            (r["path"], r["action"]) for r in result["resources"]
        ]
        for diff in result["diff"]:
            assert diff["before"] != diff["after"]
        mark = self.server.mark()
        again = run_ok(subject, self.server, False, True, **args)
        assert not quiet or self.server.writes(mark) == []
        assert (again["changed"], again["diff"]) == (False, [])
        return result

    def fails(self, subject: Any, **args: Any) -> str:
        """The message of a task that has to fail before it writes anything."""
        mark = self.server.mark()
        result = run_task(subject, self.server, **args)
        assert result["failed"] is True
        assert self.server.writes(mark) == []
        return str(result["msg"])

    def operations(self, since: int) -> list[str]:
        """The names of the operations that were asked for; the question for the version, once a process, left out."""
        names = [entry["path"].split("?")[0].rsplit("/", 1)[1] for entry in self.server.requests(since)]
        return [name for name in names if name != "info"]
