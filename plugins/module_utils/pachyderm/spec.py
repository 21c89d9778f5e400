# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipeline specs: loaded, checked by the schema, brought to one form in which equal specs are equal, and sent."""

from __future__ import annotations

import datetime
import difflib
import json
import math
import posixpath
import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import MissingLibrary
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import schema

REQUEST = "pps_v2.CreatePipelineRequest"
LISTS = ("cross", "join", "group", "union")
DROPPED = ("update", "reprocess", "dry_run", "spec_commit")  # verbs, and what is the server's
# An empty message of these says something; others, when empty, say nothing.
MARKS = {"object_storage", "sql_database", "service", "spout", "cron", "pfs", "propagation_spec"}
# What a server before this version drops silently or refuses.
SINCE = {
    "pps_v2.Egress.object_storage": (2, 2),
    "pps_v2.Egress.sql_database": (2, 2),
    "pps_v2.Transform.memory_volume": (2, 4),
    "pps_v2.Transform.datum_batching": (2, 5),
    REQUEST + ".tolerations": (2, 5),
    REQUEST + ".sidecar_resource_requests": (2, 6),
    REQUEST + ".determined": (2, 7),
    "pfs_v2.Trigger.rate_limit_spec": (2, 7),
    REQUEST + ".maximum_expected_uptime": (2, 9),
    "pps_v2.PFSInput.reference": (2, 12),
    "pps_v2.PFSInput.propagation_spec": (2, 12),
}
RANGES = {3: (-(1 << 63), (1 << 63) - 1), 4: (0, (1 << 64) - 1), 5: (-(1 << 31), (1 << 31) - 1), 13: (0, (1 << 32) - 1)}
Doc = dict[str, Any]


class Field(NamedTuple):
    """One field as documents see it. kind: protobuf's number of its type, 1 to 18."""

    name: str
    full: str
    kind: int
    repeated: bool
    map_of: Any
    message: Any
    enum: Any


def _class(name: str) -> Any:
    """The class of a message. Raises MissingLibrary."""
    if schema.POOL is None:
        raise MissingLibrary("protobuf", "for Pachyderm")
    return schema.message(name)


_FIELDS: dict[str, dict[str, Field]] = {}


def _fields(descriptor: Any) -> dict[str, Field]:
    """The fields of a message by both of their spellings."""
    if descriptor.full_name not in _FIELDS:
        found = {}
        for each in descriptor.fields:
            inner = each.message_type
            entry = inner if inner is not None and inner.GetOptions().map_entry else None
            repeated = each.is_repeated if hasattr(each, "is_repeated") else each.label == 3
            full = "%s.%s" % (descriptor.full_name, each.name)
            value = entry.fields_by_name["value"] if entry else None
            field = Field(each.name, full, each.type, repeated and not entry, value, inner, each.enum_type)
            found[each.name] = found[each.json_name] = field
        _FIELDS[descriptor.full_name] = found
    return _FIELDS[descriptor.full_name]


# --- values


def _wrong(path: str, told: str) -> ValueError:
    return ValueError("%s: %s" % (path or "the spec", told))


def _brief(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)[:60]


def _kind(value: Any) -> str:
    """What a value is, without showing it: commands and environments hold secrets."""
    kinds = ((bool, "true or false"), ((int, float), "a number"), (str, "a text"), ((list, tuple), "a list"))
    return next((told for kind, told in kinds if isinstance(value, kind)), "a dictionary")


