"""CO-RE relocations of every kind, as the system's libbpf resolves them against types of a kernel of our own.

libbpf says in its debug messages which value it writes into which instruction; nothing is attached.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.compilers import COMPILERS, Compiler
from support.libbpf import BpfObject, LibbpfError

from tpgen.doctor.core_relocation.kernel_types import KernelTypes
from tpgen.doctor.core_relocation.relocate import relocate
from tpgen.doctor.relocated import Failed, Relocated, Resolved
from tpgen.sources.bpf_object import facts
from tpgen.sources.bpf_object.read import read_objects
from tpgen.sources.btf import Btf
from tpgen.sources.images import btf_sections

pytestmark = [pytest.mark.live, pytest.mark.compilers]

#: The types of the kernel. Two structs of one name, which BTF may have, are made by their flavours.
KERNEL = """\
enum small { SMALL_A = 1, SMALL_B = -3, SMALL_C___old = 9 };
enum big { BIG_A = 0x7000000000000001ULL, BIG_B = 2 };
enum plain { PLAIN_A = 0xFFFFFFF0u, PLAIN_B = 1 };
enum renamed { RENAMED = 5 };
struct other { long first; int second; };
union both { int number; char bytes[8]; };
struct forward;
typedef int (*handler_t)(struct other *, unsigned int);
typedef struct other other_t;
struct thing {
    char padding[12];
    int pid;
    unsigned short grew;
    unsigned long shrank;
    long sign_shrank;
    int became_enum_not;
    struct { short deep_a; union { int deeper; char deeper_bytes[4]; struct { int x, y; } deepest; }; };
    int list[6];
    int matrix[2][3];
    struct other inner[3];
    struct other *pointer;
    void *any;
    const volatile unsigned char qualified;
    unsigned int bits_a : 3;
    unsigned int bits_b : 17;
    int bits_signed : 7;
    unsigned long long bits_wide : 40;
    _Bool flag;
    enum small color;
    enum big giant;
    union both both;
    handler_t handler;
    struct forward *opaque;
    other_t aliased;
    char name[16];
    int tail[];
};
struct twins___a { int x; int same; int apart; };
struct twins___b { int y; int same; int gap; int apart; };
struct far { char skipped[40000]; int reached; unsigned long wide; };
typedef struct { int inside; } nameless_t;
struct thing k1; enum small k2; enum big k3; enum plain k4; struct twins___a k5; struct twins___b k6; struct far k7;
nameless_t k8; enum renamed k9; handler_t k10; other_t k11; union both k12; unsigned long k13;
"""
TYPES = """\
#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define OFFSET(x) (__builtin_preserve_field_info(x, 0))
#define SIZE(x) (__builtin_preserve_field_info(x, 1))
#define EXISTS(x) (__builtin_preserve_field_info(x, 2))
#define SIGNED(x) (__builtin_preserve_field_info(x, 3))
#define LSHIFT(x) (__builtin_preserve_field_info(x, 4))
#define RSHIFT(x) (__builtin_preserve_field_info(x, 5))
#define TYPE_LOCAL(t) (__builtin_btf_type_id(*(t *)0, 0))
#define TYPE_ID(t) (__builtin_btf_type_id(*(t *)0, 1))
#define TYPE_EXISTS(t) (__builtin_preserve_type_info(*(t *)0, 0))
#define TYPE_SIZE(t) (__builtin_preserve_type_info(*(t *)0, 1))
#define TYPE_MATCHES(t) (__builtin_preserve_type_info(*(t *)0, 2))
#define ENUM_EXISTS(t, v) (__builtin_preserve_enum_value(*(t *)v, 0))
#define ENUM_VALUE(t, v) (__builtin_preserve_enum_value(*(t *)v, 1))
typedef unsigned long u64;
enum small { SMALL_B = 0, SMALL_A = 2, SMALL_C = 3, SMALL_NONE = 4 };
enum big { BIG_A = 0x100000000ULL, BIG_B = 7 };
enum plain { PLAIN_A = 3 };
enum missing_enum { MISSING = 1 };
struct other { int second; long first; };
struct other___short { long first; } CORE;
union both { int number; } CORE;
struct forward;
typedef int (*handler_t)(struct other *, unsigned int);
typedef struct other other_t;
struct thing {
    int pid;
    unsigned long grew;
    unsigned int shrank;
    int sign_shrank;
    enum small became_enum_not;
    struct { int deep_a; };
    struct { int deeper; struct { int y; } deepest; };
    int list[4];
    int matrix[2][3];
    struct other___short inner[2];
    struct other *pointer;
    void *any;
    unsigned int qualified;
    unsigned int bits_a : 1;
    unsigned int bits_b : 2;
    int bits_signed : 3;
    unsigned long long bits_wide : 4;
    _Bool flag;
    enum small color;
    enum big giant;
    union both both;
    handler_t handler;
    struct forward *opaque;
    other_t aliased;
    char name[8];
    int missing;
    int any_kind;
    long tail[];
} CORE;
struct thing___kinds { struct other *pid; int pointer; int name; long list; char any[8]; } CORE;
struct thing___long { int list[12]; int matrix[2][9]; } CORE;
struct thing___v2 { int pid; } CORE;
struct nothing { int member; } CORE;
struct twins { int x; int y; int same; int apart; } CORE;
struct far { int reached; unsigned int wide; } CORE;
typedef struct { int inside; } CORE nameless_t;
char _license[] SEC("license") = "GPL";
volatile u64 sink;
"""
#: Programs by name. Each is one in which all relocations resolve or are poisoned.
PROGRAMS = {
    "loads": "sink = t->pid; sink = t->any != 0; sink = t->flag; sink = t->deep_a; sink = t->deeper;",
    "adapted": "sink = t->grew; sink = t->shrank; sink = t->qualified;",
    "not_adapted": "sink = t->sign_shrank;",
    "deep": "sink = t->deepest.y; sink = t->both.number; sink = t->inner[1].first; sink = t->list[3];",
    "arrays": "sink = t->matrix[1][2]; sink = t->name[7]; sink = OFFSET(t->list); sink = t[2].pid;",
    "long_arrays": """struct thing___long *l = (void *)t; sink = EXISTS(l->list[9]); sink = EXISTS(l->list[5]);
        sink = l->list[9]; sink = l->matrix[1][2]; sink = l->matrix[1][3];""",
    "addresses": "sink = (u64)&t->color; sink = (u64)&t->giant; sink = (u64)&t->handler; sink = (u64)&t->opaque;",
    "flexible": "sink = (u64)&t->tail[5]; sink = EXISTS(t->tail); sink = EXISTS(t->tail[2]);",
    "absent": "sink = t->missing; sink = EXISTS(t->missing); sink = EXISTS(t->pid); sink = EXISTS(t->list[3]);",
    "kinds": """struct thing___kinds *k = (void *)t; sink = EXISTS(k->pid); sink = EXISTS(k->pointer);
        sink = EXISTS(k->name); sink = EXISTS(k->list); sink = EXISTS(k->any); sink = k->pointer;
        sink = EXISTS(t->became_enum_not);""",
    "flavours": "struct thing___v2 *v = (void *)t; sink = v->pid; sink = TYPE_SIZE(struct thing___v2);",
    "bits": """sink = OFFSET(t->bits_a); sink = SIZE(t->bits_a); sink = LSHIFT(t->bits_a); sink = RSHIFT(t->bits_a);
        sink = OFFSET(t->bits_b); sink = SIZE(t->bits_b); sink = LSHIFT(t->bits_b); sink = RSHIFT(t->bits_b);
        sink = OFFSET(t->bits_signed); sink = LSHIFT(t->bits_signed); sink = RSHIFT(t->bits_signed);
        sink = OFFSET(t->bits_wide); sink = SIZE(t->bits_wide); sink = LSHIFT(t->bits_wide);
        sink = SIGNED(t->bits_a); sink = SIGNED(t->bits_signed); sink = EXISTS(t->bits_wide);""",
    "infos": """sink = SIZE(t->pid); sink = SIZE(t->name); sink = SIZE(t->inner); sink = SIGNED(t->pid);
        sink = SIGNED(t->shrank); sink = SIGNED(t->color); sink = SIGNED(t->flag); sink = LSHIFT(t->pid);
        sink = RSHIFT(t->grew); sink = LSHIFT(t->grew); sink = SIZE(t->missing); sink = SIGNED(t->missing);
        sink = LSHIFT(t->missing); sink = RSHIFT(t->missing); sink = SIZE(t->list[1]);""",
    "types": """sink = TYPE_EXISTS(struct thing); sink = TYPE_EXISTS(struct nothing); sink = TYPE_EXISTS(union both);
        sink = TYPE_EXISTS(handler_t); sink = TYPE_EXISTS(other_t); sink = TYPE_EXISTS(enum big);
        sink = TYPE_EXISTS(nameless_t); sink = TYPE_SIZE(struct thing); sink = TYPE_SIZE(struct nothing);
        sink = TYPE_SIZE(enum big); sink = TYPE_SIZE(other_t); sink = TYPE_ID(struct other);
        sink = TYPE_ID(struct nothing); sink = TYPE_LOCAL(struct nothing);""",
    "matches": """sink = TYPE_MATCHES(struct other); sink = TYPE_MATCHES(struct thing); sink = TYPE_MATCHES(handler_t);
        sink = TYPE_MATCHES(other_t); sink = TYPE_MATCHES(enum small); sink = TYPE_MATCHES(enum plain);
        sink = TYPE_MATCHES(enum big); sink = TYPE_MATCHES(struct thing___v2);
        sink = TYPE_MATCHES(struct other___short); sink = TYPE_MATCHES(union both);""",
    "enums": """sink = ENUM_EXISTS(enum small, SMALL_A); sink = ENUM_VALUE(enum small, SMALL_A);
        sink = ENUM_VALUE(enum small, SMALL_B); sink = ENUM_VALUE(enum small, SMALL_C);
        sink = ENUM_EXISTS(enum small, SMALL_NONE); sink = ENUM_VALUE(enum small, SMALL_NONE);
        sink = ENUM_VALUE(enum plain, PLAIN_A); sink = ENUM_EXISTS(enum missing_enum, MISSING);
        sink = ENUM_VALUE(enum missing_enum, MISSING);""",
    "big_enums": "sink = ENUM_VALUE(enum big, BIG_A); sink = ENUM_VALUE(enum big, BIG_B); sink = TYPE_SIZE(enum big);",
    "twins": "struct twins *w = (void *)t; sink = w->same;",
    # A member of one twin leaves only that: what follows has no other candidate, though the twins differ in it.
    "chosen": "struct twins *w = (void *)t; sink = w->y; sink = w->apart;",
    "existing": "struct nothing *n = (void *)t; sink = n->member; sink = EXISTS(n->member);",
    "distance": "struct far *f = (void *)t; sink = (u64)&f->reached; sink = SIZE(f->wide);",
}
#: Programs because of which libbpf refuses the object, with its error.
REFUSED = {
    "ambiguous": ("struct twins *w = (void *)t; sink = w->apart;", "EINVAL"),
    "ambiguous_type": ("sink = TYPE_ID(struct twins);", "EINVAL"),
    "behind_the_end": ("sink = EXISTS(t->list[9]);", "EINVAL"),
    "too_far": ("struct far *f = (void *)t; sink = f->reached;", "ERANGE"),
}
_PATCHED = re.compile(
    r"prog '(?P<program>\w+)': relo #\d+: (?:"
    r"patched insn #(?P<at>\d+) \((?:ALU/ALU64\) imm|LDIMM64\) imm64|LDX/ST/STX\) off) -?\d+ -> (?P<value>\d+)"
    r"|patched insn #(?P<resized>\d+) \(LDX/ST/STX\) mem_sz \d+ -> (?P<size>\d+)"
    r"|substituting insn #(?P<poisoned>\d+) w/)"
)


def compiled(compiler: Compiler, source: str, path: Path) -> Path:
    return compiler.compile(source, path, options=("-Wno-everything",))


def program(name: str, body: str) -> str:
    head = f'SEC("raw_tp/sys_enter") int {name}(u64 *ctx)'
    return f"{TYPES}\n{head}\n{{\n    struct thing *t = (void *)ctx[0];\n    {body}\n    return 0;\n}}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("core")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Path:
    """The types of the kernel as raw BTF, in which two structs have one name."""
    made = compiled(COMPILERS[1], KERNEL, folder / "kernel.o")  # clang 14 has no enums of 64 bits
    btf = btf_sections(made.read_bytes(), made.name).btf
    path = folder / "kernel.btf"
    path.write_bytes(btf)
    return path


def types(kernel: Path) -> KernelTypes:
    return KernelTypes(Btf(kernel.read_bytes(), kernel.name))


def said_by_libbpf(path: Path, kernel: Path) -> tuple[str, int]:
    """The messages of a load and its error; whether the verifier takes what is left of the program does not matter."""
    obj = BpfObject(path, kernel_btf=kernel)
    try:
        with obj:
            return obj.messages, 0
    except LibbpfError as error:
        return error.messages, error.errno or 0


def outcomes(messages: str) -> dict[int, tuple[str, int, int | None]]:
    """The instructions that libbpf changed: how, the value, and the size in bytes where that changed."""
    found: dict[int, tuple[str, int, int | None]] = {}
    for hit in _PATCHED.finditer(messages):
        if hit["poisoned"]:
            found[int(hit["poisoned"])] = ("poisoned", 0, None)
        elif hit["resized"]:
            _, value, _ = found[int(hit["resized"])]
            found[int(hit["resized"])] = ("value", value, int(hit["size"]))
        else:
            found[int(hit["at"])] = ("value", int(hit["value"]), None)
    return found


def ours(
    obj: facts.BpfObject, found: dict[facts.Place, Relocated]
) -> Iterator[tuple[int, tuple[str, int, int | None]]]:
    for place, outcome in found.items():
        match outcome:
            case Resolved():
                yield place.at, ("value", outcome.value & 0xFFFFFFFFFFFFFFFF, outcome.size)
            case Failed(refused=None):
                yield place.at, ("poisoned", 0, None)
                instruction = obj.code[place.section][place.at]
                if instruction is not None and instruction.is_wide:
                    yield place.at + 1, ("poisoned", 0, None)
            case _:
                raise AssertionError(outcome)


def low_half(outcome: tuple[str, int, int | None]) -> tuple[str, int, int | None]:
    kind, value, size = outcome
    return kind, value & 0xFFFFFFFF, size


# Which clang 14 does not know.
NEW = ("matches", "big_enums")
CASES = [(name, compiler) for compiler in COMPILERS for name in PROGRAMS if name not in NEW or compiler != COMPILERS[0]]


@pytest.mark.parametrize(("name", "compiler"), CASES, ids=[f"{name}-{compiler.name}" for name, compiler in CASES])
def test_as_libbpf_has_it(name: str, compiler: Compiler, folder: Path, kernel: Path) -> None:
    body = PROGRAMS[name]
    path = compiled(compiler, program(name, body), folder / f"{name}-{compiler.name}.o")
    messages, _ = said_by_libbpf(path, kernel)
    (obj,) = read_objects(path.read_bytes(), path.name)
    relocated = relocate(obj, types(kernel))
    wide = {place.at for place in relocated if (i := obj.code[place.section][place.at]) is not None and i.is_wide}
    expected = {at: each if at in wide else low_half(each) for at, each in outcomes(messages).items()}
    found = {at: each if at in wide else low_half(each) for at, each in ours(obj, relocated)}
    assert found == expected
    assert len([at for at in expected if at - 1 not in wide]) == len(obj.core_relocations)
    assert len(obj.core_relocations) >= body.count("sink") - 2


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_libbpf(name: str, folder: Path, kernel: Path) -> None:
    body, errno_name = REFUSED[name]
    path = compiled(COMPILERS[1], program(name, body), folder / f"{name}.o")
    messages, number = said_by_libbpf(path, kernel)
    assert "failed to relocate" in messages or "failed to patch" in messages
    (obj,) = read_objects(path.read_bytes(), path.name)
    (outcome,) = relocate(obj, types(kernel)).values()
    assert isinstance(outcome, Failed)
    assert outcome.refused is not None
    assert outcome.errno == errno.errorcode[number] == errno_name
