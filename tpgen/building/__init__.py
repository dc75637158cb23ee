"""The build step: tpgen.toml says which files are wanted, `tpgen build` sees to it that they are there."""
