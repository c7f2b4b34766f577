"""Trainer, checkpoints, progress."""
