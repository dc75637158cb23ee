"""`python templates/prerender.py` renders templates/bpf/ ahead of time, as tpgen/backends/prerendered.py has it."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tpgen.backends.bpf import render as bpf_render  # noqa: E402
from tpgen.backends.prerendered import FILE, prerendered_text  # noqa: E402

(HERE / "bpf" / FILE).write_text(prerendered_text("bpf", bpf_render.FLAG_SETS), encoding="utf-8")
