# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file's hash: BLAKE2b-256 of the BLAKE2b-256 of its chunks, which end where a rolling sum of 64 bytes says so."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

try:
    import numpy
except ImportError:  # slower, the same
    numpy = None  # type: ignore[assignment,unused-ignore]

WINDOW, SHORTEST, LONGEST, LOW = 64, 1_000_000, 20_000_000, (1 << 23) - 1
FULL = (1 << 64) - 1
# The first 256 values of Go's math/rand with the seed 1, 63 bits each.
WORDS = """
    4d65822107fcfd52 78629a0f5f3f164f 55104dc76695721d 380704bb7b4d7c03 365a858149c6e2d1 57e9d1860d1d68d8
    0866cb397916001e 1408d2ac22c4d294 0c697f48392907a0 268447a4189deb99 41f27cc6f3875d04 68255aaf95e94627
    1b6cffa2ba517936 30b95ff183c471d4 28b621587cb3ad0b 3c04951aa42655d9 243a768b7c4e0b68 25845c95d4491d1b
    56ec3f2525632186 1bf98be2a9d78d73 1a02070f169c1121 2e3108dabb158644 490bd268b68e6a3f 6e661e92759805f5
    2584c47f2cdf5b8a 2606cd2b57d29245 6054502fc5d6d268 1a714cf86b83d0e2 6ec34c367674cb74 592e17f7b068d9db
    430c8b35bb9457d8 039f6f78a15d523b 144419db794209ff 4dba7b0f9da1d7eb 7cd4b7a55a25e0cb 0a2b894cf840ec4b
    4c22b02936d4ff9b 079143f7f4a5ee3b 589442fd5ad145f4 26984b92f6740304 162d968d3f71f8cb 4542c29291018d7c
    45a6e3cafccae224 23a62343b186b51f 3629d9f17d9e8fbc 43ea3b9393f93f33 207403def63a5b6f 241b3ae419476c36
    64f1017fbc897d06 2e4fa459169873f5 70b5a315724c7af1 2607c649581eeb39 727a71f52257bb7d 0c7964976f269a28
    7d0b9ca8be8e9981 09825e117039374b 1c73fac825416fed 572d92faded7e411 1ee9f7676678e7aa 27dff7ab244fcd36
    7767830356aa6b86 5ef4e81ede4561ad 6688f8bd3e99b0a8 5d78399cbed80a3a 176a156ae58348b0 36d467a4af63e58d
    72d0a1e9406aec9d 57613082c233f007 7d4d8e9fa5ead0bd 760b0d22050143a6 0ba08e4b738b6829 3f1f46e83699caf3
    76a780ea967cd710 7a3ba6f606f665a6 2c89c16725fd3d7f 586d68260fd6e479 5aff01c926fbf29b 4829ee0716de4c35
    5322787c2bf3394b 46a03cb44af864ba 60bed31f1cb9e6c6 33afd37941439089 10b92d0169a39144 7e34179dc34f182d
    72bb5389421657ff 293a0c2bf9fc6568 5c4e91e98b02c917 528047936c9c64b7 0af2560383d17909 55b4a4b2ea3d4ca5
    4fb58fbeaf635d47 2f5218587fc78769 1e503382be14186f 44841df33539b1ea 17f7ae24e9174548 1e925507c051e18a
    5065855807b73658 103970a329ec300c 2402a18da250bf34 3485757ea7ed5d97 37ab3641fe3dea79 50031d27b8b352f7
    466b36dbc9b344e9 4fd269fd8e5f0475 5d55cb471941e52a 6a4eef7a2694763d 0010d6326b40eabc 5e377ef58485d68b
    3332aafe336eacca 3fba24704399a363 4d4f278a67149b9c 346e5f29ae10a901 03cc44bf5a5ffefb 003e6306563b26de
    005d29286f00f02b 7539a2019f06397d 4b7fafc3545836c4 479a2bf931d6416b 685f325712f4128d 7062b076752f33ff
    3aae3e3e4a305605 4cd239ea0c8dc214 035ca80d72521a90 6c443faf8eb3e4a1 1ff5f26283efc6c6 5225fcd6090ec04f
    1facfc5dc1540864 163a5aceec2c8aaa 4bdb185b70ab53ba 683e14a538d3b494 58cfb024878d4063 03e19bf7a317ae3f
    4504d6353cb62f07 7ce2e98ef360412c 601900fb4ffbf3a9 25a1ffb522d554b4 606796b83f190476 1352ca320796a710
    2d89c820f5c353cf 6a7cb5cf04f59bb7 1dac9b582d230176 505ce263e2d6a9ce 3fcb626c3f1d7427 0b7fbfbcafd915bb
    03398e40b01aa47d 323423cfcde2c269 4b70e7ac7417bf38 76fd839a1e094f9a 493a23eb55ece0ea 4b56783ccb94539b
    34b4a3c813d346b5 46baf44754e0c0c1 3eecfdbc6db30e37 7a9e3bdcdc02b390 660aedf1a6e222f5 0dbeaa0fe2f8c1fe
    643a7d712e166bdf 32560c7a67588a74 10b166a221898f34 1852fe624c330f1d 5eb29c7719af53ba 53b7a0ff70658b94
    0c97d70a133c9673 429bd23a4efeeadd 0cc3f10e0f212551 136f9ac7070f0914 09c09a3e6f241c57 2858bd10f13e41b7
    146f70ff3be70cb0 11a39040f4b6f47f 294b4e8e20f31127 450064ce6551cb89 4911aa87289cbd2c 41a2d5288946f23d
    57930cf840a79c3b 5396d24a03c6d982 4322cee10365790c 53bf1faf0cf52517 5bb1f57b0bb131e8 517d8ebf3da5475c
    01a44786139efcca 03ed64e9bcd44eb4 0c8c4694a54af747 2f3f0d6fb73c32ed 69c93fb09f6c47ac 2c80d58fe8ba8f22
    2c1283b654043a66 20624c583b0a7f20 1bb55397b4926431 470a4f5ae17c02d5 33770eb58f0d2558 40d4e552014fbff2
    15974b9d7f803594 2a6a467079b76fbe 69f98c4033fe2656 59a30874792c8ee8 076a20af6b41292d 7fe4754afdff9c32
    34ad5ac882093298 0e4b5ac059483870 63efbff5b2d5a113 0bca82a42dd96e5a 06d8e96f5b8e56a9 5b7b2709ebd9dda9
    2018fa6e04f9ce92 6ca000e8cb440950 7ca82947a67e52b1 1b35327a49f6d261 02c19e7792417fc3 78fc24541c3b6bd9
    0be67230b027b7e0 52aaab031f765a41 27ebdd8f44c9ab40 396747c045d99121 3e5ddb0efd7a84af 0a8eb1ac99b75788
    55fe7f03e3abff4a 33395eafa88aa67f 733c374d736e41cc 7995c5dc9cbcbe5e 28dfd8d37b3ccebc 3febdd25e1b7fa93
    33415dbd315ae6af 0289172b9cced2e2 5290a23119ea0f2f 36df4331a9770722 2b77e80684a6bfdc 7197e13488f03f07
    1e3ffa8aa44a03a4 61ebca0827a6b885 04939bb8b580c8ba 5d214064018153da 501b6a22b648e604 41acd9f551180278
    0945fcdd893a310f 5cb389ac728f5f4c 709ec18437f5198b 7d275a873cc0ea9b 6c7ae37ae39d02db 6a85764813883142
    1fb95e8cca599392 74ea42afc12d154e 099ad1bdc176163d 6ae4ae6d5c92e2b8 508df0dcf9f95ede 60390908b802bdfc
    50e57d0f8a928585 0c68571ddca6e10b 01e5dcfd887953e8 4abb18c948b9e962 08cd00c4e533e9a3 7fc76fad5e0ce6e5
    53189b251dba77ae 7e23bc6fc8214b8a 6adaea4753b428d7 2a80d0564cf20a65
"""
TABLE = tuple(int(word, 16) for word in WORDS.split())


