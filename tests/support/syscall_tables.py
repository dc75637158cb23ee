"""System call numbers as a kernel's source states them: its tables, and before Linux 6.11 asm-generic/unistd.h as well.

    python tests/support/syscall_tables.py

makes kernel_headers/syscalls.tbl anew from Debian's kernels. Numbers are ABI: a newer kernel adds some, none changes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

# Started as a program, this file is not part of a package.
sys.path.insert(0, str(Path(__file__).parents[1]))

from support.debian import SUITES, AptRoot, cache_dir

ARCHES = ("x86_64", "i386", "aarch64", "arm", "riscv64", "s390x")
TABLE = Path(__file__).parents[2] / "kernel_headers" / "syscalls.tbl"
#: The numbers of each system call by architecture, by the name of the function that serves it, without its `sys_`.
Numbers = dict[tuple[str, str], set[int]]

# Table, and which of its ABIs are the architecture's own.
_TABLES = {
    "x86_64": ("arch/x86/entry/syscalls/syscall_64.tbl", {"common", "64"}),
    "i386": ("arch/x86/entry/syscalls/syscall_32.tbl", {"i386"}),
    "arm": ("arch/arm/tools/syscall.tbl", {"common", "eabi"}),
    "s390x": ("arch/s390/kernel/syscalls/syscall.tbl", {"common", "64"}),
}
# Those of the generic table: what `syscall_abis_64` of arch/*/kernel/Makefile.syscalls adds is read there.
_GENERIC = {
    "aarch64": ("arm64", "arch/arm64/tools/syscall_64.tbl"),
    "riscv64": ("riscv", "scripts/syscall.tbl"),
}
_WANTED = (
    "*.tbl", "*/Makefile.syscalls", "*/include/uapi/asm-generic/unistd.h", "*/arch/*/include/uapi/asm/unistd.h",
    "*/arch/*/include/asm/unistd.h",
)  # fmt: skip


def tables(kernel: str) -> Path:
    """The files of Debian's source of `kernel` that hold system call numbers, unpacked into the tests' cache."""
    apt = AptRoot(SUITES[kernel], cache_dir())
    tree = cache_dir() / f"linux-syscalls-{apt.version(f'linux-source-{kernel}')}"
    if not tree.exists():
        package = apt.download(f"linux-source-{kernel}")
        partial = tree.with_suffix(".partial")
        partial.mkdir(parents=True, exist_ok=True)
        wanted = " ".join(f"'{pattern}'" for pattern in _WANTED)
        # Which files there are differs by version, and tar calls a pattern without a match a failure.
        unpack = (
            f"dpkg-deb --fsys-tarfile {package} | tar -xO --wildcards '*.tar.xz' | xz -dc"
            f" | tar -x -C {partial} --strip-components=1 --wildcards {wanted} 2>/dev/null"
        )
        subprocess.run(unpack, shell=True, check=False)
        assert (partial / _TABLES["x86_64"][0]).exists(), package
        partial.rename(tree)
    return tree


def numbers(tree: Path) -> Numbers:
    """Every system call of the tree that is implemented."""
    found: Numbers = defaultdict(set)
    for arch, (path, abis) in _TABLES.items():
        _add(found, arch, _rows(tree / path, abis))
    for arch, (directory, path) in _GENERIC.items():
        extra = tree / f"arch/{directory}/kernel/Makefile.syscalls"
        if extra.exists():
            _add(found, arch, _rows(tree / path, {"common", "64", *_own_abis(extra)}))
        else:
            _add(found, arch, _unistd(tree, directory))
    return found


def _add(found: Numbers, arch: str, rows: list[tuple[int, str]]) -> None:
    for number, function in rows:
        entry = re.sub(r"^(__\w+?_)?sys_", "", function)
        if function != entry and entry != "ni_syscall":
            found[arch, entry].add(number)


def _rows(path: Path, abis: set[str]) -> list[tuple[int, str]]:
    """Number and function of each row: `<number> <abi> <name> <function> …`."""
    words = (line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#"))
    return [(int(row[0]), row[3]) for row in words if row[1] in abis and len(row) > 3]


def _own_abis(makefile: Path) -> list[str]:
    (line,) = re.findall(r"^syscall_abis_64\s*\+=(.*)$", makefile.read_text(), re.MULTILINE)
    return line.split()


def _unistd(tree: Path, directory: str) -> list[tuple[int, str]]:
    """The same from <asm/unistd.h>, which is made to be included with any `__SYSCALL`."""
    stub = tree / "stub" / "asm"
    stub.mkdir(parents=True, exist_ok=True)
    (stub / "bitsperlong.h").write_text("#define __BITS_PER_LONG 64\n")
    arch = tree / f"arch/{directory}/include"
    # riscv adds its own ones in the kernel's header, around the uapi one.
    uapi = arch / "uapi/asm/unistd.h"
    includes = [f"-I{stub.parent}", f"-I{tree / 'include/uapi'}"]
    options = ["-D__LP64__", "-D__SYSCALL(n, f)=SYSCALL n f", "-D__ARCH_WANT_MEMFD_SECRET", "-xc"]
    command = ["gcc", "-E", "-P", "-undef", "-nostdinc", *options, *includes, str(uapi)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"\bSYSCALL\s+(\([^)]*\)|\d+)\s+(\w+)", text)
    return [(sum(map(int, re.findall(r"\d+", number))), function) for number, function in rows]


def text(found: Numbers) -> str:
    """The table that tpgen ships."""
    entries = sorted({entry for _, entry in found})
    lines = [
        "# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause",
        "# System call numbers by the function that serves the call, `sys_<function>`: its events have that name.",
        "# `-` stands for none. Numbers are ABI: a new kernel adds some and changes none.",
        "# Made by tests/support/syscall_tables.py from Linux 5.10, 6.1, 6.12 and 7.2.",
        f"# {' '.join(('function', *ARCHES))}",
    ]
    for entry in entries:
        cells = (" ".join(map(str, found.get((arch, entry), "-"))) for arch in ARCHES)
        lines.append(f"{entry} {' '.join(cells)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    together: Numbers = defaultdict(set)
    for kernel in SUITES:
        for key, values in numbers(tables(kernel)).items():
            together[key] |= values
    TABLE.write_text(text(together))


if __name__ == "__main__":
    main()
