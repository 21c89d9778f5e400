# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers without a server: headers and states, and what any declaration leads to."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Engine, Run
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import build
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters
from ansible_collections.polystore.storage.plugins.module_utils.swift import common
from ansible_collections.polystore.storage.plugins.module_utils.swift.client import Answer
from ansible_collections.polystore.storage.plugins.module_utils.swift.containers import (
    Container,
    Containers,
    headers_of,
    state_of,
)
from hypothesis import given
from hypothesis import strategies as st


class Swift:
    """Containers as Swift keeps them: a PUT or POST merges headers, an empty one removes."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.held: dict[str, dict[str, str]] = {}

    def info(self) -> dict[str, Any]:
        return {}

    def request(self, method: str, name: str, *, headers: Any = None, operation: str = "") -> Answer:
        self.counters.add(requests=1, writes=int(method != "HEAD"))
        if name not in self.held and method != "PUT":
            raise StorageError("gone", code=404)
        if method == "DELETE":
            return Answer(204, self.held.pop(name), b"")
        held = self.held.setdefault(name, {"x-storage-policy": "standard"})
        for header, value in (headers or {}).items():
            held[header.lower()] = value
        self.held[name] = {header: value for header, value in held.items() if value != ""}
        return Answer(204, dict(held), b"")

    def run(self, **raw: Any) -> dict[str, Any]:
        plan = Run(diff=True)
        item = build(Container, {"name": "c", **raw})
        Containers.validate(item)
        return Engine(Containers(self, plan), plan).execute([item])


words = st.text(alphabet="abüß.-/", min_size=1, max_size=6).map(str.strip).filter(bool)
maybe = st.none() | words
options = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.dictionaries(
            st.sampled_from(["a", "b_c", "D"]), st.none() | st.just("") | words | st.integers()
        ),
        "purge_metadata": st.booleans(),
        "read_acl": st.just("") | st.lists(st.sampled_from([".r:*", " .rlistings", ".ref:-x", "u:v ", ""])),
        "write_acl": st.sampled_from(["", ",", "u:v", " u:v , w:x"]),
        "versioning": st.booleans(),
        "quota_bytes": st.none() | st.integers(0, 9) | st.just("1k"),
        "quota_count": st.none() | st.integers(0, 9),
        "web": st.fixed_dictionaries(
            {}, optional={"index": maybe | st.just(""), "listings": st.booleans() | st.none(), "listings_css": maybe}
        ),
        "cors": st.fixed_dictionaries(
            {}, optional={"allow_origin": st.lists(words, min_size=1), "max_age": st.integers(0, 9) | st.just("")}
        ),
        "sync_to": st.just("") | words,
        "sync_key": st.just("") | words,
        "temp_url_keys": st.lists(st.none() | st.just("") | words, min_size=1, max_size=2),
    },
)


@given(st.lists(options, min_size=1, max_size=4))
def test_whatever_is_declared_is_there_and_stays(declared: list[dict[str, Any]]) -> None:
    swift = Swift()
    for number, raw in enumerate(declared):
        before = dict(swift.held.get("c", {}))
        result = swift.run(**raw)
        assert result["summary"]["writes"] == int(result["changed"])
        if number:
            assert result["changed"] == (swift.held["c"] != before)
        again = swift.run(**raw)
        assert (again["changed"], again["diff"], again["summary"]["writes"]) == (False, [], 0)
        told = swift.run()["resource"]
        for name in ("quota_count", "versioning"):
            if name in raw:
                assert told[name] == raw[name]
    asked = {name for raw in declared for name in raw}
    if "quota_bytes" not in asked:
        assert "x-container-meta-quota-bytes" not in swift.held["c"]


@given(st.lists(options, min_size=1, max_size=3))
def test_headers_and_states_say_the_same(declared: list[dict[str, Any]]) -> None:
    swift = Swift()
    for raw in declared:
        swift.run(**raw)
    held = {k: v for k, v in swift.held["c"].items() if k != "x-versions-enabled"}
    assert {k: v for k, v in headers_of(state_of(held)).items() if k != "x-versions-enabled"} == held


def test_the_state_of_a_bare_container() -> None:
    state = state_of({})
    assert (state["quota_bytes"], state["versioning"], state["web"], state["metadata"]) == (None, False, {}, {})
    assert {name: value for name, value in headers_of(state).items() if value != "false"} == {}


def test_strange_headers_are_survived() -> None:
    state = state_of(
        {
            "x-container-meta-quota-bytes": "lots",
            "x-container-meta-access-control-max-age": "soon",
            "x-container-meta-web-listings": "Yes",
            "x-container-meta-web-directory-type": "text/dir",
            "x-versions-enabled": "False",
        }
    )
    assert (state["quota_bytes"], state["cors"], state["web"]) == (None, {}, {"listings": True})
    assert state["metadata"] == {"web-directory-type": "text/dir"}
    assert state["versioning"] is False


@pytest.mark.parametrize(
    ("raw", "option"),
    [
        ({"write_acl": ["u:v", ".referrer:x"]}, "write_acl"),
        ({"metadata": {"Web_Index": "x"}}, "metadata"),
        ({"metadata": {"access-control-max-age": None}}, "metadata"),
    ],
)
def test_options_that_contradict(raw: dict[str, Any], option: str) -> None:
    with pytest.raises(OptionError) as caught:
        Containers.validate(build(Container, {"name": "c", **raw}))
    assert caught.value.option == option


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("name", wrong) for wrong in ("", "a/b", ".", "..", "x" * 257, "ü" * 129, "a\nb")),
        *(("temp_url_keys", wrong) for wrong in (["a"] * 3, [{}], ["a\nb"])),
        *(("cors", wrong) for wrong in ({"max_age": -1}, {"max_age": "soon"}, {"age": 1})),
        *(("quota_count", wrong) for wrong in (-1, 1.5, "many")),
        ("web", {"listings": "perhaps"}),
        ("max_delete", -1),
    ],
)
def test_values_that_cannot_be(name: str, value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        build(Container, {"name": "c", name: value})
    assert caught.value.option == name


def test_keys_are_laid_over_what_is_there() -> None:
    present = {"temp_url_keys": ["a", "b"]}
    assert common.merged_keys(present, ["c"]) == ["c", "b"]
    assert common.merged_keys(present, [None, "d"]) == ["a", "d"]
    assert common.merged_keys(None, ["", "e"]) == ["", "e"]
    assert common.same_keys(None, ["", ""])
    assert not common.same_keys(["a", ""], ["", "a"])


def test_a_quota_that_newer_servers_keep_apart() -> None:
    old, new = {"x-account-meta-quota-bytes": "5"}, {"x-account-quota-bytes": "7"}
    assert common.account_state(old)["quota_bytes"] == 5
    assert common.account_state({**old, **new})["quota_bytes"] == 7
    assert common.account_state({**old, **new})["metadata"] == {}
    assert common.account_state({})["quota_bytes"] is None
