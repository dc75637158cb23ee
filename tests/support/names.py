"""A program that writes down the numbers of names, and looks for a few by name; what is read of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: The number of what a kernel has not.
ABSENT = -1
_STATES, _REASONS = 16, 512
#: It wants PROCESS, and raw_kfree_skb.h, tp_sched_switch.h and the headers of their values.
PROGRAM = """\
#include "raw_kfree_skb.h"
#include "tp_sched_switch.h"
#include "values_kfree_skb.h"
#include "values_sched_switch.h"
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
static unsigned long long (*who)(void) = (unsigned long long (*)(void))14; /* bpf_get_current_pid_tgid */
struct { long long drops, no_socket, sleeps, states[16], reasons[512]; } seen;
SEC("raw_tp") int numbers(const void *ctx)
{
	int at = 0;

	(void)ctx;
#define REASON(name, text) seen.reasons[at++] = RAW_HAS_VALUE_kfree_skb_reason(name) \\
		? (long long)RAW_VALUE_kfree_skb_reason(name) : -1;
	RAW_VALUES_kfree_skb_reason(REASON)
	at = 0;
#define STATE(name, text) seen.states[at++] = TP_HAS_VALUE_sched_switch_prev_state(name) \\
		? TP_VALUE_sched_switch_prev_state(name) : -1;
	TP_VALUES_sched_switch_prev_state(STATE)
	return 0;
}
SEC(RAW_SEC_kfree_skb) int on_drop(const void *ctx)
{
	if (who() >> 32 != PROCESS)
		return 0;
	seen.drops++;
	if (!raw_kfree_skb_has_reason() || !RAW_HAS_VALUE_kfree_skb_reason(SKB_DROP_REASON_NO_SOCKET))
		return 0;
	if (raw_kfree_skb_reason(ctx) == RAW_VALUE_kfree_skb_reason(SKB_DROP_REASON_NO_SOCKET))
		seen.no_socket++;
	return 0;
}
SEC(TP_SEC_sched_switch) int on_switch(const void *ctx)
{
	long state = tp_sched_switch_prev_state(ctx) & TP_MASK_sched_switch_prev_state;

	if (tp_sched_switch_prev_pid(ctx) == PROCESS && state == TP_VALUE_sched_switch_prev_state(S))
		seen.sleeps++;
	return 0;
}
"""
_ENTRY = re.compile(r"tpgen_x\((\w+), \"((?:[^\"\\]|\\.)*)\"\)")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the programs counted, and the number of each name."""

    no_socket: int
    sleeps: int
    states: dict[str, int]
    reasons: dict[str, int]


def seen(numbers: Sequence[int], headers: Path) -> Seen:
    """The variable `seen` of the program, by the names of its headers."""
    _, no_socket, sleeps, *rest = numbers
    states = dict(zip(listed(headers / "values_sched_switch.h", "TP"), rest, strict=False))
    reasons = dict(zip(listed(headers / "values_kfree_skb.h", "RAW"), rest[_STATES:], strict=False))
    assert len(reasons) < _REASONS
    return Seen(no_socket, sleeps, states, reasons)


def listed(header: Path, prefix: str) -> list[str]:
    """The names in the first list of that prefix."""
    text = header.read_text()
    lines = re.match(r"(?:.*\\\n)*.*\n", text[text.index(f"#define {prefix}_VALUES_") :])
    assert lines is not None
    return [name for name, _ in _ENTRY.findall(lines[0])]


def printed_flags(text: str) -> dict[str, int]:
    """The flags that the format file of sched_switch has as numbers."""
    return {name: int(value, 16) for value, name in re.findall(r'\{ (0x\w+), "(\w)" \}', text)}
