# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm's secrets, over what stands for Kubernetes: names and keys are kept, values are not."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from polystore_sandbox.pachyderm.base import Refused, Service

NEVER = -62135596800  # 0001-01-01, which is what a fake Kubernetes gives for the time of creation


def manifest(file: bytes) -> tuple[str, str, list[str]]:
    """Name, type and keys of a Kubernetes Secret in JSON; Refused in the words of Go's decoder."""
    wrong = "failed to unmarshal secret: "
    text = file.decode("utf-8", "replace").strip()
    try:
        document = json.loads(text)
    except ValueError as exc:
        if not text or isinstance(exc, json.JSONDecodeError) and exc.pos >= len(text):
            raise Refused("UNKNOWN", wrong + "unexpected end of JSON input") from exc
        odd = text[exc.pos] if isinstance(exc, json.JSONDecodeError) else text[0]
        raise Refused("UNKNOWN", f"{wrong}invalid character '{odd}' looking for beginning of value") from exc
    if not isinstance(document, dict):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(document), "number")
        raise Refused("UNKNOWN", f"{wrong}json: cannot unmarshal {kind} into Go value of type v1.Secret")
    for value in (document.get("data") or {}).values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError) as exc:
            raise Refused("UNKNOWN", wrong + "illegal base64 data at input byte 0") from exc
    name = str((document.get("metadata") or {}).get("name") or "")
    return name, str(document.get("type") or ""), sorted(document.get("data") or {})


class Secrets(Service):
    """Part of PPS. Table `secrets`: name -> {type, keys}."""

    grpc = "pps_v2.API"

    @property
    def secrets(self) -> dict[str, Any]:
        """The table."""
        found: dict[str, Any] = self.state.table("secrets")
        return found

    def _info(self, name: str) -> Any:
        info = self.make("pps_v2.SecretInfo", type=self.secrets[name]["type"])
        info.secret.name = name
        info.creation_timestamp.seconds = NEVER
        return info

    def CreateSecret(self, request: Any, call: Any) -> Any:
        """There is no update."""
        self.state.permit(call, "CLUSTER_CREATE_SECRET", "CLUSTER", "")
        name, kind, keys = manifest(request.file)
        if not name:
            raise Refused("UNKNOWN", "failed to create secret: resource name may not be empty")
        if name in self.secrets:
            raise Refused("UNKNOWN", f'failed to create secret: secrets "{name}" already exists')
        self.secrets[name] = {"type": kind, "keys": keys}
        return self.empty()

    def InspectSecret(self, request: Any, call: Any) -> Any:
        """Name and type."""
        self.state.permit(call, "SECRET_INSPECT", "CLUSTER", "")
        name = request.secret.name
        if name not in self.secrets:
            raise Refused("UNKNOWN", f'failed to get secret: secrets "{name}" not found')
        return self._info(name)

    def ListSecret(self, _request: Any, call: Any) -> Any:
        """All, by name."""
        self.state.permit(call, "CLUSTER_LIST_SECRETS", "CLUSTER", "")
        return self.make("pps_v2.SecretInfos", secret_info=[self._info(name) for name in sorted(self.secrets)])

    def DeleteSecret(self, request: Any, call: Any) -> Any:
        """One."""
        self.state.permit(call, "SECRET_DELETE", "CLUSTER", "")
        name = request.secret.name
        if self.secrets.pop(name, None) is None:
            raise Refused("UNKNOWN", f'failed to delete secret: secrets "{name}" not found')
        return self.empty()


SERVICES = [Secrets]
