# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the Alluxio modules that cannot be right, and paths that a server would misread: nothing is sent."""

from __future__ import annotations

import importlib

import pytest
from ansible_collections.polystore.storage.tests.support.run import run_task
from ansible_collections.polystore.storage.tests.unit.faults.test_bad_input import local, placed, refused

__all__ = ["local"]

# Each is refused wherever a path is said: what Alluxio would make of it is another path, or none.
PATHS = [
    ("", "path: '' is no path"),
    ("data/in", "'data/in' does not begin at the root: write /data/in"),
    ("/data?x", "Alluxio cuts paths at it"),
    ("/data/in?", "Alluxio cuts paths at it"),
    ("/data\\in", "Alluxio takes it for a slash"),
    ("/data//in", 'without ".", ".." and "//"'),
    ("//data", 'without ".", ".." and "//"'),
    ("/data//", 'without ".", ".." and "//"'),
    ("/data/../other", 'holds "..": write the path'),
    ("/..", 'holds "..": write the path'),
    ("/data/./in", 'holds ".": write the path'),
    ("/da\0ta", "which no path can"),
    ("alluxio://master:19998/data", "is a URI: write only its path"),
    ("file:/data", "is a URI: write only its path"),
    ("/" + "ä" * 128, "holds a name of more than 255 bytes"),
    ("/data/\udcff", "is not valid UTF-8"),
]
NEEDED = {
    "directory": {},
    "file": {"content": "x"},
    "mount": {"source": "/store"},
    "sync": {"src": "@plain"},
    "download": {"dest": "@x"},
    "info": {"gather": ["status"]},
}

