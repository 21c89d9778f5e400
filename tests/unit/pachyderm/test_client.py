# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pachyderm client: what is sent and sent again, streams, commits, versions, and the recorded calls."""

from __future__ import annotations

import json
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import client as under_test
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import schema
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.client import (
    PachydermError,
)
from ansible_collections.polystore.storage.tests.support.waiting import wait_for
from ansible_collections.polystore.storage.tests.unit.pachyderm.double import Double, Refused, Seen, doubled, refusal

VECTORS: list[dict[str, Any]] = json.loads((pathlib.Path(__file__).parent / "vectors.json").read_text("utf-8"))
INSPECT, CREATE, LIST = "pfs_v2.API/InspectRepo", "pfs_v2.API/CreateRepo", "pfs_v2.API/ListRepo"
MODIFY = "pfs_v2.API/ModifyFile"


@pytest.fixture
def double() -> Iterator[Double]:
    with doubled() as made:
        yield made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before calls are made again, which are not waited for."""
    found: list[float] = []

    class Quick(under_test.Retry):
        def __init__(self, retries: int) -> None:
            super().__init__(retries, sleep=found.append)

    monkeypatch.setattr(under_test, "Retry", Quick)
    return found


def m(name: str, **fields: Any) -> Any:
    return schema.message(name)(**fields)


def add(path: str, data: bytes = b"x") -> Any:
    return m("pfs_v2.ModifyFileRequest", add_file={"path": path, "raw": {"value": data}})


# --- the recorded calls


def recorded(side: Any) -> list[bytes] | None:
    """The recorded messages of one side; None where one was cut."""
    bodies = side if isinstance(side, list) else [side or ""]
    return None if any(isinstance(body, dict) for body in bodies) else [bytes.fromhex(body) for body in bodies]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_recorded_calls_pass_through_unchanged(double: Double, vector: dict[str, Any]) -> None:
    name, (code, words) = vector["method"].lstrip("/"), vector["status"]
    method = schema.METHODS.get(name)
    answers, sent = recorded(vector["response"]), recorded(vector["request"])
    if method is None:  # no module asks that
        assert vector["name"] in ("unknown method", "secret missing", "transaction start", "transaction finish")
        return
    if answers is None or sent is None:
        assert vector["name"] in ("file get, 8 KiB", "put three files in one stream")
        return
    double.answers[name] = answers if code == "OK" else Refused(code, words)
    requests = [method.request.FromString(data) for data in sent]
    client = double.client()

    def run() -> list[Any]:
        if method.client_stream:
            client.modify(requests[0].set_commit.branch, requests[1:])
            return [m("google.protobuf.Empty")]
        if method.server_stream:
            return list(client.stream(name, requests[0]))
        return [client.call(name, requests[0])]

    if code == "OK":
        read = bytes if name.endswith("/GetFile") else method.response.FromString  # content is not copied once more
        assert run() == [read(data) for data in answers]
    else:
        with pytest.raises(PachydermError) as caught:
            run()
        assert caught.value.code == code
        assert caught.value.server_message[-40:] == words.replace("\n", "; ").strip()[-40:]
    assert [data.SerializeToString() for data in double.seen[-1].requests] == [r.SerializeToString() for r in requests]


def test_what_the_client_builds_is_what_was_recorded(double: Double) -> None:
    c = double.client()
    master = c.commit("default", "gv-in", "master")
    built = {
        "repo create again": m("pfs_v2.CreateRepoRequest", repo=c.repo("default", "gv-in")),
        "project missing": m("pfs_v2.InspectProjectRequest", project=c.project("gv-no")),
        "branch missing": m("pfs_v2.InspectBranchRequest", branch=c.branch("default", "gv-in", "master")),
        "commit wait": m("pfs_v2.InspectCommitRequest", commit=master, wait="FINISHED"),
        "file inspect": m("pfs_v2.InspectFileRequest", file=c.file(master, "/a.txt")),
        "pipeline missing": m("pps_v2.InspectPipelineRequest", pipeline=c.pipeline("default", "gv-no")),
    }
    for vector in VECTORS:
        if vector["name"] in built:
            message = built.pop(vector["name"])
            assert message == type(message).FromString(bytes.fromhex(vector["request"])), vector["name"]
    assert built == {}


# --- calls


def test_a_call_carries_everything_and_is_counted(double: Double) -> None:
    double.answers[INSPECT] = m("pfs_v2.RepoInfo", description="x" * 100)
    client = double.client(auth_token="tok")
    request = m("pfs_v2.InspectRepoRequest", repo=client.repo("default", "r"))
    assert client.call(INSPECT, request).description == "x" * 100
    client.call(CREATE, m("pfs_v2.CreateRepoRequest"))
    assert double.seen[0].requests == [request] and double.seen[0].metadata["authn-token"] == "tok"
    counted = {"requests": 2, "writes": 1, "bytes_sent": request.ByteSize(), "bytes_received": 102}
    assert client.counters.snapshot() == counted


def test_without_a_token_none_is_sent(double: Double) -> None:
    double.client().call(INSPECT, m("pfs_v2.InspectRepoRequest"))
    assert "authn-token" not in double.seen[0].metadata


def test_maybe(double: Double) -> None:
    client, request = double.client(), m("pfs_v2.InspectRepoRequest")
    assert client.maybe(INSPECT, request) == m("pfs_v2.RepoInfo")
    double.answers[INSPECT] = Refused("UNKNOWN", "repo r not found")
    assert client.maybe(INSPECT, request) is None
    double.answers[INSPECT] = Refused("PERMISSION_DENIED", "no")
    with pytest.raises(PachydermError):
        client.maybe(INSPECT, request)


def unsteady(times: int, answer: Any) -> Any:
    """Refuses so many calls, then answers."""
    left = [times]

    def answered(_seen: Seen) -> Any:
        left[0] -= 1
        return Refused("UNAVAILABLE", "transport is closing") if left[0] >= 0 else answer

    return answered


DRY = ("pps_v2.API/CreatePipelineV2", {"dry_run": True})


@pytest.mark.parametrize(("method", "fields"), [(INSPECT, {}), ("pfs_v2.API/WalkFile", {}), DRY])
def test_reads_are_sent_again(double: Double, pauses: list[float], method: str, fields: dict[str, Any]) -> None:
    known = schema.METHODS[method]
    double.answers[method] = unsteady(2, [known.response()])
    client = double.client(retries=2)
    request = known.request(**fields)
    found = list(client.stream(method, request)) if known.server_stream else [client.call(method, request)]
    assert found == [known.response()] and len(double.seen) == 3 and len(pauses) == 2
    assert client.counters.snapshot()["requests"] == 3 and client.counters.snapshot()["writes"] == 0


@pytest.mark.parametrize("method", [CREATE, "pps_v2.API/StopPipeline", "auth_v2.API/ModifyRoleBinding", MODIFY])
def test_writes_are_sent_once(double: Double, pauses: list[float], method: str) -> None:
    double.answers[method] = unsteady(1, b"")
    client = double.client(retries=4)
    with pytest.raises(PachydermError) as caught:
        if method == MODIFY:
            client.modify(client.branch("default", "r", "b"), [add("/a")])
        else:
            client.call(method, schema.METHODS[method].request())
    assert caught.value.code == "UNAVAILABLE" and not caught.value.transient and caught.value.sent
    assert len(double.seen) == 1 and pauses == [] and client.counters.snapshot()["writes"] == 1


def test_a_write_that_may_be_repeated_is(double: Double, pauses: list[float]) -> None:
    double.answers[CREATE] = unsteady(1, b"")
    double.client(retries=1).call(CREATE, m("pfs_v2.CreateRepoRequest"), safe=True)
    assert len(double.seen) == 2


def test_refusals_are_not_sent_again(double: Double, pauses: list[float]) -> None:
    for code in ("NOT_FOUND", "UNKNOWN", "INTERNAL", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED"):
        assert not refusal(double, code, "words", retries=4).transient
    assert pauses == [] and len(double.seen) == 6


def test_a_deadline(double: Double) -> None:
    late = threading.Event()
    double.answers[INSPECT] = lambda _seen: late.wait(20) and b""
    client = double.client(retries=3)
    assert client.version == (2, 12, 2)
    with pytest.raises(PachydermError) as caught:
        client.call(INSPECT, m("pfs_v2.InspectRepoRequest"), timeout=0.7, operation="look at it")
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED" and double.methods() == [INSPECT]
    assert "look at it: no answer within 0.7 s" in caught.value.told()


# --- streams


def repos(count: int) -> list[Any]:
    return [m("pfs_v2.RepoInfo", description=str(number)) for number in range(count)]


def test_a_stream_comes_one_at_a_time_and_ends_with_its_reader(double: Double) -> None:
    sent = []

    def endless(_seen: Seen) -> Iterator[Any]:
        for number in range(10**6):
            sent.append(number)
            yield m("pfs_v2.RepoInfo", description="x" * 10000)

    double.answers[LIST] = endless
    answers = double.client().stream(LIST, m("pfs_v2.ListRepoRequest"))
    assert len(next(answers).description) == 10000
    answers.close()
    assert double.seen[0].over.wait(20) and len(sent) < 10000


def test_an_empty_stream(double: Double) -> None:
    assert list(double.client().stream(LIST, m("pfs_v2.ListRepoRequest"))) == []


def test_a_stream_that_fails_in_the_middle_is_not_begun_again(double: Double, pauses: list[float]) -> None:
    double.answers[LIST] = lambda _seen: iter([*repos(2), Refused("UNAVAILABLE", "transport is closing")])
    found = []
    with pytest.raises(PachydermError) as caught:
        found.extend(a.description for a in double.client(retries=4).stream(LIST, m("pfs_v2.ListRepoRequest")))
    assert caught.value.transient and pauses == [] and len(double.seen) == 1


def test_a_silent_stream_is_given_up_but_not_a_slow_reader(double: Double) -> None:
    late = threading.Event()

    def stalls(_seen: Seen) -> Iterator[Any]:
        yield from repos(2)
        late.wait(20)

    double.answers[LIST] = stalls
    client, found = double.client(), []
    assert client.version == (2, 12, 2)
    with pytest.raises(PachydermError) as caught:
        for answer in client.stream(LIST, m("pfs_v2.ListRepoRequest"), timeout=1.5):
            if not found:
                threading.Event().wait(2)
            found.append(answer)
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED" and len(found) == 2


# --- one commit


def test_modify_addresses_the_branch_and_never_a_commit(double: Double) -> None:
    client = double.client()
    messages = [add("/%d" % number) for number in range(3)]
    client.modify(client.branch("default", "r", "master"), iter(messages))
    first, *others = double.seen[0].requests
    repo = {"name": "r", "type": "user", "project": {"name": "default"}}
    commit = m("pfs_v2.Commit", repo=repo, branch={"name": "master", "repo": repo})
    assert first == m("pfs_v2.ModifyFileRequest", set_commit=commit)
    assert others == messages and double.seen[0].whole
    assert client.counters.snapshot()["requests"] == client.counters.snapshot()["writes"] == 1


@pytest.mark.parametrize("error", [KeyError("own"), OSError(5, "gone"), PachydermError("own")], ids=repr)
def test_an_error_of_the_iterable_leaves_nothing(double: Double, error: Exception) -> None:
    closed = []

    def messages() -> Iterator[Any]:
        try:
            yield add("/a")
            wait_for(lambda: double.seen and len(double.seen[0].requests) > 1, "two messages")
            raise error
        finally:
            closed.append(True)

    client = double.client()
    with pytest.raises(type(error)) as caught:
        client.modify(client.branch("default", "r", "master"), messages())
    assert caught.value is error and closed == [True]
    assert double.seen[0].over.wait(20) and not double.seen[0].whole


def test_an_early_refusal_ends_the_iterable(double: Double) -> None:
    """The server answers while there is still much to come."""
    handed: list[int] = []

    def messages() -> Iterator[Any]:
        for number in range(10**6):
            handed.append(number)
            yield add("/x*", b"x" * 1000)

    double.early[MODIFY] = Refused("UNKNOWN", "path (/x*) invalid: globbing character (*) not allowed in path")
    client = double.client()
    with pytest.raises(PachydermError, match="modify") as caught:
        client.modify(client.branch("default", "r", "master"), messages())
    assert "globbing" in caught.value.told() and len(handed) < 10**6
    count = len(handed)
    assert client.version == (2, 12, 2) and len(handed) == count  # nothing of it runs on


def test_time_that_the_iterable_takes_is_not_the_servers(double: Double) -> None:
    def slowly() -> Iterator[Any]:
        yield add("/a")
        threading.Event().wait(2)
        yield add("/b")

    client = double.client(timeout=1.5)
    client.modify(client.branch("default", "r", "master"), slowly())
    assert double.seen[0].whole
    late = threading.Event()
    double.answers[MODIFY] = lambda _seen: late.wait(20) and b""
    with pytest.raises(PachydermError) as caught:
        client.modify(client.branch("default", "r", "master"), [add("/a")])
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"


# --- commits and versions


def test_finished(double: Double) -> None:
    method, client = "pfs_v2.API/InspectCommit", double.client()
    double.answers[method] = m("pfs_v2.CommitInfo", commit={"id": "c0ffee"})
    commit = client.commit("default", "r", "master")
    assert client.finished(commit, 5).commit.id == "c0ffee"
    assert double.seen[0].requests == [m("pfs_v2.InspectCommitRequest", commit=commit, wait="FINISHED")]
    double.answers[method] = m("pfs_v2.CommitInfo", commit={"id": "c0ffee"}, error="collision (/d)")
    with pytest.raises(PachydermError, match="c0ffee failed") as caught:
        client.finished(commit, 5)
    assert caught.value.server_message == "collision (/d)"
    late = threading.Event()
    double.answers[method] = lambda _seen: late.wait(20) and b""
    with pytest.raises(PachydermError) as caught:
        client.finished(commit, 0.3)
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_the_version_is_asked_for_once(double: Double) -> None:
    client, found = double.client(), []
    threads = [threading.Thread(target=lambda: found.append(client.version)) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(2, 12, 2)] * 8 and len(double.seen) == 1 and client.version == (2, 12, 2)


@pytest.mark.parametrize(
    ("version", "able"),
    [
        ((2, 0, 0), set()),
        ((2, 1, 6), {"hash"}),
        ((2, 5, 0), {"hash", "projects"}),
        ((2, 8, 0), {"hash", "projects", "rate_limit", "defaults", "pipeline_v2", "drop_commit"}),
        ((2, 12, 0), {"hash", "projects", "rate_limit", "defaults", "pipeline_v2", "drop_commit", "metadata"}),
        ((0, 0, 0), {"hash", "projects", "rate_limit", "defaults", "pipeline_v2", "drop_commit", "metadata"}),
    ],
)
def test_features(version: tuple[int, int, int], able: set[str]) -> None:
    with doubled(version=version) as double:
        client = double.client()
        asked = ("hash", "projects", "rate_limit", "defaults", "pipeline_v2", "drop_commit", "metadata")
        assert {feature for feature in asked if client.can(feature)} == able
        with pytest.raises(KeyError):
            client.can("nothing")


def test_what_an_old_server_lacks_is_refused_before_anything_is_sent() -> None:
    with doubled(version=(2, 4, 1)) as double:
        client = double.client()
        assert client.repo("default", "r").project.name == "default"
        with pytest.raises(PachydermError) as caught:
            client.need("defaults", "Project defaults")
        assert caught.value.message == "Project defaults needs Pachyderm 2.8, this is 2.4.1"
        with pytest.raises(PachydermError, match=r"The project other needs Pachyderm 2\.5, this is 2\.4\.1"):
            client.pipeline("other", "p")
        with pytest.raises(PachydermError, match=r"2\.1\.6, this") as caught:
            client._version = (2, 1, 5)
            client.need("hash", "It")
        assert caught.value.kind == "unimplemented" and double.methods() == []
