# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers against a real Swift: what its semantics ask of the module, and how a full container is removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.swift.containers import Containers
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task


class Place:
    """One container's name on a server, with what a test does to it."""

    def __init__(self, server: Any) -> None:
        self.server, self.name = server, server.new_container_name("c ?#%ü")
        self.client = client_for(CONNECTION, server.auth(), 8, {})

    def run(self, **args: Any) -> dict[str, Any]:
        return run_task(Containers, self.server, **{"name": self.name, "diff": True, **args})

    def ok(self, **args: Any) -> dict[str, Any]:
        return run_ok(Containers, self.server, **{"name": self.name, "diff": True, **args})

    def same(self, **args: Any) -> dict[str, Any]:
        """A run that may not change or write anything."""
        mark = self.server.mark()
        result = self.ok(**args)
        assert (result["changed"], self.server.writes(mark)) == (False, [])
        return result

    def refused(self, **args: Any) -> str:
        """The message of a run that fails before it writes; check mode says the same."""
        mark = self.server.mark()
        result, check = self.run(**args), self.run(check=True, **args)
        assert result["failed"] is True
        assert check["msg"] == result["msg"]
        assert self.server.writes(mark) == []
        return str(result["msg"])

    def headers(self) -> dict[str, str]:
        found: dict[str, str] = self.client.request("HEAD", self.name).headers
        return found

    def exists(self, name: str = "") -> bool:
        return (name or self.name) in {row["name"] for row in self.client.listing()}

    def put(self, *names: str, container: str = "", body: bytes = b"x", **headers: str) -> None:
        for name in names:
            sent = {key.replace("_", "-"): value for key, value in headers.items()}
            self.client.request("PUT", container or self.name, name, headers=sent, body=body)

    def large(self, name: str, parts: list[str], container: str = "") -> None:
        """A static large object of segments "container/object"."""
        body = json.dumps([{"path": "/" + part} for part in parts]).encode()
        self.client.request("PUT", container or self.name, name, query={"multipart-manifest": "put"}, body=body)

    def names(self, container: str) -> list[str]:
        return [row["name"] for row in self.client.listing(container)]


@pytest.fixture
def place(swift_server: Any) -> Iterator[Place]:
    """A new place, cleared afterwards: a removal looks for segments in use everywhere, so rests make it slow."""
    found = Place(swift_server)
    yield found
    swift_server.clear_faults()
    names = [row["name"] for row in found.client.listing(prefix=found.name)]
    objects = ["%s/%s" % (name, row["name"]) for name in names for row in found.client.listing(name)]
    found.client.bulk_delete(objects + names)


# --- what comes back in another form than it was sent


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"metadata": {"Under_score": "a", "UPPER": "b"}}, {"metadata": {"under-score": "a", "upper": "b"}}),
        ({"metadata": {"number": 5, "truth": True, "real": 1.5}}, {"metadata": {"number": "5", "truth": "True"}}),
        ({"metadata": {"empty": "", "none": None}}, {"metadata": {"empty": "", "none": None}}),
        ({"metadata": {"text": " grün, 日本 "}}, {"metadata": {"text": "grün, 日本"}}),
        ({"read_acl": " .r:* , .rlistings,"}, {"read_acl": [".r:*", ".rlistings"]}),
        ({"read_acl": ".referrer:-a.example,.ref:b.example"}, {"read_acl": ".r:-a.example,.r:b.example"}),
        ({"write_acl": [" test:tester2 ", ""]}, {"write_acl": "test:tester2"}),
        ({"read_acl": "", "write_acl": ","}, {"read_acl": "", "write_acl": []}),
        ({"storage_policy": "ORDINARY"}, {"storage_policy": "standard"}),
        ({"storage_policy": "reduced"}, {"storage_policy": "reduced-redundancy"}),
        ({"versioning": True}, {"versioning": "yes"}),
        ({"versioning": False}, {"versioning": False}),
        ({"quota_bytes": "2k", "quota_count": 0}, {"quota_bytes": 2048, "quota_count": "0"}),
        ({"quota_bytes": None, "quota_count": None}, {"quota_bytes": None, "quota_count": None}),
        ({"web": {"index": "i", "listings": True}}, {"web": {"listings": "yes"}}),
        ({"web": {"listings": False, "error": ""}}, {"web": {"listings": False}}),
        ({"cors": {"allow_origin": ["http://a", "http://b"]}}, {"cors": {"allow_origin": "http://a, http://b"}}),
        ({"cors": {"max_age": 0, "expose_headers": "X-A X-B"}}, {"cors": {"expose_headers": ["X-A", "X-B"]}}),
        ({"sync_key": "", "sync_to": ""}, {"sync_key": "", "sync_to": ""}),
        ({"sync_to": "http://127.0.0.1:1/v1/a/c", "sync_key": " k "}, {"sync_key": "k"}),
        ({"temp_url_keys": ["k1"]}, {"temp_url_keys": ["k1", ""]}),
        ({"temp_url_keys": ["", ""]}, {"temp_url_keys": [None, ""]}),
    ],
)
def test_another_spelling_is_no_change(place: Place, first: dict[str, Any], second: dict[str, Any]) -> None:
    assert place.ok(**first)["resource"]["action"] == "created"
    place.same(**first)
    place.same(**second)


