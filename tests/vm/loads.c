/*
 * What a kernel makes of the tracepoint programs of compiled objects: whether each is loaded and attached.
 *
 *	loads [-d] [-s] [-l FOLDER] [-t SECONDS] OBJECT ...
 *
 * loads the programs with libbpf, attaches them and detaches them at once; the variables have the file's values. With -d
 * nothing is attached, with -s not what sends signals, overrides returns or writes to other processes. With -l the
 * verifier's log at level 2 of each program that loads is FOLDER/PROGRAM. As the init of a kernel it finds a line
 * `loads OBJECT` for each in /plan and answers on the device that `answers=` on the command line names, as guest.c does.
 *
 * All programs of an object are loaded together; where that fails, each alone. A line of JSON for each:
 *
 *	loaded, load_errno	as bpf(2), or libbpf before it, returned
 *	attached, attach_errno	null where the section names no event or attaching is not wanted
 *	stage			what failed: "open", "map", "ksym", "target", "load", "attach", "time"; "" where nothing did
 *	maps			maps that the kernel does not make: the program is loaded without them
 *	log			the end of what the verifier and libbpf said
 *
 * Maps are made small. A child process does each attempt, and is ended after SECONDS (120).
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

#define MOST_ENTRIES 4096
#define MOST_RING (256 << 10)
#define LOG_TAIL 1600
#define LOG_SIZE (512u << 20)
#define MOST_MAPS 16
#define MOST_PROGRAMS 1024
/* Types of maps that some headers do not know. */
#define CGROUP_LOCAL_STORAGE 32
#define ARENA 33

static FILE *out;
static int wants_attach = 1, spares_others;
static const char *logs;
static int seconds = 120;

/* --- the end of what libbpf said, which includes the verifier's log */

static char said[1 << 16];
static size_t said_bytes;

static int keep(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char *text = NULL;
	int length;

	if (level == LIBBPF_DEBUG)
		return 0;
	length = vasprintf(&text, format, arguments);
	if (length < 0)
		return 0;
	/* A verifier's log may be longer than all that is kept. */
	if ((size_t)length > sizeof(said) / 4) {
		memmove(text, text + length - sizeof(said) / 4, sizeof(said) / 4 + 1);
		length = sizeof(said) / 4;
	}
	if (said_bytes + length >= sizeof(said)) {
		size_t kept = sizeof(said) / 4;

		memmove(said, said + said_bytes - kept, kept);
		said_bytes = kept;
	}
	memcpy(said + said_bytes, text, length + 1);
	said_bytes += length;
	free(text);
	return 0;
}

static void put_text(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text; text++) {
		unsigned char letter = *text;

		if (letter == '"' || letter == '\\')
			fprintf(file, "\\%c", letter);
		else if (letter < ' ' || letter >= 127)
			fprintf(file, "\\u%04x", letter);
		else
			fputc(letter, file);
	}
	fputc('"', file);
}

/* --- what an attempt is about */

/* Shared with the child: which maps the kernel did not make, so that the next attempt does without. */
struct without {
	char names[MOST_MAPS][64];
	int count;
};

static int is_without(const struct without *without, const char *name)
{
	for (int at = 0; at < without->count; at++)
		if (strcmp(without->names[at], name) == 0)
			return 1;
	return 0;
}

static int is_tracepoint(const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);

	switch (bpf_program__type(program)) {
	case BPF_PROG_TYPE_TRACEPOINT:
	case BPF_PROG_TYPE_RAW_TRACEPOINT:
	case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
		return 1;
	case BPF_PROG_TYPE_TRACING:
		return strncmp(section + (*section == '?'), "tp_btf", 6) == 0;
	default:
		return 0;
	}
}

