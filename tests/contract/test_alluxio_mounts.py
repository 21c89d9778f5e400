# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts on an Alluxio of either dialect: stores come and go, their data stays."""

from __future__ import annotations

import io
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio import mounts
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for, secrets_in
from ansible_collections.polystore.storage.tests.contract.cases_alluxio_directories import SECRET, SERVERS
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
ENDPOINT = "alluxio.underfs.s3.endpoint"  # one that masters show
KEYS = {"aws.secretKey": SECRET, ENDPOINT: "somewhere"}


class Place:
    """A directory of one test's own on a server, stores to mount in it, and what a test does with them."""

    def __init__(self, server: Any, tmp: pathlib.Path) -> None:
        self.server, self.tmp, self.top = server, tmp, server.new_path()
        self.client = client_for(mounts.Mounts.connection, server.connection(), 8, {})
        self.blind = {"proxy_url": server.connection()["proxy_url"]}  # no master_url

    def __truediv__(self, name: str) -> str:
        return "%s/%s" % (self.top, name)

    def store(self, name: str = "one") -> str:
        """A local directory with a file in it."""
        (self.tmp / name).mkdir(exist_ok=True)
        (self.tmp / name / "file").write_text(name)
        return str(self.tmp / name)

    def run(self, name: str = "m", server: Any = None, **args: Any) -> dict[str, Any]:
        return run_task(mounts.Mounts, server or self.server, **{"path": self / name, "diff": True, **args})

    def ok(self, name: str = "m", server: Any = None, **args: Any) -> dict[str, Any]:
        return run_ok(mounts.Mounts, server or self.server, **{"path": self / name, "diff": True, **args})

    def same(self, name: str = "m", **args: Any) -> dict[str, Any]:
        """A run that may not change or write anything."""
        mark = self.server.mark()
        result = self.ok(name, **args)
        assert (result["changed"], self.server.writes(mark)) == (False, [])
        return result

    def refused(self, name: str = "m", **args: Any) -> str:
        """The message of a run that fails before it writes; check mode says the same."""
        mark = self.server.mark()
        result, check = self.run(name, **args), self.run(name, check=True, **args)
        assert result["failed"] is True
        assert check["msg"] == result["msg"]
        assert self.server.writes(mark) == []
        return str(result["msg"])

    def sent(self, mark: int) -> list[str]:
        """The operations that changed something."""
        return [entry["path"].split("?")[0].rsplit("/", 1)[-1] for entry in self.server.writes(mark)]

    def seen(self, name: str = "m") -> list[str]:
        """The names that a mounted store shows."""
        return [row["path"].rsplit("/", 1)[-1] for row in self.client.list_status(self / name)]


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Place]:
    """A place on a server of either dialect; what a test leaves mounted is unmounted."""
    found = Place(request.getfixturevalue(SERVERS[request.param]), tmp_path)
    yield found
    found.server.clear_faults()
    table = (found.client.master_info() or {})["mountPoints"]
    for path in sorted(table, reverse=True):
        if path.startswith(found.top + "/"):
            found.client.unmount(path)


def test_a_store_is_mounted_seen_and_let_go_with_its_data(place: Place) -> None:
    assert place.ok(source=place.store())["resource"]["action"] == "created"
    assert place.seen() == ["file"]
    place.same(source=place.store())
    place.same()
    assert place.ok(state="absent")["resource"] == {"path": place / "m", "action": "deleted"}
    place.same(state="absent")
    assert place.client.get_status(place / "m") is None
    assert (place.tmp / "one" / "file").read_text() == "one"


def test_another_spelling_of_the_store_is_no_change(place: Place) -> None:
    place.ok(source=place.store() + "/")
    for spelling in ("%s", "%s/", "file://%s", "file://%s/", "file:%s"):
        place.same(source=spelling % place.store())
        place.same(source=spelling % place.store(), server=place.blind)


def test_a_difference_is_an_error_unless_it_may_be_mounted_again(place: Place) -> None:
    place.ok(source=place.store("one"), read_only=True)
    message = place.refused(source=place.store("two"), read_only=True)
    assert "its source differs" in message
    assert "remount: true" in message
    assert "its read_only differs" in place.refused(source=place.store("one"), read_only=False)
    check = place.ok(source=place.store("two"), remount=True, check=True)
    mark = place.server.mark()
    result = place.ok(source=place.store("two"), remount=True)
    assert place.sent(mark) == ["unmount", "mount"]
    assert result["diff"] == check["diff"]
    assert result["resource"]["read_only"] is True  # left out, so as it was
    place.same(source=place.store("two"), read_only=True)
    assert (place.client.master_info() or {})["mountPoints"][place / "m"]["readOnly"] is True
    assert (place.tmp / "one" / "file").exists()


def test_without_the_master_only_the_source_is_compared(place: Place) -> None:
    place.ok(source=place.store("one"), read_only=True, server=place.blind)
    place.same(source=place.store("one"), read_only=False, shared=True, properties=KEYS, server=place.blind)
    assert place.same(server=place.blind)["resource"].keys() == {"path", "source", "action"}
    result = place.ok(source=place.store("two"), remount=True, server=place.blind)
    assert "without master_url its read_only, shared, properties cannot be known" in result["warnings"][0]
    given = {"read_only": True, "shared": False, "properties": {}}
    assert "warnings" not in place.ok(source=place.store("one"), remount=True, server=place.blind, **given)


