# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that cannot be right: each is refused by name, before a single request leaves."""

from __future__ import annotations

import importlib
import os

import pytest
from ansible_collections.polystore.storage.tests.support.run import run_task

V3 = {"auth_url": "http://127.0.0.1:9/v3", "username": "u", "password": "p"}
FILES = {
    "file": b"content",
    "broken.yml": b"- {name: a\n- [",
    "broken.json": b'[{"name": "a"},',
    "broken.jsonl": b'{"name": "a"}\n{name: b}\n',
    "latin1.yml": b"- {name: \xe4}\n",
    "dictionary.yml": b"name: a\n",
    "text.yml": b"- name: a\n- just text\n",
    "twice.yml": b"- name: a\n- name: b\n- name: a\n",
    "items.txt": b"- name: a\n",
    "quotes.rc": b"export OS_AUTH_URL='http://127.0.0.1\n",
    "linked/real": b"",
    "plain/real": b"",
}

# (module, options, what the message says); "@x" is the path x in a directory made for the test.
CASES = [
    # names
    ("container", {}, "name: is required"),
    ("container", {"name": ""}, "name: '' is no container name"),
    ("container", {"name": "a/b"}, "name: 'a/b' is no container name"),
    ("container", {"name": ".."}, "name: '..' is no container name"),
    ("container", {"name": "x" * 257}, "is no container name: 1 to 256 bytes"),
    ("container", {"name": "ä" * 129}, "is no container name: 1 to 256 bytes"),
    ("container", {"name": "a\nb"}, r"name: 'a\nb' holds a control character"),
    ("container", {"name": "a\x7f"}, "holds a control character"),
    ("container", {"name": "a\udcff"}, "is not valid UTF-8"),
    ("object", {"name": "o", "content": ""}, "container: is required"),
    ("object", {"container": "c", "content": ""}, "name: is required"),
    ("object", {"container": "c", "name": "", "content": ""}, "name: '' is no object name"),
    ("object", {"container": "c", "name": "x" * 1025, "content": ""}, "is no object name: 1 to 1024 bytes"),
    ("object", {"container": "c", "name": "a\0b", "content": ""}, "name: 'a\\x00b' holds a control character"),
    ("object", {"container": "c/d", "name": "o", "content": ""}, "container: 'c/d' is no container name"),
    ("sync", {"src": "@plain"}, "container: is required"),
    ("sync", {"src": "@plain", "container": "a/b"}, "container: 'a/b' is no container name"),
    ("sync", {"src": "@plain", "container": "c", "prefix": "a\tb"}, "prefix: "),
    ("download", {"name": "o", "dest": "@x"}, "container: is required"),
    ("download", {"container": "c", "prefix": "a\rb", "dest": "@x"}, "prefix: 'a\\rb' holds a control character"),
    ("info", {"container": "a/b"}, "container: 'a/b' is no container name"),
    # metadata
    ("container", {"name": "c", "metadata": {"k%d" % n: "v" for n in range(91)}}, "metadata: 91 keys are too many"),
    ("object", {"container": "c", "name": "o", "metadata": {"k": "v" * 257}}, "metadata: the value of 'k' is longer"),
    ("object", {"container": "c", "name": "o", "metadata": {"a b": "v"}}, "metadata: 'a b' is no metadata key"),
    ("object", {"container": "c", "name": "o", "metadata": {"": "v"}}, "metadata: '' is no metadata key"),
    ("account", {"metadata": {"k" * 129: "v"}}, "is no metadata key: 1 to 128 characters"),
    ("account", {"metadata": {"a_b": "1", "A-B": "2"}}, "metadata: 'A-B' is given twice"),
    ("account", {"metadata": {"k": {"deep": 1}}}, "metadata: the value of 'k' is no text"),
    ("account", {"metadata": {"k": "a\nb"}}, "metadata: 'a\\nb' holds a control character"),
    ("container", {"name": "c", "metadata": {"k%02d" % n: "v" * 250 for n in range(17)}}, "longer than 4096 bytes"),
    ("container", {"name": "c", "metadata": {"quota_bytes": 5}}, "quota-bytes has an option of its own. Use quota"),
    ("container", {"name": "c", "metadata": ["k"]}, "metadata"),
    # wrong types and values
    ("container", {"name": "c", "quota_bytes": "lots"}, "quota_bytes: 'lots' is no size"),
    ("container", {"name": "c", "quota_count": "many"}, "quota_count"),
    ("container", {"name": "c", "write_acl": ".r:*"}, "write_acl: referrers (.r:) may only read"),
    ("container", {"name": "c", "read_acl": "a\nb"}, "read_acl: 'a\\nb' holds a control character"),
    ("container", {"name": "c", "web": {"start": "index.html"}}, "start"),
    ("container", {"name": "c", "versioning": "perhaps"}, "versioning"),
    ("container", {"name": "c", "temp_url_keys": ["a", "b", "c"]}, "temp_url_keys: the value given is not valid"),
    ("container", {"name": "c", "state": "gone"}, "state"),
    ("container", {"name": "c", "max_delete": "some"}, "max_delete"),
    ("container", {"name": "c", "sise": 1}, "sise"),
    ("account", {"state": "absent"}, "state"),
    ("object", {"container": "c", "name": "o", "expires": "soon"}, "expires: 'soon' is neither a duration"),
    ("object", {"container": "c", "name": "o", "expires": 0}, "expires: 0 is no duration"),
    ("object", {"container": "c", "name": "o", "expires": "2027-13-41"}, "expires: "),
    ("object", {"container": "c", "name": "o", "segment_size": 0}, "segment_size: 0 is no size of a segment"),
    ("object", {"container": "c", "name": "o", "segment_size": "big"}, "segment_size: 'big' is no size"),
    ("object", {"container": "c", "name": "o", "segment_container": "a/b"}, "segment_container: 'a/b' is no"),
    ("object", {"container": "c", "name": "o", "content_type": "a\r\nX-Evil: 1"}, "content_type: "),
    ("object", {"container": "c", "name": "o", "compare": "mtime"}, "compare"),
    ("object", {"container": "c", "name": "o", "content_b64": "a?b"}, "content_b64: it is not valid base64"),
    ("sync", {"src": "@plain", "container": "c", "max_delete": "101%"}, "max_delete: '101%' is neither a number"),
    ("sync", {"src": "@plain", "container": "c", "prune": "a bit"}, "prune"),
    ("sync", {"src": "@plain", "container": "c", "segment_size": "-1"}, "segment_size: "),
    ("download", {"container": "c", "name": "o", "dest": "@x", "mode": 420}, "mode: 420 is no mode"),
    ("download", {"container": "c", "name": "o", "dest": "@x", "mode": "u+x"}, "mode: 'u+x' is no mode"),
    ("download", {"container": "c", "name": "o", "dest": "@x", "owner": "no-such-user"}, "owner: no-such-user"),
    ("download", {"container": "c", "name": "o", "dest": "@x", "group": "no-such-group"}, "group: no-such-group"),
    ("download", {"container": "c", "name": "o", "dest": "@x", "state": "absent"}, "state"),
    ("info", {"gather": ["everything"]}, "gather"),
    ("info", {"gather": ["objects"], "container": "c", "limit": 0}, "limit: 0 rows are none"),
    # combinations
    ("object", {"container": "c", "name": "o", "content": "a", "src": "@file"}, "content: cannot be given together"),
    ("object", {"container": "c", "name": "o", "content": "a", "copy_from": "c/p"}, "copy_from: cannot be given"),
    ("object", {"container": "c", "name": "o", "copy_from": "justone"}, "copy_from: 'justone' is not"),
    ("object", {"container": "c", "name": "o", "symlink_to": "c/o"}, "symlink_to: is the object itself"),
    ("download", {"container": "c", "name": "o", "prefix": "p", "dest": "@x"}, "prefix: cannot be given together"),
    ("download", {"container": "c", "name": "o", "prune": True, "dest": "@x"}, "prune: is for trees"),
    ("download", {"container": "c", "name": "o"}, "dest: is required"),
    ("download", {"container": "c", "name": "o", "dest": ""}, "dest: is no path"),
    ("info", {"gather": ["object"], "container": "c"}, "name: is needed to gather object"),
    # batches
    ("container", {"batch": [{"name": "a"}, {"name": "b/c"}]}, "batch[1].name: 'b/c' is no container name"),
    ("container", {"batch": [{"name": "a"}, {"title": "b"}]}, "batch[1].title: unknown option"),
    ("container", {"batch": [{"name": "a"}, {"read_acl": ""}]}, "batch[1].name: is required"),
    ("container", {"batch": [{"name": "a", "state": "gone"}]}, "batch[0].state: 'gone' is not one of"),
    ("container", {"batch": [{"name": "a", "metadata": "x"}]}, "batch[0].metadata: 'x' is no dictionary"),
    ("container", {"batch": [{"name": "a", "versioning": "maybe"}]}, "batch[0].versioning: 'maybe' is neither"),
    ("container", {"batch": [{"name": ["a"]}]}, "batch[0].name: list is no text"),
    ("container", {"batch": ["a"]}, "batch"),
    ("container", {"batch": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}, "a is declared twice"),
    ("object", {"container": "c", "content": "", "batch": [{"name": "o"}, {"name": "o"}]}, "c/o is declared twice"),
    ("container", {"batch": [{"name": "a"}], "batch_src": "@twice.yml"}, "batch_src: cannot be given together"),
    ("container", {"batch_src": "@twice.yml"}, "a is declared twice"),
    ("container", {"batch_src": "@broken.yml"}, "broken.yml is not valid YAML"),
    ("container", {"batch_src": "@broken.json"}, "broken.json cannot be read"),
    ("container", {"batch_src": "@broken.jsonl"}, "broken.jsonl cannot be read"),
    ("container", {"batch_src": "@latin1.yml"}, "latin1.yml cannot be read"),
    ("container", {"batch_src": "@items.txt"}, "items.txt has no known ending"),
    ("container", {"batch_src": "@none.yml"}, "batch_src: "),
    ("container", {"batch_src": "@plain"}, "batch_src: "),
    ("container", {"batch_src": "@dictionary.yml"}, "batch_src: is no list"),
    ("container", {"batch_src": "@text.yml"}, "batch_src[1]: is no dictionary"),
    ("container", {"name": "c", "parallel": 0}, "parallel: 0 is out of bounds"),
    ("container", {"name": "c", "parallel": 65}, "parallel: 65 is out of bounds"),
    ("container", {"name": "c", "shard": {"index": 2, "count": 2}}, "shard: index 2 of count 2 is no share"),
    ("container", {"name": "c", "shard": {"index": 0}}, "count"),
    ("container", {"name": "c", "result_detail": "some"}, "result_detail"),
    # local content
    ("object", {"container": "c", "name": "o", "src": "@none"}, "none cannot be read: No such file or directory"),
    ("object", {"container": "c", "name": "o", "src": "@plain"}, "plain is a directory. Give the path of a file"),
    ("object", {"container": "c", "name": "o", "src": "/dev/null"}, "src: /dev/null is not a regular file"),
    ("object", {"container": "c", "name": "o", "src": "@file/x"}, "file/x cannot be read: Not a directory"),
    ("object", {"container": "c", "name": "o", "src": "@a\0b"}, "src: "),
    ("sync", {"container": "c", "src": "@none"}, "none does not exist"),
    ("sync", {"container": "c", "src": "@file"}, "file is not a directory"),
    ("sync", {"container": "c", "src": "@linked"}, "link is a symbolic link. Set follow: true, or exclude it"),
    ("sync", {"container": "c", "src": "@circle", "follow": True}, "leads back to a directory above it"),
    ("sync", {"container": "c", "src": "@dangling", "follow": True}, "is not a regular file"),
    ("sync", {"container": "c", "src": "@pipe"}, "is not a regular file"),
    ("sync", {"container": "c", "src": "@raw"}, r"'\udcff\udcfe' below"),
    # the connection
    ("container", {"name": "c", "auth": {}}, "auth.auth_url: is missing"),
    ("container", {"name": "c", "auth": {"user": "u"}}, "user"),
    ("container", {"name": "c", "auth_type": "v2password"}, "auth_type"),
    (
        "container",
        {"name": "c", "auth_type": "v1", "auth": {**V3, "auth_url": "127.0.0.1"}},
        "auth.auth_url: must be an address that begins with http",
    ),
    ("container", {"name": "c", "storage_url": "swift"}, "storage_url: must be an address that begins with http"),
    ("container", {"name": "c", "timeout": 0}, "timeout: must be a number that is greater than 0"),
    ("container", {"name": "c", "timeout": "long"}, "timeout"),
    ("container", {"name": "c", "retries": -1}, "retries: must be a number that is not negative"),
    ("container", {"name": "c", "ca_cert": "@none.pem"}, "none.pem does not exist"),
    ("container", {"name": "c", "cloud": "a", "rc_file": "@quotes.rc"}, "cloud: cannot be used together with rc_file"),
    ("container", {"name": "c", "rc_file": "@none.rc"}, "none.rc cannot be read"),
    ("container", {"name": "c", "rc_file": "@quotes.rc"}, "line 1: the quotes of OS_AUTH_URL do not match"),
    ("container", {"name": "c", "auth_type": "v3password", "auth": V3}, "auth.user_domain_name: is missing"),
    ("container", {"name": "c", "auth_type": "v3token", "auth": V3}, "auth.token: is missing"),
    ("container", {"name": "c", "auth_type": "v3applicationcredential", "auth": V3}, "auth.application_credential_id"),
    (
        "container",
        {
            "name": "c",
            "auth_type": "v3password",
            "auth": {**V3, "auth_url": "http://127.0.0.1:9/v2.0", "user_domain_id": "d", "project_id": "p"},
        },
        "auth.auth_url: is Keystone v2.0",
    ),
]


