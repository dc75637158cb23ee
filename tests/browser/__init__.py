"""The atlas in Debian's chromium: searched and read with scripts and without, by keys alone, on a slow network."""
