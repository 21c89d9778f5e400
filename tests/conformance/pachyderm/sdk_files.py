# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps with commits and files."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

from pachyderm_sdk.api import pfs
from sdk import NO_ID, branch, brief, client, commit, ended, file, ids, message, paths, put, repo, whole
from telling import Teller

api = client.pfs
MIB = 2**20


def commits(step: Teller) -> None:
    """Opened, written to, cleared, finished, listed, named by ancestry, squashed and dropped."""
    api.create_repo(repo=repo("cf-c"))
    first = _open(step)
    for number in (2, 3):
        put("cf-c@master", {f"/{number}": b"x"})
    _lists(step, first)
    _undone(step, first)


def _walk() -> list[str]:
    return paths(api.walk_file(file=file("cf-c@master:/")))


def _listed() -> list[str]:
    return ids(api.list_commit(repo=repo("cf-c")))


def _open(step: Teller) -> Any:
    head, master = commit("cf-c@master"), branch("cf-c@master")
    first = step("commit start", api.start_commit, branch=master, description="first")

    def state() -> Any:
        return [api.inspect_commit(commit=first), api.inspect_branch(branch=master).head.id]

    step("commit open", state)
    step("commit start on an open head", api.start_commit, branch=master)
    step("commit put", api.put_file_from_bytes, commit=first, path="/a", data=b"1", then=state)
    step(
        "commit put to the branch with an open head",
        api.put_file_from_bytes,
        commit=head,
        path="/b",
        data=b"2",
        then=state,
    )
    step("commit read open", _walk)
    step("commit clear", api.clear_commit, commit=first, then=_walk)
    step("commit finish", api.finish_commit, commit=first, description="done", then=lambda: api.wait_commit(first))
    for call in (api.finish_commit, api.clear_commit):
        step(f"commit finished: {call.__name__}", call, commit=first)
    step("commit put finished", api.put_file_from_bytes, commit=first, path="/a", data=b"1")
    return first


def _lists(step: Teller, first: Any) -> None:
    listing, head = partial(api.list_commit, repo=repo("cf-c")), commit("cf-c@master")
    parent = commit("cf-c@master^")
    step("commit list", listing)
    step("commit list, number", listing, number=1, show=ids)
    step("commit list, reverse", listing, reverse=True, show=ids)
    step("commit list, to", listing, to=parent, show=ids)
    step("commit list, from", listing, to=head, from_=first, show=ids)
    step("commit list, from alone", listing, from_=first, show=ids)
    step("commit list, from an ancestor", listing, to=head, from_=parent, show=ids)
    step("commit list, origin", listing, origin_kind=pfs.OriginKind.USER, show=ids)
    step("commit list, all", listing, all=True, show=ids)


def _undone(step: Teller, first: Any) -> None:
    look = api.inspect_commit
    step("commit of a missing branch", look, commit=commit("cf-c@nob"))
    for call in (look, api.drop_commit, api.finish_commit):
        step(f"commit missing: {call.__name__}", call, commit=commit(f"cf-c@{NO_ID}"))
    step("commit ancestor", look, commit=commit("cf-c@master^2"))
    step("commit too far", look, commit=commit("cf-c@master^9"))
    step("commit set", api.inspect_commit_set, commit_set=pfs.CommitSet(id=first.id), show=ids)
    step("commit drop with children", api.drop_commit, commit=first)

    def away(call: Callable[..., Any], name: str) -> Any:
        return call(commit=look(commit=commit(name)).commit)

    step("commit squash", away, api.squash_commit, "cf-c@master^", then=lambda: [_walk(), _listed()])
    step("commit drop the head", away, api.drop_commit, "cf-c@master", then=_listed)
    step("commit drop set missing", api.drop_commit_set, commit_set=pfs.CommitSet(id=NO_ID))


HEAD = commit("cf-f@master")


def _at(path: str) -> Any:
    return file("cf-f@master:" + path)


def _read(path: str) -> Callable[[], bytes]:
    return lambda: whole(api.get_file(file=_at(path)))


def _info(path: str) -> Callable[[], list[Any]]:
    return lambda: brief(api.inspect_file(file=_at(path)))


def _tree(path: str = "/") -> Callable[[], list[str]]:
    return lambda: paths(api.walk_file(file=_at(path)))


def files(step: Teller) -> None:
    """Written in all ways, read in all ways, and what is refused; in the order in which the answers were recorded."""
    api.create_repo(repo=repo("cf-f"))
    _written(step)
    _copied(step)
    _told(step)
    _removed(step)
    _collided(step)
    _streams(step)


