"""The computed layout of a record, with compilers as judges: gcc runs here, clang knows every other target."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tpgen.layout import SLOT_SIZES, lay_out, round_up
from tpgen.model import (
    Array,
    CType,
    Dynamic,
    Enum,
    Field,
    Float,
    Int,
    Pointer,
    Qualified,
    Record,
    Struct,
    Typedef,
    Void,
)
from tpgen.spelling import spell
from tpgen.target import Target, target_named
from tpgen.typequery import align_of, is_signed, kind_of, same_type, size_of

TRIPLES = {
    "x86_64": "x86_64-linux-gnu",
    "i386": "i386-linux-gnu",
    "aarch64": "aarch64-linux-gnu",
    "arm": "armv7l-linux-gnueabihf",
    "s390x": "s390x-linux-gnu",
    "riscv64": "riscv64-linux-gnu",
}
every_target = pytest.mark.parametrize("arch", TRIPLES)
PRELUDE = """
typedef unsigned char u8; typedef unsigned int u32; typedef unsigned long long u64;
enum tiny { TINY } __attribute__((packed));
struct pair { u8 a; u32 b; };
struct packed { u8 a; u32 b; } __attribute__((packed));
struct wide { u64 a; u8 b; };
union either { u8 a[5]; unsigned short b; };
"""


def types_of(target: Target) -> list[CType]:
    """A few types of every size, alignment and kind, as BTF would tell them of PRELUDE."""
    wide = target.integer_align(8)
    integers = [
        target.integer(name) for name in ("char", "signed char", "unsigned short", "int", "unsigned long", "long long")
    ]
    u8, u32, u64 = Int("unsigned char", 1, False), Int("unsigned int", 4, False), Int("unsigned long long", 8, False)
    scalars: list[CType] = [integer for integer in integers if integer is not None]
    others: list[CType] = [
        Typedef("u64", u64),
        Qualified("const", Typedef("u32", u32)),
        Pointer(Void()),
        Enum("tiny", 1, False),
        Array(Typedef("u8", u8), 6),
        Array(Typedef("u64", u64), 3),
        Array(u32, 0),
        Struct("struct", "pair", 8, 4),
        Struct("struct", "packed", 5, 1),
        Struct("struct", "wide", 8 + wide, wide),
        Struct("union", "either", 6, 2),
        Array(Struct("struct", "pair", 8, 4), 2),
    ]
    return scalars + others


def records(target: Target) -> list[Record]:
    """Every type by itself behind a byte, and records of any types in any order; the same ones in each run."""
    choose = random.Random(20)
    types = types_of(target)
    chosen = [[Int("unsigned char", 1, False), ctype] for ctype in types]
    chosen += [choose.choices(types, k=choose.randint(1, 9)) for _ in range(60)]
    laid_out = []
    for number, members in enumerate(chosen):
        fields = [Field(f"m{at}", ctype, None, None, None) for at, ctype in enumerate(members)]
        if number % 3 == 0:
            fields.insert(1, Field("text", None, None, None, None, Dynamic.DATA_LOC))
        laid_out.append(lay_out(tuple(fields), 8 if number % 2 else 12, target))
    return laid_out


def c_struct(record: Record, name: str) -> str:
    """The record as the kernel's macros declare it; a header of 12 bytes is that of some vendors' kernels."""
    lines = [f"struct {name} {{ struct {{ int words[{record.header_bytes // 4}]; }} ent;"]
    for field in record.fields:
        lines.append(f"u32 {field.member_name};" if field.type is None else f"{spell(field.type, field.name)};")
    return " ".join(lines) + " };\n"


def compiler(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def clang(arch: str, source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What clang says of a unit for that target; nothing is included and nothing generated."""
    unit = folder / "unit.c"
    unit.write_text(source)
    command = (compiler("clang"), f"--target={TRIPLES[arch]}", "-std=gnu11", "-fsyntax-only", "-w", str(unit))
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.compilers
class TestJudges:
    @every_target
    def test_clang(self, arch: str, tmp_path: Path) -> None:
        """Every offset and size that was computed, asserted for the target."""
        source = [PRELUDE]
        for number, record in enumerate(records(target_named(arch))):
            source.append(c_struct(record, f"r{number}"))
            for field in record.fields:
                where = f"__builtin_offsetof(struct r{number}, {field.member_name})"
                source.append(f'_Static_assert({where} == {field.offset_bytes}, "r{number} {field.name}");\n')
            source.append(f'_Static_assert(sizeof(struct r{number}) == {record.size_bytes}, "size of r{number}");\n')
        done = clang(arch, "".join(source), tmp_path)
        assert done.returncode == 0, done.stderr

    @every_target
    def test_clang_can_refuse(self, arch: str, tmp_path: Path) -> None:
        """The judge judges: the alignment of a u64 inside a struct, off by four."""
        wrong = 4 if arch != "i386" else 8
        struct = "struct s { int a; unsigned long long b; };"
        source = f'{struct} _Static_assert(__builtin_offsetof(struct s, b) == {wrong}, "");'
        done = clang(arch, source, tmp_path)
        assert done.returncode == 1
        assert "static assertion failed" in done.stderr or "static_assert failed" in done.stderr

    def test_gcc(self, tmp_path: Path) -> None:
        """gcc's offsets and sizes on this machine, printed by a program of its own."""
        target = target_named("x86_64")
        expected, source = [], ["#include <stdio.h>\n", PRELUDE]
        prints = []
        for number, record in enumerate(records(target)):
            source.append(c_struct(record, f"r{number}"))
            offsets = [f"__builtin_offsetof(struct r{number}, {field.member_name})" for field in record.fields]
            prints += [f'printf("%zu\\n", {value});\n' for value in (*offsets, f"sizeof(struct r{number})")]
            expected += [field.offset_bytes for field in record.fields] + [record.size_bytes]
        unit, program = tmp_path / "unit.c", tmp_path / "program"
        unit.write_text("".join(source) + "int main(void) {\n" + "".join(prints) + "}\n")
        subprocess.run((compiler("gcc"), "-m64", "-w", "-o", str(program), str(unit)), check=True)
        out = subprocess.run((program,), capture_output=True, text=True, check=True).stdout
        assert [int(line) for line in out.split()] == expected
        assert len(expected) > 300


