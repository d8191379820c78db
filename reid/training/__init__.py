"""The training loop and what it keeps: schedule, processes, devices, log and checkpoints."""
