"""What is refused or removed on the way in and out: used by gateway and evaluation alike."""
