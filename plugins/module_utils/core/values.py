# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that people write in several ways: durations, sizes, modes, globs; how values are shown; and counters."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable
from re import Pattern
from typing import Any


class _Keep:
    """The value of an option that was left out: what the server has is left alone."""

    def __repr__(self) -> str:
        return "KEEP"

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> _Keep:
        return self

    def __deepcopy__(self, memo: Any) -> _Keep:
        return self


KEEP: Any = _Keep()
NEVER = -1
"""The duration "never"."""

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def duration(value: Any) -> int:
    """Seconds of an int, "90s", "15m", "2h", "7d", "1w" or "never" (NEVER). Raises ValueError."""
    text = str(value).strip().lower()
    if text == "never":
        return NEVER
    match = re.match(r"^(\d+)\s*([smhdw]?)$", text)
    if isinstance(value, bool) or not match:
        raise ValueError('%r is no duration: write seconds, or "90s", "15m", "2h", "7d", "never"' % (value,))
    return int(match.group(1)) * _UNITS[match.group(2)]


def size(value: Any) -> int:
    """Bytes of an int, "64k", "100M" or "5G" (powers of 1024). Raises ValueError."""
    match = re.match(r"^(\d+)\s*([kmgtp]?)(?:i?b)?$", str(value).strip().lower())
    if isinstance(value, bool) or not match:
        raise ValueError('%r is no size: write bytes, or "64k", "100M", "5G"' % (value,))
    return int(match.group(1)) << 10 * _POWERS[match.group(2)]


def mode(value: Any) -> str:
    """The normal form "0755" of an octal mode string. Raises ValueError (an int is ambiguous in YAML)."""
    if not isinstance(value, str) or not re.match(r"^(0o)?[0-7]{3,5}$", value):
        raise ValueError('%r is no mode: write an octal string such as "0755"' % (value,))
    return "%04o" % int(value.replace("0o", ""), 8)


def share(value: Any) -> tuple[int, bool]:
    """(10, True) for "10%", (10, False) for 10. Raises ValueError."""
    match = re.match(r"^(\d+)\s*(%?)$", str(value).strip())
    if isinstance(value, bool) or not match or (match.group(2) and int(match.group(1)) > 100):
        raise ValueError('%r is neither a number nor a share such as "10%%"' % (value,))
    return int(match.group(1)), bool(match.group(2))


def plain_text(value: Any) -> str:
    """A name: text without control characters and without lone surrogates. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("%r is no text" % (value,))
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("%r holds a control character" % (value,))
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("%r is not valid UTF-8" % (value,)) from None
    return value


def human(number: float) -> str:
    """1536 -> "1.5 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return ("%d %s" if unit == "B" else "%.1f %s") % (number, unit)
        number /= 1024.0
    return "%.1f TiB" % number


def plural(noun: str) -> str:
    """directory -> directories, file -> files."""
    return noun[:-1] + "ies" if noun.endswith("y") else noun + "s"


def fingerprint(value: Any) -> str:
    """A short digest that tells two values apart and does not show them: 24 bits of a SHA-256."""
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    return "(hidden, %s)" % hashlib.sha256(b"polystore:" + data).hexdigest()[:6]


def new_md5() -> Any:
    """An MD5 object, in FIPS mode too: it compares content, it secures nothing."""
    return hashlib.md5(usedforsecurity=False)


def glob_regex(pattern: str) -> str:
    """The regular expression of a glob: * and ? stay within a name, ** crosses "/", [..] is a class.

    A pattern without "/" matches a last component anywhere, as in .gitignore; "dir/" and "dir/**" match all below.
    """
    if pattern.endswith("/"):
        pattern += "**"
    prefix = "" if "/" in pattern else "(?:.*/)?"
    pattern, out, at = pattern.lstrip("/"), "", 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
            continue
        if pattern.startswith("**", at):
            out, at = out + ".*", at + 2
            continue
        close = pattern.find("]", at + 2) if char == "[" else -1
        if close > 0:
            body = pattern[at + 1 : close].replace("\\", "\\\\")
            out, at = out + "[%s]" % ("^" + body[1:] if body[0] in "!^" else body), close + 1
            continue
        out, at = out + {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)), at + 1
    return prefix + out


def _union(patterns: Iterable[str]) -> Pattern[str] | None:
    parts: list[str] = [glob_regex(p) for p in patterns]
    return re.compile("(?:%s)\\Z" % "|".join(parts), re.S) if parts else None


class Selection:
    """Which relative names of a tree are meant: any include (or no include at all), and no exclude."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._include, self._exclude = _union(include), _union(exclude)

    def __contains__(self, name: str) -> bool:
        return (not self._include or bool(self._include.match(name))) and not self.excludes(name)

    def excludes(self, name: str) -> bool:
        """True when an exclude pattern matches."""
        return bool(self._exclude and self._exclude.match(name))


class Counters:
    """What a client has sent and received; every client has one as `counters`."""

    NAMES = ("requests", "writes", "bytes_sent", "bytes_received")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values = dict.fromkeys(self.NAMES, 0)

    def add(self, **amounts: int) -> None:
        """add(requests=1, bytes_sent=10)."""
        with self._lock:
            for name, amount in amounts.items():
                self._values[name] += amount

    def snapshot(self) -> dict[str, int]:
        """The totals so far, by the names that a result's summary uses."""
        with self._lock:
            return dict(self._values)

    def moved(self) -> int:
        """Bytes in both directions."""
        return self._values["bytes_sent"] + self._values["bytes_received"]
