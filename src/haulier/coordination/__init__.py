"""What several tasks, and later several hosts, agree on: locks, events, counters."""
