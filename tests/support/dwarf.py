"""What other programs read in objects with DWARF: pahole, and pyelftools."""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

_STRUCT = re.compile(r"struct (\w+) \{\n(.*?)\n\}[^;\n]*;$", re.DOTALL | re.MULTILINE)
_MEMBER = re.compile(r"^\t+(.*?);\s*/\*\s+(\d+)\s+(\d+)\b", re.MULTILINE)
_ATTRIBUTE = re.compile(r"\s*__attribute__\(\(\w+(?:\(\d+\))?\)\)")
_NAME = re.compile(r"\(\*+(?:const )?(\w+)\)|(\w+)(?:\[\d*\])*$")


@dataclass(frozen=True)
class Member:
    """A member of a struct, in bytes from the start of the outermost one."""

    name: str
    offset: int
    size: int


def pahole(path: Path) -> dict[str, list[Member]]:
    """The members of all structs of probes; one that has a struct within it comes behind that struct's."""
    done = subprocess.run(("pahole", "-y", "stapprobe_", path), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return {name: [_member(*found) for found in _MEMBER.findall(body)] for name, body in _STRUCT.findall(done.stdout)}


def _member(declaration: str, offset: str, size: str) -> Member:
    named = _NAME.search(_ATTRIBUTE.sub("", declaration))
    assert named, declaration
    return Member(named[1] or named[2], int(offset), int(size))


class Object:
    """An object as pyelftools reads it."""

    def __init__(self, data: bytes) -> None:
        self.elf = ELFFile(io.BytesIO(data))
        (self._unit,) = self.elf.get_dwarf_info().iter_CUs()
        self._top = list(self._unit.get_top_DIE().iter_children())

    def section(self, name: str) -> bytes | None:
        found = self.elf.get_section_by_name(name)
        return None if found is None else found.data()

    def symbols(self) -> dict[str, tuple[str, str, int, int]]:
        """By name: the type, the section, the offset there and the size."""
        table = self.elf.get_section_by_name(".symtab")
        return {
            s.name: (
                s["st_info"]["type"], self.elf.get_section(s["st_shndx"]).name, s["st_value"], s["st_size"],
            )
            for s in table.iter_symbols()
            if s.name
        }  # fmt: skip

    def dies(self, tag: str) -> dict[str, Any]:
        """The DIEs of a tag directly in the unit, by name."""
        return {name_of(die): die for die in self._top if die.tag == f"DW_TAG_{tag}" and "DW_AT_name" in die.attributes}

    def file(self, die: Any) -> str:
        """The file that declares it."""
        lines = self.elf.get_dwarf_info().line_program_for_CU(self._unit)
        found: bytes = lines["file_entry"][die.attributes["DW_AT_decl_file"].value - 1].name
        return found.decode()

    def parameters(self, function: Any) -> list[tuple[str, str]]:
        """Name and type of each of a function's parameters."""
        return [(name_of(die), type_text(type_of(die))) for die in function.iter_children()]


def name_of(die: Any) -> str:
    found: bytes = die.attributes["DW_AT_name"].value
    return found.decode()


def type_of(die: Any) -> Any:
    """The DIE of its type, None for void."""
    return die.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in die.attributes else None


def type_text(die: Any) -> str:
    """A type from the inside out: `const char *` is `pointer to const char`."""
    if die is None:
        return "void"
    kind = die.tag.removeprefix("DW_TAG_").removesuffix("_type")
    match kind:
        case "base" | "typedef":
            return name_of(die)
        case "structure" | "union" | "enumeration":
            return f"{kind} {name_of(die) if 'DW_AT_name' in die.attributes else '{...}'}"
        case "pointer" | "const" | "volatile" | "restrict":
            return f"{kind} {'to ' if kind == 'pointer' else ''}{type_text(type_of(die))}"
        case "array":
            (length,) = die.iter_children()
            count = length.attributes.get("DW_AT_count")
            return f"array[{count.value if count else ''}] of {type_text(type_of(die))}"
        case _:
            return f"{kind} returning {type_text(type_of(die))}"
