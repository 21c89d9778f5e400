# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the drivers of Pachyderm's official clients share: a web server for pachd to fetch from, and one line a step.

{"step": NAME, "ok": ANSWER} or {"step": NAME, "err": [CODE, WORDS]}, as the answers of real servers were recorded: ids
are <id1>, <id2> in order of appearance, times <time>, the web server <web>; what depends on worker pods is left out.
Runs with the client's interpreter, which has nothing of this project.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc

WORKERS = "state reason last_job_state recent_error workers_requested workers_available worker_rc unclaimed_tasks"
VARYING = "workers_started_at auth_info authInfo compacting_time validating_time salt created_by"
LEFT_OUT = frozenset(f"{WORKERS} {VARYING}".split())
UNORDERED = ("provenance", "direct_provenance", "subvenance")
PAGES = {"/a.txt": b"from the web\n", "/empty": b"", "/1.png": b"one", "/2.png": b"two!", "/3.png": b"three"}
LONG = 99  # bytes from which on a content is told by its digest


class Pages(http.server.BaseHTTPRequestHandler):
    """What pachd fetches by URL."""

    def do_GET(self) -> None:
        """One of the pages, or 404."""
        page = PAGES.get(self.path)
        self.send_response(200 if page is not None else 404)
        self.send_header("Content-Length", str(len(page or b"")))
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, *_args: Any) -> None:
        """Says nothing."""


@contextlib.contextmanager
def web() -> Iterator[str]:
    """Serves the pages on a free port; gives the URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield "http://127.0.0.1:%d" % server.server_address[1]
    finally:
        server.shutdown()


class Teller:
    """Does steps and prints their lines."""

    def __init__(self, url: str, as_dict: Callable[[Any], Any]) -> None:
        self.url, self.as_dict = url, as_dict
        self.ids: dict[str, str] = {}
        self.names: set[str] = set()

    def __call__(
        self,
        name: str,
        call: Callable[..., Any],
        *args: Any,
        show: Callable[[Any], Any] | None = None,
        then: Callable[[], Any] | None = None,
        **fields: Any,
    ) -> Any:
        """One step: tells the answer, or `show` of it, or what `then` finds then. Returns the answer, or None."""
        if name in self.names:
            raise ValueError(f"there are two steps {name!r}")
        self.names.add(name)
        answer: Any = None
        line: dict[str, Any] = {"step": name}
        try:
            answer = call(*args, **fields)
            if isinstance(answer, Iterator):
                answer = list(answer)
            told = then() if then else show(answer) if show else answer
            line["ok"] = json.loads(self.masked(json.dumps(self.plain(told), ensure_ascii=False)))
        except grpc.RpcError as exc:
            line["err"] = [exc.code().name, self.masked(exc.details())]
        except Exception as exc:
            line["err"] = [f"SDK {type(exc).__name__}", self.masked(str(exc))]
        print(json.dumps(line, ensure_ascii=False), flush=True)
        return answer

    def plain(self, value: Any, name: str = "") -> Any:
        """Messages as dicts, documents parsed, contents as text or digest."""
        if hasattr(value, "SerializeToString"):
            value = self.as_dict(value)
        if isinstance(value, dict):
            return {key: self.plain(value[key], key) for key in sorted(value) if key not in LEFT_OUT}
        if isinstance(value, (list, tuple)):
            items = [self.plain(item) for item in value]
            return sorted(items, key=json.dumps) if name in UNORDERED else items
        if isinstance(value, bytes):
            return (
                value.decode()
                if len(value) < LONG
                else f"{len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()}"
            )
        if name == "hash":
            return base64.b64decode(value).hex()
        if value and name.endswith(("_json", "Json")):
            return self.plain(json.loads(value))
        return value

    def masked(self, text: str) -> str:
        """Without what differs from run to run, and without the documents that a parser's complaint quotes."""

        def known(found: re.Match[str]) -> str:
            return self.ids.setdefault(found[0], "<id%d>" % (len(self.ids) + 1))

        text = re.sub(r"\b[0-9a-f]{12}4[0-9a-f]{19}\b", known, text)
        text = text.replace("\u00a0", " ").replace(self.url, "http://<web>")
        text = re.sub(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}[.\d]*(Z|\+00:00)", "<time>", text)
        text = re.sub(r"\[(default/[^]]*)\]", lambda found: "[%s]" % " ".join(sorted(found[1].split())), text)
        text = re.sub(r"\n(goroutine .*|context canceled$)", "", text, flags=re.DOTALL)
        text = re.sub(r"\(line \d+:\d+\)", "(line <at>)", text)
        return re.sub(r"(could not parse|user wrapper) \{.*\}", r"\1 {...}", text, flags=re.DOTALL)
