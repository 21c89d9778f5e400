# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and the directories that follow from them: looking, matching, and the rules for paths."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from polystore_sandbox.pachyderm.base import Refused
from polystore_sandbox.pachyderm.content import Content, Store, Tree

GLOBBING = "*?[]{}!()@+^"
FINE = re.compile(r"(?:/+(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)+/*\Z")  # names that need no second look


def clean(path: str) -> str:
    """With one "/" before it and none after it."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def check_path(path: str) -> None:
    """Refuses what cannot be written."""
    if FINE.match(path):
        return
    wrong = ""
    if not path or not all(" " <= char <= "~" for char in path):
        wrong = "only printable ASCII characters allowed"
    elif any(part in (".", "..") for part in path.split("/")):
        wrong = "relative file paths are not allowed"
    else:
        found = next((char for char in path if char in GLOBBING), "")
        wrong = f"globbing character ({found}) not allowed in path" if found else ""
    if wrong:
        raise Refused("UNKNOWN", f"path ({path}) invalid: {wrong}")


def parents(path: str) -> Iterator[str]:
    """ "/a/b/c" -> "/a/b", "/a"."""
    while (path := posixpath.dirname(path)) != "/":
        yield path


def collision(files: Tree, start: str = "/") -> str:
    """The error of the first path from `start` on that lies below a file; "" when there is none."""
    if files.sound is None:
        folders = {path[: path.rfind("/")] for path in files} - {""}
        files.sound = not any(folder in files or any(each in files for each in parents(folder)) for folder in folders)
    if files.sound:
        return ""
    found = [path for path in files if path.startswith(start) and any(parent in files for parent in parents(path))]
    return f"file / directory path collision ({min(found)})" if found else ""


@dataclass
class Entry:
    """A file, or a directory (its path ends with "/")."""

    path: str
    size: int
    content: Content | None
    children: list[Entry]
    known: bytes = b""

    def digest(self, store: Store) -> bytes:
        """A file's hash, or the hash of the children's hashes."""
        if self.content is not None:
            return store.hash(self.content)
        if not self.known:
            joined = b"".join(child.digest(store) for child in self.children)
            self.known = hashlib.blake2b(joined, digest_size=32).digest()
        return self.known

    def walk(self) -> Iterator[Entry]:
        """Itself and all below it, in the order of the paths."""
        yield self
        for child in self.children:
            yield from child.walk()


def _folder(directories: dict[str, Entry], path: str) -> Entry:
    """The directory of that path, which is put into the one above when it is new."""
    found = directories.get(path)
    if found is None:
        found = directories[path] = Entry(path, 0, None, [])
        _folder(directories, _above(path)).children.append(found)
    return found


def _above(path: str) -> str:
    return path[: path.rfind("/", 0, -1) + 1]


def look(files: Tree, start: str = "/") -> Entry | None:
    """The file or directory of that clean path with all below it; None when there is none.

    Refused when files collide there.
    """
    below = start if start == "/" else start + "/"
    if files.looked and files.looked.path == below:
        return files.looked  # type: ignore[no-any-return]
    inside = [path for path in files if path.startswith(below) and path != "/"]
    if start in files and start != "/":
        if inside:
            raise Refused("UNKNOWN", f"file / directory path collision ({min(inside)})")
        return Entry(start, files[start].size, files[start], [])
    if not inside:
        return None
    if error := collision(files, below):
        raise Refused("UNKNOWN", error)
    top = Entry(below, 0, None, [])
    directories = {below: top}
    for path in inside:
        content, folder = files[path], _folder(directories, _above(path))
        folder.children.append(Entry(path, content.size, content, []))
        folder.size += content.size
    for path, directory in sorted(directories.items(), key=lambda item: -len(item[0])):
        directory.children.sort(key=lambda entry: entry.path)
        if directory is not top:
            directories[_above(path)].size += directory.size
    files.looked = top
    return top


def _group(kind: str, body: str, rest: str) -> str:
    choices = "|".join(_expression(part) for part in _split(body, "|"))
    if kind == "!":
        return rf"(?!(?:{choices}){rest}\Z)[^/]*"
    return f"(?:{choices}){'' if kind == '@' else kind}"


def _split(text: str, separator: str) -> list[str]:
    parts, depth, at = [""], 0, 0
    while at < len(text):
        char = text[at]
        depth += (char in "({") - (char in ")}")
        if char == separator and not depth:
            parts.append("")
        else:
            parts[-1] += char
        at += 1
    return parts


def _closing(pattern: str, at: int) -> int:
    depth, pair = 0, {"(": ")", "{": "}"}[pattern[at]]
    for index in range(at, len(pattern)):
        depth += (pattern[index] == pattern[at]) - (pattern[index] == pair)
        if not depth:
            return index
    raise Refused("UNKNOWN", "unexpected end of input")


def _expression(pattern: str) -> str:
    text, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if char in "*?+@!" and pattern[at + 1 : at + 2] == "(":
            end = _closing(pattern, at + 1)
            text += _group(char, pattern[at + 2 : end], _expression(pattern[end + 1 :]))
            at = end
        elif pattern.startswith("**", at):
            text += ".*"
            at += 1
        elif char == "*":
            text += "[^/]*"
        elif char == "?":
            text += "[^/]"
        elif char == "[":
            end = pattern.find("]", at + 2)
            if end < 0:
                raise Refused("UNKNOWN", "unexpected end of input")
            body = pattern[at + 1 : end].replace("\\", "\\\\")
            text += "[" + ("^" + body[1:] if body[0] in "!^" else body) + "]"
            at = end
        elif char == "{":
            end = _closing(pattern, at)
            text += "(?:" + "|".join(_expression(part) for part in _split(pattern[at + 1 : end], ",")) + ")"
            at = end
        elif char == "\\" and at + 1 < len(pattern):
            text += re.escape(pattern[at + 1])
            at += 1
        else:
            text += re.escape(char)
        at += 1
    return text


def glob(files: Tree, pattern: str) -> list[Entry]:
    """The files and directories that a pattern matches, in the order of the paths."""
    pattern = "/" + pattern.lstrip("/")
    if len(pattern) > 1:
        pattern = pattern.rstrip("/") or "/"
    literal = re.match(r"[^*?\[{\\+@!(]*", pattern)
    fixed = literal[0] if literal else ""
    expression = re.compile(_expression(pattern), re.DOTALL)
    if fixed == pattern:
        found = look(files, pattern)
        return [found] if found else []
    start = posixpath.dirname(fixed)
    top = look(files, start)
    if top is None or top.content is not None:
        return []
    return [entry for entry in top.walk() if entry.path != "/" and expression.fullmatch(entry.path.rstrip("/"))]
