# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pachd's stand-in: pipelines, defaults and secrets, beyond what the official clients' steps show."""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Iterator

import pytest
from ansible_collections.polystore.storage.tests.support.servers import PachdServer, endpoints, need, sandbox
from ansible_collections.polystore.storage.tests.unit.sandbox.pachyderm_asking import Asking
from ansible_collections.polystore.storage.tests.unit.sandbox.pachyderm_calls import failure

NO_PIPELINE = 'couldn\'t find up to date spec for pipeline "%s": '


@pytest.fixture
def calls(pachd_server: PachdServer) -> Iterator[Asking]:
    with Asking(pachd_server.address) as made:
        yield made


@pytest.fixture
def repo(pachd_server: PachdServer, calls: Asking) -> str:
    """An input."""
    name = pachd_server.new_name("in")
    calls.pfs("CreateRepo", repo=calls.repo(name))
    calls.pfs("CreateBranch", branch=calls.branch(name))
    return name


def test_a_pipeline_that_no_worker_serves_fails_and_its_job_ends(
    pachd_server: PachdServer, calls: Asking, repo: str
) -> None:
    name = pachd_server.new_name("p")
    calls.create(calls.document(name, repo))
    assert calls.inspect(name).state == 1  # STARTING
    [job] = calls.pps("ListJob", pipeline=calls.pipeline(name))
    assert (job.state, job.output_commit.id) == (1, calls.inspect(name).spec_commit.id)
    assert calls.pps("InspectJob", job={"id": job.job.id, "pipeline": calls.pipeline(name)}, wait=True).state == 6
    head = calls.pfs("InspectCommit", commit=calls.commit(name, "master"), wait="FINISHED")
    assert (head.commit.id, head.error) == (job.job.id, "job stopped")
    info = pachd_server.wait_for(lambda: [one for one in [calls.inspect(name)] if one.state == 4])[0]
    assert info.reason
    assert info.last_job_state == 6


