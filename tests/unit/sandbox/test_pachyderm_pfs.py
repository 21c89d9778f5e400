# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pachd's stand-in: repos, branches and commits, with the codes and words of a real 2.12, or 2.11 where it differs."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator

import grpc
import pytest
from ansible_collections.polystore.storage.tests.support.servers import PachdServer
from ansible_collections.polystore.storage.tests.unit.sandbox.pachyderm_calls import Calls, failure
from polystore_sandbox.pachyderm.messages import message

NO_ID = "0" * 12 + "4" + "0" * 19
USER, AUTO = 1, 2


@pytest.fixture
def calls(pachd_server: PachdServer) -> Iterator[Calls]:
    with Calls(pachd_server.address) as made:
        yield made


@pytest.fixture
def repo(pachd_server: PachdServer, calls: Calls) -> str:
    """A new repo."""
    name = pachd_server.new_name()
    calls.pfs("CreateRepo", repo=calls.repo(name))
    return name


def put(calls: Calls, repo: str, branch: str = "master", **files: str) -> str:
    """One commit of these files; the id that the branch has then."""
    changes = [{"add_file": {"path": "/" + name, "raw": encoded(text)}} for name, text in files.items()]
    calls.modify(calls.branch(repo, branch), changes)
    return str(finished(calls, repo, branch).commit.id)


def encoded(text: str) -> str:
    """As JSON has bytes."""
    return base64.b64encode(text.encode()).decode()


def finished(calls: Calls, repo: str, branch: str = "master") -> object:
    """The branch's head when it is finished."""
    return calls.pfs("InspectCommit", commit=calls.commit(repo, branch), wait="FINISHED")


def head(calls: Calls, repo: str, branch: str = "master") -> str:
    """The id of the branch's head."""
    return str(calls.pfs("InspectBranch", branch=calls.branch(repo, branch)).head.id)


def test_a_repo_without_a_type_is_an_error_of_the_database(calls: Calls, repo: str) -> None:
    bare = {"name": repo}
    words = 'invalid input value for enum pfs.repo_type: "" (SQLSTATE 22P02)'
    for rpc, fields in {
        "InspectRepo": {"repo": bare},
        "DeleteRepo": {"repo": bare},
        "ListBranch": {"repo": bare},
        "InspectBranch": {"branch": {"repo": bare, "name": "master"}},
        "CreateBranch": {"branch": {"repo": bare, "name": "master"}},
        "StartCommit": {"branch": {"repo": bare, "name": "master"}},
        "ListCommit": {"repo": bare},
    }.items():
        code, text = failure(lambda rpc=rpc, fields=fields: calls.pfs(rpc, **fields))
        assert code == "UNKNOWN", rpc
        assert text.endswith(words), rpc
    typed = {"name": repo, "type": "user"}
    assert calls.pfs("InspectRepo", repo=typed).repo.project.name == "default"  # a missing project is filled


def test_a_missing_repo_is_deleted_without_a_word(calls: Calls, repo: str) -> None:
    assert calls.pfs("DeleteRepo", repo=calls.repo(repo)).deleted is True
    assert calls.pfs("DeleteRepo", repo=calls.repo(repo)).deleted is False
    assert calls.pfs("DeleteRepo", repo=calls.repo(repo, "nowhere")).deleted is False


def test_force_does_not_delete_what_is_in_a_project(pachd_server: PachdServer, calls: Calls) -> None:
    name = pachd_server.new_name()
    calls.pfs("CreateProject", project={"name": name})
    for each in ("a", "b"):
        calls.pfs("CreateRepo", repo=calls.repo(each, name))
    lines = f"cannot delete project {name}: repo {name}/a still exists\nrepo {name}/b still exists"
    assert failure(lambda: calls.pfs("DeleteProject", project={"name": name})) == ("FAILED_PRECONDITION", lines)
    code, words = failure(lambda: calls.pfs("DeleteProject", project={"name": name}, force=True))
    assert code == "UNKNOWN"
    assert words.endswith("(SQLSTATE 23503)")
    gone = calls.pfs("DeleteRepos", projects=[{"name": name}])
    assert [each.name for each in gone.repos] == ["a", "b"]
    calls.pfs("DeleteProject", project={"name": name})
    assert name not in [info.project.name for info in calls.pfs("ListProject")]


