"""The facts tpgen deals in, as plain frozen data in the kernel's own words.

C types are one class per BTF kind. Whatever is unknown is None, never 0.
"""

from __future__ import annotations

from enum import StrEnum

from tpgen.basics.frozen import frozen
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.diagnostics import Position

if TYPE_CHECKING:
    from typing import TypeAlias

# --- C types, by BTF kind


@frozen
class Void:
    """`void`, BTF type id 0."""


@frozen
class Int:
    """An integer as C spells it canonically (`unsigned long`, `_Bool`), with its size on the target."""

    name: str
    size_bytes: int
    signed: bool
    is_bool: bool = False


@frozen
class Float:
    """A floating point type; none occurs in a tracepoint, but BTF has the kind."""

    name: str
    size_bytes: int


@frozen
class Pointer:
    target: CType


@frozen
class Array:
    """An array; `length` is None when it is unknown, `length_text` is then the text of the source."""

    element: CType
    length: int | None
    length_text: str | None = None


@frozen
class Struct:
    """A struct or a union (`keyword`), without its members: a tracepoint has its address or its bytes.

    `name` is None for an anonymous one; `size_bytes` and `align_bytes` are None if unknown or not needed (behind a
    pointer). `forward` means that BTF only declares it, which is another kind to a relocation.
    """

    keyword: str
    name: str | None
    size_bytes: int | None = None
    align_bytes: int | None = None
    forward: bool = False


@frozen
class Enum:
    """An enum; `size_bytes` may be 1 for a packed one, and is None when unknown. `signed` as BTF's kind_flag has it."""

    name: str | None
    size_bytes: int | None = None
    signed: bool | None = None


@frozen
class Typedef:
    """A typedef name; `target` is None when the source only used the name."""

    name: str
    target: CType | None = None


@frozen
class Qualified:
    """`const`, `volatile` or `restrict` (`qualifier`) applied to a type."""

    qualifier: str
    target: CType


@frozen
class TypeTag:
    """An address-space or BTF type tag (`user`, `rcu`, `percpu`) applied to a type."""

    tag: str
    target: CType


@frozen
class FuncProto:
    """A function's type; the result and the parameters in order, `variadic` for a trailing `...`."""

    result: CType
    params: tuple[CType, ...]
    variadic: bool = False


CType: TypeAlias = Void | Int | Float | Pointer | Array | Struct | Enum | Typedef | Qualified | TypeTag | FuncProto

# --- what a tracepoint hands out


class Dynamic(StrEnum):
    """Kinds of locators of dynamic fields: offsets from the start of the record, or from the end of the locator."""

    DATA_LOC = "data_loc"
    REL_LOC = "rel_loc"


class Nullness(StrEnum):
    """Assumptions of the verifier about a pointer argument of a tp_btf program, since Linux 6.13."""

    NEVER = "never NULL"
    MAYBE = "maybe NULL"
    ERROR = "maybe an error: a number to the verifier"


@frozen
class Argument:
    """Argument number `slot` (a u64 at `ctx[slot]`) of a raw tracepoint; `name` is None if no source has it.

    `nullness` is None if the argument is no pointer, or if no source knows.
    """

    name: str | None
    type: CType
    slot: int
    nullness: Nullness | None = None


@frozen
class Field:
    """A member of the classic record, as TP_STRUCT__entry declares it.

    `type` is the declared type; for a dynamic field it is the element's type (None if no source has it) and
    `offset_bytes`/`size_bytes` are those of the u32 locator. A syscalls: argument is declared narrower than the
    `size_bytes` of the slot that holds it. `name` is without the `__data_loc_`/`__rel_loc_` prefix.
    """

    name: str
    type: CType | None
    offset_bytes: int | None
    size_bytes: int | None
    signed: bool | None
    dynamic: Dynamic | None = None

    @property
    def member_name(self) -> str:
        """The member's name in the kernel's struct, prefix included."""
        return f"__{self.dynamic}_{self.name}" if self.dynamic else self.name


@frozen
class Record:
    """The classic record: `header_bytes` of common header (the pad), then the fields.

    `size_bytes` is the struct's without its flexible tail, None when unknown.
    """

    header_bytes: int
    size_bytes: int | None
    fields: tuple[Field, ...]


