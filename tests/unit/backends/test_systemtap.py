"""Backend `systemtap`: William Cohen's structs to the letter; the rest as compilers and readers of DWARF see it."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.btf_builder import BOOL, SIGNED, BtfBuilder
from support.cli import refusal, tpgen
from support.compilers import CLANG
from support.dwarf import Member, Object, name_of, pahole, type_of, type_text
from support.small_kernel import small_btf, write_btf, write_tracefs
from support.stubs import stubs
from support.systemtap import make_tree

from tpgen.backends.generation import GenerateRequest, generate
from tpgen.backends.registry import find
from tpgen.commands.common.base import kernel_named
from tpgen.kernel.events import KernelEvents
from tpgen.output import write_files
from tpgen.paths import resource_dir

Json = dict[str, Any]


def generated(*arguments: str | Path) -> str:
    done = tpgen(*arguments, "-b", "systemtap")
    assert done.code == 0, done.err
    return done.out


# --- as in the note

RAW = """
struct stapprobe_sched_switch { struct {
    bool preempt __attribute__ ((aligned (8)));
    struct task_struct * prev __attribute__ ((aligned (8)));
    struct task_struct * next __attribute__ ((aligned (8)));
} data; } stapprobe_sched_switch;
"""
CLASSIC = """
struct stapprobe_sched_switch { unsigned long long pad; struct {
    char prev_comm[16]; pid_t prev_pid; int prev_prio; long prev_state;
    char next_comm[16]; pid_t next_pid; int next_prio;
} data; } stapprobe_sched_switch;
"""
LKM = "void stapprobe_sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next) {}"


RAW_FLAT = """
struct stapprobe_sched_switch {
    bool preempt __attribute__ ((aligned (8)));
    struct task_struct * prev __attribute__ ((aligned (8)));
    struct task_struct * next __attribute__ ((aligned (8)));
} stapprobe_sched_switch;
"""
CLASSIC_FLAT = """
struct stapprobe_sched_switch { unsigned long long pad;
    char prev_comm[16]; pid_t prev_pid; int prev_prio; long prev_state;
    char next_comm[16]; pid_t next_pid; int next_prio;
} stapprobe_sched_switch;
"""


def squeezed(text: str) -> str:
    """The text without white space and comments."""
    return "".join(re.sub(r"/\*.*?\*/", "", text).split())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--raw"], RAW), (["--raw", "--flat"], RAW_FLAT), (["--classic"], CLASSIC),
        (["--classic", "--flat"], CLASSIC_FLAT), (["--lkm"], LKM),
    ],
    ids=["raw", "raw flat", "classic", "classic flat", "lkm"],
)  # fmt: skip
def test_structs_of_the_note(options: list[str], expected: str) -> None:
    """Of Linux 5.10, where sched_switch has three raw arguments."""
    assert squeezed(generated("sched_switch", *options, "--kernel", "5.10")) == squeezed(expected)


def test_later_kernel_has_a_fourth_argument() -> None:
    fourth = "unsigned int prev_state __attribute__ ((aligned (8)));"
    expected = RAW.replace("} data;", f"{fourth}}} data;")
    assert squeezed(generated("sched_switch", "--raw", "--kernel", "6.1")) == squeezed(expected)
    assert squeezed(generated("sched_switch", "--classic", "--kernel", "6.1")) == squeezed(CLASSIC)


# --- JSON


def document(*arguments: str | Path) -> Json:
    made: Json = json.loads(generated(*arguments, "--emit", "json"))
    return made


@cache
def schema() -> jsonschema.Draft202012Validator:
    found = json.loads((resource_dir("templates") / "systemtap" / "stapprobes.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.fixture
def small(tmp_path: Path) -> tuple[str | Path, ...]:
    """The source options of the small kernel."""
    return "--btf", write_btf(tmp_path / "vmlinux"), "--tracefs", write_tracefs(tmp_path / "tracefs")


def test_json_of_a_record(small: tuple[str | Path, ...]) -> None:
    made = document("dma_fence_init", "--classic", *small)
    schema().validate(made)
    plain = {"writable": False, "dereferencable": False}
    assert made["events"] == [
        {
            "system": "dma_fence", "name": "dma_fence_init", "attach_name": "dma_fence_init", "class": None,
            "module": None, "header": None, "kind": "trace_event", "args": None,
            "fields": [
                {
                    "name": "driver", "type": "char[]", "declaration": "__data_loc char[] driver", "offset": 8,
                    "size": 4, "signed": False, "kind": "dynamic", "pointee": "char", "dynamic": "data_loc", **plain,
                },
                {
                    "name": "seqno", "type": "unsigned int", "declaration": "unsigned int seqno", "offset": 12,
                    "size": 4, "signed": False, "kind": "int", "pointee": None, "dynamic": None, **plain,
                },
            ],
        }
    ]  # fmt: skip


def test_json_of_raw_arguments(small: tuple[str | Path, ...]) -> None:
    made = document("sched_switch", "--raw", *small[:2])
    schema().validate(made)
    (event,) = made["events"]
    assert event["fields"] is None
    assert [(arg["name"], arg["offset"], arg["size"], arg["signed"], arg["kind"]) for arg in event["args"]] == [
        ("preempt", 0, 1, False, "int"), ("prev", 8, 8, False, "ptr"), ("next", 16, 8, False, "ptr"),
        ("prev_state", 24, 4, False, "int"),
    ]  # fmt: skip
    prev = event["args"][1]
    assert (prev["type"], prev["pointee"], prev["slot"]) == ("struct task_struct *", "struct task_struct", 1)
    assert [arg["dereferencable"] for arg in event["args"]] == [False, True, True, False]


def test_json_of_the_target(tmp_path: Path) -> None:
    btf = write_btf(tmp_path / "vmlinux", small_btf(big_endian=True))
    made = document("sched_switch", "--btf", btf, "--arch", "s390x")
    schema().validate(made)
    target = made["target"]
    assert (target["arch"], target["endian"], target["ptr_size"], target["entry_size"]) == ("s390x", "big", 8, 8)
    assert target["raw_support"]["supported"] is True
    assert {"what": "BTF has the enumerator BPF_PROG_TYPE_RAW_TRACEPOINT", "supported": True} in (
        target["raw_support"]["evidence"]
    )
    # The value of a narrow argument is in the last bytes of its slot.
    assert [arg["offset"] for arg in made["events"][0]["args"]] == [7, 8, 16, 28]


def test_json_of_system_calls_is_of_big_endian_slots(tmp_path: Path) -> None:
    """The record's slot is a register wide, the value is in its last bytes."""
    sources = "--btf", write_btf(tmp_path / "vmlinux", small_btf(big_endian=True)), "--arch", "s390x"
    tracefs = write_tracefs(tmp_path / "tracefs")
    (event,) = document("sys_enter_close", *sources, "--tracefs", tracefs)["events"]
    assert [(field["name"], field["offset"], field["size"]) for field in event["fields"]] == [
        ("__syscall_nr", 8, 4), ("fd", 20, 4),
    ]  # fmt: skip


