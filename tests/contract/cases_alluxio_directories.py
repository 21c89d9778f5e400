# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for Alluxio's directories and mounts, in both dialects."""

from __future__ import annotations

import getpass
import grp
import os
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.directories import Directories
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.mounts import Mounts
from ansible_collections.polystore.storage.tests.contract.harness import Case, World

SERVERS = {"2": "alluxio_server", "1": "alluxio_v1_server"}
SECRET = "a-key-that-nobody-sees"
# Somebody the server's machine knows: a store on local disks refuses others.
OWNER, GROUP = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name


def at(world: World) -> dict[str, Any]:
    return {"path": "/%s/in a dir/ü #%%" % world.name}


def top(world: World) -> dict[str, Any]:
    return {"path": "/" + world.name}


def grown(world: World) -> None:
    """A tree with three directories in it."""
    for name in ("a", "a/b", "c"):
        world.client().create_directory("/%s/%s" % (world.name, name))


def older(world: World) -> None:
    """A directory under its old name."""
    world.client().create_directory("/%s/old/with this" % world.name)


def stores(world: World) -> None:
    """Two local directories that can be mounted."""
    for name in ("one", "two"):
        (world.tmp / name).mkdir()
        (world.tmp / name / "file").write_text(name)


def both(name: str, subject: Any, identity: Any, args: Any, changed: Any, **more: Any) -> list[Case]:
    """The same row for both dialects."""
    return [
        Case("%s, dialect %s" % (name, dialect), subject, identity, args, changed, server=server, **more)
        for dialect, server in SERVERS.items()
    ]


def emptied(world: World) -> dict[str, Any]:
    return {"state": "absent", "recursive": True, "max_delete": 10}


CASES = [
    *both("directory, bare", Directories, at, lambda world: {}, lambda world: {"mode": "0700"}),
    *both(
        "directory, everything",
        Directories,
        at,
        lambda world: {
            "mode": "750",
            "owner": OWNER,
            "group": GROUP,
            "pinned": True,
            "ttl": "2h",
            "ttl_action": "delete",
        },
        lambda world: {"mode": "0707", "pinned": False, "ttl": "never"},
        volatile=("ttl_action",),
    ),
    *both(
        "directory, synchronised",
        Directories,
        at,
        lambda world: {"mode": "0750", "ttl": "2h", "sync_metadata": True},
        lambda world: {"mode": "0707", "sync_metadata": True},
    ),
    Case(
        "directory, extended attributes",
        Directories,
        at,
        lambda world: {"ttl": 90, "xattr": {"colour": "grün", "raw": {"b64": "/wA="}, "size": 5, "none": None}},
        lambda world: {"ttl": "3m", "xattr": {"size": None, "new": ""}},
        server=SERVERS["2"],
    ),
    *both(
        "directory, tree",
        Directories,
        top,
        lambda world: {"mode": "0750", "group": GROUP, "ttl": 3600, "attributes_recursive": True},
        lambda world: {"mode": "0707", "attributes_recursive": True},
        absent=emptied,
        setup=grown,
        first="updated",
    ),
    *both(
        "directory, renamed",
        Directories,
        lambda world: {"path": "/%s/new/name" % world.name},
        lambda world: {"renamed_from": "/%s/old" % world.name, "mode": "0711"},
        lambda world: {"mode": "0755"},
        absent=emptied,
        setup=older,
        first="updated",
    ),
    *both(
        "mount",
        Mounts,
        top,
        lambda world: {
            "source": "file://%s/" % (world.tmp / "one"),
            "read_only": True,
            "properties": {"aws.secretKey": SECRET, "alluxio.underfs.s3.endpoint": "somewhere"},
        },
        lambda world: {
            "source": str(world.tmp / "two"),
            "read_only": False,
            "properties": {"aws.secretKey": SECRET},
            "remount": True,
        },
        setup=stores,
        secrets=(SECRET,),
    ),
]
