"""The telerehab application: it knows devices, sessions and analytics, and nothing knows it."""
