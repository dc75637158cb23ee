/*
 * Programs for test_doctor_accesses.py. Above each stands what it loads from its context, as OFFSET:SIZE, and what it
 * loads where `chosen` is 1 instead of 0, if that is something else.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define VERSION(a, b, c) ((a) * 65536 + (b) * 256 + (c))
/* What is done with two of them differs, or they become one load at an offset that is chosen before: refused. */
#define READ(n) (((volatile u64 *)ctx)[n])
#define RAW(name) SEC("raw_tp/sched_switch") int name(u64 *ctx)

char LICENSE[] SEC("license") = "GPL";
extern int LINUX_KERNEL_VERSION __kconfig;
const volatile int chosen = CHOSEN;
const volatile char flag = 1;
u64 total;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} programs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 4);
	__type(value, u64);
} stack SEC(".maps");

struct task_struct___absent {
	int tpgen_never_there;
} __attribute__((preserve_access_index));

struct tpgen_never_there {
	int x;
} __attribute__((preserve_access_index));

struct seen {
	u64 *ctx;
	u64 sum;
};

/* 8:8 16:8 */
RAW(plain)
{
	total += READ(1) + READ(2);
	return 0;
}

/* 8:8 */
RAW(spilled)
{
	u64 *volatile kept = ctx;

	bpf_get_prandom_u32();
	total += kept[1];
	return 0;
}

/* 9:1 2:2 20:4 */
RAW(narrow)
{
	char *bytes = (char *)ctx;

	total += *(u8 *)(bytes + 9) + *(u16 *)(bytes + 2) + *(int *)(bytes + 20);
	return 0;
}

static __noinline u64 second(u64 *ctx, int which)
{
	if (which)
		return READ(1);
	return READ(2) + 1;
}

/* 8:8 */
RAW(subprogram)
{
	total += second(ctx, 1);
	return 0;
}

/* 8:8 16:8 */
RAW(subprogram_twice)
{
	total += second(ctx, 1);
	total += second(ctx, 0);
	return 0;
}

/* 16:8, chosen 8:8 */
RAW(argument)
{
	total += second(ctx, chosen);
	return 0;
}

static __noinline int framed(struct seen *seen)
{
	seen->sum = seen->ctx[2];
	return 0;
}

/* 16:8 */
RAW(frame)
{
	struct seen seen = {ctx, 0};

	framed(&seen);
	total += seen.sum;
	return 0;
}

static __noinline int filled(u64 *ctx, struct seen *seen)
{
	if (bpf_get_prandom_u32() & 1)
		return 0;
	seen->ctx = ctx;
	return 1;
}

/* 8:8 */
RAW(returned)
{
	struct seen seen = {0, 0};

	if (filled(ctx, &seen))
		total += seen.ctx[1];
	return 0;
}

/* Checked for any second argument. */
__noinline int everywhere(struct bpf_raw_tracepoint_args *ctx, int which)
{
	if (which == 3)
		return READ(1);
	return READ(2) + 1;
}

/* 8:8 16:8 */
RAW(global_function)
{
	total += everywhere((void *)ctx, 3);
	return 0;
}

static int each(u64 index, struct seen *seen)
{
	seen->sum += seen->ctx[1];
	return 0;
}

/* 8:8 */
RAW(callback)
{
	struct seen seen = {ctx, 0};

	bpf_loop(4, each, &seen, 0);
	total += seen.sum;
	return 0;
}

/* 16:8, chosen 8:8 16:8 */
RAW(callback_or_not)
{
	struct seen seen = {ctx, 0};

	bpf_loop(chosen, each, &seen, 0);
	total += seen.sum + READ(2);
	return 0;
}

static int element(void *map, u32 *key, u64 *value, struct seen *seen)
{
	seen->sum += seen->ctx[2] + *value;
	return 0;
}

/* 16:8 */
RAW(elements)
{
	struct seen seen = {ctx, 0};

	bpf_for_each_map_elem(&numbers, element, &seen, 0);
	total += seen.sum;
	return 0;
}

