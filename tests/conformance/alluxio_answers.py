# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells stories of raw calls to a proxy, and writes its answers down so that two servers' can be compared."""

from __future__ import annotations

import getpass
import grp
import hashlib
import http.client
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

from ansible_collections.polystore.storage.tests.conformance.alluxio_calls import FIELDS, OPERATIONS, Step, made, op

ANSWERS = Path(__file__).parent / "answers"
TEMPLATE = "FileInfo"  # what most file infos have; each answer holds only where it differs
# Values that no two servers share; "int" stands for them.
MOVING = {"fileId", "creationTimeMs", "lastModificationTimeMs", "lastAccessTimeMs", "mountId"}
COUNTED = {"blockIds", "fileBlockInfos", "fileInfo"}
_numbers = itertools.count(1)


class Teller:
    """One story's place on one server."""

    def __init__(self, server: Any, disk: Path) -> None:
        """server: of tests.support.servers; disk: an empty directory that the server can read."""
        self.name = "conf-%d-%d" % (os.getpid(), next(_numbers))
        self.disk, self.ufs = disk, Path(server.ufs) / self.name
        self._root = str(server.ufs)
        host = server.url.split("//", 1)[1]
        self._connection = http.client.HTTPConnection(host, timeout=60)
        self._kept: dict[str, str] = {}
        self._me = getpass.getuser()
        self._mine = grp.getgrgid(os.getgid()).gr_name

    def tell(self, story: list[Step]) -> list[Any]:
        """The answers to all steps."""
        self._send(op("create-directory", "/~", {"writeType": "CACHE_THROUGH"}))
        return [step.behind(self.disk, self.ufs) if step.behind else self.answer(step) for step in story]

    def fields(self) -> dict[str, list[str]]:
        """For each operation, the fields that it knows: null is sent in each, for a path below a file."""
        self.tell(made("/~/file"))
        found = {}
        for operation in OPERATIONS:
            query = {"rename": "dst=/~/x", "mount": "src=~/x"}.get(operation, "")
            steps = {name: op(operation, "/~/file/x", {name: None}, query) for name in FIELDS}
            found[operation] = sorted(n for n, step in steps.items() if b"Unrecognized" not in self._send(step)[2])
        return found

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def answer(self, step: Step) -> dict[str, Any]:
        """A step's answer: status, type, and what the body says."""
        status, fields, data = self._send(step)
        kind = (fields.get("Content-Type") or "").split(";")[0]
        found: dict[str, Any] = {"status": status, "type": kind}
        if (fields.get("Connection") or "").lower() == "close":
            found["closes"] = True
        if kind == "application/octet-stream":
            text = data.decode("utf-8", "replace")
            found["bytes"] = text if len(text) < 80 else "sha256 " + hashlib.sha256(data).hexdigest()[:16]
        elif data and kind != "text/html":
            found |= self._body(step, data)
        return found

    def _send(self, step: Step) -> tuple[int, http.client.HTTPMessage, bytes]:
        path, mark, source = step.url.partition("src=")
        url = path.replace("~", self.name) + mark + source.replace("~", str(self.disk))
        for name, number in self._kept.items():
            url = url.replace("{%s}" % name, number)
        # A name whose stream was refused is nobody's.
        url = re.sub(r"\{\w+\}", "888888", url)
        self._connection.putrequest(step.method, url, skip_accept_encoding=True)
        for name, value in step.headers.items():
            self._connection.putheader(name, value)
        if step.data is not None or step.method in ("POST", "PUT"):
            self._connection.putheader("Content-Length", str(len(step.data or b"")))
        self._connection.endheaders(step.data)
        answer = self._connection.getresponse()
        data = answer.read()
        if step.keep:
            self._kept.pop(step.keep, None)
            if answer.status == 200 and data.isdigit():
                self._kept[step.keep] = data.decode()
        return answer.status, answer.headers, data

    def _body(self, step: Step, data: bytes) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except ValueError:
            return {"text": self._words(data.decode("utf-8", "replace"))} if step.words else {"text": True}
        if isinstance(value, dict) and "message" in value:
            name = next((value[key] for key in ("statusCode", "status") if key in value), None)
            words = {"message": self._words(value["message"] or "")} if step.words else {}
            return {"keys": sorted(value), "name": name, **words}
        if isinstance(value, dict):
            return {"info": self._info(value)}
        if isinstance(value, list):
            return {"list": sorted((self._info(one) for one in value), key=lambda one: str(one["path"]))}
        return {"value": "id" if step.url.endswith(("/create-file", "/open-file")) else value}

    def _words(self, text: str) -> str:
        lines = [line for line in text.splitlines() if line.strip()]
        if lines and lines[0].startswith("mount command"):
            lines = lines[-1:]
        text = self._places(lines[0] if lines else "").split(" (class ")[0]
        return re.sub(r"\d{3,}", "N", text)

    def _places(self, text: str) -> str:
        return text.replace(str(self.disk), "DISK").replace(self._root, "UFS").replace(self.name, "~")

    def _info(self, info: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in info.items():
            if key in MOVING:
                found[key] = "int" if isinstance(value, int) else value
            elif key in COUNTED:
                found[key] = len(value)
            elif isinstance(value, str):
                found[key] = self._places(value)
            elif key in ("acl", "defaultAcl") and isinstance(value, dict):
                found[key] = sorted(value)
            else:
                found[key] = value
        if info.get("ufsFingerprint"):
            found["ufsFingerprint"] = "set"
        found["owner"] = {self._me: "ME"}.get(info["owner"], info["owner"])
        found["group"] = {self._mine: "MINE"}.get(info["group"], info["group"])
        if "s3_etag" in (info.get("xattr") or {}):
            found["xattr"] = {**info["xattr"], "s3_etag": "set"}
        if info["path"] == "/":  # others live there too
            found.pop("length", None)
        return found


def shrink(value: Any, template: dict[str, Any]) -> Any:
    """The answers with each file info's difference from the template instead of all of it."""
    if isinstance(value, list):
        return [shrink(one, template) for one in value]
    if not isinstance(value, dict):
        return value
    if "ufsPath" in value and "path" in value:
        found = {key: item for key, item in value.items() if key not in template or template[key] != item}
        without = sorted(set(template) - set(value))
        return {**found, **({"without": without} if without else {})}
    return {key: shrink(item, template) for key, item in value.items()}


def load(version: str) -> dict[str, Any]:
    """What a real server of that version answered, by story."""
    path = ANSWERS / ("alluxio-%s.json" % version)
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def save(version: str, answers: dict[str, Any]) -> None:
    """Writes answers down, one on a line."""
    lines = []
    for name, value in sorted(answers.items(), key=lambda item: (item[0] != TEMPLATE, item[0])):
        rows = value if isinstance(value, list) else [value]
        text = ",\n".join("  " + json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows)
        lines.append(" %s: %s" % (json.dumps(name), "[\n%s\n ]" % text if isinstance(value, list) else text.strip()))
    ANSWERS.mkdir(exist_ok=True)
    path = ANSWERS / ("alluxio-%s.json" % version)
    path.write_text("{\n%s\n}\n" % ",\n".join(lines), encoding="utf-8")


def differences(recorded: list[Any], told: list[Any], story: list[Step]) -> list[str]:
    """Some lines for each answer that is not the recorded one."""
    found = []
    for number, (real, here) in enumerate(itertools.zip_longest(recorded, told)):
        if real != here:
            step = story[number] if number < len(story) else Step()
            said = (step.data or b"")[:100].decode("utf-8", "replace")
            found.append("%d. %s %s %s" % (number, step.method, step.url, said))
            found += _apart(real, here, "")
    return found


def _apart(real: Any, here: Any, where: str) -> list[str]:
    if isinstance(real, dict) and isinstance(here, dict):
        names = sorted(name for name in {*real, *here} if real.get(name, ...) != here.get(name, ...))
        return [line for name in names for line in _apart(real.get(name), here.get(name), "%s.%s" % (where, name))]
    if isinstance(real, list) and isinstance(here, list) and len(real) == len(here):
        pairs = [(n, one, other) for n, (one, other) in enumerate(zip(real, here, strict=True)) if one != other]
        return [line for n, one, other in pairs for line in _apart(one, other, "%s[%d]" % (where, n))]
    return ["   %s: real %s, here %s" % (where.lstrip("."), _row(real), _row(here))]


def _row(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
