# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the benchmark. Each is called once a run and gives its samples; ratios are of the same run."""

from __future__ import annotations

import base64
import io
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.polystore.storage.tests.benchmarks import (
    rows_alluxio,
    rows_estate,
    rows_fastdfs,
    rows_pachyderm,
    rows_pegasus,
)
from ansible_collections.polystore.storage.tests.benchmarks.bench import (
    MIB,
    Bench,
    Missing,
    Sample,
    openstack_python,
    rclone,
)
from ansible_collections.polystore.storage.tests.support import targets

COUNT, SIZE, SCALED = 2000, 4096, 50
SEGMENT = 100 * MIB
Task = dict[str, Any]


def each(ran: targets.Ran, word: str) -> float:
    """Seconds a task of those named so, from result to result: all that a task costs in a play."""
    rows = ran.named(word)
    return (rows[-1].at - rows[0].at) / (len(rows) - 1)


def many(count: int, word: str, task: Task) -> list[Task]:
    """The task so many times, and once more to warm up."""
    return [{**task, "name": word} for _number in range(count + 1)]


def container(name: str, **more: Any) -> Task:
    """A declared container."""
    return {"polystore.storage.swift_container": {"name": name, "metadata": {"team": "birds"}, **more}}


PING: Task = {"ansible.builtin.ping": {}}


def peer(task: Callable[[], Iterator[Sample]], what: str) -> Iterator[Sample]:
    """A peer's samples; a line that says why when it is not there."""
    try:
        yield from task()
    except Missing as reason:
        yield Sample("%s: skipped, %s" % (what, " ".join(str(reason).split())[:300]), float("nan"), "")


def row_task(bench: Bench) -> Iterator[Sample]:
    """A task that changes nothing."""
    name = bench.name("task")
    slow = {"vars": {"polystore_fast_path": False}}
    ran = bench.play(
        [
            *many(10, "ping", PING),
            *many(30, "fast", container(name)),
            *many(10, "module", {**container(name), **slow}),
            container(name, state="absent"),
        ]
    )
    ping = each(ran, "ping")
    yield Sample("ansible.builtin.ping", ping * 1000, "ms")
    yield Sample("fast path / ping", each(ran, "fast") / ping, budget=0.15)
    yield Sample("ordinary module / ping", each(ran, "module") / ping, budget=1.5)

    def openstack() -> Iterator[Sample]:
        task = bench.openstack("object_container", name=name, metadata={"team": "birds"})
        away = bench.openstack("object_container", name=name, state="absent")
        ran = bench.play([*many(5, "ping", PING), *many(5, "peer", task), away], openstack_python())
        yield Sample("openstack.cloud.object_container / ping", each(ran, "peer") / each(ran, "ping"))

    yield from peer(openstack, "openstack.cloud.object_container")


def row_loop(bench: Bench) -> Iterator[Sample]:
    """An item of a loop of 100 that changes nothing."""
    name, loop = bench.name("loop"), {"loop": list(range(100))}
    item = {**container(name), **loop}
    ran = bench.play(
        [
            *many(10, "ping", PING),
            container(name),
            {**item, "name": "fast"},
            {**item, "name": "module", "vars": {"polystore_fast_path": False}},
            {**PING, **loop, "name": "ping loop"},
            container(name, state="absent"),
        ]
    )
    ping = each(ran, "ping")
    yield Sample("fast path, item / ping task", ran.named("fast")[0].seconds / 100 / ping, budget=0.05)
    yield Sample("ordinary module, item / ping task", ran.named("module")[0].seconds / 100 / ping)
    yield Sample("ping, item / ping task", ran.named("ping loop")[0].seconds / 100 / ping)

    def openstack() -> Iterator[Sample]:
        task = bench.openstack("object_container", name=name, metadata={"team": "birds"})
        away = bench.openstack("object_container", name=name, state="absent")
        looped = {**task, "loop": list(range(10)), "name": "peer"}
        ran = bench.play([*many(5, "ping", PING), task, looped, away], openstack_python())
        yield Sample(
            "openstack.cloud.object_container, item / ping task (loop of 10)",
            ran.named("peer")[0].seconds / 10 / each(ran, "ping"),
        )

    yield from peer(openstack, "openstack.cloud.object_container")


