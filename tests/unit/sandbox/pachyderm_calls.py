# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw calls to pachd, with nothing between the test and the wire but the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict
from polystore_sandbox.pachyderm.messages import METHODS, message

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_metadata_size", 2**22),
    ("grpc.absolute_max_metadata_size", 2**23),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


def failure(call: Callable[[], Any]) -> tuple[str, str]:
    """Code and words of a call that has to fail."""
    try:
        answer = call()
    except grpc.RpcError as exc:
        return exc.code().name, exc.details()
    raise AssertionError(f"this succeeded: {answer}")


class Calls:
    """A channel."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address.removeprefix("grpc://"), options=OPTIONS)
        self.threads = ThreadPoolExecutor(8)

    def __enter__(self) -> Calls:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.channel.close()
        self.threads.shutdown()

    def raw(self, method: str, data: bytes) -> Any:
        """The bytes of an answer."""
        return self.channel.unary_unary("/" + method)(data, timeout=60)

    def call(self, method: str, request: Any, headers: dict[str, str] | None = None, timeout: float = 60) -> Any:
        """One call; request: a message, or messages. The answer, or the list of them."""
        known = METHODS[method]
        kind = ("stream" if known.client_stream else "unary") + ("_stream" if known.server_stream else "_unary")
        made = getattr(self.channel, kind)(
            "/" + method,
            request_serializer=lambda value: value.SerializeToString(),
            response_deserializer=known.response.FromString,
        )
        answer = made(request, timeout=timeout, metadata=list((headers or {}).items()))
        return list(answer) if known.server_stream else answer

    def make(self, full: str, /, **fields: Any) -> Any:
        """A message from fields that are messages or plain data."""
        made = message(full)()
        for field, value in fields.items():
            if hasattr(value, "SerializeToString"):
                getattr(made, field).CopyFrom(value)
            else:
                ParseDict({field: value}, made)
        return made

    def pfs(self, rpc: str, /, **fields: Any) -> Any:
        """A call of pfs_v2.API."""
        return self.call(
            f"pfs_v2.API/{rpc}", self.make(METHODS[f"pfs_v2.API/{rpc}"].request.DESCRIPTOR.full_name, **fields)
        )

    def later(self, rpc: str, /, **fields: Any) -> Future[Any]:
        """The same in a thread."""
        return self.threads.submit(self.pfs, rpc, **fields)

    def modify(self, branch: Any, changes: Iterable[dict[str, Any]]) -> Any:
        """One ModifyFile stream; branch: a message, put into set_commit."""
        first = self.make("pfs_v2.ModifyFileRequest", set_commit=self.make("pfs_v2.Commit", branch=branch))
        messages = [first, *(ParseDict(change, message("pfs_v2.ModifyFileRequest")()) for change in changes)]
        return self.call("pfs_v2.API/ModifyFile", iter(messages))

    def version(self) -> tuple[int, int, int]:
        """Major, minor, micro."""
        got = self.call("versionpb_v2.API/GetVersion", message("google.protobuf.Empty")())
        return got.major, got.minor, got.micro

    def repo(self, name: str, project: str = "default", kind: str = "user") -> Any:
        """pfs_v2.Repo."""
        return self.make("pfs_v2.Repo", name=name, type=kind, project={"name": project})

    def branch(self, repo: str, name: str = "master") -> Any:
        """pfs_v2.Branch."""
        return self.make("pfs_v2.Branch", repo=self.repo(repo), name=name)

    def commit(self, repo: str, branch: str = "", commit_id: str = "") -> Any:
        """pfs_v2.Commit."""
        return self.make("pfs_v2.Commit", repo=self.repo(repo), branch=self.branch(repo, branch), id=commit_id)

    def file(self, repo: str, path: str, branch: str = "master") -> Any:
        """pfs_v2.File."""
        return self.make("pfs_v2.File", commit=self.commit(repo, branch), path=path)