def test_writable_argument(tmp_path: Path) -> None:
    b = small_btf()
    request = b.ptr(b.fwd("nbd_request"))
    b.event("nbd_send_request", [("nbd_request", request), ("index", b.integer("int", 4, SIGNED))])
    made = document("nbd_send_request", "--raw", "--btf", write_btf(tmp_path / "vmlinux", b))
    assert [arg["writable"] for arg in made["events"][0]["args"]] == [True, False]


def test_nothing_behind_void(tmp_path: Path) -> None:
    """What a translator may not take apart: void, functions, numbers; but arrays and pointers to structs."""
    b = small_btf()
    function = b.ptr(b.func_proto(0, [("", b.integer("int", 4, SIGNED))]))
    arguments = [
        ("any", b.ptr(0)), ("const_any", b.ptr(b.qualifier("CONST", 0))), ("call", function),
        ("page", b.ptr(b.fwd("page"))), ("text", b.ptr(b.integer("char", 1))),
    ]  # fmt: skip
    b.event("e", arguments)
    made = document("e", "--raw", "--btf", write_btf(tmp_path / "vmlinux", b))
    assert [arg["dereferencable"] for arg in made["events"][0]["args"]] == [False, False, False, True, True]


KERNELS = ("5.10", "6.1", "debian-6.12-amd64", "debian-6.12-s390x", "debian-6.12-arm64", "7.2")


