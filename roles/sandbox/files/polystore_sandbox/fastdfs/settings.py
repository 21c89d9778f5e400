# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the stand-in can be changed: at its start by options, which are texts, and most of it while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from polystore_sandbox.fastdfs.versions import DEFAULT, Dialect
from polystore_sandbox.home import SandboxError
from polystore_sandbox.settings import Changeable


@dataclass
class Settings(Changeable):
    """All settings. Names of storages are their addresses, of trackers "tracker1" and so on."""

    FIXED = ("groups", "storages", "trackers", "addresses", "storage_port", "tracker_port")

    version: str = DEFAULT
    address_size: int = 0  # 16 or 46; 0: what the version comes with
    groups: int = 2
    storages: int = 2  # of each group
    trackers: int = 1
    addresses: list[str] = field(default_factory=list)  # of the storages, group by group; [] is 127.0.0.3 and so on
    storage_port: int = 0  # of every storage; 0: one that is free
    tracker_port: int = 0  # of the second tracker; the third has the next, and so on
    storage_ids: bool = False  # file ids name storages by numbers, not by addresses
    trunk: bool = False  # small files go to trunk files
    trunk_ready: bool = True  # before a trunk server is chosen, uploads are refused
    store_lookup: int = 2  # of groups: 0 in turn, 2 the one with the most space
    store_server: int = 0  # of a group's storages: 0 in turn, 1 the first
    store_paths: int = 1
    subdirs: int = 256
    buff_size: int = 262144  # bytes of a request that a storage reads before it looks at it
    network_timeout: float = 60.0  # seconds after which an idle connection is closed
    replication_seconds: float = 0.0  # after which the other storages of a group have a change
    offer_seconds: float = 300.0  # after which a file is read from any storage that has it, though its group is idle
    read_only: list[str] = field(default_factory=list)  # groups
    full: list[str] = field(default_factory=list)  # groups and storages
    dead: list[str] = field(default_factory=list)  # storages and trackers: ports closed, and the trackers know
    lost: list[str] = field(default_factory=list)  # storages: ports closed, and the trackers do not know yet

    @property
    def dialect(self) -> Dialect:
        """The version."""
        return Dialect.of(self.version)

    @property
    def width(self) -> int:
        """Bytes of an address."""
        return self.dialect.width(self.address_size)

    def check(self) -> None:
        try:
            dialect = self.dialect
        except SandboxError as exc:
            raise ValueError(str(exc)) from exc
        self.version = dialect.text
        dialect.width(self.address_size)
        if self.read_only and not dialect.has("rw_mode"):
            raise ValueError(f"{self.version} knows no read_only groups; they are there from 6.13 on")
        if not (1 <= self.groups <= 8 and 1 <= self.storages <= 8 and 1 <= self.trackers <= 4):
            raise ValueError("there can be 1 to 8 groups of 1 to 8 storages, and 1 to 4 trackers")
        if not (self.buff_size >= 1024 and self.network_timeout > 0):
            raise ValueError("buff_size must be at least 1024, and network_timeout more than 0")
        if not (1 <= self.store_paths <= 4 and 1 <= self.subdirs <= 256):
            raise ValueError("there can be 1 to 4 store_paths with 1 to 256 subdirs")
