# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests: what a good one is, and what is said of bad ones."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.document import Document
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.kinds import KINDS
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.manifest import Manifest, Mistakes, Reader
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.schema import schema

SECRET = "hush-4711"
GOOD_CONNECTIONS = """\
connections:
  swift: {auth_type: v1, auth: {auth_url: "http://127.0.0.1:1/auth/v1.0", username: u, password: hush-4711}}
  fastdfs: {trackers: [127.0.0.1]}
"""


def render(text: str, known: Mapping[str, Any]) -> Any:
    """A templar of the tests: {{ name }}."""
    name = text[2:-2].strip()
    if name not in known:
        raise StorageError("'%s' is undefined" % name)
    return known[name]


def read(text: str, name: str = "m.yml", environ: Mapping[str, str] | None = None) -> Manifest:
    return Reader(Document.parse(text, name, "/srv/x"), environ or {}, render).read()


def mistakes(text: str, name: str = "m.yml") -> list[dict[str, Any]]:
    with pytest.raises(Mistakes) as told:
        read(text, name)
    assert SECRET not in told.value.told()
    return told.value.found


# (name, text after "estate: e\n", line, path, part of the message)
BAD = [
    ("unknown-top", "swfit: {}\n", 2, "swfit", "unknown here. Did you mean swift?"),
    ("unknown-top-far", "zzz: {}\n", 2, "zzz", "Known here: estate, connections, vars, swift"),
    ("twice", "estate: f\n", 2, "estate", "it is there twice"),
    ("system-no-dict", "swift: [1]\n", 2, "swift", "is no dictionary. It holds lists: containers, objects, trees"),
    ("unknown-kind", "swift:\n  container: []\n", 3, "swift.container", "Did you mean containers?"),
    ("no-list", "swift:\n  containers: {name: a}\n", 3, "swift.containers", "is no list"),
    ("no-dict", "swift:\n  containers:\n    - a\n", 4, "swift.containers[0]", "is no dictionary. Every item"),
    ("null-item", "swift:\n  containers:\n    -\n", 4, "swift.containers[0]", "is no dictionary"),
    ("no-name", "swift:\n  containers:\n    - quota_count: 1\n", 4, "swift.containers[0].name", "is required"),
    (
        "typo",
        "swift:\n  containers:\n    - {name: a, qouta_count: 1}\n",
        4,
        "swift.containers[0].qouta_count",
        "quota_",
    ),
    ("slash", "swift:\n  containers:\n    - name: a/b\n", 4, "swift.containers[0].name", "/"),
    ("int", "swift:\n  containers:\n    - {name: a, quota_count: x}\n", 4, "swift.containers[0].quota_count", "'x'"),
    ("size", "swift:\n  containers:\n    - {name: a, quota_bytes: 1Q}\n", 4, "swift.containers[0].quota_bytes", "size"),
    ("bool", "swift:\n  containers:\n    - {name: a, versioning: 7}\n", 4, "swift.containers[0].versioning", "neither"),
    ("dict", "swift:\n  containers:\n    - {name: a, metadata: 7}\n", 4, "swift.containers[0].metadata", "dictionary"),
    (
        "suboption",
        "swift:\n  containers:\n    - {name: a, web: {indx: b}}\n",
        4,
        "swift.containers[0].web",
        "indx is unknown in it",
    ),
    (
        "acl",
        'swift:\n  containers:\n    - {name: a, write_acl: ".r:*"}\n',
        4,
        "swift.containers[0].write_acl",
        "referr",
    ),
    (
        "same",
        "swift:\n  containers:\n    - name: a\n    - name: a\n",
        5,
        "swift.containers[1]",
        "first time it is on line 4",
    ),
    (
        "two-contents",
        "swift:\n  objects:\n    - {container: a, name: b, content: x, src: y}\n",
        4,
        "swift.objects[0].content",
        "cannot be given together with src",
    ),
    (
        "choice",
        "swift:\n  objects:\n    - {container: a, name: b, compare: never}\n",
        4,
        "swift.objects[0].compare",
        "'never' is not one of checksum",
    ),
    (
        "expiry",
        "swift:\n  objects:\n    - {container: a, name: b, expires: soon}\n",
        4,
        "swift.objects[0].expires",
        "neither a duration",
    ),
    (
        "base64",
        "swift:\n  objects:\n    - {container: a, name: b, content_b64: '%%'}\n",
        4,
        "swift.objects[0].content_b64",
        "not valid base64",
    ),
    ("tree-src", "swift:\n  trees:\n    - container: a\n", 4, "swift.trees[0].src", "is required"),
    (
        "max-delete",
        "swift:\n  trees:\n    - {container: a, src: b, max_delete: most}\n",
        4,
        "swift.trees[0].max_delete",
        "neither a number nor a share",
    ),
    ("relative", "alluxio:\n  directories:\n    - path: a\n", 4, "alluxio.directories[0].path", "begin at the root"),
    ("mode", "alluxio:\n  files:\n    - {path: /a, mode: rwx}\n", 4, "alluxio.files[0].mode", "octal"),
    ("ttl", "alluxio:\n  files:\n    - {path: /a, ttl: long}\n", 4, "alluxio.files[0].ttl", "no duration"),
    ("root-mount", "alluxio:\n  mounts:\n    - path: /\n", 4, "alluxio.mounts[0].path", "no mount point"),
    ("repo-name", "pachyderm:\n  repos:\n    - name: a b\n", 4, "pachyderm.repos[0].name", "a b"),
    ("root-file", "pachyderm:\n  files:\n    - {repo: a, path: /}\n", 4, "pachyderm.files[0].path", "the whole branch"),
    (
        "spec-twice",
        "pachyderm:\n  pipelines:\n    - {name: a, spec: {}, spec_src: b}\n",
        4,
        "pachyderm.pipelines[0].spec_src",
        "cannot be given together",
    ),
    (
        "spec-name",
        "pachyderm:\n  pipelines:\n    - {name: a, spec: {pipeline: {name: b}}}\n",
        4,
        "pachyderm.pipelines[0].name",
        "the spec says b",
    ),
    ("state", "pachyderm:\n  repos:\n    - {name: a, state: gone}\n", 4, "pachyderm.repos[0].state", "'gone'"),
    ("no-manifest", "fastdfs:\n  files:\n    - name: a\n", 4, "fastdfs.files[0].manifest", "is missing"),
    (
        "file-group",
        "fastdfs:\n  files:\n    - {name: a, manifest: m, file_group: a-group-with-a-long-name}\n",
        4,
        "fastdfs.files[0].file_group",
        "group",
    ),
    (
        "slave",
        "fastdfs:\n  files:\n    - {name: a, manifest: m, type: slave}\n",
        4,
        "fastdfs.files[0].master",
        "is missing",
    ),
    ("protect", "swift:\n  containers:\n    - {name: a, protect: 7}\n", 4, "swift.containers[0].protect", "neither"),
    (
        "protect-absent",
        "swift:\n  containers:\n    - {name: a, protect: true, state: absent}\n",
        4,
        "swift.containers[0].protect",
        "what is protected cannot be absent",
    ),
    ("vars", "vars: [1]\n", 2, "vars", "is no dictionary"),
    (
        "undefined",
        'swift:\n  containers:\n    - name: "{{ nothing }}"\n',
        4,
        "swift.containers[0].name",
        "'nothing' is undefined",
    ),
    (
        "no-alias",
        "swift:\n  containers:\n    - {name: a, connection: other}\n",
        4,
        "swift.containers[0].connection",
        "there is no connection other",
    ),
    (
        "wrong-alias",
        "swift:\n  containers:\n    - {name: a, connection: alluxio}\n",
        4,
        "swift.containers[0].connection",
        "alluxio is a connection to alluxio",
    ),
    ("unresolved", "fastdfs:\n  files:\n    - {name: a, manifest: m}\n", 1, "connections.fastdfs", "tracker"),
]


