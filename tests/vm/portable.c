/*
 * Whether programs on a header for several kernels are, once loaded, those on the header for this kernel alone.
 *
 *	portable PORTABLE.o FIXED.o ...
 *
 * loads both objects of each pair, with libbpf, and compares programs of one name by what the kernel has of them: the
 * loads that are not from the stack, the places that addresses are made of, and the helpers that are called. As the init
 * of a kernel it finds the pairs in /plan and answers on the device that `answers=` on the command line names, as guest.c
 * does. For each program there is a line `| VERDICT NAME ...`:
 *
 *	same       both have the same
 *	absent     the fixed object does not have it, and the portable program reads nothing
 *	differs    they do not; what each has follows, and the constants in registers of the portable one
 *	refused    the kernel takes the fixed program alone, or there is none; the end of the verifier's log follows
 *	both       the kernel takes neither
 *	attach     the portable program is loaded and not attached: errno follows
 *
 * The plan may also have `module FILE`, answered with errno, and `attach OBJECT`: each of its programs m_MODULE__NAME, of a
 * module that was loaded, is
 *
 *	attached   taken by the kernel and attached
 *	refused    not taken; the end of the verifier's log follows
 *	attach     taken and not attached: errno follows
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

#include "machine.h"

#define MOST 4096

static FILE *out;
static char said[1 << 20];
static size_t said_bytes;

/* The last that libbpf said. */
static int keep(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_DEBUG)
		return 0;
	if (said_bytes > sizeof(said) / 2)
		said_bytes = 0;
	said_bytes += vsnprintf(said + said_bytes, sizeof(said) - said_bytes, format, arguments);
	if (said_bytes >= sizeof(said))
		said_bytes = sizeof(said) - 1;
	return 0;
}

/* --- objects of which the kernel takes a part */

struct refused {
	char name[256];
	char reason[512];
};

struct loaded {
	struct bpf_object *object;
	struct refused *refused;
	int count;
};

static void without_newlines(char *text)
{
	for (; *text; text++)
		if (*text == '\n' || *text == '\t')
			*text = ' ';
}

/* The name after "prog '" of the program that libbpf could not load, and what it said last. */
static int note_refused(struct loaded *loaded)
{
	static const char mark[] = "prog '";
	char *failed = strstr(said, "BPF program load failed"), *name = failed;
	struct refused *next;
	size_t length;

	if (!failed)
		return 0;
	while (name > said && strncmp(name, mark, sizeof(mark) - 1))
		name--;
	name += sizeof(mark) - 1;
	length = strcspn(name, "'");
	loaded->refused = realloc(loaded->refused, (loaded->count + 1) * sizeof(*loaded->refused));
	next = loaded->refused + loaded->count++;
	snprintf(next->name, sizeof(next->name), "%.*s", (int)length, name);
	length = strlen(failed);
	snprintf(next->reason, sizeof(next->reason), "%s", length > 400 ? failed + length - 400 : failed);
	without_newlines(next->reason);
	return 1;
}

static const struct refused *is_refused(const struct loaded *loaded, const char *name)
{
	for (int at = 0; at < loaded->count; at++)
		if (strcmp(loaded->refused[at].name, name) == 0)
			return loaded->refused + at;
	return NULL;
}

/* What is loaded of an object: of the programs that are left, all, or those that a function tells. */
static struct loaded load_some(const char *path, int (*is_wanted)(const char *name))
{
	struct loaded loaded = { 0 };

	for (;;) {
		struct bpf_program *program;

		loaded.object = bpf_object__open_file(path, NULL);
		if (!loaded.object) {
			fprintf(out, "| cannot open %s: %d\n", path, errno);
			return loaded;
		}
		bpf_object__for_each_program(program, loaded.object)
			bpf_program__set_autoload(program, is_wanted(bpf_program__name(program)) &&
							   !is_refused(&loaded, bpf_program__name(program)));
		said_bytes = 0;
		said[0] = 0;
		if (bpf_object__load(loaded.object) == 0)
			return loaded;
		bpf_object__close(loaded.object);
		loaded.object = NULL;
		if (!note_refused(&loaded)) {
			without_newlines(said);
			fprintf(out, "| cannot load %s: %.400s\n", path, said);
			return loaded;
		}
	}
}