def test_metadata_merges_removes_and_purges(place: Place) -> None:
    place.ok(metadata={"a": "1", "b": "2", "c": "3"})
    assert place.ok(metadata={"b": None, "c": "", "d": "4"})["resource"]["metadata"] == {"a": "1", "d": "4"}
    result = place.ok(metadata={"a": "1"}, purge_metadata=True, quota_count=1)
    assert result["diff"][0]["before"]["metadata"] == {"a": "1", "d": "4"}
    assert result["diff"][0]["after"]["metadata"] == {"a": "1"}
    place.same(metadata={"a": "1"}, purge_metadata=True)
    place.ok(purge_metadata=True)
    assert place.same()["resource"]["metadata"] == {}
    assert place.same()["resource"]["quota_count"] == 1


def test_one_request_creates_and_one_updates(place: Place, swift_server: Any) -> None:
    mark = swift_server.mark()
    place.ok(metadata={"a": "1"}, read_acl=".r:*", versioning=True, quota_count=1, web={"index": "i"})
    place.ok(metadata={"a": "2"}, read_acl="", versioning=False, quota_count=None, web={"index": ""})
    assert [entry["method"] for entry in swift_server.writes(mark)] == ["PUT", "POST"]
    headers = place.headers()
    assert headers["x-container-meta-a"] == "2"
    assert headers["x-versions-enabled"] == "False"
    gone = ("x-container-read", "x-container-meta-quota-count", "x-container-meta-web-index")
    assert not [name for name in gone if headers.get(name)]


def test_parts_are_left_alone(place: Place) -> None:
    place.ok(web={"index": "i", "error": "e"}, cors={"allow_origin": "*", "max_age": 5}, temp_url_keys=["k1", "k2"])
    after = place.ok(web={"error": ""}, cors={"max_age": 6}, temp_url_keys=[None, "k3"])["diff"][0]["after"]
    assert (after["web"], after["cors"]) == ({"index": "i"}, {"allow_origin": "*", "max_age": 6})
    headers = place.headers()
    assert [headers["x-container-meta-temp-url-key" + end] for end in ("", "-2")] == ["k1", "k3"]
    place.ok(temp_url_keys=["", None])
    assert "x-container-meta-temp-url-key" not in place.headers()
    assert place.headers()["x-container-meta-temp-url-key-2"] == "k3"


