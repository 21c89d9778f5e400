# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fdfs_download against a new FastDFS and an old one, whose checksums are others; requests counted in its own log."""

from __future__ import annotations

import io
import json
import os
import pathlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.download import FdfsDownload
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import FileId, crc32
from ansible_collections.polystore.storage.tests.support.run import run_ok, run_task

pytestmark = pytest.mark.server
LARGE = os.urandom(1_500_000)


class Shelf:
    """Files of one test, and its tasks."""

    def __init__(self, server: Any, home: pathlib.Path) -> None:
        self.server, self.home = server, home
        self.client = client_for(CONNECTION, server.connection(), 8, {})
        self.legacy = server.version < "5.12"

    def put(self, data: bytes, **more: Any) -> FileId:
        return self.client.upload(lambda: io.BytesIO(data), len(data), **more)

    def slave(self, master: FileId, data: bytes, prefix: str = "_small") -> FileId:
        return self.client.upload_slave(master, prefix, lambda: io.BytesIO(data), len(data), extension="txt")

    def append(self, file: FileId, data: bytes) -> None:
        self.client.append(file, lambda: io.BytesIO(data), len(data))

    def run(self, ok: bool = True, **options: Any) -> dict[str, Any]:
        return (run_ok if ok else run_task)(FdfsDownload, self.server, **options)

    def fails(self, **options: Any) -> str:
        """The message of a task that fails; check mode says the same, and nothing is left."""
        before = files(self.home)
        check, result = self.run(False, check=True, **options), self.run(False, **options)
        assert result.get("failed") and check["msg"] == result["msg"]
        assert "This is a fault in" not in result["msg"], result["exception"]
        assert files(self.home) == before
        return str(result["msg"])

    def asked(self, mark: int) -> list[str]:
        return [entry["method"] for entry in self.server.requests(mark)]