@pytest.mark.parametrize("kernel", KERNELS)
def test_shipped_kernels_fit_the_schema(kernel: str) -> None:
    done = tpgen("sched:*", "net:*", "syscalls:sys_*at", "-b", "systemtap", "--emit", "json", "--kernel", kernel)
    made = json.loads(done.out)
    assert len(made["events"]) > 40
    schema().validate(made)


def broken(*path: str | int, value: object = ...) -> Callable[[Json], None]:
    """Sets what `path` leads to, or removes it."""

    def change(made: Any) -> None:
        for step in path[:-1]:
            made = made[step]
        if value is ...:
            del made[path[-1]]
        else:
            made[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        broken("version", value=2),
        broken("target", "endian", value="middle"),
        broken("target", "raw_support", "evidence", 0, "why", value="so"),
        broken("events", 0, "name", value=None),
        broken("events", 0, "more", value=1),
        broken("events", 0, "args", 0, "slot", value=12),
        broken("events", 0, "args", 0, "offset", value=-1),
        broken("events", 0, "args", 0, "nullable"),
        broken("events", 0, "args", 0, "dynamic", value=None),
        broken("events", 0, "fields", 0, "kind", value="string"),
        broken("events", 0, "fields", 0, "size"),
        broken("events", 0, "fields", 0, "slot", value=0),
    ],
)
def test_schema_refuses(change: Callable[[Json], None], small: tuple[str | Path, ...]) -> None:
    made = document("sched_switch", *small)
    schema().validate(made)
    changed = copy.deepcopy(made)
    change(changed)
    with pytest.raises(jsonschema.ValidationError):
        schema().validate(changed)


# --- every event of a kernel, as others see it


@pytest.fixture(scope="module")
def kernel() -> KernelEvents:
    return kernel_named("6.1")


def files(kernel: KernelEvents, emit: str, lkm: bool = False) -> dict[str, bytes]:
    """What is generated of all events, without the command line, which would open the kernel each time."""
    order = GenerateRequest(("*",), None, (), {"emit": emit, "flat": False, "lkm": lkm})
    return {file.name: file.data for file in generate(find("systemtap"), kernel, order).files}


@pytest.fixture(scope="module")
def made(kernel: KernelEvents) -> Json:
    made: Json = json.loads(files(kernel, "json")["stapprobes.json"])
    return made


@pytest.fixture(scope="module")
def headers(kernel: KernelEvents) -> dict[str, bytes]:
    return files(kernel, "c")


