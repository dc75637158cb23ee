"""What this machine made before and may be thrown away: generated output, and how to tell that nothing changed."""
