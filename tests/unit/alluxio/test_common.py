# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Alluxio's resources share, without a server: normal forms, few reads, the order of writes, the guard."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.dialect import AlluxioError
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Workers
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from hypothesis import given
from hypothesis import strategies as st


def info(path: str, folder: bool = True, **more: Any) -> dict[str, Any]:
    """A FileInfo in the client's normal form."""
    found = {"path": path, "folder": folder, "mode": "0755", "owner": "o", "group": "g", "pinned": False, "ttl": -1}
    return {**found, "ttl_action": "delete", "xattr": {}, "mount_point": False, "length": 0, **more}


class Tree:
    """A client over paths that are there. asked: what was asked of it; sent: what was set."""

    def __init__(self, *paths: str, **changed: Any) -> None:
        self.infos = {path: info(path, not path.endswith(".txt")) for path in ("/", *paths)}
        self.asked: list[tuple[str, str]] = []
        self.sent: list[dict[str, Any]] = []
        self.forgets = bool(changed.get("forgets"))

    def get_status(self, path: str, sync: bool = False) -> dict[str, Any] | None:
        self.asked.append(("status", path))
        if sync and self.forgets:
            self.infos[path] = {**self.infos[path], "ttl": -1}
        return self.infos.get(path)

    def list_status(self, path: str, recursive: bool = False, sync: bool = False) -> list[dict[str, Any]]:
        self.asked.append(("list", path))
        if path not in self.infos:
            raise AlluxioError("no", code="NOT_FOUND")
        if not self.infos[path]["folder"]:
            return [self.infos[path]]
        below = [one for name, one in self.infos.items() if common.inside(name, path)]
        return [one for one in below if recursive or common.parent(one["path"]) == path]

    def set_attribute(self, path: str, recursive: bool = False, **sent: Any) -> None:
        self.sent.append(sent)


def looked(tree: Tree, *paths: str) -> set[str]:
    return set(common.look(tree, Workers(1), paths))


# --- normal forms


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4))
def test_a_path_is_itself_or_refused(names: list[str]) -> None:
    text = "/" + "/".join(names)
    try:
        found = common.path(text)
    except ValueError:
        return
    assert common.path(found) == found
    assert text in (found, found + "/")
    assert not {"", ".", ".."} & set(found.split("/")[1:])
    assert not {"?", "\\", "\0"} & set(found)


def test_relations_of_paths() -> None:
    assert [common.path(text) for text in ("/", "/a/", "/a b/ü")] == ["/", "/a", "/a b/ü"]
    assert common.above("/a/b/c") == ["/a/b", "/a", "/"]
    assert (common.above("/"), common.parent("/a"), common.parent("/")) == ([], "/", "/")
    assert common.inside("/a/b", "/a")
    assert common.inside("/a", "/")
    assert not any(common.inside(*pair) for pair in (("/a", "/a"), ("/ab", "/a"), ("/", "/")))


@given(st.binary(max_size=50))
def test_a_value_of_any_bytes_comes_back(data: bytes) -> None:
    shown = common.xattr_value(data)
    assert common.xattr_bytes(shown) == data
    assert common.xattrs({"a": shown}) == {"a": shown}


def test_a_state_hides_what_is_not_the_users() -> None:
    theirs = {"s3_etag": b"x", common.DIGEST: b"y", "mine": b"z"}
    state = common.state(info("/f", False, xattr=theirs, ttl=1500, replication_min=1, replication_max=None))
    assert (state["xattr"], state["ttl"], state["ttl_action"]) == ({"mine": "z"}, 1.5, "delete")
    assert (state["replication_min"], "replication_max" in state) == (1, False)
    assert "replication_min" not in common.state(info("/d", replication_min=0))
    assert "ttl_action" not in common.state(info("/d"))


def test_a_digest_is_believed_only_for_its_length() -> None:
    value = common.digest("0" * 64, 5)
    assert common.digest_of(info("/f", False, length=5, xattr={common.DIGEST: value})) == "0" * 64
    assert common.digest_of(info("/f", False, length=6, xattr={common.DIGEST: value})) is None
    assert common.digest_of(info("/f", False, length=5, xattr={common.DIGEST: b"sha256:x:5"})) is None
    assert common.digest_of(info("/f", False, length=5)) is None


@pytest.mark.parametrize(
    ("options", "environ", "proxy", "master"),
    [
        ({}, {}, "http://localhost:39999", ""),
        ({}, {"ALLUXIO_PROXY_URL": "http://a:1/", "ALLUXIO_MASTER_URL": "http://b:2"}, "http://a:1", "http://b:2"),
        ({"proxy_url": "https://c/x/api/v1"}, {"ALLUXIO_PROXY_URL": "http://a:1"}, "https://c/x", ""),
    ],
)
def test_connection(options: dict[str, Any], environ: dict[str, str], proxy: str, master: str) -> None:
    found = common.CONNECTION.resolve(options, environ)
    assert (found.proxy_url, found.master_url or "") == (proxy, master)
    assert (found.timeout, found.retries, found.dialect, found.validate_certs) == (120, 4, "auto", True)


