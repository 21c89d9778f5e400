# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection options of every FastDFS module."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.fdfs."""

    DOCUMENTATION = r"""
options:
  trackers:
    description:
      - Addresses of the trackers, each such as V(tracker.example) or V(tracker.example:22122). They are asked in turn
        until one answers.
      - If not set, those of O(client_conf) are used where that is set, then E(FDFS_TRACKERS) (with commas in between),
        then the file that E(FDFS_CLIENT_CONF) names.
    type: list
    elements: str
  client_conf:
    description:
      - Path of a C(client.conf) of FastDFS on the executing host. C(tracker_server), C(connect_timeout) and
        C(network_timeout) are read, also from files that it includes.
      - If not set, the value of E(FDFS_CLIENT_CONF) is used where no trackers are named.
    type: path
  connect_timeout:
    description:
      - Seconds to wait for a connection. If not set, that of the C(client.conf), and without one V(5).
    type: int
  timeout:
    description:
      - Seconds to wait for each piece of an answer, and for a server to take more. If not set, C(network_timeout) of the
        C(client.conf), and without one V(60).
    type: int
  retries:
    description:
      - How often to ask again after an error that may pass, with growing pauses; V(4) if not set.
      - What would do harm when it is done twice is only sent again where it cannot have been done.
    type: int
notes:
  - For FastDFS 4.06 to 6.16. Nothing has to be installed, the collection speaks the protocol itself.
  - FastDFS knows neither users nor encryption. Whoever reaches its ports can do everything.
  - The addresses of storages come from the trackers; the executing host has to reach those too.
"""
