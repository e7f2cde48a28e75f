"""How fast networks are on this machine, what memory they take, and how accurate they are."""
