# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for projects, repos and branches of Pachyderm, on servers of several versions."""

from __future__ import annotations

from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.branches import Branches
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.projects import Projects
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.repos import Repos
from ansible_collections.polystore.storage.tests.contract.harness import Case, World
from ansible_collections.polystore.storage.tests.contract.pachyderm_place import SERVERS


def on(versions: str, name: str, *args: Any, **options: Any) -> list[Case]:
    """A row for each of the versions."""
    rows = versions.split()
    return [Case("pachyderm %s, %s" % (name, v), *args, server=SERVERS[v], **options) for v in rows]


def named(world: World) -> dict[str, Any]:
    return {"name": world.name}


def repos(world: World) -> None:
    """A repo with two commits on dev, and another with one on master."""
    client = world.client()
    for name in (world.name, world.name + "-src"):
        request = client.message("pfs_v2.CreateRepoRequest", repo=client.repo("default", name))
        client.call("pfs_v2.API/CreateRepo", request)
    add = client.message("pfs_v2.ModifyFileRequest", add_file={"path": "/f", "raw": {"value": b"x"}})
    for name, branch in ((world.name, "dev"), (world.name, "dev"), (world.name + "-src", "master")):
        client.modify(client.branch("default", name, branch), [add])


def branch(world: World) -> dict[str, Any]:
    return {"repo": world.name, "name": "b"}


def derived(world: World) -> dict[str, Any]:
    return {"provenance": [{"repo": world.name + "-src"}]}


DEFAULTS = {"createPipelineRequest": {"resourceRequests": {"cpu": 1}, "transform": {"image": "alpine"}}}
CASES = [
    *on(
        "2.7 2.8 2.12",
        "project",
        Projects,
        named,
        lambda world: {"description": "what is done"},
        lambda world: {"description": ""},
    ),
    *on(
        "2.12",
        "project, everything",
        Projects,
        named,
        lambda world: {"description": "ü", "metadata": {"kept": "k", "goes": 1}, "defaults": DEFAULTS},
        lambda world: {"metadata": {"goes": None, "new": "n"}, "defaults": {}},
    ),
    *on(
        "2.0 2.4 2.7 2.8 2.12",
        "repo",
        Repos,
        named,
        lambda world: {"description": "what is in it"},
        lambda world: {"description": ""},
    ),
    *on(
        "2.12",
        "repo, everything",
        Repos,
        named,
        lambda world: {"description": "ü", "metadata": {"kept": "k", "goes": 1}},
        lambda world: {"metadata": {"new": True}, "purge_metadata": True},
    ),
    *on(
        "2.0 2.12",
        "branch, head",
        Branches,
        branch,
        lambda world: {"head": "dev^"},
        lambda world: {"head": "dev"},
        setup=repos,
    ),
    *on(
        "2.0 2.12",
        "branch, provenance",
        Branches,
        branch,
        derived,
        lambda world: {"provenance": []},
        setup=repos,
        volatile=("head",),
    ),
    *on(
        "2.4 2.12",
        "branch, trigger",
        Branches,
        branch,
        lambda world: {"trigger": {"branch": "dev", "size": "1GB", "commits": 3, "all": True}},
        lambda world: {"trigger": {"branch": "dev", "cron_spec": "@every 1h"}},
        setup=repos,
    ),
]
