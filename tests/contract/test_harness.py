# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness itself: a module that breaks a promise is caught by it."""

from __future__ import annotations

import dataclasses as dc
import pathlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Change, Made, State
from ansible_collections.polystore.storage.plugins.module_utils.swift.containers import Container, Containers
from ansible_collections.polystore.storage.tests.contract import cases_swift_containers as rows
from ansible_collections.polystore.storage.tests.contract.harness import PROMISES, World


class Forgetful(Containers):
    """Never sees the metadata that is there, so it writes it again and again."""

    def plan(self, item: Container, present: State | None) -> Change | None:
        return super().plan(item, {**present, "metadata": {}} if present else None)


class Hasty(Containers):
    """Writes while it plans, in check mode too."""

    def plan(self, item: Container, present: State | None) -> Change | None:
        self.client.request("POST", headers={"X-Account-Meta-Hasty": ""})
        return super().plan(item, present)


class Careless(Containers):
    """Clears what was not spoken of."""

    def make(self, group: list[Change]) -> list[Made]:
        made = super().make(group)
        if group[0].action == "updated":
            self.client.request("POST", group[0].item.name, headers={"X-Container-Meta-Quota-Count": ""})
        return made


class Silent(Containers):
    """Fails without a hint."""

    def make(self, group: list[Change]) -> list[Made]:
        try:
            return super().make(group)
        except StorageError as error:
            error.hint = ""
            raise


class Talkative(Containers):
    """Shows its secrets."""

    def make(self, group: list[Change]) -> list[Made]:
        made = super().make(group)
        keys = group[0].item.temp_url_keys
        return [dc.replace(one, state={**(one.state or {}), "note": "%s" % (keys,)}) for one in made]


class Unshaped(Containers):
    """Has no `resource` in its result."""

    single = False


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Forgetful, "applied_twice"),
        (Hasty, "applied_twice"),
        (Hasty, "checked_first"),
        (Talkative, "checked_first"),
        (Careless, "left_alone"),
        (Silent, "failed_well"),
        (Unshaped, "shaped"),
        (Talkative, "shaped"),
    ],
)
def test_a_broken_promise_is_caught(
    swift_server: Any, tmp_path: pathlib.Path, broken: type[Containers], promise: str
) -> None:
    case = next(row for row in rows.CASES if row.name == "container, everything")
    case = dc.replace(case, subject=broken)
    with pytest.raises((AssertionError, KeyError)):
        PROMISES[promise](case, World(swift_server, broken, swift_server.new_container_name(), tmp_path))
    swift_server.clear_faults()
    good = dc.replace(case, subject=Containers)
    PROMISES[promise](good, World(swift_server, Containers, swift_server.new_container_name(), tmp_path))
