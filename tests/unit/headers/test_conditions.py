"""Preprocessor conditions with unknown names."""

from __future__ import annotations

import pytest

from tpgen.sources.headers.preprocessor.directives import structure
from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment, FixedEnvironment
from tpgen.sources.headers.preprocessor.expressions import evaluate
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.sources.headers.read import read_text
from tpgen.sources.source_tree.config import parse_config
from tpgen.target import target_named

_CONFIG = {"CONFIG_Y": "y", "CONFIG_M": "m", "CONFIG_NR": "12", "CONFIG_S": "text"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0x10 + 010", 24),
        ("2 * 3 + 4 << 1", 20),
        ("!0 && 3", 1),
        ("-1 < 0", 1),
        ("1 ? 2 : 3", 2),
        ("(1 | 6) == 7", 1),
        ("7 / 0", 0),
        ("5UL >= 5", 1),
        ("defined(CONFIG_Y)", 1),
        ("defined CONFIG_Y", 1),
        ("defined(CONFIG_N)", 0),
        ("defined(CONFIG_M) || defined(CONFIG_M_MODULE)", 1),
        ("defined(CONFIG_M)", 0),
        ("defined(CONFIG_Y_MODULE)", 0),
        ("CONFIG_NR > 11", 1),
        ("CONFIG_N", 0),
        ("IS_ENABLED(CONFIG_M)", 1),
        ("IS_BUILTIN(CONFIG_M)", 0),
        ("IS_MODULE(CONFIG_M)", 1),
        ("IS_MODULE(CONFIG_Y)", 0),
        ("IS_ENABLED(CONFIG_N)", 0),
        ("IS_REACHABLE(CONFIG_Y)", 1),
        ("IS_REACHABLE(CONFIG_M)", None),
        ("KERNEL_VERSION(6, 16, 0)", 0x61000),
        ("defined(FOO)", None),
        ("FOO", None),
        ("FOO && 0", 0),
        ("0 && FOO", 0),
        ("FOO || 1", 1),
        ("FOO || 0", None),
        ("!FOO", None),
        ("FOO ? 1 : 1", None),
        ("has_feature(x)", None),
        ("", None),
        ("1 +", None),
        ("(1", None),
        ("1 2", None),
        ('"a"', None),
        ("defined(TRACE_HEADER_MULTI_READ)", 1),
        ("TRACE_HEADER_MULTI_READ", None),
    ],
)
def test_evaluate(text: str, value: int | None) -> None:
    assert evaluate(text, ConfigEnvironment(_CONFIG)) == value


def test_a_megabyte_of_parentheses_has_no_value() -> None:
    assert evaluate("(" * 1_000_000, FixedEnvironment({})) is None
    assert evaluate("!" * 900 + "0", FixedEnvironment({})) in (0, 1, None)


def _conditions(text: str, config: dict[str, str] | None = None) -> dict[str, str | None]:
    """For each `@name` that is left in the code the condition that it stands under."""
    shape = structure(Source("x.h", text), ConfigEnvironment(config))
    found: dict[str, str | None] = {}
    for at, character in enumerate(shape.code):
        if character == "@":
            places = [directive.presence for directive in shape.directives if directive.start < at]
            found[shape.code[at + 1]] = places[-1].condition if places else None
    return found


def test_every_branch_has_its_condition() -> None:
    text = "@a\n#ifdef A\n@b\n#elif B > 1 || C\n@c\n#else\n@d\n#if E\n@e\n#endif\n#endif\n@f\n"
    assert _conditions(text) == {
        "a": None,
        "b": "defined(A)",
        "c": "!defined(A) && (B > 1 || C)",
        "d": "!defined(A) && !(B > 1 || C)",
        "e": "!defined(A) && !(B > 1 || C) && E",
        "f": None,
    }