def subject(name):
    """The class that a module runs."""
    return importlib.import_module("ansible_collections.polystore.storage.plugins.modules.swift_" + name).SUBJECT


@pytest.fixture
def local(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "linked" / "link").symlink_to("real")
    for name, target in (("circle/sub/up", ".."), ("dangling/nowhere", "none")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).symlink_to(target)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "fifo")
    (tmp_path / "raw").mkdir()
    with open(os.fsencode(tmp_path / "raw") + b"/\xff\xfe", "wb"):
        pass
    return tmp_path


def placed(value, directory):
    """Options with "@x" as the path of x."""
    if isinstance(value, str) and value.startswith("@"):
        return "%s/%s" % (directory, value[1:])
    return {k: placed(v, directory) for k, v in value.items()} if isinstance(value, dict) else value


def refused(result, told):
    """What every refusal has in common."""
    assert result.get("failed") and not result.get("changed"), result
    assert told in result["msg"], result["msg"]
    assert "fault in polystore.storage" not in result["msg"] and "Traceback" not in result["msg"]
    assert "exception" not in result
    assert "msg" in result and "secret-in-no-message" not in str(result)


@pytest.mark.parametrize(
    ("module", "options", "told"), CASES, ids=["%03d-%s-%s" % (n, c[0], "-".join(c[1])) for n, c in enumerate(CASES)]
)
def test_refused_before_anything_is_sent(swift_server, local, module, options, told, monkeypatch):
    monkeypatch.chdir(local)
    monkeypatch.setenv("HOME", str(local))
    mark = swift_server.mark()
    for check in (False, True):
        refused(run_task(subject(module), swift_server, check=check, **placed(options, local)), told)
    assert swift_server.requests(mark) == []


