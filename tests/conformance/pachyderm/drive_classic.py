# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives the older official client (PyPI python-pachyderm 7.6.0).

    PACHD_ADDRESS=grpc://HOST:PORT python drive_classic.py

Prints a line for each step (see telling.py). It sends neither Commit.repo nor projects, so it judges what the server
fills in; it knows no defaults and no metadata. All that it makes is called cg-*.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import python_pachyderm
from google.protobuf.json_format import MessageToDict
from python_pachyderm.proto.v2.pfs import pfs_pb2 as pfs
from python_pachyderm.proto.v2.pps import pps_pb2 as pps
from python_pachyderm.proto.v2.transaction import transaction_pb2
from telling import Teller, web

MINE = "cg-"
REPOS = [MINE + name for name in ("hist", "contour", "photos", "r", "r2", "t", "f")]
WHERE = ("cg-f", "master")
client = python_pachyderm.Client.new_from_pachd_address(os.environ["PACHD_ADDRESS"])


def clean() -> None:
    """Takes away all that was made here."""
    for name in REPOS:
        if name in ("cg-hist", "cg-contour"):
            client.delete_pipeline(name, force=True)
    for name in REPOS:
        client.delete_repo(name, force=True)


def names(infos: Iterable[Any]) -> list[str]:
    """Of RepoInfos."""
    return [info.repo.name for info in infos if info.repo.name.startswith(MINE)]


def brief(info: Any) -> list[Any]:
    """A FileInfo."""
    return [info.file.path, pfs.FileType.Name(info.file_type), info.size_bytes, info.hash.hex()]


def versions(infos: Iterable[Any]) -> list[Any]:
    """Of PipelineInfos."""
    wanted = [info for info in infos if info.pipeline.name.startswith(MINE)]
    return [[info.pipeline.name, info.version, info.stopped] for info in wanted]


def at(repo: str, branch: str = "master") -> Callable[[], Any]:
    """What InspectBranch says then."""
    return partial(client.inspect_branch, repo, branch)


def tree(repo: str = "cg-f") -> Callable[[], list[Any]]:
    """All files then."""
    return lambda: [brief(info) for info in client.walk_file((repo, "master"), "/")]


def content(path: str) -> Callable[[], Any]:
    """A file's content then."""
    return lambda: client.get_file(WHERE, path).read()


def repos(step: Teller) -> None:
    """Repos and branches."""
    step("version", client.get_remote_version, show=lambda version: [version.major, version.minor])
    step("repo create", client.create_repo, "cg-r", "d1", then=partial(client.inspect_repo, "cg-r"))
    step("repo create again", client.create_repo, "cg-r")

    def then():
        return client.inspect_repo("cg-r").description

    step("repo update", client.create_repo, "cg-r", "d2", update=True, then=then)
    step("repo in a missing project", client.create_repo, "cg-r", project_name="cg-no")
    step("repo list", client.list_repo, show=names)
    step("repo missing", client.inspect_repo, "cg-no")
    step("repo delete missing", client.delete_repo, "cg-no")
    step("project missing", client.inspect_project, "cg-no")
    step("project list", client.list_project, show=lambda infos: any(info.project.name == "default" for info in infos))
    _branches(step)


def _branches(step: Teller) -> None:
    make = client.create_branch
    step("branch missing", at("cg-r"))
    step("branch create", make, "cg-r", "master", then=at("cg-r"))
    step("branch with head", make, "cg-r", "dev", ("cg-r", "master"), then=at("cg-r", "dev"))
    client.create_repo("cg-r2")
    source = pfs.Branch(name="master", repo=pfs.Repo(name="cg-r", type="user"))
    step("branch with provenance", make, "cg-r2", "out", provenance=[source], then=at("cg-r2", "out"))
    trigger = pfs.Trigger(branch="dev", commits=2)
    step("branch with a trigger", make, "cg-r", "t", trigger=trigger, then=at("cg-r", "t"))
    step("branch with an empty trigger", make, "cg-r", "t2", trigger=pfs.Trigger())
    step("branch list", client.list_branch, "cg-r", show=lambda infos: [info.branch.name for info in infos])
    step("branch delete with subvenance", client.delete_branch, "cg-r", "master")
    step("branch delete, force", client.delete_branch, "cg-r", "master", force=True, then=at("cg-r"))
    step("repo delete", client.delete_repo, "cg-r", force=True, then=lambda: names(client.list_repo()))


