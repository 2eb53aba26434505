"""Prefect, and nothing but Prefect: which stage runs when, retries, schedules, triggers."""