# --- by hand

U8, U32, U64 = Int("unsigned char", 1, False), Int("unsigned int", 4, False), Int("unsigned long long", 8, False)


def offsets(arch: str, *types: CType, header: int = 8) -> tuple[list[int | None], int | None]:
    fields = tuple(Field(f"m{at}", ctype, None, None, None) for at, ctype in enumerate(types))
    record = lay_out(fields, header, target_named(arch))
    return [field.offset_bytes for field in record.fields], record.size_bytes


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("x86_64", ([8, 16, 24], 32)),
        ("i386", ([8, 12, 20], 24)),
        ("arm", ([8, 16, 24], 32)),
        ("s390x", ([8, 16, 24], 32)),
    ],
)
def test_u64_between_bytes(arch: str, expected: tuple[list[int], int]) -> None:
    """A u64 aligns to 4 on i386, to 8 everywhere else, armhf too."""
    assert offsets(arch, U8, U64, U8) == expected


def test_long_by_target() -> None:
    for arch, size in {"x86_64": 8, "i386": 4, "arm": 4, "s390x": 8}.items():
        long_ = target_named(arch).integer("unsigned long")
        assert long_ is not None
        assert long_.size_bytes == size
        assert offsets(arch, long_, long_) == ([8, 8 + size], 8 + 2 * size)


def test_no_fields() -> None:
    assert offsets("x86_64") == ([], 8)
    assert offsets("x86_64", header=12) == ([], 12)


def test_record_ends_on_the_headers_alignment() -> None:
    """`struct trace_entry` holds an int: a record of bytes is a multiple of 4."""
    assert offsets("x86_64", U8) == ([8], 12)


