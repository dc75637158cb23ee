"""BPF objects that contradict themselves, or would take a reader for ever, by what is wrong with them."""

from __future__ import annotations

import struct
from collections.abc import Callable

from support.bpf_elf import (
    ALLOC,
    EXECINSTR,
    LOCAL,
    NOBITS,
    NOTYPE,
    R_BPF_64_32,
    ObjectBuilder,
    btf_ext,
    instruction,
    wide,
)
from support.btf_builder import BtfBuilder

SECTION = "raw_tp/sched_switch"
MOV, MOV_0, EXIT = instruction(0xBF, 6, 1), instruction(0xB7), instruction(0x95)
LOAD, CALL = instruction(0x79, 2, 1, 8), instruction(0x85, 0, 1, 0, -1)
ADD, JUMP_IF_0, JUMP_BACK = (
    instruction(0x07, 2, 0, 0, 1),
    instruction(0x15, 2, 0, 1, 0),
    instruction(0xA5, 2, 0, -2, 1 << 30),
)


def program(*instructions: bytes) -> ObjectBuilder:
    """An object with one program of these instructions, and an end."""
    made = ObjectBuilder()
    made.function("program", made.code(SECTION, *instructions, MOV_0, EXIT))
    return made


def _functions(count: int, length: int) -> bytes:
    made = ObjectBuilder()
    code = made.code(SECTION, EXIT * (count + length))
    for number in range(count):
        made.function(f"p{number}", code, number, length)
    return made.blob()


def _long_names() -> bytes:
    made = program()
    made.names += b"y" * 60_000 + b"\0"
    made.symbols += [struct.pack("<IBBHQQ", 10 + number, 0x12, 0, 1, 0, 8) for number in range(60_000)]
    return made.blob()


def _sized(name: str, kind: int, flags: int = ALLOC) -> bytes:
    made = program()
    made.section(name, b"", kind, flags, size=1 << 60)
    return made.blob()


def _calls(*targets: int) -> bytes:
    """Subprograms of three instructions each that call two of them, which are given by their differences in number."""
    made, count = ObjectBuilder(), 30
    body = [
        part
        for number in range(count)
        for part in (*(instruction(0x85, 0, 1, 0, 3 * target - at - 1) for at, target in enumerate(targets)), EXIT)
    ]
    text = made.code(".text", *body, *[EXIT] * (3 * max(targets)))
    for number in range(count):
        made.function(f"f{number}", text, 3 * number, 3, LOCAL)
    code = made.code(SECTION, CALL, EXIT)
    made.function("program", code)
    made.relocation(code, 0, 1, R_BPF_64_32)
    return made.blob()


def _variables(count: int) -> bytes:
    made = ObjectBuilder()
    parts = [part for number in range(count) for part in (wide(2, 0), instruction(0x79, 2, 2), JUMP_IF_0, ADD)]
    code = made.code(SECTION, *parts, MOV_0, EXIT)
    made.function("program", code)
    data = made.section(".rodata", bytes(8 * count))
    for number in range(count):
        made.relocation(code, 5 * number, made.symbol(f"v{number}", data, 8 * number, 8))
    return made.blob()


def _states(count: int) -> bytes:
    parts = [
        part for k in range(count) for part in (instruction(0x15, 1, 0, 1, k), instruction(0x07, k % 7 + 2, 0, 0, 1))
    ]
    cleared = [instruction(0xB7, register) for register in range(2, 9)]
    return program(MOV, *cleared, instruction(0x79, 1, 1), *parts).blob()


def _callers(count: int, length: int) -> bytes:
    """Programs that each call one long subprogram."""
    made = ObjectBuilder()
    text = made.code(".text", LOAD * length, EXIT)
    made.function("long", text, binding=LOCAL)
    code = made.code(SECTION, *[CALL + EXIT] * count)
    for number in range(count):
        made.function(f"p{number}", code, 2 * number, 2)
        made.relocation(code, 2 * number, 1, R_BPF_64_32)
    return made.blob()


