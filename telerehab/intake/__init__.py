"""From messages of devices to rows and live values: the parts of `telerehab/live_pipeline.py`, and its stores."""
