"""Kinds of arguments and fields that hardly any event has, on a kernel made for them: values, in both byte orders.

The contexts are packed here, byte by byte; clang compiles the accessors, and an interpreter runs them.
"""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import pytest
from support.bpf_asm import Insn, Machine, functions
from support.btf_builder import BOOL, SIGNED, BtfBuilder
from support.cli import tpgen
from support.compilers import TARGETS, CompileError, Compiler, disassembly
from support.libbpf import BpfObject
from support.small_kernel import Line, write_btf, write_tracefs

pytestmark = pytest.mark.compilers

ONES = (1 << 64) - 1
Code = dict[str, tuple[Insn, ...]]


def order(target: str) -> str:
    return ">" if target == "bpfeb" else "<"


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def header(folder: Path, *arguments: str | Path) -> None:
    """What tpgen makes goes to `folder`."""
    done = tpgen(*arguments, "-o", folder / "")
    assert (done.code, done.err) == (0, "")


# --- raw arguments

# In vmlinux.h these are the kernel's; a program without it is given the bits.
STRUCTS = """
#define __VMLINUX_H__
typedef unsigned long long u64;
typedef struct { u64 pte; } pte_t;
struct pair { unsigned short first, second; };
struct bytes { unsigned char a, b; };
union one { unsigned char whole; signed char sign; };
enum packed { PACKED } __attribute__((packed));
"""


def argument_kernel(big_endian: bool) -> BtfBuilder:
    """Event `kinds` with twelve arguments."""
    b = BtfBuilder(big_endian)
    number, char, u16 = b.integer("int", 4, SIGNED), b.integer("char", 1), b.integer("short unsigned int", 2)
    u8, s8 = b.integer("unsigned char", 1), b.integer("signed char", 1, SIGNED)
    s16, u64 = b.integer("short int", 2, SIGNED), b.typedef("u64", b.integer("long long unsigned int", 8))
    bool_ = b.typedef("bool", b.integer("_Bool", 1, BOOL))
    task = b.ptr(b.fwd("task_struct"))
    arguments = [
        ("pte", b.typedef("pte_t", b.structure("", 8, [("pte", u64, 0)]))),
        ("pair", b.structure("pair", 4, [("first", u16, 0), ("second", u16, 2)])),
        ("bytes", b.structure("bytes", 2, [("a", u8, 0), ("b", u8, 1)])),
        ("one", b.union("one", 1, [("whole", u8, 0), ("sign", s8, 0)])),
        ("packed", b.enum("packed", 1, [("PACKED", 0)])),
        ("below", b.enum("below", 4, [("BELOW", -1)], signed=True)),
        ("vol", b.qualifier("VOLATILE", s16)),
        ("on", bool_),
        ("fn", b.ptr(b.func_proto(number, [("", task), ("", 0)]))),
        ("mac", b.ptr(b.array(char, 6))),
        ("list", b.array(task, 3)),
        ("task", task),
    ]
    b.event("kinds", arguments)
    b.event_class("kinds", [ctype for _, ctype in arguments])
    return b


