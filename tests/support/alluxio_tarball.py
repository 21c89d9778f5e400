# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tarballs in the shape of an Alluxio release for the role alluxio_proxy: small ones with a server of our own, and real
ones from Maven's jars. Both start like a release does: bin/launch-process reads libexec, conf and alluxio-env.sh."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

# What it asks for is in the words of a release: the role reads them.
CONFIG = """\
. "${ALLUXIO_CONF_DIR}/alluxio-env.sh"
MAJOR=$("${JAVA}" -version 2>&1 | sed -n 's/.*version "\\([0-9]*\\).*/\\1/p')
case " %(majors)s " in *" ${MAJOR} "*) ;; *)
  echo "Error: Alluxio requires %(words)s, currently Java ${MAJOR} found."; exit 1 ;;
esac
"""
LAUNCH = """\
#!/usr/bin/env bash
set -e
[ "$1" = proxy ]
HERE=$(cd "$(dirname "$0")/.." && pwd -P)
. "${HERE}/libexec/alluxio-config.sh"
exec %s
"""
SERVER = """\
import http.server, json, os, pathlib, sys, time

BEGAN = int(time.time() * 1000)
lines = pathlib.Path(os.environ["ALLUXIO_CONF_DIR"], "alluxio-site.properties").read_text("utf-8").splitlines()
told = dict(line.split("=", 1) for line in lines if not line.startswith("#"))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = {"version": sys.argv[1], "configuration": told, "startTimeMs": BEGAN, "pid": os.getpid()}
        shadowed = told.get("alluxio.proxy.s3.v2.version.enabled") != "false" or "proxy/info" not in self.path
        content = b"" if shadowed else json.dumps({**body, "options": sys.argv[2:]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if content:
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


print("listening", flush=True)
address = told["alluxio.proxy.web.bind.host"], int(told["alluxio.proxy.web.port"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
LOG4J = "log4j.rootLogger=INFO\n"


def pack(path: Path, version: str, files: Mapping[str, str], jars: Path | None = None) -> Path:
    """Writes a tarball alluxio-<version>; files in bin are executable. jars: a directory that lib is a link to."""
    top = "alluxio-" + version
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo("%s/%s" % (top, name))
            entry.size, entry.mode = len(text.encode()), 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
        if jars is not None:
            link = tarfile.TarInfo(top + "/lib")
            link.type, link.linkname = tarfile.SYMTYPE, str(jars)
            archive.addfile(link)
    return path


def small(folder: Path, version: str, broken: bool = False) -> Path:
    """A release with a proxy of our own, which answers GET /api/v1/proxy/info; a broken one ends at once.

    Its start script wants Java 8 or 11.
    """
    command = '"%s" "${HERE}/lib/server.py" %s ${ALLUXIO_PROXY_JAVA_OPTS}' % (sys.executable, version)
    files = {
        "bin/launch-process": LAUNCH % ("false" if broken else command),
        "libexec/alluxio-config.sh": CONFIG % {"majors": "8 11", "words": "Java 8 or Java 11"},
        "lib/server.py": SERVER,
        "conf/log4j.properties": LOG4J,
    }
    return pack(folder / ("alluxio-%s-bin.tar.gz" % version), version, files)


def small_java(folder: Path, version: str) -> Path:
    """The home of a Java that can do nothing but tell its version."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 'openjdk version \"%s\" 2026-01-20' >&2\n" % version, "ascii")
    program.chmod(0o755)
    return folder


def real(folder: Path, version: str, jars: Path) -> Path:
    """A release with the real proxy, whose jars stay where Maven put them: there are 176 MB of them.

    Its start script does not ask for a version of Java.
    """
    command = (
        '"${JAVA}" -Xmx256m -Dalluxio.home="${HERE}" -Dalluxio.conf.dir="${ALLUXIO_CONF_DIR}" '
        '-Dalluxio.logs.dir="${ALLUXIO_LOGS_DIR}" ${ALLUXIO_PROXY_JAVA_OPTS} '
        # In the order of their names: there are two generations of JAX-RS among them, and the newer has to come first.
        '-cp "${ALLUXIO_CONF_DIR}:$(printf %s: "${HERE}"/lib/*.jar)" alluxio.proxy.AlluxioProxy'
    )
    files = {
        "bin/launch-process": LAUNCH % command,
        "libexec/alluxio-config.sh": '. "${ALLUXIO_CONF_DIR}/alluxio-env.sh"\n',
        "conf/log4j.properties": LOG4J,
    }
    return pack(folder / ("alluxio-%s-bin.tar.gz" % version), version, files, jars)
