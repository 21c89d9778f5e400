# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systems whose tests run on somebody's server when its address is in the environment (`make test-real`)."""

from __future__ import annotations

import os
from typing import NamedTuple


class System(NamedTuple):
    """address: the variable that names the server; others: what may go with it; fixture: that stands for the server."""

    address: str
    fixture: str
    others: tuple[str, ...] = ()


SYSTEMS = {
    "pegasus": System("PEGASUS_META_SERVERS", "pegasus_server"),
    "pachyderm": System("PACHD_ADDRESS", "pachd_server", ("PACHD_AUTH_TOKEN", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")),
    "fastdfs": System("FDFS_TRACKERS", "fdfs_server"),
}


def given() -> dict[str, System]:
    """The systems whose address is set."""
    return {name: system for name, system in SYSTEMS.items() if os.environ.get(system.address)}
