"""Good settings for someone's data, found by trying."""
