"""What the tests share: compilers, libbpf, the live kernel, made-up input."""
