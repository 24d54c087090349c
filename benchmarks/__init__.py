"""Side-by-side measurements; each script prints a table, or one JSON object with --json."""