def _written(step: Teller) -> None:
    store = api.put_file_from_bytes
    step("file put to a missing repo", store, commit=commit("cf-no@master"), path="/a", data=b"a")
    then: Callable[[], Any] = partial(api.inspect_file, file=_at("/a.txt"))
    step("file put makes the branch", store, commit=HEAD, path="/a.txt", data=b"a", then=then)
    step("file commit", api.wait_commit, HEAD)
    step("file overwrite", store, commit=HEAD, path="/a.txt", data=b"bb", then=_read("/a.txt"))
    step("file append", store, commit=HEAD, path="/a.txt", data=b"cc", append=True, then=_read("/a.txt"))

    def then():
        return [_info("/d/empty")(), _read("/d/empty")()]

    step("file empty", store, commit=HEAD, path="/d/empty", data=b"", then=then)
    zeros = io.BytesIO(bytes(70000))
    step("file from a file object", api.put_file_from_file, commit=HEAD, path="/zero", file=zeros, then=_info("/zero"))
    three = {"/d/x": b"x", "/d/y": b"y", "/e/z": 5000 * b"z"}
    step("file three in one", put, "cf-f@master", three, show=ended)
    big = 24576 * bytes(range(256))
    stream = [message(set_commit=HEAD)]
    for start in range(0, len(big), MIB):
        stream.append(message(add_file=pfs.AddFile(path="/big", raw=big[start : start + MIB])))
    step("file 6 MiB", api.modify_file, iter(stream), then=_info("/big"))
    read = partial(api.get_file, file=_at("/big"))
    step("file 6 MiB get", read, show=whole)
    step("file get from an offset", read, offset=len(big) - 3, show=lambda parts: whole(parts).hex())
    step("file get past the end", read, offset=len(big) + 3)
    urls = {"": f"{step.url}/a.txt", " empty": f"{step.url}/empty", " 404": f"{step.url}/no"}
    urls |= {" refused": "http://127.0.0.1:9/", " scheme": "ftp://x/y"}
    for name, url in urls.items():
        step(f"file url{name}", api.put_file_from_url, commit=HEAD, path="/web", url=url, then=_read("/web"))


def _copied(step: Teller) -> None:
    copy = partial(api.copy_file, commit=HEAD)
    step("file copy", copy, src=_at("/a.txt"), dst="/copy", then=_read("/copy"))
    step("file copy appends", copy, src=_at("/a.txt"), dst="/copy", append=True, then=_read("/copy"))
    step("file copy of a tree", copy, src=_at("/d"), dst="/d2", then=_tree("/d2"))
    then = partial(api.path_exists, _at("/copy2"))
    step("file copy of nothing", copy, src=_at("/no"), dst="/copy2", then=then)


def _told(step: Teller) -> None:
    def shown(infos: Any) -> Any:
        return [brief(info) for info in infos]

    step("file walk", api.walk_file, file=_at("/"), show=shown)
    step("file list", api.list_file, file=_at("/"), show=shown)
    for path in ("/a.txt", "/d", "/d/", "/no"):
        for call in (api.walk_file, api.list_file):
            step(f"file {call.__name__} {path}", call, file=_at(path), show=_paths_or_all)
        step(f"file get_file_tar {path}", api.get_file_tar, file=_at(path), show=lambda parts: len(whole(parts)) > 0)
        step(f"file inspect {path}", _info(path))
        step(f"file get {path}", _read(path))
    for pattern in ("/*", "/d/*", "/**", "/d*/x", "/[ae]*", "/{a.txt,copy}", "/no*", "/["):
        step(f"file glob {pattern}", api.glob_file, commit=HEAD, pattern=pattern, show=paths)
    step("file on a missing branch", api.inspect_file, file=file("cf-f@nob:/a"))
    step("file get several", _read("/d/*"))

    def members(tar):
        return [[member.name, member.isdir(), member.size] for member in tar]

    step("file tar", api.pfs_tar_file, _at("/"), show=members)
    older = file("cf-f@master^6:/")
    step("file diff with an ancestor", api.diff_file, new_file=_at("/"), old_file=older, show=_differences)


def _paths_or_all(infos: list[Any]) -> Any:
    return paths(infos) if infos else False


def _differences(found: Any) -> Any:
    return [[side.file.path if side.file else None for side in (one.old_file, one.new_file)] for one in found]


def _removed(step: Teller) -> None:
    for path in ("/d2", "/no", "/a.txt", "/d/"):
        step(f"file delete {path}", api.delete_file, commit=HEAD, path=path, then=_tree())
    step("file diff with the parent", api.diff_file, new_file=_at("/"), show=_differences)
    odd = ["", "/x*", "/a?b", "/[x]", "/{x}", "/a!b", "/(x)", "/a@b", "/a+b", "/a^b"]
    odd += ["/../x", "/./x", "x/..", "/\u00fc", "/a\nb", "a/b", "//c///d", "/..."]
    for path in odd:
        step(f"file path {path!r}", put, "cf-f@paths", {path: b"x"}, show=ended)
    step("file paths made", api.walk_file, file=file("cf-f@paths:/"), show=paths)


def _collided(step: Teller) -> None:
    cases = [
        ("below a file", "/copy/x"),
        ("after that", "/good"),
        ("over a directory", "/e"),
        ("after that too", "/good2"),
    ]
    for name, path in cases:
        step(f"file {name}", put, "cf-f@master", {path: b"x"}, show=ended)
        step(f"file {name}, walked", _tree())
        step(f"file {name}, read", _read(path))
        step(f"file {name}, another inspected", _info("/zero"))


def _streams(step: Teller) -> None:
    send, start = api.modify_file, message(set_commit=HEAD)
    step("stream empty", send, iter(()))
    step("stream of set_commit only", put, "cf-f@none", {}, show=ended)
    step("stream without set_commit", send, iter([message(add_file=pfs.AddFile(path="/x", raw=b"x"))]))
    step("stream with two set_commit", send, iter([start, start]))
    top = file("cf-f@none:/")

    def nothing() -> Any:
        globbed = api.glob_file(commit=commit("cf-f@none"), pattern="/*")
        return [list(api.walk_file(file=top)), list(api.list_file(file=top)), list(globbed)]

    step("empty commit", nothing)
    step("empty commit: inspect the root", api.inspect_file, file=top)

    def look(info):
        return [sorted(one.name for one in info.branches), info.details]

    step("file repo", api.inspect_repo, repo=repo("cf-f"), show=look)
