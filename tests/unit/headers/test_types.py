"""Sizes and lengths without BTF: base types, types and constants of other headers, judged by a C compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tpgen.layout import lay_out
from tpgen.model import Array, Enum, Int, Pointer, Struct, Typedef
from tpgen.paths import resource_dir
from tpgen.sources.headers.facts import HeaderClass, HeaderFacts
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.sources.headers.read import read_headers, read_text
from tpgen.sources.headers.types.base_types import base_types
from tpgen.sources.headers.types.resolved_facts import unknown_field
from tpgen.spelling import spell
from tpgen.target import target_named
from tpgen.typequery import align_of, is_signed, size_of

# What clang calls our targets.
TRIPLES = {
    "x86_64": "x86_64-linux-gnu", "i386": "i386-linux-gnu", "aarch64": "aarch64-linux-gnu",
    "arm": "arm-linux-gnueabi", "riscv64": "riscv64-linux-gnu", "s390x": "s390x-linux-gnu",
}  # fmt: skip
X86_64 = target_named("x86_64")
KERNEL_HEADERS = resource_dir("kernel_headers")


def compile_c(text: str, arch: str) -> None:
    """Has clang check the `_Static_assert`s of a unit; a false one fails the test."""
    command = ["clang", f"--target={TRIPLES[arch]}", "-fsyntax-only", "-fshort-wchar", "-x", "c", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def event(fields: str, before: str = "", includes: str = "") -> str:
    return f"""{includes}
