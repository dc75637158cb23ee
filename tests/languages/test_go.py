"""The generated Go: gofmt leaves it alone, go vet has nothing to say, and programs read the values that are there."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest
from support import odd_kernel
from support.cli import tpgen
from support.compilers import COMPILERS
from support.debian import cache_dir
from support.languages import run
from support.libbpf import BpfObject
from support.values import MOST_SLOTS, Place, contexts
from support.workload import Child

from languages.conftest import SIGNAL_AND_EXEC, Odd, Running, pattern_record

pytestmark = pytest.mark.languages

# What the compiler made of the standard library is kept.
_CACHE = str(cache_dir() / "go-build")
# No proxy, no other modules: the standard library alone.
_OFFLINE = {"GOCACHE": _CACHE, "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
_U64 = (1 << 64) - 1
_HEX = """\
func check(err error) {
	if err != nil {
		panic(err)
	}
}

func fromHex(text string) []byte {
	data, err := hex.DecodeString(text)
	check(err)
	return data
}
"""


def module(folder: Path) -> Path:
    """A Go module with the package tracepoints, whose file is returned."""
    (folder / "go.mod").write_text("module example\n\ngo 1.19\n")
    (folder / "tracepoints").mkdir()
    return folder / "tracepoints" / "tracepoints.go"


def accepted(folder: Path) -> None:
    assert run("gofmt", "-l", "tracepoints", cwd=folder) == ""
    run("go", "vet", "./...", cwd=folder, **_OFFLINE)


def output(folder: Path, main: str, stdin: str) -> str:
    """What a program prints."""
    (folder / "main.go").write_text(main + _HEX)
    return run("go", "run", ".", cwd=folder, stdin=stdin, **_OFFLINE)


ODD = """\
package main

import (
	"encoding/hex"
	"fmt"

	tp "example/tracepoints"
)

func main() {
	var recordText, slotsText string
	_, err := fmt.Scan(&recordText, &slotsText)
	check(err)
	record := fromHex(recordText)
	var fields tp.Tp802154Self
	check(tp.Read(record, &fields))
	text, err := fields.DataLocType.Bytes(record, tp.Tp802154Self_DataLocTypeOffset)
	check(err)
	numbers, err := fields.Fn.Bytes(record, tp.Tp802154Self_FnOffset)
	check(err)
	fmt.Printf("%q %d %v %v %d %x\\n", text, fields.Type, fields.In, fields.Saddr, fields.Self, numbers)
	fmt.Println(fields.Crate, fields.Words, fields.Super, fields.Func, fields.Comm, fields.X)
	fmt.Println(tp.Tp802154Self_Size, tp.Tp802154Self_SaddrOffset, tp.Tp802154Self_SaddrSize, tp.TpNothing_Size)
	_, err = fields.Fn.Bytes(record[:len(record)-1], tp.Tp802154Self_FnOffset)
	fmt.Println(err == tp.ErrShort)

	var args tp.Raw802154Self
	check(tp.Read(fromHex(slotsText), &args))
	fmt.Println(args.Self(), args.Super(), args.Crate(), args.Self_(), args.Type(), args.Fn())
	fmt.Println(args.In(), args.Func(), args.Range(), args.None(), args.Map(), args.X())
	fmt.Println(len(tp.RawNothing{}))
}
"""


@pytest.mark.parametrize("big_endian", [False, True])
def test_odd_kernel(odd: Odd, tmp_path: Path, big_endian: bool) -> None:
    """Keywords and names that differ by a case or a prefix; every width and sign: values by hand."""
    odd("go", module(tmp_path), big_endian)
    accepted(tmp_path)
    order = "big" if big_endian else "little"
    record = odd_kernel.record(">" if big_endian else "<").hex()
    slots = b"".join(slot.to_bytes(8, order) for slot in odd_kernel.SLOTS).hex()
    numbers = (7).to_bytes(4, order) + (4_000_000_000).to_bytes(4, order)
    a = {name: str(value) for name, value in odd_kernel.ARGUMENTS.items()}
    assert output(tmp_path, ODD, f"{record} {slots}\n").splitlines() == [
        f'"abcde\\x00" -5 true [1 2 3 4] -3 {numbers.hex()}',
        f"{(1 << 63) + 1} [1 65535 3] 200 [9 8 7 6] [97 98 0 120 121] {0xFEDCBA98}",
        "64 17 4 8",
        "true",
        f"{a['self']} {a['super']} false {a['Self']} {a['type']} {a['fn']}",
        f"{a['in']} {a['func']} {a['range']} {a['None']} {a['map']} {a['_']}",
        "0",
    ]


@pytest.mark.parametrize("name", ["func", "a-b", "", "1a", "é"])
def test_package_that_cannot_be(name: str, tmp_path: Path) -> None:
    btf, tracefs = odd_kernel.write(tmp_path)
    done = tpgen("odd:*", "-b", "go", "--package", name, "--btf", btf, "--tracefs", tracefs)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"tpgen: error: {name!r} cannot be the name of a Go package [usage]\n"


# --- the running kernel

ALL = """\
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"reflect"

	tp "example/tracepoints"
)

