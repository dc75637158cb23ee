"""A header with the names of an event's values: enumerators that the loader finds, and constants that it prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

from tpgen.backends.base import GeneratedFile
from tpgen.backends.bpf.flavours import Flavours, flavours
from tpgen.backends.bpf.prelude import Prelude
from tpgen.backends.prerendered import fill
from tpgen.model import Event
from tpgen.programs.forms import Form
from tpgen.variants.facts import PrototypeExists
from tpgen.variants.names import JoinedName, JoinedNames
from tpgen.variants.views import KernelView, prototype_of

_PREFIXES = {Form.RAW: "RAW", Form.CLASSIC: "TP"}
_PLACES = {Form.RAW: "raw argument", Form.CLASSIC: "field"}
_INDENT = "\t    "


def names_header(
    event: Event,
    named: Mapping[Form, Sequence[JoinedNames]],
    views: Sequence[KernelView],
    kernels: str,
    stem: str,
    prelude: Prelude,
) -> GeneratedFile:
    """The header for an event of `views`, oldest first, which `kernels` names; `stem` is the name of the file."""
    local = _flavours(named, views, event.name)
    enums = _Enums(event.name)
    sets = [(form, names) for form, of_form in named.items() for names in of_form if names.names]
    same = {names: form for form, names in reversed(sets)}
    macros = "".join(
        _set(event.name, form, names, enums, local)
        if same[names] == form
        else _alias(f"{event.name}_{names.name}", form, same[names], names)
        for form, names in sets
    )
    conditions = _for_programs(local.text(_comments(local, views)))
    values = "".join((*enums.text(), conditions, macros))
    notes = [
        f" * Without {each.name} of {_PLACES[form]} {names.name}: {each.reason}.\n"
        for form, of_form in named.items()
        for names in of_form
        for each in names.omitted
    ]
    preamble = _for_programs(prelude.text("prelude.h", "portable.h")) if conditions else ""
    text = fill(
        "bpf",
        "names.h",
        title=event.title,
        kernels=kernels,
        notes="".join(notes),
        guard=f"TPGEN_VALUES_{event.name.upper()}_H",
        digest=f"{crc32(values.encode()):08x}",
        preamble=preamble,
        values=values,
    )
    return GeneratedFile(f"{stem}.h", text)


def _for_programs(text: str) -> str:
    """The text, which only a compiler of BPF programs understands, for these alone."""
    return f"#ifdef __bpf__\n{text}#endif\n" if text else ""


class _Enums:
    """The local enums of a header, of which a loader compares the names in front of `___`."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._held: dict[str, dict[str, int]] = {}

    def suffix(self, enum: str) -> str:
        """The suffix of the enum and of its enumerators, which other enums of the header do not have."""
        number = list(self._held).index(enum) + 1
        return f"___values_{self._event}" + (f"_{number}" if number > 1 else "")

    def take(self, enum: str, name: str, value: int) -> None:
        """Declare an enumerator."""
        self._held.setdefault(enum, {}).setdefault(name, value)

    def text(self) -> Iterator[str]:
        """The declarations; the numbers are those of the newest kernel."""
        for enum, held in self._held.items():
            suffix = self.suffix(enum)
            lines = "".join(f"\t{name}{suffix}{_initial(value)},\n" for name, value in held.items())
            if enum.startswith("enum "):
                yield f"{enum}{suffix} {{\n{lines}}};\n"
            else:
                yield f"typedef enum {{\n{lines}}} {enum}{suffix};\n"


def _initial(value: int) -> str:
    # What is no int is no enumerator to C before C23.
    return f" = {value}" if -(1 << 31) < value < 1 << 31 else ""


