# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""core.downloads against a source of files in memory: what lands where, what is refused, what is left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import grp
import hashlib
import os
import pwd
import stat

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core import downloads
from ansible_collections.polystore.storage.plugins.module_utils.core.downloads import DownloadItem, Downloads, Remote
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Engine, Run
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import build, key
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters


@dataclasses.dataclass
class MemoryItem(DownloadItem):
    name: str = key(default="")
    tree: str = key(default="")


class Memory:
    """A server in memory. cuts: how many streams break off halfway; digests: whether it tells them."""

    def __init__(self, **files):
        self.counters = Counters()
        self.files = dict(files)
        self.folders = []
        self.cuts = 0
        self.digests = True
        self.opened = []
        self.on_cut = None


class MemoryDownloads(Downloads):
    Item = MemoryItem
    again = Retry(3, base=0.0)

    def _remote(self, name, local):
        data = self.client.files[name]
        digest = hashlib.md5(data).hexdigest() if self.client.digests else None
        return Remote(local, len(data), digest, "memory/" + name, name)

    def remote(self, item):
        if item.name:
            if item.name not in self.client.files:
                raise StorageError("There is no %s" % item.name, code=404)
            return False, [self._remote(item.name, item.name.rsplit("/", 1)[-1])]
        start = item.tree.rstrip("/") + "/" if item.tree else ""
        found = [self._remote(n, n[len(start) :]) for n in sorted(self.client.files) if n.startswith(start)]
        return True, found + [Remote(n + "/", 0, None, n, directory=True) for n in self.client.folders]

    @contextlib.contextmanager
    def open(self, remote, offset, mark):
        data = self.client.files[remote.detail]
        now = hashlib.md5(data).hexdigest()
        self.client.opened.append((remote.detail, offset, mark))
        if mark and mark != now:
            raise StorageError("%s was replaced" % remote.source)
        yield now, self._chunks(data, offset)

    def _chunks(self, data, offset):
        cut = len(data) // 2 if self.client.cuts else -1
        for at in range(offset, len(data), 7):
            if 0 <= cut <= at:
                self.client.cuts -= 1
                if self.client.on_cut:
                    self.client.on_cut()
                raise StorageError("cut", transient=True)
            yield data[at : at + 7]


def run(client, check=False, shard=None, **options):
    batch = options.pop("batch", None)
    items = [build(MemoryItem, {**options, **row}) for row in (batch or [{}])]
    for item in items:
        MemoryDownloads.validate(item)
    setting = Run(check=check, diff=True, parallel=3, shard=shard)
    return Engine(MemoryDownloads(client, setting), setting).execute(items)


def ok(client, **options):
    result = run(client, **options)
    assert not result.get("failed"), result
    return result


def tree_of(path):
    found = {}
    for top, _folders, files in os.walk(path):
        for name in files:
            with open(os.path.join(top, name), "rb") as stream:
                found[os.path.relpath(stream.name, path)] = stream.read()
    return found


@pytest.fixture
def client():
    return Memory(**{"t/a": b"A" * 100, "t/s/1": b"one", "t/s/2": b"two", "u": b"other"})


# --- where things go


def test_a_tree_lands_below_dest(client, tmp_path):
    ok(client, tree="t", dest=str(tmp_path / "x" / "y"))
    assert tree_of(tmp_path / "x" / "y") == {"a": b"A" * 100, "s/1": b"one", "s/2": b"two"}


@pytest.mark.parametrize(
    ("dest", "there", "lands"),
    [
        ("file", False, "file"),
        ("new/", False, "new/1"),
        ("old", True, "old/1"),
        ("deep/er/file", False, "deep/er/file"),
    ],
)
def test_a_single_file_is_dest_or_goes_into_it(client, tmp_path, dest, there, lands):
    if there:
        (tmp_path / dest).mkdir()
    result = ok(client, name="t/s/1", dest=str(tmp_path) + "/" + dest)
    assert tree_of(tmp_path) == {lands: b"one"}
    assert result["resource"]["dest"] == str(tmp_path / lands)
    assert result["resource"]["source"] == "memory/t/s/1"


