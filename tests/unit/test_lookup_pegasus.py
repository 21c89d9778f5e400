# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup pegasus_kv in process."""

from __future__ import annotations

import base64

import pytest
import yaml
from ansible.constants import config
from ansible.errors import AnsibleError
from ansible_collections.polystore.storage.plugins.doc_fragments.pegasus import ModuleDocFragment
from ansible_collections.polystore.storage.plugins.lookup import pegasus_kv
from ansible_collections.polystore.storage.tests.support.pegasus_shelf import Shelf, new_table

NAME = "polystore.storage.pegasus_kv"
BINARY = bytes(range(256))
ROWS = {
    (b"shop", b"currency"): b"EUR",
    (b"shop", "grüße".encode()): "grüße\n".encode(),
    (b"shop", b""): b"",
    (b"big", b""): b"x" * 2000,
    (b"", b"spread"): b"alone",
    (b"\xff\0", b"\xfe"): BINARY,
}


@pytest.fixture(params=["pegasus_server", "pegasus_master_server"])
def shelf(request):
    found = Shelf(request.getfixturevalue(request.param))
    for pair, value in ROWS.items():
        found.client.put(found.table, *pair, value)
    yield found
    found.close()


@pytest.fixture
def lookup(shelf, monkeypatch):
    monkeypatch.delenv("PEGASUS_META_SERVERS", raising=False)
    known = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    known.update(yaml.safe_load(pegasus_kv.DOCUMENTATION)["options"])
    config.initialize_plugin_configuration_definitions("lookup", NAME, known)
    plugin = pegasus_kv.LookupModule()
    plugin._load_name = NAME

    def look(*terms, **options):
        return plugin.run(list(terms), {}, **{"table": shelf.table, **shelf.server.connection(), **options})

    return look


def test_by_both_keys(lookup):
    assert lookup("currency", "grüße", "", hash_key="shop") == ["EUR", "grüße\n", ""]
    assert lookup("shop", sort_key="currency") == ["EUR"]
    assert lookup("big", "shop") == ["x" * 2000, ""]
    assert lookup("spread", hash_key="") == ["alone"]


def test_a_table_that_was_made_anew_since_the_last_lookup(lookup, shelf):
    assert lookup("shop", sort_key="currency") == ["EUR"]
    shelf.server.behave(linger_seconds=600.0)
    shelf.admin.drop(shelf.table)
    with pytest.raises(AnsibleError, match="no such table"):
        lookup("shop", sort_key="currency")
    new_table(shelf.server, shelf.table)
    assert shelf.client.get(shelf.table, b"shop", b"currency") == b"EUR"  # who has the old configuration is told so
    with pytest.raises(AnsibleError, match="There is no row shop"):
        lookup("shop", sort_key="currency")


def test_bytes_that_are_no_text(lookup):
    (found,) = lookup("/g==", hash_key="/wA=", keys="b64", encoding="b64")
    assert base64.b64decode(found) == BINARY
    assert lookup("/wA=", sort_key="/g==", keys="b64", encoding="b64") == [found]


def test_the_environment_is_enough(lookup, shelf, monkeypatch):
    for name, value in shelf.server.environment().items():
        monkeypatch.setenv(name, value)
    assert lookup("shop", meta_servers=None, sort_key="currency") == ["EUR"]


def test_nothing_is_written(lookup, shelf):
    mark = shelf.server.mark()
    lookup("currency", hash_key="shop")
    assert shelf.server.writes(mark) == []


@pytest.mark.parametrize(
    ("term", "options", "told"),
    [
        ("none", {}, "There is no row none in"),
        ("none", {"hash_key": "shop"}, "There is no row none in"),
        ("shop", {"table": "no-such-table"}, "there is no such table"),
        ("shop", {"table": ""}, "table: '' is no name of a table"),
        ("big", {"max_bytes": 1999}, "holds more than 2.0 KiB. Raise max_bytes"),
        ("big", {"max_bytes": "much"}, "max_bytes: 'much' is no size"),
        ("big", {"encoding": "latin1"}, "encoding"),
        ("/wA=", {"keys": "b64", "sort_key": "/g=="}, "is not UTF-8 text. Read it with encoding='b64'"),
        ("shop", {"keys": "b64", "hash_key": "?"}, "hash_key: it is no base64"),
        ("?", {"keys": "b64"}, "_terms: it is no base64"),
        ("shop", {"keys": "b64", "sort_key": "?"}, "sort_key: it is no base64"),
        ("x" * 65535, {}, "a hash key of 65535 bytes"),
        ("shop", {"meta_servers": ["a b"]}, "meta_servers: 'a b' is no address"),
        ("shop", {"timeout": 0}, "timeout: 0 is out of bounds"),
    ],
)
def test_what_goes_wrong_is_said(lookup, term, options, told):
    with pytest.raises(AnsibleError) as caught:
        lookup(term, **options)
    assert told in str(caught.value)


def test_a_row_that_has_expired(lookup, shelf):
    shelf.client.put(shelf.table, b"short", b"", b"lived", 1)
    shelf.server.wait_for(lambda: shelf.client.get(shelf.table, b"short", b"") is None, 30)
    with pytest.raises(AnsibleError, match="There is no row short"):
        lookup("short")
