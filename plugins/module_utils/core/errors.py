# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that every room of the collection raises, and the one retry loop."""

from __future__ import annotations

import random
import sys
import time
from typing import Any, Callable, TypeVar

T = TypeVar("T")


class StorageError(Exception):
    """Something a storage system refused or could not do.

    message: one sentence for a person, without secrets.
    operation: what was tried ("create container"); the engine fills it in.
    code: the system's own.
    server_message: the server's own words, shortened by the client.
    hint: what to do about it.
    transient: asking again later may help.
    retry_after: seconds the server asked to wait.
    fatal: no other item can succeed either (wrong password, refused connection).
    item: which it was, where that is known.
    """

    item = ""

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        code: int | str | None = None,
        server_message: str = "",
        hint: str = "",
        transient: bool = False,
        retry_after: float | None = None,
        fatal: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.code = code
        self.server_message = server_message
        self.hint = hint
        self.transient = transient
        self.retry_after = retry_after
        self.fatal = fatal

    def told(self) -> str:
        """The whole error as one text: message, the server's words, what to do."""
        text = self.message
        if self.server_message and self.server_message not in text:
            text = "%s: %s" % (text.rstrip(".:"), self.server_message)
        return "%s. %s" % (text.rstrip("."), self.hint) if self.hint else text


class OptionError(StorageError):
    """An option that cannot be right, found before anything is sent. The message names the option."""

    def __init__(self, option: str, wrong: str, right: str = "") -> None:
        super().__init__("%s: %s" % (option, wrong), operation="check options", hint=right, fatal=True)
        self.option = option


class MissingLibrary(StorageError):
    """The executing interpreter lacks a Python package."""

    def __init__(self, package: str, what_for: str) -> None:
        super().__init__(
            "The Python package %s is needed %s, and %s does not have it" % (package, what_for, sys.executable),
            operation="import library",
            hint="Install it there with: %s -m pip install %s" % (sys.executable, package),
            fatal=True,
        )
        self.package = package


class Retry:
    """Asks again after transient errors, with jittered exponential backoff; honours the server's Retry-After.

    retries: how often to ask again (0: never). base and cap: seconds of the first and the longest pause.
    Only calls that are safe to repeat may be given to it.
    """

    def __init__(
        self,
        retries: int,
        base: float = 0.25,
        cap: float = 20.0,
        longest: float = 120.0,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self.retries = retries
        self.base = base
        self.cap = cap
        self.longest = longest
        self._sleep = sleep

    def pause(self, attempt: int, error: StorageError) -> float:
        """Seconds to wait before attempt number attempt + 1 (attempt counts from 0)."""
        if error.retry_after is not None:
            return min(max(error.retry_after, 0.0), self.longest)
        return min(self.cap, self.base * float(2**attempt)) * random.uniform(0.5, 1.0)

    def call(self, function: Callable[[], T]) -> T:
        """Return what function() returns; raises its last StorageError when no retry is left."""
        attempt = 0
        while True:
            try:
                return function()
            except StorageError as error:
                if not error.transient or attempt >= self.retries:
                    raise
                self._sleep(self.pause(attempt, error))
            attempt += 1