@pytest.mark.parametrize("options", [{"proxy_url": "host:39999"}, {"timeout": 0}, {"retries": -1}])
def test_connection_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        common.CONNECTION.resolve(options, {})


def test_secrets_of_a_connection_are_in_no_repr() -> None:
    found = common.CONNECTION.resolve({"headers": {"Authorization": "very secret"}}, {})
    assert "very secret" not in repr(found) + str(found.identity())


# --- few reads


def test_many_of_one_parent_are_one_listing() -> None:
    tree = Tree(*("/d%d" % number for number in range(20)))
    assert looked(tree, *("/d%d" % number for number in range(5, 30))) == {"/d%d" % number for number in range(5, 20)}
    assert tree.asked == [("list", "/")]


def test_a_few_are_asked_for_one_by_one() -> None:
    tree = Tree("/a", "/a/b")
    assert looked(tree, "/a/b", "/a/c") == {"/a/b"}
    assert sorted(tree.asked) == [("status", "/a/b"), ("status", "/a/c")]


def test_nothing_below_what_is_missing_or_a_file_is_asked_for() -> None:
    tree = Tree("/f.txt")
    assert looked(tree, "/a", "/a/b", "/a/b/c", "/f.txt", "/f.txt/x") == {"/f.txt"}
    assert sorted(tree.asked) == [("status", "/a"), ("status", "/f.txt")]
    many = ["/gone/%d" % number for number in range(30)]
    tree = Tree()
    assert looked(tree, *many, *(path + "/x" for path in many)) == set()
    assert tree.asked == [("list", "/gone"), ("status", "/gone")]


def test_parents_that_nobody_asked_for_are_looked_at_when_they_are_many() -> None:
    tree = Tree("/top", "/top/3", "/top/3/x")
    assert looked(tree, *("/top/%d/x" % number for number in range(40))) == {"/top/3/x"}
    assert tree.asked == [("list", "/top"), ("status", "/top/3/x")]


def test_a_listing_that_is_refused_is_no_absence() -> None:
    tree = Tree("/a")

    def refused(*_path: str, **_more: Any) -> Any:
        raise AlluxioError("no right to", code="PERMISSION_DENIED")

    tree.list_status = refused  # type: ignore[method-assign]
    with pytest.raises(StorageError) as caught:
        looked(tree, *("/a/%d" % number for number in range(9)))
    assert (caught.value.code, caught.value.item) == ("PERMISSION_DENIED", "/a")


# --- the order of writes


def test_the_ttl_comes_after_the_look_that_makes_the_server_forget_it() -> None:
    tree = Tree("/d", forgets=True)
    common.apply(tree, "/d", common.state(info("/d")), {"mode": "0700", "ttl": 60, "ttl_action": "free"}, sync=True)
    assert tree.sent == [{"mode": "0700"}, {"ttl": 60000, "ttl_action": "free"}]
    tree = Tree("/d", forgets=True)
    common.apply(tree, "/d", {"ttl": 60, "ttl_action": "delete"}, {"mode": "0700"}, sync=True)
    assert tree.sent == [{"mode": "0700"}, {"ttl": 60000, "ttl_action": "delete"}]
    tree = Tree("/d", forgets=True)
    common.apply(tree, "/d", common.state(info("/d")), {"mode": "0700"}, sync=True)
    assert tree.sent == [{"mode": "0700"}]


def test_without_that_look_everything_goes_in_one_request() -> None:
    tree = Tree("/d")
    fields = {"mode": "0700", "pinned": True, "ttl": "never", "xattr": {"a": "1", "b": "2"}}
    common.apply(tree, "/d", {"ttl": 5, "ttl_action": "delete", "xattr": {"a": "1"}}, fields)
    times, xattr = {"ttl": -1, "ttl_action": "delete"}, {"xattr": {"b": b"2"}, "xattr_strategy": "UNION_REPLACE"}
    assert tree.sent == [{"mode": "0700", "pinned": True, **xattr, **times}]
    assert tree.asked == []
    common.apply(tree, "/d", None, {})
    assert len(tree.sent) == 1


# --- the guard


@pytest.mark.parametrize("place", ["/d", "/d/x", "/d/x/deep"])
def test_the_guard_sees_mount_points_everywhere(place: str) -> None:
    tree = Tree("/d", "/d/x", "/d/x/deep")
    tree.infos[place]["mount_point"] = True
    with pytest.raises(StorageError, match="mount point") as caught:
        common.guard(tree, "/d")
    assert "alluxio_mount with state: absent" in caught.value.hint


def test_the_guard_lets_pass_and_counts() -> None:
    tree = Tree("/d", "/d/x", "/d/x/deep", "/f.txt")
    assert len(common.guard(tree, "/d")) == 2
    assert common.guard(tree, "/f.txt") == common.guard(tree, "/missing") == []
    with pytest.raises(StorageError, match="the root"):
        common.guard(tree, "/")
