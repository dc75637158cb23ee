/* What the programs tell the loader. */
enum { EXEC, EXIT };

struct told {
	int what;
	int pid;
	char text[256];
};
