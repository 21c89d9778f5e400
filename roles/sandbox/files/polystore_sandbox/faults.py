# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every server of the sandbox shares: faults to order, and the log of the requests its clients made.

Both know nothing of HTTP: a server of any protocol calls `FaultPlan.match(operation, target)` once a request
and `RequestLog.write(...)` once an answer.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from dataclasses import dataclass, field, fields
from typing import Any

ACTIONS = ("status", "redirect", "delay", "hang", "close", "close_after", "cut", "cut_upload")


class FaultError(ValueError):
    """A fault that cannot be ordered: names the field and what would be right."""


@dataclass
class Fault:
    """One order: which requests it is for, and what happens to them.

    status      answer with `status`, `headers` and `body`; nothing is applied
    redirect    answer with `status` (302) and a Location; `{path}` in it is the request's path and query
    delay       wait `seconds`, then go on as if nothing had been
    hang        never answer (until the faults are cleared); nothing is applied
    close       close the connection without an answer; nothing is applied
    close_after close the connection without an answer after the request was applied
    cut         close the connection after `bytes` bytes of the answer's body
    cut_upload  close the connection after `bytes` bytes of the request's body were read; nothing is applied
    """

    action: str
    method: str = ""  # regular expression, whole match; "" is any
    path: str = ""  # regular expression, searched in path?query; "" is any
    skip: int = 0  # matching requests that pass before the first is hit
    count: int | None = 1  # requests that are hit; None is every one
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    bytes: int = 0
    seconds: float = 0.0
    location: str = ""
    seen: int = 0
    hit: int = 0

    @classmethod
    def from_dict(cls, order: dict[str, Any], actions: tuple[str, ...] = ACTIONS) -> Fault:
        """Builds a checked fault; raises FaultError."""
        known = {item.name for item in fields(cls)} - {"seen", "hit"}
        unknown = sorted(set(order) - known)
        if unknown:
            raise FaultError(f"unknown field {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        if order.get("action") not in actions:
            raise FaultError(f"action must be one of {', '.join(actions)}, not {order.get('action')!r}")
        if order["action"] == "redirect":
            if not order.get("location"):
                raise FaultError("redirect needs a location")
            order = {"status": 302, **order}
        try:
            re.compile(order.get("method", ""))
            re.compile(order.get("path", ""))
        except re.error as exc:
            raise FaultError(f"method and path are regular expressions: {exc}") from exc
        return cls(**order)

    def wants(self, method: str, path: str) -> bool:
        """True when this request is one of those the fault is for."""
        return (not self.method or re.fullmatch(self.method, method) is not None) and (
            not self.path or re.search(self.path, path) is not None
        )


class FaultPlan:
    """The faults in force, in the order they were given. Safe among threads."""

    def __init__(self, actions: tuple[str, ...] = ACTIONS) -> None:
        self.actions = actions
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._generation = 0

    def add(self, order: dict[str, Any]) -> None:
        """Puts a fault in force; raises FaultError."""
        fault = Fault.from_dict(order, self.actions)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Takes all faults back and ends every request that hangs."""
        with self._lock:
            self._faults.clear()
            self._generation += 1

    def match(self, method: str, path: str) -> Fault | None:
        """The fault that hits this request, counted as hit; every fault that wants it counts it as seen."""
        chosen: Fault | None = None
        with self._lock:
            for fault in self._faults:
                if not fault.wants(method, path):
                    continue
                fault.seen += 1
                spent = fault.count is not None and fault.hit >= fault.count
                if chosen is None and fault.seen > fault.skip and not spent:
                    fault.hit += 1
                    chosen = fault
        return chosen

    def state(self) -> list[dict[str, Any]]:
        """Each fault with how many requests it has seen and hit."""
        with self._lock:
            return [{"action": f.action, "path": f.path, "seen": f.seen, "hit": f.hit} for f in self._faults]

    def hang(self) -> None:
        """Returns only after the faults were cleared."""
        generation = self._generation
        while generation == self._generation:
            time.sleep(0.05)


class RequestLog:
    """One JSON line a request, written before the last byte of the answer leaves, so that a client can read it."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **entry: Any) -> None:
        """Appends the entry in one write."""
        os.write(self._file, (json.dumps({"time": round(time.time(), 4), **entry}) + "\n").encode())
