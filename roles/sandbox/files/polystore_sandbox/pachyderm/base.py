# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every service of the stand-in is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from polystore_sandbox.pachyderm.messages import message

EMPTY = "google.protobuf.Empty"
Function = TypeVar("Function", bound=Callable[..., Any])


class Refused(Exception):
    """An answer that is an error: the name of a gRPC status code, and words."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words

    def under(self, prefix: str) -> Refused:
        """The same with what was being done before it."""
        return Refused(self.code, f"{prefix}: {self.words}")


def waits(function: Function) -> Function:
    """Marks a unary RPC that is called without the lock."""
    function.waits = True  # type: ignore[attr-defined]
    return function


class Call:
    """What an RPC came with beside its message."""

    def __init__(self, method: str, headers: dict[str, str], active: Callable[[], bool] = lambda: True) -> None:
        self.method = method
        self.token = headers.get("authn-token", "")
        self.transaction = headers.get("pach-transaction", "")
        self.active = active


class Service:
    """One gRPC service, or a part of one."""

    grpc = ""
    order = 50
    settings: dict[str, Any] = {}

    def __init__(self, state: Any) -> None:
        self.state = state

    def make(self, name: str, **values: Any) -> Any:
        """A message; None and empty values are left out."""
        return message(name)(**{key: value for key, value in values.items() if value is not None})

    def empty(self) -> Any:
        """google.protobuf.Empty."""
        return message(EMPTY)()
