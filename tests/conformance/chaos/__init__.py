"""Many runs, many people and workers that are killed at random, and afterwards every promise: `make chaos`."""
