# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An outcome as one self-contained page of HTML, as Markdown for a merge request, as JSON for a machine."""

from __future__ import annotations

import difflib
import html
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import human
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.record import write_atomic

SIGNS = {"created": "+", "updated": "~", "deleted": "-"}
SHOWN = ("created", "updated", "deleted")
ENDINGS = (".html", ".md", ".json")
GAP = "     ..."
MOST = 2000  # changes with their diffs in one page; the rest is counted

STYLE = """
:root{--bg:#fff;--ink:#1c2430;--soft:#667085;--line:#e3e8ef;--card:#f7f9fc;--created:#137a45;--updated:#9a6200;
--deleted:#c02c2c;--failed:#7b2ac0;--unchanged:#667085}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--ink:#e6ebf2;--soft:#98a2b3;--line:#2a323d;--card:#1a2028;
--created:#4cc38a;--updated:#e2a336;--deleted:#ff7b72;--failed:#c58af9;--unchanged:#98a2b3}}
*{box-sizing:border-box}body{margin:0 auto;max-width:68rem;padding:2rem 1.25rem 4rem;background:var(--bg);
color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}.soft{color:var(--soft)}
.cards{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.4rem 0}
.card{flex:1 1 7rem;background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem .9rem}
.card b{display:block;font-size:1.7rem;line-height:1.2;font-variant-numeric:tabular-nums}
.created{color:var(--created)}.updated{color:var(--updated)}.deleted{color:var(--deleted)}.failed{color:var(--failed)}
.unchanged{color:var(--unchanged)}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}th,td{padding:.4rem .7rem;border-bottom:1px solid var(--line);
text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600}
details,.plain{border:1px solid var(--line);border-radius:.5rem;margin:.35rem 0;overflow:hidden}
summary,.plain{padding:.45rem .8rem;cursor:pointer;overflow-wrap:anywhere}.plain{cursor:default}
summary:hover{background:var(--card)}.sign{display:inline-block;width:1.2rem;font-weight:700;font-family:ui-monospace,
monospace}pre{margin:0;padding:.6rem .8rem;border-top:1px solid var(--line);background:var(--card);overflow-x:auto;
font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre .a{color:var(--created)}pre .d{color:var(--deleted)}.kind{color:var(--soft);font-size:.9em}
.note{border-left:4px solid var(--failed);background:var(--card);padding:.6rem .9rem;margin:.4rem 0;
overflow-wrap:anywhere}
"""


def ending(path: str) -> str:
    """The kind of report that a path asks for. Raises StorageError."""
    found = os.path.splitext(path)[1].lower()
    if found not in ENDINGS:
        raise StorageError("report: %s ends with none of %s" % (path, ", ".join(ENDINGS)), fatal=True)
    return found


def write(path: str, outcome: Mapping[str, Any], drift: bool = False) -> None:
    """Write a report. Raises StorageError."""
    makers = {".html": as_html, ".md": as_markdown, ".json": as_json}
    write_atomic(path, makers[ending(path)](outcome, drift))


def title(outcome: Mapping[str, Any], drift: bool) -> str:
    """What the report is."""
    what = "Drift" if drift else "Plan" if outcome["check"] else "Result"
    if outcome["destroy"]:
        what = "Plan of the removal" if outcome["check"] else "Removal"
    return "%s of the estate %s" % (what, outcome["estate"])


def verdict(outcome: Mapping[str, Any], drift: bool) -> str:
    """The report in one sentence."""
    total = outcome["summary"]
    changes = sum(total[action] for action in SHOWN)
    if total["failed"]:
        return "%d failed, %d done." % (total["failed"], changes)
    if not changes:
        return "Everything is as it is declared." if drift or not outcome["destroy"] else "Nothing of it is there."
    if drift:
        return "%d of %d differ from what is declared." % (changes, changes + total["unchanged"])
    words = "change is" if changes == 1 else "changes are"
    return "%d %s planned." % (changes, words) if outcome["check"] else "%d %s made." % (changes, _were(changes))


def _were(changes: int) -> str:
    return "change was" if changes == 1 else "changes were"


def _heads(drift: bool, check: bool) -> dict[str, str]:
    if drift:
        return {"created": "missing", "updated": "differ", "deleted": "too many", "unchanged": "as declared"}
    words = ("to create", "to change", "to delete") if check else ("created", "changed", "deleted")
    return {**dict(zip(SHOWN, words)), "unchanged": "unchanged"}


def _legend(outcome: Mapping[str, Any], drift: bool) -> str:
    """How to read the differences."""
    if drift:
        return "In what follows, - is how it is, + how it is declared."
    return "In what follows, - is how it %s, + how it %s." % (("is", "will be") if outcome["check"] else ("was", "is"))


def difference(change: Mapping[str, Any]) -> list[str]:
    """The lines of before and after that differ, with those around them; dots stand for what is left out between."""
    before, after = (_lines(change[side]) for side in ("before", "after"))
    found = list(difflib.unified_diff(before, after, n=2, lineterm=""))[3:]
    return [GAP if row.startswith("@@") else row for row in found]


def _lines(state: Any) -> list[str]:
    return json.dumps(state, indent=2, sort_keys=True, ensure_ascii=False).splitlines() if state else []


def _by_system(outcome: Mapping[str, Any]) -> Iterable[tuple[str, list[Mapping[str, Any]]]]:
    for name, system in outcome["systems"].items():
        rows = [c for c in outcome["changes"] if c["name"].startswith(name + ".") and c["system"] == system["system"]]
        yield name, sorted(rows, key=lambda row: (SHOWN.index(row["action"]), row["kind"], row["item"]))