#undef TRACE_SYSTEM
#define TRACE_SYSTEM test
{before}
TRACE_EVENT(test, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry({fields}), TP_fast_assign(), TP_printk(""));
"""


def only_class(facts: HeaderFacts) -> HeaderClass:
    (found,) = facts.classes
    return found


def sizes(text: str, arch: str = "x86_64") -> list[int | None]:
    """The sizes of the fields of the only class of a header."""
    record = lay_out(only_class(read_text(text, target_named(arch))).fields, 8, target_named(arch))
    return [field.size_bytes for field in record.fields]


# --- base types


@pytest.mark.parametrize("arch", TRIPLES)
def test_base_types_are_those_of_a_compiler(arch: str) -> None:
    target = target_named(arch)
    types = base_types(target)
    bits = "#define CONFIG_64BIT\n" if target.pointer_size == 8 else ""
    # clang has names of its own for some: ours must not be redefinitions.
    unit = bits + (KERNEL_HEADERS / "types.h").read_text()
    for name, ctype in types.items():
        size = size_of(ctype, target)
        unit += f'_Static_assert(sizeof({name}) == {size}, "size of {name}");\n'
        unit += f"struct of_{name} {{ char c; {name} x; }};\n"
        unit += f'_Static_assert(__builtin_offsetof(struct of_{name}, x) == {align_of(ctype, target)}, "{name}");\n'
        unit += f'_Static_assert((({name})-1 < ({name})1) == {int(bool(is_signed(ctype)))}, "sign of {name}");\n'
    compile_c(unit, arch)


@pytest.mark.parametrize("arch", ["i386", "arm"])
def test_what_a_32_bit_configuration_decides_stays_unknown(arch: str) -> None:
    unknown = {"dma_addr_t", "phys_addr_t", "resource_size_t"}
    assert unknown.isdisjoint(base_types(target_named(arch)))
    assert unknown <= base_types(X86_64).keys()
    assert sizes(event("__field(u32, a) __field(dma_addr_t, b)"), arch) == [4, None]
    assert sizes(event("__field(u32, a) __field(dma_addr_t, b)")) == [4, 8]


def test_a_base_type_is_followed_to_its_integer() -> None:
    followed = Typedef("u32", Typedef("__u32", Int("unsigned int", 4, False)))
    assert base_types(X86_64)["u32"] == followed
    assert base_types(target_named("i386"))["size_t"].target == Typedef(
        "__kernel_size_t", Int("unsigned int", 4, False)
    )


# --- whole records

RECORD = """
struct inner { u8 a; u64 b; };
struct bytes { u8 a; u32 b; } __packed;
struct wide { u16 a, b[3], *c; struct { u8 d; u64 e; }; union { u8 f; u32 g; } h; } __attribute__((aligned(16)));
enum plain { P_ONE, P_TWO };
enum negative { N_ONE = -1, N_TWO };
enum small { S_ONE, S_TWO = 200 } __packed;
enum byte { B_ONE } __mode(byte);
enum huge { H_ONE = 1ULL << 40 };
typedef struct { u8 first; u32 second; } pair_t;
typedef enum { T_ONE } kind_t;
typedef u16 half_t;
typedef half_t alias_t;
typedef void (*handler_t)(int);
typedef u8 address_t[6];
"""
FIELDS = [
    ("struct inner", "f_inner"), ("u8", "f_u8"), ("struct bytes", "f_bytes"), ("struct wide", "f_wide"),
    ("enum plain", "f_plain"), ("enum small", "f_small"), ("enum byte", "f_byte"), ("enum huge", "f_huge"),
    ("pair_t", "f_pair"), ("bool", "f_bool"), ("kind_t", "f_kind"), ("alias_t", "f_alias"), ("handler_t", "f_handler"),
    ("u8", "f_more"), ("u64", "f_u64"), ("address_t", "f_address"), ("long", "f_long"), ("enum negative", "f_negative"),
]  # fmt: skip


@pytest.mark.parametrize("arch", TRIPLES)
def test_a_record_of_types_of_its_own_is_laid_out_as_a_compiler_does(arch: str) -> None:
    target = target_named(arch)
    text = event(" ".join(f"__field({ctype}, {name})" for ctype, name in FIELDS), RECORD)
    record = lay_out(only_class(read_text(text, target)).fields, 8, target)
    bits = "#define CONFIG_64BIT\n" if target.pointer_size == 8 else ""
    members = " ".join(f"{ctype} {name};" for ctype, name in FIELDS)
    unit = f"{bits}#define __packed __attribute__((packed))\n#define __mode(x) __attribute__((__mode__(x)))\n"
    unit += (KERNEL_HEADERS / "types.h").read_text() + RECORD
    # The common header of a record.
    unit += f"struct record {{ unsigned short type; unsigned char flags, count; int pid; {members} }};\n"
    for field in record.fields:
        unit += f'_Static_assert(__builtin_offsetof(struct record, {field.name}) == {field.offset_bytes}, "{field}");\n'
        unit += f'_Static_assert(sizeof(((struct record *)0)->{field.name}) == {field.size_bytes}, "{field}");\n'
    unit += f'_Static_assert(sizeof(struct record) == {record.size_bytes}, "size");\n'
    compile_c(unit, arch)


# Entries whose names are whole declarators, as old f2fs's `__field(nid_t, nid[3])`, with the name of each.
DECLARATORS = [
    ("__field(nid_t, nid[3])", "nid"), ("__field(int, depth)", "depth"), ("__array(u8, mac[2], 6)", "mac"),
    ("__field(char, grid[ROWS][ROWS + 1])", "grid"), ("__field(struct inner, *p)", "p"),
    ("__field(void *, q [ROWS])", "q"), ("__array(u16 *, * r, 2)", "r"), ("__field_ext(u8, s[1], FILTER_OTHER)", "s"),
    ("__field_struct(struct inner, t[2])", "t"), ("__field(u64, last)", "last"),
]  # fmt: skip


@pytest.mark.parametrize("arch", ["x86_64", "i386", "arm"])
def test_a_name_that_is_a_declarator_declares_as_gcc_has_it(arch: str) -> None:
    target = target_named(arch)
    before = "#define ROWS 3\ntypedef u32 nid_t;\nstruct inner { u8 a; u64 b; };\n"
    entries = " ".join(entry for entry, _ in DECLARATORS)
    fields = only_class(read_text(event(entries, before), target)).fields
    assert [field.name for field in fields] == [name for _, name in DECLARATORS]
    record = lay_out(fields, 8, target)
    # What include/trace/stages makes of these words in the first of its passes.
    macros = "#define __field(type, item) type item;\n#define __field_ext(type, item, filter) type item;\n"
    macros += "#define __field_struct(type, item) type item;\n#define __array(type, item, len) type item[len];\n"
    members = f"{macros}{before}struct record {{ int pad[2]; {entries} }};\n"
    done = subprocess.run(["gcc", "-E", "-P", "-"], input=members, capture_output=True, text=True, check=True)
    bits = "#define CONFIG_64BIT\n" if target.pointer_size == 8 else ""
    unit = bits + (KERNEL_HEADERS / "types.h").read_text() + done.stdout
    for field in record.fields:
        place = f"((struct record *)0)->{field.name}"
        unit += f'_Static_assert(__builtin_offsetof(struct record, {field.name}) == {field.offset_bytes}, "{field}");\n'
        unit += f'_Static_assert(sizeof({place}) == {field.size_bytes}, "{field}");\n'
        unit += f"extern __typeof__({place}) m_{field.name}; extern {spell(field.type, f'm_{field.name}')};\n"
    unit += f'_Static_assert(sizeof(struct record) == {record.size_bytes}, "size");\n'
    compile_c(unit, arch)


@pytest.mark.parametrize(
    "entry",
    ["__field(int, a[)", "__field(int, a[2]b)", "__field(int, a[])", "__string(s[2], x)", "__field(int, (*a)[2])"],
)
def test_a_declarator_that_is_none_of_these_is_told(entry: str) -> None:
    facts = read_text(event(f"{entry} __field(int, b)"), X86_64)
    assert [d.code for d in facts.skipped] == ["header-field"]


@pytest.mark.parametrize(
    "definition",
    [
        "struct s { u32 a : 3; };",
        "struct s { u32 a __aligned(8); };",
        "struct s { struct other b; };",
        "struct s { u8 a[UNKNOWN]; };",
        "struct s { u8 a;\n#ifdef CONFIG_FOO\nu8 b;\n#endif\n};",
        "struct s { u8 a; } ____cacheline_aligned;",
        "struct s { DECLARE_BITMAP(a, 8); };",
        "struct s { struct s a; };",
        "#ifdef CONFIG_FOO\nstruct s { u8 a; };\n#else\nstruct s { u16 a; };\n#endif",
        "#pragma pack(2)\nstruct s { u8 a; u32 b; };",
        "struct s;",
        "",
    ],
)
def test_a_struct_that_is_not_fully_understood_has_no_size(definition: str) -> None:
    text = event("__field(u8, a) __field(struct s, b) __field(u8, c)", definition)
    assert sizes(text) == [1, None, 1]
    found = only_class(read_text(text, X86_64, "some/trace.h"))
    unknown = unknown_field(found, X86_64, Source("some/trace.h", text))
    assert unknown is not None
    assert unknown.position is not None
    assert "field b, of type `struct s`, is unknown" in unknown.message
    assert unknown.hint == "give --btf"
    line = text.split("\n")[unknown.position.line - 1]  # type: ignore[operator]
    assert line.startswith("__field(struct s, b)", (unknown.position.column or 0) - 1)


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("enum e { A };", Enum("e", 4, False)),
        ("enum e { A = -1 };", Enum("e", 4, True)),
        ("enum e { A = 0xffffffff };", Enum("e", 4, False)),
        ("enum e { A = -1, B = 0xffffffff };", Enum("e", 8, True)),
        ("enum e { A = 300 } __packed;", Enum("e", 2, False)),
        ("enum __packed e { A };", Enum("e", 1, False)),
        ("enum e { A } __attribute__((__packed__));", Enum("e", 1, False)),
        ("#define LIST A, B, C\nenum e { LIST } __mode(byte);", Enum("e", 1, None)),
        ("#define LIST A, B, C\nenum e { LIST };", Enum("e", None, None)),
        ("enum e { A = UNKNOWN };", Enum("e", None, None)),
        ("enum e { A } __aligned(8);", Enum("e", None, None)),
        ("#define BIT(n) (1UL << (n))\nenum e { A = BIT(3), B = BIT(31) };", Enum("e", 4, False)),
        ("enum e { A,\n#ifdef CONFIG_FOO\nB,\n#endif\nC };", Enum("e", 4, False)),
    ],
)
def test_enums(definition: str, expected: Enum) -> None:
    assert only_class(read_text(event("__field(enum e, a)", definition), X86_64)).fields[0].type == expected


def test_pack_one_packs() -> None:
    packed = "#pragma pack(1)\nstruct s { u8 a; u64 b; };\n#pragma pack()\nstruct t { u8 a; u64 b; };"
    assert sizes(event("__field(struct s, a) __field(struct t, b)", packed)) == [9, 16]


# --- lengths


@pytest.mark.parametrize(
    ("length", "before", "expected"),
    [
        ("4", "", 4),
        ("2 * 3 + 1", "", 7),
        ("-7 / 2 + 10", "", 7),
        ("(1 << 4) - 1", "", 15),
        ("LEN", "#define LEN 16", 16),
        ("LEN + 2", "#define BASE 6\n#define LEN (BASE)", 8),
        ("FN(3)", "#define FN(x) ((x) * 4)", 12),
        ("A_LAST", "enum { A_FIRST, A_SECOND = 7, A_THIRD, A_LAST };", 9),
        ("LEN", "enum { LEN = 16,\n#define LEN LEN\n};", 16),
        ("sizeof(u64)", "", 8),
        ("sizeof(struct s) / sizeof(u32)", "struct s { u32 a[3]; u8 b; };", 4),
        ("(int) sizeof(void *)", "", 8),
        ("sizeof(u8[12])", "", 12),
        ('sizeof("ntlmsspi")', "", 9),
        ('sizeof("two words")', "", None),
        ("LEN", "#ifdef CONFIG_FOO\n#define LEN 1\n#else\n#define LEN 2\n#endif", None),
        ("LEN", "#ifdef CONFIG_FOO\n#define LEN 2\n#else\n#define LEN (2)\n#endif", None),
        ("LEN", "", None),
        ("LEN", "#define LEN UNKNOWN", None),
        ("LEN", "#define LEN LEN", None),
        ("FN(UNKNOWN)", "#define FN(x) ((x) * 4)", None),
        ("A_LAST", "#define LIST X, Y\nenum { LIST, A_LAST };", None),
        ("A_LAST", "enum { A,\n#ifdef CONFIG_FOO\nB,\n#endif\nA_LAST };", None),
        ("sizeof(struct s)", "", None),
        ("0 - 1", "", None),
        ("1 << 40", "", None),
    ],
)
def test_lengths(length: str, before: str, expected: int | None) -> None:
    ctype = only_class(read_text(event(f"__array(u8, a, {length})", before), X86_64)).fields[0].type
    assert isinstance(ctype, Array)
    assert ctype.length == expected
    assert (ctype.length_text is None) == (expected is not None)


def test_the_configuration_decides_a_length() -> None:
    text = event("__array(u8, a, LEN)", "#ifdef CONFIG_FOO\n#define LEN 1\n#else\n#define LEN 2\n#endif")
    for config, expected in (({"CONFIG_FOO": "y"}, 1), ({"CONFIG_BAR": "y"}, 2)):
        ctype = only_class(read_text(text, X86_64, config=config)).fields[0].type
        assert isinstance(ctype, Array)
        assert ctype.length == expected


def test_an_option_of_the_configuration_is_a_length() -> None:
    """7.2's sched_skip_cpuset_numa: BITS_TO_LONGS(MAX_NUMNODES), which is 1 << CONFIG_NODES_SHIFT."""
    text = event("__array(u8, a, LEN)", "#define LEN (1 << CONFIG_SHIFT)")
    for config, expected in (({"CONFIG_SHIFT": "5"}, 32), (None, None)):
        ctype = only_class(read_text(text, X86_64, config=config)).fields[0].type
        assert isinstance(ctype, Array)
        assert ctype.length == expected


