# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages, the modules' and all of them, against 52 calls recorded on a real pachd 2.12 (vectors.json)."""

from __future__ import annotations

import gc
import json
import os
import pathlib
import re
import subprocess
import sys
import weakref
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import schema
from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from polystore_sandbox.pachyderm import messages

HERE = pathlib.Path(__file__).resolve().parent
VECTORS: list[dict[str, Any]] = json.loads((HERE / "vectors.json").read_text("utf-8"))
KNOWN = [vector for vector in VECTORS if vector["name"] != "unknown method"]


def bodies(found: Any) -> list[bytes]:
    """The messages of one side that were recorded whole."""
    sides = found if isinstance(found, list) else [found]
    return [bytes.fromhex(side) for side in sides if isinstance(side, str)]


def unknown(message: Any) -> list[str]:
    """Fields that came and have no name here, at any depth."""
    found = []
    kept = json_format.MessageToDict(message)
    again = type(message)()
    json_format.ParseDict(kept, again)
    if again != message or again.ByteSize() != message.ByteSize():
        found.append(message.DESCRIPTOR.full_name)
    return found


@pytest.mark.parametrize("vector", KNOWN, ids=[vector["name"] for vector in KNOWN])
def test_a_recorded_call_is_understood_whole(vector: dict[str, Any]) -> None:
    method = messages.METHODS[vector["method"].lstrip("/")]
    sides = ["stream" if streams else "unary" for streams in (method.client_stream, method.server_stream)]
    assert vector["kind"] == "_".join(sides)
    for data in bodies(vector["request"]):  # the SDK writes fields in another order
        message = method.request.FromString(data)
        assert len(message.SerializeToString()) == len(data) and unknown(message) == []
    for data in bodies(vector["response"]):
        message = method.response.FromString(data)
        assert message.SerializeToString(deterministic=True) == data and unknown(message) == []


def within(part: Any, whole: Any) -> bool:
    """Whether part is whole, but for what is left out of it."""
    if isinstance(part, dict):
        return all(name in whole and within(value, whole[name]) for name, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(within, part, whole))
    return bool(part == whole)


@pytest.mark.parametrize("vector", KNOWN, ids=[vector["name"] for vector in KNOWN])
def test_the_modules_see_the_same_of_it(vector: dict[str, Any]) -> None:
    name = vector["method"].lstrip("/")
    all_of_it, mine = messages.METHODS[name], schema.METHODS.get(name)
    if mine is None:
        assert vector["name"] in ("secret missing", "transaction start", "transaction finish")
        return
    assert mine[:4] == all_of_it[:4]
    for side in ("request", "response"):
        for data in bodies(vector[side]):
            part, whole = (json_format.MessageToDict(getattr(m, side).FromString(data)) for m in (mine, all_of_it))
            assert within(part, whole)


def test_the_modules_schema_has_no_calls_that_no_module_makes() -> None:
    sources = [path.read_text("utf-8") for path in (HERE.parents[2] / "plugins").rglob("*.py")]
    made = {name for text in sources for name in re.findall(r"\w+\.API/[\w%]+", text)}
    forms = [re.escape(name).replace("%s", r"\w+") for name in made]
    assert [name for name in schema.METHODS if not any(re.fullmatch(form, name) for form in forms)] == []
    for name in schema.METHODS:
        assert schema.METHODS[name][:4] == messages.METHODS[name][:4]


@pytest.mark.parametrize("known", [schema, messages])
def test_every_method_has_its_messages(known: Any) -> None:
    assert len(messages.METHODS) > 75
    for name, method in known.METHODS.items():
        assert name.count(".API/") == 1
        assert method.request.DESCRIPTOR.full_name == method.request_name
        assert method.response.DESCRIPTOR.full_name == method.response_name


