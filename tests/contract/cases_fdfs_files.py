# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for files in FastDFS."""

from __future__ import annotations

from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.files import FileResource
from ansible_collections.polystore.storage.tests.contract.harness import Case, World

SECRET = "the content itself, which no result shows"
LARGE = "".join("%08d" % n for n in range(50_000))
VOLATILE = ("size", "crc32", "file_id")
SERVERS = {
    "6.16": "fdfs_server",
    "6.16 wide": "fdfs_wide_server",
    "6.15": "fdfs_v615_server",
    "6.12": "fdfs_v612_server",
    "6.06": "fdfs_v606_server",
    "5.11": "fdfs_v511_server",
    "5.03": "fdfs_v503_server",
}


def at(world: World) -> dict[str, Any]:
    return {"name": "in a dir/#%&.txt", "manifest": str(world.tmp / "files.json")}


def master(world: World) -> None:
    world.run(name="master", manifest=str(world.tmp / "files.json"), content="master", extension="jpg")


def row(name: str, version: str, args: Any, changed: Any, **more: Any) -> Case:
    options = {"volatile": VOLATILE, "server": SERVERS[version], **more}
    return Case("fdfs file, %s, %s" % (name, version), FileResource, at, args, changed, **options)


def slave(content: str) -> Any:
    return lambda world: {"master": "master", "prefix": "_150x150", "content": content}


CASES = [
    *(row("bare", version, lambda world: {"content": "a"}, lambda world: {"content": "b"}) for version in SERVERS),
    *(
        row(
            "described",
            version,
            lambda world: {"content": SECRET, "metadata": {"ä": "ö", "n": 1}, "file_group": "group2"},
            lambda world: {"metadata": {"n": 2}, "purge_metadata": True},
            secrets=(SECRET,),
        )
        for version in ("6.16", "5.03")
    ),
    *(
        row(
            "appender",
            version,
            lambda world: {"content": LARGE, "type": "appender"},
            lambda world: {"content": LARGE[:-9] + "x" + LARGE[-8:] + "more"},
        )
        for version in ("6.16", "6.12", "6.06", "5.11", "5.03")
    ),
    *(row("slave", version, slave("a"), slave("bc"), setup=master) for version in ("6.16", "6.12", "5.11")),
    row(
        "trusted",
        "6.16",
        lambda world: {"content": LARGE, "metadata": {"a": "b"}, "verify": False},
        lambda world: {"content": "x" + LARGE[1:], "verify": False},
    ),
]
