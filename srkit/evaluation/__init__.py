"""Measuring: rows of numbers, tables of them, speed. Nothing here loads Matplotlib."""