def files(step: Teller) -> None:
    """Commits and files, and a secret."""
    client.create_repo("cg-f")
    first = _open(step)
    _written(step)
    _asked(step)
    _undone(step, first)

    def left():
        return [info.secret.name for info in client.list_secret() if info.secret.name == "cg-s"]

    step("secret create", client.create_secret, "cg-s", {"k": "v"}, then=left)
    step("secret delete", client.delete_secret, "cg-s", then=partial(client.inspect_secret, "cg-s"))


def _open(step: Teller) -> Any:
    put = client.put_file_bytes
    with client.commit("cg-f", "master", description="first") as opened:

        def told(infos):
            return [[info.description, info.HasField("finishing")] for info in infos]

        step("commit open", client.inspect_commit, opened, show=told)
        step("commit start on an open head", client.start_commit, "cg-f", "master")
        step("put bytes", put, opened, "/a.txt", b"a")
        step("put bytes, append", put, opened, "/a.txt", b"b", append=True)
        step("put url", client.put_file_url, opened, "/web", f"{step.url}/a.txt")
    step("commit finished", client.wait_commit, opened)
    step("commit put finished", put, opened, "/a.txt", b"x")
    return opened


def _written(step: Teller) -> None:
    put = client.put_file_bytes
    step("read", content("/a.txt"))
    step("read a url", content("/web"))
    step("put to a branch", put, WHERE, "/a.txt", b"new", then=content("/a.txt"))

    def then():
        return brief(client.inspect_file(WHERE, "/d/empty"))

    step("put nothing", put, WHERE, "/d/empty", b"", then=then)
    step("read nothing", content("/d/empty"))
    with client.modify_file_client(WHERE) as changes:
        for size in (0, 1, 2):
            changes.put_file_from_bytes(f"/d/{size}", size * b"x")
        changes.delete_file("/web")
    step("several at once", tree())
    step("put url 404", client.put_file_url, WHERE, "/no", f"{step.url}/no")
    step("put bad path", put, WHERE, "/x*", b"x")
    step("put to a missing repo", put, ("cg-no", "master"), "/x", b"x")


def _asked(step: Teller) -> None:
    def paths(infos):
        return [info.file.path for info in infos]

    step("list", client.list_file, WHERE, "/", show=paths)
    step("list missing", client.list_file, WHERE, "/no", show=paths)
    step("glob", client.glob_file, WHERE, "/d/*", show=paths)
    step("inspect missing", client.inspect_file, WHERE, "/no")
    step("path exists", lambda: [client.path_exists(WHERE, path) for path in ("/a.txt", "/no")])
    step("read missing", content("/no"))

    def members(tar):
        return [[member.name, member.size] for member in tar]

    step("tar", client.get_file_tar, WHERE, "/", show=members)
    step("copy", client.copy_file, WHERE, "/a.txt", WHERE, "/copy", then=content("/copy"))

    def both(found):
        return [[one.old_file.file.path, one.new_file.file.path] for one in found]

    step("diff", client.diff_file, WHERE, "/", show=both)


