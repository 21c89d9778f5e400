# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tokens that forks share."""

from __future__ import annotations

import os

from ansible_collections.polystore.storage.plugins.plugin_utils.tokens import SharedTokens


def in_child(work) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_a_child_puts_its_parent_and_siblings_get() -> None:
    store = SharedTokens()
    in_child(lambda: store.put("a", ["token", "url", 1.5]))
    assert store.get("a") == ["token", "url", 1.5]
    assert store.get("b") is None

    def sibling() -> None:
        if store.get("a") != ["token", "url", 1.5]:
            raise SystemExit(1)

    in_child(sibling)


def test_many_children_lose_nothing() -> None:
    store = SharedTokens()
    pids = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            for step in range(20):
                store.put("%d-%d" % (number, step), number)
            os._exit(0)
        pids.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
    assert all(store.get("%d-%d" % (n, s)) == n for n in range(8) for s in range(20))


def test_the_oldest_go_when_there_is_no_room() -> None:
    store = SharedTokens(size=300)
    for number in range(20):
        store.put(str(number), "x" * 40)
    assert store.get("19") == "x" * 40
    assert store.get("0") is None
    store.put("huge", "x" * 400)
    assert store.get("huge") is None
