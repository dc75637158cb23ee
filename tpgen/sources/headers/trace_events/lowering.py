"""Lowering of statements to facts: parameters and fields with their C types, arguments in the order that BPF sees.

Everything that repeats is parsed once: the entries of TP_STRUCT__entry by lark, the declarations by pycparser, each in
one run over the distinct texts of all headers. Then each header is lowered by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

from tpgen.basics.frozen import frozen
from tpgen.diagnostics import Diagnostic, Position, Severity, shortened
from tpgen.model import Argument, Array, CType, Field, FuncProto, Kind, Pointer
from tpgen.sources.cdecl import BadDeclaration, Declaration, parse_declarations
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent
from tpgen.sources.headers.preprocessor.conditions import conjunction
from tpgen.sources.headers.preprocessor.macros import BadInvocation, Expander, ExpansionLimit, Macro, Token, join
from tpgen.sources.headers.preprocessor.source import group_end, split_arguments, split_commas
from tpgen.sources.headers.trace_events.family import CLASS, TRACEPOINT, entry_family
from tpgen.sources.headers.trace_events.member_grammar import BadMember, Member, parse_members
from tpgen.sources.headers.trace_events.scan import Statement, macro_chain
from tpgen.sources.headers.trace_events.struct_entries import head, unwrapped
from tpgen.sources.headers.trace_events.units import ArgumentOrder
from tpgen.sources.headers.types.resolver import TypeResolver
from tpgen.target import Target


@dataclass(slots=True)
class Lowered:
    """The classes and events of one header in the order of their statements, and what was skipped.

    `argument_orders` are those of the header's classes, by name. `external_orders` are those of other headers' classes
    that its events use, None for a class that does not exist.
    """

    classes: list[HeaderClass] = field(default_factory=list)
    events: list[HeaderEvent] = field(default_factory=list)
    skipped: list[Diagnostic] = field(default_factory=list)
    argument_orders: dict[str, ArgumentOrder] = field(default_factory=dict)
    external_orders: dict[str, ArgumentOrder | None] = field(default_factory=dict)


@frozen
class Parsed:
    """The parsed statements of one header. `lower` takes the argument orders of all classes of the tree, by name."""

    argument_orders: Mapping[str, ArgumentOrder]
    lower: Callable[[Mapping[str, ArgumentOrder]], Lowered]


def parse(headers: Sequence[Sequence[Statement]], target: Target) -> list[Parsed]:
    """Parse the statements of each header of a tree, with declarations as `target` has them."""
    drafts = [[_draft(statement) for statement in statements] for statements in headers]
    flat = list(chain.from_iterable(drafts))
    members = _members(list(dict.fromkeys(entry for draft in flat for entry in draft.entries)))
    texts = dict.fromkeys(param for draft in flat for param in draft.params)
    for member in members.values():
        if isinstance(member, Member):
            texts.update(dict.fromkeys(_member_texts(member)))
    facts = _FactCache(members, _declarations(texts, target), TypeResolver(target))
    lowerings = [_Lowering(facts, own) for own in drafts]
    return [Parsed(lowering.lowered.argument_orders, lowering.lower) for lowering in lowerings]


# --- statements, taken apart ---------------------------------------------------------------------------------------


@frozen
class _Draft:
    """A statement taken apart into the texts of its parameters, its arguments and, for a class, its entries."""

    statement: Statement
    name: str
    class_name: str
    params: tuple[str, ...]
    args: tuple[str, ...]
    entries: tuple[str, ...]


def _draft(statement: Statement) -> _Draft:
    arguments = statement.arguments
    if statement.primitive == CLASS:
        name = class_name = arguments[0]
        proto, args, entries = arguments[1], arguments[2], statement.entries
    else:
        class_name, name, proto, args = arguments[:4]
        entries = ()
    return _Draft(statement, name, class_name, _params(proto), _args(args), entries)


# A TRACE_EVENT makes two statements of the same texts, one behind the other.
@lru_cache(maxsize=8)
def _params(proto: str) -> tuple[str, ...]:
    params = tuple(" ".join(param.split()) for param in split_commas(unwrapped(proto)))
    return () if params == ("void",) else params


@lru_cache(maxsize=8)
def _args(args: str) -> tuple[str, ...]:
    return tuple(filter(None, map(_plain, split_commas(unwrapped(args)))))


def _plain(argument: str) -> str:
    while argument.startswith("(") and group_end(argument, 0) == len(argument):
        argument = argument[1:-1].strip()
    return "" if argument == "void" else argument


# --- entries to members --------------------------------------------------------------------------------------------


def _members(entries: Sequence[str]) -> dict[str, Member | BadMember]:
    """Parse each entry into its member. Most entries differ by their names only, so only their shapes are parsed."""
    family = entry_family()
    named = {entry: _shape(entry, family) for entry in entries}
    shapes = _members_of_shapes(dict.fromkeys(shape for shape, _ in named.values()), family)
    return {entry: _with_name(shapes[shape], name) for entry, (shape, name) in named.items()}


def _with_name(member: Member | BadMember, name: str | None) -> Member | BadMember:
    if name is None or isinstance(member, BadMember):
        return member
    return Member(member.type, name, member.lengths, member.dynamic)


# An argument, which is what two commas or the parentheses enclose, that is a name.
_NAME = re.compile(r"\s*([A-Za-z_]\w*)\s*")


def _shape(entry: str, family: Mapping[str, Macro]) -> tuple[str, str | None]:
    """Return an entry with `_` for its member's name, and the name; unchanged, and None, where none is in its place."""
    macro = family.get(head(entry))
    sliced = split_arguments(entry, entry.index("(")) if macro and macro.params and "(" in entry else None
    if macro is None or macro.params is None or sliced is None:
        return entry, None
    place = macro.params.index("name")
    found = _NAME.fullmatch(entry, *sliced[0][place]) if place < len(sliced[0]) else None
    if found is None or found[1] in family:
        return entry, None
    return f"{entry[: found.start(1)]}_{entry[found.end(1) :]}", found[1]


