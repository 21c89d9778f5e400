# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How replica servers throttle: requests and bytes a second of one partition, as the table's environment says."""

from __future__ import annotations

import time
from dataclasses import dataclass

from polystore_sandbox.pegasus.envs import reject_size, units
from polystore_sandbox.pegasus.keys import integer


class Throttled(Exception):
    """Not now. reject: ERR_BUSY after the seconds; else it is carried out after them."""

    def __init__(self, seconds: float, reject: bool) -> None:
        super().__init__(seconds, reject)
        self.seconds, self.reject = seconds, reject


@dataclass
class _Window:
    """What was used in one second."""

    second: int = 0
    used: int = 0


class Limits:
    """The limits of one partition. Its owner locks it."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}
        self._tokens: tuple[float, float] = (0.0, 0.0)  # bytes, and when

    def check(self, envs: dict[str, str], name: str, partitions: int, amount: int, timeout: int) -> None:
        """Counts the amount; raises Throttled. timeout: the client's, in milliseconds."""
        text = envs.get(name)
        if not text:
            return
        window = self._windows.setdefault(name, _Window())
        if window.second != int(time.time()):
            window.second, window.used = int(time.time()), 0
        window.used += amount
        orders = {}
        for part in text.split(","):
            words = [word.strip() for word in part.split("*")]
            if len(words) == 3:
                orders[words[1]] = ((units(words[0]) or 0) // partitions + 1, integer(words[2]) or 0)
        for kind in ("reject", "delay"):
            most, delay = orders.get(kind, (0, 0))
            if most and window.used > most:
                if kind == "reject":
                    window.used -= amount
                if timeout > 0:
                    delay = min(delay, timeout // 2)
                raise Throttled(delay / 1000, kind == "reject")

    def readable(self, envs: dict[str, str], partitions: int) -> bool:
        """False when more bytes were read than read_throttling_by_size allows."""
        rate = (reject_size(envs.get("replica.read_throttling_by_size", "")) or 0) // partitions
        if not rate:
            return True
        tokens, when = self._tokens
        now = time.monotonic()
        tokens = min(float(rate), tokens + (now - when) * rate) if when else float(rate)
        self._tokens = (tokens, now)
        return tokens > 0

    def read(self, size: int) -> None:
        """So many bytes were read."""
        self._tokens = (self._tokens[0] - size, self._tokens[1])
