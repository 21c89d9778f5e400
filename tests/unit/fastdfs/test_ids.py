# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File ids: what they tell, what is none, which id a slave gets; both checksums."""

from __future__ import annotations

import base64
import re
import zlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import ids
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import Crc32, FileId, Trunk, crc32
from hypothesis import example, given, settings
from hypothesis import strategies as st

NORMAL = "group1/M00/00/00/fwAAAWsBb8OAAxZzAAAADg4Qul0309.txt"
TRUNK = "group1/M00/00/00/fwAAAWsBdLaIc-AmAAAADg4Qul0AAAAAQAAAQAAAAEA991.txt"
HASH = st.binary(min_size=20, max_size=20)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
GROUPS = st.text(LETTERS, min_size=1, max_size=16)
EXTENSIONS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,5}", fullmatch=True)


def packed(source: bytes, created: int, word: int, crc: int) -> str:
    """The 27 characters, as a storage makes them."""
    data = source + created.to_bytes(4, "big") + word.to_bytes(8, "big") + crc.to_bytes(4, "big")
    return base64.urlsafe_b64encode(data).decode()[:27]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (NORMAL, ("normal", "127.0.0.1", 0x6B016FC3, 14, 0x0E10BA5D, "txt", None)),
        (TRUNK, ("trunk", "127.0.0.1", 0x6B0174B6, 14, 0x0E10BA5D, "txt", Trunk(1, 256, 256))),
        ("group1/M00/00/00/oYYBAGsBdJuAC-SzAAAADg4Qul0077.txt", ("normal", "100001", 0x6B01749B, 14, 0x0E10BA5D,
                                                                 "txt", None)),
        ("group1/M00/00/00/fwAAAWsBdLeEFtveAAAAAKaEx8Y671.log", ("appender", "127.0.0.1", 0x6B0174B7, None, None,
                                                                 "log", None)),
        (NORMAL[:-4] + "_150x150.jpg", ("slave", "127.0.0.1", 0x6B016FC3, None, None, "jpg", None)),
        (NORMAL[:-4] + "_big", ("normal", "127.0.0.1", 0x6B016FC3, 14, 0x0E10BA5D, "", None)),
        (NORMAL[:-4] + "_small", ("slave", "127.0.0.1", 0x6B016FC3, None, None, "", None)),
        (TRUNK[:-4] + "_150x150.jpg", ("slave", "127.0.0.1", 0x6B0174B6, None, None, "jpg", Trunk(1, 256, 256))),
        (NORMAL[:-7] + "7542421", ("normal", "127.0.0.1", 0x6B016FC3, 14, 0x0E10BA5D, "", None)),
        (NORMAL[:-7] + ".tar.gz", ("normal", "127.0.0.1", 0x6B016FC3, 14, 0x0E10BA5D, "tar.gz", None)),
    ],
)  # fmt: skip
def test_what_an_id_tells(text: str, wanted: tuple[Any, ...]) -> None:
    found = FileId.parse(text)
    told = (found.kind, found.source, found.created, found.size, found.crc32, found.extension, found.trunk)
    assert told == wanted
    assert str(found) == text == "%s/%s" % (found.group, found.name)
    assert found.fixed == (found.kind in ("normal", "trunk"))


def test_a_file_of_more_than_4_gib_has_its_size_without_random_bits() -> None:
    name = packed(b"\x7f\0\0\1", 1, 0x100003039, 5)
    assert FileId.parse("g/M00/00/00/%s123.bin" % name).size == (4 << 30) + 12345


@pytest.mark.parametrize(
    "text",
    [
        "", "group1", "group1/", "/M00/00/00/fwAAAWsBb8OAAxZzAAAADg4Qul0309.txt", NORMAL.replace("group1", "gro-up"),
        NORMAL.replace("group1", "g" * 17), NORMAL.replace("M00", "m00"), NORMAL.replace("M00", "M0"),
        NORMAL.replace("00/00/00", "00/0a/0b"), NORMAL.replace("00/00/00", "00/../.."), NORMAL[:30], NORMAL + "\n",
        NORMAL + "\0", NORMAL + "/x", NORMAL + "é", NORMAL + "x" * 100, " " + NORMAL, TRUNK[:50], None, 7,
        b"group1/M00/00/00/fwAAAWsBb8OAAxZzAAAADg4Qul0309.txt",
    ],
)  # fmt: skip
def test_what_is_no_id(text: Any) -> None:
    with pytest.raises(ValueError, match="is no file id"):
        FileId.parse(text)


