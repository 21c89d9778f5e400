# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one directory that a sandbox lives in: what it holds, and who is running in it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

MARKER = ".polystore-sandbox"


class SandboxError(RuntimeError):
    """Something a person has to set right; the text says what."""


class Home:
    """Paths and small files. Nothing is made before `create`."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser().absolute()

    def create(self, check: bool = False) -> bool:
        """Makes the directory; refuses one that holds other things. True when it was not there (check: is not)."""
        if self.is_sandbox():
            return False
        if self.folder.exists() and (not self.folder.is_dir() or set(os.listdir(self.folder)) - {"lib"}):
            raise SandboxError(f"{self.folder} holds other things and is no sandbox: name an empty or a new directory")
        if not check:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.folder / MARKER).touch(mode=0o600)
        return True

    def is_sandbox(self) -> bool:
        """True when the directory was made by `create`."""
        return (self.folder / MARKER).exists()

    def remove(self) -> None:
        """Deletes the directory, when it is a sandbox's."""
        if self.folder.exists() and not self.is_sandbox():
            raise SandboxError(f"{self.folder} has no {MARKER} and was not made by the sandbox: it is left alone")
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():  # a server may still have been writing
            shutil.rmtree(self.folder)

    def service(self, name: str) -> Path:
        """The directory of one service, made when missing."""
        path = self.folder / name
        path.mkdir(exist_ok=True, mode=0o700)
        return path

    def services(self) -> list[str]:
        """Names of the services that have ever run here."""
        return sorted(path.parent.name for path in self.folder.glob("*/run.lock"))

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file below the directory; {} when it is missing or half written."""
        try:
            value = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replaces a JSON file, readable by its owner only."""
        beside = self.folder / f"{name}.{os.getpid()}"
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1, sort_keys=True)
        beside.replace(self.folder / name)

    def secret(self, name: str) -> str:
        """A random secret that is kept from its first use on."""
        kept = self.read("secrets.json")
        if name not in kept:
            kept[name] = secrets.token_urlsafe(24)
            self.write("secrets.json", kept)
        return str(kept[name])

    def lock(self, name: str, wait: bool = False) -> int | None:
        """Takes the lock file `name` until this process ends or closes it; None when another one holds it."""
        file = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return file

    def pid(self, service: str) -> int | None:
        """Process id of the running service; the lock tells that it runs, so a reused id cannot mislead."""
        path = self.folder / service / "run.lock"
        if not path.exists():
            return None
        held = self.lock(f"{service}/run.lock")
        if held is None:
            text = path.read_text()
            return int(text) if text.strip() else 0
        os.close(held)
        return None


def source_digest() -> str:
    """Tells one version of this package's code from another."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
