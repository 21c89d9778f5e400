# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all Pegasus resources share: connection, names of tables, keys as text or base64, ranges of them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, plain_text
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.lines import Settings
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import FILTERS, Range


class PegasusConnection:
    """The connection options of all modules, and the client they lead to. make: a client of Settings."""

    spec: dict[str, dict[str, Any]] = {
        "meta_servers": {"type": "list", "elements": "str"},
        "timeout": {"type": "int"},
        "retries": {"type": "int"},
    }

    resolve = staticmethod(Settings.resolve)

    def __init__(self, make: Callable[[Settings], Any]) -> None:
        self.make = make

    def connect(self, settings: Settings, parallel: int) -> Any:
        """A client; nothing is sent yet. It has one connection a server, whatever is parallel."""
        return self.make(settings)

    @staticmethod
    def preload(tokens: Any) -> None:
        """There is no library to import."""


def table_name(value: Any) -> str:
    """The name of a table: text that is not empty and has no blanks around it. Raises ValueError."""
    text = plain_text(value)
    if not text or text != text.strip():
        raise ValueError("%r is no name of a table: it is empty, or has blanks around it" % (text,))
    return text


def data_of(value: Any) -> bytes:
    """The bytes of a text, UTF-8. Raises ValueError."""
    try:
        return str(value).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it is not valid UTF-8") from None


def data_of_b64(value: Any) -> bytes:
    """The bytes of a base64 text. Raises ValueError."""
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is no base64") from None


def either(options: Mapping[str, Any], name: str, where: str = "") -> bytes | None:
    """The bytes of the option `name` or `name`_b64, None where neither is given. Raises OptionError for both."""
    given = [n for n in (name, name + "_b64") if options.get(n, KEEP) is not KEEP and options.get(n) is not None]
    if len(given) > 1:
        raise OptionError(where + given[1], "cannot be given together with %s" % name, "Give one of them")
    if not given:
        return None
    try:
        return (data_of_b64 if given[0].endswith("_b64") else data_of)(options[given[0]])
    except ValueError as error:
        raise OptionError(where + given[0], str(error)) from None


# The options of a range, for a module's options or a dictionary of its own.
RANGE: dict[str, dict[str, Any]] = {
    **{name: {"type": "str"} for name in ("start", "start_b64", "stop", "stop_b64", "pattern", "pattern_b64")},
    "start_inclusive": {"type": "bool", "default": True},
    "stop_inclusive": {"type": "bool", "default": False},
    "match": {"type": "str", "choices": [name for name in FILTERS if name != "none"]},
}


def range_of(options: Mapping[str, Any], where: str = "") -> Range:
    """The range of sort keys that options say. Raises OptionError."""
    match, pattern = options.get("match"), either(options, "pattern", where)
    if bool(match) != bool(pattern):
        raise OptionError(where + ("pattern" if match else "match"), "is missing", "match and pattern go together")
    start, stop = (either(options, name, where) for name in ("start", "stop"))
    flags = [options.get(name, KEEP) for name in ("start_inclusive", "stop_inclusive")]
    inclusive = [default if flag in (None, KEEP) else bool(flag) for flag, default in zip(flags, (True, False))]
    return Range(start, stop, inclusive[0], inclusive[1], match or "none", pattern or b"")
