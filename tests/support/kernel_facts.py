"""What the running kernel says of its tracepoints, read without tpgen: its BTF by bpftool, its tracefs by a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus.dumped import Image

_ALIASES = ("TYPEDEF", "CONST", "VOLATILE", "RESTRICT", "TYPE_TAG")
_FIELD = re.compile(
    r"^\tfield:(?P<declaration>[^;]+);\toffset:(?P<offset>\d+);\tsize:(?P<size>\d+);(?:\tsigned:(?P<signed>[01]);)?",
    re.MULTILINE,
)
_DECLARATION = re.compile(r"(?P<type>.*?)(?P<name>\w+)(?P<array>\[[^\]]*\])?$")


@dataclass(frozen=True, slots=True)
class Scalar:
    """What makes a number of some bytes: their count, whether the first bit is the sign, whether it is a bool."""

    size: int
    signed: bool = False
    is_bool: bool = False


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a tracepoint. `kind` is bpftool's, `target` the kind that a pointer points to, else None."""

    name: str | None
    kind: str
    target: str | None
    scalar: Scalar


@dataclass(frozen=True, slots=True)
class Field:
    """A field line of a format file, except the common ones. `dynamic` fields lie where a locator at `offset` says."""

    type: str
    name: str
    offset: int
    size: int
    signed: bool
    array: bool
    dynamic: bool


class TracepointImage(Image):
    """The tracepoints in the BTF of vmlinux, or of a module, parameter by parameter."""

    @cached_property
    def params(self) -> dict[str, tuple[Param, ...]]:
        """The raw arguments of each `btf_trace_<event>`, in the order of their slots."""
        found = {}
        for event, entry in self._named("TYPEDEF", "btf_trace_"):
            prototype = self._types[self._types[entry["type_id"]]["type_id"]]
            names = [name for name, _ in self.named_events.get(event, ())] or [None] * (len(prototype["params"]) - 1)
            types = [param["type_id"] for param in prototype["params"][1:]]  # the first is void *__data
            found[event] = tuple(self._param(*param) for param in zip(names, types, strict=True))
        return found

    def scalar_named(self, ctype: str) -> Scalar:
        """The numbers of a type as a declaration of a system call spells it."""
        words = [word for word in ctype.split() if word not in ("const", "volatile", "__user")]
        if "*" in ctype:
            return Scalar(8)
        return self._scalar(self._ids_by_name[" ".join(word for word in words if word != "enum")])

    @cached_property
    def _ids_by_name(self) -> dict[str, int]:
        named = {entry["name"]: number for number, entry in self._types.items() if entry["kind"] in _NUMBERS}
        # BTF has the compiler's order of the words, a declaration any.
        return named | {common: named[own] for common, own in _SPELLINGS.items() if own in named}

    def _param(self, name: str | None, type_id: int) -> Param:
        entry = self._bare(type_id)
        target = self._bare(entry["type_id"])["kind"] if entry["kind"] == "PTR" else None
        return Param(name, entry["kind"], target, self._scalar(type_id))

    def _bare(self, type_id: int) -> dict[str, Any]:
        entry = self._types.get(type_id, {"kind": "VOID"})
        return self._bare(entry["type_id"]) if entry["kind"] in _ALIASES else entry

    def _scalar(self, type_id: int) -> Scalar:
        entry = self._bare(type_id)
        if entry["kind"] == "PTR":
            return Scalar(8)
        encoding = entry.get("encoding", "")
        return Scalar(int(entry["size"]), encoding == "SIGNED", encoding == "BOOL")


_NUMBERS = ("INT", "ENUM", "ENUM64", "TYPEDEF")
_SPELLINGS = {
    "unsigned long": "long unsigned int", "long": "long int", "unsigned": "unsigned int",
    "unsigned short": "short unsigned int", "short": "short int",
    "unsigned long long": "long long unsigned int", "long long": "long long int",
}  # fmt: skip


def systems(tracefs: Path) -> dict[str, str]:
    """By event, the system of everything that can be switched on."""
    pairs = (line.split(":") for line in (tracefs / "available_events").read_text().splitlines())
    return {event: system for system, event in pairs}


def fields(tracefs: Path, system: str, event: str) -> tuple[Field, ...]:
    """The fields of an event's own."""
    return tuple(parsed_format((tracefs / "events" / system / event / "format").read_text()))


def parsed_format(text: str) -> Iterator[Field]:
    """The fields of a format file, but the common ones."""
    for line in _FIELD.finditer(text):
        parts = _DECLARATION.fullmatch(line["declaration"])
        assert parts, line[0]
        if not parts["name"].startswith("common_"):
            ctype = parts["type"].strip()
            dynamic = ctype.startswith(("__data_loc ", "__rel_loc "))
            place = int(line["offset"]), int(line["size"]), line["signed"] == "1"
            yield Field(ctype, parts["name"], *place, parts["array"] is not None, dynamic)
