# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every row of the contract's table, held against every promise."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.contract.harness import (
    PROMISES,
    Case,
    Question,
    World,
    hidden,
    rows,
)


def marked(row: Case | Question) -> Any:
    """A row as a parameter."""
    return pytest.param(row, id=row.name, marks=pytest.mark.server)


@pytest.fixture
def world(request: pytest.FixtureRequest, row: Any, tmp_path: pathlib.Path) -> Iterator[World]:
    """A world in which the row's setup has been done."""
    server = request.getfixturevalue(row.server)
    found = World(server, row.subject, server.new_container_name(), tmp_path)
    row.setup(found)
    yield found


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("row", [marked(row) for row in rows("CASES")])
def test_promise(row: Case, promise: str, world: World) -> None:
    PROMISES[promise](row, world)


@pytest.mark.parametrize("row", [marked(row) for row in rows("QUESTIONS")])
def test_question(row: Question, world: World) -> None:
    args = row.args(world)
    check, real = world.silent(check=True, **args), world.silent(**args)
    assert real["changed"] is False
    assert check == real
    hidden(real, world, row.secrets)
