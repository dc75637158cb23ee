/* Records: what lies where a tp program reads. tests/vm/doctor.c says which values there are. */
#include "case.h"

/* The arguments of execveat(2) in its own record; then as who forgot the first, as an application firewall did. */
struct execveat {
	__u64 header;
	long call;
	long fd;
	const char *filename;
	const char *const *argv;
	const char *const *envp;
	long flags;
};
struct execveat_without_fd {
	__u64 header;
	long call;
	const char *filename;
	const char *const *argv;
};
SEC("tp/syscalls/sys_enter_execveat") int call_right(struct execveat *ctx) { return see((long)ctx->filename); }
SEC("tp/syscalls/sys_enter_execveat") int call_without_first(struct execveat_without_fd *ctx)
{
	return see((long)ctx->filename);
}
SEC("tp/syscalls/sys_enter_execveat") int call_without_first_second(struct execveat_without_fd *ctx)
{
	return see((long)ctx->argv);
}
struct trace_entry {
	unsigned short type;
} CORE;
struct trace_event_raw_sys_enter {
	struct trace_entry ent;
	long id;
	unsigned long args[6];
} CORE;
SEC("tp/syscalls/sys_enter_execveat") int call_in_general(struct trace_event_raw_sys_enter *ctx)
{
	return see(ctx->args[1]);
}
struct trace_event_raw_sys_exit {
	struct trace_entry ent;
	long id;
	long ret;
} CORE;
SEC("tp/syscalls/sys_exit_execveat") int call_result(struct trace_event_raw_sys_exit *ctx) { return see(ctx->ret); }
SEC("tp/syscalls/sys_exit_execveat") int call_behind(void *ctx) { return see(LOAD(u64, ctx, 24)); }

/* The part of the record that all have, and what is no part of it. */
SEC("tp/sched/sched_process_fork") int header_loaded(void *ctx) { return see(LOAD(u64, ctx, 0)); }
SEC("tp/sched/sched_process_fork") int header_in_part(void *ctx) { return see(LOAD(u32, ctx, 4)); }
SEC("tp/sched/sched_process_fork") int behind(void *ctx) { return see(LOAD(u64, ctx, 256)); }
SEC("tp/sched/sched_process_fork") int far_behind(void *ctx) { return see(LOAD(u64, ctx, 8192)); }
SEC("tp/sched/sched_process_fork") int unaligned(void *ctx) { return see(LOAD(u32, ctx, 14)); }
SEC("tp/sched/sched_process_fork") int write(void *ctx)
{
	asm volatile("*(u64 *)(%0 + 8) = %1" : : "r"(ctx), "r"(0ULL) : "memory");
	return 0;
}
SEC("tp/sched/sched_process_fork") int moved_context(void *ctx)
{
	asm volatile("%0 += 8" : "+r"(ctx));
	return see(LOAD(u32, ctx, 0));
}
SEC("tp/sched/sched_process_exit") int copied_from_behind(void *ctx)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), ctx + 512);
	return see(value);
}

/* sched_process_fork: names of 16 bytes, which became dynamic in Linux 6.17; then pids. */
struct fork {
	__u64 header;
	char parent_comm[16];
	int parent_pid;
	char child_comm[16];
	int child_pid;
};
SEC("tp/sched/sched_process_fork") int fork_parent(struct fork *ctx) { return see(ctx->parent_pid); }
SEC("tp/sched/sched_process_fork") int fork_comm(struct fork *ctx) { return see(ctx->parent_comm[0]); }
struct trace_event_raw_sched_process_fork {
	struct trace_entry ent;
	int parent_pid;
	int child_pid;
} CORE;
SEC("tp/sched/sched_process_fork") int fork_by_core(struct trace_event_raw_sched_process_fork *ctx)
{
	return see(ctx->parent_pid);
}

