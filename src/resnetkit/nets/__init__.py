"""What a residual network is: torch only, no files, no data, no training."""