def test_the_configuration_chooses() -> None:
    text = "#ifdef CONFIG_Y\n@a\n#else\n@b\n#endif\n#ifndef CONFIG_M\n@c\n#elif defined(X)\n@d\n#endif\n"
    assert _conditions(text, _CONFIG) == {"a": None, "c": None}
    text = "#if defined(CONFIG_Y) && defined(X)\n@a\n#else\n@b\n#endif\n"
    assert _conditions(text, _CONFIG) == {
        "a": "defined(CONFIG_Y) && defined(X)",
        "b": "!(defined(CONFIG_Y) && defined(X))",
    }


def test_dead_text_is_no_text() -> None:
    assert _conditions("#if 0\n@a\n#else\n@b\n#endif\n") == {"b": None}


@pytest.mark.parametrize(
    "guard",
    [
        "#if !defined(_TRACE_X_H) || defined(TRACE_HEADER_MULTI_READ)\n#define _TRACE_X_H",
        "#ifndef _X_H\n#define _X_H 1",
        # drivers/gpu/drm/radeon/radeon_trace.h tests one name and defines another.
        "#if !defined(_X_H) || defined(TRACE_HEADER_MULTI_READ)\n#define _Y_H",
        "#ifndef TRACE_HEADER_MULTI_READ",
    ],
)
def test_an_include_guard_is_no_condition(guard: str) -> None:
    assert _conditions(f"{guard}\n@a\n#endif\n") == {"a": None}


def test_own_definitions_count() -> None:
    text = "#define A 2\n#if A == 2\n@a\n#endif\n#undef A\n#ifdef A\n@b\n#endif\n#define B B\n#if B\n@c\n#endif\n"
    assert _conditions(text) == {"a": None, "b": "defined(A)", "c": "B"}


def test_stray_and_open_conditions_are_noticed() -> None:
    shape = structure(Source("x.h", "#else\n#endif\n#if A\n"), ConfigEnvironment(None))
    assert shape.stray == (0, 6)
    assert shape.open


def test_of_several_open_conditions_the_innermost_is_told() -> None:
    facts = read_text("#if A\n#if B\n#endif\n  #if C\nint x;\n", target_named("x86_64"))
    assert [str(found.position) for found in facts.skipped if found.code == "header-open-condition"] == ["trace.h:4:1"]


def test_dot_config_and_autoconf_say_the_same() -> None:
    dot_config = '# CONFIG_N is not set\nCONFIG_Y=y\nCONFIG_M=m\nCONFIG_NR=12\nCONFIG_S="text"\n'
    autoconf = '#define CONFIG_Y 1\n#define CONFIG_M_MODULE 1\n#define CONFIG_NR 12\n#define CONFIG_S "text"\n'
    assert parse_config(dot_config) == parse_config(autoconf) == _CONFIG


def test_a_configuration_may_define_any_macro() -> None:
    """As a driver's own config.h does."""
    config = parse_config(
        '#ifndef CONFIG_H\n#define CONFIG_URL "http://x"\n#define CONFIG_H\n#define HAVE_A 1\n'
        "# define HAVE_B 0x20 /* as of 6.1 */\n"
        "/* #undef HAVE_C */\n#define HAVE_D // yes\n#define HAVE_E_MODULE 1\n#endif\n"
    )
    assert config["CONFIG_URL"] == "http://x"
    environment = ConfigEnvironment(config)
    for text, value in {
        "defined(HAVE_A) && HAVE_A == 1": 1,
        "HAVE_B": 32,
        "HAVE_C": None,
        "defined(HAVE_D)": 1,
        "HAVE_D": None,
        "HAVE_E_MODULE": 1,
        "HAVE_E": None,
        "CONFIG_A": 0,
    }.items():
        assert evaluate(text, environment) == value, text


def test_the_mark_of_the_second_reading_has_no_value() -> None:
    """Without a configuration too: it is defined all the same."""
    assert evaluate("TRACE_HEADER_MULTI_READ", ConfigEnvironment(None)) is None
