"""BPF objects as two compilers make them, in both byte orders, judged by readelf, llvm-objdump and the source."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from support.compilers import COMPILERS, TARGETS, Compiler

from tpgen.diagnostics import TpgenError
from tpgen.programs.sections import ProgramSection, ProgramType
from tpgen.sources.bpf_object.facts import BpfObject, CoreKind, MapDefinition, Place, Program, ReferenceKind
from tpgen.sources.bpf_object.read import read_objects

pytestmark = pytest.mark.compilers

SOURCE = """\
#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define NOINLINE static __attribute__((noinline))
typedef unsigned long u64;
struct task { int pid; long state; } CORE;
struct { int (*type)[27]; int (*max_entries)[4096]; } ring SEC(".maps");
struct { int (*type)[1]; u64 (*key); struct task (*value)[3]; int (*max_entries)[1]; } hash SEC(".maps");
struct old { unsigned type, key, value, entries; } older SEC("maps") = {5, 4, 8, 1};
const volatile int chosen = 7;
const volatile char word[8] = "abc";
int counter = 3;
static u64 sum;
extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
extern const void symbol __attribute__((section(".ksyms")));
extern const int typed __attribute__((section(".ksyms")));
extern int function(int) __attribute__((section(".ksyms"), weak));
static long (*for_each)(void *map, void *callback, void *ctx, u64 flags) = (void *)164;
static long (*lookup)(void *map, void *key) = (void *)1;
char _license[] SEC("license") = "Dual BSD/GPL";
NOINLINE long callback(void *map, void *key, void *value, void *ctx)
{
    return *(long *)ctx;
}
NOINLINE int helper(u64 *ctx)
{
    sum += ctx[1];
    return sum ? ctx[0] : 4;
}
__attribute__((noinline)) int visible(int value)
{
    asm volatile("");
    return value + counter;
}
SEC("?raw_tp.w/sched_switch") int first(u64 *ctx)
{
    struct task *task = (void *)ctx[1];
    if (chosen == word[2])
        return helper(ctx);
    return task->state; /* Größe */
}
SEC("tracepoint/sched/sched_switch") int second(u64 *ctx)
{
    int key = 0;
    for_each(&ring, callback, ctx, 0);
    lookup(&older, &key);
    return visible(ctx[2]) + LINUX_KERNEL_VERSION + typed + (u64)&symbol + (function ? function(1) : 0);
}
SEC("kprobe") int third(void *ctx)
{
    return 0;
}
"""


@cache
def compiled(compiler: Compiler, target: str, folder: Path) -> Path:
    options = ("-Wno-incompatible-pointer-types", "-Wno-int-conversion", "-Wno-everything")
    return compiler.compile(SOURCE, folder / f"{compiler.name}-{target}.o", target=target, options=options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(params=[(c, t) for c in COMPILERS for t in TARGETS], ids=lambda p: f"{p[0].name}-{p[1]}")
def path(request: pytest.FixtureRequest, folder: Path) -> Path:
    compiler, target = request.param
    return compiled(compiler, target, folder)


@pytest.fixture
def found(path: Path) -> BpfObject:
    (only,) = read_objects(path.read_bytes(), path.name)
    return only


def program(found: BpfObject, name: str) -> Program:
    return next(each for each in found.programs if each.function.name == name)


def test_programs_and_functions(found: BpfObject, path: Path) -> None:
    sections = {each.function.name: (each.section_name, each.section) for each in found.programs}
    assert sections == {
        "first": (
            "?raw_tp.w/sched_switch",
            ProgramSection(ProgramType.RAW_TP, "sched_switch", writable=True, autoload=False),
        ),
        "second": ("tracepoint/sched/sched_switch", ProgramSection(ProgramType.TP, "sched_switch", "sched")),
        "third": ("kprobe", None),
    }
    symbols = subprocess.run(["readelf", "-sW", path], capture_output=True, text=True, check=True).stdout
    judged = re.findall(r": (\w+) +(\d+) FUNC +(\w+) .* (\w+)$", symbols, re.MULTILINE)
    functions = [(f.name, 8 * f.place.at, 8 * f.length, f.is_global) for f in found.functions]
    assert sorted(functions) == sorted(
        (name, int(value, 16), int(size), binding == "GLOBAL") for value, size, binding, name in judged
    )
    assert {name for name, *_, is_global in functions if not is_global} == {"helper", "callback"}


def test_variables_maps_and_symbols(found: BpfObject) -> None:
    variables = {each.name: each for each in found.variables}
    assert set(variables) == {"chosen", "word", "counter", "sum"}
    order = "big" if found.big_endian else "little"
    chosen = variables["chosen"]
    assert (chosen.section, chosen.size) == (".rodata", 4)
    assert int.from_bytes(found.data[".rodata"][chosen.offset :][:4], order) == 7
    word = variables["word"]
    assert found.data[".rodata"][word.offset :][: word.size] == b"abc\0\0\0\0\0"
    assert (variables["counter"].section, variables["sum"].section) == (".data", ".bss")
    assert found.data[".bss"] == b""
    assert set(found.maps) == {
        MapDefinition("ring", 27),
        MapDefinition("hash", 1, 48),
        MapDefinition("older", 5, 8),
    }
    assert found.kernel_symbols == {"symbol": "void", "typed": "var", "function": "func"}
    assert found.license == "Dual BSD/GPL"


def test_calls_and_references(found: BpfObject) -> None:
    targets = {}
    for place, reference in found.references.items():
        targets.setdefault(place.section, set()).add((reference.kind, reference.name, reference.weak))
        if reference.kind == ReferenceKind.FUNCTION:
            (function,) = (each for each in found.functions if each.name == reference.name)
            assert reference.target == function.place
    assert targets["?raw_tp.w/sched_switch"] == {
        (ReferenceKind.DATA, "chosen", False),
        (ReferenceKind.DATA, "word", False),
        (ReferenceKind.FUNCTION, "helper", False),
    }
    assert targets["tracepoint/sched/sched_switch"] == {
        (ReferenceKind.MAP, "ring", False),
        (ReferenceKind.MAP, "older", False),
        (ReferenceKind.FUNCTION, "callback", False),
        (ReferenceKind.FUNCTION, "visible", False),
        (ReferenceKind.EXTERN, "LINUX_KERNEL_VERSION", False),
        (ReferenceKind.EXTERN, "symbol", False),
        (ReferenceKind.EXTERN, "typed", False),
        (ReferenceKind.EXTERN, "function", True),
    }
    assert targets[".text"] == {(ReferenceKind.DATA, "sum", False), (ReferenceKind.DATA, "counter", False)}


def test_places_of_data(found: BpfObject) -> None:
    variables = {(each.section, each.offset): each.name for each in found.variables}
    data = [each for each in found.references.values() if each.kind == ReferenceKind.DATA]
    assert {each.name for each in data} >= {"chosen", "counter", "sum"}
    assert all(each.section is not None for each in data)
    assert {variables[each.section or "", each.offset] for each in data if each.name != "word"} == {
        "chosen",
        "counter",
        "sum",
    }


def test_relocation_of_a_member(found: BpfObject) -> None:
    ((place, relocation),) = found.core_relocations.items()
    assert place.section == "?raw_tp.w/sched_switch"
    assert (relocation.kind, relocation.access) == (CoreKind.FIELD_BYTE_OFFSET, "0:1")
    assert found.btf is not None
    assert found.btf.name(relocation.type_id) == "task"
    line = found.line_of(place)
    assert line is not None
    assert line.text == "return task->state; /* Größe */"
    assert SOURCE.splitlines()[line.line - 1].strip() == line.text


def test_lines_end_with_their_function(found: BpfObject) -> None:
    for function in found.functions:
        lines = [found.line_of(Place(function.place.section, function.place.at + at)) for at in range(function.length)]
        assert None not in lines
        at = next(i for i, text in enumerate(SOURCE.splitlines(), 1) if f" {function.name}(" in text)
        assert {line.line - at for line in lines if line is not None} <= set(range(8)), function
    assert found.line_of(Place("none", 0)) is None


def test_types_of_functions(found: BpfObject) -> None:
    assert found.btf is not None
    names = {place: found.btf.name(type_id) for place, type_id in found.function_types.items()}
    assert names == {function.place: function.name for function in found.functions}


def test_instructions(found: BpfObject, path: Path) -> None:
    tool = shutil.which("llvm-objdump")
    assert tool is not None
    text = subprocess.run([tool, "-d", path], capture_output=True, text=True, check=True).stdout
    for section, body in re.findall(r"Disassembly of section (.*):\n((?:.*\n(?!Disassembly))*)", text):
        places = [int(number) for number in re.findall(r"^ *(\d+):\t", body, re.MULTILINE)]
        assert places == [at for at, each in enumerate(found.code[section]) if each is not None], section
        opcodes = [int(byte, 16) for byte in re.findall(r"^ *\d+:\t(..) ", body, re.MULTILINE)]
        assert opcodes == [each.opcode for each in found.code[section] if each is not None]


def test_objects_inside_a_file(folder: Path) -> None:
    first, second = (compiled(COMPILERS[0], target, folder).read_bytes() for target in TARGETS)
    inside = b"MZ" + first + b"\x7fELF\x02\x01\x01" + bytes(40) + second + b"end"
    places = [2, inside.index(second)]
    found = read_objects(inside, "tool")
    assert [each.name for each in found] == [f"tool@{place}" for place in places]
    assert [each.big_endian for each in found] == [False, True]
    alone = [read_objects(data, "x")[0] for data in (first, second)]
    assert [each.code for each in found] == [each.code for each in alone]


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"none" * 100])
def test_nothing_inside(data: bytes) -> None:
    with pytest.raises(TpgenError, match=r"^f: not a BPF object, and none inside \[object-none\]"):
        read_objects(data, "f")
