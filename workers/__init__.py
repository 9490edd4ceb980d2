"""What runs behind the queue, and the records through which it is watched."""