# --- what cannot be is said before anything is sent


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"name": "a/b"}, "no container name"),
        ({"name": "x" * 257}, "no container name"),
        ({"write_acl": ".r:*"}, "write_acl: referrers"),
        ({"metadata": {"quota-bytes": 5}}, "Use quota_bytes"),
        ({"metadata": {"temp_url_key": "k"}}, "Use temp_url_keys"),
        ({"metadata": {"a b": "1"}}, "no metadata key"),
        ({"metadata": {"a_b": "1", "A-B": "2"}}, "given twice"),
        ({"metadata": {"k": "x" * 257}}, "longer than 256 bytes"),
        ({"metadata": {"k" * 129: "x"}}, "1 to 128"),
        ({"metadata": {"k%d" % n: "x" for n in range(91)}}, "91 keys"),
        ({"metadata": {"k%d" % n: "x" * 250 for n in range(17)}}, "all keys and values"),
        ({"metadata": {"k": "two\nlines"}}, "control character"),
        ({"quota_bytes": "lots"}, "quota_bytes: 'lots' is no size"),
        ({"quota_count": -1}, "quota_count: -1"),
        ({"temp_url_keys": ["a", "b", "c"]}, "temp_url_keys: the value given is not valid"),
        ({"storage_policy": "gold"}, "no policy gold. Known are standard, reduced"),
        ({"batch": [{"web": {"listings": "perhaps"}}]}, "batch[0].web: listings"),
        ({"batch": [{"web": {"css": "x"}}]}, "css is unknown"),
    ],
)
def test_wrong_options_are_refused(place: Place, args: dict[str, Any], words: str) -> None:
    assert words in place.refused(**args)


def test_limits_count_what_is_there_already(place: Place) -> None:
    place.ok(metadata={"k%d" % n: "x" for n in range(60)})
    assert "91 keys are more than this server allows" in place.refused(metadata={"n%d" % n: "x" for n in range(31)})


def test_storage_policy_cannot_change(place: Place) -> None:
    place.ok(storage_policy="standard")
    message = place.refused(storage_policy="reduced-redundancy")
    assert "the container has standard, which cannot be changed to reduced" in message
    assert "new container" in message


@pytest.mark.parametrize(
    ("args", "feature"),
    [
        ({"versioning": True}, "object_versioning"),
        ({"quota_bytes": 0}, "container_quotas"),
        ({"quota_count": 1}, "container_quotas"),
        ({"web": {"index": "i"}}, "staticweb"),
        ({"sync_to": "//realm/cluster/a/c"}, "container_sync"),
        ({"temp_url_keys": ["k"]}, "tempurl"),
    ],
)
def test_missing_middleware_is_named(place: Place, swift_server: Any, args: dict[str, Any], feature: str) -> None:
    body = json.dumps({"swift": {"max_container_name_length": 256}})
    swift_server.fault("status", method="GET", path="^/info", count=None, status=200, body=body)
    other = {"timeout": 61}  # another client, which has not asked yet
    assert "this server has no %s" % feature in place.refused(**args, **other)
    place.ok(versioning=False, quota_count=None, metadata={"a": "1"}, **other)


def test_the_server_s_own_limits_hold(place: Place, swift_server: Any) -> None:
    limits = {"max_meta_count": 2, "max_meta_value_length": 5, "max_container_name_length": 100}
    body = json.dumps({"swift": limits})
    swift_server.fault("status", method="GET", path="^/info", count=None, status=200, body=body)
    place.ok(metadata={"a": "1"}, timeout=63)
    assert "3 keys are more than this server allows" in place.refused(metadata={"b": "2", "c": "3"}, timeout=63)
    assert "value of b is longer than this server allows" in place.refused(metadata={"b": "123456"}, timeout=63)
    place.ok(metadata={"b": "2", "a": ""}, timeout=63)
    assert "longer than this server allows" in place.refused(name="x" * 101, metadata={"a": "1"}, timeout=63)


def test_hidden_capabilities_forbid_nothing(place: Place, swift_server: Any) -> None:
    swift_server.fault("status", method="GET", path="^/info", count=None, status=403)
    place.ok(timeout=62, storage_policy="reduced", quota_count=3, metadata={"a": "1"})
    assert place.same(timeout=62)["resource"]["storage_policy"] == "reduced"


# --- many, and others at work


def test_of_many_only_those_that_exist_are_asked_for(place: Place, swift_server: Any) -> None:
    names = ["%s %02d" % (place.name, number) for number in range(25)]
    place.ok(batch=[{"name": name} for name in names[:3]])
    mark = swift_server.mark()
    result = place.ok(batch=[{"name": name} for name in names], metadata={"a": "1"})
    asked = swift_server.requests(mark)
    assert [sum(e["method"] == method for e in asked) for method in ("GET", "HEAD", "PUT", "POST")] == [1, 3, 22, 3]
    assert (result["summary"]["created"], result["summary"]["updated"]) == (22, 3)
    assert place.same(batch=[{"name": name} for name in names], metadata={"a": "1"})["summary"]["unchanged"] == 25


