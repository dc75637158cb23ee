"""Assembles BPF objects from text as objdump writes it, for tests of what doctor finds in instructions.

    obj = assembled("r6 = r1; r2 = *(u64 *)(r6 + 8); if r2 == 0 goto out; r0 = 1; out: exit")

Functions other than the program are given by name: `call helper_of_mine`, `r2 = &callback`. `r1 = &variable` is the
address of one of `.rodata`, `r1 = &extern:CONFIG_HZ` that of an extern, `call extern:bpf_throw` a call of one. A number
`call 113` is a helper. `@name` behind an instruction names its place, for relocations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tpgen.programs.sections import parse_section
from tpgen.sources.bpf_object.facts import (
    BpfObject,
    CoreKind,
    CoreRelocation,
    Function,
    Place,
    Program,
    Reference,
    ReferenceKind,
    Variable,
)
from tpgen.sources.bpf_object.instructions import Instruction

SECTION = "raw_tp/event"
_SIZES = {"8": 0x10, "16": 0x08, "32": 0x00, "64": 0x18}
_OPERATIONS = {
    "+": 0x00, "-": 0x10, "*": 0x20, "/": 0x30, "|": 0x40, "&": 0x50, "<<": 0x60, ">>": 0x70, "%": 0x90, "^": 0xA0,
    "s>>": 0xC0,
}  # fmt: skip
_COMPARISONS = {
    "==": 0x10, ">": 0x20, ">=": 0x30, "&": 0x40, "!=": 0x50, "s>": 0x60, "s>=": 0x70, "<": 0xA0, "<=": 0xB0,
    "s<": 0xC0, "s<=": 0xD0,
}  # fmt: skip
_ATOMICS = {
    "add": 0x00, "fetch_add": 0x01, "xchg": 0xE1, "cmpxchg": 0xF1, "load_acquire": 0x100, "store_release": 0x110
}  # fmt: skip
_MEMORY = r"\*\((?P<sign>[us])(?P<bits>\d+) \*\)\(r(?P<base>\d+) (?P<direction>[+-]) (?P<offset>\d+)\)"
_REGISTER = r"(?P<width>[rw])(?P<left>\d+)"
_RIGHT = r"(?:[rw](?P<right>\d+)|(?P<number>-?\w+))"


class Assembled(NamedTuple):
    """An object with one program, and the places that its text names."""

    obj: BpfObject
    program: Program
    places: dict[str, Place]


class _Line(NamedTuple):
    text: str
    label: str | None
    name: str | None


def assembled(
    text: str,
    *,
    functions: Mapping[str, str] | None = None,
    global_functions: tuple[str, ...] = (),
    rodata: Mapping[str, bytes] | None = None,
    kernel_symbols: Mapping[str, str] | None = None,
    weak: tuple[str, ...] = (),
    big_endian: bool = False,
) -> Assembled:
    """The object of a program; `rodata` has its variables by name, `functions` what else it has."""
    variables = tuple(_variables(rodata or {}))
    texts = {"program": text, **(functions or {})}
    sections = {name: SECTION if name == "program" else f"text.{name}" for name in texts}
    assembler = _Assembler(sections, {variable.name: variable for variable in variables}, weak)
    code = {sections[name]: assembler.section(sections[name], part) for name, part in texts.items()}
    made = {
        name: Function(name, Place(section, 0), len(code[section]), name in global_functions)
        for name, section in sections.items()
    }
    program = Program(made["program"], SECTION, parse_section(SECTION))
    obj = BpfObject(
        name="assembled.o",
        big_endian=big_endian,
        btf=None,
        code=code,
        functions=tuple(made.values()),
        programs=(program,),
        references=assembler.references,
        core_relocations={place: CoreRelocation(CoreKind.FIELD_EXISTS, 0, "0") for place in assembler.places.values()},
        lines={},
        function_types={},
        variables=variables,
        data={".rodata": b"".join((rodata or {}).values())},
        maps=(),
        kernel_symbols=dict(kernel_symbols or {}),
        license="GPL",
    )
    return Assembled(obj, program, assembler.places)


def _variables(contents: Mapping[str, bytes]) -> list[Variable]:
    found, offset = [], 0
    for name, content in contents.items():
        found.append(Variable(name, ".rodata", offset, len(content)))
        offset += len(content)
    return found


class _Assembler:
    def __init__(self, sections: dict[str, str], variables: dict[str, Variable], weak: tuple[str, ...]) -> None:
        self._sections = sections
        self._variables = variables
        self._weak = weak
        self.references: dict[Place, Reference] = {}
        self.places: dict[str, Place] = {}

    def section(self, section: str, text: str) -> tuple[Instruction | None, ...]:
        lines = [_line(part) for part in re.split(r"[;\n]", text) if part.strip()]
        labels, at = {}, 0
        for line in lines:
            if line.label:
                labels[line.label] = at
            if line.name:
                self.places[line.name] = Place(section, at)
            at += 2 if _is_wide(line.text) else 1 if line.text else 0
        code: list[Instruction | None] = []
        for line in lines:
            if line.text:
                code.append(self._instruction(line.text, Place(section, len(code)), labels))
                if _is_wide(line.text):
                    code.append(None)
        return tuple(code)

    def _instruction(self, text: str, place: Place, labels: dict[str, int]) -> Instruction:
        if text == "exit":
            return Instruction(0x95, 0, 0, 0, 0)
        if found := re.fullmatch(r"call (\d+)", text):
            return Instruction(0x85, 0, 0, 0, int(found[1]))
        if found := re.fullmatch(r"call ([\w.:]+)", text):
            self.references[place] = self._reference(found[1])
            return Instruction(0x85, 0, 1, 0, -1)
        if found := re.fullmatch(r"r(\d+) = &([\w.:]+)", text):
            self.references[place] = self._reference(found[2])
            return Instruction(0x18, int(found[1]), 0, 0, 0)
        if found := re.fullmatch(r"r(\d+) = (-?\w+) ll", text):
            return Instruction(0x18, int(found[1]), 0, 0, int(found[2], 0) & (1 << 64) - 1)
        if found := re.fullmatch(rf"{_REGISTER} = {_MEMORY}", text):
            mode = 0x60 if found["sign"] == "u" else 0x80
            return _memory(found, 1 | mode, int(found["left"]), int(found["base"]), 0)
        if found := re.fullmatch(rf"{_MEMORY} = {_RIGHT}", text):
            is_register = found["right"] is not None
            right = int(found["right"] or 0)
            number = 0 if is_register else int(found["number"], 0)
            return _memory(found, 0x60 | (3 if is_register else 2), int(found["base"]), right, number)
        if found := re.fullmatch(rf"(?P<atomic>\w+)\({_MEMORY}, r(?P<right>\d+)\)", text):
            base, right = int(found["base"]), int(found["right"])
            if found["atomic"] == "load_acquire":
                base, right = right, base
            return _memory(found, 0xC3, base, right, _ATOMICS[found["atomic"]])
        return _jump(text, place, labels) or _arithmetic(text)

    def _reference(self, name: str) -> Reference:
        if name.startswith("extern:"):
            name = name.removeprefix("extern:")
            return Reference(ReferenceKind.EXTERN, name, weak=name in self._weak)
        if name in self._sections:
            return Reference(ReferenceKind.FUNCTION, name, target=Place(self._sections[name], 0))
        variable = self._variables.get(name)
        if variable is None:
            return Reference(ReferenceKind.MAP, name)
        return Reference(ReferenceKind.DATA, name, variable.section, variable.offset)


def _line(text: str) -> _Line:
    found = re.fullmatch(r"\s*(?:(?P<label>\w+):)?\s*(?P<text>[^@]*?)\s*(?:@(?P<name>\w+))?\s*", text)
    assert found, text
    return _Line(found["text"], found["label"], found["name"])


def _is_wide(text: str) -> bool:
    return "= &" in text or text.endswith(" ll")


def _memory(found: re.Match[str], opcode: int, destination: int, source: int, number: int) -> Instruction:
    offset = int(found["direction"] + found["offset"])
    return Instruction(opcode | _SIZES[found["bits"]], destination, source, offset, number)


def _jump(text: str, place: Place, labels: dict[str, int]) -> Instruction | None:
    if found := re.fullmatch(r"(goto|gotol|may_goto) (\w+)", text):
        delta = labels[found[2]] - place.at - 1
        opcode = {"goto": 0x05, "gotol": 0x06, "may_goto": 0xE5}[found[1]]
        return Instruction(opcode, 0, 0, 0, delta) if opcode == 0x06 else Instruction(opcode, 0, 0, delta, 0)
    found = re.fullmatch(rf"if {_REGISTER} (?P<operation>\S+) {_RIGHT} goto (?P<label>\w+)", text)
    if not found:
        return None
    delta = labels[found["label"]] - place.at - 1
    kind = 5 if found["width"] == "r" else 6
    return _operation(found, _COMPARISONS[found["operation"]] | kind, delta)


def _arithmetic(text: str) -> Instruction:
    kinds = {"r": 7, "w": 4}
    if found := re.fullmatch(rf"{_REGISTER} = -[rw]\d+", text):
        return Instruction(0x80 | kinds[found["width"]], int(found["left"]), 0, 0, 0)
    if found := re.fullmatch(r"r(\d+) = (bswap|le|be)(\d+) r\d+", text):
        opcode = {"bswap": 0xD7, "le": 0xD4, "be": 0xDC}[found[2]]
        return Instruction(opcode, int(found[1]), 0, 0, int(found[3]))
    if found := re.fullmatch(rf"{_REGISTER} = \(s(?P<bits>\d+)\)[rw](?P<right>\d+)", text):
        return _operation(found, 0xB0 | kinds[found["width"]], int(found["bits"]))
    found = re.fullmatch(rf"{_REGISTER} (?P<operation>\S*)= {_RIGHT}", text)
    assert found, text
    operation = _OPERATIONS[found["operation"]] if found["operation"] else 0xB0
    return _operation(found, operation | kinds[found["width"]], 0)


def _operation(found: re.Match[str], opcode: int, offset: int) -> Instruction:
    parts = found.groupdict()
    left = int(found["left"])
    if found["right"] is not None:
        return Instruction(opcode | 8, left, int(found["right"]), offset, 0)
    return Instruction(opcode, left, 0, offset, int(parts["number"], 0))
