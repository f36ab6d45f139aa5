"""Progress, tables and traces. A leaf: imports nothing of ours."""
