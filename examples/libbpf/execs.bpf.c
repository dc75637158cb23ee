/* Tells each program that is started and each process that ends, through a ring buffer. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "execs.h"
#include "raw_sched_process_exit.h"
#include "tp_sched_process_exec.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

/* The process to tell of, 0 for all; the loader sets it before the programs are loaded. */
const volatile int only_pid;

/* A classic program: its context is the record of the event, a dynamic string among its fields. */
SEC(TP_SEC_sched_process_exec)
int on_exec(void *ctx)
{
	int pid = tp_sched_process_exec_pid(ctx);
	struct told *told;

	if (only_pid && pid != only_pid)
		return 0;
	told = bpf_ringbuf_reserve(&events, sizeof(*told), 0);
	if (!told)
		return 0;
	told->what = EXEC;
	told->pid = pid;
	/* Bounded, with a NUL at its end; below 0 is an error of the kernel's helper. */
	if (tp_sched_process_exec_filename_read(ctx, told->text, sizeof(told->text)) < 0)
		told->text[0] = '\0';
	bpf_ringbuf_submit(told, 0);
	return 0;
}

/* A raw program: its context is the arguments. The second one is there since Linux 6.16; the loader finds out. */
SEC(RAW_SEC_sched_process_exit)
int on_exit(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	int pid = id >> 32;
	struct told *told;

	if (only_pid && pid != only_pid)
		return 0;
	if (raw_sched_process_exit_has_group_dead()) {
		if (!raw_sched_process_exit_group_dead(ctx))
			return 0;
	} else if ((int)id != pid) {
		return 0; /* not the first thread of its process: nearly the same */
	}
	told = bpf_ringbuf_reserve(&events, sizeof(*told), 0);
	if (!told)
		return 0;
	told->what = EXIT;
	told->pid = pid;
	if (bpf_get_current_comm(told->text, 16))
		told->text[0] = '\0';
	bpf_ringbuf_submit(told, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
