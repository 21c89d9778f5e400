# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipeline specs that say the same in different words, and some that do not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Doc = dict[str, Any]
Change = Callable[[Doc], Any]


def base(repo: str = "in") -> Doc:
    """A spec that every version of Pachyderm knows."""
    return {
        "description": "edges of the images",
        "transform": {
            "image": "img:1",
            "cmd": ["sh"],
            "stdin": ["true"],
            "env": {"some_key": "1", "otherKey": "2"},
            "accept_return_code": [1, 2],
        },
        "input": {
            "cross": [
                {"pfs": {"name": "a", "repo": repo, "branch": "one", "glob": "/*", "empty_files": True}},
                {"pfs": {"name": "b", "repo": repo, "branch": "one", "glob": "/"}},
                {"cron": {"name": "c", "spec": "@every 8760h", "start": "2020-01-01T00:00:00Z"}},
            ]
        },
        "parallelism_spec": {"constant": 2},
        "datum_timeout": "90s",
        "job_timeout": "5400.5s",
        "resource_requests": {"cpu": 1, "memory": "64M"},
        "scheduling_spec": {"node_selector": {"disk_type": "ssd"}},
    }


def set_to(path: str, value: Any) -> Change:
    """A change that sets what a path such as "input.cross.0.pfs.glob" leads to."""

    def change(doc: Doc) -> None:
        *steps, last = path.split(".")
        at: Any = doc
        for step in steps:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        at[int(last) if isinstance(at, list) else last] = value

    return change


def renamed(value: Any, rename: Callable[[str], str], name: str = "") -> Any:
    """A document with other names of its fields; what stands in maps stays."""
    if isinstance(value, list):
        return [renamed(part, rename) for part in value]
    if not isinstance(value, dict) or name in ("env", "node_selector"):
        return value
    return {rename(key): renamed(part, rename, key) for key, part in value.items()}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def turned(value: Any) -> Any:
    """The same with the keys of all dictionaries in the reverse order."""
    if isinstance(value, list):
        return [turned(part) for part in value]
    return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


def replace(make: Callable[[Doc], Doc]) -> Change:
    def change(doc: Doc) -> None:
        new = make(doc)
        doc.clear()
        doc.update(new)

    return change


def swap(doc: Doc) -> None:
    doc["input"]["cross"].reverse()


def other_branch(doc: Doc) -> None:
    for child in doc["input"]["cross"][:2]:
        child["pfs"]["branch"] = "two"


# Equal as documents of the user.
PLAIN: dict[str, Change] = {
    "the same": lambda doc: None,
    "camel case": replace(lambda doc: dict(renamed(doc, camel))),
    "keys turned round": replace(turned),
    "whole number as text": set_to("parallelism_spec.constant", "2"),
    "whole number with a point": set_to("parallelism_spec.constant", 2.0),
    "whole numbers in a list as text": set_to("transform.accept_return_code", ["1", 2]),
    "number with a point": set_to("resource_requests.cpu", 1.0),
    "number as text": set_to("resource_requests.cpu", "1"),
    "duration with a fraction of nothing": set_to("datum_timeout", "90.000s"),
    "duration with zeros": set_to("job_timeout", "5400.500000000s"),
    "time of another zone": set_to("input.cross.2.cron.start", "2020-01-01T02:30:00+02:30"),
    "time with a fraction of nothing": set_to("input.cross.2.cron.start", "2020-01-01T00:00:00.000Z"),
    "glob without its slash": set_to("input.cross.0.pfs.glob", "*"),
    "children in another order": swap,
    "repo type written out": set_to("input.cross.0.pfs.repo_type", "user"),
    "empty repo type": set_to("input.cross.1.pfs.repo_type", ""),
    "project of the input written out": set_to("input.cross.0.pfs.project", "default"),
    "project of the cron written out": set_to("input.cross.2.cron.project", "default"),
    "project of the pipeline written out": set_to("pipeline.project.name", "default"),
    "no name of the pipeline's project": set_to("pipeline.project", None),
    "update": set_to("update", True),
    "reprocess": set_to("reprocess", True),
    "dry run": set_to("dry_run", True),
    "dry run in camel case": set_to("dryRun", True),
    "schema": set_to("$schema", "https://example.com/schema.json"),
    "salt": set_to("salt", "0123456789abcdef"),
    "null for a list": set_to("transform.err_cmd", None),
}
# Equal because the server would make the same of it.
SERVED: dict[str, Change] = {
    "output branch written out": set_to("output_branch", "master"),
    "tries written out": set_to("datum_tries", 3),
    "tries written out as text": set_to("datumTries", "3"),
    "reprocess spec written out": set_to("reprocess_spec", "until_success"),
    "explicit false": set_to("s3_out", False),
    "explicit false inside": set_to("transform.debug", False),
    "explicit zero": set_to("datum_set_spec", {"number": 0}),
    "explicit empty text": set_to("pod_patch", ""),
    "explicit empty list": set_to("transform.err_stdin", []),
    "explicit empty map": set_to("metadata", {"labels": {}}),
    "null for a map": set_to("metadata", {"labels": None}),
    "null for a text": set_to("pod_spec", None),
    "null for a message": set_to("service", None),
    "false in an input": set_to("input.cross.0.pfs.lazy", False),
}
# Not equal, whatever the server makes of it.
OTHER: dict[str, Change] = {
    "image": set_to("transform.image", "img:2"),
    "command": set_to("transform.cmd", ["sh", "-c"]),
    "a name in a map": set_to("transform.env", {"someKey": "1", "otherKey": "2"}),
    "a value in a map": set_to("transform.env.some_key", "2"),
    "glob": set_to("input.cross.0.pfs.glob", "/"),
    "branch": other_branch,
    "repo type": set_to("input.cross.0.pfs.repo_type", "meta"),
    "number": set_to("parallelism_spec.constant", 3),
    "duration": set_to("datum_timeout", "91s"),
    "fraction": set_to("job_timeout", "5400.25s"),
    "time": set_to("input.cross.2.cron.start", "2020-01-01T00:00:00+01:00"),
    "cpu": set_to("resource_requests.cpu", 1.5),
    "description": set_to("description", "edges"),
    "tries": set_to("datum_tries", 4),
    "true": set_to("s3_out", True),
    "order of a command": set_to("transform.accept_return_code", [2, 1]),
    "empty service": set_to("spout", {}),
    "less": replace(lambda doc: {key: value for key, value in doc.items() if key != "scheduling_spec"}),
}


def spelled(change: Change, repo: str = "in") -> Doc:
    """The base in other words."""
    doc = copy.deepcopy(base(repo))
    change(doc)
    return doc
