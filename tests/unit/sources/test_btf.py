"""BTF read back from hand-built blobs: every kind, both byte orders, split on a base; bpftool judges the builder."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.btf_builder import BOOL, KINDS, SIGNED, BtfBuilder, stub_image
from support.live import VMLINUX_BTF
from support.small_kernel import small_btf

from tpgen.diagnostics import TpgenError
from tpgen.model import (
    Array,
    CType,
    Enum,
    Float,
    FuncProto,
    Int,
    Origin,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind, Member, Param, is_split
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.images import btf_sections
from tpgen.spelling import spell

INT = Int("int", 4, True)
LONG = Int("long", 8, True)


@dataclass(frozen=True)
class Case:
    """A type and what is to be read of it. The builder has `int` as type 1 and `long` as type 2 already.

    `raw` is how bpftool prints it, "" where bpftool 7.1 does not know the kind. `error` is the message where it is no
    type of a value or has no size.
    """

    build: Callable[[BtfBuilder], int]
    raw: str
    kind: str
    ctype: CType | str
    size: int | str


NO_SIZE = "type {} has no size"
CASES = {
    "int": Case(lambda b: b.integer("int", 4, SIGNED), "INT 'int' size=4", "INT", INT, 4),
    "bool": Case(
        lambda b: b.integer("_Bool", 1, BOOL), "INT '_Bool' size=1", "INT", Int("_Bool", 1, False, is_bool=True), 1
    ),
    "words of an int in another order": Case(
        lambda b: b.integer("long long unsigned int", 8),
        "INT 'long long unsigned int' size=8",
        "INT",
        Int("unsigned long long", 8, False),
        8,
    ),
    "int that C does not know": Case(
        lambda b: b.integer("ssizetype", 8, SIGNED), "INT 'ssizetype' size=8", "INT", Int("ssizetype", 8, True), 8
    ),
    "signed char": Case(
        lambda b: b.integer("char", 1, SIGNED), "INT 'char' size=1", "INT", Int("char", 1, True), 1
    ),
    "unsigned char type": Case(
        lambda b: b.integer("char", 1), "INT 'char' size=1", "INT", Int("char", 1, False), 1
    ),
    "pointer": Case(lambda b: b.ptr(1), "PTR '(anon)' type_id=1", "PTR", Pointer(INT), 8),
    "void pointer": Case(lambda b: b.ptr(0), "PTR '(anon)' type_id=0", "PTR", Pointer(Void()), 8),
    "array": Case(
        lambda b: b.array(2, 6), "ARRAY '(anon)' type_id=2 index_type_id=1 nr_elems=6", "ARRAY", Array(LONG, 6), 48
    ),
    "array of arrays": Case(
        lambda b: b.array(b.array(1, 3), 2),
        "ARRAY '(anon)' type_id=3 index_type_id=1 nr_elems=2",
        "ARRAY",
        Array(Array(INT, 3), 2),
        24,
    ),
    "struct": Case(
        lambda b: b.structure("pair", 16, [("a", 1, 0), ("b", 2, 8)]),
        "STRUCT 'pair' size=16 vlen=2",
        "STRUCT",
        Struct("struct", "pair", 16, 8),
        16,
    ),
    "nameless struct": Case(
        lambda b: b.structure("", 4, [("a", 1, 0)]),
        "STRUCT '(anon)' size=4 vlen=1",
        "STRUCT",
        Struct("struct", None, 4, 4),
        4,
    ),
    "empty struct": Case(
        lambda b: b.structure("empty", 0), "STRUCT 'empty' size=0 vlen=0", "STRUCT", Struct("struct", "empty", 0, 1), 0
    ),
    "bit-fields": Case(
        lambda b: b.bit_fields("flags", 4, [("low", 1, 0, 3), ("high", 1, 3, 29)]),
        "STRUCT 'flags' size=4 vlen=2",
        "STRUCT",
        Struct("struct", "flags", 4, 4),
        4,
    ),
    "union": Case(
        lambda b: b.union("either", 8, [("a", 1, 0), ("b", 2, 0)]),
        "UNION 'either' size=8 vlen=2",
        "UNION",
        Struct("union", "either", 8, 8),
        8,
    ),
    "enum": Case(
        lambda b: b.enum("colour", 4, [("RED", 0), ("BLUE", 7)]),
        "ENUM 'colour' encoding=UNSIGNED size=4 vlen=2",
        "ENUM",
        Enum("colour", 4, False),
        4,
    ),
    "packed signed enum": Case(
        lambda b: b.enum("tiny", 1, [("NONE", -1)], signed=True),
        "ENUM 'tiny' encoding=SIGNED size=1 vlen=1",
        "ENUM",
        Enum("tiny", 1, True),
        1,
    ),
    "enum64": Case(
        lambda b: b.enum64("wide", 8, [("HUGE", 1 << 40)]),
        "ENUM64 'wide' encoding=UNSIGNED size=8 vlen=1",
        "ENUM64",
        Enum("wide", 8, False),
        8,
    ),
    "forward struct": Case(
        lambda b: b.fwd("page"), "FWD 'page' fwd_kind=struct", "FWD", Struct("struct", "page", forward=True), NO_SIZE
    ),
    "forward union": Case(
        lambda b: b.fwd("any", union=True),
        "FWD 'any' fwd_kind=union",
        "FWD",
        Struct("union", "any", forward=True),
        NO_SIZE,
    ),
    "typedef": Case(
        lambda b: b.typedef("pid_t", 1), "TYPEDEF 'pid_t' type_id=1", "TYPEDEF", Typedef("pid_t", INT), 4
    ),
    "volatile": Case(
        lambda b: b.qualifier("VOLATILE", 1), "VOLATILE '(anon)' type_id=1", "VOLATILE", Qualified("volatile", INT), 4
    ),
    "const": Case(
        lambda b: b.qualifier("CONST", 2), "CONST '(anon)' type_id=2", "CONST", Qualified("const", LONG), 8
    ),
    "restrict": Case(
        lambda b: b.qualifier("RESTRICT", b.ptr(1)),
        "RESTRICT '(anon)' type_id=3",
        "RESTRICT",
        Qualified("restrict", Pointer(INT)),
        8,
    ),
    "function": Case(
        lambda b: b.func("do_it", b.func_proto(1, [("a", 2)])),
        "FUNC 'do_it' type_id=3 linkage=global",
        "FUNC",
        "type {} of kind FUNC is used as a type",
        NO_SIZE,
    ),
    "prototype": Case(
        lambda b: b.func_proto(1, [("a", 2), ("", 0)]),
        "FUNC_PROTO '(anon)' ret_type_id=1 vlen=2",
        "FUNC_PROTO",
        FuncProto(INT, (LONG,), variadic=True),
        NO_SIZE,
    ),
    "variable": Case(
        lambda b: b.var("jiffies", 2),
        "VAR 'jiffies' type_id=2, linkage=global",
        "VAR",
        "type {} of kind VAR is used as a type",
        NO_SIZE,
    ),
    "data section": Case(
        lambda b: b.datasec(".data", 8, [(b.var("x", 2), 0, 8)]),
        "DATASEC '.data' size=8 vlen=1",
        "DATASEC",
        "type {} of kind DATASEC is used as a type",
        NO_SIZE,
    ),
    "float": Case(lambda b: b.floating("double", 8), "FLOAT 'double' size=8", "FLOAT", Float("double", 8), 8),
    "declaration tag": Case(
        lambda b: b.decl_tag("bpf_kptr", b.structure("s", 4, [("a", 1, 0)]), 0),
        "DECL_TAG 'bpf_kptr' type_id=3 component_idx=0",
        "DECL_TAG",
        "type {} of kind DECL_TAG is used as a type",
        NO_SIZE,
    ),
    "type tag": Case(
        lambda b: b.type_tag("user", 1), "TYPE_TAG 'user' type_id=1", "TYPE_TAG", TypeTag("user", INT), 4
    ),
}  # fmt: skip


def built(case: Case, big_endian: bool) -> tuple[BtfBuilder, int]:
    """The blob of a case, with types before and after the one that it is about, and its id."""
    builder = BtfBuilder(big_endian)
    builder.integer("int", 4, SIGNED)
    builder.integer("long int", 8, SIGNED)
    type_id = case.build(builder)
    builder.integer("unsigned int", 4)
    return builder, type_id


big_and_little = pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def test_every_kind_has_a_case() -> None:
    assert {case.kind for case in CASES.values()} == set(KINDS) - {"VOID"}


class TestKinds:
    @big_and_little
    @every_case
    def test_kind_and_type(self, case: Case, big_endian: bool) -> None:
        builder, type_id = built(case, big_endian)
        btf = Btf(builder.blob(), "blob")
        assert btf.count == builder.next_id
        assert btf.big_endian is big_endian
        assert btf.kind(type_id).name == case.kind
        self.holds(lambda: btf.ctype(type_id), case.ctype, type_id)
        self.holds(lambda: btf.size(type_id), case.size, type_id)

    @staticmethod
    def holds(ask: Callable[[], object], expected: object, type_id: int) -> None:
        """`ask` returns what is expected, or raises an error of that text."""
        if not isinstance(expected, str):
            assert ask() == expected
            return
        with pytest.raises(TpgenError) as caught:
            ask()
        assert str(caught.value) == f"blob: corrupt BTF: {expected.format(type_id)} [btf-bad-kind]"

    @pytest.mark.kernel_btf
    @big_and_little
    @every_case
    def test_builder_by_bpftool(self, case: Case, big_endian: bool, tmp_path: Path) -> None:
        """The judge of the blobs: bpftool reads what the case says."""
        builder, type_id = built(case, big_endian)
        (tmp_path / "blob").write_bytes(builder.blob())
        lines = bpftool("file", str(tmp_path / "blob"), "format", "raw").splitlines()
        assert [line for line in lines if line.startswith(f"[{type_id}] {case.raw}")], lines
        assert sum(line.startswith("[") for line in lines) == builder.next_id - 1


def bpftool(*arguments: str) -> str:
    """What `bpftool btf dump` prints."""
    if shutil.which("bpftool") is None:
        pytest.skip("bpftool is not installed")
    return subprocess.run(("bpftool", "btf", "dump", *arguments), capture_output=True, text=True, check=True).stdout


class TestParts:
    """Members, parameters and names, with numbers as the builder was told them."""

    @big_and_little
    def test_members(self, big_endian: bool) -> None:
        b = BtfBuilder(big_endian)
        number = b.integer("int", 4, SIGNED)
        pair = b.structure("pair", 12, [("a", number, 0), ("", number, 4), ("z", number, 8)])
        flags = b.bit_fields("flags", 8, [("low", number, 0, 3), ("high", number, 3, 29), ("whole", number, 32, 0)])
        btf = Btf(b.blob(), "blob")
        assert btf.name(pair) == "pair"
        assert btf.members(pair) == (Member("a", 1, 0, 0), Member("", 1, 32, 0), Member("z", 1, 64, 0))
        assert btf.members(flags) == (Member("low", 1, 0, 3), Member("high", 1, 3, 29), Member("whole", 1, 32, 0))

    @big_and_little
    def test_params(self, big_endian: bool) -> None:
        b = BtfBuilder(big_endian)
        number = b.integer("int", 4, SIGNED)
        proto = b.func_proto(0, [("first", number), ("", b.ptr(0)), ("", 0)])
        func = b.func("f", proto)
        btf = Btf(b.blob(), "blob")
        expected = (Param("first", 1), Param(None, 2), Param(None, 0))
        assert btf.params(func) == btf.params(proto) == expected

    @big_and_little
    def test_a_few_names(self, big_endian: bool) -> None:
        """Only types of that name are found: not members, and not numbers that are the same as where a name stands."""
        b = BtfBuilder(big_endian)
        one = b.integer("one", 1)  # whose name is at offset 1
        pair = b.structure("pair", 2, [("one", one, 0), ("two", one, 8)])
        others = [b.typedef("one", one), b.array(one, 1), b.structure("one", 1, [("one", one, 0)])]
        b.string("x" * (0x0101 - len(b.strings) - 1))
        wide = [b.typedef("wide", one), b.structure("wide", 0x01010101)]
        assert b.string("wide") == 0x0101
        btf = Btf(b.blob(), "blob", names="one|two|pair|wide|none")
        expected = {"one": [one, others[0], others[2]], "pair": [pair], "wide": wide}
        names = ("one", "two", "pair", "wide", "none")
        assert {name: ids for name in names if (ids := btf.ids_with_name(name))} == expected
        for _ in range(2):
            assert [[*btf.ids_of(BtfKind.STRUCT, name)] for name in names] == [[others[2]], [], [pair], [wide[1]], []]
            assert btf.named == expected  # from here on what is in it is told

    def test_shared_prefixes_and_suffixes_of_strings(self) -> None:
        """Only whole names are found: not the ends of others, nor names that go on."""
        b = BtfBuilder()
        number = b.integer("int", 4, SIGNED)
        for name in ("x_wanted", "wanted", "wanted_x"):
            b.typedef(name, number)
        wanted = Btf(b.blob(), "blob", names="wanted").named
        assert wanted == {"wanted": [3]}

    def test_alignment(self) -> None:
        """A struct has its strictest member's; BTF does not state it."""
        b = BtfBuilder()
        char, long_ = b.integer("char", 1), b.integer("long unsigned int", 8)
        inner = b.structure("inner", 16, [("c", char, 0), ("l", long_, 8)])
        outer = b.structure("outer", 24, [("c", char, 0), ("i", b.array(inner, 1), 8)])
        chars = b.structure("chars", 3, [("c", b.array(char, 3), 0)])
        btf = Btf(b.blob(), "blob")
        assert [btf.align(i) for i in (char, long_, inner, outer, chars)] == [1, 8, 8, 8, 1]

    @pytest.mark.parametrize(
        ("pointer_size", "big_endian", "arch", "expected"),
        [
            (8, False, "x86_64", ("x86_64", 8)),
            (8, False, "amd64", ("x86_64", 8)),
            (4, False, "i386", ("i386", 4)),
            (4, False, "armv7l", ("arm", 8)),
            (8, True, "s390x", ("s390x", 8)),
            (8, True, "x86_64", ("unknown", 8)),
            (8, False, None, ("unknown", 8)),
        ],
    )
    def test_target(self, pointer_size: int, big_endian: bool, arch: str | None, expected: tuple[str, int]) -> None:
        """Byte order and the size of a long show in BTF; where they contradict the name, the name gives way."""
        target = Btf(small_btf(big_endian, pointer_size).blob(), "blob", arch=arch).target
        assert (target.arch, target.long_long_align) == expected
        assert (target.pointer_size, target.big_endian) == (pointer_size, big_endian)


