"""From answers to a verdict: suites, metrics, statistics, red team, gate."""
