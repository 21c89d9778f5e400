# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports: what they say, and that nothing in a name can break them."""

from __future__ import annotations

import html.parser
import json
import pathlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.plugin_utils.estate import reports

NASTY = '<script>alert("x")</script> & `a` | ~~~'


def change(action: str, item: str = "c/o", **states: Any) -> dict[str, Any]:
    return {
        "name": 'swift.objects {"name": "%s"}' % item,
        "system": "swift",
        "kind": "objects",
        "item": item,
        "action": action,
        "why": "declared",
        "before": states.get("before"),
        "after": states.get("after"),
    }


def outcome(*changes: dict[str, Any], check: bool = True, destroy: bool = False, **more: Any) -> dict[str, Any]:
    counts = {action: sum(c["action"] == action for c in changes) for action in reports.SHOWN}
    failures = more.get("failures", [])
    numbers = {**counts, "unchanged": 3, "failed": len(failures), "requests": 1, "writes": 0}
    numbers.update(bytes_sent=2048, bytes_received=0)
    return {
        "estate": "e",
        "check": check,
        "destroy": destroy,
        "began": "2026-11-22 12:00:00 UTC",
        "seconds": 1.25,
        "summary": numbers,
        "systems": {"swift": {"system": "swift", **numbers}},
        "changes": list(changes),
        "failures": failures,
        "warnings": more.get("warnings", []),
    }


class Page(html.parser.HTMLParser):
    """Which elements a page has, and whether all are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


SEVERAL = (
    change("created", NASTY, after={"size": 3}),
    change("updated", before={"size": 3, "metadata": {"a": NASTY}}, after={"size": 3, "metadata": {"a": "c"}}),
    change("deleted", "gone", before={"size": 1}),
)
FAILED = {"system": "swift", "kind": "objects", "item": NASTY, "operation": "create object", "code": 403}
FAILED |= {"server_message": "No <b>way</b>", "hint": "Ask", "message": "it was refused"}


def test_a_page_is_whole_and_needs_nothing_else() -> None:
    text = reports.as_html(outcome(*SEVERAL, failures=[FAILED], warnings=[NASTY]))
    page = Page(text)
    assert page.open == []
    tags = [tag for tag, _attrs in page.seen]
    assert tags.count("details") == 3 and "script" not in tags and "link" not in tags and "img" not in tags
    assert not any({"src", "href"} & set(attrs) for _tag, attrs in page.seen)
    assert "url(" not in text and "@import" not in text
    assert '<span class="d">-    &quot;a&quot;:' in text and '<span class="a">+    &quot;a&quot;: &quot;c&quot;' in text
    assert "No &lt;b&gt;way&lt;/b&gt;" in text


def test_markdown() -> None:
    text = reports.as_markdown(outcome(*SEVERAL, failures=[FAILED], warnings=[NASTY]))
    assert "| | to create | to change | to delete | unchanged | failed |" in text
    assert "| swift | 1 | 1 | 1 | 3 | 1 |" in text
    assert "<summary><code>+</code> objects &lt;script&gt;" in text
    assert text.count("<details>") == text.count("</details>") == 3
    assert "### Failed" in text and "### Warnings" in text


def test_json_has_all_of_it() -> None:
    data = outcome(*SEVERAL)
    assert json.loads(reports.as_json(data)) == {
        "title": "Plan of the estate e",
        "verdict": "3 changes are planned.",
        "drift": False,
        **data,
    }


@pytest.mark.parametrize(
    ("data", "drift", "title", "verdict"),
    [
        (outcome(), False, "Plan of the estate e", "Everything is as it is declared."),
        (outcome(), True, "Drift of the estate e", "Everything is as it is declared."),
        (outcome(*SEVERAL), True, "Drift of the estate e", "3 of 6 differ from what is declared."),
        (outcome(*SEVERAL, check=False), False, "Result of the estate e", "3 changes were made."),
        (outcome(destroy=True), False, "Plan of the removal of the estate e", "Nothing of it is there."),
        (outcome(SEVERAL[2], check=False, destroy=True), False, "Removal of the estate e", "1 change was made."),
        (outcome(failures=[FAILED], check=False), False, "Result of the estate e", "1 failed, 0 done."),
    ],
)
def test_what_it_says_first(data: dict[str, Any], drift: bool, title: str, verdict: str) -> None:
    assert (reports.title(data, drift), reports.verdict(data, drift)) == (title, verdict)


def test_what_is_too_much_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST", 2)
    assert "1 more are not shown here." in reports.as_html(outcome(*SEVERAL))
    assert "1 more are not shown here." in reports.as_markdown(outcome(*SEVERAL))


def test_a_path_has_to_tell_the_form(tmp_path: pathlib.Path) -> None:
    with pytest.raises(StorageError, match=r"x.txt ends with none of .html, .md, .json"):
        reports.write(str(tmp_path / "x.txt"), outcome())
    reports.write(str(tmp_path / "x.html"), outcome())
    assert (tmp_path / "x.html").read_text("utf-8").startswith("<!doctype html>")


def test_what_is_left_out_of_a_difference_is_dots() -> None:
    before = dict.fromkeys("abcdefghij", 1)
    rows = reports.difference({"before": before, "after": {**before, "a": 2, "j": 2}})
    assert rows[:3] == [" {", '-  "a": 1,', '+  "a": 2,'] and rows[-3:] == ['-  "j": 1', '+  "j": 2', " }"]
    assert rows.count(reports.GAP) == 1 and len(rows) == 11
    assert reports.difference({"before": before, "after": before}) == []


@pytest.mark.parametrize("make", [reports.as_html, reports.as_markdown])
@pytest.mark.parametrize(
    ("check", "drift", "told"),
    [
        (True, True, "- is how it is, + how it is declared."),
        (True, False, "- is how it is, + how it will be."),
        (False, False, "- is how it was, + how it is."),
    ],
)
def test_how_to_read_a_difference_is_said(make: Any, check: bool, drift: bool, told: str) -> None:
    assert told in make(outcome(change("created", after={"size": 1}), check=check), drift)
    assert "In what follows" not in make(outcome(check=check), drift)