@pytest.fixture(scope="module")
def objects(kernel: KernelEvents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The objects, in folders for raw and classic."""
    folder = tmp_path_factory.mktemp("objects")
    write_files(str(folder), files(kernel, "dwarf").items())
    return folder


Placed = dict[str, list[Member]]


def placed(made: Json, values: str) -> Placed:
    """The values of all events, by the names of their structs, as SystemTap names them."""
    return {
        f"stapprobe_{event['attach_name'] or event['name']}": list(_members(event[values]))
        for event in made["events"]
        if event[values] is not None
    }


def _members(values: list[Json]) -> Iterator[Member]:
    count = Counter(value["name"] for value in values)
    for value in values:
        twice = value.get("dynamic") and count[value["name"]] > 1
        yield Member(
            f"__{value['dynamic']}_{value['name']}" if twice else value["name"], value["offset"], value["size"]
        )


def seen_by_pahole(folder: Path, pad: int) -> Placed:
    """The same from the objects. The inner struct comes last, and begins at the end of the pad."""
    found: Placed = {}
    for path in sorted(folder.iterdir()):
        for name, members in pahole(path).items():
            if name.startswith("stapprobe_"):
                assert name not in found
                if pad:
                    assert members.pop(0) == Member("pad", 0, pad)
                data = members.pop()
                assert (data.name, data.offset) == ("data", pad)
                found[name] = members
    return found


class TestWholeKernel:
    def test_pahole_sees_raw_arguments_where_the_json_says(self, objects: Path, made: Json) -> None:
        expected = placed(made, "args")
        assert len(expected) > 4000
        assert seen_by_pahole(objects / "raw", 0) == expected

    def test_pahole_sees_fields_where_the_json_says(self, objects: Path, made: Json) -> None:
        expected = placed(made, "fields")
        assert len(expected) > 4000
        assert seen_by_pahole(objects / "classic", 8) == expected

    def test_functions_have_the_raw_arguments(self, kernel: KernelEvents, made: Json) -> None:
        expected = systems(made)
        seen = {name: Object(data) for name, data in files(kernel, "dwarf", lkm=True).items()}
        assert {name.removesuffix(".o") for name in seen} == set(expected)
        for system, functions in expected.items():
            seen_one = seen[f"{system}.o"]
            found = seen_one.dies("subprogram")
            assert {name: [name for name, _ in seen_one.parameters(die)] for name, die in found.items()} == functions

    @pytest.mark.parametrize(("form", "values"), [("raw", "args"), ("classic", "fields")])
    def test_gcc_lays_out_the_c_as_the_json_says(
        self, form: str, values: str, kernel: KernelEvents, headers: dict[str, bytes], made: Json, tmp_path: Path
    ) -> None:
        texts = {path.removeprefix(f"{form}/"): text for path, text in headers.items() if path.startswith(form)}
        compile_all(tmp_path, ("gcc",), texts, kernel, placed(made, values))


def systems(made: Json) -> dict[str, dict[str, list[str]]]:
    """By system and function, the names of the parameters."""
    found: dict[str, dict[str, list[str]]] = {}
    for event in made["events"]:
        if event["args"] is not None:
            names = [arg["name"] for arg in event["args"]]
            found.setdefault(event["system"], {})[f"stapprobe_{event['attach_name']}"] = names
    return found


def compile_all(
    folder: Path, compiler: tuple[str, ...], headers: dict[str, bytes], kernel: KernelEvents, expected: Placed
) -> None:
    """Compile all headers, for types that are only as large as the kernel's, and assert where the members lie."""
    unit = [stubs(kernel.events(kernel.keys()), kernel.target)]
    assert {name.removesuffix(".h") for name in headers} == set(expected)
    for name, text in headers.items():
        struct = name.removesuffix(".h")
        unit.append(text.decode())
        unit += [
            f'_Static_assert(__builtin_offsetof(struct {struct}, data.{member.name}) == {member.offset}, "offset");\n'
            f'_Static_assert(sizeof({struct}.data.{member.name}) == {member.size}, "size");\n'
            for member in expected[struct]
        ]
    (folder / "unit.c").write_text("".join(unit))
    command = (*compiler, "-std=gnu11", "-Wall", "-fsyntax-only", folder / "unit.c")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]


# --- other machines

S390X = "debian-6.12-s390x"
SOME = ("sched:*", "net:*", "s390:*", "block:*")


