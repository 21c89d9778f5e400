# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every integration target, run on the fast path and through ordinary modules; both must tell the same.

POLYSTORE_AUTH=v3 runs them against Swift with Keystone. POLYSTORE_TARGET_PYTHON names another interpreter for the
target (with its own client libraries): then only ordinary modules run.
"""

from __future__ import annotations

import os
import pathlib
import shutil
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support import targets
from ansible_collections.polystore.storage.tests.support.servers import SwiftServer

NAMES = sorted(p.name for p in targets.TARGETS.iterdir() if not p.name.startswith("setup_"))
ONLY_MODULES = bool(os.environ.get("POLYSTORE_TARGET_PYTHON"))
WAYS = ["module"] if ONLY_MODULES else ["fast", "module"]
ONE_WAY = {"sandbox"}  # a role: what it starts is the same for both


@pytest.fixture
def swift(request: pytest.FixtureRequest) -> SwiftServer:
    """The server that the targets talk to, unknown to them."""
    keystone = os.environ.get("POLYSTORE_AUTH") == "v3"
    server: SwiftServer = request.getfixturevalue("swift_and_keystone" if keystone else "swift_server")
    return server


@pytest.fixture(scope="session")
def recordings() -> dict[tuple[str, str], targets.Ran]:
    """What ran in this process, by target and way."""
    return {}


def grouped() -> list[Any]:
    """(target, way), all of a target kept in one worker, so that they use one server, in turn, and can be compared."""
    pairs = [(name, way) for name in NAMES for way in (WAYS[:1] if name in ONE_WAY else WAYS)]
    return [pytest.param(*pair, marks=pytest.mark.xdist_group(pair[0])) for pair in pairs]


@pytest.mark.server
@pytest.mark.parametrize(("name", "way"), grouped())
def test_target(
    name: str, way: str, swift: SwiftServer, recordings: dict[tuple[str, str], targets.Ran], tmp_path_factory: Any
) -> None:
    scratch = pathlib.Path(tmp_path_factory.getbasetemp()) / ("target-" + name)
    shutil.rmtree(scratch, ignore_errors=True)
    ran = targets.run_target(
        name, way == "fast", scratch, swift.environment(), "psi-%s-%d" % (name.replace("_", "-"), os.getpid())
    )
    assert ran.code == 0, ran.output
    ours = [row for row in ran.rows if row.ours and row.outcome == "ok"]
    if way == "fast":
        assert not [row.task for row in ours if row.by_module], "these left the fast path"
    else:
        assert not [row.task for row in ours if not row.by_module], "these took the fast path"
    recordings[name, way] = ran


@pytest.mark.skipif(ONLY_MODULES, reason="POLYSTORE_TARGET_PYTHON: one way only")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in NAMES if name not in ONE_WAY]
)
def test_both_ways_tell_the_same(name: str, recordings: dict[tuple[str, str], targets.Ran]) -> None:
    if (name, "fast") not in recordings or (name, "module") not in recordings:
        pytest.skip("not both ways of %s ran in this process" % name)
    assert targets.differences(recordings[name, "fast"], recordings[name, "module"]) == []
