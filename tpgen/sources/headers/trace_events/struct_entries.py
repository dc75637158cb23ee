"""The TP_ words around the arguments of a primitive, and the entries of a TP_STRUCT__entry."""

from __future__ import annotations

import re

from tpgen.sources.headers.preprocessor.source import group_end

_WRAPPER = re.compile(r"\s*(?:TP_PROTO|TP_ARGS|TPPROTO|TPARGS|TP_STRUCT__entry|PARAMS)\s*(?=\()")
# Words within words, each of which is looked for to its end. Two is what kernels have.
_MOST_WRAPPERS = 16
_ENTRY = re.compile(r"[\s;]*([A-Za-z_]\w*)\s*")


def unwrapped(text: str) -> str:
    """Strip TP_PROTO(), TP_ARGS() or TP_STRUCT__entry() from a text.

    The kernel defines all three as what they enclose, so which word is written does not matter, but its place does:
    sof_intel_ipc_firmware_template (in v6.1) has two of them swapped. Before Linux 2.6.32 they are TPPROTO and TPARGS.
    Of words within words the outer 16 are stripped.
    """
    for _ in range(_MOST_WRAPPERS):
        match = _WRAPPER.match(text)
        end = group_end(text, match.end()) if match else None
        if match is None or end is None or not (end == len(text) or text[end:].isspace()):
            break
        text = text[match.end() + 1 : end - 1]
    return text


def split_entries(text: str) -> tuple[str, ...]:
    """Split a TP_STRUCT__entry into its macro invocations, each run of blanks made one.

    From the first text that is no such invocation, the rest is one entry.
    """
    text = unwrapped(text)
    entries: list[str] = []
    at = 0
    while match := _ENTRY.match(text, at):
        end = group_end(text, match.end()) if text.startswith("(", match.end()) else match.end()
        if end is None:
            break
        entries.append(" ".join(text[match.start(1) : end].split()))
        at = end
    if rest := text[at:].strip(" \t\r\n\f\v;"):
        entries.append(" ".join(rest.split()))
    return tuple(entries)


def head(entry: str) -> str:
    """Return the macro that an entry invokes; empty when it is no invocation."""
    match = _ENTRY.match(entry)
    return match[1] if match else ""