# --- other headers


def write(tree: Path, name: str, text: str) -> None:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def field_sizes(tree: Path) -> list[int | None]:
    record = lay_out(only_class(read_headers(str(tree), X86_64)).fields, 8, X86_64)
    return [field.size_bytes for field in record.fields]


def test_headers_that_are_included_and_those_they_include(tmp_path: Path) -> None:
    write(tmp_path, "include/linux/far.h", "#define FAR_LEN 3\nstruct far { u16 a[FAR_LEN]; };")
    write(tmp_path, "include/linux/near.h", "#include <linux/far.h>\n#include <linux/near.h>\nenum { NEAR_LEN = 5 };")
    fields = "__array(u8, a, NEAR_LEN) __field(struct far, b)"
    write(tmp_path, "include/trace/events/x.h", event(fields, includes="#include <linux/near.h>"))
    assert field_sizes(tmp_path) == [5, 6]


def test_headers_of_the_own_directory_and_of_the_subsystem(tmp_path: Path) -> None:
    write(tmp_path, "fs/foofs/libfoo/types.h", "typedef u64 foo_t;")
    write(tmp_path, "fs/barfs/types.h", "typedef u16 foo_t;")
    write(tmp_path, "include/trace/events/foofs.h", event("__field(foo_t, a)"))
    assert field_sizes(tmp_path) == [8]


