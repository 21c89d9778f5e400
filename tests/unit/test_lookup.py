# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup swift_object against a real Swift: in process, and through a template of ansible-playbook."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import pytest
import yaml
from ansible.constants import config
from ansible.errors import AnsibleError
from ansible_collections.polystore.storage.plugins.doc_fragments.swift import ModuleDocFragment
from ansible_collections.polystore.storage.plugins.lookup import swift_object
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import CONNECTION

NAME = "polystore.storage.swift_object"
BINARY = bytes(range(256))


@pytest.fixture
def container(swift_server):
    name = swift_server.new_container_name("lookup")
    client = client_for(CONNECTION, swift_server.auth(), 8, {})
    client.request("PUT", name)
    for key, value in {"dir/text": "grüße\n".encode(), "binary": BINARY, "big": b"x" * 2000, "empty": b""}.items():
        client.request("PUT", name, key, body=value)
    return name


@pytest.fixture
def lookup(swift_server, monkeypatch):
    for name in [n for n in os.environ if n.startswith(("OS_", "ST_"))]:
        monkeypatch.delenv(name)
    known = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    known.update(yaml.safe_load(swift_object.DOCUMENTATION)["options"])
    config.initialize_plugin_configuration_definitions("lookup", NAME, known)
    plugin = swift_object.LookupModule()
    plugin._load_name = NAME

    def look(*terms, **options):
        return plugin.run(list(terms), {}, **{**swift_server.auth(), **options})

    return look


def test_text_and_binary(lookup, container):
    assert lookup(container + "/dir/text", container + "/empty") == ["grüße\n", ""]
    (found,) = lookup(container + "/binary", encoding="b64")
    assert base64.b64decode(found) == BINARY


def test_one_token_for_many_reads(lookup, container, swift_server):
    lookup(container + "/empty")
    mark = swift_server.mark()
    lookup(container + "/empty", container + "/big")
    lookup(container + "/dir/text")
    assert [r["method"] for r in swift_server.requests(mark)] == ["GET"] * 3
    assert not [r for r in swift_server.requests(mark) if "/auth/" in r["path"]]


def test_the_environment_is_enough(lookup, container, swift_server, monkeypatch):
    for name, value in swift_server.environment().items():
        monkeypatch.setenv(name, value)
    assert lookup(container + "/empty", auth_type=None, auth=None) == [""]


@pytest.mark.parametrize(
    ("term", "options", "told"),
    [
        ("/binary", {}, "is not UTF-8 text. Read it with encoding='b64'"),
        ("/none", {}, "404"),
        ("/big", {"max_bytes": 1999}, "holds more than 2.0 KiB. Raise max_bytes"),
        ("/big", {"max_bytes": "1k"}, "holds more than 1.0 KiB"),
        ("/big", {"max_bytes": "much"}, "max_bytes: 'much' is no size"),
        ("", {}, "is not container/object"),
        ("/", {}, "is no object name"),
        ("/big", {"encoding": "latin1"}, "encoding"),
        ("/big", {"auth_type": "v1", "auth": {}}, "auth.auth_url: is missing"),
    ],
)
def test_what_goes_wrong_is_said(lookup, container, term, options, told):
    with pytest.raises(AnsibleError) as caught:
        lookup(container + term, **options)
    assert told in str(caught.value)


def test_exactly_max_bytes_is_fine(lookup, container):
    assert lookup(container + "/big", max_bytes=2000) == ["x" * 2000]


def test_in_a_template(container, swift_server, collection, tmp_path):
    """Through ansible-playbook: the connection from the environment, errors='ignore' as for every lookup."""
    call = "lookup('polystore.storage.swift_object', '%s', %s)"
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.assert": {
                    "that": [
                        "%s == 'gr\u00fc\u00dfe\n'" % (call % (container + "/dir/text", "max_bytes=100")),
                        "not %s" % (call % (container + "/none", "errors='ignore'")),
                    ]
                }
            },
        ],
    }
    (tmp_path / "hosts").write_text("localhost ansible_connection=local\n")
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("OS_", "ST_", "ANSIBLE_"))}
    environ.update(swift_server.environment(), ANSIBLE_COLLECTIONS_PATH=str(collection.parents[2]), LC_ALL="C.UTF-8")
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts", "play.yml"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
