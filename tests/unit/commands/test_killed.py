"""Whatever ends a run while it writes: nothing half-written, the next run is right, and a day later nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]


def test_killed(tmp_path: Path) -> None:
    """By TPGEN_KILLS more often; tests/support/kills.py tells what is judged."""
    count = os.environ.get("TPGEN_KILLS", "21")
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    command = (sys.executable, str(TESTS / "support" / "kills.py"), count, str(tmp_path / "kills"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "killed: " in done.stdout
    sys.stdout.write(done.stdout)
