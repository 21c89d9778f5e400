# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How files are stored and recorded in manifests (ids reads them).

Each step is noted in the journal, PATH.journal, before the next; at its end a run folds it into a new document. Notes
outlive kill -9 at once. On disk are, in their order: what is about to be sent or changed, before it is; a new id,
before the old one is deleted; all, before the run is done.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import io
import json
import os
import secrets
import stat
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Made, Resource
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import (
    SCHEMA,
    Crc32,
    Entry,
    FileId,
    Manifest,
    check_extension,
)

SMALL = 1 << 16  # bytes that are quickly read once more


class Note(NamedTuple):
    """What to record of a name. manifest: its path; entry: None removes it; old: ids of no use then."""

    manifest: str
    name: str
    entry: Entry | None
    old: tuple[str, ...] = ()


class Held(Manifest):
    """A manifest, locked until close(). Thread-safe. wait: seconds."""

    def __init__(self, path: str, wait: float) -> None:
        super().__init__(path)
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._durable = 0
        try:
            self._file = self._locked(wait)
            try:
                self._read()
                if os.fstat(self._file).st_size > self._end:
                    os.ftruncate(self._file, self._end)  # what was not written to its end was not done
            except BaseException:
                os.close(self._file)
                raise
        except OSError as error:
            raise self._trouble("locked", error) from None

    def _locked(self, wait: float) -> int:
        until, pause = time.monotonic() + wait, 0.01
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        while True:
            file = os.open(self.journal, flags, 0o666)
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    os.close(file)
                    raise self._bad("has something as its journal that is no file", "DAMAGED", "Move it away")
                if os.path.samestat(os.fstat(file), os.stat(self.journal)):
                    return file
            os.close(file)
            if time.monotonic() > until:
                raise self._bad("is held by another run, for %g s now" % wait, "LOCKED", "Wait, or raise lock_timeout")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    def close(self) -> StorageError | None:
        """Fold the journal and unlock. Returns what went wrong; the journal holds all then."""
        try:
            if self._rows:
                self._fold()
        except OSError as error:
            with contextlib.suppress(OSError):
                os.fsync(self._file)
            return self._trouble("written", error)
        finally:
            os.close(self._file)
            self._file = -1
        return None

    def sending(self, name: str, size: int) -> None:
        """The last bytes of a new file are about to leave."""
        self._note({"op": "sending", "name": name, "size": size, "time": int(time.time())}, durable=True)

    def unsent(self, name: str) -> None:
        """It was not stored."""
        self._note({"op": "unsent", "name": name})

    def new(self, name: str, file_id: str, durable: bool = False) -> None:
        """A file is there, or will be; no name stands for it yet."""
        self._note({"op": "new", "name": name, "id": file_id}, durable=durable)

    def touch(self, name: str) -> None:
        """The file of a name is about to be changed in place."""
        self._note({"op": "touch", "name": name}, durable=True)

    def record(self, notes: Iterable[Note]) -> None:
        """On disk when this returns, where files are to go then."""
        rows = [{"op": "set", "name": n.name, "entry": n.entry, "old": n.old} for n in notes]
        self._note(*rows, durable=any(row["old"] for row in rows))

    def gone(self, file_id: str) -> None:
        """It has been deleted."""
        self._note({"op": "gone", "id": file_id})

    def _note(self, *rows: dict[str, Any], durable: bool = False) -> None:
        lines = [_line(row) for row in rows]
        with self._lock:
            if not self._end:
                self._id = secrets.token_hex(8)
                lines.insert(0, _line({"journal": self._id, "base": self._revision}))
            data = b"".join(lines)
            try:
                _write(self._file, data)
                if not self._end:
                    self._sync_directory()
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._end)
                raise self._trouble("written", error) from None
            self._end += len(data)
            mark = self._rows = self._rows + len(rows)
            for row in rows:
                self._apply(row)
        if not durable:
            return
        with self._turn:
            if self._durable < mark:
                mark = self._rows
                try:
                    os.fsync(self._file)
                except OSError as error:
                    raise self._trouble("written", error) from None
                self._durable = mark

    def _sync_directory(self) -> None:
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def ours(self, file_id: str) -> bool:
        """Whether it is stored and not recorded."""
        return file_id in self._loose

    def _fold(self) -> None:
        revision, temporary = secrets.token_hex(8), self.path + ".new"
        head = {
            "schema": SCHEMA, "revision": revision, "folded": self._id, "pending": sorted(self.pending),
            "leftovers": self.leftovers(), "doubts": [*self.doubts, *self._sending.values()],
        }  # fmt: skip
        rows = ["%s: %s" % (_text(name), _text(self.entries[name])) for name in sorted(self.entries)]
        data = "%s,\n%s: {\n%s\n}}\n" % (_text(head)[:-1], _text("files"), ",\n".join(rows))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        try:
            with contextlib.suppress(FileNotFoundError):
                now = os.stat(self.path)
                os.fchmod(file, stat.S_IMODE(now.st_mode))
                with contextlib.suppress(PermissionError):
                    os.fchown(file, now.st_uid, now.st_gid)
            _write(file, data.encode())
            os.fsync(file)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        finally:
            os.close(file)
        os.rename(temporary, self.path)
        self._sync_directory()
        os.ftruncate(self._file, 0)
        _write(self._file, _line({"journal": secrets.token_hex(8), "base": revision}))


