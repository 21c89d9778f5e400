# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives Pegasus's Python 3 client (PyPI pypegasus3 0.0.1.1), which leaves out what it can and sends no hashes.

    python drive_python.py METAS steps|fill|dump TABLE

One JSON line a step: {"step", "ok"} and, where the client tells one, {"code"}; or {"step", "err"}. METAS: host:port,
separated by commas; all of them, as the client wants the one that leads. The table has to be there. Runs with the
client's own interpreter (Python 3.11 or 3.12), which has nothing of this project.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from pypegasus.pgclient import Pegasus
from pypegasus.utils.tools import MultiGetOptions, ScanOptions
from twisted.internet import defer, reactor

MANY, BYTES = 100, 1000000
TIMEOUT = 4000  # milliseconds


def text(value: Any) -> Any:
    """A value as JSON has it; a code of the client's by its number."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {text(key): text(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple, set)):
        return [text(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def with_options(kind: Any, **given: Any) -> Any:
    """Options of the client's, some of them set."""
    made = kind()
    for name, value in given.items():
        setattr(made, name, value)
    return made


async def rows(scanner: Any) -> list[Any]:
    """Every row of a scan."""
    found = []
    while row := await scanner.get_next():
        found.append(row[:2])
    scanner.close()
    return found


def shown(row: Any) -> str:
    """A row as hash key:sort key=value."""
    (hash_key, sort_key), value = row
    return "%s:%s=%s" % (text(hash_key), text(sort_key), text(value))


class Driver:
    """Does steps with the client and prints their lines."""

    def __init__(self, metas: list[str], table: str) -> None:
        self.client = Pegasus(metas, table, TIMEOUT)

    async def step(self, name: str, call: Callable[..., Any], *args: Any, show: Callable[[Any], Any] = text) -> None:
        """One call of the client's, or of this module's."""
        line: dict[str, Any] = {"step": name}
        try:
            answer = await call(*args)
            if isinstance(answer, tuple):
                line["code"] = int(getattr(answer[0], "value", answer[0]))
                answer = answer[1]
            line["ok"] = show(answer)
        except Exception as exc:
            line["err"] = "%s: %s" % (type(exc).__name__, exc)
        print(json.dumps(line), flush=True)

    async def scanned(self, *args: Any) -> list[str]:
        """The rows of one hash key's scan."""
        return [shown(row) for row in await rows(self.client.get_scanner(*args))]

    async def everything(self) -> list[Any]:
        """The rows of the whole table."""
        found = []
        for scanner in self.client.get_unordered_scanners(2, with_options(ScanOptions, batch_size=10)):
            found += await rows(scanner)
        return found

    async def all_shown(self) -> list[str]:
        """The same in order, as they are told."""
        return sorted(shown(row) for row in await self.everything())

    # --- what can be asked for -----------------------------------------------------------------------------------

    async def steps(self) -> None:
        """Every call of the client's."""
        client, step = self.client, self.step
        await step("set", client.set, "py", "a", "1")
        await step("get", client.get, "py", "a")
        await step("get missing", client.get, "py", "none")
        await step("set with ttl", client.set, "py", "t", "1", 100)
        await step("ttl", client.ttl, "py", "t", show=lambda seconds: seconds in (99, 100))
        await step("ttl without expiry", client.ttl, "py", "a")
        await step("ttl missing", client.ttl, "py", "none")
        await step("exist", client.exist, "py", "a")
        await step("exist missing", client.exist, "py", "none")
        await step("empty hash key, set", client.set, "", "sort", "v")
        await step("empty hash key, get", client.get, "", "sort")
        await step("remove", client.remove, "py", "t")
        await step("remove again", client.remove, "py", "t")
        await self.of_one_hash_key()
        await step("full scan", self.all_shown)
        await step("clean up", client.remove, "", "sort")
        await step("clean up", client.remove, "py", "a")
        await step("clean up", client.multi_del, "pym", {"a", "ab", "b"})

    async def of_one_hash_key(self) -> None:
        """What is done with many sort keys at once."""
        client, step = self.client, self.step
        backwards = with_options(MultiGetOptions, stop_inclusive=True, reverse=True)
        await step("multi_set", client.multi_set, "pym", {"a": "1", "ab": "2", "b": "3", "c": "4"})
        await step("multi_get all", client.multi_get, "pym", set(), MANY, BYTES)
        await step("multi_get some", client.multi_get, "pym", {"a", "none"}, MANY, BYTES)
        await step("multi_get max count", client.multi_get, "pym", set(), 2, BYTES)
        await step("multi_get range, reverse", client.multi_get_opt, "pym", "a", "c", backwards, 2, BYTES)
        await step("sort keys", client.get_sort_keys, "pym", MANY, BYTES)
        await step("sort_key_count", client.sort_key_count, "pym")
        await step("multi_del", client.multi_del, "pym", {"c", "none"})
        await step("sort_key_count after", client.sort_key_count, "pym")
        twos = with_options(ScanOptions, batch_size=2)
        await step("hash scan", self.scanned, b"pym", b"", b"", twos)
        both = with_options(ScanOptions, stop_inclusive=True)
        await step("hash scan range", self.scanned, b"pym", b"ab", b"b", both)

    async def fill(self) -> None:
        """Writes rows that somebody else is to read."""
        await self.step("set", self.client.set, "py", "text", "häuser")
        await self.step("set empty", self.client.set, "py", "", "")
        await self.step("set, no hash key", self.client.set, "", "alone", "1")
        await self.step("set with ttl", self.client.set, "py", "short", "lived", 5000)
        await self.step("multi_set", self.client.multi_set, "py many", {"a": "1", "b": "2", "c": "3"})

    async def dump(self) -> None:
        """Prints every row, keys and values in hexadecimal."""
        for (hash_key, sort_key), value in await self.everything():
            parts = {"hash_key": hash_key, "sort_key": sort_key, "value": value}
            line = {name: (part if isinstance(part, bytes) else part.encode()).hex() for name, part in parts.items()}
            print(json.dumps(line), flush=True)


async def main() -> None:
    """Connects, and does what the command line says."""
    driver = Driver(sys.argv[1].split(","), sys.argv[3])
    if sys.argv[2] == "dump":
        await driver.client.init()
    else:
        await driver.step("init", driver.client.init)
    wanted: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "steps": driver.steps,
        "fill": driver.fill,
        "dump": driver.dump,
    }
    await wanted[sys.argv[2]]()
    if sys.argv[2] == "steps":
        print('{"step": "done"}', flush=True)
    os._exit(0)  # closing raises once the client's timer has run


def failed(reason: Any) -> None:
    """Ends the program."""
    print(reason.getTraceback(), file=sys.stderr, flush=True)
    os._exit(1)


logging.disable(logging.CRITICAL)
reactor.callWhenRunning(lambda: defer.ensureDeferred(main()).addErrback(failed))
reactor.run()