def row_sync(bench: Bench) -> Iterator[Sample]:
    """2,000 files of 4 KiB: the first time, and again without a change."""
    top, name = bench.tree(COUNT, SIZE), bench.name("sync")
    sync = {"polystore.storage.swift_sync": {"src": str(top), "container": name}}
    mark = bench.server.mark()
    ran = bench.play([container(name), {**sync, "name": "first"}, {**sync, "name": "again"}])
    first, again = ran.named("first")[0], ran.named("again")[0]
    if first.result["summary"]["created"] != COUNT or again.result["changed"]:
        raise Missing("swift_sync did not do it: %s" % first.result["summary"])
    listings = [r for r in bench.server.requests(mark, "GET", name) if "format=json" in r["path"]]
    yield Sample("swift_sync, first", first.seconds, "s")
    yield Sample("swift_sync, no change", again.seconds, "s")
    yield Sample("swift_sync, listings of both runs", len(listings), "")
    bench.work(["swift_container", {"name": name, "state": "absent", "force": True}])

    def by_rclone() -> Iterator[Sample]:
        words = ("sync", "--checksum", "--transfers", "8", top, "s:" + name)
        one, two = bench.rclone(*words).seconds, bench.rclone(*words).seconds
        yield Sample("first / rclone sync --checksum", first.seconds / one, budget=0.7)
        yield Sample("no change / rclone sync --checksum", again.seconds / two, budget=0.1)

    def by_swift() -> Iterator[Sample]:
        words = ("upload", "--skip-identical", "--object-name", "t", name, top)
        one, two = bench.swift(*words).seconds, bench.swift(*words).seconds
        yield Sample("first / swift upload --skip-identical", first.seconds / one)
        yield Sample("no change / swift upload --skip-identical", again.seconds / two)

    def by_openstack() -> Iterator[Sample]:
        files = sorted(str(p) for p in top.rglob("*") if p.is_file())[:SCALED]
        task = bench.openstack("object", container=name, name="{{ item | basename }}", filename="{{ item }}")
        looped = {**task, "loop": files}
        made = bench.openstack("object_container", name=name)
        ran = bench.play([made, {**looped, "name": "one"}, {**looped, "name": "two"}], openstack_python())
        scale = COUNT / SCALED
        yield Sample("first / openstack.cloud.object (50, scaled)", first.seconds / ran.named("one")[0].seconds / scale)
        yield Sample(
            "no change / openstack.cloud.object (50, scaled)", again.seconds / ran.named("two")[0].seconds / scale
        )

    for what, other in (("rclone", by_rclone), ("swift upload", by_swift), ("openstack.cloud.object", by_openstack)):
        yield from peer(other, what)
        bench.work(["swift_container", {"name": name, "state": "absent", "force": True}])


def row_shards(bench: Bench) -> Iterator[Sample]:
    """2,000 files of 4 KiB, sent and looked at again by one host of a play, by two and by four: all on this machine."""
    top = bench.tree(COUNT, SIZE)
    share = {
        "index": "{{ ansible_play_hosts.index(inventory_hostname) }}",
        "count": "{{ ansible_play_hosts | length }}",
    }
    alone: dict[str, float] = {}
    for hosts in (1, 2, 4):
        name = bench.name("shards")
        sync = {"polystore.storage.swift_sync": {"src": str(top), "container": name, "shard": share}}
        bench.work(["swift_container", {"name": name}])
        ran = bench.play([{**sync, "name": "first"}, {**sync, "name": "again"}], hosts=hosts)
        if sum(row.result["summary"]["created"] for row in ran.named("first")) != COUNT:
            raise Missing("%d hosts did not send it" % hosts)
        for word in ("first", "again"):
            rows = ran.named(word)
            seconds = max(row.at for row in rows) - min(row.at - row.seconds for row in rows)
            what = "sent" if word == "first" else "no change"
            yield Sample("%s, hosts: %d" % (what, hosts), seconds, "s")
            if alone.setdefault(word, seconds) != seconds:
                yield Sample("%s, hosts: %d / one host" % (what, hosts), seconds / alone[word])
        bench.work(["swift_container", {"name": name, "state": "absent", "force": True}])


