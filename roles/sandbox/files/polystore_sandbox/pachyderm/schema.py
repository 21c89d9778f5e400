# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages and calls of Pachyderm 2.0 to 2.12, in a pool of our own beside what else the process has loaded.

The sandbox's server uses a copy of this file: it imports nothing of the collection.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError:  # whoever wants to speak looks first
    descriptor_pb2 = None  # type: ignore[assignment]
# package NAME, then one thing a line; indented lines go on with the one before.
#   Message: field, field type, 9:field *type, field {type}, field type ?group
#     A field is a string unless a type follows, and is numbered one more than the field before unless it says 9:.
#     *type is a list, {type} a map from string, ?group one of a oneof. A name without a package is google.protobuf's
#     or the package's own.
#   enum NAME: VALUE, 7:VALUE       numbered from 0
#   rpc: Call, Call(Request) > Reply, Call(*) > *Reply       Request is CallRequest, Reply is Empty, * is a stream
# The newest server's shape. Before 2.7 Trigger 3 is cron_spec; before 2.6 CommitInfo 9 lists the provenance's branches.
SCHEMA = """\
package versionpb_v2
Version: major uint32, minor uint32, micro uint32, additional, git_commit, git_tree_modified, build_date, go_version,
  platform
rpc: GetVersion(Empty) > Version
package auth_v2
enum Permission: PERMISSION_UNKNOWN, 100:CLUSTER_MODIFY_BINDINGS, CLUSTER_GET_BINDINGS, CLUSTER_AUTH_ACTIVATE,
  CLUSTER_AUTH_DEACTIVATE, CLUSTER_AUTH_GET_CONFIG, CLUSTER_AUTH_SET_CONFIG, 109:CLUSTER_AUTH_MODIFY_GROUP_MEMBERS,
  CLUSTER_AUTH_GET_GROUPS, CLUSTER_AUTH_GET_GROUP_USERS, CLUSTER_AUTH_EXTRACT_TOKENS, CLUSTER_AUTH_RESTORE_TOKEN,
  CLUSTER_ENTERPRISE_ACTIVATE, CLUSTER_ENTERPRISE_HEARTBEAT, CLUSTER_ENTERPRISE_GET_CODE,
  CLUSTER_ENTERPRISE_DEACTIVATE, CLUSTER_IDENTITY_SET_CONFIG, CLUSTER_IDENTITY_GET_CONFIG,
  CLUSTER_IDENTITY_CREATE_IDP, CLUSTER_IDENTITY_UPDATE_IDP, CLUSTER_IDENTITY_LIST_IDPS, CLUSTER_IDENTITY_GET_IDP,
  CLUSTER_IDENTITY_DELETE_IDP, CLUSTER_IDENTITY_CREATE_OIDC_CLIENT, CLUSTER_IDENTITY_UPDATE_OIDC_CLIENT,
  CLUSTER_IDENTITY_LIST_OIDC_CLIENTS, CLUSTER_IDENTITY_GET_OIDC_CLIENT, CLUSTER_IDENTITY_DELETE_OIDC_CLIENT,
  131:CLUSTER_DEBUG_DUMP, CLUSTER_LICENSE_ACTIVATE, CLUSTER_LICENSE_GET_CODE, CLUSTER_LICENSE_ADD_CLUSTER,
  CLUSTER_LICENSE_UPDATE_CLUSTER, CLUSTER_LICENSE_DELETE_CLUSTER, CLUSTER_LICENSE_LIST_CLUSTERS, CLUSTER_DELETE_ALL,
  CLUSTER_AUTH_GET_ROBOT_TOKEN, CLUSTER_AUTH_DELETE_EXPIRED_TOKENS, CLUSTER_AUTH_GET_PERMISSIONS_FOR_PRINCIPAL,
  CLUSTER_AUTH_REVOKE_USER_TOKENS, CLUSTER_CREATE_SECRET, CLUSTER_LIST_SECRETS, SECRET_DELETE, SECRET_INSPECT,
  CLUSTER_AUTH_ROTATE_ROOT_TOKEN, CLUSTER_GET_PACHD_LOGS, CLUSTER_ENTERPRISE_PAUSE, CLUSTER_GET_LOKI_LOGS,
  CLUSTER_EDIT_CLUSTER_METADATA, CLUSTER_SNAPSHOTTER, CLUSTER_RESTART_PACHYDERM, 200:REPO_READ, REPO_WRITE,
  REPO_MODIFY_BINDINGS, REPO_DELETE, REPO_INSPECT_COMMIT, REPO_LIST_COMMIT, REPO_DELETE_COMMIT, REPO_CREATE_BRANCH,
  REPO_LIST_BRANCH, REPO_DELETE_BRANCH, REPO_INSPECT_FILE, REPO_LIST_FILE, REPO_ADD_PIPELINE_READER,
  REPO_REMOVE_PIPELINE_READER, REPO_ADD_PIPELINE_WRITER, 301:PIPELINE_LIST_JOB, CLUSTER_SET_DEFAULTS,
  PROJECT_SET_DEFAULTS, 400:PROJECT_CREATE, PROJECT_DELETE, PROJECT_LIST_REPO, PROJECT_CREATE_REPO,
  PROJECT_MODIFY_BINDINGS, 501:JOB_SKIP_CTX
enum ResourceType: RESOURCE_TYPE_UNKNOWN, CLUSTER, REPO, SPEC_REPO, PROJECT, JOB
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
GetRoleBindingRequest: resource Resource
GetRoleBindingResponse: binding RoleBinding
ModifyRoleBindingRequest: resource Resource, principal, roles *string
ModifyRoleBindingResponse:
Resource: type ResourceType, name
RevokeAuthTokenRequest: token
RevokeAuthTokenResponse: number int64
RoleBinding: entries {Roles}
Roles: roles {bool}
RotateRootTokenRequest: root_token
RotateRootTokenResponse: root_token
WhoAmIRequest:
WhoAmIResponse: username, expiration Timestamp
rpc: Activate > ActivateResponse, Authorize > AuthorizeResponse, Deactivate >
  DeactivateResponse, GetPermissions > GetPermissionsResponse, GetRobotToken > GetRobotTokenResponse, GetRoleBinding >
  GetRoleBindingResponse, ModifyRoleBinding > ModifyRoleBindingResponse, RevokeAuthToken > RevokeAuthTokenResponse,
  RotateRootToken > RotateRootTokenResponse, WhoAmI > WhoAmIResponse
package pfs_v2
enum CommitState: COMMIT_STATE_UNKNOWN, STARTED, READY, FINISHING, FINISHED
enum FileType: RESERVED, FILE, DIR
enum OriginKind: ORIGIN_KIND_UNKNOWN, USER, AUTO, FSCK, ALIAS
enum RepoPage.Ordering: PROJECT_REPO
enum SQLDatabaseEgress.FileFormat.Type: UNKNOWN, CSV, JSON, PARQUET
ActivateAuthRequest:
ActivateAuthResponse:
AddFile: path, datum, raw BytesValue ?source, url AddFile.URLSource ?source
AddFile.URLSource: URL, recursive bool, concurrency uint32
AuthInfo: permissions *auth_v2.Permission, roles *string
Branch: repo Repo, name
BranchInfo: branch Branch, head Commit, provenance *Branch, subvenance *Branch, direct_provenance *Branch, trigger
  Trigger, metadata {string}, created_by, created_at Timestamp, updated_at Timestamp, branch_propagation_specs
  *BranchPropagationSpec
BranchPicker: name BranchPicker.BranchName ?picker
BranchPicker.BranchName: repo RepoPicker, name
BranchPropagationSpec: branch Branch, propagation_spec PropagationSpec
ClearCommitRequest: commit Commit
Commit: branch Branch, id, repo Repo
CommitInfo: commit Commit, origin CommitOrigin, description, parent_commit Commit, child_commits *Commit, started
  Timestamp, finishing Timestamp, finished Timestamp, 10:error, size_bytes_upper_bound int64, details
  CommitInfo.Details, direct_provenance *Commit, metadata {string}, direct_subvenance *Commit, created_by, created_at
  Timestamp, updated_at Timestamp
CommitInfo.Details: size_bytes int64, compacting_time Duration, validating_time Duration
CommitOrigin: kind OriginKind
CommitPicker: branch_head BranchPicker ?picker, id CommitPicker.CommitByGlobalId ?picker, ancestor
  CommitPicker.AncestorOf ?picker, branch_root CommitPicker.BranchRoot ?picker
CommitPicker.AncestorOf: offset uint32, start CommitPicker
CommitPicker.BranchRoot: offset uint32, branch BranchPicker
CommitPicker.CommitByGlobalId: repo RepoPicker, id
CommitSet: id
CommitSetInfo: commit_set CommitSet, commits *CommitInfo
CopyFile: dst, datum, src File, append bool
CreateBranchRequest: head Commit, branch Branch, provenance *Branch, trigger Trigger, new_commit_set bool,
  branch_propagation_specs *BranchPropagationSpec
CreateProjectRequest: project Project, description, update bool
CreateRepoRequest: repo Repo, description, update bool
DeleteBranchRequest: branch Branch, force bool
DeleteFile: path, datum
DeleteProjectRequest: project Project, force bool
DeleteRepoRequest: repo Repo, force bool
DeleteRepoResponse: deleted bool
DeleteReposRequest: projects *Project, force bool, all bool
DeleteReposResponse: repos *Repo
DiffFileRequest: new_file File, old_file File, shallow bool
DiffFileResponse: new_file FileInfo, old_file FileInfo
DropCommitRequest: commit Commit, recursive bool
DropCommitResponse:
DropCommitSetRequest: commit_set CommitSet
File: commit Commit, path, datum
FileInfo: file File, file_type FileType, committed Timestamp, size_bytes int64, hash bytes
FinishCommitRequest: commit Commit, description, error, force bool
GetFileRequest: file File, URL, offset int64, path_range PathRange
GlobFileRequest: commit Commit, pattern, path_range PathRange
InspectBranchRequest: branch Branch
InspectCommitRequest: commit Commit, wait CommitState
InspectCommitSetRequest: commit_set CommitSet, wait bool
InspectFileRequest: file File
InspectProjectRequest: project Project
InspectProjectV2Request: project Project
InspectProjectV2Response: info ProjectInfo, defaults_json
InspectRepoRequest: repo Repo
ListBranchRequest: repo Repo, reverse bool
ListCommitRequest: repo Repo, from Commit, to Commit, number int64, reverse bool, all bool, origin_kind OriginKind,
  started_time Timestamp
ListCommitSetRequest: project Project
ListFileRequest: file File, 3:paginationMarker File, number int64, reverse bool
ListProjectRequest:
ListRepoRequest: type, projects *Project, page RepoPage
ModifyFileRequest: set_commit Commit ?body, add_file AddFile ?body, delete_file DeleteFile ?body, copy_file CopyFile
  ?body
ObjectStorageEgress: url
PathRange: lower, upper
Project: name
ProjectInfo: project Project, description, auth_info AuthInfo, created_at Timestamp, metadata {string}, created_by
ProjectPicker: name string ?picker
PropagationSpec: never bool
Repo: name, type, project Project
RepoInfo: repo Repo, created Timestamp, size_bytes_upper_bound int64, description, branches *Branch, auth_info
  AuthInfo, details RepoInfo.Details, metadata {string}
RepoInfo.Details: size_bytes int64
RepoPage: order RepoPage.Ordering, page_size int64, page_index int64
RepoPicker: name RepoPicker.RepoName ?picker
RepoPicker.RepoName: project ProjectPicker, name, type
SQLDatabaseEgress: url, file_format SQLDatabaseEgress.FileFormat, secret SQLDatabaseEgress.Secret
SQLDatabaseEgress.FileFormat: type SQLDatabaseEgress.FileFormat.Type, columns *string
SQLDatabaseEgress.Secret: name, key
SquashCommitRequest: commit Commit, recursive bool
SquashCommitResponse:
SquashCommitSetRequest: commit_set CommitSet
StartCommitRequest: parent Commit, description, branch Branch
SubscribeCommitRequest: repo Repo, branch, from Commit, state CommitState, all bool, origin_kind OriginKind
Trigger: branch, all bool, rate_limit_spec, size, commits int64, cron_spec
WalkFileRequest: file File, paginationMarker File, number int64, reverse bool
rpc: ActivateAuth > ActivateAuthResponse, ClearCommit, CreateBranch, CreateProject, CreateRepo, DeleteAll(Empty),
  DeleteBranch, DeleteProject, DeleteRepo > DeleteRepoResponse, DeleteRepos > DeleteReposResponse, DiffFile >
  *DiffFileResponse, DropCommit > DropCommitResponse, DropCommitSet, FinishCommit, GetFile > *BytesValue,
  GetFileTAR(GetFileRequest) > *BytesValue, GlobFile > *FileInfo, InspectBranch > BranchInfo, InspectCommit >
  CommitInfo, InspectCommitSet > *CommitInfo, InspectFile > FileInfo, InspectProject > ProjectInfo, InspectProjectV2 >
  InspectProjectV2Response, InspectRepo > RepoInfo, ListBranch > *BranchInfo, ListCommit > *CommitInfo, ListCommitSet >
  *CommitSetInfo, ListFile > *FileInfo, ListProject > *ProjectInfo, ListRepo > *RepoInfo, ModifyFile(*), SquashCommit >
  SquashCommitResponse, SquashCommitSet, StartCommit > Commit, SubscribeCommit > *CommitInfo, WalkFile > *FileInfo
package pps_v2
enum JobState: JOB_STATE_UNKNOWN, JOB_CREATED, JOB_STARTING, JOB_RUNNING, JOB_FAILURE, JOB_SUCCESS, JOB_KILLED,
  JOB_EGRESSING, JOB_FINISHING, JOB_UNRUNNABLE
enum PipelineInfo.PipelineType: PIPELINT_TYPE_UNKNOWN, PIPELINE_TYPE_TRANSFORM, PIPELINE_TYPE_SPOUT,
  PIPELINE_TYPE_SERVICE
enum PipelinePage.Ordering: RECENT
enum PipelineState: PIPELINE_STATE_UNKNOWN, PIPELINE_STARTING, PIPELINE_RUNNING, PIPELINE_RESTARTING,
  PIPELINE_FAILURE, PIPELINE_PAUSED, PIPELINE_STANDBY, PIPELINE_CRASHING
enum TaintEffect: ALL_EFFECTS, NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE
enum TolerationOperator: EMPTY, EXISTS, EQUAL
ActivateAuthRequest:
ActivateAuthResponse:
ClusterDefaults: 3:create_pipeline_request CreatePipelineRequest
CreatePipelineRequest: pipeline Pipeline, tf_job TFJob, transform Transform, parallelism_spec ParallelismSpec, egress
  Egress, update bool, output_branch, s3_out bool, resource_requests ResourceSpec, resource_limits ResourceSpec,
  sidecar_resource_limits ResourceSpec, input Input, description, 15:reprocess bool, 17:service Service, spout Spout,
  datum_set_spec DatumSetSpec, datum_timeout Duration, job_timeout Duration, salt, datum_tries int64, scheduling_spec
  SchedulingSpec, pod_spec, pod_patch, spec_commit pfs_v2.Commit, metadata Metadata, reprocess_spec, autoscaling bool,
  34:tolerations *Toleration, sidecar_resource_requests ResourceSpec, 37:dry_run bool, determined Determined,
  maximum_expected_uptime Duration
CreatePipelineTransaction: create_pipeline_request CreatePipelineRequest, user_json, effective_json, created_by
CreatePipelineV2Request: create_pipeline_request_json, dry_run bool, update bool, reprocess bool
CreatePipelineV2Response: effective_create_pipeline_request_json
CreateSecretRequest: file bytes
CronInput: name, repo, commit, spec, overwrite bool, start Timestamp, project
DatumSetSpec: number int64, size_bytes int64, per_worker int64
DatumStatus: started Timestamp, data *InputFile
DeletePipelineRequest: pipeline Pipeline, all bool, force bool, keep_repo bool, must_exist bool
DeletePipelinesRequest: projects *pfs_v2.Project, force bool, keep_repo bool, all bool
DeletePipelinesResponse: pipelines *Pipeline
DeleteSecretRequest: secret Secret
Determined: workspaces *string
Egress: URL, object_storage pfs_v2.ObjectStorageEgress ?target, sql_database pfs_v2.SQLDatabaseEgress ?target
GPUSpec: type, number int64
GetClusterDefaultsRequest:
GetClusterDefaultsResponse: 2:cluster_defaults_json
GetProjectDefaultsRequest: project pfs_v2.Project
GetProjectDefaultsResponse: project_defaults_json, created_by, created_at Timestamp
Input: pfs PFSInput, join *Input, group *Input, cross *Input, union *Input, cron CronInput
InputFile: path, hash bytes
InspectJobRequest: job Job, wait bool, details bool
InspectJobSetRequest: job_set JobSet, wait bool, details bool
InspectPipelineRequest: pipeline Pipeline, details bool
InspectSecretRequest: secret Secret
Job: pipeline Pipeline, id
JobInfo: job Job, pipeline_version uint64, output_commit pfs_v2.Commit, restart uint64, data_processed int64,
  data_skipped int64, data_total int64, data_failed int64, data_recovered int64, stats ProcessStats, state JobState,
  reason, created Timestamp, started Timestamp, finished Timestamp, details JobInfo.Details, auth_token
JobInfo.Details: transform Transform, parallelism_spec ParallelismSpec, egress Egress, service Service, spout Spout,
  worker_status *WorkerStatus, resource_requests ResourceSpec, resource_limits ResourceSpec, sidecar_resource_limits
  ResourceSpec, input Input, salt, datum_set_spec DatumSetSpec, datum_timeout Duration, job_timeout Duration,
  datum_tries int64, scheduling_spec SchedulingSpec, pod_spec, pod_patch, sidecar_resource_requests ResourceSpec
JobSet: id
JobSetInfo: job_set JobSet, jobs *JobInfo
ListJobRequest: pipeline Pipeline, input_commit *pfs_v2.Commit, 4:history int64, details bool, jqFilter, projects
  *pfs_v2.Project, paginationMarker Timestamp, number int64, reverse bool
ListJobSetRequest: details bool, projects *pfs_v2.Project, paginationMarker Timestamp, number int64, reverse bool,
  jqFilter
ListPipelineRequest: pipeline Pipeline, history int64, details bool, jqFilter, commit_set pfs_v2.CommitSet, projects
  *pfs_v2.Project, page PipelinePage
Metadata: annotations {string}, labels {string}
PFSInput: name, repo, branch, commit, glob, join_on, outer_join bool, group_by, lazy bool, empty_files bool, s3 bool,
  trigger pfs_v2.Trigger, repo_type, project, propagation_spec pfs_v2.PropagationSpec, reference bool
ParallelismSpec: constant uint64
Pipeline: name, project pfs_v2.Project
PipelineInfo: pipeline Pipeline, version uint64, spec_commit pfs_v2.Commit, stopped bool, state PipelineState, reason,
  8:last_job_state JobState, parallelism uint64, type PipelineInfo.PipelineType, auth_token, details
  PipelineInfo.Details, user_spec_json, effective_spec_json, metadata {string}
PipelineInfo.Details: transform Transform, tf_job TFJob, parallelism_spec ParallelismSpec, egress Egress, created_at
  Timestamp, recent_error, workers_requested int64, workers_available int64, output_branch, resource_requests
  ResourceSpec, resource_limits ResourceSpec, sidecar_resource_limits ResourceSpec, input Input, description, 16:salt,
  reason, 19:service Service, spout Spout, datum_set_spec DatumSetSpec, datum_timeout Duration, job_timeout Duration,
  datum_tries int64, scheduling_spec SchedulingSpec, pod_spec, pod_patch, s3_out bool, metadata Metadata,
  reprocess_spec, unclaimed_tasks int64, worker_rc, autoscaling bool, tolerations *Toleration,
  sidecar_resource_requests ResourceSpec, determined Determined, maximum_expected_uptime Duration, workers_started_at
  Timestamp, updated_at Timestamp, created_by
PipelinePage: order PipelinePage.Ordering, page_size int64, page_index int64
PipelinePicker: name PipelinePicker.PipelineName ?picker
PipelinePicker.PipelineName: project pfs_v2.ProjectPicker, name
ProcessStats: download_time Duration, process_time Duration, upload_time Duration, download_bytes int64, upload_bytes
  int64
ProjectDefaults: create_pipeline_request CreatePipelineRequest
RerunPipelineRequest: pipeline Pipeline, 15:reprocess bool
ResourceSpec: cpu float, memory, gpu GPUSpec, disk
RunCronRequest: pipeline Pipeline
SchedulingSpec: node_selector {string}, priority_class_name
Secret: name
SecretInfo: secret Secret, type, creation_timestamp Timestamp
SecretInfos: secret_info *SecretInfo
SecretMount: name, key, mount_path, env_var
Service: internal_port int32, external_port int32, ip, type
SetClusterDefaultsRequest: 2:regenerate bool, reprocess bool, dry_run bool, cluster_defaults_json
SetClusterDefaultsResponse: 2:affected_pipelines *Pipeline
SetProjectDefaultsRequest: project pfs_v2.Project, regenerate bool, reprocess bool, dry_run bool,
  project_defaults_json
SetProjectDefaultsResponse: affected_pipelines *Pipeline
Spout: service Service
StartPipelineRequest: pipeline Pipeline
StopJobRequest: job Job, 3:reason
StopPipelineRequest: pipeline Pipeline, must_exist bool
SubscribeJobRequest: pipeline Pipeline, details bool
TFJob: tf_job
Toleration: key, operator TolerationOperator, value, effect TaintEffect, toleration_seconds Int64Value
Transform: image, cmd *string, err_cmd *string, env {string}, secrets *SecretMount, image_pull_secrets *string, stdin
  *string, err_stdin *string, accept_return_code *int64, debug bool, user, working_dir, dockerfile, memory_volume
  bool, datum_batching bool
UpdateJobStateRequest: job Job, state JobState, reason, 5:restart uint64, data_processed int64, data_skipped int64,
  data_failed int64, data_recovered int64, data_total int64, stats ProcessStats
WorkerStatus: worker_id, job_id, datum_status DatumStatus
rpc: ActivateAuth > ActivateAuthResponse, CreatePipeline, CreatePipelineV2 > CreatePipelineV2Response, CreateSecret,
  DeleteAll(Empty), DeletePipeline, DeletePipelines > DeletePipelinesResponse, DeleteSecret,
  GetClusterDefaults > GetClusterDefaultsResponse, GetProjectDefaults > GetProjectDefaultsResponse, InspectJob >
  JobInfo, InspectJobSet > *JobInfo, InspectPipeline > PipelineInfo, InspectSecret > SecretInfo, ListJob > *JobInfo,
  ListJobSet > *JobSetInfo, ListPipeline > *PipelineInfo, ListSecret(Empty) > SecretInfos, RerunPipeline, RunCron,
  SetClusterDefaults > SetClusterDefaultsResponse, SetProjectDefaults > SetProjectDefaultsResponse,
  StartPipeline, StopJob, StopPipeline, SubscribeJob > *JobInfo
package admin_v2
ClusterInfo: id, deployment_id, warnings_ok bool, warnings *string, proxy_host, proxy_tls bool, paused bool,
  9:metadata {string}, pending_restart bool, restart_info
InspectClusterRequest: client_version versionpb_v2.Version, current_project pfs_v2.Project
rpc: InspectCluster > ClusterInfo
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
  pfs_v2.StartCommitRequest, finish_commit pfs_v2.FinishCommitRequest, squash_commit_set
  pfs_v2.SquashCommitSetRequest, create_branch pfs_v2.CreateBranchRequest, delete_branch pfs_v2.DeleteBranchRequest,
  update_job_state pps_v2.UpdateJobStateRequest, 10:stop_job pps_v2.StopJobRequest, create_pipeline_v2
  pps_v2.CreatePipelineTransaction
TransactionResponse: commit pfs_v2.Commit
rpc: BatchTransaction > TransactionInfo, DeleteAll, DeleteTransaction, FinishTransaction > TransactionInfo,
  InspectTransaction > TransactionInfo, ListTransaction > TransactionInfos, StartTransaction > Transaction
package metadata
ClusterPicker:
Edit: project pfs_v2.ProjectPicker ?target, commit pfs_v2.CommitPicker ?target, branch pfs_v2.BranchPicker ?target,
  repo pfs_v2.RepoPicker ?target, cluster ClusterPicker ?target, pipeline pps_v2.PipelinePicker ?target, 10:replace
  Edit.Replace ?op, add_key Edit.AddKey ?op, edit_key Edit.EditKey ?op, delete_key Edit.DeleteKey ?op
Edit.AddKey: key, value
Edit.DeleteKey: key
Edit.EditKey: key, value
Edit.Replace: replacement {string}
EditMetadataRequest: edits *Edit
EditMetadataResponse:
rpc: EditMetadata > EditMetadataResponse
"""

