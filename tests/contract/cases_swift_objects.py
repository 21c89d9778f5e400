# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for objects."""

from __future__ import annotations

from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.swift.objects import ObjectResource
from ansible_collections.polystore.storage.tests.contract.harness import Case, World

NAME = "dir/grün ?#%41 .txt"
LARGE = "".join("%04d" % n for n in range(500))
FOLLOWS = ("size", "checksum")
SECRET = "the content itself, which no result shows"


def named(world: World) -> dict[str, Any]:
    return {"container": world.name, "name": NAME}


def container(world: World) -> None:
    world.client().request("PUT", world.name)


def versioned(world: World) -> None:
    world.client().request("PUT", world.name, headers={"X-Versions-Enabled": "true"})


def source(world: World) -> None:
    container(world)
    world.client().request("PUT", world.name, "source", body=b"to copy", headers={"X-Object-Meta-Own": "stays there"})


def everything(world: World) -> dict[str, Any]:
    return {
        "content": SECRET,
        "metadata": {"Colour_of": "grün", "size": 5, "none": None},
        "expires": "7d",
        "content_type": "text/x-special; charset=utf-8",
        "content_disposition": "attachment",
        "cache_control": "no-cache",
    }


def different(world: World) -> dict[str, Any]:
    return {
        "content": SECRET + "!",
        "metadata": {"size": None, "new": True},
        "expires": "never",
        "cache_control": "",
        "content_encoding": "gzip",
    }


CASES = [
    Case(
        "object, bare",
        ObjectResource,
        named,
        lambda world: {"content": "a"},
        lambda world: {"content": "b"},
        setup=container,
        volatile=FOLLOWS,
    ),
    Case(
        "object, everything",
        ObjectResource,
        named,
        everything,
        different,
        setup=container,
        secrets=(SECRET,),
        volatile=FOLLOWS,
    ),
    Case(
        "object, everything, in a versioned container",
        ObjectResource,
        named,
        everything,
        different,
        setup=versioned,
        secrets=(SECRET,),
        volatile=FOLLOWS,
    ),
    Case(
        "object, large",
        ObjectResource,
        named,
        args=lambda world: {"content": LARGE, "segment_size": 100, "expires": "2030-01-31T12:00:00+01:00"},
        changed=lambda world: {"content": "x" + LARGE[1:], "segment_size": 100, "metadata": {"a": "b"}},
        setup=container,
        volatile=FOLLOWS,
    ),
    Case(
        "object, large, in a versioned container",
        ObjectResource,
        named,
        args=lambda world: {"content": LARGE, "segment_size": 100, "metadata": {"c": "d"}},
        changed=lambda world: {"content": "x" + LARGE[1:], "segment_size": 100, "metadata": {"a": "b"}},
        setup=versioned,
        volatile=FOLLOWS,
    ),
    Case(
        "object, symlink",
        ObjectResource,
        named,
        args=lambda world: {"symlink_to": "%s/there/grün ?#" % world.name, "metadata": {"a": "b"}},
        changed=lambda world: {"symlink_to": "%s/elsewhere" % world.name},
        setup=container,
    ),
    Case(
        "object, copy",
        ObjectResource,
        named,
        args=lambda world: {"copy_from": "%s/source" % world.name, "cache_control": "no-cache"},
        changed=lambda world: {"metadata": {"a": "b"}, "purge_metadata": True},
        setup=source,
    ),
]