def _set(event: str, form: Form, names: JoinedNames, enums: _Enums, local: Flavours) -> str:
    """The macros for the names of one argument or field."""
    prefix, stem = _PREFIXES[form], f"{event}_{names.name}"
    entries = "".join(f' \\\n\ttpgen_x({each.key}, "{_escaped(each.text or each.key)}")' for each in names.names)
    of = f": {names.enum}" if names.enum else ""
    lines = [f"/* {_PLACES[form]} {names.name}{of}{', whose values are flags' if names.is_flags else ''} */"]
    if names.mask is not None:
        lines.append(f"#define {prefix}_MASK_{stem} {_number(names.mask, names)}")
    lines.append(f"#define {prefix}_VALUES_{stem}(tpgen_x){entries}")
    if names.enum is not None and all(not each.places and each.name == each.key for each in names.names):
        for each in names.names:
            enums.take(names.enum, each.key, each.values[0][1])
        suffix = enums.suffix(names.enum)
        of_enum = f"{names.enum}{suffix}, name ## {suffix}"
        lines.append(f"#define {prefix}_VALUE_{stem}(name) (({_c_type(names)})TPGEN_ENUMERATOR({of_enum}))")
        lines.append(f"#define {prefix}_HAS_VALUE_{stem}(name) TPGEN_ENUMERATOR_EXISTS({of_enum})")
    else:
        lines.append(f"#define {prefix}_VALUE_{stem}(name) TPGEN_{prefix}_VALUE_{stem}__ ## name")
        lines.append(f"#define {prefix}_HAS_VALUE_{stem}(name) TPGEN_{prefix}_HAS_VALUE_{stem}__ ## name")
        for each in names.names:
            value, exists = _expressions(each, names, enums, local)
            lines.append(f"#define TPGEN_{prefix}_VALUE_{stem}__{each.key} {value}")
            lines.append(f"#define TPGEN_{prefix}_HAS_VALUE_{stem}__{each.key} {exists}")
    return "\n".join(lines) + "\n\n"


def _alias(stem: str, form: Form, other: Form, names: JoinedNames) -> str:
    """The macros for a field whose values are those of the argument of its name."""
    prefix, of = _PREFIXES[form], _PREFIXES[other]
    lines = [f"/* {_PLACES[form]} {names.name}, as the {_PLACES[other]} */"]
    if names.mask is not None:
        lines.append(f"#define {prefix}_MASK_{stem} {of}_MASK_{stem}")
    for macro in ("VALUES", "VALUE", "HAS_VALUE"):
        lines.append(f"#define {prefix}_{macro}_{stem} {of}_{macro}_{stem}")
    return "\n".join(lines) + "\n\n"


def _expressions(name: JoinedName, names: JoinedNames, enums: _Enums, local: Flavours) -> tuple[str, str]:
    """The expressions of C for the number of a name, and for whether the kernel has it."""
    if not name.places:
        assert names.enum is not None and name.name is not None
        enums.take(names.enum, name.name, name.values[0][1])
        suffix = enums.suffix(names.enum)
        of = f"{names.enum}{suffix}, {name.name}{suffix}"
        return f"(({_c_type(names)})TPGEN_ENUMERATOR({of}))", f"TPGEN_ENUMERATOR_EXISTS({of})"
    if not name.places[0].when:
        return _number(name.places[0].value, names), "1"
    conditions = [local.any_of(place.when, " ").replace("\n", " ") for place in name.places]
    # Of one type, so that no choice changes a sign.
    ctype = _c_type(names)
    choices = "".join(
        f"({condition}) ? ({ctype}){_number(place.value, names)} : "
        for condition, place in zip(conditions, name.places, strict=True)
    )
    absent = f"__extension__ ({{ TPGEN_ABSENT({name.key}); ({ctype})0; }})"
    return f"({choices}{absent})", f"({' || '.join(f'({condition})' for condition in conditions)})"


def _c_type(names: JoinedNames) -> str:
    size = "long long" if names.size_bytes > _INT_BYTES else "int"
    return size if names.signed else f"unsigned {size}"


_INT_BYTES = 4


def _number(value: int, names: JoinedNames) -> str:
    """The constant, of the type that the accessor returns or one that converts to it without a change."""
    text = f"{value:#x}" if names.is_flags and value >= 0 else str(value)
    if -(1 << 31) < value < 1 << 31:
        return text if value >= 0 else f"({text})"
    suffix = "ULL" if names.size_bytes > _INT_BYTES else "U"
    return f"(({_c_type(names)}){value & (1 << 8 * max(names.size_bytes, _INT_BYTES)) - 1:#x}{suffix})"


def _escaped(text: str) -> str:
    """The text within a string literal of C, without trigraphs."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("??", '?""?')


def _flavours(named: Mapping[Form, Sequence[JoinedNames]], views: Sequence[KernelView], event: str) -> Flavours:
    """The local types that the conditions need."""
    places = (place for of_form in named.values() for names in of_form for each in names.names for place in each.places)
    conditions = [condition for place in places for each in place.when for condition in each]
    forms = list(filter(None, map(prototype_of, reversed(views))))
    return flavours(conditions, [], forms, f"values_{event}", "values")


def _comments(local: Flavours, views: Sequence[KernelView]) -> dict[PrototypeExists, str]:
    """The kernels that have each prototype."""
    return {form: ", ".join(view.kernel for view in views if prototype_of(view) == form) for form in local.prototypes}
