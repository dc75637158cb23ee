"""Declarations of a known shape, held against lark and pycparser, which make what is known of the shapes."""

from __future__ import annotations

import lzma
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import TRACEFS
from support.shapes import FILE, example, table
from support.small_kernel import FORMATS, format_text

from tpgen.sources.cdecl import SPECIAL_WORDS
from tpgen.sources.formats import _shaped, _without_attributes, declarations_parsed, known_shapes, shape_of
from tpgen.target import Target, target_named

TARGETS = [target_named(arch) for arch in ("x86_64", "i386", "s390x")]
_FIELD = re.compile(r"[ \t]+field:(.*?);[ \t]*offset:")
_WORDS = ("pid", "a", "N", "A", "__user_x", "__attributes", "tpgen_any", "data_loc", "x86", "été", "_1")
_NUMBERS = ("0", "16", "007", "0x10", "1u", "9" * 9, "9" * 10, "-1", "1 + 1")


def at_hand() -> Iterator[str]:
    """The text of each format file that there is: the running kernel's, and those of other kernels."""
    for path in TRACEFS.glob("events/*/*/format"):
        try:
            yield path.read_text()
        except OSError:  # an event that went, or is not ours to read
            continue
    for path in Path(os.environ.get("TPGEN_CORPUS", "/nonexistent")).glob("formats/*.txt.xz"):
        yield lzma.decompress(path.read_bytes()).decode()


def compared(texts: list[str], target: Target) -> int:
    """How many of the declarations have a known shape; these say the same as what parses them."""
    known = {text: found for text in texts if (found := _shaped(text, target, {})) is not None}
    parsed = declarations_parsed(list(known), target)
    for text, found in known.items():
        assert not isinstance(parsed[text][0], str), (text, parsed[text])
        (ours, our_type), (theirs, their_type) = found, parsed[text]
        assert (ours.name, ours.dynamic, our_type) == (theirs.name, theirs.dynamic, their_type), text  # type: ignore[union-attr]
        assert not theirs.is_locators  # type: ignore[union-attr]
    return len(known)


def test_made_by_the_parsers() -> None:
    """shapes.txt is what the parsers say of its shapes: `python tests/support/shapes.py` makes it anew."""
    assert FILE.read_text() == table(known_shapes())


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.arch)
def test_every_declaration_at_hand(target: Target) -> None:
    """Nine of ten are of a known shape, of kernels from which shapes were learnt."""
    found = {
        _without_attributes(text) for text in ("".join(at_hand()) or "").splitlines() for text in _FIELD.findall(text)
    }
    texts = sorted(found) or [example(shape) for shape in known_shapes()]
    assert compared(texts, target) > 0.9 * len(texts)


def test_other_words_and_blanks() -> None:
    """The words of a shape may be any that mean nothing by themselves."""
    dice, texts = random.Random(1), list[str]()
    for shape in known_shapes():
        for _ in range(20):
            words = [
                dice.choice(_WORDS) if token == "A" else dice.choice(_NUMBERS) if token == "N" else token
                for token in shape.split()
            ]
            texts.append("".join(word + dice.choice((" ", "  ", "\t", "\f", "\v", " ")) for word in words).strip())
    assert compared(texts, TARGETS[0]) > len(texts) / 10


def test_any_tokens() -> None:
    dice = random.Random(2)
    likely = "* * [16] [] x y x y 16 __data_loc struct const unsigned int char long".split()
    tokens = (*likely * 8, "__rel_loc", "[", "]", "(", ";", ",", *sorted(SPECIAL_WORDS))
    texts = {" ".join(dice.choices(tokens, k=dice.randint(2, 5))) for _ in range(20000)}
    assert compared(sorted(texts), TARGETS[0]) > 10


@pytest.mark.parametrize(
    "text",
    ["", "a", "int f(int a)", "char x[sizeof(int)]", "int __attribute__x", "int tpgen_takes", "int\fx", "int 0x"],
)
def test_of_no_shape(text: str) -> None:
    assert _shaped(text, TARGETS[0], {}) is None


def test_of_no_known_shape_is_parsed() -> None:
    text = "volatile union u *const *x[2][3]"
    assert shape_of(text)[0] not in known_shapes()
    (found,) = declarations_parsed([text], TARGETS[0]).values()
    assert found[0].name == "x"  # type: ignore[union-attr]


def test_parsers_are_not_imported() -> None:
    text = format_text("sched_switch", FORMATS["sched/sched_switch"])
    code = (
        "import sys; from tpgen.sources.formats import parse_formats; from tpgen.target import target_named;"
        f"form, = parse_formats([('sched', 'format', {text!r})], target_named('x86_64'));"
        "print(len(form.fields), *({'lark', 'pycparser'} & {*sys.modules}))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"
