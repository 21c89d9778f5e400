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


@pytest.mark.server
@pytest.mark.parametrize("name", NAMES)
def test_target(name: str, swift: SwiftServer, tmp_path: pathlib.Path) -> None:
    prefix, files = "psi-%s-%d" % (name.replace("_", "-"), os.getpid()), tmp_path / "files"
    ran = {}
    for way in WAYS[:1] if name in ONE_WAY else WAYS:
        shutil.rmtree(files, ignore_errors=True)  # both ways find the same, and use the same names in turn
        ran[way] = targets.run_target(name, way == "fast", tmp_path / way, swift.environment(), prefix, files)
        assert ran[way].code == 0, "%s\n(%s)" % (ran[way].output, way)
        ours = [row for row in ran[way].rows if row.ours and row.outcome == "ok"]
        assert [row.task for row in ours if row.by_module != (way == "module")] == [], "these went the other way"
    if len(ran) == 2:
        assert "\n".join(targets.differences(ran["fast"], ran["module"])) == ""
