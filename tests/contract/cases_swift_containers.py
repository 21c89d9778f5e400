# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for containers, the account and what can be asked."""

from __future__ import annotations

from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.swift.accounts import Accounts
from ansible_collections.polystore.storage.plugins.module_utils.swift.containers import Containers
from ansible_collections.polystore.storage.plugins.module_utils.swift.info import Info
from ansible_collections.polystore.storage.tests.contract.harness import Case, Question, World

SECRETS = ("first-url-key", "second-url-key", "shared-sync-key")


def named(world: World) -> dict[str, Any]:
    return {"name": world.name}


def filled(world: World) -> None:
    """A container with old versions in it; what a case then declares is an update."""
    client = world.client()
    client.request("PUT", world.name, headers={"X-Versions-Enabled": "true"})
    for number in range(4):
        client.request("PUT", world.name, "object %d" % (number % 2), body=b"%d" % number)


def clean_account(world: World) -> None:
    """The account as if nobody had been there."""
    names = ("Temp-Url-Key", "Temp-Url-Key-2", "Colour", "Size")
    world.client().request("POST", headers={"X-Account-Meta-" + name: "" for name in names})


def telling(world: World) -> None:
    """Keys and objects to ask about."""
    client = world.client()
    keys = {"X-Container-Meta-Temp-Url-Key": SECRETS[0], "X-Container-Sync-Key": SECRETS[2]}
    client.request("PUT", world.name, headers=keys)
    client.request("PUT", world.name, "a/b", headers={"X-Object-Meta-Colour": "red"}, body=b"text")
    client.request("POST", headers={"X-Account-Meta-Temp-Url-Key": SECRETS[1]})


CASES = [
    Case("container, bare", Containers, named, lambda world: {}, lambda world: {"quota_count": 3}),
    Case(
        "container, everything",
        Containers,
        named,
        args=lambda world: {
            "metadata": {"Colour_of": "grün", "size": 5, "none": None},
            "read_acl": [" .referrer:* ", ".rlistings"],
            "write_acl": "test:tester2 , ",
            "storage_policy": "reduced-redundancy",
            "versioning": True,
            "quota_bytes": "1M",
            "quota_count": 7,
            "web": {"index": "index.html", "listings": True},
            "cors": {"allow_origin": ["http://a.example", "http://b.example"], "max_age": 60},
            "sync_key": SECRETS[2],
            "temp_url_keys": list(SECRETS[:2]),
        },
        changed=lambda world: {
            "metadata": {"size": None, "new": True},
            "read_acl": "",
            "versioning": False,
            "quota_bytes": None,
            "web": {"listings": False, "error": "error.html"},
            "cors": {"max_age": 0},
            "temp_url_keys": ["", None],
        },
        secrets=SECRETS,
    ),
    Case(
        "container, full",
        Containers,
        named,
        args=lambda world: {"metadata": {"colour": "red"}, "quota_count": 100},
        changed=lambda world: {"metadata": {"size": "big"}, "purge_metadata": True},
        absent=lambda world: {"state": "absent", "force": True},
        setup=filled,
        first="updated",
    ),
    Case(
        "account",
        Accounts,
        identity=lambda world: {},
        args=lambda world: {"metadata": {"colour": "red", "size": 1}, "temp_url_keys": list(SECRETS[:2])},
        changed=lambda world: {"metadata": {"size": ""}},
        absent=None,
        setup=clean_account,
        secrets=SECRETS,
        volatile=("container_count", "object_count", "bytes_used"),
        first="updated",
    ),
]

QUESTIONS = [
    Question(
        "info, everything",
        Info,
        lambda world: {
            "gather": ["container", "objects", "object", "capabilities"],
            "container": world.name,
            "name": "a/b",
        },
        setup=telling,
        secrets=SECRETS,
    ),
    Question(
        "info, containers",
        Info,
        lambda world: {"gather": ["containers"], "prefix": world.name},
        setup=lambda world: world.client().request("PUT", world.name),  # empty: its totals would come late
    ),
]
