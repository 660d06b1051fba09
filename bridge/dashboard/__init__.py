"""Widgets on the control API: what a notebook or the Voila page shows of the live side, and no more.

No widget holds a key, an instance or a rule. Closing them changes nothing.
"""
