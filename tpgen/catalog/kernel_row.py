"""The row of a kernel in a catalog, converted from and to facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tpgen.catalog.schema import KernelInfo
from tpgen.kernel import validate
from tpgen.target import Target

_Value = TypeVar("_Value")

#: The columns that `kernel_info` takes, and what selects them.
KERNEL_COLUMNS = "name, release, distribution, arch, pointer_size, big_endian, long_long_align, build_id, sources"
KERNEL_ROW = f"SELECT {KERNEL_COLUMNS} FROM kernel"

# A SHA-1 has 20, and a linker takes any.
_MOST_BUILD_ID_BYTES = 64


def kernel_info(row: tuple[Any, ...]) -> KernelInfo:
    """Return the facts in the row of a kernel. Raises `ValueError` if it breaks a rule."""
    name, release, distribution, arch, pointer_size, big_endian, long_long_align, build_id, sources = row
    if pointer_size not in (4, 8) or long_long_align not in (4, 8):
        validate.wrong("target", (pointer_size, long_long_align))
    target = Target(validate.word(arch), int(pointer_size), validate.flag(big_endian), int(long_long_align))
    known = tuple(map(validate.word, validate.text(sources).split()))
    release, distribution, build_id = (_or_none(validate.word, text) for text in (release, distribution, build_id))
    return KernelInfo(validate.word(name), target, release, distribution, build_id, known)


def kernel_columns(info: KernelInfo, events: int) -> tuple[Any, ...]:
    """Return the row of a kernel with this number of events, without the row's own number."""
    target = info.target
    abi = (target.arch, target.pointer_size, int(target.big_endian), target.long_long_align)
    return info.name, info.release, info.distribution, *abi, info.build_id, " ".join(info.sources), events


def build_id(value: Any) -> str:
    """Return a GNU build id in hex. Raises `ValueError` for what is none."""
    if not isinstance(value, bytes) or not 0 < len(value) <= _MOST_BUILD_ID_BYTES:
        validate.wrong("build id", value)
    return value.hex()


def _or_none(check: Callable[[Any], _Value], value: Any) -> _Value | None:
    return None if value is None else check(value)
