/*
 * What becomes of each program of BPF objects on a kernel: it is loaded alone, attached and run.
 *
 *	doctor OBJECT ...
 *
 * As the init of a machine it finds the objects in /plan and answers on the device that `answers=` names, as guest.c does.
 * For each program there is a line `| NAME load ERRNO`, `| NAME attach ERRNO` or `| NAME runs TIMES VALUE`, where VALUE is
 * what it stored of an event of this process, in hexadecimal; ERRNO is a name. Then `done 0`.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

static FILE *out;

/* --- what the programs see, with values that are known */

#define FD 77
#define FLAGS 0x1000
#define PATH ((char *)0x10000000)
#define ARGV ((char **)0x20000000)
#define ENVP ((char **)0x30000000)

static void make_arguments(void)
{
	void *const places[] = { PATH, ARGV, ENVP };

	for (int at = 0; at < 3; at++)
		if (mmap(places[at], 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != places[at])
			abort();
	strcpy(PATH, "/no/such/program");
	ARGV[0] = PATH;
}

/* A process of its own, by the name of "doctor": it forks, sleeps, opens, tries to execute, and executes nothing. */
static void act(void)
{
	struct timespec time = { .tv_nsec = 2000000 };
	pid_t child;

	close(open("/no/such/file", O_RDONLY));
	syscall(SYS_execveat, FD, PATH, ARGV, ENVP, FLAGS);
	nanosleep(&time, NULL);
	child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
}

/* The event of a program that is executed comes of the process that a program looks for. */
static void act_in(pid_t *acting, const int go[2])
{
	char byte;

	*acting = fork();
	if (*acting == 0) {
		prctl(PR_SET_NAME, "doctor");
		close(go[1]);
		if (read(go[0], &byte, 1) == 1) {
			act();
			execl("/proc/self/exe", "doctor", "nothing", NULL);
		}
		_exit(0);
	}
}

/* --- one program */

static const char *name_of(int error)
{
	static char number[16];
	const char *name = strerrorname_np(error);

	snprintf(number, sizeof(number), "%d", error);
	return name ? name : number;
}

static void set(struct bpf_object *object, const char *suffix, const void *value, size_t bytes, int write)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		const char *name = bpf_map__name(map), *end = strrchr(name, '.');
		unsigned char content[4096] = { 0 };
		int key = 0;

		if (!end || strcmp(end, suffix) || bpf_map__value_size(map) > sizeof(content))
			continue;
		bpf_map_lookup_elem(bpf_map__fd(map), &key, content);
		if (write) {
			memcpy(content, value, bytes);
			bpf_map_update_elem(bpf_map__fd(map), &key, content, BPF_ANY);
		} else {
			memcpy((void *)value, content, bytes);
		}
	}
}

/*
 * What stands behind SEC("KIND.s/"), of which an older libbpf does not know every KIND; NULL for another section. Programs
 * of these may sleep.
 */
static const char *behind(const char *section, const char *kind)
{
	size_t length = strlen(kind);

	section += *section == '?';
	return !strncmp(section, kind, length) && !strncmp(section + length, ".s/", 3) ? section + length + 3 : NULL;
}

static void make_sleepable(struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program), *target;

	if (behind(section, "raw_tp"))
		bpf_program__set_type(program, BPF_PROG_TYPE_RAW_TRACEPOINT);
	else if (behind(section, "tp"))
		bpf_program__set_type(program, BPF_PROG_TYPE_TRACEPOINT);
	else if ((target = behind(section, "tp_btf"))) {
		bpf_program__set_type(program, BPF_PROG_TYPE_TRACING);
		bpf_program__set_expected_attach_type(program, BPF_TRACE_RAW_TP);
		bpf_program__set_attach_target(program, 0, target);
	} else {
		return;
	}
	bpf_program__set_flags(program, bpf_program__flags(program) | BPF_F_SLEEPABLE);
}

static struct bpf_link *attach(const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program), *target, *slash;
	char system[64];

	if ((target = behind(section, "raw_tp")))
		return bpf_program__attach_raw_tracepoint(program, target);
	if (behind(section, "tp_btf"))
		return bpf_program__attach_trace(program);
	if (!(target = behind(section, "tp")) || !(slash = strchr(target, '/')))
		return bpf_program__attach(program);
	snprintf(system, sizeof(system), "%.*s", (int)(slash - target), target);
	return bpf_program__attach_tracepoint(program, system, slash + 1);
}

static void run(struct bpf_object *object, const struct bpf_program *program)
{
	const char *name = bpf_program__name(program);
	struct { unsigned long long value, times; } seen = { 0 };
	struct bpf_link *link;
	pid_t acting;
	int go[2];

	if (pipe(go))
		abort();
	act_in(&acting, go);
	set(object, ".data", &acting, sizeof(acting), 1);
	link = attach(program);
	if (!link) {
		fprintf(out, "| %s attach %s\n", name, name_of(errno));
		close(go[1]);
	} else if (write(go[1], "", 1) != 1) {
		abort();
	}
	waitpid(acting, NULL, 0);
	if (link) {
		bpf_link__destroy(link);
		close(go[1]);
		set(object, ".bss", &seen, sizeof(seen), 0);
		fprintf(out, "| %s runs %llu 0x%llx\n", name, seen.times, seen.value);
	}
	close(go[0]);
}

static void try_one(const char *path, const char *name)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	int error;

	if (!object) {
		fprintf(out, "| %s open %s\n", name, name_of(errno));
		return;
	}
	bpf_object__for_each_program(program, object) {
		bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), name));
		make_sleepable(program);
	}
	error = bpf_object__load(object);
	if (error)
		fprintf(out, "| %s load %s\n", name, name_of(-error));
	else
		run(object, bpf_object__find_program_by_name(object, name));
	bpf_object__close(object);
}

static void try_all(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;

	if (!object)
		fprintf(out, "| cannot open %s\n", path);
	bpf_object__for_each_program(program, object)
		try_one(path, bpf_program__name(program));
	bpf_object__close(object);
	fprintf(out, "done 0\n");
}

static int say_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	return getenv("VERBOSE") ? vfprintf(stderr, format, arguments) : 0;
}

int main(int count, char **words)
{
	const int is_init = getpid() == 1;
	char line[1024];
	FILE *plan;

	if (count == 2 && !strcmp(words[1], "nothing"))
		return 0;
	out = is_init ? machine_answers() : stdout;
	setvbuf(out, NULL, _IOLBF, 1 << 16);
	libbpf_set_print(say_nothing);
	make_arguments();
	/* Before Linux 5.11 maps and programs count as locked memory. */
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	for (int at = 1; at < count && !is_init; at++)
		try_all(words[at]);
	plan = is_init ? fopen("/plan", "r") : NULL;
	while (plan && fgets(line, sizeof(line), plan)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "try ", 4))
			try_all(line + 4);
	}
	if (is_init) {
		tcdrain(fileno(out));
		reboot(RB_POWER_OFF);
	}
	return 0;
}
