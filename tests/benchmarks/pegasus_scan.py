# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills a table of Pegasus or scans it: python pegasus_scan.py METAS TABLE fill|scan COUNT.

Rows have 20 bytes of key and 100 of value, 1,000 under each hash key. A scan ends with 1 when there are others.
"""

from __future__ import annotations

import sys

from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import PegasusClient
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.lines import Settings


def main(metas: str, table: str, what: str, count: int) -> int:
    """The exit code."""
    client = PegasusClient(Settings.resolve({"meta_servers": [metas], "timeout": 120}, {}))
    if what == "fill":
        for number in range(count // 1000):
            client.multi_put(table, b"hash%06d" % number, {b"sort%06d" % row: b"v" * 100 for row in range(1000)})
        return 0
    return int(sum(1 for _row in client.scan_all(table)) != count)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], int(sys.argv[4])))
