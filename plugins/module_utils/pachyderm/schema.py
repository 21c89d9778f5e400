# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages and calls of Pachyderm 2.0 to 2.12 that the modules use, in a pool beside what else the process loads.

The sandbox's server uses a copy of this file, and adds what else it answers: it imports nothing of the collection.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator
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
#     A message may come again, with fields that it has besides.
#   enum NAME: VALUE, 7:VALUE       numbered from 0
#   rpc: Call, Call(Request) > Reply, Call(*) > *Reply       Request is CallRequest, Reply is Empty, * is a stream
# The newest server's shape. Before 2.7 Trigger 3 is cron_spec; before 2.6 CommitInfo 9 lists the provenance's branches.
SCHEMA = """\
package versionpb_v2
Version: major uint32, minor uint32, micro uint32
rpc: GetVersion(Empty) > Version
package auth_v2
enum ResourceType: RESOURCE_TYPE_UNKNOWN, CLUSTER, REPO, SPEC_REPO, PROJECT, JOB
GetRoleBindingRequest: resource Resource
GetRoleBindingResponse: binding RoleBinding
ModifyRoleBindingRequest: resource Resource, principal, roles *string
ModifyRoleBindingResponse:
Resource: type ResourceType, name
RoleBinding: entries {Roles}
Roles: roles {bool}
WhoAmIRequest:
WhoAmIResponse: username, expiration Timestamp
rpc: GetRoleBinding > GetRoleBindingResponse, ModifyRoleBinding > ModifyRoleBindingResponse, WhoAmI > WhoAmIResponse
package pfs_v2
enum CommitState: COMMIT_STATE_UNKNOWN, STARTED, READY, FINISHING, FINISHED
enum FileType: RESERVED, FILE, DIR
enum OriginKind: ORIGIN_KIND_UNKNOWN, USER, AUTO, FSCK, ALIAS
enum SQLDatabaseEgress.FileFormat.Type: UNKNOWN, CSV, JSON, PARQUET
AddFile: path, 3:raw BytesValue ?source, url AddFile.URLSource ?source
AddFile.URLSource: URL
Branch: repo Repo, name
BranchInfo: branch Branch, head Commit, provenance *Branch, subvenance *Branch, direct_provenance *Branch, trigger
  Trigger, metadata {string}
Commit: branch Branch, id, repo Repo
CommitInfo: commit Commit, origin CommitOrigin, description, parent_commit Commit, 6:started Timestamp, finishing
  Timestamp, finished Timestamp, 10:error, size_bytes_upper_bound int64, details CommitInfo.Details
CommitInfo.Details: size_bytes int64
CommitOrigin: kind OriginKind
CommitSet: id
CopyFile: dst, 3:src File
CreateBranchRequest: head Commit, branch Branch, provenance *Branch, trigger Trigger
CreateProjectRequest: project Project, description, update bool
CreateRepoRequest: repo Repo, description, update bool
DeleteBranchRequest: branch Branch, force bool
DeleteFile: path
DeleteProjectRequest: project Project
DeleteRepoRequest: repo Repo, force bool
DeleteRepoResponse: deleted bool
DeleteReposRequest: projects *Project, force bool
DeleteReposResponse:
DropCommitRequest: commit Commit
DropCommitResponse:
DropCommitSetRequest: commit_set CommitSet
File: commit Commit, path
FileInfo: file File, file_type FileType, committed Timestamp, size_bytes int64, hash bytes
FinishCommitRequest: commit Commit, description
GetFileRequest: file File, 3:offset int64
InspectBranchRequest: branch Branch
InspectCommitRequest: commit Commit, wait CommitState
InspectFileRequest: file File
InspectProjectRequest: project Project
InspectRepoRequest: repo Repo
ListBranchRequest: repo Repo
ListCommitRequest: repo Repo, 3:to Commit, number int64
ListFileRequest: file File, 4:number int64
ListProjectRequest:
ListRepoRequest: type, projects *Project
ModifyFileRequest: set_commit Commit ?body, add_file AddFile ?body, delete_file DeleteFile ?body, copy_file CopyFile
  ?body
ObjectStorageEgress: url
Project: name
ProjectInfo: project Project, description, 4:created_at Timestamp, metadata {string}
ProjectPicker: name string ?picker
PropagationSpec: never bool
Repo: name, type, project Project
RepoInfo: repo Repo, created Timestamp, size_bytes_upper_bound int64, description, branches *Branch, 7:details
  RepoInfo.Details, metadata {string}
RepoInfo.Details: size_bytes int64
RepoPicker: name RepoPicker.RepoName ?picker
RepoPicker.RepoName: project ProjectPicker, name, type
SQLDatabaseEgress: url, file_format SQLDatabaseEgress.FileFormat, secret SQLDatabaseEgress.Secret
SQLDatabaseEgress.FileFormat: type SQLDatabaseEgress.FileFormat.Type, columns *string
SQLDatabaseEgress.Secret: name, key
StartCommitRequest: 2:description, branch Branch
Trigger: branch, all bool, rate_limit_spec, size, commits int64, cron_spec
WalkFileRequest: file File, 3:number int64
rpc: CreateBranch, CreateProject, CreateRepo, DeleteBranch, DeleteProject, DeleteRepo > DeleteRepoResponse, DeleteRepos
  > DeleteReposResponse, DropCommit > DropCommitResponse, DropCommitSet, FinishCommit, GetFile > *BytesValue,
  InspectBranch > BranchInfo, InspectCommit > CommitInfo, InspectFile > FileInfo, InspectProject > ProjectInfo,
  InspectRepo > RepoInfo, ListBranch > *BranchInfo, ListCommit > *CommitInfo, ListFile > *FileInfo, ListProject >
  *ProjectInfo, ListRepo > *RepoInfo, ModifyFile(*), StartCommit > Commit, WalkFile > *FileInfo
package pps_v2
enum JobState: JOB_STATE_UNKNOWN, JOB_CREATED, JOB_STARTING, JOB_RUNNING, JOB_FAILURE, JOB_SUCCESS, JOB_KILLED,
  JOB_EGRESSING, JOB_FINISHING, JOB_UNRUNNABLE
enum PipelineInfo.PipelineType: PIPELINT_TYPE_UNKNOWN, PIPELINE_TYPE_TRANSFORM, PIPELINE_TYPE_SPOUT,
  PIPELINE_TYPE_SERVICE
enum PipelineState: PIPELINE_STATE_UNKNOWN, PIPELINE_STARTING, PIPELINE_RUNNING, PIPELINE_RESTARTING, PIPELINE_FAILURE,
  PIPELINE_PAUSED, PIPELINE_STANDBY, PIPELINE_CRASHING
enum TaintEffect: ALL_EFFECTS, NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE
enum TolerationOperator: EMPTY, EXISTS, EQUAL
ClusterDefaults: 3:create_pipeline_request CreatePipelineRequest
CreatePipelineRequest: pipeline Pipeline, tf_job TFJob, transform Transform, parallelism_spec ParallelismSpec, egress
  Egress, update bool, output_branch, s3_out bool, resource_requests ResourceSpec, resource_limits ResourceSpec,
  sidecar_resource_limits ResourceSpec, input Input, description, 15:reprocess bool, 17:service Service, spout Spout,
  datum_set_spec DatumSetSpec, datum_timeout Duration, job_timeout Duration, salt, datum_tries int64, scheduling_spec
  SchedulingSpec, pod_spec, pod_patch, spec_commit pfs_v2.Commit, metadata Metadata, reprocess_spec, autoscaling bool,
  34:tolerations *Toleration, sidecar_resource_requests ResourceSpec, 37:dry_run bool, determined Determined,
  maximum_expected_uptime Duration
CreatePipelineV2Request: create_pipeline_request_json, dry_run bool, update bool, reprocess bool
CreatePipelineV2Response: effective_create_pipeline_request_json
CreateSecretRequest: file bytes
CronInput: name, repo, commit, spec, overwrite bool, start Timestamp, project
DatumSetSpec: number int64, size_bytes int64, per_worker int64
DeletePipelineRequest: pipeline Pipeline, 3:force bool, keep_repo bool
DeletePipelinesRequest: projects *pfs_v2.Project, force bool
DeletePipelinesResponse:
DeleteSecretRequest: secret Secret
Determined: workspaces *string
Egress: URL, object_storage pfs_v2.ObjectStorageEgress ?target, sql_database pfs_v2.SQLDatabaseEgress ?target
GPUSpec: type, number int64
GetClusterDefaultsRequest:
GetClusterDefaultsResponse: 2:cluster_defaults_json
GetProjectDefaultsRequest: project pfs_v2.Project
GetProjectDefaultsResponse: project_defaults_json
Input: pfs PFSInput, join *Input, group *Input, cross *Input, union *Input, cron CronInput
InspectPipelineRequest: pipeline Pipeline, details bool
Job: pipeline Pipeline, id
JobInfo: job Job, pipeline_version uint64, 5:data_processed int64, data_skipped int64, data_total int64, data_failed
  int64, data_recovered int64, 11:state JobState, reason, created Timestamp, started Timestamp, finished Timestamp
ListJobRequest: pipeline Pipeline, 4:history int64, 7:projects *pfs_v2.Project, 9:number int64
ListPipelineRequest: 3:details bool, 6:projects *pfs_v2.Project
Metadata: annotations {string}, labels {string}
PFSInput: name, repo, branch, commit, glob, join_on, outer_join bool, group_by, lazy bool, empty_files bool, s3 bool,
  trigger pfs_v2.Trigger, repo_type, project, propagation_spec pfs_v2.PropagationSpec, reference bool
ParallelismSpec: constant uint64
Pipeline: name, project pfs_v2.Project
PipelineInfo: pipeline Pipeline, version uint64, 4:stopped bool, state PipelineState, reason, 8:last_job_state JobState,
  parallelism uint64, type PipelineInfo.PipelineType, 12:details PipelineInfo.Details, user_spec_json,
  effective_spec_json, metadata {string}
PipelineInfo.Details: transform Transform, tf_job TFJob, parallelism_spec ParallelismSpec, egress Egress, created_at
  Timestamp, 9:output_branch, resource_requests ResourceSpec, resource_limits ResourceSpec, sidecar_resource_limits
  ResourceSpec, input Input, description, 16:salt, 19:service Service, spout Spout, datum_set_spec DatumSetSpec,
  datum_timeout Duration, job_timeout Duration, datum_tries int64, scheduling_spec SchedulingSpec, pod_spec, pod_patch,
  s3_out bool, metadata Metadata, reprocess_spec, 33:autoscaling bool, tolerations *Toleration,
  sidecar_resource_requests ResourceSpec, determined Determined, maximum_expected_uptime Duration
ResourceSpec: cpu float, memory, gpu GPUSpec, disk
SchedulingSpec: node_selector {string}, priority_class_name
Secret: name
SecretInfo: secret Secret, type, creation_timestamp Timestamp
SecretInfos: secret_info *SecretInfo
SecretMount: name, key, mount_path, env_var
Service: internal_port int32, external_port int32, ip, type
SetClusterDefaultsRequest: 2:regenerate bool, reprocess bool, dry_run bool, cluster_defaults_json
SetClusterDefaultsResponse: 2:affected_pipelines *Pipeline
SetProjectDefaultsRequest: project pfs_v2.Project, regenerate bool, reprocess bool, dry_run bool, project_defaults_json
SetProjectDefaultsResponse: affected_pipelines *Pipeline
Spout: service Service
StartPipelineRequest: pipeline Pipeline
StopPipelineRequest: pipeline Pipeline
TFJob: tf_job
Toleration: key, operator TolerationOperator, value, effect TaintEffect, toleration_seconds Int64Value
Transform: image, cmd *string, err_cmd *string, env {string}, secrets *SecretMount, image_pull_secrets *string, stdin
  *string, err_stdin *string, accept_return_code *int64, debug bool, user, working_dir, dockerfile, memory_volume bool,
  datum_batching bool
rpc: CreatePipeline, CreatePipelineV2 > CreatePipelineV2Response, CreateSecret, DeletePipeline, DeletePipelines >
  DeletePipelinesResponse, DeleteSecret, GetClusterDefaults > GetClusterDefaultsResponse, GetProjectDefaults >
  GetProjectDefaultsResponse, InspectPipeline > PipelineInfo, ListJob > *JobInfo, ListPipeline > *PipelineInfo,
  ListSecret(Empty) > SecretInfos, SetClusterDefaults > SetClusterDefaultsResponse, SetProjectDefaults >
  SetProjectDefaultsResponse, StartPipeline, StopPipeline
package admin_v2
ClusterInfo: id, deployment_id, 4:warnings *string, 7:paused bool, 9:metadata {string}
InspectClusterRequest:
rpc: InspectCluster > ClusterInfo
package metadata
Edit: project pfs_v2.ProjectPicker ?target, 4:repo pfs_v2.RepoPicker ?target, 12:edit_key Edit.EditKey ?op, delete_key
  Edit.DeleteKey ?op
Edit.DeleteKey: key
Edit.EditKey: key, value
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
    message: Callable[[str], Any]

    @property
    def request(self) -> Any:
        """The request's class."""
        return self.message(self.request_name)

    @property
    def response(self) -> Any:
        """The response's class."""
        return self.message(self.response_name)


