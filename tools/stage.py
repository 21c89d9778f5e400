# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the working tree to where Ansible accepts it: <cache>/trees/<key>-N/ansible_collections/polystore/storage.

    python tools/stage.py            stages once and prints the collection's directory
    python tools/stage.py --clean    removes this checkout's trees

ansible-test wants a real directory of that name (a link does not do), and one that no git repository ignores: so it
lies outside the checkout. What is copied is what git tracks, and what is new and not ignored; without git, everything
but hidden and built things. Two runs at once get two trees.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

from paths import CACHE, ROOT

TREES = CACHE / "trees" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
INSIDE = pathlib.Path("ansible_collections") / "polystore" / "storage"
BUILT = {"__pycache__", "output", "build"}
HIDDEN_AND_WANTED = {".ci", ".gitignore", ".yamllint", ".ansible-lint", ".config"}


def listed() -> list[pathlib.Path]:
    """The relative paths of the files that make up the collection."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
        names = {pathlib.Path(os.fsdecode(name)) for name in answer.split(b"\0") if name}
        return sorted(name for name in names if (ROOT / name).is_file())
    found = []
    for top, directories, files in os.walk(ROOT):
        here = pathlib.Path(top).relative_to(ROOT)
        directories[:] = [
            name for name in directories if name not in BUILT and (name[0] != "." or name in HIDDEN_AND_WANTED)
        ]
        found += [here / name for name in files if name[0] != "." or name in HIDDEN_AND_WANTED]
    return sorted(found)


def stage(target: pathlib.Path) -> pathlib.Path:
    """Makes `target` hold exactly the collection's files; returns it. Unchanged files are left alone."""
    wanted = listed()
    for name in wanted:
        source, copy = ROOT / name, target / name
        stat = source.stat()
        if copy.is_file():
            old = copy.stat()
            if (old.st_size, old.st_mtime_ns, old.st_mode) == (stat.st_size, stat.st_mtime_ns, stat.st_mode):
                continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
    keep = {target / name for name in wanted}
    for top, _directories, files in os.walk(target, topdown=False):
        here = pathlib.Path(top)
        if here.name == "__pycache__":
            continue
        for file in files:
            if here / file not in keep:
                (here / file).unlink()
        left = [entry for entry in here.iterdir() if entry.name != "__pycache__"]
        if not left and here != target:
            shutil.rmtree(here)
    return target


@contextlib.contextmanager
def tree() -> Iterator[pathlib.Path]:
    """The staged collection's directory, ours alone until the block ends."""
    TREES.parent.mkdir(parents=True, exist_ok=True)
    for number in range(100):
        place = TREES.with_name("%s-%d" % (TREES.name, number))
        with place.with_name(place.name + ".lock").open("w", encoding="ascii") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield stage(place / INSIDE)
            return
    raise SystemExit("A hundred runs are using this checkout: %s" % ROOT)


def collections_path(collection: pathlib.Path) -> str:
    """What ANSIBLE_COLLECTIONS_PATH and PYTHONPATH want to hold for a staged collection."""
    return str(collection.parents[2])


def clean() -> None:
    """Removes the trees of this checkout that nobody uses just now."""
    for lock in TREES.parent.glob(TREES.name + "-*.lock"):
        with lock.open("w", encoding="ascii") as handle, contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--clean"]:
        clean()
    else:
        with tree() as staged:
            print(staged)
