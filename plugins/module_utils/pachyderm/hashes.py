# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash that pachd (2.1.6 and newer) gives a file, computed from local content.

Content is cut where a rolling sum over the last 64 bytes says so; the hash is the BLAKE2b-256 of the BLAKE2b-256 of
each chunk. Sums are made of a whole block at once, with numpy where it can be imported, else with integers.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

LEAST, MOST = 1_000_000, 20_000_000  # bytes of a chunk
SPAN = 64  # bytes of the sum
LOW = (1 << 23) - 1  # a chunk ends where these bits of the sum are zero
_ALL = (1 << 64) - 1
_TABLE = base64.b85decode(
    b"O=W^12mJj~cw(9lUq2R4RS-?bW|eXsI0po~drf=;Hd=*&Nyg&QSLxA)4IOCM2xiMUc@_X36bRC+BE-"
    b"^^3~7HzIVlIACWJ?%7@g~xLGpaY^M_poXeC;&mFY$&8*Klgx>0#HFu7mxgT!&vD7GP3e6y_!JOq^*q$X9_BszABd`=5!C4^j+)JYv1R_s3|C1W"
    b"9m8~Kaksn?Bj8UhCo7Mu|wE-?t&yA_5+Nej|wwvK8)Ze|{mb(jV9C4|I(EZ<v-CI-zbSJIM2U{p{q#n#ej8gWecYlG0@Zo^DAc67^hSuPj%uxQ"
    b"!aLkx>GyOdYh1D|hrp<Plt6hs-@c|r;QO}cvzouSw3eAKt4S|#Ai3M+|B_(1GSOd_x;Hq`%{2a!Yf^rh}QSd>EjTG2)HCYVc-"
    b"_H+XT7A=;IKXLfWMMA=okpYc-MW*A*{L11aBc>xmv4*uDHYwTheV&iJL+U$|lleb0Aan!X_BvZ{BpW*98Aoh3Wbpxiyor4VE>EOc7MOGOaJ8cq"
    b"a!h*hCI`kzSRU&+a(Z#~B3HY840&XiZzh^3eG8nZzK)rJ34&e`a5*<i9CP}}B|&fPS1pqI-"
    b"q++29_jaIW_ahSC*Sw0Bu~vYcV~kGR;p`;Ui9c5-"
    b"bG=pW{CK`KAEtnU3fX1zSs&n7itx1<%3ADHq>XNuVdwna?qjaKx*urS79)M!ZYv(eNB#^rRvbVb_)$61pz~*3!simbBkyxKOaWuHkr!vcBg>qm"
    b"VDO`dON1}2KHs9EQ!HqCH*~rSZ!z~57y*)TK@sbCj0W6NGa|I7T!!XQzCeLEAu%^MxZ>jO88{DV7}8I9J%JkGq2NmK|_#<5V<V@X`_)uel!=I!"
    b"%rA3a=TNBLKav5DLM=*`TS*QTuzbcivr0PQh-O3Y@B4b3i4J1gVA{jRkWnC>OD-"
    b"QPqmM}uVY<DFH#s-f5(Su9#Auaz7!a5M1&plH94{B7x%6t=@&&v9+FiDz)|6fP-TT!2e&p@5IJz8DeN!|Bm$w0qENpyG=+73r|n&rH>);5{ypk"
    b">Py-"
    b"z&xU*9CMr$_P$+JZ1Pts}qj$Z_IT~*6R8A0VLYEJKZCX{wP01(zPYe4F}UN?UAgoW0NGcv0FGj6QPKe{AvLz$yvO;0C^XB3;9G;Uuht`MmK1I$"
    b"FfT3`PA06t>|Ry!u%09`34ZvgNsbvdE|p9VR7OMkD!R9H5|N17}7G1ftAXkRi{67&*{aAL4_buTmjI<7uGN-$OhOwu{(42{AR16-"
    b"&La#9+QY(zh=j<e*UANBHLgYU-"
    b"1QYHM>2@b$dAFTXc!Bhxj7CKta>@13^OWPP*aH~_gXg(CBIMcM0SkJH|hmAmE1L2$ZqZh6}MFiG0Jhm?feB$Yj^I$<NU>N}WPy6$!C87VdBGpv"
    b"1U}u)NKN$pe6H>}D2bQN0Es4k=^}|!oYJ9cN1ofM@9ju#JEh7PTP+a0;;?}9oKg(ilKOJ-"
    b"@3xB`7uh|v5138XBuo|R&GBhL4&EmpoOK|6`bQixkcKw5z9tlsHNjf9zRqWvEOICP1%al`_G_<406VpbuM!NJzRN%nDKJ5LxZL<zHdY(Jn+yb+"
    b"ZW(w``rs5*?4Zf-m;`qV-WIBCuE*5LwGFA+FXIP4K5V2;WA&HMP7*hUXOfwH1Ub38b8Lv~iQ@5c1aAk{>442mm6Fio4LYvY$PX6lM48!pb4<RK"
    b"{6K|Tw2M-"
    b"Ap3BZ~@ZzLR7C|JD^@jgMf6mM|<JLe3r5u=bm^tSYWDN9a{AoCF?MF3>ZWl_tCNfD}tD4e}4L88?tiAM50SCb6*K&PBLQ<l<71IF2cLn6-"
    b"M17&#(Q@<at4D}@!Te0<f3$ZciQGJfTJ*7un0i;KU6Q2Ca1MOt#ywpy#42(vUrAqflFFy@$w>&cKX~{pZpKM30EP&OI=(>+0EE0pZR0KL^AYx2"
    b"dI|_dw8?{rHw31{oM+#3`;d}zsGj|TPj}0YQK-A?@0Z+g36_-"
    b"n$e}FZVDr!b>dAD!AY59ymGyW!4S)&Mac`T0T2WlX%Ye6Y3f8=#a{r{XYG_6|5f(bI14oh0VSx7i=WADH9velsz3(A6|E!l2b2H5FuTaH$#TYD"
    b"!7>)G9@AQ<{?1o_UAY@h(>%R~uKe5ff$rhZbf8#OX|N%qoV0>Pell0kpNc>E+(96M{-"
    b"3+8e#uqU_RQmU&1A9h+nC+pphM9Hf_IcG<}McI)dK3&@m{d$D23XZX?nYUMnRsMei<E#HlGdW(bsEVe4b38Xqb8bP*d6mW7oV>nXDBsxAdpyp("
    b"KkMBk;kWveGeKRwF<R!Y0*MzZoX*nXQjnrC8R`!&Hs3=rsdon=D|hGygr>jTahKsVi10rL9zXhuq)G#%Ve85WC#JZC1e2S%wSdUFT_HeZ0fAH6"
    b"P#bC@wn*j#L9E&JQ5XVv2}S(fi8?V4T(gO+a*tn3aGt@0H}x5deJ5InJizLkY<lB*<DCNAYK3-"
    b"46NoWFAGuzP%2|_=bm~H{!7UX|37XNp!FCosYUHkMT$19rP>t~1`T1VnU^xj0xB|WWQ009Oijswe3}{y!+@|3R0p;BNh<Q`!O1l`zNV(}^2+aV"
    b"*<umD{f5&gFUJT~tQy7~i9lCd}ej~hZ$RSILYTD{YQ?w}8DuB>dO!5k4"
)