/* Whether the program acts on other processes. */
static int acts_on_others(const struct bpf_program *program)
{
	const struct bpf_insn *insns = bpf_program__insns(program);

	for (size_t at = 0; at < bpf_program__insn_cnt(program); at++) {
		if (insns[at].code != (BPF_JMP | BPF_CALL) || insns[at].src_reg)
			continue;
		switch (insns[at].imm) {
		case BPF_FUNC_send_signal:
		case BPF_FUNC_send_signal_thread:
		case BPF_FUNC_override_return:
		case BPF_FUNC_probe_write_user:
			return 1;
		}
	}
	return 0;
}

/* A map of the sort that `map` holds, where its own definition leaves the size to who loads it. */
static void give_inner(struct bpf_map *map)
{
	const struct bpf_map *inner = bpf_map__inner_map(map);
	unsigned int entries;

	if (!inner || bpf_map__max_entries(inner))
		return;
	entries = bpf_map__type(inner) == BPF_MAP_TYPE_RINGBUF ? MOST_RING : 1024;
	bpf_map__set_inner_map_fd(map, bpf_map_create(bpf_map__type(inner), NULL, bpf_map__key_size(inner),
						      bpf_map__value_size(inner), entries, NULL));
}

static void make_small(struct bpf_map *map)
{
	unsigned int most = MOST_ENTRIES, least = 1024, now = bpf_map__max_entries(map);

	switch ((int)bpf_map__type(map)) {
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_USER_RINGBUF:
		most = least = MOST_RING;
		break;
	case BPF_MAP_TYPE_STACK_TRACE:
		if (!bpf_map__value_size(map))
			bpf_map__set_value_size(map, 127 * 8);
		break;
	case BPF_MAP_TYPE_STRUCT_OPS:
		bpf_map__set_autocreate(map, false);
		return;
	case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case ARENA:
	case CGROUP_LOCAL_STORAGE:
	case BPF_MAP_TYPE_CGROUP_STORAGE:
	case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		return;
	default:
		if (bpf_map__is_internal(map))
			return;
	}
	if (!now || now > most)
		bpf_map__set_max_entries(map, now ? most : least);
	bpf_map__set_pin_path(map, NULL);
	give_inner(map);
}

static struct bpf_object *open_object(const char *path, const struct without *without)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	struct bpf_map *map;

	if (!object)
		return NULL;
	bpf_object__for_each_map(map, object) {
		make_small(map);
		if (is_without(without, bpf_map__name(map)))
			bpf_map__set_autocreate(map, false);
	}
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, false);
	return object;
}

/* --- an attempt, in a process of its own */

/* What an attempt says of a program. */
struct outcome {
	int loaded, load_errno, attached, attach_errno;
	char stage[8], map[64], log[LOG_TAIL];
};

enum { UNKNOWN = -1 };

static const char *failed_stage(struct outcome *outcome)
{
	const char *map = strstr(said, "': failed to create"), *start;

	if (map) {
		for (start = map; start > said && start[-1] != '\''; start--)
			;
		snprintf(outcome->map, sizeof(outcome->map), "%.*s", (int)(map - start), start);
		return "map";
	}
	if (strstr(said, "program load failed"))
		return "load";
	if (strstr(said, "extern ") || strstr(said, "kallsyms"))
		return "ksym";
	if (strstr(said, "BTF type ID of") || strstr(said, "failed to prepare load attributes"))
		return "target";
	return "load";
}

static void end_of_log(struct outcome *outcome)
{
	static const char mark[] = "-- END PROG LOAD LOG --";
	size_t length = said_bytes;
	char *end = NULL;

	for (char *found = said; (found = strstr(found, mark)); found++)
		end = found;
	if (end)
		length = end - said;
	if (length >= sizeof(outcome->log)) {
		memcpy(outcome->log, said + length - sizeof(outcome->log) + 1, sizeof(outcome->log) - 1);
	} else {
		memcpy(outcome->log, said, length);
		outcome->log[length] = 0;
	}
}