USED_NAMES: list[tuple[CType, CType]] = [
    (Typedef("pid_t"), Typedef("pid_t", INT)),
    (Struct("struct", "both"), Struct("struct", "both", 8, 4)),
    (Struct("union", "both"), Struct("union", "both", 4, 4)),
    (Enum("e"), Enum("e", 1, False)),
    (Enum("e64"), Enum("e64", 8, True)),
    (Qualified("const", Typedef("pid_t")), Qualified("const", Typedef("pid_t", INT))),
    (Array(Typedef("pid_t"), 3), Array(Typedef("pid_t", INT), 3)),
    # Behind a pointer nothing is as large as anything.
    (Pointer(Struct("struct", "both")), Pointer(Struct("struct", "both"))),
    (Pointer(Typedef("both_t")), Pointer(Typedef("both_t", Struct("struct", "both")))),
    # A name has a namespace: `both` is no typedef; unknown ones stay.
    (Typedef("both"), Typedef("both")),
    (Typedef("nowhere"), Typedef("nowhere")),
    (Struct("struct", "nowhere"), Struct("struct", "nowhere")),
    (INT, INT),
]


@pytest.mark.parametrize("split", [False, True], ids=["own", "base's"])
@pytest.mark.parametrize(("used", "explained"), USED_NAMES, ids=lambda ctype: spell(ctype))
def test_used_names_are_explained(used: CType, explained: CType, split: bool) -> None:
    b = BtfBuilder()
    number = b.integer("int", 4, SIGNED)
    b.typedef("pid_t", number)
    both = b.structure("both", 8, [("a", number, 0), ("b", number, 4)])
    b.union("both", 4, [("a", number, 0)])
    b.typedef("both_t", both)
    b.enum("e", 1)
    b.enum64("e64", 8, signed=True)
    btf = Btf(b.blob(), "vmlinux")
    if split:
        module = BtfBuilder(base=b)
        module.ptr(1)
        btf = Btf(module.blob(), "module", btf)
    assert btf.completed(used) == explained


