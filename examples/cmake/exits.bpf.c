/* Counts the processes that end. */
#include "raw_sched_process_exit.h"

#define SEC(name) __attribute__((section(name), used))

unsigned long long exits;
const void *last_task;

SEC("raw_tp/sched_process_exit")
int on_exit(void *ctx)
{
	last_task = raw_sched_process_exit_p(ctx);
	exits++;
	return 0;
}

char _license[] SEC("license") = "GPL";
