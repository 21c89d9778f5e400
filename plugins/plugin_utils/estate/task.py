# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an estate meets Ansible: the manifest's templates, paths, secrets, progress and result."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import share
from ansible_collections.polystore.storage.plugins.plugin_utils.estate import reports
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.chain import How
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.document import Document
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.export import Export
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.finding import FINDERS
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.kinds import SYSTEMS
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.manifest import Manifest, Mistakes, Reader
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.record import Record
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.work import Wish, Work, line
from ansible_collections.polystore.storage.plugins.plugin_utils.fastpath import plain, refusal
from ansible_collections.polystore.storage.plugins.plugin_utils.masking import masked

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19 every text may be a template

    def trust_as_template(value: str) -> str:
        return value


LISTED = 50  # changes that a plan lists on the terminal
SPEC: dict[str, dict[str, Any]] = {
    "manifest": {"type": "raw", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "plan_file": {"type": "path"},
    "record": {"type": "path"},
    "prune": {"type": "bool", "default": False},
    "max_delete": {"type": "raw"},
    "allow_empty": {"type": "bool", "default": False},
    "report": {"type": "path"},
    "drift": {"type": "bool", "default": False},
    "systems": {"type": "list", "elements": "str", "choices": list(SYSTEMS)},
    "parallel": {"type": "int", "default": 8},
}
EXPORT_SPEC: dict[str, dict[str, Any]] = {
    "dest": {"type": "path", "required": True},
    "estate": {"type": "str", "default": "exported"},
    "connections": {"type": "dict"},
    "systems": {"type": "list", "elements": "str", "choices": list(SYSTEMS)},
    "contents": {"type": "str", "choices": ["none", "digests", "files"], "default": "files"},
    **{finder.option: {"type": "list", "elements": "str"} for finder in FINDERS.values()},
    "parallel": {"type": "int", "default": 8},
}


class Estates(ActionBase):  # type: ignore[misc]
    """Base of the estate's action plugins: they run in the controller."""

    spec: dict[str, dict[str, Any]] = {}
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.variables: Mapping[str, Any] = task_vars or {}
        self.secrets: set[str] = set()
        self.display = Display()
        args = plain(self._task.args)
        validation = ArgumentSpecValidator(self.spec).validate(args)
        if validation.error_messages:
            return {**result, "failed": True, "msg": refusal(validation, self._task.action)}
        try:
            found = self.work(validation.validated_parameters)
        except Mistakes as error:
            found = {"failed": True, "changed": False, "msg": error.told(), "mistakes": error.found}
        except StorageError as error:
            told = {"code": error.code, "operation": error.operation, "hint": error.hint}
            found = {"failed": True, "changed": False, "msg": error.told(), **told}
        except Exception as error:  # a fault of ours: said in one sentence, with the trace where -vvv shows it
            text = "%s: %s" % (type(error).__name__, error)
            found = {"failed": True, "changed": False, "exception": traceback.format_exc()}
            found["msg"] = "This is a fault in polystore.storage, please report it: %s" % text
        result.update(self.masked(found))
        return result

    def work(self, params: dict[str, Any]) -> dict[str, Any]:
        """The task's result. Raises StorageError."""
        raise StorageError("nothing to do")

    def masked(self, value: Any) -> Any:
        """A value without any secret of the connections."""
        return masked(value, self.secrets)

    def tell(self, text: str) -> None:
        """A line of progress."""
        self.display.display(str(self.masked(text)), stderr=True)

    def path(self, value: str) -> str:
        """A path on the controller; a relative one is relative to the playbook."""
        return str(self._loader.path_dwim(os.path.expanduser(value)))

    def _render(self, text: str, known: Mapping[str, Any]) -> Any:
        variables = {**self.variables, **known}
        trusted = {name: _trusted(value) for name, value in known.items()}
        try:
            with self._templar.set_temporary_context(available_variables={**variables, **trusted}):
                return plain(self._templar.template(trust_as_template(text)))
        except AnsibleError as error:
            told = str(getattr(error, "message", error)).strip().split("\n", 1)[0]
            raise StorageError(told or "its template cannot be filled in") from None

    def document(self, given: Any) -> Document:
        """The manifest's document. Raises StorageError."""
        if isinstance(given, Mapping):
            return Document(dict(given), "The manifest", self._loader.get_basedir())
        path = self.path(str(given))
        try:
            real = self._loader.get_real_file(path)
            try:
                with open(real, encoding="utf-8") as stream:
                    text = stream.read()
            finally:
                self._loader.cleanup_tmp_file(real)
        except (OSError, UnicodeDecodeError, AnsibleError) as error:
            told = getattr(error, "strerror", None) or str(error).split("\n", 1)[0]
            raise StorageError("The manifest %s cannot be read: %s" % (path, told), fatal=True) from None
        return Document.parse(text, path, os.path.dirname(path), self._decrypted)

    def _decrypted(self, text: str) -> str:
        vault = self._loader._vault
        return str(vault.decrypt(text).decode("utf-8"))

    def manifest(self, document: Document, systems: Any) -> Manifest:
        """The manifest in a document. Raises StorageError."""
        reader = Reader(document, os.environ, self._render, systems)
        try:
            return reader.read()
        finally:
            self.secrets |= reader.secrets


class ExportAction(Estates):
    """What the module estate_export does."""

    spec = EXPORT_SPEC

    def work(self, params: dict[str, Any]) -> dict[str, Any]:
        how = How(params["parallel"], os.environ, self.tell, bool(self._task.check_mode))
        dest = self.path(params["dest"])
        if not dest.endswith((".json", ".yml", ".yaml")):
            raise OptionError("dest", "%s ends with none of .yml, .yaml, .json" % dest)
        if not os.path.isdir(os.path.dirname(dest)):
            raise OptionError("dest", "there is no directory %s" % os.path.dirname(dest))
        given = params["connections"] or {}
        systems = params["systems"] or [name for name in given if name in SYSTEMS] or list(SYSTEMS)
        document = Document(
            {"estate": params["estate"], "connections": given}, "connections", self._loader.get_basedir()
        )
        manifest = self.manifest(document, systems)
        export = Export(dest, params["contents"], how)
        for system in systems:
            export.add(system, manifest.connections[system][1], params[FINDERS[system].option])
        export.write(manifest.name)
        counts = {"%s.%s" % (s, name): len(rows) for s, lists in export.data.items() for name, rows in lists.items()}
        found: dict[str, Any] = {"changed": export.changed, "dest": dest, "counts": counts}
        return {**found, "warnings": export.warnings} if export.warnings else found


class EstateAction(Estates):
    """What the module estate does."""

    spec = SPEC

    def work(self, params: dict[str, Any]) -> dict[str, Any]:
        wish = self._wish(params)
        if params["report"]:
            reports.ending(params["report"])
        how = How(params["parallel"], os.environ, self.tell)
        manifest = self.manifest(self.document(params["manifest"]), params["systems"])
        record = Record(self._record(params, manifest), manifest.name)
        work = Work(manifest, record, wish, how)
        work.run()
        outcome = self.masked(work.outcome())
        told = line(outcome)
        self._list(outcome, told)
        if params["report"]:
            reports.write(self.path(params["report"]), outcome, params["drift"])
        found: dict[str, Any] = {
            "changed": any(outcome["summary"][n] for n in ("created", "updated", "deleted")),
            "msg": told,
            "summary": outcome["summary"],
            "systems": outcome["systems"],
            "changes": [{n: c[n] for n in ("system", "kind", "item", "action")} for c in outcome["changes"]],
            "owned": outcome["owned"],
            "record": record.path,
        }
        if self._task.diff:
            found["diff"] = [self._diff(change) for change in outcome["changes"]]
        if outcome["warnings"]:
            found["warnings"] = outcome["warnings"]
        if outcome["failures"]:
            first = next((f for f in outcome["failures"] if f["code"] != "not_begun"), outcome["failures"][0])
            told = "%s. %s %s %s: %s. %s" % (
                *(told, first["system"], first.get("kind", ""), first["item"]),
                *(first["message"].rstrip("."), first["hint"] or "Run again when that is mended"),
            )
            found.update(failed=True, failures=outcome["failures"], msg=told)
        return found

    def _wish(self, params: Mapping[str, Any]) -> Wish:
        check = bool(self._task.check_mode)
        limit = params["max_delete"]
        try:
            most = None if limit is None else share(limit)
        except ValueError as error:
            raise OptionError("max_delete", str(error)) from None
        if params["drift"] and not check:
            raise OptionError("drift", "is told in check mode alone", "Set check_mode: true on the task")
        return Wish(
            destroy=params["state"] == "absent",
            check=check,
            prune=params["prune"],
            max_delete=most,
            allow_empty=params["allow_empty"],
            plan_file=self.path(params["plan_file"]) if params["plan_file"] else None,
            systems=params["systems"],
        )

    def _record(self, params: Mapping[str, Any], manifest: Manifest) -> str:
        if params["record"]:
            return self.path(params["record"])
        if isinstance(params["manifest"], Mapping):
            return self.path("%s.record.json" % manifest.name)
        return os.path.splitext(self.path(str(params["manifest"])))[0] + ".record.json"

    def _list(self, outcome: Mapping[str, Any], told: str) -> None:
        if outcome["check"]:
            for name, system in outcome["systems"].items():
                counts = ["%d %s" % (system[n], n) for n in ("created", "updated", "deleted", "unchanged")]
                self.tell("%s: %s" % (name, ", ".join(counts)))
            for change in outcome["changes"][:LISTED]:
                sign = reports.SIGNS[change["action"]]
                self.tell("  %s %s.%s %s" % (sign, change["system"], change["kind"], change["item"]))
            if len(outcome["changes"]) > LISTED:
                self.tell("  ... and %d more" % (len(outcome["changes"]) - LISTED))
        self.tell(told)

    @staticmethod
    def _diff(change: Mapping[str, Any]) -> dict[str, Any]:
        header = "%s.%s %s" % (change["system"], change["kind"], change["item"])
        sides = {"before": change["before"] or {}, "after": change["after"] or {}}
        return {**sides, "before_header": header, "after_header": header}


def _trusted(value: Any) -> Any:
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, Mapping):
        return {name: _trusted(part) for name, part in value.items()}
    return [_trusted(part) for part in value] if isinstance(value, list) else value