def test_headers_that_are_seen_count_before_all_others(tmp_path: Path) -> None:
    write(tmp_path, "include/linux/a.h", "#define LEN 3")
    write(tmp_path, "include/linux/b.h", "#define LEN 4")
    write(tmp_path, "drivers/x/trace.h", event("__array(u8, a, LEN)", includes="#include <linux/b.h>"))
    assert field_sizes(tmp_path) == [4]


def test_an_include_behind_blanks_counts_and_one_in_a_comment_does_not(tmp_path: Path) -> None:
    write(tmp_path, "include/linux/a.h", "#define LEN 3")
    write(tmp_path, "include/linux/b.h", "#define LEN 4")
    includes = "/*\n * #include <linux/a.h>\n */\n \t#  include <linux/b.h>"
    write(tmp_path, "drivers/x/trace.h", event("__array(u8, a, LEN)", includes=includes))
    assert field_sizes(tmp_path) == [4]


def test_a_name_that_is_seen_as_no_macro_is_none(tmp_path: Path) -> None:
    """Nor is a macro's parameter, whatever another header calls so."""
    write(tmp_path, "include/linux/a.h", "#define TWICE(x) (2 * (x))\nenum { LEN = 3 };")
    write(tmp_path, "include/linux/b.h", "#define x 9\n#define LEN 8\n#define sizeof 7")
    fields = "__array(u8, a, TWICE(LEN)) __array(u8, b, sizeof(u16))"
    write(tmp_path, "drivers/x/trace.h", event(fields, includes="#include <linux/a.h>"))
    assert field_sizes(tmp_path) == [6, 2]


