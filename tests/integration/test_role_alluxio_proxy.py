# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role alluxio_proxy: with releases whose proxy is a small server of our own; and (POLYSTORE_ALLUXIO=real) with
real ones at a real master, in the background and under a real systemd."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support import alluxio_real, alluxio_tarball, targets
from ansible_collections.polystore.storage.tests.support.alluxio_real import ask, free_ports
from ansible_collections.polystore.storage.tests.support.booted import Booted, booted, need_booted
from ansible_collections.polystore.storage.tests.support.waiting import wait_for

ROLE = "polystore.storage.alluxio_proxy"
CTL = targets.COLLECTION / "roles" / "alluxio_proxy" / "files" / "alluxio_proxyctl.py"
SECRET = "wJalrXUtnFEMI-not-for-you"


class Place:
    """One installation in a directory of the test, and what a play there is called with."""

    def __init__(self, scratch: pathlib.Path, within: tuple[str, ...] = ()) -> None:
        self.scratch, self.home, self.count, self.within = scratch, scratch / "opt" / "alluxio", 0, within
        self.home.parent.mkdir()
        self.port = free_ports(1)[0]
        self.url = "http://127.0.0.1:%d/api/v1/proxy/info" % self.port
        self.java = alluxio_tarball.small_java(scratch / "java", "11.0.30")
        self.settings: dict[str, Any] = {
            "install_dir": str(self.home),
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "java_home": str(self.java),
            "master_hostname": "master.example.org",
            "port": self.port,
            "service_manager": "background",
            "health_timeout": 30,
        }

    def release(self, version: str, broken: bool = False) -> dict[str, str]:
        """Names a release from now on; its settings."""
        found = {"version": version, "archive_src": str(alluxio_tarball.small(self.scratch, version, broken))}
        self.settings |= found
        return found

    def steps(self, *options: str, each: Iterable[Mapping[str, Any]]) -> list[targets.Step]:
        """Runs the role once for each of these settings (variables without their prefix, for that run)."""
        self.count += 1
        given = [[{"alluxio_proxy_" + name: value for name, value in {**self.settings, **one}.items()}] for one in each]
        run = self.scratch / ("run%d" % self.count)
        began = time.monotonic()
        self.ran, steps = targets.run_steps(ROLE, given, run, *options, url=self.url, within=self.within)
        print("run %d, %d plays: %.1f s" % (self.count, len(given), time.monotonic() - began))
        return steps

    def goods(self, *options: str, each: Iterable[Mapping[str, Any]] = ({}, {})) -> list[targets.Step]:
        """Runs the role several times, which all have to succeed."""
        steps = self.steps(*options, each=each)
        assert self.ran.code == 0 and not any(step.failed for step in steps), self.ran.output
        return steps

    def good(self, *options: str, **settings: Any) -> int:
        """Runs the role, which has to succeed; the number of tasks that changed something."""
        return self.goods(*options, each=[settings])[0].changed

    def bads(self, each: Iterable[Mapping[str, Any]]) -> list[str]:
        """Runs the role several times, which all have to fail; their last messages."""
        steps = self.steps(each=each)
        assert all(step.failed for step in steps), self.ran.output
        return [step.why for step in steps]

    def bad(self, *options: str, **settings: Any) -> str:
        """Runs the role, which has to fail; its last message."""
        (step,) = self.steps(*options, each=[settings])
        assert step.failed, self.ran.output
        return step.why

    def info(self) -> dict[str, Any]:
        """What the proxy says of itself; {} when it does not answer."""
        return ask(self.url)

    def control(self, command: str) -> dict[str, Any]:
        """A command of the role's helper."""
        done = subprocess.run(
            [sys.executable, "-B", str(CTL), command, "--home", str(self.home)], capture_output=True, check=True
        )
        value: dict[str, Any] = json.loads(done.stdout)
        return value


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    found.control("stop")


