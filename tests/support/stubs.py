"""Stand-ins for the kernel's types, with the size and alignment that events know of them, for compilers of C."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tpgen.model import Array, CType, Enum, Event, FuncProto, Int, Pointer, Qualified, Struct, Typedef, TypeTag
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import stripped

_TAGS = ("user", "rcu", "percpu", "iomem", "force", "bitwise", "kernel")
# What an enum of that size is packed into.
_WIDE = {1: "0x7f", 2: "0x7fff", 4: "0x7fffffff", 8: "0x7fffffffffffffff"}
_LOCATOR = Typedef("u32", Int("unsigned int", 4, False))


def stubs(events: Iterable[Event], target: Target) -> str:
    """C declarations of every type that the arguments and fields of `events` need."""
    types = _Types(target)
    types.declare(_LOCATOR)
    # Behind a pointer a type may be incomplete that elsewhere is handed out itself.
    for ctype in sorted((t for event in events for t in _types_of(event)), key=_is_address):
        types.declare(ctype)
    return "".join(f"#define __{tag}\n" for tag in _TAGS) + "".join(types.lines)


def _types_of(event: Event) -> Iterator[CType]:
    yield from (arg.type for arg in event.args or ())
    if event.record is not None:
        yield from (field.type for field in event.record.fields if field.type is not None)


def _is_address(ctype: CType) -> bool:
    return isinstance(stripped(ctype), Pointer)


class _Types:
    def __init__(self, target: Target) -> None:
        self.lines: list[str] = []
        self._target = target
        self._known: set[str] = set()

    def declare(self, ctype: CType, is_value: bool = True) -> None:
        """Whatever a declaration with this type needs; of one that is no value, only its name."""
        match ctype:
            case Pointer(target=target):
                self.declare(target, is_value=False)
            case Qualified(target=target) | TypeTag(target=target):
                self.declare(target, is_value)
            case Array(element=element):
                self.declare(element)  # C has no arrays of what is incomplete
            case FuncProto():
                for part in (ctype.result, *ctype.params):
                    self.declare(part, is_value=False)
            case Typedef(target=None):
                self._once(f"typedef {ctype.name}", f"typedef int {ctype.name};\n")
            case Typedef(name=name, target=Struct(name=None) | Enum(name=None) as target):
                self._once(f"typedef {name}", f"typedef {self._body(target)} {name};\n")
            case Typedef(name=name, target=target) if target is not None:
                self.declare(target, is_value)
                self._once(f"typedef {name}", f"typedef {spell(target, name)};\n")
            case Struct(name=str(name)):
                self._once(f"{ctype.keyword} {name}", f"{ctype.keyword} {name};\n")
                if is_value:
                    self._once(f"{name} body", f"{self._body(ctype)};\n")
            case Enum(name=str(name)):
                if ctype.size_bytes is not None:
                    self._once(f"enum {name}", f"{self._body(ctype)};\n")
            case _:
                pass

    def _body(self, ctype: Struct | Enum) -> str:
        name = ctype.name or ""
        if isinstance(ctype, Enum):
            value = f"{name or f'nameless_{len(self.lines)}'}_most"
            size = ctype.size_bytes or 4
            return f"enum {name} {{ {value} = {_WIDE[size]} }} __attribute__ ((packed))"
        size = ctype.size_bytes or 1
        align = min(ctype.align_bytes or 1, size & -size)  # BTF does not tell; it divides the size at least
        return f"{ctype.keyword} {name} {{ char bytes[{size}]; }} __attribute__ ((aligned ({align})))"

    def _once(self, key: str, line: str) -> None:
        if key not in self._known:
            self._known.add(key)
            self.lines.append(line)