def test_a_relative_dest_is_relative_to_the_working_directory(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ok(client, name="u", dest="here")
    assert tree_of(tmp_path) == {"here": b"other"}


def test_directories_of_the_other_side_are_made(client, tmp_path):
    client.folders = ["empty/deep"]
    before = ok(client, check=True, tree="t", dest=str(tmp_path))
    assert not (tmp_path / "empty").exists()
    after = ok(client, tree="t", dest=str(tmp_path))
    assert (tmp_path / "empty" / "deep").is_dir()
    assert before["diff"] == after["diff"]
    assert not ok(client, tree="t", dest=str(tmp_path))["changed"]


# --- the contract


def test_twice_is_unchanged_and_check_tells_the_same(client, tmp_path):
    options = {"tree": "t", "dest": str(tmp_path / "x"), "mode": "0600"}
    foretold = run(client, check=True, **options)
    assert not (tmp_path / "x").exists()
    done = ok(client, **options)
    assert foretold["changed"] and done["changed"]
    assert foretold["diff"] == done["diff"]
    client.opened.clear()
    again = ok(client, **options)
    assert not again["changed"] and again["summary"]["unchanged"] == 3
    assert client.opened == []


@pytest.mark.parametrize("digests", [True, False])
@pytest.mark.parametrize("local", [b"TWO", b"longer", b""])
def test_a_local_file_that_differs_is_replaced(client, tmp_path, digests, local):
    client.digests = digests
    target = tmp_path / "f"
    target.write_bytes(local)
    target.chmod(0o640)
    foretold = run(client, check=True, name="t/s/2", dest=str(target))
    assert target.read_bytes() == local
    done = ok(client, name="t/s/2", dest=str(target))
    assert target.read_bytes() == b"two"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert foretold["diff"] == done["diff"]
    assert done["diff"][0]["before"]["size"] == len(local)
    assert done["diff"][0]["after"]["size"] == 3
    assert not ok(client, name="t/s/2", dest=str(target))["changed"]


def test_without_a_digest_content_is_compared_and_a_cut_is_gone_on_with(client, tmp_path):
    client.digests = False
    (tmp_path / "f").write_bytes(b"A" * 100)
    client.cuts = 1
    assert not ok(client, name="t/a", dest=str(tmp_path / "f"))["changed"]
    assert [offset for _n, offset, _m in client.opened] == [0, 56]
    (tmp_path / "f").write_bytes(b"A" * 99 + b"B")
    assert ok(client, check=True, name="t/a", dest=str(tmp_path / "f"))["changed"]


def test_two_items_for_one_path_are_refused(client, tmp_path):
    client.files["v/1"] = b"another one"
    with pytest.raises(StorageError, match=r"memory/t/s/1 and memory/v/1|memory/v/1 and memory/t/s/1"):
        run(client, dest=str(tmp_path) + "/", batch=[{"name": "t/s/1"}, {"name": "v/1"}])
    assert tree_of(tmp_path) == {}


def test_a_file_where_another_needs_a_directory_is_refused(client, tmp_path):
    client.files["t/a/b"] = b"below a file"
    with pytest.raises(StorageError, match="memory/t/a and names below it"):
        run(client, tree="t", dest=str(tmp_path))
    assert tree_of(tmp_path) == {}


def test_a_shard_takes_its_share_and_prunes_only_there(client, tmp_path):
    client.files = {"t/%d" % n: b"%d" % n for n in range(40)}
    for name in range(100, 110):
        (tmp_path / str(name)).write_bytes(b"old")
    shares = []
    for index in range(2):
        ok(client, tree="t", dest=str(tmp_path), shard=(index, 2), prune=True, max_delete="100%")
        shares.append(set(tree_of(tmp_path)))
    assert shares[1] == {str(n) for n in range(40)}
    assert len(shares[0] & {str(n) for n in range(40)}) not in (0, 40)


# --- what is never written to


@pytest.mark.parametrize("name", ["t/../../out", "t/../out", "t/x/../../../out", "t//etc/out", "t/./out", "t/nul\0x"])
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(client, tmp_path, name):
    client.files[name] = b"evil"
    with pytest.raises(StorageError, match="leads out of dest"):
        run(client, tree="t", dest=str(tmp_path / "in"))
    assert tree_of(tmp_path) == {}


def test_a_single_name_that_ends_in_dots_is_refused(client, tmp_path):
    client.files["t/.."] = b"evil"
    with pytest.raises(StorageError, match="leads out of dest"):
        run(client, name="t/..", dest=str(tmp_path) + "/")


def test_a_link_in_place_of_a_file_is_refused(client, tmp_path):
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError, match="in/a is a symbolic link where a file belongs"):
        run(client, tree="t", dest=str(tmp_path / "in"))
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_a_link_in_place_of_a_directory_is_refused(client, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s").symlink_to(tmp_path / "elsewhere")
    for check in (True, False):
        with pytest.raises(StorageError, match="in/s is a symbolic link where a directory belongs"):
            run(client, check=check, tree="t", dest=str(tmp_path / "in"))
    assert tree_of(tmp_path) == {}


def test_dest_itself_and_what_is_above_it_may_be_links(client, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    ok(client, tree="t", dest=str(tmp_path / "link"))
    assert set(tree_of(tmp_path / "real")) == {"a", "s/1", "s/2"}


@pytest.mark.parametrize(
    ("path", "is_folder", "options"),
    [
        ("x/a", True, {"tree": "t"}),
        ("x/s", False, {"tree": "t"}),
        ("x", False, {"tree": "t"}),
        ("x/1", True, {"name": "t/s/1"}),
    ],
)
def test_the_wrong_kind_in_the_way_is_an_error(client, tmp_path, path, is_folder, options):
    place = tmp_path / path
    place.parent.mkdir(exist_ok=True)
    if is_folder:
        place.mkdir()
    else:
        place.write_bytes(b"keep")
    before = tree_of(tmp_path)
    with pytest.raises(StorageError, match="where a (file|directory) belongs"):
        run(client, dest=str(tmp_path / "x"), **options)
    assert tree_of(tmp_path) == before


def test_a_pipe_in_the_way_is_an_error_and_is_not_opened(client, tmp_path):
    os.mkfifo(tmp_path / "a")
    with pytest.raises(StorageError, match="something else"):
        run(client, tree="t", dest=str(tmp_path))


# --- cuts, checks, rubbish


def test_a_cut_download_goes_on_where_it_was_cut(client, tmp_path):
    client.cuts = 1
    ok(client, name="t/a", dest=str(tmp_path / "f"))
    assert (tmp_path / "f").read_bytes() == b"A" * 100
    (first, second) = client.opened
    assert first[1:] == (0, "")
    assert second[1:] == (56, hashlib.md5(b"A" * 100).hexdigest())


def test_cuts_without_end_are_an_error_that_leaves_nothing(client, tmp_path):
    client.cuts = 99
    result = run(client, name="t/a", dest=str(tmp_path / "f"))
    assert result["failed"] and "cut" in result["msg"]
    assert os.listdir(tmp_path) == []
    assert len(client.opened) == 4


def test_an_object_that_changes_between_two_pieces_is_an_error(client, tmp_path):
    (tmp_path / "f").write_bytes(b"old")
    client.cuts = 1
    client.on_cut = lambda: client.files.update({"t/a": b"B" * 100})
    result = run(client, name="t/a", dest=str(tmp_path / "f"))
    assert result["failed"] and "was replaced" in result["msg"]
    assert tree_of(tmp_path) == {"f": b"old"}


@pytest.mark.parametrize(("arrives", "told"), [(b"two!", "4 bytes arrived where 3"), (b"TWO", "another digest")])
def test_what_is_not_what_was_announced_replaces_nothing(client, tmp_path, arrives, told, monkeypatch):
    (tmp_path / "f").write_bytes(b"old")
    monkeypatch.setattr(MemoryDownloads, "_chunks", lambda self, data, offset: iter([arrives]))
    result = run(client, name="t/s/2", dest=str(tmp_path / "f"))
    assert result["failed"] and told in result["msg"]
    assert result["failures"][0]["item"] == str(tmp_path / "f")
    assert tree_of(tmp_path) == {"f": b"old"}


def test_a_full_disk_is_said_and_leaves_nothing(client, tmp_path, monkeypatch):
    def full(descriptor, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(downloads.os, "write", full)
    result = run(client, name="t/a", dest=str(tmp_path / "f"))
    assert result["failed"] and "No space left on device" in result["msg"] and "Make room" in result["msg"]
    assert result["failures"][0]["operation"] == "write local file"
    assert os.listdir(tmp_path) == []


def test_rubbish_of_a_dead_run_goes_and_that_of_a_living_one_stays(client, tmp_path):
    dead, alive = (tmp_path / (".a.polystore-" + digit * 16) for digit in "01")
    like = tmp_path / ".a.polystore-mine"
    for path in (dead, alive, like):
        path.write_bytes(b"half")
    with alive.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        ok(client, tree="t", dest=str(tmp_path))
    assert sorted(n for n in os.listdir(tmp_path) if n.startswith(".")) == [alive.name, like.name]


def test_overlong_names_are_an_error_and_long_ones_are_not(client, tmp_path):
    client.files = {"t/" + "x" * 255: b"fits"}
    ok(client, tree="t", dest=str(tmp_path))
    assert tree_of(tmp_path) == {"x" * 255: b"fits"}
    client.files["t/" + "y" * 256] = b"does not"
    with pytest.raises(StorageError, match="File name too long"):
        run(client, tree="t", dest=str(tmp_path))


def test_one_failure_does_not_stop_the_others(client, tmp_path, monkeypatch):
    plain = MemoryDownloads.open

    def partly(self, remote, offset, mark):
        if remote.detail == "t/s/1":
            raise StorageError("refused", code=403)
        return plain(self, remote, offset, mark)

    monkeypatch.setattr(MemoryDownloads, "open", partly)
    result = run(client, tree="t", dest=str(tmp_path), prune=True)
    assert result["failed"] and result["summary"]["failed"] == 1 and result["summary"]["created"] == 2
    assert set(tree_of(tmp_path)) == {"a", "s/2"}


# --- mode, owner, group


def test_a_new_file_gets_0666_less_the_umask(client, tmp_path):
    old = os.umask(0o027)
    try:
        result = ok(client, name="u", dest=str(tmp_path / "f"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640
    assert result["resource"]["mode"] == "0640"


def test_mode_is_fixed_without_a_download(client, tmp_path):
    ok(client, name="u", dest=str(tmp_path / "f"), mode="0600")
    client.opened.clear()
    number = (tmp_path / "f").stat().st_ino
    result = ok(client, name="u", dest=str(tmp_path / "f"), mode="0444")
    assert result["changed"] and result["resource"]["action"] == "updated"
    assert result["diff"][0]["before"]["mode"] == "0600" and result["diff"][0]["after"]["mode"] == "0444"
    found = (tmp_path / "f").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_ino, client.opened) == (0o444, number, [])
    assert not ok(client, name="u", dest=str(tmp_path / "f"), mode="0444")["changed"]


@pytest.mark.parametrize("form", ["name", "number"])
def test_owner_and_group_that_are_right_are_unchanged(client, tmp_path, form):
    me, mine = pwd.getpwuid(os.geteuid()), grp.getgrgid(os.getegid())
    owner, group = (me.pw_name, mine.gr_name) if form == "name" else (str(me.pw_uid), str(mine.gr_gid))
    options = {"name": "u", "dest": str(tmp_path / "f"), "owner": owner, "group": group}
    ok(client, **options)
    again = ok(client, **options)
    assert not again["changed"] and again["resource"]["owner"] == owner


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owner_is_changed_without_a_download_and_kept_by_one(client, tmp_path):
    options = {"name": "u", "dest": str(tmp_path / "f")}
    ok(client, **options)
    client.opened.clear()
    assert ok(client, owner="12345", group="54321", **options)["changed"]
    found = (tmp_path / "f").stat()
    assert (found.st_uid, found.st_gid, client.opened) == (12345, 54321, [])
    client.files["u"] = b"newer"
    ok(client, **options)
    found = (tmp_path / "f").stat()
    assert (found.st_uid, found.st_gid, (tmp_path / "f").read_bytes()) == (12345, 54321, b"newer")


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"owner": "nobody-has-this-name"}, "owner"),
        ({"group": "nobody-has-this-name"}, "group"),
        ({"mode": 420}, "mode"),
        ({"mode": "u+x"}, "mode"),
        ({"mode": "0999"}, "mode"),
        ({"dest": ""}, "dest"),
        ({"dest": "a\0b"}, "dest"),
        ({"state": "absent"}, "state"),
        ({"max_delete": "many"}, "max_delete"),
    ],
)
def test_wrong_options_are_named(client, tmp_path, options, option):
    with pytest.raises(OptionError) as caught:
        run(client, **{"name": "u", "dest": str(tmp_path / "f"), **options})
    assert caught.value.option == option


