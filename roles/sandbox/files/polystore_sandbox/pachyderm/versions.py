# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version has which call and which field."""

from __future__ import annotations

from typing import Any

Version = tuple[int, int, int]

CALLS = """\
2.1 pfs_v2: CheckStorage ClearCache GetCache ListTask PutCache
2.1 pps_v2: ListTask RenderTemplate
2.2 pfs_v2: Egress
2.4 pfs_v2: ShardFileSet
2.5 pfs_v2: CreateProject DeleteProject DeleteRepos InspectProject ListProject
2.5 pps_v2: DeletePipelines GetKubeEvents
2.6 pfs_v2: FindCommits
2.6 pps_v2: QueryLoki
2.8 pfs_v2: DropCommit SquashCommit
2.8 pps_v2: CreatePipelineV2 GetClusterDefaults GetProjectDefaults RerunPipeline SetClusterDefaults SetProjectDefaults
2.9 pfs_v2: InspectProjectV2
2.9 pps_v2: CheckStatus CreateDatum
2.10 pfs_v2: ReposSummary WalkBranchProvenance WalkBranchSubvenance WalkCommitProvenance WalkCommitSubvenance
2.10 pps_v2: PipelinesSummary
2.10 metadata: EditMetadata
2.11 pfs_v2: ForgetCommit
2.12 admin_v2: RestartPachyderm
"""

FIELDS = """\
2.3 versionpb_v2.Version: git_commit git_tree_modified build_date go_version platform
2.4 pfs_v2.GetFileRequest: path_range
2.4 pfs_v2.GlobFileRequest: path_range
2.4 pfs_v2.ListCommitRequest: started_time
2.4 pfs_v2.ListFileRequest: paginationMarker number reverse
2.4 pps_v2.ListPipelineRequest: commit_set
2.4 pps_v2.Transform: memory_volume
2.5 pfs_v2.ListRepoRequest: projects
2.5 pfs_v2.Repo: project
2.5 pfs_v2.WalkFileRequest: paginationMarker number reverse
2.5 pps_v2.CreatePipelineRequest: tolerations
2.5 pps_v2.CronInput: project
2.5 pps_v2.ListJobRequest: projects paginationMarker number reverse
2.5 pps_v2.ListPipelineRequest: projects
2.5 pps_v2.PFSInput: project
2.5 pps_v2.Pipeline: project
2.5 pps_v2.PipelineInfo.Details: tolerations
2.5 pps_v2.Transform: datum_batching
2.6 pfs_v2.Commit: repo
2.6 pfs_v2.CommitInfo: direct_provenance
2.6 pfs_v2.ProjectInfo: auth_info created_at
2.6 pps_v2.CreatePipelineRequest: sidecar_resource_requests
2.6 pps_v2.PipelineInfo.Details: sidecar_resource_requests
2.7 pfs_v2.Trigger: cron_spec
2.7 pps_v2.CreatePipelineRequest: dry_run determined
2.7 pps_v2.PipelineInfo.Details: determined
2.7 admin_v2.ClusterInfo: proxy_host proxy_tls
2.8 pfs_v2.DeleteRepoResponse: deleted
2.8 pps_v2.DeletePipelineRequest: must_exist
2.7 pps_v2.PipelineInfo: user_spec_json
2.8 pps_v2.PipelineInfo: effective_spec_json
2.8 pps_v2.StopPipelineRequest: must_exist
2.8 admin_v2.ClusterInfo: warnings_ok warnings paused web_resources
2.8 transaction_v2.TransactionRequest: create_pipeline_v2
2.9 pps_v2.CreatePipelineRequest: maximum_expected_uptime
2.9 pps_v2.PipelineInfo.Details: maximum_expected_uptime workers_started_at
2.10 pfs_v2.BranchInfo: metadata
2.10 pfs_v2.CommitInfo: metadata direct_subvenance
2.10 pfs_v2.ListRepoRequest: page
2.10 pfs_v2.ProjectInfo: metadata
2.10 pfs_v2.RepoInfo: metadata
2.10 pps_v2.ListPipelineRequest: page
2.10 admin_v2.ClusterInfo: metadata
2.11 pfs_v2.BranchInfo: created_by created_at updated_at
2.11 pfs_v2.CommitInfo: created_by created_at updated_at
2.11 pfs_v2.ProjectInfo: created_by
2.11 pps_v2.GetProjectDefaultsResponse: created_by created_at
2.11 pps_v2.PipelineInfo: metadata
2.11 pps_v2.PipelineInfo.Details: updated_at created_by
2.11 metadata.Edit: pipeline
2.12 pfs_v2.BranchInfo: branch_propagation_specs
2.12 pfs_v2.CreateBranchRequest: branch_propagation_specs
2.12 pps_v2.PFSInput: propagation_spec reference
2.12 admin_v2.ClusterInfo: pending_restart restart_info
"""


def _read(text: str) -> dict[tuple[str, str], Version]:
    found: dict[tuple[str, str], Version] = {}
    for line in text.splitlines():
        version, name, *members = line.replace(":", "").split()
        for member in members:
            found[name, member] = (2, int(version[2:]), 0)
    return found


_CALLS, _FIELDS = _read(CALLS), _read(FIELDS)


def has_call(method: str, version: Version) -> bool:
    """Whether that version has "pfs_v2.API/InspectRepo"."""
    package, _dot, rest = method.partition(".API/")
    return version >= _CALLS.get((package, rest), (2, 0, 0))


def age(message: Any, version: Version) -> Any:
    """The message without the fields that the version does not know; the message itself is changed."""
    if version >= (2, 12, 0):
        return message
    name = message.DESCRIPTOR.full_name
    for field, value in message.ListFields():
        if _FIELDS.get((name, field.name), (2, 0, 0)) > version:
            message.ClearField(field.name)
        elif field.message_type is None:
            continue
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for item in value.values():
                    age(item, version)
        elif isinstance(value, type(message)) or hasattr(value, "ListFields"):
            age(value, version)
        else:
            for item in value:
                age(item, version)
    return message
