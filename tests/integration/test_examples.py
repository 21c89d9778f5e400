# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the README, the plugins and the guides, run against a real Swift and the sandbox's other systems.

What is changed: connection options go, because the servers are these, local paths lead below a directory of the test,
as do the stores that are mounted, and who owns things is the user who runs the test.
"""

from __future__ import annotations

import grp
import importlib
import io
import json
import os
import pathlib
import pwd
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.common import CONNECTION, AlluxioConnection
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import FdfsConnection
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common as pachyderm
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.common import PachydermConnection
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.common import PegasusConnection
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import SwiftConnection
from ansible_collections.polystore.storage.tests.support import targets
from ansible_collections.polystore.storage.tests.support.servers import SwiftServer
from ansible_collections.polystore.storage.tests.unit.test_examples import documents

OURS = "polystore.storage."
SWIFT = OURS + "swift_"
PACHYDERM = OURS + "pachyderm_"
FDFS = OURS + "fdfs_"
PEGASUS = OURS + "pegasus_"
PLUGINS = ("lookup.swift_object", "filter.swift_temp_url", "lookup.alluxio_file", "lookup.pachyderm_file")
PLUGINS += ("lookup.fdfs_file", "lookup.pegasus_kv")
CONNECTIONS = {*SwiftConnection.spec, *AlluxioConnection.spec, *PachydermConnection.spec, *FdfsConnection.spec}
CONNECTIONS.update(PegasusConnection.spec)
NOT_RUN = {
    "A quota, as the reseller admin": "takes an account that tests do not have",
    "Who may do what in it": "takes a pachd with authentication",
    "What pachd fetches itself": "takes a web server",
    "Two pipelines from files, in any order, waited for": "takes a pachd that runs pipelines",
    "Whether a pipeline is there and did not fail": "as the one before",
    "The last part of a log, by its id": "takes an id that a FastDFS has",
    "Show the first bytes of a file that is known by its id": "as the one before",
}
VARIABLES = ("vault_temp_url_key", "vault_next_temp_url_key", "vaulted_url_key", "vaulted_gateway_token")
VARIABLES += ("vaulted_key_id", "vaulted_secret", "warehouse_key", "warehouse_secret")
VARIABLES += ("vaulted_pachd_token", "vaulted_registry_token", "warehouse_password")
ROLES = tuple(OURS + path.name for path in (targets.COLLECTION / "roles").iterdir())
# What pages take for granted.
OBJECTS = {
    "site": ["index.html"],
    "website": ["index.html", "robots.txt", "public/index.html", "pages/index.html"],
    "snakebucket": ["my_snake.txt"],
    "releases": ["app-1.2.tar.gz", "app-1.3.tar.gz"],
    "keys": ["app.key"],
}
FILES = (
    *("/site/index.html", "/site/public/index.html", "/reports/2026/summary.csv", "/keys/app.key", "/data/in/new.csv"),
    *("/releases/app-1.2.tar.gz", "/releases/app-1.3.tar.gz", "/logs/2026-11-21/a.log", "/exports/today/a.csv"),
    "/mnt/readme",
)
TREE = ("index.html", "deep/page.txt")
# Pages of Pachyderm -> what they take for granted, beyond what the pages before them have left.
IMAGES = ("/liberty.png", "/vase.png", "/README", "/archive/old.png")
SPEC = {"transform": {"image": "x", "cmd": ["true"]}, "input": {"pfs": {"repo": "images", "glob": "/*"}}}
BEFORE: dict[str, list[dict[str, Any]]] = {
    "modules/pachyderm_branch": [
        {PACHYDERM + "project": {"batch": [{"name": "vision"}, {"name": "art"}]}},
        {
            PACHYDERM + "repo": {
                "batch": [
                    *({"name": n} for n in ("photos", "images", "inbox", "results", "contour", "labels")),
                    *({"name": n, "project": "vision"} for n in ("raw", "joined")),
                    {"name": "photos", "project": "art"},
                ]
            }
        },
        *(
            {PACHYDERM + "file": {"repo": repo, "batch": [{"path": path, "content": text} for path in IMAGES]}}
            for repo, text in (("photos", "1"), ("photos", "2"), ("photos", "3"), ("inbox", "1"), ("contour", "1"))
        ),
        {PACHYDERM + "branch": {"repo": "photos", "name": "staging"}},
        {PACHYDERM + "branch": {"repo": "raw", "project": "vision", "name": "master"}},
        {PACHYDERM + "branch": {"repo": "labels", "name": "checked"}},
    ],
    "modules/pachyderm_pipeline": [{PACHYDERM + "pipeline": {"name": "montage", "spec": SPEC}}],
    "modules/pachyderm_sync": [
        {PACHYDERM + "repo": {"name": "photos", "state": "absent", "force": True}},
        {PACHYDERM + "repo": {"name": "photos"}},
    ],
    "guide_pachyderm.rst #1": [{PACHYDERM + "repo": {"name": "contour", "state": "absent"}}],
    "lookup.pachyderm_file": [
        {PACHYDERM + "repo": {"name": "archive"}},
        {PACHYDERM + "file": {"repo": "photos", "path": "/notes.txt", "content": "x"}},
    ],
}
# The same for FastDFS, whose pages have a manifest each.
FDFS_BEFORE: dict[str, list[dict[str, Any]]] = {
    where: [
        {
            "name": "What is there",
            FDFS + "file": {
                "manifest": "/var/lib/app/files.json",
                "batch": [{"name": name, "content": "x"} for name in ("reports/2026.pdf", "site/a", "notes/today.txt")],
            },
        }
    ]
    for where in ("modules/fdfs_download", "modules/fdfs_info", "lookup.fdfs_file")
}
# Of Pegasus every page finds these tables and rows, beyond what the pages before have left.
PEGASUS_TABLES = ("settings", "sessions", "leases", "archive", "photos")
PEGASUS_BEFORE: list[dict[str, Any]] = [
    {PEGASUS + "table": {"batch": [{"name": name} for name in PEGASUS_TABLES]}},
    {PEGASUS + "kv": {"table": "settings", "hash_key": "shop", "sort_key": "currency", "value": "EUR"}},
    {PEGASUS + "kv": {"table": "photos", "hash_key": "liberty", "value_b64": "AAEC/w=="}},
]
PEGASUS_AWAY = (*PEGASUS_TABLES, "settings-new", "users", "people", "orders", "visits", "guests")
AWAY: list[dict[str, Any]] = [
    {
        PACHYDERM + "pipeline": {
            "state": "absent",
            "force": True,
            "batch": [{"name": n} for n in ("montage", "edges", "spectra", "contour", "histogram")],
        }
    },
    {
        PACHYDERM + "project": {
            "state": "absent",
            "force": True,
            "batch": [{"name": n} for n in ("vision", "art", "birds", "sound", "text")],
        }
    },
    {
        PACHYDERM + "repo": {
            "state": "absent",
            "force": True,
            "batch": [
                {"name": n} for n in ("photos", "images", "inbox", "results", "contour", "labels", "archive", "songs")
            ],
        }
    },
    {PACHYDERM + "secret": {"state": "absent", "batch": [{"name": "registry"}, {"name": "warehouse"}]}},
]


def pages() -> dict[str, Any]:
    """Where examples stand -> what they are; those of roles have tests of their own."""
    texts = documents()
    for plugin in PLUGINS:
        module = importlib.import_module("ansible_collections.polystore.storage.plugins." + plugin)
        texts[plugin] = module.EXAMPLES
    apart = (*ROLES, OURS + "estate")  # the page of estates has manifests too
    texts = {w: text for w, text in texts.items() if not any(one in text for one in apart) and "guide_estate" not in w}
    return {where: yaml.safe_load(text) for where, text in texts.items()}


def pages_of(system: str) -> dict[str, Any]:
    """Those of PACHYDERM, FDFS, PEGASUS, or of none of them (""); by what occurs in them."""
    found: dict[str, Any] = {}
    for where, content in pages().items():
        text = json.dumps(content, default=str)
        if system == next((one for one in (PACHYDERM, FDFS, PEGASUS) if one in text), ""):
            found[where] = content
    return found


def owner(_name: str) -> str:
    """Who runs this."""
    return pwd.getpwuid(os.getuid()).pw_name


def group(_name: str) -> str:
    """The group of who runs this."""
    return grp.getgrgid(os.getgid()).gr_name


class Page:
    """The examples of one page, made to run here."""

    def __init__(self, home: pathlib.Path, content: list[dict[str, Any]]) -> None:
        self.home = home
        self.containers: set[str] = set()
        self.count = 0
        plays = content if content and "hosts" in content[0] else [{"hosts": "localhost", "tasks": content}]
        self.plays = [self.play(one) for one in plays]

    def play(self, play: dict[str, Any]) -> dict[str, Any]:
        """A play whose tasks go to the servers of the test."""
        defaults = {name: self.options(value) for name, value in play.get("module_defaults", {}).items()}
        tasks = [self.task(task) for task in play["tasks"] if task["name"] not in NOT_RUN]
        return {**play, "gather_facts": False, "module_defaults": defaults, "tasks": tasks}

    def task(self, task: dict[str, Any]) -> dict[str, Any]:
        """A task, and its sources made."""
        found = {}
        for name, value in task.items():
            if name.startswith(OURS):
                self.count += 1
                batch = (value or {}).get("batch", [])
                for row in [value or {}, *(batch if isinstance(batch, list) else [])]:
                    self.prepare(name, row)
            found[name] = self.options(value) if isinstance(value, dict) and name != "vars" else value
        return found

    def prepare(self, module: str, row: dict[str, Any]) -> None:
        """Local files that a row sends, the store it mounts, and the container it means."""
        container = row.get("container") or (row.get("name") if module == SWIFT + "container" else None)
        if "source" in row:
            pathlib.Path(self.store(row["source"])).mkdir(parents=True, exist_ok=True)
        if container and row.get("state") != "absent":
            self.containers.add(container)
        if "src" in row:
            source = pathlib.Path(self.path(row["src"]))
            for file in [source / name for name in TREE] if module.endswith("_sync") else [source]:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("x", "ascii")

    def path(self, value: str) -> str:
        """A path below the page's directory."""
        return "%s/%s" % (self.home, value.lstrip("/~"))

    def manifest(self, value: str) -> str:
        """A path of ours whose directory is there."""
        path = pathlib.Path(self.path(value))
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def store(self, value: str) -> str:
        """A directory of ours for the address of a store."""
        return self.path(re.sub(r"^[a-z0-9]+://", "/", value))

    def options(self, value: Any) -> Any:
        """Options without a connection, and with paths of ours."""
        if isinstance(value, list):
            return [self.options(part) for part in value]
        if isinstance(value, str):
            value = re.sub(r"\bmanifest='([^']*)'", lambda told: "manifest='%s'" % self.manifest(told[1]), value)
            return re.sub(r", (%s)=('[^']*'|\[[^]]*\])" % "|".join(CONNECTIONS), "", value)
        if not isinstance(value, dict):
            return value
        ways = {"src": self.path, "dest": self.path, "source": self.store, "owner": owner, "group": group}
        ways["manifest"] = self.manifest
        kept = {n: self.options(v) for n, v in value.items() if n not in CONNECTIONS}
        return {n: ways[n](v) if n in ways and isinstance(v, str) else v for n, v in kept.items()}


