"""C declarations, parsed by pycparser: the parameters of a TP_PROTO and the types of fields.

The only module that imports pycparser. Kernels repeat themselves: thousands of declarations use a few hundred types.
All distinct texts of one call go into one translation unit, since the cost is per parse and per typedef preamble.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from tpgen.basics.frozen import frozen
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.model import (
    Array,
    CType,
    Enum,
    FuncProto,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.target import Target
from tpgen.typequery import composition_fault, mapped

if TYPE_CHECKING:
    from pycparser import c_ast


@frozen
class Declaration:
    """One parameter or field: its name (None for an unnamed one) and its type."""

    name: str | None
    type: CType


@frozen
class BadDeclaration:
    """A text that is not a C declaration, and the parser's reason."""

    text: str
    reason: str


def parse_declarations(texts: Iterable[str], target: Target) -> dict[str, Declaration | BadDeclaration]:
    """The declaration of each distinct text, or the reason why the text is none.

    A text is one declaration without a semicolon, named or abstract: `struct task_struct *prev`, `char [16]`. Names
    that nothing in the text explains are taken for typedefs of unknown target.
    """
    distinct = dict.fromkeys(texts)
    parsed: dict[str, Declaration | BadDeclaration] = {
        text: BadDeclaration(text, reason) for text in distinct if (reason := _refused(text))
    }
    split = {text: _split_name(text) for text in distinct if text not in parsed}
    types = _known_types(target)
    types.update(_parse_types({text for text, _ in split.values() if text not in types}, target))
    for text, (type_text, name) in split.items():
        found = types[type_text]
        if isinstance(found, BadDeclaration):
            parsed[text] = BadDeclaration(text, found.reason)
        elif name and found.name:
            parsed[text] = BadDeclaration(text, f"two names: {found.name} and {name}")
        else:
            parsed[text] = Declaration(name, found.type) if name else found
    return parsed


# No declaration of a kernel has more than 300 characters. The patterns here take a time that grows with the square.
_LONGEST = 2000


def _refused(text: str) -> str | None:
    """Why a text is not even looked at."""
    if len(text) > _LONGEST:
        return f"longer than {_LONGEST} characters"
    return "one declaration expected" if ";" in text else None


@cache
def _known_types(target: Target) -> dict[str, Declaration | BadDeclaration]:
    """The types parsed so far, by their text: types repeat from one call to the next as well."""
    return {}


# `type name` without brackets, which is nearly all of them: the types repeat even where the declarations do not. A name
# must follow a star, or a word that is neither a qualifier nor a tag keyword.
_PLAIN = re.compile(r"\s*([^()\[\]]*?(?:[*]|\b(?!(?:struct|union|enum|const|volatile|restrict)\b)\w+\s))\s*(\w+)\s*\Z")
_WORD = re.compile(r"[A-Za-z_]\w*|[(),\[\]*]|\.\.\.", re.ASCII)
_QUALIFIERS = frozenset(("const", "volatile", "restrict", "__restrict", "_Atomic", "register"))
_INTEGER_WORDS = frozenset(
    ("char", "short", "int", "long", "signed", "unsigned", "_Bool", "__int128", "__signed__", "float", "double", "void")
)
_TAG_KEYWORDS = frozenset(("struct", "union", "enum"))
# The other keywords of C: no typedef has such a name, and one in the preamble would spoil the whole unit.
_RESERVED = frozenset(
    """auto break case continue default do else extern for goto if inline return sizeof static switch typedef while
    offsetof __builtin_va_arg _Alignas _Alignof _Complex _Generic _Noreturn _Pragma _Static_assert
    _Thread_local""".split()
)
_ADDRESS_SPACES = re.compile(r"\b__(user|rcu|percpu|iomem|kernel|force|seg_gs|seg_fs|bitwise|nocast)\b")
_UNSPELLED = frozenset(("kernel", "force", "bitwise", "nocast"))
# Carries the declaration as its parameter; a kernel's typedef could well be called `f`.
_FUNCTION = "tpgen_takes"
#: The words that mean something by themselves: no type and no member is called so.
SPECIAL_WORDS = frozenset(
    (
        *_QUALIFIERS, *_INTEGER_WORDS, *_TAG_KEYWORDS, *_RESERVED,
        "__user", "__rcu", "__percpu", "__iomem", "__kernel", "__force", "__seg_gs", "__seg_fs", "__bitwise",
        "__nocast",
    )
)  # fmt: skip
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")


def _split_name(text: str) -> tuple[str, str | None]:
    """The type and the name of a plain declaration; the whole text and None for any other."""
    match = _PLAIN.match(text)
    if match and match[2] not in _INTEGER_WORDS | _QUALIFIERS and not match[2].startswith("__attribute"):
        type_text = match[1].strip()
        # In `unsigned long` and `const u8` the last word is the type itself.
        if any(word not in _QUALIFIERS for word in re.findall(r"\w+", type_text)) and not _ADDRESS_SPACES.match(
            match[2]
        ):
            return type_text, match[2]
    return text.strip(), None