_text = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def _line(row: dict[str, Any]) -> bytes:
    return _text(row).encode() + b"\n"


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


# --- how files are stored and recorded


def crc_of(source: Any, legacy: bool = False) -> str:
    """The CRC32 of a Source in hexadecimal, computed once. legacy: that of servers up to 5.11."""
    return str(source.digest("crc32 %d" % legacy, functools.partial(Crc32, legacy)))


def opened(source: Any, offset: int = 0) -> Any:
    """The content of a Source from offset on."""
    stream = source.opened() if source.data is None else io.BytesIO(source.data)
    stream.seek(offset)
    return stream


def known(source: Any) -> dict[str, Any]:
    """What is known of content."""
    return {"size": source.size, **({"crc32": crc_of(source)} if source.size <= SMALL else {})}


def ending(name: str) -> str:
    """The extension of a name, where FastDFS can have it."""
    try:
        return check_extension(os.path.splitext(name)[1][1:])
    except ValueError:
        return ""


PAGE, GAP = 1 << 12, 1 << 14  # bytes compared at once; between two changes that are sent as one
Step = tuple[str, int, int]  # modify, append or truncate, from where, how many bytes


def _crc(blocks: Iterable[bytes], crc: int = 0) -> int:
    for block in blocks:
        crc = zlib.crc32(block, crc)
    return crc


def steps_to(client: Any, source: Any, file: FileId, size: int, crc: int | None) -> Iterator[Step]:
    """The least that makes of size bytes with this checksum (None: unknown) the content."""
    want, same = source.size, min(source.size, size)
    if crc is not None and size <= want:
        with source.reader(0, size) as part:
            same = 0 if _crc(iter(functools.partial(part.read, PAGE * 16), b"")) == crc else same
    elif crc is not None and size - want <= want:  # that of the whole follows from its parts'
        with client.stream(file, want) as blocks:
            same = 0 if _crc(blocks, int(crc_of(source), 16)) == crc else same
    for start, end in spans(client, source, file, same) if same else ():
        yield "modify", start, end - start
    if want > size:
        yield "append", size, want - size
    elif want < size:
        yield "truncate", want, 0


def spans(client: Any, source: Any, file: FileId, length: int) -> Iterator[tuple[int, int]]:
    """(start, end) of what differs in the first bytes."""
    start, end, at = -1, -1, 0
    with source.reader(0, length) as local, client.stream(file, 0, length) as blocks:
        for block in blocks:
            mine = local.read(len(block))
            for offset in range(0, len(block), PAGE) if mine != block else ():
                one, two = mine[offset : offset + PAGE], block[offset : offset + PAGE]
                bits = int.from_bytes(one, "big") ^ int.from_bytes(two, "big")
                if not bits:
                    continue
                base = at + offset + len(one)
                first, last = base - (bits.bit_length() + 7) // 8, base - ((bits & -bits).bit_length() - 1) // 8
                if start >= 0 and first - end > GAP:
                    yield start, end
                    start = first
                start, end = start if start >= 0 else first, last
            at += len(block)
    if start >= 0:
        yield start, end


