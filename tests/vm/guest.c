/*
 * The init of a kernel under test. It carries out /plan line by line and answers on the device that `answers=` on the
 * kernel's command line names.
 *
 *	map BYTES                                  an array map of one value, which programs find as map 0
 *	module PATH                                loads a module
 *	formats                                    every format file of tracefs
 *	raw_tp EVENT AT COUNT KEEP                 loads the COUNT instructions that begin at number AT of /code, and
 *	raw_tp_writable EVENT AT COUNT KEEP        attaches them; detaches them at once, unless KEEP is 1;
 *	raw_tp_sleepable EVENT AT COUNT KEEP
 *	tp_btf EVENT IMAGE TYPE AT COUNT KEEP      IMAGE (vmlinux or a module) has TYPE, the id of its btf_trace_EVENT
 *	tp_btf_sleepable EVENT IMAGE TYPE AT COUNT KEEP
 *	tp SYSTEM EVENT AT COUNT KEEP
 *	tp_sleepable SYSTEM EVENT AT COUNT KEEP
 *	takes IMAGE TYPE AT COUNT 0                whether the verifier takes a tp_btf program, which is not attached
 *	act NAME                                   lets a process do something, and tells what it knows of it
 *	seen                                       the map's value in hexadecimal digits; it becomes 0
 *	release                                    detaches what was kept
 *	write PATH TEXT                            appends a line to a file; @PROBED in it is where probed() is: FILE:OFFSET
 *	read PATH                                  the text of a file
 *	pages PATH                                 what a file has now, every read in hexadecimal digits on a line of its own
 *
 * An answer is any number of lines `| text` and a last one `STAGE ERRNO`: `done 0`, or the stage that failed. The text
 * of a program that does not load is the verifier's log. A program's instruction that loads the address of a map
 * (BPF_PSEUDO_MAP_FD) gets the map's descriptor here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "machine.h"

#define EVENTS "/sys/kernel/tracing/events"
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static FILE *answers;
static struct bpf_insn *code;
static int kept[256], kept_count;
static int map = -1;
static size_t map_bytes;

/* What became of a line of the plan. */
struct outcome {
	const char *stage;
	int error;
};

static const struct outcome done = { "done", 0 };

static struct outcome failed(const char *stage)
{
	return (struct outcome){ stage, errno };
}

static void fact(const char *name, long value)
{
	fprintf(answers, "| %s %ld\n", name, value);
}

/* Text of the kernel, each of its lines behind the mark of a text line. */
static void tell(const char *text, size_t length)
{
	for (const char *end = text + length, *next; text < end; text = next + 1) {
		next = memchr(text, '\n', end - text);
		if (!next)
			next = end;
		fprintf(answers, "| %.*s\n", (int)(next - text), text);
	}
}

static void tell_digits(const unsigned char *bytes, size_t count)
{
	fputs("| ", answers);
	for (size_t at = 0; at < count; at++)
		fprintf(answers, "%02x", bytes[at]);
	fputc('\n', answers);
}

/* The whole of a file into a buffer of our own, NUL-terminated; its length, 0 where it cannot be read. */
static size_t slurp(const char *path, char **text)
{
	static char *buffer;
	static size_t room;
	size_t length = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY);

	do {
		if (room - length < 65536)
			buffer = realloc(buffer, room = 2 * room + 131072);
		/* A seq_file can stop short: only 0 is the end. */
		got = read(fd, buffer + length, room - length - 1);
		length += got > 0 ? got : 0;
	} while (got > 0);
	buffer[length] = 0;
	close(fd);
	*text = buffer;
	return length;
}

/* --- programs */

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static struct outcome make_map(size_t bytes)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = bytes, .max_entries = 1 };

	map_bytes = bytes;
	map = bpf(BPF_MAP_CREATE, &attr);
	return map < 0 ? failed("map") : done;
}

