"""The generated headers, from the command line as a user would get them."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

from support.live import live_is_required

ROOT = Path(__file__).resolve().parents[2]
# A folder of `raw_<event>.h` and `tp_<event>.h` to test instead of what tpgen makes: for trying mutated headers.
STAND_IN = "TPGEN_TEST_STAND_IN_HEADERS"
_PREFIX = {"raw": "raw", "classic": "tp"}


@functools.cache
def header(event: str, form: str) -> str:
    """The text that `tpgen EVENT --raw` or `--classic` prints; `form` is `raw` or `classic`."""
    if folder := os.environ.get(STAND_IN):
        assert not live_is_required(), f"{STAND_IN} would hide what tpgen makes"
        return Path(folder, file_name(event, form)).read_text()
    command = (sys.executable, "-m", "tpgen", event, f"--{form}")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def file_name(event: str, form: str) -> str:
    """What the tests call a header: `raw_sched_switch.h`, `tp_sched_switch.h`."""
    return f"{_PREFIX[form]}_{event}.h"


def write_header(folder: Path, event: str, form: str) -> Path:
    """Writes a header into `folder` for units to include."""
    path = folder / file_name(event, form)
    path.write_text(header(event, form))
    return path
