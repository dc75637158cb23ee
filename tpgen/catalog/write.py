"""Writing a catalog: any kernels' events, resolved and compared, as one SQLite file.

The same kernels make the same bytes: nothing is sorted by chance, and no date goes in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from tpgen.basics.frozen import replace
from tpgen.basics.interning import InterningTable
from tpgen.basics.progress import counted
from tpgen.catalog.file import new_file
from tpgen.catalog.kernel_row import kernel_columns
from tpgen.catalog.schema import FLAGS, KernelInfo
from tpgen.diagnostics import Diagnostic, Position, printable
from tpgen.kernel.symbols.facts import NO_SYMBOLS, EventSymbols, Symbols
from tpgen.model import (
    Alternative,
    Argument,
    Array,
    CType,
    Enum,
    Event,
    Field,
    Float,
    FuncProto,
    Int,
    Pointer,
    Qualified,
    Record,
    Struct,
    Syscall,
    SyscallRegisters,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.output import replacing
from tpgen.spelling import spell

if TYPE_CHECKING:
    from tpgen.kernel.comparison import Comparison
    from tpgen.kernel.events import KernelEvents
    from tpgen.kernel.sources import Sources


def info_of(
    sources: Sources,
    name: str,
    release: str | None = None,
    distribution: str | None = None,
    build_id: str | None = None,
) -> KernelInfo:
    """The row of table `kernel` for these sources. Where no `release` is given it is the one that they state."""
    known = release or sources.release or (sources.headers.release if sources.headers else None)
    asked = sources.verifier is not None and sources.verifier.answers
    read = {"btf": sources.btfs, "headers": sources.headers, "tracefs": sources.tracefs, "verifier": asked}
    used = tuple(word for word, source in read.items() if source)
    return KernelInfo(name, sources.target, known, distribution, build_id, used)


class CatalogWriter:
    """Collects kernels in memory, in the order of their names, and writes them as one file.

    >>> writer = CatalogWriter()
    >>> writer.add(KernelInfo("debian-6.12-amd64", kernel.target, "6.12.107"), kernel)  # doctest: +SKIP
    >>> writer.save("debian.tpgen")  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._kernels: list[tuple[Any, ...]] = []
        self._notes: list[tuple[Any, ...]] = []
        self._modules: list[tuple[Any, ...]] = []
        self._findings: list[tuple[Any, ...]] = []
        self._type_params: list[tuple[Any, ...]] = []
        self._arguments: list[tuple[Any, ...]] = []
        self._fields: list[tuple[Any, ...]] = []
        self._checks: list[tuple[Any, ...]] = []
        self._alternative_rows: list[tuple[Any, ...]] = []
        self._register_rows: list[tuple[Any, ...]] = []
        self._types = _Interned(self._type_row)
        self._prototypes = _Interned(self._prototype_row)
        self._records = _Interned(self._record_row)
        self._classes = _Interned(self._class_row)
        self._provenances = _Interned(tuple)
        self._headers = _Interned(lambda path: (path,))
        self._print_fmts = _Interned(lambda text: (text,))
        self._checked = _Interned(self._checked_row)
        self._alternatives = _Interned(self._alternatives_row)
        self._syscalls = _Interned(self._syscall_row)
        self._registers = _Interned(self._registers_row)
        self._symbol_rows: list[tuple[Any, ...]] = []
        self._named_rows: list[tuple[Any, ...]] = []
        self._symbols = _Interned(self._symbols_row)
        self._named = _Interned(self._named_row)
        self._events = _Interned(tuple)
        self._group_rows: list[tuple[Any, ...]] = []
        self._groups = _Interned(self._group_row)
        self._kernel_groups: list[tuple[Any, ...]] = []

    def add(
        self,
        info: KernelInfo,
        kernel: KernelEvents,
        roots: Collection[str] = (),
        nullness: bool = True,
    ) -> None:
        """Add all events of `kernel`, from any sources, with the outcome of all comparisons.

        Without `nullness` they come without what only the running kernel's verifier tells.
        Paths below one of `roots` are written without it, so that no catalog says where on whose machine the sources
        lay. Raises `TpgenError` where the sources are broken, and then the writer must not be used any more.
        """
        assert not self._kernels or info.name > self._kernels[-1][0], "a name tells kernels apart, and they are sorted"
        number = len(self._kernels) + 1
        self._notes += ((number, at, *_note(note, roots)) for at, note in enumerate(kernel.notes))
        keys = kernel.keys()
        self._kernels.append(kernel_columns(info, len(keys)))
        known = kernel.build_ids()
        modules = sorted({key.module for key in keys if key.module is not None and key.module in known})
        self._modules += ((number, module, bytes.fromhex(known[module])) for module in modules)
        events = kernel.events(keys, nullness=nullness)
        groups: dict[tuple[Any, ...], list[tuple[int, int | None]]] = {}
        for key, event in counted(f"{info.name}: events", [*zip(keys, events, strict=True)]):
            where = event.header
            group = groups.setdefault((event.module, event.system, where and where.path), [])
            row = self._event_row(event, tuple(kernel.comparisons(key)), kernel.symbols(key), roots)
            group.append((self._events.id_of(row), where and where.line))  # type: ignore[arg-type]
        self._kernel_groups += ((number, self._groups.id_of(tuple(group))) for group in groups.values())

    def _event_row(
        self, event: Event, comparisons: tuple[Comparison, ...], symbols: EventSymbols, roots: Collection[str]
    ) -> tuple[Any, ...]:
        where = event.header
        return (
            event.system,
            event.name,
            event.module,
            event.kind.value,
            event.attach_name,
            self._classes.id_of((event.class_name, event.class_candidates, event.record)),
            self._prototypes.id_of(event.args),
            self._headers.id_of(where and _below(where.path, roots)),
            where and where.column,
            self._alternatives.id_of(tuple(_without_roots(place, roots) for place in event.alternatives) or None),
            self._provenances.id_of((event.class_origin, event.args_origin, event.names_origin, event.record_origin)),
            self._print_fmts.id_of(event.print_fmt),
            self._checked.id_of(tuple(_check(comparison, roots) for comparison in comparisons) or None),
            " ".join(flag for flag in FLAGS if getattr(event, flag)),
            self._syscalls.id_of(event.syscall),
            self._named.id_of(None if symbols == NO_SYMBOLS else symbols),
        )

    # --- rows of interning tables

    def _prototype_row(self, args: tuple[Argument, ...]) -> tuple[Any, ...]:
        number = self._prototypes.next
        rows = [(number, arg.slot, arg.name, self._types.id_of(arg.type), arg.nullness) for arg in args]
        self._arguments += rows
        return (len(args),)

    def _record_row(self, record: Record) -> tuple[Any, ...]:
        number = self._records.next
        self._fields += [(number, at, *self._field(field)) for at, field in enumerate(record.fields)]
        return record.header_bytes, record.size_bytes, len(record.fields)

    def _field(self, field: Field) -> tuple[Any, ...]:
        type_id = self._types.id_of(field.type)
        return field.name, type_id, field.offset_bytes, field.size_bytes, field.signed, field.dynamic

    def _class_row(self, of: tuple[str | None, tuple[str, ...], Record | None]) -> tuple[Any, ...]:
        name, candidates, record = of
        return name, " ".join(candidates) or None, self._records.id_of(record)

    def _checked_row(self, checks: tuple[_Check, ...]) -> tuple[Any, ...]:
        number = self._checked.next
        self._checks += ((number, at, check.subject, check.reason) for at, check in enumerate(checks))
        self._findings += ((number, at, *found) for at, check in enumerate(checks) for found in check.findings)
        return ()

    def _group_row(self, members: tuple[tuple[int, int | None], ...]) -> tuple[Any, ...]:
        number = self._groups.next
        self._group_rows += sorted((number, *member) for member in members)
        return ()

    def _alternatives_row(self, places: tuple[Alternative, ...]) -> tuple[Any, ...]:
        number = self._alternatives.next
        self._alternative_rows += (
            (number, at, self._headers.id_of(where.path), where.line, where.column, condition and printable(condition))
            for at, (where, condition) in enumerate((place.position, place.condition) for place in places)
        )
        return ()

    def _syscall_row(self, call: Syscall) -> tuple[Any, ...]:
        return call.tracepoint, call.number, self._registers.id_of(call.registers)

    def _registers_row(self, registers: SyscallRegisters) -> tuple[Any, ...]:
        number = self._registers.next
        roles = {"argument": registers.args, "number": (registers.number,), "native": (registers.native,)}
        self._register_rows += (
            (number, role, at, held.name, held.offset_bytes, held.size_bytes, held.of_task, held.mask)
            for role, all_of_role in roles.items()
            for at, held in enumerate(all_of_role)
            if held is not None
        )
        return (registers.native_value,)

    def _named_row(self, named: EventSymbols) -> tuple[Any, ...]:
        number = self._named.next
        rows: list[tuple[Any, ...]] = [(slot, None, self._symbols.id_of(of), None) for slot, of in named.args]
        rows += [(None, field, self._symbols.id_of(of), None) for field, of in named.fields]
        rows += [(None, field, None, reason) for field, reason in named.left_out]
        self._named_rows += ((number, at, *row) for at, row in enumerate(rows))
        return ()

    def _symbols_row(self, of: Symbols) -> tuple[Any, ...]:
        number = self._symbols.next
        rows = ((str(symbol.value), symbol.name, symbol.text) for symbol in of.symbols)
        self._symbol_rows += ((number, at, *row) for at, row in enumerate(rows))
        return of.enum, of.is_flags, None if of.mask is None else str(of.mask), len(of.symbols)

    def _type_row(self, item: CType) -> tuple[Any, ...]:
        """The columns from `kind` to `length_text`, of which the last may be left out, and the spelling."""
        columns = self._type_columns(item)
        return *columns, *[None] * (_TYPE_COLUMNS - len(columns)), spell(item)

    def _type_columns(self, item: CType) -> tuple[Any, ...]:
        """The columns `kind`, `name`, `target`, `size_bytes`, `align_bytes`, `signed`, `length` and `length_text`."""
        id_of = self._types.id_of
        match item:
            case Void():
                return ("void",)
            case Int():
                return "bool" if item.is_bool else "int", item.name, None, item.size_bytes, None, item.signed
            case Float():
                return "float", item.name, None, item.size_bytes
            case Pointer():
                return "ptr", None, id_of(item.target)
            case Array():
                return "array", None, id_of(item.element), None, None, None, item.length, item.length_text
            case Struct(forward=True):
                return f"fwd_{item.keyword}", item.name
            case Struct():
                return item.keyword, item.name, None, item.size_bytes, item.align_bytes
            case Enum():
                return "enum", item.name, None, item.size_bytes, None, item.signed
            case Typedef():
                return "typedef", item.name, id_of(item.target)
            case Qualified():
                return item.qualifier, None, id_of(item.target)
            case TypeTag():
                return "type_tag", item.tag, id_of(item.target)
            case FuncProto():
                result, params = id_of(item.result), [id_of(param) for param in item.params]
                number = self._types.next  # known once all that it refers to has its id
                # As in BTF, a last parameter that is none stands for `...`.
                listed = [*params, None] if item.variadic else params
                self._type_params += [(number, at, param) for at, param in enumerate(listed)]
                return "func_proto", None, result
            case _:
                assert_never(item)

    # --- the file

    def save(self, path: str) -> None:
        """Write the file, atomically: what was there before stays until all of it is written. Raises `unwritable`."""
        with replacing(path) as temporary:
            self.fill(temporary)

    def fill(self, path: str) -> None:
        """Write all into an empty file that nobody else looks at. Raises `OSError`."""
        with new_file(path) as connection:
            for table, rows in self._tables():
                if rows:
                    marks = ", ".join("?" * len(rows[0]))
                    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def _tables(self) -> Iterable[tuple[str, Sequence[tuple[Any, ...]]]]:
        yield "kernel", _numbered(self._kernels)
        yield "module", self._modules
        yield "note", self._notes
        yield "type", _numbered(self._types.rows)
        yield "type_param", self._type_params
        yield "prototype", _numbered(self._prototypes.rows)
        yield "argument", self._arguments
        yield "record", _numbered(self._records.rows)
        yield "field", self._fields
        yield "class", _numbered(self._classes.rows)
        yield "provenance", _numbered(self._provenances.rows)
        yield "header", _numbered(self._headers.rows)
        yield "print_fmt", _numbered(self._print_fmts.rows)
        yield "registers", _numbered(self._registers.rows)
        yield "register", self._register_rows
        yield "syscall", _numbered(self._syscalls.rows)
        yield "checked", self._checks
        yield "finding", self._findings
        yield "symbols", _numbered(self._symbols.rows)
        yield "symbol", self._symbol_rows
        yield "named", self._named_rows
        yield "alternative", self._alternative_rows
        yield "event", _numbered(self._events.rows)
        yield "group_event", self._group_rows
        yield "kernel_group", sorted(self._kernel_groups)


