/*
 * Adds up for how long threads wait, by what they wait in: from the switch away from a thread that goes to sleep to the
 * switch back to it. Every argument and member comes from a generated header, so the object is right on every kernel of
 * those that the headers are for.
 *
 * These are tp_btf programs, or with -DOFFCPU_RAW raw_tp programs; nothing else in them differs.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "core_task_struct_flags.h"
#include "core_task_struct_pid.h"
#include "core_task_struct_state.h"
#include "core_task_struct_tgid.h"
#include "raw_sched_switch.h"
#include "raw_task_newtask.h"

#include "offcpu.h"

#ifdef OFFCPU_RAW
#define NEWTASK RAW_SEC_task_newtask
#define SWITCH RAW_SEC_sched_switch
#else
#define NEWTASK BTF_SEC_task_newtask
#define SWITCH BTF_SEC_sched_switch
#endif

/* Linux never changed these: include/linux/sched.h, include/uapi/linux/sched.h. */
#define PF_KTHREAD 0x00200000
#define CLONE_THREAD 0x00010000
/* Of a state these bits say how a thread waits; those above them, as TASK_FREEZABLE, what else may be done to it. */
#define STATE_MASK 0xff

/* The switch away from a thread. */
struct stamp {
	__u64 ns;
	struct offcpu_key key;
	char comm[OFFCPU_COMM];
};

/* Set by the loader. The other map does not exist then, and the code that would use it is dead. */
const volatile _Bool use_task_storage = 0;
const volatile _Bool filtered = 0;

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct stamp);
} stamp_of_task SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct stamp);
} stamp_of_pid SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16384);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, OFFCPU_FRAMES * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct offcpu_key);
	__type(value, struct offcpu_total);
} totals SEC(".maps");

/* The processes that are looked at, where not all are. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, _Bool);
} wanted SEC(".maps");

/* Waits that no map had room for, and those that a thread began while the one before was not seen to end. */
__u64 lost = 0, unended = 0;

static __always_inline struct stamp *find_stamp(struct task_struct *task)
{
	__u32 pid;

	if (use_task_storage)
		return bpf_task_storage_get(&stamp_of_task, task, NULL, 0);
	pid = core_task_struct_pid(task);
	return bpf_map_lookup_elem(&stamp_of_pid, &pid);
}

static __always_inline void put_stamp(struct task_struct *task, struct stamp *new)
{
	struct stamp *stamp = find_stamp(task);

	if (stamp && stamp->ns)
		__sync_fetch_and_add(&unended, 1);
	if (use_task_storage) {
		stamp = bpf_task_storage_get(&stamp_of_task, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (stamp)
			*stamp = *new;
		else
			__sync_fetch_and_add(&lost, 1);
	} else if (bpf_map_update_elem(&stamp_of_pid, &new->key.pid, new, BPF_ANY)) {
		__sync_fetch_and_add(&lost, 1);
	}
}

/* The storage of a task goes with it. */
static __always_inline void drop_stamp(struct stamp *stamp)
{
	__u32 pid = stamp->key.pid;

	stamp->ns = 0;
	if (!use_task_storage)
		bpf_map_delete_elem(&stamp_of_pid, &pid);
}

static __always_inline unsigned int state_of(void *ctx, struct task_struct *prev)
{
	if (raw_sched_switch_has_prev_state())
		return raw_sched_switch_prev_state(ctx);
	return core_task_struct_state(prev);
}

/* The thread that runs now, `prev`, is switched away from. */
static __always_inline void starts_to_wait(void *ctx, struct task_struct *prev)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32;
	struct stamp stamp = {};

	/* A thread that is preempted on its way to sleep is not asleep yet, whatever its state says. */
	if (raw_sched_switch_preempt(ctx))
		return;
	stamp.key.state = state_of(ctx, prev) & STATE_MASK;
	if (stamp.key.state != OFFCPU_SLEEPS && stamp.key.state != OFFCPU_WAITS)
		return;
	if (core_task_struct_flags(prev) & PF_KTHREAD)
		return;
	if (filtered && !bpf_map_lookup_elem(&wanted, &tgid))
		return;
	stamp.ns = bpf_ktime_get_ns();
	stamp.key.pid = pid_tgid;
	stamp.key.tgid = tgid;
	stamp.key.user_stack = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK | BPF_F_FAST_STACK_CMP);
	stamp.key.kernel_stack = bpf_get_stackid(ctx, &stacks, BPF_F_FAST_STACK_CMP);
	bpf_get_current_comm(stamp.comm, sizeof(stamp.comm));
	put_stamp(prev, &stamp);
}

static __always_inline void add_wait(struct stamp *stamp, __u64 ns)
{
	struct offcpu_total *total = bpf_map_lookup_elem(&totals, &stamp->key), first = {};

	if (total) {
		/* The key is of one thread, which no two processors switch to at once. */
		total->ns += ns;
		total->count++;
		return;
	}
	first.ns = ns;
	first.count = 1;
	__builtin_memcpy(first.comm, stamp->comm, sizeof(first.comm));
	if (bpf_map_update_elem(&totals, &stamp->key, &first, BPF_NOEXIST))
		__sync_fetch_and_add(&lost, 1);
}

static __always_inline void has_waited(struct task_struct *next)
{
	struct stamp *stamp = find_stamp(next);

	if (!stamp || !stamp->ns)
		return;
	add_wait(stamp, bpf_ktime_get_ns() - stamp->ns);
	drop_stamp(stamp);
}

SEC(SWITCH)
int on_switch(void *ctx)
{
	starts_to_wait(ctx, raw_sched_switch_prev(ctx));
	has_waited(raw_sched_switch_next(ctx));
	return 0;
}

/* The children of processes that are looked at are, too. */
SEC(NEWTASK)
int on_newtask(void *ctx)
{
	__u32 parent = bpf_get_current_pid_tgid() >> 32, child;
	_Bool yes = 1;

	if (!filtered || (raw_task_newtask_clone_flags(ctx) & CLONE_THREAD))
		return 0;
	if (bpf_map_lookup_elem(&wanted, &parent)) {
		child = core_task_struct_tgid(raw_task_newtask_task(ctx));
		bpf_map_update_elem(&wanted, &child, &yes, BPF_ANY);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