@pytest.mark.parametrize(
    ("name", "field", "number", "kind"),
    [
        ("pfs_v2.Commit", "repo", 3, "pfs_v2.Repo"),
        ("pfs_v2.CommitInfo", "error", 10, None),
        ("pfs_v2.CommitInfo", "direct_provenance", 13, "pfs_v2.Commit"),
        ("pfs_v2.Trigger", "rate_limit_spec", 3, None),
        ("pfs_v2.Trigger", "cron_spec", 6, None),
        ("pfs_v2.AddFile", "raw", 3, "google.protobuf.BytesValue"),
        ("pps_v2.CreatePipelineRequest", "maximum_expected_uptime", 39, "google.protobuf.Duration"),
        ("pps_v2.PipelineInfo", "user_spec_json", 13, None),
        ("pps_v2.PipelineInfo.Details", "input", 13, "pps_v2.Input"),
        ("pps_v2.RerunPipelineRequest", "reprocess", 15, None),
        ("pps_v2.Toleration", "toleration_seconds", 5, "google.protobuf.Int64Value"),
        ("metadata.Edit", "delete_key", 13, "metadata.Edit.DeleteKey"),
    ],
)
def test_fields_have_their_numbers(name: str, field: str, number: int, kind: str | None) -> None:
    found = messages.message(name).DESCRIPTOR.fields_by_name[field]
    assert found.number == number
    assert (found.message_type.full_name if found.message_type else None) == kind


def test_enums_count_as_the_server_does() -> None:
    assert messages.enum("pfs_v2.CommitState").values_by_name["FINISHED"].number == 4
    assert messages.enum("auth_v2.Permission").values_by_number[200].name == "REPO_READ"
    assert messages.enum("auth_v2.Permission").values_by_name["PROJECT_MODIFY_BINDINGS"].number == 404
    assert schema.message("pfs_v2.InspectCommitRequest")(wait="FINISHED").SerializeToString() == b"\x10\x04"


def test_maps_lists_and_one_of_several() -> None:
    info = schema.message("pfs_v2.RepoInfo")(metadata={"a": "1"}, branches=[{"name": "b"}])
    assert json_format.MessageToDict(info) == {"metadata": {"a": "1"}, "branches": [{"name": "b"}]}
    binding = schema.message("auth_v2.RoleBinding")()
    binding.entries["robot:x"].roles["repoReader"] = True
    assert json_format.MessageToDict(binding) == {"entries": {"robot:x": {"roles": {"repoReader": True}}}}
    request = schema.message("pfs_v2.ModifyFileRequest")(delete_file={"path": "/a"})
    request.add_file.path = "/b"
    assert request.WhichOneof("body") == "add_file" and not request.HasField("delete_file")


def test_an_empty_file_differs_from_no_source() -> None:
    empty = schema.message("pfs_v2.AddFile")(path="/a", raw={})
    assert empty.WhichOneof("source") == "raw"
    assert empty.SerializeToString() == b"\x0a\x02/a\x1a\x00"


def test_what_a_newer_server_adds_is_passed_over() -> None:
    data = schema.message("pfs_v2.RepoInfo")(description="x").SerializeToString() + b"\xfa\x3f\x01z"
    assert schema.message("pfs_v2.RepoInfo").FromString(data).description == "x"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(KeyError):
        schema.message("pfs_v2.Nothing")


def test_other_definitions_of_the_same_names_do_no_harm() -> None:
    other = descriptor_pb2.FileDescriptorProto(name="pfs_v2.proto", package="pfs_v2", syntax="proto3")
    other.message_type.add(name="Repo").field.add(name="other", number=1, label=1, type=9)
    descriptor_pool.Default().AddSerializedFile(other.SerializeToString())
    assert descriptor_pool.Default().FindMessageTypeByName("pfs_v2.Repo").fields[0].name == "other"
    assert schema.message("pfs_v2.Repo").DESCRIPTOR.fields[0].name == "name"


def test_protobuf_without_its_c_part_is_enough() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from %s import schema as s; "
    code += "print(sum(1 for m in s.METHODS.values() if m.request and m.response)); "
    code += "print(s.message('pfs_v2.Repo')(name='x').SerializeToString())"
    package = schema.__name__.rpartition(".")[0]
    env = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    root = str(HERE.parents[5])
    done = subprocess.run(
        [sys.executable, "-c", code % package, root], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.split("\n")[:2] == [str(len(schema.METHODS)), r"b'\n\x01x'"], done.stderr


def test_no_class_is_collected() -> None:
    """A class that one thread's garbage collection takes while another gets it ends the process."""
    made = schema.message("pfs_v2.CommitInfo")(details={"size_bytes": 3})
    held = weakref.ref(type(made.details))
    del made
    gc.collect()
    assert held() is not None