def directories(plays: list[dict[str, Any]]) -> Iterator[pathlib.Path]:
    """The directories that destinations lie in."""
    for play in plays:
        for task in play["tasks"]:
            for value in task.values():
                if isinstance(value, dict) and "dest" in value:
                    yield pathlib.Path(value["dest"]).parent


@pytest.fixture
def alluxio(alluxio_server: Any) -> Iterator[dict[str, str]]:
    """The variables of an Alluxio that has FILES; what pages leave in it is removed."""
    client = client_for(CONNECTION, alluxio_server.connection(), 8, {})
    before = {row["path"] for row in client.list_status("/")}
    for path in FILES:
        client.upload(path, lambda: io.BytesIO(b"x"), 1)
    yield alluxio_server.environment()
    for path in sorted((client.master_info() or {})["mountPoints"], reverse=True):
        if path != "/":
            client.unmount(path)
    for path in {row["path"] for row in client.list_status("/")} - before:
        client.delete(path, recursive=True)


def test_examples_do_what_they_say(swift_server: SwiftServer, alluxio: dict[str, str], tmp_path: pathlib.Path) -> None:
    found = [Page(tmp_path / ("page-%d" % number), content) for number, content in enumerate(pages_of("").values())]
    assert len(found) >= 30
    names = sorted(set(OBJECTS).union(*(page.containers for page in found)))
    rows = [{"container": c, "name": name, "content": "x"} for c, objects in OBJECTS.items() for name in objects]
    batch = [{"name": name} for name in names]
    away = [{"name": name + end} for name in names for end in ("", "_segments")]
    tasks = [{SWIFT + "container": {"batch": batch}}, {SWIFT + "object": {"batch": rows}}]
    plays: list[dict[str, Any]] = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    for page in found:
        plays += page.plays
    for directory in directories(plays):
        directory.mkdir(parents=True, exist_ok=True)
    cleaning = {SWIFT + "container": {"state": "absent", "force": True, "batch": away}}
    playbooks = []
    for name, content in (("all", plays), ("away", [{**plays[0], "tasks": [cleaning]}])):
        playbooks.append(tmp_path / ("%s.yml" % name))
        playbooks[-1].write_text(json.dumps(content), "utf-8")
    variables = {**dict.fromkeys(VARIABLES, "k3y"), "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    env = {**swift_server.environment(), **alluxio}
    try:
        ran = targets.run_playbook(playbooks[0], tmp_path, variables=variables, env=env)
        assert ran.code == 0, ran.output
    finally:
        targets.run_playbook(playbooks[1], tmp_path / "away", variables=variables, env=env)
    assert len([row for row in ran.rows if row.ours]) == 2 + sum(page.count for page in found) >= 60


def test_examples_of_pachyderm_do_what_they_say(pachd_server: Any, tmp_path: pathlib.Path) -> None:
    if os.environ.get("PACHD_ADDRESS"):
        pytest.skip("these use names that somebody may use there")
    client = client_for(pachyderm.CONNECTION, pachd_server.connection(), 8, {})
    asked = client.message("pps_v2.GetClusterDefaultsRequest")
    before = client.call("pps_v2.API/GetClusterDefaults", asked).cluster_defaults_json
    found = pages_of(PACHYDERM)
    assert len(found) >= 20 and set(BEFORE) <= set(found)
    plays: list[dict[str, Any]] = []
    count = 0
    for number, (where, content) in enumerate(found.items()):
        seeds = BEFORE.get(where, [])
        plays += [{"hosts": "localhost", "gather_facts": False, "tasks": seeds}] if seeds else []
        page = Page(tmp_path / ("page-%d" % number), content)
        plays += page.plays
        count += len(seeds) + page.count
    for directory in directories(plays):
        directory.mkdir(parents=True, exist_ok=True)
    away = [{"hosts": "localhost", "gather_facts": False, "tasks": AWAY}]
    playbooks = []
    for name, content in (("all", plays), ("away", away)):
        playbooks.append(tmp_path / ("%s.yml" % name))
        playbooks[-1].write_text(json.dumps(content), "utf-8")
    variables = {**dict.fromkeys(VARIABLES, "k3y"), "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    env = pachd_server.environment()
    try:
        ran = targets.run_playbook(playbooks[0], tmp_path, variables=variables, env=env)
        assert ran.code == 0, ran.output
    finally:
        targets.run_playbook(playbooks[1], tmp_path / "away", variables=variables, env=env)
        request = client.message("pps_v2.SetClusterDefaultsRequest", cluster_defaults_json=before)
        client.call("pps_v2.API/SetClusterDefaults", request)
    assert len([row for row in ran.rows if row.ours]) == count >= 50


def test_examples_of_fastdfs_do_what_they_say(fdfs_server: Any, tmp_path: pathlib.Path) -> None:
    found = pages_of(FDFS)
    assert len(found) >= 12 and set(FDFS_BEFORE) <= set(found)
    plays: list[dict[str, Any]] = []
    count = 0
    for number, (where, content) in enumerate(found.items()):
        page = Page(tmp_path / ("page-%d" % number), FDFS_BEFORE.get(where, []) + content)
        plays += page.plays
        count += page.count
    for directory in directories(plays):
        directory.mkdir(parents=True, exist_ok=True)
    playbook = tmp_path / "all.yml"
    playbook.write_text(json.dumps(plays), "utf-8")
    variables = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    ran = targets.run_playbook(playbook, tmp_path, variables=variables, env=fdfs_server.environment())
    assert ran.code == 0, ran.output
    assert len([row for row in ran.rows if row.ours]) == count >= 30


def test_examples_of_pegasus_do_what_they_say(pegasus_server: Any, tmp_path: pathlib.Path) -> None:
    if os.environ.get("PEGASUS_META_SERVERS"):
        pytest.skip("these use names that somebody may use there")
    found = pages_of(PEGASUS)
    assert len(found) >= 11
    plays: list[dict[str, Any]] = []
    count = 0
    for number, content in enumerate(found.values()):
        plays.append({"hosts": "localhost", "gather_facts": False, "tasks": PEGASUS_BEFORE})
        page = Page(tmp_path / ("page-%d" % number), content)
        plays += page.plays
        count += len(PEGASUS_BEFORE) + page.count
    away = {PEGASUS + "table": {"state": "absent", "batch": [{"name": name} for name in PEGASUS_AWAY]}}
    plays.append({"hosts": "localhost", "gather_facts": False, "tasks": [away]})
    playbook = tmp_path / "all.yml"
    playbook.write_text(json.dumps(plays), "utf-8")
    variables = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    ran = targets.run_playbook(playbook, tmp_path, variables=variables, env=pegasus_server.environment())
    assert ran.code == 0, ran.output
    assert len([row for row in ran.rows if row.ours]) == count + 1 >= 70
