"""The types that every kernel has, as kernel_headers/types.h states them: enough to lay out most records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from tpgen.model import CType, Typedef
from tpgen.paths import resource_dir
from tpgen.sources.cdecl import Declaration, parse_declarations
from tpgen.sources.headers.preprocessor.conditions import ClosedWorld, Names
from tpgen.sources.headers.preprocessor.directives import structure
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.target import Target


@cache
def base_types(target: Target) -> Mapping[str, Typedef]:
    """Each base typedef by its name, followed to the integer that it stands for on `target`."""
    path = resource_dir("kernel_headers") / "types.h"
    names = ClosedWorld({"CONFIG_64BIT": 1} if target.pointer_size == 8 else {})
    code = structure(Source(str(path), path.read_text("utf-8")), names).code
    texts = [statement.strip().removeprefix("typedef ") for statement in code.split(";") if statement.strip()]
    types: dict[str, Typedef] = {}
    for text, declaration in parse_declarations(texts, target).items():
        assert isinstance(declaration, Declaration) and declaration.name, f"{path}: not a typedef: {text}"
        types[declaration.name] = Typedef(declaration.name, _followed(declaration.type, types))
    return types


def _followed(ctype: CType, earlier: Mapping[str, Typedef]) -> CType:
    return earlier[ctype.name] if isinstance(ctype, Typedef) else ctype


# The option that the kernel's headers ask for the target, besides CONFIG_64BIT.
_ARCH_OPTIONS = {
    "x86_64": ("CONFIG_X86", "CONFIG_X86_64"), "i386": ("CONFIG_X86", "CONFIG_X86_32"), "aarch64": ("CONFIG_ARM64",),
    "arm": ("CONFIG_ARM",), "riscv64": ("CONFIG_RISCV",), "s390x": ("CONFIG_S390",),
}  # fmt: skip
_ALL_ARCH_OPTIONS = frozenset(option for options in _ARCH_OPTIONS.values() for option in options) | {
    "CONFIG_ALPHA", "CONFIG_MIPS", "CONFIG_PARISC", "CONFIG_PPC", "CONFIG_PPC64", "CONFIG_SPARC", "CONFIG_SPARC64",
}  # fmt: skip
# What is never defined where C of the kernel itself is compiled.
_FOREIGN = frozenset(
    ("__ASSEMBLY__", "__ASSEMBLER__", "__cplusplus", "__GENKSYMS__", "__CHECKER__", "__BINDGEN__", "__GLIBC__")
)
# <linux/libc-compat.h> is where a libc can take definitions over; to the kernel itself all of these are 1.
_SHARED_WITH_LIBC = "__UAPI_DEF_"


@dataclass(frozen=True, slots=True)
class TargetNames:
    """What the choice of a target tells of the names in conditions; `others` know the rest."""

    target: Target
    others: Names

    def defined(self, name: str) -> bool | None:
        if name in _FOREIGN:
            return False
        if name.startswith(_SHARED_WITH_LIBC):
            return True
        if name in ("__KERNEL__", "BITS_PER_LONG"):
            return True
        if name in ("CONFIG_64BIT", "__LP64__"):
            return self.target.pointer_size == 8
        if name == "CONFIG_32BIT":
            return self.target.pointer_size == 4
        if name in ("__BIG_ENDIAN", "__BIG_ENDIAN_BITFIELD", "CONFIG_CPU_BIG_ENDIAN"):
            return self.target.big_endian
        if name in ("__LITTLE_ENDIAN", "__LITTLE_ENDIAN_BITFIELD", "CONFIG_CPU_LITTLE_ENDIAN"):
            return not self.target.big_endian
        if name in _ALL_ARCH_OPTIONS and self.target.arch in _ARCH_OPTIONS:
            return name in _ARCH_OPTIONS[self.target.arch]
        return self.others.defined(name)

    def value(self, name: str) -> int | None:
        if name == "BITS_PER_LONG":
            return 8 * self.target.pointer_size
        if name.startswith(_SHARED_WITH_LIBC):
            return 1
        if name.startswith("CONFIG_") and self.others.defined(name) is None:
            defined = self.defined(name)
            return None if defined is None else int(defined)
        return self.others.value(name)
