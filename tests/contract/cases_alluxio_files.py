# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for files in Alluxio, in both dialects."""

from __future__ import annotations

import io
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.files import FileResource
from ansible_collections.polystore.storage.tests.contract.cases_alluxio_directories import GROUP, OWNER, both
from ansible_collections.polystore.storage.tests.contract.harness import Case, World

FOLLOWS = ("size", "checksum")
SECRET = "the content itself, which no result shows"
LARGE = "".join("%08d" % n for n in range(150_000))  # its digest is set after it was sent


def at(world: World) -> dict[str, Any]:
    return {"path": "/%s/in a dir/ü #%%.txt" % world.name}


def everything(world: World) -> dict[str, Any]:
    return {
        "content": SECRET,
        "mode": "640",
        "owner": OWNER,
        "group": GROUP,
        "pinned": True,
        "ttl": "2h",
        "ttl_action": "delete",
        "block_size": "1M",
        "write_type": "through",
    }


def different(world: World) -> dict[str, Any]:
    return {"content": SECRET + "!", "mode": "0604", "pinned": False, "ttl": "never"}


def older(world: World) -> None:
    """A file under its old name."""
    world.client().upload("/%s/old" % world.name, lambda: io.BytesIO(b"old"), 3)


def tagged(world: World) -> dict[str, Any]:
    return {"content": "a", "xattr": {"kept": "k", "goes": {"b64": "/w=="}}, "replication_max": 2}


CASES = [
    *both(
        "alluxio file, bare",
        FileResource,
        at,
        lambda world: {"content": "a"},
        lambda world: {"content": "b"},
        volatile=FOLLOWS,
    ),
    *both(
        "alluxio file, everything",
        FileResource,
        at,
        everything,
        different,
        secrets=(SECRET,),
        volatile=(*FOLLOWS, "ttl_action", "replication_min"),
    ),
    *both(
        "alluxio file, large",
        FileResource,
        at,
        lambda world: {"content": LARGE},
        lambda world: {"content": "x" + LARGE[1:], "mode": "0600"},
        volatile=FOLLOWS,
    ),
    *both(
        "alluxio file, synchronised",
        FileResource,
        at,
        lambda world: {"content": "a", "mode": "0604", "owner": OWNER, "ttl": "2h", "sync_metadata": True},
        lambda world: {"content": "other", "ttl": "3h", "sync_metadata": True},
        volatile=FOLLOWS,
    ),
    *both(
        "alluxio file, attributes alone",
        FileResource,
        lambda world: {"path": "/%s/old" % world.name},
        lambda world: {"mode": "0600", "content": "new"},
        lambda world: {"mode": "0640"},
        setup=older,
        first="updated",
        volatile=FOLLOWS,
    ),
    Case(
        "alluxio file, extended attributes and replication",
        FileResource,
        at,
        tagged,
        lambda world: {"xattr": {"goes": None, "new": "n"}, "replication_min": 1},
        volatile=("pinned",),
        server="alluxio_server",
    ),
]