/* The BTF of every image that is loaded when this is first asked for; 0 ends the list. */
static struct image {
	int fd;
	char name[64];
} *all_btf(void)
{
	static struct image images[512];
	union bpf_attr next = { 0 };

	for (struct image *image = images; image < images + COUNT(images) - 1; image++) {
		struct bpf_btf_info info = { .name = (uintptr_t)image->name, .name_len = sizeof(image->name) };
		union bpf_attr get = { 0 }, ask = { 0 };

		if (bpf(BPF_BTF_GET_NEXT_ID, &next))
			break;
		get.btf_id = next.start_id = next.next_id;
		image->fd = bpf(BPF_BTF_GET_FD_BY_ID, &get);
		ask.info.bpf_fd = image->fd;
		ask.info.info = (uintptr_t)&info;
		ask.info.info_len = sizeof(info);
		bpf(BPF_OBJ_GET_INFO_BY_FD, &ask);
	}
	return images;
}

/* A descriptor of the BTF that the kernel calls `name`; -1 where it has none. */
static int btf_of(const char *name)
{
	static struct image *images;

	if (!images)
		images = all_btf();
	for (struct image *image = images; image->fd; image++)
		if (strcmp(image->name, name) == 0)
			return image->fd;
	return -1;
}

static void patch_maps(struct bpf_insn *insns, int count)
{
	for (int at = 0; at < count; at++)
		if (insns[at].code == (BPF_LD | BPF_IMM | BPF_DW) && insns[at].src_reg == BPF_PSEUDO_MAP_FD)
			insns[at].imm = map;
}

/* Loads a program; one that is refused is loaded once more for the verifier's reasons. */
static int load(union bpf_attr *attr, int at, int count)
{
	static char log[1 << 22];
	int fd, error;

	patch_maps(code + at, count);
	attr->insns = (uintptr_t)(code + at);
	attr->insn_cnt = count;
	attr->license = (uintptr_t)"GPL";
	fd = bpf(BPF_PROG_LOAD, attr);
	if (fd >= 0)
		return fd;
	attr->log_buf = (uintptr_t)log;
	attr->log_size = sizeof(log);
	attr->log_level = 1;
	bpf(BPF_PROG_LOAD, attr);
	error = errno;
	tell(log, strlen(log));
	errno = error;
	return -1;
}

static int open_raw_tracepoint(int program, const char *event)
{
	union bpf_attr attr = { 0 };

	attr.raw_tracepoint.prog_fd = program;
	attr.raw_tracepoint.name = (uintptr_t)event;
	return bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
}

/* The end of every attachment: a program without a link, or a link that ends here or stays. */
static struct outcome attached(int program, int link, int keep)
{
	struct outcome outcome = link < 0 ? failed("attach") : done;

	close(program);
	if (link >= 0 && keep)
		kept[kept_count++] = link;
	else
		close(link);
	return outcome;
}

static struct outcome raw_tp(enum bpf_prog_type type, unsigned int flags, const char *event, int at, int count, int keep)
{
	union bpf_attr attr = { .prog_type = type, .prog_flags = flags };
	int program = load(&attr, at, count);

	return program < 0 ? failed("load") : attached(program, open_raw_tracepoint(program, event), keep);
}

/* The BTF of an image, as the kernel is told of it: a descriptor for a module; -1 where the kernel has none. */
static int attach_btf(const char *image)
{
	/* Before Linux 5.11 the kernel takes nothing but 0. */
	return strcmp(image, "vmlinux") == 0 ? 0 : btf_of(image);
}

static struct outcome takes(const char *image, unsigned int type, int at, int count)
{
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_TRACING, .expected_attach_type = BPF_TRACE_RAW_TP };
	int program, btf = attach_btf(image);

	if (btf < 0)
		return failed("btf");
	attr.attach_btf_id = type;
	attr.attach_btf_obj_fd = btf;
	attr.insns = (uintptr_t)(code + at);
	attr.insn_cnt = count;
	attr.license = (uintptr_t)"GPL";
	program = bpf(BPF_PROG_LOAD, &attr);
	if (program < 0)
		return failed("load");
	close(program);
	return done;
}

static struct outcome tp_btf(unsigned int flags, const char *image, unsigned int type, int at, int count, int keep)
{
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_TRACING, .prog_flags = flags };
	int program, btf = attach_btf(image);

	if (btf < 0)
		return failed("btf");
	attr.expected_attach_type = BPF_TRACE_RAW_TP;
	attr.attach_btf_id = type;
	attr.attach_btf_obj_fd = btf;
	program = load(&attr, at, count);
	return program < 0 ? failed("load") : attached(program, open_raw_tracepoint(program, NULL), keep);
}