def test_headers_that_differ_leave_it_unknown(tmp_path: Path) -> None:
    write(tmp_path, "include/linux/a.h", "#define LEN 3")
    write(tmp_path, "include/linux/b.h", "#define LEN 4")
    includes = "#include <linux/a.h>\n#include <linux/b.h>"
    write(tmp_path, "drivers/x/trace.h", event("__array(u8, a, LEN)", includes=includes))
    assert field_sizes(tmp_path) == [None]


def test_a_header_of_include_that_nobody_includes(tmp_path: Path) -> None:
    """5.10's mdio.h has no include for MII_BUS_ID_SIZE, nor asoc.h for an enum of <sound/soc-dapm.h>."""
    write(
        tmp_path,
        "include/linux/phy.h",
        "#include <linux/id.h>\n#define BUS_LEN (ID_LEN + 1)\nstruct bus { u16 a; bus_t b; };",
    )
    write(tmp_path, "include/linux/id.h", "#define ID_LEN 60")
    write(tmp_path, "include/sound/dapm.h", "enum __packed way { IN, OUT };")
    write(tmp_path, "include/sound/types.h", "typedef u32 bus_t;")
    fields = "__array(char, a, BUS_LEN) __field(struct bus, b) __field(enum way, c) __array(u8, d, OUT + 2)"
    write(tmp_path, "include/trace/events/x.h", event(fields))
    assert field_sizes(tmp_path) == [61, 8, 1, 3]


@pytest.mark.parametrize(
    ("other", "expected"),
    [("#define LEN 3", 3), ("#define LEN 4", None), ("#define LEN UNKNOWN", None), ("enum { LEN = 4 };", None)],
)
def test_where_nobody_includes_it_all_headers_have_to_agree(tmp_path: Path, other: str, expected: int | None) -> None:
    write(tmp_path, "include/linux/a.h", "#define LEN 3")
    write(tmp_path, "drivers/usb/usb.h", other)
    write(tmp_path, "drivers/net/x/trace.h", event("__array(u8, a, LEN)"))
    assert field_sizes(tmp_path) == [expected]


def test_a_header_that_is_seen_counts_though_it_defines_nothing_usable(tmp_path: Path) -> None:
    write(tmp_path, "include/linux/a.h", "#define LEN 3")
    write(tmp_path, "include/linux/b.h", "#define LEN sizeof(struct unknown)")
    write(tmp_path, "drivers/x/trace.h", event("__array(u8, a, LEN)", includes="#include <linux/b.h>"))
    assert field_sizes(tmp_path) == [None]


