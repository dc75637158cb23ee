"""Resolve: the facts of all sources of one kernel, joined into one `Event` per tracepoint.

Each fact comes from the source that knows it best: raw arguments' types from BTF, their order from TP_ARGS in the
headers, offsets as the kernel reports them, dynamic fields' element types from tracefs. The event says which.
"""

from __future__ import annotations

from functools import partial
from operator import is_

from tpgen.basics.frozen import replace
from tpgen.basics.memo import memoised
from tpgen.basics.progress import counted
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.diagnostics import TpgenError
from tpgen.kernel.alternatives import alternatives_of
from tpgen.kernel.classes import ClassChoice, class_choice, placement
from tpgen.kernel.lookup import SYSCALLS_SYSTEM, Lookup
from tpgen.layout import HEADER_ALIGN, SLOT_BYTES, lay_out, round_up
from tpgen.model import SYSCALL_TRACEPOINTS, Argument, Array, CType, Enum, Event, Field, Kind, Origin, Qualified, Record
from tpgen.sources.source_tree.null_args import nullness
from tpgen.typequery import is_only_named, is_signed, kind_of, only_named, size_of

if TYPE_CHECKING:
    from tpgen.diagnostics import Position
    from tpgen.kernel.events import EventKey
    from tpgen.kernel.sources import Sources
    from tpgen.kernel.symbols.btf_names import ImageNames
    from tpgen.kernel.symbols.facts import EventSymbols
    from tpgen.kernel.validate import Refusal
    from tpgen.sources.btf_tracepoints import BtfTracepoints
    from tpgen.sources.formats import Format
    from tpgen.sources.headers.facts import HeaderEvent
    from tpgen.sources.headers.trace_events.syscall_defines import SyscallDefine
    from tpgen.target import Target


