"""BTF as bpftool dumps it: the judge of what tpgen reads in BTF, and of what it reads in headers."""

from __future__ import annotations

import json
import lzma
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

#: The parameters of a function: their names, None where BTF has none, and their types as C.
Params: TypeAlias = tuple[tuple[str | None, str], ...]

_SPACES = re.compile(r"\b__(?:user|rcu|percpu|iomem)\b")
# The order in which the kernel writes integers, for those of which the compiler uses another.
_INTEGERS = {
    "long unsigned int": "unsigned long", "long int": "long", "short unsigned int": "unsigned short",
    "short int": "short", "long long unsigned int": "unsigned long long", "long long int": "long long",
    "__int128 unsigned": "unsigned __int128",
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """A struct: its members' names, offsets and sizes in bytes (None for a flexible array), and its own size."""

    members: tuple[tuple[str, int, int | None], ...]
    size: int


class Image:
    """The tracepoints of vmlinux or of one module; `module` is None for vmlinux."""

    def __init__(self, file: Path, base: Image | None = None) -> None:
        self.module = None if base is None else file.name.split(".")[0].replace("-", "_")
        self.file = file
        command = ["bpftool", "-j", *(["-B", str(base.file)] if base else []), "btf", "dump", "file", str(file)]
        dumped = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        self._own: list[dict[str, Any]] = dumped["types"]
        self._types: dict[int, dict[str, Any]] = {
            **(base._types if base else {}),
            **{entry["id"]: entry for entry in self._own},
        }

    def _named(self, kind: str, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for entry in self._own:
            if entry["kind"] == kind and entry["name"].startswith(prefix):
                yield entry["name"].removeprefix(prefix), entry

    @cached_property
    def event_ids(self) -> dict[str, int]:
        """The id of each typedef `btf_trace_<event>`, which tp_btf programs are loaded for."""
        return {name: entry["id"] for name, entry in self._named("TYPEDEF", "btf_trace_")}

    @cached_property
    def events(self) -> dict[str, Params]:
        """The raw arguments of each `btf_trace_<event>`, without names."""
        found = {}
        for name, entry in self._named("TYPEDEF", "btf_trace_"):
            prototype = self._types[self._types[entry["type_id"]]["type_id"]]
            found[name] = self._params(prototype)
        return found

    @cached_property
    def named_events(self) -> dict[str, Params]:
        """The same with the names that `__probestub_<event>` or `__traceiter_<event>` has."""
        return self._functions("__traceiter_") | self._functions("__probestub_")

    @cached_property
    def class_functions(self) -> dict[str, Params]:
        """The arguments of each class's `__bpf_trace_<class>`."""
        return self._functions("__bpf_trace_")

    @cached_property
    def records(self) -> dict[str, Layout]:
        """The layout of each `struct trace_event_raw_<class>`, without the common header and the flexible tail."""
        found = {}
        for name, entry in self._named("STRUCT", "trace_event_raw_"):
            members = tuple(
                (member["name"], member["bits_offset"] // 8, self._size(member["type_id"]))
                for member in entry["members"]
                if member["name"] not in ("ent", "__data")
            )
            found[name] = Layout(members, entry["size"])
        return found

    def _functions(self, prefix: str) -> dict[str, Params]:
        return {name: self._params(self._types[entry["type_id"]]) for name, entry in self._named("FUNC", prefix)}

    def _params(self, prototype: dict[str, Any]) -> Params:
        params = prototype["params"][1:]  # the first is void *__data
        return tuple((_name(param), self.spell(param["type_id"])) for param in params)

    def _size(self, type_id: int) -> int | None:
        entry = self._types[type_id]
        match entry["kind"]:
            case "PTR":
                return 8
            case "ARRAY":
                size = self._size(entry["type_id"])
                return None if size is None else size * int(entry["nr_elems"])
            case "TYPEDEF" | "CONST" | "VOLATILE" | "RESTRICT" | "TYPE_TAG":
                return self._size(entry["type_id"])
            case _:
                return int(entry["size"])

    def spell(self, type_id: int, declarator: str = "") -> str:
        """A type as C, with `declarator` where the name of a variable would stand."""
        if type_id == 0:
            return f"void {declarator}".strip()
        entry = self._types[type_id]
        match entry["kind"]:
            case "PTR":
                target = self._types.get(entry["type_id"], {"kind": "VOID"})["kind"]
                inner = f"(*{declarator})" if target in ("FUNC_PROTO", "ARRAY") else f"*{declarator}"
                return self.spell(entry["type_id"], inner)
            case "CONST" | "VOLATILE" | "RESTRICT" as kind if declarator.startswith("*") or not self._is_pointer(entry):
                return f"{kind.lower()} {self.spell(entry['type_id'], declarator)}"
            case "CONST" | "VOLATILE" | "RESTRICT" as kind:
                return self.spell(entry["type_id"], f"{kind.lower()} {declarator}".strip())
            case "ARRAY":
                return self.spell(entry["type_id"], f"{declarator}[{entry['nr_elems']}]")
            case "FUNC_PROTO":
                params = [self.spell(param["type_id"]) for param in entry["params"]] or ["void"]
                return self.spell(entry["ret_type_id"], f"{declarator}({', '.join(params)})")
            case "TYPE_TAG":
                return self.spell(entry["type_id"], declarator)
            case "STRUCT" | "UNION" | "ENUM" | "ENUM64" as kind:
                return f"{kind.lower().removesuffix('64')} {entry['name']} {declarator}".strip()
            case "FWD":
                return f"{entry['fwd_kind']} {entry['name']} {declarator}".strip()
            case _:
                return f"{_INTEGERS.get(entry['name'], entry['name'])} {declarator}".strip()

    def _is_pointer(self, entry: dict[str, Any]) -> bool:
        target = self._types.get(entry["type_id"])
        return target is not None and target["kind"] == "PTR"


def _name(param: dict[str, Any]) -> str | None:
    name = param["name"]
    return None if name == "(anon)" else str(name)


def without_spaces(ctype: str) -> str:
    """A type as C without blanks and without address spaces, which gcc does not record in BTF."""
    return re.sub(r"\s+", "", _SPACES.sub("", ctype))


_Kind = TypeVar("_Kind", bound=Image)


def images(vmlinux: bytes, modules: Sequence[Path], folder: Path, kind: type[_Kind]) -> list[_Kind]:
    """The image with this BTF of vmlinux, and those of the modules (maybe compressed). `folder` is for scratch."""
    base_file = folder / "vmlinux.btf"
    base_file.write_bytes(vmlinux)
    base = kind(base_file)
    found = [base]
    for module in modules:
        plain = module
        if module.suffix == ".xz":
            plain = folder / module.stem
            plain.write_bytes(lzma.decompress(module.read_bytes()))
        found.append(kind(plain, base))
        if plain != module:
            plain.unlink()
    return found