static int always(const char *name)
{
	return name != NULL;
}

static struct loaded load(const char *path)
{
	return load_some(path, always);
}

/* --- what the kernel has of a program */

#define MOST_WORDS 64
#define WORD 24

struct seen {
	char words[MOST_WORDS][WORD];
	int count;
	/* Constants in registers, which an address may be made of by way of a jump. */
	char constants[1024];
	int instructions;
	int reads;
};

/* Each word stands once: compilers read or call in two branches what they might in one. */
static void add(struct seen *seen, const char *format, int number)
{
	char word[WORD];

	snprintf(word, sizeof(word), format, number);
	for (int at = 0; at < seen->count; at++)
		if (strcmp(seen->words[at], word) == 0)
			return;
	if (seen->count < MOST_WORDS)
		strcpy(seen->words[seen->count++], word);
}

static int in_order(const void *one, const void *other)
{
	return strcmp(one, other);
}

static const char *text(const struct seen *seen)
{
	static char texts[2][MOST_WORDS * WORD];
	static int next;
	char *text = texts[next ^= 1];

	*text = 0;
	for (int at = 0; at < seen->count; at++)
		strcat(strcat(text, " "), seen->words[at]);
	return text;
}

/*
 * The loads that are not from the stack, what is added to addresses, and the helpers. A relocated offset is put into a
 * register first, so constants are followed from instruction to instruction.
 */
static struct seen see(const struct bpf_program *program)
{
	static const char *const widths[] = { "u32@%d", "u16@%d", "u8@%d", "u64@%d" };
	static struct bpf_insn insns[MOST];
	struct bpf_prog_info info = { .xlated_prog_insns = (unsigned long)insns, .xlated_prog_len = sizeof(insns) };
	int constant[16] = { 0 };
	struct seen seen = { 0 };
	unsigned int size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		add(&seen, "errno%d", errno);
	seen.instructions = info.xlated_prog_len / sizeof(*insns);
	for (int at = 0; at < seen.instructions; at++) {
		const struct bpf_insn *insn = insns + at;
		int class = BPF_CLASS(insn->code), operation = BPF_OP(insn->code);

		if (class == BPF_LDX && insn->src_reg != BPF_REG_10) {
			add(&seen, widths[BPF_SIZE(insn->code) >> 3], insn->off);
			seen.reads++;
		} else if (insn->code == (BPF_ALU64 | BPF_ADD | BPF_K) && insn->imm > 0) {
			add(&seen, "+%d", insn->imm);
		} else if (insn->code == (BPF_ALU64 | BPF_ADD | BPF_X)) {
			int by = constant[insn->src_reg] ? constant[insn->src_reg] : constant[insn->dst_reg];

			if (by)
				add(&seen, "+%d", by);
		} else if (insn->code == (BPF_JMP | BPF_CALL)) {
			add(&seen, "call%d", insn->imm);
			seen.reads++;
			memset(constant, 0, 6 * sizeof(*constant));
		}
		if ((insn->code == (BPF_ALU64 | BPF_MOV | BPF_K) || insn->code == (BPF_ALU | BPF_MOV | BPF_K)) && insn->imm > 0) {
			size_t length = strlen(seen.constants);

			snprintf(seen.constants + length, sizeof(seen.constants) - length, " =%d", insn->imm);
		}
		if (class == BPF_ALU64 || class == BPF_ALU || class == BPF_LDX || class == BPF_LD)
			constant[insn->dst_reg] =
				operation == BPF_MOV && BPF_SRC(insn->code) == BPF_K && class != BPF_LDX ? insn->imm : 0;
	}
	qsort(seen.words, seen.count, WORD, in_order);
	return seen;
}

static void attach(const struct bpf_program *program)
{
	struct bpf_link *link = bpf_program__attach(program);

	if (link)
		bpf_link__destroy(link);
	else if (errno != ENOENT)
		fprintf(out, "| attach %s %d %s\n", bpf_program__name(program), errno, bpf_program__section_name(program));
}

static long instructions[2];

