"""What a person looks at after training."""
