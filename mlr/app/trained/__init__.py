"""Trained runs restored from their folders, and the commands predict and export."""
