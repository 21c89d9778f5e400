# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a stand-in can be changed: at its start by options, which are texts, and most of it while it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, TypeVar

T = TypeVar("T", bound="Changeable")


@dataclass
class Changeable:
    """Settings: a dataclass of texts, numbers that are not negative, booleans and lists of texts."""

    FIXED: ClassVar[tuple[str, ...]] = ()  # what cannot be changed while it runs

    def changed(self: T, changes: dict[str, Any], running: bool) -> T:
        """A checked copy with these; ValueError names what is wrong."""
        known = {item.name for item in fields(self)}
        values = asdict(self)
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown setting {name}; there are {', '.join(sorted(known))}")
            value = _typed(name, values[name], value)
            if running and name in self.FIXED and value != values[name]:
                raise ValueError(f"{name} cannot be changed while it runs")
            values[name] = value
        made = type(self)(**values)
        made.check()
        return made

    def check(self) -> None:
        """ValueError when the values do not go together."""


def _typed(name: str, now: Any, value: Any) -> Any:
    if isinstance(now, list):
        words = value.split(",") if isinstance(value, str) else value
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{name} must be a list, not {value!r}")
        return [word.strip() for word in words if word.strip()]
    if isinstance(now, bool):
        if str(value).lower() not in ("true", "false"):
            raise ValueError(f"{name} must be true or false, not {value!r}")
        return str(value).lower() == "true"
    if isinstance(now, str):
        return str(value)
    try:
        made = type(now)(value)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{name} must be a number, not {value!r}") from exc
    if made < 0:
        raise ValueError(f"{name} must not be negative")
    return made