def row_large(bench: Bench) -> Iterator[Sample]:
    """1 GiB in segments of 100 MiB: peak memory up and down, and what one changed byte sends."""
    path, name, down = bench.large(), bench.name("large"), bench.directory / "down"
    containers = {"batch": [{"name": name}, {"name": name + "_segments"}]}
    away = ["swift_container", {**containers, "state": "absent", "force": True}]
    small = {"container": name, "name": "small", "content": "x"}
    task = {"container": name, "name": "large", "src": str(path), "segment_size": SEGMENT}
    warm, upload = bench.work(["swift_container", containers], ["swift_object", small], ["swift_object", task])[1:]
    yield Sample("swift_object, upload, memory added", upload["peak"] - warm["peak"], "MiB", 64)
    yield Sample("swift_object, upload", upload["seconds"], "s")
    bench.touch_one_byte(path)
    mark = bench.server.mark()
    bench.work(["swift_object", task])
    yield Sample("swift_object, one changed byte, sent", bench.received(mark), "MiB")
    fetch = {"container": name, "name": "large", "dest": str(down)}
    first = {**fetch, "name": "small", "dest": str(down) + ".small"}
    warm, download = bench.work(["swift_download", first], ["swift_download", fetch])
    yield Sample("swift_download, memory added", download["peak"] - warm["peak"], "MiB", 64)
    yield Sample("swift_download", download["seconds"], "s")
    down.unlink()
    bench.work(away)

    def by(tool: str, up: Callable[[], Any], get: Callable[[], Any]) -> Iterator[Sample]:
        yield Sample("%s, upload, peak memory" % tool, up().peak, "MiB")
        bench.touch_one_byte(path)
        mark = bench.server.mark()
        up()
        yield Sample("%s, one changed byte, sent" % tool, bench.received(mark), "MiB")
        yield Sample("%s, download, peak memory" % tool, get().peak, "MiB")
        down.unlink(missing_ok=True)

    def by_swift() -> Iterator[Sample]:
        words = ("upload", "-S", str(SEGMENT), "--skip-identical", "--object-name", "large", name, path)
        return by("swift", lambda: bench.swift(*words), lambda: bench.swift("download", name, "large", "-o", down))

    def by_rclone() -> Iterator[Sample]:
        there = "s:%s/large" % name
        size = ("--checksum", "--swift-chunk-size", "100M")
        return by(
            "rclone",
            lambda: bench.rclone("copyto", *size, path, there),
            lambda: bench.rclone("copyto", *size, there, down),
        )

    for what, other in (("swift", by_swift), ("rclone", by_rclone)):
        yield from peer(other, what)
        bench.work(away)


