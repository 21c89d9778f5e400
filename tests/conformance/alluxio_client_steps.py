# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives Alluxio's classic REST client (PyPI alluxio 0.1.4): python alluxio_client_steps.py HOST PORT DIRECTORY SOURCE

Runs in a venv of its own. Prints one JSON line [step, outcome] for each call; an exception is an outcome too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import alluxio
from alluxio import option, wire

host, port, top, source = sys.argv[1:]
client = alluxio.Client(host, int(port), timeout=60)


def step(name: str, call: Callable[[], Any]) -> None:
    """Prints what became of a call."""
    try:
        outcome = call()
    except Exception as exc:
        outcome = "%s.%s" % (type(exc).__module__, type(exc).__name__)
    outcome = outcome.decode() if isinstance(outcome, bytes) else outcome
    print(json.dumps([name, outcome]), flush=True)


def put(path: str, data: Any, **options: Any) -> Any:
    """Writes a file; returns what the client counted."""
    with client.open(path, "w", option.CreateFile(**options)) as file:
        return file.write(data)


def get(path: str) -> Any:
    """A file's content."""
    with client.open(path, "r") as file:
        return file.read()


def told(path: str, *names: str) -> list[Any]:
    """Some of what the client says of a path."""
    status = client.get_status(path)
    return [getattr(status, name) for name in names]


def names(path: str, **options: Any) -> list[str]:
    """The paths in a directory, below `top`."""
    found = client.list_status(path, option.ListStatus(**options) if options else None)
    return sorted(info.path[len(top) :] for info in found)


THROUGH = {"write_type": wire.WRITE_TYPE_CACHE_THROUGH}
MODE = wire.Mode(wire.BITS_ALL, wire.BITS_READ_EXECUTE, wire.BITS_NONE)
example = top + "/py/example"
step("mkdir", lambda: client.create_directory(example, option.CreateDirectory(recursive=True)))
step("write", lambda: put(example + "/f", "Alluxio works with Python!\n", **THROUGH))
step("status", lambda: told(example + "/f", "name", "length", "completed", "folder", "persisted"))
step("rename", lambda: client.rename(example + "/f", example + "/g"))
step("read", lambda: get(example + "/g"))
step("list", lambda: names(top))
step("list below", lambda: names(example))
step("ls", lambda: client.ls(example))
step("delete", lambda: client.delete(top + "/py", option.Delete(recursive=True)))
step("exists", lambda: client.exists(top + "/py"))

step("mkdir mode", lambda: client.create_directory(top + "/m", option.CreateDirectory(mode=MODE, **THROUGH)))
step("status mode", lambda: told(top + "/m", "mode", "folder"))
step("mkdir again", lambda: client.create_directory(top + "/m"))
step("mkdir allowed", lambda: client.create_directory(top + "/m", option.CreateDirectory(allow_exists=True)))
step("special", lambda: put(top + "/m/ü %x", b"12345", **THROUGH))
step("special read", lambda: get(top + "/m/ü %x"))
step("set-attribute", lambda: client.set_attribute(top + "/m", option.SetAttribute(pinned=True)))
step("status pinned", lambda: told(top + "/m", "pinned"))
step("unpin", lambda: client.set_attribute(top + "/m", option.SetAttribute(pinned=False, recursive=True)))
step("delete non-empty", lambda: client.delete(top + "/m"))
step("delete missing", lambda: client.delete(top + "/missing"))
step("status missing", lambda: client.get_status(top + "/missing"))
step("read missing", lambda: get(top + "/missing"))
step("write again", lambda: put(top + "/m/ü %x", b"1"))
step("ttl", lambda: put(top + "/t", b"1", ttl=3600000))
step("load ALWAYS", lambda: names(top, load_metadata_type=wire.LOAD_METADATA_TYPE_ALWAYS))
step("mount", lambda: client.mount(top + "/mount", source))
step("mount again", lambda: client.mount(top + "/mount", source))
step("status mount", lambda: told(top + "/mount", "mount_point", "name"))
step("unmount", lambda: client.unmount(top + "/mount"))
step("free", lambda: client.free(top + "/m", option.Free(recursive=True)))
step("end", lambda: client.delete(top, option.Delete(recursive=True)))