@pytest.mark.compilers
@pytest.mark.parametrize(("form", "values"), [("raw", "args"), ("classic", "fields")])
def test_big_endian(form: str, values: str, tmp_path: Path) -> None:
    """clang for s390x lays out the C, and pahole sees in the objects, what the JSON says."""
    for emit in ("c", "dwarf"):
        options = (f"--{form}", "--emit", emit, "--kernel", S390X, "-o", f"{tmp_path}/{emit}/")
        assert tpgen(*SOME, "-b", "systemtap", *options).code == 0
    expected = placed(json.loads(tpgen(*SOME, "-b", "systemtap", "--emit", "json", "--kernel", S390X).out), values)
    assert expected["stapprobe_sched_switch"][0] == Member(*{
        "raw": ("preempt", 7, 1), "classic": ("prev_comm", 8, 16),
    }[form])  # fmt: skip
    headers = {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    compile_all(tmp_path, (CLANG, "-target", "s390x-linux-gnu"), headers, kernel_named(S390X), expected)
    assert seen_by_pahole(tmp_path / "dwarf", 0 if form == "raw" else 8) == expected
    header = Object((tmp_path / "dwarf" / "sched.o").read_bytes()).elf.header
    assert (header.e_ident.EI_DATA, header.e_ident.EI_CLASS) == ("ELFDATA2MSB", "ELFCLASS64")
    assert (header.e_type, header.e_machine) == ("ET_REL", "EM_S390")


def test_32_bits(tmp_path: Path) -> None:
    """Slots are 8 bytes wide there, too, and `long` is not."""
    sources = "--btf", write_btf(tmp_path / "vmlinux", small_btf(pointer_size=4)), "--arch", "i386"
    made = document("sched_switch", "--raw", *sources)
    assert made["target"]["ptr_size"] == 4
    expected = [Member("preempt", 0, 1), Member("prev", 8, 4), Member("next", 16, 4), Member("prev_state", 24, 4)]
    assert placed(made, "args") == {"stapprobe_sched_switch": expected}
    assert (
        tpgen("sched_switch", "--raw", "-b", "systemtap", "--emit", "dwarf", *sources, "-o", f"{tmp_path}/o/").code == 0
    )
    assert seen_by_pahole(tmp_path / "o", 0) == {"stapprobe_sched_switch": expected}
    header = Object((tmp_path / "o" / "sched.o").read_bytes()).elf.header
    assert (header.e_ident.EI_CLASS, header.e_machine) == ("ELFCLASS32", "EM_386")


# --- objects, by hand


def made_object(*arguments: str | Path) -> Object:
    (folder,) = (argument for argument in arguments if isinstance(argument, Path) and argument.is_dir())
    output = folder / "made.o"
    done = tpgen(*arguments[:-1], "-b", "systemtap", "--emit", "dwarf", "-o", output)
    assert done.code == 0, done.err
    return Object(output.read_bytes())


@pytest.fixture
def types(tmp_path: Path) -> tuple[str | Path, ...]:
    """The source options of a kernel whose only event has an argument of each kind of type."""
    b = BtfBuilder()
    char, number = b.integer("char", 1), b.integer("int", 4, SIGNED)
    flag = b.typedef("bool", b.integer("_Bool", 1, BOOL))
    pte = b.typedef("pte_t", b.structure("", 8, [("pte", b.integer("long unsigned int", 8), 0)]))
    arguments = [
        ("name", b.ptr(b.qualifier("CONST", char))), ("on", flag), ("reason", b.enum("why", values=[("A", 0)])),
        ("pte", pte), ("state", b.union("state", 8)), ("call", b.ptr(b.func_proto(number, [("", b.ptr(0))]))),
        ("three", b.ptr(b.array(number, 3))), ("size", b.integer("long unsigned int", 8)), ("any", b.ptr(0)),
        ("user", b.ptr(b.type_tag("user", b.fwd("iovec")))), ("byte", b.integer("unsigned char", 1)),
    ]  # fmt: skip
    b.event("e", arguments)
    return "e", "--raw", "--btf", write_btf(tmp_path / "vmlinux", b), tmp_path


TYPES = [
    ("name", "pointer to const char"), ("on", "bool"), ("reason", "enumeration why"), ("pte", "pte_t"),
    ("state", "union state"), ("call", "pointer to subroutine returning int"), ("three", "pointer to array[3] of int"),
    ("size", "long unsigned int"), ("any", "pointer to void"), ("user", "pointer to structure iovec"),
    ("byte", "unsigned char"),
]  # fmt: skip


def test_types_of_a_function(types: tuple[str | Path, ...]) -> None:
    """As gcc names them in DWARF, and tags are not there."""
    seen = made_object("--lkm", *types)
    assert seen.parameters(seen.dies("subprogram")["stapprobe_e"]) == TYPES
    assert seen.symbols()["stapprobe_e"][:2] == ("STT_FUNC", ".text")
    bases = {name: die.attributes["DW_AT_encoding"].value for name, die in seen.dies("base_type").items()}
    assert bases == {
        "char": 0x08, "int": 0x05, "_Bool": 0x02, "long unsigned int": 0x07, "unsigned char": 0x08,
    }  # fmt: skip


@pytest.mark.parametrize("flat", [False, True])
def test_types_of_a_struct(flat: bool, types: tuple[str | Path, ...]) -> None:
    seen = made_object("--flat" if flat else "--no-flat", *types)
    struct = seen.dies("structure_type")["stapprobe_e"]
    assert struct.attributes["DW_AT_byte_size"].value == 11 * 8
    if not flat:
        (data,) = struct.iter_children()
        struct = type_of(data)
    members = list(struct.iter_children())
    assert [(name_of(member), type_text(type_of(member))) for member in members] == TYPES
    assert [member.attributes["DW_AT_data_member_location"].value for member in members] == list(range(0, 88, 8))
    assert type_of(seen.dies("variable")["stapprobe_e"]) == seen.dies("structure_type")["stapprobe_e"]
    assert seen.symbols()["stapprobe_e"] == ("STT_OBJECT", ".bss", 0, 88)


def test_numbers_are_those_of_gcc(tmp_path: Path) -> None:
    """Name, size and encoding: what SystemTap shows and whether it extends a sign."""
    b = BtfBuilder()
    numbers = [("char", 1, SIGNED), ("signed char", 1, SIGNED), ("unsigned char", 1, 0), ("_Bool", 1, BOOL)]
    for words, size in (("short", 2), ("", 4), ("long", 8), ("long long", 8)):
        numbers += [(f"{words} int".strip(), size, SIGNED), (f"{words} unsigned int".strip(), size, 0)]
    b.event("e", [(f"a{at}", b.ptr(b.integer(*number))) for at, number in enumerate(numbers)])
    ours = made_object("e", "--lkm", "--btf", write_btf(tmp_path / "vmlinux", b), tmp_path)
    source = "".join(f"{words} a{at};\n" for at, (words, _, _) in enumerate(numbers))
    command = ("gcc", "-g", "-c", "-fsigned-char", "-x", "c", "-", "-o", tmp_path / "gcc.o")
    subprocess.run(command, input=source, text=True, check=True)
    theirs = Object((tmp_path / "gcc.o").read_bytes())
    assert len(theirs.dies("base_type")) == len(numbers)
    assert bases(ours) == bases(theirs)


def bases(seen: Object) -> dict[str, tuple[int, int]]:
    """Size and encoding of each base type."""
    return {
        name: (die.attributes["DW_AT_byte_size"].value, die.attributes["DW_AT_encoding"].value)
        for name, die in seen.dies("base_type").items()
    }


def test_sign_of_char(tmp_path: Path) -> None:
    """It changed in Linux 6.2."""
    b = BtfBuilder()
    b.event("e", [("c", b.ptr(b.integer("char", 1, SIGNED)))])
    seen = made_object("e", "--lkm", "--btf", write_btf(tmp_path / "vmlinux", b), tmp_path)
    assert seen.dies("base_type")["char"].attributes["DW_AT_encoding"].value == 0x06


def test_system_and_header(tmp_path: Path) -> None:
    seen = made_object("sched:sched_switch", "sched:sched_wakeup", "--lkm", "--kernel", "6.1", tmp_path)
    assert seen.section(".stap_trace_system") == b"sched\0"
    for function in seen.dies("subprogram").values():
        assert seen.file(function) == "include/trace/events/sched.h"


def test_system_that_is_unknown(types: tuple[str | Path, ...]) -> None:
    """BTF does not tell it, and the reader takes the lack of a section for an empty name."""
    assert made_object("--lkm", *types).section(".stap_trace_system") is None


def test_pad_is_as_large_as_the_common_header(tmp_path: Path) -> None:
    """Real-time kernels have a longer one, of 12 bytes for example."""
    b = BtfBuilder()
    number, wide = b.integer("int", 4, SIGNED), b.integer("long unsigned int", 8)
    entry = b.structure("trace_entry", 12, [("pid", number, 4), ("count", number, 8)])
    b.event("e", [("n", number)])
    fields = [("ent", entry, 0), ("n", number, 12), ("w", wide, 16), ("__data", b.array(b.integer("char", 1), 0), 24)]
    b.event_class("e", [number], 24, fields)
    sources = ("--btf", write_btf(tmp_path / "vmlinux", b))
    text = generated("e", "--classic", *sources)
    assert "unsigned int pad[3];" in text
    expected = {"stapprobe_e": [Member("n", 12, 4), Member("w", 16, 8)]}
    unit = text + "".join(
        f'_Static_assert(__builtin_offsetof(struct stapprobe_e, data.{member.name}) == {member.offset}, "");\n'
        for member in expected["stapprobe_e"]
    )
    subprocess.run(("gcc", "-fsyntax-only", "-x", "c", "-"), input=unit, text=True, check=True)
    output = f"{tmp_path}/o/"
    assert tpgen("e", "--classic", "-b", "systemtap", "--emit", "dwarf", *sources, "-o", output).code == 0
    assert seen_by_pahole(tmp_path / "o", 12) == expected


def test_event_of_two_modules_of_a_system(tmp_path: Path) -> None:
    """The drivers i915 and xe share events: each is in an object, none in one object twice."""
    output = f"{tmp_path}/o/"
    done = tpgen("i915:*", "--raw", "-b", "systemtap", "--emit", "dwarf", "--kernel", "6.12", "-o", output)
    assert (done.code, done.err) == (0, "")
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"i915.o", "i915-xe.o"}
    both = [set(Object(path.read_bytes()).symbols()) for path in (tmp_path / "o").iterdir()]
    assert "stapprobe_intel_pipe_enable" in both[0] & both[1]


