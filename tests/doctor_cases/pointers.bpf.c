/* What is done with raw arguments that are pointers. */
#include "case.h"

/* sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next, …) */
SEC("tp_btf/sched_switch") int btf_follows(__u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1];

	return see(prev->pid);
}
SEC("raw_tp/sched_switch") int raw_follows(__u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1];

	return see(prev->pid);
}
SEC("raw_tp/sched_switch") int raw_reads(__u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1];

	return see(BPF_CORE_READ(prev, pid));
}
SEC("tp_btf/sched_switch") int btf_follows_a_number(__u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[0];

	return see(prev->pid);
}
SEC("raw_tp/sched_switch") int raw_reads_by_name(__u64 *ctx)
{
	struct task_struct *prev = (struct task_struct *)ctx[1];

	return see(BPF_CORE_READ(prev, tgid));
}

/* For another struct. */
SEC("raw_tp/sched_switch") int raw_other_struct(__u64 *ctx)
{
	struct sock *sk = (void *)ctx[1];

	return see(BPF_CORE_READ(sk, __sk_common.skc_family));
}
SEC("raw_tp/sched_switch") int raw_number_for_pointer(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];

	return see(BPF_CORE_READ(task, pid));
}
/* struct sock begins with its sock_common. */
SEC("raw_tp/inet_sock_set_state") int raw_first_member(__u64 *ctx)
{
	struct sock_common *common = (void *)ctx[0];

	return see(BPF_CORE_READ(common, skc_family));
}

/* By names in another order. */
SEC("raw_tp/sched_switch") int BPF_PROG(raw_named, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return see(BPF_CORE_READ(prev, pid));
}
SEC("raw_tp/sched_switch") int BPF_PROG(raw_names_swapped, bool preempt, struct task_struct *next, struct task_struct *prev)
{
	return see(BPF_CORE_READ(prev, pid));
}
SEC("raw_tp/sched_switch") int BPF_PROG(raw_without_first, struct task_struct *prev, struct task_struct *next)
{
	return see(BPF_CORE_READ(prev, pid));
}

/* That may be NULL, says the verifier since Linux 6.13. */
SEC("tp_btf/tcp_send_reset") int btf_untested(__u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[1];

	return see(skb->len);
}
SEC("tp_btf/tcp_send_reset") int btf_tested(__u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[1];

	return skb ? see(skb->len) : 0;
}

/* Members that not all kernels have. */
struct task_struct___new {
	unsigned int __state;
} CORE;
struct task_struct___old {
	long state;
} CORE;
SEC("tp_btf/sched_switch") int btf_new_member(__u64 *ctx)
{
	struct task_struct___new *prev = (void *)ctx[1];

	return see(prev->__state);
}
SEC("raw_tp/sched_switch") int raw_old_member(__u64 *ctx)
{
	struct task_struct___old *prev = (void *)ctx[1];

	return see(BPF_CORE_READ(prev, state));
}
SEC("raw_tp/sched_switch") int raw_either_member(__u64 *ctx)
{
	struct task_struct___new *prev = (void *)ctx[1];
	struct task_struct___old *old = (void *)ctx[1];

	if (bpf_core_field_exists(prev->__state))
		return see(BPF_CORE_READ(prev, __state));
	return see(BPF_CORE_READ(old, state));
}
