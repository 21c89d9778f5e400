# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the stand-in can be changed: at its start by options, which are texts, and most of it while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from polystore_sandbox.settings import Changeable

VERSIONS = ("2.5.0", "master")


@dataclass
class Settings(Changeable):
    """All settings. Metas are called "meta1" and so on, replica servers "replica1" and so on."""

    FIXED = ("metas", "nodes", "meta_port", "replica_port")

    version: str = "2.5.0"  # or master: what is to follow 2.5, with host names beside addresses
    metas: int = 2
    nodes: int = 3  # replica servers
    meta_port: int = 0  # of the second meta; the third has the next, and so on
    replica_port: int = 0  # of the first replica server; the second has the next, and so on
    leader: str = ""  # the meta that leads; "": the first that runs
    dead: list[str] = field(default_factory=list)  # metas and replica servers: their ports are closed
    primaries_seconds: float = 0.05  # after which a new or recalled table has its primaries (real: 3 to 10)
    secondaries_seconds: float = 0.1  # after which it, or a server that came back, has all replicas (real: 17 to 30)
    failover_seconds: float = 0.2  # after which the metas know that a server is dead (real: 10)
    env_seconds: float = 0.0  # after which replica servers know a table's new environment (real: up to 30)
    linger_seconds: float = 3.0  # for which a dropped table still serves who has an old configuration
    split_seconds: float = 0.05  # after which a table that is being split has its new partitions
    splitting_seconds: float = 0.0  # at the end of which each parent refuses everything
    scan_seconds: float = 300.0  # after which an idle scan is forgotten
    scan_rows: int = 1000  # that a scan looks at in one call
    multi_get_rows: int = 3000  # that a multi_get looks at
    multi_get_bytes: int = 30 << 20
    slow_rows: int = 0  # after which reading a range is out of time; 0: never
    write_bytes: int = 1 << 20  # of a write's body

    @property
    def later(self) -> bool:
        """What follows 2.5."""
        return self.version == "master"

    def check(self) -> None:
        if self.version not in VERSIONS:
            raise ValueError(f"{self.version} is no version of Pegasus that the stand-in knows: {', '.join(VERSIONS)}")
        if not (1 <= self.metas <= 4 and 1 <= self.nodes <= 8):
            raise ValueError("there can be 1 to 4 metas and 1 to 8 nodes")
        metas = [f"meta{number + 1}" for number in range(self.metas)]
        names = [*metas, *(f"replica{number + 1}" for number in range(self.nodes))]
        if unknown := sorted({*self.dead, *([self.leader] if self.leader else [])} - set(names)):
            raise ValueError(f"there is no {', '.join(unknown)}; there are {', '.join(names)}")
        if self.leader and self.leader not in metas:
            raise ValueError(f"leader must be one of {', '.join(metas)}")
        if min(self.scan_rows, self.multi_get_rows, self.multi_get_bytes, self.write_bytes) < 1:
            raise ValueError("scan_rows, multi_get_rows, multi_get_bytes and write_bytes must be at least 1")
