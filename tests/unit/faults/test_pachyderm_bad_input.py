# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of pachyderm_project, _repo and _branch that cannot be right: nothing is sent."""

from __future__ import annotations

import importlib

import pytest
from ansible_collections.polystore.storage.tests.support.run import run_task
from ansible_collections.polystore.storage.tests.unit.faults.test_bad_input import local, placed, refused

__all__ = ["local"]
B = {"repo": "r", "name": "b"}

# (module, options, what the message says); "@x" is the path x in a directory made for the test.
CASES = [
    ("project", {}, "name: is required"),
    ("repo", {}, "name: is required"),
    ("branch", {"name": "b"}, "repo: is required"),
    ("branch", {"repo": "r"}, "name: is required"),
    # names
    ("project", {"name": ""}, "name: '' is no project"),
    ("project", {"name": "_a"}, "name: '_a' is no project: 1 to 51 letters"),
    ("project", {"name": "-a"}, "beginning with a letter or digit"),
    ("project", {"name": "a.b"}, "name: 'a.b' is no project"),
    ("project", {"name": "x" * 52}, "is no project: 1 to 51 letters"),
    ("project", {"name": "a\nb"}, "holds a control character"),
    ("repo", {"name": ""}, "name: '' is no name: 1 to 63"),
    ("repo", {"name": "a.b"}, "name: 'a.b' is no name"),
    ("repo", {"name": "a/b"}, "name: 'a/b' is no name"),
    ("repo", {"name": "a@b"}, "name: 'a@b' is no name"),
    ("repo", {"name": "bücher"}, "name: 'bücher' is no name"),
    ("repo", {"name": "x" * 64}, "is no name: 1 to 63"),
    ("repo", {"name": "r", "project": "_p"}, "project: '_p' is no project"),
    ("repo", {"name": "r", "project": ""}, "project: '' is no project"),
    ("branch", {"repo": "r s", "name": "b"}, "repo: 'r s' is no name"),
    ("branch", {"repo": "r", "name": "master^"}, "name: 'master^' is no name"),
    # texts
    ("project", {"name": "p", "description": "a\0b"}, "description: 'a\\x00b' holds a NUL"),
    ("repo", {"name": "r", "description": "\udcff"}, "description: '\\udcff' is not valid UTF-8"),
    ("repo", {"name": "r", "metadata": {"": "v"}}, "metadata: an empty name is none"),
    ("repo", {"name": "r", "metadata": {"k": ["v"]}}, "metadata: the value of 'k' is no text"),
    ("project", {"name": "p", "metadata": {"k": {"deep": 1}}}, "metadata: the value of 'k' is no text"),
    ("project", {"name": "p", "metadata": ["k"]}, "metadata"),
    ("repo", {"name": "r", "purge_metadata": "perhaps"}, "purge_metadata"),
    # projects
    ("project", {"name": "default", "state": "absent"}, "name: the project default is never deleted"),
    ("project", {"name": "default", "state": "absent", "force": True}, "name: the project default is never deleted"),
    ("project", {"name": "p", "defaults": {"transform": {"image": "a"}}}, "defaults: "),
    ("project", {"name": "p", "defaults": {"createPipelineRequest": {"frobnicate": 1}}}, "frobnicate"),
    ("project", {"name": "p", "defaults": {"createPipelineRequest": {"datumTries": "many"}}}, "datumTries"),
    ("project", {"name": "p", "defaults": "none"}, "defaults"),
    ("project", {"name": "p", "project": "q"}, "project"),
    # roles
    ("repo", {"name": "r", "roles": {"jane": ["repoReader"]}}, "roles: 'jane' is no principal"),
    ("repo", {"name": "r", "roles": {"user:": ["repoReader"]}}, "roles: 'user:' is no principal"),
    ("repo", {"name": "r", "roles": {"xx:jane": ["repoReader"]}}, "roles: 'xx:jane' is no principal"),
    (
        "repo",
        {"name": "r", "roles": {"user:jane": {"repoReader": True}}},
        "roles: the roles of 'user:jane' are no list",
    ),
    ("repo", {"name": "r", "roles": {"user:jane": [1]}}, "roles: the roles of 'user:jane' are no list"),
    ("repo", {"name": "r", "roles": {"user:jane": [""]}}, "roles: the roles of 'user:jane' are no list"),
    ("repo", {"name": "r", "roles": ["repoReader"]}, "roles"),
    # heads
    ("branch", {**B, "head": ""}, "head: '' is no commit"),
    ("branch", {**B, "head": "r@master"}, "head: 'r@master' is no commit"),
    ("branch", {**B, "head": "master.1"}, "head: 'master.1' is no commit"),
    ("branch", {**B, "head": "^"}, "head: '^' is no commit"),
    ("branch", {**B, "head": "b"}, "head: b is the branch itself"),
    ("branch", {**B, "head": "b^"}, "head: b^ is the branch itself"),
    # provenance
    ("branch", {**B, "provenance": [{"branch": "m"}]}, "names no repo"),
    ("branch", {**B, "provenance": [{"repo": "a.b"}]}, "provenance: 'a.b' is no name"),
    ("branch", {**B, "provenance": [{"repo": "a", "branch": "m^"}]}, "provenance: 'm^' is no name"),
    ("branch", {**B, "provenance": [{"repo": "a", "project": "_"}]}, "provenance: '_' is no project"),
    ("branch", {**B, "provenance": [{"repo": "a", "id": "1"}]}, "provenance: id is unknown in it"),
    ("branch", {**B, "provenance": [{"repo": "r", "branch": "m"}]}, "provenance: r is the branch's own repo"),
    ("branch", {**B, "provenance": [{"repo": "a"}, {"repo": "a", "branch": "master"}]}, "a branch is named twice"),
    ("branch", {**B, "provenance": [{"repo": "a"}, {"repo": "a", "branch": "m"}]}, "default/a has two branches in it"),
    ("branch", {**B, "provenance": ["a"]}, "provenance"),
    ("branch", {**B, "provenance": [{"repo": "a"}], "head": "m"}, "head: a branch with provenance gets its commits"),
    # triggers
    ("branch", {**B, "trigger": {"commits": 3}}, "trigger: it names no branch to watch"),
    ("branch", {**B, "trigger": {"branch": "b", "commits": 3}}, "trigger: a branch cannot watch itself"),
    ("branch", {**B, "trigger": {"branch": "m", "commits": -3}}, "trigger: commits: -3 is no number of commits"),
    ("branch", {**B, "trigger": {"branch": "m", "commits": "few"}}, "commits"),
    ("branch", {**B, "trigger": {"branch": "m", "all": "perhaps"}}, "all"),
    ("branch", {**B, "trigger": {"branch": "m^"}}, "trigger: 'm^' is no name"),
    ("branch", {**B, "trigger": {"branch": "m", "cron": "@every 1h"}}, "cron"),
    ("branch", {**B, "trigger": {"branch": "m"}, "provenance": [{"repo": "a"}]}, "either a trigger or provenance"),
    # batches
    ("repo", {"batch": [{"name": "a"}, {"name": "b/c"}]}, "batch[1].name: 'b/c' is no name"),
    ("repo", {"batch": [{"name": "a"}, {"title": "b"}]}, "batch[1].title: unknown option"),
    ("repo", {"batch": [{"name": "a"}, {"name": "a", "project": "default"}]}, "default/a is declared twice"),
    ("repo", {"batch": [{"name": "a", "metadata": "x"}]}, "batch[0].metadata: 'x' is no dictionary"),
    ("branch", {"repo": "r", "batch": [{"name": "a"}, {"name": "a"}]}, "default/r@a is declared twice"),
    ("branch", {"repo": "r", "batch": [{"name": "a", "trigger": {"cron": 1}}]}, "batch[0].trigger: cron is unknown"),
    ("branch", {"repo": "r", "batch": [{"name": "a", "trigger": {"branch": "m", "all": 2}}]}, "neither true nor false"),
    (
        "project",
        {"batch": [{"name": "p"}, {"name": "default", "state": "absent"}]},
        "batch[1].name: the project default",
    ),
    ("project", {"batch_src": "@none.yml"}, "batch_src: "),
    ("project", {"name": "p", "parallel": 0}, "parallel: 0 is out of bounds"),
    ("project", {"name": "p", "state": "gone"}, "state"),
    # the connection
    ("repo", {"name": "r", "address": "ftp://host"}, "address: "),
    ("repo", {"name": "r", "address": "grpc://host:many"}, "address: "),
    ("repo", {"name": "r", "address": "grpc://u:p@host"}, "address: "),
    ("repo", {"name": "r", "auth_token": "secret-in-no-message\n"}, "auth_token: it holds what no token can"),
    ("repo", {"name": "r", "timeout": 0}, "timeout: 0 is out of bounds"),
    ("repo", {"name": "r", "retries": -1}, "retries: -1 is out of bounds"),
    ("repo", {"name": "r", "address": "grpcs://host", "ca_cert": "@none.pem"}, "none.pem does not exist"),
    ("repo", {"name": "r", "address": "grpc://host", "server_name": "x"}, "server_name: grpc://host is not TLS"),
    ("repo", {"name": "r", "config_file": "@none.json"}, "none.json cannot be read"),
    ("repo", {"name": "r", "config_file": "@broken.json"}, "broken.json is no configuration of pachctl"),
    ("repo", {"name": "r", "context": "none"}, "config_file: "),
]


def subject(name):
    """The class that a module runs."""
    return importlib.import_module("ansible_collections.polystore.storage.plugins.modules.pachyderm_" + name).SUBJECT


@pytest.mark.parametrize(
    ("module", "options", "told"), CASES, ids=["%03d-%s-%s" % (n, c[0], "-".join(c[1])) for n, c in enumerate(CASES)]
)
def test_refused_before_anything_is_sent(pachd_server, local, module, options, told, monkeypatch):
    monkeypatch.chdir(local)
    monkeypatch.setenv("HOME", str(local))
    mark = pachd_server.mark()
    for check in (False, True):
        refused(run_task(subject(module), pachd_server, check=check, **placed(options, local)), told)
    assert pachd_server.requests(mark) == []


def test_there_are_many():
    assert len(CASES) >= 60
    assert len({(c[0], str(c[1])) for c in CASES}) == len(CASES)
