"""From questions to an adapter: dataset building and fine-tuning."""