class TestEnumerators:
    """The value of an enumerator, which only counts where all enums that have it agree."""

    @staticmethod
    def base(big_endian: bool = False) -> BtfBuilder:
        b = BtfBuilder(big_endian)
        b.enum("", values=[("TASK_COMM_LEN", 16), ("TWICE", 3)])
        b.enum("again", values=[("TWICE", 3), ("DIFFERENT", 1)])
        b.enum("signed", values=[("DIFFERENT", 2), ("NEGATIVE", -2)], signed=True)
        b.enum64("wide", values=[("HUGE", 5 << 32 | 7)])
        b.integer("no_enumerator", 4)
        return b

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("TASK_COMM_LEN", 16), ("TWICE", 3), ("DIFFERENT", None), ("NEGATIVE", -2), ("HUGE", 5 << 32 | 7),
            ("no_enumerator", None), ("nowhere", None),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
    def test_own(self, name: str, value: int | None, big_endian: bool) -> None:
        assert Btf(self.base(big_endian).blob(), "vmlinux").enumerator(name) == value

    def test_split(self) -> None:
        """A module's enumerators and its kernel's count alike; a name may stand in either's strings."""
        module = BtfBuilder(base=self.base())
        module.enum("", values=[("OWN", 9), ("TASK_COMM_LEN", 16), ("TWICE", 4), ("no_enumerator", 8)])
        btf = Btf(module.blob(), "module", Btf(self.base().blob(), "vmlinux"))
        names = ("OWN", "TASK_COMM_LEN", "TWICE", "no_enumerator", "HUGE")
        assert [btf.enumerator(name) for name in names] == [9, 16, None, 8, 5 << 32 | 7]


