# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps with secrets, metadata, transactions, and what is not there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
from pachyderm_sdk.api import metadata, pps, transaction
from sdk import NO_ID, branch, client, mine, project, repo
from telling import Teller

api, pfs = client.pps, client.pfs
PLACE = "cf-m/cf-r"


def others(step: Teller) -> None:
    """In the order in which the answers were recorded."""
    _secrets(step)
    _metadata(step)
    _transactions(step)
    step("auth is off", client.auth.who_am_i)
    for method in ("pfs_v2.API/NoSuch", "nosuch.API/NoSuch"):
        step(f"unknown {method}", grpc.insecure_channel(client.address).unary_unary(f"/{method}"), b"")


def _secrets(step: Teller) -> None:
    def left():
        return mine(api.list_secret().secret_info)

    make = partial(api.create_secret, name="cf-s", data={"k": "v"})
    secret = pps.Secret(name="cf-s")
    step("secret create", make, then=left)
    step("secret create again", make)
    step("secret delete", api.delete_secret, secret=secret, then=left)
    for call in (api.inspect_secret, api.delete_secret):
        step(f"secret missing: {call.__name__}", call, secret=secret)


def _metadata(step: Teller) -> None:
    pfs.create_project(project=project("cf-m"))
    pfs.create_repo(repo=repo(PLACE))
    pfs.create_branch(branch=branch(PLACE + "@master"))
    targets: dict[str, tuple[Any, Callable[[], Any]]] = {
        "project": (project("cf-m"), lambda: pfs.inspect_project(project=project("cf-m"))),
        "repo": (repo(PLACE), lambda: pfs.inspect_repo(repo=repo(PLACE))),
        "branch": (branch(PLACE + "@master"), lambda: pfs.inspect_branch(branch=branch(PLACE + "@master"))),
    }
    for kind, (target, look) in targets.items():
        _edits(step, kind, target, look)
    adding = metadata.Edit(repo=repo("cf-m/cf-no").as_picker(), add_key=metadata.EditAddKey(key="a", value="1"))
    step("metadata of a missing repo", client.metadata.edit_metadata, edits=[adding])


def _edits(step: Teller, kind: str, target: Any, look: Callable[[], Any]) -> None:
    def edit(**operation: Any) -> Any:
        return client.metadata.edit_metadata(edits=[metadata.Edit(**{kind: target.as_picker()}, **operation)])

    def now() -> Any:
        return look().metadata

    adding = metadata.EditAddKey(key="a", value="1")
    step(f"metadata add to a {kind}", edit, add_key=adding, then=now)
    step(f"metadata add again to a {kind}", edit, add_key=adding)
    step(f"metadata edit of a {kind}", edit, edit_key=metadata.EditEditKey(key="b", value="2"), then=now)
    step(f"metadata delete from a {kind}", edit, delete_key=metadata.EditDeleteKey(key="a"), then=now)
    step(f"metadata replace in a {kind}", edit, replace=metadata.EditReplace(replacement={"x": "y"}), then=now)
    step(f"metadata nothing to a {kind}", edit)


def _transactions(step: Teller) -> None:
    def together(*names: str) -> list[Any]:
        with client.transaction.transaction() as opened:
            for name in names:
                client.pfs.create_repo(repo=repo(name))
            early = client.pfs.repo_exists(repo(names[0]))
            return [early, len(client.transaction.inspect_transaction(transaction=opened).requests)]

    step("transaction", together, "cf-t1", "cf-t2")
    step("transaction that fails", together, "cf-t3", "cf-t1")
    none = transaction.Transaction(id=NO_ID)
    step("transaction missing", client.transaction.inspect_transaction, transaction=none)

    def after():
        return [client.pfs.repo_exists(repo(name)) for name in ("cf-t1", "cf-t2", "cf-t3")]

    step("transaction result", after)
