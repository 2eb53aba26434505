"""Models, prompts and engines: from messages to text."""
