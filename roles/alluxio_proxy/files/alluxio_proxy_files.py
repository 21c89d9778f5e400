# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an installation of the role alluxio_proxy; Python 3.9 and its standard library, nothing else."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

MARKER = ".polystore-alluxio-proxy"  # a directory in an installation, a file in each release
DIRECTORIES = {"bin": 0o755, "conf": 0o750, "known-good": 0o750, "logs": 0o750, "run": 0o750}
OWNED = {"logs", "run"}  # by the proxy's user
ARCHIVE = "archive.tar.gz"


class ControlError(Exception):
    """Something that the user has to know."""


def java(home: str, release: Path) -> dict[str, Any]:
    """Path, home, version and major version of Java; wanted: the majors that the start script insists on, [] for any.

    home: where Java is; "" looks on PATH.
    """
    found = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if not found or not os.access(found, os.X_OK):
        where = "at %s" % found if found else "on PATH"
        raise ControlError("There is no Java %s: install one and name its directory as alluxio_proxy_java_home" % where)
    done = subprocess.run([found, "-version"], capture_output=True, text=True, errors="replace", check=False)
    match = re.search(r'version "(?:1\.)?(\d+)[^"]*"', done.stderr + done.stdout)
    if not match:
        raise ControlError("%s -version says no version (exit code %d)" % (found, done.returncode))
    real = home or os.path.dirname(os.path.dirname(os.path.realpath(found)))
    script = release / "libexec" / "alluxio-config.sh"
    rule = re.search(r"Alluxio requires ([^\n,]*)", script.read_text("utf-8", "replace")) if script.is_file() else None
    wanted = [int(major) for major in re.findall(r"Java (?:1\.)?(\d+)", rule[1])] if rule else []
    version = match[0].split('"')[1]
    return {"path": found, "home": real, "version": version, "major": int(match[1]), "wanted": wanted}


def prepare(top: Path, user: str, whole: bool, check: bool) -> bool:
    """Makes the directories; whether that changed anything. Owners matter only to root.

    whole: the release is there; without it there has to be a place for its archive.
    """
    account, root, changed = pwd.getpwnam(user), os.geteuid() == 0, False
    if not whole and not check:
        (top / "unpacking").mkdir(mode=0o700, exist_ok=True)
    for name, mode in DIRECTORIES.items():
        path = top / name
        there = path.stat() if path.is_dir() else None
        owner = account.pw_uid if name in OWNED else 0
        wanted = (mode, owner, account.pw_gid) if root else (mode,)
        present = there and (stat.S_IMODE(there.st_mode), there.st_uid, there.st_gid)[: len(wanted)]
        if present != wanted:
            changed = True
            if not check:
                path.mkdir(exist_ok=True)
                path.chmod(mode)
                if root:
                    os.chown(path, owner, account.pw_gid)
    return changed


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a directory, but hidden ones."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return {path.name: path.read_bytes() for path in paths if path.is_file() and not path.name.startswith(".")}


def put(path: Path, data: bytes, like: Path) -> None:
    """Replaces a file at one stroke; owner and mode are those of another."""
    fresh, other = path.with_name(".%s.new" % path.name), like.stat()
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    if os.geteuid() == 0:
        os.chown(fresh, other.st_uid, other.st_gid)
    fresh.chmod(stat.S_IMODE(other.st_mode))
    fresh.replace(path)


def mirror(source: Path, target: Path, exact: bool = False) -> None:
    """Makes the files of two directories equal. exact: removes what is only in the second."""
    here, there = contents(source), contents(target)
    for name in [name for name in here if here[name] != there.get(name)]:
        put(target / name, here[name], source / name)
    for name in set(there) - set(here) if exact else ():
        (target / name).unlink()


def link(top: Path, release: str, check: bool) -> bool:
    """Points `current` at a release, at one stroke; whether that changed anything."""
    current = top / "current"
    if current.is_symlink() and os.readlink(current) == release:
        return False
    if not check:
        fresh = top / ".current.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(release)
        fresh.replace(current)
    return True


def switch(top: Path, release: str, check: bool) -> dict[str, bool]:
    """Points at a release and takes its settings of logs over; differs: from what ran well last."""
    conf, log4j = top / "conf", top / release / "conf" / "log4j.properties"
    wanted = {"release": b"%s\n" % release.encode(), **({log4j.name: log4j.read_bytes()} if log4j.is_file() else {})}
    present = contents(conf)
    new = {name: data for name, data in wanted.items() if present.get(name) != data}
    for name, data in () if check else new.items():
        put(conf / name, data, conf / "alluxio-env.sh")
    changed = link(top, release, check) or bool(new)
    return {"changed": changed, "differs": changed or present != contents(top / "known-good")}


def unpack(top: Path, release: str, archive: str, checksum: str) -> None:
    """Puts a release in its place, at one stroke: one that is there is whole.

    archive: a path, "" where it was copied to; checksum: "sha256:...", "" when somebody else has looked.
    """
    place = top / "unpacking"
    source, fresh = Path(archive) if archive else place / ARCHIVE, place / release
    if checksum:
        algorithm, _colon, wanted = checksum.partition(":")
        total = hashlib.new(algorithm)
        with source.open("rb") as file:
            while part := file.read(1 << 20):
                total.update(part)
        if total.hexdigest() != wanted.lower():
            raise ControlError("The archive has the checksum %s, not %s" % (total.hexdigest(), checksum))
    shutil.rmtree(fresh, ignore_errors=True)
    command = ["tar", "-xf", str(source), "--no-same-owner", "-C", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise ControlError("The archive cannot be unpacked: %s" % done.stderr.strip()[-500:])
    if not (fresh / "bin" / "launch-process").exists():
        words = (
            "The archive holds no %s/bin/launch-process. Is alluxio_proxy_version that of the archive? "
            "(Alluxio 1.x has no such script; the role installs 2.x.)"
        )
        raise ControlError(words % release)
    (fresh / MARKER).write_text(release + "\n", "ascii")
    (fresh / MARKER).chmod(0o644)
    fresh.rename(top / release)
    shutil.rmtree(place)


def write(top: Path, user: str, texts: dict[str, str], check: bool) -> bool:
    """Makes files in conf what they should be, for root and the proxy's group; whether that changed anything."""
    account, root, changed = pwd.getpwnam(user), os.geteuid() == 0, False
    for name, text in texts.items():
        path, data = top / "conf" / name, text.encode()
        there = path.stat() if path.is_file() else None
        wanted = (0o640, 0, account.pw_gid) if root else (0o640,)
        present = there and (stat.S_IMODE(there.st_mode), there.st_uid, there.st_gid)[: len(wanted)]
        if present == wanted and path.read_bytes() == data:
            continue
        changed = True
        if not check:
            fresh = path.with_name(".%s.new" % name)
            fresh.unlink(missing_ok=True)
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
            if root:
                os.chown(fresh, 0, account.pw_gid)
            fresh.chmod(0o640)
            fresh.replace(path)
    return changed


def remove(top: Path, check: bool) -> dict[str, bool]:
    """What the role made, and the directory when nothing else is in it."""
    if not check:
        releases = [path for path in top.iterdir() if not path.is_symlink() and (path / MARKER).is_file()]
        for path in [*releases, *(top / name for name in ("current", "unpacking", *DIRECTORIES, MARKER))]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not any(top.iterdir()):
            top.rmdir()
    return {"changed": True}
