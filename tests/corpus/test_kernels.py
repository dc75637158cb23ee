"""Whole kernels of other releases and machines: their BTF and format files, compared without a finding.

TPGEN_CORPUS points to a folder with btf/<kernel>.btf.xz and formats/<kernel>.txt.xz (each format file after a line
`=== ./<system>/<event>/format`); without it these tests are skipped. The numbers are counted with grep in those files
(`grep -c '^=== '`, the same without syscalls/ and ftrace/) and with bpftool (`grep -c "TYPEDEF 'btf_trace_"`).
"""

from __future__ import annotations

import io
import json
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.cli import tpgen

CORPUS = os.environ.get("TPGEN_CORPUS")
pytestmark = pytest.mark.skipif(not CORPUS, reason="TPGEN_CORPUS is not set")


@dataclass(frozen=True)
class Release:
    """What one kernel's files hold: format files in all, those of syscalls/, and btf_trace_* typedefs of vmlinux."""

    name: str
    formats: int
    syscalls: int
    raw: int


RELEASES = [
    Release("5.10-amd64", formats=1268, syscalls=672, raw=581),
    Release("6.1-amd64", formats=4179, syscalls=690, raw=639),
    Release("6.12-amd64", formats=4601, syscalls=716, raw=772),
    Release("6.12-s390x", formats=1305, syscalls=708, raw=591),
]
# `tar -t | grep -c btf$`, and the btf_trace_* of all of them
MODULES, RAW_OF_MODULES = 109, 3504


@pytest.fixture(scope="module", params=RELEASES, ids=lambda release: release.name)
def unpacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Path, Path]:
    """A release, its BTF file and a directory like its tracefs."""
    release: Release = request.param
    folder = tmp_path_factory.mktemp(release.name)
    btf, formats = Path(str(CORPUS), "btf"), Path(str(CORPUS), "formats")
    text = lzma.decompress((formats / f"{release.name}.txt.xz").read_bytes()).decode(errors="replace")
    parts = re.split(r"^=== \./(\S+)\n", text, flags=re.MULTILINE)[1:]
    for name, content in zip(parts[::2], parts[1::2], strict=True):
        path = folder / "events" / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    assert len(parts) == 2 * release.formats
    # Read as it is, compressed.
    return release, btf / f"{release.name}.btf.xz", folder


def rows(out: str) -> dict[str, tuple[int, ...]]:
    """By subject how many were compared, agree, differ and are not comparable, by the table of `tpgen check`."""
    found = re.finditer(r"^  (\S.*?)\s+(\d+)\s+(\d+)\s+(\d+)$", out, re.MULTILINE)
    numbers = {match[1]: tuple(map(int, match.groups()[1:])) for match in found}
    return {subject: (agree + differ, agree, differ, without) for subject, (agree, differ, without) in numbers.items()}


def test_no_finding(unpacked: tuple[Release, Path, Path]) -> None:
    release, btf, folder = unpacked
    done = tpgen("check", "--btf", btf, "--tracefs", folder)
    assert (done.code, done.err) == (0, "")
    assert not re.search(r"^error: ", done.out, re.MULTILINE)
    table = rows(done.out)
    compared, agree, differ, without = table["raw arguments: BTF typedef, functions and class"]
    assert (compared + without, agree, differ) == (release.raw, compared, 0)
    compared, agree, differ, without = table["syscall record: tracefs and BTF"]
    assert (compared, agree, differ, without) == (release.syscalls, release.syscalls, 0, 0)
    compared, agree, differ, without = table["classic record: tracefs and BTF"]
    assert (agree, differ) == (compared, 0)
    assert compared == len(vmlinux_events(btf, folder))
    compared, agree, differ, without = table["computed layout: declared types and BTF"]
    assert (agree, differ, without) == (compared, 0, 0)
    assert compared > 300


def vmlinux_events(btf: Path, folder: Path) -> set[str]:
    """The events that have both a format file and, by bpftool, a btf_trace_* in vmlinux."""
    return tracefs_names(folder) & set(typedefs(btf))


def tracefs_names(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("events/*/*/format") if path.parent.parent.name != "ftrace"}


def typedefs(btf: Path) -> list[str]:
    """bpftool's list of the raw tracepoints."""
    if shutil.which("bpftool") is None:
        pytest.skip("bpftool is not installed")
    with tempfile.NamedTemporaryFile() as blob:
        blob.write(lzma.decompress(btf.read_bytes()))
        blob.flush()
        command = ("bpftool", "btf", "dump", "file", blob.name, "format", "raw")
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.findall(r"TYPEDEF 'btf_trace_(\w+)'", text)


def test_show_covers_everything(unpacked: tuple[Release, Path, Path]) -> None:
    release, btf, folder = unpacked
    done = tpgen("show", "*", "--json", "--btf", btf, "--tracefs", folder)
    assert (done.code, done.err) == (0, "")
    shown = json.loads(done.out)
    attachable = [event["attach_name"] for event in shown if event["attach_name"]]
    assert sorted(attachable) == sorted(typedefs(btf))
    assert len(attachable) == release.raw
    titles = {f"{event['system']}:{event['name']}" for event in shown if event["system"]}
    files = {f"{path.parent.parent.name}:{path.parent.name}" for path in folder.glob("events/*/*/format")}
    assert titles == {title for title in files if not title.startswith("ftrace:")}


def test_modules(tmp_path: Path) -> None:
    """The split BTF of 6.1's modules on their base: every raw tracepoint that the field guide counts."""
    base = Path(str(CORPUS), "btf", "6.1-amd64.btf.xz")
    blob = lzma.decompress(Path(str(CORPUS), "btf", "6.1-amd64-modules.tar.xz").read_bytes())
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2 has none
        archive.extractall(tmp_path)
    modules = sorted(tmp_path.rglob("*.btf"))
    assert len(modules) == MODULES
    arguments = [word for module in modules for word in ("--btf", str(module))]
    done = tpgen("show", "*", "--json", "--btf", base, *arguments)
    assert (done.code, done.err) == (0, "")
    shown = json.loads(done.out)
    of_modules = [event for event in shown if event["module"] is not None]
    assert len(shown) - len(of_modules) == RELEASES[1].raw
    assert len(of_modules) == RAW_OF_MODULES
    assert {event["module"] for event in of_modules} <= {module.stem.replace("-", "_") for module in modules}
    assert all(arg["name"] and arg["kind"] for event in of_modules for arg in event["args"])
    assert tpgen("check", "--btf", base, *arguments).code == 0