def _members_of_shapes(shapes: Iterable[str], family: Mapping[str, Macro]) -> dict[str, Member | BadMember]:
    expander = Expander(family)
    result: dict[str, Member | BadMember] = {}
    primitives: dict[str, str] = {}
    for shape in shapes:
        if head(shape) in family and "(" in shape:
            try:
                primitives[shape] = join(expander.expand(_entry_tokens(shape)))
            except (BadInvocation, ExpansionLimit) as error:
                result[shape] = BadMember(str(error) or "expands without end")
        else:
            result[shape] = BadMember("no field macro that the kernel has")
    parsed = parse_members(list(primitives.values()))
    result.update(zip(primitives, parsed, strict=True))
    return result


def _entry_tokens(entry: str) -> list[Token]:
    sliced = split_arguments(entry, entry.index("("))
    assert sliced, "an entry is cut along its parentheses"
    tokens = [Token(head(entry)), Token("(")]
    for number, (start, end) in enumerate(sliced[0]):
        tokens += [Token(",")] * bool(number)
        if text := entry[start:end].strip():
            tokens.append(Token(text, opaque=True))
    tokens.append(Token(")"))
    return tokens


def _member_texts(member: Member) -> Iterable[str]:
    yield _type_text(member)
    yield from map(_length_text, member.lengths)


def _type_text(member: Member) -> str:
    return f"{member.type} _"


def _length_text(length: str) -> str:
    # The element does not matter for the length, and one length serves many elements.
    return f"char _[{length}]"


# No declaration of a real header takes 300 characters or 20 brackets, and the parser's time grows with their square.
_LONGEST = 2000
_MOST_BRACKETS = 100


def _declarations(texts: Iterable[str], target: Target) -> dict[str, Declaration | BadDeclaration]:
    """Parse each text as a declaration. One that is far beyond all that a real header has is refused."""
    absurd = {text for text in texts if len(text) > _LONGEST or text.count("[") + text.count("(") > _MOST_BRACKETS}
    refused = {text: BadDeclaration(text, "it is longer or deeper than any declaration") for text in absurd}
    return refused | parse_declarations((text for text in texts if text not in absurd), target)


# Each bad field of a class is looked for in the text: no class of a kernel has this many fields.
_MOST_REPORTED = 64


# --- facts ---------------------------------------------------------------------------------------------------------


