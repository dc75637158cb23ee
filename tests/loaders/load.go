// Loads objects with cilium/ebpf, as load.c does with libbpf; what it prints is the same but for the version.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

func attached(spec *ebpf.ProgramSpec, program *ebpf.Program) (link.Link, error) {
	kind, event, _ := strings.Cut(spec.SectionName, "/")
	switch kind {
	case "raw_tp":
		return link.AttachRawTracepoint(link.RawTracepointOptions{Name: event, Program: program})
	case "tp_btf":
		return link.AttachTracing(link.TracingOptions{Program: program})
	}
	system, name, _ := strings.Cut(event, "/")
	return link.Tracepoint(system, name, program, nil)
}

// What BPF_OBJ_GET_INFO_BY_FD has as xlated_prog_insns; cilium/ebpf would make sense of it.
func instructions(fd int) ([]byte, error) {
	var info struct {
		_                [5]uint32
		xlatedProgLength uint32
		_                uint64
		xlatedProgInsns  uint64
		_                [24]uint64
	}
	code := make([]byte, 1<<20)
	info.xlatedProgLength = uint32(len(code))
	info.xlatedProgInsns = uint64(uintptr(unsafe.Pointer(&code[0])))
	attributes := struct {
		fd, size uint32
		info     uint64
	}{uint32(fd), uint32(unsafe.Sizeof(info)), uint64(uintptr(unsafe.Pointer(&info)))}
	_, _, failed := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD,
		uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes))
	runtime.KeepAlive(&info)
	runtime.KeepAlive(code)
	if failed != 0 {
		return nil, failed
	}
	return code[:info.xlatedProgLength], nil
}

func one(out *bufio.Writer, name string, spec *ebpf.ProgramSpec, attach bool) error {
	program, err := ebpf.NewProgram(spec)
	if err != nil {
		return err
	}
	defer program.Close()
	code, err := instructions(program.FD())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s %x\n", name, code)
	if !attach {
		return nil
	}
	there, err := attached(spec, program)
	if err != nil {
		return err
	}
	return there.Close()
}

func load(out *bufio.Writer, path string) error {
	spec, err := ebpf.LoadCollectionSpec(path)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(spec.Programs))
	for name := range spec.Programs {
		names = append(names, name)
	}
	sort.Strings(names)
	seen := map[string]bool{}
	for _, name := range names {
		program := spec.Programs[name]
		if err := one(out, name, program, !seen[program.SectionName]); err != nil {
			return fmt.Errorf("%s: %+v", name, err)
		}
		seen[program.SectionName] = true
	}
	return nil
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if err := rlimit.RemoveMemlock(); err != nil {
		panic(err)
	}
	for _, path := range os.Args[1:] {
		if err := load(out, path); err != nil {
			panic(err)
		}
	}
}
