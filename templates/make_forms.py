"""`python templates/make_forms.py` makes the templates' forms anew: tpgen/backends/forms.py tells what they are."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tpgen.backends import bpf_render  # noqa: E402
from tpgen.backends.forms import FILE, forms_text  # noqa: E402

(HERE / "bpf" / FILE).write_text(forms_text("bpf", bpf_render.SHAPES), encoding="utf-8")