@pytest.mark.parametrize(
    "unknown",
    [Typedef("kuid_t"), Struct("struct", "opaque"), Array(U8, None, "NAME_MAX"), Array(Typedef("x"), 4), Enum("e")],
    ids=lambda ctype: type(ctype).__name__,
)
def test_unknown_is_none_from_there_on(unknown: CType) -> None:
    assert offsets("x86_64", U32, unknown, U32) == ([8, None, None], None)


def test_struct_of_unknown_alignment() -> None:
    """A size alone does not place it."""
    assert offsets("x86_64", Struct("struct", "s", 8, None)) == ([None], None)


@pytest.mark.parametrize(
    ("ctype", "size", "align", "signed", "kind"),
    [
        (U8, 1, 1, False, "int"),
        (Int("int", 4, True), 4, 4, True, "int"),
        (Int("_Bool", 1, False, is_bool=True), 1, 1, False, "int"),
        (Typedef("u64", U64), 8, 8, False, "int"),
        (Typedef("u64"), None, None, None, None),
        (Qualified("const", Typedef("pid_t", Int("int", 4, True))), 4, 4, True, "int"),
        (Pointer(Typedef("unknown")), 8, 8, False, "ptr"),
        (Array(U32, 3), 12, 4, False, "ptr"),
        (Array(Int("short", 2, True), 3), 6, 2, True, "ptr"),
        (Array(U32, None, "N"), None, 4, False, "ptr"),
        (Enum("e", 1, False), 1, 1, False, "enum"),
        (Enum("e", 4, True), 4, 4, True, "enum"),
        (Enum("e"), None, None, None, "enum"),
        (Struct("struct", "s", 6, 2), 6, 2, False, "struct"),
        (Struct("union", "u"), None, None, False, "union"),
        (Float("double", 8), 8, 8, False, None),
        (Void(), None, None, False, None),
    ],
    ids=lambda value: spell(value) if not isinstance(value, int | str | None) else "",
)
def test_questions(ctype: CType, size: int | None, align: int | None, signed: bool | None, kind: str | None) -> None:
    target = target_named("x86_64")
    assert (size_of(ctype, target), align_of(ctype, target)) == (size, align)
    assert (is_signed(ctype), kind_of(ctype)) == (signed, kind)


CHAR_POINTER = Pointer(Qualified("const", Int("char", 1, False)))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (Typedef("u32"), Typedef("u32", U32), True),
        (Typedef("u32", U32), U32, True),
        (Typedef("__u32", U32), Typedef("u32", Typedef("__u32", U32)), True),
        (Typedef("u32"), U32, False),
        (Typedef("u32"), Typedef("u64", U64), False),
        (U32, Int("int", 4, True), False),
        (Int("char", 1, True), Int("char", 1, False), True),
        (Struct("struct", "s"), Struct("struct", "s", 8, 8), True),
        (Struct("struct", "s"), Struct("union", "s"), False),
        (Enum("e"), Enum("e", 4, False), True),
        (Pointer(Void()), CHAR_POINTER, False),
        (CHAR_POINTER, Pointer(Int("char", 1, False)), False),
        (Array(U8, 6), Array(U8, None, "ETH_ALEN"), True),
        (Array(U8, 6), Array(U8, 7), False),
        (Array(U8, 6), Pointer(U8), False),
    ],
    ids=lambda value: spell(value) if not isinstance(value, bool) else "",
)
def test_same_type(left: CType, right: CType, same: bool) -> None:
    assert same_type(left, right) is same
    assert same_type(right, left) is same


@pytest.mark.parametrize(
    ("offset", "align", "expected"), [(0, 8, 0), (1, 8, 8), (7, 8, 8), (8, 8, 8), (9, 8, 16), (13, 4, 16), (13, 1, 13)]
)
def test_round_up(offset: int, align: int, expected: int) -> None:
    assert round_up(offset, align) == expected


def test_the_sizes_that_a_slot_can_hold() -> None:
    """UINTTYPE() of include/trace/bpf_probe.h knows u8, u16, u32 and u64; anything else does not compile."""
    assert [size for size in range(17) if size in SLOT_SIZES] == [1, 2, 4, 8]
