"""The build step: tpgen.toml lists the files that are wanted, `tpgen build` brings them up to date."""
