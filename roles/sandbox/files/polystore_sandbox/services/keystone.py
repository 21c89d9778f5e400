# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real OpenStack Keystone in one process: sqlite, fernet tokens, served by waitress."""

from __future__ import annotations

import importlib
import os
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from polystore_sandbox.front import WITHOUT_CONNECTION, Front
from polystore_sandbox.home import Home, SandboxError
from polystore_sandbox.keystone_api import ADMIN, PROJECT, REGION, USER, KeystoneApi
from polystore_sandbox.registry import Running

PROBE = "/v3?sandbox"
# bcrypt at its default of 12 rounds takes a quarter of a second for each password; the caches save the sqlite.
CONF = """\
[DEFAULT]
log_file = {folder}/keystone.log
default_log_levels = keystone=WARNING,oslo=WARNING,sqlalchemy=WARNING,alembic=WARNING

[database]
connection = sqlite:///{folder}/keystone.sqlite

[identity]
password_hash_rounds = 4

[token]
provider = fernet
expiration = 86400

[fernet_tokens]
key_repository = {folder}/fernet-keys

[fernet_receipts]
key_repository = {folder}/fernet-keys

[credential]
key_repository = {folder}/credential-keys

[cache]
enabled = true
backend = dogpile.cache.memory
"""


class Keystone:
    """See polystore_sandbox.registry.Service."""

    name = "keystone"
    order = 10
    requirements: dict[str, str] = {
        "keystone": "keystone>=25,<31",
        "keystonemiddleware": "keystonemiddleware>=10,<14",
        "waitress": "waitress>=3,<4",
    }

    def prepare(self) -> None:
        """Keystone reads sys.argv and OS_* variables as its own."""
        del sys.argv[1:]

    def answers(self, address: str, port: int) -> bool:
        """Asks for the version."""
        try:
            with urllib.request.urlopen(f"http://{address}:{port}{PROBE}", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def endpoints(self, home: Home, url: str, peers: dict[str, str]) -> dict[str, Any]:
        """Authentication v3 by password and by application credential, and as the cloud's administrator."""
        known = home.read(f"{self.name}/known.json")
        auth = {
            "auth_url": f"{url}/v3",
            "username": USER[0],
            "password": USER[1],
            "user_domain_name": "Default",
            "project_name": PROJECT,
            "project_domain_name": "Default",
        }
        credential = {
            "auth_url": f"{url}/v3",
            "application_credential_id": known.get("credential", ""),
            "application_credential_secret": home.secret("keystone.credential"),
        }
        cloud = {"region_name": REGION, "identity_api_version": "3"}
        return {
            "auth_type": "v3password",
            "auth": auth,
            "admin_auth": {**auth, "username": ADMIN[0], "password": ADMIN[1], "project_name": "admin"},
            "credential_auth": credential,
            "project_id": known.get("project", ""),
            "env": {
                "OS_IDENTITY_API_VERSION": "3",
                "OS_REGION_NAME": REGION,
                **{f"OS_{name.upper()}": value for name, value in auth.items()},
            },
            "clouds": {
                "sandbox": {**cloud, "auth": auth},
                "sandbox-credential": {**cloud, "auth_type": "v3applicationcredential", "auth": credential},
            },
        }

    def serve(self, running: Running) -> None:
        """Serves until the process is ended."""
        running.faults.actions = WITHOUT_CONNECTION
        folder = running.home.service(self.name)
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((running.address, running.port))
        except OSError as exc:
            raise SandboxError(
                f"keystone cannot listen on {running.address}:{running.port}: {exc.strerror}; another port is chosen "
                "with --port keystone=PORT (sandbox_ports in the role)"
            ) from exc
        port = listening.getsockname()[1]
        application = _application(folder, not running.home.read("keystone/known.json"))
        url = f"http://{running.address}:{port}"
        if running.home.read("keystone/known.json").get("url") != url:
            running.home.write("keystone/known.json", {**_estate(running, application, url), "url": url})
        front = Front(application, running.faults, running.log, PROBE)
        waitress: Any = importlib.import_module("waitress")
        server = waitress.create_server(front, sockets=[listening], threads=8, ident="keystone")
        running.ready(port, None)
        server.run()


def _application(folder: Path, first: bool) -> Any:
    """Keystone's WSGI application; at the first start with a new database and new keys."""
    conf = folder / "keystone.conf"
    conf.write_text(CONF.format(folder=folder), encoding="utf-8")
    os.umask(0o077)
    importlib.import_module("keystone.server").configure(config_files=[str(conf)])
    if first:
        for name in ("keystone.sqlite", "keystone.sqlite-journal"):
            (folder / name).unlink(missing_ok=True)
        importlib.import_module("keystone.common.sql.upgrades").offline_sync_database_to_version()
        utils = importlib.import_module("keystone.common.fernet_utils")
        for name, group, keys in (("fernet-keys", "fernet_tokens", 3), ("credential-keys", "credential", 3)):
            repository = utils.FernetUtils(str(folder / name), keys, group)
            repository.create_key_directory()
            if repository.validate_key_repository(requires_write=True):
                repository.initialize_key_repository()
        bootstrapper = importlib.import_module("keystone.cmd.bootstrap").Bootstrapper()
        bootstrapper.admin_username, bootstrapper.admin_password = ADMIN
        bootstrapper.project_name, bootstrapper.admin_role_name = "admin", "admin"
        bootstrapper.region_id = REGION
        bootstrapper.bootstrap()
    else:
        importlib.import_module("keystone.server.backends").load_backends()
    application = importlib.import_module("keystone.server.flask.application").application_factory("public")
    return importlib.import_module("keystone.server.flask.core").setup_app_middleware(application)


def _estate(running: Running, application: Any, url: str) -> dict[str, str]:
    """Project, users, roles and the identity endpoint; what is there stays."""
    api = KeystoneApi(application)
    api.login(*ADMIN, "admin")
    roles = {name: api.ensure("role", name) for name in ("member", "reader", "service", "admin")}
    projects = {name: api.ensure("project", name, domain_id="default") for name in (PROJECT, "service")}
    users = {
        "swift": api.ensure("user", "swift", domain_id="default", password=running.home.secret("keystone.swift")),
        USER[0]: api.ensure("user", USER[0], domain_id="default", password=USER[1]),
    }
    for project, user, role in (
        (PROJECT, USER[0], "member"),
        (PROJECT, USER[0], "reader"),
        ("service", "swift", "service"),
        ("service", "swift", "admin"),
    ):
        api.call("PUT", f"/projects/{projects[project]}/users/{users[user]}/roles/{roles[role]}")
    service = api.ensure("service", "keystone", type="identity")
    for endpoint in api.call("GET", f"/endpoints?service_id={service}")["endpoints"]:
        api.call("DELETE", f"/endpoints/{endpoint['id']}")
    for interface in ("public", "internal", "admin"):
        endpoint = {"service_id": service, "interface": interface, "url": f"{url}/v3", "region_id": REGION}
        api.call("POST", "/endpoints", {"endpoint": endpoint})
    owner = KeystoneApi(application)
    owner.login(*USER, PROJECT)
    path = f"/users/{users[USER[0]]}/application_credentials"
    found = owner.call("GET", f"{path}?name=sandbox")["application_credentials"]
    if not found:
        wanted = {"name": "sandbox", "secret": running.home.secret("keystone.credential")}
        found = [owner.call("POST", path, {"application_credential": wanted})["application_credential"]]
    return {"project": projects[PROJECT], "credential": found[0]["id"]}


SERVICE = Keystone()
