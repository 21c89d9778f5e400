# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what, once auth is on: tokens, principals and role bindings."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

from polystore_sandbox.pachyderm.base import Call, Refused, Service
from polystore_sandbox.pachyderm.messages import enum

OFF = "the auth service is not activated"
NO_TOKEN = "no authentication token (try logging in)"
BAD_TOKEN = "provided auth token is corrupted or has expired (try logging in again)"
OLD_TOKEN = "token expiration is in the past"
NO_LICENCE = (
    "Pachyderm Enterprise is not active in this cluster, and the Pachyderm auth API is an Enterprise-level feature"
)
RUN = "Run `pachctl auth roles-for-permission` to find roles that grant a given permission."
ROOT, EVERYBODY = "pach:root", "allClusterUsers"
PREFIXES = ("user", "robot", "pipeline", "group", "pach", "internal")
FREE = re.compile(r"versionpb_v2\..*|admin_v2\.API/InspectCluster|auth_v2\.API/(Activate|Authenticate|GetOIDCLogin)")

_READ = [
    "REPO_READ",
    "REPO_INSPECT_COMMIT",
    "REPO_LIST_COMMIT",
    "REPO_LIST_BRANCH",
    "REPO_LIST_FILE",
    "REPO_INSPECT_FILE",
    "REPO_ADD_PIPELINE_READER",
    "REPO_REMOVE_PIPELINE_READER",
    "PIPELINE_LIST_JOB",
]
_WRITE = [
    *_READ,
    *["REPO_WRITE", "REPO_DELETE_COMMIT", "REPO_CREATE_BRANCH", "REPO_DELETE_BRANCH", "REPO_ADD_PIPELINE_WRITER"],
]
_OWN = [*_WRITE, "REPO_MODIFY_BINDINGS", "REPO_DELETE"]
_SECRETS = ["CLUSTER_CREATE_SECRET", "CLUSTER_LIST_SECRETS", "SECRET_DELETE", "SECRET_INSPECT"]
ROLES: dict[str, list[str]] = {
    "repoReader": _READ,
    "repoWriter": _WRITE,
    "repoOwner": _OWN,
    "projectViewer": ["PROJECT_LIST_REPO"],
    "projectWriter": ["PROJECT_LIST_REPO", "PROJECT_CREATE_REPO"],
    "projectOwner": [
        *_OWN,
        *[
            "PROJECT_LIST_REPO",
            "PROJECT_CREATE_REPO",
            "PROJECT_DELETE",
            "PROJECT_MODIFY_BINDINGS",
            "PROJECT_SET_DEFAULTS",
        ],
    ],
    "projectCreator": ["PROJECT_CREATE"],
    "secretAdmin": _SECRETS,
    "clusterAdmin": [],  # has all
    "debugger": ["CLUSTER_DEBUG_DUMP"],
    "robotUser": ["CLUSTER_AUTH_GET_ROBOT_TOKEN"],
    "logReader": [],
    "pachdLogReader": ["CLUSTER_GET_PACHD_LOGS"],
    "lokiLogReader": ["CLUSTER_GET_LOKI_LOGS"],
    "oidcAppAdmin": [],
    "idpAdmin": [],
    "identityAdmin": [],
    "licenseAdmin": [],
}
BINDERS = {"CLUSTER": "CLUSTER_MODIFY_BINDINGS", "PROJECT": "PROJECT_MODIFY_BINDINGS", "REPO": "REPO_MODIFY_BINDINGS"}
Bindings = dict[str, list[str]]


