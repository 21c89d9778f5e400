# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions: what they hold is tried at once and done when they are finished."""

from __future__ import annotations

from typing import Any

from polystore_sandbox.pachyderm.base import Call, Refused, Service
from polystore_sandbox.pachyderm.making import one_set
from polystore_sandbox.pachyderm.messages import message
from polystore_sandbox.pachyderm.state import stamp

# What may be part of a transaction: the call, and the field of transaction_v2.TransactionRequest.
PARTS = {
    "pfs_v2.API/CreateRepo": "create_repo",
    "pfs_v2.API/DeleteRepo": "delete_repo",
    "pfs_v2.API/StartCommit": "start_commit",
    "pfs_v2.API/FinishCommit": "finish_commit",
    "pfs_v2.API/SquashCommitSet": "squash_commit_set",
    "pfs_v2.API/CreateBranch": "create_branch",
    "pfs_v2.API/DeleteBranch": "delete_branch",
    "pps_v2.API/StopJob": "stop_job",
}
METHODS = {field: method for method, field in PARTS.items()}
PANIC = "panic: runtime error: invalid memory address or nil pointer dereference"


class Transactions(Service):
    """Table `transactions`: id -> {"requests": [bytes], "started": nanoseconds}."""

    grpc = "transaction_v2.API"
    order = 20

    @property
    def held(self) -> dict[str, Any]:
        """The open ones."""
        found: dict[str, Any] = self.state.table("transactions")
        return found

    def around(self, method: str, request: Any, call: Call, proceed: Any) -> Any:
        """A call with the header of a transaction becomes part of it."""
        if not call.transaction or method not in PARTS:
            return proceed()
        found = self._find(call.transaction)
        part = message("transaction_v2.TransactionRequest")()
        getattr(part, PARTS[method]).CopyFrom(request)
        requests = [*found["requests"], part.SerializeToString()]
        with self.state.tried():
            replies = self._run(requests, call.transaction, call)
        self._find(call.transaction)["requests"] = requests
        return replies[-1]

    def _find(self, wanted: str) -> Any:
        if wanted not in self.held:
            raise Refused("NOT_FOUND", f"transactions {wanted} not found")
        return self.held[wanted]

    def _run(self, requests: list[bytes], set_id: str, call: Call) -> list[Any]:
        """Does all in turn; Refused says which could not be done."""
        replies = []
        with one_set(self.state, set_id):
            for number, data in enumerate(requests, 1):
                part = message("transaction_v2.TransactionRequest").FromString(data)
                field = next((field.name for field, _value in part.ListFields()), "")
                try:
                    replies.append(self._do(field, part, call))
                except Refused as exc:
                    raise exc.under(f"error running request {number} of {len(requests)}") from exc
        return replies

    def _do(self, field: str, part: Any, call: Call) -> Any:
        if field not in METHODS:
            raise Refused("UNIMPLEMENTED", "unrecognized transaction request")
        request = getattr(part, field)
        reply = self.state.calls[METHODS[field]](request, call)
        if field == "delete_repo" and self.state.since(8):
            reply.deleted = True  # told before it is known
        return reply

    def _info(self, wanted: str, requests: list[bytes], started: int, replies: list[Any]) -> Any:
        info = self.make("transaction_v2.TransactionInfo", started=stamp(started), version=len(requests))
        info.transaction.id = wanted
        info.requests.extend(message("transaction_v2.TransactionRequest").FromString(data) for data in requests)
        for reply in replies:
            response = info.responses.add()
            if reply.DESCRIPTOR.full_name == "pfs_v2.Commit":
                response.commit.CopyFrom(reply)
        return info

    def StartTransaction(self, _request: Any, _call: Call) -> Any:
        """An id for the header."""
        wanted = self.state.new_id()
        self.held[wanted] = {"requests": [], "started": self.state.now()}
        return self.make("transaction_v2.Transaction", id=wanted)

    def InspectTransaction(self, request: Any, call: Call) -> Any:
        """What is in it."""
        wanted = request.transaction.id
        found = self._find(wanted)
        with self.state.tried():
            replies = self._run(found["requests"], wanted, call)
        return self._info(wanted, found["requests"], found["started"], replies)

    def ListTransaction(self, _request: Any, call: Call) -> Any:
        """All, oldest first."""
        infos = [self._info(name, held["requests"], held["started"], []) for name, held in self.held.items()]
        return self.make("transaction_v2.TransactionInfos", transaction_info=infos)

    def DeleteTransaction(self, request: Any, _call: Call) -> Any:
        """Forgets it."""
        self._find(request.transaction.id)
        del self.held[request.transaction.id]
        return self.empty()

    def FinishTransaction(self, request: Any, call: Call) -> Any:
        """Does it all, or nothing and it stays."""
        wanted = request.transaction.id
        found = self._find(wanted)
        requests, started = found["requests"], found["started"]
        with self.state.all_or_nothing():
            replies = self._run(requests, wanted, call)
            self.held.pop(wanted, None)
        return self._info(wanted, requests, started, replies)

    def BatchTransaction(self, request: Any, call: Call) -> Any:
        """Does what is given, all or nothing."""
        for part in request.requests:
            if part.HasField("delete_repo") and not part.delete_repo.repo.HasField("project") and self.state.since(12):
                raise Refused("ABORTED", PANIC)
        requests = [part.SerializeToString() for part in request.requests]
        wanted = self.state.new_id()
        with self.state.all_or_nothing():
            replies = self._run(requests, wanted, call)
        return self._info(wanted, requests, self.state.now(), replies)

    def DeleteAll(self, _request: Any, _call: Call) -> Any:
        """Forgets all."""
        self.held.clear()
        return self.empty()


SERVICES = [Transactions]