def _relocated(at: int, symbol: int, section: int = 0xFFF1) -> bytes:
    made = program(LOAD, wide(2, 0))
    made.symbol("odd", section, kind=NOTYPE)
    made.relocation(1, at, symbol)
    return made.blob()


def _typed(build: Callable[[BtfBuilder], tuple[int, str, int]]) -> bytes:
    """A program whose load has a CO-RE relocation: the type, the access and the kind are those that `build` returns."""
    btf = BtfBuilder()
    type_id, access, kind = build(btf)
    record = (0, type_id, btf.string(access), kind)
    made = program(LOAD)
    made.section(".maps", bytes(8))
    ext = btf_ext(core={btf.string(SECTION): [record]})
    made.section(".BTF", btf.blob(), flags=0)
    made.section(".BTF.ext", ext, flags=0)
    return made.blob()


def _typedef_of_itself(btf: BtfBuilder) -> tuple[int, str, int]:
    type_id = btf.typedef("loop", btf.next_id)
    btf.datasec(".maps", 8, [(btf.var("map", type_id), 0, 8)])
    return type_id, "0:0", 0


def _struct_in_itself(btf: BtfBuilder) -> tuple[int, str, int]:
    return btf.structure("task_struct", 8, [("", btf.next_id, 0)]), ":".join(["0"] * 64), 0


def _array_of_itself(btf: BtfBuilder) -> tuple[int, str, int]:
    btf.integer("int", 4)
    array = btf.array(btf.next_id, 2)
    return btf.structure("task_struct", 8, [("pid", array, 0)]), "0:0:1", 0


def _doubling(btf: BtfBuilder) -> tuple[int, str, int]:
    made = btf.integer("int", 4)
    for _ in range(25):
        made = btf.ptr(btf.func_proto(made, [("a", made), ("b", made)]))
    return btf.typedef("btf_trace_sched_switch", made), "0", 8


def _absent_type(btf: BtfBuilder) -> tuple[int, str, int]:
    return btf.integer("int", 4) + 76, "0", 8


def _unknown_kind(btf: BtfBuilder) -> tuple[int, str, int]:
    return btf.integer("int", 4), "0", 99


def _odd_access(btf: BtfBuilder) -> tuple[int, str, int]:
    return btf.structure("task_struct", 8, [("pid", btf.integer("int", 4), 0)]), "0:99999999999:x", 0


def _empty_bit_field(btf: BtfBuilder) -> tuple[int, str, int]:
    empty = btf.structure("empty", 0, [])
    return btf.bit_fields("task_struct", 8, [("pid", empty, 0, 3)]), "0:0", 1


def _with_lines(length: int, count: int, section_names: bool) -> bytes:
    btf = BtfBuilder()
    btf.integer("int", 4)
    name = btf.string(SECTION)
    long_one = btf.string("x" * length)
    rows = {name: [(0, long_one + at, long_one + at, 1 << 10) for at in range(count)]}
    each = {long_one + at: [(0, 0, 0, 1 << 10)] for at in range(count)}
    ext = btf_ext(lines=each if section_names else rows)
    made = program(LOAD)
    made.section(".BTF", btf.blob(), flags=0)
    made.section(".BTF.ext", ext, flags=0)
    return made.blob()


def _ext(at: int, value: int) -> bytes:
    ext = bytearray(btf_ext(core={1: [(0, 1, 1, 0)]}))
    struct.pack_into("<I", ext, at, value)
    btf = BtfBuilder()
    btf.integer("int", 4)
    made = program(LOAD)
    made.section(".BTF", btf.blob(), flags=0)
    made.section(".BTF.ext", bytes(ext), flags=0)
    return made.blob()


def _odd_section(content: bytes) -> bytes:
    made = ObjectBuilder()
    made.function("program", made.code(SECTION, content))
    return made.blob()


def _two_of_one_name() -> bytes:
    made = program()
    made.code(SECTION, EXIT)
    return made.blob()


