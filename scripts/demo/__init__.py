"""The parts of scripts/train_demo.py: what the demo model learns, and how."""
