"""Check: comparing the facts of one kernel's sources about an event.

A comparison agrees, or yields findings with stable codes, or could not be made, and then says why. Nothing is repaired
here; the backends are only given events that have no finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tpgen.basics.frozen import replace
from tpgen.basics.memo import Identity, memoised
from tpgen.basics.progress import counted
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.diagnostics import Diagnostic, Position, Severity, TpgenError
from tpgen.kernel.comparison import Comparison, Subject, errors
from tpgen.kernel.events import EventKey
from tpgen.kernel.lookup import SYSCALLS_SYSTEM
from tpgen.kernel.resolve import Kernel, header_bytes
from tpgen.layout import SLOT_BYTES, lay_out
from tpgen.model import Argument, Array, CType, Field, Kind, Record, Struct
from tpgen.programs.forms import Form, lacking, missing
from tpgen.sources.btf_tracepoints import BtfTracepoints
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import element_of, has_unknown_length, is_string, renamed, same_type, size_of, stripped

if TYPE_CHECKING:
    from tpgen.kernel.validate import Refusal
    from tpgen.sources.formats import Format
    from tpgen.sources.headers.facts import HeaderClass, HeaderEvent
    from tpgen.sources.source_tree.makefiles import Define


class CheckedKernel(Kernel):
    """A kernel whose sources are compared with each other for every event that is handed on."""

    def comparisons(self, key: EventKey, raw_only: bool = False) -> Iterator[Comparison]:
        yield from check_event(self, key, raw_only)
        if not raw_only:
            yield from layout_of(self, key)

    def build_ids(self) -> dict[str | None, str]:
        shown = {btf.module: btf.build_id for btf in self.sources.btfs}
        return {name: known for name, known in (shown | dict(self.sources.build_ids)).items() if known is not None}


def check_kernel(kernel: Kernel, keys: Sequence[EventKey]) -> list[Comparison]:
    """Make every comparison that the sources of `kernel` allow for the events `keys`, in the order of the subjects.

    Also looks at every type of the BTF: corruption is a finding (`btf-*`) even where no tracepoint leads to it.
    """
    kernel.events(list(keys), nullness=False)  # reads all format files in one go
    comparisons = [comparison for key in counted("comparing events", keys) for comparison in check_event(kernel, key)]
    comparisons += _layouts(kernel, keys)
    comparisons += _corruption(kernel)
    order = list(Subject)
    return sorted(comparisons, key=lambda comparison: order.index(comparison.subject))


def check_event(kernel: Kernel, key: EventKey, raw_only: bool = False) -> Iterator[Comparison]:
    """Make the comparisons for one event; with `raw_only` those that need no record, which takes reading tracefs."""
    made = list(_check_event(kernel, key, raw_only))
    yield from made
    # What sources contradict each other about is told by that, and breaks rules besides.
    if not errors(made) and (refused := kernel.refusals(key, raw_only)):
        yield from (_refused(kernel, key, refusal) for refusal in refused)


def _refused(kernel: Kernel, key: EventKey, refusal: Refusal) -> Comparison:
    """Return the finding that a part of an event breaks a rule for names and numbers."""
    subject = Subject.SYSCALL if key.system == SYSCALLS_SYSTEM else Subject.RECORD
    btf, form = kernel.btf(key), None
    if refusal.part == "args":
        subject = Subject.RAW if btf else Subject.HEADER_RAW
    elif btf is None:
        form = kernel.format(key)
    where = Position(btf.btf.path) if btf else Position(form.path) if form else None
    if where is None and (header := kernel.header_event(key)) is not None:
        where = header.position
    return Comparison(subject, str(key), (Diagnostic("invalid-fact", f"{key}: {refusal.reason}", where),))


def _check_event(kernel: Kernel, key: EventKey, raw_only: bool) -> Iterator[Comparison]:
    # Where in its record a system call has its arguments does not matter for what the registers hold.
    if raw_only and key.system == SYSCALLS_SYSTEM and kernel.btf(key) is None:
        return
    if not raw_only and (bad := kernel.bad_format(key)) is not None:
        subject = Subject.SYSCALL if key.system == SYSCALLS_SYSTEM else Subject.RECORD
        yield Comparison(subject, str(key), (bad,))
    if (form := kernel.syscall_format(key)) is not None:
        yield _syscall(kernel, key, form)
        return
    if key.dynamic:
        if (form := kernel.format(key)) is not None:
            reason = None if form.faults else "a dynamic event, of which its format file alone tells"
            yield Comparison(Subject.RECORD, str(key), form.faults, reason)
        return
    if kernel.btf(key) is not None:
        yield _raw(kernel, key, raw_only)
    if kernel.sources.tracefs is not None and not raw_only and kernel.bad_format(key) is None:
        yield _record(kernel, key)
    if kernel.sources.headers is not None:
        yield from _headers(kernel, key, raw_only)


def layout_of(kernel: Kernel, key: EventKey) -> Iterator[Comparison]:
    """Compare the computed layout of one event's class with the kernel's, where the class is known."""
    btf, name = kernel.btf(key), kernel.event(key).class_name
    if btf is not None and name is not None and btf.record(name) is not None:
        yield _layout(btf, name)


# --- raw arguments


def _raw(kernel: Kernel, key: EventKey, raw_only: bool) -> Comparison:
    btf, raw = kernel.btf(key), kernel.raw(key)
    assert btf is not None and raw is not None
    where = Position(btf.btf.path)
    findings = []
    if raw.disagreement:
        findings.append(Diagnostic("raw-names", f"{key}: {raw.disagreement}", where))
    event_class = None if raw_only else kernel.event(key).class_name
    prototype = btf.class_prototype(event_class) if event_class else None
    if prototype is not None:
        types = tuple(arg.type for arg in raw.args)
        findings += _compare_types(key, "the class's function", prototype, types, where)
    if prototype is None and raw.names_origin is None and not findings:
        reason = "BTF has neither __probestub_, __traceiter_ nor the class's function"
        return Comparison(Subject.RAW, str(key), reason=reason)
    return Comparison(Subject.RAW, str(key), tuple(findings))


def _compare_types(
    key: EventKey, other: str, theirs: Sequence[CType], types: Sequence[CType], where: Position
) -> list[Diagnostic]:
    if len(theirs) != len(types):
        message = f"{key}: {len(types)} raw arguments in btf_trace_{key.name}, {len(theirs)} in {other}"
        return [Diagnostic("raw-count", message, where)]
    return [
        Diagnostic(
            "raw-type", f"{key}: raw argument {slot} is `{spell(ours)}` in BTF, `{spell(their)}` in {other}", where
        )
        for slot, (ours, their) in enumerate(zip(types, theirs, strict=True))
        if not same_type(ours, their)
    ]


# --- the classic record


def _record(kernel: Kernel, key: EventKey) -> Comparison:
    def incomparable(reason: str) -> Comparison:
        return Comparison(Subject.RECORD, str(key), reason=reason)

    event, form = kernel.event(key), kernel.format(key)
    if event.kind == Kind.TRACEPOINT:
        return incomparable("bare tracepoint: it has no record and no format file")
    if form is None:
        return incomparable("tracefs has no format file of it")
    btf = kernel.btf(key)
    if btf is None:
        if form.faults:
            return Comparison(Subject.RECORD, str(key), form.faults)
        return incomparable("no BTF of its image was given")
    candidates = (event.class_name,) if event.class_name else event.class_candidates
    records = [record for name in candidates if (record := btf.record(name))]
    where = Position(form.path)
    if not records:
        message = f"{key}: no record in BTF has the fields of the format file"
        return Comparison(Subject.RECORD, str(key), (Diagnostic("record-class", message, where),))
    if _as_shown(kernel, Identity(form.fields), Identity(records[0])):
        return Comparison(Subject.RECORD, str(key))
    findings = _compare_records(str(key), form.fields, records[0], where, "the format file", "BTF")
    return Comparison(Subject.RECORD, str(key), tuple(findings))


@memoised
def _as_shown(_: Kernel, fields: Identity, record: Identity) -> bool:
    """Whether a record has the fields that tracefs shows: the events of a class have the same of both."""
    return not _compare_records("", fields.value, record.value, Position(""), "", "")


def _compare_records(
    what: str, theirs: Iterable[Field], record: Record, where: Position, source: str, judge: str
) -> list[Diagnostic]:
    """Findings where `theirs`, the fields in `source`, are not those of `record`, which `judge` reports."""
    theirs, ours = tuple(theirs), record.fields
    names, expected = [f.member_name for f in theirs], [f.member_name for f in ours]
    if names != expected:
        message = f"{what}: the fields are {', '.join(names)} in {source}, {', '.join(expected)} in {judge}"
        return [Diagnostic("record-fields", message, where)]
    findings = []
    for their, our in zip(theirs, ours, strict=True):
        if their is our:
            continue
        for code, difference in _differences(their, our):
            message = f"{what}: field {our.name}: {difference % {'source': source, 'judge': judge}}"
            findings.append(Diagnostic(code, message, where))
    return findings


def _differences(their: Field, our: Field) -> Iterator[tuple[str, str]]:
    """The code and the text of each difference between two descriptions of a field; unknown equals everything."""
    if None not in (their.offset_bytes, our.offset_bytes) and their.offset_bytes != our.offset_bytes:
        yield "record-offset", f"offset {their.offset_bytes} in %(source)s, {our.offset_bytes} in %(judge)s"
    sizes_known = None not in (their.size_bytes, our.size_bytes)
    if sizes_known and their.size_bytes != our.size_bytes and not _declared_in_name(their, our):
        yield "record-size", f"size {their.size_bytes} in %(source)s, {our.size_bytes} in %(judge)s"
    # A dynamic field's type is its element's in tracefs, and BTF does not have it.
    if their.type is not None and our.type is not None and not their.dynamic:
        if not same_type(their.type, our.type):
            yield "record-type", f"type `{spell(their.type)}` in %(source)s, `{spell(our.type)}` in %(judge)s"
        # Whether plain char is signed is a matter of compiler flags that BTF does not record.
        char = is_string(element_of(our.type))
        if not char and None not in (their.signed, our.signed) and their.signed != our.signed:
            sign = {True: "signed", False: "unsigned"}
            yield "record-sign", f"{sign[bool(their.signed)]} in %(source)s, {sign[bool(our.signed)]} in %(judge)s"


def _declared_in_name(their: Field, our: Field) -> bool:
    """Whether a header declares `__field(char, name[8])`: then the kernel prints the size of one element."""
    array = their.type
    if not isinstance(array, Array) or array.length is None or their.size_bytes is None:
        return False
    return their.size_bytes * array.length == our.size_bytes


def _syscall(kernel: Kernel, key: EventKey, form: Format) -> Comparison:
    """Compare the fields of a syscalls: event with the record that tracefs shows and with what its program is given.

    These are two structs, and where the common header is longer than 8 bytes their fields lie in different places.
    """
    btf, entering = next(iter(kernel.sources.btfs), None), key.name.startswith("sys_enter_")
    given = btf.syscall_record(entering) if btf else None
    shown = (btf.syscall_entry(entering) if btf else None) or (given if header_bytes(form) <= SLOT_BYTES else None)
    if given is None and form.faults:
        return Comparison(Subject.SYSCALL, str(key), form.faults)
    if given is None:
        doubts = () if header_bytes(form) <= SLOT_BYTES else (_unknown_context(key, form),)
        reason = None if doubts else "BTF has no struct syscall_tp_t"
        return Comparison(Subject.SYSCALL, str(key), doubts, reason)
    where = Position(form.path)
    fields = [field for field in form.fields if field.dynamic is None]
    if not fields:
        message = f"{key}: the format file lacks the syscall's number"
        return Comparison(Subject.SYSCALL, str(key), (Diagnostic("record-fields", message, where),))
    if shown is None:
        return Comparison(Subject.SYSCALL, str(key), reason="BTF lacks the record that tracefs shows")
    findings, word = [], kernel.target.pointer_size
    for field, offset in zip(fields, _syscall_offsets(shown, len(fields), word), strict=True):
        if field.offset_bytes != offset:
            message = f"{key}: field {field.name}: offset {field.offset_bytes} in the format file, {offset} in BTF"
            findings.append(Diagnostic("record-offset", message, where))
    values = given.fields[-1]
    if len(fields) > 1 and (len(fields) - 1) * word > (values.size_bytes or 0):
        message = f"{key}: field {fields[-1].name} lies behind the end of the record in BTF"
        findings.append(Diagnostic("record-size", message, where))
    return Comparison(Subject.SYSCALL, str(key), tuple(findings))


def _syscall_offsets(record: Record, count: int, word: int) -> list[int | None]:
    """The offsets of the number and the values of a system call in `record`: one of `word` bytes after the other."""
    number, values = record.fields
    first = values.offset_bytes or 0
    return [number.offset_bytes, *range(first, first + word * (count - 1), word)]


def _unknown_context(key: EventKey, form: Format) -> Diagnostic:
    """The note on a system call whose context no source has: the long header is not part of it on every kernel."""
    message = (
        f"{key}: its programs may find number and arguments elsewhere than this file says: the common header is longer "
        "than 8 bytes, and kernels differ in what they build with it"
    )
    return Diagnostic("syscall-context", message, Position(form.path), "give --btf", Severity.NOTE)


# --- computed layout


def _layouts(kernel: Kernel, keys: Sequence[EventKey]) -> Iterator[Comparison]:
    """Compare the layout of every class that an event of `keys` has, once."""
    done = set()
    for key in keys:
        btf, event = kernel.btf(key), kernel.event(key)
        if btf is None or event.record is None:
            continue
        for name in (event.class_name,) if event.class_name else event.class_candidates:
            if (btf.module, name) not in done and btf.record(name) is not None:
                done.add((btf.module, name))
                yield _layout(btf, name)


@memoised
def _layout(btf: BtfTracepoints, name: str) -> Comparison:
    record = btf.record(name)
    assert record is not None
    computed = lay_out(record.fields, record.header_bytes, btf.target)
    what = f"class {name}"
    if computed.size_bytes is None:
        unknown = next(field.name for field in computed.fields if field.offset_bytes is None)
        return Comparison(Subject.LAYOUT, what, reason=f"the size or the alignment of field {unknown} is unknown")
    where = Position(btf.btf.path)
    findings = _compare_records(what, computed.fields, record, where, "the computed layout", "BTF")
    if findings and (packed := _packed(record, btf.target)):
        # BTF does not say that a struct is packed; that its bytes stand where a packed one's would, does.
        message = f"{what}: laid out as the kernel does only if {spell(packed)} is packed"
        note = Diagnostic("layout-packed", message, where, severity=Severity.NOTE)
        return Comparison(Subject.LAYOUT, what, (note,))
    if computed.size_bytes != record.size_bytes and not findings:
        message = f"{what}: size {computed.size_bytes} in the computed layout, {record.size_bytes} in BTF"
        findings.append(Diagnostic("record-size", message, where))
    return Comparison(Subject.LAYOUT, what, tuple(findings))


def _packed(record: Record, target: Target) -> CType | None:
    """The by-value struct that explains the record's layout if it is packed; None where none does."""
    if _placed_as(record, lay_out(record.fields, record.header_bytes, target)):
        return None
    for ctype in dict.fromkeys(field.type for field in record.fields if field.type is not None):
        if isinstance(stripped(ctype), Struct):
            fields = tuple(replace(field, type=_as_packed(field.type, ctype)) for field in record.fields)
            if _placed_as(record, lay_out(fields, record.header_bytes, target)):
                return ctype
    return None


