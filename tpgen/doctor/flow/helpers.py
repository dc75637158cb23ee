"""Helpers and kernel functions that matter to the flow: those that read by address, write, or call back.

Source: include/uapi/linux/bpf.h, whose numbers never change.
"""

from __future__ import annotations

from typing import NamedTuple

TAIL_CALL = 12
GET_FUNC_ARG = 183


# The numbers of arguments by the helpers' numbers from 0 on; bpf_trace_printk() looks at two of its own.
_ARGUMENTS = (
    "0242302005553300213144221543533323103232210323112543442435224224325454444443414102425513224431111115543334442155"
    "3333210445113053124322221111144434233541421242020315453413231111341454332101144533231442255333220442"
)
MOST_ARGUMENTS = 5


def arguments(number: int) -> int:
    """The number of arguments of a helper; the most that there can be of one that is not known."""
    return int(_ARGUMENTS[number]) if 0 <= number < len(_ARGUMENTS) else MOST_ARGUMENTS


class Copy(NamedTuple):
    """A helper that copies `size` bytes from an address to another: the numbers of the arguments."""

    target: int
    size: int
    source: int
    is_string: bool


_BYTES, _STRING = Copy(1, 2, 3, False), Copy(1, 2, 3, True)

#: By number.
COPIES: dict[int, Copy] = {
    4: _BYTES,  # probe_read
    45: _STRING,  # probe_read_str
    112: _BYTES,  # probe_read_user
    113: _BYTES,  # probe_read_kernel
    114: _STRING,  # probe_read_user_str
    115: _STRING,  # probe_read_kernel_str
    148: _BYTES,  # copy_from_user
    191: _BYTES,  # copy_from_user_task
}


class Output(NamedTuple):
    """An argument through which a helper writes `size` bytes, or as many as another argument tells.

    Without either they are as many as a value of the map that is the first argument has.
    """

    argument: int
    size_argument: int | None = None
    size: int | None = None


_DYNPTR_BYTES = 16

#: By number; those of `COPIES` write through their targets.
OUTPUTS: dict[int, Output] = {
    16: Output(1, 2),  # get_current_comm
    55: Output(3, 4),  # perf_event_read_value
    56: Output(2, 3),  # perf_prog_read_value
    67: Output(2, 3),  # get_stack
    88: Output(2),  # map_pop_elem
    89: Output(2),  # map_peek_elem
    105: Output(4, size=8),  # strtol
    106: Output(4, size=8),  # strtoul
    119: Output(2, 3),  # read_branch_records
    120: Output(3, 4),  # get_ns_current_pid_tgid
    141: Output(2, 3),  # get_task_stack
    147: Output(2, 3),  # d_path
    149: Output(1, 2),  # snprintf_btf
    161: Output(2, 3),  # ima_inode_hash
    165: Output(1, 2),  # snprintf
    166: Output(2, 3),  # sys_bpf
    176: Output(1, 2),  # get_branch_snapshot
    179: Output(4, size=8),  # kallsyms_lookup_name
    GET_FUNC_ARG: Output(3, size=8),
    184: Output(2, size=8),  # get_func_ret
    193: Output(2, 3),  # ima_file_hash
    197: Output(4, size=_DYNPTR_BYTES),  # dynptr_from_mem
    198: Output(4, size=_DYNPTR_BYTES),  # ringbuf_reserve_dynptr
    201: Output(1, 2),  # dynptr_read
}


class Callback(NamedTuple):
    """A helper that calls `function` while it runs: `context` is handed on as the callback's argument `as_argument`.

    The callback runs not at all where the argument `times` is 0.
    """

    function: int
    context: int
    as_argument: int
    times: int | None = None


CALLBACKS: dict[int, Callback] = {
    164: Callback(2, 3, 4),  # for_each_map_elem
    180: Callback(3, 4, 3),  # find_vma
    181: Callback(2, 3, 2, times=1),  # loop
    209: Callback(2, 3, 2),  # user_ringbuf_drain
}

#: A kernel function that does not return.
THROW = "bpf_throw"