@pytest.mark.second
@pytest.mark.alluxio
def test_a_life(place: Place) -> None:
    place.release("2.9.4")
    assert place.good("--check", "--diff") == 1 and not place.home.exists()
    new, same = place.goods("--diff")
    first = new.told
    assert new.changed > 5 and first["version"] == "2.9.4"
    assert same.changed == 0
    assert same.told["startTimeMs"] == first["startTimeMs"], "it was started again for nothing"

    # It comes back when it dies, and so it does when its supervisor died with it.
    os.kill(first["pid"], signal.SIGKILL)
    second = wait_for(lambda: (i := place.info()) and i["pid"] != first["pid"] and i, "the proxy comes back")
    assert place.control("status")["restarts"] == 1
    os.kill(place.control("status")["supervisor"], signal.SIGKILL)
    wait_for(lambda: not place.control("status")["running"], "the supervisor is gone")
    assert place.good("--check") == 1
    assert place.good() == 1
    third = place.info()
    assert third["pid"] != second["pid"]
    assert [step.changed for step in place.goods("--check", each=({}, {"state": "stopped"}))] == [0, 1]
    assert place.info()["pid"] == third["pid"]

    stopped, again = place.goods(each=({"state": "stopped"}, {"state": "stopped"}))
    assert (stopped.changed, stopped.told, again.changed) == (1, {}, 0)
    assert not place.info() and place.home.exists()

    # What is not the role's stays.
    (place.home / "notes.txt").write_text("mine\n")
    (place.home / "alluxio-2.0.0").mkdir()
    assert place.good("--check", state="absent") > 0 and (place.home / "current").exists()
    gone, refused = place.steps(each=({"state": "absent"}, {"state": "absent"}))
    assert gone.changed > 0 and not gone.failed, place.ran.output
    assert sorted(os.listdir(place.home)) == ["alluxio-2.0.0", "notes.txt"]
    assert refused.failed and "was not made by this role" in refused.why
    shutil.rmtree(place.home)
    assert [step.changed for step in place.goods(each=({"state": "absent"}, {"state": "stopped"}))] == [0, 0]


@pytest.mark.second
@pytest.mark.alluxio
def test_upgrades_and_the_way_back(place: Place) -> None:
    older = place.release("2.9.4")
    place.good()
    (place.home / "conf" / "core-site.xml").write_text("<configuration/>\n")
    newer = place.release("2.9.6")
    assert place.good("--check") > 0 and place.info()["version"] == "2.9.4"

    # An upgrade; a release that does not run; a configuration by which REST is shadowed.
    dead = place.release("2.9.9", broken=True)
    place.settings |= newer
    shadowed = {"properties": {"alluxio.proxy.s3.v2.version.enabled": True}}
    steps = place.steps(each=({}, dead | {"health_timeout": 2}, {}, shadowed, {}))
    upgraded, broken, back, misled, same = steps
    assert [step.failed for step in steps] == [False, True, False, True, False], place.ran.output
    assert upgraded.changed > 0 and upgraded.told["version"] == "2.9.6"
    assert "alluxio-2.9.9 did not become healthy within 2 s" in broken.why and "refused" in broken.why, broken.why
    assert "Rolled back to alluxio-2.9.6" in broken.why and "which answers" in broken.why, broken.why
    assert back.changed == 0 and back.told["version"] == "2.9.6"
    words = misled.why
    assert "200 with nothing in it" in words and "alluxio.proxy.s3.v2.version.enabled has to be false" in words, words
    assert "Rolled back to alluxio-2.9.6" in words and same.changed == 0 and same.told["version"] == "2.9.6", words
    assert os.readlink(place.home / "current") == "alluxio-2.9.6" and (place.home / "conf" / "core-site.xml").exists()

    # A run that died between its writing and the restart left work to do.
    (place.home / "known-good" / "alluxio-env.sh").write_text("another\n")
    # Back to a release that is there needs no archive.
    mended, old = place.goods(each=({}, older | {"archive_src": ""}))
    assert mended.changed > 0 and mended.told["pid"] != same.told["pid"]
    assert old.changed > 0 and old.told["version"] == "2.9.4"


