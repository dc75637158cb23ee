"""The tracepoints in the BTF of a kernel or module.

For an event the kernel's headers make a typedef `btf_trace_<event>` with the raw arguments' types, and the functions
`__traceiter_<event>` and (since Linux 6.6) `__probestub_<event>` whose parameters also have names. For an event class
they make a `struct trace_event_raw_<class>`, the classic record, and a function `__bpf_trace_<class>`.
Source: include/trace/bpf_probe.h, include/linux/tracepoint.h, include/trace/stages/stage1_struct_define.h.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from tpgen.basics.memo import memoised
from tpgen.basics.typing import NamedTuple
from tpgen.diagnostics import TpgenError, fail
from tpgen.layout import MAX_RECORD_BYTES, SLOT_SIZES
from tpgen.model import Argument, CType, Dynamic, Field, Origin, Record
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind, Member, Param
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import is_signed, kind_of, size_of

_EVENT_TYPEDEF, _CLASS_RECORD, _CLASS_FUNCTION = "btf_trace_", "trace_event_raw_", "__bpf_trace_"
_NAMED_FUNCTIONS = {"__probestub_": Origin.PROBESTUB, "__traceiter_": Origin.TRACEITER}
_LOCATORS = tuple((f"__{kind}_", kind) for kind in Dynamic)
_SYSCALL_RECORDS = ("syscall_trace_enter", "syscall_trace_exit", "syscall_tp_t")

#: What `Btf` is to look for in its walk, for `BtfTracepoints` to read.
TRACEPOINT_NAMES = (
    rf"(?:{'|'.join((_EVENT_TYPEDEF, _CLASS_RECORD, _CLASS_FUNCTION, *_NAMED_FUNCTIONS))})\w+"
    rf"|trace_entry|{'|'.join(_SYSCALL_RECORDS)}|bpf_raw_event_map|pt_regs|task_struct"
)


class RawPrototype(NamedTuple):
    """The raw arguments of one event. `names_origin` is None where BTF names none of them.

    `disagreement` is the difference between functions that should have the same parameters, None where they agree.
    """

    args: tuple[Argument, ...]
    names_origin: Origin | None
    disagreement: str | None


class BtfTracepoints:
    """The tracepoints of one `Btf`, of vmlinux where `module` is None. The `Btf` was made with TRACEPOINT_NAMES.

    `build_id` is the GNU build id of its image in hex, None where that shows none.
    """

    def __init__(self, btf: Btf, module: str | None = None, build_id: str | None = None) -> None:
        self.btf = btf
        self.module = module
        self.build_id = build_id
        self._built_records: dict[str, Record | None] = {}

    # The types of interest, by kind, since a function can have the name of a struct. One event is looked up by itself.

    def _id_of(self, kind: BtfKind, name: str) -> int | None:
        """The first type of that kind and name. A few are looked for by themselves."""
        return self._by_kind[kind].get(name) if self.btf.is_indexed else self._found(kind, name)

    @memoised
    def _found(self, kind: BtfKind, name: str) -> int | None:
        return next(self.btf.ids_of(kind, name), None)

    @cached_property
    def _by_kind(self) -> dict[BtfKind, dict[str, int]]:
        """The first types of each kind of interest by their names, in the order of BTF."""
        found: dict[BtfKind, dict[str, int]] = {kind: {} for kind in (BtfKind.STRUCT, BtfKind.FUNC, BtfKind.TYPEDEF)}
        for name, ids in self.btf.named.items():
            for type_id in ids:
                if (of_kind := found.get(self.btf.kind(type_id))) is not None:
                    of_kind.setdefault(name, type_id)
        return found

    def _names_of(self, kind: BtfKind, prefix: str) -> tuple[str, ...]:
        """The names of all types of that kind that begin so, without the beginning."""
        return tuple(name.removeprefix(prefix) for name in self._by_kind[kind] if name.startswith(prefix))

    @property
    def target(self) -> Target:
        return self.btf.target

    @cached_property
    def events(self) -> tuple[str, ...]:
        """The names of the raw tracepoints, in the order of BTF."""
        return self._names_of(BtfKind.TYPEDEF, _EVENT_TYPEDEF)

    def has_event(self, event: str) -> bool:
        """Whether there is a raw tracepoint of that name."""
        return self._id_of(BtfKind.TYPEDEF, _EVENT_TYPEDEF + event) is not None

    def event_type(self, event: str) -> int:
        """Return the id of the typedef `btf_trace_<event>`, which a tp_btf program is attached to; 0 without one."""
        return self._id_of(BtfKind.TYPEDEF, _EVENT_TYPEDEF + event) or 0

    def param_types(self, event: str) -> tuple[int, ...]:
        """Return the ids of the types of an event's raw arguments, in the order of `btf_trace_<event>`."""
        return self._type_ids(self._event_params(event))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of the event classes that have a record."""
        return self._names_of(BtfKind.STRUCT, _CLASS_RECORD)

    def has_class(self, event_class: str) -> bool:
        """Whether there is an event class of that name that has a record."""
        return self._id_of(BtfKind.STRUCT, _CLASS_RECORD + event_class) is not None

    @property
    def has_raw_event_map(self) -> bool:
        """Whether the kernel has `struct bpf_raw_event_map`, as it does since it supports raw tracepoints."""
        return self._id_of(BtfKind.STRUCT, "bpf_raw_event_map") is not None

    @property
    def has_null_table(self) -> bool:
        """Whether the kernel's verifier has the table of raw arguments that may be NULL, whose type is in its BTF.

        Since Linux 838a10bd2ebf ("bpf: Augment raw_tp arguments with PTR_MAYBE_NULL") (in v6.13).
        """
        return self.btf.has_string("bpf_raw_tp_null_args")

    def raw_evidence(self) -> Iterator[tuple[str, bool | None]]:
        """Tell whether the kernel supports raw tracepoints: each thing looked at, and None where it decides nothing."""
        enumerator = "BPF_PROG_TYPE_RAW_TRACEPOINT"
        has = self.btf.has_string(enumerator)
        yield f"BTF {'has' if has else 'lacks'} the enumerator {enumerator}", True if has else None
        has = self.has_raw_event_map
        yield f"BTF {'has' if has else 'lacks'} struct bpf_raw_event_map", True if has else None
        yield f"BTF has {len(self.events)} btf_trace_* prototypes", True if self.events else None

    @cached_property
    def syscalls_may_sleep(self) -> bool:
        """Whether programs may sleep at the tracepoints of system calls.

        Linux 7.2 lets them and has `trace_call_bpf_faultable`, 6.18 does neither. They are called where they may fault.
        """
        return self.btf.has_string("trace_call_bpf_faultable")

    # --- raw

    @memoised
    def raw(self, event: str) -> RawPrototype | None:
        """The raw arguments of an event in the order of `btf_trace_<event>`; None where there is no such event."""
        if not self.has_event(event):
            return None
        declared = self._event_params(event)
        types = self._types(declared)
        for slot, ctype in enumerate(types):
            kind = kind_of(ctype)
            if kind is None or (kind != "ptr" and size_of(ctype, self.target) not in SLOT_SIZES):
                message = f"argument {slot} of btf_trace_{event} is of type `{spell(ctype)}`, which fits no u64"
                raise self._bad("btf-bad-size", message)
        names, origin, disagreement = self._names(event, declared, types)
        args = tuple(Argument(name, ctype, slot) for slot, (name, ctype) in enumerate(zip(names, types, strict=True)))
        return RawPrototype(args, origin, disagreement)

    @memoised
    def class_prototype(self, event_class: str) -> tuple[CType, ...] | None:
        """The parameter types that `__bpf_trace_<class>` takes; None where BTF has no such function."""
        type_id = self._id_of(BtfKind.FUNC, _CLASS_FUNCTION + event_class)
        return None if type_id is None else self._types(self.btf.params(type_id)[1:])

    def classes_like(self, event: str) -> tuple[str, ...]:
        """The classes whose `__bpf_trace_<class>` has the parameters of `btf_trace_<event>`.

        Compared by type id: event and class are compiled together, and BTF has equal types once.
        """
        return self.classes_of(self.param_types(event))

    def is_like(self, event: str, event_class: str) -> bool:
        """Whether a class is one of `classes_like` the event, which takes a look at no other class."""
        function = self._id_of(BtfKind.FUNC, _CLASS_FUNCTION + event_class)
        return (
            function is not None
            and self._type_ids(self.btf.params(function)[1:]) == self._type_ids(self._event_params(event))
            and self.has_class(event_class)
        )

    def classes_with(self, members: Sequence[str]) -> list[str]:
        """The classes that are found by the longest name of these members of their records, in the order of BTF."""
        found = self.btf.ids_naming(max(members, key=len))
        names = {i: self.btf.name(i) for i in dict.fromkeys(found) if self.btf.kind(i) == BtfKind.STRUCT}
        records = {i: name for i, name in names.items() if name.startswith(_CLASS_RECORD)}
        wanted = ["ent", *members, "__data"]
        same = (n for i, n in records.items() if [member.name for member in self.btf.members(i)] == wanted)
        return [name.removeprefix(_CLASS_RECORD) for name in same]

    @memoised
    def classes_of(self, types: tuple[int, ...]) -> tuple[str, ...]:
        """The classes whose functions have parameters of these types, in the order of their records in BTF."""
        structs = {name: self._id_of(BtfKind.STRUCT, _CLASS_RECORD + name) for name in self._by_types.get(types, ())}
        ids = {name: type_id for name, type_id in structs.items() if type_id is not None}
        return tuple(sorted(ids, key=ids.__getitem__))

    @cached_property
    def _by_types(self) -> dict[tuple[int, ...], list[str]]:
        """The functions of classes, by what stands behind `__bpf_trace_`, by the types of their parameters."""
        found: dict[tuple[int, ...], list[str]] = {}
        for name, type_id in self._class_functions():
            types = self._type_ids(self.btf.params(type_id)[1:])
            found.setdefault(types, []).append(name.removeprefix(_CLASS_FUNCTION))
        return found

    def _class_functions(self) -> Iterator[tuple[str, int]]:
        """The functions `__bpf_trace_<class>`; they are looked for without all other names where these are unknown."""
        if self.btf.is_indexed:
            yield from ((n, i) for n, i in self._by_kind[BtfKind.FUNC].items() if n.startswith(_CLASS_FUNCTION))
            return
        for name, ids in self.btf.named_like(_CLASS_FUNCTION + r"\w+").items():
            if (first := next((i for i in ids if self.btf.kind(i) == BtfKind.FUNC), None)) is not None:
                yield name, first

    @staticmethod
    def _type_ids(params: tuple[Param, ...]) -> tuple[int, ...]:
        return tuple([param.type_id for param in params])

    @memoised
    def _event_params(self, event: str) -> tuple[Param, ...]:
        # typedef void (*btf_trace_<event>)(void *__data, ...)
        typedef = self._id_of(BtfKind.TYPEDEF, _EVENT_TYPEDEF + event)
        assert typedef is not None
        pointer = self.btf.target_id(typedef)
        if self.btf.kind(pointer) != BtfKind.PTR:
            raise self._bad("btf-bad-kind", f"btf_trace_{event} is not a function pointer")
        return self.btf.params(self.btf.target_id(pointer))[1:]

    def _types(self, params: tuple[Param, ...]) -> tuple[CType, ...]:
        return tuple(self.btf.ctype(param.type_id) for param in params)

    def _names(
        self, event: str, declared: tuple[Param, ...], types: tuple[CType, ...]
    ) -> tuple[tuple[str | None, ...], Origin | None, str | None]:
        """The arguments' names, where they are from, and a disagreement on the way to them.

        `types` are those of the parameters that the prototype has `declared`.
        """
        for prefix, origin in _NAMED_FUNCTIONS.items():
            type_id = self._id_of(BtfKind.FUNC, prefix + event)
            if type_id is None:
                continue
            params = self.btf.params(type_id)[1:]
            if self._type_ids(params) != self._type_ids(declared) and self._types(params) != types:
                return (None,) * len(types), None, f"{prefix}{event} has other parameters than btf_trace_{event}"
            names = tuple(param.name for param in params)
            if all(names):
                return names, origin, None
        return (None,) * len(types), None, None

    # --- classic

    @cached_property
    def header_bytes(self) -> int:
        """The size of the common header, `struct trace_entry`: 8, or more on vendors' real-time kernels."""
        entry = self._id_of(BtfKind.STRUCT, "trace_entry")
        if entry is None and self.btf.base is not None:
            return BtfTracepoints(self.btf.base).header_bytes
        return self._record_size(entry) if entry is not None else 8

    def record(self, event_class: str) -> Record | None:
        """The classic record of a class from `struct trace_event_raw_<class>`; None where BTF has none."""
        if event_class not in self._built_records:
            type_id = self._id_of(BtfKind.STRUCT, _CLASS_RECORD + event_class)
            self._built_records[event_class] = None if type_id is None else self._record(type_id)
        return self._built_records[event_class]

    def syscall_record(self, entering: bool) -> Record | None:
        """The context of a program at sys_enter_* or sys_exit_*: the `struct syscall_tp_t` that the kernel builds.

        It has two fields: the number `syscall_nr`, and the array `args` or the value `ret`. Both structs have the same
        name. None where BTF lacks them.
        """
        return self._syscall_struct("syscall_tp_t", "args" if entering else "ret")

    def syscall_entry(self, entering: bool) -> Record | None:
        """The record that tracefs shows of sys_enter_* or sys_exit_*, which is not what a program gets.

        Its fields are the number `nr`, and `args` or `ret`. None where BTF lacks the struct.
        """
        name, member = ("syscall_trace_enter", "args") if entering else ("syscall_trace_exit", "ret")
        return self._syscall_struct(name, member)

    @memoised
    def _syscall_struct(self, name: str, last: str) -> Record | None:
        """The record of a struct of that name whose last member has the name `last`, with its last two fields."""
        for type_id in self.btf.ids_of(BtfKind.STRUCT, name):
            fields = self._record(type_id).fields[-2:]
            if len(fields) == 2 and fields[-1].name == last:
                return Record(self.header_bytes, self.btf.size(type_id), fields)
        return None

    def _record(self, type_id: int) -> Record:
        members = [m for m in self.btf.members(type_id) if m.name not in ("ent", "__data")]
        fields = tuple(self._field(member) for member in members)
        size = self._record_size(type_id)
        for field in fields:
            assert field.offset_bytes is not None and field.size_bytes is not None
            if field.offset_bytes + field.size_bytes > size:
                raise self._bad("btf-bad-size", f"member {field.member_name} lies behind the end of type {type_id}")
        return Record(self.header_bytes, size, fields)

    def _record_size(self, type_id: int) -> int:
        size = self.btf.size(type_id)
        if size > MAX_RECORD_BYTES:
            raise self._bad("btf-bad-size", f"type {type_id} has {size} bytes, too many for a trace record")
        return size

    def _bad(self, code: str, message: str) -> TpgenError:
        return fail(code, f"corrupt BTF: {message}", self.btf.path)

    def _field(self, member: Member) -> Field:
        name, dynamic = member.name, None
        if not name.isidentifier():
            raise self._bad("btf-bad-name", f"a member of a trace record has the name {name!r}")
        ctype: CType | None = self.btf.ctype(member.type_id)
        size = self.btf.size(member.type_id)
        for prefix, kind in _LOCATORS:
            # Only a u32 locates dynamic data; nothing stops a plain field from having such a name.
            if name.startswith(prefix) and size == 4:
                # What it locates, BTF does not tell.
                name, dynamic, ctype = name.removeprefix(prefix), kind, None
        return Field(
            name,
            ctype,
            member.offset_bits // 8,
            size,
            None if ctype is None else is_signed(ctype),
            dynamic,
        )
