# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A meta server and a replica server that a test plays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import client as module
from ansible_collections.polystore.storage.tests.unit.pegasus.double import Played, hangs_up, playing


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr("ansible_collections.polystore.storage.plugins.module_utils.core.errors.random.uniform",
                        lambda _low, _high: 0.001)  # fmt: skip
    with playing(hangs_up, hangs_up) as (meta, replica):
        found = Played(meta, replica)
        yield found
        found.client.close()
