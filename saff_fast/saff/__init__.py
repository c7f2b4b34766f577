"""Coming from SAFF: its checkpoints, its configuration files, its scenes."""
