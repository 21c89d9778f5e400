# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the integration targets of the systems whose address is in the environment, on the servers there.

    PACHD_ADDRESS=grpc://HOST:PORT FDFS_TRACKERS=HOST:PORT,... python tools/test_real.py [--core 2.19] [-- for pytest]

Their names begin with psi- and t-; what they make they remove. tests/support/real.py lists the variables.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys

from cores import fitting
from paths import ROOT
from run_tests import run, split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", help="ansible-core's major.minor")
    own, options = split(sys.argv[1:])
    wanted = parser.parse_args(own)
    real = runpy.run_path(str(ROOT / "tests" / "support" / "real.py"))
    systems = real["given"]()
    if not systems:
        lines = ["  %s=... make test-real   # %s" % (each.address, name) for name, each in real["SYSTEMS"].items()]
        sys.exit("\n".join(["There is no address of a server. Give at least one:", *lines]))
    for name, system in systems.items():
        print("%s at %s" % (name, os.environ[system.address]), flush=True)
    names = [name for system in systems.values() for name in (system.address, *system.others)]
    env = {name: os.environ[name] for name in names if os.environ.get(name)}
    # One after the other: all of them share the server, and some change what is the whole cluster's.
    options = ["-n", "0", "-m", "real and not second", *options]
    sys.exit(run(["integration"], wanted.core, fitting(wanted.core), options, "real", more=env))


if __name__ == "__main__":
    main()