# What is looked at; slot; its content; the result. The content's other bits are what no accessor may look at.
ARGUMENTS = {
    "raw_kinds_pte(ctx).pte": (0, 0x8123_4567_89AB_CDEF, 0x8123_4567_89AB_CDEF),
    # A struct's first member is at its lowest address: the high half of a big-endian word.
    "raw_kinds_pair(ctx).first": (1, 0xDEAD_BEEF_8123_4567, {"<": 0x4567, ">": 0x8123}),
    "raw_kinds_pair(ctx).second": (1, 0xDEAD_BEEF_8123_4567, {"<": 0x8123, ">": 0x4567}),
    "raw_kinds_bytes(ctx).a": (2, 0xDEAD_BEEF_CAFE_81F2, {"<": 0xF2, ">": 0x81}),
    "raw_kinds_one(ctx).sign": (3, 0xDEAD_BEEF_CAFE_BAFF, -1),
    "raw_kinds_packed(ctx)": (4, 0xDEAD_BEEF_CAFE_BAFF, 0xFF),
    "raw_kinds_below(ctx)": (5, 0xDEAD_BEEF_FFFF_FFF5, -11),
    "raw_kinds_vol(ctx)": (6, 0xDEAD_BEEF_CAFE_8000, -0x8000),
    "raw_kinds_on(ctx)": (7, 0xDEAD_BEEF_CAFE_BA00, 0),
    "raw_kinds_fn(ctx)": (8, 0xFFFF_8880_1234_5678, 0xFFFF_8880_1234_5678),
    "raw_kinds_mac(ctx)": (9, 0xFFFF_8880_1234_5678, 0xFFFF_8880_1234_5678),
    "raw_kinds_list(ctx)": (10, 0xFFFF_8880_1234_5678, 0xFFFF_8880_1234_5678),
    "raw_kinds_task(ctx)": (11, 0xFFFF_8880_1234_5678, 0xFFFF_8880_1234_5678),
}
# Of which type each is: with vmlinux.h, and without it.
TYPES = {
    "pte": ("pte_t", "unsigned long long"),
    "pair": ("struct pair", "unsigned int"),
    "bytes": ("struct bytes", "unsigned short"),
    "one": ("union one", "unsigned char"),
    "packed": ("unsigned char", "unsigned char"),
    "below": ("int", "int"),
    "vol": ("short", "short"),
    "on": ("_Bool", "_Bool"),
    "fn": ("int (*)(struct task_struct *, ...)",) * 2,
    "mac": ("char (*)[6]", "char (*)[6]"),
    "list": ("struct task_struct **", "struct task_struct **"),
    "task": ("struct task_struct *", "struct task_struct *"),
}


def value_functions(expressions: list[str]) -> str:
    text = "long long value_{n}(void *ctx);\nlong long value_{n}(void *ctx) {{ return (long long){e}; }}\n"
    return "".join(text.format(n=number, e=expression) for number, expression in enumerate(expressions))


@pytest.mark.parametrize("target", TARGETS)
def test_arguments(compiler: Compiler, target: str, tmp_path: Path) -> None:
    """Each kind from a slot with dirt around it."""
    btf = write_btf(tmp_path / "vmlinux", argument_kernel(target == "bpfeb"))
    header(tmp_path, "kinds", "--raw", "--btf", btf)
    source = STRUCTS + '#include "raw_kinds.h"\n' + value_functions(list(ARGUMENTS))
    code = functions(
        disassembly(compiler.compile(source, tmp_path / "kinds.o", target=target, std="c11", include=[tmp_path]))
    )
    found, expected = {}, {}
    for number, (expression, (slot, content, result)) in enumerate(ARGUMENTS.items()):
        slots = [content if at == slot else ~content & ONES for at in range(len(TYPES))]
        context = struct.pack(f"{order(target)}{len(slots)}Q", *slots)
        found[expression] = Machine(code[f"value_{number}"], context, big_endian=target == "bpfeb").run()
        expected[expression] = (result[order(target)] if isinstance(result, dict) else result) & ONES
    assert found == expected


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("std", ["c11", "c23"])
@pytest.mark.parametrize("alone", [False, True], ids=["vmlinux.h", "alone"])
def test_argument_types(compiler: Compiler, target: str, std: str, alone: bool, tmp_path: Path) -> None:
    """The accessors' results are of the arguments' types, or of what stands for one that nobody defined."""
    btf = write_btf(tmp_path / "vmlinux", argument_kernel(target == "bpfeb"))
    header(tmp_path, "kinds", "--raw", "--btf", btf)
    source = "" if alone else STRUCTS
    source += '#include "raw_kinds.h"\nvoid *ctx;\n'
    for name, types in TYPES.items():
        call = f"raw_kinds_{name}(ctx)"
        source += f"_Static_assert(__builtin_types_compatible_p(__typeof__({call}), {types[alone]}), {name!r});\n"
    source = source.replace("'", '"')
    compiler.compile(source, tmp_path / "types.o", target=target, std=std, include=[tmp_path])


# --- fields of the classic record: declaration, offset, size, sign, content, and the result of its accessor

