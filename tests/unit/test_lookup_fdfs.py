# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup fdfs_file in process, against a FastDFS of today and one whose checksums are others."""

from __future__ import annotations

import base64
import io
import json

import pytest
import yaml
from ansible.constants import config
from ansible.errors import AnsibleError
from ansible_collections.polystore.storage.plugins.doc_fragments.fdfs import ModuleDocFragment
from ansible_collections.polystore.storage.plugins.lookup import fdfs_file
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import CONNECTION

NAME = "polystore.storage.fdfs_file"
BINARY = bytes(range(256))


@pytest.fixture(params=["fdfs_server", "fdfs_v511_server"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def ids(server):
    """File ids by name."""
    client = client_for(CONNECTION, server.connection(), 8, {})
    found = {}
    for name, data in {"dir/text": "grüße\n".encode(), "binary": BINARY, "big": b"x" * 2000, "empty": b""}.items():
        found[name] = client.upload(lambda data=data: io.BytesIO(data), len(data)).text
    found["log"] = client.upload(lambda: io.BytesIO(b"line\n"), 5, appender=True).text
    return found


@pytest.fixture
def manifest(ids, tmp_path):
    path = tmp_path / "files.json"
    path.write_text(json.dumps({"schema": 1, "files": {name: {"id": text} for name, text in ids.items()}}))
    return str(path)


@pytest.fixture
def lookup(server, monkeypatch):
    for name in ("FDFS_TRACKERS", "FDFS_CLIENT_CONF"):
        monkeypatch.delenv(name, raising=False)
    known = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    known.update(yaml.safe_load(fdfs_file.DOCUMENTATION)["options"])
    config.initialize_plugin_configuration_definitions("lookup", NAME, known)
    plugin = fdfs_file.LookupModule()
    plugin._load_name = NAME

    def look(*terms, **options):
        return plugin.run(list(terms), {}, **{**server.connection(), **options})

    return look


def test_by_id_and_by_name(lookup, ids, manifest):
    assert lookup(ids["dir/text"], ids["empty"], ids["log"]) == ["grüße\n", "", "line\n"]
    assert lookup("dir/text", "log", manifest=manifest) == ["grüße\n", "line\n"]
    (found,) = lookup("binary", manifest=manifest, encoding="b64")
    assert base64.b64decode(found) == BINARY


def test_a_part(lookup, ids):
    assert lookup(ids["big"], offset="1k", bytes=3) == ["xxx"]
    assert lookup(ids["big"], offset=1999) == ["x"]
    assert lookup(ids["big"], offset=1990, bytes=100) == ["x" * 10]
    assert lookup(ids["big"], offset=2000) == [""]
    assert lookup(ids["log"], offset=1, bytes=2) == ["in"]
    assert lookup(ids["big"], bytes=10, max_bytes=10) == ["x" * 10]


def test_the_environment_is_enough(lookup, ids, server, monkeypatch):
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    assert lookup(ids["empty"], trackers=None) == [""]


@pytest.mark.parametrize(
    ("term", "options", "told"),
    [
        ("binary", {}, "is not UTF-8 text. Read it with encoding='b64'"),
        ("none", {}, "has no file none"),
        ("big", {"max_bytes": 1999}, "holds more than 2.0 KiB. Raise max_bytes"),
        ("log", {"max_bytes": 4}, "holds more than 4 B"),
        ("big", {"max_bytes": "much"}, "max_bytes: 'much' is no size"),
        ("big", {"offset": "far"}, "offset: 'far' is no size"),
        ("big", {"bytes": -1}, "bytes: -1 is no size"),
        ("big", {"offset": 2001}, "it has 2000 bytes, and its content from 2001 on was asked for"),
        ("big", {"encoding": "latin1"}, "encoding"),
        ("big", {"manifest": None}, "_terms: 'big' is no file id"),
        ("big", {"trackers": ["a b"]}, "trackers: 'a b' is no address"),
    ],
)
def test_what_goes_wrong_is_said(lookup, manifest, term, options, told):
    with pytest.raises(AnsibleError) as caught:
        lookup(term, **{"manifest": manifest, **options})
    assert told in str(caught.value)


def test_a_file_that_has_gone(lookup, ids, server):
    client_for(CONNECTION, server.connection(), 8, {}).delete(ids["big"])
    with pytest.raises(AnsibleError) as caught:
        lookup(ids["big"])
    assert ids["big"] in str(caught.value) and "ENOENT" in str(caught.value)


def test_damage_is_noticed(lookup, ids, server):
    for path in server.copies(ids["big"]):
        path.write_bytes(b"y" * 2000)
    with pytest.raises(AnsibleError) as caught:
        lookup(ids["big"])
    assert "another CRC32 than its id tells" in str(caught.value)
