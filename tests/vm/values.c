/*
 * What programs see while guest.c acts, read with generated accessors. Each section is where its program is attached,
 * each program has a record of its own, in the order of the sections in tests/vm/values.py. Numbers keep the sign of
 * the accessor's type.
 *
 * LOCK_TYPE is the accessor of the lock's type, which has two names; with PREV_STATE the event has that argument, with
 * REGISTERS it is known where the architecture has the arguments of a system call.
 */
#define BPF_NO_PRESERVE_ACCESS_INDEX /* the types are those of the kernel that runs this */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "raw_posix_lock_inode.h"
#include "raw_sched_process_exec.h"
#include "raw_sched_switch.h"
#ifdef REGISTERS
#include "raw_sys_enter_close.h"
#endif
#include "raw_sys_exit.h"
#include "tp_posix_lock_inode.h"
#include "tp_sched_process_exec.h"
#include "tp_sched_switch.h"
#include "tp_sys_enter_close.h"
#include "tp_sys_exit.h"
#include "tp_sys_exit_close.h"

struct record {
	long runs;
	long numbers[8];
	char texts[2][64];
};

struct seen {
	int actor, partner;
	struct record records[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct seen);
} map SEC(".maps");

static __always_inline struct seen *seen_by_actor(void)
{
	struct seen *seen = bpf_map_lookup_elem(&map, &(int){ 0 });

	return seen && seen->actor && seen->actor == (int)(bpf_get_current_pid_tgid() >> 32) ? seen : 0;
}

/* The record of a program's first run for the actor; of later ones only the number is kept. */
static __always_inline struct record *first_run(unsigned int program)
{
	struct seen *seen = seen_by_actor();

	return seen && seen->records[program].runs++ == 0 ? &seen->records[program] : 0;
}

#define KERNEL(value) ({ __typeof__(value) copy = 0; bpf_probe_read_kernel(&copy, sizeof(copy), &(value)); copy; })

/* --- lock */

SEC("raw_tp/posix_lock_inode") int lock_raw(void *ctx)
{
	struct record *record = first_run(0);

	if (!record)
		return 0;
	record->numbers[0] = raw_posix_lock_inode_ret(ctx);
	record->numbers[1] = KERNEL(raw_posix_lock_inode_inode(ctx)->i_ino);
	record->numbers[2] = KERNEL(raw_posix_lock_inode_fl(ctx)->fl_start);
	record->numbers[3] = KERNEL(raw_posix_lock_inode_fl(ctx)->fl_end);
	return 0;
}

SEC("tp_btf/posix_lock_inode") int lock_btf(void *ctx)
{
	struct record *record = first_run(1);

	if (!record)
		return 0;
	record->numbers[0] = raw_posix_lock_inode_ret(ctx);
	record->numbers[1] = raw_posix_lock_inode_inode(ctx)->i_ino;
	/* Maybe NULL to the verifier since Linux 838a10bd2ebf ("bpf: Augment raw_tp arguments with PTR_MAYBE_NULL"). */
	raw_posix_lock_inode_if_fl(ctx, fl) {
		record->numbers[2] = fl->fl_start;
		record->numbers[3] = fl->fl_end;
	}
	return 0;
}

SEC("tp/filelock/posix_lock_inode") int lock_tp(void *ctx)
{
	struct record *record = first_run(2);

	if (!record)
		return 0;
	record->numbers[0] = tp_posix_lock_inode_ret(ctx);
	record->numbers[1] = tp_posix_lock_inode_i_ino(ctx);
	record->numbers[2] = tp_posix_lock_inode_fl_start(ctx);
	record->numbers[3] = tp_posix_lock_inode_fl_end(ctx);
	record->numbers[4] = LOCK_TYPE(ctx);
	return 0;
}

/* --- close: the return from bpf(2), which made the actor one, and the failing close(2) */

#define EACH_RUN(program, value0, value1)                                \
	struct seen *seen = seen_by_actor();                             \
	struct record *record = seen ? &seen->records[program] : 0;      \
	if (record && record->runs < 4) {                                \
		record->numbers[2 * (record->runs & 3)] = (value0);      \
		record->numbers[2 * (record->runs++ & 3) + 1] = (value1); \
	}                                                                \
	return 0

SEC("raw_tp/sys_exit") int close_raw(void *ctx)
{
	EACH_RUN(0, raw_sys_exit_regs(ctx) != 0, raw_sys_exit_ret(ctx));
}

SEC("tp_btf/sys_exit") int close_btf(void *ctx)
{
	EACH_RUN(1, raw_sys_exit_regs(ctx) != 0, raw_sys_exit_ret(ctx));
}

SEC("tp/raw_syscalls/sys_exit") int close_tp(void *ctx)
{
	EACH_RUN(2, tp_sys_exit_id(ctx), tp_sys_exit_ret(ctx));
}

SEC("tp/syscalls/sys_exit_close") int close_tp_exit(void *ctx)
{
	EACH_RUN(3, tp_sys_exit_close___syscall_nr(ctx), tp_sys_exit_close_ret(ctx));
}