VALUES = (
    ("bool on", 8, 1, 0, 1, 1),
    ("s8 delta", 9, 1, 1, -3, -3),
    # Two loads of 16 bits: the verifier takes none of 32 at an offset that is no multiple of 4.
    ("u32 odd", 10, 4, 0, 0x8123_4567, 0x8123_4567),
    ("s16 low", 14, 2, 1, -0x8000, -0x8000),
    ("u16 mid", 17, 2, 0, 0x8123, 0x8123),
    ("u8 last", 19, 1, 0, 0xFE, 0xFE),
    ("u64 wide", 20, 8, 0, 0x8123_4567_89AB_CDEF, 0x8123_4567_89AB_CDEF),
    ("int odder", 29, 4, 1, -11, -11),
    ("s64 oddest", 33, 8, 1, -0x0123_4567_89AB_CDEF, -0x0123_4567_89AB_CDEF),
    ("void * addr", 48, 8, 0, 0xFFFF_8880_1234_5678, 0xFFFF_8880_1234_5678),
)
COPIES = (
    ("char name[5]", 56, b"comm\0"),
    # As long as the field, without a NUL.
    ("char full[3]", 61, b"abc"),
    ("u8 mac[6]", 65, b"\x01\x80\xff\x00\x02\x03"),
    ("struct in6_addr who", 71, bytes(range(16, 32))),
)
# Declaration, offset of the locator, relative or not, content.
DYNAMIC = (
    ("__data_loc char[] text", 88, False, b"a/path\0"),
    ("__rel_loc char[] near", 92, True, b"near\0"),
    ("__data_loc unsigned long[] mask", 96, False, bytes(range(1, 17))),
    ("__rel_loc u8[] bits", 100, True, b"\x80\x00\xff"),
    ("__data_loc cpumask_t cpus", 104, False, bytes(range(8))),
    ("__rel_loc cpumask_t where", 108, True, bytes(range(8, 16))),
    ("__data_loc u8[] peer", 112, False, b"\x0a\x00\x50\x00" + bytes(24)),
    ("__rel_loc u8[] here", 116, True, b"\x02\x00"),
    ("__data_loc char[] none", 120, False, b""),
    # Other data follow it at once, and not a NUL.
    ("__data_loc char[] open", 124, False, b"open"),
    ("__data_loc u8[] after", 128, False, b"after\0"),
)
RECORD_BYTES = 132
# (size, shift of the bytes' offset): no room, a little, some, all there is.
ROOMS = (0, 1, 3, 200)
FILL = 0xA5
_BUFFER = 0x3_0000_0000
_FORMATS = {1: "b", 2: "h", 4: "i", 8: "q"}


def name_of(declaration: str) -> str:
    return declaration.split()[-1].partition("[")[0]


def lines() -> tuple[Line, ...]:
    values = [Line(declaration, at, size, sign) for declaration, at, size, sign, _, _ in VALUES]
    copies = [Line(declaration, at, len(content)) for declaration, at, content in COPIES]
    return (*values, *copies, *(Line(declaration, at, 4) for declaration, at, _, _ in DYNAMIC))


def record(target: str) -> bytes:
    """The record with its dynamic data behind it."""
    memory = bytearray([FILL] * RECORD_BYTES)
    for _, at, size, _, content, _ in VALUES:
        struct.pack_into(order(target) + _FORMATS[size], memory, at, _as_signed(content, size))
    for _, at, content in COPIES:
        memory[at : at + len(content)] = content
    for _, at, relative, content in DYNAMIC:
        begin = len(memory) - (at + 4 if relative else 0)
        struct.pack_into(order(target) + "I", memory, at, len(content) << 16 | begin)
        memory += content
    return bytes(memory)


def _as_signed(value: int, size: int) -> int:
    bits = 8 * size
    return value - (1 << bits) if value >> (bits - 1) == 1 else value