class Kernel(Lookup):
    """The events of one kernel. Each is resolved when it is needed; the result does not depend on the order."""

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        self._events: dict[EventKey, Event] = {}
        # Of each event the one that was resolved and the one with what the verifier says of it.
        self._asked_of: dict[EventKey, tuple[Event, Event]] = {}
        self._refusals: dict[EventKey, tuple[Refusal, ...]] = {}

    def events(self, keys: list[EventKey], raw_only: bool = False, nullness: bool = True) -> list[Event]:
        """Return the resolved events of `keys`; the format files of many are read in one go.

        With `raw_only` the events come without class and record, for which no format file need be read. Without
        `nullness` the verifier is not asked.
        """
        found = self._resolved(keys, raw_only)
        return [self._asked(key, event) for key, event in zip(keys, found, strict=True)] if nullness else found

    def _resolved(self, keys: list[EventKey], raw_only: bool) -> list[Event]:
        if raw_only:
            # Those of system calls tell their arguments.
            self.read_formats([key for key in keys if key.system == SYSCALLS_SYSTEM])
            return [self._resolve(key, raw_only=True) for key in counted("reading events", keys)]
        self.read_formats(keys)
        return [self.event(key) for key in counted("reading events", keys)]

    def event(self, key: EventKey) -> Event:
        """Return the resolved event; `check` compares sources that disagree about it."""
        found = self._events.get(key)
        if found is None:
            self.read_formats([key])
            found = self._events[key] = self._resolve(key)
        return found

    def _asked(self, key: EventKey, event: Event) -> Event:
        """Return the event with what the running kernel's verifier says of its arguments."""
        asked = self._asked_of.get(key)
        if asked is None or asked[0] is not event:
            btf, verifier = self.btf(key), self.sources.verifier
            told = event if verifier is None or btf is None else verifier.with_assumptions(btf, event)
            asked = self._asked_of[key] = (event, told)
        return asked[1]

    @memoised
    def symbols(self, key: EventKey) -> EventSymbols:
        from tpgen.kernel.symbols.facts import NO_SYMBOLS

        try:
            return self._symbols(key)
        except TpgenError:  # of BTF that is corrupt elsewhere, which `check` finds
            return NO_SYMBOLS

    def _symbols(self, key: EventKey) -> EventSymbols:
        from tpgen.kernel.symbols.btf_names import EventNames
        from tpgen.kernel.symbols.of_event import event_symbols

        event, form = self.event(key), self.format(key)
        written, of_class = self.header_event(key), self.header_class(key)
        tree = self.sources.tree if self.headers_match and written is not None else None
        shown = [form.print_fmt] if form else []
        in_headers = None
        if tree is not None and written is not None and of_class is not None:
            prints = tree.headers.prints()
            in_headers = partial(prints.value, path=of_class.position.path)
            if (text := prints.text(written, of_class)) is not None:
                shown.append(text)
        names = EventNames(self._image_names(self.btf(key) or next(iter(self.sources.btfs), None)), in_headers)
        return event_symbols(event, shown, names, self.target)

    @memoised
    def _image_names(self, image: BtfTracepoints | None) -> ImageNames:
        from tpgen.kernel.symbols.btf_names import ImageNames

        return ImageNames(image.btf if image else None, [other.btf for other in self.sources.btfs[1:]])

    def refusals(self, key: EventKey, raw_only: bool = False) -> tuple[Refusal, ...]:
        """Return the parts that sources state of an event and that it comes without, since they follow no rule."""
        if not raw_only:
            self.event(key)
        elif key not in self._refusals:
            self._resolve(key, raw_only)
        return self._refusals[key]

    def _resolve(self, key: EventKey, raw_only: bool = False) -> Event:
        event, self._refusals[key] = self.validator.validated(self._joined(key, raw_only))
        return event

    def _joined(self, key: EventKey, raw_only: bool) -> Event:
        btf = self.btf(key)
        forms, form = self.header_forms(key), None if raw_only else self.format(key)
        if btf is None and (shown := self.syscall_format(key)):
            given = self._syscall_record(key, shown.fields, header_bytes(shown))
            return self._syscall(key, given, Origin.TRACEFS, None, shown.print_fmt)
        if btf is None and (defined := self.defined_syscall(key)):
            given = self._syscall_record(key, _syscall_fields(key.name, defined, self.target), SLOT_BYTES)
            return self._syscall(key, given, Origin.HEADERS, defined.position, None)
        if key.dynamic:
            return self._dynamic(key)
        header = forms[0].event if forms else None
        kind = self._kind(key, btf, form, header)
        args, args_origin, names_origin = self._arguments(key, btf, self.header_event(key))
        nullness_origin = None
        if any(arg.nullness for arg in args or ()):
            nullness_origin = Origin.HEADERS if self.sources.headers is not None else names_origin
        choice, record, record_origin = ClassChoice(None, None), None, None
        if kind != Kind.TRACE_EVENT:
            choice = ClassChoice(self.header_class_name(key) if header else key.name, None)
        elif not raw_only:
            choice = class_choice(self, key)
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
            ambiguous=len(self.modules_of(key.name)) > 1,
            nullness_origin=nullness_origin,
            alternatives=alternatives_of(forms),
        )

    def _kind(self, key: EventKey, btf: BtfTracepoints | None, form: Format | None, header: HeaderEvent | None) -> Kind:
        """Tell an event from a bare tracepoint, which has no record, by the best source that there is."""
        if form is not None or key.system in self.systems_of(key.name):
            return Kind.TRACE_EVENT
        # __bpf_trace_<name> is of a class, which has no record. That a copy of tracefs lacks a file proves nothing.
        bare = btf is not None and btf.class_prototype(key.name) is not None and not btf.has_class(key.name)
        if bare and self.sources.tracefs is not None and key.module is None:
            return Kind.TRACEPOINT
        if header is not None:
            return header.kind
        return Kind.TRACEPOINT if bare else Kind.TRACE_EVENT

    # --- raw arguments

    def _arguments(
        self, key: EventKey, btf: BtfTracepoints | None, header: HeaderEvent | None
    ) -> tuple[tuple[Argument, ...] | None, Origin | None, Origin | None]:
        """Return the arguments, their origin, and the origin of their names."""
        args, origin, names_origin = self._joined_arguments(key, btf, header)
        return (None if args is None else tuple(self._with_nullness(key, arg) for arg in args)), origin, names_origin

    def _with_nullness(self, key: EventKey, arg: Argument) -> Argument:
        """Return the argument with what the verifier assumes about NULL, where it is a pointer."""
        if kind_of(arg.type) != "ptr":
            return arg
        masks = self.sources.tree.null_args if self.sources.tree and self.headers_match else None
        in_module = None if self.btf(key) is None else key.module is not None
        assumed = nullness(key.name, arg, in_module, masks)
        return arg if assumed is None else replace(arg, nullness=assumed)

    def _joined_arguments(
        self, key: EventKey, btf: BtfTracepoints | None, header: HeaderEvent | None
    ) -> tuple[tuple[Argument, ...] | None, Origin | None, Origin | None]:
        """Arguments merged from BTF and headers, without nullness; their origin, and the origin of their names."""
        raw = btf.raw(key.name) if btf else None
        if raw is None:
            resolved = self.resolved_event(key)
            return (self._of_kernel(key, resolved.args), Origin.HEADERS, Origin.HEADERS) if resolved else (None,) * 3
        if header is None or not self.headers_match or len(header.args) != len(raw.args):
            return raw.args, Origin.BTF, raw.names_origin
        if not all(arg.name for arg in raw.args):
            named = tuple(replace(arg, name=said.name) for arg, said in zip(raw.args, header.args, strict=True))
            return named, Origin.BTF, Origin.HEADERS
        ordered = _in_order_of(header.args, raw.args)
        if ordered is not None and ordered != raw.args:
            return ordered, Origin.HEADERS, raw.names_origin
        return raw.args, Origin.BTF, raw.names_origin

    def _of_kernel(self, key: EventKey, args: tuple[Argument, ...]) -> tuple[Argument, ...]:
        """Return the arguments with the types of this kernel that the headers only name."""
        if self.types_of(key) is None:
            return args
        return tuple(replace(arg, type=self.compiled_type(arg.type, key)) for arg in args)

    # --- the record

    def _record(
        self, key: EventKey, btf: BtfTracepoints | None, form: Format | None, choice: ClassChoice
    ) -> tuple[Record | None, Origin | None]:
        """Return the record and its origin: BTF, else tracefs, else the headers, from which it is computed."""
        if btf is not None:
            names = [choice.name] if choice.name else list(choice.candidates)
            records = [record for name in names if (record := btf.record(name))]
            # Where several classes fit, the record is known all the same if they agree on it.
            if len({placement(record.fields) for record in records}) == 1:
                return self._with_known_elements(self._with_elements(records[0], key, form), names, key), Origin.BTF
        if form is not None:
            # tracefs does not tell its tail padding.
            fields = tuple(self._of_format(field, key) for field in form.fields)
            return self._with_elements(Record(header_bytes(form), None, fields), key, form), Origin.TRACEFS
        if btf is None and (declared := self.resolved_class(key)):
            types = (None if field.type is None else self.compiled_type(field.type, key) for field in declared.fields)
            fields = tuple(replace(each, type=ctype) for each, ctype in zip(declared.fields, types, strict=True))
            return _signed(lay_out(fields, self.common_bytes, self.target)), Origin.HEADERS
        return None, None

    def _of_format(self, field: Field, key: EventKey) -> Field:
        """Resolve the type of a field that a format file alone describes, where its size is the type's."""
        if field.dynamic or field.type is None:
            return field
        ctype = _sized(self.resolved_type(field.type, key), field, self.target)
        same_size = ctype is not None and size_of(ctype, self.target) == field.size_bytes
        return replace(field, type=ctype) if same_size else field

    def _with_elements(self, record: Record, key: EventKey, form: Format | None) -> Record:
        """Add element types of dynamic fields, and signs, from tracefs or else the headers."""
        declared = self.header_class(key)
        shown = form.fields if form else declared.fields if declared else ()
        by_name = {(field.name, field.dynamic): field for field in shown}
        fields = [self._with_element(field, by_name.get((field.name, field.dynamic)), key) for field in record.fields]
        return record if all(map(is_, fields, record.fields)) else replace(record, fields=tuple(fields))

    def _with_known_elements(self, record: Record, classes: list[str], key: EventKey) -> Record:
        """Add the element types of dynamic fields from catalogs, if no source of this kernel has them."""
        if self.sources.known_classes is None or not any(map(_lacks_elements, record.fields)):
            return record
        fields = (
            replace(field, type=self._known_element(classes, record, field, key)) if _lacks_elements(field) else field
            for field in record.fields
        )
        return replace(record, fields=tuple(fields))

    def _known_element(self, classes: list[str], record: Record, field: Field, key: EventKey) -> CType | None:
        """Return the element type of a dynamic field by its name in catalogs, as this kernel defines it."""
        assert self.sources.known_classes is not None
        found = self.sources.known_classes.element(classes, record, field)
        if found is None:
            return None
        own = self.compiled_type(only_named(found, self.target), key)
        return found if is_only_named(own) else own

    def _with_element(self, field: Field, shown: Field | None, key: EventKey) -> Field:
        """Add the sign of `shown` to `field`, and its element type where the field is dynamic."""
        if shown is None:
            return field
        ctype = self._element(shown, key) if field.dynamic else field.type
        signed = field.signed if shown.signed is None else shown.signed
        same = ctype is field.type and signed == field.signed
        return field if same else replace(field, type=ctype, signed=signed)

    def _element(self, shown: Field, key: EventKey) -> CType | None:
        """Resolve the element type of a dynamic field that tracefs or the headers show.

        A type that is used nowhere else is not in BTF; the headers around the event may define it.
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

    def _dynamic(self, key: EventKey) -> Event:
        """Return a probe or a synthetic event that a user defined; its format file has all facts about it."""
        form = self.format(key)
        record, origin = self._record(key, None, form, ClassChoice(None, None))
        return Event(
            system=key.system,
            name=key.name,
            module=None,
            kind=Kind.DYNAMIC,
            attach_name=None,
            class_name=None,
            class_origin=None,
            class_candidates=(),
            header=None,
            args=(),
            args_origin=origin,
            names_origin=None,
            record=record,
            record_origin=origin,
            print_fmt=form.print_fmt if form else None,
        )

    def _syscall(
        self, key: EventKey, record: Record, origin: Origin, position: Position | None, print_fmt: str | None
    ) -> Event:
        """Return a syscalls: event, which has no tracepoint of its own; its program gets a record made for it."""
        from tpgen.kernel.syscalls import syscall

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

    def _syscall_record(self, key: EventKey, fields_shown: tuple[Field, ...], header: int) -> Record:
        """Place the fields that are shown at the offsets of the `struct syscall_tp_t`, where BTF has one.

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
            header = min(header, number.offset_bytes or 0)  # of which the context may have less than the record
        fields = []
        for field, offset, size in zip(shown, offsets, sizes, strict=True):
            ctype = self.resolved_type(field.type, key)
            # The kernel prints signed:0 for every argument; the declared type knows better.
            signed = None if ctype is None else is_signed(ctype)
            fields.append(Field(field.name, ctype, offset, size, signed))
        # A program that reads past the last field is refused when it is attached, so there the record ends.
        end = max(((field.offset_bytes or 0) + (field.size_bytes or 0) for field in fields), default=None)
        return Record(header, end, tuple(fields))


