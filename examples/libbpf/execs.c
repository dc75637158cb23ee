/* The loader of execs.bpf.c: a line for each program that is started and each process that ends, until Ctrl-C. */
/* usage: execs [PID], which is the process to tell of. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "execs.h"
#include "execs.skel.h"

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static int print(void *context, void *data, size_t size)
{
	const struct told *told = data;

	(void)context;
	(void)size;
	printf("%s %d %s\n", told->what == EXEC ? "exec" : "exit", told->pid, told->text);
	return 0;
}

int main(int argc, char **argv)
{
	struct execs_bpf *skeleton;
	struct ring_buffer *ring;
	int code = 1;

	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	setvbuf(stdout, NULL, _IOLBF, 0);
	skeleton = execs_bpf__open();
	if (!skeleton) {
		perror("execs: cannot open the programs");
		return 1;
	}
	skeleton->rodata->only_pid = argc > 1 ? atoi(argv[1]) : 0;
	ring = NULL;
	if (execs_bpf__load(skeleton)) {
		perror("execs: cannot load the programs (are you root?)");
		goto out;
	}
	ring = ring_buffer__new(bpf_map__fd(skeleton->maps.events), print, NULL, NULL);
	if (!ring || execs_bpf__attach(skeleton)) {
		perror("execs: cannot attach the programs");
		goto out;
	}
	fputs("attached\n", stderr);
	code = 0;
	while (!stopped && !code) {
		int polled = ring_buffer__poll(ring, -1);

		code = polled < 0 && polled != -EINTR;
	}
out:
	ring_buffer__free(ring);
	execs_bpf__destroy(skeleton);
	return code;
}
