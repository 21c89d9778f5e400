# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A place of one test's own on an Alluxio, where directories come and go."""

from __future__ import annotations

import io
import pathlib
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.directories import Directories
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

# A refusal that says "there is nothing", by dialect.
GONE = {"1": {"status": "NOT_FOUND"}, "2": {"statusCode": "NOT_FOUND"}}


class Place:
    """A directory of one test's own on a server, and what a test does in it."""

    def __init__(self, server: Any, tmp: pathlib.Path) -> None:
        self.server, self.tmp, self.top = server, tmp, server.new_path()
        self.client = client_for(Directories.connection, server.connection(), 8, {})
        self.two = self.client.version[0] == 2

    def __truediv__(self, name: str) -> str:
        return "%s/%s" % (self.top, name)

    def run(self, name: str = "d", **args: Any) -> dict[str, Any]:
        given = {"path": self / name, "diff": True, **args}
        return run_task(Directories, self.server, **given)

    def ok(self, name: str = "d", **args: Any) -> dict[str, Any]:
        given = {"path": self / name, "diff": True, **args}
        return run_ok(Directories, self.server, **given)

    def many(self, *items: dict[str, Any], **args: Any) -> dict[str, Any]:
        """A batch, whose paths are below this place."""
        batch = [{**item, "path": self / item["path"]} for item in items]
        return run_ok(Directories, self.server, batch=batch, **args)

    def same(self, name: str = "d", **args: Any) -> dict[str, Any]:
        """A run that may not change or write anything."""
        mark = self.server.mark()
        result = self.ok(name, **args)
        assert (result["changed"], self.server.writes(mark)) == (False, [])
        return result

    def refused(self, name: str = "d", **args: Any) -> str:
        """The message of a run that fails before it writes; check mode says the same."""
        mark = self.server.mark()
        result, check = self.run(name, **args), self.run(name, check=True, **args)
        assert result["failed"] is True
        assert check["msg"] == result["msg"]
        assert self.server.writes(mark) == []
        return str(result["msg"])

    def sent(self, mark: int) -> list[str]:
        """The operations that changed something."""
        return [entry["path"].split("?")[0].rsplit("/", 1)[-1] for entry in self.server.writes(mark)]

    def info(self, name: str = "d") -> dict[str, Any]:
        found: dict[str, Any] = self.client.get_status(self / name)
        assert found is not None, name
        return found

    def exists(self, name: str = "d") -> bool:
        return self.client.get_status(self / name) is not None

    def file(self, name: str, data: bytes = b"text") -> None:
        self.client.upload(self / name, lambda: io.BytesIO(data), len(data))

    def store(self, name: str = "store") -> pathlib.Path:
        """A local directory with a file deep in it, to be mounted."""
        found = self.tmp / name
        (found / "deep").mkdir(parents=True)
        (found / "deep" / "precious").write_text("all we have")
        return found
