# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's FastDFS clients with the drivers of tests/conformance/fastdfs, fetched and built once.

Java by Maven (Central), Node by npm, Rust by cargo (crates.io). What is fetched and built lies below
$POLYSTORE_CACHE/fastdfs-clients (else ~/.cache/polystore.storage/fastdfs-clients), never in the checkout.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DRIVERS = Path(__file__).parents[1] / "conformance" / "fastdfs"
TOOLS = {"java": ("java", "javac", "mvn"), "node": ("node", "npm"), "rust": ("cargo",)}
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


class NotFetched(RuntimeError):
    """A registry did not give what is needed; the last words of the tool that asked it."""


def _home() -> Path:
    """The user's own: these tools have their toolchains and settings there, and the tests have another HOME."""
    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def _cache() -> Path:
    kept = os.environ.get("POLYSTORE_CACHE")
    return (Path(kept) if kept else Path.home() / ".cache" / "polystore.storage") / "fastdfs-clients"


def _tool(name: str) -> str:
    """A program's path; of JAVA_HOME when it is set, and where rustup puts its own."""
    path = os.environ.get("PATH", os.defpath)
    if name.startswith("java") and os.environ.get("JAVA_HOME"):
        path = os.path.join(os.environ["JAVA_HOME"], "bin")
    return shutil.which(name, path=os.pathsep.join([path, str(_home() / ".cargo" / "bin")])) or ""


def driver(client: str) -> list[str]:
    """The command of a client's driver ("java", "node", "rust"), which wants trackers as its first word.

    Skips the test when the client cannot be had here; in CI that is a failure.
    """
    missing = [name for name in TOOLS[client] if not _tool(name)]
    reason = f"FastDFS's {client} client needs {', '.join(missing)} on PATH"
    if not missing:
        try:
            return _command(client, _ready(client))
        except NotFetched as exc:
            reason = str(exc)
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)


def environment(client: str) -> dict[str, str]:
    """What the driver runs with."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("FDFS_")}
    return env | ({"NODE_PATH": str(_ready(client) / "node_modules")} if client == "node" else {})


def _command(client: str, place: Path) -> list[str]:
    if client == "java":
        return [
            _tool("java"),
            "-XX:TieredStopAtLevel=1",
            "-cp",
            f"{place / 'classes'}{os.pathsep}{place / 'lib'}/*",
            "Drive",
        ]
    if client == "node":
        return [_tool("node"), str(DRIVERS / "node" / "drive.js")]
    return [str(place / "drive-fastdfs")]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _ready(client: str) -> Path:
    """Where a client is, fetched and built when it is not. Two processes may ask at once.

    Raises NotFetched, or RuntimeError when the driver does not compile.
    """
    recipe = sorted(path for path in (DRIVERS / client).rglob("*") if path.is_file())
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in recipe)).hexdigest()[:8]
    place = _cache() / f"{client}-{key}"
    if not (place / ".ready").exists():
        with _locked(_cache() / f"{client}.lock"):
            if not (place / ".ready").exists():
                _build(client, place)
                (place / ".ready").touch()
    return place


def _build(client: str, place: Path) -> None:
    started, source, cache = time.monotonic(), DRIVERS / client, _cache()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if client == "java":
        maven = [_tool("mvn"), "-B", "-q", "-f", str(source / "pom.xml"), f"-Dmaven.repo.local={cache / 'maven'}"]
        _fetch([*maven, COPY, "-DincludeScope=runtime", f"-DoutputDirectory={place / 'lib'}"], place)
        javac = [_tool("javac"), "-encoding", "UTF-8", "-cp", f"{place / 'lib'}/*", "-d", str(place / "classes")]
        _run([*javac, str(source / "Drive.java")], place)
    elif client == "node":
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, place)
        _fetch([_tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", f"--cache={cache / 'npm'}"], place)
    else:
        settings = _home() / ".cargo" / "config.toml"  # a mirror of crates.io, say
        more = ["--locked", "--quiet", "--manifest-path", str(source / "Cargo.toml")]
        more += ["--config", str(settings)] if settings.exists() else []
        _fetch([_tool("cargo"), "fetch", *more], place)
        _run([_tool("cargo"), "build", "--offline", *more, "--target-dir", str(cache / "target")], place)
        shutil.copy(cache / "target" / "debug" / "drive-fastdfs", place)
    print(f"Built FastDFS's {client} client in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _fetch(command: list[str], place: Path) -> None:
    try:
        _run(command, place)
    except RuntimeError as exc:
        raise NotFetched(str(exc)) from exc


def _run(command: list[str], place: Path) -> None:
    env = os.environ | {"HOME": str(_home()), "CARGO_HOME": str(_cache() / "cargo")}
    done = subprocess.run(
        command,
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip().splitlines()[-20:]
        raise RuntimeError("FastDFS's client: {} failed:\n  {}".format(command[0], "\n  ".join(said)))
