"""Resolve: the facts of all sources of one kernel, joined into one `Event` per tracepoint.

Each fact is taken from the source that knows it best: raw arguments' types from BTF, their order from TP_ARGS in the
headers, offsets as the kernel reports them, dynamic fields' element types from tracefs. The event says which.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from tpgen.cache.memo import memoised
from tpgen.kernel.array_lengths import measured
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.kernel.sources import Sources
from tpgen.kernel.syscalls import syscall, syscall_events
from tpgen.layout import HEADER_ALIGN, SLOT_BYTES, lay_out, round_up
from tpgen.model import SYSCALL_TRACEPOINTS, Argument, CType, Dynamic, Event, Field, Kind, Origin, Record
from tpgen.sources.btf_tracepoints import BtfTracepoints, RawPrototype
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent
from tpgen.sources.source_tree.null_args import nullness
from tpgen.target import Target
from tpgen.typequery import is_only_named, is_signed, kind_of, same_type

if TYPE_CHECKING:
    from tpgen.diagnostics import Position
    from tpgen.sources.formats import Format
    from tpgen.sources.headers.trace_events.syscall_defines import SyscallDefine

SYSCALLS_SYSTEM = "syscalls"
# To list all events of all images takes as long as to look for half a dozen names.
_FEW = 6
_Fact: TypeAlias = HeaderEvent | HeaderClass
#: Where a record's fields are: name, kind of locator, offset and size in bytes.
Placement: TypeAlias = tuple[tuple[str, Dynamic | None, int | None, int | None], ...]


class ClassChoice(NamedTuple):
    """An event's class and how it was found, or None and the classes that fit equally well."""

    name: str | None
    origin: Origin | None
    candidates: tuple[str, ...] = ()


