"""Claims about residual networks as experiments that anyone can run."""
