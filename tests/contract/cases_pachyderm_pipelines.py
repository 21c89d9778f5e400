# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for Pachyderm's pipelines and secrets, on several versions of it; the one set of defaults has its own file."""

from __future__ import annotations

from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.pipelines import Pipelines
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.secrets import Secrets
from ansible_collections.polystore.storage.tests.contract.harness import Case, World

# 2.0 answers nearly everything UNKNOWN; from 2.8 on documents are kept, and there are defaults.
OLD, MODERN, NEW = "pachd_v20_server", "pachd_v28_server", "pachd_server"
SECRET = "a-word-that-nobody-sees"
# What a server goes on with by itself.
LIVELY = ("version", "pipeline_state", "reason")


def named(world: World) -> dict[str, Any]:
    return {"name": world.name}


def repo(world: World) -> None:
    """The repo that the pipelines read."""
    client = world.client()
    request = client.message("pfs_v2.CreateRepoRequest", repo=client.repo("default", world.name + "-in"))
    client.call("pfs_v2.API/CreateRepo", request)


def spec(world: World, **more: Any) -> dict[str, Any]:
    return {
        "input": {"pfs": {"repo": world.name + "-in", "glob": "*"}},
        "transform": {"image": "img:1", "cmd": ["sh"], "acceptReturnCode": ["1"]},
        "jobTimeout": "90.0s",
        **more,
    }


CASES = [
    *(
        Case(
            "pipeline, %s" % server,
            Pipelines,
            named,
            lambda world: {"spec": spec(world), "state": "stopped"},
            lambda world: {"spec": spec(world, description="new", datum_tries=5)},
            setup=repo,
            volatile=LIVELY,
            server=server,
        )
        for server in (OLD, MODERN, NEW)
    ),
    *(
        Case(
            "secret, %s" % server,
            Secrets,
            named,
            lambda world: {"data": {"password": SECRET, "file": {"b64": "/wA="}}},
            lambda world: {"type": "kubernetes.io/tls", "data": {"password": SECRET + "!"}},
            secrets=(SECRET,),
            server=server,
        )
        for server in (OLD, NEW)
    ),
]