class _FactCache:
    """The fields and arguments that texts stand for. Those that headers repeat are made once."""

    def __init__(
        self,
        members: Mapping[str, Member | BadMember],
        declarations: Mapping[str, Declaration | BadDeclaration],
        base_types: TypeResolver,
    ) -> None:
        self._members = members
        self._declarations = declarations
        self._base_types = base_types
        self._fields: dict[str, Field | str] = {}
        self._arguments: dict[tuple[tuple[str, ...], ArgumentOrder], tuple[Argument, ...] | BadDeclaration] = {}

    def order(self, params: Sequence[str], args: Sequence[str]) -> ArgumentOrder | None:
        """Return the index of each raw argument's parameter; None where `args` are no names of parameters."""
        if not args and not params:
            return ()
        # Of two parameters of one name, which C does not allow, it is the first.
        places = {self.name(params[index]): index for index in reversed(range(len(params)))}
        if len(args) != len(params) or not set(args) <= set(places):
            return None
        return tuple(places[arg] for arg in args)

    def name(self, param: str) -> str | None:
        """Return the name of a parameter."""
        declaration = self._declarations[param]
        return declaration.name if isinstance(declaration, Declaration) else None

    def arguments(self, params: tuple[str, ...], order: ArgumentOrder) -> tuple[Argument, ...] | BadDeclaration:
        """Return the raw arguments in `order`, or the parameter that is no C declaration."""
        key = params, order
        if key not in self._arguments:
            self._arguments[key] = self._make_arguments(params, order)
        return self._arguments[key]

    def _make_arguments(self, params: Sequence[str], order: ArgumentOrder) -> tuple[Argument, ...] | BadDeclaration:
        whole: list[Declaration] = []
        for declaration in map(self._declarations.__getitem__, params):
            if isinstance(declaration, BadDeclaration):
                return declaration
            whole.append(declaration)
        return tuple(
            Argument(whole[index].name, self._adjusted(whole[index].type), slot) for slot, index in enumerate(order)
        )

    def _adjusted(self, ctype: CType) -> CType:
        """Return the type of a parameter declared as `ctype`: C passes an array or a function by its address."""
        if isinstance(ctype, Array):
            # Of the inner dimensions of an array of arrays the lengths matter still.
            inner = ctype.element
            return Pointer(self._base_types.resolved(inner) if isinstance(inner, Array) else inner)
        return Pointer(ctype) if isinstance(ctype, FuncProto) else self._base_types.resolved(ctype)

    def field(self, entry: str) -> Field | str:
        """Return the field that an entry of TP_STRUCT__entry makes, or the reason why it makes none."""
        known = self._fields.get(entry)
        if known is None:
            known = self._fields[entry] = self._make_field(self._members[entry])
        return known

    def _make_field(self, member: Member | BadMember) -> Field | str:
        if isinstance(member, BadMember):
            return member.reason
        declaration = self._declarations[_type_text(member)]
        if isinstance(declaration, BadDeclaration):
            return declaration.reason
        ctype = declaration.type
        for length in reversed(member.lengths):
            ctype = self._array(ctype, length)
        return Field(member.name, self._base_types.resolved(ctype), None, None, None, member.dynamic)

    def _array(self, element: CType, length: str) -> Array:
        # A length that is no C expression by itself (`FOO_SZ(struct bar)`) is one after more macros: unknown.
        declaration = self._declarations[_length_text(length)]
        if isinstance(declaration, Declaration) and isinstance(declaration.type, Array):
            return Array(element, declaration.type.length, declaration.type.length_text)
        return Array(element, None, length)


