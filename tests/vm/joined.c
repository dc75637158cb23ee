/*
 * What programs on headers for several kernels see, beside the kernel's own record of the same events.
 *
 * The plan, /plan of the init of a machine, else the standard input:
 *
 *	module PATH                loads a module
 *	object KIND PATH           opens an object, whose programs are called KIND__EVENT; all of them are loaded
 *	act NAME SYSTEM/EVENT...   attaches the programs of these events, has the kernel record these, and lets a process act
 *
 * Answers go where `answers=` on the kernel's command line says, else to the standard output. An act is answered by lines
 * of text and `done 0`:
 *
 *	| pid PID                  the process, whose events alone are looked at; it stays on CPU 0
 *	| fact NAME VALUE          what it knows of what it did
 *	| format SYSTEM/EVENT      a line of that format file follows each time
 *	| seen KIND HEX            what a program saw: struct seen of tests/support/joined.py, in that order
 *	| page HEX                 of the kernel's trace buffer
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#define TRACEFS "/sys/kernel/tracing"
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static FILE *out;
static char said[1 << 20], instance[128];

struct object {
	char kind[16];
	struct bpf_object *object;
};

static struct object objects[8];
static int object_count;

/* The last that libbpf said. */
static int keep(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t length = strlen(said);

	if (level == LIBBPF_DEBUG)
		return 0;
	if (length > sizeof(said) / 2)
		length = 0;
	vsnprintf(said + length, sizeof(said) - length, format, arguments);
	return 0;
}

static void tell(const char *mark, const char *text)
{
	for (const char *end = text + strlen(text), *next; text < end; text = next + 1) {
		next = strchrnul(text, '\n');
		fprintf(out, "| %s%.*s\n", mark, (int)(next - text), text);
	}
}

static void tell_digits(const char *mark, const unsigned char *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	fprintf(out, "| %s ", mark);
	for (size_t at = 0; at < count; at++) {
		putc(digits[bytes[at] >> 4], out);
		putc(digits[bytes[at] & 15], out);
	}
	putc('\n', out);
}

static void write_text(const char *folder, const char *name, const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(out, "| error %s %s: %d\n", path, text, errno);
	close(fd);
}

/* --- the acts, each in a process of its own on CPU 0 */

static void fact(const char *name, unsigned long long value)
{
	fprintf(out, "| fact %s %llu\n", name, value);
	fflush(out);
}

static void pass(long nanoseconds)
{
	nanosleep(&(struct timespec){ .tv_nsec = nanoseconds }, NULL);
}

static void act_tasks(void)
{
	int to[2], from[2], child, status;
	char byte = 0;

	if (pipe(to) || pipe(from))
		return;
	prctl(PR_SET_NAME, "joined-parent");
	child = fork();
	if (child == 0) {
		prctl(PR_SET_NAME, "joined-child");
		for (int round = 0; round < 5; round++)
			if (read(to[0], &byte, 1) != 1 || write(from[1], &byte, 1) != 1)
				_exit(1);
		_exit(7);
	}
	fact("child", child);
	for (int round = 0; round < 5; round++)
		if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
			return;
	waitpid(child, &status, 0);
	pass(5000000);
}

