# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of a run that stores, records, replaces and deletes files in FastDFS; and several runs with one manifest.

It dies before each of its writes to a server, and before and after each step that it takes outside of Python: calls of
the client, and what it does to the manifest and its journal, writing half a line too. At any time a reader finds the
old content or the new one under a name; the next run finishes, and then nothing is left that no name stands for.

One moment cannot be covered: the storage has a new file, and its answer with the id has not been noted. The run after
it says so; apart from that, nothing may be left.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.files import FileResource
from ansible_collections.polystore.storage.tests.support.crashes import Nursery, Side, campaign
from ansible_collections.polystore.storage.tests.support.fdfs_shelf import WRITES, Shelf, Stepper
from ansible_collections.polystore.storage.tests.support.run import run_ok

pytestmark = [pytest.mark.server, pytest.mark.crash]
OLD, NEW = b"old" * 1000, bytes(range(256)) * 1000
MASTER = {"name": "m", "extension": "jpg"}
SLAVE = {"name": "s", "master": "m", "prefix": "_150", "extension": "jpg"}
TINY = {"name": "t", "master": "s", "prefix": "_tiny"}


@pytest.fixture(params=["fdfs_server", "fdfs_v511_server"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def nursery(server: Any) -> Iterator[Nursery]:
    found = Nursery(server, [FileResource], method=WRITES)
    yield found
    found.close()


@pytest.fixture
def stepper(fdfs_server: Any) -> Iterator[Stepper]:
    found = Stepper(fdfs_server, [FileResource])
    yield found
    found.close()


def sides(path: pathlib.Path, *rows: list[dict[str, Any]]) -> list[Side]:
    """Both sides of a campaign. rows: of their batches; those without content are absent."""
    found = []
    for batch in rows:
        whole: list[dict[str, Any]] = [row if "content" in row else {**row, "state": "absent"} for row in batch]
        objects = {row["name"]: row["content"].encode() for row in batch if "content" in row}
        found.append(Side({"manifest": str(path), "batch": whole, "parallel": 1}, objects))
    return found


class Parallel(Shelf):
    """Where a new file's answer may be on its way when the run dies."""

    def tidy(self) -> None:
        self.unheard_of()
        super().tidy()


PAIRS = {
    "store and delete": ([{"name": "f"}], [{"name": "f", "content": "new", "metadata": {"a": "b"}}]),
    "replace": (
        [{"name": "f", "content": "old", "metadata": {"a": "b"}}],
        [{"name": "f", "content": "new", "metadata": {"a": "b"}}],
    ),
    "family": (
        [{**MASTER, "content": "old"}, {**SLAVE, "content": "old s"}, {**TINY, "content": "old t"}],
        [{**MASTER, "content": "new"}, {**SLAVE, "content": "new s"}, {**TINY, "content": "new t"}],
    ),
    "family comes and goes": (
        [MASTER, SLAVE],
        [{**MASTER, "content": "new"}, {**SLAVE, "content": "new s"}],
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_before_each_write(nursery: Nursery, tmp_path: pathlib.Path, pair: str) -> None:
    place = Shelf(nursery.server, tmp_path)
    points = campaign(nursery, place, FileResource, sides(place.path, *PAIRS[pair]))
    least = {"store and delete": (1, 2), "replace": (3, 3), "family": (6, 6), "family comes and goes": (2, 2)}[pair]
    assert sorted(points) >= sorted(least), points


def test_large_files_at_once(nursery: Nursery, tmp_path: pathlib.Path) -> None:
    """Files that are sent from disk, on several connections: while one write waits, another one may get through."""
    place, found = Parallel(nursery.server, tmp_path), []
    for number, data in enumerate((OLD, NEW)):
        batch = []
        for name in ("a", "b", "c"):
            source = tmp_path / ("%s%d" % (name, number))
            source.write_bytes(data + name.encode())
            batch.append({"name": name, "src": str(source)})
        args = {"manifest": str(place.path), "batch": batch, "parallel": 3}
        found.append(Side(args, {str(row["name"]): data + str(row["name"]).encode() for row in batch}))
    assert min(campaign(nursery, place, FileResource, found)) >= 6


LONG = {"family": [pytest.mark.second], "family comes and goes": [pytest.mark.second]}


@pytest.mark.parametrize("pair", [pytest.param(pair, marks=LONG.get(pair, [])) for pair in PAIRS])
def test_at_each_step(stepper: Stepper, tmp_path: pathlib.Path, pair: str) -> None:
    place = Shelf(stepper.server, tmp_path)
    both = sides(place.path, *PAIRS[pair])
    run_ok(FileResource, place.server, **both[0].args)
    for way in (0, 1):
        old, new = both[way], both[1 - way]
        for step in range(1000):
            if not stepper.killed(FileResource, new.args, step):
                break
            there = place.contents()
            for name in {*old.objects, *there}:
                content = there.get(name)
                assert content in (old.objects.get(name), new.objects.get(name)), (step, name, content)
            done = run_ok(FileResource, place.server, **new.args)
            assert place.contents() == new.objects
            if place.orphans():
                assert "nobody knows" in done["warnings"][0], step
            place.unheard_of()
            place.tidy()
            run_ok(FileResource, place.server, **old.args)
        else:
            raise AssertionError("still not through")
        assert step > 18
        run_ok(FileResource, place.server, **new.args)
    fresh = sum("prefix" not in row and "content" in row for rows in PAIRS[pair] for row in rows)
    assert len(place.unheard) <= 3 * fresh  # for each: before its id is noted, twice, and in the midst of noting it


@pytest.mark.parametrize("how", ["append", "truncate", "modify"])
def test_appenders_at_each_step(stepper: Stepper, tmp_path: pathlib.Path, how: str) -> None:
    """They are changed in place: whatever it was in the midst of, the next run makes it whole, trusting or not."""
    place = Shelf(stepper.server, tmp_path)
    text = "0123456789" * 5000
    new = {"append": text + "more", "truncate": text[:777], "modify": "x%sx%sx" % (text[1:20000], text[20001:-1])}[how]
    base = {**place.at("log"), "type": "appender", "parallel": 1, "metadata": {"a": "b"}}
    one, other = {**base, "content": text}, {**base, "content": new, "metadata": {"a": "c"}}
    run_ok(FileResource, place.server, **one)
    for step in range(1000):
        if not stepper.killed(FileResource, other, step):
            break
        run_ok(FileResource, place.server, **other, verify=bool(step % 2))
        assert place.contents() == {"log": new.encode()}
        assert place.client.get_metadata(place.ids()["log"]) == {"a": "c"}
        place.tidy()
        run_ok(FileResource, place.server, **one)
    assert step > 15


def test_many_runs_with_one_manifest(stepper: Stepper, tmp_path: pathlib.Path) -> None:
    place = Shelf(stepper.server, tmp_path)
    names = [["%d-%d" % (run, number) for number in range(25)] for run in range(6)]
    tasks = [
        {"manifest": str(place.path), "batch": [{"name": n, "content": n} for n in [*some, "shared"]]} for some in names
    ]
    stepper.together(FileResource, tasks)
    wanted = {name: name.encode() for some in names for name in [*some, "shared"]}
    assert place.contents() == wanted
    place.tidy()
    gone = [
        {"manifest": str(place.path), "state": "absent", "batch": [{"name": n} for n in some]} for some in names[:3]
    ]
    more = [{"manifest": str(place.path), "batch": [{"name": "new %d" % n, "content": "x"}]} for n in range(3)]
    stepper.together(FileResource, gone + more)
    assert {*place.ids()} == {*(n for some in names[3:] for n in some), "shared", "new 0", "new 1", "new 2"}
    place.tidy()