def test_created_by_somebody_else_meanwhile(place: Place, swift_server: Any) -> None:
    place.client.request("PUT", place.name, headers={"X-Container-Meta-Theirs": "1"})
    swift_server.fault("status", method="HEAD", status=404)
    assert place.ok(metadata={"ours": "2"})["resource"]["action"] == "created"
    assert place.same()["resource"]["metadata"] == {"theirs": "1", "ours": "2"}


def test_one_failure_does_not_hide_what_was_done(place: Place, swift_server: Any) -> None:
    bad = place.name + " bad"
    swift_server.fault("status", method="PUT", path="bad", count=None, status=507, body="Disk full")
    result = place.run(batch=[{"name": place.name}, {"name": bad}], temp_url_keys=["very-secret"])
    assert (result["failed"], result["changed"]) == (True, True)
    assert {r["name"]: r["action"] for r in result["resources"]} == {place.name: "created", bad: "failed"}
    failure = result["failures"][0]
    assert (failure["item"], failure["operation"], failure["code"]) == (bad, "create container", 507)
    assert "Disk full" in failure["server_message"]
    assert "very-secret" not in json.dumps(result)


# --- removal


def test_absent_is_said_and_kept(place: Place) -> None:
    place.same(state="absent")
    place.ok()
    assert place.ok(state="absent")["resource"] == {"name": place.name, "action": "deleted"}
    place.same(state="absent")


def test_a_full_container_needs_force(place: Place) -> None:
    place.ok()
    place.put("object")
    message = place.refused(state="absent")
    assert "not empty" in message
    assert "force: true" in message
    assert place.run(state="absent")["failures"][0]["code"] == 409


def test_something_is_put_into_it_while_it_goes(place: Place, swift_server: Any) -> None:
    place.ok()
    swift_server.fault("status", method="DELETE", status=409)
    result = place.run(state="absent")
    assert (result["failures"][0]["code"], result["failures"][0]["hint"]) == (409, "Set force: true")
    place.ok(state="absent")


def test_somebody_else_removes_it_meanwhile(place: Place, swift_server: Any) -> None:
    place.ok()
    swift_server.fault("status", method="DELETE", status=404)
    assert place.ok(state="absent")["resource"]["action"] == "deleted"


def test_force_takes_one_listing_and_one_bulk_delete(place: Place, swift_server: Any) -> None:
    place.ok()
    place.put(*("d/o ?#%% ü %d" % number for number in range(40)))
    mark = swift_server.mark()
    check = place.ok(state="absent", force=True, check=True)
    assert swift_server.writes(mark) == []
    assert check["diff"][0]["before"]["objects"] == 40
    mark = swift_server.mark()
    assert place.ok(state="absent", force=True)["diff"] == check["diff"]
    sent = [entry["method"] for entry in swift_server.requests(mark)]
    assert sent == ["HEAD", "GET", "POST", "DELETE"]
    assert not place.exists()


def test_max_delete_counts_everything_before_anything_goes(place: Place) -> None:
    place.ok(versioning=True)
    store = place.name + "_segments"
    place.client.request("PUT", store)
    place.put("s1", container=store)
    place.put("twice", "twice")
    place.large("large", [store + "/s1"])
    assert "4 objects and segments would be deleted with it, and max_delete allows 3" in place.refused(
        state="absent", force=True, max_delete=3
    )
    place.ok(state="absent", force=True, max_delete=4)
    assert (place.exists(), place.names(store)) == (False, [])


def test_versions_that_no_listing_shows(place: Place) -> None:
    place.ok(versioning=True)
    place.put("a", "b", "a", "a ?#%")
    for name in ("a", "b", "a ?#%"):
        place.client.request("DELETE", place.name, name)
    place.ok(versioning=False)
    place.put("later")
    place.client.request("DELETE", place.name, "later")
    assert place.names(place.name) == []
    assert "force: true" in place.refused(state="absent")
    place.ok(state="absent", force=True)
    assert not place.exists()


