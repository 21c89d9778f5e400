# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a process has held at most, without its parent's from before the exec, which ru_maxrss counts too.

python memory.py FILE COMMAND... runs a command, ends with its exit code, and writes JSON to FILE: its seconds, and its
peak in MiB, or that of a process it has waited for, if that is larger. What is counted too much is then this script's
own memory: nothing is below some 10 MiB.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from pathlib import Path


def peak() -> float:
    """MiB that this process has held at most. Linux only."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
    if not found:
        raise SystemExit("Memory is measured on Linux only")
    return int(found[1]) / 1024


def main(place: str, command: list[str]) -> int:
    """Runs it. A command that is killed by a signal ends as in a shell, with 128 and the signal's number."""
    started = time.monotonic()
    _pid, status = os.waitpid(os.posix_spawnp(command[0], command, os.environ), 0)
    seconds, most = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    Path(place).write_text(json.dumps({"seconds": seconds, "peak": most}), "utf-8")
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
