# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine meets Ansible: argument specs, batches, clients kept for reuse, and the module's main."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Engine, Run, failure_entry
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import (
    MissingLibrary,
    OptionError,
    StorageError,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Item,
    argument_spec,
    build,
    opts,
)

COMMON: dict[str, dict[str, Any]] = {
    "batch": {"type": "list", "elements": "dict"},
    "batch_src": {"type": "path"},
    "parallel": {"type": "int", "default": 8},
    "result_detail": {"type": "str", "choices": ["changed", "all", "none"]},
    "shard": {
        "type": "dict",
        "options": {"index": {"type": "int", "required": True}, "count": {"type": "int", "required": True}},
    },
}


FAST_PATH = {"fast_path": {"type": "bool", "default": True}}


class Query:
    """A module that only asks. Subclasses name their connection and Options and implement fetch()."""

    connection: Any = None
    Options: type[Any] = Item

    @classmethod
    def validate(cls, options: Any) -> None:
        """Options that contradict each other; before any connection. Raises OptionError."""

    @classmethod
    def fetch(cls, client: Any, options: Any) -> dict[str, Any]:
        """The module's return values."""
        raise StorageError("nothing to ask")


def argument_spec_of(subject: Any) -> dict[str, Any]:
    """The whole argument_spec of a Resource or Query class."""
    if issubclass(subject, Query):
        spec = argument_spec(subject.Options)
        spec.pop("state", None)
        return {**subject.connection.spec, **FAST_PATH, **spec}
    return {**subject.connection.spec, **FAST_PATH, **COMMON, **argument_spec(subject.Item)}


def _loaded(path: str) -> Any:
    """The list in a .json, .jsonl or YAML file. Raises OptionError."""
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        if path.endswith(".jsonl"):
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        if path.endswith(".json"):
            return json.loads(text)
    except (OSError, ValueError) as error:
        raise OptionError("batch_src", "%s cannot be read: %s" % (path, error)) from None
    if not path.endswith((".yml", ".yaml")):
        raise OptionError("batch_src", "%s has no known ending" % path, "Known are .json, .jsonl, .yml and .yaml")
    try:
        import yaml
    except ImportError:
        raise MissingLibrary("PyYAML", "to read a batch_src in YAML") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise OptionError("batch_src", "%s is not valid YAML: %s" % (path, " ".join(str(error).split()))) from None


def _raw_items(subject: Any, params: Mapping[str, Any], given: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, options) of every item: the task's own options, with those of each batch row laid over them."""
    known = opts(subject.Item)
    base = {n: params[n] for n in known if n in params and (params[n] is not None or n in given)}
    batch, name = params.get("batch"), "batch"
    if params.get("batch_src") is not None:
        if batch is not None:
            raise OptionError("batch_src", "cannot be given together with batch", "Give one of them")
        batch, name = _loaded(params["batch_src"]), "batch_src"
    if batch is None:
        yield "", base
        return
    if not isinstance(batch, list):
        raise OptionError(name, "is no list", "Write a list of dictionaries")
    for number, row in enumerate(batch):
        if not isinstance(row, Mapping):
            raise OptionError("%s[%d]" % (name, number), "is no dictionary", "Every item is a dictionary of options")
        yield "%s[%d]." % (name, number), {**base, **row}


def build_items(subject: Any, params: Mapping[str, Any], given: Collection[str]) -> list[Any]:
    """The items of a task, parsed and validated. Raises OptionError, which names the item and the option."""
    items = []
    for where, raw in _raw_items(subject, params, given):
        item = build(subject.Item, raw, where)
        try:
            subject.validate(item)
        except OptionError as error:
            raise OptionError(where + error.option, error.message.split(": ", 1)[1], error.hint) from None
        items.append(item)
    return items


_CLIENTS: dict[tuple[Any, ...], Any] = {}


def client_for(connection: Any, params: Mapping[str, Any], parallel: int, environ: Mapping[str, str]) -> Any:
    """A client for these connection options; the same one again within a process, never one made before a fork."""
    resolved = connection.resolve({n: params.get(n) for n in connection.spec}, environ)
    place = (os.getpid(), connection, resolved.identity(), parallel)
    if place not in _CLIENTS:
        _CLIENTS[place] = connection.connect(resolved, parallel)
    return _CLIENTS[place]


def _bounds(params: Mapping[str, Any]) -> tuple[int, tuple[int, int] | None]:
    parallel = 8 if params.get("parallel") is None else params["parallel"]
    if not 1 <= parallel <= 64:
        raise OptionError("parallel", "%d is out of bounds" % parallel, "Give 1 to 64")
    shard = params.get("shard")
    if shard is None:
        return parallel, None
    if shard["count"] < 1 or not 0 <= shard["index"] < shard["count"]:
        raise OptionError("shard", "index %(index)d of count %(count)d is no share" % shard, "index is 0 to count - 1")
    return parallel, (shard["index"], shard["count"])


def execute(
    subject: Any,
    params: Mapping[str, Any],
    given: Collection[str],
    check: bool = False,
    diff: bool = False,
    tell: Callable[[str], Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a Resource or Query class with validated options; returns the module's result, errors included.

    given: the names that the task really has (None is a value there); tell: where progress lines go.
    environ: the environment variables, default the process's own.
    """
    environ = os.environ if environ is None else environ
    run = Run(check=check, diff=diff, tell=tell)
    try:
        if issubclass(subject, Query):
            options = build(subject.Options, {n: params[n] for n in opts(subject.Options) if params.get(n) is not None})
            subject.validate(options)
            client = client_for(subject.connection, params, run.parallel, environ)
            return {"changed": False, **subject.fetch(client, options)}
        parallel, shard = _bounds(params)
        run = Run(check, diff, parallel, params.get("result_detail"), shard, tell)
        items = build_items(subject, params, given)
        client = client_for(subject.connection, params, parallel, environ)
        result = Engine(subject(client, run), run).execute(items)
    except StorageError as error:
        result = {
            "failed": True,
            "changed": False,
            "msg": error.told(),
            "failures": [failure_entry(error.item, error.operation, error)],
        }
    except Exception as error:  # a fault of ours: one sentence, and the trace with -vvv
        told = "%s: %s" % (type(error).__name__, error)
        result = {"failed": True, "changed": False, "exception": traceback.format_exc()}
        result["msg"] = "This is a fault in polystore.storage, please report it: %s" % told
    if run.warnings:
        result["warnings"] = run.warnings
    return result


def secrets_in(subject: Any, batch: Any) -> set[str]:
    """The secret values in the rows of a batch, which Ansible's own masking does not know."""
    names = [] if issubclass(subject, Query) else [n for n, o in opts(subject.Item).items() if o.secret]
    found: set[str] = set()
    for row in batch if isinstance(batch, list) else ():
        for value in (row.get(n) for n in names) if isinstance(row, Mapping) else ():
            parts = list(value.values()) if isinstance(value, Mapping) else value
            found.update(str(v) for v in (parts if isinstance(parts, (list, tuple)) else [parts]) if v)
    return found


class _Module(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule that knows which options the task has: an explicit null is not nothing."""

    given: frozenset[str] = frozenset()
    subject: Any = None

    def _load_params(self) -> None:
        super()._load_params()
        self.given = frozenset(self.params)
        self.no_log_values.update(secrets_in(self.subject, self.params.get("batch")))


def run_module(subject: Any) -> None:
    """The main of every module."""
    _Module.subject = subject
    module = _Module(argument_spec=argument_spec_of(subject), supports_check_mode=True)
    result = execute(subject, module.params, module.given, module.check_mode, module._diff)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)
