"""Walking forward: choose on what was, judge by what came."""