# --- joining


def _in_order_of(said: tuple[Argument, ...], args: tuple[Argument, ...]) -> tuple[Argument, ...] | None:
    """Return `args` in the order of the names of `said`; None where these are not the same names."""
    by_name = {arg.name: arg for arg in args}
    if len(by_name) != len(args) or {arg.name for arg in said} != set(by_name):
        return None
    return tuple(replace(by_name[arg.name], slot=slot) for slot, arg in enumerate(said))


def _sized(ctype: CType | None, field: Field, target: Target) -> CType | None:
    """Give a type what tracefs prints of the field: an enum that no source defines its size and its sign, the array of
    a probe, which is printed without a length, as many elements as there are.
    """
    match ctype:
        case Enum(size_bytes=None):
            return Enum(ctype.name, field.size_bytes, field.signed)
        case Qualified():
            bare = _sized(ctype.target, field, target)
            assert bare is not None
            return replace(ctype, target=bare)
        case Array(length=None | 0, length_text=None) if size := size_of(ctype.element, target):
            count, rest = divmod(field.size_bytes or 0, size)
            return ctype if rest or not count else replace(ctype, length=count)
        case _:
            return ctype


def _signed(record: Record) -> Record:
    """Add the signs of fields, if their types have them."""
    fields = (f if f.type is None or f.dynamic else replace(f, signed=is_signed(f.type)) for f in record.fields)
    return replace(record, fields=tuple(fields))


def _syscall_fields(event: str, defined: SyscallDefine, target: Target) -> tuple[Field, ...]:
    """Return the fields that the kernel makes of a call's definition, each the size of a slot but the number."""
    types = [("__syscall_nr", target.integer("int"))]
    entering = event.startswith(f"{SYSCALL_TRACEPOINTS[0]}_")
    params = [(param.name, param.type) for param in defined.params] if entering else [("ret", target.integer("long"))]
    return tuple(
        Field(name, ctype, None, target.pointer_size if slot else 4, None)
        for slot, (name, ctype) in enumerate([*types, *params])
    )


def _lacks_elements(field: Field) -> bool:
    """Whether no source has the element type of a dynamic field."""
    return field.dynamic is not None and field.type is None


def header_bytes(form: Format) -> int:
    """Return the size of the common header, which is padded to the alignment of its int pid, where it has one."""
    end = max(((f.offset_bytes or 0) + (f.size_bytes or 0) for f in form.common), default=SLOT_BYTES)
    first = min((f.offset_bytes for f in form.fields if f.offset_bytes is not None), default=None)
    padded = round_up(end, HEADER_ALIGN)
    return end if first is not None and end <= first < padded else padded
