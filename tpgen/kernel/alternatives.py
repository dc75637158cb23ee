"""Alternatives: the forms that headers give one event, and those of them that a kernel may have.

The branches of an #if, or two headers, may define one event differently. BTF, a format file and the module's Makefile
decide between such forms; what none of them decides is not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.model import Alternative, Argument, CType, Field
from tpgen.spelling import spell
from tpgen.typequery import has_unknown_length, same_type

if TYPE_CHECKING:
    from tpgen.sources.headers.facts import HeaderClass, HeaderEvent


class HeaderForm(NamedTuple):
    """An event as the headers define it once, with its class, which is None where no header has it."""

    event: HeaderEvent
    event_class: HeaderClass | None

    @property
    def fields(self) -> tuple[Field, ...] | None:
        return self.event_class.fields if self.event_class else None


def forms_of(events: Iterable[HeaderEvent], classes: Callable[[str], Sequence[HeaderClass]]) -> list[HeaderForm]:
    """Return the forms of `events`, the definitions of one event; `classes` has those of a class, by its name."""
    return [
        HeaderForm(event, event_class)
        for event in events
        for event_class in _classes_of(event, classes(event.class_name)) or (None,)
    ]


def _classes_of(event: HeaderEvent, classes: Sequence[HeaderClass]) -> list[HeaderClass]:
    """Return those of the definitions of its class that an event may be of: in its own header, where that has one."""
    beside = [found for found in classes if found.position.path == event.position.path] or list(classes)
    if len(beside) < 2:
        return beside
    from tpgen.sources.headers.preprocessor.conditions import are_exclusive

    # A TRACE_EVENT makes both, so each of its ways has its own class.
    own = [found for found in beside if (found.position, found.condition) == (event.position, event.condition)]
    return own or [found for found in beside if not are_exclusive(event.condition, found.condition)] or beside


def preferred(forms: list[HeaderForm], *tests: Callable[[HeaderForm], bool]) -> tuple[list[HeaderForm], bool]:
    """Return the forms that pass the tests, one after the other, and whether some pass the first.

    A test that none passes does not count.
    """
    some = True
    for number, test in enumerate(tests):
        passed = [form for form in forms if test(form)]
        forms, some = passed or forms, some and (bool(passed) or number > 0)
    return forms, some


def has_arguments(args: Sequence[Argument], form: HeaderForm) -> bool:
    """Whether the types of the raw arguments are these."""
    said = form.event.args
    return len(said) == len(args) and all(same_type(a.type, b.type) for a, b in zip(said, args, strict=True))


def has_names(args: Sequence[Argument], form: HeaderForm) -> bool:
    """Whether the names of the raw arguments are these."""
    return [arg.name for arg in form.event.args] == [arg.name for arg in args]


#: Returns the fields of a form's record in another source; None where it has no record.
FieldsOf = Callable[[HeaderForm], Sequence[Field] | None]


def has_members(fields_of: FieldsOf, form: HeaderForm) -> bool:
    """Whether the record's members have the same names in the other source, or neither has a record."""
    fields = fields_of(form)
    if form.fields is None or fields is None:
        return form.fields is fields
    return [field.member_name for field in form.fields] == [field.member_name for field in fields]


def has_types(fields_of: FieldsOf, form: HeaderForm) -> bool:
    """Whether the fields of the record have the same types in the other source, as far as both have them."""
    return has_members(fields_of, form) and all(
        ours.type is None or theirs.type is None or same_type(ours.type, theirs.type)
        for ours, theirs in zip(form.fields or (), fields_of(form) or (), strict=True)
    )


# --- what is the same either way


def same_arguments(forms: Sequence[HeaderForm]) -> bool:
    """Whether all forms have the same raw arguments, for a program that can attach to all of them or to none."""
    first, *others = (form.event for form in forms)
    return all(
        event.attachable == first.attachable and _same(_arguments(event.args), _arguments(first.args))
        for event in others
    )


def same_fields(forms: Sequence[HeaderForm]) -> bool:
    """Whether all forms have the same record, or none."""
    first, *others = forms
    return all(
        form.event.kind == first.event.kind
        and (form.fields is None) == (first.fields is None)
        and _same(_members(form.fields or ()), _members(first.fields or ()))
        for form in others
    )


def _arguments(args: Iterable[Argument]) -> list[tuple[str | None, CType | None]]:
    return [(arg.name, arg.type) for arg in args]


def _members(fields: Iterable[Field]) -> list[tuple[str | None, CType | None]]:
    return [(field.member_name, field.type) for field in fields]


def _same(left: Sequence[tuple[str | None, CType | None]], right: Sequence[tuple[str | None, CType | None]]) -> bool:
    return len(left) == len(right) and all(
        a == b and _is_same_type(one, other) for (a, one), (b, other) in zip(left, right, strict=True)
    )


def _is_same_type(left: CType | None, right: CType | None) -> bool:
    """Whether two types are the same; of arrays whose lengths nobody has evaluated, where these are the same text."""
    if left is right or left == right:
        return True
    if left is None or right is None or not same_type(left, right):
        return False
    return not (has_unknown_length(left) or has_unknown_length(right)) or spell(left) == spell(right)


# --- for people


def alternatives_of(forms: Sequence[HeaderForm]) -> tuple[Alternative, ...]:
    """Return where each form is defined, and under which condition; nothing for a single one without any."""
    if not forms:
        return ()
    from tpgen.sources.headers.preprocessor.conditions import conjunction  # who has no headers goes without

    events = {form.event.position for form in forms}
    found: dict[Alternative, None] = {}
    for event, event_class in forms:
        # One event of a class that is defined in several ways differs by these.
        apart = len(events) == 1 and event_class is not None and event_class.position.path == event.position.path
        position = event_class.position if apart and event_class is not None else event.position
        texts = (event.condition or "", (event_class.condition if event_class else None) or "")
        found[Alternative(position, conjunction(texts) or None)] = None
    return tuple(found) if len(found) > 1 or any(form.condition for form in found) else ()