class Auth(Service):
    """Table `auth`: "tokens" -> {token: [principal, end]}, "bindings" -> {(type, name): {principal: [roles]}}.

    Settings: `auth`, the root's token; "" is off. `tokens`, {token: principal or [principal, seconds]}.
    """

    grpc = "auth_v2.API"
    order = 10
    settings = {"auth": "", "tokens": {}}

    def __init__(self, state: Any) -> None:
        super().__init__(state)
        state.admit, state.permit = self.admit, self.permit

    # --- who asks ------------------------------------------------------------------------------------------------

    @property
    def tokens(self) -> dict[str, tuple[str, float]]:
        """Principal and end (0: never) by token."""
        found: dict[str, tuple[str, float]] = dict(self._held("tokens"))
        for token, given in (self.state.settings.get("tokens") or {}).items():
            principal, seconds = (given, None) if isinstance(given, str) else given
            found[token] = (principal, 0 if seconds is None else time.time() + seconds)
        if self.state.settings.get("auth"):
            found[self.state.settings["auth"]] = (ROOT, 0)
        return found

    def _held(self, name: str) -> dict[Any, Any]:
        held: dict[Any, Any] = self.state.table("auth").setdefault(name, {})
        return held

    @property
    def active(self) -> bool:
        """True when auth is on."""
        activated = any(held[0] == ROOT for held in self._held("tokens").values())
        return activated or bool(self.state.settings.get("auth"))

    def who(self, call: Call) -> tuple[str, float]:
        """The principal and when its token ends; Refused."""
        if not call.token:
            raise Refused("UNAUTHENTICATED", NO_TOKEN)
        found = self.tokens.get(call.token)
        if found is None:
            raise Refused("UNAUTHENTICATED", BAD_TOKEN)
        if found[1] and found[1] < time.time():
            raise Refused("INTERNAL", OLD_TOKEN)
        return found

    def admit(self, method: str, call: Call) -> None:
        """No call without a token."""
        if self.active and not FREE.fullmatch(method):
            self.who(call)

    def around(self, method: str, request: Any, call: Call, proceed: Any) -> Any:
        """What is made belongs to its maker."""
        if not self.active or FREE.fullmatch(method):
            return proceed()
        principal = self.who(call)[0]
        if method == "pfs_v2.API/DeleteRepo" and self.state.since(12):
            name = self._repo_name(request.repo)
            if self._missing(principal, "REPO_DELETE", "REPO", name):
                return self.make("pfs_v2.DeleteRepoResponse")
        reply = proceed()
        if call.transaction:
            return reply
        if method == "pfs_v2.API/CreateRepo":
            self._bindings().setdefault(("REPO", self._repo_name(request.repo)), {principal: ["repoOwner"]})
        elif method == "pfs_v2.API/CreateProject":
            self._bindings().setdefault(("PROJECT", request.project.name), {principal: ["projectOwner"]})
        elif method == "pfs_v2.API/DeleteRepo":
            self._bindings().pop(("REPO", self._repo_name(request.repo)), None)
        elif method == "pfs_v2.API/DeleteProject":
            self._bindings().pop(("PROJECT", request.project.name), None)
        return reply

    def _repo_name(self, repo: Any) -> str:
        return f"{repo.project.name or 'default'}/{repo.name}" if self.state.since(5) else str(repo.name)

    # --- what they may -------------------------------------------------------------------------------------------

    def _bindings(self) -> dict[tuple[str, str], Bindings]:
        held = self._held("bindings")
        held.setdefault(("CLUSTER", ""), {EVERYBODY: ["projectCreator"]} if self.state.since(5) else {})
        held.setdefault(("PROJECT", "default"), {EVERYBODY: ["projectWriter"]})
        return held

    def roles(self, principal: str, kind: str, name: str) -> list[str]:
        """All roles that count on a resource, also those of its project and of the cluster."""
        places = [("CLUSTER", ""), (kind, name)]
        if kind in ("REPO", "SPEC_REPO"):
            places += [("REPO", name), ("PROJECT", name.partition("/")[0] if "/" in name else "default")]
        found: list[str] = ["clusterAdmin"] if principal == ROOT or principal.startswith("internal:") else []
        for place in places:
            for who in (principal, EVERYBODY):
                found += self._bindings().get(place, {}).get(who, [])
        return list(dict.fromkeys(found))

    def _missing(self, principal: str, permission: str, kind: str, name: str) -> bool:
        roles = self.roles(principal, kind, name)
        return "clusterAdmin" not in roles and not any(permission in ROLES[role] for role in roles)

    def permit(self, call: Call, permission: str, kind: str, name: str) -> None:
        """Refused when auth is on and the caller may not."""
        if not self.active:
            return
        principal = self.who(call)[0]
        if self._missing(principal, permission, kind, name):
            words = f"{principal} is not authorized to perform this operation - needs permissions [{permission}]"
            raise Refused("PERMISSION_DENIED", f"{words} on {kind} {name}. {RUN}".replace(" .", "."))

    def _on(self) -> None:
        if not self.active:
            raise Refused("UNIMPLEMENTED", OFF)

    # --- calls ---------------------------------------------------------------------------------------------------

    def Activate(self, request: Any, _call: Call) -> Any:
        """2.12 needs no licence."""
        if self.active:
            raise Refused("UNIMPLEMENTED", "the auth service is already activated")
        if not self.state.since(12):
            raise Refused("UNKNOWN", NO_LICENCE)
        token = request.root_token or secrets.token_hex(16)
        self._held("tokens")[token] = (ROOT, 0)
        return self.make("auth_v2.ActivateResponse", pach_token=token)

    def Deactivate(self, _request: Any, call: Call) -> Any:
        """Forgets tokens and bindings."""
        self._on()
        self.permit(call, "CLUSTER_AUTH_DEACTIVATE", "CLUSTER", "")
        self.state.table("auth").clear()
        self.state.settings["auth"] = ""
        return self.make("auth_v2.DeactivateResponse")

    def WhoAmI(self, _request: Any, call: Call) -> Any:
        """The token's principal."""
        self._on()
        principal, end = self.who(call)
        reply = self.make("auth_v2.WhoAmIResponse", username=principal)
        if end:
            reply.expiration.seconds = int(end)
        return reply

    def GetRobotToken(self, request: Any, call: Call) -> Any:
        """A token for robot:NAME."""
        self._on()
        self.permit(call, "CLUSTER_AUTH_GET_ROBOT_TOKEN", "CLUSTER", "")
        token = secrets.token_hex(16)
        name = request.robot if request.robot.startswith("robot:") else f"robot:{request.robot}"
        self._held("tokens")[token] = (name, time.time() + request.ttl if request.ttl else 0)
        return self.make("auth_v2.GetRobotTokenResponse", token=token)

    def RevokeAuthToken(self, request: Any, _call: Call) -> Any:
        """Forgets a token."""
        self._on()
        number = int(self._held("tokens").pop(request.token, None) is not None)
        return self.make("auth_v2.RevokeAuthTokenResponse", number=number)

    def _resource(self, resource: Any) -> tuple[str, str]:
        kind = enum("auth_v2.ResourceType").values_by_number[resource.type].name
        return kind, "" if kind == "CLUSTER" else resource.name

    def GetRoleBinding(self, request: Any, _call: Call) -> Any:
        """Empty for what is not there, too."""
        self._on()
        reply = self.make("auth_v2.GetRoleBindingResponse")
        place = self._resource(request.resource)
        entries = dict(self._bindings().get(place, {}))
        if place[0] == "CLUSTER":
            entries[ROOT] = ["clusterAdmin"]
        reply.binding.SetInParent()
        for principal, roles in entries.items():
            for role in roles:
                reply.binding.entries[principal].roles[role] = True
        return reply

    def _there(self, kind: str, name: str) -> bool:
        if kind == "REPO":
            project, _slash, repo = name.partition("/") if "/" in name else ("default", "", name)
            return (project, repo, "user") in self.state.repos
        return kind == "CLUSTER" or kind == "PROJECT" and name in self.state.projects

    def ModifyRoleBinding(self, request: Any, call: Call) -> Any:
        """Replaces a principal's roles; none of them removes it."""
        self._on()
        kind, name = self._resource(request.resource)
        if not self._there(kind, name):
            raise Refused("UNKNOWN", f"no role binding exists for {kind} {name}")
        self.permit(call, BINDERS.get(kind, "CLUSTER_MODIFY_BINDINGS"), kind, name)
        principal = request.principal
        for role in request.roles:
            if role not in ROLES:
                raise Refused("UNKNOWN", f'unknown role "{role}"')
        prefix, colon, _rest = principal.partition(":")
        if principal != EVERYBODY and not colon:
            raise Refused("UNKNOWN", "subject has no prefix, must be of the form <type>:<name>")
        if principal != EVERYBODY and prefix not in PREFIXES:
            raise Refused("UNKNOWN", f"subject has unrecognized prefix: {prefix}:")
        if kind == "CLUSTER" and prefix == "pach":
            raise Refused("UNKNOWN", "cannot modify cluster role bindings for pach: users")
        held = self._bindings().setdefault((kind, name), {})
        held.pop(principal, None)
        if request.roles:
            held[principal] = list(dict.fromkeys(request.roles))
        return self.make("auth_v2.ModifyRoleBindingResponse")

    def Authorize(self, request: Any, call: Call) -> Any:
        """Which of the permissions the caller has."""
        self._on()
        principal = self.who(call)[0]
        kind, name = self._resource(request.resource)
        reply = self.make("auth_v2.AuthorizeResponse", principal=principal)
        for number in request.permissions:
            permission = enum("auth_v2.Permission").values_by_number[number].name
            kept = reply.missing if self._missing(principal, permission, kind, name) else reply.satisfied
            kept.append(number)
        reply.authorized = not reply.missing
        return reply

    def GetPermissions(self, request: Any, call: Call) -> Any:
        """The caller's roles and permissions on a resource."""
        self._on()
        kind, name = self._resource(request.resource)
        roles = self.roles(self.who(call)[0], kind, name)
        values = enum("auth_v2.Permission").values_by_name
        every = [value for value in values if value != "PERMISSION_UNKNOWN"]
        names = every if "clusterAdmin" in roles else sorted({name for role in roles for name in ROLES[role]})
        numbers = sorted(values[name].number for name in names)
        return self.make("auth_v2.GetPermissionsResponse", permissions=numbers, roles=roles)


SERVICES = [Auth]
