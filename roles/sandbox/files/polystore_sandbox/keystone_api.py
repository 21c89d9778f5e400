# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The little of Keystone's REST API that setting up a sandbox takes, over HTTP or straight into a WSGI application."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from typing import Any
from wsgiref.util import setup_testing_defaults

from polystore_sandbox.home import SandboxError

ADMIN = ("admin", "admin")
USER = ("demo", "password")
PROJECT = "demo"
REGION = "RegionOne"


def password_auth(user: str, password: str, project: str) -> dict[str, Any]:
    """The body of a request for a token."""
    domain = {"id": "default"}
    identity = {"methods": ["password"], "password": {"user": {"name": user, "password": password, "domain": domain}}}
    return {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": domain}}}}


class KeystoneApi:
    """`target` is Keystone's URL (without /v3), or its WSGI application."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._token = ""

    def login(self, user: str, password: str, project: str) -> dict[str, Any]:
        """Takes a token for the calls that follow; returns what Keystone says about it."""
        status, headers, answer = self._send("POST", "/v3/auth/tokens", password_auth(user, password, project))
        if status != 201:
            raise SandboxError(f"Keystone gives {user} no token: {status} {answer}")
        self._token = headers["x-subject-token"]
        token: dict[str, Any] = answer["token"]
        return token

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON; SandboxError when it is not one of success."""
        status, _headers, answer = self._send(method, "/v3" + path, body)
        if status >= 300:
            raise SandboxError(f"Keystone answers {method} {path} with {status}: {answer}")
        return answer

    def ensure(self, kind: str, name: str, **more: Any) -> str:
        """The id of the thing of that name ("project", "user", "role", "service"), made when there is none."""
        found = self.call("GET", f"/{kind}s?name={name}")[f"{kind}s"]
        made = found[0] if found else self.call("POST", f"/{kind}s", {kind: {"name": name, **more}})[kind]
        return str(made["id"])

    def _send(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-Auth-Token": self._token}
        if isinstance(self._target, str):
            status, got, text = _over_http(self._target + path, method, data, headers)
        else:
            status, got, text = _in_process(self._target, path, method, data, headers)
        return status, {name.lower(): value for name, value in got}, json.loads(text) if text.strip() else None


_Answer = tuple[int, list[tuple[str, str]], bytes]


def _over_http(url: str, method: str, data: bytes, headers: dict[str, str]) -> _Answer:
    request = urllib.request.Request(url, data=data or None, method=method, headers=headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, answer.getheaders(), answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, list(exc.headers.items()), exc.read()


def _in_process(application: Any, path: str, method: str, data: bytes, headers: dict[str, str]) -> _Answer:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "CONTENT_LENGTH": str(len(data))}
    environ["PATH_INFO"], _mark, environ["QUERY_STRING"] = path.partition("?")
    environ["wsgi.input"] = io.BytesIO(data)
    environ["CONTENT_TYPE"] = headers["Content-Type"]
    if headers["X-Auth-Token"]:
        environ["HTTP_X_AUTH_TOKEN"] = headers["X-Auth-Token"]
    setup_testing_defaults(environ)
    started: list[Any] = []

    def start_response(status: str, got: list[tuple[str, str]], _exc_info: Any = None) -> None:
        started[:] = [int(status.split(" ", 1)[0]), got]

    chunks = application(environ, start_response)
    try:
        text = b"".join(chunks)
    finally:
        getattr(chunks, "close", lambda: None)()
    return started[0], started[1], text


def register_swift(url: str, storage_url: str) -> None:
    """Makes the catalog name this storage URL; `url` is Keystone's."""
    api = KeystoneApi(url)
    api.login(*ADMIN, "admin")
    service = api.ensure("service", "swift", type="object-store")
    wanted = storage_url.rstrip("/") + "/v1/KEY_%(tenant_id)s"
    found = {item["interface"]: item for item in api.call("GET", f"/endpoints?service_id={service}")["endpoints"]}
    for interface in ("public", "internal", "admin"):
        if interface not in found:
            endpoint = {"service_id": service, "interface": interface, "url": wanted, "region_id": REGION}
            api.call("POST", "/endpoints", {"endpoint": endpoint})
        elif found[interface]["url"] != wanted:
            api.call("PATCH", f"/endpoints/{found[interface]['id']}", {"endpoint": {"url": wanted}})
