# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for files in Pachyderm."""

from __future__ import annotations

from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.files import FileResource
from ansible_collections.polystore.storage.tests.contract.harness import Case, World

SECRET = "the content itself, which no result shows"
LARGE = "".join("%08d" % n for n in range(150_000))
VOLATILE = ("size", "checksum", "copied_from")
SERVERS = {"2.12": "pachd_server", "2.7": "pachd_v27_server", "2.4": "pachd_v24_server", "2.0": "pachd_v20_server"}


def repo(world: World) -> None:
    client = world.client()
    request = client.message("pfs_v2.CreateRepoRequest", repo=client.repo("default", world.name))
    client.call("pfs_v2.API/CreateRepo", request)


def originals(world: World) -> None:
    """The repo, with two files on another branch."""
    repo(world)
    client = world.client()
    files = [{"path": name, "raw": {"value": name.encode()}} for name in ("/one", "/two")]
    messages = [client.message("pfs_v2.ModifyFileRequest", add_file=file) for file in files]
    client.modify(client.branch("default", world.name, "inbox"), messages)
    client.finished(client.commit("default", world.name, "inbox"), 60)


def at(world: World) -> dict[str, Any]:
    return {"repo": world.name, "path": "/in a dir/#%&.txt"}


def row(name: str, version: str, args: Any, changed: Any, **more: Any) -> Case:
    options = {"setup": repo, "volatile": VOLATILE, "server": SERVERS[version], **more}
    return Case("pachyderm file, %s, %s" % (name, version), FileResource, at, args, changed, **options)


CASES = [
    *(
        row("bare", version, lambda world: {"content": "a"}, lambda world: {"content": "b"})
        for version in ("2.12", "2.7", "2.4", "2.0")
    ),
    row(
        "described",
        "2.12",
        lambda world: {"content": SECRET, "description": "first", "wait": True, "wait_timeout": "1m"},
        lambda world: {"content": SECRET + "!", "description": "second"},
        secrets=(SECRET,),
    ),
    *(
        row(
            "large",
            version,
            lambda world: {"content": LARGE},
            lambda world: {"content": "x" + LARGE[1:]},
        )
        for version in ("2.12", "2.0")
    ),
    *(
        row(
            "copied",
            version,
            lambda world: {"copy_from": {"branch": "inbox", "path": "/one"}},
            lambda world: {"copy_from": {"branch": "inbox", "path": "/two"}},
            setup=originals,
        )
        for version in ("2.12", "2.0")
    ),
]
