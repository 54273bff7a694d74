"""What is allowed and due: pure functions over plain values."""
