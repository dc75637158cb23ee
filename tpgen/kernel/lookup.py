"""Lookup: the facts about one event in each source of a kernel, read when they are asked for."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial

from tpgen.basics.frozen import replace
from tpgen.basics.memo import memoised
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple, cast
from tpgen.diagnostics import Diagnostic, Position, Severity
from tpgen.kernel.alternatives import (
    FieldsOf,
    HeaderForm,
    forms_of,
    has_arguments,
    has_members,
    has_names,
    has_types,
    preferred,
    same_arguments,
    same_fields,
)
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.kernel.sources import Sources
from tpgen.kernel.validate import EventValidator, is_word
from tpgen.layout import SLOT_BYTES
from tpgen.model import Array, CType, Field, Int, Qualified, Record, Typedef, TypeTag
from tpgen.sources.btf_encoding import BtfKind
from tpgen.sources.btf_tracepoints import BtfTracepoints, RawPrototype
from tpgen.sources.source_tree.null_args import has_suffix
from tpgen.sources.tracefs import DYNAMIC_SYSTEMS
from tpgen.target import Target
from tpgen.typequery import mapped

if TYPE_CHECKING:
    from tpgen.kernel.array_lengths import KernelTypes
    from tpgen.sources.formats import BadFormat, Format
    from tpgen.sources.headers.facts import HeaderClass, HeaderEvent
    from tpgen.sources.headers.trace_events.syscall_defines import SyscallDefine

SYSCALLS_SYSTEM = "syscalls"
# To list all events of all images takes as long as to look for half a dozen names.
_FEW = 6


class _EventsOf(NamedTuple):
    """The events of one name: the keys of those that have a tracepoint, and the systems in tracefs of all others.

    `dynamic` are the systems of probes and synthetic events.
    """

    traced: tuple[EventKey, ...]
    systems: tuple[str, ...]
    dynamic: tuple[str, ...]


class Lookup(KernelEvents):
    """The sources of one kernel, by event. Each source is read once, and only when it is needed."""

    def __init__(self, sources: Sources) -> None:
        release = sources.release if sources.release and is_word(sources.release) else None
        super().__init__(sources.label, sources.target, release, sources.notes)
        self.sources = sources
        self.validator = EventValidator(sources.target)
        self._images: dict[str, list[BtfTracepoints]] = {}
        self._formats: dict[tuple[str, str], Format | BadFormat] = {}

    # --- which events there are

    @cached_property
    def _tracefs_systems(self) -> dict[str, list[str]]:
        """The systems of every event in tracefs. Listing takes a while: a run of one event goes without."""
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
        """Return the images with a raw tracepoint of that name. For the first few names each image is searched."""
        if "_btfs_by_name" not in self.__dict__ and (name in self._images or len(self._images) < _FEW):
            if name not in self._images:
                self._images[name] = [btf for btf in self.sources.btfs if btf.has_event(name)]
            return self._images[name]
        return self._btfs_by_name.get(name, [])

    @cached_property
    def _modules_without_btf(self) -> dict[str, list[str]]:
        """The modules without BTF that have a tracepoint, by its name."""
        found = defaultdict(list)
        for module, names in sorted(self.sources.modules_without_btf.items()):
            for name in names:
                found[name].append(module)
        return dict(found)

    def modules_of(self, name: str) -> list[str | None]:
        """Return the modules that have a tracepoint of that name, None for vmlinux."""
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
        """The definition of the system call of each syscalls: event; of calls that have a number on this target."""
        defines = self.sources.tree.syscalls if self.sources.tree else None
        if defines is None:
            return {}
        from tpgen.kernel.syscalls import syscall_events

        return dict(syscall_events(defines, self.target))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all events, sorted."""
        names = {*self._tracefs_systems, *self._btfs_by_name, *self._modules_without_btf, *self._defined_syscalls}
        # Headers tell of what a kernel could have; where it can be asked itself, it decides. A driver may be loaded.
        stated = filter(self._driver_events, self._header_events) if names else self._header_events
        return tuple(sorted(names.union(stated)))

    @property
    def is_asked(self) -> bool:
        """Whether the kernel itself shows which events it has, and not only its headers."""
        return bool(self.sources.btfs or self.sources.tracefs)

    def _driver_events(self, name: str) -> list[HeaderEvent]:
        """Return the definitions of an event in a driver's headers; the kernel gets with it what it lacks of these."""
        tree = self.sources.tree
        if tree is None or not tree.drivers:
            return []
        return [event for event in self._header_events.get(name, ()) if tree.is_of_driver(event.position.path)]

    def systems_of(self, name: str) -> tuple[str, ...]:
        """Return the systems that have an event of that name in tracefs."""
        if "_tracefs_systems" in self.__dict__:
            return tuple(self._tracefs_systems.get(name, ()))
        return self.sources.tracefs.systems_of(name) if self.sources.tracefs else ()

    def keys_of(self, name: str) -> list[EventKey]:
        """Every event of exactly this name, without those whose names follow no rule: they get a note."""
        return [key for key in self._stated_keys_of(name) if self._is_sound(key)]

    def _is_sound(self, key: EventKey) -> bool:
        reason = self.validator.key_fault(key)
        if reason is None:
            return True
        note = Diagnostic("invalid-fact", f"an event is refused: {reason}", self._place(key), severity=Severity.NOTE)
        if note not in self.notes:
            self.notes += (note,)
        return False

    def _place(self, key: EventKey) -> Position | None:
        """The file in which an event is found."""
        if btf := self.btf(key):
            return Position(btf.btf.path)
        if key.system is not None and key.system in self.systems_of(key.name):
            assert self.sources.tracefs is not None
            return Position(self.sources.tracefs.root)
        header = self.header_event(key)
        return header.position if header else None

    def _stated_keys_of(self, name: str) -> list[EventKey]:
        known = self._events_of(name)
        systems, keys = known.systems, [*known.traced]
        keys += [EventKey(system, name) for system in systems]
        keys += [EventKey(system, name, None, True) for system in known.dynamic]
        if name in self._defined_syscalls and SYSCALLS_SYSTEM not in systems:
            keys.append(EventKey(SYSCALLS_SYSTEM, name))
        if not keys:
            events = self._driver_events(name) if self.is_asked else self._header_events.get(name, ())
            keys = list(dict.fromkeys(EventKey(event.system, name) for event in events))
        return keys

    @memoised
    def _events_of(self, name: str) -> _EventsOf:
        """Tell the events of a name apart: those with a tracepoint, other ones in tracefs, and dynamic ones."""
        everywhere = self.systems_of(name)
        dynamic = tuple(system for system in everywhere if self._is_dynamic(system, name))
        systems = [system for system in everywhere if system not in dynamic]
        traced = []
        for module in self.modules_of(name):
            system = self._system_in(systems, module)
            if system in systems:
                systems.remove(system)
            system = system or self._header_system(name, module) or self._known_system(name, module)
            traced.append(EventKey(system, name, module))
        return _EventsOf(tuple(traced), tuple(systems), dynamic)

    def _known_system(self, name: str, module: str | None) -> str | None:
        """Return the system of the event in catalogs, if tracefs cannot be read."""
        known = self.sources.known_classes if self.sources.tracefs is None else None
        return known.system_of(name, module) if known else None

    def _is_dynamic(self, system: str, name: str) -> bool:
        """Whether an event in tracefs is a probe or a synthetic event that somebody defined."""
        assert self.sources.tracefs is not None
        listed = self.sources.tracefs.dynamic_events
        if listed is not None:
            return (system, name) in listed
        if system in DYNAMIC_SYSTEMS:
            return True
        form = self.format(EventKey(system, name))
        return form is not None and form.of_probe

    @staticmethod
    def _system_in(systems: list[str], module: str | None) -> str | None:
        """Return the module's system among those with an event of this name; of several, its namesake."""
        if len(systems) > 1 and module in systems:
            return module
        return systems[0] if systems else None

    def _header_system(self, name: str, module: str | None) -> str | None:
        """Return the event's system in the headers; of several, the module's namesake or that of one of its objects."""
        systems = {event.system for event in self._header_events.get(name, ())}
        if len(systems) > 1 and module is not None:
            makefiles = self.sources.tree.makefiles if self.sources.tree else None
            objects = map(os.path.basename, makefiles.objects(module)) if makefiles and module not in systems else ()
            systems &= {module} if module in systems else set(objects)
        return systems.pop() if len(systems) == 1 else None

    def keys(self) -> list[EventKey]:
        """Every event, sorted by system and name."""
        systems = self._tracefs_systems  # all are wanted, so list them once
        if self.sources.tracefs and self.sources.tracefs.dynamic_events is None:
            self.read_formats([EventKey(system, name) for name, of_name in systems.items() for system in of_name])
        keys = [key for name in self.names for key in self.keys_of(name)]
        return sorted(keys, key=lambda key: (key.system or "", key.name, key.module or ""))

    def tells_null(self) -> bool | None:
        """Look for the table's type, and for the suffix in the names of arguments, in the kernel's BTF."""
        vmlinux = self.sources.btfs[0] if self.sources.btfs else None
        if vmlinux is None or vmlinux.module is not None:
            return None
        prototypes = map(vmlinux.raw, vmlinux.events)
        return vmlinux.has_null_table or any(has_suffix(arg) for raw in prototypes if raw for arg in raw.args)

    def raw_evidence(self) -> Iterable[tuple[str, bool | None]]:
        return self.sources.btfs[0].raw_evidence() if self.sources.btfs else ()

    # --- one event

    def read_formats(self, keys: list[EventKey]) -> None:
        """Read the format files of many events in one go, which takes less time than one by one."""
        wanted = [
            (key.system, key.name)
            for key in keys
            if key.system and (key.system, key.name) not in self._formats and key.system in self.systems_of(key.name)
        ]
        if wanted:
            assert self.sources.tracefs
            self._formats |= zip(wanted, self.sources.tracefs.formats(wanted), strict=True)

    def format(self, key: EventKey) -> Format | None:
        """Return the event's format file; None where tracefs has none, or one that cannot be read."""
        return self._format_or_reason(key)[0]

    def bad_format(self, key: EventKey) -> Diagnostic | None:
        """Return the reason why the event's format file cannot be read; None where it can, or there is none."""
        return self._format_or_reason(key)[1]

    def _format_or_reason(self, key: EventKey) -> tuple[Format | None, Diagnostic | None]:
        of = (key.system or "", key.name)
        if of not in self._formats:
            self.read_formats([key])
        found = self._formats.get(of)
        if found is None:
            return None, None
        from tpgen.sources.formats import BadFormat

        return (None, found.reason) if isinstance(found, BadFormat) else (found, None)

    def unreadable(self, keys: Iterable[EventKey]) -> list[Diagnostic]:
        """Return the reasons why format files of these events cannot be read; none of an event that went meanwhile."""
        reasons = (reason for key in keys if (reason := self.bad_format(key)) is not None)
        return [d for d in reasons if d.position is None or os.path.isdir(os.path.dirname(d.position.path))]

    def broken_headers(self) -> list[Diagnostic]:
        headers = self.sources.headers
        return [found for found in headers.skipped if found.severity == Severity.ERROR] if headers else []

    def left_out(self) -> list[Diagnostic]:
        from tpgen.sources.headers.left_out import joined_notes

        return list(joined_notes(self.sources.headers.skipped)) if self.sources.headers else []

    def clues(self, name: str) -> list[str]:
        from tpgen.sources.headers.left_out import UNKNOWN_MACRO, other_event, placed

        looked_at = [] if self.names else [f"looked at: {self.sources.looked_at()}"]
        headers = self.sources.headers
        if headers and (other := other_event(headers.skipped, name)):
            return [*looked_at, placed(other)]
        return [*looked_at, *(placed(note) for note in self.left_out() if not self.names or note.code == UNKNOWN_MACRO)]

    def syscall_format(self, key: EventKey) -> Format | None:
        """Return the format of a syscalls: event, which has no tracepoint of its own; None for any other event."""
        return self.format(key) if key.system == SYSCALLS_SYSTEM and self.btf(key) is None else None

    def defined_syscall(self, key: EventKey) -> SyscallDefine | None:
        """Return the definition of the system call of a syscalls: event in the tree's C files."""
        return self._defined_syscalls.get(key.name) if key.system == SYSCALLS_SYSTEM else None

    @memoised
    def records_of(self, class_name: str) -> tuple[Record, ...]:
        images: tuple[list[BtfTracepoints], list[BtfTracepoints]] = ([], [])
        for btf in self.sources.btfs:
            images[btf.module is not None].append(btf)
        vmlinux, modules = ([record for btf in some if (record := btf.record(class_name))] for some in images)
        return tuple(dict.fromkeys(vmlinux or modules))

    @memoised
    def btf(self, key: EventKey) -> BtfTracepoints | None:
        """Return the BTF of the image that has the event's raw tracepoint; None where none has."""
        if key.dynamic or (key.module is None and key.system in self._events_of(key.name).systems):
            return None  # the tracepoint of its name is another event's
        return next((btf for btf in self._btfs_of(key.name) if btf.module == key.module), None)

    def raw(self, key: EventKey) -> RawPrototype | None:
        """Return the event's raw arguments in BTF."""
        btf = self.btf(key)
        return btf.raw(key.name) if btf else None

    @memoised
    def header_forms(self, key: EventKey) -> tuple[HeaderForm, ...]:
        """Return the forms that headers give the event, without those that this kernel surely has not.

        BTF, the format file and the Makefile of its module decide. Of several forms that are left, the first is the
        likeliest: the one without a condition.
        """
        events = self._header_events.get(key.name)
        if not events or key.dynamic:
            return ()
        events = [event for event in events if event.system == key.system] or events
        forms = forms_of(events, lambda name: self._header_classes.get(name, []))
        if len(forms) > 1:
            forms = self._that_fit(forms, key)
        return tuple(forms)

    def _that_fit(self, forms: list[HeaderForm], key: EventKey) -> list[HeaderForm]:
        """Return those of several forms that this kernel may have, the ones without a condition first.

        Where the kernel has none of them, the first will do, for `check` to compare it.
        """
        forms, has_args = self._with_arguments(forms, key)
        forms, has_record = self._with_record(forms, key)
        if key.module is not None and len({form.event.position.path for form in forms}) > 1:
            forms = self._of_module(forms, key.module)
        forms.sort(key=lambda form: form.event.condition is not None)
        return forms if has_args and has_record else forms[:1]

    def _with_arguments(self, forms: list[HeaderForm], key: EventKey) -> tuple[list[HeaderForm], bool]:
        """Return the forms with the raw arguments that BTF has, or all, and False, where none has them."""
        raw = self.raw(key)
        if raw is None:
            return forms, True
        return preferred(forms, partial(has_arguments, raw.args), partial(has_names, raw.args))

    def _with_record(self, forms: list[HeaderForm], key: EventKey) -> tuple[list[HeaderForm], bool]:
        """Return the forms with the record that BTF and tracefs have, or all, and False, where none has it."""
        some = True
        for fields in self._known_fields(key):
            if not same_fields(forms):
                forms, fits = preferred(forms, partial(has_members, fields), partial(has_types, fields))
                some = some and fits
        return forms, some

    def _known_fields(self, key: EventKey) -> Iterator[FieldsOf]:
        """Yield for BTF and tracefs a function that returns the fields of a form's record in this source."""
        btf = self.btf(key)
        if btf is not None:

            def fields_in_btf(form: HeaderForm) -> Sequence[Field] | None:
                record = btf.record(form.event.class_name)
                return record.fields if record else None

            yield fields_in_btf
        if (shown := self.format(key)) is not None:
            yield lambda form: shown.fields

    def _of_module(self, forms: list[HeaderForm], module: str) -> list[HeaderForm]:
        """Return the forms in headers beside a module's objects, and of a system with the name of one of these."""
        makefiles = self.sources.tree.makefiles if self.sources.tree else None
        if makefiles is None:
            return forms
        objects = makefiles.objects(module)
        directories, names = {os.path.dirname(path) for path in objects}, {os.path.basename(path) for path in objects}
        return preferred(
            forms,
            lambda form: os.path.dirname(form.event.position.path) in directories,
            lambda form: form.event.system in names,
        )[0]

    def record_source(self, key: EventKey) -> str | None:
        """Return the source that shows the event's record as the kernel has it; None where none does."""
        return "BTF" if self.btf(key) is not None else "tracefs" if self.format(key) is not None else None

    def header_event(self, key: EventKey) -> HeaderEvent | None:
        """Return the event in the headers as it is written; None where they have none, or several that differ."""
        forms = self.header_forms(key)
        return forms[0].event if forms and self._has_one_prototype(key, forms) else None

    def _has_one_prototype(self, key: EventKey, forms: Sequence[HeaderForm]) -> bool:
        """Whether the raw arguments are the same in all forms, or BTF has them."""
        if len(forms) < 2 or same_arguments(forms):
            return True
        raw = self.raw(key)
        return raw is not None and all(arg.name for arg in raw.args)

    def header_class_name(self, key: EventKey) -> str | None:
        """Return the name of the event's class in the headers; None where they have none, or several that differ."""
        forms = self.header_forms(key)
        names = {form.event.class_name for form in forms}
        return forms[0].event.class_name if len(names) == 1 or (names and same_fields(forms)) else None

    def header_class(self, key: EventKey) -> HeaderClass | None:
        """Return the event's class in the headers as it is written; None where they have none, or several."""
        forms = self.header_forms(key)
        return forms[0].event_class if forms and (len(forms) < 2 or same_fields(forms)) else None

    @cached_property
    def _resolved_facts(self) -> dict[int, HeaderEvent | HeaderClass]:
        """The events and classes of the headers with resolved types, by the id of what is written."""
        tree = self.sources.tree
        assert tree is not None
        written, resolved = tree.headers.facts, tree.headers.resolved
        before: tuple[HeaderEvent | HeaderClass, ...] = (*written.events, *written.classes)
        after: tuple[HeaderEvent | HeaderClass, ...] = (*resolved.events, *resolved.classes)
        # A tree that is edited at this moment may state other facts by now.
        pairs = zip(before, after, strict=False)
        return {id(old): new for old, new in pairs if (old.name, old.position) == (new.name, new.position)}

    def resolved_event(self, key: EventKey) -> HeaderEvent | None:
        """Return `header_event` with the types that the headers around it define."""
        written = self.header_event(key)
        return None if written is None else cast("HeaderEvent", self._resolved_facts.get(id(written), written))

    def resolved_class(self, key: EventKey) -> HeaderClass | None:
        """Return `header_class` with the types that the headers around it define."""
        written = self.header_class(key)
        return None if written is None else cast("HeaderClass", self._resolved_facts.get(id(written), written))

    @property
    def common_bytes(self) -> int:
        """The size of the common header of records."""
        return self.sources.btfs[0].header_bytes if self.sources.btfs else SLOT_BYTES

    @cached_property
    def headers_match(self) -> bool:
        """Whether headers and kernel have the same release, if both are known; if not, headers decide nothing."""
        headers, release = self.sources.headers, self.sources.release
        if headers is None or headers.release is None or release is None:
            return True
        return headers.release.split("-")[0] == release.split("-")[0]

    def resolved_type(self, ctype: CType | None, key: EventKey) -> CType | None:
        """Return a type that tracefs or the headers name, as the BTF of the event, or else of vmlinux, defines it.

        Lengths of arrays are evaluated. What BTF does not have is one of the types that every kernel has, or a name.
        """
        if ctype is None:
            return None
        types = self.types_of(key)
        if types is not None:
            from tpgen.kernel.array_lengths import measured

            ctype = measured(types.completed(ctype), types)
        return _of_base_types(ctype, self.target)

    def types_of(self, key: EventKey) -> KernelTypes | None:
        """Return the types that the event's image sees; None where no BTF has them."""
        btf = self.btf(key) or next(iter(self.sources.btfs), None)
        return btf.btf if btf else None

    def compiled_type(self, ctype: CType, key: EventKey) -> CType:
        """Return `resolved_type` of what the headers declare, with the sign that a char has in this kernel."""
        found = self.resolved_type(ctype, key) or ctype
        return found if self.char is None else _with_char(found, self.char)

    @cached_property
    def char(self) -> CType | None:
        """The type char in BTF: signed before Linux 6.2, where the architecture has it so."""
        btf = self.sources.btfs[0].btf if self.sources.btfs else None
        ids = btf.own_ids() if btf else ()
        found = (btf.ctype(each) for each in ids if btf and btf.kind(each) == BtfKind.INT and btf.name(each) == "char")
        return next(found, None)


def _with_char(ctype: CType, char: CType) -> CType:
    match ctype:
        case Int(name="char"):
            return char
        case Array() | Qualified() | TypeTag() | Typedef():
            return mapped(ctype, lambda part: _with_char(part, char))
        case _:
            return ctype


def _of_base_types(ctype: CType, target: Target) -> CType:
    """Resolve the typedefs that every kernel has."""
    match ctype:
        case Typedef(target=None):
            from tpgen.sources.headers.types.base_types import base_types

            return base_types(target).get(ctype.name, ctype)
        case Array():
            return replace(ctype, element=_of_base_types(ctype.element, target))
        case Qualified() | TypeTag():
            return replace(ctype, target=_of_base_types(ctype.target, target))
        case _:
            return ctype