# --- prune


def test_prune_removes_files_that_are_too_much_and_directories_that_it_emptied(client, tmp_path):
    ok(client, tree="t", dest=str(tmp_path))
    for name in ("old", "s/old", "gone/deep/er/old"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "kept").mkdir()
    options = {"tree": "t", "dest": str(tmp_path), "prune": True, "max_delete": 3}
    foretold = ok(client, check=True, **options)
    assert len(tree_of(tmp_path)) == 7
    done = ok(client, **options)
    assert done["summary"]["deleted"] == 3 and foretold["diff"] == done["diff"]
    assert sorted(os.listdir(tmp_path)) == ["a", "kept", "link", "s"]
    assert not ok(client, **options)["changed"]


def test_prune_is_braked(client, tmp_path):
    for number in range(20):
        (tmp_path / ("old%d" % number)).write_bytes(b"old")
    with pytest.raises(StorageError, match="max_delete 10% allows 2"):
        run(client, tree="t", dest=str(tmp_path), prune=True)
    with pytest.raises(StorageError, match="nothing is declared"):
        run(client, tree="empty", dest=str(tmp_path), prune=True, max_delete="100%")
    assert len(os.listdir(tmp_path)) == 20
    ok(client, tree="empty", dest=str(tmp_path), prune=True, max_delete="100%", allow_empty=True)
    assert os.listdir(tmp_path) == []


def test_prune_spares_what_another_item_of_the_task_puts_there(client, tmp_path):
    batch = [{"tree": "t", "dest": str(tmp_path), "prune": True}, {"name": "u", "dest": str(tmp_path / "u")}]
    ok(client, batch=batch)
    assert not ok(client, batch=batch)["changed"]
    assert set(tree_of(tmp_path)) == {"a", "s/1", "s/2", "u"}


def test_prune_does_not_count_living_temporary_files(client, tmp_path):
    ok(client, tree="t", dest=str(tmp_path))
    (tmp_path / (".a.polystore-" + "0" * 16)).write_bytes(b"half")
    assert not ok(client, tree="t", dest=str(tmp_path), prune=True)["changed"]


def test_names_that_are_not_utf8_can_be_pruned_and_reported(client, tmp_path):
    ok(client, tree="t", dest=str(tmp_path))
    with open(os.fsencode(tmp_path) + b"/\xff\xfe", "wb"):
        pass
    result = ok(client, tree="t", dest=str(tmp_path), prune=True, max_delete=1)
    assert result["summary"]["deleted"] == 1
    assert result["resources"][-1]["dest"].encode("utf-8")
    assert set(tree_of(tmp_path)) == {"a", "s/1", "s/2"}
