"""The atlas: a static site of what the events of kernels hand out, and of what changed between the kernels."""