def row_delete(bench: Bench) -> Iterator[Sample]:
    """A container of 2,000 objects goes."""
    top, name = bench.tree(COUNT, SIZE), bench.name("delete")
    fill = (["swift_container", {"name": name}], ["swift_sync", {"src": str(top), "container": name}])
    bench.work(*fill)
    mark = bench.server.mark()
    ours = bench.work(["swift_container", {"name": name, "state": "absent", "force": True}])[0]["seconds"]
    yield Sample("swift_container, absent with force", ours, "s")
    yield Sample("swift_container, requests", len(bench.server.requests(mark)), "")

    def by_swift() -> Iterator[Sample]:
        bench.work(*fill)
        mark = bench.server.mark()
        yield Sample("ours / swift delete", ours / bench.swift("delete", name).seconds)
        yield Sample("swift delete, requests", len(bench.server.requests(mark)), "")

    def by_rclone() -> Iterator[Sample]:
        rclone()
        bench.work(*fill)
        mark = bench.server.mark()
        yield Sample("ours / rclone purge", ours / bench.rclone("purge", "s:" + name).seconds)
        yield Sample("rclone purge, requests", len(bench.server.requests(mark)), "")

    def by_openstack() -> Iterator[Sample]:
        python = openstack_python()
        bench.work(fill[0], ["swift_sync", {"src": str(bench.tree(SCALED, SIZE)), "container": name}])
        task = bench.openstack("object_container", name=name, state="absent", delete_with_all_objects=True)
        mark = bench.server.mark()
        bench.play([task], python)
        requests = len(bench.server.requests(mark)) * COUNT / SCALED
        yield Sample("openstack.cloud.object_container, requests (50, scaled)", requests, "")

    for what, other in (("swift delete", by_swift), ("rclone", by_rclone), ("openstack.cloud", by_openstack)):
        yield from peer(other, what)


def payload(bench: Bench, task: Task) -> tuple[float, int]:
    """What Ansible ships for a task: KiB of its zip archive, files of our module_utils in it."""
    bench.play([{**task, "vars": {"polystore_fast_path": False}}], ANSIBLE_KEEP_REMOTE_FILES="true")
    shipped = sorted(bench.scratch.rglob("AnsiballZ_*.py"))
    text = shipped[-1].read_text("utf-8")
    block = max(re.findall(r"[A-Za-z0-9+/=\n]{2000,}", text), key=len)
    names = zipfile.ZipFile(io.BytesIO(base64.b64decode(block))).namelist()
    ours = [n for n in names if "/polystore/" in n and "/module_utils/" in n and not n.endswith("__init__.py")]
    return len(block) * 3 / 4 / 1024, len(ours)


def row_payload(bench: Bench) -> Iterator[Sample]:
    """What is shipped for each module, over what is shipped for ping."""
    bare, _none = payload(bench, PING)
    modules = sorted(p.stem for p in (targets.COLLECTION / "plugins" / "modules").glob("*.py"))
    for module in modules:
        size, files = payload(bench, {"polystore.storage." + module: {}, "ignore_errors": True})
        yield Sample("%s, over ping" % module, size - bare, "KiB", 60)
        yield Sample("%s, files of module_utils" % module, files, "", 12)


def row_names(bench: Bench) -> Iterator[Sample]:
    """Memory for each name of a tree of 20,000."""
    top, name = bench.tree(20000, 1), bench.name("names")
    few = bench.tree(10, 1)
    make = ["swift_container", {"name": name}]
    sync = [["swift_sync", {"src": str(src), "container": name}, True] for src in (few, top)]
    _made, warm, full = bench.work(make, *sync)
    yield Sample("swift_sync in check mode, 20,000 names", (full["peak"] - warm["peak"]) * 1024 / 20000, "KiB/name")
    yield Sample("swift_sync in check mode, 20,000 names", full["seconds"], "s")
    bench.work(["swift_container", {"name": name, "state": "absent"}])
    shutil.rmtree(top)


ROWS: dict[str, Callable[[Bench], Iterator[Sample]]] = {
    name[4:]: value
    for rows in (
        globals(),
        vars(rows_alluxio),
        vars(rows_pachyderm),
        vars(rows_fastdfs),
        vars(rows_pegasus),
        vars(rows_estate),
    )
    for name, value in [*rows.items()]
    if name.startswith("row_")
}
ONCE = {"payload", "names", "pachyderm_hash"}  # these do not vary
