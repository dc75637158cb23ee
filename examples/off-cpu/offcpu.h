/* What the programs hand to the loader. */
#ifndef OFFCPU_H
#define OFFCPU_H

#define OFFCPU_FRAMES 127
#define OFFCPU_COMM 16
#define OFFCPU_SLEEPS 1 /* TASK_INTERRUPTIBLE */
#define OFFCPU_WAITS 2 /* TASK_UNINTERRUPTIBLE */

/* Where a thread waited, and how. A stack is its number in the map `stacks`, negative where there was none. */
struct offcpu_key {
	__u32 pid, tgid;
	__s32 user_stack, kernel_stack;
	__u32 state;
};

/* How long and how often. */
struct offcpu_total {
	__u64 ns, count;
	char comm[OFFCPU_COMM];
};

#endif