def _lines(text: str) -> Iterator[tuple[str, list[str]]]:
    """(what stands before the colon, what stands between the commas behind it)."""
    for line in text.replace("\n  ", " ").splitlines():
        head, _colon, rest = line.partition(":")
        yield head, rest.strip().split(", ") if rest.strip() else []


def _full(name: str, package: str) -> str:
    if name in KNOWN:
        return "google.protobuf." + name
    return name if name.split(".")[0].islower() else "%s.%s" % (package, name)


class _Package:
    """One package's file descriptor while it is read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.file = descriptor_pb2.FileDescriptorProto(name=name + ".proto", package=name, syntax="proto3")
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
        message, number = self.new(name, "message_type"), 1
        groups = [group.name for group in message.oneof_decl]
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
                if parts[2][1:] not in groups:
                    groups.append(parts[2][1:])
                    message.oneof_decl.add(name=parts[2][1:])
                added.oneof_index = groups.index(parts[2][1:])
            number += 1
        message.field.sort(key=lambda field: field.number)  # those of a oneof have to follow each other

    def typed(self, field: Any, kind: str, enums: set[str]) -> None:
        if kind in SCALARS:
            field.type = SCALARS[kind]
        else:
            full = _full(kind, self.name)
            field.type, field.type_name = ENUM if full in enums else MESSAGE, "." + full


class Schema:
    """What a text describes; nothing where protobuf is missing."""

    def __init__(self, text: str) -> None:
        self.pool: Any = None
        self.methods: dict[str, Method] = {}
        self._classes: dict[str, Any] = {}
        if descriptor_pb2 is not None:
            self.pool = descriptor_pool.DescriptorPool()
            self._read(text)

    def _read(self, text: str) -> None:
        packages: dict[str, _Package] = {}
        enums: set[str] = set()
        package: Any = None
        for head, parts in _lines(text):
            kind, _space, name = head.rpartition(" ")
            if kind == "package":
                package = packages.setdefault(name, _Package(name))
            elif kind == "enum":
                enums.add("%s.%s" % (package.name, name))
                package.enum(name, parts)
            elif head == "rpc":
                self._calls(package.name, parts)
            else:
                package.message(name, parts, enums)
        added: list[str] = []
        for known in ("duration", "empty", "timestamp", "wrappers"):
            module = importlib.import_module("google.protobuf.%s_pb2" % known)
            self.pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
            added.append(module.DESCRIPTOR.name)
        for package in packages.values():
            package.file.dependency.extend(added)
            self.pool.AddSerializedFile(package.file.SerializeToString())
            added.append(package.file.name)
        # All classes are made now and held: the garbage collector takes those that have no instance, and another thread
        # that gets such a class while it goes dies of it (protobuf 7.36, seen in a server with five clients).
        for name in added:
            self._hold(self.pool.FindFileByName(name).message_types_by_name.values())

    def _hold(self, descriptors: Iterable[Any]) -> None:
        for descriptor in descriptors:
            made: Any = getattr(message_factory, "GetMessageClass", None)
            made = made or message_factory.MessageFactory(self.pool).GetPrototype  # type: ignore[attr-defined]  # 4.21
            self._classes[descriptor.full_name] = made(descriptor)
            self._hold(descriptor.nested_types)

    def _calls(self, package: str, texts: list[str]) -> None:
        for text in texts:
            call, _to, response = text.partition(" > ")
            name, _bracket, request = call.rstrip(")").partition("(")
            wanted = _full(request.lstrip("*") or name + "Request", package)
            got = _full(response.lstrip("*") or "Empty", package)
            method = Method(wanted, got, request[:1] == "*", response[:1] == "*", self.message)
            self.methods["%s.API/%s" % (package, name)] = method

    def message(self, name: str) -> Any:
        """The class of a message by its full name ("pfs_v2.RepoInfo"). Raises KeyError."""
        return self._classes[name]


_OWN = Schema(SCHEMA)
POOL, METHODS, message = _OWN.pool, _OWN.methods, _OWN.message
