# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at files and reading them."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any

from polystore_sandbox.pachyderm.base import Call, Refused, Service, waits
from polystore_sandbox.pachyderm.content import PIECE, Tree
from polystore_sandbox.pachyderm.lookup import get_commit
from polystore_sandbox.pachyderm.state import Commit, settled, show_repo, stamp
from polystore_sandbox.pachyderm.tree import Entry, clean, glob, look
from polystore_sandbox.pachyderm.views import commit_message

FILE, DIR = 1, 2
Looked = tuple[Commit, Tree]


class Reading(Service):
    """pfs_v2.API: files."""

    grpc = "pfs_v2.API"
    settings = {"message_bytes": PIECE}

    def _look(self, reference: Any, call: Call, permission: str = "REPO_READ") -> Looked:
        """A commit and its files; one that is finishing is waited for."""
        with self.state.lock:
            commit = get_commit(self.state, reference)
            self.state.permit(call, permission, "REPO", show_repo(commit.repo))
            self.state.wait(lambda: settled(self.state.again(commit)), call)
            return commit, self.state.again(commit).files

    def _reference(self, commit: Commit) -> Any:
        with self.state.lock:
            return commit_message(self.state, commit.key)

    def _info(self, commit: Commit, entry: Entry) -> Any:
        file = self.make("pfs_v2.File", commit=self._reference(commit))
        info = self.make("pfs_v2.FileInfo", file=file, committed=stamp(commit.finishing))
        self._fill(info, entry)
        return info

    def _fill(self, info: Any, entry: Entry) -> None:
        """What is an entry's own."""
        folder = entry.content is None
        info.file.path, info.file.datum = entry.path, "" if folder else "default"
        info.file_type, info.size_bytes = DIR if folder else FILE, entry.size
        info.hash = self._hash(entry)

    def _hash(self, entry: Entry) -> bytes:
        """Before 2.1.6 it was worked out in another way; here it is only another one."""
        digest = entry.digest(self.state.store)
        return digest if self.state.version >= (2, 1, 6) else digest[::-1]

    def _missing(self, commit: Commit, path: str) -> Refused:
        return Refused("NOT_FOUND", f"file {clean(path)} not found in repo {show_repo(commit.repo)} at commit ")

    def _matching(self, file: Any, call: Call) -> tuple[Commit, list[Entry]]:
        """What a path means that may be a pattern; NOT_FOUND for nothing."""
        commit, files = self._look(file.commit, call)
        found = glob(files, file.path)
        if not found:
            raise self._missing(commit, file.path)
        return commit, found

    @waits
    def InspectFile(self, request: Any, call: Call) -> Any:
        """A file or a directory."""
        commit, found = self._matching(request.file, call)
        return self._info(commit, found[0])

    def WalkFile(self, request: Any, call: Call) -> Iterator[Any]:
        """A file, or a directory with all below it."""
        commit, files = self._look(request.file.commit, call)
        path = clean(request.file.path)
        top = look(files, path)
        if top is None:
            if path == "/":
                return
            raise Refused("NOT_FOUND", f"commit/{commit.id} does not contain item: ({path})")
        yield from self._page(request, commit, top.walk())

    def ListFile(self, request: Any, call: Call) -> Iterator[Any]:
        """A file, or what is in a directory; nothing for what is not there."""
        commit, files = self._look(request.file.commit, call, "REPO_LIST_FILE")
        top = look(files, clean(request.file.path))
        if top is None:
            return
        yield from self._page(request, commit, top.children if top.content is None else [top])

    def _page(self, request: Any, commit: Commit, entries: Any) -> Iterator[Any]:
        if request.HasField("paginationMarker") or request.reverse:
            entries, after = list(entries), request.paginationMarker.path
            if request.reverse:
                entries.reverse()
            if after:
                entries = [one for one in entries if (one.path < after if request.reverse else one.path > after)]
        info = None
        for number, entry in enumerate(entries):
            if request.number and number >= request.number:
                return
            if info is None:
                info = self._info(commit, entry)
            else:  # what they have in common stays: there may be very many
                self._fill(info, entry)
            yield info

    def GlobFile(self, request: Any, call: Call) -> Iterator[Any]:
        """What a pattern matches."""
        commit, files = self._look(request.commit, call, "REPO_LIST_FILE")
        for entry in glob(files, request.pattern):
            yield self._info(commit, entry)

    def DiffFile(self, request: Any, call: Call) -> Iterator[Any]:
        """What differs, with the directories that it is in; from the parent when nothing older is named."""
        commit, files = self._look(request.new_file.commit, call)
        path, before, old_path, old = clean(request.new_file.path), None, "", Tree()
        if request.HasField("old_file"):
            before, old = self._look(request.old_file.commit, call)
            old_path = clean(request.old_file.path)
        elif commit.parent:
            with self.state.lock:
                before = self.state.repos[commit.repo].commits[commit.parent]
                old, old_path = before.files, path
        sides: list[dict[str, Entry]] = []
        for tree, start in ((files, path), (old, old_path)):
            top = look(tree, start) if start else None
            sides.append({entry.path: entry for entry in (top.walk() if top else ())})
        store = self.state.store
        for each in sorted(set(sides[0]) | set(sides[1])):
            new, was = sides[0].get(each), sides[1].get(each)
            if new and was and new.digest(store) == was.digest(store):
                continue
            yield self.make(
                "pfs_v2.DiffFileResponse",
                new_file=self._info(commit, new) if new else None,
                old_file=self._info(before, was) if was and before else None,
            )

    def GetFile(self, request: Any, call: Call) -> Iterator[Any]:
        """The bytes of one file."""
        _commit, found = self._matching(request.file, call)
        if len(found) > 1:
            raise Refused("UNKNOWN", "matched multiple files. Use GetFileTAR instead")
        content = found[0].content
        if content is None:
            raise Refused("UNKNOWN", "cannot get directory or non-regular file. Use GetFileTAR instead")
        for data in self.state.store.read(content, request.offset, self.state.settings["message_bytes"]):
            yield self.make("google.protobuf.BytesValue", value=data)

    def GetFileTAR(self, request: Any, call: Call) -> Iterator[Any]:
        """Files and directories with all in them, as one archive."""
        commit, found = self._matching(request.file, call)
        for top in found:
            for entry in top.walk():
                yield from self._packed(commit, entry)
        yield self.make("google.protobuf.BytesValue", value=bytes(2 * tarfile.BLOCKSIZE))

    def _packed(self, commit: Commit, entry: Entry) -> Iterator[Any]:
        header = tarfile.TarInfo(entry.path.lstrip("/"))
        header.mode, header.mtime = 0o644, commit.finishing // 10**9
        if entry.content is None:
            header.type, header.mode = tarfile.DIRTYPE, 0o755
        else:
            header.size = entry.size
        yield self.make("google.protobuf.BytesValue", value=header.tobuf(tarfile.GNU_FORMAT))
        if entry.content is None:
            return
        for data in self.state.store.read(entry.content):
            yield self.make("google.protobuf.BytesValue", value=data)
        if lacking := -entry.size % tarfile.BLOCKSIZE:
            yield self.make("google.protobuf.BytesValue", value=bytes(lacking))


SERVICES: list[type[Service]] = [Reading]