# (module, options, what the message says); "@x" is the path x in a directory made for the test.
CASES = [
    ("directory", {}, "path: is required"),
    ("file", {"content": "x"}, "path: is required"),
    ("mount", {"source": "/store"}, "path: is required"),
    ("sync", {"src": "@plain"}, "path: is required"),
    ("sync", {"path": "/d"}, "src: is required"),
    ("download", {"dest": "@x"}, "path: is required"),
    ("download", {"path": "/d"}, "dest: is required"),
    ("directory", {"path": "/", "state": "absent"}, "path: the root cannot be absent"),
    # attributes
    ("directory", {"path": "/d", "mode": 493}, "mode: '493' is no mode"),
    ("directory", {"path": "/d", "mode": "u+x"}, "mode: 'u+x' is no mode"),
    ("file", {"path": "/f", "content": "x", "mode": "1644"}, "mode: '1644': Alluxio has no set-user-ID"),
    ("directory", {"path": "/d", "ttl": "soon"}, "ttl: 'soon' is no duration"),
    ("directory", {"path": "/d", "ttl": 0}, "ttl: 0 would let Alluxio act on it at once"),
    ("directory", {"path": "/d", "ttl": "1h", "ttl_action": "forget"}, "ttl_action"),
    ("directory", {"path": "/d", "owner": ""}, "owner: is empty"),
    ("file", {"path": "/f", "content": "x", "group": ""}, "group: is empty"),
    ("directory", {"path": "/d", "pinned": "perhaps"}, "pinned"),
    ("file", {"path": "/f", "content": "x", "replication_min": -1}, "replication_min: -1 is less than 0"),
    ("file", {"path": "/f", "content": "x", "replication_max": -2}, "replication_max: -2 is less than -1"),
    (
        "file",
        {"path": "/f", "content": "x", "replication_min": 3, "replication_max": 2},
        "replication_min: 3 is more than replication_max",
    ),
    (
        "file",
        {"path": "/f", "content": "x", "pinned": False, "replication_min": 1},
        "pinned: false contradicts replication_min: 1",
    ),
    ("directory", {"path": "/d", "replication_min": 1}, "replication_min: a directory has none"),
    (
        "directory",
        {"path": "/d", "ttl_action": "free", "attributes_recursive": True},
        "ttl_action: with attributes_recursive it needs a ttl",
    ),
    ("file", {"path": "/f", "content": "x", "xattr": {"k": ["v"]}}, "xattr: the value of 'k' is neither text"),
    ("file", {"path": "/f", "content": "x", "xattr": {"k": {"b64": "?"}}}, "xattr: the value of 'k' is not valid"),
    (
        "file",
        {"path": "/f", "content": "x", "xattr": {"polystore.digest": "v"}},
        "xattr: 'polystore.digest' is no name",
    ),
    ("directory", {"path": "/d", "xattr": {"s3_etag": "v"}}, "xattr: 's3_etag' is no name"),
    ("directory", {"path": "/d", "write_type": "none"}, "write_type"),
    ("directory", {"path": "/d", "max_delete": -1, "state": "absent"}, "max_delete: -1 is less than 0"),
    ("directory", {"path": "/d", "delete_mount_point": True}, "delete_mount_point"),
    ("directory", {"path": "/d", "persisted": True}, "persisted"),
    # names that change
    ("directory", {"path": "/d", "renamed_from": "/d"}, "renamed_from: /d cannot become /d"),
    ("directory", {"path": "/d/e", "renamed_from": "/d"}, "renamed_from: /d cannot become /d/e"),
    ("directory", {"path": "/d", "renamed_from": "/"}, "renamed_from: the root cannot be renamed"),
    ("directory", {"path": "/d", "renamed_from": "/old?"}, "renamed_from: '/old?' holds '?'"),
    ("file", {"path": "/f", "content": "x", "renamed_from": "/f"}, "renamed_from: is the path itself"),
    ("file", {"path": "/f", "content": "x", "renamed_from": "old"}, "renamed_from: 'old' does not begin at the root"),
    # content
    ("file", {"path": "/f", "content": "a", "src": "@file"}, "content: cannot be given together with src"),
    ("file", {"path": "/f", "content": "a", "content_b64": "YQ=="}, "cannot be given together"),
    ("file", {"path": "/f", "content_b64": "a?b"}, "content_b64: it is not valid base64"),
    ("file", {"path": "/f", "src": "@none"}, "none cannot be read: No such file or directory"),
    ("file", {"path": "/f", "src": "@plain"}, "plain is a directory. Give the path of a file"),
    ("file", {"path": "/f", "src": "/dev/null"}, "src: /dev/null is not a regular file"),
    ("file", {"path": "/f", "content": "x", "block_size": "big"}, "block_size: 'big' is no size"),
    ("file", {"path": "/f", "content": "x", "compare": "mtime"}, "compare"),
    # trees
    ("sync", {"path": "/d", "src": "@none"}, "none does not exist"),
    ("sync", {"path": "/d", "src": "@file"}, "file is not a directory"),
    ("sync", {"path": "/d", "src": "@linked"}, "link is a symbolic link. Set follow: true, or exclude it"),
    ("sync", {"path": "/d", "src": "@pipe"}, "is not a regular file"),
    ("sync", {"path": "/d", "src": "@raw"}, r"'\udcff\udcfe' below"),
    ("sync", {"path": "/d", "src": "@query"}, "Alluxio cuts paths at it. Rename it, or exclude it"),
    ("sync", {"path": "/d", "src": "@backslash"}, "Alluxio takes it for a slash. Rename it, or exclude it"),
    ("sync", {"path": "/d", "src": "@plain", "max_delete": "101%"}, "max_delete: '101%' is neither a number"),
    ("sync", {"path": "/d", "src": "@plain", "ttl": "never ever"}, "ttl: 'never ever' is no duration"),
    # mounts
    ("mount", {"path": "/", "source": "/store"}, "path: the root's store is no mount point"),
    ("mount", {"path": "/m", "source": "bucket"}, "source: 'bucket' is no store"),
    ("mount", {"path": "/m", "source": "s3://key:secret-in-no-message@bucket/"}, "source: it holds a password"),
    ("mount", {"path": "/m", "source": "s3://b/\nx"}, "is no store"),
    ("mount", {"path": "/m", "source": "/s", "properties": {"a": ["b"]}}, "properties: "),
    ("mount", {"path": "/m", "source": "/s", "read_only": "sometimes"}, "read_only"),
    # downloads and questions
    ("download", {"path": "/f", "dest": "@x", "mode": "u+x"}, "mode: 'u+x' is no mode"),
    ("download", {"path": "/f", "dest": "@x", "owner": "no-such-user"}, "owner: no-such-user"),
    ("download", {"path": "/f", "dest": "@x", "state": "absent"}, "state"),
    ("info", {"gather": ["everything"]}, "gather"),
    ("info", {"gather": ["list"]}, "path: is needed to gather list"),
    ("info", {"gather": ["list"], "path": "/d", "limit": 0}, "limit: 0 rows are none"),
    # batches
    ("directory", {"batch": [{"path": "/a"}, {"path": "/a/"}]}, "/a is declared twice"),
    ("directory", {"batch": [{"path": "/a"}, {"path": "/b?"}]}, "batch[1].path: '/b?' holds '?'"),
    ("directory", {"batch": [{"path": "/a", "size": 1}]}, "batch[0].size: unknown option"),
    (
        "directory",
        {"batch": [{"path": "/a", "state": "absent"}, {"path": "/a/b"}]},
        "batch: /a/b should be there, and /a should not",
    ),
    (
        "directory",
        {"batch": [{"path": "/a", "renamed_from": "/o"}, {"path": "/b", "renamed_from": "/o"}]},
        "batch: two items have renamed_from: /o",
    ),
    (
        "directory",
        {"batch": [{"path": "/a", "renamed_from": "/o"}, {"path": "/o/x"}]},
        "batch: /o/x is declared, and /o is to be renamed",
    ),
    ("file", {"content": "x", "batch": [{"path": "/f"}, {"path": "/f"}]}, "/f is declared twice"),
    # the connection
    ("directory", {"path": "/d", "proxy_url": "localhost:39999"}, "proxy_url: it is no address"),
    ("directory", {"path": "/d", "proxy_url": "alluxio://master:19998"}, "proxy_url: it is no address"),
    ("directory", {"path": "/d", "proxy_url": "http://host:port"}, "proxy_url: it is no address"),
    ("directory", {"path": "/d", "proxy_url": "http://u:secret-in-no-message@host"}, "Give credentials in headers"),
    ("directory", {"path": "/d", "master_url": "master:19999"}, "master_url: it is no address"),
    ("directory", {"path": "/d", "headers": {"a b": "c"}}, "headers: 'a b' is no header"),
    ("directory", {"path": "/d", "headers": {"A": "secret-in-no-message\r\nB: c"}}, "headers: 'A' is no header"),
    ("directory", {"path": "/d", "headers": ["A"]}, "headers"),
    ("directory", {"path": "/d", "timeout": 0}, "timeout: 0 is out of bounds"),
    ("directory", {"path": "/d", "retries": -1}, "retries: -1 is out of bounds"),
    ("directory", {"path": "/d", "dialect": "3"}, "dialect"),
]


