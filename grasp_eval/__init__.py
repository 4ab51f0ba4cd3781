"""Evaluation, bags and reports; imported by tools, never by the running stack."""
