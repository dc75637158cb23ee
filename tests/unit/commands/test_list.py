"""`tpgen list`: prototypes, and the events that hand out a type."""

from __future__ import annotations

import json

import pytest
from support.cli import Done, line, refusal, tpgen

KERNEL = ("--kernel", "debian-6.12-amd64")


def test_prototypes() -> None:
    """As include/trace/events/{sched,syscalls}.h of 6.12 declare them."""
    assert tpgen("list", "--args", "sched_switch", "sys_enter", "pelt_cfs_tp", *KERNEL) == Done(
        0,
        "sched:sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next, "
        "unsigned int prev_state)\n"
        "raw_syscalls:sys_enter(struct pt_regs *regs, long id)\n"
        "sched:pelt_cfs_tp(struct cfs_rq *cfs_rq)\n",
        "",
    )


@pytest.mark.parametrize("spelled", ["struct task_struct *", "struct task_struct*", "const struct  task_struct  *"])
def test_events_that_hand_out_a_type(spelled: str) -> None:
    done = tpgen("list", "--type", spelled, "sched:*", "--json", *KERNEL)
    names = {event["name"] for event in json.loads(done.out)}
    assert {"sched_switch", "sched_wakeup", "sched_process_fork"} <= names
    # Both are given numbers and structs of other kinds alone.
    assert not {"sched_update_nr_running_tp", "pelt_cfs_tp"} & names
    assert tpgen("list", "--type", spelled, "sched:*", *KERNEL).out.count("\n") == len(names)


def test_fields_count() -> None:
    """sys_enter_openat hands out its file's name as a field of its record alone."""
    assert "sys_enter_openat" in tpgen("list", "--type", "const char *", "sys_enter_open*", *KERNEL).out


@pytest.mark.parametrize(
    ("spelled", "hint"),
    [
        ("struct zzzzzzzz *", ""),
        ("struct zzzzzzzz ***", ""),
        ("task_struct", "; did you mean 'struct task_struct *'?"),
        ("task_struct*", "; did you mean 'struct task_struct *'?"),
        ("struct task_strcut *", "; did you mean 'struct task_struct *'?"),
        ("*", ""),
    ],
)
@pytest.mark.parametrize("kernels", [KERNEL, (*KERNEL, "--kernel", "6.1")], ids=["one kernel", "two"])
def test_a_type_of_no_event_is_noted(spelled: str, hint: str, kernels: tuple[str, ...]) -> None:
    done = tpgen("list", "--type", spelled, "sched:*", *kernels, "--json")
    said = spelled.replace("struct*", "struct *")
    note = line(f"no event here has the type {said!r} [unknown-type]{hint}", "note")
    assert done == Done(0, "[]\n", note)


def test_prototypes_as_json() -> None:
    done = tpgen("list", "--args", "--json", "sched_switch", "sys_enter_openat", *KERNEL)
    assert [(event["args"], event["prototype"]) for event in json.loads(done.out)] == [
        (4, "bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state"),
        (0, None),
    ]
    assert "prototype" not in tpgen("list", "--json", "sched_switch", *KERNEL).out


def test_of_several_kernels() -> None:
    several = ("--kernel", "6.1", *KERNEL)
    done = tpgen("list", "--type", "struct task_struct *", "sched:*", *several)
    assert "sched:sched_switch " in done.out
    assert "sched_update_nr_running_tp" not in done.out
    assert tpgen("list", "--args", "sched_switch", *several) == refusal(
        "--args is for one kernel, not 2 [usage]; `tpgen show` puts kernels side by side"
    )