def subject(name):
    """The class that a module runs."""
    return importlib.import_module("ansible_collections.polystore.storage.plugins.modules.alluxio_" + name).SUBJECT


def nothing_leaves(server, directory, module, options, told):
    """The task is refused, in check mode too, and the server hears nothing of it."""
    mark = server.mark()
    for check in (False, True):
        refused(run_task(subject(module), server, check=check, **placed(options, directory)), told)
    assert server.requests(mark) == []


@pytest.mark.parametrize(
    ("module", "options", "told"), CASES, ids=["%03d-%s-%s" % (n, c[0], "-".join(c[1])) for n, c in enumerate(CASES)]
)
def test_refused_before_anything_is_sent(alluxio_server, local, module, options, told, monkeypatch):
    monkeypatch.chdir(local)
    for name in ("query/a?b", "backslash/a\\b"):
        (local / name).parent.mkdir()
        (local / name).write_bytes(b"")
    nothing_leaves(alluxio_server, local, module, options, told)


@pytest.mark.parametrize("module", NEEDED)
@pytest.mark.parametrize("number", range(len(PATHS)))
def test_paths_that_a_server_would_misread(alluxio_server, local, module, number):
    path, told = PATHS[number]
    nothing_leaves(alluxio_server, local, module, {**NEEDED[module], "path": path}, told)
    if module == "directory":
        nothing_leaves(alluxio_server, local, module, {"path": path, "state": "absent", "recursive": True}, told)


def test_there_are_many():
    assert len(CASES) + len(PATHS) * len(NEEDED) >= 150
    assert len({(c[0], str(c[1])) for c in CASES}) == len(CASES)


def test_new_files_need_content(alluxio_server):
    top = alluxio_server.new_path()
    mark = alluxio_server.mark()
    refused(run_task(subject("file"), alluxio_server, path=top + "/f"), "src: is missing. Give one of src")
    assert alluxio_server.writes(mark) == []


# module, options, what the message says: attributes that only newer versions know
NEWER = [
    ("directory", {"xattr": {"k": "v"}}, "xattr: this server (Alluxio 1.8.1) does not know xattr"),
    ("file", {"content": "x", "replication_max": 2}, "replication_max: this server (Alluxio 1.8.1) does not know"),
    ("file", {"content": "x", "xattr": {"k": "v"}}, "Alluxio has it from 2.9.0 on: leave the option out, or upgrade"),
    ("directory", {"ttl": "1h", "ttl_action": "delete_alluxio"}, "Alluxio has it from 2.9.3 on"),
    ("file", {"content": "x", "ttl": "1h", "ttl_action": "delete_alluxio"}, "does not know delete_alluxio"),
]


@pytest.mark.parametrize(("module", "options", "told"), NEWER)
def test_what_an_older_server_does_not_know_is_refused_before_a_write(alluxio_v1_server, module, options, told):
    mark = alluxio_v1_server.mark()
    path = "/" + alluxio_v1_server.new_container_name("newer")
    for check in (True, False):
        refused(run_task(subject(module), alluxio_v1_server, check=check, path=path, **options), told)
    assert alluxio_v1_server.writes(mark) == []
