# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What those share that declare projects, repos, branches and pipelines: metadata, order, what an error tells."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Change, Key
from ansible_collections.polystore.storage.plugins.module_utils.core.values import plural
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.common import DEFAULT, text

FEW = 8  # of so many wanted things in one place on, the place is listed
LONG = 600.0  # seconds for what deletes a lot in one transaction


def metadata(value: Mapping[str, Any]) -> dict[str, str | None]:
    """Metadata in its normal form: text values; null means removal. Raises ValueError."""
    found: dict[str, str | None] = {}
    for field, content in value.items():
        if not field or isinstance(content, (dict, list)):
            raise ValueError("the value of %r is no text" % (field,) if field else "an empty name is none")
        found[text(field)] = None if content is None else text(_plain(content))
    return found


def _plain(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def some(names: Iterable[str], noun: str) -> str:
    """ "3 repos (a, b, c)", and no more than five of them named."""
    found = sorted(set(names))
    told = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    return "%d %s (%s)" % (len(found), noun if len(found) == 1 else plural(noun), told)


def place(repo: Any) -> tuple[str, str]:
    """(project, name) of a pfs_v2.Repo or pps_v2.Pipeline message; servers before 2.5 name no project."""
    return (repo.project.name or DEFAULT, repo.name)


def output_of(client: Any, project: str, repo: str) -> bool:
    """Whether a repo is the output of a pipeline: one of its name exists."""
    return pipeline_of(client, project, repo) is not None


def pipeline_of(client: Any, project: str, name: str, details: bool = False) -> Any:
    """The PipelineInfo, or None."""
    request = client.message("pps_v2.InspectPipelineRequest", pipeline=client.pipeline(project, name), details=details)
    return client.maybe("pps_v2.API/InspectPipeline", request)


def pipelines_in(client: Any, project: str) -> set[str]:
    """The names of a project's pipelines, in one call."""
    fields: dict[str, Any] = {"projects": [{"name": project}]} if client.can("projects") else {}
    rows = client.stream("pps_v2.API/ListPipeline", client.message("pps_v2.ListPipelineRequest", **fields))
    return {row.pipeline.name for row in rows}


def edit_metadata(client: Any, target: Mapping[str, Any], before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Lead the metadata of a thing from before to after, in one call. target: picker fields such as picked() gives."""
    edits = [{"edit_key": {"key": k, "value": v}} for k, v in sorted(after.items()) if before.get(k) != v]
    edits += [{"delete_key": {"key": k}} for k in sorted(before) if k not in after]
    if edits:
        rows = [client.message("metadata.Edit", **target, **edit) for edit in edits]
        client.call("metadata.API/EditMetadata", client.message("metadata.EditMetadataRequest", edits=rows))


def picked(project: str, repo: str = "") -> dict[str, Any]:
    """The target of edit_metadata: a repo, or without one the project."""
    if not repo:
        return {"project": {"name": project}}
    return {"repo": {"name": {"project": {"name": project}, "name": repo, "type": "user"}}}


@contextlib.contextmanager
def after(done: str) -> Iterator[None]:
    """An error raised in this block tells what had been done before it, if anything was."""
    try:
        yield
    except StorageError as error:
        error.message = "%s, but then: %s" % (done, error.message) if done else error.message
        raise


def waves(changes: Iterable[list[Change]], needs: Callable[[Change], Iterable[Key]]) -> list[list[list[Change]]]:
    """Groups of one change each in waves: after those whose keys they need. What goes round in a circle is last."""
    left, found = list(changes), []
    while left:
        keys = {group[0].item.key for group in left}
        ready = [g for g in left if not any(k in keys and k != g[0].item.key for k in needs(g[0]))] or left
        begun = {id(group) for group in ready}
        found.append(ready)
        left = [group for group in left if id(group) not in begun]
    return found