@pytest.mark.parametrize("header", ["X-Versions-Location", "X-History-Location"])
def test_older_kinds_of_versioning_do_not_bring_objects_back(place: Place, header: str) -> None:
    archive = place.name + " archive"
    place.client.request("PUT", archive)
    place.ok()
    place.client.request("POST", place.name, headers={header: archive.replace("%", "%25")})
    place.put("a", "a")
    place.ok(state="absent", force=True)
    assert not place.exists()


def test_segments_go_unless_something_else_uses_them(place: Place) -> None:
    store, other = place.name + "_segments", place.name + " other"
    place.ok(batch=[{"name": place.name}, {"name": store}, {"name": other}])
    place.put("mine", "shared", "viewed/1", "dlo/1", "unrelated", container=store)
    place.large("large", [store + "/mine", store + "/shared", store + "/viewed/1"])
    place.put("dynamic", body=b"", X_Object_Manifest=store.replace("%", "%25").replace("?", "%3F") + "/dlo/")
    place.large("another", [store + "/shared"], container=other)
    view = store.replace("%", "%25").replace("?", "%3F") + "/viewed/"
    place.put("view", container=other, body=b"", X_Object_Manifest=view)
    result = place.ok(state="absent", force=True)
    before = result["diff"][0]["before"]
    assert (before["objects"], before["segments"]) == (2, 2)
    assert place.names(store) == ["shared", "unrelated", "viewed/1"]
    assert place.client.request("GET", other, "another").body == b"x"


def test_a_removal_that_was_cut_is_finished_by_the_next_run(place: Place, swift_server: Any) -> None:
    store = place.name + "_segments"
    place.ok(batch=[{"name": place.name}, {"name": store}])
    place.put("s1", "s2", container=store)
    place.put("plain")
    place.large("large", [store + "/s1", store + "/s2"])
    swift_server.fault("status", method="POST", path="bulk-delete", nth=2, status=403, body="Stopped")
    result = place.run(state="absent", force=True)
    assert (result["failed"], result["failures"][0]["server_message"]) == (True, "Stopped")
    assert (place.names(place.name), place.names(store)) == (["large", "plain"], [])
    swift_server.fault("status", method="DELETE", status=403, body="Stopped again")
    assert "Stopped again" in place.run(state="absent", force=True)["msg"]
    assert place.names(place.name) == []
    place.ok(state="absent", force=True)
    assert not place.exists()


def test_what_a_bulk_delete_could_not_delete_is_said(place: Place, swift_server: Any) -> None:
    place.ok()
    place.put("a", "b")
    told = {
        "Response Status": "400 Bad Request",
        "Number Deleted": 1,
        "Number Not Found": 0,
        "Errors": [["/%s/b" % place.name.replace("%", "%25").replace("?", "%3F"), "403 Forbidden"]],
        "Response Body": "",
    }
    swift_server.fault("status", method="POST", path="bulk-delete", status=200, body=json.dumps(told))
    result = place.run(state="absent", force=True)
    assert result["failures"][0]["code"] == 403
    assert "the first is %s/b" % place.name in result["msg"]
    assert place.exists()


def test_a_listing_that_lags_is_waited_for(place: Place, swift_server: Any) -> None:
    place.ok()
    place.put("a")
    swift_server.fault("status", method="DELETE", status=409)
    mark = swift_server.mark()
    place.ok(state="absent", force=True)
    assert [entry["status"] for entry in swift_server.requests(mark, "DELETE")] == [409, 204]


def test_deletions_come_after_everything_else(place: Place, swift_server: Any) -> None:
    new, old = place.name + " new", place.name + " old"
    place.ok(name=old)
    swift_server.fault("status", method="PUT", path="new", count=None, status=403)
    result = place.run(batch=[{"name": old, "state": "absent"}, {"name": new}])
    assert {r["name"]: r["action"] for r in result["resources"]} == {old: "failed", new: "failed"}
    assert [f["code"] for f in result["failures"]] == ["not_begun", 403]
    assert place.exists(old)
