#include <linux/module.h>
#define CREATE_TRACE_POINTS
#include "trace.h"

static int __init barge_init(void)
{
	trace_barge_load(NULL, 0, BARGE_FULL, GFP_KERNEL, NULL, (pte_t){ 0 });
	trace_barge_sink(1, NULL);
	return 0;
}

module_init(barge_init);
MODULE_DESCRIPTION("A driver of no device, for its trace events");
MODULE_LICENSE("GPL");
