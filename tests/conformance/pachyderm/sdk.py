# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short names for what Pachyderm's official SDK (PyPI pachyderm-sdk 2.12.2) sends and gets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import betterproto
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

MINE = "cf-"  # what everything is called that is made here
NO_ID = f"{4:0>13}".ljust(32, "0")  # looks like a commit's id, and is none
client = Client.from_pachd_address(os.environ["PACHD_ADDRESS"])


def as_dict(message: Any) -> Any:
    """A message as the recorded lines have it."""
    return message.to_dict(casing=betterproto.Casing.SNAKE)


def project(name: str) -> pfs.Project:
    """A project."""
    return pfs.Project(name=name)


def repo(name: str) -> pfs.Repo:
    """A repo: r or project/r."""
    return pfs.Repo.from_uri(name)


def branch(name: str) -> pfs.Branch:
    """A branch: r@b."""
    return pfs.Branch.from_uri(name)


def commit(name: str) -> pfs.Commit:
    """A commit: r@b or r@id."""
    return pfs.Commit.from_uri(name)


def file(name: str) -> pfs.File:
    """A file: r@b:/path."""
    return pfs.File.from_uri(name)


def pipeline(name: str, of: str = "default") -> pps.Pipeline:
    """A pipeline."""
    return pps.Pipeline(name=name, project=project(of))


def name_of(info: Any) -> str:
    """What an info is about."""
    for kind in ("repo", "project", "pipeline", "secret"):
        about = getattr(info, kind, None)
        if about:
            return str(about.name)
    raise ValueError(f"{info} has no name")


def mine(infos: Iterable[Any]) -> list[Any]:
    """Those that were made here."""
    return [info for info in infos if name_of(info).startswith(MINE)]


def paths(infos: Iterable[Any]) -> list[str]:
    """Of FileInfos."""
    return [info.file.path for info in infos]


def ids(infos: Iterable[Any]) -> list[str]:
    """Of CommitInfos."""
    return [info.commit.id for info in infos]


def brief(info: Any) -> list[Any]:
    """A FileInfo: path, type, size, hash."""
    return [info.file.path, pfs.FileType(info.file_type).name, info.size_bytes, info.hash.hex()]


def whole(messages: Iterable[Any]) -> bytes:
    """The content that comes in a stream."""
    return b"".join(message.value for message in messages)


def ended(info: Any) -> dict[str, Any]:
    """How a commit ended."""
    size = info.details.size_bytes if info.details else None
    return {"error": info.error, "origin": pfs.OriginKind(info.origin.kind).name, "size": size}


def message(**fields: Any) -> pfs.ModifyFileRequest:
    """One of a stream to ModifyFile."""
    return pfs.ModifyFileRequest(**fields)


def write(where: str, files: dict[str, bytes]) -> Any:
    """Files replaced in one stream to a branch."""
    stream = [message(set_commit=commit(where))]
    for path, content in files.items():
        stream.append(message(delete_file=pfs.DeleteFile(path=path)))
        stream.append(message(add_file=pfs.AddFile(path=path, raw=content)))
    return client.pfs.modify_file(iter(stream))


def put(where: str, files: dict[str, bytes]) -> Any:
    """The same, waiting for the commit: the answer is how it ended."""
    write(where, files)
    return client.pfs.wait_commit(commit(where))


def document(name: str, of: str = "cf-in", within: str = "default", **more: Any) -> dict[str, Any]:
    """A pipeline's document."""
    named = {"name": name, "project": {"name": within}}
    transform = {"image": "img:1", "cmd": ["sh"], "stdin": ["true"]}
    return {"pipeline": named, "transform": transform, "input": {"pfs": {"repo": of, "glob": "/*"}}, **more}


def create(given: dict[str, Any] | str, **fields: Any) -> Any:
    """CreatePipelineV2."""
    text = given if isinstance(given, str) else json.dumps(given)
    return client.pps.create_pipeline_v2(create_pipeline_request_json=text, **fields)


def clean() -> None:
    """Takes away all that was made here."""
    for info in mine(client.pps.list_pipeline()):
        client.pps.delete_pipeline(pipeline=info.pipeline, force=True)
    for info in mine(client.pfs.list_repo(type="user")):
        client.pfs.delete_repo(repo=info.repo, force=True)
    for info in mine(client.pfs.list_project()):
        client.pfs.delete_project(project=info.project)
    for info in mine(client.pps.list_secret().secret_info):
        client.pps.delete_secret(secret=info.secret)
