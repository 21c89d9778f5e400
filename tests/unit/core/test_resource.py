# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Items from options as they were typed, and the generic plan."""

from __future__ import annotations

import dataclasses as dc
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Item,
    Made,
    Resource,
    argument_spec,
    build,
    compare,
    differences,
    directive,
    key,
    merged,
    shown,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, size
from hypothesis import given
from hypothesis import strategies as st


@dc.dataclass
class Thing(Item):
    name: str = key()
    part: str = key(default="")
    labels: Any = wanted("dict", merge=True)
    purge_labels: bool = directive("bool", default=False)
    limit: Any = wanted("raw", parse=size, nullable=True)
    color: str = wanted(choices=("red", "blue"), aliases=("colour",))
    tags: Any = wanted("list", elements="str", choices=("a", "b"))
    web: Any = wanted("dict", options={"index": {"type": "str"}})
    password: str = wanted(secret=True, parse=size)
    passwords: Any = wanted("list", secret=True)
    blob: bytes = wanted("raw", binary=True)
    source: str = directive("path")
    number: int = directive("int")


def test_the_argument_spec() -> None:
    spec = argument_spec(Thing)
    assert spec["state"] == {"type": "str", "choices": ["present", "absent"], "default": "present", "no_log": False}
    assert spec["name"] == {"type": "str", "no_log": False}
    assert spec["color"] == {"type": "str", "choices": ["red", "blue"], "aliases": ["colour"], "no_log": False}
    assert spec["tags"]["elements"] == "str"
    assert spec["web"]["options"] == {"index": {"type": "str"}}
    assert (spec["password"]["no_log"], spec["purge_labels"]["default"]) == (True, False)


def test_what_was_left_out_is_kept_and_null_is_a_value_where_it_may_be() -> None:
    item = build(Thing, {"name": "a", "limit": None, "color": None, "labels": None})
    assert (item.limit, item.color, item.labels, item.password) == (None, KEEP, KEEP, KEEP)
    assert (item.key, item.identity(), item.label()) == (("a", ""), {"name": "a", "part": ""}, "a/")
    assert build(Thing, {"name": "a", "limit": "2k"}).limit == 2048


