"""The atlas: a static site with the events of kernels, and with what changed between the kernels."""
