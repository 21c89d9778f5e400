# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection of the Pachyderm modules with pachctl's contexts, their names, and the order of changes."""

from __future__ import annotations

import base64
import json
import re

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Change, build
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common, things
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.branches import BranchItem
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.repos import RepoItem

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
CONTEXTS = {
    "plain": {"pachd_address": "grpc://plain.example:30650", "session_token": "token-plain"},
    "secure": {
        "pachd_address": "grpcs://secure.example:443",
        "session_token": "token-secure",
        "server_cas": base64.b64encode(PEM.encode()).decode(),
        "project": "vision",
    },
    "forwarded": {"port_forwarders": {"pachd": 30651}, "session_token": "token-forwarded"},
    "bad": {"pachd_address": "grpcs://h", "server_cas": "???"},
}


@pytest.fixture
def home(tmp_path):
    """A home directory with a configuration of pachctl, whose active context is "plain"."""
    (tmp_path / ".pachyderm").mkdir()
    text = json.dumps({"user_id": "u", "v2": {"active_context": "plain", "contexts": CONTEXTS}})
    (tmp_path / ".pachyderm" / "config.json").write_text(text)
    (tmp_path / "other.json").write_text(text.replace('"plain"', '"forwarded"', 1))
    return tmp_path


def resolved(home, options=None, **environ):
    """(address, token) for options and environment."""
    found = common.CONNECTION.resolve(options or {}, {"HOME": str(home), **environ})
    return found.address, found.auth_token or None


def test_without_anything_it_is_here(tmp_path):
    assert resolved(tmp_path) == ("grpc://localhost:30650", None)
    found = common.CONNECTION.resolve({}, {"HOME": str(tmp_path)})
    assert (found.timeout, found.retries, found.ca_cert, found.server_name) == (60, 4, None, None)


def test_the_active_context(home):
    assert resolved(home) == ("grpc://plain.example:30650", "token-plain")
    assert resolved(home, {"auth_token": "mine"}) == ("grpc://plain.example:30650", "mine")
    assert resolved(home, AUTH_TOKEN="old") == ("grpc://plain.example:30650", "old")
    assert resolved(home, AUTH_TOKEN="old", PACHD_AUTH_TOKEN="new")[1] == "new"


def test_a_token_of_a_context_does_not_go_elsewhere(home):
    assert resolved(home, {"address": "grpc://other:1"}) == ("grpc://other:1", None)
    assert resolved(home, PACHD_ADDRESS="grpc://other:1") == ("grpc://other:1", None)
    assert resolved(home, {"address": "grpc://other:1", "context": "secure"}) == ("grpc://other:1", "token-secure")


def test_a_context_that_is_named_goes_before_the_environment(home):
    environ = {"PACHD_ADDRESS": "grpc://env:1", "PACHD_AUTH_TOKEN": "env"}
    assert resolved(home, {"context": "forwarded"}, **environ) == ("grpc://localhost:30651", "token-forwarded")
    other = {"config_file": str(home / "other.json")}
    assert resolved(home, other, **environ) == ("grpc://localhost:30651", "token-forwarded")
    assert resolved(home, {**other, "context": "plain"}, **environ) == ("grpc://plain.example:30650", "token-plain")
    assert resolved(home, {**other, "auth_token": "mine"}, **environ)[1] == "mine"
    assert resolved(home, None, PACH_CONFIG=str(home / "other.json"))[0] == "grpc://localhost:30651"
    assert resolved(home, None, PACH_CONFIG=str(home / "other.json"), **environ) == ("grpc://env:1", "env")


def test_the_authorities_of_a_context(home, tmp_path):
    found = common.CONNECTION.resolve({"context": "secure"}, {"HOME": str(home)})
    assert (found.address, found.ca_cert) == ("grpcs://secure.example:443", PEM)
    own = tmp_path / "ca.pem"
    own.write_text(PEM)
    found = common.CONNECTION.resolve({"context": "secure", "ca_cert": str(own)}, {"HOME": str(home)})
    assert found.ca_cert == str(own)


