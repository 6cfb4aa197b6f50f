"""Did the action help? Before and after, against limits and against siblings that nobody touched."""