class _Lowering:
    """The lowering of one header."""

    def __init__(self, facts: _FactCache, drafts: Sequence[_Draft]) -> None:
        self.lowered = Lowered()
        self._facts = facts
        self._drafts = drafts
        for draft in drafts:
            if draft.statement.primitive == CLASS:
                self._note_order(draft)

    def lower(self, orders: Mapping[str, ArgumentOrder]) -> Lowered:
        """Return the facts; `orders` are the argument orders of all classes of the tree."""
        for draft in self._drafts:
            if not re.fullmatch(r"\w+", draft.name):
                self._skip(
                    "header-name", f"`{shortened(draft.name)}` cannot be the name of an event", draft, draft.name
                )
            elif draft.statement.primitive == CLASS:
                self._lower_class(draft)
            else:
                self._lower_event(draft, orders)
        return self.lowered

    def _skip(self, code: str, message: str, draft: _Draft, text: str, severity: Severity = Severity.NOTE) -> None:
        position = _position(draft.statement, text)
        self.lowered.skipped.append(
            Diagnostic(code, message, position, severity=severity, chain=macro_chain(draft.statement.origin))
        )

    # --- classes

    def _note_order(self, draft: _Draft) -> None:
        order = self._facts.order(draft.params, draft.args)
        if order is None:
            names = set(map(self._facts.name, draft.params))
            self._skip(
                "header-args-order",
                f"cannot tell the order of the arguments ({shortened(', '.join(draft.args))}) of class {draft.name}; "
                "taken as TP_PROTO has them",
                draft,
                next((arg for arg in draft.args if arg not in names), draft.name),
            )
            order = tuple(range(len(draft.params)))
        self.lowered.argument_orders[draft.name] = order

    def _lower_class(self, draft: _Draft) -> None:
        args = self._arguments(draft, self._own_order(draft))
        fields = [self._facts.field(entry) for entry in draft.entries]
        bad = [(entry, found) for entry, found in zip(draft.entries, fields, strict=True) if isinstance(found, str)]
        for number, (entry, reason) in enumerate(bad[:_MOST_REPORTED], 1):
            others = len(bad) - number if number == _MOST_REPORTED else 0
            more = f" (nor {others} of its other fields)" if others else ""
            message = f"class {draft.name} is left out: cannot read its field `{shortened(entry)}`{more}: {reason}"
            self._skip("header-field", message, draft, entry)
        whole = tuple(found for found in fields if isinstance(found, Field))
        if args is not None and len(whole) == len(fields):
            statement = draft.statement
            position, condition = statement.position, statement.presence.condition
            self.lowered.classes.append(
                HeaderClass(draft.name, args, whole, position, condition, macro_chain(statement.origin))
            )

    # --- events

    def _lower_event(self, draft: _Draft, orders: Mapping[str, ArgumentOrder]) -> None:
        statement = draft.statement
        args = self._arguments(draft, self._class_order(draft, orders))
        if args is None:
            return
        bare = statement.primitive == TRACEPOINT
        for system, condition in _systems(statement):
            self.lowered.events.append(
                HeaderEvent(
                    system,
                    draft.name,
                    draft.class_name,
                    Kind.TRACEPOINT if bare else Kind.TRACE_EVENT,
                    args,
                    statement.position,
                    attachable=not bare or statement.arguments[4] == "1",
                    condition=condition,
                )
            )

    def _class_order(self, draft: _Draft, orders: Mapping[str, ArgumentOrder]) -> ArgumentOrder:
        """Return the argument order of an event.

        BPF's handler belongs to the class, and an event's parameters stand in the places of the class's, so the order
        is the class's TP_ARGS. The event's own decides only where its class is not in sight.
        """
        order = self.lowered.argument_orders.get(draft.class_name)
        if order is None:
            order = self.lowered.external_orders[draft.class_name] = orders.get(draft.class_name)
        return order if order is not None and len(order) == len(draft.params) else self._own_order(draft)

    def _own_order(self, draft: _Draft) -> ArgumentOrder:
        return self._facts.order(draft.params, draft.args) or tuple(range(len(draft.params)))

    def _arguments(self, draft: _Draft, order: ArgumentOrder) -> tuple[Argument, ...] | None:
        """Return the raw arguments in `order`; None, with a report, when a parameter is no C declaration."""
        found = self._facts.arguments(draft.params, order)
        if isinstance(found, BadDeclaration):
            message = f"cannot read its parameter `{shortened(found.text)}`: {found.reason}"
            self._skip("header-parameter", f"{draft.name} is left out: {message}", draft, found.text)
            return None
        return found


def _systems(statement: Statement) -> list[tuple[str | None, str | None]]:
    """Return each system that an event belongs to, with the condition under which it exists there."""
    own = statement.presence.condition
    if len(statement.systems) < 2:
        return [(statement.systems[0][0] if statement.systems else None, own)]
    return [(system, conjunction((own or "", condition or "")) or None) for system, condition in statement.systems]


def _position(statement: Statement, text: str) -> Position:
    """Return where `text` stands in the invocation of a statement, or that of the invocation if a macro made it."""
    start, end = statement.span
    pattern = r"\s*".join(map(re.escape, re.findall(r"\w+|[^\w\s]", text)[:40]))
    match = re.compile(pattern).search(statement.source.clean, start, end)
    return statement.source.position(match.start() if match else start)
