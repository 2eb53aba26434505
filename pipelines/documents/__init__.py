"""From sources to chunks: reading, parsing, cleaning, splitting."""