static struct outcome tp(unsigned int flags, const char *system, const char *event, int at, int count, int keep)
{
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_TRACEPOINT, .prog_flags = flags };
	struct perf_event_attr perf = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(perf) };
	int program, link;
	char path[512], *id;

	snprintf(path, sizeof(path), EVENTS "/%s/%s/id", system, event);
	if (!slurp(path, &id))
		return failed("id");
	perf.config = strtoul(id, NULL, 10);
	program = load(&attr, at, count);
	if (program < 0)
		return failed("load");
	/* Of one CPU, and there is only one. */
	link = syscall(SYS_perf_event_open, &perf, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (link >= 0 && ioctl(link, PERF_EVENT_IOC_SET_BPF, program) < 0) {
		struct outcome outcome = failed("attach");

		close(link);
		close(program);
		return outcome;
	}
	return attached(program, link, keep);
}

static struct outcome release(void)
{
	while (kept_count)
		close(kept[--kept_count]);
	return done;
}

/* --- what the programs saw */

static void write_map(const void *value)
{
	union bpf_attr attr = { .map_fd = map, .key = (uintptr_t)&(int){ 0 }, .value = (uintptr_t)value };

	bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static struct outcome seen(void)
{
	unsigned char *value = calloc(1, map_bytes);
	union bpf_attr attr = { .map_fd = map, .key = (uintptr_t)&(int){ 0 }, .value = (uintptr_t)value };

	if (bpf(BPF_MAP_LOOKUP_ELEM, &attr) < 0)
		return failed("seen");
	tell_digits(value, map_bytes);
	write_map(memset(value, 0, map_bytes));
	free(value);
	return done;
}

/*
 * The value begins with the process to watch and the one that it switches to. Calls bpf(2) twice and nothing else; what
 * programs see between the two is not kept, so the last that a watched process shows is what it did before.
 */
static void watch(int actor, int partner)
{
	static int value[1024];
	union bpf_attr attr = { .map_fd = map, .key = (uintptr_t)&(int){ 0 }, .value = (uintptr_t)value };

	bpf(BPF_MAP_LOOKUP_ELEM, &attr);
	value[0] = actor;
	value[1] = partner;
	bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

/* --- what there is to see */

/* A lock on bytes 1000 to 1076 that another process holds. */
static void lock_held_bytes(void)
{
	struct flock bytes = { .l_type = F_WRLCK, .l_start = 1000, .l_len = 77 };
	int fd = open("/locked", O_RDWR | O_CREAT, 0600);
	struct stat status;

	fstat(fd, &status);
	fcntl(fd, F_SETLK, &bytes);
	if (fork() == 0) {
		int refused, error;

		watch(getpid(), 0);
		refused = fcntl(fd, F_SETLK, &bytes);
		error = errno;
		watch(0, 0);
		fact("refused", refused);
		fact("errno", error);
		fact("pid", getpid());
		fact("inode", status.st_ino);
		fact("type", bytes.l_type);
		fact("start", bytes.l_start);
		fact("end", bytes.l_start + bytes.l_len - 1);
		_exit(0);
	}
	wait(NULL);
	close(fd);
}

/* A system call that fails, and that nothing else makes between the two calls of bpf(2). */
static void close_bad_descriptor(void)
{
	const int descriptor = -9999;

	if (fork() == 0) {
		int result, error;

		watch(getpid(), 0);
		result = syscall(SYS_close, descriptor);
		error = errno;
		watch(0, 0);
		fact("pid", getpid());
		fact("result", result);
		fact("errno", error);
		fact("descriptor", descriptor);
		fact("bpf", SYS_bpf);
		fact("close", SYS_close);
		_exit(0);
	}
	wait(NULL);
}

static void hand_over(int from, int to)
{
	char byte = 0;

	for (int round = 0; round < 20; round++) {
		if (to < 0 || write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1)
			_exit(1);
	}
}

/* Two processes on the only CPU that hand a byte back and forth. */
static void switch_to_partner(void)
{
	int there[2], back[2], actor, partner;
	char ready = 0;

	if (pipe(there) || pipe(back))
		return;
	partner = fork();
	if (partner == 0) {
		prctl(PR_SET_NAME, "the-partner");
		if (write(back[1], &ready, 1) == 1)
			hand_over(there[0], back[1]);
		_exit(0);
	}
	actor = fork();
	if (actor == 0) {
		prctl(PR_SET_NAME, "the-actor");
		/* Or the partner is switched to for the first time while its name is still another. */
		if (read(back[0], &ready, 1) != 1)
			_exit(1);
		/* A process that is not fair leaves the CPU only to sleep. To the kernel it has priority 99 - 10. */
		syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 10 });
		watch(getpid(), partner);
		hand_over(back[0], there[1]);
		watch(0, 0);
		_exit(0);
	}
	wait(NULL);
	wait(NULL);
	fact("pid", actor);
	fact("partner", partner);
	for (int end = 0; end < 2; end++) {
		close(there[end]);
		close(back[end]);
	}
}

