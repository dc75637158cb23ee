"""Names of what backends put in one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.catalogs import small_kernel

from tpgen.backends.base import Form, Request
from tpgen.backends.naming import camel_case, distinct
from tpgen.backends.requests import request_names


def test_events_of_one_name(tmp_path: Path) -> None:
    """The module tells events of one name apart, and only those; a name that is made so may be there already."""
    kernel = small_kernel(tmp_path)
    (key,) = kernel.select("sched_switch")
    event = kernel.event(key)
    i915, xe = (replace(event, name="i915_vma_bind", module=module) for module in ("i915", "xe"))
    other = replace(event, name="i915_vma_bind_xe")
    requests = [Request(e, form) for e in (event, other, i915, xe) for form in (Form.RAW, Form.CLASSIC)]
    assert request_names(requests) == [
        "raw_sched_switch", "tp_sched_switch", "raw_i915_vma_bind_xe", "tp_i915_vma_bind_xe",
        "raw_i915_vma_bind_i915", "tp_i915_vma_bind_i915", "raw_i915_vma_bind_xe_", "tp_i915_vma_bind_xe_",
    ]  # fmt: skip


def test_distinct() -> None:
    assert distinct(["a", "b", "a", "a_", "c"], taken=["c"]) == ["a", "b", "a_", "a__", "c_"]


def test_camel_case() -> None:
    names = {"prev_state": "PrevState", "__data_loc_type": "DataLocType", "tp_802154_x": "Tp802154X", "Rx_nr": "RxNr"}
    assert {name: camel_case(name) for name in names} == names
