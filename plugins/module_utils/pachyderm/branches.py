# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm branches: head, provenance and trigger; compared first, and never one that belongs to a pipeline."""

from __future__ import annotations

import dataclasses as dc
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Key,
    Made,
    Resource,
    State,
    about,
    compare,
    directive,
    key,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.common import (
    CONNECTION,
    InProject,
    name,
    project_name,
    text,
)
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.things import (
    FEW,
    pipeline_of,
    place,
    some,
    waves,
)

HEAD = re.compile(r"^([A-Za-z0-9_-]{1,63})((?:\^\d*|~\d*)*)\Z")
IDENTIFIER = re.compile(r"^[0-9a-f]{32}\Z")
LINK = ("project", "repo", "branch")
TRIGGER = {
    "branch": {"type": "str"},
    "all": {"type": "bool"},
    "rate_limit_spec": {"type": "str"},
    "cron_spec": {"type": "str"},
    "size": {"type": "str"},
    "commits": {"type": "int"},
}
MANY = "%(project)s/%(repo)s has two branches in it, and no branch can be derived from both"
DERIVED = "a branch with provenance gets its commits from the server, at once after any other head too"
FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def head(value: Any) -> str:
    """A commit: its id, or a branch, each with any ancestry such as ^, ^2 or ~3. Raises ValueError."""
    if not HEAD.match(value):
        raise ValueError("%r is no commit: write an id, or a branch, such as master or master^2" % (value,))
    return str(value)


def provenance(value: Any) -> list[dict[str, str]]:
    """Links in their normal form; a project that is left out is filled in later. Raises ValueError."""
    found = []
    for link in value:
        unknown = sorted(set(link) - set(LINK))
        if unknown:
            raise ValueError("%s is unknown in it, known are project, repo and branch" % ", ".join(unknown))
        if link.get("repo") is None:
            raise ValueError("%r names no repo" % (link,))
        row = {"repo": name(link["repo"]), "branch": name(link.get("branch") or "master")}
        if link.get("project") is not None:
            row["project"] = project_name(link["project"])
        found.append(row)
    return found


def trigger(value: Mapping[str, Any]) -> dict[str, Any]:
    """A trigger in its normal form: without what says nothing. {} is none. Raises ValueError."""
    unknown = sorted(set(value) - set(TRIGGER))
    if unknown:
        raise ValueError("%s is unknown in it, known are %s" % (", ".join(unknown), ", ".join(sorted(TRIGGER))))
    found: dict[str, Any] = {}
    for option, content in value.items():
        if content is None:
            continue
        if isinstance(content, (dict, list)):
            raise ValueError("%s is no plain value" % option)
        if option == "all":
            if str(content).lower() not in FLAGS:
                raise ValueError("all: %r is neither true nor false" % (content,))
            content = FLAGS[str(content).lower()]
        elif option == "commits":
            if isinstance(content, bool) or not re.match(r"^\d{1,18}\Z", str(content)):
                raise ValueError("commits: %r is no number of commits" % (content,))
            content = int(content)
        else:
            content = name(content) if option == "branch" else text(str(content))
        if content:
            found[option] = content
    if found and "branch" not in found:
        raise ValueError("it names no branch to watch")
    return found


@dc.dataclass
class BranchItem(InProject):
    """One branch."""

    repo: str = key(parse=name)
    name: str = key(parse=name)
    head: str = wanted(parse=head)
    provenance: Any = wanted("list", elements="dict", parse=provenance)
    trigger: Any = wanted("dict", parse=trigger, options=TRIGGER)
    force: bool = directive("bool", default=False)

    def label(self) -> str:
        return "%s/%s@%s" % (self.project, self.repo, self.name)


def _links(branches: Iterable[Any]) -> list[dict[str, str]]:
    """Branch messages as provenance has them, sorted: it is a set."""
    rows = [{"project": place(b.repo)[0], "repo": b.repo.name, "branch": b.name} for b in branches]
    return sorted(rows, key=lambda row: (row["project"], row["repo"], row["branch"]))