@pytest.mark.second
@pytest.mark.alluxio
def test_a_first_release_that_does_not_run(place: Place) -> None:
    place.release("2.9.9", broken=True)
    assert "there is nothing to go back to" in place.bad(health_timeout=2)
    assert place.control("status")["running"]


@pytest.mark.second
@pytest.mark.alluxio
def test_what_is_written(place: Place) -> None:
    place.release("2.9.6")
    given = {
        "alluxio.master.hostname": None,
        "aws.secretKey": SECRET,
        "alluxio.user.metrics.collection.enabled": True,
        "odd": ' two\nlines \\ "ü"',
        "many": ["a", "b"],
    }
    place.settings |= {"master_hostname": "", "master_addresses": ["m1:19998", "m2:19998"], "properties": given}
    url, place.url = place.url, ""  # our server would tell all of it
    place.good("-vvv", "--diff", java_opts="-Xmx64m -Dword='two words'")
    place.url = url
    assert SECRET not in place.ran.output and SECRET not in json.dumps([row.result for row in place.ran.rows])
    conf = place.home / "conf" / "alluxio-site.properties"
    assert conf.read_text("ascii").splitlines()[1:] == [
        "alluxio.master.rpc.addresses=m1:19998,m2:19998",
        "alluxio.proxy.s3.v2.version.enabled=false",
        "alluxio.proxy.web.bind.host=127.0.0.1",
        "alluxio.proxy.web.hostname=127.0.0.1",
        "alluxio.proxy.web.port=%d" % place.port,
        "alluxio.user.metrics.collection.enabled=true",
        "aws.secretKey=" + SECRET,
        "many=a,b",
        'odd=\\ two\\nlines \\\\ \\"\\u00fc\\"',
    ]
    for path in (conf, place.home / "conf" / "alluxio-env.sh", place.home / "known-good" / conf.name):
        assert path.stat().st_mode & 0o777 == 0o640 and path.parent.stat().st_mode & 0o007 == 0
    # Word by word, as the release's own script passes them on.
    assert place.info()["options"] == ["-Xmx64m", "-Dword='two", "words'"]
    with open("/proc/%d/environ" % place.info()["pid"]) as file:
        assert "ANSIBLE_CONFIG" not in file.read(), "the play's own environment went on to the proxy"


@pytest.mark.second
@pytest.mark.alluxio
def test_what_is_refused(place: Place) -> None:
    release = place.release("2.9.6")
    source = pathlib.Path(release["archive_src"])
    theirs = place.scratch / "theirs"
    (theirs / "notes").mkdir(parents=True)
    java = alluxio_tarball.small_java(place.scratch / "java17", "17.0.15")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    other = place.release("2.9.5")
    place.settings |= release
    url = {**other, "archive_src": "", "archive_url": pathlib.Path(other["archive_src"]).as_uri()}
    cases: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({"install_dir": str(theirs)}, ("holds other things",)),
        ({"java_home": str(java)}, ("is Java 17.0.15; alluxio-2.9.6 wants 8 or 11", "refuses others")),
        ({"java_home": "/nowhere"}, ("no Java at /nowhere",)),
        ({"master_hostname": ""}, ("Name one of alluxio_proxy_master_hostname",)),
        ({"properties": {"alluxio.proxy.web.port": 1}}, ("alluxio_proxy_port",)),
        ({**other, "archive_checksum": "sha256:" + digest}, ("not sha256:" + digest,)),
        ({**other, "version": "2.9.7"}, ("holds no alluxio-2.9.7/bin/launch-process",)),
        # From a URL, with its checksum.
        ({**url, "archive_checksum": ""}, ("alluxio_proxy_archive_checksum",)),
        ({**url, "archive_checksum": "sha256:" + digest}, ("match",)),
    ]
    for said, (_settings, words) in zip(place.bads([case[0] for case in cases]), cases, strict=True):
        assert all(word in said for word in words), (words, said)
    assert not place.control("status")["running"]
    fitting = hashlib.sha256(pathlib.Path(other["archive_src"]).read_bytes()).hexdigest()
    assert place.good(**url, archive_checksum="sha256:" + fitting) > 0 and place.info()["version"] == "2.9.5"


