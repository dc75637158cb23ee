"""Expressions and conditionals, many at random, held against `gcc -E` of the same text."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, count, islice, product
from pathlib import Path

import pytest

from tpgen.sources.headers.preprocessor.conditions import PresenceCondition
from tpgen.sources.headers.preprocessor.directives import structure
from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment, FixedEnvironment
from tpgen.sources.headers.preprocessor.expressions import evaluate
from tpgen.sources.headers.preprocessor.hoisting import hoist, inner_directives
from tpgen.sources.headers.preprocessor.source import Source

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")

Defines = Mapping[str, int]
#: Each way to define or not to define three names.
WAYS = [
    {name: value for name, value in zip("ABC", values, strict=True) if value is not None}
    for values in product((None, 0, 2), (None, 0, 1), (None, 1))
]


def preprocessed(text: str, path: Path, defines: Defines) -> str:
    """What gcc leaves of a text."""
    path.write_text(text)
    options = [f"-D{name}={value}" for name, value in defines.items()]
    command = ["gcc", "-E", "-P", "-w", "-undef", "-nostdinc", *options, str(path)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


# --- expressions

_BINARY = ["||", "&&", "|", "^", "&", "==", "!=", "<", ">", "<=", ">=", "<<", ">>", "+", "-", "*", "/", "%"]


def expression(rng: random.Random, depth: int = 4) -> str:
    """An expression of small numbers: no sum of it overflows, none divides by zero or shifts by many bits."""
    if not depth or rng.random() < 0.15:
        number = rng.randrange(12)
        return rng.choice([str(number), hex(number), f"0{number:o}", f"{number}L", f"{number}l", f"{number}LL"])
    match rng.choice(["binary", "binary", "binary", "binary", "unary", "ternary", "parentheses"]):
        case "unary":
            return f"{rng.choice('!-+~')} {expression(rng, depth - 1)}"
        case "ternary":
            return " ".join(
                [expression(rng, depth - 1), "?", expression(rng, depth - 1), ":", expression(rng, depth - 1)]
            )
        case "parentheses":
            return f"({expression(rng, depth - 1)})"
        case _:
            operator = rng.choice(_BINARY)
            if operator in ("/", "%", "<<", ">>"):
                # In parentheses, so that what follows does not make another number of it.
                return f"({expression(rng, depth - 1)} {operator} {rng.randrange(1, 7)})"
            return f"{expression(rng, depth - 1)} {operator} {expression(rng, depth - 1)}"


def test_expressions(tmp_path: Path) -> None:
    rng = random.Random(11)
    texts = [expression(rng) for _ in range(1500)]
    lines = (
        f"#if ({text}) == ({evaluate(text, FixedEnvironment({}))})\nyes_{n}\n#endif" for n, text in enumerate(texts)
    )
    right = set(preprocessed("\n".join(lines), tmp_path / "x.h", {}).split())
    assert not [text for n, text in enumerate(texts) if f"yes_{n}" not in right]


# --- conditionals


def condition(rng: random.Random, depth: int = 2) -> str:
    """A condition on three names."""
    name = rng.choice("ABC")
    if not depth or rng.random() < 0.3:
        return rng.choice([name, f"!{name}", f"defined({name})", f"!defined({name})", f"defined {name}", f"{name} > 1"])
    one, other = condition(rng, depth - 1), condition(rng, depth - 1)
    return rng.choice(
        [f"{one} && {other}", f"{one} || {other}", f"!({one})", f"({one}) || {other}", f"{one} ? {other} : 0"]
    )


def conditional(rng: random.Random, inside: Callable[[], Iterable[str]]) -> Iterator[str]:
    """An #if with perhaps some #elif and an #else, each with what `inside` makes."""
    opening = rng.choice(["if", "if", "ifdef", "ifndef"])
    yield f"#{opening} {condition(rng) if opening == 'if' else rng.choice('ABC')}"
    yield from inside()
    for _ in range(rng.choice([0, 0, 1, 2])):
        yield f"#elif {condition(rng)}"
        yield from inside()
    if rng.random() < 0.5:
        yield "#else"
        yield from inside()
    yield "#endif"


