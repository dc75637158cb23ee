"""Events of the shipped kernels, joined. What each kernel has is from its sources, as people read them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from support.cli import tpgen
from support.shipped import AMD64_OPTIONS

from tpgen.kernel.request import KernelRequest
from tpgen.model import Nullness, Pointer, Struct
from tpgen.opening import open_kernel
from tpgen.programs.forms import Form
from tpgen.spelling import spell
from tpgen.variants.facts import (
    Condition,
    JoinedArgument,
    JoinedField,
    MemberExists,
    Not,
    PrototypeExists,
    RecordExists,
)
from tpgen.variants.join import JoinedEvent, join
from tpgen.variants.views import KernelView

KERNELS = ("5.10", "6.1", "6.12", "7.2")


@cache
def joined(name: str) -> JoinedEvent:
    """The event of all shipped kernels of amd64, which it is a member of vmlinux in."""
    views, lacking = [], []
    for kernel in KERNELS:
        opened = open_kernel(KernelRequest(kernel=f"debian-{kernel}-amd64"), print)
        keys = opened.keys_of(name)
        views += [KernelView(kernel, event, opened.target, opened.records_of) for event in opened.events(keys)]
        lacking += [] if keys else [kernel]
    return join(views, lacking)


def arguments(name: str) -> dict[str, JoinedArgument]:
    return {f"{v.name} {v.struct}" if v.struct else v.name: v for v in joined(name).arguments().values}


def fields(name: str) -> dict[str, JoinedField]:
    return {value.name: value for value in joined(name).record().values}


def slots(value: JoinedArgument) -> dict[str, int]:
    """The slot on each kernel."""
    return {kernel: place.slot for place in value.places for kernel in place.kernels}


def members(value: JoinedField) -> dict[str, str]:
    """The class and the member on each kernel."""
    found = {}
    for place in value.places:
        assert place.member is not None
        found |= dict.fromkeys(place.kernels, f"{place.member.class_name}.{place.member.name}")
    return found


def kinds(condition: Condition) -> list[str]:
    assert isinstance(condition, PrototypeExists)
    return [spell(kind) for kind in condition.parameters]


def test_sched_switch_got_an_argument() -> None:
    found = arguments("sched_switch")
    assert {name: slots(value) for name, value in found.items()} == {
        "preempt": dict.fromkeys(KERNELS, 0),
        "prev": dict.fromkeys(KERNELS, 1),
        "next": dict.fromkeys(KERNELS, 2),
        "prev_state": dict.fromkeys(KERNELS[1:], 3),
    }
    assert [name for name, value in found.items() if not value.is_everywhere] == ["prev_state"]
    ((condition,),) = found["prev_state"].places[0].when
    assert kinds(condition) == ["int", "struct {...} *", "struct {...} *", "int"]


def test_arguments_that_swapped_places() -> None:
    """TP_PROTO(int order, gfp_t gfp_flags) until 6.12, in 7.2 (gfp_t gfp_flags, int order, memcg)."""
    found = arguments("mm_vmscan_direct_reclaim_begin")
    assert slots(found["order"]) == {"5.10": 0, "6.1": 0, "6.12": 0, "7.2": 1}
    assert slots(found["gfp_flags"]) == {"5.10": 1, "6.1": 1, "6.12": 1, "7.2": 0}
    assert slots(found["memcg"]) == {"7.2": 2}


def test_forms_that_agree_about_an_argument() -> None:
    """kfree_skb got `reason` in 5.17 and `rx_sk` in 6.11: where `reason` is, two prototypes have it."""
    (place,) = arguments("kfree_skb")["reason"].places
    assert (place.kernels, place.slot) == (("6.1", "6.12", "7.2"), 2)
    assert [len(kinds(condition)) for (condition,) in place.when] == [4, 3]


def test_equal_kinds_are_told_apart_by_the_record() -> None:
    """(page, none_or_zero, referenced, bool writable, int status) became (folio, …, int status, unsigned order)."""
    found = arguments("mm_collapse_huge_page_isolate")
    assert slots(found["status"]) == {"5.10": 4, "6.1": 4, "6.12": 4, "7.2": 3}
    assert slots(found["order"]) == {"7.2": 4}
    assert slots(found["writable"]) == {"5.10": 3, "6.1": 3, "6.12": 3}
    ((form, fact),) = found["order"].places[0].when
    assert isinstance(fact, MemberExists)
    assert (len(kinds(form)), fact.member.name) == (5, "order")


def test_two_structs_under_one_name() -> None:
    found = arguments("break_lease_block")
    assert {name: list(slots(value)) for name, value in found.items() if name != "inode"} == {
        "fl file_lease": ["6.12", "7.2"],
        "fl file_lock": ["5.10", "6.1"],
    }
    assert found["fl file_lock"].type == Pointer(Struct("struct", "file_lock"))


def test_a_class_that_lives_on_for_others() -> None:
    """tcp_send_reset has a class of its own since 6.7; tcp_event_sk_skb, which has `sport`, is that of others."""
    found = fields("tcp_send_reset")
    assert members(found["sport"]) == dict.fromkeys(("5.10", "6.1"), "tcp_event_sk_skb.sport")
    (conjunction,) = found["sport"].places[0].when
    assert Not(RecordExists("tcp_send_reset")) in conjunction
    assert members(found["state"]) == {
        **dict.fromkeys(("5.10", "6.1"), "tcp_event_sk_skb.state"),
        **dict.fromkeys(("6.12", "7.2"), "tcp_send_reset.state"),
    }
    assert [place.size_bytes for place in found["saddr"].places] == [28, 4]


def test_a_name_that_got_the_suffix_of_pointers_that_may_be_null() -> None:
    """tcp_send_reset(sk, skb) is tcp_send_reset(sk, skb__nullable, reason) since 6.12: either name reads it there."""
    found = arguments("tcp_send_reset")
    assert slots(found["skb"]) == dict.fromkeys(KERNELS, 1)
    assert found["skb"].is_everywhere
    assert found["skb"].nullness == Nullness.MAYBE
    assert slots(found["skb__nullable"]) == dict.fromkeys(("6.12", "7.2"), 1)


def test_an_array_that_became_dynamic() -> None:
    found = fields("sched_process_fork")
    assert members(found["parent_comm"]) == {
        **dict.fromkeys(KERNELS[:3], "sched_process_fork.parent_comm"),
        "7.2": "sched_process_fork.__data_loc_parent_comm",
    }
    assert found["parent_comm"].is_string
    # They moved, but relocations find them.
    assert found["child_pid"].is_everywhere
    assert members(found["child_pid"]) == dict.fromkeys(KERNELS, "sched_process_fork.child_pid")


def test_a_pointer_that_became_text_is_left_out() -> None:
    """devres_log is not in 5.10; its `name` was `const char *` until __string(name, name)."""
    assert joined("devres_log").lacking == ("5.10",)
    (omitted,) = joined("devres_log").record().omitted
    assert (omitted.name, omitted.reason) == ("name", "it is a scalar on 6.1, and bytes on 6.12, 7.2")
    assert "op" in fields("devres_log")


def test_what_nothing_tells_apart_is_left_out() -> None:
    """`struct file_lock *lease` became `struct file_lease *lease`, and the record stayed as it was."""
    omitted = {each.name: each.reason for each in joined("leases_conflict").arguments().omitted}
    assert set(omitted) == {f"{name} as {of}" for name in ("lease", "breaker") for of in ("file_lease", "file_lock")}
    assert omitted["lease as file_lease"].startswith(
        "nothing at load tells 6.12, 7.2, where it is `struct file_lease *`"
    )
    assert set(arguments("leases_conflict")) == {"conflict"}


def test_a_module_without_btf_sees_what_all_kernels_share_alone() -> None:
    """Modules of 5.10 have no BTF: what has to be asked for is absent there, what is in one place everywhere is not."""
    event = joined("nbd_send_request")
    assert event.having(Form.RAW)[0].kernel == "5.10"
    assert all(value.is_everywhere for value in event.arguments().values)


def test_events_of_two_modules_under_one_name(tmp_path: Path) -> None:
    """i915 and xe both have g4x_wm, from 6.12 on; its system is i915 until 6.12, and the module in 7.2."""
    done = tpgen("g4x_wm", "--raw", *AMD64_OPTIONS, "-o", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in tmp_path.glob("raw_*")) == ["raw_g4x_wm.i915.h", "raw_g4x_wm.xe.h"]
    done = tpgen("g4x_wm", "--classic", *AMD64_OPTIONS, "--module", "xe", "-o", tmp_path / "tp_g4x_wm.h")
    assert "its system is i915 on debian-6.12-amd64, xe on debian-7.2-amd64" in (tmp_path / "tp_g4x_wm.h").read_text()
    first = (tmp_path / "raw_g4x_wm.xe.h").read_text()
    assert "Made by tpgen for Linux 6.12.107+deb13-amd64 and 7.2.13+deb14-amd64, module xe.\n" in first
