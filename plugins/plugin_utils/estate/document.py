# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A YAML or JSON text that knows on which line everything is."""

from __future__ import annotations

import json
from typing import Any, Callable, Union

import yaml

At = tuple[Union[str, int], ...]
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Raw(str):
    """A text that is no template."""


class _Loader(_Base):  # type: ignore[misc]
    """YAML as Ansible's users write it, with !vault. decrypt: turns such a value into its text."""

    decrypt: Callable[[str], str] | None = None


def _vaulted(loader: Any, node: Any) -> str:
    if loader.decrypt is None:
        raise yaml.constructor.ConstructorError(None, None, "there is no vault secret for it", node.start_mark)
    try:
        return str(loader.decrypt(loader.construct_scalar(node)))
    except Exception as error:  # whatever a vault has to say, without the line that it says it of
        told = str(error).split("\n", 1)[0]
        raise yaml.constructor.ConstructorError(None, None, told, node.start_mark) from None


_Loader.add_constructor("!vault", _vaulted)
_Loader.add_constructor("!unsafe", lambda loader, node: Raw(loader.construct_scalar(node)))


class Document:
    """Data and where it comes from. source: how messages call it; folder: to which its relative paths are.

    faults: (place, what is wrong) of the text itself; data is None where it cannot be read.
    """

    def __init__(self, data: Any, source: str = "The manifest", folder: str = ".", root: Any = None) -> None:
        self.data, self.source, self.folder, self._root = data, source, folder, root
        self.faults: list[tuple[At, str]] = []
        self._lines: dict[At, int] = {}

    @classmethod
    def parse(cls, text: str, source: str, folder: str, decrypt: Callable[[str], str] | None = None) -> Document:
        """The document in a text, YAML or, where source ends with .json, JSON."""
        found = cls(None, source, folder)
        if source.endswith(".json"):
            try:
                found.data = json.loads(text, object_pairs_hook=_Pairs)
            except ValueError as error:
                found._stopped("this is not valid JSON: %s" % error, getattr(error, "lineno", None))
                return found
            found._plain_pairs()
        loader = _Loader(text)
        loader.decrypt = decrypt
        try:
            found._root = loader.get_single_node()
            if found._root is not None:
                found._once(found._root, (), set(), set())
                if not source.endswith(".json"):
                    found.data = loader.construct_document(found._root)
        except yaml.YAMLError as error:
            if not source.endswith(".json"):
                mark = getattr(error, "problem_mark", None)
                told = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
                if "unhashable" in told:
                    told += ". A value that begins with {{ has to be in quotes"
                found._stopped("this is not valid YAML: %s" % told, mark and mark.line + 1)
        finally:
            loader.dispose()
        return found

    def _stopped(self, told: str, line: int | None) -> None:
        self.data = None
        self.faults.append(((), told))
        if line:
            self._lines[()] = line

    def _plain_pairs(self) -> None:
        self.data = _plain(self.data, (), self.faults)

    def _once(self, node: Any, at: At, inside: set[int], seen: set[int]) -> None:
        """Note names that a mapping has twice, and anchors that hold themselves."""
        if id(node) in inside:
            raise yaml.composer.ComposerError(None, None, "an anchor holds itself", node.start_mark)
        if id(node) in seen:
            return
        seen.add(id(node))
        names: set[str] = set()
        for number, value in enumerate(node.value if isinstance(node, yaml.CollectionNode) else ()):
            place: At = (*at, number)
            if isinstance(node, yaml.MappingNode):
                key, value = value
                place = (*at, str(key.value))
                if place[-1] in names:
                    self._lines[place] = key.start_mark.line + 1
                    if all(place != known for known, _told in self.faults):
                        self.faults.append((place, "it is there twice"))
                names.add(str(key.value))
            self._once(value, place, inside | {id(node)}, seen)

    def line(self, at: At) -> int | None:
        """The line of a place, or of the nearest thing that it is in; None where that is not known."""
        if at in self._lines:
            return self._lines[at]
        node = self._root
        if node is None:
            return None
        line: int = node.start_mark.line + 1
        for part in at:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == str(part)), None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                pair = (node.value[part], node.value[part])
            else:
                break
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        return line


class _Pairs(list):  # type: ignore[type-arg]
    """A JSON object as it was written, its names as often as they are there."""


def _plain(value: Any, at: At, faults: list[tuple[At, str]]) -> Any:
    if isinstance(value, _Pairs):
        found: dict[str, Any] = {}
        for name, part in value:
            if name in found:
                faults.append(((*at, name), "it is there twice"))
            found[name] = _plain(part, (*at, name), faults)
        return found
    if isinstance(value, list):
        return [_plain(part, (*at, number), faults) for number, part in enumerate(value)]
    return value
