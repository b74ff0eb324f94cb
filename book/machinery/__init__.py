"""What turns the chapters' sources into notebooks, and checks the built book."""
