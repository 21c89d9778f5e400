# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the sandbox's own tests."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from ansible_collections.polystore.storage.tests.support.servers import sandbox


@pytest.fixture
def home(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory for a sandbox of the test's own, which has ended afterwards."""
    folder = tmp_path / "box"
    yield folder
    if (folder / ".polystore-sandbox").exists():
        sandbox("absent", "--dir", str(folder))
