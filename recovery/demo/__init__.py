"""Sample pipelines that do real work on real input."""
