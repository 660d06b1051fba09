"""Candles: where they come from, how they are kept, checked and loaded."""

from workbench.data.loading import load, load_frame, source_of
from workbench.data.places import Places, available
from workbench.data.resample import resample

__all__ = ["Places", "available", "load", "load_frame", "resample", "source_of"]
