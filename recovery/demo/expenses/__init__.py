"""Sample: a batch of expenses is checked, people decide about what is not plainly fine, the rest is paid out."""
