"""What is seen in a picture: the visible mask, the pose."""