// The numbers of each record, in the order of the fields.
func main() {
	records := map[string]any{
%s	}
	data := map[string]string{}
	check(json.NewDecoder(os.Stdin).Decode(&data))
	for event, into := range records {
		check(tp.Read(fromHex(data[event]), into))
		text, err := json.Marshal(values(reflect.ValueOf(into).Elem()))
		check(err)
		fmt.Println(event, string(text))
	}
}

func values(record reflect.Value) [][]json.Number {
	found := [][]json.Number{}
	for at := 0; at < record.NumField(); at++ {
		if record.Type().Field(at).Name != "_" {
			found = append(found, numbers(record.Field(at)))
		}
	}
	return found
}

func numbers(value reflect.Value) []json.Number {
	found := []json.Number{}
	switch value.Kind() {
	case reflect.Struct:
		for at := 0; at < value.NumField(); at++ {
			found = append(found, numbers(value.Field(at))...)
		}
	case reflect.Array:
		for at := 0; at < value.Len(); at++ {
			found = append(found, numbers(value.Index(at))...)
		}
	case reflect.Bool:
		if value.Bool() {
			return []json.Number{"1"}
		}
		return []json.Number{"0"}
	default:
		found = append(found, json.Number(fmt.Sprint(value.Interface())))
	}
	return found
}
"""


@pytest.mark.live
def test_records_of_the_running_kernel(running: Running, tmp_path: Path) -> None:
    """Every field that is not dynamic, by the kernel's own format files, and the common ones."""
    path = running.generate("go", module(tmp_path), "classic")
    accepted(tmp_path)
    types = dict(zip(running.records, re.findall(r"^type (Tp\w+) struct", path.read_text(), re.MULTILINE), strict=True))
    sizes = dict(re.findall(r"^\t(Tp\w+)_Size += (\d+)$", path.read_text(), re.MULTILINE))
    data = {event: pattern_record(int(sizes[name]), 1) for event, name in types.items()}
    entries = "".join(f'\t\t"{event}": new(tp.{name}),\n' for event, name in types.items())
    stdin = json.dumps({event: record.hex() for event, record in data.items()})
    printed = output(tmp_path, ALL % entries, stdin)
    found = {event: json.loads(text) for event, text in (line.split(" ", 1) for line in printed.splitlines())}
    for event, fields in running.records.items():
        common, *others = found[event]
        assert tuple(common) == struct.unpack_from("=HBBi", data[event])
        for numbers, field in zip(others, fields, strict=True):
            if not field.dynamic:
                assert tuple(numbers) == running.numbers(event, field, data[event]), (event, field.name)


RAW = """\
package main

import (
	"encoding/hex"
	"fmt"

	tp "example/tracepoints"
)

func show(slots []uint64) {
%s}

func main() {
	var count int
	_, err := fmt.Scan(&count)
	check(err)
	for ; count > 0; count-- {
		var text string
		_, err := fmt.Scan(&text)
		check(err)
		data := fromHex(text)
		slots := make([]uint64, len(data)/8)
		for at := range slots {
			slots[at] = tp.ByteOrder.Uint64(data[8*at:])
		}
		show(slots)
	}
}

// A bool as a number.
func number(value any) any {
	if truth, ok := value.(bool); ok {
		if truth {
			return 1
		}
		return 0
	}
	return value
}
"""