/* sched_switch: prev_comm[16], int prev_pid at 24, int prev_prio, long prev_state at 32, next_comm[16], … */
struct switch_packed {
	__u64 header;
	char prev_comm[16];
	int prev_pid;
	int prev_prio;
	long prev_state;
	char next_comm[16];
	int next_pid;
	int next_prio;
};
struct switch_without_prio {
	__u64 header;
	char prev_comm[16];
	int prev_pid;
	int prev_state;
};
struct switch_wide {
	__u64 header;
	char prev_comm[16];
	long prev_pid;
	long prev_state;
};
SEC("tp/sched/sched_switch") int switch_right(struct switch_packed *ctx) { return see(ctx->prev_pid); }
SEC("tp/sched/sched_switch") int switch_other_field(struct switch_without_prio *ctx) { return see(ctx->prev_state); }
SEC("tp/sched/sched_switch") int switch_straddle(struct switch_wide *ctx) { return see(ctx->prev_pid); }
SEC("tp/sched/sched_switch") int switch_string(struct switch_packed *ctx)
{
	char comm[16] = {};

	bpf_probe_read_kernel_str(comm, sizeof(comm), ctx->prev_comm);
	return see(comm[0]);
}
struct switch_short {
	__u64 header;
	char prev_comm[16];
	char next_comm[16];
};
SEC("tp/sched/sched_switch") int switch_no_string(struct switch_short *ctx)
{
	char comm[16] = {};

	bpf_probe_read_kernel_str(comm, sizeof(comm), ctx->next_comm);
	return see(comm[0]);
}
SEC("tp/sched/sched_switch") int switch_follows(void *ctx)
{
	__u64 value = LOAD(u64, ctx, 32), behind;

	asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(behind) : "r"(value));
	return see(behind);
}

/* By the record of another class. */
struct trace_event_raw_sched_wakeup_template {
	struct trace_entry ent;
	char comm[16];
	int pid;
	int prio;
} CORE;
struct trace_event_raw_sched_switch {
	struct trace_entry ent;
	int prev_pid;
	int next_pid;
} CORE;
SEC("tp/sched/sched_switch") int switch_by_core(struct trace_event_raw_sched_switch *ctx) { return see(ctx->prev_pid); }
SEC("tp/sched/sched_switch") int switch_of_wakeup(struct trace_event_raw_sched_wakeup_template *ctx)
{
	return see(ctx->prio);
}
SEC("tp/sched/sched_process_exit") int exit_of_switch(struct trace_event_raw_sched_switch *ctx) { return see(ctx->next_pid); }
struct trace_event_raw_kfree_skb {
	unsigned int reason;
} CORE;
SEC("tp/skb/kfree_skb") int reason_unguarded(struct trace_event_raw_kfree_skb *ctx) { return see(ctx->reason); }
SEC("tp/skb/kfree_skb") int reason_guarded(struct trace_event_raw_kfree_skb *ctx)
{
	return bpf_core_field_exists(ctx->reason) ? see(ctx->reason) : 0;
}

/* sched_process_exec: __data_loc filename at 8, pid at 12, old_pid at 16. */
struct exec_as_text {
	__u64 header;
	char filename[16];
};
struct exec_right {
	__u64 header;
	__u32 filename;
	int pid;
	int old_pid;
};
SEC("tp/sched/sched_process_exec") int exec_right(struct exec_right *ctx)
{
	char text[16] = {};

	bpf_probe_read_kernel_str(text, sizeof(text), (void *)ctx + (ctx->filename & 0xffff));
	return see(text[0]);
}
SEC("tp/sched/sched_process_exec") int exec_locator_as_string(struct exec_as_text *ctx)
{
	char text[16] = {};

	bpf_probe_read_kernel_str(text, sizeof(text), ctx->filename);
	return see(text[0]);
}
SEC("tp/sched/sched_process_exec") int exec_first_byte(struct exec_as_text *ctx) { return see(ctx->filename[0]); }
SEC("tp/sched/sched_process_exec") int exec_pid(struct exec_right *ctx) { return see(ctx->pid); }

/* A hole: sched_migrate_task and others have none; sys_enter's own record has one behind no field. */
struct stat_runtime {
	__u64 header;
	char comm[16];
	int pid;
	int pad;
	__u64 runtime;
};
SEC("tp/sched/sched_process_wait") int wait_behind(void *ctx) { return see(LOAD(u32, ctx, 32)); }
SEC("tp/timer/hrtimer_start") int hole(void *ctx) { return see(LOAD(u32, ctx, 44)); }
