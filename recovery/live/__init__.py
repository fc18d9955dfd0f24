"""The event streams: they tell open pages what changed. Pages then ask as ever, so that nothing secret is sent."""
