# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What objects are compared by: expiry, content types, names; without a server."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import build
from ansible_collections.polystore.storage.plugins.module_utils.swift import objects, segments
from ansible_collections.polystore.storage.plugins.module_utils.swift.objects import ObjectItem, ObjectResource
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("never", "never"),
        (" Never ", "never"),
        ("7d", "7d"),
        (3600, "3600"),
        ("2027-01-31", "2027-01-31T00:00:00Z"),
        ("2027-01-31 12:30", "2027-01-31T12:30:00Z"),
        ("2027-01-31T12:30:05.123Z", "2027-01-31T12:30:05Z"),
        ("2027-01-31T00:30:00+01:00", "2027-01-30T23:30:00Z"),
        ("2027-01-31T00:30:00 -0130", "2027-01-31T02:00:00Z"),
    ],
)
def test_expiry(text: Any, normal: str) -> None:
    assert objects.expiry(text) == normal


@pytest.mark.parametrize("text", ["", "soon", 0, "0s", True, "2027-13-01", "2027-01-31T25:00:00Z", "-5", 1.5])
def test_no_expiry(text: Any) -> None:
    with pytest.raises(ValueError):
        objects.expiry(text)


@given(st.integers(min_value=61, max_value=10**8))
def test_a_duration_has_a_tolerance(seconds: int) -> None:
    now, text = int(time.time()), str(seconds)
    spare = max(60, seconds // 10)
    assert objects.same_expiry(segments.iso(now + seconds), text)
    assert objects.same_expiry(segments.iso(now + seconds - spare + 5), text)
    assert not objects.same_expiry(segments.iso(now + seconds - spare - 5), text)
    assert not objects.same_expiry(segments.iso(now + seconds + spare + 5), text)


def test_times_are_exact_and_never_is_nothing() -> None:
    assert objects.same_expiry("2027-01-31T00:00:00Z", "2027-01-31T00:00:00Z")
    assert not objects.same_expiry("2027-01-31T00:00:01Z", "2027-01-31T00:00:00Z")
    assert objects.same_expiry(None, "never")
    assert not objects.same_expiry("2027-01-31T00:00:00Z", "never")
    assert not objects.same_expiry(None, "7d")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/b.html", "text/html"),
        ("x.tar.gz", "application/gzip"),
        ("x.tar.xz", "application/x-xz"),
        ("data:x,y", "application/octet-stream"),
        ("x.json", "application/json"),
        ("html", "application/octet-stream"),
        ("a.html/b", "application/octet-stream"),
    ],
)
def test_guessed(name: str, kind: str) -> None:
    assert segments.guessed(name) == kind


def test_same_type() -> None:
    assert segments.same_type("text/plain;charset=utf-8", "Text/Plain; charset=UTF-8")
    assert not segments.same_type("text/plain", "text/plain; charset=utf-8")
    assert not segments.same_type(None, "text/plain")


def test_place() -> None:
    assert objects.place("c/a/b") == ("c", "a/b")
    assert objects.place("/c/a") == ("c", "a")
    for wrong in ("c", "c/", "/", "", "../x"):
        with pytest.raises(ValueError):
            objects.place(wrong)


def test_headers_lead_to_the_state_they_came_from() -> None:
    headers = {
        "content-length": "7",
        "etag": '"abc"',
        "content-type": "text/x",
        "x-object-meta-colour": "grün",
        "x-delete-at": "1800000000",
        "cache-control": "no-cache",
        "x-robots-tag": "noindex",
    }
    state = segments.state_of(headers, "")
    assert (state["size"], state["checksum"], state["metadata"]) == (7, "abc", {"colour": "grün"})
    again = segments.headers_for(state)
    assert again == {k: v for k, v in headers.items() if k not in ("content-length", "etag")}
    assert segments.state_of({"x-object-manifest": "c/grün%3F/"}, "")["_dlo"] == ("c", "grün?/")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"name": "o"}, "container"),
        ({"container": "a/b", "name": "o"}, "container"),
        ({"container": "c", "name": "x" * 1025}, "name"),
        ({"container": "c", "name": "a\nb"}, "name"),
        ({"container": "c", "name": "o", "src": "a", "symlink_to": "a/b"}, "symlink_to"),
        ({"container": "c", "name": "o", "copy_from": "c/o"}, "itself"),
        ({"container": "c", "name": "o", "segment_size": 0}, "segment_size"),
        ({"container": "c", "name": "o", "compare": "guess"}, "compare"),
    ],
)
def test_wrong_options(options: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionError, match=word):
        ObjectResource.validate(build(ObjectItem, options))