@pytest.fixture(params=["fdfs_server", "fdfs_v511_server"])
def shelf(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Shelf:
    return Shelf(request.getfixturevalue(request.param), tmp_path)


@pytest.fixture
def newest(fdfs_server: Any, tmp_path: pathlib.Path) -> Shelf:
    return Shelf(fdfs_server, tmp_path)


def files(place: pathlib.Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}


def contract(shelf: Shelf, wanted: dict[str, bytes], **options: Any) -> dict[str, Any]:
    """Check mode, the run, the run again: each as the contract of a state module says. Returns the run's result."""
    before, mark = files(shelf.home), shelf.server.mark()
    foretold = shelf.run(check=True, diff=True, **options)
    assert files(shelf.home) == before
    done = shelf.run(diff=True, **options)
    assert files(shelf.home) == wanted
    assert foretold["changed"] and done["changed"] and foretold["diff"] == done["diff"]
    assert foretold["resources"] == done["resources"]
    again = shelf.run(diff=True, **options)
    assert not again["changed"] and again["diff"] == []
    assert shelf.server.writes(mark) == []
    return done


def test_a_file(shelf: Shelf) -> None:
    file = shelf.put(LARGE, extension="bin")
    dest = shelf.home / "sub" / "large"
    done = contract(shelf, {"sub/large": LARGE}, file_id=str(file), dest=str(dest))
    digest = "%08x" % crc32(LARGE, shelf.legacy)
    assert done["resource"] == {
        "dest": str(dest), "source": str(file), "action": "created", "size": len(LARGE), "digest": digest,
        "mode": done["resource"]["mode"],
    }  # fmt: skip
    mark = shelf.server.mark()
    assert shelf.run(file_id=str(file), dest=str(dest))["summary"]["bytes_received"] == 0
    assert "download" not in shelf.asked(mark) and shelf.asked(mark)[-1] == "query_file_info"
    mark = shelf.server.mark()
    shelf.run(file_id=str(file), dest=str(dest), verify=False)
    assert shelf.asked(mark) == []
    changed = bytearray(LARGE)
    changed[-1] ^= 1
    dest.write_bytes(changed)
    contract(shelf, {"sub/large": LARGE}, file_id=str(file), dest=str(dest), verify=False)


def test_a_part(shelf: Shelf) -> None:
    file = shelf.put(LARGE)
    dest = shelf.home / "part"
    for options, wanted in (
        ({"offset": "1k", "bytes": 5000}, LARGE[1024:6024]),
        ({"offset": len(LARGE) - 7, "bytes": "1M"}, LARGE[-7:]),
        ({"offset": 0, "bytes": 70000}, LARGE[:70000]),
        ({"offset": len(LARGE)}, b""),
        ({"offset": 1_000_000}, LARGE[1_000_000:]),
    ):
        done = contract(shelf, {"part": wanted}, file_id=str(file), dest=str(dest), **options)
        assert done["resource"]["size"] == len(wanted) and "digest" not in done["resource"]
    told = shelf.fails(file_id=str(file), dest=str(dest), offset=len(LARGE) + 1)
    assert "offset: 1500001 is beyond the end of %s, which has 1500000 bytes" % file.text in told


def test_empty_files(shelf: Shelf) -> None:
    """Servers do not agree what a download of nothing is; none is asked for it."""
    file = shelf.put(b"", extension="txt")
    mark = shelf.server.mark()
    contract(shelf, {"empty": b""}, file_id=str(file), dest=str(shelf.home / "empty"), mode="0600")
    assert "download" not in shelf.asked(mark)
    assert shelf.home.joinpath("empty").stat().st_mode & 0o777 == 0o600


def test_an_appender(shelf: Shelf) -> None:
    """Its id tells neither size nor checksum, and before 6.02 no answer tells the checksum."""
    file = shelf.put(LARGE[:9000], appender=True, extension="log")
    dest = shelf.home / "log"
    options = {"file_id": str(file), "dest": str(dest)}
    contract(shelf, {"log": LARGE[:9000]}, **options)
    shelf.append(file, LARGE[9000:300_000])
    done = contract(shelf, {"log": LARGE[:300_000]}, **options)
    assert done["resource"].get("digest") == (None if shelf.legacy else "%08x" % crc32(LARGE[:300_000]))
    mark = shelf.server.mark()
    shelf.run(**options)
    assert ("download" in shelf.asked(mark)) == shelf.legacy
    dest.write_bytes(b"?" + LARGE[1:300_000])
    contract(shelf, {"log": LARGE[:300_000]}, **options)
    shelf.client.truncate(file, 0)
    contract(shelf, {"log": b""}, **options)


def test_a_slave(shelf: Shelf) -> None:
    """Its id carries its master's size and checksum, and before 6.15.1 so does every answer."""
    master = shelf.put(b"the master", extension="txt")
    slave = shelf.slave(master, LARGE[:70_000])
    options = {"file_id": str(slave), "dest": str(shelf.home / "slave")}
    done = contract(shelf, {"slave": LARGE[:70_000]}, **options)
    assert done["resource"].get("digest") == (None if shelf.legacy else "%08x" % crc32(LARGE[:70_000]))
    same_size = b"?" * 70_000
    (shelf.home / "slave").write_bytes(same_size)
    contract(shelf, {"slave": LARGE[:70_000]}, **options)


def test_into_a_directory(newest: Shelf) -> None:
    file = newest.put(b"x", extension="txt")
    last = file.name.rpartition("/")[2]
    contract(newest, {"there/" + last: b"x"}, file_id=str(file), dest=str(newest.home / "there") + "/")
    contract(newest, {"there/" + last: b"x", "a/b": b"x"}, file_id=str(file), dest=str(newest.home / "a" / "b"))


def test_what_is_not_there(shelf: Shelf) -> None:
    file = shelf.put(b"to be deleted")
    shelf.client.delete(file)
    told = shelf.fails(file_id=str(file), dest=str(shelf.home / "x"))
    assert "There is no file %s" % file.text in told and "deleted" in told
    told = shelf.run(False, file_id=str(file), dest=str(shelf.home / "x"), verify=False)["msg"]
    assert str(file) in told and "ENOENT" in told and files(shelf.home) == {}
    told = shelf.fails(file_id="group9/" + file.name, dest=str(shelf.home / "x"))
    assert "no such group, or no active storage" in told
    (shelf.home / "same").write_bytes(b"to be deleted")
    assert shelf.run(file_id=str(file), dest=str(shelf.home / "same"), verify=False)["changed"] is False


def test_damage_is_noticed(shelf: Shelf) -> None:
    """A storage that gives other bytes, or fewer, than the id tells."""
    file = shelf.put(LARGE)
    dest = shelf.home / "x"
    dest.write_bytes(b"old")
    for path in shelf.server.copies(file):
        path.write_bytes(LARGE[:-1] + bytes([LARGE[-1] ^ 1]))
    told = shelf.run(False, file_id=str(file), dest=str(dest))["msg"]
    assert "what arrived has another digest than was announced" in told and files(shelf.home) == {"x": b"old"}
    for path in shelf.server.copies(file):
        path.write_bytes(LARGE[:-1])
    told = shelf.fails(file_id=str(file), dest=str(dest))
    assert "has 1499999 bytes on its storage, and its id says 1500000" in told


def test_a_cut_download_goes_on(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FdfsDownload, "again", Retry(5, base=0.0))
    file, slow = shelf.put(LARGE), shelf.put(LARGE, appender=True)
    for number, (one, again) in enumerate(((file, 0), (slow, 1))):
        shelf.server.fault("cut", method="download", count=1, bytes=400_000)
        mark = shelf.server.mark()
        shelf.run(file_id=str(one), dest=str(shelf.home / str(number)))
        sent = [entry for entry in shelf.server.requests(mark) if entry["method"] == "download"]
        assert len(sent) == 2 and sent[1]["bytes_out"] <= len(LARGE) - 262_144, again
        shelf.server.clear_faults()
    assert files(shelf.home) == {"0": LARGE, "1": LARGE}


def test_an_appender_that_changes_between_two_pieces(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    file = shelf.put(LARGE, appender=True)

    def meanwhile(_pause: float) -> None:
        shelf.append(file, b"more")

    monkeypatch.setattr(FdfsDownload, "again", Retry(5, base=0.0, sleep=meanwhile))
    (shelf.home / "x").write_bytes(b"old")
    shelf.server.fault("cut", method="download", count=1, bytes=400_000)
    told = shelf.run(False, file_id=str(file), dest=str(shelf.home / "x"))["msg"]
    assert "was changed on the server while it was read" in told and files(shelf.home) == {"x": b"old"}


def test_another_storage_of_the_group_serves(newest: Shelf) -> None:
    file = newest.put(LARGE)
    newest.server.behave(lost=[file.source], offer_seconds=0)
    contract(newest, {"x": LARGE}, file_id=str(file), dest=str(newest.home / "x"))


# --- by names


def manifest(shelf: Shelf, **named: FileId | str) -> str:
    """A manifest, as somebody may write it by hand; it lies beside what is compared."""
    path = shelf.home.with_name(shelf.home.name + "-files.json")
    path.write_text(json.dumps({"schema": 1, "files": {name: {"id": str(file)} for name, file in named.items()}}))
    return str(path)


WANTED = {"plain": b"p" * 5000, "empty": b"", "a/b/c/deep": LARGE[:1_300_000], "ab": b"another"}


def tree(shelf: Shelf) -> str:
    """A manifest with a tree below t, a slave in it, and something that is not below t."""
    named = {"t/" + name: shelf.put(data) for name, data in WANTED.items()}
    return manifest(
        shelf, **named, **{"t/slave": shelf.slave(named["t/ab"], b"slave"), "tea": shelf.put(b"not below t")}
    )


def test_by_name(shelf: Shelf) -> None:
    path = tree(shelf)
    dest = shelf.home / "x"
    contract(shelf, {"x": b"not below t"}, manifest=path, name="tea", dest=str(dest))
    contract(shelf, {"x": b"not"}, manifest=path, name="tea", bytes=3, dest=str(dest))
    (shelf.home / "d").mkdir()
    contract(
        shelf,
        {"x": b"not", "d/deep": WANTED["a/b/c/deep"]},
        manifest=path,
        name="t/a/b/c/deep",
        dest=str(shelf.home / "d"),
    )
    told = shelf.fails(manifest=path, name="te", dest=str(dest))
    assert "The manifest %s has neither a file te nor any below it" % path in told and "gather: manifest" in told
    told = shelf.fails(manifest=path + ".not", name="tea", dest=str(dest))
    assert "neither a file tea" in told


def test_a_tree(shelf: Shelf) -> None:
    path = tree(shelf)
    wanted = {"x/" + name: data for name, data in {**WANTED, "slave": b"slave"}.items()}
    dest = shelf.home / "x"
    done = contract(shelf, wanted, manifest=path, name="t/", dest=str(dest))
    assert done["summary"]["created"] == 5 and "resource" not in done
    for name, data in WANTED.items():
        if data:
            (dest / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert shelf.run(manifest=path, name="t", dest=str(dest))["summary"]["updated"] == 3
    assert files(shelf.home) == wanted
    mark = shelf.server.mark()
    shelf.run(manifest=path, name="t", dest=str(dest))
    asked = shelf.asked(mark)
    assert asked.count("query_file_info") == 5 + 2 * shelf.legacy and asked.count("download") == shelf.legacy
    assert asked.count("list_storages") <= 1 and asked.count("query_update") <= 8
    whole = shelf.home / "whole"
    shelf.run(manifest=path, dest=str(whole))
    assert files(whole) == {**{"t/" + name[2:]: data for name, data in wanted.items()}, "tea": b"not below t"}


def test_prune_with_brakes(newest: Shelf) -> None:
    path = manifest(newest, **{"t/%d" % number: newest.put(b"x") for number in range(5)})
    options: dict[str, Any] = {"manifest": path, "name": "t", "dest": str(newest.home), "prune": True}
    newest.run(**options)
    (newest.home / "sub").mkdir()
    (newest.home / "sub" / "old").write_bytes(b"old")
    assert "max_delete 10%" in newest.fails(**options)
    contract(newest, {str(n): b"x" for n in range(5)}, max_delete="50%", **options)
    assert not (newest.home / "sub").exists()
    assert "prune: is for trees" in newest.fails(**{**options, "name": "t/1"})
    empty = manifest(newest)
    assert "allow_empty" in newest.fails(**{**options, "manifest": empty, "name": "", "max_delete": "100%"})


@pytest.mark.parametrize("option", [{"offset": 1}, {"bytes": 1}])
def test_a_part_of_a_tree_is_none(newest: Shelf, option: dict[str, Any]) -> None:
    told = newest.fails(manifest=tree(newest), name="t", dest=str(newest.home / "x"), **option)
    assert "%s: is for single files, and t/ is a tree" % next(iter(option)) in told


def test_names_that_lead_out(newest: Shelf) -> None:
    for name in ("../x", "/x", "a/../../x", "a//b", "."):
        told = newest.fails(manifest=manifest(newest, **{name: newest.put(b"x")}), dest=str(newest.home / "d"))
        assert "has a name that leads out of dest" in told, name


def test_what_a_manifest_may_be(newest: Shelf) -> None:
    """One that is damaged is an error that says what to do, and it is left as it is."""
    path = pathlib.Path(manifest(newest, broken="group1/M00/no"))
    assert "broken in the manifest" in newest.fails(manifest=str(path), dest=str(newest.home / "d"))
    for text in ("", "{", "[]", '{"schema": 2, "files": {}}', '{"schema": 1, "files": {"a": {}}}'):
        path.write_text(text)
        told = newest.fails(manifest=str(path), dest=str(newest.home / "d"))
        assert "the manifest" in told and "it is left as it is" in told and path.read_text() == text


def test_a_batch(newest: Shelf) -> None:
    names = {"f%d" % number: newest.put(b"%d" % number) for number in range(4)}
    path = manifest(newest, **names, **{"other/f1": newest.put(b"clash")})
    batch = [{"name": name} for name in names]
    wanted = {"f%d" % n: b"%d" % n for n in range(4)}
    contract(newest, wanted, manifest=path, dest=str(newest.home) + "/", mode="0640", batch=batch)
    told = newest.fails(manifest=path, dest=str(newest.home) + "/", batch=[*batch, {"name": "other/f1"}])
    assert "cannot both be at" in told
