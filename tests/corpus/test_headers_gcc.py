"""Every trace header of the installed linux-headers, expanded by `gcc -E` and by tpgen.

gcc decides every #if, so each header is compared twice: with all the CONFIG_ options that it names, and with none.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from corpus.markers import Made, made_by_gcc
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.read import read_headers, read_text
from tpgen.target import target_named

_TREES = sorted(Path("/usr/src").glob("linux-headers-*-common"))
_TARGET = target_named("x86_64")

#: A class as (name, fields), an event as (name, class, arguments).
_Fact: TypeAlias = tuple[str | tuple[str | None, ...] | None, ...]


def _by_gcc(made: Made) -> set[_Fact]:
    classes: set[_Fact] = {(cls.name, cls.fields) for cls in made.classes}
    return classes | {(event.name, event.class_name, event.args) for event in made.events}


def _by_tpgen(facts: HeaderFacts, unconditional: bool = False) -> set[_Fact]:
    classes: set[_Fact] = {
        (cls.name, tuple(field.member_name for field in cls.fields))
        for cls in facts.classes
        if not (unconditional and cls.condition)
    }
    return classes | {
        (event.name, event.class_name, tuple(arg.name for arg in event.args))
        for event in facts.events
        if not (unconditional and event.condition)
    }


def _headers() -> Iterator[Path]:
    for tree in _TREES:
        yield from sorted((tree / "include/trace/events").glob("*.h"))


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
@pytest.mark.skipif(not _TREES, reason="no linux-headers are installed in /usr/src")
def test_agrees_with_gcc() -> None:
    compared = 0
    for header in _headers():
        text = header.read_text("utf-8")
        named = sorted(set(re.findall(r"\bCONFIG_\w+", text)))
        # TRACE_EVENT and its like under options that nothing can set together is left to the two extremes.
        for options in (named, []) if named else ([],):
            made = made_by_gcc(text, options)
            expected = _by_gcc(made)
            facts = read_text(text, _TARGET, str(header), "6.1", dict.fromkeys(options, "y"))
            # A name that is not an option is unknown to tpgen and undefined to gcc, so tpgen may have more, with its
            # condition; what it has without one gcc must have.
            assert expected <= _by_tpgen(facts), (header, options)
            assert _by_tpgen(facts, unconditional=True) <= expected, (header, options)
            assert expected <= _by_tpgen(read_text(text, _TARGET, str(header), "6.1")), (header, options)
            compared += len(made.events)
    assert compared > 1500


@pytest.mark.skipif(not _TREES, reason="no linux-headers are installed in /usr/src")
def test_nothing_is_left_out_of_linux_headers() -> None:
    for tree in _TREES:
        facts = read_headers(str(tree / "include/trace/events"), _TARGET)
        assert facts.skipped == ()