def _as_packed(ctype: CType | None, packed: CType) -> CType | None:
    """`ctype`, packed where it is the struct `packed`."""
    struct = None if ctype is None else stripped(ctype)
    return replace(struct, align_bytes=1) if isinstance(struct, Struct) and struct == stripped(packed) else ctype


def _placed_as(record: Record, other: Record) -> bool:
    """Whether two records have the same size and offsets."""
    places = [[field.offset_bytes for field in each.fields] for each in (record, other)]
    return record.size_bytes == other.size_bytes and places[0] == places[1]


# --- headers


def _headers(kernel: Kernel, key: EventKey, raw_only: bool) -> Iterator[Comparison]:
    """Compare with the headers. Where these differ, also with the names that the event's module defines."""
    stated = _Stated(kernel.header_event(key), kernel.header_class(key))
    as_written = list(_header_comparisons(kernel, key, raw_only, stated, {}))
    if errors(as_written) or _is_open(stated, kernel.target):
        # Looking types up takes a while, and for most events the words of the headers are enough.
        stated = _Stated(kernel.resolved_event(key), kernel.resolved_class(key))
        as_written = list(_header_comparisons(kernel, key, raw_only, stated, {}))
    makefiles = kernel.sources.tree.makefiles if kernel.sources.tree else None
    if not errors(as_written) or makefiles is None or key.module is None:
        yield from as_written
        return
    defines = makefiles.defines(key.module)
    names = {define.name: define.meaning for define in defines}
    as_compiled = _header_comparisons(kernel, key, raw_only, stated, names)
    for written, compiled in zip(as_written, as_compiled, strict=True):
        explained = errors([written]) and not errors([compiled])
        yield written._replace(findings=(_as_defined(key, written, defines),)) if explained else written