SCALARS = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
KNOWN = frozenset(("BytesValue", "Duration", "Empty", "Int64Value", "Timestamp"))
MESSAGE, ENUM, LIST = 11, 14, 3


class Method(NamedTuple):
    """A call: the full names of its messages, and which side streams."""

    request_name: str
    response_name: str
    client_stream: bool
    server_stream: bool

    @property
    def request(self) -> Any:
        """The request's class."""
        return message(self.request_name)

    @property
    def response(self) -> Any:
        """The response's class."""
        return message(self.response_name)


def _lines() -> Iterator[tuple[str, list[str]]]:
    """(what stands before the colon, what stands between the commas behind it)."""
    for line in SCHEMA.replace("\n  ", " ").splitlines():
        head, _colon, rest = line.partition(":")
        yield head, rest.strip().split(", ") if rest.strip() else []


def _full(name: str, package: str) -> str:
    if name in KNOWN:
        return "google.protobuf." + name
    return name if name.split(".")[0].islower() else "%s.%s" % (package, name)


class _Package:
    """One package's file descriptor while it is read."""

    def __init__(self, name: str, dependencies: list[str]) -> None:
        self.name = name
        self.file = descriptor_pb2.FileDescriptorProto(
            name=name + ".proto", package=name, syntax="proto3", dependency=dependencies
        )
        self.places: dict[str, Any] = {"": self.file}

    def new(self, name: str, kind: str) -> Any:
        """A new message or enum, where its name says; what is around it need not have been read."""
        outer, _dot, inner = name.rpartition(".")
        if name not in self.places or kind == "enum_type":
            if outer not in self.places:
                self.new(outer, "message_type")
            around = self.places[outer]
            made = getattr(around, kind if not outer else "nested_type" if kind == "message_type" else kind)
            self.places[name] = made.add(name=inner)
        return self.places[name]

    def enum(self, name: str, values: list[str]) -> None:
        enum, number = self.new(name, "enum_type"), 0
        for value in values:
            at, _colon, value = value.rpartition(":")
            number = int(at or number)
            enum.value.add(name=value, number=number)
            number += 1

    def message(self, name: str, fields: list[str], enums: set[str]) -> None:
        message, number, groups = self.new(name, "message_type"), 1, []
        for text in fields:
            parts = text.split()
            at, _colon, field = parts[0].rpartition(":")
            number = int(at or number)
            kind = parts[1] if len(parts) > 1 else "string"
            added = message.field.add(name=field, number=number, label=LIST if kind[0] in "*{" else 1)
            if kind[0] == "{":
                entry = message.nested_type.add(name=re.sub("(?:^|_)(.)", lambda m: m[1].upper(), field) + "Entry")
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=1, type=SCALARS["string"])
                self.typed(entry.field.add(name="value", number=2, label=1), kind[1:-1], enums)
                added.type, added.type_name = MESSAGE, ".%s.%s.%s" % (self.name, name, entry.name)
            else:
                self.typed(added, kind.lstrip("*"), enums)
            if len(parts) > 2:
                if parts[2] not in groups:
                    groups.append(parts[2])
                    message.oneof_decl.add(name=parts[2][1:])
                added.oneof_index = groups.index(parts[2])
            number += 1

    def typed(self, field: Any, kind: str, enums: set[str]) -> None:
        if kind in SCALARS:
            field.type = SCALARS[kind]
        else:
            full = _full(kind, self.name)
            field.type, field.type_name = ENUM if full in enums else MESSAGE, "." + full


