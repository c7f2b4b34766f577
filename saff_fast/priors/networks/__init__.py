"""Pretrained networks behind the priors, and where their weights are found; nothing here downloads anything."""