@frozen
class Register:
    """A register of a system call that the kernel saved: `size_bytes` at `offset_bytes` of the `struct pt_regs` that
    its tracepoint has, or of the current `struct task_struct` where `of_task`.

    `name` is the member's; `mask` has the bits that count, None where all do.
    """

    name: str
    offset_bytes: int
    size_bytes: int
    of_task: bool = False
    mask: int | None = None


@frozen
class SyscallRegisters:
    """The places where a kernel saves the registers of system calls, the same for all of them.

    `args` are in the order of the call's arguments. `number` is where its number is found at its end. In the bits of
    `native` a call of the kernel's own ABI has `native_value`; `native` is None where there is no other ABI.
    """

    args: tuple[Register, ...]
    number: Register
    native: Register | None
    native_value: int = 0


#: The raw tracepoints that all system calls share.
SYSCALL_TRACEPOINTS = ("sys_enter", "sys_exit")


@frozen
class Syscall:
    """A system call as the raw tracepoint `tracepoint`, sys_enter or sys_exit, which all calls share, reports it.

    `number` is that of the call. `registers` are the places of its arguments. Each is None if unknown.
    """

    tracepoint: str
    number: int | None
    registers: SyscallRegisters | None


class Kind(StrEnum):
    """Kinds of events: a trace event with a record, a bare tracepoint without one, or a syscalls: event.

    `DYNAMIC` is a probe or a synthetic event that somebody defined: a record without a tracepoint of its own.
    """

    TRACE_EVENT = "trace_event"
    TRACEPOINT = "tracepoint"
    SYSCALL = "syscall"
    DYNAMIC = "dynamic"


class Origin(StrEnum):
    """Origins of facts, printed beside the facts."""

    HEADERS = "headers"
    TRACEFS = "tracefs"
    BTF = "btf"
    PROBESTUB = "btf:__probestub"
    TRACEITER = "btf:__traceiter"
    NAME = "btf: class of the same name"
    CATALOG = "catalog"
    VERIFIER = "verifier"
    LAYOUT = "equal layout"
    PROTOTYPE = "equal prototype"


@frozen
class Alternative:
    """A definition of an event in a header, and the condition of the `#if` around it, None without one."""

    position: Position
    condition: str | None


# Where the arguments are from here, an image has the tracepoint.
_OF_AN_IMAGE = frozenset((Origin.BTF, Origin.PROBESTUB, Origin.TRACEITER))


@frozen
class Event:
    """Everything known about one tracepoint of one kernel, each fact with its origin.

    The key is (`module`, `name`): module is None for vmlinux. `attach_name` is what raw_tp and tp_btf attach to, None
    when the event has no tracepoint of its own (syscalls:). `args` is None when unknown and () when there are none.
    `class_candidates` are the classes that fit equally well, if `class_name` could not be decided. `sleepable` means
    that programs can sleep there, `ambiguous` that another image of the kernel has a tracepoint of the same name.
    `nullness_origin` is the source of the arguments' nullness. `syscall` is that of a syscalls: event.
    `alternatives` are the definitions in headers. If nothing decides which one this kernel has, there are several, and
    only what they have in common is known.
    """

    system: str | None
    name: str
    module: str | None
    kind: Kind
    attach_name: str | None
    class_name: str | None
    class_origin: Origin | None
    class_candidates: tuple[str, ...]
    header: Position | None
    args: tuple[Argument, ...] | None
    args_origin: Origin | None
    names_origin: Origin | None
    record: Record | None
    record_origin: Origin | None
    print_fmt: str | None
    sleepable: bool = False
    ambiguous: bool = False
    syscall: Syscall | None = None
    nullness_origin: Origin | None = None
    alternatives: tuple[Alternative, ...] = ()

    @property
    def image(self) -> str | None:
        """The module, or `vmlinux` if BTF has the event there; None if unknown.

        Headers and format files do not show it.
        """
        in_vmlinux = self.kind == Kind.SYSCALL or self.args_origin in _OF_AN_IMAGE
        return self.module or ("vmlinux" if in_vmlinux else None)

    @property
    def title(self) -> str:
        """`system:name`, or only the name if no source has the system."""
        return f"{self.system}:{self.name}" if self.system else self.name