def test_an_include_that_is_no_kernels_is_not_searched(tmp_path: Path) -> None:
    """Above /usr/src/driver lies /usr/include."""
    write(tmp_path, "include/a.h", "#define LEN 3")
    write(tmp_path, "src/driver/trace.h", event("__array(u8, a, LEN)"))
    assert field_sizes(tmp_path / "src/driver") == [None]
    write(tmp_path, "Makefile", "VERSION = 6\nPATCHLEVEL = 1")
    assert field_sizes(tmp_path / "src/driver") == [3]


def test_another_drivers_definition_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, "drivers/net/y/y.h", "#define LEN 3")
    write(tmp_path, "drivers/net/y/trace.h", event("__array(u8, a, LEN)", includes='#include "y.h"'))
    write(tmp_path, "drivers/usb/x/trace.h", event("__array(u8, a, LEN)"))
    facts = read_headers(str(tmp_path), X86_64)
    lengths = {Path(c.position.path).parent.name: c.fields[0].type.length for c in facts.classes}  # type: ignore[union-attr]
    assert lengths == {"y": 3, "x": None}


def test_an_argument_that_is_an_array_decays_and_keeps_its_inner_length() -> None:
    text = event("__field(int, x)", "enum { ROWS, COLUMNS = 4 };").replace("int a)", "int a[9][COLUMNS])")
    (found,) = read_text(text, X86_64).events
    inner = found.args[0].type.target  # type: ignore[union-attr]
    assert inner == Array(Int("int", 4, True), 4)


def test_an_argument_that_points_to_an_array_has_its_length() -> None:
    text = event("__field(int, x)", "enum { ROWS, COLUMNS = 4 };").replace("int a)", "struct s (*a)[COLUMNS])")
    (found,) = read_text(text, X86_64).events
    assert found.args[0].type == Pointer(Array(Struct("struct", "s"), 4))


@pytest.mark.parametrize("asked", ["u32", "struct nowhere"])
def test_what_a_header_knows_does_not_depend_on_what_others_asked(tmp_path: Path, asked: str) -> None:
    # For the struct the headers beside the driver's are read, and what these include. The other header sees none.
    for directory in ("drivers/mine", "include/trace/events", "lib"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "drivers/mine/trace.h").write_text(event(f"__field({asked}, x)"))
    (tmp_path / "drivers/mine/mine.h").write_text('#include "../../lib/length.h"\n')
    (tmp_path / "lib/length.h").write_text("#define LENGTH 16\n")
    (tmp_path / "include/trace/events/other.h").write_text(event("__array(char, x, LENGTH)"))
    _, other = read_headers(str(tmp_path), X86_64).classes
    assert other.fields[0].type == Array(Int("char", 1, signed=False), None, "LENGTH")


def test_an_array_without_elements_has_the_size_zero(tmp_path: Path) -> None:
    write(tmp_path, "trace.h", event("__array(u8, a, NONE) __field(u8, b)", before="#define NONE 0\n"))
    write(tmp_path, "x.h", "#define NONE 0")
    assert field_sizes(tmp_path) == [0, 1]


# --- bodies and their bounds


def test_a_body_ends_right_in_front_of_its_brace() -> None:
    text = event("__array(char, a, LAST) __array(char, b, sizeof(struct tight))")
    assert sizes(f"enum {{FIRST=6,LA=2,LAST}};\nstruct tight{{int a;char b[LAST];}};\n{text}") == [3, 8]


@pytest.mark.parametrize(("depth", "size"), [(23, 4), (24, None)])
def test_structs_within_structs(depth: int, size: int | None) -> None:
    """As deep as no kernel has them, in one more they are not followed."""
    inner = "int a;"
    for number in range(depth):
        inner = f"struct {{ {inner} }} s{number};"
    facts = read_text(f"struct outer {{ {inner} }};\n" + event("__array(char, a, sizeof(struct outer))"), X86_64)
    record = lay_out(only_class(facts).fields, 8, X86_64)
    assert [field.size_bytes for field in record.fields] == [size]


@pytest.mark.parametrize(("characters", "size"), [(1000, 8), (1001, None)])
def test_the_longest_member(characters: int, size: int | None) -> None:
    """More than a thousand characters are no declaration of the kernel's, and are not read."""
    member = "long " + "m" * (characters - len("long "))
    facts = read_text(f"struct s {{{member};}};\n" + event("__array(char, a, sizeof(struct s))"), X86_64)
    record = lay_out(only_class(facts).fields, 8, X86_64)
    assert [field.size_bytes for field in record.fields] == [size]