static void up(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(request.ifr_name, name);
	ioctl(fd, SIOCGIFFLAGS, &request);
	if (!(request.ifr_flags & IFF_UP)) {
		request.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
}

static struct sockaddr_in local(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int bound(int type, struct sockaddr_in *address)
{
	socklen_t size = sizeof(*address);
	int fd = socket(AF_INET, type, 0);

	*address = local(0);
	bind(fd, (void *)address, size);
	getsockname(fd, (void *)address, &size);
	return fd;
}

static void act_udp(void)
{
	struct sockaddr_in here, nobody = local(9);
	int receiver = bound(SOCK_DGRAM, &here), sender = socket(AF_INET, SOCK_DGRAM, 0);
	char data[333] = "";

	for (int round = 0; round < 3; round++) {
		sendto(sender, data, sizeof(data), 0, (void *)&here, sizeof(here));
		recv(receiver, data, sizeof(data), 0);
		sendto(sender, data, 11, 0, (void *)&nobody, sizeof(nobody));
	}
	close(sender);
	close(receiver);
}

static void act_tcp(void)
{
	struct sockaddr_in there, closed = local(9);
	int listener = bound(SOCK_STREAM, &there), refused = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0), server;
	char data[1000] = "";

	listen(listener, 8);
	connect(refused, (void *)&closed, sizeof(closed));
	connect(client, (void *)&there, sizeof(there));
	server = accept(listener, NULL, NULL);
	fact("port", ntohs(there.sin_port));
	for (int round = 0; round < 4; round++) {
		if (send(client, data, sizeof(data), 0) < 0 || recv(server, data, sizeof(data), 0) < 0)
			return;
	}
	/* What was not read makes closing a reset. */
	send(client, data, 1, 0);
	close(server);
	close(client);
	close(refused);
	close(listener);
}

/* A listener whose queue is full: what asks for a connection asks again after a second. */
static void act_retransmit(void)
{
	struct sockaddr_in there;
	int listener = bound(SOCK_STREAM, &there), clients[4];

	listen(listener, 0);
	fact("port", ntohs(there.sin_port));
	for (size_t at = 0; at < COUNT(clients); at++) {
		clients[at] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(clients[at], (void *)&there, sizeof(there));
	}
	/* The timer finds this process at work, which is whose event it then is. */
	for (time_t end = time(NULL) + 3; time(NULL) < end;)
		;
	for (size_t at = 0; at < COUNT(clients); at++)
		close(clients[at]);
	close(listener);
}

static void act_memory(void)
{
	const size_t bytes = 64 * 4096;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ends[2];

	memset(memory, 1, bytes);
	munmap(memory, bytes);
	for (int round = 0; round < 4; round++) {
		if (pipe(ends))
			return;
		close(ends[0]);
		close(ends[1]);
	}
}

static void act_files(void)
{
	struct flock bytes = { .l_type = F_WRLCK, .l_start = 1000, .l_len = 77 };
	char data[3 * 4096] = "";
	struct stat status;
	int fd;

	/* The mount is this process's own: it has left the namespace of the others. */
	fd = open("/tmp/tpgen-joined/file", O_RDWR | O_CREAT, 0600);
	fstat(fd, &status);
	fact("inode", status.st_ino);
	if (write(fd, data, sizeof(data)) < 0)
		return;
	fcntl(fd, F_SETLK, &bytes);
	flock(fd, LOCK_EX);
	flock(fd, LOCK_UN);
	close(fd);
	fd = open("/tmp/tpgen-joined/file", O_RDONLY);
	fcntl(fd, F_SETLEASE, F_RDLCK);
	fcntl(fd, F_SETLEASE, F_UNLCK);
	close(fd);
	unlink("/tmp/tpgen-joined/file");
}

static void act_timers(void)
{
	struct itimerval soon = { .it_value.tv_usec = 3000 };

	struct timespec begin, now;

	signal(SIGALRM, SIG_IGN);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	/* The timers find this process at work, whose events they then are. */
	for (int round = 0; round < 5; round++) {
		setitimer(ITIMER_REAL, &soon, NULL);
		do
			clock_gettime(CLOCK_MONOTONIC, &now);
		while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 6 * (round + 1));
	}
}

/* What is written to a terminal, work of the kernel carries to its other end. */
static void act_work(void)
{
	char name[64];
	int number, unlock = 0, terminal, other = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	ioctl(other, TIOCGPTN, &number);
	ioctl(other, TIOCSPTLCK, &unlock);
	snprintf(name, sizeof(name), "/dev/pts/%d", number);
	terminal = open(name, O_RDWR | O_NOCTTY);
	for (int round = 0; round < 4; round++) {
		if (write(other, "a\n", 2) != 2)
			return;
		pass(1000000);
	}
	close(terminal);
	close(other);
}

