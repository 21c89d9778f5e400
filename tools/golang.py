# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs in Go that judge the stand-ins: built once, outside the checkout.

    python tools/golang.py NAME      builds it when it is missing and prints its path

A program is named by a hash of its sources, so a change makes a new one. Modules come by Go's own proxy, exactly those
whose hashes stand in go.sum.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

from paths import CACHE, ROOT
from venvs import locked

PROGRAMS = {"pegasus-go": ROOT / "tests" / "conformance" / "pegasus" / "go"}
GO = "go"


def program(name: str) -> pathlib.Path:
    """The program `name`, built first when it is not there. Two runs may ask at once. Raises SystemExit."""
    folder = PROGRAMS[name]
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(b"%s\0%s\0" % (path.name.encode(), path.read_bytes()))
    place = CACHE / "go" / "programs" / ("%s-%s" % (name, digest.hexdigest()[:12]))
    if not place.exists():
        with locked(place.with_name(place.name + ".lock")):
            if not place.exists():
                _build(folder, place)
    return place


def _build(folder: pathlib.Path, place: pathlib.Path) -> None:
    go = shutil.which(GO)
    if not go:
        sys.exit("There is no Go to build %s with: install it (1.18 or newer; golang-go in Debian)" % place.name)
    started = time.monotonic()
    print("Building %s (once) ..." % place.name, file=sys.stderr, flush=True)
    caches = {"GOPATH": "path", "GOMODCACHE": "mod", "GOCACHE": "build"}
    env = dict(os.environ) | {name: str(CACHE / "go" / rest) for name, rest in caches.items()}
    env["GOFLAGS"] = "-mod=readonly"
    beside = place.with_name(place.name + ".new")
    command = [go, "build", "-buildvcs=false", "-o", str(beside), "."]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit("Could not build %s:\n  %s" % (place.name, "\n  ".join(done.stderr.strip().splitlines()[-12:])))
    beside.replace(place)
    print("Built %s in %.0f s" % (place.name, time.monotonic() - started), file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(PROGRAMS))
    print(program(parser.parse_args().name))


if __name__ == "__main__":
    main()
