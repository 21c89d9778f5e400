# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version, and the cluster."""

from __future__ import annotations

import uuid
from typing import Any

from polystore_sandbox.pachyderm.base import Call, Service


class Versions(Service):
    """versionpb_v2.API."""

    grpc = "versionpb_v2.API"

    def GetVersion(self, request: Any, call: Call) -> Any:
        """As which version it behaves."""
        major, minor, micro = self.state.version
        return self.make("versionpb_v2.Version", major=major, minor=minor, micro=micro, platform="stand-in")


class Admin(Service):
    """admin_v2.API."""

    grpc = "admin_v2.API"

    def InspectCluster(self, request: Any, call: Call) -> Any:
        """Its ids, and its metadata."""
        ids = self.state.table("cluster")
        for name in ("id", "deployment_id"):
            ids.setdefault(name, uuid.uuid4().hex)
        metadata = ids.get("metadata", {})
        return self.make(
            "admin_v2.ClusterInfo",
            id=ids["id"],
            deployment_id=ids["deployment_id"],
            warnings_ok=True,
            metadata=metadata,
        )


SERVICES: list[type[Service]] = [Versions, Admin]