/* A file that is this program under another name; its main() ends at once. */
static void execute_path(void)
{
	char *path = "/some/where/a-program-with-a-name-longer-than-a-comm";

	mkdir("/some", 0755);
	mkdir("/some/where", 0755);
	symlink("/init", path);
	if (fork() == 0) {
		fact("pid", getpid());
		fprintf(answers, "| path %s\n", path);
		watch(getpid(), 0);
		execv(path, (char *[]){ path, NULL });
		_exit(1);
	}
	wait(NULL);
	watch(0, 0);
}

/* Where probes of user space are set. */
__attribute__((noinline)) long probed(int number, unsigned long wide, const char *text, const char *const *texts)
{
	__asm__ volatile("" : "+r"(wide) : "r"(text), "r"(texts) : "memory");
	return number + (long)wide;
}

/* A call of probed(), a system call that fails in the kernel's function of its name, a new program, and its end. */
static void run_into_probes(void)
{
	/* The members of struct open_how: O_WRONLY | O_CREAT, rw-r-----, RESOLVE_BENEATH. */
	const uint64_t how[] = { 01 | 0100, 0640, 8 };
	const char *texts[] = { "one text", "another" };

	if (fork() == 0) {
		fact("pid", getpid());
		fact("result", probed(-5, -3UL, "a text", texts));
		fact("opened", syscall(SYS_openat2, -9, "no/such/directory", how, sizeof(how)));
		fact("errno", errno);
		mkdir("/some", 0755);
		symlink("/init", "/some/program-with-a-long-name");
		execl("/some/program-with-a-long-name", "program", NULL);
		_exit(1);
	}
	wait(NULL);
}

static const struct {
	const char *name;
	void (*run)(void);
} acts[] = {
	{ "lock", lock_held_bytes },
	{ "close", close_bad_descriptor },
	{ "switch", switch_to_partner },
	{ "exec", execute_path },
	{ "probes", run_into_probes },
};

static struct outcome act(const char *name)
{
	for (size_t at = 0; at < COUNT(acts); at++)
		if (strcmp(acts[at].name, name) == 0) {
			acts[at].run();
			return done;
		}
	errno = ENOENT;
	return failed("act");
}

/* --- modules and formats */

static void tell_formats(const char *system)
{
	char path[512], *text;
	struct dirent *event;
	DIR *events;

	snprintf(path, sizeof(path), EVENTS "/%s", system);
	events = opendir(path);
	while (events && (event = readdir(events))) {
		size_t length;

		if (event->d_type != DT_DIR || event->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), EVENTS "/%s/%s/format", system, event->d_name);
		length = slurp(path, &text);
		if (length) {
			fprintf(answers, "| === %s/%s\n", system, event->d_name);
			tell(text, length);
		}
	}
	if (events)
		closedir(events);
}

static struct outcome formats(void)
{
	DIR *systems = opendir(EVENTS);
	struct dirent *system;

	if (!systems)
		return failed("formats");
	while ((system = readdir(systems)))
		if (system->d_type == DT_DIR && system->d_name[0] != '.')
			tell_formats(system->d_name);
	closedir(systems);
	return done;
}

/* --- files */

/* This program's file, and where in it a function begins. */
static void place_of(void *function, char *place, size_t room)
{
	unsigned long start, end, offset, address = (unsigned long)function;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");

	*place = 0;
	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && address >= start && address < end)
			snprintf(place, room, "/init:0x%lx", address - start + offset);
	if (maps)
		fclose(maps);
}

