"""The sections of BTF: the types as words, where each starts and whether all of them are sound; the strings."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Container, Iterator, Mapping
from functools import cached_property
from itertools import compress

from tpgen.basics.memo import memoised
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.sources.btf_encoding import KINDS, TRANSPARENT, VLEN, BtfKind, Strides

if TYPE_CHECKING:
    from tpgen.sources.btf_encoding import Blob

# The kinds by plain numbers, which compare in a fraction of the time. The first refer to a type, and to nothing else.
_REFERRING = frozenset(map(int, (*TRANSPARENT, BtfKind.PTR, BtfKind.FUNC, BtfKind.VAR, BtfKind.DECL_TAG)))
_WITH_MEMBERS = frozenset(map(int, (BtfKind.STRUCT, BtfKind.UNION)))
_ARRAY, _FUNC_PROTO, _DATASEC = int(BtfKind.ARRAY), int(BtfKind.FUNC_PROTO), int(BtfKind.DATASEC)
# That of a kernel has a dozen; what is longer is looked at again, one by one.
_LONGEST_CHAIN = 100


class TypeSection:
    """The words of a type section, in this machine's order, and where types start, as far as one walked over them.

    They are in the bytes of `data` between `start` and `end`. `starts` are places in `words`, `next` is the next one.
    """

    def __init__(self, data: Blob, start: int, end: int, strides: Strides) -> None:
        self._data, self._start, self._end = data, start, end
        self.words = memoryview(data)[start:end].cast("I")
        self.starts = array("I")
        self.next = 0
        self._strides = strides

    def walk(self, limit: int) -> bool:
        """Note each type that starts before this word; return whether all of them have a proper end.

        The loop runs once per type of the kernel, so it does nothing else. A type without an end is the next one.
        """
        at, end = self.next, len(self.words)
        if at >= (limit := min(limit, end)):
            return True
        infos, strides, note = self.words[1 : limit + 1], self._strides.known, self.starts.append
        while True:
            try:
                while True:
                    note(at)
                    at += strides[infos[at]]
            except KeyError:
                at += self._strides.learn(infos[at])
            except IndexError:
                break
        if at >= limit:
            self.starts.pop()
        is_whole = at == end if limit == end else at <= end
        self.next = at if is_whole else self.starts.pop()
        return is_whole

    def places_of(self, value: int) -> Iterator[int]:
        """Find each word with this value, which is not 0."""
        # The search is three times as quick without zeros, of which the section is full.
        wanted, at = value.to_bytes(4, sys.byteorder).strip(b"\0"), self._start
        while (hit := self._data.find(wanted, at, self._end)) >= 0:
            word = (hit - self._start) // 4
            at = self._start + 4 * (word + 1)
            if self.words[word] == value:
                yield word

    # --- all types, which were walked over

    def by_name(self, names: Mapping[int, str], first_id: int) -> dict[str, list[int]]:
        """The ids of the types with these names, which are given by their offsets; the first type has `first_id`."""
        words, starts = self.words, self.starts
        found: dict[str, list[int]] = {}
        # All but the hits are passed over in C: there is one for each type of the kernel.
        for index in compress(range(len(starts)), map(names.__contains__, map(words.__getitem__, starts))):
            found.setdefault(names[words[starts[index]]], []).append(first_id + index)
        return found

    def first_by_name(self, kinds: Container[BtfKind], first_id: int) -> dict[int, int]:
        """The id of the first type of each of these kinds and each name, by `kind_and_name`; ids count from `first_id`.

        A kernel has tens of thousands: a number takes a third of the memory of a pair.
        """
        words = self.words
        found: dict[int, int] = {}
        for type_id, at in enumerate(self.starts, first_id):
            kind = KINDS[words[at + 1] >> 24 & 0x7F]
            if kind in kinds:
                found.setdefault(kind_and_name(kind, words[at]), type_id)
        return found

    def is_sound(self, first_id: int, strings_end: int) -> bool:
        """Whether all that types refer to is there: types with ids below the last, names in the string section.

        All types were walked over. That chains have an end is another question.
        """
        words, starts, count = self.words, self.starts, first_id + len(self.starts)
        for at in starts:
            info = words[at + 1]
            kind = info >> 24 & 0x7F
            if words[at] >= strings_end:
                return False
            if kind in _REFERRING:
                if words[at + 2] >= count:
                    return False
            elif kind in _WITH_MEMBERS:
                if info & VLEN:
                    end = at + 3 + 3 * (info & VLEN)
                    if max(words[at + 4 : end : 3]) >= count or max(words[at + 3 : end : 3]) >= strings_end:
                        return False
            elif kind == _FUNC_PROTO:
                if words[at + 2] >= count:
                    return False
                if info & VLEN:
                    end = at + 3 + 2 * (info & VLEN)
                    if max(words[at + 4 : end : 2]) >= count or max(words[at + 3 : end : 2]) >= strings_end:
                        return False
            elif kind == _ARRAY:
                if words[at + 3] >= count or words[at + 4] >= count:
                    return False
            elif kind == _DATASEC and info & VLEN and max(words[at + 3 : at + 3 + 3 * (info & VLEN) : 3]) >= count:
                return False
        return True

    def chains_end(self, first_id: int) -> bool:
        """Whether typedefs and qualifiers have a type near behind them; ids below the first are not followed."""
        words, starts = self.words, self.starts
        nexts = {
            first_id + index: words[at + 2]
            for index, at in enumerate(starts)
            if words[at + 1] >> 24 & 0x7F in TRANSPARENT
        }
        if max(nexts.values(), default=0) >= first_id + len(starts):
            return False
        depths: dict[int, int] = {}
        for type_id in nexts:
            chain: list[int] = []
            while type_id in nexts and type_id not in depths and len(chain) <= _LONGEST_CHAIN:
                chain.append(type_id)
                type_id = nexts[type_id]
            depth = depths.get(type_id, 0)
            if depth + len(chain) > _LONGEST_CHAIN:
                return False
            depths |= zip(chain, range(depth + len(chain), depth, -1), strict=True)
        return True


def kind_and_name(kind: BtfKind, offset: int) -> int:
    """A kind of types and the offset of a name in one number."""
    return offset << 8 | kind


class StringSection:
    """The strings in the bytes of `data` between `start` and `end`, behind those of the base; `last` is where they end.

    They are known by their offsets, which go on from the base.
    """

    def __init__(self, data: Blob, start: int, end: int, base: StringSection | None) -> None:
        self._data, self._start, self._end, self._base = data, start, end, base
        self._first: int = base.last if base else 0
        self.last: int = self._first + end - start

    def at(self, offset: int) -> bytes | None:
        """The string at an offset; None for an offset outside of the section."""
        index = offset - self._first
        if index < 0:
            return self._base.at(offset) if self._base else None
        end = self._data.find(b"\0", self._start + index, self._end)
        return None if end < 0 else self._data[self._start + index : end]

    def begins(self, offset: int) -> bool:
        """Whether a string begins there."""
        index = offset - self._first
        if index < 0:
            return self._base is not None and self._base.begins(offset)
        return index == 0 or (offset < self.last and not self._data[self._start + index - 1])

    @memoised
    def offset_of(self, name: str) -> int | None:
        """The offset of a string, None where neither this section nor the base's has it."""
        wanted = name.encode("ascii", "replace") + b"\0"  # a name of the user's may be anything
        # Only split BTF has a string that no NUL precedes: its first.
        if self._data[self._start : min(self._start + len(wanted), self._end)] == wanted:
            return self._first
        if (found := self._data.find(b"\0" + wanted, self._start, self._end)) >= 0:
            return self._first + found + 1 - self._start
        return self._base.offset_of(name) if self._base else None

    @memoised
    def matching(self, names: str) -> dict[int, str]:
        """The strings that match a pattern, by their offsets, also those of the base: a name may be there already.

        The base's are kept: a running kernel has a hundred modules on one base.
        """
        import re

        # The NUL before a string leads the pattern, so that the search skips from string to string.
        pattern = re.compile(rb"\0(" + names.encode() + rb")(?=\0)")
        data, start, end = self._data, self._start, self._end
        if self._base:  # has no empty string at the front; the NUL stands in for the end of the base's last string
            data, start, end = b"\0" + data[start:end], 1, 1 + end - start
        offset = self._first - start
        own = {offset + m.start(1): m[1].decode() for m in pattern.finditer(data, start - bool(self._base), end)}
        return own | self._base.matching(names) if self._base else own

    def containing(self, part: str) -> Iterator[str]:
        """The strings of this section alone that have `part` in them."""
        data, wanted, at = self._data, part.encode(), self._start
        while (hit := data.find(wanted, at, self._end)) >= 0:
            at = data.find(b"\0", hit, self._end)
            yield data[max(data.rfind(b"\0", self._start, hit) + 1, self._start) : at].decode("ascii", "replace")

    @cached_property
    def is_ascii(self) -> bool:
        """Whether all strings are, those of the base too."""
        return self._data[self._start : self._end].isascii() and (self._base is None or self._base.is_ascii)
