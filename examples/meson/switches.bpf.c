/* Counts context switches by the process that is switched to, and remembers whom each process started last. */
#include "raw_sched_process_fork.h"
#include "raw_sched_switch.h"

#define SEC(name) __attribute__((section(name), used))

struct task_struct;

unsigned long long switches;
const void *last_parent, *last_child, *last_next;

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	last_next = raw_sched_switch_next(ctx);
	switches += raw_sched_switch_preempt(ctx);
	return 0;
}

SEC("raw_tp/sched_process_fork")
int on_fork(void *ctx)
{
	last_parent = raw_sched_process_fork_parent(ctx);
	last_child = raw_sched_process_fork_child(ctx);
	return 0;
}

char _license[] SEC("license") = "GPL";
