# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an estate made: a file that is written before anything is made, and held by one run at a time."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import fcntl
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError

FORMAT = "polystore.storage estate record 1"
GRACE = 2.0  # seconds: servers may still do what a run asked for when it was killed
FIELDS = {"connection": str, "system": str, "kind": str, "identity": dict, "protect": bool, "made": bool}


@dc.dataclass
class Own:
    """One thing that is this estate's. made: False from before it is made until that is known."""

    connection: str
    system: str
    kind: str
    identity: dict[str, Any]
    protect: bool = False
    made: bool = True


def write_atomic(path: str, text: str) -> None:
    """Replace a file, durably. Raises StorageError."""
    folder = os.path.dirname(path) or "."
    try:
        handle, beside = tempfile.mkstemp(prefix=".%s." % os.path.basename(path), dir=folder)
        try:
            with open(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
        there = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(there)
        finally:
            os.close(there)
    except OSError as error:
        raise StorageError(
            "%s cannot be written: %s" % (path, error.strerror or error), operation="write file", fatal=True
        ) from None


class Record:
    """The record at a path. Reading needs no lock; only a run that holds it may change it."""

    def __init__(self, path: str, estate: str) -> None:
        self.path, self.estate = path, estate
        self.entries: dict[str, Own] = {}
        self._turn = threading.Lock()
        self._text: str | None = None
        self.load()

    def load(self) -> None:
        """Read it; where there is none, it is empty. Raises StorageError."""
        self.entries, self._text = {}, None
        try:
            with open(self.path, encoding="utf-8") as stream:
                self._text = stream.read()
            data = json.loads(self._text)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise self._bad("it cannot be read: %s" % getattr(error, "strerror", error)) from None
        if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("made"), dict):
            raise self._bad("it is no record of an estate")
        if data.get("estate") != self.estate:
            raise self._bad("it is the record of the estate %s, and this is %s" % (data.get("estate"), self.estate))
        for name, row in data["made"].items():
            if not isinstance(row, dict) or any(not isinstance(row.get(f), kind) for f, kind in FIELDS.items()):
                raise self._bad("its entry %s is not as it should be" % name)
            self.entries[name] = Own(**{field: row[field] for field in FIELDS})

    def _bad(self, why: str) -> StorageError:
        return StorageError(
            "The record %s is not usable: %s" % (self.path, why),
            operation="read record",
            hint="Name the right one with record, or restore it: without it nobody knows what this estate made",
            fatal=True,
        )

    @contextlib.contextmanager
    def held(self) -> Iterator[str]:
        """For this run alone; read again when it is. Gives the name of a run that died while it held it, or nothing.

        Raises StorageError when another run holds it.
        """
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        lock = self._opened()
        try:
            dead = os.pread(lock, 200, 0).decode("utf-8", "replace").strip()
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"process %d on %s" % (os.getpid(), socket.gethostname().encode()), 0)
            if dead:
                time.sleep(GRACE)
            self.load()
            yield dead
        finally:
            with contextlib.suppress(OSError):
                os.unlink(self.path + ".lock")  # while it is held: who opened it before looks whether it is still there
            os.close(lock)

    def _opened(self) -> int:
        """The lock, held."""
        path = self.path + ".lock"
        while True:
            try:
                lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise self._bad("%s cannot be opened: %s" % (path, error.strerror)) from None
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(lock)):
                    return lock
            except FileNotFoundError:
                pass
            except OSError:
                told = os.read(lock, 200).decode("utf-8", "replace").strip()
                os.close(lock)
                raise StorageError(
                    "Another run holds the record %s%s" % (self.path, ": " + told if told else ""),
                    operation="lock record",
                    code="LOCKED",
                    hint="Run again when it has ended; nothing was changed",
                    fatal=True,
                ) from None
            os.close(lock)

    def text(self) -> str:
        """As it is written."""
        made = {name: dc.asdict(own) for name, own in sorted(self.entries.items())}
        return json.dumps({"format": FORMAT, "estate": self.estate, "made": made}, indent=1, ensure_ascii=False) + "\n"

    def save(self) -> None:
        """Write it where it has changed."""
        with self._turn:
            text = self.text()
            if text != self._text and (self.entries or self._text is not None):
                write_atomic(self.path, text)
                self._text = text

    def begin(self, coming: Mapping[str, Own]) -> None:
        """Before these are made. What is this estate's already stays as it is."""
        with self._turn:
            for name, own in coming.items():
                self.entries.setdefault(name, dc.replace(own, made=False))
        self.save()

    def made(self, names: Iterable[str]) -> None:
        """These are there."""
        with self._turn:
            for name in names:
                if name in self.entries:
                    self.entries[name].made = True

    def forget(self, names: Iterable[str]) -> None:
        """These are not there, or not this estate's."""
        with self._turn:
            for name in names:
                self.entries.pop(name, None)
