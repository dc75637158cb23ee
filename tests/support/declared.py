"""Kernels of events as their headers declare them, written as C writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from support.btf_builder import BOOL, SIGNED, BtfBuilder
from support.cli import tpgen
from support.small_kernel import write_btf

# name: size in bytes and encoding
INTEGERS = {
    "char": (1, SIGNED), "u8": (1, 0), "int": (4, SIGNED), "unsigned int": (4, 0), "long": (8, SIGNED),
    "unsigned long": (8, 0), "long long": (8, SIGNED), "u64": (8, 0), "_Bool": (1, BOOL),
}  # fmt: skip
TYPEDEFS = {
    "gfp_t": "unsigned int", "pid_t": "int", "blk_status_t": "u8", "vm_fault_t": "unsigned int", "__be32": "__u32",
    "__le32": "__u32", "__u32": "unsigned int", "bool": "_Bool", "sector_t": "u64", "fsblock_t": "u64",
    "size_t": "unsigned long",
}  # fmt: skip


class Kernel(BtfBuilder):
    """BTF whose types are written as C writes them."""

    def of(self, text: str) -> int:
        """The type that `text` spells: a word, `struct x`, `enum x`, `const` in front, `*` or `[n]` behind."""
        known: dict[str, int] = self.__dict__.setdefault("known", {})
        if text not in known:
            known[text] = self._made(text)
        return known[text]

    def _made(self, text: str) -> int:
        if text.endswith("*"):
            return self.ptr(self.of(text[:-1].strip()))
        if text.endswith("]"):
            element, _, length = text[:-1].rpartition("[")
            return self.array(self.of(element), int(length))
        word, _, rest = text.partition(" ")
        match word:
            case "void":
                return 0
            case "const":
                return self.qualifier("CONST", self.of(rest))
            case "struct":
                return self.fwd(rest)
            case "enum":
                return self.enum(rest)
            case _ if text in TYPEDEFS:
                return self.typedef(text, self.of(TYPEDEFS[text]))
            case _:
                size, encoding = INTEGERS[text]
                return self.integer(text, size, encoding)


@dataclass(frozen=True)
class Declared:
    """An event as its header declares it: `type name` for each argument, `type name @offset` for each field."""

    args: str = ""
    fields: str | None = ""
    size: int = 128
    cls: str = "event"


def kernel(path: Path, **events: Declared) -> Path:
    """The BTF of a kernel with these events, in a file."""
    b = Kernel()
    b.structure("trace_entry", 8)
    add(b, events)
    return write_btf(path, b)


def add(b: Kernel, events: dict[str, Declared]) -> None:
    """Adds events to the BTF of a kernel or of a module."""
    for name, event in events.items():
        params = [(arg, b.of(ctype)) for ctype, _, arg in map(_partitioned, _listed(event.args))]
        b.event(name, params)
        members = None
        if event.fields is not None:
            members = []
            for field in _listed(event.fields):
                declaration, _, offset = field.partition(" @")
                ctype, _, member = _partitioned(declaration)
                members.append((member, b.of(ctype), int(offset)))
            b.event_class(event.cls, [ctype for _, ctype in params], event.size, members)
        else:
            b.event_class(name, [ctype for _, ctype in params])


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _partitioned(declaration: str) -> tuple[str, str, str]:
    """`char *name` in its type and its name."""
    end = max(declaration.rfind(" "), declaration.rfind("*")) + 1
    return declaration[:end].strip(), "", declaration[end:]


def catalog(name: str, *sources: str | Path) -> str:
    """The name of a catalog of what the sources say."""
    assert tpgen("catalog", "add", name, *sources).code == 0
    return name


def with_modules(
    folder: Path, name: str, vmlinux: dict[str, Declared], *options: str, **modules: dict[str, Declared]
) -> str:
    """The name of a kernel with modules: their events by the module's name."""
    base = Kernel()
    base.structure("trace_entry", 8)
    add(base, vmlinux)
    files = []
    for module, events in modules.items():
        split = Kernel(base=base)
        add(split, events)
        files += ["--btf", write_btf(folder / f"{module}.btf", split)]
    return catalog(name, "--btf", write_btf(folder / "vmlinux", base), *files, *options)
