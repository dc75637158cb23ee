"""Reads the verifier's log of level 2: the loads through the context that it followed.

A line has an instruction and, behind `;`, the registers that it used and set, as they are then. Where these come on a
line of their own, it begins with the number of the instruction. Lines of a whole state, behind "from A to B:" or a
call, stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_INSTRUCTION = re.compile(r"\d+: \([0-9a-f]{2}\) (?P<text>[^;]*)(?:;(?P<state>.*))?")
_LOAD = re.compile(r"[rw](?P<to>\d+) = \*\([us](?P<bits>\d+) \*\)\(r(?P<base>\d+) (?P<sign>[+-])(?P<offset>\d+)\)\s*")
_SETS = re.compile(r"[rw](\d+) ")
_MORE_STATE = re.compile(r"\d+: (?:frame\d+: )?(?=R\d+=)")
_WHOLE_STATE = re.compile(r" (?:frame\d+: )?(?=R\d+=)|from \d+ to \d+[^:]*: (?:frame\d+: )?(?=R\d+=)")
_REGISTER = re.compile(r"\bR(\d+)(?:_[a-zA-Z]+)?=(\S+)")
_CONTEXT = re.compile(r"ctx\((?:off=)?(?P<offset>-?\d*)")


class Load(NamedTuple):
    offset: int
    size: int


class _Access(NamedTuple):
    """A load; its base is in `register`, the number of which `is_lost` if what was loaded is in it now."""

    register: int
    is_lost: bool
    offset: int
    size: int


def context_loads(log: Iterable[str]) -> set[Load]:
    """The loads through the context. AssertionError where the log does not tell what a load goes through."""
    registers: dict[int, str] = {}
    waiting: _Access | None = None
    found: set[Load] = set()
    for line in log:
        more, whole, instruction = _MORE_STATE.match(line), _WHOLE_STATE.match(line), _INSTRUCTION.match(line)
        told = _told(line[more.end() :] if more else instruction["state"] or "" if instruction else "")
        if waiting and (more or whole or instruction):
            found |= _through_context(waiting, told if more else {}, registers)
            waiting = None
        if whole:
            registers = _told(line[whole.end() :])
        elif instruction:
            waiting = _access(instruction["text"])
            if waiting and told:
                found |= _through_context(waiting, told, registers)
                waiting = None
            _forget(registers, instruction["text"], keep=waiting)
        registers |= told
    return found | (_through_context(waiting, {}, registers) if waiting else set())


def _told(state: str) -> dict[int, str]:
    return {int(number): value for number, value in _REGISTER.findall(state)}


def _access(text: str) -> _Access | None:
    load = _LOAD.fullmatch(text)
    if load is None:
        return None
    base = int(load["base"])
    return _Access(base, base == int(load["to"]), int(load["sign"] + load["offset"]), int(load["bits"]) // 8)


def _through_context(access: _Access, told: Mapping[int, str], before: Mapping[int, str]) -> set[Load]:
    base = before.get(access.register) if access.is_lost else told.get(access.register, before.get(access.register))
    assert base is not None, f"r{access.register} is not told"
    context = _CONTEXT.match(base)
    return {Load(int(context["offset"] or 0) + access.offset, access.size)} if context else set()


def _forget(registers: dict[int, str], text: str, keep: _Access | None) -> None:
    """Drop what an instruction overwrites, unless a load through it is still to be looked at."""
    if text.startswith("call"):
        for number in range(6):
            registers.pop(number, None)
    elif (changed := _SETS.match(text)) and not (keep and keep.is_lost):
        registers.pop(int(changed[1]), None)
