# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 before each write of an apply and of a removal, and by the clock: the next run ends right, whatever it is."""

from __future__ import annotations

import pathlib
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.plugin_utils.estate import record
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
        failures = work.outcome()["failures"]
        if failures:
            print(failures, file=sys.stderr, flush=True)
        os._exit(1 if failures else 0)
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
CAMPAIGNS = [
    pytest.param(("swift",), 3, id="swift-thirds"),
    *(pytest.param((system,), 1, marks=SECOND, id=system) for system in WRITES),
]
POINTS = 20  # at which it dies by the clock


class Doomed(Forks):
    """An estate whose runs are killed: before a write of its only system, or at any time."""

    def __init__(self, servers: dict[str, Any], tmp: pathlib.Path) -> None:
        super().__init__(next(iter(servers.values())), NURSERY, **WRITES[next(iter(servers))][1])
        self.estate = Estate(tmp, servers)
        whole(self.estate)
        if "swift" in servers:  # whose segments come before it
            large = {
                "container": self.estate.name,
                "name": "large",
                "content": "0123456789" * 300,
                "segment_size": 1024,
            }
            self.estate.data["swift"]["objects"].append(large)

    def _order(self, **wish: Any) -> dict[str, Any]:
        place = {"tmp": str(self.estate.tmp), "record": str(self.estate.record)}
        return {**place, "data": self.estate.data, "wish": wish}

    def killed(self, after: int, **wish: Any) -> bool:
        """Run until `after` writes are through, then kill it; False when it had no more of them."""
        return self.frozen(self._order(**wish), after)

    def killed_in(self, seconds: float, **wish: Any) -> bool:
        """Run for that time, then kill it; False when it had ended."""
        return self.timed(self._order(**wish), seconds)


@pytest.fixture
def doomed(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Doomed]:
    """params: the systems."""
    found = Doomed({system: request.getfixturevalue(WRITES[system][0]) for system in request.param}, tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize(("doomed", "step"), CAMPAIGNS, indirect=["doomed"])
def test_the_next_run_ends_right(doomed: Doomed, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it is made, it is finished, or removed; killed while it is removed, it is removed, or made again."""
    monkeypatch.setattr(record, "GRACE", 0)  # what hung is never done
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


def many(data: dict[str, Any], name: str) -> None:
    """Declares so much more that making it takes longer than planning it."""
    for number in range(40):
        item = {"name": "more/%d" % number, "content": "more %d" % number}
        data["swift"]["objects"].append({**item, "container": name})
        data["fastdfs"]["files"].append({**item, "manifest": "ids.json"})
        data["alluxio"]["files"].append({"path": "/%s/%s" % (name, item["name"]), "content": item["content"]})
        data["pegasus"]["kv"].append({**data["pegasus"]["kv"][0], "hash_key": item["name"]})


@pytest.mark.second
@pytest.mark.server
@pytest.mark.parametrize("doomed", [tuple(WRITES)], indirect=True, ids=["all"])
def test_killed_at_any_time_the_next_run_ends_right(doomed: Doomed) -> None:
    """Five systems at once, which are worked on side by side: by the clock, wherever each of them is then."""
    estate, lengths, points = doomed.estate, {}, {False: 0, True: 0}
    many(estate.data, estate.name)
    half = {False: 0, True: 0}  # of the points, how many were neither before nor after its work
    planned = estate.silent(check=True)
    for destroy in points:
        started = time.monotonic()
        assert not doomed.killed_in(60, destroy=destroy)
        lengths[destroy] = time.monotonic() - started
    source = random.Random(8)
    for turn in range(6 * POINTS):
        if min(points.values()) >= POINTS:
            break
        for destroy in points:
            killed = doomed.killed_in(source.uniform(0.2, 1) * lengths[destroy], destroy=destroy)
            points[destroy] += killed
            if turn % 3 == 2:  # the other way first: what the dead run made goes, what it removed comes back
                estate.counts(destroy=not destroy)
            left = estate.counts(destroy=destroy).get("deleted" if destroy else "created", 0)
            half[destroy] += killed and turn % 3 != 2 and 0 < left < planned["created"]
            if destroy:
                assert estate.owned() == []
                assert estate.silent(check=True) == planned
            else:
                assert estate.silent() == {}
    assert min(points.values()) >= POINTS and min(half.values()) >= POINTS // 5, (points, half, lengths)
