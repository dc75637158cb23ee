"""Rules for tpgen: `tpgen_headers` generates what a tpgen.toml asks for, `bpf_object` compiles a program that uses it."""

def _tpgen_headers(ctx):
    include = ctx.actions.declare_directory(ctx.label.name)
    arguments = ctx.actions.args()
    arguments.add(ctx.file.config)
    arguments.add_all([include], expand_directories = False)
    if ctx.file.btf:
        arguments.add("--btf", ctx.file.btf)
    ctx.actions.run_shell(
        outputs = [include],
        inputs = [ctx.file.config] + ctx.files.btf + ctx.files.srcs,
        # Bazel itself decides what is stale: the manifest, in which tpgen keeps paths and times, is of no use here.
        command = 'config=$1 out=$2; shift 2; tpgen build "$config" -o "$out" "$@" && rm "$out"/.*.manifest',
        arguments = [arguments],
        use_default_shell_env = True,
        mnemonic = "Tpgen",
        progress_message = "Generating what %{label} asks for",
    )
    return [DefaultInfo(files = depset([include]))]

tpgen_headers = rule(
    implementation = _tpgen_headers,
    doc = "A directory with the files of a tpgen.toml. Without `btf`, or kernels in the toml, Bazel does not see what the \
running kernel is: give a snapshot.",
    attrs = {
        "config": attr.label(allow_single_file = [".toml"], mandatory = True),
        "btf": attr.label(allow_single_file = True, doc = "the kernel of whatever names none in the toml"),
        "srcs": attr.label_list(allow_files = True, doc = "the files that the toml names"),
    },
)

def _bpf_object(ctx):
    compiled = ctx.actions.declare_file(ctx.label.name + ".o")
    arguments = ctx.actions.args()
    arguments.add_all(["-target", "bpf", "-O2", "-g", "-Wall", "-Wextra", "-Werror"])
    arguments.add_all(ctx.files.headers, before_each = "-I", expand_directories = False)
    arguments.add_all(["-c", ctx.file.src, "-o", compiled])
    ctx.actions.run_shell(
        outputs = [compiled],
        inputs = [ctx.file.src] + ctx.files.headers,
        command = 'exec clang "$@"',
        arguments = [arguments],
        use_default_shell_env = True,
        mnemonic = "BpfCompile",
        progress_message = "Compiling %{label}",
    )
    return [DefaultInfo(files = depset([compiled]))]

bpf_object = rule(
    implementation = _bpf_object,
    attrs = {
        "src": attr.label(allow_single_file = [".c"], mandatory = True),
        "headers": attr.label_list(),
    },
)
