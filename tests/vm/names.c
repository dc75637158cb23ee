/*
 * Names of values on one kernel: the numbers that a loaded object has for them, and what its programs saw by name.
 *
 * The plan of the init of a machine has the line `names OBJECT`. The programs of OBJECT are `numbers`, which is run once
 * and fills `seen`, and `on_drop` and `on_switch`, which are attached while a process sends a packet to a closed port and
 * sleeps. It is answered by lines and `done 0`, or `failed ERRNO`:
 *
 *	| seen NUMBER...             the 64-bit numbers in `seen`, its first variable
 *	| format SYSTEM/EVENT LINE   of the format files of sched_switch and kfree_skb
 *	| printed LINE               what the kernel printed of both events meanwhile
 *	| said LINE                  the last of libbpf's messages where it failed
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#define TRACEFS "/sys/kernel/tracing/"
#define MOST 4096

static FILE *answers;
static char said[1 << 16];

static int keep(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t length = strlen(said);

	if (level != LIBBPF_DEBUG && length < sizeof(said) / 2)
		vsnprintf(said + length, sizeof(said) - length, format, arguments);
	return 0;
}

static void tell_lines(const char *mark, const char *path, const char *wanted)
{
	char line[1 << 16];
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (strstr(line, wanted))
			fprintf(answers, "| %s %s\n", mark, line);
	}
	if (file)
		fclose(file);
}

static void write_text(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(answers, "| said %s: %s\n", name, strerror(errno));
	close(fd);
}

static void act(void)
{
	struct sockaddr_in nobody = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ioctl(fd, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP;
	ioctl(fd, SIOCSIFFLAGS, &request);
	sendto(fd, "nobody", 6, 0, (void *)&nobody, sizeof(nobody));
	close(fd);
	for (int round = 0; round < 3; round++)
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

static int tell_seen(struct bpf_object *object)
{
	static long long numbers[MOST];
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".bss");
	const unsigned int zero = 0;

	bpf_object__for_each_map(map, object)
		if (strstr(bpf_map__name(map), ".bss"))
			break;
	if (!map || bpf_map__value_size(map) > sizeof(numbers) || bpf_map_lookup_elem(bpf_map__fd(map), &zero, numbers))
		return -EINVAL;
	fprintf(answers, "| seen");
	for (unsigned int at = 0; at < bpf_map__value_size(map) / sizeof(*numbers); at++)
		fprintf(answers, " %lld", numbers[at]);
	fputc('\n', answers);
	return 0;
}

static int names(const char *path)
{
	unsigned long long context[12] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = context, .ctx_size_in = sizeof(context));
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	int error = object ? bpf_object__load(object) : -errno;

	if (error)
		return error;
	bpf_object__for_each_program(program, object) {
		if (!strcmp(bpf_program__name(program), "numbers"))
			error = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
		else if (!bpf_program__attach(program))
			error = -errno;
		if (error)
			return error;
	}
	write_text(TRACEFS "trace", ""); /* of another object's turn */
	write_text(TRACEFS "set_event_pid", "1");
	write_text(TRACEFS "events/sched/sched_switch/enable", "1");
	write_text(TRACEFS "events/skb/kfree_skb/enable", "1");
	act();
	write_text(TRACEFS "events/sched/sched_switch/enable", "0");
	write_text(TRACEFS "events/skb/kfree_skb/enable", "0");
	tell_lines("printed", TRACEFS "trace", "prev_pid=1 ");
	tell_lines("printed", TRACEFS "trace", "kfree_skb:");
	tell_lines("format sched/sched_switch", TRACEFS "events/sched/sched_switch/format", "print fmt");
	tell_lines("format skb/kfree_skb", TRACEFS "events/skb/kfree_skb/format", "print fmt");
	return tell_seen(object);
}

int main(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	FILE *plan;
	char line[4096];
	int error;

	answers = machine_answers();
	plan = fopen("/plan", "r");
	setrlimit(RLIMIT_MEMLOCK, &all);
	libbpf_set_print(keep);
	while (answers && plan && fgets(line, sizeof(line), plan)) {
		line[strcspn(line, "\n")] = 0;
		error = strncmp(line, "names ", 6) ? -EINVAL : names(line + 6);
		for (char *next, *at = said; error && (next = strsep(&at, "\n"));)
			fprintf(answers, "| said %s\n", next);
		fprintf(answers, error ? "failed %d\n" : "done 0\n", -error);
		fflush(answers);
	}
	tcdrain(fileno(answers));
	reboot(RB_POWER_OFF);
	return 0;
}
