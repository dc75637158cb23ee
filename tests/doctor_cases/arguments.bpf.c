/* Raw arguments: how many there are, which, and how they may be read. */
#include "case.h"

extern int LINUX_KERNEL_VERSION __kconfig;
const volatile bool with_state;
const volatile bool without_state = true;

/* sched_switch has prev_state, its fourth argument, since Linux 5.18. */
SEC("raw_tp/sched_switch") int raw_fourth(__u64 *ctx) { return see(ctx[3]); }
SEC("tp_btf/sched_switch") int btf_fourth(__u64 *ctx) { return see(ctx[3]); }
SEC("raw_tp/sched_switch") int raw_fifth(__u64 *ctx) { return see(LOAD(u64, ctx, 32)); }
SEC("tp_btf/sched_switch") int btf_fifth(__u64 *ctx) { return see(LOAD(u64, ctx, 32)); }
SEC("raw_tp/sched_switch") int raw_twelfth(__u64 *ctx) { return see(LOAD(u64, ctx, 88)); }
SEC("raw_tp/sched_switch") int raw_thirteenth(__u64 *ctx) { return see(LOAD(u64, ctx, 96)); }
SEC("tp_btf/sched_switch") int btf_thirteenth(__u64 *ctx) { return see(LOAD(u64, ctx, 96)); }
SEC("raw_tp/sched_switch") int raw_before(__u64 *ctx) { return see(LOAD_BEFORE(u64, ctx, 8)); }
SEC("raw_tp/block_rq_issue") int raw_issue_second(__u64 *ctx) { return see(ctx[1]); }
SEC("tp_btf/block_rq_issue") int btf_issue_second(__u64 *ctx) { return see(ctx[1]); }

/* What decides whether it is read. */
SEC("raw_tp/sched_switch") int raw_if_version(__u64 *ctx)
{
	return LINUX_KERNEL_VERSION >= 0x051200 ? see(ctx[3]) : 0;
}
SEC("raw_tp/sched_switch") int raw_if_older_version(__u64 *ctx)
{
	return LINUX_KERNEL_VERSION < 0x051200 ? see(ctx[3]) : 0;
}
SEC("tp_btf/sched_switch") int btf_if_version(__u64 *ctx)
{
	return LINUX_KERNEL_VERSION >= 0x051200 ? see(ctx[3]) : 0;
}
SEC("raw_tp/sched_switch") int raw_if_chosen(__u64 *ctx) { return with_state ? see(ctx[3]) : 0; }
SEC("raw_tp/sched_switch") int raw_unless_chosen(__u64 *ctx) { return without_state ? 0 : see(ctx[3]); }
SEC("raw_tp/sched_switch") int raw_as_chosen(__u64 *ctx) { return without_state ? see(ctx[3]) : 0; }

struct trace_event_raw_kfree_skb {
	unsigned int reason;
} CORE;
struct trace_event_raw_kfree_skb___never {
	int no_such_member;
} CORE;
/* kfree_skb has a reason, its third argument, since Linux 5.17; so has its record. */
SEC("raw_tp/kfree_skb") int raw_if_member(__u64 *ctx)
{
	return bpf_core_field_exists(struct trace_event_raw_kfree_skb, reason) ? see(ctx[2]) : 0;
}
SEC("raw_tp/kfree_skb") int raw_unless_member(__u64 *ctx)
{
	return bpf_core_field_exists(struct trace_event_raw_kfree_skb, reason) ? 0 : see(ctx[2]);
}
SEC("raw_tp/sched_switch") int raw_if_never(__u64 *ctx)
{
	return bpf_core_field_exists(struct trace_event_raw_kfree_skb___never, no_such_member) ? see(ctx[8]) : 0;
}

/* Ways to get there. */
static NOINLINE int subprogram(__u64 *ctx) { return see(ctx[3]); }
SEC("raw_tp/sched_switch") int raw_by_subprogram(__u64 *ctx) { return subprogram(ctx); }
static NOINLINE int with_number(int number, __u64 *ctx) { return number == 3 ? see(ctx[3]) : see(ctx[4]); }
SEC("raw_tp/sched_switch") int raw_by_subprogram_with_number(__u64 *ctx) { return with_number(3, ctx); }
SEC("raw_tp/sched_switch") int raw_spilled(__u64 *ctx)
{
	__u64 *volatile kept = ctx;

	return see(kept[3]);
}
SEC("raw_tp/sched_switch") int raw_joined(__u64 *ctx)
{
	__u64 *second = ctx;

	if (bpf_get_smp_processor_id())
		second = ctx;
	return see(LOAD(u64, second, 24));
}
SEC("raw_tp/sched_switch") int raw_never(__u64 *ctx)
{
	int zero = 0;

	asm volatile("" : "+r"(zero));
	return 0;
	return see(ctx[9]);
}

/* Parts of slots. */
SEC("raw_tp/sched_switch") int raw_low_half(__u64 *ctx) { return see(LOAD(u32, ctx, 0)); }
SEC("raw_tp/sched_switch") int raw_high_half(__u64 *ctx) { return see(LOAD(u32, ctx, 4)); }
SEC("tp_btf/sched_switch") int btf_low_half(__u64 *ctx) { return see(LOAD(u32, ctx, 0)); }
SEC("tp_btf/sched_switch") int btf_high_half(__u64 *ctx) { return see(LOAD(u32, ctx, 4)); }
SEC("raw_tp/sched_switch") int raw_half_pointer(__u64 *ctx) { return see(LOAD(u32, ctx, 8)); }
SEC("tp_btf/sched_switch") int btf_half_pointer(__u64 *ctx) { return see(LOAD(u32, ctx, 8)); }
SEC("raw_tp/sched_switch") int raw_straddle(__u64 *ctx) { return see(LOAD(u64, ctx, 4)); }
SEC("raw_tp/sched_switch") int raw_unaligned(__u64 *ctx) { return see(LOAD(u32, ctx, 2)); }

/* Addresses that the verifier does not take for the context. */
SEC("raw_tp/sched_switch") int raw_moved_context(__u64 *ctx)
{
	asm volatile("%0 += 8" : "+r"(ctx));
	return see(LOAD(u64, ctx, 0));
}
SEC("raw_tp/sched_switch") int raw_variable(__u64 *ctx)
{
	__u64 by = bpf_get_prandom_u32() & 8;

	asm volatile("%0 += %1" : "+r"(ctx) : "r"(by));
	return see(LOAD(u64, ctx, 0));
}
SEC("raw_tp/sched_switch") int raw_write(__u64 *ctx)
{
	asm volatile("*(u64 *)(%0 + 0) = %1" : : "r"(ctx), "r"(0ULL) : "memory");
	return 0;
}

/* By a helper, which nothing bounds. */
SEC("raw_tp/sched_switch") int raw_copied(__u64 *ctx)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), ctx + 1);
	return see(value);
}
SEC("raw_tp/sched_switch") int raw_copied_from_behind(__u64 *ctx)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), ctx + 9);
	return see(value);
}