def _whole(value: Any, kind: int, path: str) -> int:
    least, most = RANGES[kind]
    if isinstance(value, str) and re.match(r"^-?\d+\Z", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(path, "%s is no whole number" % _brief(value))
    if not least <= value <= most:
        raise _wrong(path, "%d is not between %d and %d" % (value, least, most))
    return value


def _number(value: Any, kind: int, path: str) -> float | int:
    """A number with the precision of its type, in its shortest form."""
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        if kind == 2:
            raw = struct.pack("<f", number)
            number = next(n for n in (float("%.*g" % (d, number)) for d in range(6, 10)) if struct.pack("<f", n) == raw)
    except (OverflowError, ValueError):
        raise _wrong(path, "%s is no number" % _brief(value)) from None
    return int(number) if number.is_integer() else number


def _fraction(text: str) -> str:
    text = text.rstrip("0")
    return "." + text if text else ""


def _duration(value: Any, path: str) -> str:
    match = re.match(r"^([+-]?)(\d+)(?:\.(\d{0,9}))?s\Z", value) if isinstance(value, str) else None
    if not match or int(match[2]) > 315576000000:
        right = '"%ds"' % value if isinstance(value, int) and not isinstance(value, bool) else '"90s" or "1.5s"'
        raise _wrong(path, "%s is no duration, which Pachyderm takes in seconds: write %s" % (_brief(value), right))
    text = "%d%ss" % (int(match[2]), _fraction(match[3] or ""))
    return "-" + text if match[1] == "-" and text != "0s" else text


def _time(value: Any, path: str) -> str:
    """A point in time in UTC."""
    text = value.isoformat() if isinstance(value, datetime.date) else str(value)
    match = re.match(r"^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)\Z", text)
    try:
        if match:
            zone = "+00:00" if match[4] in "Zz" else match[4]
            at = datetime.datetime.strptime("%sT%s%s" % (match[1], match[2], zone), "%Y-%m-%dT%H:%M:%S%z")
            at = at.astimezone(datetime.timezone.utc)
            return "%04d%s%sZ" % (at.year, at.strftime("-%m-%dT%H:%M:%S"), _fraction(match[3] or ""))
    except (OverflowError, ValueError):
        pass
    raise _wrong(path, "%s is no point in time such as 2026-01-31T12:00:00Z" % _brief(value))


def _enum(value: Any, enum: Any, path: str) -> str | int:
    if isinstance(value, str) and value in enum.values_by_name:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        known = enum.values_by_number.get(value)
        if known is not None:
            return str(known.name)
    raise _wrong(path, "%s is none of %s" % (_brief(value), ", ".join(v.name for v in enum.values)))


SPECIAL: dict[str, Any] = {
    "google.protobuf.Duration": _duration,
    "google.protobuf.Timestamp": _time,
    "google.protobuf.Int64Value": lambda value, path: _whole(value, 3, path),
}


def _scalar(value: Any, field: Field, path: str) -> Any:
    kind = field.kind
    if kind in RANGES:
        return _whole(value, kind, path)
    if kind in (1, 2):
        return _number(value, kind, path)
    if kind == 14:
        return _enum(value, field.enum, path)
    if kind == 8:
        if not isinstance(value, bool):
            raise _wrong(path, "%s is neither true nor false" % _brief(value))
        return value
    if not isinstance(value, str):
        raise _wrong(path, "%s is no text, which stands in quotes" % _kind(value))
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _wrong(path, "it is not valid UTF-8") from None
    return str(value)


# --- documents


def _unknown(name: str, known: Mapping[str, Field], path: str) -> ValueError:
    near = difflib.get_close_matches(name, list(known), 1)
    names = ", ".join(sorted({field.name for field in known.values()}))
    told = "did you mean %s?" % known[near[0]].name if near else "known are " + names
    return _wrong("%s.%s" % (path, name) if path else name, "unknown field, %s" % told)


class _Reader:
    """Goes through a document by the schema, and raises ValueError, with the path, for what does not fit it.

    seen: gets (full name of the field, path) of all that says something; raw: keys and values stay as written;
    lenient: what this schema does not know stays as it is, for what comes from a server.
    """

    def __init__(self, seen: Any = None, raw: bool = False, lenient: bool = False) -> None:
        self.seen, self.raw, self.lenient = seen, raw, lenient

    def message(self, value: Any, descriptor: Any, path: str) -> Doc:
        if not isinstance(value, Mapping):
            raise _wrong(path, "%s is no dictionary" % _kind(value))
        known, found = _fields(descriptor), {}
        names: dict[str, str] = {}
        for name, content in value.items():
            where = "%s.%s" % (path, name) if path else str(name)
            if name not in known:
                if not self.lenient:
                    raise _unknown(str(name), known, path)
                found[str(name)] = content
                continue
            field = known[name]
            if field.name in names:
                raise _wrong(where, "it is given twice, as %s and as %s" % (names[field.name], name))
            names[field.name] = name
            if content is None and (field.repeated or field.map_of):
                continue  # the server refuses it, and it says nothing
            if self.seen is not None and content not in (None, False, "", [], {}):
                self.seen.append((field.full, where))
            found[str(name) if self.raw else field.name] = self._content(content, field, where)
        return found

    def _content(self, value: Any, field: Field, path: str) -> Any:
        if value is None:
            return None
        if field.repeated:
            if not isinstance(value, (list, tuple)):
                raise _wrong(path, "%s is no list" % _kind(value))
            return [self._one(part, field, "%s[%d]" % (path, number)) for number, part in enumerate(value)]
        if field.map_of is not None:
            if not isinstance(value, Mapping):
                raise _wrong(path, "%s is no dictionary" % _kind(value))
            part = field.map_of
            inner = Field(part.name, part.full_name, part.type, False, None, part.message_type, part.enum_type)
            if not all(isinstance(key, str) for key in value):
                raise _wrong(path, "all of its names have to be text: write them in quotes")
            return {str(key): self._one(part, inner, "%s.%s" % (path, key)) for key, part in value.items()}
        return self._one(value, field, path)

    def _one(self, value: Any, field: Field, path: str) -> Any:
        """A value that is no list and no map."""
        full = field.message.full_name if field.message is not None else ""
        if field.message is not None and full not in SPECIAL:
            return self.message(value, field.message, path)
        try:
            found = SPECIAL[full](value, path) if full else _scalar(value, field, path)
        except ValueError:
            if not self.lenient:
                raise
            return value
        return value if self.raw and not isinstance(value, datetime.date) else found


def _descriptor(name: str) -> Any:
    return _class(name).DESCRIPTOR


def typed(doc: Any, name: str = REQUEST, path: str = "", **how: Any) -> Doc:
    """A document with one spelling of its keys and values, explicit nulls and zeros kept. how: as _Reader takes it.

    Raises ValueError.
    """
    if isinstance(doc, Mapping):
        doc = {key: value for key, value in doc.items() if key != "$schema"}
    return _Reader(**how).message(doc, _descriptor(name), path)


def sendable(doc: Mapping[str, Any], name: str, project: str) -> Doc:
    """The document as it is sent: as it was written, without verbs; the pipeline's name and project always in it."""
    found = typed(doc, raw=True)
    known = _fields(_descriptor(REQUEST))
    found = {key: value for key, value in found.items() if known[key].name not in DROPPED}
    found["pipeline"] = {"name": name, "project": {"name": project}}
    return found


def newer(doc: Any, version: tuple[int, ...]) -> list[tuple[str, str]]:
    """(path, "2.5") of what this version of the server does not know."""
    seen: list[tuple[str, str]] = []
    typed(doc, seen=seen)
    rows = [(path, SINCE[full]) for full, path in seen if full in SINCE and version[:2] < SINCE[full]]
    return [(path, "%d.%d" % since) for path, since in rows]


def canon(doc: Any, project: str, keep_presence: bool, served: bool = False, lenient: bool = False) -> Doc:
    """The one form of a spec: equal specs have equal forms. Raises ValueError, which names the path.

    project: the pipeline's; keep_presence: explicit zeros and nulls count, as in what users write, where they
    override defaults; served: the inputs are in the server's order, with all names filled in; lenient: see _Reader.
    """
    found = typed(doc, lenient=lenient)
    for name in (*DROPPED, "salt"):
        found.pop(name, None)
    pipeline = dict(found.get("pipeline") or {})
    pipeline["project"] = {"name": (pipeline.get("project") or {}).get("name") or project}
    found["pipeline"] = pipeline
    if found.get("input"):
        found["input"] = _input(found["input"], pipeline, served, keep_presence)
    return found if keep_presence else _bare(found, _descriptor(REQUEST))


def _first(value: Any) -> str:
    """The name by which the server sorts an input among others: the one that was written."""
    for kind in LISTS:
        if value.get(kind):
            return _first(value[kind][0])
    return str((value.get("pfs") or value.get("cron") or {}).get("name") or "")


def _input(value: Doc, pipeline: Doc, served: bool, keep: bool) -> Doc:
    """An input with what the server fills in, and its children in the server's order."""
    found = dict(value)
    for kind in LISTS:
        if found.get(kind):
            children = found[kind] if served else sorted(found[kind], key=_first)
            found[kind] = [_input(child, pipeline, served, keep) for child in children]
    home = pipeline["project"]["name"]
    if found.get("pfs") is not None:
        pfs = dict(found["pfs"])
        for name, filled in (("project", home), ("name", pfs.get("repo")), ("repo_type", "user")):
            pfs[name] = pfs.get(name) or filled or ""
        if pfs.get("glob"):
            glob = "/" + pfs["glob"].lstrip("/")
            pfs["glob"] = glob if keep else posixpath.normpath(glob)
        made = r"^%s-trigger-\d+\Z" % re.escape(pipeline.get("name") or "")
        if pfs.get("trigger") is None:
            pfs["branch"] = pfs.get("branch") or "master"
        elif not pfs.get("branch") or re.match(made, pfs["branch"]):
            pfs["branch"] = ""  # the server makes one of its own for a trigger
        if pfs.get("trigger") is not None:
            pfs["trigger"] = {**pfs["trigger"], "branch": pfs["trigger"].get("branch") or "master"}
        found["pfs"] = pfs
    if found.get("cron") is not None:
        found["cron"] = {**found["cron"], "project": found["cron"].get("project") or home}
    return found


def _bare(value: Doc, descriptor: Any) -> Doc:
    """A message without what says nothing: zeros, empty texts, lists, maps and messages, nulls."""
    found, known = {}, _fields(descriptor)
    for name, content in value.items():
        field = known.get(name)
        if content is None:
            continue
        if field is not None and field.message is not None and field.map_of is None:
            if field.message.full_name in SPECIAL:
                found[name] = content
                continue
            if field.repeated:
                content = [_bare(part, field.message) for part in content]
            else:
                content = _bare(content, field.message)
                if not content and name in MARKS:
                    found[name] = content
        elif field is not None and field.kind == 14 and content == field.enum.values_by_number[0].name:
            continue
        if content not in (0, "", [], {}):  # False is 0
            found[name] = content
    return found


def sources(doc: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(project, repo) of all repos that a spec in its one form reads."""
    found: set[tuple[str, str]] = set()
    left = [doc.get("input") or {}]
    for value in left:
        left += [child for kind in LISTS for child in value.get(kind) or ()]
        if value.get("pfs"):
            found.add((value["pfs"]["project"], value["pfs"].get("repo") or ""))
    return found


# --- servers before 2.8, which keep no document


def request(doc: Mapping[str, Any], version: tuple[int, ...], **fields: Any) -> Any:
    """The document as a CreatePipelineRequest message."""
    from google.protobuf import json_format

    message = json_format.ParseDict(dict(doc), _class(REQUEST)(**fields))
    if version < (2, 7):
        _triggers(message.input, "cron_spec", "rate_limit_spec")
    return message


def of_details(info: Any, version: tuple[int, ...], project: str) -> Doc:
    """The spec that a PipelineInfo with details tells, in its one form without zeros."""
    from google.protobuf import json_format

    details = type(info.details)()
    details.CopyFrom(info.details)
    if version < (2, 7):
        _triggers(details.input, "rate_limit_spec", "cron_spec")
    told = json_format.MessageToDict(details, preserving_proto_field_name=True)
    known = _fields(_descriptor(REQUEST))
    doc = {name: value for name, value in told.items() if name in known}
    doc["pipeline"] = {"name": info.pipeline.name}
    return defaulted(canon(doc, project, False, served=True))


def _triggers(value: Any, source: str, target: str) -> None:
    """Before 2.7 field 3 of a trigger is its cron_spec, which is field 6 since."""
    if value.HasField("pfs") and value.pfs.HasField("trigger"):
        trigger = value.pfs.trigger
        setattr(trigger, target, getattr(trigger, source))
        setattr(trigger, source, "")
    for kind in LISTS:
        for child in getattr(value, kind):
            _triggers(child, source, target)


def defaulted(doc: Doc) -> Doc:
    """A spec in its one form without zeros, with the defaults that every server has built in."""
    found = {"output_branch": "master", "datum_tries": 3, "reprocess_spec": "until_success", "transform": {}, **doc}
    found["transform"] = {"image": "ubuntu:20.04", **found["transform"]}
    if "service" in found:
        found["service"] = {"type": "NodePort", **found["service"]}
    if (found.get("spout") or {}).get("service") is not None:
        found["spout"] = {**found["spout"], "service": {"type": "NodePort", **found["spout"]["service"]}}
    return found


def aligned(have: Any, want: Any) -> Any:
    """have without what the server has made up where want says nothing: a cron's start and repo, a service's IP."""
    if isinstance(have, list) and isinstance(want, list) and len(have) == len(want):
        return [aligned(one, other) for one, other in zip(have, want)]
    if not isinstance(have, dict) or not isinstance(want, dict):
        return have
    found = {name: aligned(value, want.get(name)) for name, value in have.items()}
    for holder, names in (("cron", ("start", "repo")), ("service", ("ip",))):
        if isinstance(found.get(holder), dict) and isinstance(want.get(holder), dict):
            made = [name for name in names if name not in want[holder]]
            found[holder] = {name: value for name, value in found[holder].items() if name not in made}
    return found


# --- texts


def _yaml(text: str) -> list[Any]:
    try:
        import yaml
    except ImportError:
        raise MissingLibrary("PyYAML", "to read a spec in YAML") from None

    class Loader(yaml.SafeLoader):
        """No aliases, as pachctl has it, and points in time stay text."""

        yaml_implicit_resolvers = {
            first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
            for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("aliases cannot be used in a spec")
            return super().compose_node(parent, index)

    try:
        return list(yaml.load_all(text, Loader=Loader))  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = " (line %d)" % (mark.line + 1) if mark else ""
        raise ValueError("it is not valid YAML%s: %s" % (where, getattr(error, "problem", None) or "")) from None


def load(text: str, name: str = "") -> Doc:
    """The spec in a text of JSON or YAML; of several in it the one of the pipeline called name. Raises ValueError."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            loaded = [json.loads(text)]
        except json.JSONDecodeError as error:
            raise ValueError("it is not valid JSON (line %d): %s" % (error.lineno, error.msg)) from None
    else:
        loaded = _yaml(text)
    found = [doc for part in loaded for doc in (part if isinstance(part, list) else [part]) if doc is not None]
    if any(not isinstance(doc, Mapping) for doc in found) or not found:
        raise ValueError("it holds no spec, which is a dictionary")
    if len(found) == 1:
        return dict(found[0])
    parts = [doc.get("pipeline") for doc in found]
    names = [part.get("name") if isinstance(part, Mapping) else None for part in parts]
    if names.count(name) != 1:
        raise ValueError("it holds %d specs, and not one of them is called %s" % (len(found), name))
    return dict(found[names.index(name)])
