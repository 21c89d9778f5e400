# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every integration target, run on the fast path and through ordinary modules; both must tell the same.

Ordinary modules take several times as long: without POLYSTORE_WAYS=both (a stage of .ci/run) only one target of each
system goes both ways. Which server a target talks to follows from its name; one for Alluxio runs against every
dialect. Those for Pachyderm, FastDFS and Pegasus run against one server, and in one playbook against each other one.
POLYSTORE_AUTH=v3 runs them against Swift with Keystone. POLYSTORE_TARGET_PYTHON names another interpreter for the
ordinary modules, with its own client libraries.
"""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support import targets

NAMES = sorted(p.name for p in targets.TARGETS.iterdir() if not p.name.startswith("setup_"))
WAYS = ["fast", "module"]
# always; among the shortest
BOTH = {"swift_account", "alluxio_info", "pachyderm_secret", "fdfs_info", "pegasus_info"}
if os.environ.get("POLYSTORE_WAYS") == "both":
    BOTH = set(NAMES) - {"sandbox", "estate", "estate_export"}  # a role, and what runs in the controller: the same
ONE_WAY = {"alluxio_v1_server"}  # the other dialect; the two ways are compared before the first

# a word of a target's name -> the fixtures of the servers that it runs against, in turn
FIXTURES = {
    "swift": ["swift_and_keystone" if os.environ.get("POLYSTORE_AUTH") == "v3" else "swift_server"],
    "alluxio": ["alluxio_server", "alluxio_v1_server"],
    "pachyderm": ["pachd_server"],
    "fdfs": ["fdfs_server"],
    "pegasus": ["pegasus_server"],
}
OTHERS = {
    "pachyderm": ["pachd_v%d_server" % version for version in (20, 24, 27, 28)],
    "fdfs": ["fdfs_wide_server", *("fdfs_v%d_server" % version for version in (503, 511, 606, 612, 615))],
    "pegasus": ["pegasus_master_server"],
}


def rows() -> Iterator[Any]:
    """(target, fixture) of everything that is to be run; what names no system starts its own."""
    for name in NAMES:
        system = next((word for word in name.split("_") if word in FIXTURES), "swift")
        for fixture in FIXTURES[system]:
            yield pytest.param(name, fixture, id="%s-%s" % (name, fixture.removesuffix("_server")))


def ours(ran: targets.Ran) -> list[targets.Row]:
    """What our modules did, and did well."""
    return [row for row in ran.rows if row.ours and row.outcome == "ok"]


def go(
    run: Callable[..., targets.Ran], what: Any, ways: list[str], server: Any, prefix: str, scratch: pathlib.Path
) -> list[targets.Ran]:
    """What run came to on each way; both must tell the same. prefix: of all names."""
    ran = {}
    for way in ways:
        shutil.rmtree(scratch / "files", ignore_errors=True)  # both ways find the same, and use the same names in turn
        ran[way] = run(what, way == "fast", scratch / way, server.environment(), prefix, scratch / "files")
        assert ran[way].code == 0, "%s\n(%s)" % (ran[way].output, way)
        wrong = [row.task for row in ours(ran[way]) if row.by_module != (way == "module")]
        assert wrong == [], "these went the other way"
    if len(ran) == 2:
        assert "\n".join(targets.differences(ran["fast"], ran["module"])) == ""
    return list(ran.values())


@pytest.mark.server
@pytest.mark.parametrize(("name", "fixture"), list(rows()))
def test_target(name: str, fixture: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    server: Any = request.getfixturevalue(fixture)
    ways = WAYS if name in BOTH and fixture not in ONE_WAY else WAYS[:1]
    go(targets.run_target, name, ways, server, "psi-%s-%d" % (name.replace("_", "-"), os.getpid()), tmp_path)


@pytest.mark.second
@pytest.mark.server
@pytest.mark.parametrize(("system", "fixture"), [(system, other) for system in OTHERS for other in OTHERS[system]])
def test_targets_on_other_versions(
    system: str, fixture: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    server: Any = request.getfixturevalue(fixture)
    names = [name for name in NAMES if system in name.split("_")]
    ways = WAYS if os.environ.get("POLYSTORE_WAYS") == "both" else WAYS[:1]
    for ran in go(targets.run_targets, names, ways, server, "psi-%d" % os.getpid(), tmp_path):
        assert len(ours(ran)) >= 5 * len(names)