def _calls(package: str, texts: list[str]) -> Iterator[tuple[str, Method]]:
    for text in texts:
        call, _to, response = text.partition(" > ")
        name, _bracket, request = call.rstrip(")").partition("(")
        wanted = _full(request.lstrip("*") or name + "Request", package)
        got = _full(response.lstrip("*") or "Empty", package)
        yield "%s.API/%s" % (package, name), Method(wanted, got, request[:1] == "*", response[:1] == "*")


def _read() -> tuple[Any, dict[str, Method]]:
    if descriptor_pb2 is None:
        return None, {}
    pool = descriptor_pool.DescriptorPool()
    added: list[str] = []
    methods: dict[str, Method] = {}
    enums: set[str] = set()
    for known in ("duration", "empty", "timestamp", "wrappers"):
        module = importlib.import_module("google.protobuf.%s_pb2" % known)
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        added.append(module.DESCRIPTOR.name)
    package: Any = None
    for head, parts in [*_lines(), ("package ", [])]:
        kind, _space, name = head.rpartition(" ")
        if kind == "package":
            if package is not None:
                pool.AddSerializedFile(package.file.SerializeToString())
                added.append(package.file.name)
            package = _Package(name, added)
        elif kind == "enum":
            enums.add("%s.%s" % (package.name, name))
            package.enum(name, parts)
        elif head == "rpc":
            methods.update(_calls(package.name, parts))
        else:
            package.message(name, parts, enums)
    return pool, methods


POOL, METHODS = _read()
_CLASSES: dict[str, Any] = {}


def message(name: str) -> Any:
    """The class of a message by its full name ("pfs_v2.RepoInfo"). Raises KeyError."""
    if name not in _CLASSES:
        descriptor = POOL.FindMessageTypeByName(name)
        made: Any = getattr(message_factory, "GetMessageClass", None)
        made = made or message_factory.MessageFactory(POOL).GetPrototype  # type: ignore[attr-defined]  # 4.21
        _CLASSES[name] = made(descriptor)
    return _CLASSES[name]


def enum(name: str) -> Any:
    """The descriptor of an enum by its full name ("pfs_v2.CommitState"): values_by_name, values_by_number."""
    return POOL.FindEnumTypeByName(name)
