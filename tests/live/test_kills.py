"""Runs that are killed while they keep what they made, or add to the catalog: all of it is there, or nothing.

None of them shares anything with other tests of the running kernel, so that any process may run them.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.small_kernel import write_btf, write_tracefs

from tpgen.catalog.read import Catalog

ROOT = Path(__file__).parents[2]
# So often a run is killed: `tox -e live` does it 100 times, the default is what a quick run has time for.
KILLS = int(os.environ.get("TPGEN_KILLS", "6"))
TPGEN = (sys.executable, "-m", "tpgen")
# Others unmount tracefs where they have mounted it. Each of these programs becomes the next, so that tpgen is killed.
MOUNTED = '[ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing || exit; exec "$@"'
WITH_TRACEFS = ("unshare", "--mount", "sh", "-c", MOUNTED, "sh", *TPGEN)


def environment(cache: Path) -> dict[str, str]:
    return os.environ | {"XDG_CACHE_HOME": str(cache), "XDG_DATA_HOME": str(cache)}


def done(command: Sequence[str], cache: Path) -> tuple[int, str, str]:
    """Return the exit status of a run that nobody kills, what it printed, and what it said."""
    run = subprocess.run(command, cwd=ROOT, env=environment(cache), capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


@dataclass
class Victim:
    """Runs of tpgen that are killed at some moment of the time that the fastest of them has taken."""

    dice: random.Random
    earliest: float
    seconds: float = math.inf
    kills: int = 0

    def run(self, command: Sequence[str], cache: Path) -> None:
        """Most of a run is spent before it writes: what happens before `earliest`, a fraction of it, need not be seen.

        The first run is not killed: it tells the time.
        """
        quiet, start = subprocess.DEVNULL, time.monotonic()
        with subprocess.Popen(command, cwd=ROOT, env=environment(cache), stdout=quiet, stderr=quiet) as process:
            try:
                told = self.seconds < math.inf
                assert process.wait(self.seconds * self.dice.uniform(self.earliest, 1.3) if told else None) == 0
                self.seconds = min(self.seconds, time.monotonic() - start)
            except subprocess.TimeoutExpired:
                process.kill()
                self.kills += 1


def test_kill_while_adding(tmp_path: Path) -> None:
    """A catalog is there as a whole or it is not; an old one stays until the new one is whole."""
    tracefs = write_tracefs(tmp_path / "tracefs")
    sources = ("--btf", str(write_btf(tmp_path / "small.btf")), "--tracefs", str(tracefs), "--arch", "x86_64")
    path = tmp_path / "tpgen" / "catalog" / "small.tpgen"
    victim, releases = Victim(random.Random(1), earliest=0.3), set[str]()
    while victim.kills < KILLS:
        releases.add(release := f"1.{len(releases)}")
        victim.run((*TPGEN, "catalog", "add", "small", *sources, "--release", release), tmp_path)
        kernel = Catalog(str(path)).kernel()
        assert len(kernel.events(kernel.keys())) == 6
        assert kernel.release in releases
    assert done((*TPGEN, "show", "sched_switch", "--kernel", "small"), tmp_path)[0] == 0


@pytest.mark.live
@pytest.mark.own_tracefs
def test_kill_while_keeping(tmp_path: Path) -> None:
    """Whatever a killed run leaves in the cache, the next one says the same as without.

    Only a run that lists all events keeps them. Compared are systems in which nobody else makes events meanwhile.
    """
    words = (*WITH_TRACEFS, "show", "sched:*", "irq:*", "--json")
    good = done((*words, "--no-cache"), tmp_path)
    assert good[0] == 0
    victim = Victim(random.Random(2), earliest=0.5)
    while victim.kills < KILLS:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            victim.run((*WITH_TRACEFS, "list"), Path(folder))
            assert done(words, Path(folder)) == good
