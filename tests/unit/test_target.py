"""Targets: what each architecture's ABI says, by hand, and ELF's numbers as pyelftools has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from elftools.elf.enums import ENUM_E_MACHINE
from support.btf_builder import elf
from support.small_kernel import small_btf, write_btf

from tpgen.kernel.sources import open_files
from tpgen.model import Int
from tpgen.target import elf_arch, target_like, target_named

# The size of a pointer, whether big-endian, and the alignment of a long long in a struct.
ABIS = {
    "x86_64": (8, False, 8),
    "aarch64": (8, False, 8),
    "riscv64": (8, False, 8),
    "s390x": (8, True, 8),
    "i386": (4, False, 4),
    "arm": (4, False, 8),
    "ppc64le": (8, False, 8),
    "ppc64": (8, True, 8),
    "powerpc": (4, True, 8),
    "loongarch64": (8, False, 8),
    "mips64el": (8, False, 8),
    "mips64": (8, True, 8),
    "mipsel": (4, False, 8),
    "sparc64": (8, True, 8),
    "alpha": (8, False, 8),
}
MACHINES = {
    "x86_64": "EM_X86_64",
    "aarch64": "EM_AARCH64",
    "riscv64": "EM_RISCV",
    "s390x": "EM_S390",
    "i386": "EM_386",
    "arm": "EM_ARM",
    "ppc64le": "EM_PPC64",
    "ppc64": "EM_PPC64",
    "powerpc": "EM_PPC",
    "loongarch64": "EM_LOONGARCH",
    "mips64el": "EM_MIPS",
    "mips64": "EM_MIPS",
    "mipsel": "EM_MIPS",
    "sparc64": "EM_SPARCV9",
}


@pytest.mark.parametrize("arch", ABIS)
def test_abi(arch: str) -> None:
    target = target_named(arch)
    assert (target.arch, target.pointer_size, target.big_endian, target.integer_align(8)) == (arch, *ABIS[arch])
    assert [target.integer_align(size) for size in (1, 2, 4)] == [1, 2, 4]
    assert target_like(*ABIS[arch][:2], arch) == target
    assert target_like(ABIS[arch][0], not ABIS[arch][1], arch).arch == "unknown"


@pytest.mark.parametrize("arch", MACHINES)
def test_machine_of_an_elf_file(arch: str) -> None:
    assert elf_arch(ENUM_E_MACHINE[MACHINES[arch]], *ABIS[arch][:2]) == arch


def test_other_machines_of_elf_files() -> None:
    """Alpha's own number, which no standard has, and what is no machine of ours."""
    assert elf_arch(0x9026, 8, False) == "alpha"
    assert elf_arch(ENUM_E_MACHINE["EM_AVR"], 4, False) is None


@pytest.mark.parametrize(
    ("words", "size", "signed"),
    [
        ("_Bool", 1, False),
        ("char", 1, False),  # as in kernels from 6.2 on, on all architectures
        ("signed char", 1, True),
        ("unsigned char", 1, False),
        ("short int", 2, True),
        ("unsigned short", 2, False),
        ("int", 4, True),
        ("unsigned", 4, False),
        ("long", None, True),
        ("int long unsigned", None, False),
        ("long long", 8, True),
        ("unsigned long long int", 8, False),
        ("__int128", 16, True),
        ("unsigned __int128", 16, False),
    ],
)
def test_integers(words: str, size: int | None, signed: bool) -> None:
    for arch, (pointer_size, *_) in ABIS.items():
        found = target_named(arch).integer(words)
        assert isinstance(found, Int)
        expected = (pointer_size if size is None else size, signed, words == "_Bool")
        assert (found.size_bytes, found.signed, found.is_bool) == expected


@pytest.mark.parametrize("words", ["", "long float", "unsigned x", "short short short"])
def test_no_integer(words: str) -> None:
    found = target_named("x86_64").integer(words)
    assert found is None


@pytest.mark.parametrize(("machine", "arch"), [(62, "x86_64"), (183, "aarch64"), (243, "riscv64")])
def test_of_an_image(machine: int, arch: str, tmp_path: Path) -> None:
    """That of its ELF header, where nothing else is said."""
    image = tmp_path / "vmlinux"
    image.write_bytes(elf({".BTF": small_btf().blob()}, machine=machine))
    sources = open_files([str(image)])
    assert (sources.target.arch, sources.btfs[0].btf.target.arch) == (arch, arch)


def test_of_bare_btf_is_the_one_that_is_named(tmp_path: Path) -> None:
    sources = open_files([str(write_btf(tmp_path / "btf"))], arch="riscv64")
    assert (sources.target.arch, sources.btfs[0].btf.target.arch) == ("riscv64", "riscv64")