class _Stated(NamedTuple):
    """The facts that headers state of an event, and of its class."""

    event: HeaderEvent | None
    event_class: HeaderClass | None


def _is_open(stated: _Stated, target: Target) -> bool:
    """Whether the size of a field, or the length of an array, depends on what a name means in the headers.

    BTF may have another meaning of the same name.
    """
    event, declared = stated
    types = [f.type for f in declared.fields if f.type is not None and not f.dynamic] if declared else []
    lengths = any(has_unknown_length(arg.type) for arg in event.args) if event else False
    return lengths or any(size_of(ctype, target) is None for ctype in types)


def _as_defined(key: EventKey, written: Comparison, defines: Sequence[Define]) -> Diagnostic:
    """Return the note that replaces the findings of `written`, of which the module's defines leave none."""
    told = [define for define in defines if any(define.name in finding.message for finding in written.findings)]
    flags, where = " ".join(map(str, told or defines)), (told or defines)[0].position
    message = f"{key}: as the headers say, for {key.module} compiles them with {flags}"
    return Diagnostic("header-defines", message, where, severity=Severity.NOTE)


def _header_comparisons(
    kernel: Kernel, key: EventKey, raw_only: bool, stated: _Stated, names: Mapping[str, str]
) -> Iterator[Comparison]:
    """Compare the headers' event and class with the kernel's, where the compiler takes the words `names` for others."""
    header, raw = stated.event, kernel.raw(key)
    if header is None:
        yield _left_open(kernel, key, Form.RAW) or Comparison(
            Subject.HEADER_RAW, str(key), reason="the headers do not have it"
        )
        return
    if raw is None:
        yield Comparison(Subject.HEADER_RAW, str(key), reason="no BTF of its image was given")
    else:
        said = tuple(replace(arg, type=renamed(arg.type, names)) for arg in header.args)
        findings = _compare_arguments(key, said, raw.args, header.position)
        yield _of_headers(kernel, Subject.HEADER_RAW, str(key), findings)
    if raw_only:
        return
    event = kernel.event(key)
    if event.record is not None and event.kind == Kind.TRACE_EVENT:
        yield _header_record(kernel, key, stated, event.record, names)
    elif event.record is None and (left_open := _left_open(kernel, key, Form.CLASSIC)):
        yield left_open


