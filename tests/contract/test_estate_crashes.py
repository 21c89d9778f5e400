# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 before each write of an apply, and of a removal: the next run ends right, whatever it is to do."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.contract.estate_place import Estate, whole
from ansible_collections.polystore.storage.tests.support import fdfs, pachd, pegasus
from ansible_collections.polystore.storage.tests.support.crashes import Forks
from ansible_collections.polystore.storage.tests.support.servers import ALLUXIO_WRITES

pytestmark = pytest.mark.crash

# A process that forks one for each run it reads: no thread is alive in it, and everything is imported once.
NURSERY = """
import json, os, pathlib, sys
from ansible_collections.polystore.storage.tests.contract.estate_place import work_of
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if not pid:
        work = work_of(pathlib.Path(order["tmp"]), order["data"], order["record"], str, **order["wish"])
        work.run()
        os._exit(1 if work.outcome()["failures"] else 0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""
WRITES: dict[str, tuple[str, dict[str, str]]] = {
    "swift": ("swift_server", {"method": "PUT|POST|DELETE|COPY"}),
    "alluxio": ("alluxio_server", {"method": "POST", "path": ALLUXIO_WRITES}),
    "pachyderm": ("pachd_server", {"method": "(?!%s$).*" % pachd.READING}),
    "fastdfs": ("fdfs_server", {"method": "|".join(fdfs.WRITING)}),
    "pegasus": ("pegasus_server", {"method": "|".join(pegasus.WRITING)}),
}


# Each third write of one system where there is little time; the stage "keystone" has every write of all of them.
SECOND = [pytest.mark.second, pytest.mark.server]
CAMPAIGNS = [pytest.param("swift", 3), *(pytest.param(system, 1, marks=SECOND) for system in WRITES)]


class Doomed(Forks):
    """An estate whose runs are killed."""

    def __init__(self, system: str, server: Any, tmp: pathlib.Path) -> None:
        super().__init__(server, NURSERY, **WRITES[system][1])
        self.estate = Estate(tmp, {system: server})
        whole(self.estate)
        if system == "swift":  # whose segments come before it
            large = {
                "container": self.estate.name,
                "name": "large",
                "content": "0123456789" * 300,
                "segment_size": 1024,
            }
            self.estate.data["swift"]["objects"].append(large)

    def killed(self, after: int, **wish: Any) -> bool:
        """Run until `after` writes are through, then kill it; False when it had no more of them."""
        order = {"tmp": str(self.estate.tmp), "data": self.estate.data, "record": str(self.estate.record)}
        return self.frozen({**order, "wish": wish}, after)


@pytest.fixture
def doomed(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Doomed]:
    found = Doomed(request.param, request.getfixturevalue(WRITES[request.param][0]), tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize(("doomed", "step"), CAMPAIGNS, indirect=["doomed"])
def test_the_next_run_ends_right(doomed: Doomed, step: int) -> None:
    """Killed while it is made, it is finished, or removed; killed while it is removed, it is removed, or made again."""
    estate, points = doomed.estate, [0, 0]
    planned = estate.silent(check=True)
    more = [True, True]
    for turn, after in enumerate(range(0, 60, step)):
        if more[0]:
            more[0] = doomed.killed(after)
            points[0] += more[0]
            if turn % 2:
                estate.counts()
            else:  # what the dead run made goes
                estate.counts(destroy=True)
                assert estate.owned() == []
                assert estate.silent(check=True) == planned
        estate.counts()
        assert estate.silent() == {}
        if more[1]:
            more[1] = doomed.killed(after, destroy=True)
            points[1] += more[1]
            if turn % 2:
                estate.counts()
                assert estate.silent() == {}
        estate.counts(destroy=True)
        assert estate.owned() == []
        assert estate.silent(check=True) == planned
        if not any(more):
            break
    assert not any(more) and all(number * step >= 3 for number in points), points
