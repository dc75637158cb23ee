"""What a trace header makes, by `gcc -E`: an oracle that shares nothing with tpgen.

The words of the family are defined as markers, the header's includes are taken out, and gcc expands the rest. It
decides every #if, so one run shows one configuration.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

# The field macros by the kind of member that they make.
_STATIC = ("__field(t, n)", "__field_ext(t, n, f)", "__field_struct(t, n)", "__field_struct_ext(t, n, f)")
_ARRAY = ("__array(t, n, l)",)
_LOCATED = (
    "dynamic_array(t, n, l)", "string(n, s...)", "string_len(n, s, l)", "vstring(n, f, a)", "bitmask(n, b)",
    "cpumask(n)", "sockaddr(n, l)",
)  # fmt: skip
_PREFIXES = {"__rel_": "__rel_loc_", "__": "__data_loc_"}

# One word per line: what it takes, whether it makes a class (C), an event (E), both, or a bare tracepoint (T).
_WORDS = """
TRACE_EVENT(n, p, a, s, x, t) CE
TRACE_EVENT_FN(n, p, a, s, x, t, r, u) CE
TRACE_EVENT_SYSCALL(n, p, a, s, x, t, r, u) CE
TRACE_EVENT_FN_COND(n, p, a, c, s, x, t, r, u) CE
TRACE_EVENT_CONDITION(n, p, a, c, s, x, t) CE
TRACE_EVENT_NOP(n, p, a, s, x, t)
DECLARE_EVENT_CLASS(n, p, a, s, x, t) C
DECLARE_EVENT_SYSCALL_CLASS(n, p, a, s, x, t) C
DECLARE_EVENT_CLASS_NOP(n, p, a, s, x, t)
DEFINE_EVENT(c, n, p, a) E
DEFINE_EVENT_FN(c, n, p, a, r, u) E
DEFINE_EVENT_SYSCALL(c, n, p, a, r, u) E
DEFINE_EVENT_PRINT(c, n, p, a, t) E
DEFINE_EVENT_CONDITION(c, n, p, a, x) E
DEFINE_EVENT_WRITABLE(c, n, p, a, s) E
DEFINE_EVENT_NOP(c, n, p, a)
DECLARE_TRACE(n, p, a) T
DECLARE_TRACE_NOARGS(n) T
DECLARE_TRACE_WRITABLE(n, p, a, s) T
DECLARE_TRACE_CONDITION(n, p, a, c) T
DECLARE_TRACE_SYSCALL(n, p, a) T
DECLARE_TRACE_EVENT(n, p, a) t
DECLARE_TRACE_EVENT_CONDITION(n, p, a, c) t
"""
WORDS = tuple(re.findall(r"^(\w+)\(", _WORDS, re.MULTILINE))
FAMILY = re.compile(rf"\b(?:{'|'.join(WORDS)})\b")


@dataclass(frozen=True)
class MadeClass:
    """A class and its members, each as (field macro, member name with its prefix)."""

    name: str
    members: tuple[tuple[str, str], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.members)


@dataclass(frozen=True)
class MadeEvent:
    """An event; `system` is what TRACE_SYSTEM stands for at that point, None where the header does not define it."""

    name: str
    class_name: str
    bare: bool
    system: str | None
    args: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """All that one header makes in one configuration."""

    classes: frozenset[MadeClass] = frozenset()
    events: frozenset[MadeEvent] = frozenset()

    def __or__(self, other: Made) -> Made:
        return Made(self.classes | other.classes, self.events | other.events)


@cache
def _preamble(suffix: str) -> str:
    """The definitions; the tracepoint of DECLARE_TRACE(x) is called x and `suffix`."""
    lines = [f"#define {word}(option) (option)" for word in ("IS_ENABLED", "IS_BUILTIN", "IS_REACHABLE")]
    lines += ["#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))"]
    lines += [f"#define {word}(args...) args" for word in ("TP_PROTO", "TP_ARGS", "TP_STRUCT__entry", "PARAMS")]
    lines += [f"#define {word}(args...)" for word in ("TP_fast_assign", "TP_printk")]
    lines += [f"#define {word}(arg) arg" for word in ("__perf_task", "__perf_count")]
    lines += [f"#define {head} @F {head.split('(')[0]} n" for head in (*_STATIC, *_ARRAY)]
    lines += [f"#define {before}{head} @F {before}{head.split('(')[0]} n" for before in _PREFIXES for head in _LOCATED]
    lines += ["#define MADE_CLASS(n, s) @CLASS n @FIELDS s @END"]
    lines += ["#define MADE_EVENT(k, n, c, a) @EVENT k n c TRACE_SYSTEM @ARGS a @END"]
    for line in _WORDS.split("\n")[1:-1]:
        head, _, makes = line.partition(") ")
        parameters = head.partition("(")[2].replace(" ", "").rstrip(")").split(",")
        args = "PARAMS(a)" if "a" in parameters else ""
        group = "c" if parameters[0] == "c" else "n"
        body = ["MADE_CLASS(n, PARAMS(s))"] * ("C" in makes) + [f"MADE_EVENT(E, n, {group}, {args})"] * ("E" in makes)
        bare = f"n##{suffix}" if suffix else "n"
        body += [f"MADE_EVENT(T, {bare}, {bare}, {args})"] * ("T" in makes)
        body += [f"MADE_EVENT(T, n, n, {args})"] * ("t" in makes)
        lines.append(f"#define {head.rstrip(')')}) {' '.join(body)}")
    return "\n".join(lines)


def made_by_gcc(text: str, defined: Iterable[str] = (), release: tuple[int, int] = (6, 1), lent: str = "") -> Made:
    """What a header of this text makes in a kernel of `release` with these names defined, as 1 or as `NAME=value`.

    `lent` are definitions that the header gets from a header that it includes.
    """
    text = re.sub(r"^[ \t]*#[ \t]*include\b.*$", "", text, flags=re.MULTILINE)
    preamble = _preamble("_tp" if release >= (6, 16) else "")
    version = f"#define LINUX_VERSION_CODE KERNEL_VERSION({release[0]}, {release[1]}, 0)"
    command = ["gcc", "-E", "-P", "-w", "-undef", *(f"-D{name}" for name in defined), "-"]
    unit = f"{preamble}\n{version}\n{lent}\n{text}".encode()
    output = subprocess.run(command, input=unit, stdout=subprocess.PIPE, check=True).stdout.decode()
    classes = re.findall(r"@CLASS (\S+) @FIELDS(.*?)@END", output, re.DOTALL)
    events = re.findall(r"@EVENT (\w) (\S+) (\S+) (\S+) @ARGS(.*?)@END", output, re.DOTALL)
    return Made(
        frozenset(MadeClass(name, _members(fields)) for name, fields in classes),
        frozenset(
            MadeEvent(name, cls, kind == "T", None if system == "TRACE_SYSTEM" else system.strip('"'), _arguments(args))
            for kind, name, cls, system, args in events
        ),
    )


def _members(text: str) -> tuple[tuple[str, str], ...]:
    # What is no field macro stays as a member of its own, so that it is compared and found.
    return tuple(
        (macro, _prefix(macro) + name) if macro else ("", other)
        for macro, name, other in re.findall(r"@F (\w+) (\S+)|([^\s;]+)", text)
    )


def _prefix(macro: str) -> str:
    if macro.startswith(("__field", "__array")):
        return ""
    return next(prefix for start, prefix in _PREFIXES.items() if macro.startswith(start))


def _arguments(text: str) -> tuple[str, ...]:
    names = tuple(re.sub(r"[(),]", " ", text).split())
    return () if names == ("void",) else names
