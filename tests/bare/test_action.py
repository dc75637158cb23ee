"""The GitHub Action: its steps, each run as a runner runs it, with a checkout of tpgen as the action's directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.bare import CHECKOUT, VERSION, copy_checkout
from support.old_and_new import LINE, NEW, OLD, compile_program

ACTION = yaml.safe_load((CHECKOUT / "action.yml").read_text())


@dataclass
class Runner:
    """What a runner has of one job: a workspace, a temporary directory, and what earlier steps left for later ones."""

    action: Path
    home: Path
    paths: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.home / "workspace"

    def use(self, **inputs: str) -> tuple[int, str, str]:
        """Run the action's steps until one fails; returns its exit status and what all printed."""
        assert set(inputs) <= set(ACTION["inputs"])
        values = {name: str(about["default"]) for name, about in ACTION["inputs"].items()} | inputs
        out, err = "", ""
        for step in ACTION["runs"]["steps"]:
            if step["id"] == "install" and "install" in self.outputs:
                continue  # as it was in an earlier call
            if "if" in step and not holds(step["if"], values):
                continue
            done = self._step(step, values)
            out, err = out + done.stdout, err + done.stderr
            if done.returncode:
                return done.returncode, out, err
        return 0, out, err

    def _step(self, step: dict[str, Any], values: dict[str, str]) -> subprocess.CompletedProcess[str]:
        assert step["shell"] == "bash"
        script, output, path = (self.home / name for name in ("script", "output", "path"))
        script.write_text(step["run"])
        for file in (output, path):
            file.write_text("")
        environment = os.environ | {
            "GITHUB_ACTION_PATH": str(self.action),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_PATH": str(path),
            "RUNNER_TEMP": str(self.home / "temp"),
            "PATH": os.pathsep.join([*reversed(self.paths), os.environ["PATH"]]),
            **{name: filled(text, values) for name, text in step["env"].items()},
        }
        command = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script))
        done = subprocess.run(command, cwd=self.workspace, env=environment, capture_output=True, text=True, check=False)
        self.paths += path.read_text().splitlines()
        self.outputs[step["id"]] = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done

    def output(self, name: str) -> str:
        """An output of the action."""
        (step, key) = re.fullmatch(  # type: ignore[union-attr]
            r"\$\{\{ steps\.(\w+)\.outputs\.(\w+) \}\}", ACTION["outputs"][name]["value"]
        ).groups()
        return self.outputs.get(step, {}).get(key, "")


def filled(text: str, values: dict[str, str]) -> str:
    """The text with the values of inputs in place of `${{ inputs.NAME }}`."""
    return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: values[found[1]], text)


def holds(condition: str, values: dict[str, str]) -> bool:
    """Whether `inputs.NAME != ''`."""
    found = re.fullmatch(r"inputs\.(\w+) != ''", condition)
    assert found
    return values[found[1]] != ""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    home = tmp_path_factory.mktemp("runner")
    for name in ("workspace", "temp"):
        (home / name).mkdir()
    copy_checkout(home / "action")
    made = Runner(home / "action", home)
    code, _, err = made.use(python=sys.executable)
    assert code == 0, err
    (made.workspace / "build").mkdir()
    compile_program(made.workspace / "build")
    return made


def test_installs(runner: Runner) -> None:
    """What it installed is what later steps of a job find first."""
    assert runner.output("version") == VERSION
    assert (Path(runner.paths[-1]) / "tpgen").exists()


def test_no_input_gets_into_a_script() -> None:
    """Else who names a branch or a file could run what they like."""
    assert not [step["id"] for step in ACTION["runs"]["steps"] if "${{" in step["run"]]


def test_the_workflow_of_the_page(runner: Runner) -> None:
    """docs/ci.md: all inputs and outputs are there, and the steps that it shows do what it says."""
    page = (CHECKOUT / "docs/ci.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(ACTION["inputs"])
    assert all(f"`{name}`" in page for name in ACTION["outputs"])
    (text,) = re.findall(r"^```yaml\n(on:.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert f"/tpgen@v{VERSION}\n" in text
    steps = yaml.safe_load(text)["jobs"]["programs"]["steps"]
    first, second = (step["with"] for step in steps if "/tpgen@" in step.get("uses", ""))
    code, _, err = runner.use(**first)
    assert code == 0, err
    assert (runner.workspace / "include" / "raw_sched_switch.h").exists()
    compile_program(runner.workspace)
    code, out, _ = runner.use(**second)
    assert code == 1
    assert f"line={LINE}" in out
    (runner.workspace / "tool.bpf.o").unlink()


def test_generates(runner: Runner) -> None:
    code, _, err = runner.use(generate="sched_switch --raw -o include/", kernels=f"{OLD}\n{NEW}\n")
    assert code == 0, err
    (header,) = (runner.workspace / "include").glob("raw_sched_switch.h")
    assert "raw_sched_switch_has_prev_state" in header.read_text()


def test_an_input_is_words_and_no_script(runner: Runner) -> None:
    code, _, err = runner.use(generate="$(touch${IFS}here) ;touch there")
    assert code == 2
    assert "touch" in err
    assert not [name for name in ("here", "there") if (runner.workspace / name).exists()]


def test_tells_a_stale_file(runner: Runner) -> None:
    (runner.workspace / "tpgen.toml").write_text('[[generate]]\nevents = ["sched_switch"]\nforms = ["raw"]\n')
    code, diff, _ = runner.use(build="tpgen.toml", kernels=NEW)
    assert code == 1
    assert "+++ b/raw_sched_switch.h" in diff
    subprocess.run((Path(runner.paths[-1]) / "tpgen", "build", "--kernel", NEW), cwd=runner.workspace, check=True)
    assert runner.use(build="tpgen.toml", kernels=NEW)[:2] == (0, "")


def test_compares_what_sources_say(runner: Runner) -> None:
    code, out, err = runner.use(check="sched:*", kernels=NEW)
    assert (code, err) == (0, ""), out
    assert "::error" not in out
    code, _, err = runner.use(check="shced_switch", kernels=NEW)
    assert code == 2
    assert "sched_switch" in err


def test_the_doctor_finds_what_does_not_load(runner: Runner) -> None:
    code, out, err = runner.use(doctor="build/**/*.bpf.o", kernels=f"{OLD} {NEW}")
    assert code == 1, err
    assert re.search(rf"^::error file=\S*tool\.bpf\.c,line={LINE}\b", out, re.MULTILINE)
    log = json.loads(Path(runner.output("sarif")).read_text())
    (result,) = log["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == LINE


def test_the_doctor_finds_nothing(runner: Runner) -> None:
    code, out, err = runner.use(doctor="build/tool.bpf.o", kernels=NEW)
    assert (code, err) == (0, ""), out
    assert "::error" not in out
    assert json.loads(Path(runner.output("sarif")).read_text())["runs"][0]["results"] == []


def test_only_what_is_new_counts(runner: Runner) -> None:
    command = (Path(runner.paths[-1]) / "tpgen", "doctor", "build/tool.bpf.o", "--kernel", OLD, "--json")
    known = subprocess.run(command, cwd=runner.workspace, capture_output=True, check=False).stdout
    (runner.workspace / "doctor.json").write_bytes(known)
    assert runner.use(doctor="build/*.o", kernels=OLD, baseline="doctor.json")[0] == 0


def test_a_pattern_without_files_is_an_error(runner: Runner) -> None:
    code, out, _ = runner.use(doctor="biuld/*.bpf.o", kernels=NEW)
    assert code == 1
    assert out == "::error::tpgen doctor: no file matches biuld/*.bpf.o\n"
