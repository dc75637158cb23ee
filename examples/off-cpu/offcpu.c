/* The loader of offcpu.bpf.c: where threads wait, and for how long. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/types.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "offcpu.h"
#include "offcpu.skel.h"

static const char usage[] =
	"usage: offcpu [-p PID]... [-d SECONDS] [-n STACKS] [-f]\n"
	"  -p PID      that process and the children that it makes from now on, not every process\n"
	"  -d SECONDS  for so long, not until Ctrl-C\n"
	"  -n STACKS   the first so many, not 10\n"
	"  -f          folded stacks with microseconds, for flamegraph.pl, and all of them\n";

static _Noreturn __attribute__((format(printf, 1, 2))) void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("offcpu: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* An array of `size` that has room for one more element than `count`. */
static void *grown(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	array = realloc(array, (count ? 2 * count : 1) * size);
	if (!array)
		fail("out of memory");
	return array;
}

/* --- names of addresses */

struct symbol {
	unsigned long long address;
	char *name;
};

static struct symbol *symbols;
static size_t symbol_count;

static int by_address(const void *a, const void *b)
{
	const struct symbol *one = a, *other = b;

	return one->address < other->address ? -1 : one->address > other->address;
}

static void read_kallsyms(void)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	unsigned long long address;
	char type, name[512];

	while (file && fscanf(file, "%llx %c %511s%*[^\n]", &address, &type, name) == 3) {
		/* Functions; a kernel that hides addresses says 0. */
		if (!address || !strchr("tTwW", type))
			continue;
		symbols = grown(symbols, symbol_count, sizeof(*symbols));
		symbols[symbol_count].address = address;
		symbols[symbol_count++].name = strdup(name);
	}
	if (file)
		fclose(file);
	qsort(symbols, symbol_count, sizeof(*symbols), by_address);
}

static void name_kernel_address(unsigned long long address, char *text, size_t room)
{
	size_t low = 0, high = symbol_count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low)
		snprintf(text, room, "%s", symbols[low - 1].name);
	else
		snprintf(text, room, "0x%llx", address);
}

/* FILE+OFFSET, which addr2line takes, as long as the process is there. */
static void name_user_address(unsigned int tgid, unsigned long long address, char *text, size_t room)
{
	unsigned long long first, last, offset;
	char path[64], line[4096 + 128], name[4096];
	FILE *file;

	snprintf(text, room, "0x%llx", address);
	snprintf(path, sizeof(path), "/proc/%u/maps", tgid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		int found = sscanf(line, "%llx-%llx %*s %llx %*s %*s %4095s", &first, &last, &offset, name);

		if (found == 4 && address >= first && address < last && name[0] == '/') {
			snprintf(text, room, "%s+0x%llx", strrchr(name, '/') + 1, address - first + offset);
			break;
		}
	}
	if (file)
		fclose(file);
}

static void name_frame(unsigned int tgid, bool user, unsigned long long address, char *text, size_t room)
{
	if (user)
		name_user_address(tgid, address, text, room);
	else
		name_kernel_address(address, text, room);
}

/* --- the report */

struct wait {
	struct offcpu_key key;
	struct offcpu_total total;
};

static int longest_first(const void *a, const void *b)
{
	const struct wait *one = a, *other = b;

	return one->total.ns > other->total.ns ? -1 : one->total.ns < other->total.ns;
}

static struct wait *read_totals(int map, size_t *count)
{
	struct wait *waits = NULL;
	struct offcpu_key key, *last = NULL;

	*count = 0;
	while (!bpf_map_get_next_key(map, last, &key)) {
		waits = grown(waits, *count, sizeof(*waits));
		waits[*count].key = key;
		if (!bpf_map_lookup_elem(map, &key, &waits[*count].total))
			++*count;
		last = &key;
	}
	if (*count)
		qsort(waits, *count, sizeof(*waits), longest_first);
	return waits;
}

/* The frames of a stack, the innermost first; how many. */
static size_t frames_of(int map, int stack, unsigned long long frames[OFFCPU_FRAMES])
{
	size_t count = 0;

	memset(frames, 0, OFFCPU_FRAMES * sizeof(*frames));
	if (stack < 0 || bpf_map_lookup_elem(map, &stack, frames))
		return 0;
	while (count < OFFCPU_FRAMES && frames[count])
		count++;
	return count;
}

static void print_wait(int map, const struct wait *wait)
{
	unsigned long long frames[OFFCPU_FRAMES];
	char name[512];

	printf("%12.3f ms %8llu %c %7u %7u %.*s\n", wait->total.ns / 1e6, (unsigned long long)wait->total.count,
	       wait->key.state == OFFCPU_WAITS ? 'D' : 'S', wait->key.tgid, wait->key.pid, OFFCPU_COMM, wait->total.comm);
	for (int user = 0; user <= 1; user++) {
		size_t count = frames_of(map, user ? wait->key.user_stack : wait->key.kernel_stack, frames);

		for (size_t at = 0; at < count; at++) {
			name_frame(wait->key.tgid, user, frames[at], name, sizeof(name));
			printf("\t\t%s%s\n", name, user ? "" : "_[k]");
		}
	}
}

