"""Groundwork: documents in; a grounded, fine-tuned, judged and approved language model out."""

__version__ = "0.1.0"