#: Objects that are small, which a fuzzer may start from.
SMALL: dict[str, Callable[[], bytes]] = {
    "loop": lambda: program(ADD, JUMP_BACK).blob(),
    "jump-out": lambda: program(instruction(0x05, 0, 0, 0x7000)).blob(),
    "no-end": lambda: _odd_section(LOAD),
    "odd-length": lambda: _odd_section(EXIT + b"\0" * 5),
    "half-of-a-wide-one": lambda: _odd_section(wide(1, 2)[:8]),
    "every-opcode": lambda: program(*(instruction(code, 10, 10) for code in range(256) if code != 0x18)).blob(),
    "every-opcode-backwards": lambda: program(
        *(instruction(code, 1, 1) for code in range(255, -1, -1) if code not in (0x18, 0x95))
    ).blob(),
    "registers-that-do-not-exist": lambda: program(instruction(0xBF, 11, 15)).blob(),
    "recursion": lambda: _calls(0, 0),
    "calls-that-double": lambda: _calls(1, 1),
    "call-out": lambda: program(instruction(0x85, 0, 1, 0, 1 << 30)).blob(),
    "relocation-out": lambda: _relocated(99, 2),
    "relocation-of-a-load": lambda: _relocated(0, 2),
    "relocation-of-half-a-wide-one": lambda: _relocated(2, 2),
    "relocation-against-nothing": lambda: _relocated(1, 99),
    "relocation-against-a-number": lambda: _relocated(1, 2),
    "bss-of-exabytes": lambda: _sized(".bss", NOBITS),
    "rodata-of-exabytes": lambda: _sized(".rodata", 1),
    "code-of-exabytes": lambda: _sized("tp/x/y", 1, ALLOC | EXECINSTR),
    "two-sections-of-a-name": _two_of_one_name,
    "typedef-of-itself": lambda: _typed(_typedef_of_itself),
    "struct-in-itself": lambda: _typed(_struct_in_itself),
    "array-of-itself": lambda: _typed(_array_of_itself),
    "prototypes-that-double": lambda: _typed(_doubling),
    "absent-type": lambda: _typed(_absent_type),
    "unknown-kind": lambda: _typed(_unknown_kind),
    "odd-access": lambda: _typed(_odd_access),
    "bit-field-of-nothing": lambda: _typed(_empty_bit_field),
    "long-header-of-ext": lambda: _ext(4, 0xFFFFFFFF),
    "short-records-of-ext": lambda: _ext(32 + 8, 4),
    "odd-records-of-ext": lambda: _ext(32 + 8, 17),
    "many-records-of-ext": lambda: _ext(32 + 16, 0xFFFFFFFF),
    "overlapping-lines": lambda: _with_lines(2000, 500, False),
    "variables": lambda: _variables(60),
    "states": lambda: _states(60),
}
#: Objects that are large, and take a reader without bounds minutes or gigabytes.
LARGE: dict[str, Callable[[], bytes]] = {
    "a-million-instructions": lambda: program(LOAD * ((1 << 20) - 3)).blob(),
    "more-instructions": lambda: program(LOAD * (1 << 20)).blob(),
    "many-branches": lambda: program((JUMP_IF_0 + ADD) * 30_000).blob(),
    "many-programs": lambda: _functions(100_000, 1),
    "overlapping-programs": lambda: _functions(4000, 4000),
    "overlapping-names": _long_names,
    "lines-of-megabytes": lambda: _with_lines(3_000_000, 100_000, False),
    "sections-of-long-names": lambda: _with_lines(3_000_000, 10_000, True),
    "many-lines": lambda: _with_lines(15_000, 14_000, False),
    "many-variables": lambda: _variables(5000),
    "many-states": lambda: _states(2000),
    "callers": lambda: _callers(3000, 200_000),
}


def hostile_objects() -> dict[str, bytes]:
    """The small ones."""
    return {name: make() for name, make in SMALL.items()}
