"""What each process of the application runs."""
