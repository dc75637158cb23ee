"""What lark and pycparser make of each shape of a declaration: `python tests/support/shapes.py [FILE...]`.

Writes tpgen/sources/shapes.txt anew, with the shapes that it has and those of the declarations in files, one a line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tpgen.model import (  # noqa: E402
    Array,
    CType,
    Enum,
    Int,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.sources.formats import declarations_parsed, shape_of  # noqa: E402
from tpgen.target import target_named  # noqa: E402

FILE = ROOT / "tpgen" / "sources" / "shapes.txt"
HEAD = "# Made by tests/support/shapes.py: shapes of declarations; which word is the name, what locates it, the type.\n"
_NUMBERS = 70_000


def example(shape: str) -> str:
    """A declaration of that shape, of which the words are like no others."""
    number = count()
    tokens = (
        f"word_{next(number)}" if t == "A" else str(_NUMBERS + next(number)) if t == "N" else t for t in shape.split()
    )
    return " ".join(tokens)


def meaning(shape: str) -> str | None:
    """What the parsers find in a declaration of that shape; None where it is none, or where it has several fields."""
    text = example(shape)
    (found,) = declarations_parsed([text], target_named("x86_64")).values()
    if len(found) != 2 or isinstance(found[1], int) or found[0].is_locators:
        return None
    parsed, typed = found
    return f"{_number(parsed.name)} {parsed.dynamic or '-'} {written(typed.type)}"


def _number(word: str) -> int:
    return int(word.removeprefix("word_"))


def written(ctype: CType) -> str:
    match ctype:
        case Pointer():
            return f"* {written(ctype.target)}"
        case Struct(name=str(name)):
            return f"{ctype.keyword} {_number(name)}"
        case Enum(name=str(name)):
            return f"enum {_number(name)}"
        case Typedef():
            return f"typedef {_number(ctype.name)}"
        case Qualified():
            return f"{ctype.qualifier} {written(ctype.target)}"
        case TypeTag():
            return f"tag {ctype.tag} {written(ctype.target)}"
        case Array(length=int(length)):
            return f"array {length - _NUMBERS} {written(ctype.element)}"
        case Array(length_text=str(text)):
            return f"array {_number(text)} {written(ctype.element)}"
        case Array():
            return f"array - {written(ctype.element)}"
        case Void():
            return "void"
        case Int():
            return ctype.name.replace(" ", ".")
    raise AssertionError(f"not a type of fields: {ctype}")


def table(shapes: Iterable[str]) -> str:
    """The file for these shapes."""
    rows = ((shape, meaning(shape)) for shape in sorted(set(shapes)) if shape)
    return HEAD + "".join(f"{shape} = {found}\n" for shape, found in rows if found is not None)


def main(files: Iterable[str]) -> None:
    shapes = [line.partition(" = ")[0] for line in FILE.read_text().splitlines()[1:]] if FILE.exists() else []
    shapes += [shape_of(line)[0] for name in files for line in Path(name).read_text().splitlines()]
    FILE.write_text(table(shapes))


if __name__ == "__main__":
    main(sys.argv[1:])
