# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that people write in several ways."""

from __future__ import annotations

import copy
import re

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core import values
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, NEVER, Selection
from hypothesis import given
from hypothesis import strategies as st


def test_keep_is_one_thing_and_false() -> None:
    assert copy.deepcopy({"a": KEEP})["a"] is copy.copy(KEEP) is KEEP
    assert not KEEP
    assert repr(KEEP) == "KEEP"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(0, 0), (90, 90), ("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800), ("1w", 604800)]
    + [(" 2 H ", 7200), ("never", NEVER), ("NEVER", NEVER)],
)
def test_durations(text: object, seconds: int) -> None:
    assert values.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [(0, 0), (1, 1), ("64k", 65536), ("100M", 104857600), ("5G", 5368709120), ("1TiB", 1 << 40), ("2 kb", 2048)],
)
def test_sizes(text: object, number: int) -> None:
    assert values.size(text) == number


@pytest.mark.parametrize("wrong", [True, None, "", "-1", -1, "1.5h", "1x", "k", 1.5, [1], "1 2"])
def test_neither_durations_nor_sizes(wrong: object) -> None:
    for function in (values.duration, values.size):
        with pytest.raises(ValueError, match=re.escape(repr(wrong))):
            function(wrong)


@given(st.integers(0, 1 << 62))
def test_plain_numbers_mean_themselves(number: int) -> None:
    assert values.size(number) == values.size(str(number)) == number
    assert values.duration(number) == values.duration("%ds" % number) == number


@pytest.mark.parametrize(("text", "normal"), [("0755", "0755"), ("644", "0644"), ("0o600", "0600"), ("02755", "2755")])
def test_modes(text: str, normal: str) -> None:
    assert values.mode(text) == normal


@pytest.mark.parametrize("wrong", [0o755, 755, "0855", "u+x", "", "7", None])
def test_no_modes(wrong: object) -> None:
    with pytest.raises(ValueError, match="is no mode"):
        values.mode(wrong)


def test_shares() -> None:
    assert [values.share(v) for v in (10, "10", "10%", " 100 % ", 0)] == [
        *((10, False), (10, False), (10, True), (100, True), (0, False)),
    ]
    for wrong in ("101%", True, -1, "ten", "1.5%"):
        with pytest.raises(ValueError, match="neither a number nor a share"):
            values.share(wrong)


@pytest.mark.parametrize("wrong", ["a\nb", "\0", "\x7f", "\udcff", 5])
def test_no_plain_text(wrong: object) -> None:
    with pytest.raises(ValueError, match="control character|UTF-8|no text"):
        values.plain_text(wrong)


def test_human() -> None:
    numbers = (0, 1023, 1536, 5 << 20, 3 << 30, 2 << 40, 5000 << 40)
    assert [values.human(n) for n in numbers] == [
        *("0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3.0 GiB", "2.0 TiB", "5000.0 TiB"),
    ]


@given(st.text(min_size=1))
def test_fingerprints_do_not_show_and_are_the_same_for_text_and_bytes(text: str) -> None:
    found = values.fingerprint(text)
    assert re.fullmatch(r"\(hidden, [0-9a-f]{6}\)", found)
    assert found == values.fingerprint(text.encode())


def test_fingerprints_tell_apart() -> None:
    assert len({values.fingerprint("key %d" % number) for number in range(100)}) == 100


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.txt", ["a.txt", "d/a.txt", ".txt"], ["a.txt2", "a.txt/b"]),
        ("a/*.txt", ["a/b.txt"], ["b/a/b.txt", "a/b/c.txt"]),
        ("/a", ["a"], ["b/a"]),
        ("**/x", ["x", "a/x", "a/b/x"], ["ax", "x/a"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a/", ["a/b", "a/b/c"], ["a", "b"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["az", "a/bz"]),
        ("?.c", ["a.c", "d/b.c"], ["ab.c", ".c"]),
        ("[ab]x", ["ax", "bx"], ["cx", "abx"]),
        ("[!a]x", ["bx"], ["ax", "x"]),
        ("[", ["["], ["a"]),
        ("a+b.(c)$", ["a+b.(c)$"], ["aab.(c)$"]),
    ],
)
def test_globs(pattern: str, yes: list[str], no: list[str]) -> None:
    selection = Selection([pattern])
    assert [name for name in yes + no if name in selection] == yes


@given(st.text(alphabet="ab/.\n\\^]-!", min_size=1, max_size=8).filter(lambda t: t.strip("/") != ""))
def test_a_name_without_wildcards_matches_itself(name: str) -> None:
    assert name.strip("/") in Selection([name.strip("/")])


@given(st.text(alphabet="ab*?[]!^\\/.-", max_size=10))
def test_any_pattern_is_a_pattern(pattern: str) -> None:
    re.compile(values.glob_regex(pattern))


def test_include_and_exclude() -> None:
    selection = Selection(["*.py", "docs/"], ["test_*", "docs/old/**"])
    names = ["a.py", "test_a.py", "docs/x", "docs/old/x", "b.txt"]
    assert [name for name in names if name in selection] == ["a.py", "docs/x"]
    assert all(name in Selection() for name in names)
    assert [name for name in names if Selection(exclude=["*.py"]).excludes(name)] == ["a.py", "test_a.py"]
