# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs an integration target, or any playbook, with ansible-playbook; records every task; compares two recordings."""

from __future__ import annotations

import dataclasses as dc
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.polystore.storage.tests.support.servers import server_python

COLLECTION = pathlib.Path(__file__).resolve().parents[2]
INTEGRATION = COLLECTION / "tests" / "integration"
TARGETS = INTEGRATION / "targets"
MODULES = {path.stem for path in (COLLECTION / "plugins" / "modules").glob("*.py")}
FOREIGN = ("ANSIBLE_", "OS_", "ST_", "ALLUXIO_", "PACHD_", "PACH_", "AUTH_TOKEN", "FDFS_", "PEGASUS_")
SWITCH = "polystore_fast_path"

# What may differ between two runs of one playbook, and why. Nothing else may.
DIFFERS = {
    "invocation": "only an ordinary module tells its arguments",
    "requests": "the fast path keeps its token from task to task",
    "bytes_received": "as requests",
    "bytes_sent": "as requests: what takes its time may be asked for again",
    "last_modified": "when it was written",
    "created_at": "as last_modified",
    "delta": "how long a command ran",
    "start": "when a command ran",
    "end": "as start",
    "pid": "who ran",
    "exception": "where our code was when it failed",
    "account": "its totals lag behind what is in it",
    "containers": "as account, and other tests have theirs there",
    "attempts": "how often a condition was asked for",
    "file_id": "a file made anew has another one",
    "uptime_seconds": "when it was asked",
    "capacity_bytes": "of the disk that everybody here uses",
    "used_bytes": "as capacity_bytes",
    "created": "as last_modified",
    "started": "as created",
    "finishing": "as created",
    "finished": "as created",
    "committed": "as created",
    "id": "a commit made anew has another one",
    "head": "the id of a commit",
    "parent": "as head",
    "defaults": "what was put back is the same in other words",
    "state": "what a pipeline has come to by then",
    "pipeline_state": "as state",
    "reason": "as state",
    "last_job_state": "as state",
    "data": "as state",
    "file_group": "a tracker may take groups in turn",
    "storage": "uploads to FastDFS go to its storages in turn",
    "read_from": "which of them have a file already",
    "change_at": "as storage",
    "counters": "what FastDFS has done until then",
    "free_mb": "of the disk that everybody here uses",
    "last_heart_beat_time": "when it was asked",
    "last_source_update": "as last_modified",
    "last_sync_update": "as last_modified",
    "last_synced_timestamp": "as last_modified",
    "conn_alloc": "who is connected then",
    "conn_current": "as conn_alloc",
    "conn_max": "as conn_alloc",
    "app_id": "a table made anew has another one",
    "dropped_tables": "each way drops its own",
    "ttl": "what is left of it then",
    "primary_replica_count_stddev": "of tables that everybody here makes",
    "total_replica_count_stddev": "as primary_replica_count_stddev",
}

# Lists in the order in which a server got their things, which are made at the same time.
SORTED = ("projects", "repos", "branches", "pipelines")


@dc.dataclass
class Row:
    """What one task came to on one host."""

    task: str
    action: str
    host: str
    outcome: str
    result: dict[str, Any]
    seconds: float
    at: float = 0.0

    @property
    def ours(self) -> bool:
        """Whether a module of this collection ran."""
        return self.action.rsplit(".", 1)[-1] in MODULES

    @property
    def by_module(self) -> bool:
        """Whether an ordinary module made this result: it tells its arguments, the fast path has no process to."""
        rows = [self.result, *[r for r in self.result.get("results") or [] if isinstance(r, dict)]]
        return any("invocation" in row for row in rows)


@dc.dataclass
class Ran:
    """A finished ansible-playbook. output: both streams; errors: what came on stderr."""

    code: int
    output: str
    rows: list[Row]
    errors: str = ""

    def named(self, task: str) -> list[Row]:
        """The rows of the task with this name (the last part of it, without a role's)."""
        return [row for row in self.rows if row.task.rsplit(" : ", 1)[-1] == task]

    def recap(self, word: str) -> int:
        """A number of the closing recap, over all hosts: recap("changed")."""
        tail = self.output.rsplit("PLAY RECAP", 1)[-1]
        parts = [part.partition("=") for line in tail.splitlines() for part in line.split()]
        return sum(int(value) for name, _equals, value in parts if name == word and value.isdigit())