class Kernel(KernelEvents):
    """One kernel's events, resolved when asked for."""

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources.label, sources.target, sources.release, sources.notes)
        self.sources = sources
        self._asked: dict[str, list[BtfTracepoints]] = {}
        self._events: dict[EventKey, Event] = {}
        self._formats: dict[tuple[str, str], Format] = {}

    # --- which events there are

    @cached_property
    def _tracefs_systems(self) -> dict[str, list[str]]:
        """Every tracefs event's systems. Listing takes a while, so a run that asks for one event goes around it."""
        systems = defaultdict(list)
        if self.sources.tracefs:
            for system, name in self.sources.tracefs.events():
                systems[name].append(system)
        return dict(systems)

    @cached_property
    def _btfs_by_name(self) -> dict[str, list[BtfTracepoints]]:
        found = defaultdict(list)
        for btf in self.sources.btfs:
            for name in btf.events:
                found[name].append(btf)
        return dict(found)

    def _btfs_of(self, name: str) -> list[BtfTracepoints]:
        """The images that have a raw tracepoint of that name. For the first few names each image is asked."""
        if "_btfs_by_name" not in self.__dict__ and (name in self._asked or len(self._asked) < _FEW):
            if name not in self._asked:
                self._asked[name] = [btf for btf in self.sources.btfs if btf.has_event(name)]
            return self._asked[name]
        return self._btfs_by_name.get(name, [])

    @cached_property
    def _modules_without_btf(self) -> dict[str, list[str]]:
        """The modules without BTF that have a tracepoint, by its name."""
        found = defaultdict(list)
        for module, names in sorted(self.sources.modules_without_btf.items()):
            for name in names:
                found[name].append(module)
        return dict(found)

    def _modules_of(self, name: str) -> list[str | None]:
        """The modules that have a tracepoint of that name, None for vmlinux."""
        return [*(btf.module for btf in self._btfs_of(name)), *self._modules_without_btf.get(name, ())]

    @cached_property
    def _header_events(self) -> dict[str, list[HeaderEvent]]:
        found = defaultdict(list)
        for event in self.sources.headers.events if self.sources.headers else ():
            found[event.name].append(event)
        return dict(found)

    @cached_property
    def _header_classes(self) -> dict[str, list[HeaderClass]]:
        found = defaultdict(list)
        for event_class in self.sources.headers.classes if self.sources.headers else ():
            found[event_class.name].append(event_class)
        return dict(found)

    @cached_property
    def _defined_syscalls(self) -> dict[str, SyscallDefine]:
        """What the sources say of the call of each syscalls: event; those whose call has a number here."""
        defines = self.sources.tree.syscalls if self.sources.tree else None
        return dict(syscall_events(defines, self.target)) if defines else {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all events, sorted."""
        names = {*self._tracefs_systems, *self._btfs_by_name, *self._modules_without_btf, *self._defined_syscalls}
        # Headers tell of what a kernel could have; where it can be asked itself, it decides.
        return tuple(sorted(names or self._header_events))

    def _systems_of(self, name: str) -> tuple[str, ...]:
        if "_tracefs_systems" in self.__dict__:
            return tuple(self._tracefs_systems.get(name, ()))
        return self.sources.tracefs.systems_of(name) if self.sources.tracefs else ()

    def keys_of(self, name: str) -> list[EventKey]:
        """Every event of exactly this name."""
        systems = list(self._systems_of(name))
        keys = []
        for module in self._modules_of(name):
            system = self._system_in(systems, module)
            if system in systems:
                systems.remove(system)
            keys.append(EventKey(system or self._header_system(name, module), name, module))
        keys += [EventKey(system, name) for system in systems]
        if name in self._defined_syscalls and SYSCALLS_SYSTEM not in systems:
            keys.append(EventKey(SYSCALLS_SYSTEM, name))
        if not keys and not self.sources.btfs and not self.sources.tracefs:
            found = dict.fromkeys(EventKey(event.system, name) for event in self._header_events.get(name, ()))
            keys = list(found)
        return keys

    @staticmethod
    def _system_in(systems: list[str], module: str | None) -> str | None:
        """Which of the systems with an event of this name is the module's: by its name where there are several."""
        if len(systems) > 1 and module in systems:
            return module
        return systems[0] if systems else None

    def _header_system(self, name: str, module: str | None) -> str | None:
        """The system that the headers give the event; the module's own where they give it several."""
        systems = {event.system for event in self._header_events.get(name, ())}
        if len(systems) > 1:
            return module if module in systems else None
        return systems.pop() if systems else None

    def keys(self) -> list[EventKey]:
        """Every event, sorted by system and name."""
        _ = self._tracefs_systems  # all are wanted, so list them once
        keys = [key for name in self.names for key in self.keys_of(name)]
        return sorted(keys, key=lambda key: (key.system or "", key.name, key.module or ""))

    # --- one event

    def events(self, keys: list[EventKey], raw_only: bool = False) -> list[Event]:
        """The resolved events of `keys`; asking for many at once reads their format files in one go.

        With `raw_only` the events come without class and record, for which no format file need be read.
        """
        if raw_only:
            # Those of system calls tell their arguments.
            self._read_formats([key for key in keys if key.system == SYSCALLS_SYSTEM])
            return [self._resolve(key, raw_only=True) for key in keys]
        self._read_formats(keys)
        return [self.event(key) for key in keys]

    def event(self, key: EventKey) -> Event:
        """The resolved event; sources that disagree about it are compared by `check`, not here."""
        found = self._events.get(key)
        if found is None:
            self._read_formats([key])
            found = self._events[key] = self._resolve(key)
        return found

    def _read_formats(self, keys: list[EventKey]) -> None:
        wanted = [
            (key.system, key.name)
            for key in keys
            if key.system and (key.system, key.name) not in self._formats and key.system in self._systems_of(key.name)
        ]
        if wanted:
            assert self.sources.tracefs
            self._formats |= zip(wanted, self.sources.tracefs.formats(wanted), strict=True)

    def format(self, key: EventKey) -> Format | None:
        """What tracefs says of the event, None where it does not know it."""
        self._read_formats([key])
        return self._formats.get((key.system or "", key.name))

    def syscall_format(self, key: EventKey) -> Format | None:
        """The format of a syscalls: event, which has no tracepoint of its own; None for any other event."""
        return self.format(key) if key.system == SYSCALLS_SYSTEM and self.btf(key) is None else None

    def btf(self, key: EventKey) -> BtfTracepoints | None:
        """The BTF of the image that has the event's raw tracepoint, None where none has."""
        return next((btf for btf in self._btfs_of(key.name) if btf.module == key.module), None)

    def raw(self, key: EventKey) -> RawPrototype | None:
        """What BTF says of the event's raw arguments."""
        btf = self.btf(key)
        return btf.raw(key.name) if btf else None

    def header_event(self, key: EventKey) -> HeaderEvent | None:
        """What the headers say of the event: where they say several things, that which fits the kernel best."""
        events = self._header_events.get(key.name, [])
        if len(events) < 2:
            return events[0] if events else None
        raw = self.raw(key)

        def fits(event: HeaderEvent) -> tuple[bool, bool, bool]:
            same = raw is not None and _same_arguments(event.args, raw.args)
            return event.system == key.system, same, event.condition is None

        return max(events, key=fits)

    def header_class(self, key: EventKey) -> HeaderClass | None:
        """The class that the headers give the event; the one of the same header where the name exists twice."""
        event, btf = self.header_event(key), self.btf(key)
        if event is None:
            return None
        record = btf.record(event.class_name) if btf else None
        members = [field.member_name for field in record.fields] if record else None

        def fits(cls: HeaderClass) -> tuple[bool, bool]:
            # The branches of an #if may give one class different fields (xfarray_sort_stats): BTF has those compiled.
            compiled = [field.member_name for field in cls.fields] == members
            return cls.position.path == event.position.path, compiled

        return max(self._header_classes.get(event.class_name, []), key=fits, default=None)

    @cached_property
    def _resolved_facts(self) -> dict[int, _Fact]:
        """The events and classes of the headers with resolved types, by the id of what is written."""
        tree = self.sources.tree
        assert tree is not None
        written, resolved = tree.headers.facts, tree.headers.resolved
        before: tuple[_Fact, ...] = (*written.events, *written.classes)
        after: tuple[_Fact, ...] = (*resolved.events, *resolved.classes)
        # A tree that is edited at this moment may state other facts by now.
        pairs = zip(before, after, strict=False)
        return {id(old): new for old, new in pairs if (old.name, old.position) == (new.name, new.position)}

    def resolved_event(self, key: EventKey) -> HeaderEvent | None:
        """`header_event` with the types that the headers around it define."""
        written = self.header_event(key)
        return None if written is None else cast(HeaderEvent, self._resolved_facts.get(id(written), written))

    def resolved_class(self, key: EventKey) -> HeaderClass | None:
        """`header_class` with the types that the headers around it define."""
        written = self.header_class(key)
        return None if written is None else cast(HeaderClass, self._resolved_facts.get(id(written), written))

    @cached_property
    def headers_match(self) -> bool:
        """Whether headers and kernel are of the same release, as far as both tell: else the headers do not decide."""
        headers, release = self.sources.headers, self.sources.release
        if headers is None or headers.release is None or release is None:
            return True
        return headers.release.split("-")[0] == release.split("-")[0]

    def _resolve(self, key: EventKey, raw_only: bool = False) -> Event:
        btf = self.btf(key)
        header, form = self.header_event(key), None if raw_only else self.format(key)
        if btf is None and (shown := self.syscall_format(key)):
            given = self._syscall_record(key, shown.fields, _header_bytes(shown))
            return self._syscall(key, given, Origin.TRACEFS, None, shown.print_fmt)
        if btf is None and key.system == SYSCALLS_SYSTEM and (defined := self._defined_syscalls.get(key.name)):
            given = self._syscall_record(key, _syscall_fields(key.name, defined, self.target), SLOT_BYTES)
            return self._syscall(key, given, Origin.HEADERS, defined.position, None)
        kind = self._kind(key, btf, form, header)
        args, args_origin, names_origin = self._arguments(key, btf, header)
        choice, record, record_origin = ClassChoice(None, None), None, None
        if kind != Kind.TRACE_EVENT:
            choice = ClassChoice(header.class_name if header else key.name, None)
        elif not raw_only:
            choice = self.class_choice(key)
            record, record_origin = self._record(key, btf, form, choice)
        attachable = btf is not None or (header.attachable if header is not None else key.module is not None)
        return Event(
            system=key.system,
            name=key.name,
            module=key.module,
            kind=kind,
            attach_name=key.name if attachable else None,
            class_name=choice.name,
            class_origin=choice.origin,
            class_candidates=choice.candidates,
            header=header.position if header else None,
            args=args,
            args_origin=args_origin,
            names_origin=names_origin,
            record=record,
            record_origin=record_origin,
            print_fmt=form.print_fmt if form else None,
            sleepable=key.name in SYSCALL_TRACEPOINTS and btf is not None and btf.syscalls_may_sleep,
            ambiguous=len(self._modules_of(key.name)) > 1,
        )

    def _kind(self, key: EventKey, btf: BtfTracepoints | None, form: Format | None, header: HeaderEvent | None) -> Kind:
        """A bare tracepoint is an event without a record; who can tell depends on what could be read."""
        if form is not None or key.system in self._systems_of(key.name):
            return Kind.TRACE_EVENT
        if self.sources.tracefs is not None and btf is not None and btf.module is None:
            return Kind.TRACEPOINT
        if header is not None:
            return header.kind
        if btf is not None and btf.class_prototype(key.name) is not None and key.name not in btf.classes:
            return Kind.TRACEPOINT  # __bpf_trace_<name> is its class's function, and the class has no record
        return Kind.TRACE_EVENT

    # --- raw arguments

    def _arguments(
        self, key: EventKey, btf: BtfTracepoints | None, header: HeaderEvent | None
    ) -> tuple[tuple[Argument, ...] | None, Origin | None, Origin | None]:
        """The arguments, where they are from, and where their names are from."""
        args, origin, names_origin = self._joined_arguments(key, btf, header)
        return (None if args is None else tuple(self._with_nullness(key, arg) for arg in args)), origin, names_origin

    def _with_nullness(self, key: EventKey, arg: Argument) -> Argument:
        """The argument with what the verifier assumes of it, where it is a pointer."""
        if kind_of(arg.type) != "ptr":
            return arg
        masks = self.sources.tree.null_args if self.sources.tree and self.headers_match else None
        in_module = None if self.btf(key) is None else key.module is not None
        assumed = nullness(key.name, arg, in_module, masks)
        return arg if assumed is None else replace(arg, nullness=assumed)

    def _joined_arguments(
        self, key: EventKey, btf: BtfTracepoints | None, header: HeaderEvent | None
    ) -> tuple[tuple[Argument, ...] | None, Origin | None, Origin | None]:
        """The same without what the verifier assumes of them."""
        raw = btf.raw(key.name) if btf else None
        if raw is None:
            resolved = self.resolved_event(key)
            return (resolved.args, Origin.HEADERS, Origin.HEADERS) if resolved else (None, None, None)
        if header is None or not self.headers_match or len(header.args) != len(raw.args):
            return raw.args, Origin.BTF, raw.names_origin
        if not all(arg.name for arg in raw.args):
            named = tuple(replace(arg, name=said.name) for arg, said in zip(raw.args, header.args, strict=True))
            return named, Origin.BTF, Origin.HEADERS
        ordered = _in_order_of(header.args, raw.args)
        if ordered is not None and ordered != raw.args:
            return ordered, Origin.HEADERS, raw.names_origin
        return raw.args, Origin.BTF, raw.names_origin

    # --- the class

    @memoised
    def class_choice(self, key: EventKey) -> ClassChoice:
        """The event's class: from the headers, else of the same name, else the one whose prototype and layout fit.

        Where several fit, a catalog may know which of them it is.
        """
        header, btf = self.header_event(key), self.btf(key)
        if btf is None:
            return ClassChoice(header.class_name, Origin.HEADERS) if header else ClassChoice(None, None)
        fitting = self._fitting_classes(key, btf)
        if header is not None and (header.class_name in fitting or (self.headers_match and not fitting)):
            return ClassChoice(header.class_name, Origin.HEADERS)
        if key.name in fitting:
            return ClassChoice(key.name, Origin.NAME)
        if len(fitting) == 1:
            return ClassChoice(fitting[0], Origin.LAYOUT if self.format(key) else Origin.PROTOTYPE)
        # Where no record is the one that tracefs shows, it is the prototype's class: `check` tells the difference.
        alike = () if fitting else btf.classes_like(key.name)
        if key.name in alike:
            return ClassChoice(key.name, Origin.NAME)
        if len(alike) == 1:
            return ClassChoice(alike[0], Origin.PROTOTYPE)
        known = None
        if self.sources.known_classes:
            # A prototype may be written in other words than that of its class. Without a record any class could be it.
            possible = fitting or (btf.classes if self.format(key) is None else ())
            known = self.sources.known_classes.of(key.name, key.module, possible)
        return ClassChoice(known, Origin.CATALOG) if known else ClassChoice(None, None, tuple(fitting))

    def _fitting_classes(self, key: EventKey, btf: BtfTracepoints) -> list[str]:
        """The classes that have the event's prototype, and where tracefs shows its record, the same record."""
        form, alike = self.format(key), btf.classes_like(key.name)
        if form is None:
            return list(alike)
        placement = _placement(form.fields)

        def fits(name: str) -> bool:
            return self._class_placement(btf, name) == placement and _same_types(btf.record(name), form)

        # A DEFINE_EVENT may write its arguments' types differently from its class: then only the record can tell.
        return list(filter(fits, alike)) or list(filter(fits, btf.classes))

    @memoised
    def _class_placement(self, btf: BtfTracepoints, name: str) -> Placement | None:
        record = btf.record(name)
        return _placement(record.fields) if record else None

    # --- the record

    def _record(
        self, key: EventKey, btf: BtfTracepoints | None, form: Format | None, choice: ClassChoice
    ) -> tuple[Record | None, Origin | None]:
        """The record as the kernel reports it: from BTF, else from tracefs, else computed from the headers."""
        if btf is not None:
            names = [choice.name] if choice.name else list(choice.candidates)
            records = [record for name in names if (record := btf.record(name))]
            # Where several classes fit, the record is known all the same if they agree on it.
            if len({_placement(record.fields) for record in records}) == 1:
                return self._with_elements(records[0], key, form), Origin.BTF
        if form is not None:
            fields = self._with_elements(Record(0, None, form.fields), key, form).fields
            # Its tail padding tracefs does not tell.
            return Record(_header_bytes(form), None, fields), Origin.TRACEFS
        if btf is None and (declared := self.resolved_class(key)):
            header_bytes = self.sources.btfs[0].header_bytes if self.sources.btfs else SLOT_BYTES
            fields = tuple(replace(field, type=self.resolved_type(field.type, key)) for field in declared.fields)
            return _signed(lay_out(fields, header_bytes, self.target)), Origin.HEADERS
        return None, None

    def _with_elements(self, record: Record, key: EventKey, form: Format | None) -> Record:
        """The record with the element types of its dynamic fields, and the signs, from a source that knows them."""
        declared = self.header_class(key)
        shown = form.fields if form else declared.fields if declared else ()
        by_name = {(field.name, field.dynamic): field for field in shown}
        fields = (self._with_element(field, by_name.get((field.name, field.dynamic)), key) for field in record.fields)
        return replace(record, fields=tuple(fields))

    def _with_element(self, field: Field, shown: Field | None, key: EventKey) -> Field:
        """`field` with the sign of `shown`, and where it is dynamic with its element type."""
        if shown is None:
            return field
        ctype = self._element(shown, key) if field.dynamic else field.type
        signed = field.signed if shown.signed is None else shown.signed
        same = ctype is field.type and signed == field.signed
        return field if same else replace(field, type=ctype, signed=signed)

    def _element(self, shown: Field, key: EventKey) -> CType | None:
        """The element type of a dynamic field that tracefs or the headers show.

        What BTF has no name for, as the type is nowhere else, the headers around the event may define.
        """
        ctype = self.resolved_type(shown.type, key)
        if ctype is None or not is_only_named(ctype):
            return ctype
        declared = self.header_class(key)
        if declared is None or shown.member_name not in (field.member_name for field in declared.fields):
            return ctype
        resolved = self.resolved_class(key)
        assert resolved is not None
        found = next((field.type for field in resolved.fields if field.member_name == shown.member_name), None)
        return found or ctype

    def _syscall(
        self, key: EventKey, record: Record, origin: Origin, position: Position | None, print_fmt: str | None
    ) -> Event:
        """A syscalls: event. It has no tracepoint of its own; its program is given a record made for the purpose."""
        vmlinux = next(iter(self.sources.btfs), None)
        return Event(
            system=key.system,
            name=key.name,
            module=None,
            kind=Kind.SYSCALL,
            attach_name=None,
            class_name=None,
            class_origin=None,
            class_candidates=(),
            header=position,
            args=(),
            args_origin=origin,
            names_origin=None,
            record=record,
            record_origin=origin,
            print_fmt=print_fmt,
            sleepable=vmlinux is not None and vmlinux.syscalls_may_sleep,
            syscall=syscall(key.name, self.target, vmlinux.btf if vmlinux else None),
        )

    def resolved_type(self, ctype: CType | None, key: EventKey) -> CType | None:
        """A type as tracefs or the headers name it, with what the names stand for where the event's BTF tells.

        So are the lengths of its arrays.
        """
        btf = self.btf(key) or next(iter(self.sources.btfs), None)
        return measured(btf.btf.completed(ctype), btf.btf) if ctype is not None and btf is not None else ctype

    def _syscall_record(self, key: EventKey, fields_shown: tuple[Field, ...], header_bytes: int) -> Record:
        """The fields that are shown, at the offsets of the `struct syscall_tp_t` where BTF has one.

        `__data_loc` fields (Linux 7.2 has some) are in the record but not in what a program is given.
        """
        shown = [field for field in fields_shown if field.dynamic is None]
        offsets, sizes = [f.offset_bytes for f in shown], [f.size_bytes for f in shown]
        given = self.sources.btfs[0].syscall_record(key.name.startswith("sys_enter_")) if self.sources.btfs else None
        if given is not None and shown:
            number, values = given.fields
            first, step = values.offset_bytes or 0, self.target.pointer_size  # unsigned long args[]
            # Linux 5.10 hands out a long, which may be read as far as the int goes that the record has.
            spare = (number.size_bytes or 0) - (sizes[0] or 0) if self.target.big_endian else 0
            offsets = [(number.offset_bytes or 0) + spare, *range(first, first + step * (len(shown) - 1), step)]
        fields = []
        for field, offset, size in zip(shown, offsets, sizes, strict=True):
            ctype = self.resolved_type(field.type, key)
            # The kernel prints signed:0 for every argument; the declared type knows better.
            signed = None if ctype is None else is_signed(ctype)
            fields.append(Field(field.name, ctype, offset, size, signed))
        # A program that reads past the last field is refused when it is attached, so there the record ends.
        end = max(((field.offset_bytes or 0) + (field.size_bytes or 0) for field in fields), default=None)
        return Record(header_bytes, end, tuple(fields))


# --- joining


def _same_arguments(left: tuple[Argument, ...], right: tuple[Argument, ...]) -> bool:
    return len(left) == len(right) and all(same_type(a.type, b.type) for a, b in zip(left, right, strict=True))


def _in_order_of(said: tuple[Argument, ...], args: tuple[Argument, ...]) -> tuple[Argument, ...] | None:
    """`args` in the order in which `said` names them, None where the names are not the same ones."""
    by_name = {arg.name: arg for arg in args}
    if len(by_name) != len(args) or {arg.name for arg in said} != set(by_name):
        return None
    return tuple(replace(by_name[arg.name], slot=slot) for slot, arg in enumerate(said))


def _placement(fields: tuple[Field, ...]) -> Placement:
    return tuple((field.name, field.dynamic, field.offset_bytes, field.size_bytes) for field in fields)


def _same_types(record: Record | None, form: Format) -> bool:
    """Whether the fields of a class's record, which stand where tracefs shows them, are of the types that it shows."""
    assert record is not None
    return all(
        ours.type is None or shown.type is None or same_type(ours.type, shown.type)
        for ours, shown in zip(record.fields, form.fields, strict=True)
    )


def _signed(record: Record) -> Record:
    """The record of the headers with the signs of its fields, as far as their types tell."""
    fields = (f if f.type is None or f.dynamic else replace(f, signed=is_signed(f.type)) for f in record.fields)
    return replace(record, fields=tuple(fields))


def _syscall_fields(event: str, defined: SyscallDefine, target: Target) -> tuple[Field, ...]:
    """The fields that the kernel makes of a call's definition; the size of a slot is not the declared type's."""
    types = [("__syscall_nr", target.integer("int"))]
    entering = event.startswith(f"{SYSCALL_TRACEPOINTS[0]}_")
    params = [(param.name, param.type) for param in defined.params] if entering else [("ret", target.integer("long"))]
    return tuple(
        Field(name, ctype, None, target.pointer_size if slot else 4, None)
        for slot, (name, ctype) in enumerate([*types, *params])
    )


def _header_bytes(form: Format) -> int:
    """The size of the common header, which is padded to the alignment of its int pid."""
    end = max(((f.offset_bytes or 0) + (f.size_bytes or 0) for f in form.common), default=SLOT_BYTES)
    return round_up(end, HEADER_ALIGN)
