# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local files as the destination: one remote file, or a remote tree, held by the local file system as it is."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import errno
import fcntl
import grp
import os
import pwd
import re
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    Scope,
    State,
    directive,
    key,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.streams import Beside, Sink
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, mode, new_md5, share

BLOCK = 256 * 1024
TEMPORARY = re.compile(r"^\..*\.polystore-[0-9a-f]{16}$", re.S)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dc.dataclass
class DownloadItem(Item):
    """The options of what is brought to the executing host."""

    state: str = directive(choices=("present",), default="present")
    dest: str = key("path")
    mode: str = wanted("raw", parse=mode)
    owner: str = wanted()
    group: str = wanted()
    prune: bool = directive("bool", default=False)
    max_delete: tuple[int, bool] = directive("raw", parse=share)
    allow_empty: bool = directive("bool", default=False)


@dc.dataclass
class Remote:
    """A file on the other side. name: relative to what was named, with "/"; of a single file its last component.

    size: bytes, None when unknown; digest: what the hasher of Downloads has to come to, None when unknown;
    source: how messages call it; detail: whatever the subclass needs; directory: a directory and no file.
    """

    name: str
    size: int | None
    digest: str | None
    source: str
    detail: Any = None
    directory: bool = False


@dc.dataclass
class LocalFile(Item):
    """One local path: below root, by its parts. Two with the same path are the same."""

    dest: str = key()
    mode: str = wanted()
    owner: str = wanted()
    group: str = wanted()
    root: str = ""
    parts: tuple[str, ...] = ()
    remote: Remote = dc.field(default_factory=lambda: Remote("", None, None, ""))

    def identity(self) -> State:
        return {"dest": _printable(self.dest), **({"source": self.remote.source} if self.remote.source else {})}

    def label(self) -> str:
        return _printable(self.dest)


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _id(option: str, name: Any) -> int:
    """The number of a user or group, -1 for one that was left out. Raises OptionError."""
    if name is KEEP:
        return -1
    try:
        return pwd.getpwnam(name).pw_uid if option == "owner" else grp.getgrnam(name).gr_gid
    except KeyError:
        if name.isdigit():
            return int(name)
    raise OptionError(option, "%s is not known on this host" % name, "Give a name or a number")


def _local(error: OSError, path: str, verb: str) -> StorageError:
    why, full = error.strerror or str(error), error.errno in FULL
    hint = "Make room on that file system" if full else ""
    if error.errno in (errno.EPERM, errno.EACCES):
        hint = "Run the task as a user who may do that (become: true)"
    return StorageError(
        "%s cannot be %s: %s" % (_printable(path), verb, why), operation="write local file", hint=hint, fatal=full
    )


def _refused(path: str, found: os.stat_result, due: str) -> StorageError:
    kind = "something else than a file or a directory"
    for test, text in ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a directory"), (stat.S_ISREG, "a file")):
        kind = text if test(found.st_mode) else kind
    text = "%s is %s where a %s belongs" % (_printable(path), kind, due)
    return StorageError(text, operation="look at local files", hint="Nothing is replaced by it: remove it first")


def enter(root: str, parts: Iterable[str], create: bool = False) -> int | None:
    """A descriptor of the directory root/parts, links in parts refused; None when it is missing and not created."""
    path = root
    try:
        if create:
            os.makedirs(root, exist_ok=True)
        here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _local(error, path, "used as a directory") from None
    for part in parts:
        path = os.path.join(path, part)
        try:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
                    os.fsync(here)
            there = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise _refused(path, os.stat(part, dir_fd=here, follow_symlinks=False), "directory") from None
            raise _local(error, path, "used as a directory") from None
        finally:
            os.close(here)
        here = there
    return here


