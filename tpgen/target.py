"""Targets: the size, sign and alignment of basic types by a kernel's ABI."""

from __future__ import annotations

from collections import Counter

from tpgen.basics.typing import NamedTuple
from tpgen.diagnostics import fail
from tpgen.model import Int


class Target(NamedTuple):
    """An ABI, as far as a tracepoint's layout depends on it. Sizes and alignments in bytes."""

    arch: str
    pointer_size: int
    big_endian: bool
    # The alignment of an 8-byte integer inside a struct: 4 in the i386 ABI, 8 everywhere else.
    long_long_align: int = 8

    def integer(self, words: str) -> Int | None:
        """The integer that `words` spell in any order (`long unsigned int`), None where they spell none."""
        name = canonical_integer(words)
        if name is None:
            return None
        size = self.pointer_size if name.endswith("long") and "long long" not in name else _SIZES[name]
        # Plain char counts as unsigned: since Linux 3bc753c06dd0 ("kbuild: treat char as always unsigned") (in v6.2).
        signed = not name.startswith("unsigned") and name not in ("char", "_Bool")
        return Int(name, size, signed, is_bool=name == "_Bool")

    def integer_align(self, size_bytes: int) -> int:
        """The alignment of an integer of `size_bytes` as a struct member."""
        return self.long_long_align if size_bytes == 8 else size_bytes


_TARGETS = {
    target.arch: target
    for target in (
        Target("x86_64", 8, False),
        Target("aarch64", 8, False),
        Target("riscv64", 8, False),
        Target("s390x", 8, True),
        Target("i386", 4, False, long_long_align=4),
        Target("arm", 4, False),
        Target("ppc64le", 8, False),
        Target("ppc64", 8, True),
        Target("powerpc", 4, True),
        Target("loongarch64", 8, False),
        Target("mips64el", 8, False),
        Target("mips64", 8, True),
        Target("mipsel", 4, False),
        Target("sparc64", 8, True),
        Target("alpha", 8, False),
    )
}
# What uname, Debian and the kernel's own ARCH= call the same targets.
_ALIASES = {"amd64": "x86_64", "x86": "x86_64", "arm64": "aarch64", "riscv": "riscv64", "s390": "s390x"} | {
    "i686": "i386", "i586": "i386", "armhf": "arm", "armv7l": "arm", "armv6l": "arm", "armel": "arm", "armv5tel": "arm",
    "ppc64el": "ppc64le", "ppc": "powerpc", "loong64": "loongarch64", "loongarch": "loongarch64",
}  # fmt: skip
#: The targets by ELF's e_machine, EM_* of include/uapi/linux/elf-em.h.
ELF_MACHINES = {
    3: "i386", 8: "mips64el", 20: "powerpc", 21: "ppc64le", 22: "s390x", 40: "arm", 43: "sparc64",
    62: "x86_64", 183: "aarch64", 243: "riscv64", 258: "loongarch64", 36902: "alpha",
}  # fmt: skip
# Machines that have several ABIs, by the size of a pointer and whether they are big-endian.
_SEVERAL = {21: {(8, True): "ppc64"}, 8: {(8, True): "mips64", (4, False): "mipsel"}}

_SIZES = {
    "_Bool": 1, "char": 1, "signed char": 1, "unsigned char": 1, "short": 2, "unsigned short": 2, "int": 4,
    "unsigned int": 4, "long": 0, "unsigned long": 0, "long long": 8, "unsigned long long": 8, "__int128": 16,
    "unsigned __int128": 16,
}  # fmt: skip


def target_named(arch: str) -> Target:
    """The target that `arch` names, by any of its usual names. Raises `TpgenError` for an unknown one."""
    target = _TARGETS.get(_ALIASES.get(arch, arch))
    if target is None:
        known = ", ".join(sorted(_TARGETS))
        raise fail("unknown-arch", f"unknown architecture {arch!r}", hint=f"known are {known}")
    return target


def elf_arch(machine: int, pointer_size: int, big_endian: bool) -> str | None:
    """The architecture of an ELF file by its e_machine, class and byte order; None for one that is not known."""
    return _SEVERAL.get(machine, {}).get((pointer_size, big_endian)) or ELF_MACHINES.get(machine)


def target_like(pointer_size: int, big_endian: bool, arch: str | None = None) -> Target:
    """A target with the given properties: the named one where it has them, else a nameless one of that shape."""
    named = _TARGETS.get(_ALIASES.get(arch or "", arch or ""))
    if named and (named.pointer_size, named.big_endian) == (pointer_size, big_endian):
        return named
    return Target("unknown", pointer_size, big_endian)


def canonical_integer(words: str) -> str | None:
    """`words` in the order that the kernel writes an integer type, None when they are not one.

    >>> canonical_integer("long unsigned int")
    'unsigned long'
    """
    count = Counter(words.split())
    if any(times > (2 if word == "long" else 1) for word, times in count.items()):
        return None
    unsigned, signed = count.pop("unsigned", 0), count.pop("signed", 0) + count.pop("__signed__", 0)
    base = " ".join(word for word in _BASE_ORDER for _ in range(count.pop(word, 0)))
    if count or unsigned + signed > 1 or (base == "_Bool" and signed) or not (base or unsigned or signed):
        return None
    if base.startswith(("short", "long")):
        base = base.removesuffix(" int")
    base = base or "int"
    name = f"unsigned {base}" if unsigned else "signed char" if signed and base == "char" else base
    return name if name in _SIZES else None


_BASE_ORDER = ("short", "long", "_Bool", "char", "int", "__int128")