static void attach(const struct bpf_program *program, struct outcome *outcome)
{
	struct bpf_link *link;

	outcome->attached = UNKNOWN;
	if (!wants_attach || (spares_others && acts_on_others(program)))
		return;
	said_bytes = 0;
	said[0] = 0;
	errno = 0;
	link = bpf_program__attach(program);
	if (link) {
		outcome->attached = 1;
		bpf_link__destroy(link);
	} else if (errno && errno != EOPNOTSUPP) {
		outcome->attached = 0;
		outcome->attach_errno = errno;
		strcpy(outcome->stage, "attach");
		end_of_log(outcome);
	}
}

/* The log of the program, loaded once more. */
static void write_log(const char *path, const char *name, const struct without *without)
{
	char *buffer = calloc(1, LOG_SIZE), file[4096];
	struct bpf_object *object = open_object(path, without);
	struct bpf_program *program = object ? bpf_object__find_program_by_name(object, name) : NULL;
	FILE *log;

	if (program && buffer) {
		bpf_program__set_autoload(program, true);
		bpf_program__set_log_level(program, 2);
		bpf_program__set_log_buf(program, buffer, LOG_SIZE);
		bpf_object__load(object);
		snprintf(file, sizeof(file), "%s/%s", logs, name);
		log = fopen(file, "w");
		if (log) {
			fputs(buffer, log);
			fclose(log);
		}
	}
	bpf_object__close(object);
	free(buffer);
}

/* Loads one program, or all when `only` is NULL; writes an outcome for each to `file`. */
static void attempt(const char *path, const char *only, const struct without *without, int file)
{
	struct bpf_object *object = open_object(path, without);
	struct bpf_program *program;
	int error = object ? 0 : errno;

	if (object) {
		bpf_object__for_each_program(program, object)
			bpf_program__set_autoload(program, is_tracepoint(program) &&
							   (!only || strcmp(only, bpf_program__name(program)) == 0));
		error = -bpf_object__load(object);
	}
	if (error) {
		struct outcome outcome = { .load_errno = error, .attached = UNKNOWN };

		strcpy(outcome.stage, object ? failed_stage(&outcome) : "open");
		end_of_log(&outcome);
		/* libbpf puts the others of a table of programs into it once the program is loaded, and cannot attach it then. */
		if (only && strstr(said, "failed to initialize slot"))
			outcome = (struct outcome){ .loaded = 1, .attached = UNKNOWN };
		write(file, &outcome, sizeof(outcome));
		_exit(0);
	}
	bpf_object__for_each_program(program, object) {
		struct outcome outcome = { .loaded = 1 };

		if (!bpf_program__autoload(program))
			continue;
		attach(program, &outcome);
		write(file, &outcome, sizeof(outcome));
		if (logs)
			write_log(path, bpf_program__name(program), without);
	}
	_exit(0);
}

/* The outcomes of an attempt: how many there are; 0 where it took too long or died. */
static int outcomes(const char *path, const char *only, const struct without *without, struct outcome *found, int most)
{
	int ends[2], count = 0;
	char *at = (char *)found;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return 0;
	child = fork();
	if (child == 0)
		attempt(path, only, without, ends[1]);
	close(ends[1]);
	for (;;) {
		struct pollfd ready = { .fd = ends[0], .events = POLLIN };
		ssize_t bytes;

		if (poll(&ready, 1, seconds * 1000) <= 0)
			break;
		bytes = read(ends[0], at, (char *)(found + most) - at);
		if (bytes <= 0)
			break;
		at += bytes;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ends[0]);
	count = (at - (char *)found) / sizeof(*found);
	return count;
}

/* --- an object */

struct listed {
	char name[256], section[256];
};

