# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ModifyFile: one stream of changes to the files of a branch, applied at its end or not at all."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from polystore_sandbox.pachyderm import graph
from polystore_sandbox.pachyderm.base import Call, Refused, Service
from polystore_sandbox.pachyderm.commits import check_startable
from polystore_sandbox.pachyderm.content import Content, Store, Tree, Writer
from polystore_sandbox.pachyderm.lookup import PANIC, check_name, commit_repo, find_branch, get_commit, get_repo
from polystore_sandbox.pachyderm.state import USER, BranchKey, Commit, State, settled, show_branch, show_repo
from polystore_sandbox.pachyderm.tree import check_path, clean


class Changes:
    """What a stream asks for, in its order."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.steps: list[tuple[str, str, Any]] = []  # delete, add or put; a path; a writer or a content
        self.open: dict[str, Writer] = {}  # what more of the same path goes on with

    def take(self, request: Any) -> None:
        """One message."""
        kind = request.WhichOneof("body")
        if kind == "set_commit":
            raise Refused("UNKNOWN", "cannot set commit")
        if kind == "add_file":
            self._add(request.add_file)
        elif kind == "delete_file":
            check_path(request.delete_file.path)
            path = request.delete_file.path
            self.open.clear()
            self.steps.append(
                ("delete", clean(path) + ("/" if path.endswith("/") and clean(path) != "/" else ""), None)
            )
        elif kind == "copy_file":
            self._copy(request.copy_file)

    def _add(self, wanted: Any) -> None:
        check_path(wanted.path)
        path = clean(wanted.path)
        writer = self.open.get(path)
        if writer is None:
            writer = self.open[path] = self.state.store.writer()
            self.steps.append(("add", path, writer))
        if wanted.WhichOneof("source") == "url":
            for data in fetch(wanted.url.URL):
                writer.write(data)
        else:
            writer.write(wanted.raw.value)

    def _source(self, reference: Any) -> Commit:
        """The commit to copy from: the one place where the server does not take the branch's repo."""
        state = self.state
        if state.since(6) and not (reference.HasField("commit") and reference.commit.HasField("repo")):
            if not state.since(12):
                raise Refused("ABORTED", PANIC)
            lacking = "commit with no repo" if reference.HasField("commit") else "nil commit"
            raise Refused("UNKNOWN", f"pick commit tx: cannot pick {lacking}")
        with state.lock:
            get_repo(state, commit_repo(reference.commit))
            return get_commit(state, reference.commit)

    def _copy(self, wanted: Any) -> None:
        commit, source, into = self._source(wanted.src), clean(wanted.src.path), clean(wanted.dst)
        self.open.clear()
        with self.state.lock:
            self.state.wait(lambda: settled(self.state.again(commit)))
            commit = self.state.again(commit)
            found = {path: content for path, content in commit.files.items() if path == source}
            below = source.rstrip("/") + "/"
            found.update((path, content) for path, content in commit.files.items() if path.startswith(below))
        for path, content in sorted(found.items()):
            target = clean(into + "/" + path[len(source) :]) if path != source else into
            if not wanted.append:
                self.steps.append(("delete", target, None))
            self.steps.append(("put", target, content))

    def apply(self, files: Tree) -> Tree:
        """The files with the changes."""
        store, made = self.state.store, Tree(files)
        for kind, path, value in self.steps:
            if kind == "delete":
                made.pop(path, None)
                if path.endswith("/"):
                    for inside in [inside for inside in made if inside.startswith(path)]:
                        del made[inside]
            elif path != "/":
                content = value.done() if kind == "add" else value
                made[path] = joined(store, made[path], content) if path in made else content
        return made

    def drop(self) -> None:
        """Forgets what was written."""
        for kind, _path, value in self.steps:
            if kind == "add":
                value.drop()


def joined(store: Store, first: Content, second: Content) -> Content:
    """One content after the other."""
    if not first.size or not second.size:
        return first if first.size else second
    writer = store.writer()
    for content in (first, second):
        for data in store.read(content, piece=2**20):
            writer.write(data)
    return writer.done()


def fetch(url: str) -> Iterator[bytes]:
    """What is at a URL, with the words of Go's client for what goes wrong."""
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme not in ("http", "https"):
        raise Refused("UNKNOWN", f"unrecognized object store: {scheme}")
    place = urllib.parse.urlsplit(url)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
            while data := answer.read(2**20):
                yield data
    except urllib.error.HTTPError as exc:
        words = f'error retrieving content from "{url}": {exc.code} {exc.reason}'
        raise Refused("UNKNOWN", words) from exc
    except OSError as exc:
        why = str(getattr(exc, "reason", exc))
        if "refused" in why:
            why = "connect: connection refused"
        port = place.port or (443 if scheme == "https" else 80)
        raise Refused("UNKNOWN", f'Get "{url}": dial tcp {place.hostname}:{port}: {why}') from exc


class Writing(Service):
    """pfs_v2.API: ModifyFile."""

    grpc = "pfs_v2.API"

    def ModifyFile(self, requests: Any, call: Call) -> Any:
        """Collects the stream, and makes one commit of it when it has ended well."""
        first = next(requests, None)
        if first is None:
            raise Refused("UNKNOWN", "EOF")
        if first.WhichOneof("body") != "set_commit":
            raise Refused("UNKNOWN", "first message must be a commit")
        with self.state.lock:
            self.state.settle()
            key, commit = self._target(first.set_commit)
            self.state.permit(call, "REPO_WRITE", "REPO", show_repo(key[0]))
        changes = Changes(self.state)
        try:
            for request in requests:
                changes.take(request)
        except BaseException:
            changes.drop()
            raise
        with self.state.lock:
            self.state.settle()
            self._apply(key, commit, changes)
        return self.empty()

    def _target(self, reference: Any) -> tuple[BranchKey, Commit | None]:
        """The branch, or the open commit that was named by its id."""
        state = self.state
        repo = get_repo(state, commit_repo(reference))
        name, wanted = reference.branch.name, reference.id
        if wanted in repo.commits:
            commit = repo.commits[wanted]
            if commit.finishing:
                raise Refused("UNKNOWN", f"commit {show_branch(commit.key)} has already finished")
            return (repo.key, name), commit
        if wanted and name and not state.since(12):
            words = f"invalid commit ID given with a branch ({show_branch((repo.key, name))}): {wanted}"
            raise Refused("UNKNOWN", words)
        name = re.split(r"[\^~]", name or wanted)[0]
        check_name(name)
        return (repo.key, name), None

    def _apply(self, key: BranchKey, commit: Commit | None, changes: Changes) -> None:
        state = self.state
        repo = get_repo(state, key[0])
        branch = find_branch(state, key)
        head = state.again(commit) if commit else (repo.commits.get(branch.head) if branch else None)
        if head is not None and not head.finishing:
            head.files = changes.apply(head.files)
            return
        if commit is not None:
            raise Refused("UNKNOWN", f"commit {show_branch(commit.key)} has already finished")
        check_startable(state, key)
        made = graph.start_commit(state, key, USER)
        made.files = changes.apply(made.files)
        graph.finish_commit(state, made)


SERVICES: list[type[Service]] = [Writing]
