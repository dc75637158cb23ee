"""What events print, as their headers say it: with the shape that macros make, and the names of constants in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tpgen.sources.headers.facts import PrintedTexts
from tpgen.sources.headers.read import Headers
from tpgen.target import target_named

_HEADER = """\
#undef TRACE_SYSTEM
#define TRACE_SYSTEM demo
#include <linux/demo.h>
#include <trace/events/lists.h>
%s
TRACE_EVENT(ev, TP_PROTO(int why), TP_ARGS(why), TP_STRUCT__entry(__field(int, why)),
	TP_fast_assign(__entry->why = why;), TP_printk(%s));
#include <trace/define_trace.h>
"""
_DEMO = """\
#define DEMO_NONE 0
#define DEMO_FULL (DEMO_NONE + 0x10)
enum demo { DEMO_A = 3, DEMO_B };
"""
_LISTS = """\
#define EM(a, b) TRACE_DEFINE_ENUM(a);
#define EMe(a, b) TRACE_DEFINE_ENUM(a);
#undef EM
#undef EMe
#define DEMO_LIST EM(DEMO_A, "a") EMe(DEMO_B, "b")
#define EM(a, b) { a, b },
#define EMe(a, b) { a, b }
#define DEMO_WORDS(word, last) word(NONE) last(FULL)
#define flag(name) { (__force unsigned long)name, #name }
#define DEMO_FLAGS flag(DEMO_NONE), flag(DEMO_FULL) DEMO_MORE
#define DEMO_MORE
#ifdef CONFIG_DEMO
#define DEMO_OPEN EM(DEMO_A, "a") EMe(DEMO_B, "b")
#else
#define DEMO_OPEN
#endif
#define show_demo(value) (value) ? __print_flags(value, "|", DEMO_FLAGS) : "none"
/* What the kernel makes of it in its last reading. */
#define __print_flags(flag, delim, flag_array...) trace_print_flags_seq(p, delim, flag, flag_array)
"""


def prints(
    folder: Path, text: str, own: str = "", config: dict[str, str] | None = None
) -> tuple[str | None, PrintedTexts]:
    """What the event prints, in a small tree, and the texts of all its headers."""
    events = folder / "include/trace/events"
    events.mkdir(parents=True)
    (folder / "include/linux").mkdir()
    (folder / "include/linux/demo.h").write_text(_DEMO)
    (events / "lists.h").write_text(_LISTS)
    (events / "demo.h").write_text(_HEADER % (own, text))
    headers = Headers(str(folder), target_named("x86_64"), config)
    (event,), (of_class,) = headers.facts.events, headers.facts.classes
    found = headers.prints()
    return found.text(event, of_class), found


def words(text: str | None) -> list[str] | None:
    return None if text is None else re.findall(r"\w+|\S", text)


@pytest.mark.parametrize(
    ("text", "own", "expected"),
    [
        ('"%d", __entry->why', "", 'TP_printk("%d", __entry->why)'),
        (
            '"%s", __print_symbolic(__entry->why, { DEMO_A, "a" }, { DEMO_B, "b" })',
            "",
            'TP_printk("%s", __print_symbolic(__entry->why, { DEMO_A, "a" }, { DEMO_B, "b" }))',
        ),
        (
            '"%s", __print_symbolic(__entry->why, OWN)',
            '#define O(a) { a, #a }\n#define OWN O(DEMO_A), O(DEMO_B)',
            'TP_printk("%s", __print_symbolic(__entry->why, { DEMO_A, "DEMO_A" }, { DEMO_B, "DEMO_B" }))',
        ),
        (
            '"%s", __print_symbolic(__entry->why, DEMO_LIST)',
            "",
            'TP_printk("%s", __print_symbolic(__entry->why, { DEMO_A, "a" }, { DEMO_B, "b" }))',
        ),
        (
            '"%s", __print_symbolic(__entry->why, DEMO_WORDS(W, We))',
            "#define W(a) { DEMO_##a, #a },\n#define We(a) { DEMO_##a, #a }",
            'TP_printk("%s", __print_symbolic(__entry->why, { DEMO_NONE, "NONE" }, { DEMO_FULL, "FULL" }))',
        ),
        (
            '"%s", show_demo(__entry->why)',
            "",
            'TP_printk("%s", (__entry->why) ? __print_flags(__entry->why, "|", { (__force unsigned long)DEMO_NONE, '
            '"DEMO_NONE" }, { (__force unsigned long)DEMO_FULL, "DEMO_FULL" } ) : "none")',
        ),
    ],
)  # fmt: skip
def test_macros_make_the_shape_and_constants_keep_their_names(
    text: str, own: str, expected: str, tmp_path: Path
) -> None:
    found, _ = prints(tmp_path, text, own)
    assert words(found) == words(expected)


@pytest.mark.parametrize(("config", "listed"), [({"CONFIG_DEMO": "y"}, True), ({}, False), (None, None)])
def test_a_list_that_a_configuration_has(config: dict[str, str] | None, listed: bool | None, tmp_path: Path) -> None:
    found, _ = prints(tmp_path, '"%s", __print_symbolic(__entry->why, DEMO_OPEN)', config=config)
    assert found is not None
    assert (None if "DEMO_OPEN" in found else "DEMO_A" in found) is listed


def test_values_of_the_names(tmp_path: Path) -> None:
    _, found = prints(tmp_path, '"%d", __entry->why')
    path = str(tmp_path / "include/trace/events/demo.h")
    names = ("DEMO_NONE", "DEMO_FULL", "DEMO_A", "DEMO_B", "DEMO_C", "EM")
    assert [found.value(name, path) for name in names] == [0, 16, 3, 4, None, None]


_CONDITIONAL = '"%s", __print_symbolic(__entry->why, { 1, "a" }\n#ifdef CONFIG_B\n, { 2, "b" }\n#endif\n)'


@pytest.mark.parametrize(("config", "expected"), [(None, None), ({"CONFIG_B": "y"}, True), ({}, False)])
def test_what_a_configuration_leaves_open_is_unknown(
    config: dict[str, str] | None, expected: bool | None, tmp_path: Path
) -> None:
    found, _ = prints(tmp_path, _CONDITIONAL, config=config)
    assert (None if found is None else '"b"' in found) == expected


def test_an_event_may_print_otherwise_than_its_class(tmp_path: Path) -> None:
    text = """\
