"""Macro environments: what a configuration, a target or a fixed table says of the names in conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tpgen.basics.frozen import frozen
from tpgen.sources.headers.preprocessor.expressions import MacroEnvironment, evaluate
from tpgen.target import Target

# A trace header is read once without this name and then, by <trace/define_trace.h>, several times with it. Both
# readings count: the first one leaves macros behind, the others make the events.
MULTI_READ = "TRACE_HEADER_MULTI_READ"


@frozen
class FixedEnvironment:
    """An environment with these macros and no others. As in C, any other name has the value 0."""

    values: Mapping[str, int]

    def defined(self, name: str) -> bool:
        return name in self.values

    def value(self, name: str) -> int:
        return self.values.get(name, 0)


NO_DEFINES: Mapping[str, str | None] = {}
_MODULE = "_MODULE"
# The kernel's options, and those of drivers that the backports project carries to older kernels.
_OPTIONS = ("CONFIG_", "CPTCFG_")


def option_macros(defines: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Return the macros that -D and -U mean, where an option of the configuration is what it is to Kconfig.

    It is on, off or a module: CONFIG_FOO is 1, or CONFIG_FOO_MODULE is, or neither is there.
    """
    macros = dict(defines)
    for name, text in defines.items():
        if not name.startswith(_OPTIONS):
            continue
        if name.endswith(_MODULE):
            if text is not None:
                macros.setdefault(name.removesuffix(_MODULE), None)
            continue
        macros[name] = {"y": "1", "n": None, "m": None}.get("n" if text is None else text, text)
        macros.setdefault(name + _MODULE, "1" if text == "m" else None)
    return macros


@frozen
class ConfigEnvironment:
    """The environment of a kernel's configuration, release and further defines; other names stay unknown.

    `config` is None when the configuration is unknown; else it maps `CONFIG_FOO` to `y`, `m` or a value, and options
    that it lacks are not set. An option that is `m` is the macro `CONFIG_FOO_MODULE`, as in autoconf.h. Macros of other
    names may be among them. `release` (`6.1.192`) decides LINUX_VERSION_CODE.
    `defines` come before both: they map a macro to its text, or to None where there is none (see `option_macros`).
    """

    config: Mapping[str, str] | None
    release: str | None = None
    defines: Mapping[str, str | None] = NO_DEFINES

    def defined(self, name: str) -> bool | None:
        if name in self.defines:
            return self.defines[name] is not None
        if name == MULTI_READ or (name in _OF_A_RELEASE and self.release is not None):
            return True
        if self.config is None or not (name.startswith("CONFIG_") or name in self.config):
            return None
        value = self.config.get(name, "n")
        if value == "m":
            return False
        return value != "n" or (self.config.get(name.removesuffix(_MODULE)) == "m" and name.endswith(_MODULE))

    def value(self, name: str) -> int | None:
        if name in self.defines:
            text = self.defines[name]
            return 0 if text is None else evaluate(text, FixedEnvironment({}))
        if name == "LINUX_VERSION_CODE":
            return None if _HIDES_SUBLEVEL.match(self.release or "") else version_code(self.release)
        defined = self.defined(name)
        if not defined:
            return None if defined is None else 0
        if self.config is None or not (name.startswith("CONFIG_") or name in self.config):
            return None  # it is defined, as nothing that could be compared
        text = self.config.get(name, "y")
        return 1 if text == "y" else evaluate(text, FixedEnvironment({}))


# What <linux/version.h> defines.
_OF_A_RELEASE = ("LINUX_VERSION_CODE", "KERNEL_VERSION")
# Debian and Ubuntu call 6.1.174 `6.1.0-57-amd64`. RHEL's 5.14.0-427.el9 is a 5.14.0.
_HIDES_SUBLEVEL = re.compile(r"\d+\.\d+\.0-\d(?!.*\.el\d)")


def version_code(release: str | None) -> int | None:
    """Return LINUX_VERSION_CODE of a release such as `6.1.192-2-amd64`; None where it is unknown."""
    numbers = re.match(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,5}))?", release or "")
    if numbers is None:
        return None
    version, patchlevel, sublevel = (int(number or 0) for number in numbers.groups())
    # A byte is all that the sublevel has; since 4.9.256 came near, the kernel's Makefile stops at 255.
    return (version << 16) + (patchlevel << 8) + min(sublevel, 255)


# The options that the kernel's headers test for the target, besides CONFIG_64BIT.
_ARCH_OPTIONS = {
    "x86_64": ("CONFIG_X86", "CONFIG_X86_64"), "i386": ("CONFIG_X86", "CONFIG_X86_32"), "aarch64": ("CONFIG_ARM64",),
    "arm": ("CONFIG_ARM",), "riscv64": ("CONFIG_RISCV",), "s390x": ("CONFIG_S390",),
}  # fmt: skip
_ALL_ARCH_OPTIONS = frozenset(option for options in _ARCH_OPTIONS.values() for option in options) | {
    "CONFIG_ALPHA", "CONFIG_MIPS", "CONFIG_PARISC", "CONFIG_PPC", "CONFIG_PPC64", "CONFIG_SPARC", "CONFIG_SPARC64",
}  # fmt: skip
# Macros that are never defined where C of the kernel itself is compiled.
_FOREIGN = frozenset(
    ("__ASSEMBLY__", "__ASSEMBLER__", "__cplusplus", "__GENKSYMS__", "__CHECKER__", "__BINDGEN__", "__GLIBC__")
)
# <linux/libc-compat.h> is where a libc can take definitions over; to the kernel itself all of these are 1.
_SHARED_WITH_LIBC = "__UAPI_DEF_"


@frozen
class TargetEnvironment:
    """The environment of a compilation for `target`; `others` decides what the target does not."""

    target: Target
    others: MacroEnvironment

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
