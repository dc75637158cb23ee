"""Rules about what else a program needs of its kernel: types and members, instructions, helpers, maps, symbols.

Where the kernel has BTF that tells, else its release, where that was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from tpgen.doctor.findings import Expected, Finding, Verdict
from tpgen.doctor.kernels import SYMBOL_KINDS, KnownKernel
from tpgen.doctor.relocated import Failed
from tpgen.doctor.rules.case import Case, Told, found, refused_load
from tpgen.doctor.verifier import (
    CALLBACKS,
    FETCHING_ATOMICS,
    INSTRUCTIONS_V4,
    LAST_HELPERS,
    LOAD_ACQUIRE,
    MAY_GOTO,
    Turn,
)
from tpgen.sources.bpf_object.btf_types import enumerators
from tpgen.sources.bpf_object.facts import Place, ReferenceKind
from tpgen.sources.bpf_object.instructions import Instruction, InstructionClass
from tpgen.sources.btf_encoding import BtfKind


def feature_findings(case: Case) -> Iterator[Finding]:
    """Findings about what the kernel lacks of all that the program needs."""
    yield from _core(case)
    linked = sorted(_linked(case))
    yield from _instructions(case, linked)
    yield from _helpers(case)
    yield from _maps(case, linked)
    yield from _symbols(case)


def _core(case: Case) -> Iterator[Finding]:
    for place, relocated in sorted(case.relocations.items()):
        if not isinstance(relocated, Failed) or not (relocated.refused or place in case.found.failed):
            continue
        told = Told(place, expected=Expected(relocated.what, None, "relocation"))
        if relocated.refused:
            message = f"asks for {relocated.what}, for which nothing of the object is loaded: {relocated.refused}"
            yield refused_load(case, "core-missing", message, told, relocated.errno or "EINVAL")
            continue
        message = f"needs {relocated.what}, which this kernel has not, or of another kind"
        hint = "ask first: bpf_core_field_exists(), bpf_core_type_exists()"
        yield found(case, Verdict.REFUSED_LOAD, "core-missing", message, told, "EINVAL", hint)


# --- functions


def _linked(case: Case) -> set[Place]:
    """The instructions of the program and of all functions that it may call, dead code too: all that is loaded."""
    waiting, seen, places = [case.program.function], set(), set()
    starts = {function.place: function for function in case.obj.functions}
    while waiting:
        function = waiting.pop()
        if function.place in seen:
            continue
        seen.add(function.place)
        begin = function.place.at
        own = {Place(function.place.section, at) for at in range(begin, begin + function.length)}
        places |= own
        for place in own & case.obj.references.keys():
            reference = case.obj.references[place]
            if reference.kind == ReferenceKind.FUNCTION and reference.target in starts:
                waiting.append(starts[reference.target])
    return places


# --- instructions


class _Sort(NamedTuple):
    """A sort of instructions that not all kernels have. With `in_dead_code` one that never runs is refused too."""

    name: str
    turn: Turn
    belongs: Callable[[Instruction], bool]
    in_dead_code: bool


_MODE, _MEMORY_SX, _ATOMIC = 0xE0, 0x80, 0xC0
_OPERATION, _DIVIDE, _MODULO, _MOVE, _SWAP, _JUMP, _MAYBE = 0xF0, 0x30, 0x90, 0xB0, 0xD0, 0x00, 0xE0
_CALL, _WIDE = 0x85, 0x18
_ACQUIRE, _RELEASE = 0x100, 0x110
_PSEUDO_FUNCTION = 4


def _is_atomic(code: Instruction) -> bool:
    return code.kind == InstructionClass.STX and code.opcode & _MODE == _ATOMIC


def _is_ordered(code: Instruction) -> bool:
    return _is_atomic(code) and code.immediate in (_ACQUIRE, _RELEASE)


def _is_signed_load(code: Instruction) -> bool:
    return code.kind == InstructionClass.LDX and code.opcode & _MODE == _MEMORY_SX


def _is_swap_or_long_jump(code: Instruction) -> bool:
    operation = code.opcode & _OPERATION
    swaps = code.kind == InstructionClass.ALU64 and operation == _SWAP
    return swaps or (code.kind == InstructionClass.JMP32 and operation == _JUMP)


def _is_signed_arithmetic(code: Instruction) -> bool:
    if code.kind not in (InstructionClass.ALU, InstructionClass.ALU64):
        return False
    operation = code.opcode & _OPERATION
    divides = operation in (_DIVIDE, _MODULO) and code.offset == 1
    return divides or (operation == _MOVE and code.offset in (8, 16, 32))


def _is_may_goto(code: Instruction) -> bool:
    return code.kind == InstructionClass.JMP and code.opcode & _OPERATION == _MAYBE


_SORTS = (
    _Sort("atomic operations that return a value, or other than an addition",
          FETCHING_ATOMICS, lambda code: _is_atomic(code) and bool(code.immediate), True),
    _Sort("loads that extend a sign", INSTRUCTIONS_V4, _is_signed_load, True),
    _Sort("byte swaps or long jumps of -mcpu=v4", INSTRUCTIONS_V4, _is_swap_or_long_jump, True),
    _Sort("signed divisions or moves of -mcpu=v4", INSTRUCTIONS_V4, _is_signed_arithmetic, False),
    _Sort("may_goto", MAY_GOTO, _is_may_goto, True),
    _Sort("loads that acquire or stores that release", LOAD_ACQUIRE, _is_ordered, False),
    _Sort("callbacks", CALLBACKS, lambda code: code.is_wide and code.source == _PSEUDO_FUNCTION, True),
)  # fmt: skip


def _instructions(case: Case, linked: Iterable[Place]) -> Iterator[Finding]:
    code = case.obj.code
    placed = [(place, one) for place in linked if (one := code[place.section][place.at]) is not None]
    for sort in _SORTS:
        has = case.kernel.has(sort.turn)
        if has:
            continue
        for place, instruction in placed:
            counts = sort.in_dead_code or place in case.found.reached
            if counts and _belongs(case, sort, place, instruction):
                yield _instruction(case, sort, place, has)
                break


def _belongs(case: Case, sort: _Sort, place: Place, instruction: Instruction) -> bool:
    if sort.turn is CALLBACKS and instruction.is_wide:
        reference = case.obj.references.get(place)
        return reference is not None and reference.kind == ReferenceKind.FUNCTION
    return sort.belongs(instruction)


def _instruction(case: Case, sort: _Sort, place: Place, has: bool | None) -> Finding:
    told = Told(place, expected=Expected(sort.name, None, "instruction"))
    where = "" if place in case.found.reached else ", in code that never runs, which is checked too"
    if has is None:
        message = f"has {sort.name}; whether this release has them is not known"
        return found(case, Verdict.DEPENDS, "instruction", message, told)
    hint = "compile for an older one: -mcpu=v3 or -mcpu=v2"
    return found(
        case, Verdict.REFUSED_LOAD, "instruction", f"has {sort.name}, which this kernel has not{where}", told, "EINVAL",
        hint,
    )  # fmt: skip


# --- helpers


def _helpers(case: Case) -> Iterator[Finding]:
    known = _numbers(case.kernel, "bpf_func_id")
    last = None if known else _last_helper(case.kernel)
    for place in sorted(case.found.reached):
        instruction = case.obj.code[place.section][place.at]
        if instruction is None or instruction.opcode != _CALL or instruction.source or place in case.obj.references:
            continue
        number = instruction.immediate
        if (known and number not in known) or (last is not None and number > last):
            told = Told(place, expected=Expected(f"helper {number}", None, "instruction"))
            yield refused_load(case, "helper", f"calls helper {number}, which this kernel has not", told, "EINVAL")


def _last_helper(kernel: KnownKernel) -> int | None:
    """The last helper of a kernel of that release; None where that is not known."""
    return next((last for release, last in LAST_HELPERS.items() if release == kernel.release[:2]), None)


def _numbers(kernel: KnownKernel, enum: str) -> Mapping[int, str]:
    """The names of the enumerators of an enum of vmlinux by their values; empty without BTF."""
    if not kernel.images:
        return {}
    vmlinux = kernel.images[0]
    kinds = (BtfKind.ENUM, BtfKind.ENUM64)
    ids = [type_id for type_id in vmlinux.own_ids_of(enum) if vmlinux.kind(type_id) in kinds]
    return {item.value: item.name for type_id in ids[:1] for item in enumerators(vmlinux, type_id)}


# --- maps and symbols


def _maps(case: Case, linked: Iterable[Place]) -> Iterator[Finding]:
    known = _numbers(case.kernel, "bpf_map_type")
    if not known:
        return
    references = (case.obj.references[place] for place in linked if place in case.obj.references)
    used = {reference.name for reference in references if reference.kind == ReferenceKind.MAP}
    for definition in case.obj.maps:
        if definition.name in used and definition.type is not None and definition.type not in known:
            told = Told(expected=Expected(definition.name, f"map type {definition.type}", "struct"))
            message = f"uses map {definition.name} of type {definition.type}, which this kernel has not"
            yield refused_load(case, "map-type", message, told, "EINVAL")


def _symbols(case: Case) -> Iterator[Finding]:
    """Symbols that are not weak: libbpf loads nothing of an object where one is missing."""
    if not case.kernel.images:
        return
    wanted = {
        reference.name: place
        for place, reference in sorted(case.obj.references.items(), reverse=True)
        if reference.kind == ReferenceKind.EXTERN and not reference.weak
    }
    for name, place in sorted(wanted.items()):
        kind = case.obj.kernel_symbols.get(name, "")
        if kind not in SYMBOL_KINDS or case.kernel.has_symbol(name, kind):
            continue
        told = Told(place, expected=Expected(name, None, "struct"))
        message = f"needs {name} of the kernel, which its BTF has not"
        yield found(
            case, Verdict.REFUSED_LOAD, "ksym", message, told, "ESRCH", "declare it __weak, and ask bpf_ksym_exists()"
        )