#define TRACE_SYSTEM demo
DECLARE_EVENT_CLASS(cl, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)), TP_fast_assign(),
	TP_printk("%d", __entry->a));
DEFINE_EVENT(cl, one, TP_PROTO(int a), TP_ARGS(a));
DEFINE_EVENT_PRINT(cl, two, TP_PROTO(int a), TP_ARGS(a), TP_printk("other"));
"""
    (tmp_path / "demo.h").write_text(text)
    headers = Headers(str(tmp_path), target_named("x86_64"))
    (of_class,) = headers.facts.classes
    texts = {event.name: headers.prints().text(event, of_class) for event in headers.facts.events}
    assert texts == {"one": 'TP_printk("%d", __entry->a)', "two": 'TP_printk("other")'}


@pytest.mark.parametrize("text", ['"a" LOOP', '"%s", f(', ""])
def test_broken_headers_print_nothing_or_what_they_say(text: str, tmp_path: Path) -> None:
    (tmp_path / "demo.h").write_text(
        "#define TRACE_SYSTEM demo\n#define LOOP LOOP LOOP\n#define f(x) f(x) f(x)\n"
        "TRACE_EVENT(ev, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)), TP_fast_assign(),"
        f" TP_printk({text}));\n"
    )
    headers = Headers(str(tmp_path), target_named("x86_64"))
    for event in headers.facts.events:
        headers.prints().text(event, headers.facts.classes[0])
