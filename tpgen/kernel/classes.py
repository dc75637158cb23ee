"""Event classes: finding the class of an event if the kernel does not show it.

BTF has the records of classes and the prototypes of events. Headers know the class; else names, prototypes and the
fields that tracefs shows lead to it, or to several that fit equally well.
"""

from __future__ import annotations

from tpgen.basics.memo import Identity, memoised
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.model import Dynamic, Field, Origin, Record
from tpgen.typequery import same_type

if TYPE_CHECKING:
    from typing import TypeAlias

    from tpgen.kernel.events import EventKey
    from tpgen.kernel.lookup import Lookup
    from tpgen.sources.btf_tracepoints import BtfTracepoints

#: Where a record's fields are: name, kind of locator, offset and size in bytes.
Placement: TypeAlias = tuple[tuple[str, Dynamic | None, int | None, int | None], ...]


class ClassChoice(NamedTuple):
    """An event's class and how it was found, or None and the classes that fit equally well."""

    name: str | None
    origin: Origin | None
    candidates: tuple[str, ...] = ()


@memoised
def class_choice(lookup: Lookup, key: EventKey) -> ClassChoice:
    """Choose the event's class: from the headers, else of the same name, else the one whose prototype and layout fit.

    Where several fit, a catalog may know which of them it is.
    """
    stated, btf = lookup.header_class_name(key), lookup.btf(key)
    if btf is None:
        return ClassChoice(stated, Origin.HEADERS if stated else None)
    if stated is None and _own_class_fits(lookup, key, btf):
        return ClassChoice(key.name, Origin.NAME)
    fitting = _fitting_classes(lookup, key, btf)
    if stated is not None and (stated in fitting or (lookup.headers_match and not fitting)):
        return ClassChoice(stated, Origin.HEADERS)
    if key.name in fitting:
        return ClassChoice(key.name, Origin.NAME)
    if len(fitting) == 1:
        return ClassChoice(fitting[0], Origin.LAYOUT if lookup.format(key) else Origin.PROTOTYPE)
    # Where no record is the one that tracefs shows, it is the prototype's class: `check` tells the difference.
    alike = () if fitting else btf.classes_like(key.name)
    if key.name in alike:
        return ClassChoice(key.name, Origin.NAME)
    if len(alike) == 1:
        return ClassChoice(alike[0], Origin.PROTOTYPE)
    known = _known_class(lookup, key, fitting, btf)
    return ClassChoice(known, Origin.CATALOG) if known else ClassChoice(None, None, tuple(fitting))


def _own_class_fits(lookup: Lookup, key: EventKey, btf: BtfTracepoints) -> bool:
    """Whether the class of the event's name is one of those that fit, of which it is the one that counts."""
    if not btf.is_like(key.name, key.name):
        return False
    form = lookup.format(key)
    return form is None or bool(form.faults) or _is_shown(btf, key.name, form.fields, placement(form.fields))


def _fitting_classes(lookup: Lookup, key: EventKey, btf: BtfTracepoints) -> list[str]:
    """Return the classes of the event's prototype, and where tracefs shows its record, of the same record."""
    form = lookup.format(key)
    if form is None or form.faults:
        return list(btf.classes_like(key.name))
    shown = placement(form.fields)
    if form.fields and not btf.btf.is_indexed:
        # To find the class of a single event by what is in its record takes no look at all classes.
        possible = btf.classes_with([field.member_name for field in form.fields])
        alike = [name for name in possible if btf.is_like(key.name, name)]
        if found := [name for name in alike if _is_shown(btf, name, form.fields, shown)]:
            return found
    return _shown_classes(btf, btf.param_types(key.name), Identity(form.fields))


@memoised
def _shown_classes(btf: BtfTracepoints, types: tuple[int, ...], fields: Identity) -> list[str]:
    """Return the classes of a prototype that have these fields in their records, else all that have them."""
    shown = placement(fields.value)
    found = [name for name in btf.classes_of(types) if _is_shown(btf, name, fields.value, shown)]
    # A DEFINE_EVENT may write its arguments' types differently from its class: then only the record can tell.
    return found or [name for name in btf.classes if _is_shown(btf, name, fields.value, shown)]


def _is_shown(btf: BtfTracepoints, name: str, fields: tuple[Field, ...], shown: Placement) -> bool:
    """Whether a class has the record with these fields that tracefs shows, in the places that are `shown`."""
    return _class_placement(btf, name) == shown and _same_types(btf.record(name), fields)


def _known_class(lookup: Lookup, key: EventKey, fitting: list[str], btf: BtfTracepoints) -> str | None:
    """Return the class that catalogs know the event to be of; None where they do not."""
    if lookup.sources.known_classes is None:
        return None
    # A prototype may be written in other words than that of its class. Without a record any class could be it.
    possible = fitting or (btf.classes if lookup.format(key) is None else ())
    return lookup.sources.known_classes.of(key.name, key.module, possible)


@memoised
def _class_placement(btf: BtfTracepoints, name: str) -> Placement | None:
    record = btf.record(name)
    return placement(record.fields) if record else None


def placement(fields: tuple[Field, ...]) -> Placement:
    """Return the place of each field."""
    return tuple((field.name, field.dynamic, field.offset_bytes, field.size_bytes) for field in fields)


def _same_types(record: Record | None, fields: tuple[Field, ...]) -> bool:
    """Whether the fields of a class's record, which stand where tracefs shows them, are of the types that it shows."""
    assert record is not None
    return all(
        ours.type is None or shown.type is None or same_type(ours.type, shown.type)
        for ours, shown in zip(record.fields, fields, strict=True)
    )