def test_there_are_many():
    assert len(CASES) >= 60
    assert len({(c[0], str(c[1])) for c in CASES}) == len(CASES)


def test_an_unreadable_file_is_said_and_nothing_is_written(swift_server, local, monkeypatch):
    """The tests may run as root, who can read everything: the opening itself refuses."""
    from ansible_collections.polystore.storage.plugins.module_utils.core import files

    def closed(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", path)

    container = swift_server.new_container_name("input")
    assert not run_task(subject("container"), swift_server, name=container).get("failed")
    monkeypatch.setattr(files.io, "FileIO", closed)
    mark = swift_server.mark()
    options = {"container": container, "name": "o", "src": str(local / "file")}
    refused(run_task(subject("object"), swift_server, **options), "file cannot be read: Permission denied")
    assert swift_server.writes(mark) == []


def test_new_objects_need_content(swift_server):
    container = swift_server.new_container_name("input")
    assert not run_task(subject("container"), swift_server, name=container).get("failed")
    mark = swift_server.mark()
    refused(
        run_task(subject("object"), swift_server, container=container, name="o"), "src: is missing. Give one of src"
    )
    assert swift_server.writes(mark) == []


def test_secrets_are_not_in_what_is_said(swift_server):
    auth = {**V3, "password": "secret-in-no-message", "token": "secret-in-no-message"}
    for options in ({"auth_type": "v3password", "auth": auth}, {"auth_type": "v3token", "auth": auth}):
        refused(run_task(subject("container"), swift_server, name="c", **options), "is missing")
    keys = ["secret-in-no-message"] * 3
    refused(run_task(subject("container"), swift_server, name="c", temp_url_keys=keys), "temp_url_keys")