def as_json(outcome: Mapping[str, Any], drift: bool = False) -> str:
    """For a machine: the outcome, with what it says in one sentence."""
    told = {"title": title(outcome, drift), "verdict": verdict(outcome, drift), "drift": drift, **outcome}
    return json.dumps(told, indent=1, ensure_ascii=False, default=str) + "\n"


def as_markdown(outcome: Mapping[str, Any], drift: bool = False) -> str:
    """For a merge request."""
    heads = _heads(drift, outcome["check"])
    out = ["## " + _md(title(outcome, drift)), "", "**%s**" % verdict(outcome, drift), ""]
    names = [*heads, "failed"]
    out.append("| | %s |" % " | ".join([*heads.values(), "failed"]))
    out.append("|---|%s" % ("---:|" * len(names)))
    for name, system in outcome["systems"].items():
        out.append("| %s | %s |" % (_md(name), " | ".join(str(system[n]) for n in names)))
    if outcome["changes"]:
        out += ["", _legend(outcome, drift)]
    left = MOST
    for name, rows in _by_system(outcome):
        if rows:
            out += ["", "### %s" % _md(name)]
        for row in rows[: max(left, 0)]:
            lines = difference(row)
            fence = "~" * max(3, 1 + max((len(part) - len(part.lstrip("~")) for part in lines), default=0))
            sign = SIGNS[row["action"]]
            head = "<code>%s</code> %s %s" % (sign, row["kind"], html.escape(row["item"]).replace("\n", " "))
            block = [fence + "diff", *lines, fence]
            out += ["", "<details><summary>%s</summary>" % head, "", *block, "", "</details>"]
        left -= len(rows)
    if left < 0:
        out += ["", "%d more are not shown here." % -left]
    for word, notes in _notes(outcome):
        out += ["", "### %s" % word, "", *("- %s" % _md(note) for note in notes)]
    return "\n".join(out) + "\n"


def _md(text: str) -> str:
    for char in "\\`*_[]<>|#":
        text = text.replace(char, "\\" + char)
    return text.replace("\n", " ")


def _notes(outcome: Mapping[str, Any]) -> Iterable[tuple[str, list[str]]]:
    failed = [
        "%s %s %s: %s" % (row["system"], row.get("kind", ""), row["item"], _whole(row)) for row in outcome["failures"]
    ]
    for word, notes in (("Failed", failed), ("Warnings", list(outcome["warnings"]))):
        if notes:
            yield word, notes


def _whole(row: Mapping[str, Any]) -> str:
    parts = [row["message"], row["server_message"], row["hint"]]
    return ". ".join(str(part).rstrip(".") for part in dict.fromkeys(parts) if part)


def as_html(outcome: Mapping[str, Any], drift: bool = False) -> str:
    """One page that needs nothing else."""
    heads, total, e = _heads(drift, outcome["check"]), outcome["summary"], html.escape
    classes = [*heads, *(["failed"] if total["failed"] else [])]
    words = {**heads, "failed": "failed"}
    cards = "".join(
        '<div class="card"><b class="%s">%d</b>%s</div>' % (name, total[name], words[name]) for name in classes
    )
    table = "".join(
        "<tr><td>%s</td>%s<td>%s</td></tr>"
        % (e(name), "".join("<td>%d</td>" % system[n] for n in classes), human(system["bytes_sent"]))
        for name, system in outcome["systems"].items()
    )
    body, left = ['<p class="soft">%s</p>' % _legend(outcome, drift)] if outcome["changes"] else [], MOST
    for name, rows in _by_system(outcome):
        if rows:
            body.append("<h2>%s</h2>" % e(name))
        body += [_change(row) for row in rows[: max(left, 0)]]
        left -= len(rows)
    if left < 0:
        body.append('<p class="soft">%d more are not shown here.</p>' % -left)
    for word, notes in _notes(outcome):
        body.append("<h2>%s</h2>" % word)
        body += ['<div class="note">%s</div>' % e(note) for note in notes]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width,initial-scale=1"><title>%s</title><style>%s</style></head><body>\n'
        '<h1>%s</h1>\n<p class="soft">%s &middot; %s &middot; %.1f s</p>\n<div class="cards">%s</div>\n'
        '<div class="wide"><table><thead><tr><th>System</th>%s<th>sent</th></tr></thead>'
        "<tbody>%s</tbody></table></div>\n"
        "%s\n</body></html>\n"
    ) % (
        *(e(title(outcome, drift)), STYLE, e(title(outcome, drift)), e(verdict(outcome, drift))),
        *(e(outcome["began"]), outcome["seconds"], cards),
        *("".join("<th>%s</th>" % words[name] for name in classes), table, "\n".join(body)),
    )


def _change(row: Mapping[str, Any]) -> str:
    e = html.escape
    head = '<span class="sign %s">%s</span><span class="kind">%s</span> %s' % (
        *(row["action"], SIGNS[row["action"]]),
        *(e(row["kind"]), e(row["item"])),
    )
    lines = []
    for text in difference(row):
        mark = {"+": "a", "-": "d"}.get(text[:1])
        lines.append('<span class="%s">%s</span>' % (mark, e(text)) if mark else e(text))
    if not lines:
        return '<div class="plain">%s</div>' % head
    return "<details><summary>%s</summary><pre>%s</pre></details>" % (head, "\n".join(lines))
