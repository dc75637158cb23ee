"""The system calls of a kernel's sources: the invocations of SYSCALL_DEFINE0 … SYSCALL_DEFINE6 in its C files.

Each makes a call `sys_<name>` and, by the call's meta data, the events sys_enter_<name> and sys_exit_<name>. No header
and no BTF has the parameters as they were declared: prototypes in include/linux/syscalls.h differ in names and lack the
architectures' own, and BTF knows the functions by their `struct pt_regs *`.
Source: include/linux/syscalls.h, SYSCALL_METADATA(); kernel/trace/trace_syscalls.c.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from tpgen.basics.frozen import frozen
from tpgen.diagnostics import Diagnostic, Position, Severity
from tpgen.model import CType
from tpgen.sources.cdecl import Declaration, parse_declarations
from tpgen.sources.headers.preprocessor.directives import structure
from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment
from tpgen.sources.headers.preprocessor.source import Source, split_arguments
from tpgen.sources.headers.trace_events.discovery import decode
from tpgen.sources.source_tree.listing import list_files
from tpgen.target import Target

_WORD = b"SYSCALL_DEFINE"
# The COMPAT_ twins take the calls of 32-bit programs and have no events.
_INVOCATION = re.compile(r"^[ \t]*SYSCALL_DEFINE([0-6])[ \t]*(?=\()", re.MULTILINE)
_NAME = re.compile(r"[a-zA-Z_]\w*")


@frozen
class SyscallParam:
    """A parameter as SYSCALL_DEFINE declares it."""

    name: str
    type: CType


@frozen
class SyscallDefine:
    """One invocation: the call's `name` without its `sys_`, and its parameters."""

    name: str
    params: tuple[SyscallParam, ...]
    position: Position


@frozen
class SyscallDefines:
    """The calls of a tree by name. `skipped` reports those that could not be read, or whose definitions differ."""

    calls: Mapping[str, SyscallDefine]
    skipped: tuple[Diagnostic, ...]


def read_syscall_defines(root: str, target: Target, config: Mapping[str, str] | None) -> SyscallDefines:
    """Read all system calls of the tree at `root`, of whose arch/ only the target's own directory counts.

    `config` decides which files and which branches of an #if are compiled; with None all are. Reads every C file, which
    takes seconds.
    """
    skipped: list[Diagnostic] = []
    found = list(_all_invocations(root, target, config, skipped))
    parsed = parse_declarations({text for invocation in found for text in invocation.params}, target)
    calls: dict[str, list[SyscallDefine]] = {}
    for invocation in found:
        declarations = [parsed[text] for text in invocation.params]
        bad = next((d for d in declarations if not isinstance(d, Declaration)), None)
        if bad is not None:
            message = f"sys_{invocation.name} has a parameter that cannot be read: {bad}"
            skipped.append(_skipped(invocation.position, message))
            continue
        params = tuple(SyscallParam(d.name or "", d.type) for d in declarations if isinstance(d, Declaration))
        calls.setdefault(invocation.name, []).append(SyscallDefine(invocation.name, params, invocation.position))
    return SyscallDefines(dict(_agreed(calls, skipped)), tuple(skipped))


def _agreed(calls: Mapping[str, list[SyscallDefine]], skipped: list[Diagnostic]) -> Iterator[tuple[str, SyscallDefine]]:
    """Yield each call with its definition, where the definitions that may be compiled agree."""
    for name, defines in sorted(calls.items()):
        if len({define.params for define in defines}) == 1:
            yield name, defines[0]
        else:
            places = ", ".join(str(define.position) for define in defines[1:])
            skipped.append(_skipped(defines[0].position, f"sys_{name} is defined otherwise at {places}"))


@frozen
class _Invocation:
    name: str
    params: tuple[str, ...]
    position: Position


def _all_invocations(
    root: str, target: Target, config: Mapping[str, str] | None, skipped: list[Diagnostic]
) -> Iterator[_Invocation]:
    user_mode = os.path.join(root, "arch", "x86", "um")
    for path in list_files(root, ".c", target.arch, skipped):
        # User Mode Linux is an architecture of its own that lives in the directory of another.
        if path.startswith(user_mode):
            continue
        with open(path, "rb") as file:
            raw = file.read()
        if _WORD in raw and _is_built(path, config):
            yield from _invocations(decode(path, raw, skipped), config, skipped)


# `obj-$(CONFIG_NUMA) += mempolicy.o migrate.o \` and on.
_OBJECTS = re.compile(r"^[ \t]*obj-\$\((CONFIG_\w+)\)[ \t]*[:+]?=((?:\\\n|[^\n])*)", re.MULTILINE)


def _is_built(path: str, config: Mapping[str, str] | None) -> bool:
    """Return whether the Makefile beside a C file compiles it, as far as a single option decides."""
    makefile = os.path.join(os.path.dirname(path), "Makefile")
    if config is None or not os.path.isfile(makefile):
        return True
    with open(makefile, encoding="utf-8", errors="replace") as file:
        lists = _OBJECTS.findall(file.read())
    options = {option for option, objects in lists if f"{os.path.basename(path)[:-1]}o" in objects.split()}
    return not options or any(config.get(option, "n") != "n" for option in options)


def _invocations(source: Source, config: Mapping[str, str] | None, skipped: list[Diagnostic]) -> Iterator[_Invocation]:
    """Yield the invocations outside of dead branches."""
    code = structure(source, ConfigEnvironment(config)).code
    for match in _INVOCATION.finditer(code):
        position = source.position(match.start())
        split = split_arguments(code, match.end())
        words = [" ".join(code[start:end].split()) for start, end in split[0]] if split else []
        if len(words) == 1 + 2 * int(match[1]) and _NAME.fullmatch(words[0]):
            # The macro takes the type and the name of each parameter apart.
            params = (f"{ctype} {name}" for ctype, name in zip(words[1::2], words[2::2], strict=True))
            yield _Invocation(words[0], tuple(params), position)
        else:
            skipped.append(_skipped(position, f"this is no call with {match[1]} parameters"))


def _skipped(position: Position, message: str) -> Diagnostic:
    return Diagnostic("syscall-define", message, position, severity=Severity.NOTE)