def _parse_types(texts: Iterable[str], target: Target) -> dict[str, Declaration | BadDeclaration]:
    """The type of each text. Most differ from others by one name only, so their shapes are parsed."""
    shaped = {text: _shape(text) for text in texts}
    shapes = _parse_shapes(dict.fromkeys(shape for shape, _ in shaped.values()), target)
    return {text: _named(shapes[shape], name) for text, (shape, name) in shaped.items()}


# Stands for the name in a shape; no type of a kernel has this one.
_ANY = "tpgen_any"
# `const struct name *const`: in such a text a word that C does not know names the type.
_NAMED = re.compile(
    r"((?:(?:const|volatile)\s+)*(?:(?:struct|union|enum)\s+)?)([A-Za-z_]\w*)"
    r"((?:\s|\*|\b(?:const|volatile|restrict|__user|__rcu|__percpu|__iomem)\b)*)",
    re.ASCII,
)


def _shape(text: str) -> tuple[str, str | None]:
    """`text` with `_ANY` in the place of its name, and the name; `text` itself and None where it is not plain."""
    match = _NAMED.fullmatch(text)
    if match is None or match[2] in _QUALIFIERS | _INTEGER_WORDS | _TAG_KEYWORDS | _RESERVED:
        return text, None
    return (text, None) if _ADDRESS_SPACES.match(match[2]) else (f"{match[1]}{_ANY}{match[3]}", match[2])


def _named(found: Declaration | BadDeclaration, name: str | None) -> Declaration | BadDeclaration:
    """The declaration of a shape with `name` in the place of `_ANY`."""
    if name is None or isinstance(found, BadDeclaration):
        return found
    return Declaration(None, _with_name(found.type, name))


def _with_name(ctype: CType, name: str) -> CType:
    match ctype:
        case Pointer() | Qualified() | TypeTag():
            return mapped(ctype, lambda part: _with_name(part, name))
        case Struct():
            return Struct(ctype.keyword, name)
        case Enum():
            return Enum(name)
        case Typedef():
            return Typedef(name)
        case _:
            raise AssertionError(f"a shape without a name: {ctype}")


def _parse_shapes(texts: Mapping[str, None], target: Target) -> dict[str, Declaration | BadDeclaration]:
    if not texts:
        return {}
    prepared = [(text, *_without_address_spaces(text)) for text in texts]
    results: dict[str, Declaration | BadDeclaration] = {}
    _parse_unit(prepared, target, results)
    return results


def _parse_unit(
    prepared: list[tuple[str, str, tuple[str, ...]]],
    target: Target,
    results: dict[str, Declaration | BadDeclaration],
) -> None:
    """Parse all of `prepared` as one unit; where it fails, halve it until the faulty declaration stands alone."""
    if not prepared:
        return
    from pycparser.c_parser import CParser, ParseError

    typedefs = sorted({name for _, plain, _ in prepared for name in _typedef_names(plain)})
    preamble = "".join(f"typedef int {name};" for name in typedefs)
    try:
        unit = CParser().parse(preamble + "".join(f"void {_FUNCTION}({plain});\n" for _, plain, _ in prepared))
        functions = [node.type for node in unit.ext[len(typedefs) :]]
        if len(functions) != len(prepared):
            raise ValueError("one declaration expected")
    except (ParseError, *_NOT_C) as error:
        if len(prepared) == 1:
            results[prepared[0][0]] = _bad(prepared[0][0], error)
            return
        middle = len(prepared) // 2
        _parse_unit(prepared[:middle], target, results)
        _parse_unit(prepared[middle:], target, results)
        return
    for (text, _, tags), function in zip(prepared, functions, strict=True):
        try:
            results[text] = _convert(text, function, target, tags)
        except _NOT_C as error:
            results[text] = _bad(text, error)


# What pycparser lets out on text that is not C, beside its own exception.
_NOT_C = (AssertionError, AttributeError, ValueError, RecursionError)


def _bad(text: str, error: Exception) -> BadDeclaration:
    reason = re.sub(r"^.*?\d+:\d+: ", "", str(error)) or "not a C declaration"
    return BadDeclaration(text, "nested too deeply" if isinstance(error, RecursionError) else reason)


def _without_address_spaces(text: str) -> tuple[str, tuple[str, ...]]:
    """The text as standard C, and its address-space tags in order.

    pycparser knows no attributes but keeps the place of every qualifier, and the kernel does not use `_Atomic`. So the
    n-th distinct tag of a text travels as n times `_Atomic`.
    """
    text = _ATTRIBUTE.sub(" ", text)
    tags: list[str] = []

    def stand_in(match: re.Match[str]) -> str:
        if match[1] in _UNSPELLED:
            return " "
        if match[1] not in tags:
            tags.append(match[1])
        return " ".join(["_Atomic"] * (tags.index(match[1]) + 1))

    return _ADDRESS_SPACES.sub(stand_in, text), tuple(tags)


