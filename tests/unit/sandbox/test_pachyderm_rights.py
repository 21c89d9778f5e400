# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pachd's stand-in: who may do what, metadata, and transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import PachdServer
from ansible_collections.polystore.storage.tests.unit.sandbox.pachyderm_asking import Asking
from ansible_collections.polystore.storage.tests.unit.sandbox.pachyderm_calls import failure

ROOT, BOT, OLD = "root-of-the-tests", "bot-of-the-tests", "old-of-the-tests"
WHO, BIND, BOUND = "auth_v2.API/WhoAmI", "auth_v2.API/ModifyRoleBinding", "auth_v2.API/GetRoleBinding"
RUN = "Run `pachctl auth roles-for-permission` to find roles that grant a given permission."


@pytest.fixture
def calls(pachd_server: PachdServer) -> Iterator[Asking]:
    with Asking(pachd_server.address) as made:
        yield made


@pytest.fixture
def guarded(pachd_server: PachdServer, calls: Asking) -> Callable[..., Any]:
    """A call with a token, while auth is on."""
    pachd_server.behave(auth=ROOT, tokens={BOT: "robot:bot", OLD: ["robot:old", -1]})

    def ask(token: str, method: str, /, **fields: Any) -> Any:
        return calls.ask(method, {"authn-token": token} if token else None, **fields)

    return ask


def resource(name: str, kind: str = "REPO") -> dict[str, str]:
    """auth_v2.Resource."""
    return {"type": kind, "name": name}


def test_auth_is_off_until_it_is_asked_for(calls: Asking) -> None:
    for method in (WHO, BIND, BOUND, "auth_v2.API/GetRobotToken"):
        assert failure(lambda method=method: calls.ask(method)) == (
            "UNIMPLEMENTED",
            "the auth service is not activated",
        )
    assert calls.ask("pps_v2.API/GetClusterDefaults", {"authn-token": "anything"}).cluster_defaults_json


def test_tokens(guarded: Callable[..., Any]) -> None:
    corrupted = "provided auth token is corrupted or has expired (try logging in again)"
    for token, code, words in (
        ("", "UNAUTHENTICATED", "no authentication token (try logging in)"),
        ("nobody's", "UNAUTHENTICATED", corrupted),
        (OLD, "INTERNAL", "token expiration is in the past"),
    ):
        for method in (WHO, "pfs_v2.API/InspectProject", "pfs_v2.API/ListRepo"):
            assert failure(lambda token=token, method=method: guarded(token, method)) == (code, words)
    assert guarded(ROOT, WHO).username == "pach:root"
    assert guarded(BOT, WHO).username == "robot:bot"
    assert guarded("", "versionpb_v2.API/GetVersion").major == 2
    already = ("UNIMPLEMENTED", "the auth service is already activated")
    assert failure(lambda: guarded("", "auth_v2.API/Activate")) == already
    fresh = guarded(ROOT, "auth_v2.API/GetRobotToken", robot="fresh", ttl=600).token
    answer = guarded(fresh, WHO)
    assert (answer.username, answer.HasField("expiration")) == ("robot:fresh", True)
    assert guarded(ROOT, "auth_v2.API/RevokeAuthToken", token=fresh).number == 1
    assert failure(lambda: guarded(fresh, WHO)) == ("UNAUTHENTICATED", corrupted)


def test_rights(pachd_server: PachdServer, calls: Asking, guarded: Callable[..., Any]) -> None:
    name = pachd_server.new_name()
    place = f"default/{name}"
    guarded(ROOT, "pfs_v2.API/CreateRepo", repo=calls.repo(name))

    def make():
        return guarded(BOT, "pfs_v2.API/CreateBranch", branch=calls.branch(name))

    denied = "robot:bot is not authorized to perform this operation - needs permissions [%s] on REPO %s. %s"
    assert failure(make) == ("PERMISSION_DENIED", denied % ("REPO_CREATE_BRANCH", place, RUN))
    guarded(ROOT, BIND, resource=resource(place), principal="robot:bot", roles=["repoReader", "repoWriter"])
    make()
    entries = guarded(ROOT, BOUND, resource=resource(place)).binding.entries
    assert {who: sorted(roles.roles) for who, roles in entries.items()} == {
        "pach:root": ["repoOwner"],
        "robot:bot": ["repoReader", "repoWriter"],
    }
    gone = guarded(BOT, "pfs_v2.API/DeleteRepo", repo=calls.repo(name))
    assert not gone.deleted  # and no word of the right that is missing
    assert guarded(ROOT, "pfs_v2.API/InspectRepo", repo=calls.repo(name)).repo.name == name
    guarded(ROOT, BIND, resource=resource(place), principal="robot:bot")
    assert "robot:bot" not in guarded(ROOT, BOUND, resource=resource(place)).binding.entries