@pytest.fixture(scope="module")
def kinds_header(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of tp_kinds.h: an event with every kind of field."""
    folder = tmp_path_factory.mktemp("kinds")
    root = write_tracefs(folder / "tracefs", {"odd/kinds": lines()})
    header(folder, "kinds", "--classic", "--tracefs", root)
    return folder


COPY = "long copy_{n}(void *ctx, void *dst, unsigned int size);\n"
COPY += "long copy_{n}(void *ctx, void *dst, unsigned int size) {{ return tp_kinds_{n}_read(ctx, dst, size); }}\n"
# A compiler knows the size, and so does the verifier.
COPY += "".join(
    f"long copy_{{n}}_{size}(void *ctx, void *dst);\n"
    f"long copy_{{n}}_{size}(void *ctx, void *dst) {{{{ return tp_kinds_{{n}}_read(ctx, dst, {size}); }}}}\n"
    for size in ROOMS
)
COPIED = [name_of(declaration) for declaration, *_ in (*COPIES, *DYNAMIC)]


def field_source() -> str:
    expressions = [f"tp_kinds_{name_of(declaration)}(ctx)" for declaration, *_ in VALUES]
    copies = "".join(COPY.format(n=name) for name in COPIED)
    return '#include "tp_kinds.h"\n' + value_functions(expressions) + copies


@pytest.fixture(params=TARGETS)
def field_code(
    request: pytest.FixtureRequest, compiler: Compiler, kinds_header: Path, tmp_path: Path
) -> tuple[str, Code]:
    """The target, and the accessors of every field as functions."""
    target: str = request.param
    obj = compiler.compile(field_source(), tmp_path / "kinds.o", target=target, std="c11", include=[kinds_header])
    return target, functions(disassembly(obj))


def test_values(field_code: tuple[str, Code]) -> None:
    """Scalars at any offset, each from loads that are aligned: the interpreter refuses others, as the verifier does."""
    target, code = field_code
    context, found = record(target), {}
    for number, (declaration, *_) in enumerate(VALUES):
        found[declaration] = Machine(code[f"value_{number}"], context, big_endian=target == "bpfeb").run()
    assert found == {declaration: result & ONES for declaration, *_, result in VALUES}


def expected_copy(content: bytes, size: int, string: bool) -> tuple[int, bytes]:
    """The result and the buffer: as many bytes as there is room for, of a string one less and a NUL."""
    if not string:
        copied = content[:size]
    elif size == 0:
        copied = b""
    else:
        copied = content[: size - 1].split(b"\0")[0] + b"\0"
    return len(copied), copied.ljust(256, bytes([FILL]))


def test_copies(field_code: tuple[str, Code]) -> None:
    """Arrays, structs, and what locators of both kinds lead to, into buffers of every sort of size."""
    target, code = field_code
    contents = [(declaration, content) for declaration, _, content in COPIES]
    contents += [(declaration, content) for declaration, _, _, content in DYNAMIC]
    for (declaration, content), size, known in itertools.product(contents, ROOMS, (False, True)):
        buffer = bytearray([FILL] * 256)
        machine = Machine(
            code[f"copy_{name_of(declaration)}" + f"_{size}" * known], record(target), big_endian=target == "bpfeb",
            memory={_BUFFER: buffer}, arguments=(_BUFFER, size),
        )  # fmt: skip
        string = "char" in declaration.split()[0] or "char" in declaration.split()[1]
        result, copied = expected_copy(content, size, string)
        if known and string and declaration.startswith("__") and b"\0" not in content and size > len(content):
            # What followed it was in the buffer for a moment, and is wiped.
            copied = content.ljust(size, b"\0") + copied[size:]
        assert (signed(machine.run()), bytes(buffer)) == (result, copied), (declaration, size, known)


VERIFIED = """
#include "tp_kinds.h"
#define SEC(name) __attribute__((section(name), used))
long long out;
char buffer[64];
SEC(TP_SEC_kinds) int on_kinds(void *ctx)
{
%s
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.mark.live
def test_verifier_takes_them(compiler: Compiler, kinds_header: Path, tmp_path: Path) -> None:
    """The running kernel loads a program that uses every accessor; it has no such event to attach it to."""
    values = [f"\tout += (long long)tp_kinds_{name_of(declaration)}(ctx);\n" for declaration, *_ in VALUES]
    copies = [f"\tout += tp_kinds_{name}_read(ctx, buffer, sizeof(buffer));\n" for name in COPIED]
    source = VERIFIED % "".join(values + copies)
    with BpfObject(compiler.compile(source, tmp_path / "kinds.o", include=[kinds_header])) as bpf:
        assert bpf.info("on_kinds").id


# --- names

# C++'s keywords; macros of libbpf's headers and of others that a program may include; the names of our own.
NAMES = (
    "new delete class this template private namespace friend virtual operator catch and or not xor "
    "SEC barrier barrier_var offsetof container_of likely unlikely bpf_printk bpf_map bpf linux unix "
    "ctx dst size locator pointer tpgen bool true false asm typeof nullptr constexpr alignas thread_local "
    "PT_REGS_PARM1 BPF_PROG BPF_CORE_READ bpf_htons bpf_core_read NULL1 sizeof1 "
    "regs id matches if_ctx"
).split()
LIBBPF = "bpf_core_read.h bpf_helpers.h bpf_tracing.h bpf_endian.h".split()


def names_kernel() -> BtfBuilder:
    """Four events whose arguments and fields have those names, one of which begins with a digit."""
    b = BtfBuilder()
    number = b.integer("int", 4, SIGNED)
    task, entry = b.ptr(b.fwd("task_struct")), b.structure("trace_entry", 8)
    for index in range(0, len(NAMES), 12):
        event, names = f"80215{index // 12}_names", NAMES[index : index + 12]
        arguments = [(name, task if at % 2 else number) for at, name in enumerate(names)]
        b.event(event, arguments)
        members = [(name, number, 8 + 4 * at) for at, name in enumerate(names)]
        b.event_class(event, [ctype for _, ctype in arguments], 8 + 4 * len(names), [("ent", entry, 0), *members])
    return b


@pytest.mark.kernel_btf
@pytest.mark.parametrize("std", ["gnu11", "gnu23"])
@pytest.mark.parametrize("first", ["libbpf", "headers"])
def test_names(
    compiler: Compiler,
    std: str,
    first: str,
    vmlinux_include: Path,
    libbpf_include: Path,
    kernel_uapi: tuple[Path, ...],
    tmp_path: Path,
) -> None:
    """Names that mean something else somewhere, with libbpf's headers in front and behind."""
    header(tmp_path, "80215*", "--btf", write_btf(tmp_path / "vmlinux", names_kernel()))
    made = sorted(path.name for path in tmp_path.glob("*_names.h"))
    assert len(made) == 2 * -(-len(NAMES) // 12)
    ours = "".join(f'#include "{name}"\n' for name in made)
    libbpf = "#define __TARGET_ARCH_x86\n" + "".join(f"#include <bpf/{name}>\n" for name in LIBBPF)
    vmlinux = '#include "vmlinux.h"\n' if std == "gnu11" else "#include <linux/ptrace.h>\n#include <linux/bpf.h>\n"
    expressions = []
    for index in range(0, len(NAMES), 12):
        for at, name in enumerate(NAMES[index : index + 12]):
            expressions += [f"{form}_80215{index // 12}_names_{name}(ctx)" for form in ("raw", "tp")]
            if at % 2:
                accessor = f"raw_80215{index // 12}_names_if_{name}"
                expressions.append(f"({{ long seen = 0; {accessor}(ctx, p) seen = (long)p; seen; }})")
    source = vmlinux + (libbpf + ours if first == "libbpf" else ours + libbpf)
    source += '_Static_assert(sizeof(RAW_SEC_802150_names) == sizeof("raw_tp/802150_names"), "section");\n'
    source += value_functions(expressions)
    system = (vmlinux_include, libbpf_include) if std == "gnu11" else kernel_uapi
    compiler.compile(source, tmp_path / "names.o", std=std, include=[tmp_path], system=system)


# --- pointers that may be none

CHECKED = """
#include "raw_maybe.h"
#define BLOCK(event, arg)                                \\
	long arg(void *ctx, long skip);                      \\
	long arg(void *ctx, long skip)                       \\
	{                                                    \\
		long runs = 0;                                   \\
		raw_##event##_if_##arg(ctx, p) {                 \\
			runs += 1 + ((unsigned long long)p & 0xf00); \\
			if (skip == 1)                               \\
				continue;                                \\
			if (skip == 2)                               \\
				break;                                   \\
			runs += 16;                                  \\
		}                                                \\
		return runs;                                     \\
	}
BLOCK(maybe, task)
BLOCK(maybe, error)
"""
NOT_KNOWN_OUTSIDE = '#include "raw_maybe.h"\nlong f(void *ctx);\nlong f(void *ctx) { raw_maybe_if_task(ctx, p) { } '
TREE = {
    "include/trace/events/maybe.h": """\
#undef TRACE_SYSTEM
#define TRACE_SYSTEM maybe
#include <linux/tracepoint.h>
DECLARE_TRACE(maybe, TP_PROTO(struct task_struct *task, struct task_struct *error, struct task_struct *never, int n),
	TP_ARGS(task, error, never, n));
#include <trace/define_trace.h>
""",
    "kernel/bpf/btf.c": """\
static const struct bpf_raw_tp_null_args raw_tp_null_args[] = {
	{ "maybe", 0x1 | 0x20 },
};
""",
}


@pytest.fixture(scope="module")
def maybe_header(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of raw_maybe.h, of an event that the verifier's table of a small tree tells of."""
    folder = tmp_path_factory.mktemp("maybe")
    for path, text in TREE.items():
        (folder / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "tree" / path).write_text(text)
    b = BtfBuilder()
    task = b.ptr(b.fwd("task_struct"))
    pointers = [(name, task) for name in ("task", "error", "never")]
    b.event("maybe", [*pointers, ("n", b.integer("int", 4, SIGNED))])
    header(folder, "maybe", "--raw", "--btf", write_btf(folder / "vmlinux", b), "--headers", folder / "tree")
    return folder


@pytest.mark.parametrize("target", TARGETS)
def test_block_runs_where_there_is_something(
    compiler: Compiler, target: str, maybe_header: Path, tmp_path: Path
) -> None:
    """Once, not at all for NULL, and for what may be an error not for that either; `break` and `continue` leave it."""
    obj = compiler.compile(CHECKED, tmp_path / "maybe.o", target=target, std="c11", include=[maybe_header])
    code = functions(disassembly(obj))
    there, errors = 0xFFFF_8880_1234_5600, (-1 & ONES, -4095 & ONES)

    def runs(name: str, content: int, skip: int = 0) -> int:
        context = struct.pack(
            f"{order(target)}4Q", *(content if name == part else 0 for part in ("task", "error", "", ""))
        )
        return Machine(code[name], context, big_endian=target == "bpfeb", arguments=(skip,)).run()

    for name in ("task", "error"):
        assert runs(name, 0) == 0
        assert [runs(name, there, skip) for skip in (0, 1, 2)] == [0x611, 0x601, 0x601]
    assert [runs("task", error) for error in errors] == [0xF11, 0x011]
    assert [runs("error", error) for error in errors] == [0, 0]
    assert runs("error", -4096 & ONES) == 0x011


def test_pointer_is_not_known_outside(compiler: Compiler, maybe_header: Path, tmp_path: Path) -> None:
    """That is what makes the test impossible to forget."""
    compiler.compile(NOT_KNOWN_OUTSIDE + "return 0; }\n", tmp_path / "in.o", std="c11", include=[maybe_header])
    with pytest.raises(CompileError, match="undeclared identifier 'p'"):
        compiler.compile(NOT_KNOWN_OUTSIDE + "return !p; }\n", tmp_path / "out.o", std="c11", include=[maybe_header])


def test_header_and_json_say_it(maybe_header: Path) -> None:
    text = (maybe_header / "raw_maybe.h").read_text()
    assert "/* Argument 0: struct task_struct *task; maybe NULL to the verifier */" in text
    assert "/* Argument 1: struct task_struct *error; maybe an error, so a number to the verifier */" in text
    assert "/* Argument 2: struct task_struct *never; never NULL to the verifier */" in text
    assert "/* Argument 3: int n */" in text
    shown = tpgen("show", "maybe", "--json", "--btf", maybe_header / "vmlinux", "--headers", maybe_header / "tree")
    assert [text.split("}")[0] for text in shown.out.split('"nullable": ')[1:]] == ["true", "true", "false", "false"]
    unknown = tpgen("show", "maybe", "--json", "--btf", maybe_header / "vmlinux")
    assert [text.split("}")[0] for text in unknown.out.split('"nullable": ')[1:]] == ["null", "null", "null", "false"]
