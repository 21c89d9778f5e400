# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm secrets: made and removed; their values cannot be read back, and are never shown."""

from __future__ import annotations

import base64
import binascii
import dataclasses as dc
import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    State,
    directive,
    key,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, human
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common, things

OPAQUE = "Opaque"  # what Kubernetes calls a secret of no special type
MOST = 1 << 20  # bytes of values that Kubernetes takes in one secret


def name(value: Any) -> str:
    """The name of a Kubernetes secret. Raises ValueError."""
    text = str(value)
    if len(text) > 253 or not re.match(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z", text):
        raise ValueError('%r is no name of a secret: lower case letters, digits, "-" and ".", at most 253' % (text,))
    return text


def data(value: Mapping[str, Any]) -> dict[str, str]:
    """Values in base64, as Kubernetes has them. Raises ValueError, which holds no value."""
    found: dict[str, str] = {}
    for field, content in value.items():
        if not re.match(r"^[-._a-zA-Z0-9]{1,253}\Z", str(field)) or field in (".", ".."):
            raise ValueError('a key may hold letters, digits, "-", "_" and "."')
        try:
            if isinstance(content, Mapping) and set(content) == {"b64"}:
                raw = base64.b64decode(content["b64"], validate=True)
            elif content is None or isinstance(content, (Mapping, list)):
                raise ValueError
            else:
                text = str(content).lower() if isinstance(content, bool) else str(content)
                raw = text.encode("utf-8")
        except (binascii.Error, TypeError, ValueError):
            raise ValueError("a value is neither text nor {b64: base64}") from None
        found[str(field)] = base64.b64encode(raw).decode()
    if sum(len(text) for text in found.values()) * 3 // 4 > MOST:
        raise ValueError("it is larger than %s" % human(MOST))
    return dict(sorted(found.items()))


@dc.dataclass
class Secret(Item):
    """One secret."""

    name: str = key(parse=name)
    data: Any = directive("dict", parse=data, secret=True)
    type: str = wanted()
    force: bool = directive("bool", default=False)


class Secrets(Resource):
    """The secrets that Pachyderm made in its namespace."""

    Item = Secret
    connection = common.CONNECTION
    noun = "secret"

    @classmethod
    def validate(cls, item: Secret) -> None:
        if item.state == "present" and item.force and item.data is KEEP:
            raise OptionError("data", "is required with force", "Give all values of the secret: it is made anew")

    def read(self, items: list[Secret]) -> dict[Key, State]:
        reply = self.client.call("pps_v2.API/ListSecret", self.client.message("google.protobuf.Empty"))
        found = {(info.secret.name,): {"type": info.type or OPAQUE} for info in reply.secret_info}
        return {item.key: dict(found[item.key]) for item in items if item.key in found}

    def plan(self, item: Secret, present: State | None) -> Change | None:
        if item.state == "absent":
            return None if present is None else Change(item, "deleted", present, None)
        if present is None:
            self._complete(item, "where there is no such secret yet")
            fields = {"type": OPAQUE if item.type is KEEP else item.type}
            return Change(item, "created", None, dict(fields), fields)
        fields = {} if item.type in (KEEP, present["type"]) else {"type": item.type}
        if not fields and not item.force:
            return None
        self._complete(item, "to make it anew with another type")
        # whether its values differ, nobody can tell: force says that they do
        after = {**present, **fields, "values": "made anew"}
        return Change(item, "updated", dict(present), after, fields)

    @staticmethod
    def _complete(item: Secret, why: str) -> None:
        if item.data is KEEP:
            raise OptionError("data", "is required %s" % why, "Give all values of the secret")

    def make(self, group: list[Change]) -> list[Made]:
        for change in group:
            if change.action != "created":
                self._delete(change.item)
            if change.action == "deleted":
                continue
            if change.action == "updated":
                with things.after("it was deleted"):
                    self._create(change)
            else:
                self._create(change)
        return [Made(c, None if c.after is None else {"type": c.after["type"]}) for c in group]

    def _create(self, change: Change) -> None:
        item = change.item
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": (change.after or {})["type"],
            "metadata": {"name": item.name},
            "data": item.data,
        }
        request = self.client.message("pps_v2.CreateSecretRequest", file=json.dumps(manifest).encode("utf-8"))
        try:
            self.client.call("pps_v2.API/CreateSecret", request, operation="create secret")
        except StorageError as error:
            raise self._masked(error, item) from None

    def _delete(self, item: Secret) -> None:
        request = self.client.message("pps_v2.DeleteSecretRequest", secret={"name": item.name})
        try:
            self.client.call("pps_v2.API/DeleteSecret", request, operation="delete secret")
        except StorageError as error:
            if getattr(error, "kind", "") != "missing":  # somebody else was quicker
                raise self._masked(error, item) from None

    @staticmethod
    def _masked(error: StorageError, item: Secret) -> StorageError:
        """The error without the secret's values, and with what to do."""
        if getattr(error, "kind", "") == "exists" or "already exists" in error.server_message:
            error.hint = (
                "A secret of this name is in Pachyderm's namespace and was not made through it: choose another name"
            )
        for text in () if item.data is KEEP else item.data.values():
            plain = base64.b64decode(text).decode("utf-8", "replace")
            for value in (text, plain):
                if len(value) > 2:
                    error.message = error.message.replace(value, "******")
                    error.server_message = error.server_message.replace(value, "******")
        error.args = (error.message,)
        error.hint = error.hint or "Mend what the server says, and run the task again"
        return error
