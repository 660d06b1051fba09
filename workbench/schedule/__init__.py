"""Reports on time: schedules, what is due given a moment, the log of runs, and the loop that starts them."""