static void put(const char *path, const struct listed *program, const struct outcome *outcome, const struct without *without)
{
	static const char *const words[] = { "null", "false", "true" };
	const char *file = strrchr(path, '/');

	if (getpid() == 1)
		fputs("| ", out);
	fputs("{\"object\": ", out);
	put_text(out, file && getpid() == 1 ? file + 1 : path);
	fputs(", \"program\": ", out);
	put_text(out, program->name);
	fputs(", \"section\": ", out);
	put_text(out, program->section);
	fprintf(out, ", \"loaded\": %s, \"load_errno\": %d", words[outcome->loaded + 1], outcome->load_errno);
	fprintf(out, ", \"attached\": %s, \"attach_errno\": %d", words[outcome->attached + 1], outcome->attach_errno);
	fprintf(out, ", \"stage\": \"%s\", \"maps\": [", outcome->stage);
	for (int at = 0; at < without->count; at++) {
		fputs(at ? ", " : "", out);
		put_text(out, without->names[at]);
	}
	fputs("], \"log\": ", out);
	put_text(out, outcome->log);
	fputs("}\n", out);
	fflush(out);
}

/* One program alone: without the maps that the kernel does not make, one after the other. */
static void one(const char *path, const struct listed *program)
{
	static struct outcome outcome;
	struct without without = { 0 };

	for (;;) {
		memset(&outcome, 0, sizeof(outcome));
		if (outcomes(path, program->name, &without, &outcome, 1) == 0) {
			outcome = (struct outcome){ .loaded = UNKNOWN, .attached = UNKNOWN, .stage = "time" };
			break;
		}
		if (!outcome.map[0] || is_without(&without, outcome.map) || without.count == MOST_MAPS)
			break;
		strcpy(without.names[without.count++], outcome.map);
	}
	put(path, program, &outcome, &without);
}

static void examine(const char *path)
{
	static struct listed programs[MOST_PROGRAMS];
	static struct outcome found[MOST_PROGRAMS];
	static const struct without nothing;
	struct bpf_object *object;
	struct bpf_program *program;
	int count = 0;

	said_bytes = 0;
	said[0] = 0;
	object = bpf_object__open_file(path, NULL);
	if (!object) {
		struct outcome outcome = { .load_errno = errno, .attached = UNKNOWN, .stage = "open" };

		end_of_log(&outcome);
		put(path, &(struct listed){ "", "" }, &outcome, &nothing);
		return;
	}
	bpf_object__for_each_program(program, object) {
		if (!is_tracepoint(program) || count == MOST_PROGRAMS)
			continue;
		snprintf(programs[count].name, sizeof(programs->name), "%s", bpf_program__name(program));
		snprintf(programs[count++].section, sizeof(programs->section), "%s", bpf_program__section_name(program));
	}
	bpf_object__close(object);
	memset(found, 0, sizeof(found));
	if (count > 1 && outcomes(path, NULL, &nothing, found, MOST_PROGRAMS) == count && found[count - 1].loaded) {
		for (int at = 0; at < count; at++)
			put(path, programs + at, found + at, &nothing);
		return;
	}
	for (int at = 0; at < count; at++)
		one(path, programs + at);
}

/* --- the init of a machine */

static void carry_out_plan(void)
{
	static char line[1024], path[512];
	FILE *plan = fopen("/plan", "r");

	while (plan && fgets(line, sizeof(line), plan)) {
		if (sscanf(line, "loads %511s", path) == 1)
			examine(path);
		fprintf(out, "done 0\n");
	}
	tcdrain(fileno(out));
	reboot(RB_POWER_OFF);
}

int main(int count, char **words)
{
	int option;

	out = stdout;
	libbpf_set_print(keep);
	if (getpid() == 1) {
		out = machine_answers();
		/* An emulated processor is slow. */
		seconds = 200;
	}
	/* Before Linux 5.11 maps and programs count as locked memory. */
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 65536, 65536 });
	if (getpid() == 1)
		carry_out_plan();
	while ((option = getopt(count, words, "dsl:t:")) != -1) {
		if (option == 'd')
			wants_attach = 0;
		else if (option == 's')
			spares_others = 1;
		else if (option == 'l')
			logs = optarg;
		else if (option == 't')
			seconds = atoi(optarg);
		else
			return 2;
	}
	for (; optind < count; optind++)
		examine(words[optind]);
	return 0;
}
