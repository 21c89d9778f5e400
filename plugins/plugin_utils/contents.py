# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lookups that read content into a play share: options, bound, encodings, errors."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterable
from typing import Any, Callable, Optional, TypeVar

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.core.values import human, size

T = TypeVar("T")
Opened = contextlib.AbstractContextManager[tuple[Optional[int], Iterable[bytes]]]


def parsed(option: str, parse: Callable[[Any], T], value: Any) -> T:
    """parse(value), whose ValueError becomes an OptionError that names the option."""
    try:
        return parse(value)
    except ValueError as error:
        raise OptionError(option, str(error)) from None


class Contents(LookupBase):  # type: ignore[misc]
    """Base of these lookups. name: the plugin's; better: the module for what is too large; connection: as modules'."""

    name = ""
    better = ""
    connection: Any = None
    options: dict[str, Any]
    client: Any
    most: int

    def begin(self) -> None:
        """What is the same for all terms, from self.options and self.client. Raises StorageError."""

    def open(self, term: Any) -> Opened:
        """A context that gives (bytes in all, None when unknown; the content in pieces). Raises StorageError."""
        raise StorageError("%s reads nothing" % self.name)

    def fits(self, term: Any, number: int | None) -> None:
        """Raises StorageError when that is more than max_bytes."""
        if number is not None and number > self.most:
            raise StorageError(
                "%s holds more than %s" % (term, human(self.most)),
                operation="read",
                hint="Raise max_bytes, or use %s" % self.better,
            )

    def content(self, term: Any) -> bytes:
        """The whole content, at most max_bytes. Raises StorageError."""
        found = bytearray()
        with self.open(term) as (due, pieces):
            self.fits(term, due)
            for piece in pieces:
                found += piece
                self.fits(term, len(found))
        if due is not None and len(found) != due:
            raise StorageError(
                "%s: %d bytes arrived where %d were due" % (term, len(found), due),
                operation="read",
                hint="It was probably changed meanwhile: run again",
            )
        return bytes(found)

    def _text(self, term: Any) -> str:
        data = self.content(term)
        if self.options["encoding"] == "b64":
            return base64.b64encode(data).decode("ascii")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise StorageError("%s is not UTF-8 text" % term, hint="Read it with encoding='b64'") from None

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[str]:
        """The content of each term. Raises AnsibleError."""
        self.set_options(var_options=variables, direct=kwargs)
        self.options = self.get_options()
        try:
            self.most = parsed("max_bytes", size, self.options["max_bytes"])
            self.client = client_for(self.connection, self.options, 8, os.environ)
            self.begin()
            return [self._text(term) for term in terms]
        except StorageError as error:
            raise AnsibleError("polystore.storage.%s: %s" % (self.name, error.told())) from None