def test_properties_are_compared_and_never_shown(place: Place) -> None:
    results = [place.ok(source=place.store(), properties=KEYS)]
    results += [place.same(properties=KEYS), place.same(properties=dict(reversed(KEYS.items())))]
    results += [place.run(properties={**KEYS, ENDPOINT: "somewhere-else"})]
    assert "its properties differs" in results[-1]["msg"]
    results += [place.ok(properties={**KEYS, ENDPOINT: "somewhere-else"}, remount=True)]
    results += [place.ok(properties={}, remount=True)]
    place.same(properties={})
    text = json.dumps(results)
    for secret in (SECRET, "somewhere"):
        assert secret not in text


def test_hidden_properties_are_not_lost_by_mounting_again(place: Place) -> None:
    place.ok(source=place.store("one"), properties=KEYS)
    if place.client.version[0] == 1:  # it hides nothing
        place.ok(source=place.store("two"), remount=True)
        return place.same(properties=KEYS) and None
    assert "Give properties, all of them" in place.refused(source=place.store("two"), remount=True)
    place.ok(source=place.store("two"), remount=True, properties=KEYS)
    place.same(properties=KEYS)
    return None


def test_secrets_in_a_batch_are_known_to_be_secret() -> None:
    assert SECRET in secrets_in(mounts.Mounts, [{"path": "/m", "properties": KEYS}])


def test_a_refused_mount_says_why_and_nothing_secret(place: Place) -> None:
    result = place.run(source=str(place.tmp / "nowhere"), properties=KEYS)
    failure = result["failures"][0]
    assert result["changed"] is False
    assert "nowhere" in failure["server_message"]
    assert SECRET not in json.dumps(result)
    assert place.client.get_status(place / "m") is None


def test_a_remount_that_fails_puts_the_old_mount_back(place: Place) -> None:
    place.ok(source=place.store("one"), read_only=True)
    result = place.run(source=str(place.tmp / "nowhere"), remount=True)
    assert "it was unmounted, and mounting it anew failed" in result["msg"]
    assert "It is mounted as it was before" in result["msg"]
    place.same(source=place.store("one"), read_only=True)


def test_a_remount_that_fails_without_the_master_says_so(place: Place) -> None:
    place.ok(source=place.store("one"))
    result = place.run(source=str(place.tmp / "nowhere"), remount=True, server=place.blind)
    assert "It is not mounted now" in result["msg"]
    assert place.ok(source=place.store("one"))["resource"]["action"] == "created"


@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_is_no_mount_point_is_left_alone(place: Place, state: str) -> None:
    place.client.create_directory(place / "dir")
    place.client.upload(place / "file", lambda: io.BytesIO(b"text"), 4)
    assert "a directory that is no mount point is there" in place.refused("dir", state=state, source=place.store())
    assert "a file that is no mount point is there" in place.refused("file", state=state, source=place.store())


def test_what_is_missing_is_said_before_anything(place: Place) -> None:
    assert "Make it first with alluxio_directory" in place.refused("no/m", source=place.store())
    assert "source: is required where nothing is mounted" in place.refused()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"path": "/"}, "the root's store is no mount point"),
        ({"path": "/a?b"}, "Alluxio cuts paths"),
        ({"source": "relative/path"}, "is no store"),
        ({"source": ""}, "is no store"),
        ({"source": "s3://me:word@bucket/x"}, "give that in properties"),
        ({"properties": {"a": ["b"]}}, "the value given is not valid"),
    ],
)
def test_options_that_cannot_be_are_refused(alluxio_server: Any, args: dict[str, Any], words: str) -> None:
    mark = alluxio_server.mark()
    assert words in run_task(mounts.Mounts, alluxio_server, **{"path": "/m", "source": "/s", **args})["msg"]
    assert alluxio_server.requests(mark) == []


def test_mounts_within_mounts(place: Place) -> None:
    (pathlib.Path(place.store("one")) / "sub").mkdir()
    items = [
        {"path": place / "m/inner", "source": place.store("two")},
        {"path": place / "m", "source": place.store("one")},
    ]
    if place.client.version[0] == 1:
        assert "Alluxio 1.8.1) has no mounts within mounts" in place.refused(batch=items)
        place.ok(source=place.store("one"))
        assert "lies in the mount %s" % (place / "m") in place.refused("m/sub/inner", source=place.store("two"))
        return
    assert place.ok(batch=items)["summary"]["created"] == 2
    assert place.seen() == ["file", "inner", "sub"]
    assert place.same(batch=items)["changed"] is False
    assert "unmount those first" in place.run(state="absent")["msg"]
    gone = [{"path": item["path"], "state": "absent"} for item in reversed(items)]
    assert place.ok(batch=gone)["summary"]["deleted"] == 2


def test_an_answer_that_got_lost_is_no_failure(place: Place) -> None:
    place.server.fault("close_after", path="/mount")
    assert place.ok(source=place.store())["resource"]["action"] == "created"
    place.server.fault("close_after", path="/unmount")
    assert place.ok(state="absent")["resource"]["action"] == "deleted"
    assert place.client.get_status(place / "m") is None


# --- what can be compared


@pytest.mark.parametrize(
    ("have", "want", "same"),
    [
        (None, {}, True),
        (None, {"a": "1"}, False),
        ({"a": "1"}, {"a": "1"}, True),
        ({"a": "1"}, {"a": "2"}, False),
        ({"a": "1", "b": "2"}, {"a": "1"}, False),
        ({"a": "******"}, {"a": "secret"}, True),
        ({"s3a.secretKey": "******"}, {"aws.secretKey": "secret"}, True),
        ({"new.name": "1"}, {"old.name": "1"}, True),
        ({"new.name": "1"}, {"old.name": "2"}, False),
        ({"new.name": "******", "other": "1"}, {"old.name": "x", "old.other": "1"}, True),
    ],
)
def test_same_properties(have: Any, want: dict[str, str], same: bool) -> None:
    assert mounts.same_properties(have, want) is same
