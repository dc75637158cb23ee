//go:build ignore

/* Tells each program that is started and each signal that is sent, through a ring buffer. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "raw_signal_generate.h"
#include "tp_sched_process_exec.h"

#define STARTED 0
#define SENT 1

struct started {
	__u32 what;
	__u32 pid;
	__u8 filename[128];
};

struct sent {
	__u32 what;
	__u32 from;
	__u32 to;
	__u64 args[5]; /* a copy of the context, which main.go decodes */
};

/* clang leaves out types that nothing uses, and bpf2go needs them: `-type started -type sent`. */
const struct started *started_is_kept __attribute__((unused));
const struct sent *sent_is_kept __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} told SEC(".maps");

/* A classic program: its context is the record of the event, a dynamic string among its fields. */
SEC(TP_SEC_sched_process_exec)
int on_exec(void *ctx)
{
	struct started *started = bpf_ringbuf_reserve(&told, sizeof(*started), 0);

	if (!started)
		return 0;
	started->what = STARTED;
	started->pid = tp_sched_process_exec_pid(ctx);
	/* Bounded, with a NUL at its end; below 0 is an error of the kernel's helper. */
	if (tp_sched_process_exec_filename_read(ctx, started->filename, sizeof(started->filename)) < 0)
		started->filename[0] = '\0';
	bpf_ringbuf_submit(started, 0);
	return 0;
}

/* A raw program: its context is the arguments, a u64 each. The pointer has its own type, so CO-RE can follow it. */
SEC(RAW_SEC_signal_generate)
int on_signal(const __u64 *ctx)
{
	struct sent *sent = bpf_ringbuf_reserve(&told, sizeof(*sent), 0);

	if (!sent)
		return 0;
	sent->what = SENT;
	sent->from = bpf_get_current_pid_tgid() >> 32;
	sent->to = BPF_CORE_READ(raw_signal_generate_task(ctx), tgid);
	__builtin_memcpy(sent->args, ctx, sizeof(sent->args));
	bpf_ringbuf_submit(sent, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
