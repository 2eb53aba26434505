"""Measurements, never timed asserts: each prints what it runs and ends with one JSON object."""