SEC("tp/syscalls/sys_enter_close") int close_tp_enter(void *ctx)
{
	EACH_RUN(4, tp_sys_enter_close___syscall_nr(ctx), tp_sys_enter_close_fd(ctx));
}

#ifdef REGISTERS
/* The argument that the raw tracepoint of all system calls has in the registers. */
SEC("raw_tp/sys_enter") int close_raw_enter(void *ctx)
{
	if (!raw_sys_enter_close_matches(ctx))
		return 0;
	EACH_RUN(5, raw_sys_enter_close_fd(ctx), 0);
}
#endif

/* --- switch: the first from the actor to its partner */

static __always_inline struct record *first_switch(unsigned int program, int next)
{
	struct seen *seen = seen_by_actor();

	return seen && seen->partner == next && seen->records[program].runs++ == 0 ? &seen->records[program] : 0;
}

#ifdef PREV_STATE
#define IF_PREV_STATE(statement) statement
#else
#define IF_PREV_STATE(statement)
#endif

SEC("raw_tp/sched_switch") int switch_raw(void *ctx)
{
	struct task_struct *prev = raw_sched_switch_prev(ctx), *next = raw_sched_switch_next(ctx);
	struct record *record = first_switch(0, KERNEL(next->pid));

	if (!record)
		return 0;
	record->numbers[0] = KERNEL(prev->pid);
	record->numbers[1] = KERNEL(next->pid);
	record->numbers[2] = raw_sched_switch_preempt(ctx);
	IF_PREV_STATE(record->numbers[3] = raw_sched_switch_prev_state(ctx));
	bpf_probe_read_kernel_str(record->texts[0], sizeof(record->texts[0]), prev->comm);
	bpf_probe_read_kernel_str(record->texts[1], sizeof(record->texts[1]), next->comm);
	return 0;
}

SEC("tp_btf/sched_switch") int switch_btf(void *ctx)
{
	struct task_struct *prev = raw_sched_switch_prev(ctx), *next = raw_sched_switch_next(ctx);
	struct record *record = first_switch(1, next->pid);

	if (!record)
		return 0;
	record->numbers[0] = prev->pid;
	record->numbers[1] = next->pid;
	record->numbers[2] = raw_sched_switch_preempt(ctx);
	IF_PREV_STATE(record->numbers[3] = raw_sched_switch_prev_state(ctx));
	bpf_probe_read_kernel_str(record->texts[0], sizeof(record->texts[0]), prev->comm);
	bpf_probe_read_kernel_str(record->texts[1], sizeof(record->texts[1]), next->comm);
	return 0;
}

SEC("tp/sched/sched_switch") int switch_tp(void *ctx)
{
	struct record *record = first_switch(2, tp_sched_switch_next_pid(ctx));

	if (!record)
		return 0;
	record->numbers[0] = tp_sched_switch_prev_pid(ctx);
	record->numbers[1] = tp_sched_switch_next_pid(ctx);
	record->numbers[3] = tp_sched_switch_prev_state(ctx);
	record->numbers[4] = tp_sched_switch_prev_prio(ctx);
	record->numbers[5] = tp_sched_switch_next_prio(ctx);
	tp_sched_switch_prev_comm_read(ctx, record->texts[0], sizeof(record->texts[0]));
	tp_sched_switch_next_comm_read(ctx, record->texts[1], sizeof(record->texts[1]));
	return 0;
}

/* --- exec */

SEC("raw_tp/sched_process_exec") int exec_raw(void *ctx)
{
	struct record *record = first_run(0);

	if (!record)
		return 0;
	record->numbers[0] = KERNEL(raw_sched_process_exec_p(ctx)->pid);
	record->numbers[1] = raw_sched_process_exec_old_pid(ctx);
	bpf_probe_read_kernel_str(record->texts[0], sizeof(record->texts[0]),
				  KERNEL(raw_sched_process_exec_bprm(ctx)->filename));
	return 0;
}

SEC("tp_btf/sched_process_exec") int exec_btf(void *ctx)
{
	struct record *record = first_run(1);

	if (!record)
		return 0;
	record->numbers[0] = raw_sched_process_exec_p(ctx)->pid;
	record->numbers[1] = raw_sched_process_exec_old_pid(ctx);
	bpf_probe_read_kernel_str(record->texts[0], sizeof(record->texts[0]),
				  raw_sched_process_exec_bprm(ctx)->filename);
	return 0;
}

SEC("tp/sched/sched_process_exec") int exec_tp(void *ctx)
{
	struct record *record = first_run(2);

	if (!record)
		return 0;
	record->numbers[0] = tp_sched_process_exec_pid(ctx);
	record->numbers[1] = tp_sched_process_exec_old_pid(ctx);
	record->numbers[2] = tp_sched_process_exec_filename_read(ctx, record->texts[0], sizeof(record->texts[0]));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