class Branches(Resource):
    """pachyderm_branch."""

    Item = BranchItem
    connection = CONNECTION
    noun = "branch"
    told = ("head",)

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.going: set[Key] = set()
        self.coming: set[Key] = set()
        self.pipelines: dict[tuple[str, str], Any] = {}
        self.branches: dict[tuple[str, str, str], str] = {}  # the branch of a commit, by project, repo and id

    @classmethod
    def validate(cls, item: Any) -> None:
        if item.state == "absent":
            return
        if item.head is not KEEP and HEAD.match(item.head).group(1) == item.name:  # type: ignore[union-attr]
            raise OptionError(
                "head", "%s is the branch itself" % item.head, "Leave it out to leave it alone, or give a commit's id"
            )
        if item.trigger and item.trigger["branch"] == item.name:
            raise OptionError("trigger", "a branch cannot watch itself")
        if item.trigger and item.provenance:
            raise OptionError("trigger", "a branch has either a trigger or provenance", "Leave one of them out")
        if item.head is not KEEP and item.provenance:
            raise OptionError("head", DERIVED, "Leave head out, or set provenance: []")
        for link in item.provenance or ():
            link.setdefault("project", item.project)
            if (link["project"], link["repo"]) == (item.project, item.repo):
                raise OptionError("provenance", "%(repo)s is the branch's own repo" % link, "Name another repo")
        if item.provenance:
            item.provenance.sort(key=lambda row: (row["project"], row["repo"], row["branch"]))
            if any(one == two for one, two in zip(item.provenance, item.provenance[1:])):
                raise OptionError("provenance", "a branch is named twice in it")
            for one, two in zip(item.provenance, item.provenance[1:]):
                if (one["project"], one["repo"]) == (two["project"], two["repo"]):
                    raise OptionError("provenance", MANY % one, "Leave one of its branches out")

    def read(self, items: list[Any]) -> dict[Key, State]:
        repos: dict[tuple[str, str], list[Any]] = {}
        for item in items:
            repos.setdefault((item.project, item.repo), []).append(item)
        self.going = {item.key for item in items if item.state == "absent"}
        self.coming = {item.key for item in items if item.state == "present"}
        found: dict[Key, State] = {}

        def one(job: tuple[tuple[str, str], list[Any]]) -> None:
            where, here = job
            with about(here[0]):
                if any(item.trigger for item in here):
                    self._supported(here)
                gone = any(item.state == "absent" for item in here)
                for info in self._listed(*where) if gone or len(here) >= FEW else self._each(here):
                    found[(*where, info.branch.name)] = self._state(info)

        self.run.workers.each(one, list(repos.items()))
        for where, state in found.items():
            watched = (*where[:2], state["trigger"].get("branch"))
            if watched in found:
                found[watched]["_needed"].add(where)
        return {item.key: found[item.key] for item in items if item.key in found}

    def plan(self, item: Any, present: State | None) -> Change | None:
        if item.state == "absent":
            return self._absence(item, present)
        if item.head is not KEEP:
            item = dc.replace(item, head=self._resolved(item))
        change = compare(item, present)
        if change is None:
            return None
        have, fields, told = present or {}, change.fields, change.after or {}
        if change.action == "created":
            if not item.trigger:
                fields.pop("trigger", None)
            told = change.after = dict(fields)
        self._mine(item, present)
        if "trigger" in fields and not fields["trigger"]:
            raise OptionError(
                "trigger",
                "Pachyderm cannot take a trigger away from a branch",
                "Delete the branch (state: absent), and declare it again with head: %s" % have["head"],
            )
        if "head" in fields and told.get("provenance"):
            raise OptionError("head", DERIVED, "Leave it out, or set provenance: [] beside it")
        for one, other in (("trigger", "provenance"), ("provenance", "trigger")):
            if fields.get(one) and told.get(other):
                raise OptionError(
                    one,
                    "the branch has %s, and cannot have both" % ("provenance" if one == "trigger" else "a trigger"),
                    "Set provenance: [] beside it" if one == "trigger" else "Delete the branch and declare it again",
                )
        if "provenance" in fields and "head" not in fields:
            if fields["provenance"]:
                told.pop("head", None)  # the server makes a new commit
            self._hint(item, have.get("provenance") or [])
        return change

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """What others come from first; deletions last, the other way round."""
        first = [g for g in groups if g[0].action != "deleted"]
        gone = [g for g in groups if g[0].action == "deleted"]
        return [*waves(first, _sources), *waves(gone, lambda change: (change.before or {})["_needed"])]

    def make(self, group: list[Change]) -> list[Made]:
        change = group[0]
        item = change.item
        branch = self.client.branch(item.project, item.repo, item.name)
        if change.action == "deleted":
            # Without force the server refuses a branch that has a trigger, whoever depends on it.
            force = item.force or bool((change.before or {})["trigger"])
            request = self._message("DeleteBranchRequest", branch=branch, force=force)
            try:
                self.client.call("pfs_v2.API/DeleteBranch", request)
            except StorageError as error:
                if getattr(error, "kind", "") != "missing":  # else somebody else was quicker
                    raise
            return [Made(change)]
        after, fields = change.after or {}, change.fields
        given: dict[str, Any] = {"branch": branch}  # provenance is set exactly: what is not sent is taken away
        given["provenance"] = [
            self.client.branch(link["project"], link["repo"], link["branch"]) for link in after.get("provenance") or ()
        ]
        if "head" in fields:
            given["head"] = self._commit(item, fields["head"])
        if fields.get("trigger"):
            given["trigger"] = self._trigger(fields["trigger"])
        self.client.call("pfs_v2.API/CreateBranch", self._message("CreateBranchRequest", **given))
        info = self._inspect(item)
        return [Made(change, None if info is None else self._state(info))]

    # --- planning

    def _absence(self, item: Any, present: State | None) -> Change | None:
        change = compare(item, present)
        if change is None:
            return None
        self._mine(item, present)
        left = ["%s/%s@%s" % where for where in (present or {})["_needed"] if where not in self.going]
        if left and not item.force:
            raise StorageError(
                "it is needed by %s" % some(left, "branch"),
                operation="delete branch",
                code="NEEDED",
                hint="Delete those first, or set force: true, which takes it out of their provenance",
            )
        return change

    def _mine(self, item: Any, present: State | None) -> None:
        """Raises StorageError for an output branch: the server would let us take it from its pipeline."""
        where = (item.project, item.repo)
        output = bool((present or {}).get("_output"))
        if not output:
            if where not in self.pipelines:
                self.pipelines[where] = pipeline_of(self.client, *where, details=True)
            info = self.pipelines[where]
            output = info is not None and (info.details.output_branch or "master") == item.name
        if output:
            raise StorageError(
                "it is the output branch of the pipeline %s" % item.repo,
                operation="check branch",
                code="OUTPUT_BRANCH",
                hint="Change or delete the pipeline instead",
            )

    def _commit(self, item: Any, head: str) -> Any:
        """The commit message that a head stands for: ids go without a branch, ancestry goes with the id."""
        base, ancestry = HEAD.match(head).groups()  # type: ignore[union-attr]
        if IDENTIFIER.match(base):
            old = self.client.version < (2, 6, 0)  # there a commit is one of its branch
            branch = self.branches.get((item.project, item.repo, head), "") if old else ""
            return self.client.commit(item.project, item.repo, branch, head)
        return self.client.commit(item.project, item.repo, base, ancestry)

    def _resolved(self, item: Any) -> str:
        """The id of the commit that head means; head itself where that is not there yet. Raises OptionError."""
        request = self._message("InspectCommitRequest", commit=self._commit(item, item.head))
        info = self.client.maybe("pfs_v2.API/InspectCommit", request)
        if info is not None:
            self.branches[(item.project, item.repo, info.commit.id)] = info.commit.branch.name
            return str(info.commit.id)
        base = HEAD.match(item.head).group(1)  # type: ignore[union-attr]
        if (*item.key[:2], base) in self.coming or (self.run.check and not IDENTIFIER.match(base)):
            return str(item.head)
        raise OptionError("head", "%s is no commit of %s/%s" % (item.head, item.project, item.repo))

    def _hint(self, item: Any, have: list[dict[str, str]]) -> None:
        """Warn of branches that the server will make because a provenance names them."""
        for link in item.provenance:
            where = (link["project"], link["repo"], link["branch"])
            if link in have or where in self.coming:
                continue
            request = self._message("InspectBranchRequest", branch=self.client.branch(*where))
            if self.client.maybe("pfs_v2.API/InspectBranch", request) is None:
                self.run.warnings.append(
                    "branch %s: its provenance %s/%s@%s did not exist, and Pachyderm makes it" % (item.label(), *where)
                )

    def _supported(self, items: list[Any]) -> None:
        for item in items:
            if item.trigger and "rate_limit_spec" in item.trigger:
                self.client.need("rate_limit", "trigger.rate_limit_spec")

    # --- calls

    def _message(self, name: str, **fields: Any) -> Any:
        return self.client.message("pfs_v2." + name, **fields)

    def _inspect(self, item: Any) -> Any:
        branch = self.client.branch(item.project, item.repo, item.name)
        return self.client.maybe("pfs_v2.API/InspectBranch", self._message("InspectBranchRequest", branch=branch))

    def _each(self, items: list[Any]) -> list[Any]:
        return [info for info in map(self._inspect, items) if info is not None]

    def _listed(self, project: str, repo: str) -> list[Any]:
        request = self._message("ListBranchRequest", repo=self.client.repo(project, repo))
        try:
            return list(self.client.stream("pfs_v2.API/ListBranch", request))
        except StorageError as error:
            if getattr(error, "kind", "") != "missing":
                raise
            return []

    def _state(self, info: Any) -> State:
        own = info.branch.repo
        found: State = {"head": info.head.id, "provenance": _links(info.direct_provenance)}
        found["trigger"] = self._told(info.trigger) if info.HasField("trigger") else {}
        found["_output"] = any(b.repo.type == "spec" and place(b.repo) == place(own) for b in info.direct_provenance)
        found["_needed"] = {(*place(b.repo), b.name) for b in info.subvenance}
        return found

    def _told(self, message: Any) -> dict[str, Any]:
        """A trigger message in the normal form. Before 2.7 the field of rate_limit_spec was called cron_spec."""
        found = {option: getattr(message, option) for option in TRIGGER}
        if not self.client.can("rate_limit"):
            found["cron_spec"], found["rate_limit_spec"] = found["rate_limit_spec"], ""
        return {option: content for option, content in found.items() if content}

    def _trigger(self, want: Mapping[str, Any]) -> Any:
        fields = dict(want)
        if "cron_spec" in fields and not self.client.can("rate_limit"):
            fields["rate_limit_spec"] = fields.pop("cron_spec")
        return self._message("Trigger", **fields)


def _sources(change: Change) -> list[Key]:
    """The keys of the branches that have to be there before this one."""
    item, after = change.item, change.after or {}
    found: list[Key] = [(link["project"], link["repo"], link["branch"]) for link in after.get("provenance") or ()]
    bases = [(after.get("trigger") or {}).get("branch")]
    bases += [HEAD.match(item.head).group(1)] if item.head is not KEEP else []  # type: ignore[union-attr]
    return found + [(item.project, item.repo, base) for base in bases if base]
