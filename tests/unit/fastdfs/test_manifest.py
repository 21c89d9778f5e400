# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests: what they tell, what they refuse, and what is left of them after each thing that can go wrong."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import stat
import threading
import unittest.mock
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import manifest as module
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import DOUBTS, Manifest
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.manifest import Held, Note
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.salvage import salvage

ONE, TWO, THREE = ("group1/M00/00/00/wKgBQ2cL4VyABCDEAAAAC7f3YtE12%d.txt" % n for n in (1, 2, 3))


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "files.json"


def journal(path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(str(path) + ".journal")


def entry(text: str, **more: Any) -> dict[str, Any]:
    return {"id": text, "size": 11, "crc32": "b7f762d1", **more}


def note(path: pathlib.Path, name: str, text: str | None, *old: str) -> Note:
    return Note(str(path), name, entry(text) if text else None, old)


def filled(path: pathlib.Path) -> None:
    """A manifest with two names."""
    held = Held(str(path), 0)
    held.record([note(path, "one", ONE), note(path, "zwei ü\u2028", TWO)])
    assert held.close() is None


def state(path: pathlib.Path) -> tuple[Any, ...]:
    found = Manifest.load(str(path))
    return found.entries, sorted(found.leftovers()), found.pending


def test_nothing_is_there_before_the_first_run(path: pathlib.Path) -> None:
    assert state(path) == ({}, [], set())
    assert list(path.parent.iterdir()) == []
    held = Held(str(path), 0)
    assert held.close() is None
    assert not path.exists() and journal(path).read_bytes() == b""
    assert state(path) == ({}, [], set())


def test_what_is_recorded_is_read(path: pathlib.Path) -> None:
    filled(path)
    assert state(path) == ({"one": entry(ONE), "zwei ü\u2028": entry(TWO)}, [], set())
    document = json.loads(path.read_text("utf-8"))
    assert document["schema"] == 1 and len(path.read_text("utf-8").split("\n")) == 6  # a line for each name
    assert len(journal(path).read_text("utf-8").splitlines()) == 1


def test_a_run_without_changes_writes_nothing(path: pathlib.Path) -> None:
    filled(path)
    before = [(p.name, p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(path.parent.iterdir())]
    assert Held(str(path), 0).close() is None
    assert [(p.name, p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(path.parent.iterdir())] == before


def test_the_life_of_a_file(path: pathlib.Path) -> None:
    held = Held(str(path), 0)
    held.sending("n", 5)
    held.new("n", ONE)
    assert held.ours(ONE) and held.leftovers() == [ONE]
    held.record([note(path, "n", ONE)])
    assert held.leftovers() == []
    held.new("n", TWO)
    held.record([note(path, "n", TWO, ONE)])
    assert held.leftovers() == [ONE] and held.entries["n"]["id"] == TWO
    held.gone(ONE)
    held.touch("n")
    assert (held.leftovers(), held.pending) == ([], {"n"})
    assert Manifest.load(str(path)).pending == {"n"}  # others read the journal
    held.record([Note(str(path), "n", None)])
    assert held.close() is None
    assert state(path) == ({}, [], set())


def test_what_a_name_stands_for_is_never_a_leftover(path: pathlib.Path) -> None:
    held = Held(str(path), 0)
    held.record([note(path, "a", ONE)])
    held.record([note(path, "b", TWO, ONE)])
    assert held.leftovers() == []
    assert held.close() is None
    assert state(path)[1] == []


def test_a_doubt_stays_and_is_told_once(path: pathlib.Path) -> None:
    held = Held(str(path), 0)
    held.sending("lost", 5)
    held.sending("refused", 6)
    held.unsent("refused")
    os.close(held._file)  # killed
    held = Held(str(path), 0)
    assert [doubt["name"] for doubt in held.heard] == ["lost"] and held.heard[0]["size"] == 5
    held.sending("unheard", 7)
    assert held.close() is None
    held = Held(str(path), 0)
    assert held.heard == [] and [doubt["name"] for doubt in held.doubts] == ["lost", "unheard"]
    for number in range(DOUBTS + 5):
        held.sending(str(number), 1)
    os.close(held._file)
    assert len(Manifest.load(str(path)).doubts) == DOUBTS


STEPS: list[Callable[[Held, pathlib.Path], Any]] = [
    lambda held, path: held.sending("n", 5),
    lambda held, path: held.new("n", THREE),
    lambda held, path: held.record([note(path, "n", THREE), note(path, "one", None, ONE)]),
    lambda held, path: held.gone(ONE),
    lambda held, path: held.touch("n"),
    lambda held, path: held.record([note(path, "n", TWO, THREE)]),
]


@pytest.mark.parametrize("name", ["write", "fsync", "ftruncate", "rename", "open", "unlink", "half"])
def test_a_full_disk_at_each_step(path: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails, an error says so, and what is on the disk is the state before or after that step."""
    for failing in range(40):
        for left in path.parent.iterdir():
            left.unlink()
        filled(path)
        held = Held(str(path), 0)
        count, seen = [failing], [state(path)]

        def broken(function: Any, count: list[int]) -> Any:
            def replaced(*args: Any, **kwargs: Any) -> Any:
                count[0] -= 1
                if count[0] == -1:
                    if name == "half":
                        function(args[0], bytes(args[1])[: len(args[1]) // 2])
                    raise OSError(errno.ENOSPC, "No space left on device")
                return function(*args, **kwargs)

            return replaced

        failures = 0
        with monkeypatch.context() as patch:
            real = "write" if name == "half" else name
            patch.setattr(module.os, real, broken(getattr(os, real), count))
            for step in STEPS:
                try:
                    step(held, path)
                except StorageError as error:
                    failures += 1
                    assert "No space left" in error.message and error.code == errno.ENOSPC and error.fatal
                    break
                finally:
                    patch.undo()
                    seen.append((dict(held.entries), sorted(held.leftovers()), set(held.pending)))
                    patch.setattr(module.os, real, broken(getattr(os, real), count))
                assert state(path) == seen[-1]
            failed = held.close()
        assert state(path) == seen[-1]
        again = Held(str(path), 0)
        assert (dict(again.entries), sorted(again.leftovers()), set(again.pending)) == seen[-1]
        assert again.close() is None
        assert state(path) == seen[-1]
        assert {p.name for p in path.parent.iterdir()} == {path.name, journal(path).name}
        if not failures and failed is None and count[0] >= 0:
            assert failing > 0 or name == "unlink"
            return
    raise AssertionError("still not through")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "damaged"), ("{", "damaged"), ("\x00" * 100, "damaged"), ("[]", "no manifest"), ("null", "no manifest"),
        ('{"files": {}}', "no manifest"), ('{"schema": 1}', "no manifest"),
        ('{"schema": 1, "files": []}', "no manifest"),
        ('{"schema": 2, "files": {}}', "schema 2"), ('{"schema": "1", "files": {}}', "schema"),
        ('{"schema": 1, "files": {"a": {}}}', "'a' has no id"), ('{"schema": 1, "files": {"a": "x"}}', "'a' has no id"),
        ('{"schema": 1, "files": {"a": {"id": 5}}}', "'a' has no id"),
        ('{"schema": 1, "files": {}, "leftovers": [[]]}', "damaged"),
        ('{"schema": 1, "files": {}, "pending": 5}', "damaged"),
    ],
)  # fmt: skip
def test_a_damaged_manifest_is_refused_and_left(path: pathlib.Path, text: str, told: str) -> None:
    filled(path)
    path.write_text(text)
    before = journal(path).read_bytes()
    for reads in (Manifest.load, lambda where: Held(where, 0)):
        with pytest.raises(StorageError) as caught:
            reads(str(path))
        assert told in caught.value.message and str(path) in caught.value.message and caught.value.fatal
        assert "fdfs_info" in caught.value.hint or "version" in caught.value.hint
    assert (path.read_text(), journal(path).read_bytes()) == (text, before)


def test_every_truncation_is_refused(path: pathlib.Path) -> None:
    filled(path)
    whole = path.read_bytes()
    for length in range(len(whole) - 1):  # but for the last newline
        path.write_bytes(whole[:length])
        with pytest.raises(StorageError):
            Held(str(path), 0)
        assert path.read_bytes() == whole[:length]


def test_a_lost_manifest_is_not_begun_anew(path: pathlib.Path) -> None:
    filled(path)
    path.unlink()
    for reads in (Manifest.load, lambda where: Held(where, 0)):
        with pytest.raises(StorageError, match="is gone"):
            reads(str(path))
    assert not path.exists()


def test_one_written_by_hand(path: pathlib.Path) -> None:
    filled(path)
    path.write_text(json.dumps({"schema": 1, "files": {"hand": {"id": THREE}}}))
    assert state(path) == ({"hand": {"id": THREE}}, [], set())
    held = Held(str(path), 0)
    held.record([note(path, "one", ONE)])
    assert held.close() is None
    assert set(state(path)[0]) == {"hand", "one"}


def test_a_journal_of_another_manifest_is_refused(path: pathlib.Path) -> None:
    filled(path)
    held = Held(str(path), 0)
    held.record([note(path, "one", THREE, ONE)])
    os.close(held._file)  # killed
    document = json.loads(path.read_text("utf-8"))
    for change in ({"revision": "another"}, {"revision": None}):
        path.write_text(json.dumps({**document, **change}))
        with pytest.raises(StorageError, match="journal") as caught:
            Held(str(path), 0)
        assert caught.value.code == "MISMATCH" and "move the journal away" in caught.value.hint


def test_a_journal_that_was_folded_already_is_no_more(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(str(path), 0)
    held.record([note(path, "one", ONE)])
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "ftruncate", unittest.mock.Mock(side_effect=OSError(5, "I/O error")))
        assert "I/O error" in str(held.close())
    path.write_text(path.read_text("utf-8").replace(ONE, TWO), "utf-8")  # the document counts
    assert state(path)[0]["one"]["id"] == TWO
    assert Held(str(path), 0).close() is None
    assert state(path)[0]["one"]["id"] == TWO


@pytest.mark.parametrize("wrong", [b"x\n", b"{}\n", b"[]\n", b"5\n", b'{"journal": "a", "base": ""}\n{"op": "set"}\n'])
def test_a_damaged_journal_is_refused_and_left(path: pathlib.Path, wrong: bytes) -> None:
    journal(path).write_bytes(wrong)
    for reads in (Manifest.load, lambda where: Held(where, 0)):
        with pytest.raises(StorageError, match="damaged journal"):
            reads(str(path))
    assert journal(path).read_bytes() == wrong and not path.exists()


def test_every_truncation_of_a_journal_is_a_state_on_the_way(path: pathlib.Path) -> None:
    filled(path)
    held = Held(str(path), 0)
    for step in STEPS:
        step(held, path)
    os.close(held._file)
    whole, last, states = journal(path).read_bytes(), state(path), []
    lines = whole.splitlines(True)
    for number in range(len(lines) + 1):
        journal(path).write_bytes(b"".join(lines[:number]))
        states.append(state(path))
    assert states[-1] == last and len({repr(one) for one in states}) > 5
    for length in range(len(whole)):
        journal(path).write_bytes(whole[:length])
        assert state(path) == states[whole[:length].count(b"\n")]
    journal(path).write_bytes(whole[:-3])
    held = Held(str(path), 0)
    held.record([note(path, "last", THREE)])
    assert held.close() is None
    assert "last" in state(path)[0]


def test_it_is_locked(path: pathlib.Path) -> None:
    filled(path)
    held = Held(str(path), 0)
    with pytest.raises(StorageError, match="held by another run") as caught:
        Held(str(path), 0)
    assert caught.value.code == "LOCKED" and "lock_timeout" in caught.value.hint
    assert set(state(path)[0]) == {"one", "zwei ü\u2028"}  # who only reads does not wait
    waiting: list[Held] = []
    thread = threading.Thread(target=lambda: waiting.append(Held(str(path), 60)))
    thread.start()
    held.record([note(path, "late", THREE)])
    assert held.close() is None
    thread.join(60)
    assert "late" in waiting[0].entries
    assert waiting[0].close() is None


def test_workers_note_at_the_same_time(path: pathlib.Path) -> None:
    held = Held(str(path), 0)

    def work(number: int) -> None:
        for count in range(50):
            held.record([note(path, "%d-%d" % (number, count), ONE)])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Manifest.load(str(path)).entries) == 200
    assert held.close() is None
    assert len(state(path)[0]) == 200


def test_a_link_to_it_stays_one(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "there").mkdir()
    real = tmp_path / "there" / "real.json"
    path.symlink_to(real)
    filled(path)
    assert path.is_symlink() and real.is_file() and journal(real).is_file() and not journal(path).exists()
    assert state(path) == state(real)


def test_a_planted_journal_is_not_followed(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "victim").write_text("precious")
    journal(path).symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError):
        Held(str(path), 0)
    assert (tmp_path / "victim").read_text() == "precious"
    journal(path).unlink()
    (tmp_path / "files.json.new").symlink_to(tmp_path / "victim")
    filled(path)
    assert (tmp_path / "victim").read_text() == "precious"
    journal(path).unlink()
    os.mkfifo(journal(path))
    with pytest.raises(StorageError, match="no file"):
        Held(str(path), 0)


def test_where_nothing_can_be_written(tmp_path: pathlib.Path) -> None:
    for wrong in (tmp_path / "missing" / "files.json", tmp_path):
        with pytest.raises(StorageError) as caught:
            Held(str(wrong), 0)
        assert str(wrong) in caught.value.message and "directory" in caught.value.hint


def test_mode_and_owner_are_kept(path: pathlib.Path) -> None:
    filled(path)
    path.chmod(0o640)
    held = Held(str(path), 0)
    held.record([note(path, "n", THREE)])
    assert held.close() is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_is_saved_of_a_damaged_one(path: pathlib.Path) -> None:
    filled(path)
    held = Held(str(path), 0)
    held.record([note(path, "one", THREE, ONE), note(path, "new", ONE)])
    os.close(held._file)
    whole = path.read_text("utf-8")
    path.write_text(whole[: whole.index('"zwei') - 1].replace('"schema"', "?"), "utf-8")
    assert {name: row["id"] for name, row in salvage(str(path)).items()} == {"one": THREE, "new": ONE}
    assert salvage(str(path) + ".none") == {}


def test_recording_is_not_quadratic(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand names, a thousand more: the document is written once, and the journal grows by what is new."""
    path.write_text(json.dumps({"schema": 1, "files": {"n%d" % n: entry(ONE) for n in range(10_000)}}))
    written = [0]
    real = os.write
    monkeypatch.setattr(
        module.os, "write", lambda file, data: written.__setitem__(0, written[0] + len(data)) or real(file, data)
    )
    held = Held(str(path), 0)
    for number in range(1000):
        held.record([note(path, "new %d" % number, TWO)])
    before = written[0]
    assert held.close() is None
    assert before < 300_000 and written[0] - before < 2_000_000
    assert len(state(path)[0]) == 11_000
