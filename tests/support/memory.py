# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a process has held at most, without what its parent held before the exec (which ru_maxrss counts).

python memory.py FILE COMMAND... runs a command and writes its peak to FILE: its own, or that of a process it has
waited for, if that is larger. The command's exit code is passed on.
"""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path


def peak() -> float:
    """MiB that this process has held at most."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
    if not found:
        raise SystemExit("Memory is measured on Linux only")
    return int(found[1]) / 1024


def main() -> int:
    """This process is small, so what its child counts from before the exec is less than any command needs."""
    place, *command = sys.argv[1:]
    child = os.posix_spawnp(command[0], command, os.environ)
    _pid, status = os.waitpid(child, 0)
    Path(place).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024), "utf-8")
    return max(os.waitstatus_to_exitcode(status), 0) or int(status != 0)


if __name__ == "__main__":
    sys.exit(main())