def test_types_as_a_batch_may_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    raw = {"name": 5, "purge_labels": "yes", "labels": '{"a": "b"}', "tags": "a, b", "number": "7", "colour": "red"}
    item = build(Thing, {**raw, "source": "~/x"})
    assert (item.name, item.purge_labels, item.labels, item.tags) == ("5", True, {"a": "b"}, ["a", "b"])
    assert (item.number, item.color, item.source) == (7, "red", "/home/me/x")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "here: name: is required"),
        ({"name": None}, "here: name: is required"),
        ({"name": "a", "nome": 1}, "here: nome: unknown option"),
        ({"name": ["a"]}, "here: name: list is no text"),
        ({"name": "a", "limit": "much"}, "here: limit: 'much' is no size"),
        ({"name": "a", "color": "green"}, "here: color: 'green' is not one of red, blue"),
        ({"name": "a", "tags": ["a", "c"]}, "here: tags: 'c' is not one of a, b"),
        ({"name": "a", "web": {"indx": "x"}}, "here: web: indx is unknown in it, known are index"),
        ({"name": "a", "labels": [1]}, "here: labels: [1] is no dictionary"),
        ({"name": "a", "labels": "{x"}, "here: labels: "),
        ({"name": "a", "tags": 1.5}, "here: tags: 1.5 is no list"),
        ({"name": "a", "purge_labels": "perhaps"}, "here: purge_labels: 'perhaps' is neither true nor false"),
        ({"name": "a", "number": 1.5}, "here: number: 1.5 is no whole number"),
        ({"name": "a", "number": True}, "here: number: True is no whole number"),
        ({"name": "a", "number": "x"}, "here: number: 'x' is no whole number"),
        ({"name": "a", "password": "hunter2"}, "here: password: the value given is not valid"),
    ],
)
def test_wrong_options_are_named(raw: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        build(Thing, raw, "here: ")
    assert caught.value.message.startswith(words)
    assert "hunter2" not in caught.value.told()
    assert caught.value.fatal


labels = st.dictionaries(st.sampled_from("abcd"), st.text(max_size=2), max_size=4)
wishes = st.dictionaries(st.sampled_from("abcd"), st.none() | st.text(max_size=2), max_size=4)


@given(labels, wishes, st.booleans())
def test_merging(have: dict[str, str], want: dict[str, Any], purge: bool) -> None:
    after = merged(have, want, purge)
    assert None not in after.values()
    for name in "abcd":
        if name in want:
            assert after.get(name) == want[name]
        else:
            assert after.get(name) == (None if purge else have.get(name))
    assert merged(after, want, purge) == after


states = st.fixed_dictionaries(
    {}, optional={"labels": labels, "limit": st.integers(0, 3), "color": st.sampled_from(["red", "blue"])}
)


@given(states, states, wishes, st.booleans())
def test_the_generic_plan_leads_to_what_was_asked_and_then_rests(
    before: dict[str, Any], raw: dict[str, Any], wish: dict[str, Any], purge: bool
) -> None:
    item = build(Thing, {"name": "a", **raw, "labels": wish, "purge_labels": purge})
    for present in (None, before):
        change = compare(item, present)
        if change is None:
            after = before
        else:
            assert change.action == ("created" if present is None else "updated")
            assert change.before is present
            after = change.after or {}
            for name in set(before) - set(change.fields) if present is not None else ():
                assert after[name] == before[name]
        assert not compare(item, after)
        for name in ("limit", "color"):
            if name in raw:
                assert after.get(name) == raw[name]


def test_absence() -> None:
    item = build(Thing, {"name": "a", "state": "absent", "limit": 5})
    assert compare(item, None) is None
    change = compare(item, {"limit": 1})
    assert change is not None
    assert (change.action, change.before, change.after) == ("deleted", {"limit": 1}, None)


def test_what_a_resource_found_by_itself_is_a_change_too() -> None:
    item = build(Thing, {"name": "a"})
    assert compare(item, {"limit": 1}) is None
    change = compare(item, {"limit": 1}, {"checksum": "x"})
    assert change is not None
    assert (change.action, change.after) == ("updated", {"limit": 1, "checksum": "x"})


def test_a_null_that_clears_differs_from_what_is_there_only() -> None:
    item = build(Thing, {"name": "a", "limit": None})
    assert differences(item, {"limit": 3}) == {"limit": None}
    assert differences(item, {}) == differences(item, None) == {}


def test_what_is_shown() -> None:
    item = Thing(name="a")
    state = {"password": "p", "passwords": ["p", ""], "blob": b"\0", "other": b"x", "_raw": 1, "limit": None}
    found = shown(item, state)
    assert found is not None
    assert list(found)[:2] == ["name", "part"]
    assert "_raw" not in found
    assert found["passwords"][0] == found["password"]
    assert found["passwords"][1] == ""
    assert [str(found[name]).startswith("(hidden") for name in ("password", "blob", "other")] == [True] * 3
    assert shown(item, {"password": "", "blob": None}) == {"name": "a", "part": "", "password": "", "blob": None}
    assert shown(item, None) is None


def test_a_resource_says_which_step_it_lacks() -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        Resource(None, None).read([])
    with pytest.raises(StorageError, match="cannot be changed"):
        Resource(None, None).make([])


def test_by_default_deletions_are_a_wave_of_their_own() -> None:
    resource, item = Resource(None, None), Thing(name="a")
    changes = [compare(item, None), compare(dc.replace(item, state="absent"), {})]
    made, gone = [[change] for change in changes if change is not None]
    assert resource.order([gone, made]) == [[made], [gone]]
    assert resource.group(made[0]) != resource.group(gone[0])
    assert Made(made[0]).error is None
