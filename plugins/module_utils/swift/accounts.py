# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Swift account itself: its metadata, its quota and its keys of temporary URLs."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    State,
    compare,
    directive,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import size
from ansible_collections.polystore.storage.plugins.module_utils.swift import common

META = common.ACCOUNT_META
FACTS = common.ACCOUNT_FACTS
NEEDS = {"temp_url_keys": "tempurl", "quota_bytes": "account_quotas"}
OWN = {**dict.fromkeys(common.URL_KEYS, "temp_url_keys"), common.QUOTA: "quota_bytes"}


@dc.dataclass
class Account(Item):
    """The account of the credentials; there is only one."""

    state: str = directive(choices=("present",), default="present")
    metadata: Any = wanted("dict", parse=common.metadata, merge=True)
    purge_metadata: bool = directive("bool", default=False)
    temp_url_keys: Any = wanted("list", elements="raw", parse=common.temp_url_keys, same=common.same_keys, secret=True)
    quota_bytes: Any = wanted("raw", parse=size, nullable=True)

    def label(self) -> str:
        return "of the credentials"


def headers_of(state: Mapping[str, Any]) -> dict[str, str]:
    """The metadata headers that make an account so, without their prefix."""
    found = {**state["metadata"], **{n: v for n, v in zip(common.URL_KEYS, state["temp_url_keys"]) if v}}
    if state["quota_bytes"] is not None:
        found[common.QUOTA] = str(state["quota_bytes"])
    return found


class Accounts(Resource):
    """The one account."""

    Item = Account
    connection = common.CONNECTION
    noun = "account"

    @classmethod
    def validate(cls, item: Account) -> None:
        common.no_own_options(item.metadata, OWN)

    def read(self, items: list[Account]) -> dict[Key, State]:
        try:
            headers = self.client.request("HEAD", operation="read account").headers
        except StorageError as error:
            if error.code != 404:
                raise
            headers = {}  # it comes to be with the first write
        return {item.key: common.account_state(headers) for item in items}

    def plan(self, item: Account, present: State | None) -> Change | None:
        keys = common.merged_keys(present, item.temp_url_keys)
        compared = {k: v for k, v in (present or {}).items() if k not in FACTS}
        change = compare(dc.replace(item, temp_url_keys=keys), compared)
        known = self.client.info() if change else {}
        for field in change.fields if change else ():
            if known and NEEDS.get(field, "swift") not in known:
                raise OptionError(field, "this server has no %s" % NEEDS[field], "Leave the option out")
        if change:
            change.detail = {k: (present or {})[k] for k in FACTS}
            common.check_limits("metadata", headers_of(change.after or {}), known.get("swift", {}))
        return change

    def make(self, group: list[Change]) -> list[Made]:
        for change in group:
            headers = common.meta_changes(META, headers_of(change.before or {}), headers_of(change.after or {}))
            try:
                self.client.request("POST", headers=headers, operation="update account")
            except StorageError as error:
                if error.code == 403 and META + common.QUOTA in headers:
                    error.hint = "quota_bytes may only be set by a reseller admin; for others leave it out"
                raise
        return [Made(change, {**(change.after or {}), **change.detail}) for change in group]