# --- real ones ----------------------------------------------------------------------------------------------------

SMALL_JVM = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


@pytest.fixture(scope="module")
def master() -> Iterator[int]:
    """The port of a real master with a worker."""
    if os.environ.get("POLYSTORE_ALLUXIO") != "real":
        pytest.skip("POLYSTORE_ALLUXIO=real runs it with a real Alluxio")
    for version in ("2.9.4", "2.9.6"):
        alluxio_real.need_real(version)
    port = free_ports(1)[0]
    server = alluxio_real.launch("2.9.6", properties={"alluxio.master.rpc.port": str(port)})
    yield port
    server.stop()


def real(place: Place, port: int) -> None:
    """Makes a place one for real proxies at a master."""
    home = pathlib.Path(os.path.realpath(alluxio_real.java())).parents[1]
    properties = {
        "alluxio.master.rpc.port": port,
        "alluxio.security.login.username": pwd.getpwuid(os.geteuid()).pw_name,
    }
    place.settings |= {
        "java_home": str(home),
        "java_opts": " ".join(SMALL_JVM),
        "master_hostname": "127.0.0.1",
        "properties": properties,
        "health_timeout": 120,
    }


def real_release(place: Place, version: str, machine: Booted | None = None) -> None:
    """Names a real release from now on. machine: where its jars are to be for everybody to read."""
    jars = alluxio_real.resolve(version) / "lib"
    if machine is not None:
        here, jars = jars, pathlib.Path("/opt/jars-" + version)
        for command in (["mkdir", str(jars)], ["mount", "--bind", str(here), str(jars)]):
            done = machine.run(*command)
            assert done.returncode == 0, done.stderr
    place.settings |= {"version": version, "archive_src": str(alluxio_tarball.real(place.scratch, version, jars))}


def post(place: Place, what: str, data: bytes = b"{}", kind: str = "application/json") -> bytes:
    """One call of REST."""
    request = urllib.request.Request("http://127.0.0.1:%d/api/v1/%s" % (place.port, what), data=data)
    request.add_header("Content-Type", kind)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        body: bytes = answer.read()
    return body


def written(place: Place, path: str, content: bytes) -> None:
    """Writes a file through the proxy and reads it again."""
    stream = int(post(place, "paths/%s/create-file" % path, b'{"recursive": true, "writeType": "CACHE_THROUGH"}'))
    assert int(post(place, "streams/%d/write" % stream, content, "application/octet-stream")) == len(content)
    post(place, "streams/%d/close" % stream)
    assert read_again(place, path) == content


def read_again(place: Place, path: str) -> bytes:
    """The content of a file."""
    stream = int(post(place, "paths/%s/open-file" % path))
    content = post(place, "streams/%d/read" % stream)
    post(place, "streams/%d/close" % stream)
    return content


