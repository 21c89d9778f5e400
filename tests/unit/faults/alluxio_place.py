# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A place in Alluxio for tests of what goes wrong, and the tasks that have it as their aim."""

from __future__ import annotations

import importlib
import io
import itertools
import os

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.common import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.tests.support.run import run_task

MODULES = ("directory", "file", "sync", "download")
WRITERS = ("directory", "file", "sync")
SENDERS = ("file", "sync")
BIG = 300_000
PATHS = "/api/v1/(paths|streams)/"
REAL = os.environ.get("POLYSTORE_ALLUXIO") == "real"
_numbers = itertools.count(1000)


def next_number():
    """A number that no other test has."""
    return next(_numbers)


class Place:
    """A directory with something to download, a tree to upload, and a client that no other test has used."""

    def __init__(self, server, tmp_path):
        self.server, self.path = server, server.new_path()
        self.tmp = tmp_path / self.path[1:]
        # another timeout is another client, so that its connections come from nowhere else
        self.options = {**server.connection(), "timeout": next_number(), "retries": 2}
        self.tree = self.tmp / "tree"
        (self.tree / "sub").mkdir(parents=True)
        (self.tree / "one").write_bytes(b"1")
        (self.tree / "sub" / "big").write_bytes(b"2" * BIG)
        self.admin = client_for(CONNECTION, {**server.connection(), "timeout": next_number()}, 8, {})
        for name, content in (("small", b"small"), ("big", b"d" * BIG)):
            self.put("down/" + name, content)

    def put(self, name, content):
        self.admin.upload(self.path + "/" + name, lambda: io.BytesIO(content), len(content))

    def task(self, module):
        return {
            "directory": {"path": self.path + "/up/deep", "mode": "0750", "ttl": "30d", "owner": None},
            "file": {"path": self.path + "/up/file", "content": "x" * BIG},
            "sync": {"path": self.path + "/up", "src": str(self.tree)},
            "download": {"path": self.path + "/down", "dest": str(self.tmp / "dest")},
        }[module]

    def run(self, module, check=False, **options):
        subject = importlib.import_module("ansible_collections.polystore.storage.plugins.modules.alluxio_" + module)
        return run_task(subject.SUBJECT, self.options, check=check, **{**self.task(module), **options})

    def up(self):
        """What is below up: names, and sizes of files."""
        try:
            rows = self.admin.list_status(self.path + "/up", recursive=True, sync=True)
        except StorageError as error:
            assert error.code == "NOT_FOUND"
            return {}
        start = len(self.path) + 4
        return {row["path"][start:]: "folder" if row["folder"] else row["length"] for row in rows}

    def works(self, module, **options):
        """The task succeeds, has done all of its work, and has nothing to do the next time."""
        done = self.run(module, **options)
        assert not done.get("failed") and done["changed"], done
        if module == "download":
            assert (self.tmp / "dest" / "small").read_bytes() == b"small"
            assert (self.tmp / "dest" / "big").read_bytes() == b"d" * BIG
        else:
            due = {"directory": {"deep": "folder"}, "file": {"file": BIG}}
            assert self.up() == due.get(module, {"one": 1, "sub": "folder", "sub/big": BIG})
        again = self.run(module, **options)
        assert not again.get("failed") and not again["changed"], again
        return done

    def untouched(self):
        """Nothing has been made, here or there."""
        assert self.up() == {} and not list(self.tmp.glob("dest/**/*"))


@pytest.fixture
def place(alluxio_server, tmp_path):
    return Place(alluxio_server, tmp_path)


@pytest.fixture
def old_place(alluxio_v1_server, tmp_path):
    return Place(alluxio_v1_server, tmp_path)
