"""The cache of headers while they are edited: whatever happens, the facts are those of a reading without it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tpgen.cache import fingerprint
from tpgen.sources.headers.read import Headers
from tpgen.target import target_named

X86_64 = target_named("x86_64")
CLASS = "DECLARE_EVENT_CLASS(far, TP_PROTO(int a, int b), TP_ARGS({}), TP_STRUCT__entry(), TP_fast_assign(), 1);\n"


def event(name: str, field: str, proto: str = "int a", args: str = "a") -> str:
    return f"TRACE_EVENT({name}, TP_PROTO({proto}), TP_ARGS({args}), TP_STRUCT__entry({field}), TP_fast_assign(), 1);\n"


def system(name: str, *body: str) -> str:
    return "".join((f"#undef TRACE_SYSTEM\n#define TRACE_SYSTEM {name}\n", *body))


# What a file can be; None for one that is not there. The first is what it is at first.
FILES: dict[str, Sequence[str | None]] = {
    "include/trace/events/one.h": (
        system("one", "#include <linux/len.h>\n", event("one", "__array(char, comm, LEN)")),
        system("one", "#include <linux/len.h>\n", event("one", "__array(char, comm, LEN + 1)")),
        system("one", event("one", "__array(char, comm, LEN) __field(enum color, c)")),
        system("one", '#include "../part.h"\n', event("one", "__field(color_t, c)")),
        None,
    ),
    "include/trace/events/two.h": (
        system("two", '#include "../part.h"\n', event("two", "__field(struct pair, p)")),
        system("two", "DEFINE_EVENT(far, near, TP_PROTO(int x, int y), TP_ARGS(x, y));\n"),
        system("two", '#include "../part.h"\n', "#define LEN 5\n", event("two", "__array(int, x, LEN)")),
        "#define NOTHING_OF_EVENTS 1\n",
    ),
    "include/trace/part.h": (
        event("part", "__field(struct pair, p)"),
        event("part", "__array(char, x, SECOND)"),
        system("part", event("part", "__field(color_t, p)")),
        None,
    ),
    "drivers/mine/trace.h": (
        system("mine", '#include "mine.h"\n', event("mine", "MINE_ENTRY")),
        system("mine", event("mine", "MINE_ENTRY __field(struct own, o)")),
        system("mine", CLASS.format("b, a")),
        None,
    ),
    "drivers/mine/mine.h": (
        "#include <linux/len.h>\n#define MINE_ENTRY __array(char, first, LEN)\n",
        '#include "trace.h"\n#define MINE_ENTRY __field(struct own, second)\nstruct own { struct pair p; };\n',
        "#include <linux/deep.h>\nstruct own { int a[DEEP]; };\n",
        None,
    ),
    "include/linux/len.h": (
        "#define LEN 16\n",
        "#define LEN (16 + 16)\n",
        "#include <linux/color.h>\nenum { LEN = COUNT };\n",
        "struct pair { char a, b; };\n",
        None,
    ),
    "include/linux/color.h": (
        "enum color { FIRST, SECOND, COUNT };\ntypedef enum color color_t;\n",
        "enum color { SECOND = 7, COUNT };\ntypedef unsigned char color_t;\n",
        "#include <linux/deep.h>\ntypedef struct pair color_t;\n",
        None,
    ),
    "include/linux/deep.h": (
        "#define DEEP 3\nstruct pair { int a, b; };\n",
        "#define DEEP LEN\nstruct pair { long a, b[DEEP]; };\n",
        "#ifdef CONFIG_FOO\nstruct pair { int a; };\n#else\nstruct pair { char a; };\n#endif\n",
        None,
    ),
    "include/linux/free.h": (None, "#define LEN 4\n", "struct pair { short a; };\n#include <linux/len.h>\n"),
    "drivers/mine/sub/pair.h": (None, "struct pair { short a; };\n", "#include <linux/deep.h>\n"),
    "drivers/one/more.h": (None, "#define COUNT 11\n", system("one", CLASS.format("a, b"))),
    "Makefile": (None, "VERSION = 6\nPATCHLEVEL = 16\n"),
}
EDITS = [(name, number) for name, texts in FILES.items() for number in range(len(texts))]


def put(root: Path, name: str, text: str | None) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text)


@pytest.fixture(scope="module", autouse=True)
def _files_count_as_old() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "_YOUNG_NS", -(10**18))
        yield


# Long walks: the first reading of each is that of a new tree, which other tests have.
@settings(max_examples=16, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.sampled_from(EDITS), min_size=1, max_size=3), min_size=8, max_size=12), st.booleans())
def test_after_any_edits_the_facts_are_those_of_a_reading_without_it(
    steps: list[list[tuple[str, int]]], configured: bool
) -> None:
    config = {"CONFIG_FOO": "y"} if configured else None
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", f"{folder}/cache")
        root = Path(folder, "tree")
        for name, texts in FILES.items():
            put(root, name, texts[0])
        for number, edits in enumerate(([], *steps)):
            for name, text in edits:
                put(root, name, FILES[name][text])
            kept = Headers(str(root), X86_64, config, use_cache=True)
            fresh = Headers(str(root), X86_64, config)
            if number % 2:
                assert kept.resolved == fresh.resolved
            else:
                assert kept.facts == fresh.facts
        assert len(list(Path(folder, "cache/tpgen/headers").iterdir())) > 0
