# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A paste filter that is memcached for a Swift in one process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any


def _plain(value: Any) -> Any:
    """What the value looks like after its way through memcached: JSON, with bytes as str."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return json.loads(json.dumps(value, default=lambda item: item.decode() if isinstance(item, bytes) else str(item)))


class MemoryCache:
    """The part of swift.common.memcached.MemcacheRing that the proxy uses."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, Any]] = {}

    def get(self, key: str, raise_on_error: bool = False) -> Any:
        """The value, or None when there is none or it is past its time."""
        until, value = self._values.get(key, (0.0, None))
        if until and until < time.time():
            self._values.pop(key, None)
            return None
        return _plain(value)

    def set(self, key: str, value: Any, serialize: bool = True, time: float = 0, **_options: Any) -> None:
        """Keeps the value for `time` seconds, 0 being for ever."""
        self._values[key] = (_until(time), _plain(value))

    def incr(self, key: str, delta: int = 1, time: float = 0) -> int:
        """Adds to a counter, which does not go below 0."""
        value = max(0, int(self.get(key) or 0) + delta)
        self._values[key] = (_until(time), value)
        return value

    def decr(self, key: str, delta: int = 1, time: float = 0) -> int:
        """Takes away from a counter."""
        return self.incr(key, -delta, time)

    def delete(self, key: str, server_key: str | None = None) -> None:
        """Forgets the value."""
        self._values.pop(key, None)

    def set_multi(
        self, mapping: dict[str, Any], server_key: str, serialize: bool = True, time: float = 0, **_o: Any
    ) -> None:
        """Keeps several values."""
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys: list[str], server_key: str) -> list[Any]:
        """Several values, in the order of the keys."""
        return [self.get(key) for key in keys]


def _until(seconds: float) -> float:
    # memcached's rule: more than 30 days is a moment, not a duration
    if not seconds:
        return 0.0
    return seconds if seconds > 30 * 86400 else time.time() + seconds


def filter_factory(_global_conf: dict[str, str], **_local: str) -> Callable[[Any], Any]:
    """Puts one cache into the environment of every request."""
    cache = MemoryCache()

    def make(application: Any) -> Any:
        def call(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = cache
            return application(environ, start_response)

        return call

    return make