@pytest.mark.parametrize(
    ("options", "environ", "told"),
    [
        ({"context": "none"}, {}, "context: .* has no context none. It has: bad, forwarded, plain, secure"),
        ({"context": "bad"}, {}, "context: server_cas of bad in .* is not valid"),
        ({"config_file": "/no/such/file"}, {}, "config_file: /no/such/file cannot be read: No such file"),
        ({"context": "plain"}, {"HOME": "/no/such/home"}, "config_file: .* cannot be read"),
        ({}, {"PACH_CONFIG": "/no/such/file"}, "PACH_CONFIG: /no/such/file cannot be read"),
        ({"address": "http://"}, {}, "address: "),
        ({"address": "ftp://h"}, {}, "address: "),
        ({"address": "grpc://h:port"}, {}, "address: "),
        ({"address": "grpc://h", "ca_cert": "/x"}, {}, "ca_cert: grpc://h is not TLS. Write the address with grpcs://"),
        ({"address": "grpc://h", "server_name": "x"}, {}, "server_name: grpc://h is not TLS"),
        ({"address": "grpcs://h", "ca_cert": "/no/such/ca"}, {}, "ca_cert: /no/such/ca does not exist"),
        ({"auth_token": "sec ret"}, {}, "auth_token: it holds what no token can"),
        ({"timeout": 0}, {}, "timeout: 0 is out of bounds"),
        ({"retries": -1}, {}, "retries: -1 is out of bounds"),
    ],
)
def test_what_cannot_be(home, options, environ, told):
    with pytest.raises(OptionError) as caught:
        common.CONNECTION.resolve(options, {"HOME": str(home), **environ})
    assert re.match(told, caught.value.told())
    assert "sec ret" not in caught.value.told()


@pytest.mark.parametrize("text", ["", "[]", '{"v2": []}', '{"v2": {"contexts": 1}}', "token-plain {", "\udcff"])
def test_what_is_no_configuration_is_not_quoted(home, text):
    path = home / "broken.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(OptionError, match="is no configuration of pachctl|has no context") as caught:
        common.CONNECTION.resolve({"config_file": str(path)}, {"HOME": str(home)})
    assert "token-plain" not in caught.value.told()


def test_no_token_is_in_what_settings_show(home):
    assert "token-plain" not in repr(common.CONNECTION.resolve({}, {"HOME": str(home)}))


@pytest.mark.parametrize("value", ["a", "A_b-9", "_a", "-a", "0" * 32, "x" * 63])
def test_names(value):
    assert common.name(value) == value


@pytest.mark.parametrize("value", ["", "a.b", "a b", "a/b", "x" * 64, "ü", "a\n", "a@b", None, 5])
def test_what_is_no_name(value):
    with pytest.raises(ValueError):
        common.name(value)


@pytest.mark.parametrize(("value", "right"), [("a", True), ("9_-", True), ("x" * 51, True), ("x" * 52, False)])
def test_project_names(value, right):
    if right:
        assert common.project_name(value) == value
    else:
        with pytest.raises(ValueError):
            common.project_name(value)


@pytest.mark.parametrize("value", ["", "_a", "-a", "a.b", "a\n"])
def test_what_is_no_project(value):
    with pytest.raises(ValueError):
        common.project_name(value)


def test_metadata():
    assert things.metadata({"a": 1, "b": None, "c": True, "d": "ü", "e": ""}) == {
        "a": "1",
        "b": None,
        "c": "true",
        "d": "ü",
        "e": "",
    }
    for wrong in ({"": "v"}, {"k": ["v"]}, {"k": {}}, {"k": "\udcff"}, {"k": "\0"}):
        with pytest.raises(ValueError):
            things.metadata(wrong)


def test_where_an_item_lies():
    item = build(RepoItem, {"name": "r"})
    assert (item.key, item.label()) == (("default", "r"), "default/r")
    item = build(BranchItem, {"project": "p", "repo": "r", "name": "b"})
    assert (item.key, item.label()) == (("p", "r", "b"), "p/r@b")


def test_what_was_done_is_told():
    with pytest.raises(StorageError) as caught, things.after("a was made"):
        raise StorageError("no")
    assert caught.value.told() == "a was made, but then: no"


def changes(*names):
    return [[Change(build(RepoItem, {"name": name}), "created", None, {})] for name in names]


def order(needs, *names):
    """The names in waves. needs: name -> names."""
    found = things.waves(changes(*names), lambda c: [("default", n) for n in needs.get(c.item.name, ())])
    return [[group[0].item.name for group in wave] for wave in found]


def test_waves():
    assert order({}) == []
    assert order({}, "a", "b") == [["a", "b"]]
    assert order({"a": ["b"], "b": ["c", "elsewhere"]}, "a", "b", "c", "d") == [["c", "d"], ["b"], ["a"]]
    assert order({"a": ["b"], "b": ["a"], "c": ["c"]}, "a", "b", "c") == [["c"], ["a", "b"]]


def test_some():
    assert things.some(["b", "a"], "repo") == "2 repos (a, b)"
    assert things.some(["a"], "branch") == "1 branch (a)"
    assert things.some("abcdefg", "repo") == "7 repos (a, b, c, d, e, ...)"
