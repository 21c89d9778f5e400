# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for pachd: what a real 2.12 answers, and the dialects of older versions.

How a gRPC service is written here. Any module of this package may hold `SERVICES: list[type[Service]]`; nothing else
names it. A class of it has `grpc = "pps_v2.API"` and one method for each RPC, named as the RPC is; several classes may
share one gRPC service (their RPCs are put together). All of them share one `State` (`self.state`).

    unary            def InspectRepo(self, request, call): return message("pfs_v2.RepoInfo")(...)   under state.lock
    server stream    def ListRepo(self, request, call): yield ...       takes state.lock itself for what it looks up
    client stream    def ModifyFile(self, requests, call): return ...   takes state.lock itself
    a unary RPC that waits is marked with @waits: it is called without the lock; state.wait(condition, call) waits

Errors: raise Refused("NOT_FOUND", "words"). `call` is a Call: token, transaction (the two headers), active().
Lasting data: state.table("pipelines") is a dict of that name, with plain Python values or dataclasses of this package
that pickle; it is saved after each call that may have changed it, and outlives a restart.
Undoing: `with state.all_or_nothing():` takes back what was done to the tables when the block raises;
`with state.tried():` takes it back always.

Hooks: a service may have `around(self, method, request, call, proceed)`: every unary RPC goes through all of them,
lowest `order` first (auth 10, transactions 20), under the lock; `proceed()` goes on and returns the answer. One with
`check(self, method, call)` is asked before every call of any kind, streams too (auth: who is it).
state.permit(call, permission, resource_type, name) is asked by PFS for rights ("REPO_WRITE", "REPO", "default/r"); auth
puts its own function there. state.listeners are called as listener(commit) for each commit that a write made on a
branch with provenance (a pipeline's output), and listener may finish it later.
behave: a service's `settings` (name -> default) may be changed while it runs and are in state.settings.

What PPS needs of PFS is in graph.py: create_repo, delete_repo, create_branch, start_commit, finish_commit.
"""

from __future__ import annotations
