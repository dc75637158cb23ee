// Procwatch prints a line for each program that is started and for each signal that is sent, until Ctrl-C.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"procwatch/tracepoints"

	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
)

//go:generate tpgen build
//go:generate sh -c "bpftool btf dump file /sys/kernel/btf/vmlinux format c > include/vmlinux.h"
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target native -type started -type sent procwatch procwatch.bpf.c -- -Iinclude -Wall -Wextra -Werror

// What a message is of: the first number of each.
const (
	started = 0
	sent    = 1
)

func main() {
	if err := watch(); err != nil {
		fmt.Fprintf(os.Stderr, "procwatch: %+v\n", err) // with %+v also what the verifier says
		os.Exit(1)
	}
}

func watch() error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	var objects procwatchObjects
	if err := loadProcwatchObjects(&objects, nil); err != nil {
		return err
	}
	defer objects.Close()
	onExec, err := link.Tracepoint("sched", "sched_process_exec", objects.OnExec, nil)
	if err != nil {
		return err
	}
	defer onExec.Close()
	onSignal, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "signal_generate", Program: objects.OnSignal})
	if err != nil {
		return err
	}
	defer onSignal.Close()
	messages, err := ringbuf.NewReader(objects.Told)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		messages.Close()
	}()
	fmt.Fprintln(os.Stderr, "attached")
	for {
		message, err := messages.Read()
		if errors.Is(err, ringbuf.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(message.RawSample); err != nil {
			return err
		}
	}
}

func show(message []byte) error {
	switch tracepoints.ByteOrder.Uint32(message) {
	case started:
		var told procwatchStarted
		if err := tracepoints.Read(message, &told); err != nil {
			return err
		}
		filename, _, _ := bytes.Cut(told.Filename[:], []byte{0})
		fmt.Printf("exec %d %s\n", told.Pid, filename)
	case sent:
		var told procwatchSent
		if err := tracepoints.Read(message, &told); err != nil {
			return err
		}
		// The Go compiler holds that as many arguments were copied as the tracepoint has.
		args := tracepoints.RawSignalGenerate(told.Args)
		fmt.Printf("signal %d from %d to %d: %s\n", args.Sig(), told.From, told.To, outcome(args.Result()))
	}
	return nil
}

// outcome tells what became of a signal: the kernel's enum in include/trace/events/signal.h.
func outcome(result int32) string {
	switch result {
	case 0:
		return "delivered"
	case 1:
		return "ignored"
	case 2:
		return "already pending"
	default:
		return fmt.Sprintf("lost (%d)", result)
	}
}
