"""Where labelled images come from and how they become batches."""