def test_what_cannot_be_bound(pachd_server: PachdServer, calls: Asking, guarded: Callable[..., Any]) -> None:
    name = pachd_server.new_name()
    guarded(ROOT, "pfs_v2.API/CreateRepo", repo=calls.repo(name))
    here, bind = resource(f"default/{name}"), {"principal": "robot:bot", "roles": ["repoReader"]}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"resource": resource("default/no-such")}, "no role binding exists for REPO default/no-such"),
        ({"roles": ["nope"]}, 'unknown role "nope"'),
        ({"principal": "bot"}, "subject has no prefix, must be of the form <type>:<name>"),
        ({"principal": "xx:bot"}, "subject has unrecognized prefix: xx:"),
        (
            {"resource": resource("", "CLUSTER"), "principal": "pach:x", "roles": ["clusterAdmin"]},
            "cannot modify cluster role bindings for pach: users",
        ),
    ]
    for changed, words in cases:
        fields = {"resource": here, **bind, **changed}
        assert failure(lambda fields=fields: guarded(ROOT, BIND, **fields)) == ("UNKNOWN", words)
    guarded(ROOT, BIND, resource=here, principal="robot:bot", roles=["clusterAdmin"])
    assert not guarded(ROOT, BOUND, resource=resource("default/no-such")).binding.entries


def test_what_everybody_may(pachd_server: PachdServer, calls: Asking, guarded: Callable[..., Any]) -> None:
    name = pachd_server.new_name()
    guarded(BOT, "pfs_v2.API/CreateRepo", repo=calls.repo(name))
    guarded(BOT, "pfs_v2.API/CreateProject", project={"name": name})
    guarded(BOT, "pfs_v2.API/DeleteRepo", repo=calls.repo(name))
    refused = failure(lambda: guarded(BOT, "pps_v2.API/SetClusterDefaults", cluster_defaults_json="{}"))
    assert refused[0] == "PERMISSION_DENIED"
    assert "needs permissions [CLUSTER_SET_DEFAULTS] on CLUSTER" in refused[1]


def test_old_versions_want_a_licence(pachd_server: PachdServer, calls: Asking) -> None:
    pachd_server.behave(version="2.11.6")
    code, words = failure(lambda: calls.ask("auth_v2.API/Activate"))
    assert (code, "Pachyderm Enterprise is not active in this cluster" in words) == ("UNKNOWN", True)


# --- metadata


def test_edits_are_all_done_or_none(pachd_server: PachdServer, calls: Asking) -> None:
    name = pachd_server.new_name()
    calls.pfs("CreateRepo", repo=calls.repo(name))
    target = {"repo": {"name": {"project": {"name": "default"}, "name": name, "type": "user"}}}

    def edit(*edits):
        return calls.ask("metadata.API/EditMetadata", edits=[{**target, **one} for one in edits])

    one, two = {"add_key": {"key": "a", "value": "1"}}, {"edit_key": {"key": "b", "value": "2"}}
    code, words = failure(lambda: edit(two, one, one))
    assert (code, words.startswith("apply edits: edit #2: edit repo ")) == ("FAILED_PRECONDITION", True)

    def look():
        return dict(calls.pfs("InspectRepo", repo=calls.repo(name)).metadata)

    assert look() == {}
    edit(two, one, {"delete_key": {"key": "none"}})
    calls.pfs("CreateRepo", repo=calls.repo(name), description="new", update=True)
    assert look() == {"a": "1", "b": "2"}


def test_edits_of_the_cluster_and_of_what_is_not_there(calls: Asking) -> None:
    def edit(**fields):
        return calls.ask("metadata.API/EditMetadata", edits=[fields])

    edit(cluster={}, replace={"replacement": {"k": "v"}})
    assert dict(calls.ask("admin_v2.API/InspectCluster").metadata) == {"k": "v"}
    edit(cluster={}, replace={})
    adding = {"add_key": {"key": "a"}}
    repo = {"name": {"project": {"name": "default"}, "name": "no-such", "type": "user"}}
    for target in ({"project": {"name": "no-such"}}, {"repo": repo}, {"branch": {"name": {"repo": repo, "name": "b"}}}):
        code, words = failure(lambda target=target: edit(**target, **adding))
        assert (code, "not found" in words) == ("UNKNOWN", True)
    assert failure(lambda: edit(**adding))[0] == "INVALID_ARGUMENT"