def test_field_of_the_name_of_a_locator() -> None:
    """Linux 5.10 has both in one record; SystemTap's macros leave the prefix out where that is possible."""
    text = generated("regcache_sync", "--classic", "--kernel", "5.10")
    assert "u32 __data_loc_type;" in text
    assert "u32 name;" in text


@pytest.mark.build_systems
def test_build_tree_for_systemtap(small: tuple[str | Path, ...], tmp_path: Path) -> None:
    """SystemTap writes a query for each trace header, calls make, and looks for the objects beside the queries."""
    tree, queries = tmp_path / "tree", tmp_path / "queries"
    make_tree(tree, "6.18.1", "--raw", *small)
    assert {path.name for path in (tree / "include/trace/events").iterdir()} == {
        "dma_fence.h", "page_ref.h", "sched.h", "unknown.h",
    }  # fmt: skip
    queries.mkdir()
    (queries / "tracequery_kmod_1_2.c").write_text("#include <linux/tracepoint.h>\n#include <trace/events/sched.h>\n")
    subprocess.run(("make", "-C", tree, f"M={queries}", "modules", "ARCH=x86_64", "-i"), check=True)
    assert (queries / "tracequery_kmod_1_2.o").read_bytes() == (tree / "objects" / "sched.o").read_bytes()
    done = subprocess.run(("make", "-s", "-C", tree, "kernelrelease"), capture_output=True, text=True, check=True)
    assert done.stdout == "6.18.1\n"
    assert "bpf_raw_tracepoint_release" in (tree / "System.map").read_text()


# --- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sys_enter_close", "--raw"], "no raw form of syscalls:sys_enter_close: it has no raw tracepoint of its own"),
        (["sys_enter_close", "--lkm"], "no lkm form of syscalls:sys_enter_close: it has no raw tracepoint of its own"),
        (["sched_switch", "--lkm", "--classic"], "no lkm form of sched:sched_switch: kernel modules get no records"),
    ],
)
def test_form_that_is_not_there(arguments: list[str], message: str) -> None:
    done = tpgen(*arguments, "-b", "systemtap", "--kernel", "6.1")
    assert done == refusal(f"{message} [no-such-form]")
