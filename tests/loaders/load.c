/*
 * Loads objects with libbpf, and attaches the first program of each section.
 *
 *	load OBJECT ...
 *
 * The first line is libbpf's version. Then for each program there is `NAME HEX`, the instructions that the kernel has of
 * it; what is refused stands on the standard error, and the exit status is 1.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static unsigned char insns[1 << 20];

static int tell(const struct bpf_program *program)
{
	struct bpf_prog_info info = { .xlated_prog_insns = (unsigned long)insns, .xlated_prog_len = sizeof(insns) };
	unsigned int size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return -1;
	printf("%s ", bpf_program__name(program));
	for (unsigned int at = 0; at < info.xlated_prog_len; at++)
		printf("%02x", insns[at]);
	putchar('\n');
	return 0;
}

static int load(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	const char *before = "";
	int wrong = 0;

	if (!object || bpf_object__load(object))
		return 1;
	bpf_object__for_each_program(program, object) {
		const char *section = bpf_program__section_name(program);

		wrong |= tell(program);
		if (strcmp(section, before)) {
			struct bpf_link *link = bpf_program__attach(program);

			wrong |= !link;
			bpf_link__destroy(link);
		}
		before = section;
	}
	bpf_object__close(object);
	return wrong;
}

int main(int count, char **words)
{
	int wrong = 0;

	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 65536, 65536 });
	puts(libbpf_version_string());
	for (int at = 1; at < count; at++)
		wrong |= load(words[at]);
	return wrong != 0;
}
