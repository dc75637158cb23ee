"""`tpgen diff --object`: of what changed between shipped kernels, what programs read; read off the kernels' sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli import refusal, tpgen
from support.compilers import COMPILERS

pytestmark = pytest.mark.compilers

SOURCE = """\
#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
typedef unsigned long long u64;
SEC("raw_tp/sched_switch") int reads_state(u64 *ctx) { return ctx[3]; }
SEC("raw_tp/sched_switch") int reads_prev(u64 *ctx) { return ctx[1] != 0; }
SEC("raw_tp/kfree_skb") int reads_skb(u64 *ctx) { return ctx[0] != 0; }
struct fork { u64 header; char parent[16]; int pid; char child[16]; int child_pid; };
SEC("tp/sched/sched_process_fork") int reads_pid(struct fork *ctx) { return ctx->pid; }
SEC("tp/kmem/kmalloc_node") int allocates(void *ctx) { return 0; }
SEC("tp/sched/sched_switch") int reads_comm(struct fork *ctx) { return ctx->parent[0]; }
SEC("tp_btf/tcp_send_reset") int follows(u64 *ctx) { return ctx[1] ? *(int *)ctx[1] : 0; }
SEC("raw_tp/tcp_send_reset") int takes(u64 *ctx) { return ctx[1] != 0; }
SEC("raw_tp/no_such_event") int nothing(u64 *ctx) { return ctx[1]; }
SEC("kprobe/nothing") int other(u64 *ctx) { return ctx[1]; }
"""


@pytest.fixture(scope="module")
def obj(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = ("-Wno-unused-parameter",)
    return COMPILERS[0].compile(SOURCE, tmp_path_factory.mktemp("object") / "object.o", options=options)


def _name(thing: dict[str, str] | str | None) -> str:
    return thing["name"] if isinstance(thing, dict) else thing or ""


def told(*arguments: str | Path) -> dict[str, tuple[list[str], list[str]]]:
    """By event the programs, and each change with the name of what changed."""
    done = tpgen("diff", *arguments, "--json")
    assert done.code == 0, done.err
    found = {}
    for event in json.loads(done.out)["events"]:
        changes = [f"{change['change']} {_name(change['after'] or change['before'])}" for change in event["changes"]]
        found[event["name"]] = (event.get("programs", []), changes)
    return found


def test_only_what_is_read(obj: Path) -> None:
    found = told("5.10", "6.1", "--object", obj)
    assert found["sched_switch"] == (["reads_state"], ["argument-added prev_state"])
    assert found["kmalloc_node"] == (["allocates"], ["event-gone "])
    assert "kfree_skb" not in found  # which has a reason behind skb and location
    assert "sched_process_fork" not in found


def test_a_field_that_moved(obj: Path) -> None:
    found = told("6.12", "7.2", "--object", obj)
    assert found["sched_process_fork"] == (["reads_pid"], ["field-moved parent_pid"])


def test_it_is_a_part_of_all_that_changed(obj: Path) -> None:
    """Nothing is told that `tpgen diff` does not tell."""
    part, every = told("5.10", "7.2", "--object", obj), told("5.10", "7.2")
    assert part
    for name, (_, changes) in part.items():
        assert set(changes) <= set(every[name][1])
        assert changes


def test_what_the_verifier_assumes_is_for_tp_btf(obj: Path) -> None:
    programs, changes = told("6.1", "7.2", "--object", obj)["tcp_send_reset"]
    assert programs == ["follows", "takes"]
    assert "argument-nullness skb__nullable" in changes


def test_patterns_narrow_it(obj: Path) -> None:
    assert list(told("5.10", "6.1", "kmem:*", "--object", obj)) == ["kmalloc_node"]


def test_several_kernels(obj: Path) -> None:
    pairs = json.loads(tpgen("diff", "5.10", "6.1", "6.12", "7.2", "--object", obj, "--json").out)
    assert [[event["name"] for event in pair["events"] if "reads_pid" in event["programs"]] for pair in pairs] == [
        [], [], ["sched_process_fork"],
    ]  # fmt: skip


def test_text_names_the_programs(obj: Path) -> None:
    out = tpgen("diff", "5.10", "6.1", "--object", obj).out
    assert "breaks classic programs\n  kmem:kmalloc_node, of allocates\n    - gone\n" in out
    assert "5.10 → 6.1: " in out


def test_an_object_that_attaches_to_nothing(tmp_path: Path) -> None:
    text = SOURCE.partition("typedef")[0] + 'SEC("kprobe/x") int other(void *ctx) { return 0; }\n'
    none = COMPILERS[0].compile(text, tmp_path / "none.o", options=("-Wno-unused-parameter",))
    done = tpgen("diff", "5.10", "6.1", "--object", none, "--exit-code")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("5.10 → 6.1: 0 common events, 0 changed")


def test_byte_orders(obj: Path) -> None:
    done = tpgen("diff", "6.12-s390x", "6.12-arm64", "--object", obj)
    assert done == refusal(f"{obj}: the byte order of this object is not that of the kernels [arch-mismatch]")


def test_a_file_that_is_no_object(obj: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x")
    done = tpgen("diff", "5.10", "6.1", "--object", tmp_path / "text")
    assert (done.code, done.out) == (2, "")
    assert "[object-none]" in done.err
