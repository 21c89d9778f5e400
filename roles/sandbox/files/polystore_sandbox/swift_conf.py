# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a Swift in one process: swift.conf, rings, and one paste file a server."""

from __future__ import annotations

import array
import importlib
from pathlib import Path
from typing import Any

POLICIES = ("standard", "reduced")
USERS = {  # account:user -> password and groups; known to everybody, as the sandbox listens on the loopback
    "test:tester": ("testing", ".admin"),
    "test:tester3": ("testing3", ""),
    "test2:tester2": ("testing2", ".admin"),
    "admin:admin": ("admin", ".admin .reseller_admin"),
}

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_prefix = polystore
swift_hash_path_suffix = sandbox

[storage-policy:0]
name = standard
aliases = ordinary
default = yes

[storage-policy:1]
name = reduced
aliases = reduced-redundancy
"""

COMMON = """\
[DEFAULT]
swift_dir = {etc}
devices = {devices}
mount_check = false
user = {user}
bind_ip = 127.0.0.1
fallocate_reserve = 0
disable_fallocate = true
log_level = WARNING
log_custom_handlers = polystore_sandbox.swift_conf.log_to_stderr
conn_timeout = 30
node_timeout = 60
"""

STORAGE = """\
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
recon_cache_path = {cache}
conn_timeout = 30
node_timeout = 60
replication_server = false
allowed_sync_hosts = 127.0.0.1,localhost
auto_create_account_prefix = .
{more}
"""

PROXY = """\
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache etag-quoter listing_formats container_sync bulk \
tempurl formpost {auth} staticweb copy container-quotas account-quotas slo dlo versioned_writes symlink proxy-logging \
proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = false
conn_timeout = 30
node_timeout = 60
recoverable_node_timeout = 60
client_timeout = 60
error_suppression_limit = 1000000
error_suppression_interval = 0

[filter:cache]
paste.filter_factory = polystore_sandbox.memory_cache:filter_factory

[filter:proxy-logging]
use = egg:swift#proxy_logging
access_log_level = DEBUG

[filter:slo]
use = egg:swift#slo
rate_limit_after_segment = 100000

[filter:dlo]
use = egg:swift#dlo
rate_limit_after_segment = 100000

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true

[filter:container_sync]
use = egg:swift#container_sync
allow_full_urls = true

[filter:tempauth]
use = egg:swift#tempauth
{users}
"""

PLAIN = {
    "catch_errors": "catch_errors",
    "gatekeeper": "gatekeeper",
    "healthcheck": "healthcheck",
    "etag-quoter": "etag_quoter",
    "listing_formats": "listing_formats",
    "bulk": "bulk",
    "tempurl": "tempurl",
    "formpost": "formpost",
    "staticweb": "staticweb",
    "copy": "copy",
    "container-quotas": "container_quotas",
    "account-quotas": "account_quotas",
    "symlink": "symlink",
}

TEMPAUTH_BESIDE = "polystore_sandbox.keystone_auth:tempauth_factory"

KEYSTONE = """\
[filter:authtoken]
paste.filter_factory = polystore_sandbox.keystone_auth:filter_factory
auth_type = password
auth_url = {url}
www_authenticate_uri = {url}
username = {username}
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
service_token_roles = service
service_token_roles_required = true
delay_auth_decision = true
token_cache_time = 600
cache = swift.cache
include_service_catalog = false

[filter:keystoneauth]
use = egg:swift#keystoneauth
reseller_prefix = KEY
operator_roles = admin, member
reseller_admin_role = admin
"""


def log_to_stderr(conf: Any, name: str, _console: bool, _route: str, fmt: str, logger: Any, _adapted: Any) -> None:
    """Swift's hook for own log handlers: in the place of syslog comes stderr, which is the service's log file."""
    logging = importlib.import_module("logging")
    handlers = importlib.import_module("logging.handlers")
    for handler in list(logger.handlers):
        if isinstance(handler, handlers.SysLogHandler):
            logger.removeHandler(handler)
    if not any(handler.__class__ is logging.StreamHandler for handler in logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s " + (fmt or "%(message)s").strip()))
        logger.addHandler(handler)


def write_conf(folder: Path, user: str, keystone: dict[str, str] | None) -> None:
    """Writes everything but the rings below `folder` (etc, data, cache).

    `keystone` is the url, username and password for validating tokens, or None.
    """
    etc, devices, cache = folder / "etc", folder / "data", folder / "cache"
    for path in (etc, devices / "d1", cache):
        path.mkdir(parents=True, exist_ok=True)
    common = COMMON.format(etc=etc, devices=devices, user=user)
    files = {"swift.conf": SWIFT_CONF}
    for kind in ("account", "container", "object"):
        more = "keep_cache_size = 5242880\nkeep_cache_private = true" if kind == "object" else ""
        files[f"{kind}-server.conf"] = common + "\n" + STORAGE.format(kind=kind, cache=cache, more=more)
    # A second prefix for Keystone's projects lets both kinds of accounts live side by side in one server.
    users = "\n".join(
        f"user_{name.replace(':', '_')} = {password} {groups}".rstrip() for name, (password, groups) in USERS.items()
    )
    proxy = (
        common + "\n" + PROXY.format(auth="authtoken keystoneauth tempauth" if keystone else "tempauth", users=users)
    )
    proxy += "".join(f"\n[filter:{name}]\nuse = egg:swift#{egg}\n" for name, egg in PLAIN.items())
    if keystone:
        proxy = proxy.replace("use = egg:swift#tempauth", "paste.filter_factory = " + TEMPAUTH_BESIDE)
        proxy += "\n" + KEYSTONE.format(**keystone)
    files["proxy-server.conf"] = proxy
    for name, text in files.items():
        path = etc / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")


def write_rings(folder: Path, ports: dict[str, int]) -> None:
    """One device, one replica, four partitions; `ports` are those of account, container and object server."""
    ring = importlib.import_module("swift.common.ring")
    names = {"account": "account", "container": "container", "object": "object", "object-1": "object"}
    for name, kind in names.items():
        device = {
            "id": 0,
            "zone": 1,
            "region": 1,
            "ip": "127.0.0.1",
            "port": ports[kind],
            "device": "d1",
            "weight": 1.0,
        }
        data = ring.RingData([array.array("H", [0] * 4)], [device], 30)
        data.save(str(folder / "etc" / f"{name}.ring.gz"))