def _left_open(kernel: Kernel, key: EventKey, form: Form) -> Comparison | None:
    """Return the comparison that cannot be made because headers define the event in several ways; None otherwise."""
    if len(kernel.header_forms(key)) < 2:
        return None
    event = kernel.event(key)
    reason = missing(event, form)
    return Comparison(
        Subject.HEADER_RAW if form == Form.RAW else Subject.HEADER_RECORD,
        str(key),
        reason="the headers define it in several ways, and nothing decides which of them counts",
        detail=lacking(event, form, reason) if reason else None,
    )


def _header_record(
    kernel: Kernel, key: EventKey, stated: _Stated, record: Record, names: Mapping[str, str]
) -> Comparison:
    def incomparable(reason: str, detail: Diagnostic | None = None) -> Comparison:
        return Comparison(Subject.HEADER_RECORD, str(key), reason=reason, detail=detail)

    declared, judge = stated.event_class, kernel.record_source(key)
    if declared is None:
        if left_open := _left_open(kernel, key, Form.CLASSIC):
            return left_open
        assert stated.event is not None
        return incomparable(f"the headers do not have its class {stated.event.class_name}")
    if judge is None:
        from tpgen.sources.headers.types.resolved_facts import unknown_field

        reason = f"neither BTF nor tracefs {'has it' if kernel.is_asked else 'was given'}"
        return incomparable(reason, None if kernel.is_asked else unknown_field(declared, kernel.target))
    fields = _as_declared(kernel, key, declared, record, names)
    findings = _compare_records(str(key), fields, record, declared.position, "the headers", judge)
    if not findings and (unknown := next((field for field in fields if field.size_bytes is None), None)):
        message = f"{key}: the size of field {unknown.name} is unknown, and so what lies behind it"
        detail = Diagnostic("header-size", message, declared.position, severity=Severity.NOTE)
        return incomparable("equal as far as sizes are known: those of some fields no source tells", detail)
    return _of_headers(kernel, Subject.HEADER_RECORD, str(key), findings)