@pytest.mark.live
def test_arguments_of_the_running_kernel(running: Running, tmp_path: Path) -> None:
    """Every raw argument, by the kernel's BTF."""
    path = running.generate("go", module(tmp_path), "raw")
    accepted(tmp_path)
    types = dict(zip(running.raw, re.findall(r"^type (Raw\w+) \[", path.read_text(), re.MULTILINE), strict=True))
    methods = re.findall(r"^func \(args \*(\w+)\) (\w+)\(\)", path.read_text(), re.MULTILINE)
    lines = []
    for name in types.values():
        own = [method for owner, method in methods if owner == name]
        of_slots = "".join(f", number(args.{method}())" for method in own)
        lines.append(
            f"\t{{\n\t\tvar args tp.{name}\n\t\tcopy(args[:], slots[:])\n\t\tfmt.Println({of_slots[2:]})\n\t}}\n"
        )
    tried = list(contexts(8 * MOST_SLOTS, "bpfel"))
    stdin = f"{len(tried)}\n" + "".join(f"{context.hex()}\n" for context in tried)
    printed = iter(output(tmp_path, RAW % "".join(lines), stdin).splitlines())
    for context in tried:
        for event, params in ((event, running.image.params[event]) for event in running.raw):
            places = (Place("", 8 * at, 8, param.scalar) for at, param in enumerate(params))
            found = [int(word) & _U64 for word in next(printed).split()]
            assert found == [place.value(context, "bpfel") for place in places], event


# --- beside cilium/ebpf

WATCHER = """
struct {
	unsigned long long slots[5];
	char record[64];
} seen;
char LICENSE[] __attribute__((section("license"), used)) = "GPL";

static int watched(void)
{
	unsigned long long (*const current)(void) = (unsigned long long (*)(void))14; /* bpf_get_current_pid_tgid */

	return (unsigned int)current() == PID;
}

__attribute__((section("raw_tp/signal_generate"), used)) int on_signal(unsigned long long *ctx)
{
	if (watched() && ctx[0] == 10)
		for (int slot = 0; slot < 5; slot++)
			seen.slots[slot] = ctx[slot];
	return 0;
}

__attribute__((section("tp/sched/sched_process_exec"), used)) int on_exec(void *ctx)
{
	/* bpf_probe_read_kernel */
	long (*const read)(void *, unsigned int, const void *) = (long (*)(void *, unsigned int, const void *))113;

	if (watched())
		read(seen.record, sizeof(seen.record), ctx);
	return 0;
}
"""
READER = """\
package main

import (
	"fmt"
	"os"
	"strconv"

	tp "example/tracepoints"

	"github.com/cilium/ebpf"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	id, err := strconv.Atoi(os.Args[1])
	check(err)
	seen, err := ebpf.NewMapFromID(ebpf.MapID(id))
	check(err)
	data, err := seen.LookupBytes(uint32(0))
	check(err)

	var args tp.RawSignalGenerate
	check(tp.Read(data[:40], &args))
	fmt.Println(args.Sig(), args.Group(), args.Result())

	record := data[40:]
	var fields tp.TpSchedProcessExec
	check(tp.Read(record, &fields))
	name, err := fields.Filename.Bytes(record, tp.TpSchedProcessExec_FilenameOffset)
	check(err)
	fmt.Printf("%q %d %d\\n", name, fields.Pid, fields.OldPid)
	fmt.Printf("%x\\n", tp.ByteOrder.Uint64(record)>>48) // in place of the common header: the kernel's pt_regs
}
"""


@pytest.mark.live
@pytest.mark.compilers
def test_with_cilium_ebpf(tmp_path: Path) -> None:
    """A program that reads with cilium/ebpf, Debian's, what a BPF program has copied of its contexts."""
    package, program = tmp_path / "src/example/tracepoints", tmp_path / "src/example/reader"
    package.mkdir(parents=True)
    program.mkdir()
    events = ("signal:signal_generate", "sched:sched_process_exec")
    assert tpgen(*events, "-b", "go", "-o", package / "tracepoints.go").code == 0
    (program / "main.go").write_text(READER)
    places = {"GO111MODULE": "off", "GOPATH": f"{tmp_path}:/usr/share/gocode", "GOCACHE": _CACHE}
    run("go", "build", "-o", "reader", ".", cwd=program, **places)
    child = Child(SIGNAL_AND_EXEC, [])
    try:
        child.await_line("ready")
        obj = COMPILERS[0].compile(f"#define PID {child.pid}\n{WATCHER}", tmp_path / "watcher.o")
        with BpfObject(obj) as bpf:
            bpf.attach("on_signal")
            bpf.attach("on_exec")
            child.go()
            assert child.wait() == 0
            told = Path(f"/proc/self/fdinfo/{bpf.map('.bss').fd}").read_text()
            found = re.search(r"^map_id:\t(\d+)$", told, re.MULTILINE)
            assert found is not None
            printed = run(program / "reader", found[1], cwd=program)
    finally:
        child.close()
    assert printed.splitlines() == ["10 0 0", f'"/bin/true\\x00" {child.pid} {child.pid}', "ffff"]