def _blake(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def _ends_fast(data: bytes) -> Iterator[int]:
    """Every i where the sum of the 64 bytes up to data[i] has its low bits clear; i >= 63."""
    table: Any = numpy.array(TABLE, dtype=numpy.uint64)
    step = 1 << 15  # so that it stays in the cache
    for start in range(0, len(data) - WINDOW + 1, step):
        block = table[numpy.frombuffer(data, numpy.uint8, min(step + WINDOW - 1, len(data) - start), start)]
        width = 1
        while width < WINDOW:  # the sum of twice as many bytes: the later half, and the earlier one turned by so many
            early, late = block[:-width], block[width:]
            block = late ^ (early << numpy.uint64(width) | early >> numpy.uint64(64 - width))
            width *= 2
        for found in numpy.flatnonzero(block & numpy.uint64(LOW) == 0):
            yield start + WINDOW - 1 + int(found)


@functools.lru_cache(None)
def _turned() -> list[list[bytes]]:
    """By a byte's number and a place: translations of bytes to that byte of their words, turned down by the place."""
    words = [[(word >> by | word << 64 - by) & FULL for word in TABLE] for by in range(8)]
    few = [[bytes(word >> 8 * part & 255 for word in some) for some in words] for part in range(8)]
    return [[few[(part + place // 8) % 8][place % 8] for place in range(WINDOW)] for part in range(8)]


def _is_end(data: bytes, at: int) -> bool:
    total = 0
    for byte in data[at - WINDOW + 1 : at + 1]:
        total = (total << 1 & FULL | total >> 63) ^ TABLE[byte]
    return not total & LOW


def _places(block: bytes) -> list[int]:
    """Where 16 of the sum's low bits are clear, in their order; what comes before the 64th byte means nothing.

    The block is dealt to 64 lanes, and the words of a lane are turned down by its number: then a sum is the XOR of all
    the lanes, of the later ones a row before, and no single byte is ever looked at.
    """
    lanes = [block[place::WINDOW] for place in range(WINDOW)]
    rows = len(lanes[0])
    sums: dict[int, int] = {}  # by lane: where a whole byte of the sum is not clear
    for part, tables in enumerate(_turned()):
        total, wanted = 0, {}
        for place, (lane, table) in enumerate(zip(lanes, tables, strict=True)):
            total ^= int.from_bytes(lane.translate(table), "little")
            if (part + place // 8) % 8 < 2:  # this byte, as it is turned, is wholly of the low bits
                wanted[place] = total
        for place, some in wanted.items():
            sums[place] = sums.get(place, 0) | some ^ (total ^ some) << 8
    found = []
    for place, each in sums.items():
        clear = each.to_bytes(rows + 1, "little")
        row = clear.find(0, 0, rows)
        while row >= 0:
            found.append(row * WINDOW + place)
            row = clear.find(0, row + 1, rows)
    return sorted(found)


def _ends_slow(data: bytes) -> Iterator[int]:
    """The same without numpy."""
    step = 1 << 17
    for start in range(0, len(data) - WINDOW + 1, step):
        block = data[start : start + step + WINDOW - 1]
        for at in _places(block):
            if WINDOW - 1 <= at < len(block) and _is_end(block, at):
                yield start + at


def _first_end(data: bytes, base: int) -> int:
    """The first end in what begins at `base`, from its byte 63 on; -1 when there is none."""
    ends = _ends_slow if numpy is None else _ends_fast
    return next((base + end for end in ends(data)), -1)


class Cutter:
    """Cuts a content that comes in pieces. held: the chunk that has not ended."""

    def __init__(self) -> None:
        self.held, self._seen = bytearray(), SHORTEST - 1  # seen: up to where no end was found

    def add(self, piece: bytes) -> Iterator[bytes]:
        """The chunks that end in it."""
        held = self.held
        held += piece
        while len(held) > self._seen:
            base = self._seen - WINDOW + 1
            end = _first_end(bytes(held[base:LONGEST]), base)
            if end < 0 and len(held) >= LONGEST:
                end = LONGEST - 1
            if end < 0:
                self._seen = len(held)
                return
            yield bytes(held[: end + 1])
            del held[: end + 1]
            self._seen = SHORTEST - 1


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A content's chunks; one that ends with a cut has an empty one after it."""
    cutter = Cutter()
    for piece in pieces:
        yield from cutter.add(piece)
    yield bytes(cutter.held)


class Hasher:
    """The hash of a content that is not empty, and comes in pieces."""

    def __init__(self) -> None:
        self._cutter, self._chunks = Cutter(), hashlib.blake2b(digest_size=32)

    def add(self, piece: bytes) -> None:
        """Goes on with it."""
        for chunk in self._cutter.add(piece):
            self._chunks.update(_blake(chunk))

    def digest(self) -> bytes:
        """Of all; nothing more can be added."""
        self._chunks.update(_blake(bytes(self._cutter.held)))
        return self._chunks.digest()


def content_hash(pieces: Iterable[bytes]) -> bytes:
    """The hash of a content that is not empty."""
    hasher = Hasher()
    for piece in pieces:
        hasher.add(piece)
    return hasher.digest()
