"""What people read on the pages, made from plain values; nothing here asks the database or knows a request."""