static struct outcome write_line(const char *path, char *text)
{
	char line[1024], place[64] = "", *mark = strstr(text, "@PROBED");
	int length, fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	struct outcome outcome = done;

	if (fd < 0)
		return failed("open");
	if (mark) {
		*mark = 0;
		place_of(probed, place, sizeof(place));
	}
	length = snprintf(line, sizeof(line), "%s%s%s\n", text, place, mark ? mark + strlen("@PROBED") : "");
	if (write(fd, line, length) != length)
		outcome = failed("write");
	close(fd);
	return outcome;
}

static struct outcome read_file(const char *path)
{
	char *text;
	size_t length = slurp(path, &text);

	tell(text, length);
	return done;
}

static struct outcome tell_pages(const char *path)
{
	static unsigned char page[65536];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return failed("open");
	while ((got = read(fd, page, sysconf(_SC_PAGESIZE))) > 0)
		tell_digits(page, got);
	close(fd);
	return done;
}

/* --- the plan */

static struct outcome carry_out(char *line)
{
	char first[256], second[256];
	int at, count, keep;
	unsigned int type;

	if (sscanf(line, "map %d", &count) == 1)
		return make_map(count);
	if (sscanf(line, "module %255s", first) == 1)
		return insert_module(first) ? failed("module") : done;
	if (sscanf(line, "raw_tp %255s %d %d %d", first, &at, &count, &keep) == 4)
		return raw_tp(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, first, at, count, keep);
	if (sscanf(line, "raw_tp_writable %255s %d %d %d", first, &at, &count, &keep) == 4)
		return raw_tp(BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0, first, at, count, keep);
	if (sscanf(line, "raw_tp_sleepable %255s %d %d %d", first, &at, &count, &keep) == 4)
		return raw_tp(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_F_SLEEPABLE, first, at, count, keep);
	if (sscanf(line, "tp_btf %255s %255s %u %d %d %d", first, second, &type, &at, &count, &keep) == 6)
		return tp_btf(0, second, type, at, count, keep);
	if (sscanf(line, "tp_btf_sleepable %255s %255s %u %d %d %d", first, second, &type, &at, &count, &keep) == 6)
		return tp_btf(BPF_F_SLEEPABLE, second, type, at, count, keep);
	if (sscanf(line, "tp %255s %255s %d %d %d", first, second, &at, &count, &keep) == 5)
		return tp(0, first, second, at, count, keep);
	if (sscanf(line, "tp_sleepable %255s %255s %d %d %d", first, second, &at, &count, &keep) == 5)
		return tp(BPF_F_SLEEPABLE, first, second, at, count, keep);
	if (sscanf(line, "takes %255s %u %d %d %d", first, &type, &at, &count, &keep) == 5)
		return takes(first, type, at, count);
	if (sscanf(line, "act %255s", first) == 1)
		return act(first);
	if (sscanf(line, "write %255s %n", first, &at) == 1)
		return write_line(first, line + at);
	if (sscanf(line, "read %255s", first) == 1)
		return read_file(first);
	if (sscanf(line, "pages %255s", first) == 1)
		return tell_pages(first);
	if (strcmp(line, "formats") == 0)
		return formats();
	if (strcmp(line, "seen") == 0)
		return seen();
	if (strcmp(line, "release") == 0)
		return release();
	errno = EINVAL;
	return failed("line");
}

/* The instructions of all programs, ours to patch. */
static struct bpf_insn *map_code(void)
{
	int fd = open("/code", O_RDONLY | O_CLOEXEC);
	struct stat status;

	fstat(fd, &status);
	return mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
}

int main(void)
{
	static char line[1024];
	FILE *plan;

	if (getpid() != 1)
		return 0;
	answers = machine_answers();
	/* Before Linux 5.11 maps and programs count as locked memory. */
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 4096, 4096 });
	code = map_code();
	plan = fopen("/plan", "r");
	while (plan && fgets(line, sizeof(line), plan)) {
		struct outcome outcome;

		line[strcspn(line, "\n")] = 0;
		outcome = carry_out(line);
		fprintf(answers, "%s %d\n", outcome.stage, outcome.error);
	}
	/* What a serial line still holds would be lost. */
	tcdrain(fileno(answers));
	reboot(RB_POWER_OFF);
}
