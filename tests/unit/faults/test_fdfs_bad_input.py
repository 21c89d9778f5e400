# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the FastDFS modules that cannot be right, and manifests that cannot be read: nothing is sent."""

from __future__ import annotations

import importlib
import os

import pytest
from ansible_collections.polystore.storage.tests.support.run import run_task
from ansible_collections.polystore.storage.tests.unit.faults.test_bad_input import local, refused

__all__ = ["local"]
ID = "group1/M00/00/00/fwAAA2sCmNeAd3biAAAAB_7FMKk908.txt"
F = {"manifest": "@m.json", "content": "x"}
N = {**F, "name": "a"}
S = {**N, "type": "slave", "master": "m", "prefix": "_s"}
T = {"manifest": "@m.json", "src": "@plain"}
D = {"dest": "@d", "file_id": ID}

# What manifests may be found as, beside "m.json", which is not there.
MANIFESTS = {
    "empty.json": "",
    "cut.json": '{"schema": 1, "files": {"a": {"id": "group1/',
    "list.json": "[]",
    "text.json": '"files"',
    "other.json": '{"name": "package"}',
    "newer.json": '{"schema": 2, "files": {}}',
    "none.json": '{"schema": 1, "files": {"a": {"size": 1}}}',
    "number.json": '{"schema": 1, "files": {"a": {"id": 5}}}',
    "wrong.json": '{"schema": 1, "files": {"a": {"id": "group1/M00/nothing"}}}',
    "journal.json": '{"schema": 1, "revision": "r1", "files": {}}',
    "journal.json.journal": '{"journal": "j", "base": "r0"}\n{"op": "gone", "id": "x"}\n',
    "torn.json": '{"schema": 1, "revision": "r1", "files": {}}',
    "torn.json.journal": "{\n",
    "lost.json.journal": '{"journal": "j", "base": "r0"}\n',
}
WITH = {name: {"manifest": "@" + name} for name in MANIFESTS}