def test_a_head_moves_by_branch_id_and_ancestor(calls: Calls, repo: str) -> None:
    first, second = put(calls, repo, a="1"), put(calls, repo, a="2")
    dev = calls.branch(repo, "dev")
    for reference, wanted in {
        ("master", ""): second,
        ("", first): first,
        ("", "master^"): first,
        ("master", "^1"): first,
        ("master", "~1"): first,
        ("master^", ""): first,
    }.items():
        calls.pfs("CreateBranch", branch=dev, head=calls.commit(repo, *reference))
        assert head(calls, repo, "dev") == wanted
        calls.pfs("CreateBranch", branch=dev)
        assert head(calls, repo, "dev") == wanted  # left out: kept
    code, words = failure(lambda: calls.pfs("InspectCommit", commit=calls.commit(repo, "", "master^9")))
    assert code == "UNKNOWN"
    assert words.endswith("offset requested: 9, offset traversable: 1")
    bare = calls.make("pfs_v2.Commit", repo=calls.repo(repo), id="abc")
    assert failure(lambda: calls.pfs("InspectCommit", commit=bare))[0] == "ABORTED"


def test_2_11_has_other_words_and_no_ancestors_in_names(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    put(calls, repo, a="1")
    put(calls, repo, a="2")
    pachd_server.behave(version="2.11.6")
    code, words = failure(lambda: calls.pfs("InspectCommit", commit=calls.commit(repo, "master^")))
    assert (code, words.splitlines()[-1]) == ("NOT_FOUND", f'branch "master^" not found in repo default/{repo}')
    far = failure(lambda: calls.pfs("InspectCommit", commit=calls.commit(repo, "", "master^9")))
    assert far == ("NOT_FOUND", f"inspect commitHandle: commit default/{repo}@master^9 not found")
    gone = failure(lambda: calls.pfs("FinishCommit", commit=calls.commit(repo, "", NO_ID)))
    assert gone == ("NOT_FOUND", f"finish commit in transaction: commit default/{repo}@{NO_ID} not found")


def test_provenance_is_set_exactly(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    other, out = pachd_server.new_name(), pachd_server.new_name()
    for name in (other, out):
        calls.pfs("CreateRepo", repo=calls.repo(name))
    branch, one, two = calls.branch(out, "out"), calls.branch(repo), calls.branch(other)

    def set_to(*wanted: object) -> str:
        request = calls.make("pfs_v2.CreateBranchRequest", branch=branch)
        request.provenance.extend(wanted)
        calls.call("pfs_v2.API/CreateBranch", request)
        info = calls.pfs("InspectBranch", branch=branch)
        assert sorted(each.repo.name for each in info.direct_provenance) == sorted(each.repo.name for each in wanted)
        return str(info.head.id)

    first = set_to(one)  # its branch is made
    assert finished(calls, repo).origin.kind == AUTO
    assert set_to(one) == first
    both = set_to(one, two)
    assert both != first
    assert set_to(two, one) == both
    fewer = set_to(two)
    assert fewer != both
    assert set_to() == fewer
    open_one = calls.pfs("InspectCommit", commit=calls.commit(out, "out"))
    assert not open_one.HasField("finishing")
    with pytest.raises(grpc.RpcError) as late:
        request = calls.make("pfs_v2.InspectCommitRequest", commit=calls.commit(out, "out"), wait="FINISHED")
        calls.call("pfs_v2.API/InspectCommit", request, timeout=0.3)
    assert late.value.code().name == "DEADLINE_EXCEEDED"


def test_a_write_is_followed_by_what_depends_on_it(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    out = pachd_server.new_name()
    calls.pfs("CreateRepo", repo=calls.repo(out))
    request = calls.make("pfs_v2.CreateBranchRequest", branch=calls.branch(out, "out"))
    request.provenance.append(calls.branch(repo))
    calls.call("pfs_v2.API/CreateBranch", request)
    written = put(calls, repo, a="1")
    assert head(calls, out, "out") == written  # the same id in another repo
    info = calls.pfs("InspectCommit", commit=calls.commit(out, "out"))
    assert [each.id for each in info.direct_provenance] == [written]
    both = calls.pfs("InspectCommitSet", commit_set={"id": written})
    assert sorted(each.commit.repo.name for each in both) == sorted([repo, out])
    calls.modify(calls.branch(out, "out"), [{"add_file": {"path": "/x", "raw": encoded("x")}}])
    assert head(calls, out, "out") == written  # it joined the open head
    calls.pfs("FinishCommit", commit=calls.commit(out, "out"))  # it is no pipeline's
    finished(calls, out, "out")
    words = f"cannot start a commit on an output branch: default/{out}@out"
    assert failure(lambda: put(calls, out, "out", y="y")) == ("UNKNOWN", words)
    start = failure(lambda: calls.pfs("StartCommit", branch=calls.branch(out, "out")))
    assert start == ("UNKNOWN", f"start commit in transaction: {words}")


def test_provenance_that_cannot_be(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    out, last = pachd_server.new_name(), pachd_server.new_name()
    for name in (out, last):
        calls.pfs("CreateRepo", repo=calls.repo(name))

    def follow(branch: object, *wanted: object) -> object:
        request = calls.make("pfs_v2.CreateBranchRequest", branch=branch)
        request.provenance.extend(wanted)
        return calls.call("pfs_v2.API/CreateBranch", request)

    follow(calls.branch(out), calls.branch(repo))
    assert failure(lambda: follow(calls.branch(repo), calls.branch(out)))[0] == "INTERNAL"
    words = f"repo default/{repo} cannot be in the provenance of its own branch"
    assert failure(lambda: follow(calls.branch(repo, "x"), calls.branch(repo))) == ("UNKNOWN", words)
    code, words = failure(lambda: follow(calls.branch(last), calls.branch(out), calls.branch(repo, "other")))
    assert code == "UNKNOWN"
    assert f'multiple branches from the same repo, "default/{repo}", cannot participate in a DAG' in words
    new = [calls.branch(repo, name) for name in ("other", "more")]
    assert failure(lambda: follow(calls.branch(last), *new))[0] == "ABORTED"  # two of one repo that it would make
    assert failure(lambda: calls.pfs("InspectBranch", branch=calls.branch(repo, "other")))[0] == "NOT_FOUND"
    code, words = failure(lambda: calls.pfs("DeleteRepo", repo=calls.repo(repo)))
    shown = f"default/{repo}@master"
    assert words.startswith(f'delete repo: delete branch {shown}: branch "{shown}" cannot be deleted because it\'s in')
    assert calls.pfs("DeleteRepo", repo=calls.repo(repo), force=True).deleted


def test_a_trigger_fires_and_holds_its_branch(calls: Calls, repo: str) -> None:
    put(calls, repo, "dev", a="1")
    watcher = calls.branch(repo, "t")
    calls.pfs("CreateBranch", branch=watcher, trigger={"branch": "dev", "commits": 2})
    fired = put(calls, repo, "dev", b="2")
    assert head(calls, repo, "t") == fired
    put(calls, repo, "dev", c="3")
    assert head(calls, repo, "t") == fired
    again = put(calls, repo, "dev", d="4")
    assert head(calls, repo, "t") == again
    kept = calls.pfs("InspectBranch", branch=watcher).trigger
    assert (kept.branch, kept.commits) == ("dev", 2)
    shown = f"default/{repo}"
    for name, why in {"dev": "is triggered by", "t": "triggers"}.items():
        words = {"dev": f"[{shown}@t]", "t": f"[{shown}@dev]"}[name]
        got = failure(lambda name=name: calls.pfs("DeleteBranch", branch=calls.branch(repo, name)))
        assert got == ("UNKNOWN", f'branch "{shown}@{name}" cannot be deleted because it {why} branches {words}')
    assert failure(lambda: calls.pfs("DeleteRepo", repo=calls.repo(repo)))[0] == "UNKNOWN"
    empty = failure(lambda: calls.pfs("CreateBranch", branch=watcher, trigger={}))
    assert empty == ("UNKNOWN", "triggers must specify a branch to trigger on")
    calls.pfs("DeleteBranch", branch=watcher, force=True)
    calls.pfs("DeleteBranch", branch=calls.branch(repo, "dev"))


def test_open_commits_hold_their_branch(calls: Calls, repo: str) -> None:
    branch = calls.branch(repo)
    one = calls.pfs("StartCommit", branch=branch, description="d")
    assert failure(lambda: calls.pfs("StartCommit", branch=branch))[0] == "UNKNOWN"
    calls.modify(branch, [{"add_file": {"path": "/a", "raw": encoded("a")}}])
    assert head(calls, repo) == one.id
    info = calls.pfs("InspectCommit", commit=one)
    assert not info.HasField("finishing")
    calls.pfs("FinishCommit", commit=one)
    assert finished(calls, repo).details.size_bytes == 1
    words = f"commit default/{repo}@{one.id} has already finished"
    assert failure(lambda: calls.pfs("FinishCommit", commit=one)) == ("UNKNOWN", words)
    assert failure(lambda: calls.pfs("ClearCommit", commit=one)) == ("UNKNOWN", "cannot clear finished commit")


def test_finishing_is_seen_before_finished(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    pachd_server.behave(finish_seconds=0.4)
    calls.modify(calls.branch(repo), [{"add_file": {"path": "/a", "raw": encoded("a")}}])
    info = calls.pfs("InspectCommit", commit=calls.commit(repo, "master"))
    assert info.HasField("finishing")
    assert not info.HasField("finished")
    assert calls.pfs("InspectFile", file=calls.file(repo, "/a")).size_bytes == 1  # waits
    assert calls.pfs("InspectCommit", commit=calls.commit(repo, "master")).HasField("finished")


def test_who_waits_is_not_misled_by_what_is_taken_back(pachd_server: PachdServer, calls: Calls, repo: str) -> None:
    pachd_server.behave(finish_seconds=0.5)
    calls.modify(calls.branch(repo), [{"add_file": {"path": "/a", "raw": encoded("a")}}])
    waiting = calls.later("InspectCommit", commit=calls.commit(repo, "master"), wait="FINISHED")
    reading = calls.later("InspectFile", file=calls.file(repo, "/a"))
    pachd_server.wait_for(lambda: len(pachd_server.requests(path=repo)) >= 2)
    request = calls.make("pfs_v2.CreateBranchRequest", branch=calls.branch(repo, "x"))
    request.provenance.append(calls.branch(repo + "-no"))
    assert failure(lambda: calls.call("pfs_v2.API/CreateBranch", request))[0] == "NOT_FOUND"
    assert waiting.result().HasField("finished")
    assert reading.result().size_bytes == 1


def test_dropping_and_squashing(calls: Calls, repo: str) -> None:
    ids = [put(calls, repo, **{name: name}) for name in "abcd"]

    def left() -> list[str]:
        return [info.commit.id for info in calls.pfs("ListCommit", repo=calls.repo(repo))][::-1]

    assert failure(lambda: calls.pfs("DropCommit", commit=calls.commit(repo, "", ids[0])))[1] == (
        f"cannot drop a commit that has children: default/{repo}@{ids[0]}"
    )
    calls.pfs("SquashCommit", commit=calls.commit(repo, "", ids[1]))
    assert left() == [ids[0], ids[2], ids[3]]
    assert len(calls.pfs("WalkFile", file=calls.file(repo, "/"))) == 5
    calls.pfs("DropCommitSet", commit_set={"id": ids[3]})
    assert head(calls, repo) == ids[2]
    assert len(calls.pfs("WalkFile", file=calls.file(repo, "/"))) == 4
    calls.pfs("SquashCommitSet", commit_set={"id": ids[0]})
    assert left() == [ids[2]]
    assert failure(lambda: calls.pfs("DropCommit", commit=calls.commit(repo, "", NO_ID)))[0] == "NOT_FOUND"
    calls.pfs("DropCommitSet", commit_set={"id": NO_ID})


def test_lists_of_commits(calls: Calls, repo: str) -> None:
    ids = [put(calls, repo, **{name: name}) for name in "abc"]

    def listed(**fields: object) -> list[str]:
        return [info.commit.id for info in calls.pfs("ListCommit", repo=calls.repo(repo), **fields)]

    to = calls.commit(repo, "master")
    assert listed() == ids[::-1]
    assert listed(reverse=True) == ids
    assert listed(number=1) == ids[2:]
    assert listed(to=to, **{"from": calls.commit(repo, "", ids[0])}) == [ids[2], ids[1]]
    assert listed(to=to, **{"from": calls.commit(repo, "master^")}) == ids[::-1]
    assert listed(origin_kind="AUTO") == []
    alone = failure(lambda: listed(**{"from": calls.commit(repo, "", ids[0])}))
    assert alone == ("UNKNOWN", "cannot use `from` commit without `to` commit")


def test_new_commits_are_told_to_who_waits_for_them(calls: Calls, repo: str) -> None:
    request = calls.make("pfs_v2.SubscribeCommitRequest", repo=calls.repo(repo), branch="master", state="FINISHED")
    stream = calls.channel.unary_stream(
        "/pfs_v2.API/SubscribeCommit",
        request_serializer=lambda value: value.SerializeToString(),
        response_deserializer=message("pfs_v2.CommitInfo").FromString,
    )(request, timeout=60)
    for name in "ab":
        assert put(calls, repo, **{name: name}) == next(stream).commit.id
    with contextlib.suppress(grpc.RpcError):
        stream.cancel()