class Kept(Resource):
    """A resource with manifests: expand() calls hold(), make() calls store() and returns Notes as old."""

    connection = CONNECTION

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self._held: dict[str, Any] = {}
        self._stuck: set[str] = set()

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        try:
            yield
        finally:
            for manifest in () if self.run.check else self.manifests():
                error = manifest.close()
                if error is not None:
                    self.run.warnings.append("%s. Its journal holds what is new" % error)

    def hold(self, paths: Iterable[str], wait: float) -> None:
        """Open these (check mode: read). wait: seconds for each lock."""
        for real, path in sorted((os.path.realpath(path), path) for path in set(paths)):
            if real not in self._held:
                self._held[real] = found = Manifest.load(real) if self.run.check else Held(real, wait)
                if self.run.check and not os.path.isdir(os.path.dirname(real)):  # what the run would meet
                    raise found._trouble("locked", FileNotFoundError(2, os.strerror(2)))
            self._held[path] = self._held[real]
        for manifest in () if self.run.check else self.manifests():
            for doubt in manifest.heard:
                told = "A run died when it had sent %(size)d bytes for %(name)s (time %(time)d) and had no answer. "
                self.run.warnings.append(told % doubt + "If all had arrived, a file is there whose id nobody knows")

    def manifest(self, path: str) -> Any:
        """One that is held."""
        return self._held[path]

    def manifests(self) -> Iterable[Any]:
        """All of them, each once."""
        return {id(manifest): manifest for manifest in self._held.values()}.values()

    def store(
        self, manifest: Held, name: str, source: Any, *, extension: str = "", group: str | None = None,
        appender: bool = False, metadata: Mapping[str, str] | None = None,
    ) -> tuple[FileId, Entry]:  # fmt: skip
        """Upload a Source as a new file; its id and entry."""

        def last(stream: Any) -> None:
            source.unchanged(stream)
            manifest.sending(name, source.size)

        read = functools.partial(opened, source)
        try:
            file = self.client.upload(
                read, source.size, extension=extension, group=group, appender=appender, check=last
            )
        except StorageError as error:
            if not getattr(error, "whole", False):
                manifest.unsent(name)
            raise
        entry: Entry = {"id": file.text, "size": source.size}
        with self.discarding(manifest, file.text):
            manifest.new(name, file.text)
            entry["crc32"] = self._arrived(file, source)
            if metadata:
                self.client.set_metadata(file, metadata)
                entry["metadata"] = dict(metadata)
        return file, entry

    @staticmethod
    def _arrived(file: FileId, source: Any) -> str:
        """The checksum to record. Small content is compared with what arrived."""
        told = "" if file.crc32 is None else "%08x" % file.crc32
        if told and source.size > SMALL:
            return told
        found = crc_of(source)
        if told not in ("", found) and told != crc_of(source, legacy=True):
            told = "%s arrived with the checksum %s; %s was sent" % (file, told, found)
            raise StorageError(told, operation="check upload")
        return found

    @contextlib.contextmanager
    def discarding(self, manifest: Held, file_id: str) -> Iterator[None]:
        """A new file is deleted when this block fails."""
        try:
            yield
        except StorageError as error:
            hint = error.hint
            with contextlib.suppress(StorageError):
                error.hint = "%s (%s is left for the next run to delete)" % (hint, file_id)
                if error.code != 17:  # a slave that was there before us
                    self.client.delete(file_id)
                error.hint = hint
                manifest.gone(file_id)
            raise

    def describe(self, file: FileId, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Set what is new, or all."""
        if before.keys() <= after.keys():
            self.client.set_metadata(file, {n: v for n, v in after.items() if before.get(n) != v}, merge=True)
        else:
            self.client.set_metadata(file, after)

    def record(self, made: list[Made]) -> None:
        notes: dict[str, list[Note]] = {}
        for one in made:
            if isinstance(one.old, Note):
                notes.setdefault(one.old.manifest, []).append(one.old)
        for path, some in notes.items():
            self.manifest(path).record(some)

    def retire(self, made: Made) -> None:
        if isinstance(made.old, Note):
            manifest = self.manifest(made.old.manifest)
            for file_id in made.old.old:
                self._remove(manifest, file_id)

    def _remove(self, manifest: Held, file_id: str) -> None:
        """Delete a leftover."""
        try:
            self.client.delete(file_id)
            manifest.gone(file_id)
        except StorageError as error:
            self._stuck.add(file_id)
            self.run.warnings.append("%s is left for the next run to delete: %s" % (file_id, error.told()))

    def finish(self, complete: bool) -> None:
        for manifest in self.manifests():
            mine = [file_id for file_id in manifest.leftovers() if file_id not in self._stuck]
            self.run.workers.each(functools.partial(self._remove, manifest), mine)
