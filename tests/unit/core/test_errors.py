# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors, what they tell, and the one retry loop."""

from __future__ import annotations

import sys

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import (
    MissingLibrary,
    OptionError,
    Retry,
    StorageError,
)
from hypothesis import given
from hypothesis import strategies as st


def test_what_an_error_tells() -> None:
    assert StorageError("It broke").told() == "It broke"
    assert StorageError("It broke.", server_message="disk full").told() == "It broke: disk full"
    assert StorageError("It broke: disk full", server_message="disk full").told() == "It broke: disk full"
    assert (
        StorageError("It broke", server_message="disk full.", hint="Buy one").told() == "It broke: disk full. Buy one"
    )
    assert StorageError("It broke", hint="Look").told() == "It broke. Look"


def test_options_and_libraries_are_named() -> None:
    error = OptionError("color", "is wrong", "Take red")
    assert (error.option, error.message, error.fatal, error.transient) == ("color", "color: is wrong", True, False)
    missing = MissingLibrary("python-swiftclient", "to talk")
    assert sys.executable in missing.message
    assert missing.hint.endswith("-m pip install python-swiftclient")


class Flaky:
    """Fails so many times, then returns."""

    def __init__(self, times: int, **how: float | None) -> None:
        self.times, self.how, self.calls = times, how, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise StorageError("flaky %d" % self.calls, transient=True, retry_after=self.how.get("retry_after"))
        return "done"


@given(st.integers(0, 6), st.integers(0, 6))
def test_as_often_as_allowed(times: int, retries: int) -> None:
    pauses: list[float] = []
    flaky, retry = Flaky(times), Retry(retries, base=1.0, cap=4.0, sleep=pauses.append)
    if times <= retries:
        assert retry.call(flaky) == "done"
    else:
        with pytest.raises(StorageError, match="flaky %d" % (retries + 1)):
            retry.call(flaky)
    assert len(pauses) == min(times, retries)
    for number, pause in enumerate(pauses):
        full = min(4.0, 2.0**number)
        assert full / 2 <= pause <= full


@pytest.mark.parametrize(("asked", "waited"), [(7.5, 7.5), (0, 0.0), (-3, 0.0), (9999, 120.0)])
def test_the_server_says_how_long(asked: float, waited: float) -> None:
    pauses: list[float] = []
    assert Retry(1, sleep=pauses.append).call(Flaky(1, retry_after=asked)) == "done"
    assert pauses == [waited]


def test_what_will_not_pass_is_not_repeated() -> None:
    calls: list[int] = []

    def refused() -> None:
        calls.append(1)
        raise StorageError("no")

    with pytest.raises(StorageError, match="no"):
        Retry(9).call(refused)
    assert len(calls) == 1