# (module, options, what the message says); "@x" is the path x in a directory made for the test.
CASES = [
    # what is needed
    ("file", {}, "name: is missing. Give one of name, file_id"),
    ("file", {"name": "a", "content": "x"}, "manifest: is missing"),
    ("sync", {"src": "@plain"}, "manifest: is required"),
    ("sync", {"manifest": "@m.json"}, "src: is required"),
    ("download", {"dest": "@d"}, "file_id: is missing"),
    ("download", {"dest": "@d", "name": "a"}, "manifest: is missing"),
    ("download", {"file_id": ID}, "dest: is required"),
    ("info", {"gather": ["file"]}, "file_id: is needed to gather file"),
    ("info", {"gather": ["manifest"]}, "manifest: is needed to gather manifest"),
    ("info", {"name": "a"}, "manifest: is missing"),
    # ids
    ("file", {"file_id": ""}, "file_id: '' is no file id"),
    ("file", {"file_id": "M00/00/00/fwAAA2sCmNeAd3biAAAAB_7FMKk908.txt"}, "is no file id"),
    ("file", {"file_id": ID.replace("M00", "m00")}, "is no file id"),
    ("file", {"file_id": ID.replace("/00/00/", "/0a/00/")}, "is no file id"),
    ("file", {"file_id": "group1/M00/00/00/../../../etc/passwd"}, "is no file id"),
    ("file", {"file_id": ID[:40]}, "is no file id"),
    ("file", {"file_id": ID.replace("group1", "group-1")}, "is no file id"),
    ("file", {"file_id": "g" * 17 + ID[6:]}, "is no file id"),
    ("file", {"file_id": ID + "\0"}, "is no file id"),
    ("download", {"dest": "@d", "file_id": "http://host/" + ID}, "is no file id"),
    ("download", {"dest": "@d", "file_id": ID + "x" * 100}, "is no file id"),
    ("info", {"file_id": "group1"}, "file_id: 'group1' is no file id"),
    ("info", {"known": {"a": "b"}}, "known: 'b' is no file id"),
    ("info", {"known": {"a": 5}}, "known: 5 is no file id"),
    # names
    ("file", {**F, "name": ""}, "name: it is empty"),
    ("file", {**F, "name": "a\nb"}, "name: 'a\\nb' holds a control character"),
    ("file", {**F, "name": "a\udcff"}, "is not valid UTF-8"),
    ("file", {**N, "manifest": "@a\0b"}, "manifest: "),
    ("sync", {**T, "prefix": "a\tb"}, "prefix: 'a\\tb' holds a control character"),
    ("download", {"dest": "@d", "manifest": "@m.json", "name": "a\0"}, "name: 'a\\x00' holds a control character"),
    ("info", {"group": "a-b"}, "group: 'a-b' is no group: 1 to 16 letters and digits"),
    ("file", {**N, "file_group": "group 1"}, "file_group: 'group 1' is no group"),
    ("file", {**N, "file_group": ""}, "file_group: '' is no group"),
    ("sync", {**T, "file_group": "g" * 17}, "is no group: 1 to 16 letters and digits"),
    ("file", {**N, "extension": "jpegxxl"}, "extension: 'jpegxxl' is no extension"),
    ("file", {**N, "extension": "a/b"}, "extension: 'a/b' is no extension"),
    ("file", {**N, "extension": "t\u00e4r"}, "is no extension"),
    ("file", {**N, "extension": "..gz"}, "is no extension"),
    # slaves
    ("file", {**S, "prefix": ""}, "prefix: '' is no prefix of a slave"),
    ("file", {**S, "prefix": "_150x150_and_more"}, "is no prefix of a slave: 1 to 16"),
    ("file", {**S, "prefix": "_a/b"}, "prefix: '_a/b' is no prefix"),
    ("file", {**S, "prefix": "-m"}, "is where the master's metadata are"),
    ("file", {**N, "type": "slave", "prefix": "_s"}, "master: is missing"),
    ("file", {**N, "type": "slave", "master": "m"}, "prefix: is missing"),
    ("file", {**S, "file_group": "group1"}, "file_group: a slave is where its master is"),
    ("file", {**N, "prefix": "_s"}, "prefix: goes with type: slave"),
    ("file", {**N, "type": "appender", "master": "m"}, "master: goes with type: slave"),
    ("file", {**S, "master": "a"}, "a is a slave of its own slaves"),
    ("file", {**F, "prefix": "_s", "batch": [{"name": "a", "master": "b"}, {"name": "b", "master": "a"}]}, "master: "),
    (
        "file",
        {"manifest": "@m.json", "batch": [{**S, "name": "s", "manifest": "@m.json"}, {"name": "m", "state": "absent"}]},
        "master: m is absent, and s is its slave",
    ),
    # what does not go together
    ("file", {**N, "src": "@file"}, "content: cannot be given together with src"),
    ("file", {**N, "content_b64": "eA=="}, "content_b64: cannot be given together"),
    ("file", {**N, "file_id": ID}, "file_id: cannot be given together with name"),
    ("file", {"file_id": ID, "type": "appender"}, "type: goes with name, not with file_id"),
    ("file", {"file_id": ID, "extension": "txt"}, "extension: goes with name, not with file_id"),
    ("file", {"file_id": ID, "file_group": "group2"}, "file_group: goes with name"),
    ("download", {**D, "name": "a"}, "name: cannot be given together with file_id"),
    ("download", {**D, "prune": True}, "prune: is for trees, and file_id is one file"),
    ("info", {"file_id": ID, "name": "a", "manifest": "@m.json"}, "name: cannot be given together with file_id"),
    # metadata
    ("file", {**N, "metadata": {"k" * 65: "v"}}, "has 65 bytes; at most 64 go"),
    ("file", {**N, "metadata": {"k": "\u00e4" * 129}}, "has 258 bytes; at most 256 go"),
    ("file", {**N, "metadata": {"": "v"}}, "metadata: a name is empty"),
    ("file", {**N, "metadata": {"k": "a\1b"}}, "holds one of the bytes 0, 1 and 2"),
    ("file", {**N, "metadata": {"a\2b": "v"}}, "holds one of the bytes 0, 1 and 2"),
    ("file", {**N, "metadata": {"k": ["v"]}}, "metadata: the value of 'k' is no text"),
    ("file", {**N, "metadata": {"k": "a\udcff"}}, "is not valid UTF-8"),
    ("file", {**N, "metadata": ["k"]}, "metadata"),
    ("sync", {**T, "metadata": {"k": {"deep": 1}}}, "metadata: the value of 'k' is no text"),
    ("sync", {**T, "metadata": {"k": "v" * 257}}, "has 257 bytes; at most 256 go"),
    # values
    ("file", {**N, "type": "link"}, "type"),
    ("file", {**N, "compare": "mtime"}, "compare"),
    ("file", {**N, "state": "gone"}, "state"),
    ("file", {**N, "verify": "perhaps"}, "verify"),
    ("file", {**N, "lock_timeout": "soon"}, "lock_timeout: 'soon' is no duration"),
    ("file", {"name": "a", "manifest": "@m.json", "content_b64": "a?b"}, "content_b64: it is not valid base64"),
    ("sync", {**T, "compare": "content"}, "compare"),
    ("sync", {**T, "lock_timeout": -1}, "lock_timeout: -1 is no duration"),
    ("sync", {**T, "max_delete": "101%"}, "max_delete: '101%' is neither a number"),
    ("download", {**D, "offset": -1}, "offset: -1 is no size"),
    ("download", {**D, "offset": "half"}, "offset: 'half' is no size"),
    ("download", {**D, "bytes": 0}, "bytes: 0 bytes are nothing"),
    ("download", {**D, "bytes": "-5"}, "bytes: '-5' is no size"),
    ("download", {**D, "mode": 420}, "mode: 420 is no mode"),
    ("download", {**D, "owner": "no-such-user"}, "owner: no-such-user"),
    ("download", {**D, "state": "absent"}, "state"),
    ("info", {"gather": ["files"]}, "gather"),
    ("info", {"known": ["a"]}, "known"),
    # local files
    ("file", {"name": "a", "manifest": "@m.json", "src": "@none"}, "none cannot be read: No such file"),
    ("file", {"name": "a", "manifest": "@m.json", "src": "@plain"}, "plain is a directory"),
    ("file", {"name": "a", "manifest": "@m.json", "src": "@pipe/fifo"}, "is not a regular file"),
    ("file", {**N, "manifest": "@none/m.json"}, "cannot be "),
    ("sync", {**T, "src": "@none"}, "none does not exist"),
    ("sync", {**T, "src": "@file"}, "file is not a directory"),
    ("sync", {**T, "src": "@linked"}, "link is a symbolic link"),
    ("sync", {**T, "src": "@pipe"}, "is not a regular file"),
    ("sync", {**T, "src": "@raw"}, "is not valid UTF-8"),
    ("sync", {**T, "src": "@circle", "follow": True}, "leads back to a directory above it"),
    # batches
    ("file", {**F, "batch": [{"name": "a"}, {"name": "a"}]}, "a is declared twice"),
    ("file", {**F, "batch": [{"name": "a"}, {"name": ""}]}, "batch[1].name: it is empty"),
    ("file", {**F, "batch": [{"name": "a"}, {"title": "b"}]}, "batch[1].title: unknown option"),
    ("file", {**F, "batch": [{"name": "a"}, {"name": "a", "manifest": "@x/../m.json"}]}, "a is declared twice"),
    ("file", {"batch": [{"file_id": ID}, {"file_id": ID}]}, "is declared twice"),
    ("sync", {**T, "batch": [{"prefix": "a"}, {"prefix": "a/"}]}, "is declared twice"),
    ("download", {**D, "batch": [{}, {}]}, "declared twice"),
    ("file", {**N, "batch_src": "@none.yml"}, "batch_src: "),
    ("file", {**N, "parallel": 65}, "parallel: 65 is out of bounds"),
    ("sync", {**T, "shard": {"index": 3, "count": 3}}, "shard: index 3 of count 3 is no share"),
    # manifests that cannot be read; they are left as they are
    *(
        (module, {**options, **WITH[name]}, told)
        for module, options in (("file", N), ("sync", T), ("download", {"dest": "@d"}))
        for name, told in (
            ("empty.json", "is damaged"),
            ("cut.json", "is damaged"),
            ("list.json", "is no manifest"),
            ("text.json", "is no manifest"),
            ("other.json", "is no manifest"),
            ("newer.json", "has schema 2; 1 is understood"),
            ("none.json", "the entry 'a' has no id"),
            ("number.json", "the entry 'a' has no id"),
            ("journal.json", "is not the one that its journal"),
            ("torn.json", "has a damaged journal"),
        )
    ),
    ("file", {**N, "manifest": "@lost.json"}, "is gone, and its journal is not"),
    ("file", {**N, **WITH["wrong.json"]}, "'group1/M00/nothing' is no file id"),
    ("download", {"dest": "@d", **WITH["wrong.json"]}, "'group1/M00/nothing' is no file id"),
    ("file", {**N, "manifest": "@plain"}, "cannot be "),
    ("download", {"dest": "@d", "manifest": "@plain"}, "cannot be read"),
    ("download", {"dest": "@d", "manifest": "@m.json", "name": "a"}, "has neither a file a nor any below it"),
    # the connection
    ("file", {**N, "trackers": ["host:port"]}, "trackers: 'host:port' is no address of a tracker"),
    ("file", {**N, "trackers": ["host:70000"]}, "trackers: 'host:70000' is no address"),
    ("file", {**N, "trackers": ["http://host"]}, "trackers: 'http://host' is no address"),
    ("file", {**N, "trackers": [], "client_conf": "@none.conf"}, "none.conf cannot be read"),
    ("file", {**N, "trackers": [], "client_conf": "@plain"}, "client_conf: "),
    ("file", {**N, "trackers": [], "client_conf": "@file"}, "client_conf: no tracker is named"),
    ("file", {**N, "trackers": []}, "trackers: no tracker is named"),
    ("info", {"timeout": 0}, "timeout: 0 is out of bounds"),
    ("info", {"connect_timeout": -1}, "connect_timeout: -1 is out of bounds"),
    ("info", {"retries": -1}, "retries: -1 is out of bounds"),
]