def header(rng: random.Random, groups: int) -> str:
    """A header with words, each for itself, under conditionals that nest three deep."""
    words = iter(range(groups * 100))

    def code(depth: int) -> Iterator[str]:
        yield f"word_{next(words)}"
        if depth and rng.random() < 0.7:
            yield from conditional(rng, lambda: code(depth - 1))
        yield f"word_{next(words)}"

    return "\n".join(line for _ in range(groups) for line in code(3)) + "\n"


def test_code_of_a_known_configuration(tmp_path: Path) -> None:
    text = header(random.Random(3), 60)
    for defines in WAYS:
        ours = structure(Source("x.h", text), FixedEnvironment(defines)).code
        assert ours.split() == preprocessed(text, tmp_path / "x.h", defines).split()


def test_presence_conditions_of_an_unknown_configuration(tmp_path: Path) -> None:
    text = header(random.Random(5), 60)
    presences = dict(words_with_presence(text))
    # The conditions are C: gcc decides each of them.
    checks = "\n".join(f"#if {found.condition or 1}\nis_{word}\n#endif" for word, found in presences.items())
    for defines in WAYS:
        lines = preprocessed(text + checks, tmp_path / "x.h", defines).split()
        taken = {word for word in lines if word.startswith("word_")}
        assert {word.removeprefix("is_") for word in lines if word.startswith("is_")} == taken


def test_places_that_exclude_each_other(tmp_path: Path) -> None:
    presences = dict(words_with_presence(text := header(random.Random(7), 12)))
    together = {
        frozenset(pair)
        for defines in WAYS
        for pair in product(preprocessed(text, tmp_path / "x.h", defines).split(), repeat=2)
    }
    for one, other in product(presences, repeat=2):
        if presences[one].excludes(presences[other]):
            assert frozenset((one, other)) not in together
    # Two branches of one #if, seen from wherever in them.
    branches = dict(words_with_presence("#if A\na\n#if B\nb\n#endif\n#elif C\nc\n#else\nd\n#endif\ne\n"))
    excluded = {one + other for one, other in product("abcde", repeat=2) if branches[one].excludes(branches[other])}
    assert excluded == {"ac", "ad", "bc", "bd", "ca", "cb", "cd", "da", "db", "dc"}


def words_with_presence(text: str) -> Iterator[tuple[str, PresenceCondition]]:
    """The words of a header's code, each with its presence condition."""
    shape = structure(Source("x.h", text), ConfigEnvironment(None))
    for match in re.finditer(r"\w+", shape.code):
        before = [directive for directive in shape.directives if directive.start < match.start()]
        yield match[0], before[-1].presence if before else PresenceCondition()


# --- invocations with conditionals inside


def invocation(rng: random.Random) -> str:
    """An invocation with conditionals between and around its words."""
    words = (f"word_{number}," for number in count())
    conditionals = [[*conditional(rng, lambda: islice(words, 1)), next(words)] for _ in range(rng.choice([1, 2]))]
    return "\n".join(["E(", *chain.from_iterable(conditionals), ")"])


def hoisted(text: str) -> list[tuple[str, PresenceCondition]]:
    shape = structure(Source("x.h", text), ConfigEnvironment(None))
    span = (0, len(text))
    ways = hoist(shape.code, span, PresenceCondition(), inner_directives(shape.directives, span))
    assert ways is not None
    return ways


def test_hoisting(tmp_path: Path) -> None:
    rng = random.Random(13)
    texts = [invocation(rng) for _ in range(60)]
    cases = [hoisted(text) for text in texts]
    assert sum(len(ways) > 2 for ways in cases) > 30
    assert all(len(way) == len(text) for text, ways in zip(texts, cases, strict=True) for way, _ in ways)
    lines: list[str] = []
    for text, ways in zip(texts, cases, strict=True):
        checks = [f"#if {found.condition or 1}\nway_{number}\n#endif" for number, (_, found) in enumerate(ways)]
        lines += [text, ";", *checks, ";"]
    for defines in WAYS:
        pieces = preprocessed("\n".join(lines), tmp_path / "x.h", defines).split(";")
        for compiled, chosen, ways in zip(pieces[::2], pieces[1::2], cases, strict=False):
            # Under each definition of the names one way is compiled, and it has the words that gcc leaves.
            (way,) = chosen.split()
            assert ways[int(way.removeprefix("way_"))][0].split() == compiled.split()
