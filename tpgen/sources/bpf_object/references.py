"""Targets of instructions: what an ELF relocation, or a call within a section, leads to.

Source: bpf_program__record_reloc() and bpf_object__reloc_code() of libbpf.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tpgen.diagnostics import TpgenError, fail
from tpgen.sources.bpf_object.facts import Place, Reference, ReferenceKind
from tpgen.sources.bpf_object.instructions import INSTRUCTION_BYTES, Instruction
from tpgen.sources.elf import Relocation, Symbol, SymbolType

_CALL = 0x85
#: The source register of a call of a subprogram, and of a wide load of the address of one.
_PSEUDO_CALL, _PSEUDO_FUNC = 1, 4
# More are no indices of sections: absolute and common symbols.
_SHN_LORESERVE = 0xFF00

_Code = Mapping[str, Sequence[Instruction | None]]


class Targets(NamedTuple):
    """Places that relocations may lead to: sections by their indices; `code` has those of instructions, by name."""

    sections: Sequence[str]
    code: _Code
    symbols: Sequence[Symbol]
    functions: Mapping[Place, str]
    variables: Mapping[tuple[str, int], str]
    path: str


def references(section: str, relocations: Iterator[Relocation], targets: Targets) -> Iterator[tuple[Place, Reference]]:
    """The references of the instructions of a section by their places.

    Raises `TpgenError` `object-corrupt` for a relocation of something else than a call and a wide load.
    """
    code = targets.code[section]
    relocated = set()
    for relocation in relocations:
        at = relocation.offset // INSTRUCTION_BYTES
        instruction = code[at] if at < len(code) else None
        if relocation.offset % INSTRUCTION_BYTES or instruction is None:
            raise _corrupt(f"relocation of byte {relocation.offset} of section {section!r}", targets)
        if instruction.opcode != _CALL and not instruction.is_wide:
            raise _corrupt(f"relocation of instruction {at} of section {section!r}, which takes none", targets)
        if relocation.symbol >= len(targets.symbols):
            raise _corrupt(f"relocation against symbol {relocation.symbol} of {len(targets.symbols)}", targets)
        relocated.add(at)
        yield Place(section, at), _reference(instruction, targets.symbols[relocation.symbol], targets)
    for at, instruction in enumerate(code):
        # A call of a static function in the same section needs no relocation.
        if instruction and instruction.opcode == _CALL and instruction.source == _PSEUDO_CALL and at not in relocated:
            yield Place(section, at), _function(section, at + instruction.immediate + 1, targets)


def _reference(instruction: Instruction, symbol: Symbol, targets: Targets) -> Reference:
    if not symbol.section:
        return Reference(ReferenceKind.EXTERN, symbol.name, weak=symbol.is_weak)
    if symbol.section >= min(len(targets.sections), _SHN_LORESERVE):
        raise _corrupt(f"relocation against {symbol.name!r}, which is in no section", targets)
    section = targets.sections[symbol.section]
    if instruction.opcode == _CALL:
        return _function(section, symbol.value // INSTRUCTION_BYTES + instruction.immediate + 1, targets)
    addend = (instruction.immediate & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    if section in targets.code:
        return _function(section, (symbol.value + addend) // INSTRUCTION_BYTES, targets)
    if section == ".maps" or section.partition("/")[0] == "maps":
        return Reference(ReferenceKind.MAP, _named(section, symbol, symbol.value, targets), section, symbol.value)
    offset = symbol.value + addend
    return Reference(ReferenceKind.DATA, _named(section, symbol, offset, targets), section, offset)


def _function(section: str, at: int, targets: Targets) -> Reference:
    if not 0 <= at < len(targets.code.get(section, ())):
        raise _corrupt(f"call of instruction {at} of section {section!r}, which has none there", targets)
    place = Place(section, at)
    return Reference(ReferenceKind.FUNCTION, targets.functions.get(place, section), section, 0, place)


def _named(section: str, symbol: Symbol, offset: int, targets: Targets) -> str:
    """The symbol's name; that of what lies there where the symbol is the section's."""
    if symbol.type != SymbolType.SECTION and symbol.name:
        return symbol.name
    return targets.variables.get((section, offset), section)


def _corrupt(what: str, targets: Targets) -> TpgenError:
    return fail("object-corrupt", f"corrupt BPF object: {what}", targets.path)
