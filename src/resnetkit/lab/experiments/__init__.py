"""An experiment a file: what is asked, what is done, and the rule of the verdict."""