def with_layout(builder: BtfBuilder, lengths: dict[int, tuple[int, int]], between: bool = False) -> bytes:
    """The blob with the header of 32 bytes and a layout section, behind the strings or between types and strings.

    `lengths` are what follows the three words of a type of each kind, in bytes: once and per element.
    """
    blob = builder.blob()
    types, strings = b"".join(builder.types), bytes(builder.strings)
    pairs = (lengths.get(kind, (0, 0)) for kind in range(max(lengths) + 1))
    layout = b"".join(struct.pack(f"{builder.order}BBH", once, each, 0) for once, each in pairs)
    padded = strings + b"\0" * (-len(strings) % 4)
    at = len(types) if between else len(types) + len(padded)
    strings_at = len(types) + len(layout) * between
    header = builder.words(32, 0, len(types), strings_at, len(padded), at, len(layout))
    return blob[:4] + header + types + (layout + padded if between else padded + layout)


class TestNewEncoding:
    """BTF as include/uapi/linux/btf.h of Linux 7.2 defines it."""

    @big_and_little
    def test_more_elements_than_16_bits_count(self, big_endian: bool) -> None:
        b = BtfBuilder(big_endian)
        b.integer("int", 4, SIGNED)
        many = b.enum("many", 4, [(f"E{number}", number) for number in range(0x10002)])
        wide = b.structure("wide", 4 * 0x10001, [(f"m{number}", 1, 4 * number) for number in range(0x10001)])
        last = b.typedef("last_t", many)
        btf = Btf(b.blob(), "blob", names="last_t")
        assert btf.count == b.next_id
        assert btf.named == {"last_t": [last]}
        assert btf.enumerator("E65537") == 0x10001
        assert btf.members(wide)[-1] == Member("m65536", 1, 32 * 0x10000, 0)
        btf.validate()

    @big_and_little
    @pytest.mark.parametrize("between", [False, True], ids=["layout at the end", "layout before the strings"])
    @pytest.mark.parametrize(
        ("kind", "once", "each", "elements"), [(20, 8, 0, 0), (31, 0, 12, 3), (32, 4, 0, 70_000), (127, 4, 8, 2)]
    )
    def test_unknown_kind(
        self, kind: int, once: int, each: int, elements: int, between: bool, big_endian: bool
    ) -> None:
        """It is stepped over by the length that the layout section states; what refers to it is refused alone."""
        b = BtfBuilder(big_endian)
        number = b.integer("int", 4, SIGNED)
        words = [0xDEAD] * ((once + each * elements) // 4)
        b.types.append(b.words(b.string("odd"), kind << 24 | elements, 7, *words))
        odd = b.next_id - 1
        fine, bad = b.typedef("fine_t", number), b.typedef("bad_t", odd)
        blob = with_layout(b, {kind: (once, each)}, between)
        btf = Btf(blob, "blob", names="fine_t|bad_t")
        assert btf.named == {"fine_t": [fine], "bad_t": [bad]}
        assert btf.ctype(fine) == Typedef("fine_t", INT)
        assert btf.string(b.string("odd")) == btf.name(odd) == "odd"
        btf.validate()
        with pytest.raises(TpgenError) as caught:
            btf.ctype(bad)
        expected = f"blob: type {odd} is of kind {kind} [btf-unknown-kind]; this BTF is newer than tpgen"
        assert str(caught.value) == expected
        # In a flat image, where the header alone tells how long it is.
        assert btf_sections(stub_image(blob), "Image").btf == blob

    @pytest.mark.parametrize("lengths", [{19: (0, 12)}, {20: (3, 0)}, {20: (0, 2)}])
    def test_unknown_kind_without_a_length(self, lengths: dict[int, tuple[int, int]]) -> None:
        b = BtfBuilder()
        b.types.append(b.words(0, 20 << 24 | 1, 0))
        with pytest.raises(TpgenError) as caught:
            Btf(with_layout(b, lengths), "blob").validate()
        assert str(caught.value) == "blob: corrupt BTF: type 1 has unknown kind 20 [btf-bad-kind]"

    @pytest.mark.parametrize(
        ("offset", "length", "message"),
        [
            (4, 1 << 20, "the layout section lacks 1048548 of 1048576 bytes"),
            (4, 2, "the size of the layout section is not a multiple of 4"),
        ],
    )
    def test_bad_layout(self, offset: int, length: int, message: str) -> None:
        b = BtfBuilder()
        b.integer("int", 4, SIGNED)
        blob = bytearray(with_layout(b, {1: (4, 0)}))
        struct.pack_into("<II", blob, 24, offset, length)
        with pytest.raises(TpgenError) as caught:
            Btf(bytes(blob), "blob")
        assert str(caught.value) == f"blob: corrupt BTF: {message} [btf-truncated]"


def chain(b: BtfBuilder, length: int, step: Callable[[BtfBuilder, int], int]) -> int:
    """The last of `length` types, each of which `step` makes of the one before; the first is an int."""
    last = b.integer("int", 4, SIGNED)
    for _ in range(length):
        last = step(b, last)
    return last


def next_struct(b: BtfBuilder, inner: int) -> int:
    """A struct of two of `inner`, 4 bytes apart whatever its size."""
    return b.structure(f"s{inner}", 8, [("a", inner, 0), ("b", inner, 4)])


BEYOND_C: dict[str, tuple[Callable[[BtfBuilder], int], str]] = {
    "65 pointers": (lambda b: chain(b, 65, BtfBuilder.ptr), "nests too deeply [btf-cycle]"),
    "330 pointers": (lambda b: chain(b, 330, BtfBuilder.ptr), "nests too deeply [btf-cycle]"),
    "100 000 pointers": (lambda b: chain(b, 100_000, BtfBuilder.ptr), "nests too deeply [btf-cycle]"),
    "100 000 arrays of one": (lambda b: chain(b, 100_000, lambda b, i: b.array(i, 1)), "nests too deeply [btf-cycle]"),
    "330 structs in each other": (lambda b: chain(b, 330, next_struct), "nests too deeply [btf-cycle]"),
    "struct of itself": (lambda b: b.structure("s", 4, [("s", 1, 0)]), "nests too deeply [btf-cycle]"),
    "functions that double": (
        lambda b: chain(b, 18, lambda b, i: b.ptr(b.func_proto(0, [("", i), ("", i)]))),
        "has more than 4096 parts when it is written out [btf-bad-size]",
    ),
    "function of 5000 parameters": (
        lambda b: b.ptr(b.func_proto(0, [("", b.integer("int", 4, SIGNED))] * 5000)),
        "has more than 4096 parts when it is written out [btf-bad-size]",
    ),
    "array of 4 GiB": (
        lambda b: b.array(b.integer("int", 4, SIGNED), 1 << 30),
        "is an array of 4294967296 bytes [btf-bad-size]",
    ),
    "arrays of arrays of 64 EiB": (
        lambda b: chain(b, 2, lambda b, i: b.array(i, 0xFFFFFFFF)),
        "is an array of 17179869180 bytes [btf-bad-size]",
    ),
    "int called void": (lambda b: b.integer("void", 4), "of kind INT has the name 'void' [btf-bad-name]"),
    "int of two words": (lambda b: b.integer("u int", 4), "of kind INT has the name 'u int' [btf-bad-name]"),
    "struct of two words": (lambda b: b.structure("a b", 4), "of kind STRUCT has the name 'a b' [btf-bad-name]"),
    "struct called if": (lambda b: b.structure("if", 4), "of kind STRUCT has the name 'if' [btf-bad-name]"),
    "typedef called int": (
        lambda b: b.typedef("int", b.integer("u8", 1)),
        "of kind TYPEDEF has the name 'int' [btf-bad-name]",
    ),
    "long letters and a dash": (
        lambda b: b.structure("a" * 4000 + "-", 4),
        f"of kind STRUCT has the name '{'a' * 4000}-' [btf-bad-name]",
    ),
    "int of 8 bytes": (lambda b: b.integer("int", 8), "of kind INT has 8 bytes [btf-bad-size]"),
}


class TestBounds:
    """What C does not allow, or no compiler takes, and no kernel has."""

    @pytest.mark.parametrize(("build", "message"), BEYOND_C.values(), ids=BEYOND_C)
    def test_refused(self, build: Callable[[BtfBuilder], int], message: str) -> None:
        b = BtfBuilder()
        last = build(b)
        btf = Btf(b.blob(), "blob")
        for _ in range(2):  # and nothing of the first time stays
            with pytest.raises(TpgenError) as caught:
                btf.ctype(last)
            assert re.sub(r"type \d+", "type {}", str(caught.value)) == f"blob: corrupt BTF: type {{}} {message}"

    def test_nested_as_deep_as_allowed(self) -> None:
        b = BtfBuilder()
        last = chain(b, 63, BtfBuilder.ptr)
        btf = Btf(b.blob(), "blob")
        assert spell(btf.ctype(last)) == f"int {'*' * 63}"
        assert spell(btf.ctype(last - 1)) == f"int {'*' * 62}"

    def test_what_is_known_counts(self) -> None:
        """A type of types that were asked for before is as deep as one that was asked for first."""
        b = BtfBuilder()
        last = chain(b, 70, BtfBuilder.ptr)
        btf = Btf(b.blob(), "blob")
        fine = [type_id for type_id in range(1, last + 1) if is_fine(btf, type_id)]
        assert fine == list(range(1, 65))

    @pytest.mark.parametrize("size", [1, 2, 16])
    def test_long_of_another_size(self, size: int) -> None:
        b = BtfBuilder()
        b.integer("long unsigned int", size)
        with pytest.raises(TpgenError) as caught:
            _ = Btf(b.blob(), "blob").target
        assert str(caught.value) == f"blob: corrupt BTF: type 1 of kind INT has {size} bytes [btf-bad-size]"

    def test_largest_array(self) -> None:
        b = BtfBuilder()
        largest = b.array(b.integer("char", 1), 1 << 30)
        btf = Btf(b.blob(), "blob")
        assert btf.size(largest) == 1 << 30
        assert btf.ctype(largest) == Array(Int("char", 1, False), 1 << 30)

    def test_arrays_in_themselves(self) -> None:
        """As a member, which has a size whether or not it is a type."""
        for length in (0, 1, 2):
            b = BtfBuilder()
            b.array(1, length)
            btf = Btf(b.blob(), "blob")
            with pytest.raises(TpgenError):
                btf.size(1)

    def test_attributes_that_are_no_tags(self) -> None:
        """gcc's `__attribute__((address_space(1)))`, as Linux 6.18 has it of BPF's arenas."""
        b = BtfBuilder()
        number = b.integer("int", 4, SIGNED)
        pointer = b.ptr(b.add("TYPE_TAG", "address_space(1)", number, flag=True))
        assert Btf(b.blob(), "blob").ctype(pointer) == Pointer(INT)


def is_fine(btf: Btf, type_id: int) -> bool:
    """Whether there is a C type of that id."""
    try:
        btf.ctype(type_id)
    except TpgenError:
        return False
    return True


def test_alignment_of_a_struct_without_its_members() -> None:
    """The distilled base of a module has structs that are members by name and size alone."""
    b = BtfBuilder()
    number = b.integer("int", 4, SIGNED)
    left_out, empty = b.structure("spinlock", 64), b.structure("lock_class_key", 0)
    outer = b.structure("outer", 72, [("n", number, 0), ("lock", b.array(left_out, 1), 8)])
    btf = Btf(b.blob(), "blob")
    assert [btf.align(i) for i in (left_out, empty, outer)] == [None, 1, None]
    assert btf.ctype(outer) == Struct("struct", "outer", 72, None)


class TestSplit:
    """Split BTF continues the type ids and the strings of its base."""

    @staticmethod
    def pair(big_endian: bool) -> tuple[Btf, Btf]:
        base = BtfBuilder(big_endian)
        base.typedef("u32", base.integer("unsigned int", 4))
        base.structure("device", 4, [("id", 2, 0)])
        split = BtfBuilder(big_endian, base)
        split.ptr(3)
        split.structure("driver", 16, [("id", 2, 0), ("dev", 4, 8)])
        split.typedef("device", 5)
        opened = Btf(base.blob(), "base", names="device|driver")
        return opened, Btf(split.blob(), "module", opened, names="device|driver")

    @big_and_little
    def test_type_ids(self, big_endian: bool) -> None:
        base, module = self.pair(big_endian)
        assert (base.count, module.count) == (4, 7)
        assert list(module.own_ids()) == [4, 5, 6]
        u32 = Typedef("u32", Int("unsigned int", 4, False))
        assert module.ctype(2) == u32
        assert module.ctype(4) == Pointer(Struct("struct", "device"))
        assert module.members(5) == (Member("id", 2, 0, 0), Member("dev", 4, 64, 0))
        assert module.ctype(6) == Typedef("device", Struct("struct", "driver", 16, 8))

    @big_and_little
    def test_strings(self, big_endian: bool) -> None:
        """`id` and `device` are strings of the base only, `driver` and `dev` of the module."""
        base, module = self.pair(big_endian)
        assert [module.name(i) for i in range(7)] == ["void", "unsigned int", "u32", "device", "", "driver", "device"]
        assert base.named == {"device": [3]}
        assert module.named == {"driver": [5], "device": [6]}

    @big_and_little
    def test_chain(self, big_endian: bool) -> None:
        """Split BTF can be a base in its turn."""
        one = BtfBuilder(big_endian)
        one.integer("int", 4, SIGNED)
        two = BtfBuilder(big_endian, one)
        two.typedef("two", 1)
        three = BtfBuilder(big_endian, two)
        three.typedef("three", 2)
        first = Btf(one.blob(), "1")
        last = Btf(three.blob(), "3", Btf(two.blob(), "2", first))
        assert last.ctype(3) == Typedef("three", Typedef("two", INT))
        assert (last.name(1), last.name(2), last.name(3)) == ("int", "two", "three")

    def test_told_apart(self) -> None:
        base = small_btf()
        module = BtfBuilder(base=base)
        module.typedef("of_the_module", 1)
        assert not is_split(base.blob(), "base")
        assert is_split(module.blob(), "module")


class TestTracepoints:
    @staticmethod
    def opened(builder: BtfBuilder) -> BtfTracepoints:
        return BtfTracepoints(Btf(builder.blob(), "blob", names=TRACEPOINT_NAMES))

    @big_and_little
    def test_events_and_classes(self, big_endian: bool) -> None:
        kernel = self.opened(small_btf(big_endian))
        assert kernel.events == ("sched_switch", "sched_wakeup", "dma_fence_init", "page_ref_mod", "pelt_se_tp")
        assert kernel.classes == (
            "sched_switch", "sched_wakeup_template", "dma_fence", "dma_fence_unsignaled", "page_ref_mod_template",
            "page_ref_mod_and_test_template",
        )  # fmt: skip

    @big_and_little
    def test_raw(self, big_endian: bool) -> None:
        raw = self.opened(small_btf(big_endian)).raw("sched_switch")
        assert raw is not None
        assert [spell(arg.type, arg.name or "") for arg in raw.args] == [
            "bool preempt", "struct task_struct *prev", "struct task_struct *next", "unsigned int prev_state",
        ]  # fmt: skip
        assert [arg.slot for arg in raw.args] == [0, 1, 2, 3]
        assert (raw.names_origin, raw.disagreement) == (Origin.PROBESTUB, None)

    @pytest.mark.parametrize(
        ("functions", "origin", "name"),
        [
            (("__probestub_", "__traceiter_"), Origin.PROBESTUB, "p"),
            (("__traceiter_",), Origin.TRACEITER, "p"),
            ((), None, None),
        ],
    )
    def test_names_origin(self, functions: tuple[str, ...], origin: Origin | None, name: str | None) -> None:
        b = BtfBuilder()
        b.event("e", [("p", b.integer("int", 4, SIGNED))], functions)
        raw = self.opened(b).raw("e")
        assert raw is not None
        assert (raw.names_origin, raw.args[0].name) == (origin, name)

    def test_functions_that_disagree(self) -> None:
        b = BtfBuilder()
        number = b.integer("int", 4, SIGNED)
        b.event("e", [("a", number)], ())
        b.func("__probestub_e", b.func_proto(0, [("__data", b.ptr(0)), ("a", number), ("b", number)]))
        raw = self.opened(b).raw("e")
        assert raw is not None
        assert raw.disagreement == "__probestub_e has other parameters than btf_trace_e"
        assert [arg.name for arg in raw.args] == [None]

    def test_no_arguments(self) -> None:
        b = BtfBuilder()
        b.event("e", [])
        raw = self.opened(b).raw("e")
        assert raw is not None
        assert raw.args == ()

    def test_name_with_a_leading_digit(self) -> None:
        b = BtfBuilder()
        b.event("802154_rdev_suspend", [("x", b.integer("int", 4, SIGNED))])
        assert self.opened(b).events == ("802154_rdev_suspend",)

    def test_locator_that_is_none(self) -> None:
        """Only a u32 locates: 5.10's regcache_sync has `__data_loc_type` beside `type`, and a u64 may be called so."""
        b = BtfBuilder()
        uint, u64 = b.integer("unsigned int", 4), b.integer("long unsigned int", 8)
        fields = [
            ("ent", b.structure("trace_entry", 8), 0), ("__data_loc_type", uint, 8), ("type", uint, 12),
            ("__rel_loc_mask", uint, 16), ("__data_loc_wide", u64, 24), ("__data", b.array(uint, 0), 32),
        ]  # fmt: skip
        b.event_class("c", [], 32, fields)
        record = self.opened(b).record("c")
        assert record is not None
        assert (record.header_bytes, record.size_bytes) == (8, 32)
        assert [(f.name, f.dynamic, f.offset_bytes, f.size_bytes) for f in record.fields] == [
            ("type", "data_loc", 8, 4), ("type", None, 12, 4), ("mask", "rel_loc", 16, 4),
            ("__data_loc_wide", None, 24, 8),
        ]  # fmt: skip

    @pytest.mark.parametrize("header", [8, 12, 16])
    def test_common_header_of_another_length(self, header: int) -> None:
        """Vendors' real-time kernels have longer ones: it is read, never assumed."""
        b = BtfBuilder()
        uint = b.integer("unsigned int", 4)
        b.event_class("c", [], header + 4, [("ent", b.structure("trace_entry", header), 0), ("a", uint, header)])
        record = self.opened(b).record("c")
        assert record is not None
        assert (record.header_bytes, record.fields[0].offset_bytes) == (header, header)

    def test_syscall_records(self) -> None:
        """Entry and exit structs have the same name; the vendor's offset of 24 is taken as it is."""
        b = BtfBuilder()
        number, ulong = b.integer("int", 4, SIGNED), b.integer("long unsigned int", 8)
        entry = b.structure("trace_entry", 8)
        b.structure("syscall_tp_t", 72, [("ent", entry, 0), ("syscall_nr", number, 8), ("args", b.array(ulong, 6), 24)])
        b.structure("syscall_tp_t", 24, [("ent", entry, 0), ("syscall_nr", number, 8), ("ret", ulong, 16)])
        kernel = self.opened(b)
        enter, leave = kernel.syscall_record(entering=True), kernel.syscall_record(entering=False)
        assert enter is not None
        assert leave is not None
        assert [(f.name, f.offset_bytes) for f in enter.fields] == [("syscall_nr", 8), ("args", 24)]
        assert [(f.name, f.offset_bytes) for f in leave.fields] == [("syscall_nr", 8), ("ret", 16)]


@pytest.fixture(scope="module")
def ours() -> Btf:
    """The running kernel's BTF."""
    return Btf(VMLINUX_BTF.read_bytes(), str(VMLINUX_BTF), names=TRACEPOINT_NAMES)


@pytest.fixture(scope="module")
def theirs() -> list[str]:
    """bpftool's lines on it: one per type, and an indented one per member."""
    return bpftool("file", str(VMLINUX_BTF), "format", "raw").splitlines()


@pytest.mark.kernel_btf
class TestRunningKernel:
    """The running kernel's BTF as we read it and as bpftool and pahole do."""

    def test_count_per_kind(self, ours: Btf, theirs: list[str]) -> None:
        expected = Counter(line.split()[1] for line in theirs if line.startswith("["))
        assert Counter(ours.kind(i).name for i in ours.own_ids()) == expected
        assert expected.total() > 10_000

    @pytest.mark.parametrize("name", ["task_struct", "char", "list_head", "u8", "kfree", "btf_trace_sched_switch"])
    def test_types_of_a_name(self, name: str, theirs: list[str]) -> None:
        expected = [
            int(line[1 : line.index("]")]) for line in theirs if line.split("'")[1:2] == [name] and line[0] == "["
        ]
        btf = Btf(VMLINUX_BTF.read_bytes(), str(VMLINUX_BTF), names=name)
        assert btf.ids_with_name(name) == expected == btf.named[name]

    def test_tracepoints(self, ours: Btf, theirs: list[str]) -> None:
        expected = {line.split("'")[1] for line in theirs if "] TYPEDEF 'btf_trace_" in line}
        assert {f"btf_trace_{event}" for event in BtfTracepoints(ours).events} == expected
        assert len(expected) > 500

    def test_every_record(self, ours: Btf, theirs: list[str]) -> None:
        """Names and offsets of the members of every trace_event_raw_*, and the struct's size."""
        expected = self.records(theirs)
        kernel = BtfTracepoints(ours)
        assert set(kernel.classes) == set(expected)
        for name, (size, members) in expected.items():
            record = kernel.record(name)
            assert record is not None
            assert record.size_bytes == size
            assert [(f.member_name, 8 * (f.offset_bytes or 0)) for f in record.fields] == members

    @staticmethod
    def records(lines: list[str]) -> dict[str, tuple[int, list[tuple[str, int]]]]:
        """Every record's size and members (name, offset in bits) in bpftool's dump, `ent` and `__data` left out."""
        found: dict[str, tuple[int, list[tuple[str, int]]]] = {}
        members: list[tuple[str, int]] | None = None
        for line in lines:
            if line.startswith("["):
                members = None
                _, kind, name = line.split()[:3]
                if kind == "STRUCT" and name.startswith("'trace_event_raw_"):
                    members = []
                    size = int(line.partition("size=")[2].split()[0])
                    found[name.strip("'").removeprefix("trace_event_raw_")] = (size, members)
            elif members is not None:
                name, offset = line.split("'")[1], int(line.rpartition("bits_offset=")[2])
                if name not in ("ent", "__data"):
                    members.append((name, offset))
        return found

    @pytest.mark.parametrize("name", ["trace_event_raw_sched_switch", "task_struct", "sk_buff", "list_head"])
    def test_struct_by_pahole(self, name: str, ours: Btf) -> None:
        """pahole writes offset and size behind each member: those of the outermost struct stand one tab in."""
        if shutil.which("pahole") is None:
            pytest.skip("pahole is not installed")
        command = ("pahole", "-C", name, "-F", "btf", str(VMLINUX_BTF))
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        size = int(text.rpartition("/* size: ")[2].split(",")[0])
        found = Btf(VMLINUX_BTF.read_bytes(), str(VMLINUX_BTF), names=name).named[name]
        assert len(found) == 1
        assert ours.size(found[0]) == size
        placed = {member.name: member.offset_bits // 8 for member in ours.members(found[0]) if not member.bit_size}
        written = dict(filter(None, map(pahole_member, text.splitlines())))
        assert {name: placed.get(name) for name in written} == written
        assert len(written) > len(placed) / 2

    def test_argument_types_in_c(self, ours: Btf) -> None:
        """Each prototype, spelled as C, is bpftool's: `typedef void (*btf_trace_x)(void *, …);`."""
        text = bpftool("file", str(VMLINUX_BTF), "format", "c")
        written = [line for line in text.splitlines() if line.startswith("typedef void (*btf_trace_")]
        assert len(written) > 500
        kernel = BtfTracepoints(ours)
        different = [line for line in written if normal(line) != normal(self.prototype(kernel, line))]
        assert different == []

    @staticmethod
    def prototype(kernel: BtfTracepoints, line: str) -> str:
        name = line.partition("(*")[2].partition(")")[0]
        raw = kernel.raw(name.removeprefix("btf_trace_"))
        assert raw is not None
        proto = FuncProto(Void(), (Pointer(Void()), *(arg.type for arg in raw.args)))
        return f"typedef {spell(Pointer(proto), name)};"


def pahole_member(line: str) -> tuple[str, int] | None:
    """Name and offset of the member that a line of pahole's declares, one tab in and all on that line.

    `\tchar  prev_comm[16];  /* 8 16 */`, `\tvoid (*f)(int);  /* 0 8 */`. Bit-fields have another comment.
    """
    match = re.fullmatch(r"\t[^\t}].*?(\w+)(?:\[[^;]*|\)\([^;]*)?;\s*/\*\s+(\d+)\s+\d+ \*/", line)
    return (match[1], int(match[2])) if match else None


def normal(declaration: str) -> str:
    """A declaration with the words of each integer type in alphabetical order and no spaces that do not matter.

    bpftool writes an integer as BTF names it (`long unsigned int`).
    """
    words = {"long", "short", "unsigned", "signed", "int", "char"}
    parts, run = [], []
    for token in declaration.replace("*", " * ").replace("(", " ( ").replace(")", " ) ").replace(",", " , ").split():
        if token in words:
            run.append(token)
            continue
        parts += sorted(word for word in run if word != "int" or len(run) == 1)
        run = []
        parts.append("_Bool" if token == "bool" else token)
    return " ".join(parts)


@pytest.mark.parametrize(("size", "fits"), [(20, True), (19, False), (16, False)])
def test_a_member_that_reaches_beyond_its_record(size: int, fits: bool) -> None:
    """Eight bytes at 12 need twenty."""
    b = BtfBuilder()
    b.event_class("c", [], size, [("x", b.integer("long", 8), 12)])
    tracepoints = BtfTracepoints(Btf(b.blob(), "blob", names=TRACEPOINT_NAMES))
    if fits:
        found = tracepoints.record("c")
        assert found is not None
        assert found.size_bytes == size
    else:
        with pytest.raises(TpgenError, match="member x lies behind the end of type"):
            tracepoints.record("c")