def _as_declared(
    kernel: Kernel, key: EventKey, declared: HeaderClass, record: Record, names: Mapping[str, str]
) -> tuple[Field, ...]:
    """Place the fields of a class in the headers as a compiler would."""
    types = [None if f.type is None else kernel.resolved_type(renamed(f.type, names), key) for f in declared.fields]
    if packed := _packed(record, kernel.target):  # which the subject LAYOUT says once for the class
        types = [_as_packed(ctype, packed) for ctype in types]
    typed = tuple(replace(field, type=ctype) for field, ctype in zip(declared.fields, types, strict=True))
    return lay_out(typed, record.header_bytes, kernel.target).fields


def _of_headers(kernel: Kernel, subject: Subject, what: str, findings: list[Diagnostic]) -> Comparison:
    """Return a comparison with headers; those of another release can differ without anything being wrong."""
    if findings and not kernel.headers_match:
        assert kernel.sources.headers is not None
        headers, release = kernel.sources.headers.release, kernel.sources.release
        reason = f"it differs, but the headers are of Linux {headers} and the kernel is {release}"
        return Comparison(subject, what, reason=reason, detail=findings[0])
    return Comparison(subject, what, tuple(findings))


def _compare_arguments(
    key: EventKey, said: tuple[Argument, ...], args: tuple[Argument, ...], where: Position
) -> list[Diagnostic]:
    """Compare the headers' arguments, in the order of TP_ARGS, with those of BTF, in the order of TP_PROTO."""
    names, expected = [arg.name for arg in said], [arg.name for arg in args]
    known = None not in names and None not in expected
    if known and names != expected and sorted(map(str, names)) == sorted(map(str, expected)):
        message = f"{key}: TP_ARGS passes {', '.join(map(str, names))}, BTF has {', '.join(map(str, expected))}"
        hint = "the kernel passes them in the order of TP_ARGS"
        return [Diagnostic("raw-order", message, where, hint)]
    findings = _compare_types(key, "the headers", [arg.type for arg in said], [arg.type for arg in args], where)
    if not findings and known and names != expected:
        message = f"{key}: the raw arguments are {', '.join(map(str, names))} in the headers, "
        findings.append(Diagnostic("raw-names", f"{message}{', '.join(map(str, expected))} in BTF", where))
    return findings


# --- all of it


def _corruption(kernel: Kernel) -> Iterator[Comparison]:
    for btf in kernel.sources.btfs:
        try:
            btf.btf.validate()
        except TpgenError as error:
            yield Comparison(Subject.RAW, f"all types of {btf.btf.path}", error.diagnostics)
