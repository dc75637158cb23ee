"""CO-RE relocation: what libbpf makes of an object's accesses to types on a kernel."""