/* One line: outermost frame first, and no `;` or space in a name. */
static void fold_wait(int map, const struct wait *wait)
{
	unsigned long long frames[OFFCPU_FRAMES];
	char name[512];

	snprintf(name, sizeof(name), "%.*s", OFFCPU_COMM, wait->total.comm);
	for (char *at = name; (at = strpbrk(at, "; ")); at++)
		*at = '_';
	fputs(name, stdout);
	for (int user = 1; user >= 0; user--) {
		size_t at = frames_of(map, user ? wait->key.user_stack : wait->key.kernel_stack, frames);

		while (at--) {
			name_frame(wait->key.tgid, user, frames[at], name, sizeof(name));
			for (char *c = name; (c = strpbrk(c, "; ")); c++)
				*c = '_';
			printf(";%s%s", name, user ? "" : "_[k]");
		}
	}
	printf(" %llu\n", (unsigned long long)wait->total.ns / 1000);
}

/* --- the programs */

/* Only tp_btf programs can ask for the storage of a task, and only kernels since 5.11 have it for them. */
static bool has_task_storage(const struct offcpu *skeleton)
{
	return bpf_program__type(skeleton->progs.on_switch) == BPF_PROG_TYPE_TRACING &&
	       libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL) == 1;
}

static struct offcpu *load(const __u32 *pids, size_t count)
{
	struct offcpu *skeleton = offcpu__open();
	const bool yes = true;

	if (!skeleton)
		fail("cannot open the programs: %s", strerror(errno));
	skeleton->rodata->filtered = count > 0;
	skeleton->rodata->use_task_storage = has_task_storage(skeleton);
	bpf_map__set_autocreate(skeleton->maps.stamp_of_task, skeleton->rodata->use_task_storage);
	bpf_map__set_autocreate(skeleton->maps.stamp_of_pid, !skeleton->rodata->use_task_storage);
	if (offcpu__load(skeleton))
		fail("cannot load the programs: %s", strerror(errno));
	for (size_t at = 0; at < count; at++)
		if (bpf_map_update_elem(bpf_map__fd(skeleton->maps.wanted), &pids[at], &yes, BPF_ANY))
			fail("cannot ask for process %u: %s", pids[at], strerror(errno));
	if (offcpu__attach(skeleton))
		fail("cannot attach the programs: %s", strerror(errno));
	fprintf(stderr, "offcpu: %s programs, stamps in %s\n",
		bpf_program__type(skeleton->progs.on_switch) == BPF_PROG_TYPE_TRACING ? "tp_btf" : "raw_tp",
		skeleton->rodata->use_task_storage ? "the storage of tasks" : "a hash by pid");
	return skeleton;
}

static unsigned long number(const char *text)
{
	char *rest;
	unsigned long value = strtoul(text, &rest, 10);

	if (*rest || rest == text || *text == '-' || !value || value > 0x7fffffff)
		fail("not a positive number: %s", text);
	return value;
}

/* Until Ctrl-C, or for so many seconds if there are any. The signals are blocked, so that none comes too early. */
static void wait_for_the_end(const sigset_t *signals, unsigned long seconds)
{
	struct timespec left = { .tv_sec = seconds };

	if (seconds)
		sigtimedwait(signals, NULL, &left);
	else
		sigwaitinfo(signals, NULL);
}

int main(int argc, char **argv)
{
	unsigned long seconds = 0, most = 10;
	__u32 *pids = NULL;
	size_t pid_count = 0, count;
	bool folded = false;
	sigset_t signals;
	struct offcpu *skeleton;
	struct wait *waits;
	int stacks, option;

	while ((option = getopt(argc, argv, "p:d:n:f")) != -1) {
		if (option == 'p') {
			pids = grown(pids, pid_count, sizeof(*pids));
			pids[pid_count++] = number(optarg);
		} else if (option == 'd') {
			seconds = number(optarg);
		} else if (option == 'n') {
			most = number(optarg);
		} else if (option == 'f') {
			folded = true;
		} else {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	skeleton = load(pids, pid_count);
	wait_for_the_end(&signals, seconds);
	offcpu__detach(skeleton);

	read_kallsyms();
	waits = read_totals(bpf_map__fd(skeleton->maps.totals), &count);
	stacks = bpf_map__fd(skeleton->maps.stacks);
	if (folded)
		for (size_t at = 0; at < count; at++)
			fold_wait(stacks, &waits[at]);
	else
		for (size_t at = 0; at < count && at < most; at++)
			print_wait(stacks, &waits[at]);
	if (skeleton->bss->unended)
		fprintf(stderr, "offcpu: %llu waits are missing: the kernel did not tell when they ended\n",
			(unsigned long long)skeleton->bss->unended);
	if (skeleton->bss->lost)
		fprintf(stderr, "offcpu: %llu waits are missing: the maps are full\n", (unsigned long long)skeleton->bss->lost);
	offcpu__destroy(skeleton);
	return 0;
}
