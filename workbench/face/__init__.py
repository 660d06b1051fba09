"""What notebooks call: every verb of the workbench, candles in and results out."""
