# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All messages and calls that pachd's stand-in answers: those of the modules (schema.py, a copy), and these besides."""

from __future__ import annotations

from typing import Any

from polystore_sandbox.pachyderm.schema import SCHEMA, Schema

# As in schema.py. A message that is there too has these fields besides.
MORE = """\
package versionpb_v2
Version: 4:additional, git_commit, git_tree_modified, build_date, go_version, platform
package auth_v2
enum Permission: PERMISSION_UNKNOWN, 100:CLUSTER_MODIFY_BINDINGS, CLUSTER_GET_BINDINGS, CLUSTER_AUTH_ACTIVATE,
  CLUSTER_AUTH_DEACTIVATE, CLUSTER_AUTH_GET_CONFIG, CLUSTER_AUTH_SET_CONFIG, 109:CLUSTER_AUTH_MODIFY_GROUP_MEMBERS,
  CLUSTER_AUTH_GET_GROUPS, CLUSTER_AUTH_GET_GROUP_USERS, CLUSTER_AUTH_EXTRACT_TOKENS, CLUSTER_AUTH_RESTORE_TOKEN,
  CLUSTER_ENTERPRISE_ACTIVATE, CLUSTER_ENTERPRISE_HEARTBEAT, CLUSTER_ENTERPRISE_GET_CODE, CLUSTER_ENTERPRISE_DEACTIVATE,
  CLUSTER_IDENTITY_SET_CONFIG, CLUSTER_IDENTITY_GET_CONFIG, CLUSTER_IDENTITY_CREATE_IDP, CLUSTER_IDENTITY_UPDATE_IDP,
  CLUSTER_IDENTITY_LIST_IDPS, CLUSTER_IDENTITY_GET_IDP, CLUSTER_IDENTITY_DELETE_IDP,
  CLUSTER_IDENTITY_CREATE_OIDC_CLIENT, CLUSTER_IDENTITY_UPDATE_OIDC_CLIENT, CLUSTER_IDENTITY_LIST_OIDC_CLIENTS,
  CLUSTER_IDENTITY_GET_OIDC_CLIENT, CLUSTER_IDENTITY_DELETE_OIDC_CLIENT, 131:CLUSTER_DEBUG_DUMP,
  CLUSTER_LICENSE_ACTIVATE, CLUSTER_LICENSE_GET_CODE, CLUSTER_LICENSE_ADD_CLUSTER, CLUSTER_LICENSE_UPDATE_CLUSTER,
  CLUSTER_LICENSE_DELETE_CLUSTER, CLUSTER_LICENSE_LIST_CLUSTERS, CLUSTER_DELETE_ALL, CLUSTER_AUTH_GET_ROBOT_TOKEN,
  CLUSTER_AUTH_DELETE_EXPIRED_TOKENS, CLUSTER_AUTH_GET_PERMISSIONS_FOR_PRINCIPAL, CLUSTER_AUTH_REVOKE_USER_TOKENS,
  CLUSTER_CREATE_SECRET, CLUSTER_LIST_SECRETS, SECRET_DELETE, SECRET_INSPECT, CLUSTER_AUTH_ROTATE_ROOT_TOKEN,
  CLUSTER_GET_PACHD_LOGS, CLUSTER_ENTERPRISE_PAUSE, CLUSTER_GET_LOKI_LOGS, CLUSTER_EDIT_CLUSTER_METADATA,
  CLUSTER_SNAPSHOTTER, CLUSTER_RESTART_PACHYDERM, 200:REPO_READ, REPO_WRITE, REPO_MODIFY_BINDINGS, REPO_DELETE,
  REPO_INSPECT_COMMIT, REPO_LIST_COMMIT, REPO_DELETE_COMMIT, REPO_CREATE_BRANCH, REPO_LIST_BRANCH, REPO_DELETE_BRANCH,
  REPO_INSPECT_FILE, REPO_LIST_FILE, REPO_ADD_PIPELINE_READER, REPO_REMOVE_PIPELINE_READER, REPO_ADD_PIPELINE_WRITER,
  301:PIPELINE_LIST_JOB, CLUSTER_SET_DEFAULTS, PROJECT_SET_DEFAULTS, 400:PROJECT_CREATE, PROJECT_DELETE,
  PROJECT_LIST_REPO, PROJECT_CREATE_REPO, PROJECT_MODIFY_BINDINGS, 501:JOB_SKIP_CTX
ActivateRequest: root_token
ActivateResponse: pach_token
AuthorizeRequest: resource Resource, permissions *Permission
AuthorizeResponse: authorized bool, satisfied *Permission, missing *Permission, principal
DeactivateRequest:
DeactivateResponse:
GetPermissionsRequest: resource Resource
GetPermissionsResponse: permissions *Permission, roles *string
GetRobotTokenRequest: robot, ttl int64
GetRobotTokenResponse: token
RevokeAuthTokenRequest: token
RevokeAuthTokenResponse: number int64
RotateRootTokenRequest: root_token
RotateRootTokenResponse: root_token
rpc: Activate > ActivateResponse, Authorize > AuthorizeResponse, Deactivate > DeactivateResponse, GetPermissions >
  GetPermissionsResponse, GetRobotToken > GetRobotTokenResponse, RevokeAuthToken > RevokeAuthTokenResponse,
  RotateRootToken > RotateRootTokenResponse
package pfs_v2
enum RepoPage.Ordering: PROJECT_REPO
ActivateAuthRequest:
ActivateAuthResponse:
AddFile: 2:datum
AddFile.URLSource: 2:recursive bool, concurrency uint32
AuthInfo: permissions *auth_v2.Permission, roles *string
BranchInfo: 8:created_by, created_at Timestamp, updated_at Timestamp, branch_propagation_specs *BranchPropagationSpec
BranchPicker: name BranchPicker.BranchName ?picker
BranchPicker.BranchName: repo RepoPicker, name
BranchPropagationSpec: branch Branch, propagation_spec PropagationSpec
ClearCommitRequest: commit Commit
CommitInfo: 5:child_commits *Commit, 13:direct_provenance *Commit, metadata {string}, direct_subvenance *Commit,
  created_by, created_at Timestamp, updated_at Timestamp
CommitInfo.Details: 2:compacting_time Duration, validating_time Duration
CommitPicker: branch_head BranchPicker ?picker, id CommitPicker.CommitByGlobalId ?picker, ancestor
  CommitPicker.AncestorOf ?picker, branch_root CommitPicker.BranchRoot ?picker
CommitPicker.AncestorOf: offset uint32, start CommitPicker
CommitPicker.BranchRoot: offset uint32, branch BranchPicker
CommitPicker.CommitByGlobalId: repo RepoPicker, id
CommitSetInfo: commit_set CommitSet, commits *CommitInfo
CopyFile: 2:datum, 4:append bool
CreateBranchRequest: 5:new_commit_set bool, branch_propagation_specs *BranchPropagationSpec
DeleteFile: 2:datum
DeleteProjectRequest: 2:force bool
DeleteReposRequest: 3:all bool
DeleteReposResponse: repos *Repo
DiffFileRequest: new_file File, old_file File, shallow bool
DiffFileResponse: new_file FileInfo, old_file FileInfo
DropCommitRequest: 2:recursive bool
File: 3:datum
FinishCommitRequest: 3:error, force bool
GetFileRequest: 2:URL, 4:path_range PathRange
GlobFileRequest: commit Commit, pattern, path_range PathRange
InspectCommitSetRequest: commit_set CommitSet, wait bool
InspectProjectV2Request: project Project
InspectProjectV2Response: info ProjectInfo, defaults_json
ListBranchRequest: 2:reverse bool
ListCommitRequest: 2:from Commit, 5:reverse bool, all bool, origin_kind OriginKind, started_time Timestamp
ListCommitSetRequest: project Project
ListFileRequest: 3:paginationMarker File, 5:reverse bool
ListRepoRequest: 3:page RepoPage
PathRange: lower, upper
ProjectInfo: 3:auth_info AuthInfo, 6:created_by
RepoInfo: 6:auth_info AuthInfo
RepoPage: order RepoPage.Ordering, page_size int64, page_index int64
SquashCommitRequest: commit Commit, recursive bool
SquashCommitResponse:
SquashCommitSetRequest: commit_set CommitSet
StartCommitRequest: parent Commit
SubscribeCommitRequest: repo Repo, branch, from Commit, state CommitState, all bool, origin_kind OriginKind
WalkFileRequest: 2:paginationMarker File, 4:reverse bool
rpc: ActivateAuth > ActivateAuthResponse, ClearCommit, DeleteAll(Empty), DiffFile > *DiffFileResponse,
  GetFileTAR(GetFileRequest) > *BytesValue, GlobFile > *FileInfo, InspectCommitSet > *CommitInfo, InspectProjectV2 >
  InspectProjectV2Response, ListCommitSet > *CommitSetInfo, SquashCommit > SquashCommitResponse, SquashCommitSet,
  SubscribeCommit > *CommitInfo
package pps_v2
enum PipelinePage.Ordering: RECENT
ActivateAuthRequest:
ActivateAuthResponse:
CreatePipelineTransaction: create_pipeline_request CreatePipelineRequest, user_json, effective_json, created_by
DatumStatus: started Timestamp, data *InputFile
DeletePipelineRequest: 2:all bool, 5:must_exist bool
DeletePipelinesRequest: 3:keep_repo bool, all bool
DeletePipelinesResponse: pipelines *Pipeline
GetProjectDefaultsResponse: 2:created_by, created_at Timestamp
InputFile: path, hash bytes
InspectJobRequest: job Job, wait bool, details bool
InspectJobSetRequest: job_set JobSet, wait bool, details bool
InspectSecretRequest: secret Secret
JobInfo: 3:output_commit pfs_v2.Commit, restart uint64, 10:stats ProcessStats, 16:details JobInfo.Details, auth_token
JobInfo.Details: transform Transform, parallelism_spec ParallelismSpec, egress Egress, service Service, spout Spout,
  worker_status *WorkerStatus, resource_requests ResourceSpec, resource_limits ResourceSpec, sidecar_resource_limits
  ResourceSpec, input Input, salt, datum_set_spec DatumSetSpec, datum_timeout Duration, job_timeout Duration,
  datum_tries int64, scheduling_spec SchedulingSpec, pod_spec, pod_patch, sidecar_resource_requests ResourceSpec
JobSet: id
JobSetInfo: job_set JobSet, jobs *JobInfo
ListJobRequest: 2:input_commit *pfs_v2.Commit, 5:details bool, jqFilter, 8:paginationMarker Timestamp, 10:reverse bool
ListJobSetRequest: details bool, projects *pfs_v2.Project, paginationMarker Timestamp, number int64, reverse bool,
  jqFilter
ListPipelineRequest: pipeline Pipeline, history int64, 4:jqFilter, commit_set pfs_v2.CommitSet, 7:page PipelinePage
PipelineInfo: 3:spec_commit pfs_v2.Commit, 11:auth_token
PipelineInfo.Details: 6:recent_error, workers_requested int64, workers_available int64, 17:reason, 31:unclaimed_tasks
  int64, worker_rc, 38:workers_started_at Timestamp, updated_at Timestamp, created_by
PipelinePage: order PipelinePage.Ordering, page_size int64, page_index int64
PipelinePicker: name PipelinePicker.PipelineName ?picker
PipelinePicker.PipelineName: project pfs_v2.ProjectPicker, name
ProcessStats: download_time Duration, process_time Duration, upload_time Duration, download_bytes int64, upload_bytes
  int64
ProjectDefaults: create_pipeline_request CreatePipelineRequest
RerunPipelineRequest: pipeline Pipeline, 15:reprocess bool
RunCronRequest: pipeline Pipeline
StopJobRequest: job Job, 3:reason
StopPipelineRequest: 2:must_exist bool
SubscribeJobRequest: pipeline Pipeline, details bool
UpdateJobStateRequest: job Job, state JobState, reason, 5:restart uint64, data_processed int64, data_skipped int64,
  data_failed int64, data_recovered int64, data_total int64, stats ProcessStats
WorkerStatus: worker_id, job_id, datum_status DatumStatus
rpc: ActivateAuth > ActivateAuthResponse, DeleteAll(Empty), InspectJob > JobInfo, InspectJobSet > *JobInfo,
  InspectSecret > SecretInfo, ListJobSet > *JobSetInfo, RerunPipeline, RunCron, StopJob, SubscribeJob > *JobInfo
package admin_v2
ClusterInfo: 3:warnings_ok bool, 5:proxy_host, proxy_tls bool, 10:pending_restart bool, restart_info
InspectClusterRequest: client_version versionpb_v2.Version, current_project pfs_v2.Project
package transaction_v2
BatchTransactionRequest: requests *TransactionRequest
DeleteAllRequest:
DeleteTransactionRequest: transaction Transaction
FinishTransactionRequest: transaction Transaction
InspectTransactionRequest: transaction Transaction
ListTransactionRequest:
StartTransactionRequest:
Transaction: id
TransactionInfo: transaction Transaction, requests *TransactionRequest, responses *TransactionResponse, started
  Timestamp, version uint64
TransactionInfos: transaction_info *TransactionInfo
TransactionRequest: create_repo pfs_v2.CreateRepoRequest, delete_repo pfs_v2.DeleteRepoRequest, start_commit
  pfs_v2.StartCommitRequest, finish_commit pfs_v2.FinishCommitRequest, squash_commit_set pfs_v2.SquashCommitSetRequest,
  create_branch pfs_v2.CreateBranchRequest, delete_branch pfs_v2.DeleteBranchRequest, update_job_state
  pps_v2.UpdateJobStateRequest, 10:stop_job pps_v2.StopJobRequest, create_pipeline_v2 pps_v2.CreatePipelineTransaction
TransactionResponse: commit pfs_v2.Commit
rpc: BatchTransaction > TransactionInfo, DeleteAll, DeleteTransaction, FinishTransaction > TransactionInfo,
  InspectTransaction > TransactionInfo, ListTransaction > TransactionInfos, StartTransaction > Transaction
package metadata
ClusterPicker:
Edit: 2:commit pfs_v2.CommitPicker ?target, branch pfs_v2.BranchPicker ?target, 5:cluster ClusterPicker ?target,
  pipeline pps_v2.PipelinePicker ?target, 10:replace Edit.Replace ?op, add_key Edit.AddKey ?op
Edit.AddKey: key, value
Edit.Replace: replacement {string}
"""

_ALL = Schema(SCHEMA + MORE)
METHODS, message = _ALL.methods, _ALL.message


def enum(name: str) -> Any:
    """The descriptor of an enum by its full name ("pfs_v2.CommitState"): values_by_name, values_by_number."""
    return _ALL.pool.FindEnumTypeByName(name)