def _typedef_names(text: str) -> Iterable[str]:
    """The identifiers that stand where a type specifier is due: typedef names, since C has no other."""
    due, skip, brackets = True, False, 0
    for word in _WORD.findall(text):
        if word in "[]":
            brackets += 1 if word == "[" else -1
        elif brackets:
            continue
        elif word in ("(", ","):
            due = True
        elif word in _TAG_KEYWORDS:
            due, skip = False, True
        elif skip:
            skip = False
        elif word in _QUALIFIERS or not due:
            continue
        else:
            due = False
            if word[0] not in "*)." and word not in _INTEGER_WORDS and word not in _RESERVED:
                yield word


def _convert(
    text: str, function: c_ast.FuncDecl, target: Target, tags: tuple[str, ...]
) -> Declaration | BadDeclaration:
    params = function.args.params if function.args else []
    if len(params) != 1 or not hasattr(params[0], "type"):
        return BadDeclaration(text, "one declaration expected")
    # pycparser takes a lone qualifier for `int`, as C did before C99.
    has_integer = not _INTEGER_WORDS.isdisjoint(_WORD.findall(text))
    return Declaration(params[0].name, _Converter(target, tags, has_integer).ctype(params[0].type))


class _Converter:
    """Converts pycparser's syntax tree to C types of the model."""

    def __init__(self, target: Target, tags: tuple[str, ...], has_integer: bool) -> None:
        self._target = target
        self._tags = tags
        self._has_integer = has_integer

    def ctype(self, node: c_ast.Node) -> CType:
        from pycparser import c_ast

        match node:
            case c_ast.PtrDecl():
                return self._qualified(Pointer(self.ctype(node.type)), node.quals)
            case c_ast.ArrayDecl():
                return self._array(node)
            case c_ast.FuncDecl():
                return self._function(node)
            case c_ast.TypeDecl():
                return self._qualified(self._specifier(node.type), node.quals)
            case _:
                raise ValueError(f"unexpected {type(node).__name__}")

    def _specifier(self, node: c_ast.Node) -> CType:
        from pycparser import c_ast

        match node:
            case c_ast.Struct(decls=None):
                return Struct("struct", node.name)
            case c_ast.Union(decls=None):
                return Struct("union", node.name)
            case c_ast.Enum(values=None):
                return Enum(node.name)
            case c_ast.IdentifierType(names=["void"]):
                return Void()
            case c_ast.IdentifierType(names=[name]) if name not in _INTEGER_WORDS:
                return Typedef(name)
            case c_ast.IdentifierType(names=names):
                integer = self._target.integer(" ".join(names))
                if not self._has_integer:
                    raise ValueError("no type in it")
                if integer is None:
                    raise ValueError(f"not an integer type: {' '.join(names)}")
                return integer
            case _:
                raise ValueError(f"unexpected {type(node).__name__}")

    def _array(self, node: c_ast.ArrayDecl) -> CType:
        from pycparser.c_generator import CGenerator

        element = self.ctype(node.type)
        if node.dim is None:
            return Array(element, None)
        length = _constant(node.dim)
        if length is not None and not 0 <= length < _MOST_ELEMENTS:
            raise ValueError(
                "an array of fewer elements than none" if length < 0 else "an array of more elements than BTF can count"
            )
        return _composed(Array(element, length, None if length is not None else CGenerator().visit(node.dim)))

    def _function(self, node: c_ast.FuncDecl) -> CType:
        from pycparser import c_ast

        params = node.args.params if node.args else []
        variadic = bool(params) and isinstance(params[-1], c_ast.EllipsisParam)
        types = tuple(self.ctype(param.type) for param in params if not isinstance(param, c_ast.EllipsisParam))
        if types == (Void(),) and not variadic:
            types = ()
        return _composed(FuncProto(self.ctype(node.type), types, variadic))

    def _qualified(self, ctype: CType, qualifiers: list[str]) -> CType:
        for qualifier in ("volatile", "const", "restrict"):
            if qualifier in qualifiers:
                ctype = Qualified(qualifier, ctype)
        if count := qualifiers.count("_Atomic"):  # outside of the others, as in BTF
            if not self._tags:
                raise ValueError("the kernel does not use _Atomic")
            ctype = TypeTag(self._tags[min(count, len(self._tags)) - 1], ctype)
        return ctype


def _composed(ctype: CType) -> CType:
    """The type, whose parts C allows; raises `ValueError` where it does not."""
    if reason := composition_fault(ctype):
        raise ValueError(reason)
    return ctype


def _constant(node: c_ast.Node) -> int | None:
    """The value of a constant expression of literals, None for one that names something."""
    from pycparser import c_ast

    match node:
        case c_ast.Constant(value=value):
            try:
                return int(re.sub(r"[uUlL]+\Z", "", value), 0)
            except ValueError:
                return None
        case c_ast.BinaryOp():
            left, right = _constant(node.left), _constant(node.right)
            operation = _OPERATIONS.get(node.op)
            value = None if left is None or right is None or not operation else operation(left, right)
            return value if value is None or abs(value) < _OVERFLOW else None
        case _:
            return None


# BTF counts the elements of an array in 32 bits; a constant of C has 64.
_MOST_ELEMENTS = 1 << 32
_OVERFLOW = 1 << 64


_OPERATIONS: dict[str, Callable[[int, int], int | None]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b if b else None,
    "<<": lambda a, b: a << b if 0 <= b < 64 else None,
}