class Scan(NamedTuple):
    """A way to find cuts. find: the first byte of a window, from number 64 on, that may end a chunk, or -1.

    block: so many bytes are best.
    """

    block: int
    find: Callable[[bytes], int]


def _rotated(word: int, by: int) -> int:
    """A word of 64 bits, its bits turned down by so many places."""
    by %= 64
    return (word >> by | word << (64 - by)) & _ALL


@functools.lru_cache(None)
def _words() -> list[int]:
    """Each byte's word; in the sum, that of j bytes ago is rotated up by j."""
    return [int.from_bytes(_TABLE[at : at + 8], "big") for at in range(0, 2048, 8)]


def _ends(window: bytes, at: int) -> bool:
    """Whether a chunk that is long enough ends after this byte."""
    words, total = _words(), 0
    for back in range(SPAN):
        total ^= _rotated(words[window[at - back]], -back)
    return not total & LOW


# Both rotate the word of byte i and the sum at i down by i: then this is the XOR of 64 neighbours.


@functools.lru_cache(None)
def _planes() -> list[list[bytes]]:
    """By byte b of a rotated word and i modulo 64: a translation of content to it."""
    few = [[bytes(_rotated(w, i) >> 8 * b & 255 for w in _words()) for i in range(8)] for b in range(8)]
    return [[few[(b + i // 8) % 8][i % 8] for i in range(SPAN)] for b in range(8)]


@functools.lru_cache(None)
def _columns(rows: int) -> list[int]:
    """For each q: ones in the places 8 q to 8 q + 7 modulo 64."""
    return [int.from_bytes((bytes(8 * q) + b"\xff" * 8 + bytes(56 - 8 * q)) * rows, "little") for q in range(8)]


def _find_with_integers(window: bytes) -> int:
    size = len(window)
    parts = [window[i::SPAN] for i in range(SPAN)]
    plane, sums, found = bytearray(size), [], 0
    for tables in _planes():
        for i in range(SPAN):
            plane[i::SPAN] = parts[i].translate(tables[i])
        total = int.from_bytes(plane, "little")
        for by in (8, 16, 32, 64, 128, 256):
            total ^= total << by
        sums.append(total)
    for q, places in enumerate(_columns(INTEGERS.block // SPAN + 2)):
        found |= (sums[-q] | sums[1 - q]) & places  # 16 of the 23 bits, rotated back
    low = found.to_bytes(size + SPAN, "little")
    at = low.find(0, SPAN, size)
    while at >= 0 and not _ends(window, at):
        at = low.find(0, at + 1, size)
    return at


INTEGERS = Scan(128 * 1024, _find_with_integers)


def numpy_scan(numpy: Any) -> Scan:
    """The scan that is made with this module."""
    words = numpy.array([_rotated(w, i) for i in range(SPAN) for w in _words()], dtype=numpy.uint64)
    masks = numpy.array([_rotated(LOW, i) for i in range(SPAN)], dtype=numpy.uint64)
    starts = numpy.arange(0, 256 * SPAN, 256, dtype=numpy.intp)

    def find(window: bytes) -> int:
        size = len(window)
        rows = numpy.frombuffer(window + bytes(-size % SPAN), numpy.uint8).reshape(-1, SPAN)
        sums = words.take((rows + starts).ravel())
        numpy.bitwise_xor.accumulate(sums, out=sums)
        sums = (sums[SPAN:] ^ sums[:-SPAN]).reshape(-1, SPAN)
        sums &= masks
        found = numpy.flatnonzero(sums.ravel()[: size - SPAN] == 0)
        return int(found[0]) + SPAN if len(found) else -1

    return Scan(32 * 1024, find)


@functools.lru_cache(None)
def best_scan() -> Scan:
    """The fastest scan that works here."""
    try:
        return numpy_scan(importlib.import_module("numpy"))
    except (ImportError, AttributeError):  # it only makes this faster
        return INTEGERS


def _blake2b() -> Any:
    return hashlib.blake2b(digest_size=32)


class ContentHash:
    """pachd's hash of a file, as one of hashlib. scan: how cuts are found."""

    def __init__(self, scan: Scan | None = None) -> None:
        self._scan = scan
        self._chunks, self._chunk = _blake2b(), _blake2b()
        self._size = self._length = 0
        self._recent = b""  # the last bytes of the chunk

    def update(self, data: Any) -> None:
        """Add bytes."""
        self._size += len(data)
        if self._length + len(data) < LEAST:
            self._chunk.update(data)
            self._length += len(data)
            self._recent = (self._recent + data[-SPAN:])[-SPAN:]
            return
        rest = memoryview(data)
        while rest:
            quiet = LEAST - 1 - self._length
            if quiet > 0:
                rest = self._took(rest, min(quiet, len(rest)))
                continue
            scan = self._scan = self._scan or best_scan()
            number = min(scan.block, MOST - self._length, len(rest))
            at = scan.find(self._recent + rest[:number])
            ends = at >= 0 or self._length + number == MOST
            rest = self._took(rest, at + 1 - SPAN if at >= 0 else number)
            if ends:
                self._chunks.update(self._chunk.digest())
                self._chunk, self._length, self._recent = _blake2b(), 0, b""

    def _took(self, rest: memoryview, number: int) -> memoryview:
        part = rest[:number]
        self._chunk.update(part)
        self._length += number
        self._recent = (self._recent + part[-SPAN:])[-SPAN:]
        return rest[number:]

    def digest(self) -> bytes:
        """The hash of what was given so far, 32 bytes."""
        if not self._size:
            return bytes(_blake2b().digest())
        whole = self._chunks.copy()
        whole.update(self._chunk.digest())  # an empty one counts
        return bytes(whole.digest())

    def hexdigest(self) -> str:
        """The same in hexadecimal."""
        return self.digest().hex()


def of(source: Any) -> str:
    """That of a core.files.Source, computed once."""
    found: str = source.digest("pachyderm", ContentHash)
    return found