def subject(name):
    """The class that a module runs."""
    return importlib.import_module("ansible_collections.polystore.storage.plugins.modules.fdfs_" + name).SUBJECT


def placed(value, directory):
    """Options with "@x" as the path of x."""
    if isinstance(value, str) and value.startswith("@"):
        return "%s/%s" % (directory, value[1:])
    if isinstance(value, list):
        return [placed(part, directory) for part in value]
    return {k: placed(v, directory) for k, v in value.items()} if isinstance(value, dict) else value


def everything(directory):
    """All files below, with their content; a lock file that is empty is none."""
    found = {}
    for top, _folders, names in os.walk(directory):
        for name in names:
            path = os.path.join(top, name)
            if os.path.isfile(path) and os.path.getsize(path):
                with open(path, "rb") as file:
                    found[path] = file.read()
    return found


@pytest.mark.parametrize(
    ("module", "options", "told"), CASES, ids=["%03d-%s-%s" % (n, c[0], "-".join(c[1])) for n, c in enumerate(CASES)]
)
def test_refused_before_anything_is_sent(fdfs_server, local, module, options, told, monkeypatch):
    monkeypatch.chdir(local)
    for name, text in MANIFESTS.items():
        (local / name).write_text(text)
    before, mark = everything(local), fdfs_server.mark()
    for check in (False, True):
        refused(run_task(subject(module), fdfs_server, check=check, **placed(options, local)), told)
    assert fdfs_server.requests(mark) == []
    assert everything(local) == before


def test_there_are_many():
    assert len(CASES) >= 100
    assert len({(c[0], str(c[1])) for c in CASES}) == len(CASES)
