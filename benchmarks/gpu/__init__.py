"""The parts of `benchmarks/gpu_panel.py`: standard library, and what vLLM's own environment has; nothing of Arbiter's."""
