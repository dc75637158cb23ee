/* Under a licence that is not compatible with the GPL. */
#define LICENCE "Proprietary"
#include "case.h"

SEC("tp_btf/sched_switch") int btf_follows_unlicensed(__u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1];

	seen.value = prev->pid;
	return 0;
}
SEC("tp_btf/sched_switch") int btf_reads_unlicensed(__u64 *ctx)
{
	seen.value = ctx[1];
	return 0;
}