/* 0:8 16:8 */
RAW(rounds)
{
	for (int i = 0; i < 3; i++) {
		if (i < 2)
			total += READ(0);
		else
			total ^= READ(2);
		bpf_get_prandom_u32();
	}
	return 0;
}

/* 0:8, chosen 0:8 16:8 */
RAW(counted)
{
	for (int i = 0; i < chosen + 1; i++) {
		if (i < 1)
			total += READ(0);
		else
			total ^= READ(2);
		bpf_get_prandom_u32();
	}
	return 0;
}

/* 8:8 */
RAW(long_loop)
{
	for (int i = 0; i < 100; i++)
		bpf_get_prandom_u32();
	total += READ(1);
	return 0;
}

/* 0:8 8:8 16:8 */
RAW(switched)
{
	switch (bpf_get_prandom_u32() & 7) {
	case 0:
		total += READ(0);
		break;
	case 1:
		total ^= READ(1);
		break;
	case 2:
		total *= READ(2) + 1;
		break;
	case 3:
		total -= READ(0);
		break;
	default:
		total++;
	}
	return 0;
}

/* 16:8 */
RAW(tail)
{
	bpf_tail_call(ctx, &programs, 0);
	total += READ(2);
	return 0;
}

/* 8:8 */
RAW(popped)
{
	u64 *volatile kept = ctx;
	u64 value = 0;

	bpf_map_pop_elem(&stack, &value);
	total += value + kept[1];
	return 0;
}

/* 8:8, chosen 16:8 */
RAW(guarded)
{
	if (chosen)
		total ^= READ(2);
	else
		total += READ(1);
	return 0;
}

/* 0:8, chosen 0:8 16:8 */
RAW(computed)
{
	if ((chosen << 3 | flag) > 8)
		total += READ(2);
	total += READ(0);
	return 0;
}

/* 8:8 */
RAW(version)
{
	if (LINUX_KERNEL_VERSION < VERSION(5, 0, 0))
		total ^= READ(2);
	else
		total += READ(1);
	return 0;
}

/* 8:8 */
RAW(no_member)
{
	struct task_struct___absent *task = (void *)bpf_get_current_task();

	if (bpf_core_field_exists(task->tpgen_never_there))
		total += BPF_CORE_READ(task, tpgen_never_there) + READ(2);
	else
		total += READ(1);
	return 0;
}

/* 8:8 */
RAW(member)
{
	struct task_struct *task = (void *)READ(1);

	if (bpf_core_field_exists(task->pid))
		total += BPF_CORE_READ(task, pid);
	else
		total += READ(2);
	return 0;
}

/* 16:8 */
RAW(no_type)
{
	if (bpf_core_type_exists(struct tpgen_never_there))
		total ^= READ(1);
	else
		total += READ(2);
	return 0;
}

/* 8:8 */
SEC("tp_btf/sched_switch") int direct(u64 *ctx)
{
	total += ((struct task_struct *)ctx[1])->pid;
	return 0;
}

/* 24:4 60:4 */
SEC("tp/sched/sched_switch") int record(struct trace_event_raw_sched_switch *ctx)
{
	total += ctx->prev_pid + ctx->next_prio;
	return 0;
}

/* 56:4 */
SEC("tp/sched/sched_switch") int helper(struct trace_event_raw_sched_switch *ctx)
{
	int pid;

	bpf_probe_read_kernel(&pid, sizeof(pid), &ctx->prev_pid);
	total += pid + ctx->next_pid;
	return 0;
}

/* 8:4 */
SEC("tp/sched/sched_process_exec") int locator(struct trace_event_raw_sched_process_exec *ctx)
{
	char name[32];

	bpf_probe_read_kernel_str(name, sizeof(name), (char *)ctx + (u16)ctx->__data_loc_filename);
	total += name[0];
	return 0;
}