# So many of a type's columns tell what it is.
_TYPE_COLUMNS = 8


class _Interned:
    """An interning table: equal items share a row. Ids count from 1 in first-seen order; None becomes NULL."""

    def __init__(self, row: Callable[[Any], tuple[Any, ...]]) -> None:
        self._table = InterningTable(row)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return self._table.rows

    @property
    def next(self) -> int:
        return len(self._table.rows) + 1

    def id_of(self, item: Hashable | None) -> int | None:
        return None if item is None else self._table.place(item) + 1


def _numbered(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(number, *row) for number, row in enumerate(rows, 1)]


def _note(note: Diagnostic, roots: Collection[str]) -> tuple[Any, ...]:
    return note.code, _text_below(note.message, roots), note.hint and _text_below(note.hint, roots)


class _Check(NamedTuple):
    """A comparison as rows have it, with its findings, each after its number: the detail is 0."""

    subject: str
    reason: str | None
    findings: tuple[tuple[Any, ...], ...]


def _check(comparison: Comparison, roots: Collection[str]) -> _Check:
    told = enumerate((comparison.detail, *comparison.findings))
    findings = tuple((at, *_finding(found, roots)) for at, found in told if found is not None)
    return _Check(comparison.subject.value, comparison.reason, findings)


def _finding(found: Diagnostic, roots: Collection[str]) -> tuple[Any, ...]:
    where = found.position or Position("")
    message = printable(_text_below(", ".join((found.message, *found.chain)), roots))
    hint, path = found.hint and printable(_text_below(found.hint, roots)), _below(where.path, roots) or None
    return found.severity.value, found.code, message, hint, path, where.line, where.column


def _without_roots(place: Alternative, roots: Collection[str]) -> Alternative:
    return replace(place, position=place.position._replace(path=_below(place.position.path, roots)))


def _below(path: str, roots: Collection[str]) -> str:
    """`path` as seen from the nearest of `roots` that it lies below, with what cannot be printed escaped."""
    above = [root for root in roots if root and path.startswith(os.path.join(root, ""))]
    return printable(os.path.relpath(path, max(above, key=len)) if above else path)


def _text_below(text: str, roots: Collection[str]) -> str:
    """`text` with the paths in it as seen from the nearest of `roots` that they lie below."""
    for root in sorted(filter(None, roots), key=len, reverse=True):
        text = re.sub(rf"(?<![\w/.-]){re.escape(os.path.join(root, ''))}", "", text)
    return text
