# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs among FastDFS's versions, as data: since when there is what."""

from __future__ import annotations

from dataclasses import dataclass

from polystore_sandbox.home import SandboxError

DEFAULT = "6.16.1"
OLDEST = (5, 3)
# The last that was seen of those that are named by two numbers; 5.03 to 6.06 are whole names.
SHORT = {"6.10": "6.10.0", "6.11": "6.11.0", "6.12": "6.12.2", "6.13": "6.13.2", "6.15": "6.15.5", "6.16": "6.16.1"}

# The first version with it.
SINCE = {
    "connection_counters": (5, 4),
    "zlib_crc": (5, 12),
    "truncate_grows": (5, 12),
    "address_over_request": (6, 1),
    "regenerate": (6, 2),
    "appender_crc": (6, 2),
    "address_padded_again": (6, 6),
    "tracker_forgives": (6, 10),
    "deaf": (6, 10),
    "wide": (6, 11),
    "long_version": (6, 12),
    "rw_mode": (6, 13),
    "no_http": (6, 13),
    "no_trunk_is_minus_one": (6, 13),
    "reserved": (6, 13, 1),
    "width_by_choice": (6, 15),
    "slave_crc": (6, 15, 1),
    "hears_again": (6, 15, 3),
    "ranges_clamped": (6, 15, 4),
    "leader": (6, 15, 5),
    "ports_of_all": (6, 16),
}


@dataclass(frozen=True)
class Dialect:
    """One version of FastDFS."""

    text: str
    version: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> Dialect:
        """Raises SandboxError for what is no version from 5.03 on."""
        text = SHORT.get(text, text)
        parts = text.split(".")
        numbers = tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()
        if not 2 <= len(numbers) <= 3 or numbers < OLDEST or numbers[0] > 6:
            raise SandboxError(f"{text!r} is no version of FastDFS that the stand-in knows: 5.03 to {DEFAULT}")
        return cls(text, numbers)

    def has(self, feature: str) -> bool:
        """Whether this version has what SINCE names."""
        return self.version >= SINCE[feature]

    @property
    def deaf(self) -> bool:
        """A storage does not close the connection of an EINVAL, but never hears it again."""
        return self.has("deaf") and not self.has("hears_again")

    @property
    def unpadded(self) -> bool:
        """After the first address in the answer to a query for a file, what the request had there is left over."""
        return self.has("address_over_request") and not self.has("address_padded_again")

    @property
    def shown(self) -> str:
        """The version as a storage's record has it: its field is short up to 6.11."""
        return self.text if self.has("long_version") else self.text[:5]

    def width(self, chosen: int) -> int:
        """Bytes of an address, 16 or 46. chosen: 0 is what the version comes with; ValueError: there is no choice."""
        usual = 46 if self.has("wide") and not self.has("width_by_choice") else 16
        if chosen not in (0, 16, 46):
            raise ValueError(f"address_size must be 16 or 46 (0: what the version comes with), not {chosen}")
        if chosen not in (0, usual) and not self.has("width_by_choice"):
            raise ValueError(f"{self.text} has addresses of {usual} bytes; there is a choice from 6.15 on")
        return chosen or usual
