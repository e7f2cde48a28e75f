"""Recipe -> Trainer -> run folder."""