class Downloads(Resource):
    """Base of everything that downloads. Subclasses say what is there: remote(), open(), and hasher() if not MD5."""

    noun = "download"
    hashing = True
    again = Retry(5)  # after a cut in mid-body, going on where it was cut

    # --- what subclasses fill in

    def remote(self, item: Any) -> tuple[bool, Iterable[Remote]]:
        """(whether a tree was named, its files). Raises StorageError when it is not there."""
        raise StorageError("%s cannot be read" % self.noun)

    def open(self, remote: Remote, offset: int, mark: str) -> contextlib.AbstractContextManager[Any]:
        """A context that gives (mark, chunks from offset on). mark: what tells this version of the file from others,
        given back when a cut stream is gone on with; another version then is an error that is not transient."""
        raise StorageError("%s cannot be read" % self.noun)

    def hasher(self, remote: Remote) -> Any:
        """An object with update() and hexdigest() for remote.digest, or None when content has to be compared."""
        return new_md5() if remote.digest else None

    # --- the steps

    @classmethod
    def validate(cls, item: Any) -> None:
        _id("owner", item.owner)
        _id("group", item.group)
        if not item.dest or "\0" in item.dest:
            raise OptionError("dest", "is no path")

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self._swept: set[tuple[Any, ...]] = set()
        self._lock = threading.Lock()
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._trees: list[tuple[Any, str]] = []
        self._mask = os.umask(0o077)
        os.umask(self._mask)

    def expand(self, items: list[Any]) -> list[Any]:
        found: list[list[LocalFile]] = [[] for _item in items]

        def one(index: int) -> None:
            found[index] = list(self._pieces(items[index]))

        self.run.workers.each(one, range(len(items)))
        pieces = [piece for part in found for piece in part]
        owners: dict[str, str] = {}
        for piece in pieces:
            other = owners.setdefault(piece.dest, piece.remote.source)
            if other != piece.remote.source:
                raise self._clash(piece.remote.source, other, piece.dest)
            (self._folders if piece.remote.directory else self._files).add(piece.dest)
            for depth in range(1, len(piece.parts)):
                self._folders.add(os.path.join(piece.root, *piece.parts[:depth]))
        for piece in pieces:
            if not piece.remote.directory and piece.dest in self._folders:
                raise self._clash(piece.remote.source, "names below it", piece.dest)
        return pieces

    def _clash(self, one: str, other: str, path: str) -> StorageError:
        text, hint = "%s and %s cannot both be at %s" % (one, other, path), "Download them to different places"
        return StorageError(text, operation="plan downloads", hint=hint)

    def _pieces(self, item: Any) -> Iterator[LocalFile]:
        tree, files = self.remote(item)
        dest = os.path.abspath(item.dest)
        inside = tree or item.dest.endswith("/") or os.path.isdir(dest)
        if tree:
            self.single = False
            with self._lock:
                self._trees.append((item, dest))
        if inside and os.path.lexists(dest) and not os.path.isdir(dest):
            raise _refused(dest, os.lstat(dest), "directory")
        for remote in files:
            parts = tuple((remote.name.rstrip("/") if remote.directory else remote.name).split("/"))
            if any(part in ("", ".", "..") or "\0" in part for part in parts):
                raise StorageError(
                    "%s has a name that leads out of dest or names no file there" % _printable(remote.source),
                    operation="plan downloads",
                    hint="Download it alone, with dest naming the file",
                )
            root = dest if inside else os.path.dirname(dest)
            parts = parts if inside else (os.path.basename(dest),)
            path = os.path.join(root, *parts)
            yield LocalFile("present", path, item.mode, item.owner, item.group, root, parts, remote)

    def read(self, items: list[Any]) -> dict[Key, State]:
        found = {}
        for item in items:
            state = self._look(item)
            if state is not None:
                found[item.key] = state
        return found

    def _look(self, item: LocalFile) -> State | None:
        parent = enter(item.root, item.parts[:-1])
        if parent is None:
            return None
        try:
            seen = os.stat(item.parts[-1], dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _local(error, item.dest, "looked at") from None
        finally:
            os.close(parent)
        if item.remote.directory:
            if not stat.S_ISDIR(seen.st_mode):
                raise _refused(item.dest, seen, "directory")
            return {"directory": True}
        if not stat.S_ISREG(seen.st_mode):
            raise _refused(item.dest, seen, "file")
        state: State = {"size": seen.st_size, "mode": "%04o" % stat.S_IMODE(seen.st_mode)}
        state["_ids"] = (seen.st_uid, seen.st_gid)
        for option, number in zip(("owner", "group"), state["_ids"]):
            given = getattr(item, option)
            if given is not KEEP:
                state[option] = given if _id(option, given) == number else str(number)
        return state

    def plan(self, item: Any, present: State | None) -> Change | None:
        remote: Remote = item.remote
        if remote.directory:
            return None if present else Change(item, "created", None, {"directory": True})
        after: State = {} if remote.size is None else {"size": remote.size}
        if present is None or not self._same(item, present):
            fields: State = {"content": True}
            if remote.digest:
                after["digest"] = remote.digest
        else:
            fields = {}
        given = {n: getattr(item, n) for n in ("mode", "owner", "group") if getattr(item, n) is not KEEP}
        if present is None:
            after["mode"] = "%04o" % (0o666 & ~self._mask)
            return Change(item, "created", None, {**after, **given}, {**fields, **given})
        fields.update((n, v) for n, v in given.items() if present.get(n) != v)
        if not fields:
            return None
        base = {n: v for n, v in present.items() if n != "digest" or "content" not in fields}
        return Change(item, "updated", present, {**base, **(after if "content" in fields else {}), **given}, fields)

    def _same(self, item: LocalFile, present: State) -> bool:
        """Whether the local content is the remote one: size, then digest, else the content itself, read as a stream."""
        remote = item.remote
        if remote.size is not None and remote.size != present["size"]:
            return False
        hasher = self.hasher(remote)
        with contextlib.ExitStack() as stack:
            try:
                parent = enter(item.root, item.parts[:-1])
                if parent is None:
                    return False
                stack.callback(os.close, parent)
                here = os.open(item.parts[-1], os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent)
                local = stack.enter_context(os.fdopen(here, "rb", BLOCK))
                if hasher is None:
                    return self._equal(remote, local)
                for block in iter(lambda: local.read(BLOCK), b""):
                    hasher.update(block)
            except OSError as error:
                raise _local(error, item.dest, "read") from None
        present["digest"] = hasher.hexdigest()
        return bool(present["digest"] == remote.digest)

    def _equal(self, remote: Remote, local: Any) -> bool:
        place, mark = [0], [""]

        def go_on() -> bool:
            local.seek(place[0])
            with self.open(remote, place[0], mark[0]) as (mark[0], chunks):
                for chunk in chunks:
                    if local.read(len(chunk)) != chunk:
                        return False
                    place[0] += len(chunk)
            return not local.read(1)

        return self.again.call(go_on)

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        item: LocalFile = change.item
        made = Made(change, change.after)
        folder = item.parts if item.remote.directory else item.parts[:-1]
        verb = "removed" if change.action == "deleted" else "written"
        parent = None
        try:
            parent = enter(item.root, folder, create=change.action != "deleted")
            if parent is None or item.remote.directory:
                return [made]
            if change.action == "deleted":
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(item.parts[-1], dir_fd=parent)
            elif "content" in change.fields:
                made.state = self._write(parent, change)
            else:
                self._attributes(parent, item.parts[-1], item, (change.after or {}).get("mode"))
        except OSError as error:
            raise _local(error, item.dest, verb) from None
        finally:
            if parent is not None:
                os.close(parent)
        return [made]

    def _write(self, parent: int, change: Change) -> State:
        """Download beside the destination, check, flush to disk, rename. Returns the new state."""
        item: LocalFile = change.item
        name, remote = item.parts[-1], item.remote
        self._sweep(parent, (item.root, *item.parts[:-1]))
        temporary = ".%s.polystore-%s" % (os.fsdecode(os.fsencode(name)[:200]), secrets.token_hex(8))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        out = os.open(temporary, flags, 0o600, dir_fd=parent)
        try:
            with contextlib.suppress(OSError):  # a file system without locks: nobody sweeps there
                fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size, digest = self._fetch(remote, out, item.dest)
            have = change.before or {}
            uid, gid = have.get("_ids", (-1, -1))
            if have and (uid, gid) != (os.geteuid(), os.getegid()):
                with contextlib.suppress(PermissionError):  # as far as may be, as for ansible.builtin.copy
                    os.fchown(out, uid, gid)
            self._attributes(parent, temporary, item, (change.after or {}).get("mode"))
            os.fsync(out)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=parent)
            raise
        finally:
            os.close(out)
        return {**(change.after or {}), "size": size, **({"digest": digest} if digest else {})}

    def _fetch(self, remote: Remote, out: int, path: str) -> tuple[int, str]:
        """Write the remote content to the descriptor, going on after a cut. Returns (size, digest or "")."""
        hasher, mark, sink = self.hasher(remote), [""], Sink(out)
        beside = None if hasher is None else Beside(hasher)

        def go_on() -> None:
            with self.open(remote, sink.written, mark[0]) as (mark[0], chunks):
                for chunk in chunks:
                    try:
                        sink.write(chunk)
                    except OSError as error:
                        raise _local(error, path, "written") from None
                    if beside is not None:
                        beside.update(chunk)

        with beside or contextlib.nullcontext():
            self.again.call(go_on)
        digest = beside.hexdigest() if beside is not None else ""
        wrong = ""
        if remote.size is not None and sink.written != remote.size:
            wrong = "%d bytes arrived where %d were due" % (sink.written, remote.size)
        elif digest and digest != remote.digest:
            wrong = "what arrived has another digest than was announced"
        if wrong:
            raise StorageError(
                "%s: %s; nothing was replaced" % (remote.source, wrong),
                operation="download",
                hint="It was probably changed meanwhile: run again",
            )
        return sink.written, digest

    def _attributes(self, parent: int, name: str, item: LocalFile, bits: str | None) -> None:
        uid, gid = _id("owner", item.owner), _id("group", item.group)
        if (uid, gid) != (-1, -1):
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
        if bits is not None:  # after chown, which clears the set-id bits
            os.chmod(name, int(bits, 8), dir_fd=parent)

    def _sweep(self, parent: int, place: tuple[Any, ...]) -> None:
        """Remove what a dead run left in a directory, once; a living one holds a lock on its files."""
        with self._lock:
            if place in self._swept:
                return
            self._swept.add(place)
            for name in os.listdir(parent):
                if TEMPORARY.match(name):
                    with contextlib.suppress(OSError):
                        left = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
                        try:
                            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                            os.unlink(name, dir_fd=parent)
                        finally:
                            os.close(left)

    def record(self, made: list[Made]) -> None:
        for root, folder in {(m.change.item.root, m.change.item.parts[:-1]) for m in made}:
            parent = enter(root, folder)
            if parent is not None:
                with contextlib.suppress(OSError):  # not every file system lets a directory be flushed
                    os.fsync(parent)
                os.close(parent)

    def retire(self, made: Made) -> None:
        """Directories that a prune has emptied go too."""
        item: LocalFile = made.change.item
        for depth in range(len(item.parts) - 1, 0, -1) if made.change.action == "deleted" else ():
            folder = os.path.join(item.root, *item.parts[:depth])
            parent = None if folder in self._folders else enter(item.root, item.parts[: depth - 1])
            if parent is None:
                return
            try:
                os.rmdir(item.parts[depth - 1], dir_fd=parent)
            except OSError:
                return
            finally:
                os.close(parent)

    def scopes(self, items: list[Any], pieces: list[Any], present: dict[Key, State]) -> Iterator[Scope]:
        for item, root in self._trees:
            if not item.prune:
                continue
            local = list(_regular(root))
            below = root.rstrip("/") + "/"
            surplus = []
            for path, size in local:
                if path not in self._files:
                    file = LocalFile("absent", path, root=root, parts=tuple(path[len(below) :].split("/")))
                    surplus.append(Change(file, "deleted", {"size": size}, None))
            due = sum(1 for path in self._files if path.startswith(below))
            most = (10, True) if item.max_delete is KEEP else item.max_delete
            yield Scope(root, due, len(local), surplus, most, item.allow_empty)


def _regular(root: str) -> Iterator[tuple[str, int]]:
    """(path, size) of the regular files below root, links not followed, our temporary files left out."""
    pending = [root]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in sorted(entries, key=lambda e: e.name):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.is_file(follow_symlinks=False) and not TEMPORARY.match(entry.name):
                        yield entry.path, entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _local(error, error.filename or root, "read") from None