@pytest.mark.parametrize(("text", "line", "path", "part"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_said_of_a_bad_manifest(text: str, line: int, path: str, part: str) -> None:
    connections = GOOD_CONNECTIONS if path != "connections.fastdfs" else ""
    found = mistakes("estate: e\n" + text + connections)
    assert [(row["line"], row["path"]) for row in found] == [(line, path)], found
    assert part in found[0]["message"]


# The same of connections; no secret is told.
BAD_CONNECTIONS = [
    ("no-dict", "connections: hush-4711\n", 2, "connections", "is no dictionary"),
    ("no-system", "connections:\n  other: {url: a, password: hush-4711}\n", 3, "connections.other", "An alias says"),
    (
        "bad-system",
        "connections:\n  other: {system: swfit, auth: {password: hush-4711}}\n",
        3,
        "connections.other",
        "Did you mean swift?",
    ),
    ("swap", "connections:\n  swift: {system: alluxio}\n", 3, "connections.swift.system", "is itself a system"),
    (
        "typo",
        "connections:\n  swift: {auth_typ: v1, auth: {password: hush-4711}}\n",
        3,
        "connections.swift.auth_typ",
        "Did you mean auth_type?",
    ),
    ("auth-text", "connections:\n  swift: {auth: hush-4711}\n", 3, "connections.swift.auth", "dict"),
    ("int", "connections:\n  swift:\n    timeout: soon\n", 4, "connections.swift.timeout", "int"),
    ("choice", "connections:\n  swift: {auth_type: v9}\n", 3, "connections.swift.auth_type", "v3password"),
    ("auth-key", "connections:\n  swift: {auth: {pasword: hush-4711}}\n", 3, "connections.swift.auth", "pasword"),
    ("template", 'connections:\n  swift: {region_name: "{{ no }}"}\n', 3, "connections.swift.region_name", "undefined"),
]


@pytest.mark.parametrize(
    ("text", "line", "path", "part"), [row[1:] for row in BAD_CONNECTIONS], ids=[row[0] for row in BAD_CONNECTIONS]
)
def test_what_is_said_of_a_bad_connection(text: str, line: int, path: str, part: str) -> None:
    found = mistakes("estate: e\n" + text)
    assert [(row["line"], row["path"]) for row in found] == [(line, path)], found
    assert part in found[0]["message"]


@pytest.mark.parametrize(
    ("text", "name", "line", "part"),
    [
        ("", "m.yml", None, "a manifest is a mapping"),
        ("- a\n", "m.yml", 1, "a manifest is a mapping"),
        ("vars: {}\n", "m.yml", 1, "estate is missing"),
        ("estate: a b\n", "m.yml", 1, "'a b' is no name"),
        ("estate: a\nswift: {\n", "m.yml", 3, "not valid YAML"),
        ("estate: a\nvars: &x {y: *x}\n", "m.yml", 2, "an anchor holds itself"),
        ("estate: a\nvars: {s: !vault x}\n", "m.yml", 2, "vault"),
        ('{"estate": "a",\n "swift" []}', "m.json", 2, "not valid JSON"),
        ('{"estate": "a",\n "estate": "b"}', "m.json", 2, "it is there twice"),
        ('{"estate": "a",\n "swift": {"containers": [\n  {"nam": "x"}]}}', "m.json", 3, "Did you mean name?"),
    ],
)
def test_what_is_said_of_a_bad_document(text: str, name: str, line: int | None, part: str) -> None:
    found = mistakes(text, name)
    assert (found[0]["line"], part in found[0]["message"]) == (line, True), found


def test_every_mistake_is_told_at_once_in_the_order_of_lines() -> None:
    text = "estate: a b\nswift:\n  containers:\n    - nmae: x\n  objects:\n    - {container: c}\nalluxi: {}\n"
    with pytest.raises(Mistakes) as told:
        read(text)
    assert [row["line"] for row in told.value.found] == [1, 4, 4, 6, 7]
    assert told.value.told().startswith("m.yml has 5 mistakes; nothing was asked of any server:\nline 1, estate: ")


def test_a_good_manifest() -> None:
    text = GOOD_CONNECTIONS + (
        "  mirror: {system: swift, auth_type: v1, auth: {auth_url: http://x/auth/v1.0, username: v, password: w}}\n"
        "estate: e\nvars: {where: songs, all: '{{ where }}'}\n"
        "swift:\n  containers:\n    - {name: '{{ all }}', protect: true}\n    - {name: songs, connection: mirror}\n"
        "  trees:\n    - {container: songs, src: tree}\n"
        "fastdfs:\n  files:\n    - {name: a, manifest: ids.json, content: x}\n"
    )
    found = read(text)
    assert [(d.kind.place, d.connection, d.item.label(), d.protect) for d in found.items] == [
        ("swift.containers", "swift", "songs", True),
        ("swift.containers", "mirror", "songs", False),
        ("swift.trees", "swift", "songs/", False),
        ("fastdfs.files", "fastdfs", "a", False),
    ]
    assert found.items[2].item.src == "/srv/x/tree"
    assert found.items[3].item.manifest == "/srv/x/ids.json"
    assert found.connections["mirror"][1]["auth"]["username"] == "v"
    assert SECRET in found.secrets
    assert found.digest == read(text.replace(SECRET, "another")).digest  # a password may change
    assert found.digest != read(text.replace("content: x", "content: y")).digest


def test_json_is_the_same() -> None:
    data = {"estate": "e", "alluxio": {"directories": [{"path": "/ä"}]}}
    found = read(json.dumps(data), "m.json", {"ALLUXIO_PROXY_URL": "http://127.0.0.1:1"})
    assert [d.item.path for d in found.items] == ["/ä"]


def test_only_some_systems() -> None:
    text = "estate: e\nswift:\n  containers: [{name: a}]\nalluxio:\n  directories: [{path: /a}]\n"
    document = Document.parse(text, "m.yml", "/")
    found = Reader(document, {}, render, ["alluxio"]).read()
    assert [d.kind.system for d in found.items] == ["alluxio"]


def test_the_schema_is_shipped(collection: pathlib.Path) -> None:
    """It is what the modules' options say; POLYSTORE_RECORD=1 writes it anew."""
    path = collection / "roles" / "fixtures" / "files" / "estate.schema.json"
    if os.environ.get("POLYSTORE_RECORD"):
        path.write_text(json.dumps(schema(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    shipped = json.loads(path.read_text("utf-8"))
    if shipped != schema():
        pytest.fail("%s is not what the modules say now: run this test with POLYSTORE_RECORD=1" % path.name)
    for kind in KINDS:
        item = shipped["properties"][kind.system]["properties"][kind.name]["items"]
        assert set(item["properties"]) >= {*kind.options, "protect", "connection"}