def proxies(place: Place) -> list[int]:
    """The processes that are this place's proxy."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"alluxio.proxy.AlluxioProxy" in words and any(str(place.home).encode() in word for word in words):
            found.append(int(path.parent.name))
    return found


def real_life(place: Place, port: int, name: str, machine: Booted | None = None) -> None:
    """2.9.4, twice; killed; 2.9.6; a release and a configuration that do not run; stopped. Leaves a running 2.9.6."""
    real(place, port)
    real_release(place, "2.9.4", machine)
    new, same = place.goods("--diff")
    assert new.changed > 5 and new.told["version"] == "2.9.4"
    assert same.changed == 0 and same.told["startTimeMs"] == new.told["startTimeMs"]
    written(place, "/%s/one" % name, b"one" * 1000)

    (pid,) = proxies(place)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: proxies(place) not in ([], [pid]), "the proxy comes back", 90)
    wait_for(place.info, "it answers", 90)
    assert read_again(place, "/%s/one" % name) == b"one" * 1000

    real_release(place, "2.9.6", machine)
    kept = dict(place.settings)
    shadowed = {"properties": kept["properties"] | {"alluxio.proxy.s3.v2.version.enabled": True}}
    broken = {**place.release("2.9.9", broken=True), "health_timeout": 2, "java_versions": [alluxio_major(place)]}
    place.settings = kept
    upgraded, misled, dead = place.steps(each=({}, shadowed, broken))
    assert not upgraded.failed and upgraded.changed > 0 and upgraded.told["version"] == "2.9.6", place.ran.output
    words = misled.why
    assert "200 with nothing in it" in words and "Rolled back to alluxio-2.9.6" in words, words
    assert "which answers" in words, words
    words = dead.why
    assert "alluxio-2.9.9 did not become healthy" in words and "Rolled back to alluxio-2.9.6" in words, words
    assert "which answers" in words and place.info()["version"] == "2.9.6" and len(proxies(place)) == 1, words
    assert read_again(place, "/%s/one" % name) == b"one" * 1000
    written(place, "/%s/two" % name, b"two" * 1000)
    assert [step.changed for step in place.goods(each=({"state": "stopped"}, {"state": "stopped"}))] == [1, 0]
    assert not proxies(place) and not place.info()
    assert place.good() > 0 and place.info()["version"] == "2.9.6"
    assert read_again(place, "/%s/two" % name) == b"two" * 1000


def alluxio_major(place: Place) -> int:
    """The major version of the Java in use."""
    command = [place.settings["java_home"] + "/bin/java", "-version"]
    words = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(words.stderr.split('"')[1].split(".")[0])


@pytest.mark.alluxio
def test_a_real_proxy_in_the_background(place: Place, master: int) -> None:
    real_life(place, master, "background")
    assert place.good(state="absent") > 0 and not proxies(place) and not place.home.exists()


@pytest.fixture
def machine() -> Iterator[Booted]:
    if os.environ.get("POLYSTORE_ALLUXIO") != "real":
        pytest.skip("POLYSTORE_ALLUXIO=real runs it with a real Alluxio")
    need_booted()
    with booted() as found:
        yield found


@pytest.mark.alluxio
def test_a_real_proxy_under_systemd(machine: Booted, master: int) -> None:
    scratch = machine.shared / "test"
    scratch.mkdir()
    place = Place(scratch, tuple(machine.enter))
    place.home = pathlib.Path("/opt/polystore-alluxio")
    place.settings |= {"install_dir": str(place.home), "user": "polystore-alluxio", "service_manager": "auto"}
    # The interpreter of these tests may lie where only its owner gets to.
    place.settings["python"] = "/usr/bin/python3"
    unit = "alluxio-proxy.service"
    real_life(place, master, "systemd", machine)
    (pid,) = proxies(place)
    assert machine.show(unit, "ActiveState") == "active" and machine.show(unit, "User") == "polystore-alluxio"
    assert machine.show(unit, "UnitFileState") == "enabled" and machine.show(unit, "NRestarts") == "0"
    status = pathlib.Path("/proc/%d/status" % pid).read_text()
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status and "Uid:\t0" not in status
    checked = machine.run("systemd-analyze", "verify", "/etc/systemd/system/" + unit)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    # 1.5 of 10 when this was written; systemd calls it "OK".
    judged = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit)
    assert judged.returncode == 0, judged.stdout
    print(judged.stdout.splitlines()[-1])

    machine.run("systemctl", "kill", "-s", "KILL", unit)
    wait_for(lambda: machine.show(unit, "NRestarts") == "1" and place.info(), "systemd starts it again", 90)
    # From one way to run it to the other and back.
    assert place.good(service_manager="background") > 0 and place.info()
    assert machine.run("systemctl", "cat", unit).returncode != 0 and len(proxies(place)) == 1
    assert place.good() > 0 and machine.show(unit, "ActiveState") == "active" and len(proxies(place)) == 1
    assert place.good(state="absent") > 0 and not proxies(place)
    assert machine.run("systemctl", "cat", unit).returncode != 0
    assert machine.run("id", "polystore-alluxio").returncode != 0
    assert machine.run("ls", str(place.home)).returncode != 0