def environment(scratch: pathlib.Path, extra: Mapping[str, str]) -> dict[str, str]:
    """A clean environment for Ansible with the collection on its path; extra: the connection's variables."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    plugins = INTEGRATION / "plugins"
    config = scratch / "ansible.cfg"
    config.write_text("[defaults]\n", "ascii")
    env.update(
        ANSIBLE_COLLECTIONS_PATH=str(COLLECTION.parents[2]),
        ANSIBLE_ROLES_PATH=str(TARGETS),
        ANSIBLE_CALLBACK_PLUGINS=str(plugins / "callback"),
        ANSIBLE_CALLBACKS_ENABLED="recorder",
        ANSIBLE_BECOME_PLUGINS=str(plugins / "become"),
        ANSIBLE_HOME=str(scratch / "home"),
        ANSIBLE_LOCAL_TEMP=str(scratch / "tmp"),
        ANSIBLE_ASYNC_DIR=str(scratch / "async"),
        ANSIBLE_REMOTE_TEMP=str(scratch / "tmp"),
        ANSIBLE_CONFIG=str(config),
        POLYSTORE_SANDBOX_VENV=str(pathlib.Path(server_python()).parent.parent),
        ANSIBLE_PIPELINING="true",
        ANSIBLE_DEPRECATION_WARNINGS="false",
        ANSIBLE_LOCALHOST_WARNING="false",
        ANSIBLE_NOCOLOR="true",
        ANSIBLE_RETRY_FILES_ENABLED="false",
        LC_ALL="C.UTF-8",
        **extra,
    )
    return env


def run_playbook(
    playbook: str | pathlib.Path,
    scratch: pathlib.Path,
    *options: str,
    variables: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    inventory: Sequence[str] = (),
    seconds: float = 300,
    within: Sequence[str] = (),
) -> Ran:
    """Runs a playbook (a file or an FQCN) and records it.

    scratch: a directory of this run; env: the connection; inventory: lines of an INI inventory besides testhost;
    within: words before the command, as of a namespace that it runs in.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    record, hosts = scratch / "record.jsonl", scratch / "inventory"
    record.write_text("", "utf-8")
    line = "testhost ansible_connection=local ansible_python_interpreter=%s" % sys.executable
    local = line.replace("testhost", "localhost")
    hosts.write_text("\n".join([line, *(inventory or [local]), ""]), "utf-8")
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(hosts), "-e", json.dumps(variables or {})]
    done = subprocess.run(
        [*within, *command, *options, str(playbook)],
        # ansible-core 2.21 tells a module's arguments, by which it is known here, only when asked.
        env={
            **environment(scratch, env or {}),
            "POLYSTORE_RECORD": str(record),
            "ANSIBLE_INJECT_INVOCATION": "true",
        },
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    rows = [Row(**json.loads(row)) for row in record.read_text("utf-8").splitlines()]
    return Ran(done.returncode, done.stderr + done.stdout, rows, done.stderr)


@dc.dataclass
class Step:
    """What a role came to once. changed: tasks that changed something; why: what it failed with; told: what its URL
    answered afterwards, {} when that was nothing."""

    rows: list[Row]
    failed: bool
    changed: int
    why: str
    told: dict[str, Any]


ASKED, GIVEN_UP = "What it tells", "It failed"


def run_steps(
    role: str,
    each: Iterable[Sequence[Mapping[str, Any]]],
    scratch: pathlib.Path,
    *options: str,
    url: str = "",
    **more: Any,
) -> tuple[Ran, list[Step]]:
    """Runs a role again and again in one ansible-playbook, which is quicker than one for each time; a step that fails
    stops no other.

    each: for every step the variables of the role, once or several times; url: asked after each; more: of run_playbook.
    """
    words = "told {{ lookup('ansible.builtin.url', %r, use_proxy=false, split_lines=false, errors='ignore') }}" % url
    after = [{"name": ASKED, "ansible.builtin.debug": {"msg": words}}] if url else []
    failed = [{"name": GIVEN_UP, "ansible.builtin.debug": {"msg": "It is recorded why."}}]
    plays: list[dict[str, Any]] = []
    for number, times in enumerate(each):
        imports = [{"ansible.builtin.import_role": {"name": role}, "vars": dict(given)} for given in times]
        tasks = [{"block": imports, "rescue": failed}, *after]
        plays.append({"hosts": "step%d" % number, "gather_facts": False, "tasks": tasks})
    scratch.mkdir(parents=True, exist_ok=True)
    playbook = scratch / "steps.yml"
    playbook.write_text(json.dumps(plays), "utf-8")
    line = "%s ansible_connection=local ansible_python_interpreter=" + sys.executable
    ran = run_playbook(playbook, scratch, *options, inventory=[line % play["hosts"] for play in plays], **more)
    return ran, [_step([row for row in ran.rows if row.host == play["hosts"]]) for play in plays]


def _step(rows: list[Row]) -> Step:
    names = [row.task for row in rows]
    told = str(rows[names.index(ASKED)].result.get("msg", "")) if ASKED in names else ""
    failed = [row for row in rows if row.outcome in ("failed", "unreachable")]
    return Step(
        rows,
        not rows or GIVEN_UP in names,
        sum(row.outcome == "ok" and bool(row.result.get("changed")) for row in rows),
        str(failed[-1].result.get("msg")) if failed else "",
        json.loads(told.partition(" ")[2]) if told.startswith("told {") else {},
    )


def run_target(
    name: str, fast: bool, scratch: pathlib.Path, env: Mapping[str, str], prefix: str, files: pathlib.Path
) -> Ran:
    """Runs one integration target as ansible-test does: as a role on testhost.

    prefix: of all its names; files: a directory for it.
    """
    return _run_plays([_play(name, prefix, files)], fast, scratch, env)


def run_targets(
    names: Iterable[str], fast: bool, scratch: pathlib.Path, env: Mapping[str, str], prefix: str, files: pathlib.Path
) -> Ran:
    """Runs several integration targets in one playbook, each with a prefix and a directory of its own."""
    plays = [_play(name, "%s-%d" % (prefix, number), files / name) for number, name in enumerate(names)]
    return _run_plays(plays, fast, scratch, env)


def _play(name: str, prefix: str, files: pathlib.Path) -> dict[str, Any]:
    given = {"polystore_prefix": prefix, "polystore_scratch": str(files)}
    return {"name": name, "hosts": "testhost", "gather_facts": False, "vars": given, "roles": [name]}


def _run_plays(plays: list[dict[str, Any]], fast: bool, scratch: pathlib.Path, env: Mapping[str, str]) -> Ran:
    playbook = scratch / "target.yml"
    scratch.mkdir(parents=True, exist_ok=True)
    playbook.write_text(json.dumps(plays), "utf-8")
    switched: dict[str, Any] = {}
    if not fast:
        python = os.environ.get("POLYSTORE_TARGET_PYTHON") or sys.executable
        switched = {SWITCH: False, "ansible_python_interpreter": python}
    return run_playbook(playbook, scratch, variables=switched, env=env, seconds=300.0 * len(plays))


def plain(value: Any) -> Any:
    """A result without what may differ; servers, uploads and commits of a run's own have ports, names and ids."""
    if isinstance(value, dict):
        told = {k: plain(v) for k, v in value.items() if k not in DIFFERS and not k.startswith("_ansible")}
        if str(told.get("expires", "")).startswith("20"):  # counted from when it was written; others never expire
            told["expires"] = "MOMENT"
        for name in SORTED:
            if isinstance(told.get(name), list):
                told[name].sort(key=json.dumps)
        return told
    if isinstance(value, str):
        value = re.sub(r"(/\.polystore-[0-9a-f]{16})-[0-9a-f]{8}", r"\1-RANDOM", value)
        value = re.sub(r"(@|[Cc]ommit[ /]|head )[0-9a-f]{32}\b", r"\1ID", value)
        value = re.sub(r"\bgroup\d+/M\d\d(/[0-9A-F]{2}){2}/[\w.-]+", "FILE", value)
        return re.sub(r"(127\.0\.0\.\d+):\d+", r"\1:PORT", value)
    return [plain(v) for v in value] if isinstance(value, list) else value


def _paths(one: Any, other: Any, at: str = "") -> Iterable[str]:
    """Where two plain values differ, as lines to read."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(set(one) | set(other)):
            if name not in one or name not in other:
                yield "%s.%s: only %s" % (at, name, "by the module" if name in other else "on the fast path")
            else:
                yield from _paths(one[name], other[name], "%s.%s" % (at, name))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _paths(left, right, "%s[%d]" % (at, number))
    elif one != other:
        yield "%s: %r on the fast path, %r by the module" % (at, one, other)


def differences(fast: Ran, module: Ran) -> list[str]:
    """What the two ways told differently, as lines to read; empty when nothing."""
    if [r.task for r in fast.rows] != [r.task for r in module.rows]:
        return ["other tasks ran: %s / %s" % ([r.task for r in fast.rows], [r.task for r in module.rows])]
    found = []
    for one, other in zip(fast.rows, module.rows, strict=True):
        left: dict[str, Any] = {"outcome": one.outcome}
        right: dict[str, Any] = {"outcome": other.outcome}
        if one.ours:  # what others' modules tell (process ids, times) is not ours to compare
            left.update(plain(one.result))
            right.update(plain(other.result))
        for side in (left, right):
            if side["outcome"] == "ignored":  # the fast path tries once more when the token it was lent is refused
                side.get("summary", {}).pop("writes", None)
        found += ["%s: %s" % (one.task, line) for line in _paths(left, right)]
    return found
