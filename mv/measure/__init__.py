"""Measuring pictures: does the camera move as commanded, does the light follow the music, is the cast itself."""
