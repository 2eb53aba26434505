"""From chunks to hits and cited answers: embedder, index, search."""
