"""The grammar of record members. The only module that imports lark, and only when there is something to parse."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpgen.basics.frozen import frozen
from tpgen.model import Dynamic

if TYPE_CHECKING:
    from lark import Lark


@frozen
class Member:
    """A member of the record as text: `type name`, `type name[length]…`, or a dynamic field with elements of `type`."""

    type: str
    name: str
    lengths: tuple[str, ...] = ()
    dynamic: Dynamic | None = None


@frozen
class BadMember:
    """A text that is no member, and the parser's reason."""

    reason: str


def parse_members(texts: Sequence[str]) -> list[Member | BadMember]:
    """Parse each text, a primitive of kernel_headers/trace_entry.h, into the member that it makes."""
    from lark.exceptions import UnexpectedInput

    if not texts:
        return []
    try:
        members: list[Member | BadMember] = list(_parse("\n".join(texts)))
        if len(members) == len(texts):
            return members
    except UnexpectedInput:
        pass
    if len(texts) == 1:
        return [BadMember("not a field of TP_STRUCT__entry")]
    # Halve until the faulty text stands alone.
    middle = len(texts) // 2
    return parse_members(texts[:middle]) + parse_members(texts[middle:])


def _parse(text: str) -> list[Member]:
    # The transformer builds members while parsing, so that there is never a tree; lark does not type that.
    members: Any = _parser().parse(text)
    assert isinstance(members, list)
    return members


@cache
def _parser() -> Lark:
    from lark import Lark, Token, Transformer

    class Members(Transformer[Token, list[Member]]):
        def declarator(self, children: list[Token]) -> Member:
            stars = children.pop(0).strip() if children[0].type == "STARS" else ""
            return Member(stars, str(children[0]), tuple(length.strip() for length in children[1:]))

        def field(self, children: list[Any]) -> Member:
            ctype, declared = children
            return Member(f"{ctype.strip()} {declared.type}".strip(), declared.name, declared.lengths)

        def array(self, children: list[Any]) -> Member:
            member = self.field(children[:2])
            return Member(member.type, member.name, (*member.lengths, children[2].strip()))

        def data_loc(self, children: list[Token]) -> Member:
            return Member(children[0].strip(), str(children[1]), (), Dynamic.DATA_LOC)

        def rel_loc(self, children: list[Token]) -> Member:
            return Member(children[0].strip(), str(children[1]), (), Dynamic.REL_LOC)

        def start(self, children: list[Member]) -> list[Member]:
            return children

    grammar = Path(__file__).with_name("trace_event.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", transformer=Members())