# --- transactions


@pytest.fixture
def opened(calls: Asking) -> dict[str, str]:
    """The header of a transaction."""
    return {"pach-transaction": calls.ask("transaction_v2.API/StartTransaction").id}


def test_a_transaction_is_done_at_its_end(pachd_server: PachdServer, calls: Asking, opened: dict[str, str]) -> None:
    name, other = pachd_server.new_name(), pachd_server.new_name()
    about = {"transaction": {"id": opened["pach-transaction"]}}
    calls.ask("pfs_v2.API/CreateRepo", opened, repo=calls.repo(name))
    commit = calls.ask("pfs_v2.API/StartCommit", opened, branch=calls.branch(name))
    refused = failure(lambda: calls.ask("pfs_v2.API/CreateRepo", opened, repo=calls.repo(name)))
    assert refused == ("ALREADY_EXISTS", f"error running request 3 of 3: repo default/{name} already exists")
    assert failure(lambda: calls.pfs("InspectRepo", repo=calls.repo(name)))[0] == "NOT_FOUND"
    assert calls.ask("pfs_v2.API/DeleteRepo", opened, repo=calls.repo(other)).deleted
    inspected = calls.ask("transaction_v2.API/InspectTransaction", **about)
    assert [part.ListFields()[0][0].name for part in inspected.requests] == [
        "create_repo",
        "start_commit",
        "delete_repo",
    ]
    done = calls.ask("transaction_v2.API/FinishTransaction", **about)
    assert [reply.commit.id for reply in done.responses] == ["", commit.id, ""]
    assert calls.pfs("InspectBranch", branch=calls.branch(name)).head.id == commit.id == about["transaction"]["id"]
    gone = failure(lambda: calls.ask("transaction_v2.API/FinishTransaction", **about))
    assert gone == ("NOT_FOUND", f"transactions {commit.id} not found")


def test_a_transaction_that_cannot_be_done_stays(
    pachd_server: PachdServer, calls: Asking, opened: dict[str, str]
) -> None:
    name, other = pachd_server.new_name(), pachd_server.new_name()
    about = {"transaction": {"id": opened["pach-transaction"]}}
    for each in (other, name):
        calls.ask("pfs_v2.API/CreateRepo", opened, repo=calls.repo(each))
    calls.pfs("CreateRepo", repo=calls.repo(name))
    assert failure(lambda: calls.ask("transaction_v2.API/FinishTransaction", **about))[0] == "ALREADY_EXISTS"
    assert failure(lambda: calls.pfs("InspectRepo", repo=calls.repo(other)))[0] == "NOT_FOUND"
    listed = calls.ask("transaction_v2.API/ListTransaction").transaction_info
    assert about["transaction"]["id"] in [info.transaction.id for info in listed]
    calls.ask("transaction_v2.API/DeleteTransaction", **about)


def test_headers_of_transactions_that_are_not_there(pachd_server: PachdServer, calls: Asking) -> None:
    name, header = pachd_server.new_name(), {"pach-transaction": "none"}
    refused = failure(lambda: calls.ask("pfs_v2.API/CreateRepo", header, repo=calls.repo(name)))
    assert refused == ("NOT_FOUND", "transactions none not found")
    calls.ask("pfs_v2.API/CreateProject", header, project={"name": name})  # is no part of any
    assert calls.ask("pfs_v2.API/InspectProject", header, project={"name": name}).project.name == name


def test_a_batch_is_done_or_not(pachd_server: PachdServer, calls: Asking) -> None:
    name = pachd_server.new_name()
    make = {"create_repo": {"repo": {"name": name, "type": "user", "project": {"name": "default"}}}}
    twice = failure(lambda: calls.ask("transaction_v2.API/BatchTransaction", requests=[make, make]))
    assert twice == ("ALREADY_EXISTS", f"error running request 2 of 2: repo default/{name} already exists")
    assert failure(lambda: calls.pfs("InspectRepo", repo=calls.repo(name)))[0] == "NOT_FOUND"
    calls.ask("transaction_v2.API/BatchTransaction", requests=[make])
    bare = {"delete_repo": {"repo": {"name": name, "type": "user"}}}
    assert failure(lambda: calls.ask("transaction_v2.API/BatchTransaction", requests=[bare]))[0] == "ABORTED"
