"""People deciding about paused runs: states, requests, decisions, and the work that follows."""
