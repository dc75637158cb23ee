"""Words of the languages as names: what is generated compiles, and reads the value of each."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from support import bpftrace, words
from support.bpf_asm import Machine, functions
from support.cli import tpgen
from support.compilers import CLANG, disassembly
from support.languages import run, rust_check, rust_object

from languages.test_bpftrace import VERSIONS, command
from languages.test_go import accepted, module, output
from languages.test_python import load
from languages.test_rust import CRATE, VALUE

pytestmark = pytest.mark.languages


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return words.write(tmp_path_factory.mktemp("words"))


def generate(kernel: tuple[Path, Path], backend: str, path: Path) -> Path:
    btf, tracefs = kernel
    source = ("--btf", btf, "--tracefs", tracefs, "--arch", "x86_64")
    done = tpgen("words:*", "-b", backend, *source, "-o", path)
    # Some of the events have no raw tracepoint, which a backend of both forms is told.
    assert done.code == 0
    assert all(line.endswith("[no-such-form]") for line in done.err.splitlines())
    return path


# --- Go

MAIN = """\
package main

import (
	"encoding/hex"
	"fmt"
	"reflect"

	tp "example/tracepoints"
)

func numbers(value reflect.Value) []uint64 {
	found := []uint64{}
	for at := 0; at < value.NumField(); at++ {
		if value.Type().Field(at).IsExported() && value.Field(at).Kind() == reflect.Uint32 {
			found = append(found, value.Field(at).Uint())
		}
	}
	return found
}

func main() {
	var text string
%s}

"""


def test_go(kernel: tuple[Path, Path], tmp_path: Path) -> None:
    generate(kernel, "go", module(tmp_path))
    accepted(tmp_path)
    events = words.EVENTS | words.C_EVENTS
    reads = "".join(
        f"\tvar {event} tp.Tp{event.capitalize()}\n\tfmt.Scan(&text)\n\tcheck(tp.Read(fromHex(text), &{event}))\n"
        f"\tfmt.Println(numbers(reflect.ValueOf({event})))\n"
        for event in events
    )
    said = output(tmp_path, MAIN % reads, "\n".join(words.record(of).hex() for of in events.values()))
    expected = [[words.value(at) for at in range(len(of))] for of in events.values()]
    assert [[int(number) for number in line.strip("[]").split()] for line in said.splitlines()] == expected


# --- Rust


def rust_name(word: str) -> str:
    return f"{word}_" if word in words.RUST_PATHS else f"r#{word}" if word in RAW else word


RAW = frozenset(words.RUST) | frozenset(
    "break const continue do else enum extern false for if return static struct true typeof while".split()
)


def test_rust(kernel: tuple[Path, Path], tmp_path: Path) -> None:
    generate(kernel, "rust", tmp_path / "tracepoints.rs")
    rust_check(tmp_path, "bpfel")
    forms = [("raw", "RawTracePointContext", words.EVENTS, words.slots)]
    forms += [("tp", "TracePointContext", words.EVENTS | words.C_EVENTS, words.record)]
    wanted = {
        f"{prefix}_{event}_{at}": (f"{prefix}_{event}::{rust_name(word)}", context, make(of), words.value(at))
        for prefix, context, events, make in forms
        for event, of in events.items()
        for at, word in enumerate(of)
    }
    text = "".join(
        VALUE.format(function=function, accessor=accessor, context=context)
        for function, (accessor, context, *_) in wanted.items()
    )
    code = functions(disassembly(rust_object(tmp_path, CRATE + text, "bpfel")))
    found = {
        function: Machine(code[function], memory, big_endian=False).run()
        for function, (_, _, memory, _) in wanted.items()
    }
    assert found == {function: value for function, (*_, value) in wanted.items()}


# --- Python


def test_python(kernel: tuple[Path, Path], tmp_path: Path) -> None:
    made: ModuleType = load(generate(kernel, "python", tmp_path / "tracepoints.py"))
    for event, of in (words.EVENTS | words.C_EVENTS).items():
        record = made.EVENTS["words", event](words.record(of))
        expected = {word: words.value(at) for at, word in enumerate(of)}
        assert record.as_dict() == expected
        assert [getattr(record, name) for name in record._KEYS.values()] == list(expected.values())
        assert repr(record).startswith(f"tp_{event}(")
    texts = made.EVENTS["words", "texts"](words.TEXTS_RECORD)
    assert texts.as_dict() == {"foo": "ab", "fn": "cd", "both": (3 << 16 | 34, 3 << 16 | 37), "last": 7}
    assert made.EVENTS["words", "none"](bytes(8)).as_dict() == {}


# --- JSON


def test_json(kernel: tuple[Path, Path], tmp_path: Path) -> None:
    made = json.loads(generate(kernel, "json", tmp_path / "events.json").read_text())
    assert json.dumps(made).count('"u32"') >= len(words.WORDS)


# --- C for SystemTap


def test_systemtap(kernel: tuple[Path, Path], tmp_path: Path) -> None:
    """Each member is where it should be; C's own words have a dash below behind them."""
    generate(kernel, "systemtap", tmp_path / "out")
    forms = [("raw", words.EVENTS, 0, 8), ("classic", words.EVENTS | words.C_EVENTS, 8, 4)]
    unit = ["typedef unsigned int u32;"]
    for form, events, first, step in forms:
        for event, of in events.items():
            struct = f"stapprobe_{event}"
            text = (tmp_path / "out" / form / f"{struct}.h").read_text().replace(struct, f"{form}_{event}")
            unit.append(text)
            for at, word in enumerate(of):
                place = f"__builtin_offsetof(struct {form}_{event}, data.{word}{'_' * (word in (*words.C, 'bool'))})"
                unit.append(f'_Static_assert({place} == {first + step * at}, "{form} {event} {word}");')
    (tmp_path / "unit.c").write_text("\n".join(unit) + "\n")
    run(CLANG, "-std=gnu11", "-fsyntax-only", "-Wall", "-Werror", "unit.c", cwd=tmp_path)


# --- bpftrace

# In a mount namespace of its own, so that bpftrace sees the events and nobody else does.
NAMESPACE = """\
for place in /sys/kernel/tracing /sys/kernel/debug/tracing; do
	[ ! -e $place/events ] || mount --bind "$0" $place || exit 3
done
exec "$@"
"""


@pytest.mark.live
@pytest.mark.parametrize("version", VERSIONS)
def test_bpftrace(kernel: tuple[Path, Path], version: str, tmp_path: Path) -> None:
    """What bpftrace takes for a word of its own stands in a comment."""
    _, tracefs = kernel
    events = [*words.EVENTS, *words.C_EVENTS, *words.OTHERS]
    (tracefs / "available_events").write_text("".join(f"words:{event}\n" for event in events))
    script = tmp_path / "words.bt"
    done = tpgen("words:*", "--classic", "-b", "bpftrace", "--tracefs", tracefs, "--arch", "x86_64", "-o", script)
    assert (done.code, done.err) == (0, "")
    said = bpftrace.refusals(("unshare", "-m", "sh", "-c", NAMESPACE, str(tracefs), *command(version)), script)
    assert said == []
    text = script.read_text()
    left_out = {word for word in words.WORDS if f"// u32 {word}: " in text}
    assert left_out == {"string", "buffer", "inet", "unroll", "bool", "int8", "uint32", "uint64"}