def _undone(step: Teller, first: Any) -> None:
    step("delete", client.delete_file, WHERE, "/d/", then=tree())

    def told(infos):
        return [[i.commit.id, i.parent_commit.id, i.details.size_bytes] for i in infos]

    step("commit list", client.list_commit, "cg-f", show=told)

    def ids(infos):
        return [info.commit.id for info in infos]

    step("commit by ancestry", client.inspect_commit, ("cg-f", "master^"), show=ids)

    def of_set() -> list[str]:
        found = [info.commit for info in client.inspect_commit(first.id)]
        return [commit.branch.repo.name or commit.repo.name for commit in found]

    step("commit set by id", of_set)
    step("commit squash", client.squash_commit, first.id, then=tree())
    step("commit drop", lambda: client.drop_commit(next(client.inspect_commit(WHERE)).commit.id), then=tree())


def _spec(name: str, script: str, repo: str, **more: Any) -> dict[str, Any]:
    transform = pps.Transform(image="svekars/contour-histogram:1.0", cmd=["python3", script])
    source = pps.Input(pfs=pps.PFSInput(repo=repo, glob="/"))
    return {"pipeline_name": name, "input": source, "transform": transform, **more}


def book(step: Teller) -> None:
    """Photos by URL, contour and histogram, and the clean-up."""

    def left():
        return names(client.list_repo())

    step("book repo", client.create_repo, "cg-photos", "A repository that stores images.", then=left)
    with client.commit("cg-photos", "master") as opened:
        for number in (1, 2, 3):
            url = f"{step.url}/{number}.png"
            step(f"book photo {number}", client.put_file_url, opened, f"/image{number}.png", url)
    step("book photos", tree("cg-photos"))

    def told(infos):
        return [[info.commit.id, pfs.OriginKind.Name(info.origin.kind)] for info in infos]

    step("book commits", client.list_commit, "cg-photos", show=told)
    _pipelines(step)
    _gone(step)


def _pipelines(step: Teller) -> None:
    contour = _spec("cg-contour", "/contour.py", "cg-photos", description="c")
    histogram = _spec("cg-hist", "/histogram.py", "cg-contour")
    make = client.create_pipeline

    def every():
        return versions(client.list_pipeline())

    step("book histogram too early", make, **histogram)
    step("book contour", make, **contour, then=every)
    step("book histogram", make, **histogram, then=lambda: sorted(every()))
    step("book contour, details", client.inspect_pipeline, "cg-contour", details=True)
    step("book contour again", make, **contour)

    def history():
        return versions(client.inspect_pipeline("cg-contour", history=-1))

    step("book contour update", make, **contour, update=True, then=history)

    def now():
        return versions(client.inspect_pipeline("cg-hist"))

    step("book stop", client.stop_pipeline, "cg-hist", then=now)
    step("book start", client.start_pipeline, "cg-hist", then=now)


def _gone(step: Teller) -> None:
    def left():
        return names(client.list_repo())

    delete = client.delete_pipeline
    step("book output repo", client.delete_repo, "cg-contour", force=True)
    step("book photos, delete too early", client.delete_repo, "cg-photos")
    step("book contour, delete too early", delete, "cg-contour")
    step("book histogram, delete", delete, "cg-hist", force=True, keep_repo=False, then=lambda: sorted(left()))
    step("book contour, delete", delete, "cg-contour", force=True, keep_repo=False, then=left)
    step("book pipelines left", client.list_pipeline, show=versions)
    step("book photos, delete", client.delete_repo, "cg-photos", then=left)
    step("book pipeline missing", client.inspect_pipeline, "cg-contour")
    step("book delete missing", delete, "cg-contour")
    step("transaction", _together, then=at("cg-t"))
    repo = pfs.Repo(name="cg-t", type="user", project=pfs.Project(name="default"))
    batch = [transaction_pb2.TransactionRequest(delete_repo=pfs.DeleteRepoRequest(repo=repo))]
    step("transaction batch", client.batch_transaction, batch, then=left)


def _together() -> None:
    with client.transaction():
        client.create_repo("cg-t")
        client.create_branch("cg-t", "master")


with web() as url:
    tell = Teller(url, partial(MessageToDict, preserving_proto_field_name=True))
    clean()
    for part in (repos, files, book):
        part(tell)
        clean()
