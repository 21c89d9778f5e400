# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every integration target, run on the fast path and through ordinary modules; both must tell the same.

Ordinary modules take several times as long: without POLYSTORE_WAYS=both (a stage of .ci/run) only one target of each
system goes both ways. Which server a target talks to follows from its name; one for Alluxio runs against every
dialect. Those for Pachyderm and FastDFS run against the newest one, and in one playbook against each older one.
POLYSTORE_AUTH=v3 runs them against Swift with Keystone. POLYSTORE_TARGET_PYTHON names another interpreter for the
ordinary modules, with its own client libraries.
"""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support import targets

NAMES = sorted(p.name for p in targets.TARGETS.iterdir() if not p.name.startswith("setup_"))
WAYS = ["fast", "module"]
BOTH = {"swift_account", "alluxio_info", "pachyderm_secret", "fdfs_info"}  # always; among the shortest
if os.environ.get("POLYSTORE_WAYS") == "both":
    BOTH = set(NAMES) - {"sandbox"}  # a role: what it starts is the same for both
ONE_WAY = {"alluxio_v1_server"}  # the other dialect; the two ways are compared before the first

# a word of a target's name -> the fixtures of the servers that it runs against, in turn
FIXTURES = {
    "swift": ["swift_and_keystone" if os.environ.get("POLYSTORE_AUTH") == "v3" else "swift_server"],
    "alluxio": ["alluxio_server", "alluxio_v1_server"],
    "pachyderm": ["pachd_server"],
    "fdfs": ["fdfs_server"],
}
OLDER = {
    "pachyderm": ["pachd_v%d_server" % version for version in (20, 24, 27, 28)],
    "fdfs": ["fdfs_wide_server", *("fdfs_v%d_server" % version for version in (503, 511, 606, 612, 615))],
}


def rows() -> Iterator[Any]:
    """(target, fixture) of everything that is to be run; what names no system starts its own."""
    for name in NAMES:
        system = next((word for word in name.split("_") if word in FIXTURES), "swift")
        for fixture in FIXTURES[system]:
            yield pytest.param(name, fixture, id="%s-%s" % (name, fixture.removesuffix("_server")))


@pytest.mark.server
@pytest.mark.parametrize(("name", "fixture"), list(rows()))
def test_target(name: str, fixture: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    server: Any = request.getfixturevalue(fixture)
    prefix, files = "psi-%s-%d" % (name.replace("_", "-"), os.getpid()), tmp_path / "files"
    ran = {}
    for way in WAYS if name in BOTH and fixture not in ONE_WAY else WAYS[:1]:
        shutil.rmtree(files, ignore_errors=True)  # both ways find the same, and use the same names in turn
        ran[way] = targets.run_target(name, way == "fast", tmp_path / way, server.environment(), prefix, files)
        assert ran[way].code == 0, "%s\n(%s)" % (ran[way].output, way)
        ours = [row for row in ran[way].rows if row.ours and row.outcome == "ok"]
        assert [row.task for row in ours if row.by_module != (way == "module")] == [], "these went the other way"
    if len(ran) == 2:
        assert "\n".join(targets.differences(ran["fast"], ran["module"])) == ""


@pytest.mark.second
@pytest.mark.server
@pytest.mark.parametrize(("system", "fixture"), [(system, older) for system in OLDER for older in OLDER[system]])
def test_targets_on_older_ones(
    system: str, fixture: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    server: Any = request.getfixturevalue(fixture)
    names = [name for name in NAMES if system in name.split("_")]
    prefix, files, ran = "psi-%d" % os.getpid(), tmp_path / "files", {}
    ways = WAYS if os.environ.get("POLYSTORE_WAYS") == "both" else WAYS[:1]
    for way in ways:
        shutil.rmtree(files, ignore_errors=True)
        ran[way] = targets.run_targets(names, way == "fast", tmp_path / way, server.environment(), prefix, files)
        assert ran[way].code == 0, "%s\n(%s)" % (ran[way].output, way)
        ours = [row for row in ran[way].rows if row.ours and row.outcome == "ok"]
        assert len(ours) >= 5 * len(names) and [r.task for r in ours if r.by_module != (way == "module")] == []
    if len(ran) == 2:
        assert "\n".join(targets.differences(ran["fast"], ran["module"])) == ""