def test_what_a_pipeline_writes_is_finished_by_its_job(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name = pachd_server.new_name("p")
    calls.create(calls.document(name, repo))
    calls.modify(calls.branch(repo), [{"add_file": {"path": "/a", "raw": "YQ=="}}])
    words = "cannot finish a pipeline output or meta commit, use 'stop job' instead"
    assert failure(lambda: calls.pfs("FinishCommit", commit=calls.commit(name, "master"))) == ("UNKNOWN", words)


def test_a_new_commit_in_an_input_is_a_new_job(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name = pachd_server.new_name("p")
    calls.create(calls.document(name, repo))
    calls.modify(calls.branch(repo), [{"add_file": {"path": "/a", "raw": "YQ=="}}])
    pachd_server.wait_for(lambda: len(calls.pps("ListJob", pipeline=calls.pipeline(name))) == 2)
    ids = {job.job.id for job in calls.pps("ListJob", projects=[{"name": "default"}], number=50)}
    assert calls.pfs("InspectBranch", branch=calls.branch(name)).head.id in ids


def test_what_users_may_leave_out_or_get_wrong(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    leaf = {"pfs": {"repo": repo, "glob": "/[", "name": "a"}}
    for more in (
        {"input": None},
        {"datum_tries": -1},
        {"input": leaf},
        {"resource_requests": {"memory": "lots"}},
        {"input": {"join": [leaf, {"pfs": {**leaf["pfs"], "name": "b"}}]}},
        {"input": {"group": [leaf]}},
    ):
        name = pachd_server.new_name("p")
        calls.create({**calls.document(name, repo), **more})
        assert calls.inspect(name, details=True).details.transform.image == "ubuntu:20.04"


def test_children_are_sorted_by_the_names_that_were_written(
    pachd_server: PachdServer, calls: Asking, repo: str
) -> None:
    def order(*leaves: dict[str, str]) -> list[str]:
        name = pachd_server.new_name("p")
        inputs = [{"pfs": {"glob": "/", "repo": repo, **leaf}} for leaf in leaves]
        calls.create({**calls.document(name, repo), "input": {"union": inputs}})
        return [child.pfs.glob for child in calls.inspect(name, details=True).details.input.union]

    assert order({"name": "z", "glob": "/1"}, {"name": "a", "glob": "/2"}) == ["/2", "/1"]
    assert order({"glob": "/1"}, {"glob": "/2"}) == ["/1", "/2"]


def test_document_keys_that_count_for_nothing(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name = pachd_server.new_name("p")
    reply = calls.create(calls.document(name, repo, dry_run=True))
    assert reply["pipeline"]["name"] == name
    assert calls.inspect(name).version == 1  # it was made
    again = calls.document(name, repo, update=True)
    assert failure(lambda: calls.create(again)) == ("ALREADY_EXISTS", f'pipeline "default/{name}" already exists')
    calls.create(again, update=True)
    info = calls.inspect(name)
    assert (info.version, json.loads(info.user_spec_json)["update"]) == (2, True)
    fields = {"transform": {"image": "i"}, "dry_run": True}
    calls.pps("CreatePipeline", pipeline=calls.pipeline(name + "x"), **fields)
    assert failure(lambda: calls.inspect(name + "x"))[0] == "NOT_FOUND"


def test_null_and_zero_in_a_document(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name = pachd_server.new_name("p")
    document = calls.document(name, repo, resourceRequests=None, datum_tries=0, autoscaling=False)
    reply = calls.create(document)
    assert "resourceRequests" not in reply
    assert "datumTries" not in reply
    spec = json.loads(calls.inspect(name).effective_spec_json)
    assert (spec["datumTries"], spec["autoscaling"], "resourceRequests" in spec) == (0, False, False)


def test_salt_stays_until_it_is_reprocessed(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name = pachd_server.new_name("p")
    salts = []
    for fields in ({}, {"update": True}, {"update": True, "reprocess": True}):
        calls.create(calls.document(name, repo), **fields)
        salts.append(calls.inspect(name, details=True).details.salt)
    assert salts[0] == salts[1] != salts[2]
    assert calls.inspect(name).version == 3


def test_a_rerun_wants_the_project_in_the_document(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name = pachd_server.new_name("p")
    calls.create({**calls.document(name, repo), "pipeline": {"name": name}})
    code, words = failure(lambda: calls.pps("RerunPipeline", pipeline=calls.pipeline(name)))
    assert (code, "project picker cannot be nil" in words) == ("UNKNOWN", True)
    text = '{"createPipelineRequest":{"datumTries":8}}'
    refused = failure(lambda: calls.pps("SetClusterDefaults", cluster_defaults_json=text, regenerate=True))
    assert refused == ("UNKNOWN", "unknown error: could not write cluster defaults")
    assert "datumTries" not in calls.pps("GetClusterDefaults").cluster_defaults_json
    calls.pps("DeletePipeline", pipeline=calls.pipeline(name), force=True)


def test_the_server_does_not_protect_an_output_branch(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name = pachd_server.new_name("p")
    calls.create(calls.document(name, repo))

    def look():
        return calls.pfs("InspectBranch", branch=calls.branch(name)).direct_provenance

    assert {(one.repo.name, one.repo.type) for one in look()} == {(name, "spec"), (repo, "user")}
    calls.pfs("CreateBranch", branch=calls.branch(name))
    assert not look()
    calls.create(calls.document(name, repo), update=True)
    assert len(look()) == 2


def test_a_stopped_pipeline_has_no_provenance(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name = pachd_server.new_name("p")
    calls.create(calls.document(name, repo))
    calls.pps("StopPipeline", pipeline=calls.pipeline(name))
    calls.create(calls.document(name, repo), update=True)
    assert calls.inspect(name).stopped
    assert not calls.pfs("InspectBranch", branch=calls.branch(name)).direct_provenance
    jobs = len(calls.pps("ListJob", pipeline=calls.pipeline(name), history=-1))
    calls.modify(calls.branch(repo), [{"add_file": {"path": "/a", "raw": "YQ=="}}])
    assert len(calls.pps("ListJob", pipeline=calls.pipeline(name), history=-1)) == jobs
    calls.pps("StartPipeline", pipeline=calls.pipeline(name))
    assert len(calls.pfs("InspectBranch", branch=calls.branch(name)).direct_provenance) == 2
    assert len(calls.pps("ListJob", pipeline=calls.pipeline(name), history=-1)) == jobs + 1


def test_crons_are_ticked_and_leave_their_repos_when_they_are_updated_away(
    pachd_server: PachdServer, calls: Asking, repo: str
) -> None:
    name = pachd_server.new_name("p")
    clock = {"cron": {"name": "c", "spec": "@every 1h"}}
    calls.create({**calls.document(name, repo), "input": clock})
    ticks = f"{name}_c"
    calls.pps("RunCron", pipeline=calls.pipeline(name))
    files = calls.pfs("ListFile", file=calls.file(ticks, "/"))
    assert len(files) == 1
    calls.create(calls.document(name, repo), update=True)
    calls.pps("DeletePipeline", pipeline=calls.pipeline(name))
    assert calls.pfs("InspectRepo", repo=calls.repo(ticks)).repo.name == ticks


def test_a_triggered_input_makes_its_branch(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name = pachd_server.new_name("p")
    leaf = {"pfs": {"repo": repo, "glob": "/", "trigger": {"commits": 2}}}
    calls.create({**calls.document(name, repo), "input": leaf})
    pfs = calls.inspect(name, details=True).details.input.pfs
    assert (pfs.branch, pfs.trigger.branch) == (f"{name}-trigger-1", "master")
    assert calls.pfs("InspectBranch", branch=calls.branch(repo, pfs.branch)).trigger.branch == "master"


def test_pipelines_of_a_project_go_in_the_order_of_their_dependence(pachd_server: PachdServer, calls: Asking) -> None:
    project = pachd_server.new_name("x")
    calls.pfs("CreateProject", project={"name": project})
    calls.pfs("CreateRepo", repo=calls.repo("in", project))
    for name, source in (("a", "in"), ("b", "a"), ("c", "b")):
        calls.create({**calls.document(name, source), "pipeline": calls.pipeline(name, project)})
    calls.create({**calls.document("a", "in"), "pipeline": calls.pipeline("a", project)}, update=True)
    with pytest.raises(Exception, match="cannot delete project"):
        calls.pfs("DeleteProject", project={"name": project})
    gone = calls.pps("DeletePipelines", projects=[{"name": project}]).pipelines
    assert [one.name for one in gone] == ["c", "b", "a"]
    calls.pfs("DeleteRepos", projects=[{"name": project}])
    calls.pfs("DeleteProject", project={"name": project})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "syntax error (line 1:1): unexpected token "),
        ("[]", "syntax error (line 1:1): unexpected token ["),
        ('{"transform": {"cmd": "x"}}', 'syntax error (line 1:23): unexpected token "x"'),
        ('{"transform":\n {"cmd": [1]}}', "(line 2:11): invalid value for string type: 1"),
        ('{"datumTries": 1.5}', "(line 1:16): invalid value for int64 type: 1.5"),
        ('{"datumTries": 1, "datum_tries": 2}', '(line 1:19): duplicate field "datum_tries"'),
        ('{"egress": {"object_storage": {}, "sqlDatabase": {}}}', "oneof pps_v2.Egress.target is already set"),
        ('{"s3Out": yes}', "syntax error (line 1:11): invalid value yes"),
        ('{"s3Out": true,}', "syntax error (line 1:16): unexpected token }"),
        ('{"s3Out": true} x', "syntax error (line 1:17): invalid value x"),
        ('{"jobTimeout": 5}', "syntax error (line 1:16): unexpected token 5"),
        ('{"tolerations": [{"operator": "LIKE"}]}', 'invalid value for enum type: "LIKE"'),
    ],
)
def test_what_the_parser_says(calls: Asking, text: str, complaint: str) -> None:
    code, words = failure(lambda: calls.pps("CreatePipelineV2", create_pipeline_request_json=text, dry_run=True))
    start = f"could not make effective spec: could not parse {text} as Create Pipeline Request message: proto: "
    assert code == "INVALID_ARGUMENT"
    assert words.startswith(start)
    assert words[len(start) :].endswith(complaint)


def test_a_dry_run_looks_at_the_document_alone(calls: Asking) -> None:
    document = calls.document("bad.name", "no-such-repo", transform={"secrets": [{"name": "none"}]})
    reply = calls.create(document, dry_run=True, update=True, reprocess=True)
    assert (reply["update"], reply["reprocess"], reply["datumTries"]) == (True, True, "3")


def test_secrets_are_json_with_keys(pachd_server: PachdServer, calls: Asking, repo: str) -> None:
    name, pipeline = pachd_server.new_name("s"), pachd_server.new_name("p")

    def make(text):
        return calls.ask("pps_v2.API/CreateSecret", file=text)

    def encoded(text):
        return base64.b64encode(text.encode()).decode()

    wrong = "failed to unmarshal secret: invalid character 'a' looking for beginning of value"
    assert failure(lambda: make(encoded("apiVersion: v1\nkind: Secret\n"))) == ("UNKNOWN", wrong)
    make(encoded(json.dumps({"metadata": {"name": name}, "type": "Opaque", "data": {"k": "dg=="}})))
    info = calls.pps("InspectSecret", secret={"name": name})
    assert (info.type, info.creation_timestamp.seconds) == ("Opaque", -62135596800)
    wanted = {"name": name, "key": "other", "env_var": "K"}
    refused = failure(lambda: calls.create(calls.document(pipeline, repo, transform={"secrets": [wanted]})))
    assert refused == ("UNKNOWN", f"Kubernetes secret {name} missing key other")
    calls.create(calls.document(pipeline, repo, transform={"secrets": [{**wanted, "key": "k"}]}))


def test_old_versions_know_no_documents(pachd_v24_server: PachdServer, pachd_v20_server: PachdServer) -> None:
    for server, code in ((pachd_v24_server, "NOT_FOUND"), (pachd_v20_server, "UNKNOWN")):
        name, source = server.new_name("p"), server.new_name("in")
        with Asking(server.address) as calls:
            got, words = failure(lambda calls=calls, name=name: calls.inspect(name))
            assert (got, NO_PIPELINE % name in words) == (code, True)
            unknown = failure(lambda calls=calls: calls.create({}, dry_run=True))
            assert unknown == ("UNIMPLEMENTED", "unknown method CreatePipelineV2 for service pps_v2.API")
            calls.pfs("CreateRepo", repo=calls.repo(source))
            given = {"transform": {"image": "i"}, "input": {"pfs": {"repo": source, "glob": "/"}}}
            calls.pps("CreatePipeline", pipeline={"name": name}, **given)
            info = calls.inspect(name, details=True)
            assert (info.version, info.user_spec_json, info.effective_spec_json) == (1, "", "")
            assert not info.details.HasField("resource_requests")
            assert (info.details.input.pfs.branch, info.details.datum_tries) == ("master", 3)
            calls.pps("DeletePipeline", pipeline={"name": name})


def test_27_has_something_else_where_newer_ones_have_the_document(pachd_v27_server: PachdServer) -> None:
    name, source = pachd_v27_server.new_name("p"), pachd_v27_server.new_name("in")
    with Asking(pachd_v27_server.address) as calls:
        calls.pfs("CreateRepo", repo=calls.repo(source))
        given = {"transform": {"image": "i"}, "input": {"pfs": {"repo": source, "glob": "/"}}}
        calls.pps("CreatePipeline", pipeline=calls.pipeline(name), dry_run=True, **given)
        info = calls.inspect(name)  # dry_run was not honoured
        assert (bool(info.user_spec_json), info.effective_spec_json) == (True, "")


def test_pipelines_outlive_a_restart_and_their_jobs_end_after_it(tmp_path: pathlib.Path) -> None:
    need("grpc", "google.protobuf")
    folder = str(tmp_path / "box")
    arguments = ["--dir", folder, "--services", "pachyderm"]
    try:
        sandbox("start", *arguments)
        address = endpoints(tmp_path / "box")["pachyderm"]["address"]
        with Asking(address) as calls:
            calls.pfs("CreateRepo", repo=calls.repo("in"))
            calls.create(calls.document("kept", "in"))
            calls.pps("SetProjectDefaults", project={"name": "default"}, project_defaults_json="{ }")
            before = calls.inspect("kept", details=True)
        sandbox("stop", "--dir", folder)
        sandbox("start", *arguments)
        with Asking(address) as calls:
            after = calls.inspect("kept", details=True)
            assert (after.details, after.effective_spec_json) == (before.details, before.effective_spec_json)
            assert calls.pps("GetProjectDefaults", project={"name": "default"}).project_defaults_json == "{ }"
            job = {"id": after.spec_commit.id, "pipeline": calls.pipeline("kept")}
            assert calls.pps("InspectJob", job=job, wait=True).state == 6
            calls.create(calls.document("kept", "in"), update=True)
            assert calls.inspect("kept").version == 2
    finally:
        sandbox("absent", "--dir", folder)
