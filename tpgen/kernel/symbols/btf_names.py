"""The names of one event: those in the BTF of its image, and those in the headers around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tpgen.basics.memo import memoised
from tpgen.kernel.symbols.constants import constant
from tpgen.kernel.symbols.of_event import Enumerators
from tpgen.model import CType, Typedef
from tpgen.sources import btf_encoding
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind
from tpgen.target import Target

_ENUMS = (BtfKind.ENUM, BtfKind.ENUM64)
_TAG = "enum "

_Pairs = tuple[tuple[str, int], ...]


class ImageNames:
    """The names in the BTF of an image, and of the `others` of its kernel where a loader looks for enums as well."""

    def __init__(self, btf: Btf | None, others: Sequence[Btf]) -> None:
        self._btf = btf
        self._others = others

    def value(self, name: str) -> int | None:
        """Return the value of an enumerator; None where none has that name, or several do."""
        return self._btf.enumerator(name) if self._btf else None

    def type_named(self, name: str) -> CType | None:
        """Return the type of that name, a typedef's; None where BTF has none."""
        found = self._btf.completed(Typedef(name)) if self._btf else None
        return found if isinstance(found, Typedef) and found.target is not None else None

    @memoised
    def constant(self, text: str, target: Target) -> int | None:
        """Return the value of an expression; many events print the same flags."""
        return constant(text, self, target)

    @memoised
    def enumerators(self, enum: str) -> Enumerators | None:
        """Return the enumerators; a loader looks for the enum in vmlinux, and in modules where that has none.

        None where the image has none of that name, or several that differ.
        """
        if self._btf is None:
            return None
        base = _named(self._btf.base, enum) if self._btf.base else set()
        found = base | _named(self._btf, enum)
        if len(found) != 1:
            return None
        elsewhere = (_named(other, enum) for other in self._others if self._btf.base is not None and not base)
        return next(iter(found)), set().union(*elsewhere) <= found

    @memoised
    def enum_with(self, enumerator: str) -> str | None:
        """Return the enum, by its tag, that has an enumerator; None where none has, or several with other values."""
        found: dict[int, tuple[Btf, int]] = {}
        for btf in filter(None, (self._btf and self._btf.base, self._btf)):
            found |= {value: (btf, type_id) for value, type_id in _enums_with(btf).get(enumerator, {}).items()}
        tags = [btf.name(type_id) for btf, type_id in found.values()]
        return _TAG + tags[0] if len(tags) == 1 and tags[0] else None


def _named(btf: Btf, enum: str) -> set[_Pairs]:
    """The enumerators of each enum in a BTF, without its base, that C calls so."""
    kinds = _ENUMS if enum.startswith(_TAG) else (BtfKind.TYPEDEF,)
    ids = (each for each in btf.own_ids_of(enum.removeprefix(_TAG)) if btf.kind(each) in kinds)
    bare = [btf.strip(each) for each in ids]
    return {tuple(_enumerators(btf, each)) for each in bare if btf.kind(each) in _ENUMS}


def _enumerators(btf: Btf, type_id: int) -> Iterator[tuple[str, int]]:
    return ((btf.string(name), value) for name, value in btf_encoding.enumerators(btf.words(type_id)))


@memoised
def _enums_with(btf: Btf) -> Mapping[str, Mapping[int, int]]:
    """The values of each enumerator in a BTF, without its base, with the last enum that has it with each."""
    found: dict[str, dict[int, int]] = {}
    for type_id in btf.own_ids():
        if btf.kind(type_id) in _ENUMS:
            for name, value in _enumerators(btf, type_id):
                found.setdefault(name, {})[value] = type_id
    return found


class EventNames:
    """The names of an image with those that `in_headers` finds: of what both have, both must say the same."""

    def __init__(self, image: ImageNames, in_headers: Callable[[str], int | None] | None) -> None:
        self._in_headers = in_headers
        self._image = image
        self.type_named = image.type_named
        self.enumerators = image.enumerators
        self.enum_with = image.enum_with

    def value(self, name: str) -> int | None:
        """Return the value of an enumerator or a macro; None where it is unknown."""
        compiled = self._image.value(name)
        written = self._in_headers(name) if self._in_headers else None
        if compiled is None or written is None:
            return written if compiled is None else compiled
        return compiled if compiled == written else None

    def constant(self, text: str, target: Target) -> int | None:
        """Return the value of an expression; None where it depends on something unknown."""
        return constant(text, self, target) if self._in_headers else self._image.constant(text, target)