static void compare_one(const struct bpf_program *program, const struct loaded *portable, const struct loaded *fixed)
{
	const char *name = bpf_program__name(program);
	const struct refused *refused = is_refused(portable, name);
	const struct bpf_program *other = bpf_object__find_program_by_name(fixed->object, name);
	const struct refused *other_refused = is_refused(fixed, name);
	struct seen ours, theirs;

	if (refused) {
		if (other_refused)
			fprintf(out, "| both %s\n", name);
		else
			fprintf(out, "| refused %s %s\n", name, refused->reason);
		return;
	}
	if (other_refused) {
		fprintf(out, "| fixed-refused %s %s\n", name, other_refused->reason);
		return;
	}
	ours = see(program);
	if (!other) {
		fprintf(out, "| %s %s%s\n", ours.reads ? "extra" : "absent", name, ours.reads ? text(&ours) : "");
	} else {
		theirs = see(other);
		instructions[0] += ours.instructions;
		instructions[1] += theirs.instructions;
		if (strcmp(text(&ours), text(&theirs)))
			fprintf(out, "| differs %s%s |%s |%s\n", name, text(&ours), text(&theirs), ours.constants);
		else
			fprintf(out, "| same %s\n", name);
	}
	attach(program);
}

static void compare(const char *portable_path, const char *fixed_path)
{
	struct loaded portable = load(portable_path), fixed = load(fixed_path);
	struct bpf_program *program;

	if (portable.object && fixed.object)
		bpf_object__for_each_program(program, portable.object)
			compare_one(program, &portable, &fixed);
	bpf_object__close(portable.object);
	bpf_object__close(fixed.object);
	free(portable.refused);
	free(fixed.refused);
}

#define MOST_MODULES 1024

static char modules[MOST_MODULES][64];
static int module_count;

static int load_module(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	if (insert_module(path))
		return errno;
	if (module_count < MOST_MODULES)
		snprintf(modules[module_count++], sizeof(*modules), "%.*s", (int)strcspn(name, "."), name);
	return 0;
}

static int is_of_loaded_module(const char *name)
{
	size_t length;

	name += strlen("m_");
	length = strstr(name, "__") - name;
	for (int at = 0; at < module_count; at++)
		if (strlen(modules[at]) == length && strncmp(modules[at], name, length) == 0)
			return 1;
	return 0;
}

static void attach_each(const char *path)
{
	struct loaded loaded = load_some(path, is_of_loaded_module);
	struct bpf_program *program;

	if (!loaded.object)
		return;
	bpf_object__for_each_program(program, loaded.object) {
		const char *name = bpf_program__name(program);
		const struct refused *refused = is_refused(&loaded, name);
		struct bpf_link *link;

		if (!is_of_loaded_module(name))
			continue;
		link = refused ? NULL : bpf_program__attach(program);
		if (link)
			fprintf(out, "| attached %s\n", name);
		else if (refused)
			fprintf(out, "| refused %s %s\n", name, refused->reason);
		else
			fprintf(out, "| attach %s %d %s\n", name, errno, bpf_program__section_name(program));
		bpf_link__destroy(link);
	}
	bpf_object__close(loaded.object);
	free(loaded.refused);
}

/* --- the init of a machine */

static void carry_out_plan(void)
{
	static char line[1024], portable[512], fixed[512];
	FILE *plan = fopen("/plan", "r");

	while (plan && fgets(line, sizeof(line), plan)) {
		int error = 0;

		if (sscanf(line, "module %511s", portable) == 1) {
			error = load_module(portable);
		} else if (sscanf(line, "attach %511s", portable) == 1) {
			attach_each(portable);
		} else if (sscanf(line, "compare %511s %511s", portable, fixed) == 2) {
			compare(portable, fixed);
			fprintf(out, "| instructions portable %ld fixed %ld\n", instructions[0], instructions[1]);
		}
		fprintf(out, "%s %d\n", error ? "module" : "done", error);
	}
	tcdrain(fileno(out));
	reboot(RB_POWER_OFF);
}

int main(int count, char **words)
{
	out = stdout;
	libbpf_set_print(keep);
	if (getpid() == 1)
		out = machine_answers();
	/* Before Linux 5.11 maps and programs count as locked memory. */
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 65536, 65536 });
	if (getpid() == 1)
		carry_out_plan();
	for (int at = 1; at + 1 < count; at += 2)
		compare(words[at], words[at + 1]);
	fprintf(out, "| instructions portable %ld fixed %ld\ndone 0\n", instructions[0], instructions[1]);
	return 0;
}