@given(HASH, GROUPS, st.integers(0, 255), st.integers(0, 255), EXTENSIONS | st.just(""))
@example(bytes(20), "g", 0, 0, "")
@example(b"\xff" * 20, "g", 255, 255, "tar.gz")
def test_decoding_gives_what_was_encoded(data: bytes, group: str, path: int, where: int, extension: str) -> None:
    word = int.from_bytes(data[8:16], "big")
    place = "AAAAAQAAAQAAAAEA" if word & ids.IN_TRUNK else ""
    tail = ("1234567"[: 6 - len(extension)] + "." + extension) if extension else "1234567"
    name = "M%02X/%02X/%02X/%s%s%s" % (path, where, where, base64.urlsafe_b64encode(data).decode()[:27], place, tail)
    found = FileId.parse("%s/%s" % (group, name))
    assert (found.group, found.name, found.path, found.extension) == (group, name, path, extension)
    assert found.created == int.from_bytes(data[4:8], "big")
    number = int.from_bytes(data[:4], "little")
    assert found.source == (str(number) if 0 < number < 1 << 24 else "%d.%d.%d.%d" % tuple(data[:4]))
    assert found.kind == ("trunk" if word >> 59 & 1 else "appender" if word >> 58 & 1 else "normal")
    if found.fixed:
        assert found.size == (word & 0xFFFFFFFF if word >> 63 else word & (1 << 58) - 1)
        assert found.crc32 == int.from_bytes(data[16:], "big")
    else:
        assert found.size is None and found.crc32 is None


@given(st.text(max_size=140) | st.from_regex(r"g1/M00/00/00/[A-Za-z0-9_.-]{0,130}", fullmatch=True))
def test_any_text_is_an_id_or_is_none(text: str) -> None:
    try:
        found = FileId.parse(text)
    except ValueError:
        return
    assert found.text == text and len(found.name) <= 127


@given(GROUPS, st.from_regex(r"[A-Za-z0-9._-]{1,16}", fullmatch=True), EXTENSIONS | st.just(""))
def test_a_slave_is_known_before_it_is_there(group: str, prefix: str, extension: str) -> None:
    master = FileId.parse(NORMAL.replace("group1", group))
    if (prefix == "-m" and not extension) or len(prefix + extension) + bool(extension) <= 4:
        with pytest.raises(ValueError, match="metadata|too short"):
            master.slave(prefix, extension)
        return
    found = master.slave(prefix, extension)
    assert found.kind == "slave"
    assert found.text == NORMAL.replace("group1", group)[:-4] + prefix + ("." + extension if extension else "")


def test_slaves_of_slaves_and_of_files_without_extension() -> None:
    assert FileId.parse(NORMAL[:-7] + "7542421").slave("_a", "jpg").name.endswith("7542421_a.jpg")
    assert FileId.parse(NORMAL[:-4] + "_a.jpg").slave("_b", "png").name.endswith("309_a_b.png")
    with pytest.raises(ValueError, match="at most 127"):
        FileId.parse(NORMAL[:-4] + "x" * 84 + ".a").slave("_b", "png")


@pytest.mark.parametrize(
    ("prefix", "extension"),
    [("", "jpg"), ("x" * 17, ""), ("a/b", ""), ("a b", ""), ("é", ""), ("-m", ""), ("_a", ".jpg"), ("_a", "toolong"),
     ("_a", "a/b"), (None, ""), ("_a", None), ("_a\n", "")],
)  # fmt: skip
def test_what_no_slave_can_be_called(prefix: Any, extension: Any) -> None:
    with pytest.raises(ValueError, match=re.compile("prefix|extension")):
        FileId.parse(NORMAL).slave(prefix, extension)


@pytest.mark.parametrize("group", ["", "g" * 17, "a-b", "ä", None, 5, "g\n"])
def test_what_is_no_group(group: Any) -> None:
    with pytest.raises(ValueError, match="is no group"):
        ids.check_group(group)


# --- checksums


def signed_shift(data: bytes) -> int:
    """What servers up to 5.11 computed, as their C did: an int that is shifted with its sign."""
    state = -1
    for byte in data:
        entry = (state ^ byte) & 255
        for _bit in range(8):
            entry = entry >> 1 ^ (0xEDB88320 if entry & 1 else 0)
        signed = entry - (1 << 32) if entry >> 31 else entry
        state = signed ^ state >> 8
    return (state ^ 0xFFFFFFFF) & 0xFFFFFFFF


def test_both_checksums_as_servers_gave_them() -> None:
    assert crc32(b"hello fastdfs\n") == 235977309
    assert crc32(b"hello fastdfs\n", legacy=True) == 2573655733
    assert crc32(b"") == 0 and crc32(b"", legacy=True) == 0


@given(st.binary(max_size=300))
def test_the_old_checksum_is_a_signed_shift(data: bytes) -> None:
    assert crc32(data, legacy=True) == signed_shift(data)
    assert crc32(data) == zlib.crc32(data)


CONTENT = bytes(number * 7 + (number >> 8) & 255 for number in range(6000))


@settings(max_examples=20)
@given(st.lists(st.integers(0, 6000), max_size=2).map(sorted))
def test_checksums_do_not_care_for_pieces(cuts: list[int]) -> None:
    for legacy in (False, True):
        pieces, at = Crc32(legacy), 0
        for cut in [*cuts, len(CONTENT)]:
            pieces.update(CONTENT[at:cut])
            at = cut
        assert pieces.value == crc32(CONTENT, legacy)
        assert pieces.hexdigest() == "%08x" % pieces.value


def test_many_lanes_are_as_one() -> None:
    data = zlib.compress(bytes(range(256)) * 3000, 0)[:20_003]
    assert crc32(data, legacy=True) == signed_shift(data)
