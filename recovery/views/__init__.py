"""The doors for browsers: a view asks, calls a service, shows a page or a part of it."""