static void act_uring(void)
{
	struct io_uring_params params = { 0 };
	int ring = syscall(SYS_io_uring_setup, 4, &params), file = open("/proc/self/maps", O_RDONLY);
	struct io_uring_sqe *entries;
	char *queue, data[64];
	unsigned int tail;

	if (ring < 0) {
		fact("errno", errno);
		return;
	}
	fact("file", file);
	queue = mmap(NULL, params.sq_off.array + 4 * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	entries = mmap(NULL, 4 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &(struct iovec){ data, sizeof(data) }, 1);
	memset(entries, 0, 4 * sizeof(*entries));
	entries[0] = (struct io_uring_sqe){ .opcode = IORING_OP_NOP, .user_data = 0x123456789abcdef };
	entries[1] = (struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = file, .addr = (unsigned long)data, .len = 10,
					    .user_data = 77 };
	entries[2] = (struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = 999, .addr = (unsigned long)data, .len = 10,
					    .user_data = 78 };
	for (unsigned int at = 0; at < 3; at++)
		((unsigned int *)(queue + params.sq_off.array))[at] = at;
	tail = 3;
	__atomic_store_n((unsigned int *)(queue + params.sq_off.tail), tail, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, ring, 3, 3, IORING_ENTER_GETEVENTS, NULL, 0);
	close(ring);
}

/* Blocks of a disk: a machine has a disk of zeros, elsewhere it is that of a file. */
static void act_disk(void)
{
	const size_t bytes = 3 * 4096;
	char *blocks = aligned_alloc(4096, bytes), path[] = "/var/tmp/tpgen-joined-XXXXXX";
	int fd = open("/dev/nullb0", O_RDONLY | O_DIRECT), file;

	if (fd < 0) {
		file = mkstemp(path);
		memset(blocks, 1, bytes);
		if (write(file, blocks, bytes) < 0 || fsync(file))
			fact("errno", errno);
		fd = open(path, O_RDONLY | O_DIRECT);
		unlink(path);
	}
	for (int at = 0; at < 3; at++)
		fact("read", pread(fd, blocks, bytes, 0));
	close(fd);
}

static const struct {
	const char *name;
	void (*run)(void);
} acts[] = {
	{ "tasks", act_tasks },   { "udp", act_udp },     { "tcp", act_tcp }, { "retransmit", act_retransmit },
	{ "memory", act_memory }, { "files", act_files }, { "work", act_work }, { "timers", act_timers },
	{ "uring", act_uring },   { "disk", act_disk },
};

static void prepare(const char *name)
{
	/* Away from the mounts and, where they would meet the machine's own, the networks of the others. */
	if (unshare(CLONE_NEWNS | CLONE_NEWNET))
		_exit(1);
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (strcmp(name, "files") == 0) {
		mkdir("/tmp", 0755);
		mkdir("/tmp/tpgen-joined", 0700);
		mount("ramfs", "/tmp/tpgen-joined", "ramfs", 0, NULL);
	}
	up("lo");
}

static void run(const char *name)
{
	for (size_t at = 0; at < COUNT(acts); at++)
		if (strcmp(acts[at].name, name) == 0)
			acts[at].run();
}

/* A process that acts once it is told to. */
static int actor(const char *name, int *start)
{
	int ends[2], ready[2], pid;
	cpu_set_t cpus;
	char byte = 0;

	if (pipe(ends) || pipe(ready))
		return -1;
	fflush(out);
	pid = fork();
	if (pid == 0) {
		CPU_ZERO(&cpus);
		CPU_SET(0, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
		prepare(name);
		if (write(ready[1], &byte, 1) == 1 && read(ends[0], &byte, 1) == 1)
			run(name);
		fflush(out);
		_exit(0);
	}
	if (read(ready[0], &byte, 1) != 1)
		fprintf(out, "| error actor\n");
	*start = ends[1];
	close(ends[0]);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* --- the programs */

static int load(const char *kind, const char *path)
{
	struct object *object = objects + object_count++;

	snprintf(object->kind, sizeof(object->kind), "%s", kind);
	said[0] = 0;
	object->object = bpf_object__open_file(path, NULL);
	if (object->object && bpf_object__load(object->object) == 0)
		return 0;
	tell("", said);
	object_count--;
	return errno ? errno : EINVAL;
}

static int map_of(const struct object *object, const char *name)
{
	return bpf_object__find_map_fd_by_name(object->object, name);
}

/* The process to watch, none where it is 0. */
static void watch(int pid)
{
	for (struct object *object = objects; object < objects + object_count; object++)
		bpf_map_update_elem(map_of(object, "actor"), &(int){ 0 }, &pid, 0);
}

static void forget(const struct object *object)
{
	int counts = map_of(object, "counts");
	unsigned int number, zero = 0;

	for (unsigned int key = 0; bpf_map_lookup_elem(counts, &key, &number) == 0; key++)
		bpf_map_update_elem(counts, &key, &zero, 0);
}

static void tell_seen(const struct object *object)
{
	int counts = map_of(object, "counts"), seen = map_of(object, "seen");
	static unsigned char value[4096];
	unsigned int number, most = 0;
	struct bpf_map_info info = { 0 };
	char mark[32];

	bpf_obj_get_info_by_fd(seen, &info, &(unsigned int){ sizeof(info) });
	snprintf(mark, sizeof(mark), "seen %s", object->kind);
	for (unsigned int key = 0; bpf_map_lookup_elem(counts, &key, &number) == 0; key++)
		most = key + 1;
	for (unsigned int key = 0; key < most; key++) {
		unsigned int room = info.max_entries / most;

		bpf_map_lookup_elem(counts, &key, &number);
		for (unsigned int at = 0; at < number && at < room; at++)
			if (bpf_map_lookup_elem(seen, &(unsigned int){ key * room + at }, value) == 0)
				tell_digits(mark, value, info.value_size);
	}
}

static struct bpf_link *attach(const struct object *object, const char *event)
{
	char name[128];
	struct bpf_program *program;
	struct bpf_link *link;

	snprintf(name, sizeof(name), "%s__%s", object->kind, event);
	program = bpf_object__find_program_by_name(object->object, name);
	if (!program)
		return NULL;
	link = bpf_program__attach(program);
	if (!link)
		fprintf(out, "| error attach %s: %d\n", name, errno);
	return link;
}

/* --- the kernel's record */

static void tell_format(const char *event)
{
	static char text[1 << 16];
	char path[256], mark[256];
	ssize_t got, length = 0;
	int fd;

	snprintf(path, sizeof(path), TRACEFS "/events/%s/format", event);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while ((got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += got;
	text[length] = 0;
	close(fd);
	snprintf(mark, sizeof(mark), "format %s ", event);
	tell(mark, text);
}

static void tell_pages(void)
{
	static unsigned char page[65536];
	char path[256];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/per_cpu/cpu0/trace_pipe_raw", instance);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while ((got = read(fd, page, sysconf(_SC_PAGESIZE))) > 0)
		tell_digits("page", page, got);
	close(fd);
}

static void switch_events(char *const *events, int count, const char *state)
{
	char name[256];

	for (int at = 0; at < count; at++) {
		snprintf(name, sizeof(name), "events/%s/enable", events[at]);
		write_text(instance, name, state);
	}
}

static void act(const char *name, char *const *events, int count)
{
	struct bpf_link *links[512];
	int link_count = 0, start, pid = actor(name, &start);
	char number[16];

	fprintf(out, "| pid %d\n", pid);
	snprintf(instance, sizeof(instance), TRACEFS "/instances/tpgen_joined_%d", getpid());
	mkdir(instance, 0700);
	snprintf(number, sizeof(number), "%d", pid);
	write_text(instance, "set_event_pid", number);
	write_text(instance, "buffer_size_kb", "4096");
	for (int at = 0; at < count; at++) {
		tell_format(events[at]);
		for (struct object *object = objects; object < objects + object_count; object++)
			links[link_count++] = attach(object, strchr(events[at], '/') + 1);
	}
	switch_events(events, count, "1");
	watch(pid);
	fflush(out);
	if (write(start, "", 1) != 1)
		fprintf(out, "| error start\n");
	waitpid(pid, NULL, 0);
	watch(0);
	switch_events(events, count, "0");
	while (link_count)
		bpf_link__destroy(links[--link_count]);
	close(start);
	for (struct object *object = objects; object < objects + object_count; object++) {
		tell_seen(object);
		forget(object);
	}
	tell_pages();
	rmdir(instance);
	rmdir("/tmp/tpgen-joined");
}

/* --- the plan */

static int load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;

	close(fd);
	return error;
}

static int carry_out(char *line)
{
	char *words[128];
	int count = 0;

	for (char *rest = line, *word; count < 128 && (word = strtok_r(rest, " \n", &rest));)
		words[count++] = word;
	if (count == 2 && strcmp(words[0], "module") == 0)
		return load_module(words[1]);
	if (count == 3 && strcmp(words[0], "object") == 0)
		return load(words[1], words[2]);
	if (count > 2 && strcmp(words[0], "act") == 0) {
		act(words[1], words + 2, count - 2);
		return 0;
	}
	return EINVAL;
}

int main(void)
{
	static char line[8192];
	FILE *plan = stdin;

	out = stdout;
	if (getpid() == 1) {
		out = machine_answers();
		mkdir("/dev/pts", 0755);
		mount("devpts", "/dev/pts", "devpts", 0, NULL);
		plan = fopen("/plan", "r");
	}
	libbpf_set_print(keep);
	/* Before Linux 5.11 maps and programs count as locked memory. */
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 4096, 4096 });
	while (plan && fgets(line, sizeof(line), plan)) {
		int error = carry_out(line);

		fprintf(out, "%s %d\n", error ? "failed" : "done", error);
		fflush(out);
	}
	if (getpid() != 1)
		return 0;
	tcdrain(fileno(out));
	reboot(RB_POWER_OFF);
}
