# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw calls to all of pachd's services."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.polystore.storage.tests.unit.sandbox.pachyderm_calls import Calls
from polystore_sandbox.pachyderm.messages import METHODS


class Asking(Calls):
    """Calls of all services, with plain fields; and pipelines from `input` on."""

    def ask(self, method: str, /, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        """One call."""
        return self.call(method, self.make(METHODS[method].request.DESCRIPTOR.full_name, **fields), headers)

    def pps(self, rpc: str, /, **fields: Any) -> Any:
        """A call of pps_v2.API."""
        return self.ask(f"pps_v2.API/{rpc}", **fields)

    def pipeline(self, name: str, project: str = "default") -> dict[str, Any]:
        """pps_v2.Pipeline."""
        return {"name": name, "project": {"name": project}}

    def document(self, name: str, repo: str, **more: Any) -> dict[str, Any]:
        """A pipeline's document."""
        return {"pipeline": self.pipeline(name), "input": {"pfs": {"repo": repo, "glob": "/"}}, **more}

    def create(self, document: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """CreatePipelineV2: what it comes to."""
        text = json.dumps(document)
        reply = self.pps("CreatePipelineV2", create_pipeline_request_json=text, **fields)
        found: dict[str, Any] = json.loads(reply.effective_create_pipeline_request_json)
        return found

    def inspect(self, name: str, details: bool = False) -> Any:
        """InspectPipeline."""
        return self.pps("InspectPipeline", pipeline=self.pipeline(name), details=details)
