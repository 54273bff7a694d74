"""Clock, randomness, durable files, heap: the edge to the operating system."""
